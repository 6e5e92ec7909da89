//! Channels that were deleted at Discord: their messages go with them, and what comes late of them is
//! taken for deleted.
//!
//! What is said later proves that a channel is there: Ery may have lost sight of a thread, and found it
//! again.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use twilight_model::id::{Id, marker::MessageMarker};

use ery_clock::UnixMillis;
use ery_ids::ChannelKey;

use crate::{
    adapters::{write_channels::key, write_messages},
    error::StoreError,
};

/// How many messages are emptied with the note that a channel was deleted, the newest first: those
/// that a thread answers, or that wait for one. The sweep empties the rest.
const AT_ONCE: u32 = 200;

/// By how much our clock and Discord's may differ.
const SKEW: Duration = Duration::from_mins(1);

/// Notes that a channel was deleted.
pub(crate) fn note(
    connection: &Connection,
    channel: &ChannelKey,
    at: UnixMillis,
) -> Result<(), StoreError> {
    let (guild, channel_id) = key(channel);
    connection
        .prepare_cached(
            "INSERT INTO deleted_channels (guild_id, channel_id, deleted_at_ms) VALUES (?1, ?2, ?3)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![guild, channel_id, at.0])?;
    let mut newest = connection.prepare_cached(
        "SELECT message_id, guild_id, channel_id, ?3
         FROM messages INDEXED BY messages_of_channel
         WHERE guild_id = ?1 AND channel_id = ?2
             AND whole_at_ms IS NOT NULL AND deleted_at_ms IS NULL
         ORDER BY message_id DESC LIMIT ?4",
    )?;
    let messages = newest
        .query_map(params![guild, channel_id, at.0, AT_ONCE], row)?
        .collect::<Result<Vec<_>, _>>()?;
    bury(connection, &messages)
}

/// Returns when a channel was deleted; none if it was not, or something was said there since.
pub(crate) fn deleted_at(
    connection: &Connection,
    channel: &ChannelKey,
    said_at: Option<UnixMillis>,
) -> Result<Option<UnixMillis>, StoreError> {
    let (guild, channel) = key(channel);
    let at = connection
        .prepare_cached(
            "SELECT deleted_at_ms FROM deleted_channels WHERE guild_id = ?1 AND channel_id = ?2",
        )?
        .query_row([guild, channel], |row| row.get(0))
        .optional()?;
    let Some(at) = at.map(UnixMillis) else { return Ok(None) };
    if said_at.is_some_and(|said_at| said_at > at + SKEW) {
        connection
            .prepare_cached("DELETE FROM deleted_channels WHERE guild_id = ?1 AND channel_id = ?2")?
            .execute([guild, channel])?;
        return Ok(None);
    }
    Ok(Some(at))
}

/// Empties messages of channels that were deleted, `limit` at most, and returns how many there were.
/// Once they are, a channel that was deleted before a moment is forgotten.
pub(crate) fn empty(
    connection: &Connection,
    before: UnixMillis,
    limit: u32,
) -> Result<u32, StoreError> {
    let messages = connection
        .prepare_cached(
            "SELECT m.message_id, m.guild_id, m.channel_id, d.deleted_at_ms
             FROM deleted_channels AS d CROSS JOIN messages AS m INDEXED BY messages_of_channel
             WHERE d.is_emptied = 0 AND m.guild_id = d.guild_id AND m.channel_id = d.channel_id
                 AND m.whole_at_ms IS NOT NULL AND m.deleted_at_ms IS NULL
             LIMIT ?1",
        )?
        .query_map([limit], row)?
        .collect::<Result<Vec<_>, _>>()?;
    bury(connection, &messages)?;
    let count = u32::try_from(messages.len()).unwrap_or(u32::MAX);
    if count < limit {
        connection
            .prepare_cached("UPDATE deleted_channels SET is_emptied = 1 WHERE is_emptied = 0")?
            .execute([])?;
        connection
            .prepare_cached(
                "DELETE FROM deleted_channels WHERE is_emptied = 1 AND deleted_at_ms < ?1",
            )?
            .execute([before.0])?;
    }
    Ok(count)
}

struct Row {
    message: i64,
    channel: (i64, i64),
    at: UnixMillis,
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        message: row.get(0)?,
        channel: (row.get(1)?, row.get(2)?),
        at: UnixMillis(row.get(3)?),
    })
}

fn bury(connection: &Connection, messages: &[Row]) -> Result<(), StoreError> {
    for Row { message, channel: (guild, channel), at } in messages {
        let id = Id::<MessageMarker>::new_checked(message.cast_unsigned());
        let channel = ChannelKey::from_raw(guild.cast_unsigned(), channel.cast_unsigned());
        if let Some((id, channel)) = id.zip(channel) {
            write_messages::delete(connection, &channel, id, *at)?;
        }
    }
    Ok(())
}
