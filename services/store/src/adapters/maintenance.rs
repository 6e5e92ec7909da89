//! What operators do with a shard's file as a whole.

use std::path::Path;

use rusqlite::Connection;

use ery_group_commit::{FileKey, OpenError, open_read_only};

use crate::error::StoreError;

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

/// Writes a file anew without its free pages, and empties the log.
pub(crate) fn vacuum(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch("VACUUM")?;
    empty_log(connection).map(drop)
}

/// Brings everything from the log into the file and empties it; false: a reader needs it yet.
pub(crate) fn empty_log(connection: &Connection) -> Result<bool, StoreError> {
    let is_busy: i64 =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(is_busy == 0)
}
