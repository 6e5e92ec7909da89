//! What came from Discord and is kept to be tried again: dead letters, and tasks that are put back.
//!
//! What the person sent goes. What somebody else sent is theirs: it is tried again as it was, without
//! the person's name in it.

use rusqlite::params;
use serde_json::Value;

use super::{Part, Search, after, behind};
use crate::error::StoreError;

/// How many rows are looked through in one write.
const ROWS_AT_ONCE: u32 = 1_000;

/// A row whose payload may tell of the person.
struct Row {
    id: i64,
    payload: Vec<u8>,
    /// It is about a message that they sent.
    is_of_theirs: bool,
}

/// Takes what the person said, and what tells of them, out of dead letters.
pub(super) fn dead_letters(search: &Search<'_>, cursor: &[u8]) -> Result<Part, StoreError> {
    let from = after(cursor);
    let Some(last) = search.span("dead_letters", "dead_letter_id", from, ROWS_AT_ONCE)? else {
        return Ok(Part::End);
    };
    let found = rows(
        search,
        "SELECT dead_letter_id, coalesce(payload, x''), EXISTS (SELECT 1 FROM deletion_messages AS d
             WHERE d.deletion_id = ?5 AND d.message_id = dead_letters.message_id AND d.is_theirs)
         FROM dead_letters
         WHERE dead_letter_id > ?6 AND dead_letter_id <= ?7
             AND (?1 IS NULL OR guild_id = ?1) AND received_at_ms <= ?2
             AND (instr(coalesce(payload, x''), CAST(?3 AS BLOB)) > 0 OR instr(reason, ?4) > 0
                 OR EXISTS (SELECT 1 FROM deletion_messages AS d WHERE d.deletion_id = ?5
                     AND d.message_id = dead_letters.message_id AND d.is_theirs))",
        Some((from, last)),
    )?;
    for row in found {
        let statement = match fate(search, &row) {
            Fate::Goes => {
                "UPDATE dead_letters SET payload = NULL, payload_bytes = 0, reason = ''
                 WHERE dead_letter_id = ?1 AND ?2 IS NOT NULL"
            }
            Fate::Stays(payload) => {
                search
                    .connection
                    .prepare_cached(
                        "UPDATE dead_letters SET payload = ?2, payload_bytes = length(?2)
                         WHERE dead_letter_id = ?1 AND payload IS NOT NULL AND payload <> ?2",
                    )?
                    .execute(params![row.id, payload])?;
                "UPDATE dead_letters SET reason = ''
                 WHERE dead_letter_id = ?1 AND instr(reason, ?2) > 0"
            }
        };
        search.connection.prepare_cached(statement)?.execute(params![row.id, search.digits])?;
    }
    search
        .connection
        .prepare_cached(
            "UPDATE dead_letters SET reason = ''
             WHERE dead_letter_id > ?1 AND dead_letter_id <= ?2 AND reason <> '' AND EXISTS
                 (SELECT 1 FROM deletion_threads AS d
                  WHERE d.deletion_id = ?3 AND d.thread_id = dead_letters.thread_id)",
        )?
        .execute(params![from, last, search.who.deletion])?;
    Ok(behind(last))
}

/// Takes back tasks of the person that are put back and not published yet.
pub(super) fn waiting_tasks(search: &Search<'_>, _: &[u8]) -> Result<Part, StoreError> {
    let found = rows(
        search,
        "SELECT scheduled_task_id, payload, EXISTS (SELECT 1 FROM deletion_messages AS d
             WHERE d.deletion_id = ?5 AND d.is_theirs AND trigger_id = 'm.' || d.message_id)
         FROM scheduled_tasks INDEXED BY scheduled_tasks_due
         WHERE published_at_ms IS NULL AND payload <> x''
             AND (?1 IS NULL OR guild_id = ?1) AND received_at_ms <= ?2
             AND (instr(payload, CAST(?3 AS BLOB)) > 0 OR instr(payload, CAST(?4 AS BLOB)) > 0)",
        None,
    )?;
    for row in found {
        match fate(search, &row) {
            Fate::Goes => search
                .connection
                .prepare_cached(
                    "UPDATE scheduled_tasks SET published_at_ms = ?2, payload = x''
                     WHERE scheduled_task_id = ?1",
                )?
                .execute(params![row.id, search.now.0])?,
            Fate::Stays(payload) => search
                .connection
                .prepare_cached(
                    "UPDATE scheduled_tasks SET payload = ?2
                     WHERE scheduled_task_id = ?1 AND payload <> ?2",
                )?
                .execute(params![row.id, payload])?,
        };
    }
    Ok(Part::End)
}

/// Reads what a statement finds: `?1` the guild, `?2` until when, `?3` the id as Discord has it, `?4`
/// its digits, `?5` the deletion, `?6` and `?7` the span.
fn rows(
    search: &Search<'_>,
    statement: &str,
    span: Option<(i64, i64)>,
) -> Result<Vec<Row>, StoreError> {
    let quoted = format!("\"{}\"", search.digits);
    let row = |row: &rusqlite::Row<'_>| {
        Ok(Row { id: row.get(0)?, payload: row.get(1)?, is_of_theirs: row.get(2)? })
    };
    let mut statement = search.connection.prepare_cached(statement)?;
    let found = match span {
        Some((from, last)) => statement.query_map(
            params![
                search.guild,
                search.until,
                quoted,
                search.digits,
                search.who.deletion,
                from,
                last
            ],
            row,
        )?,
        None => statement.query_map(
            params![search.guild, search.until, quoted, search.digits, search.who.deletion],
            row,
        )?,
    };
    Ok(found.collect::<Result<_, _>>()?)
}

/// What becomes of a payload.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Goes,
    /// It is somebody else's; this is left of it.
    Stays(Vec<u8>),
}

fn fate(search: &Search<'_>, row: &Row) -> Fate {
    if row.is_of_theirs {
        return Fate::Goes;
    }
    let quoted = format!("\"{}\"", search.digits);
    if !row.payload.windows(quoted.len()).any(|window| window == quoted.as_bytes()) {
        // Only where it was typed does the id stand, if at all.
        return Fate::Stays(row.payload.clone());
    }
    without(&row.payload, &search.digits)
}

/// Takes a person out of what Discord sent. What cannot be read as such goes.
fn without(payload: &[u8], digits: &str) -> Fate {
    let Ok(mut value) = serde_json::from_slice::<Value>(payload) else { return Fate::Goes };
    if is_theirs(&value, digits) {
        return Fate::Goes;
    }
    unname(&mut value, digits);
    Fate::Stays(serde_json::to_vec(&value).expect("it was read from JSON"))
}

/// Returns whether the person sent it, or it is about nobody but them.
fn is_theirs(value: &Value, digits: &str) -> bool {
    [
        "/id",
        "/user_id",
        "/author/id",
        "/user/id",
        "/member/user/id",
        "/interaction_metadata/user/id",
    ]
    .iter()
    .any(|path| value.pointer(path).and_then(Value::as_str) == Some(digits))
}

/// Takes the person out of mentions, and out of what is quoted of them; what was typed stays.
fn unname(value: &mut Value, digits: &str) {
    let names = |inner: &Value| inner.as_str() == Some(digits) || is_theirs(inner, digits);
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields.iter_mut() {
                if name != "content" && names(inner) {
                    *inner = Value::Null;
                } else {
                    unname(inner, digits);
                }
            }
        }
        Value::Array(items) => {
            items.retain(|inner| !names(inner));
            for inner in items {
                unname(inner, digits);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MARA: &str = "910000000000000001";

    fn taken_out(payload: &Value) -> Option<Value> {
        match without(&serde_json::to_vec(payload).unwrap(), MARA) {
            Fate::Goes => None,
            Fate::Stays(left) => Some(serde_json::from_slice(&left).unwrap()),
        }
    }

    #[test]
    fn what_the_person_sent_goes() {
        for theirs in [
            json!({ "id": "1", "author": { "id": MARA }, "content": "mine" }),
            json!({ "member": { "user": { "id": MARA } }, "type": 2 }),
            json!({ "user": { "id": MARA }, "roles": [] }),
            json!({ "user_id": MARA, "emoji": {} }),
        ] {
            assert_eq!(taken_out(&theirs), None);
        }
        assert_eq!(without(b"\"910000000000000001\" is no object {", MARA), Fate::Goes);
    }

    #[test]
    fn what_somebody_else_sent_stays_without_the_persons_name() {
        let others = json!({
            "author": { "id": "5", "username": "olive" },
            "content": "<@910000000000000001> look",
            "mentions": [{ "id": MARA, "username": "mara" }, { "id": "6" }],
            "referenced_message": { "id": "2", "author": { "id": MARA }, "content": "quoted" },
        });
        assert_eq!(
            taken_out(&others),
            Some(json!({
                "author": { "id": "5", "username": "olive" },
                "content": "<@910000000000000001> look",
                "mentions": [{ "id": "6" }],
                "referenced_message": null,
            }))
        );
    }
}
