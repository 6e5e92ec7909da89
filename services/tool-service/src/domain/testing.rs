//! A small guild for the tests of the domain.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use twilight_model::{guild::Permissions, id::Id};

use ery_clock::UnixMillis;

use super::guild::{Channel, ChannelKind, Guild, GuildState, Member, Overwrite, OverwriteOf, Role};

pub(crate) const NOW: UnixMillis = UnixMillis(1_795_341_600_000);
pub(crate) const LATER: UnixMillis = UnixMillis(NOW.0 + 60_000);

pub(crate) const GUILD: u64 = 1;

pub(crate) const ADMINS: u64 = 20;
pub(crate) const ERYS: u64 = 21;
pub(crate) const MODS: u64 = 22;
pub(crate) const HELPERS: u64 = 23;
pub(crate) const MEMBERS: u64 = 24;
pub(crate) const EXTRA: u64 = 25;
/// Above Ery's own role.
pub(crate) const STAFF: u64 = 26;

pub(crate) const OWNER: u64 = 100;
pub(crate) const ADMIN: u64 = 101;
/// May time out; ranks below Ery.
pub(crate) const MOD: u64 = 102;
/// Ranks between moderators and members, without any right of theirs.
pub(crate) const HELPER: u64 = 103;
pub(crate) const ANN: u64 = 104;
pub(crate) const BOB: u64 = 105;
pub(crate) const NOROLE: u64 = 106;
/// May time out; ranks above Ery.
pub(crate) const CHIEF: u64 = 107;
pub(crate) const OTHER_BOT: u64 = 108;
pub(crate) const ERY: u64 = 110;
pub(crate) const STRANGER: u64 = 999;

pub(crate) const GENERAL: u64 = 200;
pub(crate) const THREAD: u64 = 201;
pub(crate) const PRIVATE: u64 = 202;
pub(crate) const VOICE: u64 = 203;
/// Seen by moderators only.
pub(crate) const STAFFROOM: u64 = 204;
/// Seen by everyone, like GENERAL.
pub(crate) const LOUNGE: u64 = 205;

pub(crate) struct Builder {
    guild: Guild,
    members: HashMap<u64, Member>,
}

pub(crate) fn guild() -> Builder {
    let ordinary = Permissions::VIEW_CHANNEL
        | Permissions::SEND_MESSAGES
        | Permissions::SEND_MESSAGES_IN_THREADS
        | Permissions::READ_MESSAGE_HISTORY
        | Permissions::ADD_REACTIONS
        | Permissions::USE_EXTERNAL_EMOJIS
        | Permissions::EMBED_LINKS
        | Permissions::ATTACH_FILES
        | Permissions::CONNECT;
    let none = Permissions::empty();
    let roles = [
        (GUILD, 0, ordinary),
        (EXTRA, 1, none),
        (MEMBERS, 2, none),
        (HELPERS, 3, none),
        (MODS, 4, Permissions::MODERATE_MEMBERS),
        (ERYS, 6, Permissions::MODERATE_MEMBERS),
        (STAFF, 8, Permissions::MODERATE_MEMBERS),
        (ADMINS, 9, Permissions::ADMINISTRATOR),
    ];
    let roles = roles.map(|(id, position, permissions)| {
        let name = format!("role-{id}").into();
        (Id::new(id), Role { id: Id::new(id), name, position, permissions, is_managed: id == ERYS })
    });
    let closed = vec![
        deny_role(GUILD, Permissions::VIEW_CHANNEL),
        allow_role(MODS, Permissions::VIEW_CHANNEL),
        allow_role(ERYS, Permissions::VIEW_CHANNEL),
        allow_role(STAFF, Permissions::VIEW_CHANNEL),
    ];
    let channels = [
        (GENERAL, "general", ChannelKind::Text, None, vec![]),
        (THREAD, "thread", ChannelKind::PublicThread, Some(GENERAL), vec![]),
        (PRIVATE, "private", ChannelKind::PrivateThread, Some(GENERAL), vec![]),
        (VOICE, "voice", ChannelKind::Voice, None, vec![]),
        (STAFFROOM, "staffroom", ChannelKind::Text, None, closed),
        (LOUNGE, "lounge", ChannelKind::Text, None, vec![]),
    ];
    let channels = channels.map(|(id, name, kind, parent, overwrites)| {
        let parent = parent.map(Id::new);
        let channel = Channel {
            id: Id::new(id),
            name: name.into(),
            kind,
            parent,
            position: 0,
            overwrites: overwrites.into(),
            is_locked: false,
            is_invitable: false,
            slowmode: 0,
            tags: Box::default(),
        };
        (Id::new(id), channel)
    });
    let members: [(u64, &[u64], bool); 10] = [
        (OWNER, &[], false),
        (ADMIN, &[ADMINS], false),
        (MOD, &[MODS], false),
        (HELPER, &[HELPERS], false),
        (ANN, &[MEMBERS], false),
        (BOB, &[MEMBERS], false),
        (NOROLE, &[], false),
        (CHIEF, &[STAFF], false),
        (OTHER_BOT, &[MEMBERS], true),
        (ERY, &[ERYS], true),
    ];
    let members = members.map(|(id, roles, is_bot)| {
        let member = Member {
            user: Id::new(id),
            username: format!("user-{id}").into(),
            global_name: None,
            nick: None,
            is_bot,
            roles: roles.iter().map(|role| Id::new(*role)).collect(),
            joined_at: None,
            timed_out_until: None,
        };
        (id, member)
    });
    Builder {
        guild: Guild {
            id: Id::new(GUILD),
            name: "guild".into(),
            owner: Id::new(OWNER),
            roles: roles.into(),
            channels: channels.into(),
            emojis: [Id::new(77)].into(),
            staff_channels: Box::default(),
            member_count: None,
        },
        members: members.into(),
    }
}

impl Builder {
    pub(crate) fn role(&mut self, role: u64) -> &mut Role {
        self.guild.roles.get_mut(&Id::new(role)).unwrap()
    }

    pub(crate) fn add_role(&mut self, id: u64) {
        let permissions = Permissions::empty();
        let (id, name) = (Id::new(id), "more".into());
        let role = Role { id, name, position: 1, permissions, is_managed: false };
        self.guild.roles.insert(role.id, role);
    }

    pub(crate) fn channel(&mut self, channel: u64) -> &mut Channel {
        self.guild.channels.get_mut(&Id::new(channel)).unwrap()
    }

    pub(crate) fn member(&mut self, member: u64) -> &mut Member {
        self.members.get_mut(&member).unwrap()
    }

    pub(crate) fn without_member(&mut self, member: u64) {
        self.members.remove(&member);
    }

    pub(crate) fn state(self) -> GuildState {
        let members = self.members.into_values();
        let mut members: HashMap<_, _> =
            members.map(|member| (member.user, Some(Arc::new(member)))).collect();
        members.entry(Id::new(STRANGER)).or_insert(None);
        GuildState {
            guild: Arc::new(self.guild),
            bot: Id::new(ERY),
            members,
            outside: HashSet::new(),
        }
    }

    /// The state of the same guild, where more is to be changed.
    pub(crate) fn snapshot(&self) -> GuildState {
        Self { guild: self.guild.clone(), members: self.members.clone() }.state()
    }
}

pub(crate) fn allow_role(role: u64, allow: Permissions) -> Overwrite {
    Overwrite { of: OverwriteOf::Role(Id::new(role)), allow, deny: Permissions::empty() }
}

pub(crate) fn deny_role(role: u64, deny: Permissions) -> Overwrite {
    Overwrite { of: OverwriteOf::Role(Id::new(role)), allow: Permissions::empty(), deny }
}

pub(crate) fn allow_member(member: u64, allow: Permissions) -> Overwrite {
    Overwrite { of: OverwriteOf::Member(Id::new(member)), allow, deny: Permissions::empty() }
}

pub(crate) fn deny_member(member: u64, deny: Permissions) -> Overwrite {
    Overwrite { of: OverwriteOf::Member(Id::new(member)), allow: Permissions::empty(), deny }
}
