//! Takes a person out of a shard file, step by step: each call is one bounded write, which also notes
//! how far it has come, so that a kill at any instant resumes it.
//!
//! Rows that others rely on stay: tombstones of messages, steps of journals, the audit. Their text
//! goes, and the person's id with it.

mod config;
mod messages;
mod payloads;
mod people;
mod records;
mod threads;
mod usage;

use ery_clock::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{adapters::columns, domain::privacy::Forgotten, error::StoreError};

pub(crate) use people::people;

/// How a deletion has come forward in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is more to do at once.
    More,
    /// A thread that read of the person still runs, or a call of it is under way.
    Waiting,
    /// The file is to be written anew, and then looked through once more.
    Rewrite,
    Done,
}

/// What file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Others read and write beside.
    First,
    /// As the first; nothing that is queued can bring anything back any more.
    Last,
    /// A copy that nobody uses yet: what runs in it will not go on.
    Restored,
}

/// What one bounded part of a step came to.
enum Part {
    /// Go on behind this row.
    Behind(Vec<u8>),
    /// The same again: what was done is found no more.
    Again,
    Wait,
    End,
}

/// Everything that a step needs to know.
struct Search<'a> {
    connection: &'a Connection,
    who: &'a Forgotten,
    pass: Pass,
    now: UnixMillis,
    user: i64,
    /// As it stands in texts and in JSON.
    digits: String,
    /// NULL for everything.
    guild: Option<i64>,
    before: i64,
    until: i64,
}

type Step = fn(&Search<'_>, &[u8]) -> Result<Part, StoreError>;

/// In order: what comes later finds rows by what earlier steps have noted.
const STEPS: &[Step] = &[
    messages::said,
    messages::direct,
    threads::find,
    threads::wait,
    records::executions,
    records::cases,
    records::approvals,
    records::actions,
    payloads::dead_letters,
    payloads::waiting_tasks,
    records::learnt,
    records::summaries,
    people::forget,
    usage::usage,
    config::config,
    people::keys,
];

/// Does the next bounded part of a deletion in a file.
pub(crate) fn advance(
    connection: &Connection,
    who: &Forgotten,
    pass: Pass,
    now: UnixMillis,
) -> Result<Progress, StoreError> {
    let stands: Option<(u32, Vec<u8>, Option<i64>)> = connection
        .prepare_cached("SELECT step, cursor, erased_at_ms FROM deletions WHERE deletion_id = ?1")?
        .query_row([&who.deletion], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let (step, cursor) = match stands {
        Some((.., Some(_))) => return Ok(Progress::Done),
        Some((step, cursor, None)) => (step, cursor),
        None => {
            begin(connection, &who.deletion)?;
            (0, Vec::new())
        }
    };
    let search = Search {
        connection,
        who,
        pass,
        now,
        user: columns::id(who.person.user),
        digits: who.person.user.to_string(),
        guild: who.person.guild.map(columns::id),
        before: i64::try_from(who.before).unwrap_or(i64::MAX),
        until: who.until.0,
    };
    let (step, cursor) = match STEPS.get(step as usize) {
        None if pass == Pass::Last && is_to_be_rewritten(connection, &who.deletion)? => {
            return Ok(Progress::Rewrite);
        }
        None => {
            finish(&search)?;
            return Ok(Progress::Done);
        }
        Some(run) => match noting(&search, |search| run(search, &cursor))? {
            Part::Wait => return Ok(Progress::Waiting),
            Part::Again => return Ok(Progress::More),
            Part::Behind(cursor) => (step, cursor),
            Part::End => (step + 1, Vec::new()),
        },
    };
    connection
        .prepare_cached("UPDATE deletions SET step = ?2, cursor = ?3 WHERE deletion_id = ?1")?
        .execute(params![who.deletion, step, cursor])?;
    Ok(Progress::More)
}

/// Begins a deletion, or begins it anew in a file where it was done with.
pub(crate) fn begin(connection: &Connection, deletion: &str) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO deletions (deletion_id, step, cursor) VALUES (?1, 0, x'')
         ON CONFLICT DO UPDATE SET step = 0, cursor = x'', erased_at_ms = NULL",
        [deletion],
    )?;
    Ok(())
}

fn finish(search: &Search<'_>) -> Result<(), StoreError> {
    let deletion = &search.who.deletion;
    if search.pass != Pass::First {
        // From here on nothing is looked for by them.
        for statement in [
            "DELETE FROM deletion_messages WHERE deletion_id = ?1",
            "DELETE FROM deletion_threads WHERE deletion_id = ?1",
            "DELETE FROM deletion_channels WHERE deletion_id = ?1",
        ] {
            search.connection.execute(statement, [deletion])?;
        }
    }
    search.connection.execute(
        "UPDATE deletions SET erased_at_ms = ?2 WHERE deletion_id = ?1",
        params![deletion, search.now.0],
    )?;
    Ok(())
}

/// Among the messages of a deletion: whether it has changed anything in the file, and whether that was
/// written anew since (`is_theirs`). No message has this id.
const MARK: i64 = 0;

/// Runs a part of a step, and marks the file if that has changed anything.
fn noting(
    search: &Search<'_>,
    part: impl FnOnce(&Search<'_>) -> Result<Part, StoreError>,
) -> Result<Part, StoreError> {
    let changes = |connection: &Connection| -> Result<i64, StoreError> {
        let mut statement = connection.prepare_cached("SELECT total_changes()")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    };
    let before = changes(search.connection)?;
    let part = part(search)?;
    if changes(search.connection)? != before {
        search
            .connection
            .prepare_cached(
                "INSERT INTO deletion_messages (deletion_id, message_id, is_theirs)
                 VALUES (?1, ?2, 0) ON CONFLICT DO NOTHING",
            )?
            .execute(params![search.who.deletion, MARK])?;
    }
    Ok(part)
}

/// Returns whether a deletion has changed anything in a file that was not written anew since it looked
/// through all of it.
fn is_to_be_rewritten(connection: &Connection, deletion: &str) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM deletion_messages
                 WHERE deletion_id = ?1 AND message_id = ?2 AND NOT is_theirs)",
        )?
        .query_row(params![deletion, MARK], |row| row.get(0))?)
}

/// Notes that a file was written anew, and has it looked through once more.
pub(crate) fn note_rewritten(connection: &Connection, deletion: &str) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE deletion_messages SET is_theirs = 1 WHERE deletion_id = ?1 AND message_id = ?2",
        params![deletion, MARK],
    )?;
    begin(connection, deletion)
}

/// Returns which of these deletions were never carried out in a file.
pub(crate) fn unseen(
    connection: &Connection,
    deletions: &[String],
) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM deletions WHERE deletion_id = ?1 AND erased_at_ms IS NOT NULL)",
    )?;
    let mut unseen = Vec::new();
    for deletion in deletions {
        let is_seen: bool = statement.query_row([deletion], |row| row.get(0))?;
        if !is_seen {
            unseen.push(deletion.clone());
        }
    }
    Ok(unseen)
}

/// Notes that nothing is left of these deletions in a file.
pub(crate) fn note_seen(
    connection: &Connection,
    deletions: &[String],
    now: UnixMillis,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO deletions (deletion_id, step, cursor, erased_at_ms) VALUES (?1, 0, x'', ?2)
         ON CONFLICT DO NOTHING",
    )?;
    for deletion in deletions {
        statement.execute(params![deletion, now.0])?;
    }
    Ok(())
}

/// Takes people out of a copy that nobody uses yet.
pub(crate) fn replay(
    connection: &Connection,
    who: &[Forgotten],
    now: UnixMillis,
) -> Result<(), StoreError> {
    for who in who {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        begin(connection, &who.deletion)?;
        connection.execute_batch("COMMIT")?;
        loop {
            connection.execute_batch("BEGIN IMMEDIATE")?;
            let progress = advance(connection, who, Pass::Restored, now)?;
            connection.execute_batch("COMMIT")?;
            if progress != Progress::More {
                break;
            }
        }
    }
    Ok(())
}

/// The key of a row, where that is a number.
fn after(cursor: &[u8]) -> i64 {
    cursor.try_into().map_or(i64::MIN, i64::from_be_bytes)
}

fn behind(row: i64) -> Part {
    Part::Behind(row.to_be_bytes().to_vec())
}

impl Search<'_> {
    /// Returns the last of the next `count` row ids of a table behind `after`; none behind it: None.
    fn span(
        &self,
        table: &str,
        key: &str,
        after: i64,
        count: u32,
    ) -> Result<Option<i64>, StoreError> {
        let last: Option<i64> = self
            .connection
            .prepare_cached(&format!(
                "SELECT max({key}) FROM
                     (SELECT {key} FROM {table} WHERE {key} > ?1 ORDER BY {key} LIMIT ?2)"
            ))?
            .query_row(params![after, count], |row| row.get(0))?;
        Ok(last)
    }

    fn has_user(&self, principal_kind: Option<&str>, principal_id: Option<&str>) -> bool {
        principal_kind == Some("person") && principal_id == Some(self.digits.as_str())
    }
}
