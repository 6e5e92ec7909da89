//! What a message has to do with task threads, and with tools.

use sqlx::{SqliteConnection, SqlitePool, query};
use twilight_model::id::{Id, marker::MessageMarker};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, TaskThreadId};

use crate::{
    adapters::{
        columns::{self, Columns as _},
        read::{self, execution_columns, execution_row},
        write_channels::key,
    },
    domain::{Execution, TaskThread},
    error::StoreError,
};

/// Among how many of the newest executions, of a message's channel and of its shard, the one is looked
/// for that sent it.
const EXECUTIONS_SEARCHED: i64 = 2_000;

/// A message that the store knows, without its text.
#[derive(Clone, Debug)]
pub(crate) struct KnownMessage {
    pub(crate) channel: ChannelKey,
    pub(crate) id: Id<MessageMarker>,
    /// 0 where only its end was heard of.
    pub(crate) author: u64,
    pub(crate) is_own: bool,
    pub(crate) is_automated: bool,
    pub(crate) is_deleted: bool,
    pub(crate) gate_reason: String,
    pub(crate) content_bytes: u64,
    pub(crate) created_at: UnixMillis,
    reply_to: i64,
}

/// What a message has to do with Ery.
#[derive(Debug)]
pub(crate) struct Explained {
    pub(crate) message: KnownMessage,
    pub(crate) part: Part,
}

#[derive(Debug)]
pub(crate) enum Part {
    /// Nothing that is known.
    None,
    /// A thread began because of it.
    Trigger(Box<TaskThread>),
    /// An execution sent it, of a thread or of none.
    Sent(Box<Execution>, Option<Box<TaskThread>>),
}

/// Explains a message of a channel, or of any; none if the shard knows no such message.
pub(crate) async fn message(
    readers: &SqlitePool,
    channel: Option<&ChannelKey>,
    id: Id<MessageMarker>,
) -> Result<Option<Explained>, StoreError> {
    let mut snapshot = readers.begin().await?;
    let Some(message) = known(&mut snapshot, id).await? else { return Ok(None) };
    if channel.is_some_and(|channel| *channel != message.channel) {
        return Ok(None);
    }
    let sent = if message.is_own { sent_by(&mut snapshot, &message).await? } else { None };
    let thread = match &sent {
        Some(execution) => execution.thread,
        None => thread_of(&mut snapshot, &message.channel, id).await?,
    };
    snapshot.commit().await?;
    let thread = match thread {
        Some(thread) => read::thread(readers, thread).await?.map(Box::new),
        None => None,
    };
    let part = match (sent, thread) {
        (Some(execution), thread) => Part::Sent(Box::new(execution), thread),
        (None, Some(thread)) => Part::Trigger(thread),
        (None, None) => Part::None,
    };
    Ok(Some(Explained { message, part }))
}

async fn known(
    connection: &mut SqliteConnection,
    id: Id<MessageMarker>,
) -> Result<Option<KnownMessage>, StoreError> {
    const TABLE: &str = "messages";

    let row = query(
        "SELECT guild_id, channel_id, author_id, is_own, is_automated, deleted_at_ms IS NOT NULL,
             gate_reason, octet_length(content), created_at_ms, reply_to
         FROM messages WHERE message_id = ?1",
    )
    .bind(columns::id(id))
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (guild, channel) = (row.integer(0)?.cast_unsigned(), row.integer(1)?.cast_unsigned());
    Ok(Some(KnownMessage {
        channel: ChannelKey::from_raw(guild, channel).ok_or(StoreError::Row { table: TABLE })?,
        id,
        author: row.integer(2)?.cast_unsigned(),
        is_own: row.flag(3)?,
        is_automated: row.flag(4)?,
        is_deleted: row.flag(5)?,
        gate_reason: row.text(6)?,
        content_bytes: row.integer(7)?.cast_unsigned(),
        created_at: row.millis(8)?,
        reply_to: row.integer(9)?,
    }))
}

/// Returns the thread that a message triggered: a finished one, or the one that runs.
async fn thread_of(
    connection: &mut SqliteConnection,
    channel: &ChannelKey,
    id: Id<MessageMarker>,
) -> Result<Option<TaskThreadId>, StoreError> {
    let (guild, channel) = key(channel);
    let row = query(
        "SELECT thread_id FROM finished_triggers
         WHERE guild_id = ?1 AND channel_id = ?2 AND trigger_id = ?3
         UNION ALL
         SELECT t.thread_id FROM task_threads AS t JOIN task_thread_triggers AS r USING (thread_id)
         WHERE t.guild_id = ?1 AND t.channel_id = ?2 AND t.outcome = 'running'
             AND r.message_id = ?4
         LIMIT 1",
    )
    .bind(guild)
    .bind(channel)
    .bind(format!("m.{id}"))
    .bind(columns::id(id))
    .fetch_optional(connection)
    .await?;
    row.map_or(Ok(None), |row| row.thread(0, "finished_triggers"))
}

/// Returns the execution that sent a message of Ery's: of the thread that it answers, else one of the
/// newest of the message's channel, or of the shard where it was sent from another one.
async fn sent_by(
    connection: &mut SqliteConnection,
    message: &KnownMessage,
) -> Result<Option<Execution>, StoreError> {
    let answered = Id::new_checked(message.reply_to.cast_unsigned());
    let thread = match answered {
        Some(answered) => thread_of(connection, &message.channel, answered).await?,
        None => None,
    };
    if let Some(thread) = thread {
        let row = query(concat!(
            "SELECT ",
            execution_columns!(),
            " FROM tool_executions AS e INDEXED BY tool_executions_of_thread
              WHERE e.thread_id = ?1 AND json_valid(e.result)
                  AND e.result ->> '$.message_id' = ?2"
        ))
        .bind(thread.0.as_bytes().to_vec())
        .bind(message.id.to_string())
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(row) = row {
            return execution_row(&row).map(Some);
        }
    }
    let row = query(concat!(
        "SELECT ",
        execution_columns!(),
        " FROM (SELECT * FROM tool_executions INDEXED BY tool_executions_of_channel
                WHERE guild_id = ?1 AND channel_id = ?4 ORDER BY execution_id DESC LIMIT ?3) AS e
          WHERE json_valid(e.result) AND e.result ->> '$.message_id' = ?2
          LIMIT 1"
    ))
    .bind(key(&message.channel).0)
    .bind(message.id.to_string())
    .bind(EXECUTIONS_SEARCHED)
    .bind(key(&message.channel).1)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(row) = row {
        return execution_row(&row).map(Some);
    }
    let row = query(concat!(
        "SELECT ",
        execution_columns!(),
        " FROM (SELECT * FROM tool_executions ORDER BY execution_id DESC LIMIT ?3) AS e
          WHERE e.guild_id = ?1 AND json_valid(e.result) AND e.result ->> '$.message_id' = ?2
          LIMIT 1"
    ))
    .bind(key(&message.channel).0)
    .bind(message.id.to_string())
    .bind(EXECUTIONS_SEARCHED)
    .fetch_optional(connection)
    .await?;
    row.map(|row| execution_row(&row)).transpose()
}
