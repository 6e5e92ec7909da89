//! Credentials of MCP clients.

use rusqlite::{Connection, OptionalExtension as _, params};
use sqlx::{SqlitePool, query};
use twilight_model::id::{Id, marker::GuildMarker};

use ery_clock::UnixMillis;

use crate::{
    adapters::{
        approvals,
        columns::{Columns, id},
        scheduled_actions,
    },
    domain::mcp_credential::{McpCredential, credential_of, trigger_of},
    error::StoreError,
};

const TABLE: &str = "mcp_credentials";

macro_rules! credential_columns {
    () => {
        "credential_id, guild_id, user_id, channel_id, name, tools, token_hash, created_at_ms, \
         revoked_at_ms, told_at_ms"
    };
}

/// Keeps a new credential; a repeat writes nothing. Returns the one that stands. What its person's
/// clients were told before, they may hand on to it.
pub(crate) fn create(
    connection: &Connection,
    new: &McpCredential,
) -> Result<Option<McpCredential>, StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO mcp_credentials (credential_id, guild_id, user_id, channel_id, name, tools,
                 token_hash, created_at_ms, told_at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,
                 (SELECT max(told_at_ms) FROM mcp_credentials WHERE guild_id = ?2 AND user_id = ?3))
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            new.id,
            id(new.guild),
            id(new.user),
            id(new.channel),
            new.name,
            serde_json::to_string(&new.tools).map_err(|_| StoreError::Row { table: TABLE })?,
            new.token_hash,
            new.created_at.0,
        ])?;
    find(connection, new.guild, &new.id)
}

/// Revokes a credential, voids what was proposed by it, and cancels what it planned; returns how it stands then.
pub(crate) fn revoke(
    connection: &Connection,
    guild: Id<GuildMarker>,
    credential: &str,
    now: UnixMillis,
) -> Result<Option<McpCredential>, StoreError> {
    connection
        .prepare_cached(
            "UPDATE mcp_credentials SET revoked_at_ms = ?3
             WHERE credential_id = ?1 AND guild_id = ?2 AND revoked_at_ms IS NULL",
        )?
        .execute(params![credential, id(guild), now.0])?;
    approvals::void_all_of(connection, guild, &trigger_of(credential), now)?;
    scheduled_actions::cancel_all_of(connection, guild, &trigger_of(credential), now)?;
    find(connection, guild, credential)
}

/// Refuses what a credential asks for that was revoked meanwhile, or is none.
pub(crate) fn check(connection: &Connection, trigger: &str) -> Result<(), StoreError> {
    let Some(credential) = credential_of(trigger) else {
        return Err(StoreError::CredentialRevoked);
    };
    let stands = connection
        .prepare_cached(
            "SELECT 1 FROM mcp_credentials WHERE credential_id = ?1 AND revoked_at_ms IS NULL",
        )?
        .exists([credential])?;
    if stands { Ok(()) } else { Err(StoreError::CredentialRevoked) }
}

/// Revokes every credential of a file: what it was when it was copied, nobody can tell now.
pub(crate) fn revoke_all(connection: &Connection, now: UnixMillis) -> rusqlite::Result<usize> {
    connection.execute(
        "UPDATE mcp_credentials SET revoked_at_ms = ?1 WHERE revoked_at_ms IS NULL",
        [now.0],
    )
}

/// Notes that a credential's client is told what others wrote. It may hand it on to others that act
/// for the same person, so the note is about the person's credentials there, all of them.
pub(crate) fn told(
    connection: &Connection,
    credential: &str,
    now: UnixMillis,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE mcp_credentials SET told_at_ms = max(coalesce(told_at_ms, 0), ?2)
             FROM (SELECT guild_id AS guild, user_id AS person FROM mcp_credentials
                   WHERE credential_id = ?1)
             WHERE guild_id = guild AND user_id = person",
        )?
        .execute(params![credential, now.0])?;
    Ok(())
}

fn find(
    connection: &Connection,
    guild: Id<GuildMarker>,
    credential: &str,
) -> Result<Option<McpCredential>, StoreError> {
    connection
        .prepare_cached(concat!(
            "SELECT ",
            credential_columns!(),
            " FROM mcp_credentials WHERE credential_id = ?1 AND guild_id = ?2"
        ))?
        .query_row(params![credential, id(guild)], |row| Ok(credential_row(row)))
        .optional()?
        .transpose()
}

/// Returns a credential of a guild, if it is not revoked.
pub(crate) async fn get(
    readers: &SqlitePool,
    guild: Id<GuildMarker>,
    credential: &str,
) -> Result<Option<McpCredential>, StoreError> {
    let row = query(concat!(
        "SELECT ",
        credential_columns!(),
        " FROM mcp_credentials
          WHERE credential_id = ?1 AND guild_id = ?2 AND revoked_at_ms IS NULL"
    ))
    .bind(credential)
    .bind(id(guild))
    .fetch_optional(readers)
    .await?;
    row.as_ref().map(credential_row).transpose()
}

/// Returns credentials, the newest first; or only one of them.
pub(crate) async fn list(
    readers: &SqlitePool,
    guild: Option<Id<GuildMarker>>,
    only: Option<&str>,
    limit: u32,
) -> Result<Vec<McpCredential>, StoreError> {
    let rows = query(concat!(
        "SELECT ",
        credential_columns!(),
        " FROM mcp_credentials WHERE (?1 IS NULL OR guild_id = ?1)
              AND (?3 IS NULL OR credential_id = ?3)
          ORDER BY created_at_ms DESC, credential_id LIMIT ?2"
    ))
    .bind(guild.map(id))
    .bind(limit)
    .bind(only)
    .fetch_all(readers)
    .await?;
    rows.iter().map(credential_row).collect()
}

fn credential_row(row: &impl Columns) -> Result<McpCredential, StoreError> {
    let unreadable = || StoreError::Row { table: TABLE };
    Ok(McpCredential {
        id: row.text(0)?,
        guild: row.id(1, TABLE)?,
        user: row.id(2, TABLE)?,
        channel: row.id(3, TABLE)?,
        name: row.text(4)?,
        tools: row.json(5, TABLE)?.unwrap_or_default(),
        token_hash: row.bytes_or_null(6)?.ok_or_else(unreadable)?,
        created_at: row.millis(7)?,
        revoked_at: row.integer_or_null(8)?.map(UnixMillis),
        told_at: row.integer_or_null(9)?.map(UnixMillis),
    })
}
