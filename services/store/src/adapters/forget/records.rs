//! The audit, cases, proposals, what is planned, and what was learnt.

use rusqlite::{OptionalExtension as _, params};

use super::{Part, Pass, Search, after, behind, messages};
use crate::{adapters::scheduled_actions::to_be_done, error::StoreError};

/// How many rows are looked through in one write.
const ROWS_AT_ONCE: u32 = 1_000;

/// How long after its send-by moment an open execution may yet be closed by whoever opened it.
const SETTLES_MS: i64 = 3_600_000;

/// Empties executions that were done for, to or with the consent of the person.
///
/// The end of what was done to somebody for a while is tried until it is done, however long Discord is
/// away: its open execution is what it is done by.
pub(super) fn executions(search: &Search<'_>, cursor: &[u8]) -> Result<Part, StoreError> {
    let from = after(cursor);
    let Some(last) = search.span("tool_executions", "execution_id", from, ROWS_AT_ONCE)? else {
        return Ok(Part::End);
    };
    let found: Vec<(i64, bool, bool)> = search
        .connection
        .prepare_cached(
            "SELECT execution_id, state = 'open' AND send_by_ms + ?8 > ?9,
                 state = 'open' AND coalesce(principal_kind, '') = 'expiry' AND EXISTS
                     (SELECT 1 FROM task_threads AS t
                      WHERE t.thread_id = tool_executions.thread_id AND t.outcome = 'running')
             FROM tool_executions
             WHERE execution_id > ?1 AND execution_id <= ?2 AND (?3 IS NULL OR guild_id = ?3)
                 AND opened_at_ms <= ?4
                 AND ((principal_kind = 'person' AND principal_id = ?5) OR approver_id = ?6
                     OR instr(arguments, ?5) > 0 OR instr(result, ?5) > 0
                     OR instr(decision_reason, ?5) > 0 OR instr(audit_reason, ?5) > 0
                     OR (substr(trigger_id, 1, 2) = 'm.' AND EXISTS (SELECT 1
                         FROM deletion_messages WHERE deletion_id = ?7
                             AND message_id = CAST(substr(trigger_id, 3) AS INTEGER))))",
        )?
        .query_map(
            params![
                from,
                last,
                search.guild,
                search.until,
                search.digits,
                search.user,
                search.who.deletion,
                SETTLES_MS,
                search.now.0,
            ],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?
        .collect::<Result<_, _>>()?;
    for (execution, is_under_way, lifts_yet) in found {
        if (is_under_way || lifts_yet) && search.pass != Pass::Restored {
            return Ok(Part::Wait);
        }
        if !lifts_yet {
            empty_execution(search, execution)?;
        }
    }
    Ok(behind(last))
}

/// Empties an execution, its case and the message that it sent; what was decided stays.
pub(super) fn empty_execution(search: &Search<'_>, execution: i64) -> Result<(), StoreError> {
    let sent: Option<i64> = search
        .connection
        .prepare_cached(
            "SELECT CASE WHEN json_valid(result)
                 THEN CAST(result ->> '$.message_id' AS INTEGER) END
             FROM tool_executions WHERE execution_id = ?1",
        )?
        .query_row([execution], |row| row.get(0))
        .optional()?
        .flatten();
    if let Some(sent) = sent {
        messages::empty_own(search, sent)?;
    }
    search
        .connection
        .prepare_cached(
            "UPDATE tool_executions SET arguments = '', arguments_hash = '', result = '',
                 decision_reason = '', audit_reason = '',
                 approver_id = CASE WHEN approver_id = ?2 THEN 0 ELSE approver_id END,
                 principal_id = CASE WHEN principal_kind = 'person' AND principal_id = ?3 THEN ?4
                     ELSE principal_id END,
                 redacted_at_ms = coalesce(redacted_at_ms, ?5)
             WHERE execution_id = ?1",
        )?
        .execute(params![
            execution,
            search.user,
            search.digits,
            search.who.pseudonym,
            search.now.0
        ])?;
    search
        .connection
        .prepare_cached("UPDATE moderation_logs SET reason = '' WHERE execution_id = ?1")?
        .execute([execution])?;
    Ok(())
}

/// Gives cases a pseudonym instead of the person, and takes their reasons' words away.
pub(super) fn cases(search: &Search<'_>, cursor: &[u8]) -> Result<Part, StoreError> {
    let from = after(cursor);
    let Some(last) = search.span("moderation_logs", "moderation_log_id", from, ROWS_AT_ONCE)?
    else {
        return Ok(Part::End);
    };
    search
        .connection
        .prepare_cached(
            "UPDATE moderation_logs SET reason = '',
                 target_pseudonym = CASE WHEN target_user_id = ?5 THEN ?6 ELSE target_pseudonym END,
                 target_user_id = CASE WHEN target_user_id = ?5 THEN NULL ELSE target_user_id END,
                 principal_id = CASE WHEN principal_kind = 'person' AND principal_id = ?7 THEN ?6
                     ELSE principal_id END
             WHERE moderation_log_id > ?1 AND moderation_log_id <= ?2
                 AND (?3 IS NULL OR guild_id = ?3) AND at_ms <= ?4
                 AND (target_user_id = ?5 OR (principal_kind = 'person' AND principal_id = ?7)
                     OR instr(reason, ?7) > 0)",
        )?
        .execute(params![
            from,
            last,
            search.guild,
            search.until,
            search.user,
            search.who.pseudonym,
            search.digits,
        ])?;
    Ok(behind(last))
}

/// Voids what waits for a click on behalf of the person or about them, and empties it.
pub(super) fn approvals(search: &Search<'_>, cursor: &[u8]) -> Result<Part, StoreError> {
    let from = after(cursor);
    let Some(last) = search.span("approvals", "rowid", from, ROWS_AT_ONCE)? else {
        return Ok(Part::End);
    };
    let found: Vec<(i64, Option<i64>)> = search
        .connection
        .prepare_cached(
            "SELECT a.rowid, a.message_id FROM approvals AS a
             WHERE a.rowid > ?1 AND a.rowid <= ?2 AND (?3 IS NULL OR a.guild_id = ?3)
                 AND ((a.created_at_ms <= ?4 AND (a.asker_id = ?5 OR a.decided_by = ?5
                         OR instr(a.arguments, ?6) > 0))
                     OR EXISTS (SELECT 1 FROM deletion_threads AS d
                         WHERE d.deletion_id = ?7 AND d.thread_id = a.thread_id)
                     OR EXISTS (SELECT 1 FROM tool_executions AS e
                         WHERE e.key = a.key AND e.redacted_at_ms IS NOT NULL))",
        )?
        .query_map(
            params![
                from,
                last,
                search.guild,
                search.until,
                search.user,
                search.digits,
                search.who.deletion,
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?
        .collect::<Result<_, _>>()?;
    for (row, shown) in found {
        if let Some(shown) = shown {
            messages::empty_own(search, shown)?;
        }
        for statement in [
            // Its thread is not woken any more: it has nothing to go on with.
            "UPDATE scheduled_tasks SET published_at_ms = ?2, payload = x''
             WHERE published_at_ms IS NULL AND scheduled_task_id =
                 (SELECT scheduled_task_id FROM approvals WHERE rowid = ?1)",
            "UPDATE task_threads SET outcome = 'cancelled', finished_at_ms = coalesce(finished_at_ms, ?2)
             WHERE outcome = 'suspended' AND thread_id = (SELECT thread_id FROM approvals
                 WHERE rowid = ?1)",
            "UPDATE approvals SET decision = 'void', decided_at_ms = ?2
             WHERE rowid = ?1 AND decision IS NULL",
        ] {
            search.connection.prepare_cached(statement)?.execute(params![row, search.now.0])?;
        }
        search
            .connection
            .prepare_cached(
                "UPDATE approvals SET arguments = '', hash = '',
                     asker_id = CASE WHEN asker_id = ?2 THEN 0 ELSE asker_id END,
                     redacted_at_ms = coalesce(redacted_at_ms, ?3)
                 WHERE rowid = ?1",
            )?
            .execute(params![row, search.user, search.now.0])?;
        search
            .connection
            .prepare_cached(
                "UPDATE approvals SET decided_by = NULL WHERE rowid = ?1 AND decided_by = ?2",
            )?
            .execute(params![row, search.user])?;
    }
    Ok(behind(last))
}

/// Cancels what the person has planned. What others have planned for them (the end of a ban) stays,
/// with their id and without its reason, until it is done.
pub(super) fn actions(search: &Search<'_>, cursor: &[u8]) -> Result<Part, StoreError> {
    let from = after(cursor);
    let Some(last) = search.span("scheduled_actions", "rowid", from, ROWS_AT_ONCE)? else {
        return Ok(Part::End);
    };
    let found: Vec<(i64, bool, bool)> = search
        .connection
        .prepare_cached(concat!(
            "SELECT a.rowid, a.principal_kind = 'person' AND a.principal_id = ?5, ",
            to_be_done!(),
            " FROM scheduled_actions AS a
             WHERE a.rowid > ?1 AND a.rowid <= ?2 AND (?3 IS NULL OR a.guild_id = ?3)
                 AND ((a.created_at_ms <= ?4
                         AND ((a.principal_kind = 'person' AND a.principal_id = ?5)
                             OR a.ended_by = ?6 OR instr(a.arguments, ?5) > 0))
                     OR (a.state <> 'waiting' AND EXISTS (SELECT 1 FROM tool_executions AS e
                         WHERE e.key = a.key AND e.redacted_at_ms IS NOT NULL)))",
        ))?
        .query_map(
            params![from, last, search.guild, search.until, search.digits, search.user],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?
        .collect::<Result<_, _>>()?;
    for (row, is_theirs, is_to_be_done) in found {
        if is_to_be_done && !is_theirs {
            search
                .connection
                .prepare_cached(
                    "UPDATE scheduled_actions SET arguments = json_remove(arguments, '$.reason')
                     WHERE rowid = ?1 AND json_valid(arguments)",
                )?
                .execute([row])?;
            continue;
        }
        for statement in [
            "UPDATE scheduled_tasks SET published_at_ms = ?2, payload = x''
             WHERE published_at_ms IS NULL AND scheduled_task_id =
                 (SELECT scheduled_task_id FROM scheduled_actions WHERE rowid = ?1)",
            "UPDATE scheduled_actions SET state = 'cancelled', ended_at_ms = ?2
             WHERE rowid = ?1 AND state = 'waiting'",
            "UPDATE scheduled_actions SET arguments = '',
                 redacted_at_ms = coalesce(redacted_at_ms, ?2)
             WHERE rowid = ?1",
        ] {
            search.connection.prepare_cached(statement)?.execute(params![row, search.now.0])?;
        }
        search
            .connection
            .prepare_cached(
                "UPDATE scheduled_actions SET principal_id = ?3
                 WHERE rowid = ?1 AND principal_kind = 'person' AND principal_id = ?2",
            )?
            .execute(params![row, search.digits, search.who.pseudonym])?;
        search
            .connection
            .prepare_cached(
                "UPDATE scheduled_actions SET ended_by = NULL WHERE rowid = ?1 AND ended_by = ?2",
            )?
            .execute(params![row, search.user])?;
    }
    Ok(behind(last))
}

/// Deletes what was learnt of the person, from them, or from what they said.
pub(super) fn learnt(search: &Search<'_>, _: &[u8]) -> Result<Part, StoreError> {
    search
        .connection
        .prepare_cached(
            "DELETE FROM learning_data WHERE (?1 IS NULL OR guild_id = ?1)
                 AND ((created_at_ms <= ?2 AND (author_id = ?3 OR subject_user_id = ?3
                         OR instr(text, ?5) > 0))
                     OR learning_data_id IN (SELECT s.learning_data_id
                         FROM learning_data_sources AS s JOIN deletion_messages AS d
                             ON d.deletion_id = ?4 AND d.message_id = s.message_id))",
        )?
        .execute(params![
            search.guild,
            search.until,
            search.user,
            search.who.deletion,
            search.digits
        ])?;
    Ok(Part::End)
}

/// Drops the summaries that name the person. Those that were made of what they said, or of what names
/// them, went with those messages.
pub(super) fn summaries(search: &Search<'_>, _: &[u8]) -> Result<Part, StoreError> {
    search
        .connection
        .prepare_cached(
            "DELETE FROM channel_summaries WHERE (?1 IS NULL OR guild_id = ?1)
                 AND made_at_ms <= ?2 AND instr(text, ?3) > 0",
        )?
        .execute(params![search.guild, search.until, search.digits])?;
    Ok(Part::End)
}
