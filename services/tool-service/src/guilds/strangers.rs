//! Channels that are in none of a guild's lists: asked for by whoever likes to, at Discord seldom.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, GuildMarker},
};

/// How long it is remembered that there is no such channel.
const REMEMBERED: Duration = Duration::from_mins(30);

/// How many of one guild's are remembered; past it nothing unknown is asked for.
const MOST_OF_GUILD: usize = 200;

/// Of how many guilds; past it all are forgotten.
const MOST_GUILDS: usize = 10_000;

/// The channels that Discord did not show to Ery when somebody named them.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    known: Mutex<HashMap<Id<GuildMarker>, OfGuild>>,
}

/// Since when each of them is known.
type OfGuild = HashMap<Id<ChannelMarker>, Instant>;

impl Strangers {
    /// Returns whether Discord may be asked for a channel.
    pub(super) fn admit(&self, guild: Id<GuildMarker>, channel: Id<ChannelMarker>) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(of_guild) = known.get_mut(&guild) else { return true };
        of_guild.retain(|_, since| since.elapsed() < REMEMBERED);
        !of_guild.contains_key(&channel) && of_guild.len() < MOST_OF_GUILD
    }

    /// Remembers that a guild has no such channel, as far as Ery can see.
    pub(super) fn learn(&self, guild: Id<GuildMarker>, channel: Id<ChannelMarker>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_GUILDS {
            known.clear();
        }
        known.entry(guild).or_default().insert(channel, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_not_there_is_asked_for_once_and_not_too_much_of_it() {
        let strangers = Strangers::default();
        let (one, other) = (Id::new(1), Id::new(2));
        for channel in 1..=200 {
            assert!(strangers.admit(one, Id::new(channel)));
            strangers.learn(one, Id::new(channel));
            assert!(!strangers.admit(one, Id::new(channel)));
        }
        assert!(!strangers.admit(one, Id::new(201)), "somebody tries ids");
        assert!(strangers.admit(other, Id::new(201)));
        tokio::time::advance(REMEMBERED).await;
        assert!(strangers.admit(one, Id::new(1)));
    }
}
