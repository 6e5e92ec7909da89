//! Carries out deletions: in every shard, in what is queued, and beside the backups.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use ery_channel_queue::{self as channel_queue, ChannelQueue, QueueError};
use ery_clock::UnixMillis;
use ery_event_bus::{self as event_bus, BusError, EventBus, Topic};
use ery_ids::{ForgottenPerson, StoreShard};

use crate::{
    adapters::{
        forget::{self, Pass, Progress},
        maintenance,
        shard::OpenShard,
    },
    backups,
    blocking::blocking,
    domain::privacy::{Deletion, DeletionState, Forgotten},
    error::{BackupError, StoreError},
    service::Inner,
};

/// How long a deletion waits that cannot go on: for a thread to end, for a shard, for the bus.
const RETRY: Duration = Duration::from_secs(1);

/// How long one waits that only time brings forward.
const AGES: Duration = Duration::from_mins(1);

/// How long after a request something may be on its way that was said before it.
const SETTLES: Duration = Duration::from_secs(2);

/// How often the log is tried to be emptied while somebody reads.
const LOG_ATTEMPTS: u32 = 20;

/// How long somebody reads at most before that is tried again.
const LOG_RETRY: Duration = Duration::from_millis(50);

/// How deletions come forward, for those who ask.
#[derive(Debug, Default)]
pub(crate) struct Standings {
    standings: Mutex<HashMap<String, Standing>>,
}

/// How far a deletion has come in this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) shards_done: u32,
    pub(crate) shards: u32,
    /// In words; empty: it goes on.
    pub(crate) waits_for: String,
}

impl Standings {
    pub(crate) fn get(&self, deletion: &str) -> Standing {
        self.lock().get(deletion).cloned().unwrap_or_default()
    }

    fn set(&self, deletion: &str, standing: Standing) {
        self.lock().insert(deletion.to_owned(), standing);
    }

    fn waits_for(&self, deletion: &str, what: impl Into<String>) {
        self.lock().entry(deletion.to_owned()).or_default().waits_for = what.into();
    }

    fn remove(&self, deletion: &str) {
        self.lock().remove(deletion);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Standing>> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a deletion does not come forward. What was done stays done.
#[derive(Debug, thiserror::Error)]
enum Held {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the channel queue did not answer")]
    Queue(#[from] QueueError),
    #[error("the event bus did not answer")]
    Bus(#[from] BusError),
}

/// Carries deletions out until the process drains; a later one goes on where this one ends.
pub(crate) struct Forgetting {
    store: Arc<Inner>,
    queue: Arc<dyn ChannelQueue>,
    bus: Arc<dyn EventBus>,
    /// Shards that are done with, by deletion and pass.
    done: HashSet<(String, bool, StoreShard)>,
    /// Deletions whose last pass has begun.
    last_passes: HashSet<String>,
    /// Every shard has carried out every entry of the ledger that is confirmed.
    has_caught_up: bool,
}

impl Forgetting {
    pub(crate) fn new(
        store: Arc<Inner>,
        queue: Arc<dyn ChannelQueue>,
        bus: Arc<dyn EventBus>,
    ) -> Self {
        let (done, last_passes) = (HashSet::new(), HashSet::new());
        Self { store, queue, bus, done, last_passes, has_caught_up: false }
    }

    pub(crate) async fn run(mut self, draining: CancellationToken) {
        loop {
            let mut wait = AGES;
            if self.store.ledger.is_to_look_again() {
                self.has_caught_up = false;
            }
            if !self.has_caught_up {
                match self.catch_up(&draining).await {
                    Ok(has_caught_up) => self.has_caught_up = has_caught_up,
                    Err(error) => {
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(
                            error,
                            "could not see whether somebody who was forgotten came \
                            back with a copy of the files; trying again"
                        );
                    }
                }
            }
            for (deletion, who) in self.store.ledger.open_deletions() {
                if draining.is_cancelled() {
                    return;
                }
                let id = deletion.id.clone();
                match self.carry_out(deletion, &who, &draining).await {
                    Ok(None) => {}
                    Ok(Some(pause)) => wait = wait.min(pause),
                    Err(error) => {
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(error, "deletion {id} does not go on; trying again");
                        self.store.standings.waits_for(&id, error.to_string());
                        wait = wait.min(RETRY);
                    }
                }
            }
            tokio::select! {
                biased;
                () = draining.cancelled() => return,
                () = self.store.ledger.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Carries out, in files that have not seen them, deletions that were confirmed before: the files
    /// may have been put back from a copy that is older, and the ledger beside the backups knows.
    async fn catch_up(&mut self, draining: &CancellationToken) -> Result<bool, Held> {
        backups::keep_ledger(&self.store).await?;
        let entries = self.store.ledger.confirmed();
        if entries.is_empty() {
            return Ok(true);
        }
        let mut has_caught_up = true;
        for shard in self.store.shards.all_existing() {
            if draining.is_cancelled() {
                return Ok(false);
            }
            has_caught_up &= self.catch_up_in(shard, &entries, draining).await?;
        }
        Ok(has_caught_up)
    }

    async fn catch_up_in(
        &self,
        shard: StoreShard,
        entries: &[String],
        draining: &CancellationToken,
    ) -> Result<bool, StoreError> {
        let shards = &self.store.shards;
        let was_open = shards.is_open(shard).await;
        let open = shards.open(shard).await?;
        let entries = entries.to_vec();
        let unseen = open.write(move |connection| forget::unseen(connection, &entries)).await?;
        drop(open);
        let is_done = unseen.is_empty() || self.forget_again(shard, unseen, draining).await?;
        if !was_open {
            shards.close(shard).await;
        }
        Ok(is_done)
    }

    /// Takes out of a shard whoever is in it again though these deletions were confirmed.
    async fn forget_again(
        &self,
        shard: StoreShard,
        deletions: Vec<String>,
        draining: &CancellationToken,
    ) -> Result<bool, StoreError> {
        let shards = &self.store.shards;
        let (path, key) = (shards.folder().shard(shard), shards.key().cloned());
        let (ledger, looked_for) = (Arc::clone(&self.store.ledger), deletions.clone());
        let found = blocking(move || {
            let connection =
                ery_group_commit::open_read_only(&path, key.as_ref()).map_err(BackupError::Open)?;
            let people = forget::people(&connection)?;
            let who = people.into_iter().flat_map(|user| ledger.forgotten(user));
            let who = who.filter(|who| looked_for.contains(&who.deletion));
            Ok::<Vec<Forgotten>, StoreError>(who.collect())
        });
        let found = found.await?;
        let mut is_done = true;
        for who in &found {
            tracing::warn!("whom deletion {} forgot was in {shard} again", who.deletion);
            is_done &= self.erase_in(shard, who, Pass::Last, draining).await?;
        }
        if is_done {
            let (open, now) = (shards.open(shard).await?, self.store.clock.now());
            open.write(move |connection| forget::note_seen(connection, &deletions, now)).await?;
        }
        Ok(is_done)
    }

    /// Brings a deletion as far forward as it goes now; none: it is confirmed.
    async fn carry_out(
        &mut self,
        deletion: Deletion,
        who: &Forgotten,
        draining: &CancellationToken,
    ) -> Result<Option<Duration>, Held> {
        let mut deletion = deletion;
        if deletion.state() == DeletionState::Requested {
            self.tell(who).await;
            // Beside the backups first, so that none of them can bring anything back from here on.
            backups::keep_ledger(&self.store).await?;
            if !self.erase(who, Pass::First, draining).await? {
                return Ok(Some(RETRY));
            }
            deletion.erased_at = Some(self.store.clock.now());
            self.store.ledger.update(deletion.clone()).await?;
            tracing::info!("deletion {} has reached every shard", deletion.id);
            // Somebody may have read it while it was being erased.
            self.tell(who).await;
        }
        let settled_at = deletion.requested_at + SETTLES;
        if self.store.clock.now() < settled_at {
            return Ok(Some(RETRY));
        }
        if let Some(left) = self.erase_queued(who, settled_at).await? {
            if deletion.confirmed_by != left.gone_by {
                deletion.confirmed_by = left.gone_by;
                self.store.ledger.update(deletion.clone()).await?;
            }
            self.store.standings.waits_for(&deletion.id, left.what);
            return Ok(Some(if left.gone_by.is_some() { AGES } else { RETRY }));
        }
        // Once more, now that nothing queued can bring anything back.
        if !self.last_passes.contains(&deletion.id) {
            for shard in self.store.shards.all_existing() {
                let (open, id) = (self.store.shards.open(shard).await?, deletion.id.clone());
                open.write(move |connection| forget::begin(connection, &id)).await?;
            }
            // Only once it has begun everywhere: a shard that could not be opened has it still to do.
            self.last_passes.insert(deletion.id.clone());
        }
        if !self.erase(who, Pass::Last, draining).await? {
            return Ok(Some(RETRY));
        }
        backups::keep_ledger(&self.store).await?;
        deletion.confirmed_at = Some(self.store.clock.now());
        deletion.user = None;
        let id = deletion.id.clone();
        self.store.ledger.update(deletion).await?;
        self.store.metrics.deletion_confirmed();
        self.store.standings.remove(&id);
        self.last_passes.remove(&id);
        self.done.retain(|(of, ..)| *of != id);
        tracing::info!("deletion {id} is confirmed");
        Ok(None)
    }

    /// Tells every process to let go of the person.
    async fn tell(&self, who: &Forgotten) {
        let person = ForgottenPerson { user: who.person.user, guild: who.person.guild };
        let payload = serde_json::to_vec(&person).expect("ids can be written as JSON");
        if let Err(error) = self.bus.broadcast(Topic::PersonForgotten, payload.into()).await {
            tracing::debug!(%error, "a broadcast was lost");
        }
    }

    /// Takes the person out of every shard; false: a thread that read of them still runs.
    async fn erase(
        &mut self,
        who: &Forgotten,
        pass: Pass,
        draining: &CancellationToken,
    ) -> Result<bool, Held> {
        let shards = self.store.shards.all_existing();
        let mut standing = Standing {
            shards: u32::try_from(shards.len()).unwrap_or(u32::MAX),
            ..Standing::default()
        };
        let mut held = None;
        for shard in shards {
            let key = (who.deletion.clone(), pass == Pass::Last, shard);
            if self.done.contains(&key) {
                standing.shards_done += 1;
                continue;
            }
            if draining.is_cancelled() {
                return Ok(false);
            }
            match self.erase_in(shard, who, pass, draining).await {
                Ok(true) => {
                    standing.shards_done += 1;
                    self.done.insert(key);
                }
                Ok(false) => {
                    "a task thread or a call that read of the person, to end"
                        .clone_into(&mut standing.waits_for);
                }
                // The others go on.
                Err(error) => held = Some(error),
            }
            self.store.standings.set(&who.deletion, standing.clone());
        }
        match held {
            Some(error) => Err(error.into()),
            None => Ok(standing.shards_done == standing.shards),
        }
    }

    async fn erase_in(
        &self,
        shard: StoreShard,
        who: &Forgotten,
        pass: Pass,
        draining: &CancellationToken,
    ) -> Result<bool, StoreError> {
        let shards = &self.store.shards;
        let was_open = shards.is_open(shard).await;
        let mut open = shards.open(shard).await?;
        let is_done = loop {
            let (looked_for, now) = (who.clone(), self.store.clock.now());
            let advance = move |connection: &rusqlite::Connection| {
                forget::advance(connection, &looked_for, pass, now)
            };
            let progress = open.write(advance).await?;
            match progress {
                Progress::More if draining.is_cancelled() => break false,
                Progress::More => {}
                Progress::Waiting => break false,
                Progress::Rewrite => {
                    // A row that SQLite once moved may stand where it was, in the unused part of a
                    // page. Only then is it noted, so that a kill repeats it.
                    drop(open);
                    shards.rewrite(shard).await?;
                    open = shards.open(shard).await?;
                    let id = who.deletion.clone();
                    open.write(move |connection| forget::note_rewritten(connection, &id)).await?;
                }
                Progress::Done => break empty_log(&open).await?,
            }
        };
        drop(open);
        if !was_open {
            shards.close(shard).await;
        }
        Ok(is_done)
    }

    /// Erases what is queued; what is left says when it is gone.
    async fn erase_queued(&self, who: &Forgotten, until: UnixMillis) -> Result<Option<Left>, Held> {
        let person = ForgottenPerson { user: who.person.user, guild: who.person.guild };
        let tasks = match self.queue.forget(person, until).await? {
            channel_queue::Left::Nothing => None,
            channel_queue::Left::Some { gone_by } => {
                Some(Left { gone_by, what: "what waits to be answered" })
            }
        };
        let events = match self.bus.forget(person, until).await? {
            event_bus::Left::Nothing => None,
            event_bus::Left::Some { gone_by } => {
                Some(Left { gone_by, what: "what is on the event bus" })
            }
        };
        Ok(match (tasks, events) {
            (Some(tasks), Some(events)) => {
                // What is known to be gone by a moment says more.
                let gone_by = tasks.gone_by.max(events.gone_by);
                Some(Left { gone_by, what: "what is queued, and what is on the event bus" })
            }
            (left, None) | (None, left) => left,
        })
    }
}

/// What of a person is queued yet.
struct Left {
    /// None: it is not known when.
    gone_by: Option<UnixMillis>,
    what: &'static str,
}

/// Empties a shard's log: what was written over stands there until then.
async fn empty_log(open: &OpenShard) -> Result<bool, StoreError> {
    for _ in 0..LOG_ATTEMPTS {
        if open.alone(maintenance::empty_log).await? {
            return Ok(true);
        }
        tokio::time::sleep(LOG_RETRY).await;
    }
    Ok(false)
}
