//! Dead letters: written with the end of their thread, or with an event; read, and tried again.

use rusqlite::{Connection, OptionalExtension as _, params};
use sqlx::{SqlitePool, query};
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, MessageMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, EventId, Home, StoreShard, TaskThreadId, TriggerId};

use crate::{
    adapters::{
        columns::{self, Columns, MESSAGE_COLUMNS, message_columns},
        read::Scope,
        scheduled_tasks,
        write_channels::{finished_by, key},
    },
    domain::{
        ScheduledTask, Trigger,
        dead_letter::{Dead, DeadLetter, DeadLetterId, Refusal, Retried},
    },
    error::StoreError,
};

const TABLE: &str = "dead_letters";

/// What [`letter`] reads, but for the payload.
macro_rules! letter_columns {
    () => {
        concat!(
            message_columns!(),
            ", d.dead_letter_id, d.kind, d.guild_id, d.channel_id, d.source_id, d.received_at_ms, \
             d.thread_id, coalesce(t.attempts, 0), d.handler, d.event_kind, d.reason, d.at_ms, \
             d.bot_id, d.payload IS NOT NULL, d.payload_bytes, m.deleted_at_ms IS NOT NULL, \
             d.retried_at_ms, d.retried_by, s.published_at_ms"
        )
    };
}

macro_rules! from_letters {
    () => {
        " FROM dead_letters AS d
          LEFT JOIN messages AS m ON m.message_id = d.message_id
          LEFT JOIN task_threads AS t ON t.thread_id = d.thread_id
          LEFT JOIN scheduled_tasks AS s ON s.scheduled_task_id = d.scheduled_task_id"
    };
}

/// How many columns [`letter_columns`] has behind the message's.
const LETTER_COLUMNS: usize = 19;

/// What a trigger came with, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadTask {
    pub(crate) trigger: TriggerId,
    pub(crate) bot: Id<UserMarker>,
    pub(crate) received_at: UnixMillis,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) payload_bytes: u64,
}

/// A trigger whose thread has failed for good.
#[derive(Debug)]
pub(crate) struct NewLetter<'a> {
    pub(crate) channel: &'a ChannelKey,
    pub(crate) trigger: &'a TriggerId,
    pub(crate) thread: TaskThreadId,
    pub(crate) reason: &'a str,
    pub(crate) at: UnixMillis,
    pub(crate) task: Option<&'a DeadTask>,
}

/// An event that a handler could not take in.
#[derive(Debug)]
pub(crate) struct DeadEvent {
    pub(crate) handler: String,
    pub(crate) event: EventId,
    pub(crate) kind: String,
    pub(crate) home: Home,
    pub(crate) channel: Option<Id<ChannelMarker>>,
    /// The message that its payload is about, as far as that can be told.
    pub(crate) message: Option<Id<MessageMarker>>,
    pub(crate) bot: Option<Id<UserMarker>>,
    pub(crate) received_at: UnixMillis,
    pub(crate) reason: String,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) payload_bytes: u64,
}

/// What trying a dead letter again came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Its task is to be published at once.
    Begun,
    Unknown,
    Refused(Refusal),
}

/// Makes a dead letter of a trigger.
pub(crate) fn insert(connection: &Connection, new: &NewLetter<'_>) -> Result<(), StoreError> {
    let (guild, channel) = key(new.channel);
    let task = new.task;
    connection
        .prepare_cached(
            "INSERT INTO dead_letters (kind, guild_id, channel_id, source_id, message_id,
                 received_at_ms, thread_id, reason, at_ms, bot_id, payload, payload_bytes)
             VALUES ('task', ?1, ?2, ?3, ?4,
                 coalesce(?5, (SELECT received_at_ms FROM task_thread_triggers
                     WHERE thread_id = ?6 AND trigger_id = ?3), ?8),
                 ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            guild,
            channel,
            new.trigger.to_string(),
            new.trigger.message().map(columns::id),
            task.map(|task| task.received_at.0),
            new.thread.0.as_bytes().as_slice(),
            new.reason,
            new.at.0,
            columns::optional_id(task.map(|task| task.bot)),
            task.and_then(|task| task.payload.as_deref()),
            task.map_or(0, |task| task.payload_bytes.cast_signed()),
        ])?;
    Ok(())
}

/// Makes a dead letter of an event; a repeat writes nothing. What a deleted message said is not kept.
pub(crate) fn insert_event(
    connection: &Connection,
    event: &DeadEvent,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let guild = event.home.guild().map_or(0, columns::id);
    connection
        .prepare_cached(
            "INSERT INTO dead_letters (kind, guild_id, channel_id, source_id, received_at_ms,
                 handler, event_kind, reason, at_ms, bot_id, payload, payload_bytes, message_id)
             VALUES ('event', ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,
                 CASE WHEN EXISTS (SELECT 1 FROM messages
                     WHERE message_id = ?12 AND deleted_at_ms IS NOT NULL)
                 THEN NULL ELSE ?10 END,
                 ?11, ?12)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            guild,
            columns::optional_id(event.channel),
            event.event.0,
            event.received_at.0,
            event.handler,
            event.kind,
            event.reason,
            now.0,
            columns::optional_id(event.bot),
            event.payload,
            event.payload_bytes.cast_signed(),
            event.message.map(columns::id),
        ])?;
    Ok(())
}

/// Forgets what a deleted message said, where it lies with a dead letter.
pub(crate) fn forget_message(
    connection: &Connection,
    message: Id<MessageMarker>,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE dead_letters SET payload = NULL WHERE message_id = ?1 AND payload IS NOT NULL",
        )?
        .execute([columns::id(message)])?;
    Ok(())
}

/// Returns whether a thread's trigger was put back after the thread had failed.
pub(crate) fn was_retried(
    connection: &Connection,
    thread: TaskThreadId,
    channel: &ChannelKey,
    trigger: &TriggerId,
) -> Result<bool, StoreError> {
    let (guild, channel) = key(channel);
    let found = connection
        .prepare_cached(
            "SELECT 1 FROM dead_letters
             WHERE kind = 'task' AND guild_id = ?1 AND channel_id = ?2 AND source_id = ?3
                 AND thread_id = ?4 AND retried_at_ms IS NOT NULL",
        )?
        .query_row(
            params![guild, channel, trigger.to_string(), thread.0.as_bytes().as_slice()],
            |_| Ok(()),
        )
        .optional()?;
    Ok(found.is_some())
}

/// Tries a dead letter again: its trigger may start a thread anew, and its task is written down, to
/// be published. All of it happens, or nothing.
///
/// The thread that failed stays with its journal, its executions and its answer; the next one has
/// an id and an answer key of its own (ONCE-VISIBLE).
pub(crate) fn retry(
    connection: &Connection,
    id: DeadLetterId,
    by: &str,
    now: UnixMillis,
) -> Result<Retry, StoreError> {
    let letter = connection
        .prepare_cached(concat!(
            "SELECT ",
            letter_columns!(),
            ", d.payload",
            from_letters!(),
            " WHERE d.dead_letter_id = ?1"
        ))?
        .query_row([id.row], |row| Ok(letter(row, id.shard, true)))
        .optional()?
        .transpose()?;
    let Some(letter) = letter else { return Ok(Retry::Unknown) };
    if let Some(refusal) = letter.refusal() {
        return Ok(Retry::Refused(refusal));
    }
    let (Dead::Task { trigger, thread, .. }, Some(channel), Some(bot), Some(payload)) =
        (letter.dead, letter.channel, letter.bot, letter.payload)
    else {
        return Err(StoreError::Row { table: TABLE });
    };
    let trigger = trigger.id;
    let channel = ChannelKey { home: letter.home, channel };
    match finished_by(connection, &channel, &trigger)? {
        Some(by) if by != thread => return Ok(Retry::Refused(Refusal::FinishedSince { by })),
        Some(_) | None => {}
    }
    let (guild_id, channel_id) = key(&channel);
    connection
        .prepare_cached(
            "DELETE FROM finished_triggers
             WHERE guild_id = ?1 AND channel_id = ?2 AND trigger_id = ?3",
        )?
        .execute(params![guild_id, channel_id, trigger.to_string()])?;
    let retry: u32 = connection
        .prepare_cached(
            "SELECT count(*) FROM dead_letters
             WHERE kind = 'task' AND guild_id = ?1 AND channel_id = ?2 AND source_id = ?3",
        )?
        .query_row(params![guild_id, channel_id, trigger.to_string()], |row| row.get(0))?;
    let task = ScheduledTask {
        channel,
        trigger,
        retry,
        bot,
        received_at: letter.received_at,
        payload,
        due_at: now,
    };
    let scheduled = scheduled_tasks::insert(connection, &task)?;
    connection
        .prepare_cached(
            "UPDATE dead_letters SET retried_at_ms = ?2, retried_by = ?3, scheduled_task_id = ?4
             WHERE dead_letter_id = ?1",
        )?
        .execute(params![id.row, now.0, by, scheduled])?;
    Ok(Retry::Begun)
}

/// Returns the newest dead letters, newest first, without payloads.
pub(crate) async fn list(
    readers: &SqlitePool,
    shard: StoreShard,
    scope: Scope,
    is_retryable_only: bool,
    limit: u32,
) -> Result<Vec<DeadLetter>, StoreError> {
    let (guild, channel) = scope.columns();
    let rows = query(concat!(
        "SELECT ",
        letter_columns!(),
        from_letters!(),
        " WHERE (?1 IS NULL OR d.guild_id = ?1) AND (?2 IS NULL OR d.channel_id = ?2)
              AND (NOT ?3 OR (d.kind = 'task' AND d.retried_at_ms IS NULL AND d.bot_id <> 0
                  AND d.payload IS NOT NULL AND m.deleted_at_ms IS NULL))
          ORDER BY d.dead_letter_id DESC LIMIT ?4"
    ))
    .bind(guild)
    .bind(channel)
    .bind(is_retryable_only)
    .bind(limit)
    .fetch_all(readers)
    .await?;
    rows.iter().map(|row| letter(row, shard, false)).collect()
}

/// Returns a dead letter with its payload.
pub(crate) async fn get(
    readers: &SqlitePool,
    id: DeadLetterId,
) -> Result<Option<DeadLetter>, StoreError> {
    let row = query(concat!(
        "SELECT ",
        letter_columns!(),
        ", d.payload",
        from_letters!(),
        " WHERE d.dead_letter_id = ?1"
    ))
    .bind(id.row)
    .fetch_optional(readers)
    .await?;
    row.map(|row| letter(&row, id.shard, true)).transpose()
}

fn letter(
    row: &impl Columns,
    shard: StoreShard,
    with_payload: bool,
) -> Result<DeadLetter, StoreError> {
    let unreadable = || StoreError::Row { table: TABLE };
    let at = |column: usize| MESSAGE_COLUMNS + column;

    let channel: Option<Id<ChannelMarker>> = row.optional_id(at(3))?;
    let home = match (row.optional_id(at(2))?, channel) {
        (Some(guild), _) => Home::Guild(guild),
        (None, Some(channel)) => Home::Dm(channel),
        (None, None) => return Err(unreadable()),
    };
    let source = row.text(at(4))?;
    let received_at = row.millis(at(5))?;
    let dead = match row.text(at(1))?.as_str() {
        "task" => Dead::Task {
            trigger: Box::new(Trigger {
                id: source.parse().map_err(|_| unreadable())?,
                message: columns::message(row, 0)?,
                received_at,
            }),
            thread: row.thread(at(6), TABLE)?.ok_or_else(unreadable)?,
            attempts: u32::try_from(row.integer(at(7))?).map_err(|_| unreadable())?,
        },
        "event" => {
            Dead::Event { id: EventId(source), kind: row.text(at(9))?, handler: row.text(at(8))? }
        }
        _ => return Err(unreadable()),
    };
    let retried = match row.integer_or_null(at(16))? {
        Some(retried_at) => Some(Retried {
            at: UnixMillis(retried_at),
            by: row.text_or_null(at(17))?.unwrap_or_default(),
            published_at: row.integer_or_null(at(18))?.map(UnixMillis),
        }),
        None => None,
    };
    Ok(DeadLetter {
        id: DeadLetterId { shard, row: row.integer(at(0))? },
        dead,
        home,
        channel,
        bot: row.optional_id(at(12))?,
        received_at,
        reason: row.text(at(10))?,
        at: row.millis(at(11))?,
        payload: if with_payload { row.bytes_or_null(at(LETTER_COLUMNS))? } else { None },
        has_payload: row.flag(at(13))?,
        payload_bytes: row.integer(at(14))?.cast_unsigned(),
        is_message_deleted: row.flag(at(15))?,
        retried,
    })
}
