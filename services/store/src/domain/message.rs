use serde::{Deserialize, Serialize};
use twilight_model::id::{
    Id,
    marker::{MessageMarker, RoleMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_ids::ChannelKey;

/// A message, as Discord sent it at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) channel: ChannelKey,
    pub(crate) id: Id<MessageMarker>,
    pub(crate) author: Id<UserMarker>,
    pub(crate) author_name: String,
    pub(crate) is_automated: bool,
    pub(crate) is_own: bool,
    pub(crate) content: String,
    pub(crate) created_at: UnixMillis,
    /// The edit that this is, 0 if it was never edited.
    pub(crate) edited_at: UnixMillis,
    pub(crate) kind: u32,
    pub(crate) reply_to: Option<Id<MessageMarker>>,
    pub(crate) reply_to_author: Option<Id<UserMarker>>,
    pub(crate) mentions: Vec<Mention>,
    pub(crate) mentioned_roles: Vec<Id<RoleMarker>>,
    pub(crate) attachments: Vec<Attachment>,
    /// What it shows beside its text and its files.
    pub(crate) enclosures: Vec<Enclosure>,
    pub(crate) forward_of: Option<Id<MessageMarker>>,
    pub(crate) gate_reason: String,
    pub(crate) nonce: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mention {
    pub(crate) user: Id<UserMarker>,
    pub(crate) name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attachment {
    pub(crate) filename: String,
    pub(crate) content_type: String,
    pub(crate) size_bytes: u64,
    pub(crate) url: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Enclosure {
    pub(crate) kind: EnclosureKind,
    pub(crate) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EnclosureKind {
    /// What somebody wrote elsewhere.
    Forward,
    Embed,
    Poll,
    Sticker,
}

/// Something that is heard of a message. Events come in any order, and more than once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MessageChange {
    /// The whole message; from ingestion, from a thread that it triggers, or from our own send.
    Seen {
        message: Box<Message>,
        by_ingestion: bool,
    },
    /// A newer text, and the whole message where Discord sent enough to know it.
    Edited {
        id: Id<MessageMarker>,
        content: String,
        edited_at: UnixMillis,
        whole: Option<Box<Message>>,
    },
    Deleted {
        id: Id<MessageMarker>,
        at: UnixMillis,
    },
}

/// How a message's row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The edit that its text is of.
    pub(crate) edited_at: UnixMillis,
    /// The edit that everything else is of, if that is known.
    pub(crate) whole_at: Option<UnixMillis>,
    pub(crate) is_ingested: bool,
    pub(crate) deleted_at: Option<UnixMillis>,
    pub(crate) has_gate_reason: bool,
    pub(crate) has_nonce: bool,
}

/// What a change makes of a message's row.
///
/// Every order of the same changes ends in the same row: the text is the newest edit's, the rest
/// that of the newest whole message, and a deletion outlasts everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one column group to be written or not")]
pub(crate) struct Merge {
    /// There is no row yet.
    pub(crate) is_new: bool,
    pub(crate) takes_text: bool,
    pub(crate) takes_whole: bool,
    pub(crate) marks_ingested: bool,
    /// The gate's reason or the nonce, which only one of the sources knows.
    pub(crate) takes_marks: bool,
    /// The row becomes a tombstone, or an older one.
    pub(crate) deletes_at: Option<UnixMillis>,
}

impl Merge {
    /// Returns whether nothing is to be written.
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Judges what `change` makes of a row that stands as `standing`.
pub(crate) fn merge(standing: Option<&Standing>, change: &MessageChange) -> Merge {
    match change {
        MessageChange::Seen { message, by_ingestion } => {
            let mut merge = merge_whole(standing, message);
            merge.marks_ingested =
                *by_ingestion && standing.is_none_or(|standing| !standing.is_ingested);
            merge
        }
        MessageChange::Edited { whole: Some(whole), .. } => merge_whole(standing, whole),
        MessageChange::Edited { edited_at, .. } => {
            let takes_text = match standing {
                Some(standing) => standing.deleted_at.is_none() && *edited_at > standing.edited_at,
                // With no moment it says nothing that a row could be judged by later.
                None => *edited_at > UnixMillis(0),
            };
            Merge { is_new: takes_text && standing.is_none(), takes_text, ..Merge::default() }
        }
        MessageChange::Deleted { at, .. } => {
            let is_earlier = standing
                .and_then(|standing| standing.deleted_at)
                .is_none_or(|deleted| *at < deleted);
            Merge {
                is_new: standing.is_none(),
                deletes_at: is_earlier.then_some(*at),
                ..Merge::default()
            }
        }
    }
}

fn merge_whole(standing: Option<&Standing>, message: &Message) -> Merge {
    let Some(standing) = standing else {
        return Merge { is_new: true, takes_text: true, takes_whole: true, ..Merge::default() };
    };
    if standing.deleted_at.is_some() {
        return Merge::default();
    }
    Merge {
        takes_text: message.edited_at > standing.edited_at,
        takes_whole: standing.whole_at.is_none_or(|whole_at| message.edited_at > whole_at),
        takes_marks: (!message.gate_reason.is_empty() && !standing.has_gate_reason)
            || (!message.nonce.is_empty() && !standing.has_nonce),
        ..Merge::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Standing = Standing {
        edited_at: UnixMillis(0),
        whole_at: Some(UnixMillis(0)),
        is_ingested: false,
        deleted_at: None,
        has_gate_reason: false,
        has_nonce: false,
    };

    fn message(edited_at: i64) -> Message {
        Message {
            channel: ChannelKey::from_raw(1, 2).unwrap(),
            id: Id::new(3),
            author: Id::new(4),
            author_name: "mara".to_owned(),
            is_automated: false,
            is_own: false,
            content: "hello".to_owned(),
            created_at: UnixMillis(10),
            edited_at: UnixMillis(edited_at),
            kind: 0,
            reply_to: None,
            reply_to_author: None,
            mentions: Vec::new(),
            mentioned_roles: Vec::new(),
            attachments: Vec::new(),
            enclosures: Vec::new(),
            forward_of: None,
            gate_reason: String::new(),
            nonce: String::new(),
        }
    }

    fn seen(edited_at: i64) -> MessageChange {
        MessageChange::Seen { message: Box::new(message(edited_at)), by_ingestion: true }
    }

    fn edited(edited_at: i64, is_whole: bool) -> MessageChange {
        MessageChange::Edited {
            id: Id::new(3),
            content: "hello again".to_owned(),
            edited_at: UnixMillis(edited_at),
            whole: is_whole.then(|| Box::new(message(edited_at))),
        }
    }

    #[test]
    fn a_repeat_changes_nothing() {
        let ingested = Standing { is_ingested: true, ..FRESH };
        assert!(merge(Some(&ingested), &seen(0)).is_nothing());
        let deleted = Standing { deleted_at: Some(UnixMillis(9)), ..ingested };
        let deletion = MessageChange::Deleted { id: Id::new(3), at: UnixMillis(9) };
        assert!(merge(Some(&deleted), &deletion).is_nothing());
    }

    #[test]
    fn a_create_after_a_delete_only_tells_that_it_came() {
        let deleted = Standing { deleted_at: Some(UnixMillis(9)), ..FRESH };
        let merged = merge(Some(&deleted), &seen(0));
        assert_eq!(merged, Merge { marks_ingested: true, ..Merge::default() });
        assert!(merge(Some(&deleted), &edited(99, true)).is_nothing());
        assert!(merge(Some(&deleted), &edited(99, false)).is_nothing());
    }

    #[test]
    fn an_older_edit_is_ignored() {
        let newer = Standing { edited_at: UnixMillis(50), whole_at: Some(UnixMillis(50)), ..FRESH };
        for older in [edited(40, false), edited(40, true), edited(50, true), edited(0, false)] {
            assert!(merge(Some(&newer), &older).is_nothing(), "{older:?}");
        }
    }

    #[test]
    fn a_create_never_takes_a_newer_text_away() {
        let only_edited = Standing { edited_at: UnixMillis(50), whole_at: None, ..FRESH };
        let merged = merge(Some(&only_edited), &seen(0));
        assert!(!merged.takes_text && merged.takes_whole);
    }

    #[test]
    fn what_only_one_source_knows_is_added() {
        let mut ours = message(0);
        ours.nonce = "n".to_owned();
        let change = MessageChange::Seen { message: Box::new(ours), by_ingestion: false };
        assert_eq!(merge(Some(&FRESH), &change), Merge { takes_marks: true, ..Merge::default() });
    }

    #[test]
    fn the_first_deletion_counts() {
        let deleted = Standing { deleted_at: Some(UnixMillis(9)), ..FRESH };
        let earlier = MessageChange::Deleted { id: Id::new(3), at: UnixMillis(5) };
        assert_eq!(merge(Some(&deleted), &earlier).deletes_at, Some(UnixMillis(5)));
        assert!(merge(None, &earlier).is_new);
    }
}
