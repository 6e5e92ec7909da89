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
        self.look(guild, |known| match known.get(&channel) {
            Some(known) => known.is_there,
            None => known.len() < MOST_OF_GUILD,
        })
    }

    /// Returns whether Discord would be asked for a channel, were it not there.
    pub(super) fn is_news(&self, guild: Id<GuildMarker>, channel: Id<ChannelMarker>) -> bool {
        self.look(guild, |known| !known.contains_key(&channel) && known.len() < MOST_OF_GUILD)
    }

    /// Remembers that a guild has no such channel, as far as Ery can see.
    pub(super) fn learn(&self, guild: Id<GuildMarker>, channel: Id<ChannelMarker>) {
        self.remember(guild, channel, false);
    }

    /// Remembers that somebody named a channel that is there, and that they are not to know of.
    pub(super) fn hide(&self, guild: Id<GuildMarker>, channel: Id<ChannelMarker>) {
        if self.is_news(guild, channel) {
            self.remember(guild, channel, true);
        }
    }

    fn look<T>(&self, guild: Id<GuildMarker>, ask: impl FnOnce(&OfGuild) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(of_guild) = known.get_mut(&guild) else { return ask(&OfGuild::new()) };
        of_guild.retain(|_, known| known.since.elapsed() < REMEMBERED);
        ask(of_guild)
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
        assert!(strangers.is_news(guild, hidden), "as of one that is not known to be missing");
        strangers.hide(guild, hidden);
        assert!(!strangers.is_news(guild, hidden), "as of one that is");
        assert!(strangers.admit(guild, hidden), "it may be looked for all the same");
        for channel in 100..299 {
            strangers.learn(guild, Id::new(channel));
        }
        assert!(!strangers.is_news(guild, Id::new(8)), "nothing more is asked for");
        strangers.hide(guild, Id::new(8));
        assert!(!strangers.admit(guild, Id::new(8)), "nor is it remembered");
        tokio::time::advance(REMEMBERED).await;
        assert!(strangers.is_news(guild, hidden));
    }
}
