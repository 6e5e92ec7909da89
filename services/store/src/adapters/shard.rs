use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::Connection;
use sqlx::{SqlitePool, sqlite::SqlitePoolOptions};
use tokio::sync::{OwnedSemaphorePermit, RwLock, RwLockReadGuard, watch};
use tracing::Instrument;

use ery_group_commit::{FileKey, Writer};
use ery_ids::StoreShard;

use crate::{
    adapters::{
        arrivals::Arrivals,
        caches::{Caches, Share},
        condition::Condition,
        migrations::{self, connect_options},
        quick_readers::QuickReaders,
        write_messages,
    },
    blocking::blocking,
    error::{FileError, StoreError},
    metrics::Metrics,
};

/// How much of a file each of its readers keeps in memory.
const READER_CACHE_KIB: u32 = 256;

/// How long a reader stays open unused.
const READER_IDLE: Duration = Duration::from_mins(1);

/// How a shard file is opened.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) key: Option<FileKey>,
    pub(crate) readers: u32,
    pub(crate) busy_timeout: Duration,
    pub(crate) metrics: Metrics,
    /// Of the quick readers of all shards.
    pub(crate) reader_caches: Caches,
    /// Of the writers of all shards.
    pub(crate) writer_caches: Caches,
}

/// One shard file, open: its one writer, and those that read beside it.
#[derive(Debug)]
pub(crate) struct OpenShard {
    writer: Writer,
    writer_cache: Arc<Share>,
    readers: SqlitePool,
    quick: QuickReaders,
    arrivals: Arrivals,
    condition: Arc<Condition>,
    /// Every write passes it; who holds it for writing holds writes back.
    gate: Arc<RwLock<()>>,
    /// Another file is taking this one's place.
    retired: watch::Sender<bool>,
    shard: StoreShard,
    place: Place,
}

/// One of the places for open shards, and its share in their count.
#[derive(Debug)]
struct Place {
    metrics: Metrics,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn take(metrics: Metrics, permit: OwnedSemaphorePermit) -> Self {
        metrics.shard_opened();
        Self { metrics, _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.shard_closed();
    }
}

/// An open file that is about to be closed.
pub(crate) struct Retiring(watch::Sender<bool>);

impl Drop for Retiring {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

impl OpenShard {
    /// Opens a shard's file, creating it if need be, with its tables up to date.
    pub(crate) async fn open(
        shard: StoreShard,
        path: &Path,
        opening: &Opening,
        condition: Arc<Condition>,
        gate: Arc<RwLock<()>>,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, FileError> {
        let key = opening.key.as_ref();
        let connection = open_for_writing(path, key).await?;
        let migrating = migrations::migrate(path, key, migrations::SHARD).await?;
        sqlx::Connection::close(migrating)
            .await
            .map_err(|source| FileError::Connect { path: path.to_owned(), source })?;
        let (metrics, writer_cache) =
            (opening.metrics.clone(), Arc::new(opening.writer_caches.join()));
        writer_cache
            .apply(&connection)
            .map_err(|source| FileError::Prepare { path: path.to_owned(), source })?;
        let cache = Arc::clone(&writer_cache);
        let committed = move |connection: &Connection, group| {
            metrics.committed(group);
            resize(&cache, connection);
        };
        let index = write_messages::index_new;
        let writer = Writer::start_observed(connection, &shard.to_string(), index, committed)
            .map_err(|source| FileError::Thread { path: path.to_owned(), source })?;
        let options = connect_options(path, key)
            .read_only(true)
            .pragma("cache_size", format!("-{READER_CACHE_KIB}"))
            .busy_timeout(opening.busy_timeout)
            .thread_name(move |id| format!("{shard}-reader-{id}"));
        let readers = SqlitePoolOptions::new()
            .max_connections(opening.readers)
            .acquire_timeout(opening.busy_timeout)
            .idle_timeout(READER_IDLE)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(options);
        let quick = QuickReaders::new(
            path,
            key,
            opening.readers,
            opening.busy_timeout,
            opening.reader_caches.clone(),
        );
        let place = Place::take(opening.metrics.clone(), permit);
        let (arrivals, retired) = (Arrivals::default(), watch::Sender::new(false));
        Ok(Self {
            writer,
            writer_cache,
            readers,
            quick,
            arrivals,
            condition,
            gate,
            retired,
            shard,
            place,
        })
    }

    /// Runs `request` in a savepoint of its own, and answers once it is durable.
    ///
    /// [`StoreError::Replaced`]: it was held back, and another file is in this one's place; nothing was
    /// run.
    pub(crate) async fn write<T, F>(&self, request: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let span = ery_trace::within(|| {
            tracing::info_span!("store.shard.write", store_shard = self.shard.0)
        });
        let write = async {
            let _turn = self.turn().await?;
            self.condition.may_write()?;
            let place = ery_trace::Place::here();
            let request = move |connection: &Connection| {
                let _there = place.enter();
                request(connection)
            };
            let result = self.writer.write(request).await.map_err(StoreError::from);
            self.condition.note(result, true)
        };
        write.instrument(span).await
    }

    /// Waits while writes are held back.
    async fn turn(&self) -> Result<RwLockReadGuard<'_, ()>, StoreError> {
        let replaced = || StoreError::Replaced { shard: self.shard };
        let mut retired = self.retired.subscribe();
        tokio::select! {
            biased;
            _ = retired.wait_for(|is_retired| *is_retired) => Err(replaced()),
            turn = self.gate.read() => {
                if *self.retired.borrow() { Err(replaced()) } else { Ok(turn) }
            }
        }
    }

    /// Has whoever waits to write look for the file that takes this one's place, until what this
    /// returns is dropped: then this file is the one again, if it is still open.
    pub(crate) fn retire(&self) -> Retiring {
        self.retired.send_replace(true);
        Retiring(self.retired.clone())
    }

    /// Runs `work` on the writing connection, with no transaction around it.
    pub(crate) async fn alone<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let result = self.writer.alone(work).await.map_err(StoreError::from);
        self.condition.note(result, false)
    }

    /// Waits for a read, and takes note of what it tells of the file.
    pub(crate) async fn read<T>(
        &self,
        read: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let result = read.await;
        self.condition.note(result, false)
    }

    /// Runs `read` on a connection for quick reads, and takes note of what it tells of the file.
    pub(crate) async fn read_quickly<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.read(self.quick.read(read)).await
    }

    /// Has the writer keep no more of the file than its share, though nothing may be written there.
    pub(crate) async fn share_memory(&self) {
        if self.writer_cache.has_changed() {
            let cache = Arc::clone(&self.writer_cache);
            let resized = self.alone(move |connection| {
                resize(&cache, connection);
                Ok(())
            });
            // A writer that has ended keeps nothing; anything else is noted.
            resized.await.ok();
        }
    }

    /// Closes connections for quick reads that nobody has used for a while.
    pub(crate) fn close_unused_readers(&self) {
        self.quick.close_unused(READER_IDLE);
    }

    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    pub(crate) fn arrivals(&self) -> &Arrivals {
        &self.arrivals
    }

    /// Closes the readers, then the writer, which leaves everything in the file itself.
    pub(crate) async fn close(self) {
        let Self { writer, readers, quick, place, .. } = self;
        readers.close().await;
        quick.close().await;
        writer.close().await;
        drop(place);
    }
}

/// Opens a file for its one writer, creating it if need be.
pub(crate) async fn open_for_writing(
    path: &Path,
    key: Option<&FileKey>,
) -> Result<Connection, FileError> {
    let (path, key) = (path.to_owned(), key.cloned());
    blocking(move || connect(path, key.as_ref())).await
}

fn connect(path: PathBuf, key: Option<&FileKey>) -> Result<Connection, FileError> {
    ery_group_commit::open(&path, key).map_err(|error| {
        if error.is_about_key() {
            FileError::Key(error)
        } else {
            FileError::Writer { path, source: error }
        }
    })
}

/// Has a writer keep no more of its file than its share.
fn resize(cache: &Share, connection: &Connection) {
    if let Err(error) = cache.apply(connection) {
        tracing::debug!(%error, "a writer's cache keeps its size");
    }
}
