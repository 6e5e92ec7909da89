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

type OfGuild = HashMap<Id<ChannelMarker>, Known>;

#[derive(Debug)]
struct Known {
    since: Instant,
    /// Whether it is there, and was only not to be told of to whoever named it.
    is_there: bool,
}

impl Strangers {
    /// Returns whether Discord may be asked for a channel.
    pub(super) fn admit(&self, guild: Id<GuildMarker>, channel: Id<ChannelMarker>) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(of_guild) = known.get_mut(&guild) else { return true };
        of_guild.retain(|_, known| known.since.elapsed() < REMEMBERED);
        match of_guild.get(&channel) {
            Some(known) => known.is_there,
            None => of_guild.len() < MOST_OF_GUILD,
        }
    }

    /// Remembers that a guild has no such channel, as far as Ery can see.
    pub(super) fn learn(&self, guild: Id<GuildMarker>, channel: Id<ChannelMarker>) {
        self.remember(guild, channel, false);
    }

    /// Remembers that somebody named a channel that is there, and that they are not to know of. Returns
    /// whether Discord would have been asked for it, were it not there: as long as that takes, this
    /// takes.
    pub(super) fn hide(&self, guild: Id<GuildMarker>, channel: Id<ChannelMarker>) -> bool {
        let is_new = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.get_mut(&guild).is_none_or(|of_guild| {
                of_guild.retain(|_, known| known.since.elapsed() < REMEMBERED);
                !of_guild.contains_key(&channel) && of_guild.len() < MOST_OF_GUILD
            })
        };
        if is_new {
            self.remember(guild, channel, true);
        }
        is_new
    }

    fn remember(&self, guild: Id<GuildMarker>, channel: Id<ChannelMarker>, is_there: bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_GUILDS {
            known.clear();
        }
        let learnt = Known { since: Instant::now(), is_there };
        known.entry(guild).or_default().insert(channel, learnt);
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

    #[tokio::test(start_paused = true)]
    async fn what_is_hidden_from_somebody_takes_as_long_and_is_found_for_others() {
        let strangers = Strangers::default();
        let (guild, hidden) = (Id::new(1), Id::new(7));
        assert!(strangers.hide(guild, hidden), "as of one that is not known to be missing");
        assert!(!strangers.hide(guild, hidden), "as of one that is");
        assert!(strangers.admit(guild, hidden), "it may be looked for all the same");
        for channel in 100..299 {
            strangers.learn(guild, Id::new(channel));
        }
        assert!(!strangers.hide(guild, Id::new(8)), "nothing more is asked for");
        tokio::time::advance(REMEMBERED).await;
        assert!(strangers.hide(guild, hidden));
    }
}
