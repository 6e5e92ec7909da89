//! What a member may do, computed as Discord does.
//!
//! Source: Discord Docs, Permissions: base, overwrites of @everyone, of roles, of the member.

use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{RoleMarker, UserMarker},
    },
};

use ery_clock::UnixMillis;

use super::guild::{Channel, ChannelKind, Guild, Member, Overwrite, OverwriteOf, Role};

/// What is left to a member who is timed out.
const WHILE_TIMED_OUT: Permissions =
    Permissions::VIEW_CHANNEL.union(Permissions::READ_MESSAGE_HISTORY);

/// What only counts together with the right to send.
const NEEDS_SENDING: Permissions = Permissions::MENTION_EVERYONE
    .union(Permissions::SEND_TTS_MESSAGES)
    .union(Permissions::ATTACH_FILES)
    .union(Permissions::EMBED_LINKS);

/// Which rights make somebody a moderator.
pub(crate) const MODERATION: Permissions = Permissions::KICK_MEMBERS
    .union(Permissions::BAN_MEMBERS)
    .union(Permissions::MODERATE_MEMBERS)
    .union(Permissions::MANAGE_MESSAGES)
    .union(Permissions::MANAGE_ROLES)
    .union(Permissions::MANAGE_GUILD)
    .union(Permissions::MANAGE_CHANNELS)
    .union(Permissions::MANAGE_THREADS)
    .union(Permissions::MANAGE_NICKNAMES)
    .union(Permissions::VIEW_AUDIT_LOG);

/// Who holds one of these is spared of a channel's slow mode.
pub(crate) const SPARED_OF_SLOW_MODE: Permissions = Permissions::BYPASS_SLOWMODE
    .union(Permissions::MANAGE_MESSAGES)
    .union(Permissions::MANAGE_CHANNELS);

/// What reaches far enough that only administrators switch it on or off in a role.
pub(crate) const DANGEROUS: Permissions = MODERATION
    .union(Permissions::ADMINISTRATOR)
    .union(Permissions::MANAGE_WEBHOOKS)
    .union(Permissions::MANAGE_GUILD_EXPRESSIONS)
    .union(Permissions::MANAGE_EVENTS)
    .union(Permissions::MENTION_EVERYONE)
    .union(Permissions::MUTE_MEMBERS)
    .union(Permissions::DEAFEN_MEMBERS)
    .union(Permissions::MOVE_MEMBERS)
    .union(Permissions::VIEW_CREATOR_MONETIZATION_ANALYTICS);

/// Returns what a member may do in the guild, channels aside.
pub(crate) fn in_guild(guild: &Guild, member: &Member, now: UnixMillis) -> Permissions {
    let base = base(guild, member.user, &member.roles);
    while_timed_out(base, member, now)
}

/// Returns what a member may do in one of the guild's channels; in threads by their parent.
pub(crate) fn in_channel(
    guild: &Guild,
    member: &Member,
    channel: &Channel,
    now: UnixMillis,
) -> Permissions {
    let all = of_roles(guild, member.user, &member.roles, channel);
    while_timed_out(all, member, now)
}

/// Returns what somebody with exactly these roles may do in a channel, timeouts aside.
pub(crate) fn of_roles(
    guild: &Guild,
    user: Id<UserMarker>,
    roles: &[Id<RoleMarker>],
    channel: &Channel,
) -> Permissions {
    let base = base(guild, user, roles);
    if base.contains(Permissions::ADMINISTRATOR) {
        return base;
    }
    // A thread whose parent is not known: nothing can be proven.
    let Some(ruling) = guild.ruling(channel) else { return Permissions::empty() };
    // An overwrite makes nobody an administrator, whatever it says.
    let permissions = by_overwrites(guild, base, user, roles, &ruling.overwrites)
        .difference(Permissions::ADMINISTRATOR);
    without_what_depends(permissions, channel, ruling)
}

/// Returns whether somebody with exactly these roles sees that a channel is there.
pub(crate) fn sees(
    guild: &Guild,
    user: Id<UserMarker>,
    roles: &[Id<RoleMarker>],
    ruling: &Channel,
) -> bool {
    let base = base(guild, user, roles);
    base.contains(Permissions::ADMINISTRATOR)
        || by_overwrites(guild, base, user, roles, &ruling.overwrites)
            .contains(Permissions::VIEW_CHANNEL)
}

fn by_overwrites(
    guild: &Guild,
    base: Permissions,
    user: Id<UserMarker>,
    roles: &[Id<RoleMarker>],
    overwrites: &[Overwrite],
) -> Permissions {
    let everyone = guild.everyone();
    let mut permissions = base;
    let (mut role_allow, mut role_deny) = (Permissions::empty(), Permissions::empty());
    let mut of_member = None;
    // Invariant: @everyone's overwrite is applied before the others, wherever it stands.
    for overwrite in overwrites {
        match overwrite.of {
            OverwriteOf::Role(role) if role == everyone => {
                permissions = permissions.difference(overwrite.deny).union(overwrite.allow);
            }
            OverwriteOf::Role(role) if roles.contains(&role) => {
                role_allow |= overwrite.allow;
                role_deny |= overwrite.deny;
            }
            OverwriteOf::Member(of) if of == user => of_member = Some(overwrite),
            OverwriteOf::Role(_) | OverwriteOf::Member(_) => {}
        }
    }
    permissions = permissions.difference(role_deny).union(role_allow);
    if let Some(overwrite) = of_member {
        permissions = permissions.difference(overwrite.deny).union(overwrite.allow);
    }
    permissions
}

/// Returns the permission that lets somebody write in a channel of this kind.
pub(crate) fn to_send(kind: ChannelKind) -> Permissions {
    if kind.is_thread() {
        Permissions::SEND_MESSAGES_IN_THREADS
    } else {
        Permissions::SEND_MESSAGES
    }
}

/// Returns the highest role; @everyone for those who have no other.
pub(crate) fn highest_role<'a>(guild: &'a Guild, member: &Member) -> Option<&'a Role> {
    let own = member.roles.iter().filter_map(|role| guild.roles.get(role));
    own.max_by(|a, b| a.rank(b)).or_else(|| guild.roles.get(&guild.everyone()))
}

/// Returns whether `above` stands above `below` in the guild's order.
pub(crate) fn outranks(guild: &Guild, above: &Member, below: &Member) -> bool {
    if above.user == guild.owner {
        return below.user != guild.owner;
    }
    if below.user == guild.owner {
        return false;
    }
    match (highest_role(guild, above), highest_role(guild, below)) {
        (Some(a), Some(b)) => a.id != b.id && a.rank(b).is_gt(),
        _ => false,
    }
}

/// Returns whether a member stands above a role in the guild's order.
pub(crate) fn outranks_role(guild: &Guild, member: &Member, role: &Role) -> bool {
    member.user == guild.owner
        || highest_role(guild, member)
            .is_some_and(|highest| highest.id != role.id && highest.rank(role).is_gt())
}

/// Returns what somebody with exactly these roles may do in the guild, timeouts aside.
pub(crate) fn base(guild: &Guild, user: Id<UserMarker>, roles: &[Id<RoleMarker>]) -> Permissions {
    base_by(guild, user, roles, |role| role.permissions)
}

/// As [`base`], with what each role gives as `of_role` tells.
pub(crate) fn base_by(
    guild: &Guild,
    user: Id<UserMarker>,
    roles: &[Id<RoleMarker>],
    of_role: impl Fn(&Role) -> Permissions,
) -> Permissions {
    if user == guild.owner {
        return Permissions::all();
    }
    let everyone = guild.everyone();
    let permissions = roles
        .iter()
        .chain([&everyone])
        .filter_map(|role| guild.roles.get(role))
        .fold(Permissions::empty(), |all, role| all | of_role(role));
    if permissions.contains(Permissions::ADMINISTRATOR) { Permissions::all() } else { permissions }
}

fn without_what_depends(
    permissions: Permissions,
    channel: &Channel,
    ruling: &Channel,
) -> Permissions {
    let is_closed =
        ruling.kind == ChannelKind::Voice && !permissions.contains(Permissions::CONNECT);
    if !permissions.contains(Permissions::VIEW_CHANNEL) || is_closed {
        return Permissions::empty();
    }
    if permissions.contains(to_send(channel.kind)) {
        permissions
    } else {
        permissions.difference(NEEDS_SENDING)
    }
}

fn while_timed_out(permissions: Permissions, member: &Member, now: UnixMillis) -> Permissions {
    if member.is_timed_out(now) && !permissions.contains(Permissions::ADMINISTRATOR) {
        permissions.intersection(WHILE_TIMED_OUT)
    } else {
        permissions
    }
}

/// Returns Discord's words for a permission in its settings, and its constant.
pub(crate) fn words(permission: Permissions) -> (&'static str, &'static str) {
    NAMES
        .iter()
        .find(|(bit, _, _)| permission.contains(*bit))
        .map_or(("a newer permission", "UNKNOWN"), |(_, words, constant)| (words, constant))
}

/// Returns the permission that goes by this name: Discord's words or its constant, in any case.
pub(crate) fn named(name: &str) -> Option<Permissions> {
    let plain = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let wanted = plain(name);
    let known = NAMES.iter().map(|(bit, words, constant)| (*bit, *words, *constant));
    known
        .chain(OTHER_NAMES.iter().map(|(bit, words)| (*bit, *words, *words)))
        .find(|(_, words, constant)| plain(words) == wanted || plain(constant) == wanted)
        .map(|(bit, _, _)| bit)
}

/// Returns the constants of permissions.
pub(crate) fn constants(permissions: Permissions) -> Vec<&'static str> {
    permissions.iter().map(|bit| words(bit).1).collect()
}

/// Lists permissions as people read them.
pub(crate) fn listed(permissions: Permissions) -> String {
    let names: Vec<&str> = permissions.iter().map(|bit| words(bit).0).collect();
    names.join(", ")
}

/// Returns the first permission of `wanted` that is missing, the one to be named to people.
pub(crate) fn first_missing(wanted: Permissions, has: Permissions) -> Option<Permissions> {
    let missing = wanted.difference(has);
    // Who cannot see a channel is told that, not what follows from it.
    if missing.contains(Permissions::VIEW_CHANNEL) {
        return Some(Permissions::VIEW_CHANNEL);
    }
    missing.iter().next()
}

/// Source: Discord Docs, Permissions, and the words of Discord's settings.
const NAMES: &[(Permissions, &str, &str)] = &[
    (Permissions::VIEW_CHANNEL, "View channel", "VIEW_CHANNEL"),
    (Permissions::SEND_MESSAGES, "Send messages", "SEND_MESSAGES"),
    (Permissions::SEND_MESSAGES_IN_THREADS, "Send messages in threads", "SEND_MESSAGES_IN_THREADS"),
    (Permissions::READ_MESSAGE_HISTORY, "Read message history", "READ_MESSAGE_HISTORY"),
    (Permissions::ADD_REACTIONS, "Add reactions", "ADD_REACTIONS"),
    (Permissions::USE_EXTERNAL_EMOJIS, "Use external emoji", "USE_EXTERNAL_EMOJIS"),
    (Permissions::USE_EXTERNAL_STICKERS, "Use external stickers", "USE_EXTERNAL_STICKERS"),
    (Permissions::MODERATE_MEMBERS, "Time out members", "MODERATE_MEMBERS"),
    (Permissions::KICK_MEMBERS, "Kick members", "KICK_MEMBERS"),
    (Permissions::BAN_MEMBERS, "Ban members", "BAN_MEMBERS"),
    (Permissions::MANAGE_MESSAGES, "Manage messages", "MANAGE_MESSAGES"),
    (Permissions::MANAGE_CHANNELS, "Manage channels", "MANAGE_CHANNELS"),
    (Permissions::MANAGE_ROLES, "Manage roles", "MANAGE_ROLES"),
    (Permissions::MANAGE_GUILD, "Manage server", "MANAGE_GUILD"),
    (Permissions::MANAGE_THREADS, "Manage threads", "MANAGE_THREADS"),
    (Permissions::MANAGE_NICKNAMES, "Manage nicknames", "MANAGE_NICKNAMES"),
    (Permissions::MANAGE_WEBHOOKS, "Manage webhooks", "MANAGE_WEBHOOKS"),
    (Permissions::MANAGE_EVENTS, "Manage events", "MANAGE_EVENTS"),
    (Permissions::CREATE_EVENTS, "Create events", "CREATE_EVENTS"),
    (Permissions::VIEW_AUDIT_LOG, "View audit log", "VIEW_AUDIT_LOG"),
    (Permissions::CREATE_INVITE, "Create invite", "CREATE_INSTANT_INVITE"),
    (Permissions::CREATE_PUBLIC_THREADS, "Create public threads", "CREATE_PUBLIC_THREADS"),
    (Permissions::CREATE_PRIVATE_THREADS, "Create private threads", "CREATE_PRIVATE_THREADS"),
    (Permissions::EMBED_LINKS, "Embed links", "EMBED_LINKS"),
    (Permissions::ATTACH_FILES, "Attach files", "ATTACH_FILES"),
    (Permissions::MENTION_EVERYONE, "Mention @everyone, @here and all roles", "MENTION_EVERYONE"),
    (Permissions::SEND_POLLS, "Create polls", "SEND_POLLS"),
    (Permissions::PIN_MESSAGES, "Pin messages", "PIN_MESSAGES"),
    (Permissions::BYPASS_SLOWMODE, "Bypass slowmode", "BYPASS_SLOWMODE"),
    (Permissions::SEND_TTS_MESSAGES, "Send text-to-speech messages", "SEND_TTS_MESSAGES"),
    (Permissions::SEND_VOICE_MESSAGES, "Send voice messages", "SEND_VOICE_MESSAGES"),
    (Permissions::USE_SLASH_COMMANDS, "Use application commands", "USE_APPLICATION_COMMANDS"),
    (Permissions::USE_EXTERNAL_APPS, "Use external apps", "USE_EXTERNAL_APPS"),
    (Permissions::CHANGE_NICKNAME, "Change nickname", "CHANGE_NICKNAME"),
    (Permissions::MANAGE_GUILD_EXPRESSIONS, "Manage expressions", "MANAGE_GUILD_EXPRESSIONS"),
    (Permissions::CREATE_GUILD_EXPRESSIONS, "Create expressions", "CREATE_GUILD_EXPRESSIONS"),
    (Permissions::VIEW_GUILD_INSIGHTS, "View server insights", "VIEW_GUILD_INSIGHTS"),
    (
        Permissions::VIEW_CREATOR_MONETIZATION_ANALYTICS,
        "View creator monetization analytics",
        "VIEW_CREATOR_MONETIZATION_ANALYTICS",
    ),
    (Permissions::CONNECT, "Connect", "CONNECT"),
    (Permissions::SPEAK, "Speak", "SPEAK"),
    (Permissions::STREAM, "Video", "STREAM"),
    (Permissions::USE_VAD, "Use voice activity", "USE_VAD"),
    (Permissions::PRIORITY_SPEAKER, "Priority speaker", "PRIORITY_SPEAKER"),
    (Permissions::MUTE_MEMBERS, "Mute members", "MUTE_MEMBERS"),
    (Permissions::DEAFEN_MEMBERS, "Deafen members", "DEAFEN_MEMBERS"),
    (Permissions::MOVE_MEMBERS, "Move members", "MOVE_MEMBERS"),
    (Permissions::REQUEST_TO_SPEAK, "Request to speak", "REQUEST_TO_SPEAK"),
    (Permissions::USE_EMBEDDED_ACTIVITIES, "Use activities", "USE_EMBEDDED_ACTIVITIES"),
    (Permissions::USE_SOUNDBOARD, "Use soundboard", "USE_SOUNDBOARD"),
    (Permissions::USE_EXTERNAL_SOUNDS, "Use external sounds", "USE_EXTERNAL_SOUNDS"),
    (Permissions::ADMINISTRATOR, "Administrator", "ADMINISTRATOR"),
];

/// What people and other documents call some of them.
const OTHER_NAMES: &[(Permissions, &str)] = &[
    (Permissions::VIEW_CHANNEL, "View channels"),
    (Permissions::VIEW_CHANNEL, "Read messages"),
    (Permissions::MANAGE_ROLES, "Manage permissions"),
    (Permissions::MODERATE_MEMBERS, "Timeout members"),
    (Permissions::USE_EXTERNAL_EMOJIS, "Use external emojis"),
    (Permissions::CREATE_INVITE, "Create invite"),
    (Permissions::CREATE_INVITE, "Create invites"),
    (Permissions::SEND_POLLS, "Send polls"),
    (Permissions::USE_SLASH_COMMANDS, "Use slash commands"),
    (Permissions::MANAGE_GUILD_EXPRESSIONS, "Manage emojis and stickers"),
    (Permissions::MENTION_EVERYONE, "Mention everyone"),
];

#[cfg(test)]
#[path = "permissions_tests.rs"]
mod tests;
