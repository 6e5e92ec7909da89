//! What people had done of late, against its bounds.

use rusqlite::{Connection, params};

use crate::{
    adapters::{
        columns::{PrincipalColumns, id},
        write_channels::key,
    },
    domain::{ActLimit, Execution, SlowMode},
    error::StoreError,
};

/// Returns the first bound past which one more execution would be, if any.
pub(super) fn passed(
    connection: &Connection,
    execution: &Execution,
    weight: u32,
    limits: &[ActLimit],
) -> Result<Option<ActLimit>, StoreError> {
    let (guild, _) = key(&execution.channel);
    let person = PrincipalColumns::from(execution.principal.as_ref()).id;
    for limit in limits {
        let since = execution.opened_at - limit.window;
        let of = limit.is_of_person.then_some(&person);
        let done: i64 = connection
            .prepare_cached(
                "SELECT coalesce(sum(weight), 0) FROM tool_executions
                 WHERE guild_id = ?1 AND opened_at_ms > ?2
                     AND decision = 'allow' AND principal_kind = 'person'
                     AND tier IN ('reversible', 'destructive') AND state <> 'failed'
                     AND (?3 OR tier = 'destructive')
                     AND (?4 IS NULL OR principal_id = ?4)",
            )?
            .query_row(params![guild, since.0, limit.is_of_reversible, of], |row| row.get(0))?;
        if done.saturating_add(i64::from(weight.max(1))) > i64::from(limit.most) {
            return Ok(Some(limit.clone()));
        }
    }
    Ok(None)
}

/// Returns whether the execution's thread carried out an order as often as it was given. What Discord
/// refused does not count.
pub(super) fn is_used_up(
    connection: &Connection,
    execution: &Execution,
    order: &str,
    limit: &ActLimit,
) -> Result<bool, StoreError> {
    let thread = execution.thread.as_ref().map(|thread| thread.0.as_bytes().as_slice());
    let done: i64 = connection
        .prepare_cached(
            "SELECT count(*) FROM tool_executions
             WHERE thread_id = ?1 AND order_hash = ?2 AND decision = 'allow' AND state <> 'failed'",
        )?
        .query_row(params![thread, order], |row| row.get(0))?;
    Ok(done >= i64::from(limit.most))
}

/// Returns whether an execution's person wrote in a channel in slow mode not long ago, by themselves or
/// by what was done for them. What Discord refused does not count; what was deleted since does, as it does
/// for Discord.
pub(super) fn is_too_soon(
    connection: &Connection,
    execution: &Execution,
    slow: &SlowMode,
) -> Result<bool, StoreError> {
    let (guild, _) = key(&execution.channel);
    let person = PrincipalColumns::from(execution.principal.as_ref()).id;
    let since = execution.opened_at - slow.limit.window;
    let was_done: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM tool_executions
                 WHERE wrote_in = ?1 AND opened_at_ms > ?2 AND tool = ?3 AND principal_id = ?4
                     AND decision = 'allow' AND state <> 'failed')",
        )?
        .query_row(params![id(slow.channel), since.0, execution.tool, person], |row| row.get(0))?;
    let Some(first) = slow.since.filter(|_| !was_done) else { return Ok(was_done) };
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM messages
                 WHERE guild_id = ?1 AND channel_id = ?2 AND message_id >= ?3
                     AND whole_at_ms IS NOT NULL AND deleted_at_ms IS NULL
                     AND CAST(author_id AS TEXT) = ?4)
                 OR EXISTS (SELECT 1 FROM messages
                     WHERE guild_id = ?1 AND channel_id = ?2 AND message_id >= ?3
                         AND deleted_at_ms IS NOT NULL AND buried_author_id <> 0
                         AND CAST(buried_author_id AS TEXT) = ?4)",
        )?
        .query_row(params![guild, id(slow.channel), id(first), person], |row| row.get(0))?)
}
