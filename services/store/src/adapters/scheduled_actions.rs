//! Acts that are to be done at a time.

use rusqlite::{Connection, OptionalExtension as _, params};
use sqlx::{SqlitePool, query};
use twilight_model::id::{
    Id,
    marker::{GuildMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, ExecutionKey, Principal, TriggerId};

use crate::{
    adapters::{
        columns::{self, Columns, PrincipalColumns, id},
        scheduled_tasks,
        write_channels::key,
    },
    domain::{
        ScheduledTask,
        scheduled_action::{ActionQuery, ActionState, Later, ScheduledAction},
    },
    error::StoreError,
};

const TABLE: &str = "scheduled_actions";

/// SQL: whether the act `a` has yet to be done. The end of what was done to somebody for a while is,
/// until the trigger that woke it is finished: it is tried again however long Discord is away.
macro_rules! to_be_done {
    () => {
        "(a.state = 'waiting' OR (a.state = 'fired' AND a.principal_kind = 'expiry' AND NOT EXISTS \
             (SELECT 1 FROM scheduled_tasks AS s JOIN finished_triggers AS f \
                  ON f.guild_id = s.guild_id AND f.channel_id = s.channel_id \
                      AND f.trigger_id = s.trigger_id \
              WHERE s.scheduled_task_id = a.scheduled_task_id)))"
    };
}
pub(crate) use to_be_done;

macro_rules! action_columns {
    () => {
        "a.scheduled_action_id, a.guild_id, a.channel_id, a.key, a.tool, a.arguments, \
         a.principal_kind, a.principal_id, a.principal_version, a.created_at_ms, a.due_at_ms, \
         a.state, a.ended_at_ms, a.ended_by"
    };
}

/// Writes down what an execution leaves to be done; its authority is the execution's, or its end's.
pub(crate) fn insert(
    connection: &Connection,
    planned_by: &ExecutionKey,
    channel: &ChannelKey,
    later: &Later,
    now: UnixMillis,
) -> Result<(), StoreError> {
    // One in doubt may be closed again, once it is known.
    let is_planned: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM scheduled_actions WHERE key = ?1)")?
        .query_row([planned_by.to_string()], |row| row.get(0))?;
    if is_planned {
        return Ok(());
    }
    let due = later.due_at.0;
    let wake = ScheduledTask {
        channel: *channel,
        trigger: TriggerId::ScheduledAction { action: later.id.clone(), due },
        retry: 0,
        bot: later.bot,
        received_at: now,
        payload: Vec::new(),
        due_at: later.due_at,
    };
    let wake = scheduled_tasks::insert(connection, &wake)?;
    let (guild, channel) = key(channel);
    let expiry = Principal::Expiry { execution: planned_by.to_string() };
    let expiry = PrincipalColumns::from(Some(&expiry).filter(|_| later.is_expiry));
    connection
        .prepare_cached(
            "INSERT INTO scheduled_actions (scheduled_action_id, guild_id, channel_id, key, tool,
                 arguments, principal_kind, principal_id, principal_version, created_at_ms,
                 due_at_ms, state, scheduled_task_id)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, coalesce(?7, e.principal_kind),
                 coalesce(?8, e.principal_id), e.principal_version, ?9, ?10, 'waiting', ?11
             FROM tool_executions AS e WHERE e.key = ?4",
        )?
        .execute(params![
            later.id,
            guild,
            channel,
            planned_by.to_string(),
            later.tool,
            later.arguments,
            expiry.kind,
            expiry.id,
            now.0,
            due,
            wake,
        ])?;
    Ok(())
}

/// Takes back the ends of what was done to somebody for a while: it was done anew, or undone.
pub(crate) fn cancel_expiries(
    connection: &Connection,
    done: &ExecutionKey,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let superseded: Vec<String> = connection
        .prepare_cached(
            "SELECT a.scheduled_action_id
             FROM tool_executions AS e JOIN scheduled_actions AS a
                 ON a.guild_id = e.guild_id AND a.state = 'waiting' AND a.tool = e.tool
             WHERE e.key = ?1 AND a.principal_kind = 'expiry'
                 AND coalesce(e.principal_kind, '') <> 'expiry' AND json_valid(e.arguments)
                 AND (a.arguments ->> '$.member' = e.arguments ->> '$.member'
                     OR a.arguments ->> '$.member' IN (SELECT banned.value FROM json_each(
                         CASE WHEN json_valid(e.result) THEN e.result END, '$.banned') AS banned))",
        )?
        .query_map([done.to_string()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for action in superseded {
        end(connection, &action, ActionState::Cancelled, None, now)?;
    }
    Ok(())
}

/// Cancels what was planned by executions that `trigger` began; what only lifts stands.
pub(crate) fn cancel_all_of(
    connection: &Connection,
    guild: Id<GuildMarker>,
    trigger: &str,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let planned: Vec<String> = connection
        .prepare_cached(
            "SELECT a.scheduled_action_id
             FROM tool_executions AS e JOIN scheduled_actions AS a
                 ON a.key IN (e.key, e.key || '/approved')
             WHERE e.guild_id = ?1 AND e.trigger_id = ?2 AND a.state = 'waiting'
                 AND a.principal_kind <> 'expiry'",
        )?
        .query_map(params![id(guild), trigger], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for action in planned {
        end(connection, &action, ActionState::Cancelled, None, now)?;
    }
    Ok(())
}

/// Notes that an act was fired, whatever came of it.
pub(crate) fn fired(
    connection: &Connection,
    action: &str,
    now: UnixMillis,
) -> Result<(), StoreError> {
    end(connection, action, ActionState::Fired, None, now)
}

/// Cancels an act of a guild, if it still waits; returns how it stands then.
pub(crate) fn cancel(
    connection: &Connection,
    guild: Id<GuildMarker>,
    action: &str,
    by: Option<Id<UserMarker>>,
    now: UnixMillis,
) -> Result<Option<ScheduledAction>, StoreError> {
    match find(connection, action)? {
        Some(action) if action.channel.guild() == Some(guild) => {}
        Some(_) | None => return Ok(None),
    }
    end(connection, action, ActionState::Cancelled, by, now)?;
    find(connection, action)
}

fn end(
    connection: &Connection,
    action: &str,
    state: ActionState,
    by: Option<Id<UserMarker>>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE scheduled_actions SET state = ?2, ended_at_ms = ?3, ended_by = ?4
             WHERE scheduled_action_id = ?1 AND state = 'waiting'",
        )?
        .execute(params![action, state.as_str(), now.0, by.map(id)])?;
    // It need not wake anybody any more.
    connection
        .prepare_cached(
            "UPDATE scheduled_tasks SET published_at_ms = ?2, payload = x''
             WHERE published_at_ms IS NULL AND scheduled_task_id =
                 (SELECT scheduled_task_id FROM scheduled_actions WHERE scheduled_action_id = ?1)",
        )?
        .execute(params![action, now.0])?;
    Ok(())
}

fn find(connection: &Connection, action: &str) -> Result<Option<ScheduledAction>, StoreError> {
    connection
        .prepare_cached(concat!(
            "SELECT ",
            action_columns!(),
            " FROM scheduled_actions AS a WHERE a.scheduled_action_id = ?1"
        ))?
        .query_row([action], |row| Ok(action_row(row)))
        .optional()?
        .transpose()
}

/// Returns an act of a guild.
pub(crate) async fn get(
    readers: &SqlitePool,
    guild: Id<GuildMarker>,
    action: &str,
) -> Result<Option<ScheduledAction>, StoreError> {
    let row = query(concat!(
        "SELECT ",
        action_columns!(),
        " FROM scheduled_actions AS a WHERE a.scheduled_action_id = ?1 AND a.guild_id = ?2"
    ))
    .bind(action)
    .bind(id(guild))
    .fetch_optional(readers)
    .await?;
    row.as_ref().map(action_row).transpose()
}

/// Returns acts, the next due first.
pub(crate) async fn list(
    readers: &SqlitePool,
    wanted: ActionQuery,
) -> Result<Vec<ScheduledAction>, StoreError> {
    let rows = query(concat!(
        "SELECT ",
        action_columns!(),
        " FROM scheduled_actions AS a
          WHERE (?1 IS NULL OR a.guild_id = ?1) AND (NOT ?2 OR a.state = 'waiting')
          ORDER BY a.due_at_ms, a.scheduled_action_id LIMIT ?3"
    ))
    .bind(wanted.guild.map(id))
    .bind(wanted.is_waiting_only)
    .bind(wanted.limit)
    .fetch_all(readers)
    .await?;
    rows.iter().map(action_row).collect()
}

fn action_row(row: &impl Columns) -> Result<ScheduledAction, StoreError> {
    let unreadable = || StoreError::Row { table: TABLE };
    let channel =
        ChannelKey::from_raw(row.integer(1)?.cast_unsigned(), row.integer(2)?.cast_unsigned());
    Ok(ScheduledAction {
        id: row.text(0)?,
        channel: channel.ok_or_else(unreadable)?,
        key: row.text(3)?.parse().map_err(|_| unreadable())?,
        tool: row.text(4)?,
        arguments: row.text(5)?,
        principal: columns::principal(row, 6, TABLE)?,
        created_at: row.millis(9)?,
        due_at: row.millis(10)?,
        state: ActionState::parse(&row.text(11)?).ok_or_else(unreadable)?,
        ended_at: row.integer_or_null(12)?.map(UnixMillis),
        ended_by: row.integer_or_null(13)?.and_then(|by| Id::new_checked(by.cast_unsigned())),
    })
}
