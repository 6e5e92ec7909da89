//! The rows of `global.db` that say who is to be forgotten, and who is not learnt from.

use rusqlite::{Connection, params};
use twilight_model::id::Id;

use ery_clock::UnixMillis;

use crate::{
    adapters::columns::{self, Columns},
    domain::privacy::{Deletion, UserHash},
    error::StoreError,
};

const TABLE: &str = "deletions";

/// A key under which people's ids are hashed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KeyRow {
    pub(crate) id: String,
    pub(crate) key: [u8; 32],
    /// New entries are made under it.
    pub(crate) is_own: bool,
}

impl std::fmt::Debug for KeyRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRow").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Somebody of whom nothing is to be learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OptOutRow {
    pub(crate) key_id: String,
    pub(crate) user_hash: UserHash,
    /// 0 for every guild.
    pub(crate) guild: u64,
    pub(crate) since: UnixMillis,
}

/// Everything that is kept of the ledger.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) keys: Vec<KeyRow>,
    pub(crate) deletions: Vec<Deletion>,
    pub(crate) opt_outs: Vec<OptOutRow>,
}

/// Reads everything, after making sure that the store has a key of its own.
pub(crate) fn load(
    connection: &Connection,
    own: &KeyRow,
    now: UnixMillis,
) -> Result<Rows, StoreError> {
    connection.execute(
        "INSERT INTO ledger_keys (key_id, key, is_own, created_at_ms)
         SELECT ?1, ?2, 1, ?3 WHERE NOT EXISTS (SELECT 1 FROM ledger_keys WHERE is_own)",
        params![own.id, own.key, now.0],
    )?;
    let mut rows = Rows::default();
    let mut keys = connection.prepare("SELECT key_id, key, is_own FROM ledger_keys")?;
    let mut found = keys.query([])?;
    while let Some(row) = found.next()? {
        rows.keys.push(KeyRow { id: row.text(0)?, key: hash(row, 1)?, is_own: row.flag(2)? });
    }
    let mut deletions = connection.prepare(
        "SELECT deletion_id, key_id, user_hash, guild_id, before_id, requested_at_ms, user_id,
             erased_at_ms, confirmed_by_ms, confirmed_at_ms
         FROM deletions ORDER BY requested_at_ms, deletion_id",
    )?;
    let mut found = deletions.query([])?;
    while let Some(row) = found.next()? {
        rows.deletions.push(Deletion {
            id: row.text(0)?,
            key_id: row.text(1)?,
            user_hash: hash(row, 2)?,
            guild: row.optional_id(3)?,
            before: row.integer(4)?.cast_unsigned(),
            requested_at: row.millis(5)?,
            user: row.integer_or_null(6)?.and_then(|user| Id::new_checked(user.cast_unsigned())),
            erased_at: row.integer_or_null(7)?.map(UnixMillis),
            confirmed_by: row.integer_or_null(8)?.map(UnixMillis),
            confirmed_at: row.integer_or_null(9)?.map(UnixMillis),
        });
    }
    let mut opt_outs =
        connection.prepare("SELECT key_id, user_hash, guild_id, since_ms FROM opt_outs")?;
    let mut found = opt_outs.query([])?;
    while let Some(row) = found.next()? {
        rows.opt_outs.push(OptOutRow {
            key_id: row.text(0)?,
            user_hash: hash(row, 1)?,
            guild: row.integer(2)?.cast_unsigned(),
            since: row.millis(3)?,
        });
    }
    Ok(rows)
}

fn hash(row: &impl Columns, index: usize) -> Result<[u8; 32], StoreError> {
    let bytes = row.bytes_or_null(index)?;
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(StoreError::Row { table: TABLE })
}

/// Writes a key down that came with another store's backups.
pub(crate) fn insert_key(
    connection: &Connection,
    key: &KeyRow,
    now: UnixMillis,
) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO ledger_keys (key_id, key, is_own, created_at_ms) VALUES (?1, ?2, 0, ?3)
         ON CONFLICT DO NOTHING",
        params![key.id, key.key, now.0],
    )?;
    Ok(())
}

/// Writes an entry down; one that stands is left as it is.
pub(crate) fn insert(connection: &Connection, deletion: &Deletion) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO deletions (deletion_id, key_id, user_hash, guild_id, before_id,
             requested_at_ms, user_id, erased_at_ms, confirmed_by_ms, confirmed_at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING",
        params![
            deletion.id,
            deletion.key_id,
            deletion.user_hash,
            columns::optional_id(deletion.guild),
            deletion.before.cast_signed(),
            deletion.requested_at.0,
            deletion.user.map(columns::id),
            deletion.erased_at.map(|at| at.0),
            deletion.confirmed_by.map(|at| at.0),
            deletion.confirmed_at.map(|at| at.0),
        ],
    )?;
    Ok(())
}

/// Writes down how a deletion stands; once it is confirmed, the person's id goes.
pub(crate) fn update(connection: &Connection, deletion: &Deletion) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE deletions SET user_id = ?2, erased_at_ms = ?3, confirmed_by_ms = ?4,
             confirmed_at_ms = ?5
         WHERE deletion_id = ?1",
        params![
            deletion.id,
            deletion.user.map(columns::id),
            deletion.erased_at.map(|at| at.0),
            deletion.confirmed_by.map(|at| at.0),
            deletion.confirmed_at.map(|at| at.0),
        ],
    )?;
    Ok(())
}

/// Opts somebody out, unless they are.
pub(crate) fn opt_out(connection: &Connection, row: &OptOutRow) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO opt_outs (key_id, user_hash, guild_id, since_ms) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO NOTHING",
        params![row.key_id, row.user_hash, row.guild.cast_signed(), row.since.0],
    )?;
    Ok(())
}

/// Opts somebody in again, if they are out.
pub(crate) fn opt_in(connection: &Connection, row: &OptOutRow) -> Result<(), StoreError> {
    connection.execute(
        "DELETE FROM opt_outs WHERE key_id = ?1 AND user_hash = ?2 AND guild_id = ?3",
        params![row.key_id, row.user_hash, row.guild.cast_signed()],
    )?;
    Ok(())
}
