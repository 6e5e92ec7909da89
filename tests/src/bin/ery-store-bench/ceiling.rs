//! The first ceiling: the statements of a write, on one connection with nothing around them.

use std::time::Duration;

use anyhow::Context as _;
use rusqlite::{Connection, params};
use tokio::time::Instant;

use ery_proto::{common::v1::Message, store::v1::ingest_event::Change};

use crate::{bench_store::BenchStore, load, messages};

/// The first shard: its file has the store's tables, and the first message that was written by a call.
const SHARD: usize = 0;

/// Returns how many writes a second the statements alone allow, `group` in each transaction, in a file that
/// holds `filled` messages before.
pub(crate) fn rate(
    store: &BenchStore,
    group: usize,
    filled: u64,
    time: Duration,
) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ceiling.db");
    let theirs = ery_group_commit::open_read_only(&store.shard_file(SHARD), store.key())?;
    let connection = ery_group_commit::open(&path, store.key())?;
    copy_tables(&theirs, &connection)?;
    let mut written = 0;
    while written < filled {
        let until = filled.min(written + load::BATCH);
        transaction(&connection, written..until)?;
        written = until;
    }
    let (group, begun) = (u64::try_from(group)?, Instant::now());
    while begun.elapsed() < time {
        transaction(&connection, written..written + group)?;
        written += group;
    }
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let rate = (written - filled) as f64 / begun.elapsed().as_secs_f64();
    same_rows(&theirs, &connection)?;
    Ok(rate)
}

/// Writes these messages of the shard's guild in one transaction.
fn transaction(connection: &Connection, indexes: std::ops::Range<u64>) -> anyhow::Result<()> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    for message in indexes {
        let event = messages::event(messages::guild(SHARD), message);
        let Some(Change::Created(message)) = event.change else {
            anyhow::bail!("the bench writes new messages");
        };
        write(connection, &event.event_id, &message)?;
    }
    index(connection)?;
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}

/// Makes the tables, indexes and triggers of a shard file, which are not written down here again.
fn copy_tables(from: &Connection, to: &Connection) -> anyhow::Result<()> {
    // The tables of a search index are made with it.
    let mut statement = from.prepare(
        "SELECT sql FROM sqlite_schema
         WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite!_%' ESCAPE '!'
             AND name NOT LIKE 'messages!_fts!_%' ESCAPE '!' OR type = 'trigger'
         ORDER BY type = 'trigger', rowid",
    )?;
    let statements = statement.query_map([], |row| row.get::<_, String>(0))?;
    for statement in statements {
        to.execute_batch(&statement?)?;
    }
    to.execute_batch("INSERT INTO messages_fts (messages_fts, rank) VALUES ('secure-delete', 1)")?;
    Ok(())
}

/// What the store runs for a new message of an author that it knows.
fn write(connection: &Connection, event: &str, message: &Message) -> anyhow::Result<()> {
    let id = |id: u64| i64::try_from(id).context("an id of Discord");
    connection
        .prepare_cached(
            "INSERT INTO handled_events (handler, event_id, handled_at_ms) VALUES (?1, ?2, ?3)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params!["bench", event, message.created_at_ms])?;
    connection
        .prepare_cached(
            "SELECT deleted_at_ms FROM deleted_channels WHERE guild_id = ?1 AND channel_id = ?2",
        )?
        .exists([id(message.guild_id)?, id(message.channel_id)?])?;
    connection
        .prepare_cached(
            "SELECT guild_id, channel_id, edited_at_ms, whole_at_ms, is_ingested, deleted_at_ms,
                 gate_reason <> '', nonce <> ''
             FROM messages WHERE message_id = ?1",
        )?
        .exists([id(message.message_id)?])?;
    connection
        .prepare_cached(
            "INSERT INTO messages (message_id, guild_id, channel_id, author_id, author_name,
                 is_automated, is_own, content, created_at_ms, edited_at_ms, type, reply_to,
                 reply_to_author_id, mentions, mentioned_roles, attachments, gate_reason, nonce,
                 whole_at_ms, is_ingested)
             VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, ?6, ?7, 0, 0, 0, 0, NULL, NULL, NULL, '', '', 0, 1)",
        )?
        .execute(params![
            id(message.message_id)?,
            id(message.guild_id)?,
            id(message.channel_id)?,
            id(message.author_id)?,
            message.author_name,
            message.content,
            message.created_at_ms,
        ])?;
    connection
        .prepare_cached(
            "INSERT INTO users (guild_id, user_id, name, is_automated, first_seen_ms, last_seen_ms)
             VALUES (?1, ?2, ?3, 0, ?4, ?4)
             ON CONFLICT DO UPDATE SET name = excluded.name, last_seen_ms = excluded.last_seen_ms
             WHERE excluded.last_seen_ms >= last_seen_ms
                 AND (excluded.name <> name OR excluded.last_seen_ms >= last_seen_ms + 3600000)",
        )?
        .execute(params![
            id(message.guild_id)?,
            id(message.author_id)?,
            message.author_name,
            message.created_at_ms,
        ])?;
    connection
        .prepare_cached(
            "INSERT INTO servers (guild_id, first_seen_ms, last_seen_ms) VALUES (?1, ?2, ?2)
             ON CONFLICT DO UPDATE SET last_seen_ms = excluded.last_seen_ms
             WHERE excluded.last_seen_ms >= last_seen_ms + 3600000",
        )?
        .execute(params![id(message.guild_id)?, message.created_at_ms])?;
    Ok(())
}

/// What the store runs once in each transaction.
fn index(connection: &Connection) -> anyhow::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO messages_fts (rowid, content) SELECT m.message_id, m.content
             FROM messages_unindexed AS u JOIN messages AS m ON m.message_id = u.message_id",
        )?
        .execute([])?;
    connection.prepare_cached("DELETE FROM messages_unindexed")?.execute([])?;
    Ok(())
}

/// Fails unless both files hold the first message alike: else the ceiling would be of other work.
fn same_rows(theirs: &Connection, ours: &Connection) -> anyhow::Result<()> {
    let Some(Change::Created(first)) = messages::event(messages::guild(SHARD), 0).change else {
        anyhow::bail!("the bench writes new messages");
    };
    for (table, column, id) in [
        ("messages", "message_id", first.message_id),
        ("messages_fts_docsize", "id", first.message_id),
        ("users", "user_id", first.author_id),
    ] {
        let row = |connection: &Connection| -> anyhow::Result<String> {
            let mut statement =
                connection.prepare(&format!("SELECT * FROM {table} WHERE {column} = ?1"))?;
            let columns = statement.column_count();
            let row = statement.query_row([i64::try_from(id)?], |row| {
                (0..columns).map(|index| row.get(index)).collect::<Result<Vec<_>, _>>()
            });
            let values: Vec<rusqlite::types::Value> =
                row.with_context(|| format!("{table} holds the first message"))?;
            Ok(format!("{values:?}"))
        };
        let (theirs, ours) = (row(theirs)?, row(ours)?);
        anyhow::ensure!(theirs == ours, "{table}: the store wrote {theirs}, the bench {ours}");
    }
    Ok(())
}
