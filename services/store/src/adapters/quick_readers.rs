//! Connections for what must be read quickly: a read is one hop to a thread and back, and not one for
//! each of its rows.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::Connection;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use ery_group_commit::{FileKey, open_read_only};

use crate::{
    adapters::caches::{Caches, Share},
    blocking::blocking,
    error::{BackupError, StoreError},
};

/// How many statements of each stay prepared.
const STATEMENTS: usize = 16;

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
    cache: Share,
    used_at: Instant,
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
        let reader = match unused {
            Some(reader) => reader,
            None => self.open()?,
        };
        reader.cache.apply(&reader.connection)?;
        Ok(reader)
    }

    fn open(&self) -> Result<Reader, StoreError> {
        let connection =
            open_read_only(&self.path, self.key.as_ref()).map_err(BackupError::Open)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(Reader { connection, cache: self.caches.join(), used_at: Instant::now() })
    }

    fn unused(&self) -> std::sync::MutexGuard<'_, Vec<Reader>> {
        // It is changed by whole readers.
        self.unused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
