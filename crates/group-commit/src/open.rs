use std::{fmt, fs::File, io::Read as _, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

/// The raw key of an encrypted file: 32 bytes, for SQLCipher.
#[derive(Clone, PartialEq, Eq)]
pub struct FileKey(pub [u8; 32]);

/// A text that is no key. It says nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 64 hexadecimal digits, as `openssl rand -hex 32` prints them")]
pub struct NotAKey;

impl FileKey {
    /// Reads a key as people give it: 64 hexadecimal digits.
    ///
    /// No passphrase: deriving a key from one would cost every opening of a file, and be weaker.
    ///
    /// # Errors
    ///
    /// If the text is anything else.
    pub fn parse(text: &str) -> Result<Self, NotAKey> {
        let digits: Option<Vec<u8>> = text
            .trim()
            .chars()
            .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let digits = digits.filter(|digits| digits.len() == 64).ok_or(NotAKey)?;
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(digits.chunks(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(Self(key))
    }

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
    /// A key is given, and the file is under another one.
    #[error("`{path}` is not a database, or its key is another")]
    WrongKey { path: String },
    /// A key is given, and the file is in the clear.
    #[error("`{path}` is not encrypted")]
    NotEncrypted { path: String },
    /// No key is given, and the file cannot be read without one.
    #[error("`{path}` is encrypted, or not a database")]
    KeyMissing { path: String },
    #[error("could not open `{path}`")]
    Sqlite {
        path: String,
        #[source]
        source: rusqlite::Error,
    },
}

impl OpenError {
    /// Returns whether it is a matter of the key, and so of the settings.
    pub fn is_about_key(&self) -> bool {
        match self {
            Self::WrongKey { .. } | Self::NotEncrypted { .. } | Self::KeyMissing { .. } => true,
            Self::Sqlite { .. } => false,
        }
    }
}

/// How long a connection waits for another's lock. The writer is alone, so only a checkpoint waits.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// From how many pages on the log is brought into the file by itself.
pub const LOG_PAGES: u32 = 2_000;

/// Opens a file for writing, creating it if need be: WAL, `synchronous=FULL`, foreign keys,
/// `secure_delete`.
///
/// # Errors
///
/// [`OpenError::WrongKey`], [`OpenError::NotEncrypted`] or [`OpenError::KeyMissing`] if the file does
/// not fit the key.
pub fn open(path: &Path, key: Option<&FileKey>) -> Result<Connection, OpenError> {
    let connection =
        connect(path, key, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA secure_delete = ON;
             PRAGMA temp_store = MEMORY;",
        )
        .and_then(|()| connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES))
        .map_err(|source| refine(path, key, source))?;
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
        Connection::open_with_flags(path, flags).map_err(|source| refine(path, key, source))?;
    // What goes wrong is told by an error; SQLCipher would also write it to standard error.
    connection
        .execute_batch("PRAGMA cipher_log_level = NONE;")
        .map_err(|source| refine(path, key, source))?;
    if let Some(given) = key {
        connection
            .execute_batch(&format!("PRAGMA key = \"{}\";", given.pragma()))
            .map_err(|source| refine(path, key, source))?;
    }
    connection.busy_timeout(BUSY_TIMEOUT).map_err(|source| refine(path, key, source))?;
    // SQLCipher notices a wrong key at the first read only.
    connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        .map_err(|source| refine(path, key, source))?;
    Ok(connection)
}

fn refine(path: &Path, key: Option<&FileKey>, source: rusqlite::Error) -> OpenError {
    let shown = path.display().to_string();
    if source.sqlite_error_code() != Some(rusqlite::ErrorCode::NotADatabase) {
        return OpenError::Sqlite { path: shown, source };
    }
    match key {
        None => OpenError::KeyMissing { path: shown },
        Some(_) if is_in_the_clear(path) => OpenError::NotEncrypted { path: shown },
        Some(_) => OpenError::WrongKey { path: shown },
    }
}

/// Returns whether a file begins as every SQLite file does that is not encrypted.
///
/// Source: SQLite, Database File Format, 1.3.1: the magic header string.
fn is_in_the_clear(path: &Path) -> bool {
    let mut header = [0; 16];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && &header == b"SQLite format 3\0"
}
