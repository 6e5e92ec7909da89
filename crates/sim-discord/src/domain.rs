//! The world that is simulated: guilds and the people in them. Pure and synchronous.
//!
//! Whatever changes the world takes the moment as an argument, and returns, beside its result, the
//! dispatches that Discord would send. Who acts is always named, and is held to their rights; only
//! [`Actor::Operator`], the hand that sets up the world, may do everything.

mod audit;
mod channels;
mod commands;
mod components;
mod crossposts;
mod demo;
mod dispatch;
mod embeds;
mod emojis;
mod file;
mod forums;
mod forwards;
mod generate;
mod guild_settings;
mod guilds;
mod ids;
mod interactions;
mod invites;
mod members;
mod mentions;
mod messages;
mod moderation;
mod notices;
mod ordering;
mod passing;
mod permissions;
mod pins;
mod polls;
mod presence;
mod reactions;
mod refusal;
mod scheduled_events;
mod search;
mod stickers;
#[cfg(test)]
mod tests;
mod thread_changes;
mod thread_lists;
mod thread_members;
mod threads;
mod users;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bytes::Bytes;
use serde_json::Value;
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

pub(crate) use audit::{AuditEntry, AuditLogQuery, check_reason};
pub(crate) use channels::{ChannelChange, ChannelSettings};
pub(crate) use commands::{
    Command, CommandChange, CommandKind, CommandPermission, CommandScope, Commands, LOCALES,
    PermissionTarget, change_of,
};
pub(crate) use demo::{DEMO_TOKEN, ERY_PERMISSIONS};
pub(crate) use dispatch::{Audience, Dispatch, Effect, Outcome, Payload};
pub(crate) use emojis::{EmojiChange, GuildEmoji, NewEmoji, check_image};
pub use file::WorldFileError;
pub(crate) use file::{BitsFile, Excerpt, OverwriteFile};
pub(crate) use forums::{Forum, ForumTag, PostEmoji, TagChange};
pub(crate) use forwards::Forward;
pub use generate::{Generator, GeneratorError};
pub(crate) use guild_settings::{GuildChange, GuildSettings};
pub(crate) use guilds::{GuildSeed, RoleChange};
pub(crate) use ids::{
    ApplicationId, AttachmentId, AuditLogEntryId, ChannelId, CommandId, CommandVersionId, EmojiId,
    GuildId, InteractionId, MessageId, Mint, RoleId, ScheduledEventId, StickerId, TagId, UserId,
    WebhookId, created_at,
};
pub(crate) use interactions::{
    Callback, CommandUse, Deed, EPHEMERAL, Interaction, InteractionKind, Interactions, LOADING,
    Origin, Resolved, Which, callback,
};
pub(crate) use invites::{Invite, NewInvite};
pub(crate) use members::MemberChange;
pub(crate) use mentions::AllowedMentions;
pub(crate) use messages::{Draft, Edit, NewAttachment, Page, ReplyTo, SUPPRESS_EMBEDS, page_of};
pub(crate) use moderation::Ban;
pub(crate) use ordering::ChannelMove;
pub(crate) use polls::{NewAnswer, NewEmojiChoice, NewPoll, Poll, PollAnswer, Vote};
pub(crate) use presence::{Presence, Status};
pub(crate) use reactions::Emoji;
pub(crate) use refusal::{FieldError, Refusal};
pub(crate) use scheduled_events::{EventChange, EventStatus, ScheduledEvent, Venue};
pub(crate) use search::Search;
pub(crate) use stickers::{GuildSticker, NewSticker, StickerItem, png, yes};
pub(crate) use thread_changes::ThreadChange;
pub(crate) use thread_lists::{Archived, ThreadList};
pub(crate) use threads::{HAS_THREAD, NewThread, Thread, ThreadMember};
pub(crate) use users::UserChange;
pub(crate) use webhooks::{Persona, Posted, Posting, Webhook, WebhookChange};

/// How many messages a channel keeps unless told otherwise; older ones are forgotten.
const DEFAULT_MESSAGES_PER_CHANNEL: usize = 50_000;
/// How many bytes of attached files are kept; older files are forgotten.
const MAX_FILE_BYTES: usize = 64 * 1024 * 1024;

/// A Discord of its own: guilds, people, messages.
#[derive(Debug)]
pub struct World {
    pub(crate) mint: Mint,
    pub(crate) users: HashMap<UserId, User>,
    pub(crate) guilds: BTreeMap<GuildId, Guild>,
    pub(crate) channels: HashMap<ChannelId, Channel>,
    /// The direct message of two people, the lower id first.
    pub(crate) dms: BTreeMap<(UserId, UserId), ChannelId>,
    pub(crate) bots: Vec<Bot>,
    /// How those are shown who are online.
    pub(crate) presences: BTreeMap<UserId, Presence>,
    /// The guilds that have an outage.
    pub(crate) unavailable: BTreeSet<GuildId>,
    /// By their codes.
    pub(crate) invites: BTreeMap<String, Invite>,
    /// The polls that are open, by when they end.
    open_polls: BTreeSet<(UnixMillis, ChannelId, MessageId)>,
    pub(crate) webhooks: BTreeMap<WebhookId, Webhook>,
    /// When it is next looked at what is due by itself.
    next_look: UnixMillis,
    pub(crate) commands: Commands,
    pub(crate) interactions: Interactions,
    nonces: messages::Nonces,
    files: Files,
    pub(crate) messages_per_channel: usize,
    /// Where the files of messages are served, `http://host:port`.
    pub(crate) origin: String,
}

impl World {
    /// Returns a world in which nothing is.
    pub fn empty() -> Self {
        Self {
            mint: Mint::default(),
            users: HashMap::new(),
            guilds: BTreeMap::new(),
            channels: HashMap::new(),
            dms: BTreeMap::new(),
            bots: Vec::new(),
            presences: BTreeMap::new(),
            unavailable: BTreeSet::new(),
            invites: BTreeMap::new(),
            open_polls: BTreeSet::new(),
            webhooks: BTreeMap::new(),
            next_look: UnixMillis(0),
            commands: Commands::default(),
            interactions: Interactions::default(),
            nonces: messages::Nonces::default(),
            files: Files::default(),
            messages_per_channel: DEFAULT_MESSAGES_PER_CHANNEL,
            origin: String::new(),
        }
    }

    pub(crate) fn guild(&self, id: GuildId) -> Result<&Guild, Refusal> {
        self.guilds.get(&id).ok_or(Refusal::UnknownGuild)
    }

    pub(crate) fn channel(&self, id: ChannelId) -> Result<&Channel, Refusal> {
        self.channels.get(&id).ok_or(Refusal::UnknownChannel)
    }

    pub(crate) fn user(&self, id: UserId) -> Result<&User, Refusal> {
        self.users.get(&id).ok_or(Refusal::UnknownUser)
    }

    pub(crate) fn member(&self, guild: GuildId, user: UserId) -> Option<&Member> {
        self.guilds.get(&guild)?.members.get(&user)
    }

    pub(crate) fn bot(&self, user: UserId) -> Option<&Bot> {
        self.bots.iter().find(|bot| bot.user == user)
    }

    pub(crate) fn bot_by_token(&self, token: &str) -> Option<&Bot> {
        self.bots.iter().find(|bot| bot.token == token)
    }

    /// Returns an attached file's bytes.
    pub(crate) fn file(&self, id: AttachmentId) -> Option<Bytes> {
        self.files.by_id.get(&id).cloned()
    }
}

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// Somebody in the world, held to their rights.
    User(UserId),
    /// Whoever runs the simulation, from outside the world.
    Operator,
}

impl Actor {
    pub(crate) fn user(self) -> Option<UserId> {
        match self {
            Self::User(user) => Some(user),
            Self::Operator => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) username: String,
    pub(crate) global_name: Option<String>,
    pub(crate) is_bot: bool,
    /// Whether bots and strangers may write to them.
    pub(crate) accepts_dms: bool,
}

impl User {
    /// Returns what people see where there is no nickname.
    pub(crate) fn display_name(&self) -> &str {
        self.global_name.as_deref().unwrap_or(&self.username)
    }
}

/// A bot's account, and what Discord's portal says of it.
#[derive(Clone, Debug)]
pub(crate) struct Bot {
    pub(crate) user: UserId,
    pub(crate) application: ApplicationId,
    pub(crate) token: String,
    pub(crate) owner: Option<UserId>,
    /// Whether presences, members and message content are switched on for it in the portal.
    pub(crate) privileged_intents: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Guild {
    pub(crate) id: GuildId,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) owner: UserId,
    pub(crate) roles: BTreeMap<RoleId, Role>,
    pub(crate) members: BTreeMap<UserId, Member>,
    /// Without its threads.
    pub(crate) channels: BTreeSet<ChannelId>,
    pub(crate) threads: BTreeSet<ChannelId>,
    pub(crate) emojis: BTreeMap<EmojiId, GuildEmoji>,
    pub(crate) stickers: BTreeMap<StickerId, GuildSticker>,
    pub(crate) events: BTreeMap<ScheduledEventId, ScheduledEvent>,
    pub(crate) bans: BTreeMap<UserId, Ban>,
    pub(crate) audit_log: VecDeque<AuditEntry>,
    pub(crate) system_channel: Option<ChannelId>,
    pub(crate) rules_channel: Option<ChannelId>,
    pub(crate) settings: GuildSettings,
}

impl Guild {
    /// Returns the role that everybody has; it has the guild's id.
    pub(crate) fn everyone(&self) -> RoleId {
        self.id.cast()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) id: RoleId,
    pub(crate) name: String,
    pub(crate) color: u32,
    pub(crate) hoist: bool,
    pub(crate) position: i64,
    pub(crate) permissions: Permissions,
    pub(crate) mentionable: bool,
    /// The bot whose role it is; nobody can give or take such a role.
    pub(crate) bot: Option<UserId>,
}

impl Role {
    pub(crate) fn is_managed(&self) -> bool {
        self.bot.is_some()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) user: UserId,
    pub(crate) nick: Option<String>,
    pub(crate) roles: Vec<RoleId>,
    pub(crate) joined_at: UnixMillis,
    /// When their timeout ends; a moment that has passed means nothing.
    pub(crate) timed_out_until: Option<UnixMillis>,
}

impl Member {
    pub(crate) fn is_timed_out(&self, now: UnixMillis) -> bool {
        self.timed_out_until.is_some_and(|until| until > now)
    }
}

/// Discord's number for a kind of channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChannelKind(pub(crate) u8);

impl ChannelKind {
    pub(crate) const TEXT: Self = Self(0);
    pub(crate) const DM: Self = Self(1);
    pub(crate) const VOICE: Self = Self(2);
    pub(crate) const CATEGORY: Self = Self(4);
    pub(crate) const ANNOUNCEMENT: Self = Self(5);
    pub(crate) const ANNOUNCEMENT_THREAD: Self = Self(10);
    pub(crate) const PUBLIC_THREAD: Self = Self(11);
    pub(crate) const PRIVATE_THREAD: Self = Self(12);
    pub(crate) const STAGE: Self = Self(13);
    pub(crate) const FORUM: Self = Self(15);
    pub(crate) const MEDIA: Self = Self(16);

    /// Tells whether guilds have such channels, threads aside.
    pub(crate) fn is_of_guild(self) -> bool {
        matches!(
            self,
            Self::TEXT
                | Self::VOICE
                | Self::CATEGORY
                | Self::ANNOUNCEMENT
                | Self::STAGE
                | Self::FORUM
                | Self::MEDIA
        )
    }

    /// Tells whether such a channel holds nothing but posts, which are threads.
    pub(crate) fn is_forum(self) -> bool {
        matches!(self, Self::FORUM | Self::MEDIA)
    }

    pub(crate) fn is_voice(self) -> bool {
        matches!(self, Self::VOICE | Self::STAGE)
    }

    pub(crate) fn is_thread(self) -> bool {
        matches!(self, Self::ANNOUNCEMENT_THREAD | Self::PUBLIC_THREAD | Self::PRIVATE_THREAD)
    }

    /// Tells whether messages can be sent there.
    pub(crate) fn holds_messages(self) -> bool {
        !matches!(self, Self::CATEGORY | Self::FORUM | Self::MEDIA)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OverwriteTarget {
    Role(RoleId),
    Member(UserId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overwrite {
    pub(crate) target: OverwriteTarget,
    pub(crate) allow: Permissions,
    pub(crate) deny: Permissions,
}

#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub(crate) id: ChannelId,
    /// None in a direct message.
    pub(crate) guild: Option<GuildId>,
    pub(crate) kind: ChannelKind,
    pub(crate) name: String,
    pub(crate) topic: Option<String>,
    pub(crate) position: i64,
    pub(crate) parent: Option<ChannelId>,
    pub(crate) nsfw: bool,
    /// Slow mode, in seconds.
    pub(crate) rate_limit_per_user: u32,
    pub(crate) overwrites: Vec<Overwrite>,
    /// What only some kinds of channels have.
    pub(crate) settings: ChannelSettings,
    /// Of a forum alone.
    pub(crate) forum: Option<Box<Forum>>,
    /// Of a thread alone.
    pub(crate) thread: Option<Box<Thread>>,
    /// The two people of a direct message.
    pub(crate) recipients: Vec<UserId>,
    pub(crate) last_message: Option<MessageId>,
    pub(crate) last_pin: Option<UnixMillis>,
    pub(crate) messages: BTreeMap<MessageId, Message>,
    /// When each member last spoke, while slow mode is on.
    pub(crate) last_spoke: HashMap<UserId, UnixMillis>,
    /// When each member last began a thread, while slow mode is on.
    pub(crate) last_thread: HashMap<UserId, UnixMillis>,
}

impl Channel {
    /// Returns a channel with nothing in it.
    pub(crate) fn new(
        id: ChannelId,
        guild: Option<GuildId>,
        kind: ChannelKind,
        name: String,
    ) -> Self {
        Self {
            id,
            guild,
            kind,
            name,
            topic: None,
            position: 0,
            parent: None,
            nsfw: false,
            rate_limit_per_user: 0,
            overwrites: Vec::new(),
            settings: ChannelSettings::default(),
            forum: kind.is_forum().then(Box::default),
            thread: None,
            recipients: Vec::new(),
            last_message: None,
            last_pin: None,
            messages: BTreeMap::new(),
            last_spoke: HashMap::new(),
            last_thread: HashMap::new(),
        }
    }

    pub(crate) fn message(&self, id: MessageId) -> Result<&Message, Refusal> {
        self.messages.get(&id).ok_or(Refusal::UnknownMessage)
    }
}

/// What a client made up to know its message again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Nonce {
    Number(i64),
    Text(String),
}

/// Discord's number for a kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageKind(pub(crate) u8);

impl MessageKind {
    pub(crate) const DEFAULT: Self = Self(0);
    pub(crate) const RECIPIENT_ADD: Self = Self(1);
    pub(crate) const RECIPIENT_REMOVE: Self = Self(2);
    pub(crate) const NAME_CHANGE: Self = Self(4);
    pub(crate) const PIN: Self = Self(6);
    pub(crate) const THREAD_CREATED: Self = Self(18);
    pub(crate) const REPLY: Self = Self(19);
    pub(crate) const THREAD_STARTER: Self = Self(21);
    pub(crate) const SLASH_COMMAND: Self = Self(20);
    pub(crate) const CONTEXT_COMMAND: Self = Self(23);
    pub(crate) const POLL_RESULT: Self = Self(46);

    pub(crate) fn is_system(self) -> bool {
        !matches!(self, Self::DEFAULT | Self::REPLY | Self::SLASH_COMMAND | Self::CONTEXT_COMMAND)
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    /// None where a whole channel is meant.
    pub(crate) message: Option<MessageId>,
    pub(crate) channel: ChannelId,
    pub(crate) guild: Option<GuildId>,
}

#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    pub(crate) id: AttachmentId,
    pub(crate) filename: String,
    pub(crate) description: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) size: u64,
    pub(crate) url: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Reaction {
    pub(crate) emoji: Emoji,
    /// In the order in which they reacted.
    pub(crate) users: Vec<UserId>,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: MessageId,
    pub(crate) channel: ChannelId,
    pub(crate) guild: Option<GuildId>,
    pub(crate) author: UserId,
    pub(crate) kind: MessageKind,
    pub(crate) content: String,
    pub(crate) edited_at: Option<UnixMillis>,
    pub(crate) tts: bool,
    pub(crate) mention_everyone: bool,
    pub(crate) mentions: Vec<UserId>,
    pub(crate) mention_roles: Vec<RoleId>,
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) embeds: Vec<Value>,
    pub(crate) components: Vec<Value>,
    pub(crate) stickers: Vec<StickerItem>,
    pub(crate) poll: Option<Box<Poll>>,
    /// Of a forward, what it shows.
    pub(crate) snapshot: Option<Box<Message>>,
    /// How many messages were in its thread before it.
    pub(crate) position: Option<u32>,
    pub(crate) pinned_at: Option<UnixMillis>,
    pub(crate) reactions: Vec<Reaction>,
    pub(crate) reference: Option<Reference>,
    pub(crate) nonce: Option<Nonce>,
    pub(crate) flags: u64,
    /// The application by which it was sent in answer to an interaction, or whose webhook said it.
    pub(crate) application: Option<ApplicationId>,
    pub(crate) webhook: Option<WebhookId>,
    /// As whom a webhook said it; none of what answers an interaction.
    pub(crate) persona: Option<Box<Persona>>,
    /// The interaction that it answers.
    pub(crate) origin: Option<Box<Origin>>,
}

impl Message {
    /// Returns a message that says nothing yet.
    pub(crate) fn new(
        id: MessageId,
        channel: ChannelId,
        guild: Option<GuildId>,
        author: UserId,
        kind: MessageKind,
    ) -> Self {
        Self {
            id,
            channel,
            guild,
            author,
            kind,
            content: String::new(),
            edited_at: None,
            tts: false,
            mention_everyone: false,
            mentions: Vec::new(),
            mention_roles: Vec::new(),
            attachments: Vec::new(),
            embeds: Vec::new(),
            components: Vec::new(),
            stickers: Vec::new(),
            poll: None,
            snapshot: None,
            position: None,
            pinned_at: None,
            reactions: Vec::new(),
            reference: None,
            nonce: None,
            flags: 0,
            application: None,
            webhook: None,
            persona: None,
            origin: None,
        }
    }
}

/// The bytes of attached files, the oldest dropped first.
#[derive(Debug, Default)]
struct Files {
    by_id: HashMap<AttachmentId, Bytes>,
    order: VecDeque<AttachmentId>,
    bytes: usize,
}

impl Files {
    fn keep(&mut self, id: AttachmentId, content: Bytes) {
        self.bytes += content.len();
        self.order.push_back(id);
        self.by_id.insert(id, content);
        while self.bytes > MAX_FILE_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= self.by_id.remove(&oldest).map_or(0, |content| content.len());
        }
    }
}
