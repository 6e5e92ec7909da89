//! What communities set, and every change of it.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Row as _, SqlitePool, query};

use ery_clock::UnixMillis;
use ery_community_config::{Document, Layer, Layered, Subject};

use crate::{
    adapters::columns::{Columns as _, from_json},
    error::StoreError,
};

const LAYERS: &str = "config_layers";
const CHANGES: &str = "config_changes";

/// How many changes of a home are kept.
const KEPT: i64 = 1_000;

/// How many members of a home may have something set, so that all of it can be held in memory.
const PLACES: i64 = 10_000;

/// One value that was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) layer: Layer,
    pub(crate) subject: u64,
    pub(crate) path: String,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

/// Values that are to be set.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) home: u64,
    pub(crate) id: String,
    /// None: the installation's operator.
    pub(crate) author: Option<u64>,
    pub(crate) note: String,
    pub(crate) at: UnixMillis,
}

/// A change that was made.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) number: u64,
    pub(crate) at: UnixMillis,
    pub(crate) author: Option<u64>,
    pub(crate) note: String,
    pub(crate) changes: Vec<Change>,
}

/// Sets and resets values; `wanted` has a value, or none to set it no longer.
pub(crate) fn change(
    connection: &Connection,
    of: &Settings,
    wanted: &[(Subject, String, Option<Value>)],
    expected: Option<u64>,
) -> Result<Version, StoreError> {
    if let Some(made) = made(connection, of)? {
        return Ok(made);
    }
    let version = version(connection, of.home)?;
    if expected.is_some_and(|expected| expected != version) {
        return Err(StoreError::ConfigMoved { version });
    }
    let mut changes: Vec<Change> = Vec::new();
    for (subject, path, after) in wanted {
        let mut document = document(connection, of.home, *subject)?;
        let before = match after {
            Some(after) => document.insert(path.clone(), after.clone()),
            None => document.remove(path),
        };
        if before == *after {
            continue;
        }
        keep(connection, of.home, *subject, &document)?;
        changes.push(Change {
            layer: subject.layer,
            subject: subject.id,
            path: path.clone(),
            before,
            after: after.clone(),
        });
    }
    // Members cannot keep the staff from setting anything.
    let is_of_member = wanted.iter().any(|(subject, ..)| subject.layer == Layer::User);
    let members: i64 = connection
        .prepare_cached("SELECT count(*) FROM config_layers WHERE home_id = ?1 AND layer = 'user'")?
        .query_row([of.home.cast_signed()], |row| row.get(0))?;
    if is_of_member && members > PLACES {
        return Err(StoreError::ConfigFull { places: PLACES });
    }
    note(connection, of, version, changes)
}

/// Makes the config what it was at a version, but for what members set for themselves.
pub(crate) fn roll_back(
    connection: &Connection,
    of: &Settings,
    to: u64,
) -> Result<Version, StoreError> {
    if let Some(made) = made(connection, of)? {
        return Ok(made);
    }
    let version = version(connection, of.home)?;
    let (kept, oldest): (i64, Option<i64>) = connection
        .prepare_cached(
            "SELECT count(*), min(version) FROM config_changes
             WHERE home_id = ?1 AND changes <> '[]'",
        )?
        .query_row([of.home.cast_signed()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let is_known =
        kept < KEPT || oldest.is_none_or(|oldest| to.saturating_add(1) >= oldest.cast_unsigned());
    if to > version || !is_known {
        return Err(StoreError::ConfigVersionUnknown { version: to });
    }
    let mut wanted: Vec<(Subject, String, Option<Value>)> = Vec::new();
    for later in since(connection, of.home, to)? {
        for change in later.into_iter().rev().filter(|change| change.layer != Layer::User) {
            let subject = Subject { layer: change.layer, id: change.subject };
            wanted.retain(|(of, path, _)| (of, path) != (&subject, &change.path));
            wanted.push((subject, change.path, change.before));
        }
    }
    self::change(connection, of, &wanted, None)
}

/// Returns the changes after a version, the newest first.
fn since(connection: &Connection, home: u64, to: u64) -> Result<Vec<Vec<Change>>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT changes FROM config_changes WHERE home_id = ?1 AND version > ?2
         ORDER BY version DESC",
    )?;
    let rows = statement
        .query_map([home.cast_signed(), to.cast_signed()], |row| row.get::<_, String>(0))?;
    rows.map(|row| from_json(&row?, CHANGES)).collect()
}

/// Returns what came of a change that was made already.
fn made(connection: &Connection, of: &Settings) -> Result<Option<Version>, StoreError> {
    let row = connection
        .prepare_cached(
            "SELECT version, at_ms, author_id, note, changes FROM config_changes
             WHERE home_id = ?1 AND change_id = ?2",
        )?
        .query_row(params![of.home.cast_signed(), of.id], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get(1)?,
                row.get::<_, i64>(2)?,
                row.get(3)?,
                row.get::<_, String>(4)?,
            ))
        })
        .optional()?;
    let Some((version, at, author, note, changes)) = row else { return Ok(None) };
    Ok(Some(Version {
        number: version.cast_unsigned(),
        at: UnixMillis(at),
        author: (author != 0).then(|| author.cast_unsigned()),
        note,
        changes: from_json(&changes, CHANGES)?,
    }))
}

fn version(connection: &Connection, home: u64) -> Result<u64, StoreError> {
    let version: i64 = connection
        .prepare_cached("SELECT coalesce(max(version), 0) FROM config_changes WHERE home_id = ?1")?
        .query_row([home.cast_signed()], |row| row.get(0))?;
    Ok(version.cast_unsigned())
}

fn document(connection: &Connection, home: u64, subject: Subject) -> Result<Document, StoreError> {
    let text: Option<String> = connection
        .prepare_cached(
            "SELECT document FROM config_layers
             WHERE home_id = ?1 AND layer = ?2 AND subject_id = ?3",
        )?
        .query_row(
            params![home.cast_signed(), subject.layer.as_str(), subject.id.cast_signed()],
            |row| row.get(0),
        )
        .optional()?;
    text.map_or_else(|| Ok(Document::new()), |text| from_json(&text, LAYERS))
}

fn keep(
    connection: &Connection,
    home: u64,
    subject: Subject,
    document: &Document,
) -> Result<(), StoreError> {
    let (home, layer, id) = (home.cast_signed(), subject.layer.as_str(), subject.id.cast_signed());
    if document.is_empty() {
        connection
            .prepare_cached(
                "DELETE FROM config_layers WHERE home_id = ?1 AND layer = ?2 AND subject_id = ?3",
            )?
            .execute(params![home, layer, id])?;
        return Ok(());
    }
    let text = serde_json::to_string(document).map_err(|_| StoreError::Row { table: LAYERS })?;
    connection
        .prepare_cached(
            "INSERT INTO config_layers (home_id, layer, subject_id, document)
             VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (home_id, layer, subject_id) DO UPDATE SET document = excluded.document",
        )?
        .execute(params![home, layer, id, text])?;
    Ok(())
}

/// Writes down what was changed, as the next version, if anything was.
fn note(
    connection: &Connection,
    of: &Settings,
    version: u64,
    changes: Vec<Change>,
) -> Result<Version, StoreError> {
    let next = if changes.is_empty() { version } else { version + 1 };
    if next > version {
        // What members set for themselves is theirs: it makes a version, and no history.
        let told: Vec<_> = changes.iter().filter(|it| it.layer != Layer::User).collect();
        let text = serde_json::to_string(&told).map_err(|_| StoreError::Row { table: CHANGES })?;
        connection
            .prepare_cached(
                "INSERT INTO config_changes (home_id, version, change_id, at_ms, author_id,
                     author_kind, note, changes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                of.home.cast_signed(),
                next.cast_signed(),
                of.id,
                of.at.0,
                of.author.unwrap_or(0).cast_signed(),
                if of.author.is_some() { "member" } else { "operator" },
                of.note,
                text,
            ])?;
        connection
            .prepare_cached(
                "DELETE FROM config_changes WHERE home_id = ?1 AND version < ?3 AND (
                     (changes = '[]' AND version <= ?2)
                     OR version <= (SELECT version FROM config_changes
                         WHERE home_id = ?1 AND changes <> '[]'
                         ORDER BY version DESC LIMIT 1 OFFSET ?4))",
            )?
            .execute(params![
                of.home.cast_signed(),
                next.cast_signed() - KEPT,
                next.cast_signed(),
                KEPT
            ])?;
    }
    let Settings { at, author, ref note, .. } = *of;
    Ok(Version { number: next, at, author, note: note.clone(), changes })
}

/// Returns what is set for a home; none where that is still at `known`.
pub(crate) async fn load(
    readers: &SqlitePool,
    home: u64,
    known: Option<u64>,
) -> Result<(u64, Option<Layered>), StoreError> {
    // One transaction: the version is that of the documents.
    let mut reading = readers.begin().await?;
    let version: i64 = sqlx::query_scalar(
        "SELECT coalesce(max(version), 0) FROM config_changes WHERE home_id = ?1",
    )
    .bind(home.cast_signed())
    .fetch_one(&mut *reading)
    .await?;
    let version = version.cast_unsigned();
    if known == Some(version) {
        return Ok((version, None));
    }
    let rows = query("SELECT layer, subject_id, document FROM config_layers WHERE home_id = ?1")
        .bind(home.cast_signed())
        .fetch_all(&mut *reading)
        .await?;
    let mut layered = Layered::new();
    for row in rows {
        let layer = Layer::parse(row.try_get(0)?).ok_or(StoreError::Row { table: LAYERS })?;
        let subject = Subject { layer, id: row.integer(1)?.cast_unsigned() };
        layered.insert(subject, row.json(2, LAYERS)?.unwrap_or_default());
    }
    Ok((version, Some(layered)))
}

/// Returns changes of a home, the newest first; those before a version, or all.
pub(crate) async fn list(
    readers: &SqlitePool,
    home: u64,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<Version>, StoreError> {
    let rows = query(
        "SELECT version, at_ms, author_id, note, changes FROM config_changes
         WHERE home_id = ?1 AND changes <> '[]' AND version < ?2
         ORDER BY version DESC LIMIT ?3",
    )
    .bind(home.cast_signed())
    .bind(before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX)))
    .bind(limit)
    .fetch_all(readers)
    .await?;
    let version = |row: &sqlx::sqlite::SqliteRow| {
        let author = row.integer(2)?;
        Ok(Version {
            number: row.integer(0)?.cast_unsigned(),
            at: row.millis(1)?,
            author: (author != 0).then(|| author.cast_unsigned()),
            note: row.text(3)?,
            changes: row.json(4, CHANGES)?.unwrap_or_default(),
        })
    };
    rows.iter().map(version).collect()
}
