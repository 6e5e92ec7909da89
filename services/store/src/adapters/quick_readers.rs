//! Connections for what must be read quickly: a read is one hop to a thread and back, and not one for
//! each of its rows.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rusqlite::Connection;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use ery_group_commit::{FileKey, open_read_only};

use crate::{
    blocking::blocking,
    error::{BackupError, StoreError},
};

/// How much of their files all of them keep in memory together, while more than the least of each.
const CACHES_KIB: usize = 32 << 10;

/// How much of a file one of them keeps: with the upper levels of its trees at hand, a read decrypts
/// hardly more than the rows that it is for.
const CACHE_KIB: std::ops::RangeInclusive<usize> = 256..=4_096;

/// How many statements of each stay prepared.
const STATEMENTS: usize = 16;

/// How many readers of all files are open, which share the memory for caches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caches(Arc<AtomicUsize>);

impl Caches {
    /// Returns how much one reader may keep now.
    fn share_kib(&self) -> usize {
        let open = self.0.load(Ordering::Relaxed).max(1);
        (CACHES_KIB / open).clamp(*CACHE_KIB.start(), *CACHE_KIB.end())
    }
}

/// The quick readers of one file, opened as they are needed.
#[derive(Debug)]
pub(crate) struct QuickReaders {
    inner: Arc<Inner>,
    places: Arc<Semaphore>,
    count: u32,
    busy_timeout: Duration,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    key: Option<FileKey>,
    caches: Caches,
    /// The one used last comes last.
    unused: Mutex<Vec<Reader>>,
}

#[derive(Debug)]
struct Reader {
    connection: Connection,
    cache_kib: usize,
    used_at: Instant,
    caches: Caches,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.caches.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl QuickReaders {
    pub(crate) fn new(
        path: &Path,
        key: Option<&FileKey>,
        count: u32,
        busy_timeout: Duration,
        caches: Caches,
    ) -> Self {
        let inner =
            Inner { path: path.to_owned(), key: key.cloned(), caches, unused: Mutex::default() };
        let places = Arc::new(Semaphore::new(count as usize));
        Self { inner: Arc::new(inner), places, count, busy_timeout }
    }

    /// Runs `read` on a reader of its own.
    ///
    /// Dropping the future does not end a read that has begun.
    pub(crate) async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let place = tokio::time::timeout(self.busy_timeout, self.place()).await;
        let place = place.map_err(|_| StoreError::ReadersBusy)??;
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            let mut reader = inner.take().map_err(of_a_read)?;
            let result = read(&reader.connection);
            reader.used_at = Instant::now();
            // One that failed may be of a file that is damaged, or gone.
            if result.is_ok() {
                inner.unused().push(reader);
            }
            drop(place);
            result.map_err(of_a_read)
        })
        .await
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        // Never closed while somebody holds the shard open.
        Arc::clone(&self.places).acquire_owned().await.map_err(|_| StoreError::ReadersBusy)
    }

    /// Closes those that were not used since `unused_for`.
    pub(crate) fn close_unused(&self, unused_for: Duration) {
        let now = Instant::now();
        self.inner.unused().retain(|reader| now.duration_since(reader.used_at) < unused_for);
    }

    /// Closes all of them, once the reads under way have ended.
    pub(crate) async fn close(self) {
        let ended = self.places.acquire_many(self.count).await;
        self.inner.unused().clear();
        drop(ended);
    }
}

fn of_a_read(error: StoreError) -> StoreError {
    match error {
        StoreError::Write(error) => StoreError::QuickRead(error),
        error => error,
    }
}

impl Inner {
    fn take(&self) -> Result<Reader, StoreError> {
        let unused = self.unused().pop();
        let mut reader = match unused {
            Some(reader) => reader,
            None => self.open()?,
        };
        let share = self.caches.share_kib();
        if reader.cache_kib != share {
            reader.connection.pragma_update(None, "cache_size", format!("-{share}"))?;
            reader.cache_kib = share;
        }
        Ok(reader)
    }

    fn open(&self) -> Result<Reader, StoreError> {
        let connection =
            open_read_only(&self.path, self.key.as_ref()).map_err(BackupError::Open)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        self.caches.0.fetch_add(1, Ordering::Relaxed);
        let caches = self.caches.clone();
        Ok(Reader { connection, cache_kib: 0, used_at: Instant::now(), caches })
    }

    fn unused(&self) -> std::sync::MutexGuard<'_, Vec<Reader>> {
        // It is changed by whole readers.
        self.unused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
