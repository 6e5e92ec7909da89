use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedRwLockWriteGuard, OwnedSemaphorePermit, RwLock, RwLockWriteGuard, Semaphore},
    time::Instant,
};

use ery_group_commit::FileKey;
use ery_ids::{Home, StoreShard};

use crate::{
    adapters::{
        condition::Condition,
        folder::Folder,
        maintenance,
        shard::{OpenShard, Opening},
    },
    blocking::blocking,
    error::{BackupError, StoreError},
    ownership::Ownership,
    settings::Settings,
};

/// How often a call that found every place taken looks for one again.
const PLACE_RETRY: Duration = Duration::from_millis(10);

/// How long a file that is to be replaced may be in use: longer than any call has.
const REPLACE_PATIENCE: Duration = Duration::from_secs(30);

/// Every shard of the store; those in use are open.
#[derive(Debug)]
pub(crate) struct Shards {
    ownership: Ownership,
    folder: Folder,
    opening: Opening,
    slots: Box<[Slot]>,
    places: Arc<Semaphore>,
    busy_timeout: Duration,
    since: Instant,
}

#[derive(Debug)]
struct Slot {
    /// Whoever uses the shard holds a clone; to close it is to be its last owner.
    open: RwLock<Option<Arc<OpenShard>>>,
    /// When it was last asked for, in milliseconds of `Shards::since`.
    used_at: AtomicU64,
    condition: Arc<Condition>,
    /// Every write passes it, whichever file it goes to.
    gate: Arc<RwLock<()>>,
}

/// Writes to a shard are held back as long as it lives; reads go on.
#[derive(Debug)]
pub(crate) struct Held {
    shard: StoreShard,
    _gate: OwnedRwLockWriteGuard<()>,
}

/// A shard's file is closed as long as it lives.
#[derive(Debug)]
pub(crate) struct Closed<'a> {
    _open: RwLockWriteGuard<'a, Option<Arc<OpenShard>>>,
}

impl Shards {
    pub(crate) fn new(
        folder: Folder,
        ownership: Ownership,
        opening: Opening,
        settings: &Settings,
    ) -> Self {
        let slot = |index| Slot {
            open: RwLock::default(),
            used_at: AtomicU64::default(),
            condition: Arc::new(Condition::new(StoreShard(index), opening.metrics.clone())),
            gate: Arc::default(),
        };
        Self {
            slots: (0..settings.shards).map(slot).collect(),
            ownership,
            folder,
            opening,
            places: Arc::new(Semaphore::new(settings.open_shards as usize)),
            busy_timeout: settings.busy_timeout,
            since: Instant::now(),
        }
    }

    /// Returns the shard of `home`, opening it if need be.
    pub(crate) async fn of(&self, home: Home) -> Result<Arc<OpenShard>, StoreError> {
        self.open(self.shard_of(home)).await
    }

    /// Returns the shard of `home`, unless nothing was ever written to it.
    pub(crate) async fn existing(&self, home: Home) -> Result<Option<Arc<OpenShard>>, StoreError> {
        let shard = self.shard_of(home);
        self.ownership.check(shard)?;
        if self.folder.has(shard) { Ok(Some(self.open(shard).await?)) } else { Ok(None) }
    }

    /// Returns a shard, unless nothing was ever written to it.
    pub(crate) async fn if_existing(
        &self,
        shard: StoreShard,
    ) -> Result<Option<Arc<OpenShard>>, StoreError> {
        if shard.0 < self.count() {
            self.ownership.check(shard)?;
        }
        if self.has(shard) { Ok(Some(self.open(shard).await?)) } else { Ok(None) }
    }

    /// Returns whether a shard is ours and was ever written to.
    pub(crate) fn has(&self, shard: StoreShard) -> bool {
        self.slots.len() > shard.0 as usize
            && self.ownership.is_here(shard)
            && self.folder.has(shard)
    }

    /// Returns the record of where each shard is.
    pub(crate) fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    pub(crate) fn key(&self) -> Option<&FileKey> {
        self.opening.key.as_ref()
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.slots.len()).expect("the count was a u32")
    }

    /// Returns how a shard of ours stands.
    pub(crate) fn condition(&self, shard: StoreShard) -> &Condition {
        &self.slot(shard).condition
    }

    /// Closes a shard unless it is in use.
    pub(crate) async fn close(&self, shard: StoreShard) {
        close(self.slot(shard)).await;
    }

    /// Returns whether a shard is open now.
    pub(crate) async fn is_open(&self, shard: StoreShard) -> bool {
        self.slot(shard).open.read().await.is_some()
    }

    /// Returns every shard of this store that was ever written to.
    pub(crate) fn all_existing(&self) -> Vec<StoreShard> {
        let mut shards = self.ownership.here();
        shards.retain(|shard| self.folder.has(*shard));
        shards
    }

    /// Returns the shards that are open now.
    pub(crate) async fn all_open(&self) -> Vec<Arc<OpenShard>> {
        let mut open = Vec::new();
        for slot in &self.slots {
            open.extend(slot.open.read().await.clone());
        }
        open
    }

    /// Returns a shard, opening it if need be.
    pub(crate) async fn open(&self, shard: StoreShard) -> Result<Arc<OpenShard>, StoreError> {
        let slot = self.slot(shard);
        self.ownership.check(shard)?;
        slot.condition.may_open()?;
        if let Some(open) = self.if_open(shard).await {
            return Ok(open);
        }
        let mut open = slot.open.write().await;
        // It may have gone elsewhere meanwhile.
        self.ownership.check(shard)?;
        if let Some(open) = &*open {
            return Ok(Arc::clone(open));
        }
        let place = self.place().await?;
        let path = self.folder.shard(shard);
        let condition = Arc::clone(&slot.condition);
        let gate = Arc::clone(&slot.gate);
        let opened = OpenShard::open(shard, &path, &self.opening, condition, gate, place)
            .await
            .map_err(|source| StoreError::ShardClosed { shard, source });
        let opened = slot.condition.note(opened, false)?;
        tracing::debug!(store_shard = %shard, "opened {shard}");
        Ok(Arc::clone(open.insert(Arc::new(opened))))
    }

    /// Holds writes to a shard back, once those under way are done.
    pub(crate) async fn hold(&self, shard: StoreShard) -> Result<Held, StoreError> {
        let slot = self.slots.get(shard.0 as usize).ok_or(StoreError::NoShard { shard })?;
        Ok(Held { shard, _gate: Arc::clone(&slot.gate).write_owned().await })
    }

    /// Writes a shard's file anew, without its free pages and the unused parts of others. Writes wait
    /// meanwhile, reads do not; it takes as much room on the disk as the file, and little memory.
    pub(crate) async fn rewrite(&self, shard: StoreShard) -> Result<(), StoreError> {
        let held = self.hold(shard).await?;
        self.ownership.check(shard)?;
        self.slot(shard).condition.may_open()?;
        let (path, key, work) = (self.folder.shard(shard), self.key().cloned(), self.folder.work());
        let written = blocking(move || maintenance::write_anew(&path, key.as_ref(), &work)).await?;
        self.replace(&held, &written).await
    }

    /// Puts a file in the place of a shard's, once nobody uses that: callers wait meanwhile, and those
    /// whose writes were held back write to the new one.
    pub(crate) async fn replace(&self, held: &Held, by: &Path) -> Result<(), StoreError> {
        let shard = held.shard;
        let failed =
            |source| StoreError::from(BackupError::Io { path: self.folder.shard(shard), source });
        self.ownership.check(shard)?;
        let closed = self.close_held(held).await?;
        self.folder.replace(shard, by).map_err(failed)?;
        self.slot(shard).condition.reset();
        drop(closed);
        Ok(())
    }

    /// Closes a shard's file once nobody uses it: callers wait as long as what this returns lives.
    pub(crate) async fn close_held(&self, held: &Held) -> Result<Closed<'_>, StoreError> {
        let slot = self.slot(held.shard);
        let deadline = Instant::now() + REPLACE_PATIENCE;
        let mut open = slot.open.write().await;
        // Given up, or dropped by a caller who is gone: the file is in use as before.
        let _retiring = open.as_ref().map(|used| used.retire());
        while let Some(used) = open.take() {
            match Arc::try_unwrap(used) {
                Ok(unused) => unused.close().await,
                Err(used) => {
                    *open = Some(used);
                    if Instant::now() >= deadline {
                        return Err(StoreError::ShardsBusy);
                    }
                    tokio::time::sleep(PLACE_RETRY).await;
                }
            }
        }
        Ok(Closed { _open: open })
    }

    /// Closes the shards that were not asked for since `unused_for`, and are not in use.
    pub(crate) async fn close_unused(&self, unused_for: Duration) {
        let now = self.now();
        let unused_for = u64::try_from(unused_for.as_millis()).unwrap_or(u64::MAX);
        for slot in &self.slots {
            let unused = now.saturating_sub(slot.used_at.load(Ordering::Relaxed));
            if unused >= unused_for {
                close(slot).await;
            }
            if let Ok(open) = slot.open.try_read()
                && let Some(open) = &*open
            {
                open.close_unused_readers();
            }
        }
    }

    /// Returns the shard that is home to `home`.
    pub(crate) fn shard_of(&self, home: Home) -> StoreShard {
        home.store_shard(self.count())
    }

    fn slot(&self, shard: StoreShard) -> &Slot {
        &self.slots[shard.0 as usize]
    }

    async fn if_open(&self, shard: StoreShard) -> Option<Arc<OpenShard>> {
        let slot = self.slot(shard);
        slot.used_at.store(self.now(), Ordering::Relaxed);
        slot.open.read().await.clone()
    }

    /// Returns a place for one more open shard, if need be that of the one unused for longest.
    async fn place(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let deadline = Instant::now() + self.busy_timeout;
        loop {
            if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                return Ok(place);
            }
            if self.close_least_used().await {
                continue;
            }
            if Instant::now() >= deadline {
                return Err(StoreError::ShardsBusy);
            }
            tokio::time::sleep(PLACE_RETRY).await;
        }
    }

    async fn close_least_used(&self) -> bool {
        let mut slots: Vec<&Slot> = self.slots.iter().collect();
        slots.sort_by_key(|slot| slot.used_at.load(Ordering::Relaxed));
        for slot in slots {
            if close(slot).await {
                return true;
            }
        }
        false
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Closes a shard unless it is in use. Whoever asks for it meanwhile waits, and opens it again.
async fn close(slot: &Slot) -> bool {
    // Never waits for a slot: whoever opens one may be here for want of a place.
    let Ok(mut open) = slot.open.try_write() else { return false };
    let Some(shard) = open.take() else { return false };
    match Arc::try_unwrap(shard) {
        Ok(shard) => {
            shard.close().await;
            true
        }
        Err(in_use) => {
            *open = Some(in_use);
            false
        }
    }
}
