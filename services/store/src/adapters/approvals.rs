//! Acts that wait for a click, and what was decided of them.

use rusqlite::{Connection, OptionalExtension as _, params};
use sqlx::{SqliteConnection, SqlitePool, query};
use twilight_model::id::{
    Id,
    marker::{GuildMarker, MessageMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, ExecutionKey, Fence, TaskThreadId, TriggerId};

use crate::{
    adapters::{
        columns::{Columns, id},
        scheduled_tasks,
        write_channels::{check_fence, key},
        write_threads,
    },
    domain::{
        Execution, Outcome, ScheduledTask,
        approval::{Approval, ApprovalDecision, Click, Decided, NewApproval, ruling},
    },
    error::StoreError,
};

const TABLE: &str = "approvals";

macro_rules! approval_columns {
    () => {
        "a.approval_id, a.guild_id, a.channel_id, a.thread_id, a.key, a.tool, a.arguments, a.hash, \
         a.asker_id, a.bot_id, a.asking_message_id, a.message_id, a.created_at_ms, a.expires_at_ms, \
         a.decision, a.decided_by, a.decided_at_ms"
    };
}

/// Writes down what an execution proposes, and when its thread is to be woken at the latest.
pub(crate) fn insert(
    connection: &Connection,
    new: &NewApproval,
    execution: &Execution,
) -> Result<(), StoreError> {
    let Some(thread) = execution.thread else { return Err(StoreError::Row { table: TABLE }) };
    let wake = ScheduledTask {
        channel: execution.channel,
        trigger: TriggerId::Approval(new.id.clone()),
        retry: 0,
        bot: new.bot,
        received_at: execution.opened_at,
        payload: Vec::new(),
        due_at: new.expires_at,
    };
    let wake = scheduled_tasks::insert(connection, &wake)?;
    let asking = execution.trigger_id.parse::<TriggerId>().ok();
    let asking = asking.as_ref().and_then(TriggerId::message);
    let (guild, channel) = key(&execution.channel);
    connection
        .prepare_cached(
            "INSERT INTO approvals (approval_id, guild_id, channel_id, thread_id, key, tool,
                 arguments, hash, asker_id, bot_id, asking_message_id, created_at_ms,
                 expires_at_ms, scheduled_task_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?
        .execute(params![
            new.id,
            guild,
            channel,
            thread.0.as_bytes().as_slice(),
            execution.key.to_string(),
            execution.tool,
            execution.arguments,
            new.hash,
            id(new.asker),
            id(new.bot),
            asking.map(id),
            execution.opened_at.0,
            new.expires_at.0,
            wake,
        ])?;
    Ok(())
}

/// Notes where an approval is shown.
pub(crate) fn set_message(
    connection: &Connection,
    of: &ExecutionKey,
    message: Id<MessageMarker>,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE approvals SET message_id = ?2 WHERE key = ?1 AND message_id IS NULL",
        )?
        .execute(params![of.to_string(), id(message)])?;
    Ok(())
}

/// Decides an approval, unless it is decided; its thread is woken in the same transaction.
pub(crate) fn decide(
    connection: &Connection,
    click: &Click,
    now: UnixMillis,
) -> Result<Option<Approval>, StoreError> {
    let Some(mut approval) = find(connection, &click.approval)? else { return Ok(None) };
    if approval.channel.guild() != Some(click.guild) {
        return Ok(None);
    }
    if approval.decided.is_none() {
        settle(connection, &mut approval, Some(click), now)?;
    }
    Ok(Some(approval))
}

/// Voids every proposal that is open in a file, and ends the threads that wait for them.
pub(crate) fn void_everything(connection: &Connection, now: UnixMillis) -> rusqlite::Result<()> {
    for statement in [
        "UPDATE scheduled_tasks SET published_at_ms = ?1, payload = x''
         WHERE published_at_ms IS NULL AND scheduled_task_id IN
             (SELECT scheduled_task_id FROM approvals WHERE decision IS NULL)",
        "UPDATE task_threads SET outcome = 'cancelled', finished_at_ms = coalesce(finished_at_ms, ?1)
         WHERE outcome = 'suspended' AND thread_id IN
             (SELECT thread_id FROM approvals WHERE decision IS NULL)",
        "UPDATE approvals SET decision = 'void', decided_at_ms = ?1 WHERE decision IS NULL",
    ] {
        connection.execute(statement, [now.0])?;
    }
    Ok(())
}

/// Voids what waits for a click and was begun by `trigger`; its threads are woken for that.
pub(crate) fn void_all_of(
    connection: &Connection,
    guild: Id<GuildMarker>,
    trigger: &str,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let open: Vec<String> = connection
        .prepare_cached(
            "SELECT a.approval_id FROM approvals AS a JOIN tool_executions AS e ON e.key = a.key
             WHERE a.decision IS NULL AND a.guild_id = ?1 AND e.trigger_id = ?2",
        )?
        .query_map(params![id(guild), trigger], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for approval in open {
        write_decision(connection, &approval, ApprovalDecision::Void, None, now)?;
    }
    Ok(())
}

/// What a suspended thread comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reopened {
    /// It runs again, or still.
    Runs(TaskThreadId),
    /// There is nothing to go on with.
    Nothing,
}

/// Lets a suspended thread run again, once its approval is decided.
///
/// The wake-up becomes a trigger of the thread, which finishes it.
pub(crate) fn reopen(
    connection: &Connection,
    fence: &Fence,
    approval: &str,
    now: UnixMillis,
) -> Result<Reopened, StoreError> {
    check_fence(connection, fence)?;
    let found = find(connection, approval)?.filter(|it| it.channel == fence.channel);
    let Some(mut approval) = found else { return Ok(Reopened::Nothing) };
    if approval.decided.is_none() {
        settle(connection, &mut approval, None, now)?;
    }
    if approval.decided.is_none() {
        return Ok(Reopened::Nothing);
    }
    match write_threads::known(connection, approval.thread, &fence.channel)? {
        Outcome::Suspended => {}
        Outcome::Running => return Ok(Reopened::Runs(approval.thread)),
        Outcome::Done
        | Outcome::OutOfBudget
        | Outcome::Cancelled
        | Outcome::Failed
        | Outcome::TooBusy => return Ok(Reopened::Nothing),
    }
    let trigger = TriggerId::Approval(approval.id.clone());
    write_threads::reopen(connection, approval.thread, &trigger, now)?;
    Ok(Reopened::Runs(approval.thread))
}

/// Writes what an approval comes to, if it comes to anything now.
fn settle(
    connection: &Connection,
    approval: &mut Approval,
    click: Option<&Click>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let is_asking_deleted: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM messages WHERE message_id = ?1
                 AND deleted_at_ms IS NOT NULL)",
        )?
        .query_row([approval.asking.map(id)], |row| row.get(0))?;
    let said = click.map(|click| click.is_approved);
    let Some(decision) = ruling(is_asking_deleted, approval.expires_at, said, now) else {
        return Ok(());
    };
    let is_persons = matches!(decision, ApprovalDecision::Approved | ApprovalDecision::Rejected);
    let by = click.map(|click| click.by).filter(|_| is_persons);
    write_decision(connection, &approval.id, decision, by, now)?;
    approval.decided = Some(Decided { decision, by, at: now });
    Ok(())
}

/// Writes a decision, and wakes the thread that waits for it.
fn write_decision(
    connection: &Connection,
    approval: &str,
    decision: ApprovalDecision,
    by: Option<Id<UserMarker>>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE approvals SET decision = ?2, decided_by = ?3, decided_at_ms = ?4
             WHERE approval_id = ?1",
        )?
        .execute(params![approval, decision.as_str(), by.map(id), now.0])?;
    connection
        .prepare_cached(
            "UPDATE scheduled_tasks SET due_at_ms = min(due_at_ms, ?2)
             WHERE published_at_ms IS NULL AND scheduled_task_id =
                 (SELECT scheduled_task_id FROM approvals WHERE approval_id = ?1)",
        )?
        .execute(params![approval, now.0])?;
    Ok(())
}

fn find(connection: &Connection, approval: &str) -> Result<Option<Approval>, StoreError> {
    connection
        .prepare_cached(concat!(
            "SELECT ",
            approval_columns!(),
            " FROM approvals AS a WHERE a.approval_id = ?1"
        ))?
        .query_row([approval], |row| Ok(approval_row(row)))
        .optional()?
        .transpose()
}

/// Returns an approval of a guild.
pub(crate) async fn get(
    readers: &SqlitePool,
    guild: Id<GuildMarker>,
    approval: &str,
) -> Result<Option<Approval>, StoreError> {
    let row = query(concat!(
        "SELECT ",
        approval_columns!(),
        " FROM approvals AS a WHERE a.approval_id = ?1 AND a.guild_id = ?2"
    ))
    .bind(approval)
    .bind(id(guild))
    .fetch_optional(readers)
    .await?;
    row.as_ref().map(approval_row).transpose()
}

/// Returns the approval of a guild that a message shows, decided or not.
pub(crate) async fn shown_by(
    readers: &SqlitePool,
    guild: Id<GuildMarker>,
    message: Id<MessageMarker>,
) -> Result<Option<Approval>, StoreError> {
    let row = query(concat!(
        "SELECT ",
        approval_columns!(),
        " FROM approvals AS a INDEXED BY approvals_of_message
          WHERE a.message_id = ?1 AND a.guild_id = ?2"
    ))
    .bind(id(message))
    .bind(id(guild))
    .fetch_optional(readers)
    .await?;
    row.as_ref().map(approval_row).transpose()
}

/// Returns what a thread proposed, in order.
pub(crate) async fn of_thread(
    connection: &mut SqliteConnection,
    thread: TaskThreadId,
) -> Result<Vec<Approval>, StoreError> {
    let rows = query(concat!(
        "SELECT ",
        approval_columns!(),
        " FROM approvals AS a INDEXED BY approvals_of_thread WHERE a.thread_id = ?1
          ORDER BY a.created_at_ms"
    ))
    .bind(thread.0.as_bytes().to_vec())
    .fetch_all(connection)
    .await?;
    rows.iter().map(approval_row).collect()
}

fn approval_row(row: &impl Columns) -> Result<Approval, StoreError> {
    let unreadable = || StoreError::Row { table: TABLE };
    let channel =
        ChannelKey::from_raw(row.integer(1)?.cast_unsigned(), row.integer(2)?.cast_unsigned());
    let message = |index| -> Result<Option<Id<MessageMarker>>, StoreError> {
        Ok(row.integer_or_null(index)?.and_then(|id| Id::new_checked(id.cast_unsigned())))
    };
    let decided = match row.text_or_null(14)? {
        None => None,
        Some(decision) => Some(Decided {
            decision: ApprovalDecision::parse(&decision).ok_or_else(unreadable)?,
            by: row.integer_or_null(15)?.and_then(|by| Id::new_checked(by.cast_unsigned())),
            at: row.millis(16)?,
        }),
    };
    Ok(Approval {
        id: row.text(0)?,
        channel: channel.ok_or_else(unreadable)?,
        thread: row.thread(3, TABLE)?.ok_or_else(unreadable)?,
        key: row.text(4)?.parse().map_err(|_| unreadable())?,
        tool: row.text(5)?,
        arguments: row.text(6)?,
        hash: row.text(7)?,
        asker: row.optional_id(8)?,
        bot: row.id(9, TABLE)?,
        asking: message(10)?,
        message: message(11)?,
        created_at: row.millis(12)?,
        expires_at: row.millis(13)?,
        decided,
    })
}
