use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, UserMarker},
    },
};

use ery_clock::UnixMillis;
use ery_proto::tool::v1::{DescribeGuildRequest, DescribeGuildResponse, GuildChannel, GuildRole};

use crate::{
    domain::{
        guild::{Channel, ChannelKind, GuildState},
        permissions,
    },
    error::CallError,
    service::Shared,
};

/// How many channels are looked for at Discord for one answer.
const MOST_LOOKED_FOR: usize = 20;

/// Tells which roles and channels a server has.
pub(super) async fn handle(
    shared: &Shared,
    request: &DescribeGuildRequest,
) -> Result<DescribeGuildResponse, CallError> {
    let guild = Id::new_checked(request.guild_id)
        .ok_or_else(|| CallError::Invalid("only a server is described".into()))?;
    let user = Id::new_checked(request.user_id);
    let mut state = shared.guilds.state(guild, user.as_slice()).await?;
    let (mut looked_for, mut found, mut untold) = (0, Vec::new(), Vec::new());
    for channel in request.channel_ids.iter().copied().filter_map(Id::new_checked) {
        if state.channel(channel).is_some() {
            continue;
        }
        if looked_for == MOST_LOOKED_FOR {
            untold.push(channel.get());
            continue;
        }
        looked_for += 1;
        match shared.guilds.channel(guild, channel).await {
            Ok(channel) => found.extend(channel),
            Err(error) => {
                tracing::debug!(%error, channel.id = %channel, "a channel could not be looked up");
                untold.push(channel.get());
            }
        }
    }
    if !found.is_empty() {
        state = shared.guilds.state(guild, user.as_slice()).await?;
    }
    let mut channels = channels(&state, user, shared.clock.now());
    let is_new = |it: &&Channel| state.channel(it.id).is_none();
    channels.extend(found.iter().filter(is_new).map(|it| described(it, false)));
    Ok(DescribeGuildResponse { roles: roles(&state), channels, untold_channel_ids: untold })
}

fn roles(state: &GuildState) -> Vec<GuildRole> {
    let guild = &state.guild;
    let mut roles: Vec<_> =
        guild.roles.values().filter(|role| role.id != guild.everyone()).collect();
    roles.sort_by(|a, b| b.rank(a));
    roles
        .into_iter()
        .map(|role| GuildRole { id: role.id.get(), name: role.name.to_string() })
        .collect()
}

fn channels(
    state: &GuildState,
    user: Option<Id<UserMarker>>,
    now: UnixMillis,
) -> Vec<GuildChannel> {
    let guild = &state.guild;
    let member = user.and_then(|user| state.member(user));
    let sees = |channel: &Channel| {
        // Who is in a private thread is not known here.
        channel.kind != ChannelKind::PrivateThread
            && member.is_some_and(|member| {
                permissions::in_channel(guild, member, channel, now)
                    .contains(Permissions::VIEW_CHANNEL)
            })
    };
    let place = |id: Option<Id<ChannelMarker>>| {
        let found = id.and_then(|id| state.channel(id));
        found.map(|found| (found.position, found.id))
    };
    let mut channels: Vec<&Channel> = guild.channels.values().collect();
    channels.sort_by_key(|it| (it.kind.is_thread(), place(it.parent), it.position, it.id));
    channels.into_iter().map(|channel| described(channel, sees(channel))).collect()
}

fn described(channel: &Channel, is_seen: bool) -> GuildChannel {
    GuildChannel {
        id: channel.id.get(),
        name: channel.name.to_string(),
        holds_messages: !channel.kind.is_holder(),
        is_seen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::{self, GENERAL, MODS, STAFFROOM};

    #[test]
    fn roles_and_channels_are_told_as_discord_shows_them() {
        let mut state = testing::guild().state();
        let guild = std::sync::Arc::make_mut(&mut state.guild);
        let forum = guild.channels.get_mut(&Id::new(testing::LOUNGE)).unwrap();
        forum.kind = ChannelKind::Forum;
        let roles = roles(&state);
        assert!(roles.iter().any(|role| role.id == MODS));
        assert!(roles.iter().all(|role| role.id != state.guild.id.get()), "that of everyone");
        let ranks: Vec<_> =
            roles.iter().map(|role| state.guild.roles[&Id::new(role.id)].position).collect();
        assert!(ranks.is_sorted_by(|a, b| a >= b), "{ranks:?}");

        let now = UnixMillis(1);
        let seen = |user: Option<Id<UserMarker>>, id: u64| {
            let found = channels(&state, user, now).into_iter().find(|it| it.id == id);
            found.unwrap().is_seen
        };
        let bot = Some(state.bot);
        assert!(seen(bot, GENERAL));
        assert!(!seen(None, GENERAL) && !seen(Some(Id::new(999_999)), STAFFROOM));
        let told = channels(&state, bot, now);
        let holds = |id: u64| told.iter().find(|it| it.id == id).unwrap().holds_messages;
        assert!(holds(GENERAL) && !holds(testing::LOUNGE));
    }
}
