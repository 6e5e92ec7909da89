//! Guilds' own keys for model providers, held in this process.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use twilight_model::id::{Id, marker::GuildMarker};

use ery_ids::Home;

use crate::{
    adapters::keys::GuildKeys,
    error::{CallError, with_causes},
};

/// How long what was loaded is taken for granted where no broadcast says otherwise. A broadcast may be
/// missed: this is how long that lasts.
const FRESH: Duration = Duration::from_secs(15);

/// Of how many guilds keys are held; past it the ones that are not fresh go, else all.
const GUILDS: usize = 10_000;

/// The keys of guilds, as far as they were asked for lately.
#[derive(Debug, Default)]
pub(crate) struct KeyCache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: HashMap<Id<GuildMarker>, Held>,
    /// How many changes were heard of: what was asked for before one may come after it.
    changes: u64,
}

#[derive(Debug)]
struct Held {
    keys: Arc<GuildKeys>,
    asked_at: Instant,
}

impl KeyCache {
    /// Returns the keys of a home, loading them where that is due; a direct message has none.
    ///
    /// Where the store cannot be asked, what was known last still holds, unless it was changed since.
    ///
    /// # Errors
    ///
    /// If the store cannot be asked and nothing is known: nobody can tell then whose key is to be taken.
    pub(crate) async fn get<F>(
        &self,
        home: Home,
        load: impl FnOnce(Id<GuildMarker>) -> F,
    ) -> Result<Arc<GuildKeys>, CallError>
    where
        F: Future<Output = Result<GuildKeys, CallError>>,
    {
        let Home::Guild(guild) = home else { return Ok(Arc::default()) };
        let (known, changes) = {
            let state = self.lock();
            let known = state.held.get(&guild).map(|held| (Arc::clone(&held.keys), held.asked_at));
            (known, state.changes)
        };
        if let Some((keys, asked_at)) = &known
            && asked_at.elapsed() < FRESH
        {
            return Ok(Arc::clone(keys));
        }
        let asked_at = Instant::now();
        let keys = match (load(guild).await, known) {
            (Ok(keys), _) => Arc::new(keys),
            (Err(error), Some((known, _))) => {
                tracing::warn!(error = with_causes(&error), guild.id = %guild,
                    "a server's keys cannot be loaded; what was known holds");
                known
            }
            (Err(error), None) => return Err(error),
        };
        let mut state = self.lock();
        if state.changes == changes {
            if state.held.len() >= GUILDS && !state.held.contains_key(&guild) {
                state.held.retain(|_, held| held.asked_at.elapsed() < FRESH);
                if state.held.len() >= GUILDS {
                    state.held.clear();
                }
            }
            state.held.insert(guild, Held { keys: Arc::clone(&keys), asked_at });
        }
        Ok(keys)
    }

    /// Returns the keys of a home, as far as they are known here.
    pub(crate) fn known(&self, home: Home) -> Arc<GuildKeys> {
        let Home::Guild(guild) = home else { return Arc::default() };
        self.lock().held.get(&guild).map(|held| Arc::clone(&held.keys)).unwrap_or_default()
    }

    /// Hears that a guild's keys were changed: they are loaded anew when they are asked for next.
    pub(crate) fn told(&self, guild: Id<GuildMarker>) {
        let mut state = self.lock();
        state.changes += 1;
        state.held.remove(&guild);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    const GUILD: Id<GuildMarker> = Id::new(7);
    const HOME: Home = Home::Guild(GUILD);

    #[expect(clippy::unnecessary_wraps, reason = "it is what a store answers")]
    fn keys(key: &str) -> Result<GuildKeys, CallError> {
        Ok(GuildKeys::of(&[("main", key)]))
    }

    fn away() -> Result<GuildKeys, CallError> {
        let status = Box::new(tonic::Status::unavailable("away"));
        Err(CallError::Unavailable { call: "GetProviderKeys", status })
    }

    async fn got(cache: &KeyCache, loaded: Result<GuildKeys, CallError>) -> Option<String> {
        let keys = cache.get(HOME, |_| ready(loaded)).await.ok()?;
        keys.to_proto().first().map(|key| key.key.clone())
    }

    #[tokio::test(start_paused = true)]
    async fn a_broadcast_makes_them_anew_and_a_missed_one_heals_in_time() {
        let cache = KeyCache::default();
        assert_eq!(got(&cache, keys("a")).await.unwrap(), "a");
        assert_eq!(got(&cache, keys("b")).await.unwrap(), "a");
        cache.told(GUILD);
        assert_eq!(got(&cache, keys("b")).await.unwrap(), "b");
        tokio::time::advance(FRESH).await;
        assert_eq!(got(&cache, keys("c")).await.unwrap(), "c");
        assert!(cache.known(HOME).has("main") && !cache.known(HOME).has("other"));
        let direct = cache.get(Home::Dm(Id::new(9)), |_| ready(keys("d"))).await.unwrap();
        assert!(direct.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_for_before_a_change_is_not_kept_behind_it() {
        let cache = KeyCache::default();
        let load = |_| async {
            cache.told(GUILD);
            keys("old")
        };
        cache.get(HOME, load).await.unwrap();
        assert_eq!(got(&cache, keys("new")).await.unwrap(), "new");
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_store_is_away_what_was_known_holds_and_nothing_else_is_taken_for_it() {
        let cache = KeyCache::default();
        assert_eq!(got(&cache, away()).await, None, "not the operator's");
        assert_eq!(got(&cache, keys("a")).await.unwrap(), "a");
        tokio::time::advance(FRESH * 10).await;
        assert_eq!(got(&cache, away()).await.unwrap(), "a");
        cache.told(GUILD);
        assert_eq!(got(&cache, away()).await, None, "it is known to be another");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_bounded() {
        let cache = KeyCache::default();
        for id in 1..=GUILDS as u64 + 5 {
            cache.get(Home::Guild(Id::new(id)), |_| ready(keys("a"))).await.unwrap();
        }
        assert!(cache.lock().held.len() <= GUILDS);
    }
}
