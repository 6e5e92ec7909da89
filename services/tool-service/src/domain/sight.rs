//! Who sees that a channel is there: to all others it is as if there were none.

use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    guild::{Channel, ChannelKind, GuildState, Member},
    permissions,
};

/// Returns whether a member sees a channel in Discord's list.
///
/// Who is in a private thread is not known here: of those only who manages threads is known to see it.
pub(crate) fn sees(
    state: &GuildState,
    member: &Member,
    channel: &Channel,
    now: UnixMillis,
) -> bool {
    let guild = &*state.guild;
    let is_listed = guild
        .ruling(channel)
        .is_some_and(|ruling| permissions::sees(guild, member.user, &member.roles, ruling));
    is_listed
        && (channel.kind != ChannelKind::PrivateThread
            || permissions::in_channel(guild, member, channel, now)
                .contains(Permissions::MANAGE_THREADS))
}
