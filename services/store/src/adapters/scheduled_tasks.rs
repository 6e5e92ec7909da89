//! Tasks that wait for their moment, until the channel queue has them.

use rusqlite::{Connection, params};
use sqlx::{Row as _, SqlitePool, query};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, TriggerId};
use ery_trace::TraceParent;

use crate::{
    adapters::{columns, columns::Columns as _, write_channels::key},
    domain::ScheduledTask,
    error::StoreError,
};

const TABLE: &str = "scheduled_tasks";

/// Writes a task down, and where in a trace that is; returns its row.
pub(crate) fn insert(connection: &Connection, task: &ScheduledTask) -> Result<i64, StoreError> {
    let (guild, channel) = key(&task.channel);
    connection
        .prepare_cached(
            "INSERT INTO scheduled_tasks (guild_id, channel_id, trigger_id, retry, bot_id,
                 received_at_ms, payload, due_at_ms, traceparent)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            guild,
            channel,
            task.trigger.to_string(),
            task.retry,
            columns::id(task.bot),
            task.received_at.0,
            task.payload,
            task.due_at.0,
            ery_trace::current().map(|place| place.to_string()),
        ])?;
    Ok(connection.last_insert_rowid())
}

/// Marks a task that the queue has acknowledged; its payload is the queue's from here on.
pub(crate) fn mark_published(
    connection: &Connection,
    row: i64,
    now: UnixMillis,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE scheduled_tasks SET published_at_ms = ?2, payload = x''
             WHERE scheduled_task_id = ?1 AND published_at_ms IS NULL",
        )?
        .execute(params![row, now.0])?;
    Ok(())
}

/// Takes a task back that the queue has not got: it need not wake anybody any more.
pub(crate) fn withdraw(
    connection: &Connection,
    channel: &ChannelKey,
    trigger: &TriggerId,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let (guild, channel) = key(channel);
    connection
        .prepare_cached(
            "UPDATE scheduled_tasks SET published_at_ms = ?4, payload = x''
             WHERE guild_id = ?1 AND channel_id = ?2 AND trigger_id = ?3 AND retry = 0
                 AND published_at_ms IS NULL",
        )?
        .execute(params![guild, channel, trigger.to_string(), now.0])?;
    Ok(())
}

/// A task that is due.
pub(crate) struct Due {
    pub(crate) row: i64,
    pub(crate) task: ScheduledTask,
    /// Where in a trace it was written down.
    pub(crate) written_at: Option<TraceParent>,
}

/// Returns tasks that are due and not published, the longest due first, `limit` at most.
pub(crate) async fn due(
    readers: &SqlitePool,
    now: UnixMillis,
    limit: u32,
) -> Result<Vec<Due>, StoreError> {
    let unreadable = || StoreError::Row { table: TABLE };
    let rows = query(
        "SELECT scheduled_task_id, guild_id, channel_id, trigger_id, retry, bot_id, received_at_ms,
             payload, due_at_ms, traceparent
         FROM scheduled_tasks INDEXED BY scheduled_tasks_due
         WHERE published_at_ms IS NULL AND due_at_ms <= ?1
         ORDER BY due_at_ms, scheduled_task_id LIMIT ?2",
    )
    .bind(now.0)
    .bind(limit)
    .fetch_all(readers)
    .await?;
    rows.iter()
        .map(|row| {
            let guild = row.integer(1)?.cast_unsigned();
            let channel = row.integer(2)?.cast_unsigned();
            let task = ScheduledTask {
                channel: ChannelKey::from_raw(guild, channel).ok_or_else(unreadable)?,
                trigger: row.text(3)?.parse().map_err(|_| unreadable())?,
                retry: u32::try_from(row.integer(4)?).map_err(|_| unreadable())?,
                bot: row.id(5, TABLE)?,
                received_at: row.millis(6)?,
                payload: row.bytes_or_null(7)?.unwrap_or_default(),
                due_at: row.millis(8)?,
            };
            let written_at = row.text_or_null(9)?.and_then(|place| place.parse().ok());
            Ok(Due { row: row.integer(0)?, task, written_at })
        })
        .collect()
}

/// Returns when the next task is due that is not published.
pub(crate) async fn next_due(readers: &SqlitePool) -> Result<Option<UnixMillis>, StoreError> {
    let row = query(
        "SELECT min(due_at_ms) FROM scheduled_tasks INDEXED BY scheduled_tasks_due
         WHERE published_at_ms IS NULL",
    )
    .fetch_one(readers)
    .await?;
    Ok(row.try_get::<Option<i64>, _>(0)?.map(UnixMillis))
}
