use sqlx::{Executor, Sqlite, SqliteConnection, SqlitePool, query};
use twilight_model::id::{Id, marker::MessageMarker};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, Epoch, ExecutionKey, Home, TaskThreadId, TriggerId};

use crate::{
    adapters::{
        approvals,
        columns::{self, Columns, MESSAGE_COLUMNS, message_columns},
        write_channels::key,
    },
    domain::{
        Decision, Execution, ExecutionState, Outcome, Step, StepKind, TaskThread, Tier, Trigger,
        TriggerChange, Usage, approval::ApprovalDecision,
    },
    error::StoreError,
};

macro_rules! thread_columns {
    () => {
        "t.thread_id, t.guild_id, t.channel_id, t.epoch, t.principal_kind, t.principal_id, \
         t.principal_version, t.askers, t.started_at_ms, t.finished_at_ms, t.outcome, t.detail, \
         t.attempts, t.prompt_tokens, t.completion_tokens, t.cached_tokens"
    };
}

macro_rules! execution_columns {
    () => {
        "e.key, e.thread_id, e.guild_id, e.channel_id, e.epoch, e.tool, e.arguments, \
         e.arguments_hash, e.principal_kind, e.principal_id, e.principal_version, e.trigger_id, \
         e.tier, e.decision, e.decision_reason, e.approver_id, e.is_tainted, e.is_ordered, \
         e.opened_at_ms, e.send_by_ms, e.closed_at_ms, e.state, e.result, e.rest_status, \
         e.audit_reason, e.model, e.prompt_version, e.approval_id, \
         (SELECT a.decision FROM approvals AS a WHERE a.key = e.key), \
         (SELECT a.decided_by FROM approvals AS a WHERE a.key = e.key)"
    };
}

pub(crate) use execution_columns;

/// Whose rows a list shows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope {
    Channel(ChannelKey),
    /// A guild with all its channels.
    Home(Home),
    /// The whole shard.
    All,
}

impl Scope {
    /// Returns guild and channel as the statements take them: NULL stands for any.
    pub(crate) fn columns(self) -> (Option<i64>, Option<i64>) {
        match self {
            Self::Channel(channel) => {
                let (guild, channel) = key(&channel);
                (Some(guild), Some(channel))
            }
            Self::Home(Home::Guild(guild)) => (Some(columns::id(guild)), None),
            Self::Home(Home::Dm(channel)) => (Some(0), Some(columns::id(channel))),
            Self::All => (None, None),
        }
    }
}

/// Returns whether ingestion has written a message.
pub(crate) async fn is_ingested(
    readers: &SqlitePool,
    message: Id<MessageMarker>,
) -> Result<bool, StoreError> {
    let row = query("SELECT is_ingested FROM messages WHERE message_id = ?1")
        .bind(columns::id(message))
        .fetch_optional(readers)
        .await?;
    row.map_or(Ok(false), |row| row.flag(0))
}

/// Returns a thread with its journal and executions, as they stand at one moment.
pub(crate) async fn thread(
    readers: &SqlitePool,
    thread: TaskThreadId,
) -> Result<Option<TaskThread>, StoreError> {
    let mut snapshot = readers.begin().await?;
    let row = query(concat!(
        "SELECT ",
        thread_columns!(),
        " FROM task_threads AS t WHERE t.thread_id = ?1"
    ))
    .bind(thread.0.as_bytes().to_vec())
    .fetch_optional(&mut *snapshot)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut thread = thread_row(&row)?;
    thread.triggers = triggers(&mut snapshot, thread.id).await?;
    thread.steps = steps(&mut snapshot, thread.id).await?;
    thread.executions = executions_of_thread(&mut snapshot, thread.id).await?;
    thread.changes = changes(&mut snapshot, thread.id).await?;
    thread.approvals = approvals::of_thread(&mut snapshot, thread.id).await?;
    snapshot.commit().await?;
    Ok(Some(thread))
}

/// Returns the newest threads, newest first, with their triggers but without what they did.
pub(crate) async fn threads(
    readers: &SqlitePool,
    scope: Scope,
    is_running_only: bool,
    limit: u32,
) -> Result<Vec<TaskThread>, StoreError> {
    let (guild, channel) = scope.columns();
    let mut snapshot = readers.begin().await?;
    // Thread ids rise with time. Where a channel is given, its index has them in order.
    let rows = match scope {
        Scope::Channel(_) | Scope::Home(Home::Dm(_)) => query(concat!(
            "SELECT ",
            thread_columns!(),
            " FROM task_threads AS t INDEXED BY task_threads_of_channel
                  WHERE t.guild_id = ?1 AND t.channel_id = ?2
                      AND (NOT ?3 OR t.outcome = 'running')
                  ORDER BY t.thread_id DESC LIMIT ?4"
        ))
        .bind(guild)
        .bind(channel),
        Scope::Home(Home::Guild(_)) | Scope::All => query(concat!(
            "SELECT ",
            thread_columns!(),
            " FROM task_threads AS t
              WHERE (?1 IS NULL OR t.guild_id = ?1) AND (?2 IS NULL OR t.channel_id = ?2)
                  AND (NOT ?3 OR t.outcome = 'running')
              ORDER BY t.thread_id DESC LIMIT ?4"
        ))
        .bind(guild)
        .bind(channel),
    }
    .bind(is_running_only)
    .bind(limit)
    .fetch_all(&mut *snapshot)
    .await?;
    let mut threads = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut thread = thread_row(row)?;
        thread.triggers = triggers(&mut snapshot, thread.id).await?;
        thread.changes = changes(&mut snapshot, thread.id).await?;
        threads.push(thread);
    }
    snapshot.commit().await?;
    Ok(threads)
}

/// Returns the execution with this key.
pub(crate) async fn execution(
    readers: &SqlitePool,
    key: &ExecutionKey,
) -> Result<Option<Execution>, StoreError> {
    let row = query(concat!(
        "SELECT ",
        execution_columns!(),
        " FROM tool_executions AS e WHERE e.key = ?1"
    ))
    .bind(key.to_string())
    .fetch_optional(readers)
    .await?;
    row.as_ref().map(execution_row).transpose()
}

/// Returns the newest executions, newest first.
pub(crate) async fn executions(
    readers: &SqlitePool,
    scope: Scope,
    thread: Option<TaskThreadId>,
    before: Option<&ExecutionKey>,
    limit: u32,
) -> Result<Vec<Execution>, StoreError> {
    let (guild, channel) = scope.columns();
    let rows = query(concat!(
        "SELECT ",
        execution_columns!(),
        " FROM tool_executions AS e
          WHERE (?1 IS NULL OR e.guild_id = ?1) AND (?2 IS NULL OR e.channel_id = ?2)
              AND (?3 IS NULL OR e.thread_id = ?3)
              AND (?5 IS NULL OR e.execution_id <
                  (SELECT b.execution_id FROM tool_executions AS b WHERE b.key = ?5))
          ORDER BY e.execution_id DESC LIMIT ?4"
    ));
    let in_channel = query(concat!(
        "SELECT ",
        execution_columns!(),
        " FROM tool_executions AS e INDEXED BY tool_executions_of_channel
          WHERE e.guild_id = ?1 AND e.channel_id = ?2 AND (?3 IS NULL OR e.thread_id = ?3)
              AND (?5 IS NULL OR e.execution_id <
                  (SELECT b.execution_id FROM tool_executions AS b WHERE b.key = ?5))
          ORDER BY e.execution_id DESC LIMIT ?4"
    ));
    let in_thread = query(concat!(
        "SELECT ",
        execution_columns!(),
        " FROM tool_executions AS e INDEXED BY tool_executions_of_thread
          WHERE e.thread_id = ?3
              AND (?1 IS NULL OR e.guild_id = ?1) AND (?2 IS NULL OR e.channel_id = ?2)
              AND (?5 IS NULL OR e.execution_id <
                  (SELECT b.execution_id FROM tool_executions AS b WHERE b.key = ?5))
          ORDER BY e.execution_id DESC LIMIT ?4"
    ));
    let chosen = match (scope, thread) {
        (_, Some(_)) => in_thread,
        (Scope::Channel(_) | Scope::Home(Home::Dm(_)), None) => in_channel,
        (Scope::Home(Home::Guild(_)) | Scope::All, None) => rows,
    };
    let rows = chosen
        .bind(guild)
        .bind(channel)
        .bind(thread.map(|thread| thread.0.as_bytes().to_vec()))
        .bind(limit)
        .bind(before.map(ToString::to_string))
        .fetch_all(readers)
        .await?;
    rows.iter().map(execution_row).collect()
}

fn thread_row(row: &impl Columns) -> Result<TaskThread, StoreError> {
    const TABLE: &str = "task_threads";
    let unreadable = || StoreError::Row { table: TABLE };

    Ok(TaskThread {
        id: row.thread(0, TABLE)?.ok_or_else(unreadable)?,
        channel: channel_of(row, 1, TABLE)?,
        epoch: Epoch(row.integer(3)?.cast_unsigned()),
        principal: columns::principal(row, 4, TABLE)?,
        askers: row.json(7, TABLE)?.unwrap_or_default(),
        started_at: row.millis(8)?,
        finished_at: row.integer_or_null(9)?.map(UnixMillis),
        outcome: Outcome::parse(&row.text(10)?).ok_or_else(unreadable)?,
        detail: row.text(11)?,
        attempts: u32::try_from(row.integer(12)?).map_err(|_| unreadable())?,
        usage: Usage {
            prompt: row.integer(13)?.cast_unsigned(),
            completion: row.integer(14)?.cast_unsigned(),
            cached: row.integer(15)?.cast_unsigned(),
        },
        triggers: Vec::new(),
        steps: Vec::new(),
        executions: Vec::new(),
        changes: Vec::new(),
        approvals: Vec::new(),
    })
}

/// Reads an execution from [`execution_columns`], which come first.
pub(crate) fn execution_row(row: &sqlx::sqlite::SqliteRow) -> Result<Execution, StoreError> {
    const TABLE: &str = "tool_executions";
    let unreadable = || StoreError::Row { table: TABLE };

    Ok(Execution {
        key: row.text(0)?.parse().map_err(|_| unreadable())?,
        thread: row.thread(1, TABLE)?,
        channel: channel_of(row, 2, TABLE)?,
        epoch: Epoch(row.integer(4)?.cast_unsigned()),
        tool: row.text(5)?,
        arguments: row.text(6)?,
        arguments_hash: row.text(7)?,
        principal: columns::principal(row, 8, TABLE)?,
        trigger_id: row.text(11)?,
        tier: Tier::parse(&row.text(12)?),
        decision: Decision::parse(&row.text(13)?).ok_or_else(unreadable)?,
        decision_reason: row.text(14)?,
        approver: row.optional_id(15)?,
        is_tainted: row.flag(16)?,
        is_ordered: row.flag(17)?,
        opened_at: row.millis(18)?,
        send_by: row.millis(19)?,
        closed_at: row.integer_or_null(20)?.map(UnixMillis),
        state: ExecutionState::parse(&row.text(21)?).ok_or_else(unreadable)?,
        result: row.text(22)?,
        rest_status: u32::try_from(row.integer(23)?).map_err(|_| unreadable())?,
        audit_reason: row.text(24)?,
        model: row.text(25)?,
        prompt_version: row.text(26)?,
        approval: row.text(27)?,
        proposal: match row.text_or_null(28)? {
            Some(decision) => Some(ApprovalDecision::parse(&decision).ok_or_else(unreadable)?),
            None => None,
        },
        proposal_decided_by: row
            .integer_or_null(29)?
            .and_then(|by| Id::new_checked(by.cast_unsigned())),
    })
}

async fn triggers(
    connection: &mut SqliteConnection,
    thread: TaskThreadId,
) -> Result<Vec<Trigger>, StoreError> {
    const TABLE: &str = "task_thread_triggers";

    let rows = of_thread(
        connection,
        concat!(
            "SELECT ",
            message_columns!(),
            ", t.trigger_id, t.received_at_ms
              FROM task_thread_triggers AS t LEFT JOIN messages AS m ON m.message_id = t.message_id
              WHERE t.thread_id = ?1 ORDER BY t.position"
        ),
        thread,
    )
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Trigger {
                id: trigger_of(row, MESSAGE_COLUMNS, TABLE)?,
                message: columns::message(row, 0)?,
                received_at: row.millis(MESSAGE_COLUMNS + 1)?,
            })
        })
        .collect()
}

async fn steps(
    connection: &mut SqliteConnection,
    thread: TaskThreadId,
) -> Result<Vec<Step>, StoreError> {
    const TABLE: &str = "task_thread_steps";
    let unreadable = || StoreError::Row { table: TABLE };

    let rows = of_thread(
        connection,
        "SELECT step, kind, payload, at_ms FROM task_thread_steps WHERE thread_id = ?1
         ORDER BY step",
        thread,
    )
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Step {
                index: u32::try_from(row.integer(0)?).map_err(|_| unreadable())?,
                kind: StepKind::parse(&row.text(1)?).ok_or_else(unreadable)?,
                payload: row.text(2)?,
                at: row.millis(3)?,
                bill: crate::domain::usage::Bill::default(),
            })
        })
        .collect()
}

async fn executions_of_thread(
    connection: &mut SqliteConnection,
    thread: TaskThreadId,
) -> Result<Vec<Execution>, StoreError> {
    let rows = of_thread(
        connection,
        concat!(
            "SELECT ",
            execution_columns!(),
            " FROM tool_executions AS e INDEXED BY tool_executions_of_thread
              WHERE e.thread_id = ?1 ORDER BY e.execution_id"
        ),
        thread,
    )
    .await?;
    rows.iter().map(execution_row).collect()
}

async fn changes(
    connection: &mut SqliteConnection,
    thread: TaskThreadId,
) -> Result<Vec<TriggerChange>, StoreError> {
    let rows = of_thread(
        connection,
        "SELECT t.trigger_id, m.deleted_at_ms IS NOT NULL, m.content, m.edited_at_ms
         FROM task_thread_triggers AS t JOIN messages AS m ON m.message_id = t.message_id
         WHERE t.thread_id = ?1
             AND (m.deleted_at_ms IS NOT NULL OR m.edited_at_ms > t.sent_edited_at_ms)
         ORDER BY t.position",
        thread,
    )
    .await?;
    rows.iter()
        .map(|row| {
            Ok(TriggerChange {
                id: row.text(0)?,
                is_deleted: row.flag(1)?,
                content: row.text(2)?,
                edited_at: row.millis(3)?,
            })
        })
        .collect()
}

async fn of_thread<'c>(
    connection: impl Executor<'c, Database = Sqlite>,
    statement: &'static str,
    thread: TaskThreadId,
) -> Result<Vec<sqlx::sqlite::SqliteRow>, StoreError> {
    Ok(query(statement).bind(thread.0.as_bytes().to_vec()).fetch_all(connection).await?)
}

fn channel_of(
    row: &impl Columns,
    first: usize,
    table: &'static str,
) -> Result<ChannelKey, StoreError> {
    let guild = row.integer(first)?.cast_unsigned();
    let channel = row.integer(first + 1)?.cast_unsigned();
    ChannelKey::from_raw(guild, channel).ok_or(StoreError::Row { table })
}

fn trigger_of(
    row: &impl Columns,
    index: usize,
    table: &'static str,
) -> Result<TriggerId, StoreError> {
    row.text(index)?.parse().map_err(|_| StoreError::Row { table })
}
