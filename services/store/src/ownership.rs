//! Which shards are this store's: its own durable record is the truth, and nothing else is asked.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use ery_ids::StoreShard;

use crate::{
    adapters::folder::Folder,
    error::{OpenError, StoreError},
};

/// The record's file in the store's folder.
const FILE: &str = "owned.json";

/// The epoch of a shard that was never moved.
const FIRST_EPOCH: u64 = 1;

/// Where a shard is, as its record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(crate) enum Standing {
    Here,
    /// Whoever it goes to may own it already: nobody is served before that one has said so.
    Moving {
        to: String,
        transfer: String,
    },
    Gone {
        to: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    epoch: u64,
    #[serde(flatten)]
    standing: Standing,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    name: String,
    /// Whose the shards were at first that stand nowhere below.
    founder: String,
    shards: BTreeMap<u32, Entry>,
}

impl Record {
    fn entry(&self, shard: StoreShard) -> Entry {
        if let Some(entry) = self.shards.get(&shard.0) {
            return entry.clone();
        }
        if self.founder == self.name {
            Entry { epoch: FIRST_EPOCH, standing: Standing::Here }
        } else {
            Entry { epoch: 0, standing: Standing::Gone { to: self.founder.clone() } }
        }
    }
}

/// The record of this store, in memory and in its folder.
#[derive(Debug)]
pub(crate) struct Ownership {
    folder: PathBuf,
    record: Mutex<Record>,
    shards: u32,
}

impl Ownership {
    /// Reads the record. A folder without one is the founder's, unless it is new and another is named.
    pub(crate) fn open(
        folder: &Folder,
        is_new: bool,
        name: &str,
        founder: Option<&str>,
        shards: u32,
    ) -> Result<Self, OpenError> {
        let path = folder.path().join(FILE);
        let io = |source| OpenError::Io { path: path.clone(), source };
        let record = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| io(error.into()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Record {
                name: name.to_owned(),
                founder: founder.filter(|_| is_new).unwrap_or(name).to_owned(),
                shards: BTreeMap::new(),
            },
            Err(error) => return Err(io(error)),
        };
        if record.name != name {
            let folder = folder.path().to_owned();
            return Err(OpenError::OtherName {
                folder,
                is: record.name,
                configured: name.to_owned(),
            });
        }
        let ownership =
            Self { folder: folder.path().to_owned(), record: Mutex::new(record), shards };
        // Before anything is written: afterwards the folder is not new.
        let record = ownership.lock().clone();
        ownership.place(&record).and_then(|()| ownership.sync()).map_err(io)?;
        Ok(ownership)
    }

    /// Returns whether this is the store that began with every shard.
    pub(crate) fn is_founder(&self) -> bool {
        let record = self.lock();
        record.founder == record.name
    }

    pub(crate) fn name(&self) -> String {
        self.lock().name.clone()
    }

    /// Returns where a shard is, and under which epoch.
    pub(crate) fn standing(&self, shard: StoreShard) -> (Standing, u64) {
        let entry = self.lock().entry(shard);
        (entry.standing, entry.epoch)
    }

    /// Refuses a call for a shard that is elsewhere, and says where.
    pub(crate) fn check(&self, shard: StoreShard) -> Result<(), StoreError> {
        match self.lock().entry(shard).standing {
            Standing::Here => Ok(()),
            Standing::Moving { to, .. } => Err(StoreError::Moving { shard, to }),
            Standing::Gone { to } => {
                Err(StoreError::Elsewhere { shard, shards: self.shards, owner: to })
            }
        }
    }

    pub(crate) fn is_here(&self, shard: StoreShard) -> bool {
        self.lock().entry(shard).standing == Standing::Here
    }

    /// Returns the shards that are here.
    pub(crate) fn here(&self) -> Vec<StoreShard> {
        let record = self.lock();
        let all = (0..self.shards).map(StoreShard);
        all.filter(|shard| record.entry(*shard).standing == Standing::Here).collect()
    }

    /// Returns the shards that are on their way, to whom, and by which transfer.
    pub(crate) fn moving(&self) -> Vec<(StoreShard, String, String, u64)> {
        let record = self.lock();
        let moving = record.shards.iter().filter_map(|(shard, entry)| match &entry.standing {
            Standing::Moving { to, transfer } => {
                Some((StoreShard(*shard), to.clone(), transfer.clone(), entry.epoch))
            }
            Standing::Here | Standing::Gone { .. } => None,
        });
        moving.collect()
    }

    /// Writes down where a shard is; durable when this answers. Blocks the thread for a sync.
    pub(crate) fn set(
        &self,
        shard: StoreShard,
        standing: Standing,
        epoch: u64,
    ) -> Result<(), StoreError> {
        let mut record = self.lock();
        let mut changed = record.clone();
        changed.shards.insert(shard.0, Entry { epoch, standing });
        let failed = |source| StoreError::Record { shard, source };
        self.place(&changed).map_err(failed)?;
        // What the folder says counts from here on, even if it cannot be made durable.
        *record = changed;
        self.sync().map_err(failed)
    }

    fn place(&self, record: &Record) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(self.folder.join("work"))?;
        serde_json::to_writer_pretty(&mut file, record)?;
        file.flush()?;
        file.as_file().sync_all()?;
        file.persist(self.folder.join(FILE)).map_err(|error| error.error)?;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        // It is replaced as a whole.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(data: &std::path::Path, name: &str, founder: Option<&str>) -> Ownership {
        let folder = Folder::hold(data).unwrap();
        folder.prepare_work().unwrap();
        let is_new = !folder.path().join("owned.json").exists();
        Ownership::open(&folder, is_new, name, founder, 4).unwrap()
    }

    #[test]
    fn the_founder_has_every_shard_at_first_and_others_know_whose_they_are() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (a, b) = (open(a.path(), "a", Some("a")), open(b.path(), "b", Some("a")));
        assert_eq!((a.here().len(), b.here().len()), (4, 0));
        let refused = b.check(StoreShard(2)).unwrap_err();
        assert!(matches!(refused, StoreError::Elsewhere { owner, .. } if owner == "a"));
    }

    #[test]
    fn what_was_written_down_holds_when_it_is_opened_again() {
        let data = tempfile::tempdir().unwrap();
        let record = open(data.path(), "a", None);
        let moving = Standing::Moving { to: "b".to_owned(), transfer: "t".to_owned() };
        record.set(StoreShard(1), moving, 1).unwrap();
        record.set(StoreShard(2), Standing::Gone { to: "b".to_owned() }, 2).unwrap();
        drop(record);
        let record = open(data.path(), "a", None);
        assert_eq!(record.here(), [StoreShard(0), StoreShard(3)]);
        assert_eq!(record.moving(), [(StoreShard(1), "b".to_owned(), "t".to_owned(), 1)]);
        assert!(matches!(record.check(StoreShard(1)), Err(StoreError::Moving { .. })));
    }

    #[test]
    fn a_folder_keeps_its_name() {
        let data = tempfile::tempdir().unwrap();
        drop(open(data.path(), "a", None));
        let folder = Folder::hold(data.path()).unwrap();
        folder.prepare_work().unwrap();
        let refused = Ownership::open(&folder, false, "b", None, 4).unwrap_err();
        assert!(matches!(refused, OpenError::OtherName { is, .. } if is == "a"));
    }
}
