//! Lets data go that is past its time, by kind.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use ery_clock::UnixMillis;
use ery_ids::StoreShard;

use crate::{
    adapters::{deleted_channels, scheduled_actions::to_be_done, shard::OpenShard},
    domain::{gap::first_id_at, usage::Windows},
    error::StoreError,
    service::Inner,
    settings::Retention,
};

/// How many rows go in one write, so that others are not kept waiting.
const ROWS_AT_ONCE: u32 = 500;

/// For how long a sweep leaves the writer to others, by how long one of its writes took.
const PAUSE: u32 = 3;

/// After what time executions are looked through from the first one: some were still needed.
const ANEW: Duration = Duration::from_hours(24);

/// For how long it is remembered that a channel was deleted: no message of it comes later than that.
const CHANNELS_REMEMBERED: Duration = Duration::from_hours(24 * 90);

/// How long after the start the first sweep begins.
const FIRST: Duration = Duration::from_mins(1);

/// A kind of data that goes by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Messages,
    /// Messages of channels that were deleted, whatever their age.
    DeletedChannels,
    Journals,
    Executions,
    DeadLetters,
    Names,
    Cases,
    Usage,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Messages,
        Self::DeletedChannels,
        Self::Journals,
        Self::Executions,
        Self::DeadLetters,
        Self::Names,
        Self::Cases,
        Self::Usage,
    ];

    /// Returns its name, as settings and metrics have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::DeletedChannels => "deleted_channels",
            Self::Journals => "journals",
            Self::Executions => "executions",
            Self::DeadLetters => "dead_letters",
            Self::Names => "names",
            Self::Cases => "cases",
            Self::Usage => "usage",
        }
    }

    fn kept(self, settings: &Retention) -> Option<Duration> {
        match self {
            Self::Messages => settings.messages,
            Self::DeletedChannels => return Some(CHANNELS_REMEMBERED),
            Self::Journals => settings.journals,
            Self::Executions => settings.executions,
            Self::DeadLetters => settings.dead_letters,
            Self::Names => settings.names,
            Self::Cases => settings.cases,
            Self::Usage => settings.usage,
        }
        .limit()
    }

    /// Lets the oldest rows go that are from before a moment, a bounded number; returns how many
    /// there were. Fewer than the bound: that was all.
    fn sweep(
        self,
        connection: &Connection,
        before: UnixMillis,
        now: UnixMillis,
    ) -> Result<u32, StoreError> {
        match self {
            Self::Messages => by_statement(
                connection,
                "DELETE FROM messages WHERE message_id IN (SELECT message_id FROM messages
                     WHERE message_id < ?1 ORDER BY message_id LIMIT ?2)",
                first_id_at(before).cast_signed(),
            ),
            Self::DeletedChannels => deleted_channels::empty(connection, before, ROWS_AT_ONCE),
            Self::Journals => journals(connection, before),
            Self::Executions => executions(connection, before, now),
            Self::DeadLetters => by_statement(
                connection,
                "DELETE FROM dead_letters WHERE dead_letter_id IN (SELECT dead_letter_id
                     FROM dead_letters WHERE at_ms < ?1 ORDER BY dead_letter_id LIMIT ?2)",
                before.0,
            ),
            Self::Names => by_statement(
                connection,
                "DELETE FROM users WHERE (guild_id, user_id) IN (SELECT guild_id, user_id FROM users
                     WHERE last_seen_ms < ?1 LIMIT ?2)",
                before.0,
            ),
            Self::Cases => by_statement(
                connection,
                "DELETE FROM moderation_logs WHERE moderation_log_id IN (SELECT moderation_log_id
                     FROM moderation_logs WHERE at_ms < ?1 ORDER BY moderation_log_id LIMIT ?2)",
                before.0,
            ),
            Self::Usage => usage(connection, before),
        }
    }
}

fn by_statement(connection: &Connection, statement: &str, before: i64) -> Result<u32, StoreError> {
    let gone = connection.prepare_cached(statement)?.execute(params![before, ROWS_AT_ONCE])?;
    Ok(u32::try_from(gone).unwrap_or(u32::MAX))
}

/// What was spent, its sums, and what was told of them: by whole days.
fn usage(connection: &Connection, before: UnixMillis) -> Result<u32, StoreError> {
    let day = Windows::at(before).day;
    let mut gone = 0;
    for statement in [
        "DELETE FROM usage WHERE (home_id, day, channel_id, user_id, provider, model) IN
             (SELECT home_id, day, channel_id, user_id, provider, model FROM usage
              WHERE day < ?1 LIMIT ?2)",
        "DELETE FROM usage_sums WHERE (home_id, scope, subject_id, period, began_day) IN
             (SELECT home_id, scope, subject_id, period, began_day FROM usage_sums
              WHERE began_day < ?1 LIMIT ?2)",
        "DELETE FROM usage_notices
         WHERE (home_id, scope, subject_id, period, began_day, stage) IN
             (SELECT home_id, scope, subject_id, period, began_day, stage FROM usage_notices
              WHERE began_day < ?1 LIMIT ?2)",
    ] {
        gone = by_statement(connection, statement, day)?.max(gone);
    }
    Ok(gone)
}

/// Journals of threads that have ended; the threads stay, with what came of them.
fn journals(connection: &Connection, before: UnixMillis) -> Result<u32, StoreError> {
    // Ids of threads begin with the moment of their beginning.
    let first = first_thread_at(before);
    let gone = connection
        .prepare_cached(
            "DELETE FROM task_thread_steps WHERE (thread_id, step) IN
                 (SELECT s.thread_id, s.step FROM task_thread_steps AS s
                  JOIN task_threads AS t ON t.thread_id = s.thread_id
                  WHERE s.thread_id < ?1 AND t.finished_at_ms < ?2
                      AND t.outcome NOT IN ('running', 'suspended') LIMIT ?3)",
        )?
        .execute(params![first, before.0, ROWS_AT_ONCE])?;
    Ok(u32::try_from(gone).unwrap_or(u32::MAX))
}

/// Returns a thread id that is below every one that was made since a moment.
///
/// Source: RFC 9562, 5.7: a UUID of version 7 begins with 48 bits of Unix milliseconds.
fn first_thread_at(at: UnixMillis) -> Vec<u8> {
    let millis = u64::try_from(at.0).unwrap_or(0).min((1 << 48) - 1);
    let mut id = millis.to_be_bytes()[2..].to_vec();
    id.resize(16, 0);
    id
}

/// The text of executions, and of what they proposed and planned; what was decided stays.
fn executions(
    connection: &Connection,
    before: UnixMillis,
    now: UnixMillis,
) -> Result<u32, StoreError> {
    let from = stands_at(connection, BEHIND)?;
    // They are numbered as they are opened, so what follows the first that is younger is younger.
    let last: Option<i64> = connection
        .prepare_cached(
            "SELECT max(execution_id) FROM (SELECT execution_id, opened_at_ms FROM tool_executions
                 WHERE execution_id > ?1 ORDER BY execution_id LIMIT ?2)
             WHERE opened_at_ms < ?3",
        )?
        .query_row(params![from, ROWS_AT_ONCE, before.0], |row| row.get(0))?;
    let Some(last) = last else {
        // What was open, or waited for its time, when it was passed is found by the next round.
        if stands_at(connection, ROUND_BEGAN)? + millis(ANEW) <= now.0 {
            stand_at(connection, BEHIND, 0)?;
            stand_at(connection, ROUND_BEGAN, now.0)?;
        }
        return Ok(0);
    };
    let emptied = connection
        .prepare_cached(
            "UPDATE tool_executions SET arguments = '', arguments_hash = '', result = '',
                 decision_reason = '', audit_reason = '', redacted_at_ms = ?3
             WHERE execution_id > ?1 AND execution_id <= ?2 AND redacted_at_ms IS NULL
                 AND state <> 'open'",
        )?
        .execute(params![from, last, now.0])?;
    for statement in [
        "UPDATE approvals SET arguments = '', hash = '', redacted_at_ms = ?3
         WHERE decision IS NOT NULL AND redacted_at_ms IS NULL AND key IN
             (SELECT key FROM tool_executions WHERE execution_id > ?1 AND execution_id <= ?2)",
        concat!(
            "UPDATE scheduled_actions AS a SET arguments = '', redacted_at_ms = ?3
             WHERE redacted_at_ms IS NULL AND key IN
                 (SELECT key FROM tool_executions WHERE execution_id > ?1 AND execution_id <= ?2)
                 AND NOT ",
            to_be_done!()
        ),
    ] {
        connection.prepare_cached(statement)?.execute(params![from, last, now.0])?;
    }
    stand_at(connection, BEHIND, last)?;
    Ok(u32::try_from(emptied).unwrap_or(u32::MAX).max(1))
}

/// In `sweeps`: the last execution that was looked at.
const BEHIND: &str = "executions";

/// In `sweeps`: when they were last begun to be looked through from the first one.
const ROUND_BEGAN: &str = "executions_round";

fn stands_at(connection: &Connection, kind: &str) -> Result<i64, StoreError> {
    let stands = connection
        .prepare_cached("SELECT cursor FROM sweeps WHERE kind = ?1")?
        .query_row([kind], |row| row.get(0))
        .optional()?;
    Ok(stands.unwrap_or(0))
}

fn stand_at(connection: &Connection, kind: &str, cursor: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO sweeps (kind, cursor) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET cursor = excluded.cursor",
        )?
        .execute(params![kind, cursor])?;
    Ok(())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Sweeps every shard, again and again, until the process drains.
pub(crate) async fn keep_sweeping(store: &Inner, draining: CancellationToken) {
    let mut wait = FIRST.min(store.settings.retention.sweep_every);
    loop {
        tokio::select! {
            biased;
            () = draining.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = store.settings.retention.sweep_every;
        for shard in store.shards.all_existing() {
            if draining.is_cancelled() {
                return;
            }
            if let Err(error) = sweep(store, shard, &draining).await {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(store_shard = %shard, error,
                    "could not let go of what is past its time in {shard}; trying later");
            }
        }
    }
}

/// Lets go of what is past its time in a shard.
pub(crate) async fn sweep(
    store: &Inner,
    shard: StoreShard,
    draining: &CancellationToken,
) -> Result<(), StoreError> {
    let was_open = store.shards.is_open(shard).await;
    let open = store.shards.open(shard).await?;
    let swept = sweep_open(store, &open, draining).await;
    drop(open);
    if !was_open {
        store.shards.close(shard).await;
    }
    swept
}

async fn sweep_open(
    store: &Inner,
    open: &OpenShard,
    draining: &CancellationToken,
) -> Result<(), StoreError> {
    for kind in Kind::ALL {
        let Some(kept) = kind.kept(&store.settings.retention) else { continue };
        let now = store.clock.now();
        let before = now - kept;
        loop {
            if draining.is_cancelled() {
                return Ok(());
            }
            let begun = Instant::now();
            let gone = open.write(move |connection| kind.sweep(connection, before, now)).await?;
            store.metrics.swept(kind.as_str(), gone.into());
            // Executions are looked through by their numbers, few of which may be left to empty.
            let is_all = match kind {
                Kind::Executions => gone == 0,
                _ => gone < ROWS_AT_ONCE,
            };
            if is_all {
                break;
            }
            tokio::select! {
                biased;
                () = draining.cancelled() => return Ok(()),
                () = tokio::time::sleep(begun.elapsed() * PAUSE) => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threads_id_tells_when_it_began() {
        let at = UnixMillis(1_700_000_000_000);
        let seconds = u64::try_from(at.0 / 1_000).unwrap();
        let made = uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0));
        let bytes = made.as_bytes().to_vec();
        assert!(first_thread_at(at) <= bytes);
        assert!(bytes < first_thread_at(at + Duration::from_millis(1)));
    }
}
