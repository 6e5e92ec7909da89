//! A shard's file that stays as it is while others write: what they write stays in its log.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufReader, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use rusqlite::Connection;

use crate::{
    adapters::{maintenance, shard::OpenShard},
    blocking::blocking,
    error::{BackupError, StoreError},
};

/// How often the log is tried to be emptied while somebody reads what stands in it.
const LOG_ATTEMPTS: u32 = 200;
const LOG_RETRY: Duration = Duration::from_millis(10);

/// By what a file that was written to is told from one that was not; none where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(Option<(u64, u64, i64, i64)>);

impl Stamp {
    pub(crate) fn of(path: &Path) -> Self {
        let stamp = |file: fs::Metadata| (file.ino(), file.len(), file.mtime(), file.mtime_nsec());
        Self(fs::metadata(path).ok().map(stamp))
    }
}

/// Nothing is brought from the log into the file as long as it lives, unless that is closed meanwhile.
#[derive(Debug)]
pub(crate) struct QuietFile {
    path: PathBuf,
    stamp: Stamp,
    /// Whoever is to put another file in its place does not wait for this.
    open: Weak<OpenShard>,
}

impl QuietFile {
    /// Empties the log and lets the file be from then on; none where readers do not let go of the log.
    pub(crate) async fn begin(
        open: &Arc<OpenShard>,
        path: PathBuf,
    ) -> Result<Option<Self>, StoreError> {
        let mut quiet = Self { stamp: Stamp::of(&path), path, open: Arc::downgrade(open) };
        // One after the other on the writer, so that nothing comes between them.
        let is_emptied = |connection: &Connection| {
            maintenance::keep_log(connection, true)?;
            maintenance::empty_log(connection)
        };
        for _ in 0..LOG_ATTEMPTS {
            if open.alone(is_emptied).await? {
                quiet.stamp = Stamp::of(&quiet.path);
                return Ok(Some(quiet));
            }
            tokio::time::sleep(LOG_RETRY).await;
        }
        Ok(None)
    }

    /// Brings what the log holds into the file, and returns which blocks that has changed; none where the
    /// file is not as it was. What is written meanwhile waits, and stands in the log afterwards.
    pub(crate) async fn take_changed(
        &mut self,
        block: usize,
    ) -> Result<Option<BTreeSet<usize>>, StoreError> {
        let Some(open) = self.open.upgrade() else { return Ok(None) };
        let (path, stamp) = (self.path.clone(), self.stamp);
        // In one go on the writer: no frame comes between the look at the log and its end.
        let taken = move |connection: &Connection| {
            if Stamp::of(&path) != stamp {
                return Ok(None);
            }
            let log = path.with_extension("db-wal");
            let blocks = blocks_in_log(&log, block as u64)
                .map_err(|source| BackupError::Io { path: log, source })?;
            // A reader may hold some of it back, which then stands there yet the next time.
            maintenance::empty_log(connection)?;
            Ok(Some((blocks, Stamp::of(&path))))
        };
        let Some((blocks, stamp)) = open.alone(taken).await? else { return Ok(None) };
        self.stamp = stamp;
        Ok(Some(blocks))
    }

    /// Returns whether the file is as it was, and no other one has taken its place.
    pub(crate) fn is_as_it_was(&self) -> bool {
        Stamp::of(&self.path) == self.stamp
    }

    /// Returns which blocks of the file are written in the log, now that writes are held back; none where
    /// the file is not as it was.
    pub(crate) async fn changed_blocks(
        &self,
        block: usize,
    ) -> Result<Option<BTreeSet<usize>>, StoreError> {
        if !self.is_as_it_was() {
            return Ok(None);
        }
        let log = self.path.with_extension("db-wal");
        let shown = log.clone();
        let blocks = blocking(move || blocks_in_log(&log, block as u64)).await;
        Ok(Some(blocks.map_err(|source| BackupError::Io { path: shown, source })?))
    }
}

impl Drop for QuietFile {
    /// However it ends: else the log would grow and grow.
    fn drop(&mut self) {
        let (Some(open), Ok(runtime)) =
            (self.open.upgrade(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        runtime.spawn(async move {
            let ended = open.alone(|connection| maintenance::keep_log(connection, false)).await;
            if let Err(error) = ended {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "a shard's log grows until its file is closed");
            }
        });
    }
}

/// Brings everything from the log into the file.
///
/// [`StoreError::ShardsBusy`]: somebody has read what stands in it all the while.
pub(crate) async fn empty_log(open: &OpenShard) -> Result<(), StoreError> {
    for _ in 0..LOG_ATTEMPTS {
        if open.alone(maintenance::empty_log).await? {
            return Ok(());
        }
        tokio::time::sleep(LOG_RETRY).await;
    }
    Err(StoreError::ShardsBusy)
}

/// Returns the blocks of a file that have a page in its log. Those of earlier rounds of the log may be
/// among them. Blocks the thread.
///
/// Source: SQLite, Database File Format, 4.1: a header of 32 bytes, in which the page size stands at 8;
/// then frames, each a header of 24 bytes, which begins with the page's number, and the page. SQLCipher
/// encrypts the pages alone.
fn blocks_in_log(path: &Path, block: u64) -> io::Result<BTreeSet<usize>> {
    const HEADER: usize = 32;
    const FRAME_HEADER: usize = 24;

    let mut blocks = BTreeSet::new();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(blocks),
        Err(error) => return Err(error),
    };
    let mut log = BufReader::new(file);
    let mut header = [0; HEADER];
    if let Err(error) = log.read_exact(&mut header) {
        return if error.kind() == io::ErrorKind::UnexpectedEof { Ok(blocks) } else { Err(error) };
    }
    let number =
        |bytes: &[u8]| u64::from(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let page = number(&header[8..12]);
    let mut frame = [0; FRAME_HEADER];
    loop {
        match log.read_exact(&mut frame) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(blocks),
            Err(error) => return Err(error),
        }
        let first = number(&frame[..4]).saturating_sub(1) * page;
        blocks.insert(usize::try_from(first / block).unwrap_or(usize::MAX));
        log.seek_relative(i64::try_from(page).unwrap_or(i64::MAX))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_tells_which_blocks_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shard.db");
        for key in [None, Some(ery_group_commit::FileKey([7; 32]))] {
            for file in ["shard.db", "shard.db-wal", "shard.db-shm"] {
                fs::remove_file(folder.path().join(file)).ok();
            }
            let connection = ery_group_commit::open(&path, key.as_ref()).unwrap();
            connection
                .execute_batch(
                    "CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL) STRICT;
                     WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 2000)
                     INSERT INTO words SELECT n, hex(randomblob(200)) FROM n;",
                )
                .unwrap();
            maintenance::keep_log(&connection, true).unwrap();
            assert!(maintenance::empty_log(&connection).unwrap());
            let (before, stamp) = (fs::read(&path).unwrap(), Stamp::of(&path));
            connection
                .execute_batch(
                    "UPDATE words SET word = 'changed' WHERE id IN (1, 1000);
                     INSERT INTO words VALUES (3000, hex(zeroblob(30000)));",
                )
                .unwrap();
            assert_eq!(Stamp::of(&path), stamp, "what is written stays in the log");
            let block = 16 << 10;
            let told = blocks_in_log(&path.with_extension("db-wal"), block as u64).unwrap();
            maintenance::keep_log(&connection, false).unwrap();
            assert!(maintenance::empty_log(&connection).unwrap());
            let after = fs::read(&path).unwrap();
            let blocks = after.chunks(block).enumerate();
            let changed: BTreeSet<usize> = blocks
                .filter(|(index, bytes)| before.chunks(block).nth(*index) != Some(*bytes))
                .map(|(index, _)| index)
                .collect();
            assert!(changed.len() > 2 && changed.len() < after.len() / block, "{changed:?}");
            assert!(changed.is_subset(&told), "{changed:?} {told:?}");
        }
    }
}
