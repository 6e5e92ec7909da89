use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use tempfile::{NamedTempFile, TempPath};

use ery_group_commit::{FileKey, Rekey, Rekeyed, rekey};
use ery_ids::StoreShard;

use crate::{
    adapters::provider_keys,
    error::{OpenError, RekeyStoreError},
};

/// The folder for files of shards that turned out to be another store's.
const ASIDE: &str = "aside";

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

    /// Returns whether a store was ever made here.
    pub(crate) fn has_global(&self) -> bool {
        fs::exists(self.global()).unwrap_or(true)
    }

    pub(crate) fn shard(&self, shard: StoreShard) -> PathBuf {
        self.path.join(format!("{shard}.db"))
    }

    /// Empties the folder for files that are being made; a process before this one may have left some.
    pub(crate) fn prepare_work(&self) -> Result<(), OpenError> {
        let work = self.work();
        let io = |source| OpenError::Io { path: self.work(), source };
        if_there(fs::remove_dir_all(&work)).map_err(io)?;
        DirBuilder::new().mode(0o700).create(&work).map_err(io)
    }

    /// Returns the folder for files that are being made.
    pub(crate) fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// Puts a file in the place of a closed shard's.
    pub(crate) fn replace(&self, shard: StoreShard, by: &Path) -> io::Result<()> {
        let path = self.shard(shard);
        File::open(by)?.sync_all()?;
        // Logs first: beside another file they would be taken for that one's.
        remove_logs(&path)?;
        fs::rename(by, &path)?;
        self.sync()
    }

    /// Removes the file of a shard that is closed, if it is there.
    pub(crate) fn remove(&self, shard: StoreShard) -> io::Result<()> {
        let path = self.shard(shard);
        remove_logs(&path)?;
        if_there(fs::remove_file(&path))?;
        self.sync()
    }

    /// Takes the file of a shard that is closed out of its place, if it is there. What is returned removes
    /// it when it is dropped, which takes as long as the file is large.
    pub(crate) fn take_away(&self, shard: StoreShard) -> io::Result<Option<TempPath>> {
        let path = self.shard(shard);
        remove_logs(&path)?;
        let moved = tempfile::Builder::new().make_in(self.work(), |to| fs::rename(&path, to));
        let taken = if_there(moved)?.map(NamedTempFile::into_temp_path);
        self.sync()?;
        Ok(taken)
    }

    /// Puts the file of a closed shard aside, too, if it is there: it is not this store's, and no copy of
    /// it need be anywhere. Returns where it is; where it was it is still.
    pub(crate) fn put_aside(&self, shard: StoreShard, epoch: u64) -> io::Result<Option<PathBuf>> {
        let path = self.shard(shard);
        if !fs::exists(&path)? {
            return Ok(None);
        }
        let folder = self.path.join(ASIDE);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let free = (0_u32..).map(|count| folder.join(format!("{shard}-{epoch}-{count}.db")));
        let aside = free.into_iter().find(|aside| !aside.exists()).unwrap_or_default();
        if_there(fs::hard_link(path.with_extension("db-wal"), aside.with_extension("db-wal")))?;
        fs::hard_link(&path, &aside)?;
        File::open(&folder)?.sync_all()?;
        self.sync()?;
        Ok(Some(aside))
    }

    /// Returns the files that were put aside.
    pub(crate) fn aside(&self) -> Vec<PathBuf> {
        let Ok(files) = fs::read_dir(self.path.join(ASIDE)) else { return Vec::new() };
        let files = files.filter_map(|file| Some(file.ok()?.path()));
        files.filter(|file| file.extension().is_some_and(|extension| extension == "db")).collect()
    }

    /// Returns whether a change of the key was begun and not finished.
    pub(crate) fn is_rekeying(&self) -> bool {
        fs::exists(self.rekeying()).unwrap_or(true)
    }

    /// Gives every file another key, each as a whole, and returns how many were changed.
    ///
    /// While some have the old key and some the new one, a mark in the folder keeps the store closed.
    pub(crate) fn rekey(&self, keys: &Rekey) -> Result<usize, RekeyStoreError> {
        let io = |source| OpenError::Io { path: self.rekeying(), source };
        if keys.to.is_none() {
            self.refuse_keys_in_the_clear(&keys.from)?;
        }
        File::create(self.rekeying()).and_then(|mark| mark.sync_all()).map_err(io)?;
        self.sync().map_err(io)?;
        let mut changed = 0;
        for file in self.databases().map_err(io)? {
            if rekey(&file, keys)? == Rekeyed::Changed {
                changed += 1;
            }
        }
        fs::remove_file(self.rekeying()).map_err(io)?;
        self.sync().map_err(io)?;
        Ok(changed)
    }

    /// Invariant SEALED: no file that keeps a provider's key is written in the clear.
    fn refuse_keys_in_the_clear(&self, from: &[Option<FileKey>]) -> Result<(), RekeyStoreError> {
        let io = |source| OpenError::Io { path: self.path.clone(), source };
        for path in self.databases().map_err(io)? {
            // What no key fits is told of when its turn comes.
            let opened =
                from.iter().find_map(|key| ery_group_commit::open(&path, key.as_ref()).ok());
            let Some(connection) = opened else { continue };
            let read = |source| RekeyStoreError::Read { path: path.clone(), source };
            if provider_keys::is_any(&connection).map_err(read)? {
                return Err(RekeyStoreError::ProviderKeys { path });
            }
        }
        Ok(())
    }

    fn rekeying(&self) -> PathBuf {
        self.path.join("rekeying")
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// Returns every database file there is, in order.
    fn databases(&self) -> io::Result<Vec<PathBuf>> {
        let files = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.path()));
        let mut files = files.collect::<io::Result<Vec<_>>>()?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == "db"));
        files.sort();
        Ok(files)
    }

    /// Returns how large a shard's file is, and the log beside it.
    pub(crate) fn sizes(&self, shard: StoreShard) -> (u64, u64) {
        let size = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
        let file = self.shard(shard);
        (size(&file), size(&file.with_extension("db-wal")))
    }

    /// Returns whether the shard's file was ever made.
    pub(crate) fn has(&self, shard: StoreShard) -> bool {
        fs::exists(self.shard(shard)).unwrap_or(true)
    }
}

/// Removes the logs beside a closed database.
fn remove_logs(database: &Path) -> io::Result<()> {
    for log in ["db-wal", "db-shm"] {
        if_there(fs::remove_file(database.with_extension(log)))?;
    }
    Ok(())
}

/// Returns what was done with a file; none if it was not there.
fn if_there<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
