use twilight_model::id::{
    Id,
    marker::{MessageMarker, RoleMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_enclosures::Enclosure;
use ery_ids::ChannelKey;

/// A message as Ery keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) channel: ChannelKey,
    pub(crate) id: Id<MessageMarker>,
    pub(crate) author: Id<UserMarker>,
    /// The name that people see: nickname, else global name, else user name.
    pub(crate) author_name: String,
    /// The author's roles, where the dispatch told them.
    pub(crate) author_roles: Vec<Id<RoleMarker>>,
    /// By another bot or a webhook.
    pub(crate) is_automated: bool,
    /// By Ery herself.
    pub(crate) is_own: bool,
    pub(crate) content: String,
    pub(crate) created_at: UnixMillis,
    pub(crate) edited_at: Option<UnixMillis>,
    pub(crate) reply_to: Option<Id<MessageMarker>>,
    pub(crate) reply_to_author: Option<Id<UserMarker>>,
    pub(crate) mentions: Vec<Mention>,
    pub(crate) mentioned_roles: Vec<Id<RoleMarker>>,
    pub(crate) attachments: Vec<Attachment>,
    /// What it shows beside its text and its files; its author need not have written it.
    pub(crate) enclosures: Vec<Enclosure>,
    /// The message that it forwards.
    pub(crate) forward_of: Option<Id<MessageMarker>>,
    /// Discord's message type: 0 ordinary, 19 reply, others are system messages.
    pub(crate) kind: u32,
    /// Discord's nonce, empty if none.
    pub(crate) nonce: String,
}

impl Message {
    /// Makes one that says something in words, and is nothing more.
    pub(crate) fn of_words(
        channel: ChannelKey,
        id: Id<MessageMarker>,
        author: Id<UserMarker>,
        words: String,
        created_at: UnixMillis,
    ) -> Self {
        Self {
            channel,
            id,
            author,
            author_name: String::new(),
            author_roles: Vec::new(),
            is_automated: false,
            is_own: false,
            content: words,
            created_at,
            edited_at: None,
            reply_to: None,
            reply_to_author: None,
            mentions: Vec::new(),
            mentioned_roles: Vec::new(),
            attachments: Vec::new(),
            enclosures: Vec::new(),
            forward_of: None,
            kind: 0,
            nonce: String::new(),
        }
    }
}

/// A person named by a mention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    pub(crate) user: Id<UserMarker>,
    pub(crate) name: String,
}

/// A file on a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) filename: String,
    pub(crate) content_type: String,
    pub(crate) size_bytes: u64,
    pub(crate) url: String,
}
