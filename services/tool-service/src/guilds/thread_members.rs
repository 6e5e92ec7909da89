//! Who is in a private thread: events tell who goes, and Discord is asked where it matters.

use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, UserMarker},
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
            let path = format!("channels/{channel}/thread-members/{user}");
            let route = format!("channels/{channel}/thread-members/id");
            let send_by = self.discord.send_by();
            let home = state.guild.id.get();
            let request = Request::new(Method::Get, route, path, home, send_by).about(user);
            match self.discord.repeatedly(&request).await {
                Ok(_) => {
                    state.outside.remove(&(channel, user));
                }
                // Where Ery may not even look, nobody is known to be in.
                Err(
                    RestError::Refused { code: UNKNOWN_MEMBER, .. }
                    | RestError::Refused { status: 403, .. }
                    | RestError::RefusedBefore { .. },
                ) => {
                    state.outside.insert((channel, user));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
