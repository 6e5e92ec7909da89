//! Where a server's staff is told of something, as long as nobody has said where.

use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, RoleMarker, UserMarker},
    },
};

use ery_clock::UnixMillis;

use super::{
    guild::{Channel, ChannelKind, Guild, GuildState},
    permissions,
};

/// Returns the first of the channels that Discord itself writes to for a server's staff, in which
/// Ery may write and which only those see who moderate.
pub(crate) fn channel(state: &GuildState, now: UnixMillis) -> Option<Id<ChannelMarker>> {
    let needed = Permissions::VIEW_CHANNEL | Permissions::SEND_MESSAGES;
    let bot = state.member(state.bot)?;
    let fits = |channel: &&Channel| {
        matches!(channel.kind, ChannelKind::Text | ChannelKind::Announcement)
            && permissions::in_channel(&state.guild, bot, channel, now).contains(needed)
            && is_for_staff(&state.guild, channel)
    };
    let candidates = state.guild.staff_channels.iter();
    candidates.filter_map(|id| state.channel(*id)).find(fits).map(|channel| channel.id)
}

/// Returns whether a role is needed to see a channel, and each that suffices is one of those who
/// moderate. A person who is let in by name was let in by them.
fn is_for_staff(guild: &Guild, channel: &Channel) -> bool {
    // Nobody has this id: no overwrite is about them.
    let somebody: Id<UserMarker> = Id::new(1);
    let Some(ruling) = guild.ruling(channel) else { return false };
    let sees = |roles: &[Id<RoleMarker>]| permissions::sees(guild, somebody, roles, ruling);
    let moderates = permissions::MODERATION | Permissions::ADMINISTRATOR;
    let others = guild.roles.values().filter(|role| role.id != guild.everyone());
    !sees(&[])
        && others
            .filter(|role| !role.is_managed)
            .all(|role| !sees(&[role.id]) || role.permissions.intersects(moderates))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::{self, GENERAL, LOUNGE, STAFFROOM, VOICE};

    const NOW: UnixMillis = UnixMillis(1);

    fn found(candidates: &[u64], change: impl FnOnce(&mut GuildState)) -> Option<u64> {
        let mut state = testing::guild().state();
        let guild = std::sync::Arc::make_mut(&mut state.guild);
        guild.staff_channels = candidates.iter().map(|id| Id::new(*id)).collect();
        change(&mut state);
        channel(&state, NOW).map(Id::get)
    }

    #[test]
    fn the_first_that_only_staff_sees_is_taken() {
        assert_eq!(found(&[GENERAL, 999, VOICE, STAFFROOM, LOUNGE], |_| {}), Some(STAFFROOM));
        assert_eq!(found(&[GENERAL, LOUNGE], |_| {}), None);
        assert_eq!(found(&[], |_| {}), None);
    }

    #[test]
    fn one_that_members_are_let_into_by_a_role_is_none() {
        let opened = found(&[STAFFROOM], |state| {
            let guild = std::sync::Arc::make_mut(&mut state.guild);
            let role = guild.roles.get_mut(&Id::new(testing::MODS)).unwrap();
            // As a role for everybody who is verified has none.
            role.permissions = Permissions::empty();
        });
        assert_eq!(opened, None);
    }
}
