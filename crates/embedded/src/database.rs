use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;

use ery_group_commit::{FileKey, OpenError, Writer};
use ery_trace::TraceParent;

/// Why a file of the data folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("`{path}` was written by a newer version (its schema is {found}, known is {known})")]
    Newer { path: String, found: usize, known: usize },
    #[error("could not read `{path}`")]
    Read {
        path: String,
        #[source]
        source: rusqlite::Error,
    },
    #[error("could not start the writer of `{path}`")]
    Thread {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("opening `{path}` was broken off")]
    BrokenOff { path: String },
}

/// One that cannot be read is none: nothing that is done depends on it.
#[expect(clippy::needless_pass_by_value, reason = "a row gives it away")]
pub(crate) fn trace_parent(text: Option<String>) -> Option<TraceParent> {
    text.as_deref()?.parse().ok()
}

/// A file that is open: its one writer, and a connection for reading beside it.
pub(crate) struct Database<T> {
    pub(crate) writer: Writer,
    pub(crate) reader: Reader,
    /// What was read from it at first.
    pub(crate) loaded: T,
}

/// Opens a file, brings its schema up to date, and reads what its owner keeps in memory.
pub(crate) async fn open<T: Send + 'static>(
    path: PathBuf,
    key: Option<FileKey>,
    name: &'static str,
    migrations: &'static [&'static str],
    load: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Result<Database<T>, DatabaseError> {
    let shown = path.display().to_string();
    tokio::task::spawn_blocking(move || {
        let connection = ery_group_commit::open(&path, key.as_ref())?;
        migrate(&connection, &path, migrations)?;
        let read = |source| DatabaseError::Read { path: path.display().to_string(), source };
        let loaded = load(&connection).map_err(read)?;
        let reader = Reader {
            connection: Arc::new(Mutex::new(ery_group_commit::open_read_only(
                &path,
                key.as_ref(),
            )?)),
        };
        let writer = Writer::start(connection, name)
            .map_err(|source| DatabaseError::Thread { path: path.display().to_string(), source })?;
        Ok(Database { writer, reader, loaded })
    })
    .await
    .map_err(|_| DatabaseError::BrokenOff { path: shown })?
}

/// Applies the migrations that the file does not have yet, each in a transaction of its own.
fn migrate(connection: &Connection, path: &Path, migrations: &[&str]) -> Result<(), DatabaseError> {
    let read = |source| DatabaseError::Read { path: path.display().to_string(), source };
    let found: usize = connection
        .query_row("SELECT user_version FROM pragma_user_version", [], |row| row.get::<_, u32>(0))
        .map_err(read)?
        .try_into()
        .expect("a u32 fits a usize");
    if found > migrations.len() {
        return Err(DatabaseError::Newer {
            path: path.display().to_string(),
            found,
            known: migrations.len(),
        });
    }
    for (index, migration) in migrations.iter().enumerate().skip(found) {
        connection
            .execute_batch(&format!(
                "BEGIN IMMEDIATE;\n{migration}\nPRAGMA user_version = {};\nCOMMIT;",
                index + 1
            ))
            .map_err(read)?;
    }
    Ok(())
}

/// Writes a file anew without what SQLite leaves of rows that it moved, and empties its log, so that
/// nothing stands there that was written over since. False while somebody reads.
pub(crate) fn write_anew(connection: &Connection) -> rusqlite::Result<bool> {
    let bytes: i64 = connection.query_row(
        "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
        [],
        |row| row.get(0),
    )?;
    // It is done in memory.
    if bytes <= LARGEST_REWRITTEN {
        connection.execute_batch("VACUUM")?;
    }
    connection.query_row(
        "PRAGMA wal_checkpoint(TRUNCATE)",
        [],
        |row| Ok(row.get::<_, i64>(0)? == 0),
    )
}

/// How large a file may be that is written anew.
const LARGEST_REWRITTEN: i64 = 256 << 20;

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the database could not be read")]
    Database(#[from] rusqlite::Error),
    #[error("reading was broken off")]
    BrokenOff,
}

/// A connection for reading beside the writer, for what is not in memory.
#[derive(Clone)]
pub(crate) struct Reader {
    connection: Arc<Mutex<Connection>>,
}

impl Reader {
    /// Runs `read` on a thread where it may block.
    pub(crate) async fn read<T, E>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<ReadError> + Send + 'static,
    {
        let connection = Arc::clone(&self.connection);
        tokio::task::spawn_blocking(move || {
            // A reading connection holds nothing that a panic could leave half done.
            read(&connection.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .unwrap_or_else(|_| Err(ReadError::BrokenOff.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_newer_file_is_refused_and_an_older_one_brought_up_to_date() {
        const BOTH: &[&str] =
            &["CREATE TABLE one (a TEXT) STRICT;", "CREATE TABLE two (a TEXT) STRICT;"];

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let open = async |migrations| {
            open(path.clone(), None, "x", migrations, |connection| {
                connection.query_row(
                    "SELECT count(*) FROM sqlite_schema WHERE type = 'table'",
                    [],
                    |row| row.get::<_, u32>(0),
                )
            })
            .await
        };
        assert_eq!(open(&BOTH[..1]).await.map(|database| database.loaded).unwrap(), 1);
        assert_eq!(open(BOTH).await.map(|database| database.loaded).unwrap(), 2);
        assert!(matches!(
            open(&BOTH[..1]).await.map(|database| database.loaded),
            Err(DatabaseError::Newer { found: 2, known: 1, .. })
        ));
    }
}
