//! Many members read at once: a raid is not looked at one by one.

use std::{collections::HashMap, sync::Arc};

use twilight_model::id::{
    Id,
    marker::{GuildMarker, UserMarker},
};

use super::{Guilds, slot::Slot};
use crate::{
    adapters::discord::{Method, Request, RestError, wire::RawMember},
    domain::guild::Member,
    error::StateError,
    metrics,
};

/// Up to how many members are read one by one.
const MOST_SINGLY: usize = 5;

/// The most that Discord lists at once.
const PAGE: usize = 1_000;

type Read = HashMap<Id<UserMarker>, Option<Arc<Member>>>;

impl Guilds {
    /// Reads members by pages of the guild's list where they are many, and keeps what was read unless
    /// an event told something else meanwhile. Nobody where they are few, or where Discord does not
    /// list members for Ery: then they are read one by one.
    ///
    /// `users` are in their order, each once.
    pub(super) async fn many(
        &self,
        guild: Id<GuildMarker>,
        slot: &Slot,
        users: &[Id<UserMarker>],
    ) -> Result<Read, StateError> {
        if users.len() <= MOST_SINGLY {
            return Ok(Read::new());
        }
        // All who read several take their turns in the same order.
        let mut turns = Vec::with_capacity(users.len());
        for user in users {
            let fetching = slot.begin_member(*user).await;
            turns.push((*user, fetching, slot.known(*user)));
        }
        let read = self.listed(guild, users).await;
        for (user, fetching, known) in turns {
            let read = read.as_ref().ok().and_then(|read| read.get(&user));
            slot.end_reread(user, fetching, known.as_ref(), read);
        }
        match read {
            Err(
                RestError::Refused { status: 403, .. }
                | RestError::RefusedBefore { .. }
                | RestError::Unreadable { .. },
            ) => Ok(Read::new()),
            read => Ok(read?),
        }
    }

    async fn listed(
        &self,
        guild: Id<GuildMarker>,
        users: &[Id<UserMarker>],
    ) -> Result<Read, RestError> {
        let mut read = Read::with_capacity(users.len());
        let mut left = users;
        while let Some(first) = left.first() {
            let route = format!("guilds/{guild}/members/list");
            let path = format!("guilds/{guild}/members?limit={PAGE}&after={}", first.get() - 1);
            let request =
                Request::new(Method::Get, route, path, guild.get(), self.discord.send_by());
            metrics::member_loaded();
            let page: Vec<RawMember> = self.discord.repeatedly(&request).await?.json()?;
            let found: HashMap<_, _> = page.iter().map(|raw| (raw.user.id, raw.member())).collect();
            // The page tells of everybody up to its last one; the last page of everybody.
            let last = page.iter().map(|raw| raw.user.id).max();
            let end = match last {
                Some(last) if page.len() >= PAGE => left.partition_point(|user| *user <= last),
                _ => left.len(),
            };
            for user in &left[..end.max(1)] {
                read.insert(*user, found.get(user).cloned().map(Arc::new));
            }
            left = &left[end.max(1)..];
        }
        Ok(read)
    }
}
