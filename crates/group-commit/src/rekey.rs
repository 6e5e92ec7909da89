use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use crate::{FileKey, OpenError, open, open_read_only};

/// Which keys a file may have, and which it is to get; `None` is a file in the clear.
#[derive(Clone, Debug)]
pub struct Rekey {
    /// Tried in this order.
    pub from: Vec<Option<FileKey>>,
    pub to: Option<FileKey>,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rekeyed {
    /// It was written anew.
    Changed,
    /// It had the new key already, or there is no such file.
    Unchanged,
}

/// Why a file did not get its new key. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RekeyError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("`{path}` is under none of the keys that are given")]
    NoKeyFits { path: String },
    #[error("`{path}` is in use")]
    InUse { path: String },
    #[error("could not write `{path}` anew")]
    Copy {
        path: String,
        #[source]
        source: rusqlite::Error,
    },
    #[error("the copy of `{path}` is not whole: {problem}")]
    Damaged { path: String, problem: String },
    #[error("could not use `{path}`")]
    Io {
        path: String,
        #[source]
        source: io::Error,
    },
}

/// Writes a file anew under another key, and puts the copy in its place.
///
/// Killed at any instant, the file is whole, under the one key or the other, and a repeat goes on.
/// The copy is checked before it takes the place. Nobody else may have the file open.
///
/// # Errors
///
/// If no key fits, the file is in use or damaged, or the disk is full; the file is as it was.
pub fn rekey(path: &Path, keys: &Rekey) -> Result<Rekeyed, RekeyError> {
    let shown = path.display().to_string();
    let io = |source| RekeyError::Io { path: shown.clone(), source };
    let copy_path = beside(path, ".rekey");
    remove(&copy_path).map_err(io)?;
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Rekeyed::Unchanged),
        Err(error) => return Err(io(error)),
        // Nothing was ever committed: it has no key yet.
        Ok(file) if file.len() == 0 => return Ok(Rekeyed::Unchanged),
        Ok(_) => {}
    }
    // For writing: what a kill left half done is undone first, which a reader may not.
    match open(path, keys.to.as_ref()) {
        Ok(_) => return Ok(Rekeyed::Unchanged),
        Err(error) if error.is_about_key() => {}
        Err(error) => return Err(error.into()),
    }
    let mut opened = None;
    for key in &keys.from {
        match open(path, key.as_ref()) {
            Ok(connection) => {
                opened = Some(connection);
                break;
            }
            Err(error) if error.is_about_key() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let Some(connection) = opened else { return Err(RekeyError::NoKeyFits { path: shown }) };
    let failed = |source| RekeyError::Copy { path: shown.clone(), source };
    // A log of the old file beside the new one would be taken for the new one's.
    let mode: String = connection
        .query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))
        .map_err(|source| match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            RekeyError::InUse { path: shown.clone() }
        }
        _ => failed(source),
    })?;
    if mode != "delete" {
        return Err(RekeyError::InUse { path: shown });
    }
    let objects = copy(&connection, &copy_path, keys.to.as_ref()).map_err(failed)?;
    drop(connection);
    check(&copy_path, keys.to.as_ref(), objects)
        .map_err(|problem| RekeyError::Damaged { path: shown.clone(), problem })?;
    let permissions = fs::metadata(path).map_err(io)?.permissions();
    fs::set_permissions(&copy_path, permissions).map_err(io)?;
    File::open(&copy_path).and_then(|file| file.sync_all()).map_err(io)?;
    fs::rename(&copy_path, path).map_err(io)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
    Ok(Rekeyed::Changed)
}

/// Copies everything into a new file, and returns how many objects its schema has.
fn copy(
    connection: &Connection,
    path: &Path,
    key: Option<&FileKey>,
) -> Result<i64, rusqlite::Error> {
    let key = key.map_or_else(String::new, FileKey::pragma);
    connection.execute("ATTACH DATABASE ?1 AS target KEY ?2", (path.to_string_lossy(), key))?;
    connection.query_row("SELECT sqlcipher_export('target')", [], |_| Ok(()))?;
    // What stands in the header is not exported.
    for number in ["user_version", "application_id"] {
        let value: i64 =
            connection.query_row(&format!("PRAGMA main.{number}"), [], |row| row.get(0))?;
        connection.execute_batch(&format!("PRAGMA target.{number} = {value}"))?;
    }
    let objects =
        connection.query_row("SELECT count(*) FROM main.sqlite_schema", [], |row| row.get(0))?;
    connection.execute_batch("DETACH DATABASE target")?;
    Ok(objects)
}

fn check(path: &Path, key: Option<&FileKey>, objects: i64) -> Result<(), String> {
    let connection = open_read_only(path, key).map_err(|error| error.to_string())?;
    let text = |error: rusqlite::Error| error.to_string();
    let found: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(text)?;
    if found != objects {
        return Err(format!("it has {found} tables and indexes instead of {objects}"));
    }
    let said: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(text)?;
    if said == "ok" { Ok(()) } else { Err(said) }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn remove(path: &Path) -> io::Result<()> {
    for suffix in ["", "-journal", "-wal", "-shm"] {
        match fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "canary-2718";

    #[expect(clippy::unnecessary_wraps, reason = "it is given as `open` takes it")]
    fn key(byte: u8) -> Option<FileKey> {
        Some(FileKey([byte; 32]))
    }

    /// A file with a table, a search index and a number in its header.
    fn written(path: &Path, key: Option<&FileKey>) {
        let connection = open(path, key).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL) STRICT;
                 CREATE VIRTUAL TABLE found USING fts5 (word, content = 'words', content_rowid = 'id');
                 CREATE TRIGGER words_insert AFTER INSERT ON words BEGIN
                     INSERT INTO found (rowid, word) VALUES (NEW.id, NEW.word);
                 END;
                 PRAGMA user_version = 7;",
            )
            .unwrap();
        connection.execute("INSERT INTO words VALUES (1, ?1)", [CANARY]).unwrap();
    }

    fn holds(path: &Path, key: Option<&FileKey>) -> bool {
        let connection = open(path, key).unwrap();
        let found: i64 = connection
            .query_row("SELECT rowid FROM found WHERE found MATCH '\"2718\"'", [], |row| row.get(0))
            .unwrap();
        let version: i64 =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        (found, version) == (1, 7)
    }

    #[test]
    fn a_file_goes_from_the_clear_to_a_key_to_another_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words.db");
        written(&path, None);
        for (from, to) in [(None, key(1)), (key(1), key(2)), (key(2), None)] {
            let keys = Rekey { from: vec![from.clone()], to: to.clone() };
            assert_eq!(rekey(&path, &keys).unwrap(), Rekeyed::Changed);
            assert_eq!(rekey(&path, &keys).unwrap(), Rekeyed::Unchanged);
            assert!(holds(&path, to.as_ref()), "{from:?} {to:?}");
            if to.is_some() {
                let bytes = fs::read(&path).unwrap();
                assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
                assert!(open(&path, from.as_ref()).unwrap_err().is_about_key());
            }
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left over");
        }
    }

    #[test]
    fn a_file_that_no_key_fits_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words.db");
        written(&path, key(1).as_ref());
        let keys = Rekey { from: vec![None, key(3)], to: key(2) };
        assert!(matches!(rekey(&path, &keys), Err(RekeyError::NoKeyFits { .. })));
        assert!(holds(&path, key(1).as_ref()));
    }

    #[test]
    fn a_file_in_use_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words.db");
        written(&path, None);
        let reader = open_read_only(&path, None).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM words;").unwrap();
        let refused = rekey(&path, &Rekey { from: vec![None], to: key(2) }).unwrap_err();
        assert!(matches!(refused, RekeyError::InUse { .. }), "{refused:?}");
        drop(reader);
        assert!(holds(&path, None));
    }

    #[test]
    fn what_a_kill_left_behind_is_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words.db");
        written(&path, None);
        fs::write(folder.path().join("words.db.rekey"), b"half a copy").unwrap();
        let keys = Rekey { from: vec![None], to: key(2) };
        assert_eq!(rekey(&path, &keys).unwrap(), Rekeyed::Changed);
        assert!(holds(&path, key(2).as_ref()));
    }

    #[test]
    fn an_error_says_what_is_wrong_with_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let (clear, encrypted) = (folder.path().join("clear.db"), folder.path().join("x.db"));
        written(&clear, None);
        written(&encrypted, key(1).as_ref());
        let refused = |path, key: Option<FileKey>| open(path, key.as_ref()).unwrap_err();
        assert!(matches!(refused(&clear, key(1)), OpenError::NotEncrypted { .. }));
        assert!(matches!(refused(&encrypted, None), OpenError::KeyMissing { .. }));
        assert!(matches!(refused(&encrypted, key(2)), OpenError::WrongKey { .. }));
    }

    #[test]
    fn a_key_is_read_as_64_digits_and_nothing_else() {
        let key = FileKey::parse(&format!(" {}0F\n", "ab".repeat(31))).unwrap();
        assert_eq!((key.0[0], key.0[31]), (0xab, 0x0f));
        for wrong in ["", "secret", &"g".repeat(64), &"a".repeat(63), &"é".repeat(32)] {
            let refused = FileKey::parse(wrong).unwrap_err();
            assert!(wrong.is_empty() || !refused.to_string().contains(wrong));
        }
    }
}
