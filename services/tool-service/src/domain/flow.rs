//! Whether what is read in one channel may be told in another.
//!
//! SAFETY §12: everybody who can see the reply must be able to read its source.

use std::collections::HashSet;

use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, RoleMarker, UserMarker},
    },
};

use super::{
    guild::{Channel, ChannelKind, Guild, GuildState, Overwrite, OverwriteOf, Role},
    permissions,
};

/// What is needed to read what was written in a channel.
pub(crate) const TO_READ: Permissions =
    Permissions::VIEW_CHANNEL.union(Permissions::READ_MESSAGE_HISTORY);

/// The bits by which two roles may differ for a reader.
const THAT_MATTER: Permissions =
    TO_READ.union(Permissions::CONNECT).union(Permissions::ADMINISTRATOR);

/// Returns whether everybody who can see `reply` provably can read `source`.
///
/// A counterexample needs at most two roles: one that opens the reply, one that closes the source
/// (both channels' rules are "base, less denials, plus allowances"; taking other roles away keeps
/// the reply open and the source closed). So all pairs are tried, and each member who has an
/// overwrite of their own; members whose roles are not known are tried with every pair.
pub(crate) fn may_flow(
    state: &GuildState,
    source: Id<ChannelMarker>,
    reply: Id<ChannelMarker>,
) -> bool {
    holds_between(state, source, reply, |user, roles, source, _| {
        permissions::of_roles(&state.guild, user, roles, source).contains(TO_READ)
    })
}

/// Returns whether everybody who can see `reply` provably sees that `source` is there.
pub(crate) fn may_be_known(
    state: &GuildState,
    source: Id<ChannelMarker>,
    reply: Id<ChannelMarker>,
) -> bool {
    holds_between(state, source, reply, |user, roles, _, ruling| {
        permissions::sees(&state.guild, user, roles, ruling)
    })
}

/// Returns whether `may` holds of the source, and of the channel whose overwrites count for it, for
/// everybody who can see `reply`.
fn holds_between(
    state: &GuildState,
    source: Id<ChannelMarker>,
    reply: Id<ChannelMarker>,
    may: impl Fn(Id<UserMarker>, &[Id<RoleMarker>], &Channel, &Channel) -> bool,
) -> bool {
    if source == reply {
        return true;
    }
    let guild = &*state.guild;
    let (Some(source), Some(reply)) = (state.channel(source), state.channel(reply)) else {
        return false;
    };
    // Its members are known to Discord alone.
    if source.kind == ChannelKind::PrivateThread {
        return false;
    }
    let (Some(ruling_source), Some(ruling_reply)) = (guild.ruling(source), guild.ruling(reply))
    else {
        return false;
    };
    holds_for_all(state, ruling_source, ruling_reply, |user, roles| {
        may(user, roles, source, ruling_source)
    })
}

/// Returns whether everybody who can see `reply` provably has these permissions in the guild.
///
/// One role opens the reply to somebody, or none; more of them only give more.
pub(crate) fn all_hold(state: &GuildState, wanted: Permissions, reply: Id<ChannelMarker>) -> bool {
    let guild = &*state.guild;
    let Some(ruling) = state.channel(reply).and_then(|reply| guild.ruling(reply)) else {
        return false;
    };
    let holds = |user, roles: &[Id<RoleMarker>]| {
        !permissions::sees(guild, user, roles, ruling)
            || permissions::base(guild, user, roles).contains(wanted)
    };
    let with_any_role =
        |user| holds(user, &[]) && guild.roles.keys().all(|role| holds(user, &[*role]));
    with_any_role(guild.id.cast())
        && members_with_overwrites(ruling, ruling)
            .into_iter()
            .filter(|user| *user != state.bot && *user != guild.owner)
            .all(|user| match state.members.get(&user) {
                Some(Some(member)) => holds(user, &member.roles),
                Some(None) => true,
                None => with_any_role(user),
            })
}

fn holds_for_all(
    state: &GuildState,
    ruling_source: &Channel,
    ruling_reply: &Channel,
    reaches: impl Fn(Id<UserMarker>, &[Id<RoleMarker>]) -> bool,
) -> bool {
    let guild = &*state.guild;
    // Without CONNECT: whoever sees the reply's channel counts as its reader. Ery is none.
    let own = state.member(state.bot).map_or(&[][..], |bot| &bot.roles);
    let is_hers = |role: &Role| role.is_managed && own.contains(&role.id);
    let roles = distinct_roles(guild, ruling_source, ruling_reply, is_hers);
    // Nobody has the id of no user: no overwrite of a member applies.
    let nobody = guild.id.cast();
    let holds = |user, roles: &[Id<RoleMarker>]| {
        !permissions::sees(guild, user, roles, ruling_reply) || reaches(user, roles)
    };
    if !holds(nobody, &[]) {
        return false;
    }
    let pairs = || roles.iter().flat_map(|a| roles.iter().map(move |b| [*a, *b]));
    if !pairs().all(|pair| holds(nobody, &pair)) {
        return false;
    }
    members_with_overwrites(ruling_source, ruling_reply)
        .into_iter()
        .filter(|user| *user != state.bot && *user != guild.owner)
        .all(|user| match state.members.get(&user) {
            Some(Some(member)) => holds(user, &member.roles),
            // Left the guild: reads nothing.
            Some(None) => true,
            None => holds(user, &[]) && pairs().all(|pair| holds(user, &pair)),
        })
}

/// Returns one role of each kind that differs in what can be read in the two channels.
fn distinct_roles(
    guild: &Guild,
    source: &Channel,
    reply: &Channel,
    is_passed_over: impl Fn(&Role) -> bool,
) -> Vec<Id<RoleMarker>> {
    let mut seen = HashSet::new();
    guild
        .roles
        .values()
        .filter(|role| role.id != guild.everyone() && !is_passed_over(role))
        .filter(|role| {
            let (source_allow, source_deny) = of_role(&source.overwrites, role.id);
            let (reply_allow, reply_deny) = of_role(&reply.overwrites, role.id);
            seen.insert((
                role.permissions & THAT_MATTER,
                source_allow,
                source_deny,
                reply_allow,
                reply_deny,
            ))
        })
        .map(|role| role.id)
        .collect()
}

fn of_role(overwrites: &[Overwrite], role: Id<RoleMarker>) -> (Permissions, Permissions) {
    overwrites
        .iter()
        .find(|overwrite| overwrite.of == OverwriteOf::Role(role))
        .map_or((Permissions::empty(), Permissions::empty()), |overwrite| {
            (overwrite.allow & THAT_MATTER, overwrite.deny & THAT_MATTER)
        })
}

fn members_with_overwrites(source: &Channel, reply: &Channel) -> HashSet<Id<UserMarker>> {
    source
        .overwrites
        .iter()
        .chain(&reply.overwrites)
        .filter_map(|overwrite| match overwrite.of {
            OverwriteOf::Member(user) => Some(user),
            OverwriteOf::Role(_) => None,
        })
        .collect()
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
