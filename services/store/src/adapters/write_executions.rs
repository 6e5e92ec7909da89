use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, ExecutionKey, Fence, TriggerId};

use crate::{
    adapters::{
        acts, approvals,
        columns::{PrincipalColumns, id, optional_id},
        mcp_credentials, scheduled_actions, scheduled_tasks,
        write_channels::{check_fence, key},
        write_messages, write_threads,
        write_threads::{changes, known},
    },
    domain::{
        ActLimit, Closing, Decision, Execution, ExecutionState, Message, MessageChange, Outcome,
        ScheduledTask, SlowMode, Tier, TriggerChange, approval::NewApproval,
        execution::is_moderation, mcp_credential::credential_of, scheduled_action::Later,
    },
    error::StoreError,
    ledger::Ledger,
};

/// What opening an execution came to.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) is_new: bool,
    /// The bound past which it is, and was written as denied for.
    pub(crate) past: Option<ActLimit>,
    pub(crate) changes: Vec<TriggerChange>,
}

/// What is opened beside an execution, and what bounds it.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    pub(crate) approval: Option<NewApproval>,
    pub(crate) settling: Option<ScheduledTask>,
    pub(crate) weight: u32,
    pub(crate) limits: Vec<ActLimit>,
    /// Which order it carries out; empty if none.
    pub(crate) order: String,
    /// How often that is done.
    pub(crate) order_limit: Option<ActLimit>,
    /// Where it writes for its person, if that is in slow mode.
    pub(crate) slow: Option<SlowMode>,
}

/// Opens an execution, unless one with its key stands; a final one is closed in the same write.
///
/// One that is past a bound is written as denied. What was begun counts, however it ends, so that
/// several replicas together do not pass it either.
pub(crate) fn begin(
    connection: &Connection,
    fence: Option<&Fence>,
    execution: &Execution,
    opening: &Opening,
) -> Result<Opened, StoreError> {
    let Opening { approval, settling, weight, limits, order, order_limit, slow } = opening;
    let (approval, settling) = (approval.as_ref(), settling.as_ref());
    if let Some(fence) = fence {
        check_fence(connection, fence)?;
    }
    if let (Some(_), Some(thread), ExecutionKey::Mcp { .. }) =
        (approval, execution.thread, &execution.key)
        && stands(connection, &execution.key)?
    {
        // The thread of the first attempt waits for the click.
        return Ok(Opened { is_new: false, past: None, changes: changes(connection, thread)? });
    }
    if let (Some(_), ExecutionKey::Mcp { .. }) = (approval, &execution.key) {
        write_threads::begin_suspended(connection, execution)?;
    }
    let outcome = match execution.thread {
        Some(thread) => Some((thread, known(connection, thread, &execution.channel)?)),
        None => None,
    };
    let is_bounded = execution.state == ExecutionState::Open
        && (!limits.is_empty() || order_limit.is_some() || slow.is_some());
    let past = if is_bounded && !stands(connection, &execution.key)? {
        past(connection, execution, opening)?
    } else {
        None
    };
    let denied = past.as_ref().map(|limit| limit.denied(execution));
    let execution = denied.as_ref().unwrap_or(execution);
    let is_new = insert(connection, execution, *weight, order, slow.as_ref())?;
    if is_new {
        if let (ExecutionKey::Mcp { .. }, ExecutionState::Open) = (&execution.key, execution.state)
        {
            mcp_credentials::check(connection, &execution.trigger_id)?;
        }
        if let Some(settling) = settling.filter(|_| execution.state == ExecutionState::Open) {
            scheduled_tasks::insert(connection, settling)?;
        }
        if let Some(approval) = approval {
            approvals::insert(connection, approval, execution)?;
        }
        if let Some((thread, outcome)) = outcome
            && outcome != Outcome::Running
            && !matches!(execution.key, ExecutionKey::Mcp { .. })
        {
            return Err(StoreError::ThreadEnded { thread, outcome: outcome.as_str() });
        }
        if is_moderation(execution.tier, execution.decision, execution.state) {
            log_moderation(connection, &execution.key)?;
        }
    }
    let changes = match execution.thread {
        Some(thread) => changes(connection, thread)?,
        None => Vec::new(),
    };
    Ok(Opened { is_new, past, changes })
}

/// Notes for an MCP client's call what it tells that nothing read now: others' names in a refusal, or
/// once more what an earlier read brought.
pub(crate) fn told(
    connection: &Connection,
    execution: &Execution,
    tells_others: bool,
) -> Result<(), StoreError> {
    let Some(credential) = credential_of(&execution.trigger_id) else { return Ok(()) };
    let is_read_again = || {
        connection
            .prepare_cached(
                "SELECT 1 FROM tool_executions
                 WHERE key = ?1 AND tier = 'read' AND state = 'done' AND trigger_id = ?2",
            )?
            .exists(params![execution.key.to_string(), execution.trigger_id])
    };
    if tells_others || is_read_again()? {
        mcp_credentials::told(connection, credential, execution.opened_at)?;
    }
    Ok(())
}

/// What came of an execution.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) fence: Option<Fence>,
    pub(crate) channel: ChannelKey,
    pub(crate) key: ExecutionKey,
    pub(crate) state: ExecutionState,
    pub(crate) result: String,
    pub(crate) rest_status: u32,
    pub(crate) closed_at: UnixMillis,
    pub(crate) sent: Option<Message>,
    pub(crate) later: Option<Later>,
    pub(crate) ledger: Arc<Ledger>,
}

/// Closes an execution and inserts the message that it sent; a repeat writes nothing.
pub(crate) fn end(connection: &Connection, end: &End) -> Result<(), StoreError> {
    if let Some(fence) = &end.fence {
        check_fence(connection, fence)?;
    }
    let execution_key = end.key.to_string();
    let row = connection
        .prepare_cached(
            "SELECT guild_id, channel_id, state, tier, decision, trigger_id,
                 redacted_at_ms IS NOT NULL
             FROM tool_executions WHERE key = ?1",
        )?
        .query_row([&execution_key], |row| {
            Ok((
                (row.get(0)?, row.get(1)?),
                ExecutionState::parse(row.get_ref(2)?.as_str()?),
                Tier::parse(row.get_ref(3)?.as_str()?),
                Decision::parse(row.get_ref(4)?.as_str()?),
                row.get::<_, String>(5)?,
                row.get::<_, bool>(6)?,
            ))
        })
        .optional()?;
    let Some((_, stands, tier, decision, trigger, is_redacted)) =
        row.filter(|(of, ..)| *of == key(&end.channel))
    else {
        let (key, channel) = (end.key.clone(), end.channel);
        return Err(StoreError::ExecutionUnknown { key, channel });
    };
    let unreadable = StoreError::Row { table: "tool_executions" };
    let Some((stands, decision)) = stands.zip(decision) else { return Err(unreadable) };
    match stands.close(end.state) {
        Closing::Repeat => return Ok(()),
        Closing::Refused => {
            let (key, state) = (end.key.clone(), stands.as_str());
            return Err(StoreError::ExecutionClosed { key, state });
        }
        Closing::Write => {}
    }
    connection
        .prepare_cached(
            // What was emptied for a person's sake stays empty.
            "UPDATE tool_executions SET state = ?2, rest_status = ?4, closed_at_ms = ?5,
                 result = CASE WHEN redacted_at_ms IS NULL THEN ?3 ELSE '' END
             WHERE key = ?1",
        )?
        .execute(params![
            execution_key,
            end.state.as_str(),
            end.result,
            end.rest_status,
            end.closed_at.0,
        ])?;
    // Invariant HOME: a message to another home (a direct message) comes there by ingestion.
    if let Some(message) = end.sent.as_ref().filter(|sent| sent.channel.home == end.channel.home) {
        let channel = message.channel;
        let message = Box::new(message.clone());
        let change = if is_redacted {
            // What it says was emptied for a person's sake while it was sent.
            MessageChange::Deleted { id: message.id, at: end.closed_at }
        } else {
            MessageChange::Seen { message, by_ingestion: false }
        };
        write_messages::apply(connection, &channel, &change, &end.ledger, end.closed_at)?;
    }
    if let (Decision::NeedsApproval, Some(shown)) = (decision, &end.sent) {
        approvals::set_message(connection, &end.key, shown.id)?;
    }
    if let ExecutionKey::Mcp { .. } = &end.key {
        scheduled_tasks::withdraw(
            connection,
            &end.channel,
            &TriggerId::Execution(execution_key),
            end.closed_at,
        )?;
        // What is read is others' words, and its client hears of it from here on.
        if let (Some(Tier::Read), Some(credential)) = (tier, credential_of(&trigger)) {
            mcp_credentials::told(connection, credential, end.closed_at)?;
        }
    }
    if is_moderation(tier, decision, end.state) {
        log_moderation(connection, &end.key)?;
        scheduled_actions::cancel_expiries(connection, &end.key, end.closed_at)?;
    }
    // What is in doubt may have happened, and then it ends as well.
    let may_be = matches!(end.state, ExecutionState::Done | ExecutionState::InDoubt);
    if let Some(later) = end.later.as_ref().filter(|_| may_be) {
        scheduled_actions::insert(connection, &end.key, &end.channel, later, end.closed_at)?;
    }
    Ok(())
}

/// Returns the first bound past which an execution would be, if any.
fn past(
    connection: &Connection,
    execution: &Execution,
    opening: &Opening,
) -> Result<Option<ActLimit>, StoreError> {
    let Opening { weight, limits, order, order_limit, slow, .. } = opening;
    if let Some(limit) = order_limit
        && acts::is_used_up(connection, execution, order, limit)?
    {
        return Ok(Some(limit.clone()));
    }
    if let Some(slow) = slow
        && acts::is_too_soon(connection, execution, slow)?
    {
        return Ok(Some(slow.limit.clone()));
    }
    acts::passed(connection, execution, *weight, limits)
}

fn stands(connection: &Connection, key: &ExecutionKey) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM tool_executions WHERE key = ?1)")?
        .query_row([key.to_string()], |row| row.get(0))?)
}

/// Returns whether it was inserted: none with its key stood.
fn insert(
    connection: &Connection,
    execution: &Execution,
    weight: u32,
    order: &str,
    slow: Option<&SlowMode>,
) -> Result<bool, StoreError> {
    let (guild, channel) = key(&execution.channel);
    let principal = PrincipalColumns::from(execution.principal.as_ref());
    let inserted = connection
        .prepare_cached(
            "INSERT INTO tool_executions (key, thread_id, guild_id, channel_id, epoch, tool,
                 arguments, arguments_hash, principal_kind, principal_id, principal_version,
                 trigger_id, tier, decision, decision_reason, approver_id, is_tainted, is_ordered,
                 model, prompt_version, audit_reason, opened_at_ms, send_by_ms, closed_at_ms, state,
                 result, rest_status, approval_id, weight, order_hash, wrote_in)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
                 ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31)
             ON CONFLICT (key) DO NOTHING",
        )?
        .execute(params![
            execution.key.to_string(),
            execution.thread.as_ref().map(|thread| thread.0.as_bytes().as_slice()),
            guild,
            channel,
            execution.epoch.0.cast_signed(),
            execution.tool,
            execution.arguments,
            execution.arguments_hash,
            principal.kind,
            principal.id,
            principal.version,
            execution.trigger_id,
            execution.tier.map_or("", Tier::as_str),
            execution.decision.as_str(),
            execution.decision_reason,
            optional_id(execution.approver),
            execution.is_tainted,
            execution.is_ordered,
            execution.model,
            execution.prompt_version,
            execution.audit_reason,
            execution.opened_at.0,
            execution.send_by.0,
            execution.closed_at.map(|at| at.0),
            execution.state.as_str(),
            execution.result,
            execution.rest_status,
            execution.approval,
            weight.max(1),
            order,
            slow.map(|slow| id(slow.channel)),
        ])?;
    Ok(inserted == 1)
}

/// Enters an execution into the moderation log, with whom it was done to.
fn log_moderation(connection: &Connection, key: &ExecutionKey) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO moderation_logs (guild_id, channel_id, execution_id, tool, tier,
                 target_user_id, principal_kind, principal_id, principal_version, reason, at_ms)
             SELECT guild_id, channel_id, execution_id, tool, tier,
                 CASE WHEN json_valid(arguments)
                     THEN CAST(coalesce(arguments ->> '$.member', arguments ->> '$.of.member')
                         AS INTEGER) END,
                 principal_kind, principal_id, principal_version, audit_reason, closed_at_ms
             FROM tool_executions WHERE key = ?1",
        )?
        .execute([key.to_string()])?;
    Ok(())
}
