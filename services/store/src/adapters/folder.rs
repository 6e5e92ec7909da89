use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use ery_ids::StoreShard;

use crate::error::OpenError;

/// The folder of the store's files, held by this process alone.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Locked as long as it lives; the system lets go of it when the process dies.
    _lock: File,
}

impl Folder {
    /// Takes `<data_dir>/store`, making it if need be.
    pub(crate) fn hold(data_dir: &Path) -> Result<Self, OpenError> {
        let path = data_dir.join("store");
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { path, source }
        };
        // What people wrote is nobody else's on this machine.
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(io(&path))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(io(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Held { folder: path }),
            Err(TryLockError::Error(source)) => Err(OpenError::Io { path: lock_path, source }),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn global(&self) -> PathBuf {
        self.path.join("global.db")
    }

    pub(crate) fn shard(&self, shard: StoreShard) -> PathBuf {
        self.path.join(format!("{shard}.db"))
    }

    /// Returns whether the shard's file was ever made.
    pub(crate) fn has(&self, shard: StoreShard) -> bool {
        fs::exists(self.shard(shard)).unwrap_or(true)
    }
}
