use rusqlite::{Connection, OptionalExtension as _, params};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, Epoch, Fence, TaskThreadId, TriggerId};

use crate::{
    adapters::columns::{self, from_json, thread_from},
    domain::{ChannelState, Claim, Highest, TriggerChange, fence},
    error::StoreError,
};

/// What opening a channel came to.
#[derive(Debug)]
pub(crate) enum Opened {
    /// The highest epoch; nothing was changed.
    Refused(Epoch),
    Taken {
        unfinished: Option<TaskThreadId>,
        finished: Vec<TriggerId>,
        changes: Vec<TriggerChange>,
        state: ChannelState,
    },
}

/// Records the epoch of a new holder, and tells how its channel stands.
pub(crate) fn open(
    connection: &Connection,
    fence: &Fence,
    waiting: Vec<TriggerId>,
    now: UnixMillis,
) -> Result<Opened, StoreError> {
    let (guild, channel) = key(&fence.channel);
    match with_highest(connection, &fence.channel, |highest| fence::claim(highest, fence))? {
        Claim::Refused(by) => return Ok(Opened::Refused(by)),
        Claim::Repeat => {}
        Claim::Raise => {
            connection
                .prepare_cached(
                    "INSERT INTO channel_epochs (guild_id, channel_id, epoch, owner, opened_at_ms)
                     VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT DO UPDATE SET epoch = excluded.epoch, owner = excluded.owner,
                         opened_at_ms = excluded.opened_at_ms",
                )?
                .execute(params![
                    guild,
                    channel,
                    fence.epoch.0.cast_signed(),
                    fence.owner.0,
                    now.0
                ])?;
        }
    }
    let mut changes = Vec::new();
    let mut finished = Vec::new();
    for trigger in waiting {
        if finished_by(connection, &fence.channel, &trigger)?.is_some() {
            finished.push(trigger);
        } else if let Some(change) = change_of(connection, &fence.channel, &trigger)? {
            changes.push(change);
        }
    }
    Ok(Opened::Taken {
        unfinished: running(connection, &fence.channel)?,
        finished,
        changes,
        state: state(connection, &fence.channel)?,
    })
}

/// Refuses a write under any fence but the newest opener's.
///
/// Invariant FENCED: this runs in the transaction that writes.
pub(crate) fn check_fence(connection: &Connection, fence: &Fence) -> Result<(), StoreError> {
    #[cfg(feature = "mutants")]
    if crate::mutants::is_on("fence") {
        return Ok(());
    }
    Ok(with_highest(connection, &fence.channel, |highest| fence::check(highest, fence))??)
}

/// Returns the thread that finished a trigger.
pub(crate) fn finished_by(
    connection: &Connection,
    channel: &ChannelKey,
    trigger: &TriggerId,
) -> Result<Option<TaskThreadId>, StoreError> {
    let (guild, channel) = key(channel);
    let thread: Option<Vec<u8>> = connection
        .prepare_cached(
            "SELECT thread_id FROM finished_triggers
             WHERE guild_id = ?1 AND channel_id = ?2 AND trigger_id = ?3",
        )?
        .query_row(params![guild, channel, trigger.to_string()], |row| row.get(0))
        .optional()?;
    thread.map(|thread| thread_from(&thread, "finished_triggers")).transpose()
}

/// Returns the channel's running thread.
pub(crate) fn running(
    connection: &Connection,
    channel: &ChannelKey,
) -> Result<Option<TaskThreadId>, StoreError> {
    let thread: Option<Vec<u8>> = connection
        .prepare_cached(
            "SELECT thread_id FROM task_threads INDEXED BY task_threads_running
             WHERE guild_id = ?1 AND channel_id = ?2 AND outcome = 'running'",
        )?
        .query_row(key(channel), |row| row.get(0))
        .optional()?;
    thread.map(|thread| thread_from(&thread, "task_threads")).transpose()
}

/// Replaces what the gate knows of a channel.
pub(crate) fn set_state(
    connection: &Connection,
    channel: &ChannelKey,
    state: &ChannelState,
) -> Result<(), StoreError> {
    let (guild, channel) = key(channel);
    connection
        .prepare_cached(
            "UPDATE channel_epochs SET state = ?3 WHERE guild_id = ?1 AND channel_id = ?2",
        )?
        .execute(params![guild, channel, columns::json(state)])?;
    Ok(())
}

/// Returns a channel as its two columns hold it.
pub(crate) fn key(channel: &ChannelKey) -> (i64, i64) {
    (channel.guild_raw().cast_signed(), columns::id(channel.channel))
}

fn with_highest<T>(
    connection: &Connection,
    channel: &ChannelKey,
    judge: impl FnOnce(Option<Highest<'_>>) -> T,
) -> Result<T, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT epoch, owner FROM channel_epochs WHERE guild_id = ?1 AND channel_id = ?2",
    )?;
    let mut rows = statement.query(key(channel))?;
    let Some(row) = rows.next()? else { return Ok(judge(None)) };
    let epoch = Epoch(row.get::<_, i64>(0)?.cast_unsigned());
    let owner = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
    Ok(judge(Some(Highest { epoch, owner })))
}

/// Returns what became of a waiting message: what it was sent with is not known here, so every
/// edit is told.
fn change_of(
    connection: &Connection,
    channel: &ChannelKey,
    trigger: &TriggerId,
) -> Result<Option<TriggerChange>, StoreError> {
    let Some(message) = trigger.message() else { return Ok(None) };
    let (guild, channel) = key(channel);
    let change = connection
        .prepare_cached(
            "SELECT deleted_at_ms IS NOT NULL, content, edited_at_ms FROM messages
             WHERE message_id = ?1 AND guild_id = ?2 AND channel_id = ?3
                 AND (deleted_at_ms IS NOT NULL OR edited_at_ms > 0)",
        )?
        .query_row(params![columns::id(message), guild, channel], |row| {
            Ok(TriggerChange {
                id: trigger.to_string(),
                is_deleted: row.get(0)?,
                content: row.get(1)?,
                edited_at: UnixMillis(row.get(2)?),
            })
        })
        .optional()?;
    Ok(change)
}

fn state(connection: &Connection, channel: &ChannelKey) -> Result<ChannelState, StoreError> {
    let state: Option<String> = connection
        .prepare_cached("SELECT state FROM channel_epochs WHERE guild_id = ?1 AND channel_id = ?2")?
        .query_row(key(channel), |row| row.get(0))?;
    state.map_or_else(|| Ok(ChannelState::default()), |state| from_json(&state, "channel_epochs"))
}
