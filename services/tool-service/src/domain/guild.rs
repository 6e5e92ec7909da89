//! What a decision needs to know of a guild.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, EmojiMarker, GuildMarker, RoleMarker, TagMarker, UserMarker},
    },
};

use ery_clock::UnixMillis;

/// Roles, channels and the owner of a guild.
#[derive(Clone, Debug)]
pub(crate) struct Guild {
    pub(crate) id: Id<GuildMarker>,
    pub(crate) name: Box<str>,
    pub(crate) owner: Id<UserMarker>,
    pub(crate) roles: HashMap<Id<RoleMarker>, Role>,
    /// Threads are channels of their own here.
    pub(crate) channels: HashMap<Id<ChannelMarker>, Channel>,
    pub(crate) emojis: HashSet<Id<EmojiMarker>>,
    /// The channels that Discord itself writes to for the staff: warnings of raids, news for
    /// communities, system messages. Others may see them, too.
    pub(crate) staff_channels: Box<[Id<ChannelMarker>]>,
    /// How many members the guild has, if Discord said so.
    pub(crate) member_count: Option<u64>,
}

impl Guild {
    /// Returns the role that everybody has: its id is the guild's.
    pub(crate) fn everyone(&self) -> Id<RoleMarker> {
        self.id.cast()
    }

    /// Returns whether a channel is in slow mode.
    pub(crate) fn is_slow(&self, channel: Id<ChannelMarker>) -> bool {
        self.channels.get(&channel).is_some_and(|channel| channel.slowmode > 0)
    }

    /// Returns the channel whose overwrites count: a thread's parent, else the channel itself.
    pub(crate) fn ruling(&self, channel: &Channel) -> Option<&Channel> {
        if channel.kind.is_thread() {
            channel.parent.and_then(|parent| self.channels.get(&parent))
        } else {
            self.channels.get(&channel.id)
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) id: Id<RoleMarker>,
    pub(crate) name: Box<str>,
    pub(crate) position: i64,
    pub(crate) permissions: Permissions,
    /// Whether an integration or Discord itself gives and takes it: a bot's own role, boosters'.
    pub(crate) is_managed: bool,
}

impl Role {
    /// Compares ranks. Of two at one position the one with the lower id ranks higher.
    pub(crate) fn rank(&self, other: &Self) -> Ordering {
        self.position.cmp(&other.position).then_with(|| other.id.cmp(&self.id))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Channel {
    pub(crate) id: Id<ChannelMarker>,
    pub(crate) name: Box<str>,
    pub(crate) kind: ChannelKind,
    pub(crate) parent: Option<Id<ChannelMarker>>,
    /// Its place among those of its parent, from the top; of two at one place the one with the
    /// lower id stands first.
    pub(crate) position: i64,
    pub(crate) overwrites: Box<[Overwrite]>,
    /// Whether only those write in it who manage threads.
    pub(crate) is_locked: bool,
    /// Whether whoever is in a private thread may let others in.
    pub(crate) is_invitable: bool,
    /// How long one waits there from one message to the next, in seconds.
    pub(crate) slowmode: u32,
    /// What posts can be tagged with, in a forum.
    pub(crate) tags: Box<[Tag]>,
}

/// A tag of a forum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) id: Id<TagMarker>,
    pub(crate) name: Box<str>,
    /// Whether only those set it who manage threads.
    pub(crate) is_moderated: bool,
}

impl Tag {
    /// Returns whether it has this name, whatever its case.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.name.to_lowercase() == name.to_lowercase()
    }
}

impl Channel {
    /// Returns the channel that it is a thread of.
    pub(crate) fn thread_of(&self) -> Option<Id<ChannelMarker>> {
        self.parent.filter(|_| self.kind.is_thread())
    }

    /// Whether only those let people in who manage threads.
    pub(crate) fn is_closed(&self) -> bool {
        self.kind == ChannelKind::PrivateThread && !self.is_invitable
    }
}

/// What kind of channel it is, as far as rights go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelKind {
    Text,
    Announcement,
    /// Voice and stage channels: nothing without CONNECT.
    Voice,
    PublicThread,
    /// Seen by its members and by those who may manage threads.
    PrivateThread,
    /// Forums and media channels: they hold posts, no messages themselves.
    Forum,
    /// Categories, directories: they hold channels.
    Holder,
}

impl ChannelKind {
    /// Reads Discord's number.
    pub(crate) fn from_number(number: u8) -> Self {
        match number {
            2 | 13 => Self::Voice,
            5 => Self::Announcement,
            10 | 11 => Self::PublicThread,
            12 => Self::PrivateThread,
            15 | 16 => Self::Forum,
            4 | 14 => Self::Holder,
            _ => Self::Text,
        }
    }

    /// Returns whether no messages are written in it directly.
    pub(crate) fn is_holder(self) -> bool {
        matches!(self, Self::Forum | Self::Holder)
    }

    pub(crate) fn is_thread(self) -> bool {
        matches!(self, Self::PublicThread | Self::PrivateThread)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overwrite {
    pub(crate) of: OverwriteOf,
    pub(crate) allow: Permissions,
    pub(crate) deny: Permissions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OverwriteOf {
    Role(Id<RoleMarker>),
    Member(Id<UserMarker>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) user: Id<UserMarker>,
    pub(crate) username: Box<str>,
    pub(crate) global_name: Option<Box<str>>,
    pub(crate) nick: Option<Box<str>>,
    pub(crate) is_bot: bool,
    pub(crate) roles: Box<[Id<RoleMarker>]>,
    /// ISO 8601, as Discord sent it.
    pub(crate) joined_at: Option<Box<str>>,
    pub(crate) timed_out_until: Option<UnixMillis>,
}

impl Member {
    /// Stands for whoever is no member: @everyone's rights, and no overwrite of their own.
    pub(crate) fn nobody() -> Self {
        Self {
            user: Id::new(1),
            username: "nobody".into(),
            global_name: None,
            nick: None,
            is_bot: true,
            roles: Box::default(),
            joined_at: None,
            timed_out_until: None,
        }
    }

    /// Returns the name that people see.
    pub(crate) fn name(&self) -> &str {
        self.nick.as_deref().or(self.global_name.as_deref()).unwrap_or(&self.username)
    }

    /// Returns whether one of the member's names is `name`, whatever its case.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let wanted = name.to_lowercase();
        [self.nick.as_deref(), self.global_name.as_deref(), Some(&*self.username)]
            .into_iter()
            .flatten()
            .any(|own| own.to_lowercase() == wanted)
    }

    pub(crate) fn is_timed_out(&self, now: UnixMillis) -> bool {
        self.timed_out_until.is_some_and(|until| until > now)
    }
}

/// A guild at one moment, with the members that a decision is about.
#[derive(Clone, Debug)]
pub(crate) struct GuildState {
    pub(crate) guild: Arc<Guild>,
    /// Ery's own user.
    pub(crate) bot: Id<UserMarker>,
    /// Those who were looked for; `None` is nobody of this guild.
    pub(crate) members: HashMap<Id<UserMarker>, Option<Arc<Member>>>,
    /// Who of them was seen to leave which private thread, or not to be in it.
    pub(crate) outside: HashSet<(Id<ChannelMarker>, Id<UserMarker>)>,
}

impl GuildState {
    /// Returns whether somebody is known not to be in a private thread.
    pub(crate) fn is_outside(&self, thread: Id<ChannelMarker>, user: Id<UserMarker>) -> bool {
        self.outside.contains(&(thread, user))
    }

    /// Returns a member, or none if the user is not in the guild.
    ///
    /// Invariant: whoever makes the state has looked for everybody whom the decision is about.
    pub(crate) fn member(&self, user: Id<UserMarker>) -> Option<&Member> {
        self.members.get(&user)?.as_deref()
    }

    pub(crate) fn channel(&self, channel: Id<ChannelMarker>) -> Option<&Channel> {
        self.guild.channels.get(&channel)
    }
}
