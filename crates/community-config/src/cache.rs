//! The config of homes, held in a process that reads it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use ery_ids::Home;

use crate::{
    document::{Document, Layered, Subject},
    effective::Snapshot,
};

/// How long what was loaded is taken for granted where no broadcast says otherwise. A broadcast may
/// be missed: this is how long that lasts.
const FRESH: Duration = Duration::from_secs(15);

/// Of how many homes the config is held; past it the ones that were not asked for lately go.
const HOMES: usize = 10_000;

/// The id under which the installation's own layer is kept.
pub(crate) const INSTALLATION: u64 = 0;

/// What the store keeps for a home.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// Rises with every change; 0 where nothing was ever set.
    pub version: u64,
    pub layered: Layered,
}

/// The store, as far as config goes.
#[async_trait]
pub trait ConfigSource: Send + Sync + std::fmt::Debug {
    /// Loads what is set for a home, by its id; 0 for the installation. None where that is still
    /// `known`.
    async fn load(&self, home: u64, known: Option<u64>) -> Result<Option<Loaded>, SourceError>;
}

/// The store cannot be asked now.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// What the process is set to, below all layers.
#[derive(Clone, Debug, Default)]
pub struct Base {
    pub everywhere: Document,
    /// In single homes, by their ids.
    pub homes: HashMap<u64, Document>,
}

impl Base {
    /// Adds what another part of the process is set to.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.everywhere.extend(other.everywhere);
        for (home, document) in other.homes {
            self.homes.entry(home).or_default().extend(document);
        }
        self
    }

    /// Returns what holds in a home.
    pub fn of(&self, home: u64) -> Document {
        let mut document = self.everywhere.clone();
        document.extend(self.homes.get(&home).cloned().unwrap_or_default());
        document
    }
}

/// The base of a process whose settings may change while it runs.
#[derive(Clone, Debug, Default)]
pub struct SharedBase(Arc<Mutex<(u64, Arc<Base>)>>);

impl SharedBase {
    /// Sets it anew; what is read from now on goes by it.
    pub fn set(&self, base: Base) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held = (held.0 + 1, Arc::new(base));
    }

    /// Returns how often it was set, and what it is.
    fn now(&self) -> (u64, Arc<Base>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl From<Base> for SharedBase {
    fn from(base: Base) -> Self {
        Self(Arc::new(Mutex::new((0, Arc::new(base)))))
    }
}

/// A change that was made, as it is broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// 0 for the installation.
    pub home: u64,
    pub version: u64,
}

/// The config of homes, held in this process.
#[derive(Debug)]
pub struct ConfigCache {
    source: Box<dyn ConfigSource>,
    base: SharedBase,
    held: Mutex<HashMap<u64, Held>>,
    /// Changes that were heard of lately: what was asked for before one may come after it.
    heard: Mutex<HashMap<u64, (u64, Instant)>>,
    /// What holds in homes, made of what is held.
    snapshots: Mutex<HashMap<u64, Made>>,
}

#[derive(Clone, Debug)]
struct Held {
    loaded: Arc<Loaded>,
    checked_at: Instant,
    used_at: Instant,
}

#[derive(Clone, Debug)]
struct Made {
    /// The versions of the process's base, of the installation's layer and of the home's.
    of: (u64, u64, u64),
    snapshot: Arc<Snapshot>,
}

impl ConfigCache {
    /// Makes an empty one.
    pub fn new(source: Box<dyn ConfigSource>, base: impl Into<SharedBase>) -> Self {
        let base = base.into();
        let (held, heard, snapshots) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { source, base, held, heard, snapshots }
    }

    /// Returns what is set for a home.
    ///
    /// Where the store cannot be asked, what was known last still holds.
    ///
    /// # Errors
    ///
    /// If the store cannot be asked and nothing is known.
    pub async fn get(&self, home: Home) -> Result<Arc<Snapshot>, SourceError> {
        let global = self.held(INSTALLATION).await?;
        let own = self.held(home.key()).await?;
        let (revision, base) = self.base.now();
        let of = (revision, global.version, own.version);
        let mut snapshots = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = snapshots.get(&home.key())
            && made.of == of
        {
            return Ok(Arc::clone(&made.snapshot));
        }
        let base = base.of(home.key());
        let installation = global.layered.get(&Subject::GLOBAL).cloned().unwrap_or_default();
        let snapshot = Arc::new(Snapshot::new(base, installation, own.layered.clone()));
        if snapshots.len() >= HOMES {
            snapshots.clear();
        }
        snapshots.insert(home.key(), Made { of, snapshot: Arc::clone(&snapshot) });
        Ok(snapshot)
    }

    /// Returns what is set for the installation itself.
    ///
    /// # Errors
    ///
    /// As [`Self::get`].
    pub async fn installation(&self) -> Result<Snapshot, SourceError> {
        let global = self.held(INSTALLATION).await?;
        let set = global.layered.get(&Subject::GLOBAL).cloned().unwrap_or_default();
        let (_, base) = self.base.now();
        Ok(Snapshot::new(base.everywhere.clone(), set, Layered::new()))
    }

    /// Hears that something was set: it is loaded anew when it is asked for next.
    pub fn told(&self, changed: Changed) {
        {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            if heard.len() >= HOMES {
                heard.retain(|_, (_, at)| at.elapsed() < FRESH);
            }
            heard.insert(changed.home, (changed.version, Instant::now()));
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.get(&changed.home).is_some_and(|held| held.loaded.version < changed.version) {
            held.remove(&changed.home);
        }
    }

    /// Lets go of everything: somebody is to be forgotten, and may have set something.
    pub fn forget(&self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn held(&self, home: u64) -> Result<Arc<Loaded>, SourceError> {
        let known = self.look(home);
        if let Some(known) = &known
            && known.checked_at.elapsed() < FRESH
        {
            return Ok(Arc::clone(&known.loaded));
        }
        let asked_at = Instant::now();
        let version = known.as_ref().map(|known| known.loaded.version);
        let loaded = match (self.source.load(home, version).await, known) {
            (Ok(Some(loaded)), _) => Arc::new(loaded),
            (Ok(None), Some(known)) => known.loaded,
            (Ok(None), None) => Arc::default(),
            (Err(error), Some(known)) => {
                tracing::warn!(%error, home, "config cannot be loaded; what was known holds");
                known.loaded
            }
            (Err(error), None) => return Err(error),
        };
        self.keep(home, Arc::clone(&loaded), asked_at);
        Ok(loaded)
    }

    fn look(&self, home: u64) -> Option<Held> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let known = held.get_mut(&home)?;
        known.used_at = Instant::now();
        Some(known.clone())
    }

    fn keep(&self, home: u64, loaded: Arc<Loaded>, checked_at: Instant) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= HOMES && !held.contains_key(&home) {
            let mut used: Vec<Instant> = held.values().map(|held| held.used_at).collect();
            used.sort_unstable();
            let middle = used[used.len() / 2];
            held.retain(|home, held| *home == INSTALLATION || held.used_at > middle);
        }
        // What was asked for later may have come sooner. Versions alone do not tell: a restored store
        // may be at an earlier one.
        if held.get(&home).is_some_and(|held| held.checked_at > checked_at) {
            return;
        }
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = heard.get(&home).is_some_and(|(version, at)| {
            *version > loaded.version && *at >= checked_at && at.elapsed() < FRESH
        });
        if is_old {
            return;
        }
        held.insert(home, Held { loaded, checked_at, used_at: Instant::now() });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use serde_json::json;
    use twilight_model::id::Id;

    use super::*;
    use crate::config::Engage;

    #[derive(Debug, Default)]
    struct Source {
        kept: Mutex<HashMap<u64, Loaded>>,
        asked: AtomicUsize,
        is_away: AtomicBool,
    }

    impl Source {
        fn set(&self, home: u64, subject: Subject, engage: &str) {
            let mut kept = self.kept.lock().unwrap();
            let loaded = kept.entry(home).or_default();
            loaded.version += 1;
            let document = loaded.layered.entry(subject).or_default();
            document.insert("gate.engage".to_owned(), json!(engage));
        }
    }

    #[async_trait]
    impl ConfigSource for Arc<Source> {
        async fn load(&self, home: u64, known: Option<u64>) -> Result<Option<Loaded>, SourceError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.is_away.load(Ordering::Relaxed) {
                return Err(SourceError("away".to_owned()));
            }
            let loaded = self.kept.lock().unwrap().get(&home).cloned().unwrap_or_default();
            Ok((known != Some(loaded.version)).then_some(loaded))
        }
    }

    const HOME: Home = Home::Guild(Id::new(7));

    fn cache() -> (Arc<Source>, ConfigCache) {
        let source = Arc::new(Source::default());
        let cache = ConfigCache::new(Box::new(Arc::clone(&source)), Base::default());
        (source, cache)
    }

    async fn engage(cache: &ConfigCache) -> Engage {
        cache.get(HOME).await.unwrap().effective(0, 0).config.gate.engage
    }

    #[tokio::test(start_paused = true)]
    async fn a_broadcast_makes_it_anew_and_a_missed_one_heals_in_time() {
        let (source, cache) = cache();
        assert_eq!(engage(&cache).await, Engage::Addressed);
        source.set(7, Subject::SERVER, "listen");
        assert_eq!(engage(&cache).await, Engage::Addressed);
        cache.told(Changed { home: 7, version: 1 });
        assert_eq!(engage(&cache).await, Engage::Listen);
        // One that was heard before changes nothing.
        cache.told(Changed { home: 7, version: 1 });
        let asked = source.asked.load(Ordering::Relaxed);
        assert_eq!(engage(&cache).await, Engage::Listen);
        assert_eq!(source.asked.load(Ordering::Relaxed), asked);

        source.set(0, Subject::GLOBAL, "off");
        source.set(7, Subject::SERVER, "every_message");
        tokio::time::advance(FRESH).await;
        assert_eq!(engage(&cache).await, Engage::EveryMessage);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_process_is_set_to_may_change_while_it_runs() {
        let source = Arc::new(Source::default());
        let base = SharedBase::default();
        let cache = ConfigCache::new(Box::new(Arc::clone(&source)), base.clone());
        assert_eq!(engage(&cache).await, Engage::Addressed);
        let everywhere = Document::from([("gate.engage".to_owned(), json!("listen"))]);
        base.set(Base { everywhere, ..Base::default() });
        assert_eq!(engage(&cache).await, Engage::Listen);
        base.set(Base::default());
        assert_eq!(engage(&cache).await, Engage::Addressed);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_for_before_a_change_is_not_kept_behind_it() {
        let (source, cache) = cache();
        source.set(7, Subject::SERVER, "listen");
        let asked_at = Instant::now();
        cache.told(Changed { home: 7, version: 2 });
        let old = source.kept.lock().unwrap()[&7].clone();
        cache.keep(7, Arc::new(old), asked_at);
        source.set(7, Subject::SERVER, "off");
        assert_eq!(engage(&cache).await, Engage::Off);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_was_restored_is_believed() {
        let (source, cache) = cache();
        source.set(7, Subject::SERVER, "listen");
        source.set(7, Subject::SERVER, "off");
        assert_eq!(engage(&cache).await, Engage::Off);
        source.kept.lock().unwrap().clear();
        source.set(7, Subject::SERVER, "listen");
        tokio::time::advance(FRESH).await;
        assert_eq!(engage(&cache).await, Engage::Listen);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_known_holds_while_the_store_is_away() {
        let (source, cache) = cache();
        source.is_away.store(true, Ordering::Relaxed);
        assert!(cache.get(HOME).await.is_err());
        source.is_away.store(false, Ordering::Relaxed);
        source.set(7, Subject::SERVER, "listen");
        assert_eq!(engage(&cache).await, Engage::Listen);
        source.is_away.store(true, Ordering::Relaxed);
        tokio::time::advance(FRESH * 10).await;
        assert_eq!(engage(&cache).await, Engage::Listen);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_bounded_and_the_installations_stays() {
        let (_, cache) = cache();
        for id in 1..=HOMES as u64 + 5 {
            cache.get(Home::Guild(Id::new(id))).await.unwrap();
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let held = cache.held.lock().unwrap();
        assert!(held.len() <= HOMES && held.contains_key(&INSTALLATION));
    }
}
