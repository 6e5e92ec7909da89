use std::{fmt, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

/// The raw key of an encrypted file: 32 bytes, for SQLCipher.
#[derive(Clone, PartialEq, Eq)]
pub struct FileKey(pub [u8; 32]);

impl FileKey {
    /// Returns the value of SQLCipher's `key` pragma for a raw key, without the quotes around it.
    pub fn pragma(&self) -> String {
        use fmt::Write as _;

        let mut text = String::from("x'");
        for byte in self.0 {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        }
        text.push('\'');
        text
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey(…)")
    }
}

/// Why a file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("`{path}` is not a database, or its key is another")]
    WrongKey { path: String },
    #[error("could not open `{path}`")]
    Sqlite {
        path: String,
        #[source]
        source: rusqlite::Error,
    },
}

/// How long a connection waits for another's lock. The writer is alone, so only a checkpoint waits.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens a file for writing, creating it if need be: WAL, `synchronous=FULL`, foreign keys,
/// `secure_delete`.
///
/// # Errors
///
/// [`OpenError::WrongKey`] if it is encrypted under another key, or not at all where a key is given.
pub fn open(path: &Path, key: Option<&FileKey>) -> Result<Connection, OpenError> {
    let connection =
        connect(path, key, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA secure_delete = ON;
             PRAGMA temp_store = MEMORY;
             PRAGMA wal_autocheckpoint = 2000;",
        )
        .map_err(|source| refine(path, source))?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Opens a file that exists, for reading only.
///
/// # Errors
///
/// As [`open`].
pub fn open_read_only(path: &Path, key: Option<&FileKey>) -> Result<Connection, OpenError> {
    connect(path, key, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn connect(path: &Path, key: Option<&FileKey>, flags: OpenFlags) -> Result<Connection, OpenError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|source| refine(path, source))?;
    if let Some(key) = key {
        connection
            .execute_batch(&format!("PRAGMA key = \"{}\";", key.pragma()))
            .map_err(|source| refine(path, source))?;
    }
    connection.busy_timeout(BUSY_TIMEOUT).map_err(|source| refine(path, source))?;
    // SQLCipher notices a wrong key at the first read only.
    connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        .map_err(|source| refine(path, source))?;
    Ok(connection)
}

fn refine(path: &Path, source: rusqlite::Error) -> OpenError {
    let path = path.display().to_string();
    if source.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) {
        OpenError::WrongKey { path }
    } else {
        OpenError::Sqlite { path, source }
    }
}
