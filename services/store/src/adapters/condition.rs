use std::{
    error::Error,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::ErrorCode;
use tokio::time::Instant;

use ery_ids::StoreShard;

use crate::{
    error::{FileError, StoreError},
    metrics::Metrics,
};

/// After what time a shard whose disk refused a write tries one again.
const PROBE: Duration = Duration::from_secs(1);

/// How a shard's file stands, as the last calls found it.
#[derive(Debug)]
pub(crate) struct Condition {
    shard: StoreShard,
    state: Mutex<State>,
    metrics: Metrics,
}

#[derive(Clone, Debug)]
pub(crate) enum State {
    Sound,
    /// The disk refuses writes. One is let through from time to time, to see whether there is room.
    ReadOnly {
        reason: String,
        probe_at: Instant,
    },
    /// The file is damaged. Nothing touches it until it is restored, or found whole.
    Quarantined {
        reason: String,
    },
}

/// What an error tells of the file.
enum Fault {
    Disk(String),
    Damage(String),
}

impl Condition {
    pub(crate) fn new(shard: StoreShard, metrics: Metrics) -> Self {
        Self { shard, state: Mutex::new(State::Sound), metrics }
    }

    pub(crate) fn state(&self) -> State {
        self.lock().clone()
    }

    /// Refuses every call for a damaged file.
    pub(crate) fn may_open(&self) -> Result<(), StoreError> {
        match &*self.lock() {
            State::Sound | State::ReadOnly { .. } => Ok(()),
            State::Quarantined { reason } => {
                Err(StoreError::Quarantined { shard: self.shard, reason: reason.clone() })
            }
        }
    }

    /// Refuses a write where the disk refused one just before.
    pub(crate) fn may_write(&self) -> Result<(), StoreError> {
        match &mut *self.lock() {
            State::Sound => Ok(()),
            State::ReadOnly { probe_at, .. } if *probe_at <= Instant::now() => {
                *probe_at = Instant::now() + PROBE;
                Ok(())
            }
            State::ReadOnly { reason, .. } => {
                Err(StoreError::ReadOnly { shard: self.shard, reason: reason.clone() })
            }
            State::Quarantined { reason } => {
                Err(StoreError::Quarantined { shard: self.shard, reason: reason.clone() })
            }
        }
    }

    /// Takes note of what a call came to, and returns it.
    pub(crate) fn note<T>(
        &self,
        result: Result<T, StoreError>,
        is_write: bool,
    ) -> Result<T, StoreError> {
        match &result {
            Ok(_) if is_write => self.took_a_write(),
            Ok(_) => {}
            Err(error) => match fault(error) {
                Some(Fault::Disk(reason)) => self.turn_read_only(reason),
                Some(Fault::Damage(reason)) => self.quarantine(&reason),
                None => {}
            },
        }
        result
    }

    /// Has the file served again: it was found whole, or another is in its place.
    pub(crate) fn reset(&self) {
        let shard = self.shard;
        let before = std::mem::replace(&mut *self.lock(), State::Sound);
        match before {
            State::Sound => return,
            State::ReadOnly { .. } => self.metrics.read_only_shards(-1),
            State::Quarantined { .. } => self.metrics.quarantined_shards(-1),
        }
        tracing::info!(store_shard = %shard, "{shard} is served again");
    }

    fn took_a_write(&self) {
        let shard = self.shard;
        let mut state = self.lock();
        if let State::ReadOnly { .. } = *state {
            *state = State::Sound;
            self.metrics.read_only_shards(-1);
            tracing::info!(store_shard = %shard, "{shard} takes writes again");
        }
    }

    fn turn_read_only(&self, reason: String) {
        let shard = self.shard;
        let mut state = self.lock();
        let probe_at = Instant::now() + PROBE;
        match &mut *state {
            State::Sound => {
                tracing::error!(
                    store_shard = %shard, reason,
                    "{shard} is read-only: the disk refuses writes; make room, and it goes on"
                );
                self.metrics.read_only_shards(1);
                *state = State::ReadOnly { reason, probe_at };
            }
            State::ReadOnly { probe_at: next, .. } => *next = probe_at,
            State::Quarantined { .. } => {}
        }
    }

    pub(crate) fn quarantine(&self, reason: &str) {
        let shard = self.shard;
        let mut state = self.lock();
        match *state {
            State::Quarantined { .. } => return,
            State::ReadOnly { .. } => self.metrics.read_only_shards(-1),
            State::Sound => {}
        }
        tracing::error!(
            store_shard = %shard, reason,
            "{shard} is damaged and serves no call; restore it, or see `ery ctl store check`"
        );
        self.metrics.quarantined_shards(1);
        *state = State::Quarantined { reason: reason.to_owned() };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fault(error: &StoreError) -> Option<Fault> {
    match error {
        StoreError::Write(error) => of_rusqlite(error),
        StoreError::Read(error) => of_sqlx(error),
        StoreError::QuickRead(error) => of_rusqlite(error).filter(Fault::is_damage),
        StoreError::ShardClosed { source, .. } => of_file(source),
        _ => None,
    }
}

fn of_file(error: &FileError) -> Option<Fault> {
    match error {
        FileError::Writer {
            source: ery_group_commit::OpenError::Sqlite { source, .. }, ..
        }
        | FileError::Prepare { source, .. } => of_rusqlite(source).filter(Fault::is_damage),
        FileError::Connect { source, .. } => of_sqlx(source).filter(Fault::is_damage),
        FileError::Migrate { source, .. } => {
            let cause = source.source().and_then(|cause| cause.downcast_ref::<sqlx::Error>());
            cause.and_then(of_sqlx).filter(Fault::is_damage)
        }
        // The other files of the store open under this key: this one is no database of it.
        FileError::Key(error) => Some(Fault::Damage(error.to_string())),
        _ => None,
    }
}

impl Fault {
    fn is_damage(&self) -> bool {
        matches!(self, Self::Damage(_))
    }
}

fn of_rusqlite(error: &rusqlite::Error) -> Option<Fault> {
    match error.sqlite_error_code()? {
        ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::ReadOnly => {
            Some(Fault::Disk(error.to_string()))
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            Some(Fault::Damage(error.to_string()))
        }
        _ => None,
    }
}

fn of_sqlx(error: &sqlx::Error) -> Option<Fault> {
    let database = error.as_database_error()?;
    let code: i32 = database.code()?.parse().ok()?;
    // Source: SQLite, Result and Error Codes: the low byte of an extended code is its primary one.
    // A read that fails on a full disk says nothing of writes, which will tell for themselves.
    match code & 0xff {
        11 | 26 => Some(Fault::Damage(database.message().to_owned())),
        _ => None,
    }
}
