//! Who is in a private thread: events tell who goes, and Discord is asked where it matters.

use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, GuildMarker, UserMarker},
    },
};

use ery_clock::UnixMillis;

use super::Guilds;
use crate::{
    adapters::discord::{Method, Request, RestError},
    domain::{
        guild::{ChannelKind, GuildState},
        permissions,
    },
    error::StateError,
};

/// Discord's answer where somebody is not in a thread.
const UNKNOWN_MEMBER: u64 = 10_007;

impl Guilds {
    /// Notes in a guild's state who of these people is not in a channel now, if that is a private
    /// thread; whoever manages threads needs not be.
    pub(crate) async fn look_who_is_in(
        &self,
        channel: Id<ChannelMarker>,
        people: &[Id<UserMarker>],
        now: UnixMillis,
        state: &mut GuildState,
    ) -> Result<(), StateError> {
        let thread = state.channel(channel).filter(|it| it.kind == ChannelKind::PrivateThread);
        let Some(thread) = thread else { return Ok(()) };
        let manages = |user: Id<UserMarker>| {
            state.member(user).is_some_and(|member| {
                permissions::in_channel(&state.guild, member, thread, now)
                    .contains(Permissions::MANAGE_THREADS)
            })
        };
        let others: Vec<_> = people.iter().copied().filter(|user| !manages(*user)).collect();
        for user in others {
            if self.is_in_thread(state.guild.id, channel, user).await? {
                state.outside.remove(&(channel, user));
            } else {
                state.outside.insert((channel, user));
            }
        }
        Ok(())
    }

    /// Returns whether somebody is in a private thread now, as far as Ery may look.
    pub(crate) async fn is_in_thread(
        &self,
        guild: Id<GuildMarker>,
        thread: Id<ChannelMarker>,
        user: Id<UserMarker>,
    ) -> Result<bool, StateError> {
        let path = format!("channels/{thread}/thread-members/{user}");
        let route = format!("channels/{thread}/thread-members/id");
        let send_by = self.discord.send_by();
        let request = Request::new(Method::Get, route, path, guild.get(), send_by).about(user);
        match self.discord.repeatedly(&request).await {
            Ok(_) => Ok(true),
            // Where Ery may not even look, nobody is known to be in.
            Err(
                RestError::Refused { code: UNKNOWN_MEMBER, .. }
                | RestError::Refused { status: 403, .. }
                | RestError::RefusedBefore { .. },
            ) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
