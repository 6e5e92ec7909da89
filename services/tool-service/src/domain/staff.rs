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

/// What the tools take on the whole server, without Administrator. Source: TOOLS §2.
const FOR_ALL_TOOLS: Permissions = Permissions::CREATE_INVITE
    .union(Permissions::KICK_MEMBERS)
    .union(Permissions::BAN_MEMBERS)
    .union(Permissions::MANAGE_CHANNELS)
    .union(Permissions::ADD_REACTIONS)
    .union(Permissions::VIEW_AUDIT_LOG)
    .union(Permissions::VIEW_CHANNEL)
    .union(Permissions::SEND_MESSAGES)
    .union(Permissions::MANAGE_MESSAGES)
    .union(Permissions::EMBED_LINKS)
    .union(Permissions::READ_MESSAGE_HISTORY)
    .union(Permissions::MANAGE_ROLES)
    .union(Permissions::MANAGE_THREADS)
    .union(Permissions::CREATE_PUBLIC_THREADS)
    .union(Permissions::CREATE_PRIVATE_THREADS)
    .union(Permissions::SEND_MESSAGES_IN_THREADS)
    .union(Permissions::MODERATE_MEMBERS)
    .union(Permissions::PIN_MESSAGES);

/// Returns what of that Ery does not have.
pub(crate) fn missing(state: &GuildState, now: UnixMillis) -> Permissions {
    let Some(bot) = state.member(state.bot) else { return FOR_ALL_TOOLS };
    let has = permissions::in_guild(&state.guild, bot, now);
    if has.contains(Permissions::ADMINISTRATOR) {
        Permissions::empty()
    } else {
        FOR_ALL_TOOLS.difference(has)
    }
}

/// Returns whether there are roles for people, and none of them stands below Ery's highest: then she
/// can act on nobody who has one.
pub(crate) fn is_lowest(state: &GuildState) -> bool {
    let guild = &state.guild;
    let Some(bot) = state.member(state.bot) else { return false };
    let own = bot.roles.iter().filter_map(|role| guild.roles.get(role)).max_by(|a, b| a.rank(b));
    let others =
        guild.roles.values().filter(|role| role.id != guild.everyone() && !role.is_managed);
    let mut others = others.peekable();
    others.peek().is_some()
        && others.all(|other| own.is_none_or(|own| own.rank(other) != std::cmp::Ordering::Greater))
}

/// Returns where Ery introduces herself: where only staff sees it, else where Discord itself writes to
/// the server, else in the topmost channel for texts in which she may write.
pub(crate) fn introduction(state: &GuildState, now: UnixMillis) -> Option<Id<ChannelMarker>> {
    let bot = state.member(state.bot)?;
    let needed = Permissions::VIEW_CHANNEL | Permissions::SEND_MESSAGES;
    let fits = |channel: &&Channel| {
        channel.kind == ChannelKind::Text
            && permissions::in_channel(&state.guild, bot, channel, now).contains(needed)
    };
    let of_discord = || {
        let mut known = state.guild.staff_channels.iter().rev().filter_map(|id| state.channel(*id));
        known.find(fits).map(|channel| channel.id)
    };
    let topmost = || {
        // As Discord shows them: what is in no category stands above them all.
        let place = |channel: &&Channel| {
            let category = channel.parent.and_then(|parent| state.channel(parent));
            let category = category.map(|category| (category.position, category.id));
            (category, channel.position, channel.id)
        };
        state.guild.channels.values().filter(fits).min_by_key(place).map(|channel| channel.id)
    };
    channel(state, now).or_else(of_discord).or_else(topmost)
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
    fn ery_introduces_herself_to_the_staff_else_where_discord_writes_else_topmost() {
        let told = |candidates: &[u64], is_without_text: bool| {
            let mut state = testing::guild().state();
            let guild = std::sync::Arc::make_mut(&mut state.guild);
            guild.staff_channels = candidates.iter().map(|id| Id::new(*id)).collect();
            if is_without_text {
                for channel in guild.channels.values_mut() {
                    channel.kind = ChannelKind::Voice;
                }
            }
            introduction(&state, NOW).map(Id::get)
        };
        assert_eq!(told(&[STAFFROOM, GENERAL], false), Some(STAFFROOM));
        assert_eq!(told(&[LOUNGE, GENERAL], false), Some(GENERAL));
        assert_eq!(told(&[], false), Some(GENERAL));
        assert_eq!(told(&[GENERAL], true), None);
    }

    #[test]
    fn the_topmost_channel_is_the_first_in_which_she_may_write() {
        let mut state = testing::guild().state();
        let guild = std::sync::Arc::make_mut(&mut state.guild);
        guild.staff_channels = Box::default();
        let bot = state.bot;
        let silenced = guild.channels.get_mut(&Id::new(GENERAL)).unwrap();
        let mut overwrites = silenced.overwrites.to_vec();
        overwrites.push(crate::domain::guild::Overwrite {
            of: crate::domain::guild::OverwriteOf::Member(bot),
            allow: Permissions::empty(),
            deny: Permissions::SEND_MESSAGES,
        });
        silenced.overwrites = overwrites.into();
        let found = introduction(&state, NOW).map(Id::get);
        assert_eq!(found, Some(STAFFROOM));
    }

    #[test]
    fn what_ery_lacks_is_counted_unless_she_is_an_administrator() {
        let with = |permissions: Permissions| {
            let mut state = testing::guild().state();
            let own = state.member(state.bot).unwrap().roles.clone();
            let guild = std::sync::Arc::make_mut(&mut state.guild);
            let everyone = guild.everyone();
            for role in own.iter().chain([&everyone]) {
                guild.roles.get_mut(role).unwrap().permissions = permissions;
            }
            missing(&state, NOW)
        };
        assert_eq!(with(Permissions::empty()), FOR_ALL_TOOLS);
        let but_bans = FOR_ALL_TOOLS.difference(Permissions::BAN_MEMBERS);
        assert_eq!(with(but_bans), Permissions::BAN_MEMBERS);
        assert_eq!(with(Permissions::ADMINISTRATOR), Permissions::empty());
        // Of the role for everything that TOOLS.md gives, but polls, files and others' emoji.
        let whole = Permissions::from_bits_retain(2_833_836_870_331_607);
        assert!(whole.contains(FOR_ALL_TOOLS), "{:?}", FOR_ALL_TOOLS.difference(whole));
    }

    #[test]
    fn a_role_below_all_others_is_noticed() {
        let mut state = testing::guild().state();
        assert!(!is_lowest(&state));
        let own = state.member(state.bot).unwrap().roles.clone();
        let guild = std::sync::Arc::make_mut(&mut state.guild);
        for role in &own {
            guild.roles.get_mut(role).unwrap().position = 0;
        }
        assert!(is_lowest(&state));
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
