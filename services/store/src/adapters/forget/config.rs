//! What the person set for themselves, and their name as author of what was set for others.

use rusqlite::params;
use serde_json::Value;

use super::{Part, Search};
use crate::{
    adapters::{columns::from_json, config::Change},
    error::StoreError,
};

/// How many changes are looked through in one write.
const AT_ONCE: u32 = 200;

/// Takes away what the person set for themselves, and their id and texts that name them in the history.
pub(super) fn config(search: &Search<'_>, cursor: &[u8]) -> Result<Part, StoreError> {
    if cursor.is_empty() {
        own(search)?;
    }
    let from = cursor.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
    let rows: Vec<(i64, i64, i64, String)> = search
        .connection
        .prepare_cached(
            "SELECT home_id, version, author_id, changes FROM config_changes
             WHERE (?1 IS NULL OR home_id = ?1) AND at_ms <= ?2
                 AND (author_id = ?3 OR instr(changes, ?4) > 0)
             ORDER BY home_id, version LIMIT ?5 OFFSET ?6",
        )?
        .query_map(
            params![search.guild, search.until, search.user, search.digits, AT_ONCE, from],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )?
        .collect::<Result<_, _>>()?;
    // Those that still match are passed over; those that no longer do shift the others to the front.
    let mut kept = 0;
    for (home, version, author, changes) in &rows {
        let author = if *author == search.user { 0 } else { *author };
        let changes = without(search, from_json(changes, "config_changes")?);
        let text = serde_json::to_string(&changes)
            .map_err(|_| StoreError::Row { table: "config_changes" })?;
        kept += i64::from(text.contains(&search.digits));
        search
            .connection
            .prepare_cached(
                "UPDATE config_changes SET author_id = ?3, changes = ?4
                 WHERE home_id = ?1 AND version = ?2",
            )?
            .execute(params![home, version, author, text])?;
    }
    if rows.len() < AT_ONCE as usize {
        return Ok(Part::End);
    }
    Ok(Part::Behind((from + kept).to_be_bytes().to_vec()))
}

/// Takes away what the person set for themselves, as a new version: whoever holds the former one
/// notices.
fn own(search: &Search<'_>) -> Result<(), StoreError> {
    let homes: Vec<i64> = search
        .connection
        .prepare_cached(
            "DELETE FROM config_layers WHERE layer = 'user' AND subject_id = ?1
                 AND (?2 IS NULL OR home_id = ?2) RETURNING home_id",
        )?
        .query_map(params![search.user, search.guild], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for home in homes {
        search
            .connection
            .prepare_cached(
                "INSERT INTO config_changes (home_id, version, change_id, at_ms, author_id,
                     author_kind, note, changes)
                 SELECT ?1, 1 + coalesce(max(version), 0), ?2, ?3, 0, 'operator', '', '[]'
                 FROM config_changes WHERE home_id = ?1",
            )?
            .execute(params![home, uuid::Uuid::new_v4().to_string(), search.now.0])?;
    }
    Ok(())
}

/// Leaves out texts that name the person.
fn without(search: &Search<'_>, mut changes: Vec<Change>) -> Vec<Change> {
    let names_them = |value: &Value| value.to_string().contains(&search.digits);
    for change in &mut changes {
        change.before = change.before.take().filter(|value| !names_them(value));
        change.after = change.after.take().filter(|value| !names_them(value));
    }
    changes
}
