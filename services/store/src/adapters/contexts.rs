//! The newest messages of a channel: what a thread, or a person, is told of it.

use rusqlite::{Connection, params};
use twilight_model::id::{Id, marker::MessageMarker};

use ery_clock::UnixMillis;
use ery_ids::ChannelKey;

use crate::{
    adapters::{
        columns::{self, message_columns},
        write_channels::key,
    },
    domain::Message,
    error::StoreError,
};

/// Returns the newest messages of a channel before one (or of all) since a moment, oldest first,
/// `limit` at most.
pub(crate) fn newest(
    connection: &Connection,
    channel: &ChannelKey,
    before: Option<Id<MessageMarker>>,
    since: UnixMillis,
    limit: u32,
) -> Result<Vec<Message>, StoreError> {
    let (guild, channel) = key(channel);
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        message_columns!(),
        " FROM messages AS m INDEXED BY messages_of_channel
          WHERE m.guild_id = ?1 AND m.channel_id = ?2 AND m.message_id < ?3
              AND m.whole_at_ms IS NOT NULL AND m.deleted_at_ms IS NULL
          ORDER BY m.message_id DESC"
    ))?;
    // No bound LIMIT: SQLite plans by its value, and would prepare the statement at every call.
    let before = before.map_or(i64::MAX, columns::id);
    let mut rows = statement.query(params![guild, channel, before])?;
    let mut messages = Vec::new();
    while messages.len() < limit as usize {
        let Some(row) = rows.next()? else { break };
        let Some(message) = columns::message(row, 0)? else { continue };
        // Ids rise with time, so that all others are older.
        if message.created_at < since {
            break;
        }
        messages.push(message);
    }
    messages.reverse();
    Ok(messages)
}
