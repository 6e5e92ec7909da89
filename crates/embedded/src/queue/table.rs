use rusqlite::{Connection, OptionalExtension, Row, params};
use twilight_model::id::Id;

use ery_channel_queue::{QueueError, Task};
use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, ForgottenPerson, TriggerId};

use crate::database::{ReadError, trace_parent};

/// The file's schema, in order; released ones are never edited.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/queue/0001_tasks.sql"),
    include_str!("../../migrations/queue/0002_retries.sql"),
    include_str!("../../migrations/queue/0003_sessions.sql"),
];

/// How many rows one trim looks at, so that no commit waits long for it.
const TRIM_ROWS: u32 = 2_048;

const COLUMNS: &str =
    "position, \"trigger\", guild, channel, bot, received_at, traceparent, payload, retry, session";

/// Why a row could not be read as a task.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("task {trigger} cannot be read")]
    Unreadable {
        trigger: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl From<rusqlite::Error> for LoadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Read(error.into())
    }
}

impl From<LoadError> for QueueError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Read(error) => Self::Unavailable(Box::new(error)),
            LoadError::Unreadable { trigger, source } => Self::Unreadable { trigger, source },
        }
    }
}

/// A row has an id that cannot be one.
#[derive(Debug, thiserror::Error)]
#[error("an id is zero")]
struct ZeroId;

/// Writes a task; false if its trigger is known already.
pub(super) fn insert(
    connection: &Connection,
    position: u64,
    task: &Task,
) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO tasks
             (position, \"trigger\", guild, channel, bot, received_at, traceparent, payload, retry,
              session)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (\"trigger\", retry) DO NOTHING",
    )?;
    let written = statement.execute(params![
        position.cast_signed(),
        task.trigger.to_string(),
        task.channel.guild_raw().cast_signed(),
        task.channel.channel.get().cast_signed(),
        task.bot.get().cast_signed(),
        task.received_at.0,
        task.traceparent.map(|parent| parent.to_string()),
        &task.payload[..],
        task.retry,
        task.session,
    ])?;
    Ok(written == 1)
}

/// Removes a task, but for its trigger.
pub(super) fn bury(
    connection: &Connection,
    position: u64,
    now: UnixMillis,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE tasks SET removed_at = ?2, payload = x'', traceparent = NULL
             WHERE position = ?1 AND removed_at IS NULL",
        )?
        .execute(params![position.cast_signed(), now.0])?;
    Ok(())
}

/// Forgets triggers of tasks that were removed before `cutoff`, looking at a bounded number of
/// rows behind `after`. Returns where to go on; none if there is nothing more to forget now.
pub(super) fn trim(
    connection: &Connection,
    after: u64,
    cutoff: UnixMillis,
) -> rusqlite::Result<Option<u64>> {
    let mut select = connection.prepare_cached(
        "SELECT position, removed_at FROM tasks WHERE position > ?1 ORDER BY position LIMIT ?2",
    )?;
    let mut delete = connection.prepare_cached("DELETE FROM tasks WHERE position = ?1")?;
    let rows = select
        .query_map(params![after.cast_signed(), TRIM_ROWS], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    for (position, removed_at) in &rows {
        match removed_at {
            Some(removed_at) if *removed_at < cutoff.0 => {
                delete.execute([position])?;
            }
            // Tasks are removed nearly in their order, so what follows is younger still.
            Some(_) => return Ok(None),
            None => {}
        }
    }
    let is_end = rows.len() < usize::try_from(TRIM_ROWS).expect("a u32 fits a usize");
    Ok(rows.last().filter(|_| !is_end).map(|(position, _)| position.cast_unsigned()))
}

/// Returns whether a task waits that tells of a person, or forwards what they may have said, and was
/// received by `until`.
pub(super) fn tells_of(
    connection: &Connection,
    person: ForgottenPerson,
    until: UnixMillis,
) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM tasks WHERE removed_at IS NULL AND received_at <= ?1
             AND (?2 IS NULL OR guild = ?2) AND (instr(payload, CAST(?3 AS BLOB)) > 0
                 OR instr(payload, CAST('\"message_snapshots\"' AS BLOB)) > 0))",
        params![
            until.0,
            person.guild.map(|guild| guild.get().cast_signed()),
            person.as_discord_has_it()
        ],
        |row| row.get(0),
    )
}

/// Returns the highest position that the file knows.
pub(super) fn last_position(connection: &Connection) -> rusqlite::Result<u64> {
    let last: Option<i64> =
        connection.query_row("SELECT max(position) FROM tasks", [], |row| row.get(0))?;
    Ok(last.map_or(0, i64::cast_unsigned))
}

/// Calls `each` with every waiting task, in order. What cannot be read is left where it is.
pub(super) fn each_waiting(
    connection: &Connection,
    mut each: impl FnMut(u64, Task),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!(
        "SELECT {COLUMNS} FROM tasks WHERE removed_at IS NULL ORDER BY position"
    ))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        match read_row(row) {
            Ok((position, task)) => each(position, task),
            Err(LoadError::Read(ReadError::Database(error))) => return Err(error),
            Err(error) => {
                tracing::error!(%error, "a task in the queue's file cannot be read; it stays there");
            }
        }
    }
    Ok(())
}

/// Reads a waiting task; none if it was removed.
pub(super) fn load(connection: &Connection, position: u64) -> Result<Option<Task>, LoadError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM tasks WHERE position = ?1 AND removed_at IS NULL"
    ))?;
    let mut rows = statement.query([position.cast_signed()])?;
    match rows.next()? {
        Some(row) => read_row(row).map(|(_, task)| Some(task)),
        None => Ok(None),
    }
}

fn read_row(row: &Row<'_>) -> Result<(u64, Task), LoadError> {
    let trigger: String = row.get(1)?;
    let unreadable = |source: Box<dyn std::error::Error + Send + Sync>| LoadError::Unreadable {
        trigger: trigger.clone(),
        source,
    };
    let id = |index: usize| row.get::<_, i64>(index).map(i64::cast_unsigned);
    let task = Task {
        trigger: trigger.parse::<TriggerId>().map_err(|error| unreadable(error.into()))?,
        channel: ChannelKey::from_raw(id(2)?, id(3)?).ok_or_else(|| unreadable(ZeroId.into()))?,
        bot: Id::new_checked(id(4)?).ok_or_else(|| unreadable(ZeroId.into()))?,
        received_at: UnixMillis(row.get(5)?),
        traceparent: trace_parent(row.get(6)?),
        payload: row.get::<_, Vec<u8>>(7)?.into(),
        retry: row.get(8)?,
        session: row.get(9)?,
    };
    Ok((id(0)?, task))
}

/// Returns the bound below or at which every epoch given out so far is.
pub(super) fn durable_epoch(connection: &Connection) -> rusqlite::Result<u64> {
    let durable: Option<i64> = connection
        .query_row("SELECT durable FROM epochs WHERE one = 1", [], |row| row.get(0))
        .optional()?;
    Ok(durable.map_or(0, i64::cast_unsigned))
}

/// Raises that bound.
pub(super) fn raise_durable_epoch(connection: &Connection, durable: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE epochs SET durable = max(durable, ?1) WHERE one = 1")?
        .execute([i64::try_from(durable).unwrap_or(i64::MAX)])?;
    Ok(())
}
