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

/// How far replies are followed.
const MOST_REPLIES: usize = 10;

/// Returns what of a channel messages reply to, what that replies to, and so on, oldest first; as far as
/// it is kept, and does not stand in `known`, through which replies are followed.
pub(crate) fn replied_to(
    connection: &Connection,
    channel: &ChannelKey,
    replies: impl IntoIterator<Item = Id<MessageMarker>>,
    known: &[Message],
) -> Result<Vec<Message>, StoreError> {
    let mut next: Vec<_> = replies.into_iter().collect();
    let mut followed = Vec::new();
    let mut found = Vec::new();
    while let Some(id) = next.pop() {
        if followed.contains(&id) || followed.len() >= MOST_REPLIES {
            continue;
        }
        followed.push(id);
        if let Some(message) = known.iter().find(|message| message.id == id) {
            next.extend(message.reply_to);
        } else if let Some(message) = one(connection, channel, id)? {
            next.extend(message.reply_to);
            found.push(message);
        }
    }
    found.sort_by_key(|message| message.id);
    Ok(found)
}

fn one(
    connection: &Connection,
    channel: &ChannelKey,
    message: Id<MessageMarker>,
) -> Result<Option<Message>, StoreError> {
    let (guild, channel) = key(channel);
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        message_columns!(),
        " FROM messages AS m WHERE m.message_id = ?1 AND m.guild_id = ?2 AND m.channel_id = ?3
              AND m.whole_at_ms IS NOT NULL AND m.deleted_at_ms IS NULL"
    ))?;
    let mut rows = statement.query(params![columns::id(message), guild, channel])?;
    rows.next()?.map_or(Ok(None), |row| columns::message(row, 0))
}

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
