//! What operators do with a shard's file as a whole.

use std::path::Path;

use rusqlite::Connection;
use tempfile::TempPath;

use ery_group_commit::{FileKey, OpenError, open_read_only};

use crate::error::{BackupError, StoreError};

/// How many problems are told of one file.
const MAX_PROBLEMS: u32 = 100;

/// Reads all of a file, on a connection of its own, and returns what is wrong with it. Blocks the
/// thread.
pub(crate) fn check(path: &Path, key: Option<&FileKey>) -> Result<Vec<String>, StoreError> {
    let connection = match open_read_only(path, key) {
        Ok(connection) => connection,
        Err(OpenError::Sqlite { source, .. }) if !is_damage(&source) => return Err(source.into()),
        Err(error) => return Ok(vec![error.to_string()]),
    };
    match problems(&connection, key.is_some()) {
        Ok(problems) => Ok(problems),
        Err(error) if is_damage(&error) => Ok(vec![error.to_string()]),
        Err(error) => Err(error.into()),
    }
}

fn problems(connection: &Connection, is_encrypted: bool) -> Result<Vec<String>, rusqlite::Error> {
    let list = |statement: &str| {
        let mut statement = connection.prepare(statement)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.take(MAX_PROBLEMS as usize).collect::<Result<Vec<_>, _>>()
    };
    if is_encrypted {
        // Tells the pages whose seal is broken; nothing else could be read of them.
        let broken = list("PRAGMA cipher_integrity_check")?;
        if !broken.is_empty() {
            return Ok(broken);
        }
    }
    let mut problems = list(&format!("PRAGMA integrity_check({MAX_PROBLEMS})"))?;
    problems.retain(|problem| problem != "ok");
    if problems.is_empty() {
        problems = list(
            "SELECT printf('a row of %s refers to one of %s that is not there', \"table\", parent)
             FROM pragma_foreign_key_check",
        )?;
    }
    Ok(problems)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};

    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// Writes what stands in a file into another one of `folder`, under the same key, without free pages
/// and the unused parts of others. Blocks the thread.
///
/// Not `VACUUM` in place: that keeps the whole file in memory, or leaves it in the system's folder for
/// temporary files.
pub(crate) fn write_anew(
    path: &Path,
    key: Option<&FileKey>,
    folder: &Path,
) -> Result<TempPath, StoreError> {
    let io = |source| BackupError::Io { path: path.to_owned(), source };
    let written = tempfile::NamedTempFile::new_in(folder).map_err(io)?.into_temp_path();
    let connection = open_read_only(path, key).map_err(BackupError::Open)?;
    connection.execute("VACUUM INTO ?1", [written.to_string_lossy()])?;
    drop(connection);
    let problems = check(&written, key)?;
    if problems.is_empty() {
        return Ok(written);
    }
    let name = path.display().to_string();
    Err(BackupError::Damaged { name, problem: problems.join("; ") }.into())
}

/// Brings everything from the log into the file and empties it; false: a reader needs it yet.
pub(crate) fn empty_log(connection: &Connection) -> Result<bool, StoreError> {
    let is_busy: i64 =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(is_busy == 0)
}

/// Has what is written stay in the log until that is emptied, or be brought into the file now and then,
/// as is usual.
pub(crate) fn keep_log(connection: &Connection, is_kept: bool) -> Result<(), StoreError> {
    let pages = if is_kept { 0 } else { ery_group_commit::LOG_PAGES };
    connection.pragma_update(None, "wal_autocheckpoint", pages)?;
    Ok(())
}
