//! Keys of guilds for the operator's model providers.

use rusqlite::{Connection, OptionalExtension as _, params};
use secrecy::ExposeSecret as _;
use sqlx::{SqlitePool, query};
use twilight_model::id::{Id, marker::GuildMarker};

use crate::{
    adapters::columns::{Columns, id, optional_id},
    domain::provider_key::ProviderKey,
    error::StoreError,
};

pub(crate) const TABLE: &str = "provider_keys";

/// How many keys a guild may have: more than an operator has providers.
const MOST: u32 = 32;

macro_rules! key_columns {
    () => {
        "guild_id, provider, key, set_by, set_at_ms"
    };
}

/// Keeps a key in place of the one before.
pub(crate) fn set(connection: &Connection, new: &ProviderKey) -> Result<(), StoreError> {
    let others: u32 = connection
        .prepare_cached(
            "SELECT count(*) FROM provider_keys WHERE guild_id = ?1 AND provider <> ?2",
        )?
        .query_row(params![id(new.guild), new.provider], |row| row.get(0))?;
    if others >= MOST {
        return Err(StoreError::KeysFull { most: MOST });
    }
    connection
        .prepare_cached(
            "INSERT INTO provider_keys (guild_id, provider, key, set_by, set_at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET key = excluded.key, set_by = excluded.set_by,
                 set_at_ms = excluded.set_at_ms",
        )?
        .execute(params![
            id(new.guild),
            new.provider,
            new.key.expose_secret(),
            optional_id(new.set_by),
            new.set_at.0,
        ])?;
    Ok(())
}

/// Forgets a key; returns what it was.
pub(crate) fn remove(
    connection: &Connection,
    guild: Id<GuildMarker>,
    provider: &str,
) -> Result<Option<ProviderKey>, StoreError> {
    connection
        .prepare_cached(concat!(
            "DELETE FROM provider_keys WHERE guild_id = ?1 AND provider = ?2 RETURNING ",
            key_columns!()
        ))?
        .query_row(params![id(guild), provider], |row| Ok(key_row(row)))
        .optional()?
        .transpose()
}

/// Returns the keys of a guild, or of all, in order.
pub(crate) async fn list(
    readers: &SqlitePool,
    guild: Option<Id<GuildMarker>>,
) -> Result<Vec<ProviderKey>, StoreError> {
    let rows = query(concat!(
        "SELECT ",
        key_columns!(),
        " FROM provider_keys WHERE ?1 IS NULL OR guild_id = ?1 ORDER BY guild_id, provider"
    ))
    .bind(guild.map(id))
    .fetch_all(readers)
    .await?;
    rows.iter().map(key_row).collect()
}

/// Returns whether a file keeps any key.
pub(crate) fn is_any(connection: &Connection) -> rusqlite::Result<bool> {
    let has_table = connection
        .prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?
        .exists([TABLE])?;
    Ok(has_table && connection.prepare("SELECT 1 FROM provider_keys LIMIT 1")?.exists([])?)
}

fn key_row(row: &impl Columns) -> Result<ProviderKey, StoreError> {
    Ok(ProviderKey {
        guild: row.id(0, TABLE)?,
        provider: row.text(1)?,
        key: row.text(2)?.into(),
        set_by: row.optional_id(3)?,
        set_at: row.millis(4)?,
    })
}
