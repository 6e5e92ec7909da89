//! The journals of threads that read or wrote of the person.

use rusqlite::{OptionalExtension as _, params};
use twilight_model::id::{Id, marker::UserMarker};

use super::{Part, Pass, Search, messages, records};
use crate::{
    adapters::columns::{from_json, json_list},
    error::StoreError,
};

/// How many threads are looked through in one write: each with its whole journal.
const THREADS_AT_ONCE: u32 = 100;

/// How many are emptied in one write.
const EMPTIED_AT_ONCE: u32 = 50;

/// Finds the threads that may have read or written of the person: theirs, those whose context held
/// what they said, what names them, or a summary of a time in which they did, and those in whose journal
/// their id stands.
///
/// Joined in this order: what a thread read is looked up among the person's messages, which may be a
/// hundred thousand, and never the other way round.
pub(super) fn find(search: &Search<'_>, cursor: &[u8]) -> Result<Part, StoreError> {
    let last: Option<Vec<u8>> = search
        .connection
        .prepare_cached(
            "SELECT max(thread_id) FROM
                 (SELECT thread_id FROM task_threads WHERE thread_id > ?1 ORDER BY thread_id LIMIT ?2)",
        )?
        .query_row(params![cursor, THREADS_AT_ONCE], |row| row.get(0))?;
    let Some(last) = last else { return Ok(Part::End) };
    search
        .connection
        .prepare_cached(&format!(
            "INSERT INTO deletion_threads (deletion_id, thread_id)
             SELECT ?1, t.thread_id FROM task_threads AS t
             WHERE t.thread_id > ?3 AND t.thread_id <= ?4 AND (?5 IS NULL OR t.guild_id = ?5)
                 AND ((t.started_at_ms <= ?6 AND (
                         (t.principal_kind = 'person' AND t.principal_id = ?2)
                         OR instr(coalesce(t.askers, ''), ?2) > 0 OR instr(t.detail, ?2) > 0
                         OR (?5 IS NULL AND t.guild_id = 0 AND t.channel_id IN ({direct}))
                         OR EXISTS (SELECT 1 FROM task_thread_steps AS s
                             WHERE s.thread_id = t.thread_id AND instr(s.payload, ?2) > 0)
                         OR EXISTS (SELECT 1 FROM tool_executions AS e
                             WHERE e.thread_id = t.thread_id AND (e.approver_id = ?7
                                 OR instr(e.arguments, ?2) > 0 OR instr(e.result, ?2) > 0
                                 OR instr(e.decision_reason, ?2) > 0
                                 OR instr(e.audit_reason, ?2) > 0))))
                     OR EXISTS (SELECT 1 FROM task_thread_triggers AS g
                         CROSS JOIN deletion_messages AS d
                             ON d.deletion_id = ?1 AND d.message_id = g.message_id
                         WHERE g.thread_id = t.thread_id)
                     OR EXISTS (SELECT 1 FROM task_thread_steps AS s CROSS JOIN
                             json_each(CASE WHEN json_valid(s.payload) THEN s.payload ELSE '{{}}' END,
                                 '$.messages') AS read
                         CROSS JOIN deletion_messages AS d
                             ON d.deletion_id = ?1 AND d.message_id = CAST(read.value AS INTEGER)
                         WHERE s.thread_id = t.thread_id AND s.kind = 'context_loaded')
                     OR EXISTS (SELECT 1 FROM deletion_channels AS c
                         JOIN task_thread_steps AS s
                             ON s.thread_id = t.thread_id AND s.kind = 'context_loaded'
                         WHERE c.deletion_id = ?1 AND c.guild_id = t.guild_id
                             AND c.channel_id = t.channel_id
                             AND c.last_message_id >= CAST(json_extract(CASE
                                 WHEN json_valid(s.payload) THEN s.payload ELSE '{{}}' END,
                                 '$.summary.first') AS INTEGER)
                             AND c.first_message_id <= CAST(json_extract(CASE
                                 WHEN json_valid(s.payload) THEN s.payload ELSE '{{}}' END,
                                 '$.summary.last') AS INTEGER)))
             ON CONFLICT DO UPDATE SET redacted_at_ms = NULL",
            direct = messages::DIRECT,
        ))?
        .execute(params![
            search.who.deletion,
            search.digits,
            cursor,
            last,
            search.guild,
            search.until,
            search.user,
        ])?;
    Ok(Part::Behind(last))
}

/// Empties the threads that were found, once each has ended: until then it needs its journal.
pub(super) fn wait(search: &Search<'_>, _: &[u8]) -> Result<Part, StoreError> {
    let found: Vec<(Vec<u8>, bool, bool)> = search
        .connection
        .prepare_cached(
            "SELECT d.thread_id, t.outcome = 'running', coalesce(t.principal_kind, '') = 'expiry'
             FROM deletion_threads AS d
             JOIN task_threads AS t ON t.thread_id = d.thread_id
             WHERE d.deletion_id = ?1 AND d.redacted_at_ms IS NULL
             ORDER BY t.outcome = 'running' LIMIT ?2",
        )?
        .query_map(params![search.who.deletion, EMPTIED_AT_ONCE], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Ok(Part::End);
    }
    let mut has_emptied = false;
    for (thread, is_running, is_expiry) in found {
        if is_running && search.pass != Pass::Restored {
            break;
        }
        if is_running && is_expiry {
            // Whoever restores it goes on to lift what was done for a while, which needs its act.
            note_emptied(search, &thread)?;
        } else {
            empty(search, &thread)?;
        }
        has_emptied = true;
    }
    Ok(if has_emptied { Part::Again } else { Part::Wait })
}

fn empty(search: &Search<'_>, thread: &[u8]) -> Result<(), StoreError> {
    let connection = search.connection;
    let stands = connection
        .prepare_cached(
            "SELECT principal_kind, principal_id, askers FROM task_threads WHERE thread_id = ?1",
        )?
        .query_row([thread], |row| {
            Ok((
                row.get::<_, Option<String>>(0)?,
                row.get::<_, Option<String>>(1)?,
                row.get::<_, Option<String>>(2)?,
            ))
        })
        .optional()?;
    let Some((kind, principal, askers)) = stands else { return Ok(()) };
    let principal = if search.has_user(kind.as_deref(), principal.as_deref()) {
        Some(search.who.pseudonym.clone())
    } else {
        principal
    };
    let mut askers: Vec<Id<UserMarker>> = match askers {
        Some(askers) => from_json(&askers, "task_threads")?,
        None => Vec::new(),
    };
    askers.retain(|asker| *asker != search.who.person.user);
    // One that waits for a click could not go on without its journal.
    connection
        .prepare_cached(
            "UPDATE task_threads SET principal_id = ?2, askers = ?3, detail = '',
                 attempt_error = NULL, redacted_at_ms = ?4,
                 finished_at_ms = coalesce(finished_at_ms, ?4),
                 outcome = CASE WHEN outcome IN ('suspended', 'running') THEN 'cancelled'
                     ELSE outcome END
             WHERE thread_id = ?1",
        )?
        .execute(params![thread, principal, json_list(&askers), search.now.0])?;
    connection
        .prepare_cached(
            "UPDATE task_thread_steps SET payload = ''
             WHERE thread_id = ?1 AND kind NOT IN ('context_loaded', 'model_asked')",
        )?
        .execute([thread])?;
    let executions: Vec<i64> = connection
        .prepare_cached("SELECT execution_id FROM tool_executions WHERE thread_id = ?1")?
        .query_map([thread], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for execution in executions {
        records::empty_execution(search, execution)?;
    }
    note_emptied(search, thread)
}

fn note_emptied(search: &Search<'_>, thread: &[u8]) -> Result<(), StoreError> {
    search
        .connection
        .prepare_cached(
            "UPDATE deletion_threads SET redacted_at_ms = ?3
             WHERE deletion_id = ?1 AND thread_id = ?2",
        )?
        .execute(params![search.who.deletion, thread, search.now.0])?;
    Ok(())
}
