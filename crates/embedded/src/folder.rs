use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use ery_clock::{Clock, SystemClock};
use ery_group_commit::{FileKey, Rekey, RekeyError, Rekeyed};

use crate::{
    BusOptions, DatabaseError, EmbeddedBudgets, EmbeddedBus, EmbeddedMembership, EmbeddedQueue,
    QueueOptions,
};

const QUEUE_FILE: &str = "queue.db";
const BUS_FILE: &str = "bus.db";

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("the data folder `{path}` is in use by another process")]
    InUse { path: String },
    #[error("could not prepare the data folder `{path}`")]
    Io {
        path: String,
        #[source]
        source: io::Error,
    },
}

/// One data folder, which no other process uses while this or an adapter made from it lives.
#[derive(Clone, Debug)]
pub struct EmbeddedFolder {
    path: PathBuf,
    key: Option<FileKey>,
    clock: Arc<dyn Clock>,
    lock: FolderLock,
}

/// Keeps other processes out of the folder until the last copy is dropped.
#[derive(Clone, Debug)]
pub(crate) struct FolderLock {
    _file: Arc<File>,
}

impl EmbeddedFolder {
    /// Opens a data folder, creating it if need be, and locks it by its file `lock`.
    ///
    /// # Errors
    ///
    /// [`FolderError::InUse`] if another process has it, or this one already.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FolderError> {
        let path = path.as_ref();
        let io = |source| FolderError::Io { path: path.display().to_string(), source };
        std::fs::create_dir_all(path).map_err(io)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("lock"))
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(FolderError::InUse { path: path.display().to_string() });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        Ok(Self {
            path: path.to_owned(),
            key: None,
            clock: Arc::new(SystemClock),
            lock: FolderLock { _file: Arc::new(file) },
        })
    }

    /// Encrypts the files of the queue and of the bus under `key`.
    #[must_use]
    pub fn with_key(mut self, key: Option<FileKey>) -> Self {
        self.key = key;
        self
    }

    /// Gives the files of the queue and of the bus another key, and returns how many were changed.
    /// Blocks the thread.
    ///
    /// # Errors
    ///
    /// If a file cannot be written anew, or is in use: it is as it was.
    pub fn rekey(&self, keys: &Rekey) -> Result<usize, RekeyError> {
        let mut changed = 0;
        for file in [QUEUE_FILE, BUS_FILE] {
            if ery_group_commit::rekey(&self.path.join(file), keys)? == Rekeyed::Changed {
                changed += 1;
            }
        }
        Ok(changed)
    }

    /// Takes the time of day from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Returns the folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the channel queue in `queue.db`. Open it once, and share it.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened or read.
    pub async fn queue(&self, options: QueueOptions) -> Result<EmbeddedQueue, DatabaseError> {
        EmbeddedQueue::open(
            self.path.join(QUEUE_FILE),
            self.key.clone(),
            Arc::clone(&self.clock),
            self.lock.clone(),
            options,
        )
        .await
    }

    /// Opens the event bus in `bus.db`. Open it once, and share it.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened or read.
    pub async fn bus(&self, options: BusOptions) -> Result<EmbeddedBus, DatabaseError> {
        EmbeddedBus::open(
            self.path.join(BUS_FILE),
            self.key.clone(),
            Arc::clone(&self.clock),
            self.lock.clone(),
            options,
        )
        .await
    }

    /// Makes the membership of this process, in memory.
    pub fn membership(&self) -> EmbeddedMembership {
        EmbeddedMembership::default()
    }

    /// Makes the budgets of this process, in memory.
    pub fn budgets(&self) -> EmbeddedBudgets {
        EmbeddedBudgets::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_refused_by_name() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("data");
        let folder = EmbeddedFolder::open(&path).unwrap();
        let refusal = EmbeddedFolder::open(&path).unwrap_err();
        assert!(matches!(refusal, FolderError::InUse { .. }));
        assert!(refusal.to_string().contains(path.to_str().unwrap()), "{refusal}");
        drop(folder);
        EmbeddedFolder::open(&path).unwrap();
    }

    #[test]
    fn a_path_that_is_no_folder_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("file");
        std::fs::write(&path, "text").unwrap();
        assert!(matches!(EmbeddedFolder::open(&path), Err(FolderError::Io { .. })));
    }
}
