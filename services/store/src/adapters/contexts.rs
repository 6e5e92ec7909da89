//! The newest messages of a channel: what a thread, or a person, is told of it.

use rusqlite::{Connection, OptionalExtension as _, params};
use twilight_model::id::{Id, marker::MessageMarker};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, TriggerId};

use crate::{
    adapters::{
        columns::{self, message_columns},
        summaries,
        write_channels::key,
    },
    domain::{Message, TriggerChange, summary::Summary},
    error::StoreError,
};

/// How far replies are followed.
const MOST_REPLIES: usize = 10;

/// Which messages a thread is told of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ContextQuery {
    pub(crate) max_messages: u32,
    pub(crate) since: UnixMillis,
    /// Whether the channel's summary is told, too.
    pub(crate) wants_summary: bool,
}

/// What a thread is told of its channel.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pub(crate) newest: Vec<Message>,
    /// What is replied to beyond them.
    pub(crate) replied_to: Vec<Message>,
    pub(crate) summary: Option<Summary>,
}

/// A message that is answered, as it was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    pub(crate) message: Id<MessageMarker>,
    pub(crate) reply_to: Option<Id<MessageMarker>>,
    pub(crate) edited_at: UnixMillis,
}

/// Returns those of the answered messages that were deleted or edited since they were sent.
pub(crate) fn changes(
    connection: &Connection,
    channel: &ChannelKey,
    answered: &[Answered],
) -> Result<Vec<TriggerChange>, StoreError> {
    let (guild, channel) = key(channel);
    let mut statement = connection.prepare_cached(
        "SELECT deleted_at_ms IS NOT NULL, content, edited_at_ms FROM messages
         WHERE message_id = ?1 AND guild_id = ?2 AND channel_id = ?3
             AND (deleted_at_ms IS NOT NULL OR edited_at_ms > ?4)",
    )?;
    let mut changes = Vec::new();
    for Answered { message, edited_at, .. } in answered {
        let parameters = params![columns::id(*message), guild, channel, edited_at.0];
        let change = statement.query_row(parameters, |row| {
            Ok(TriggerChange {
                id: TriggerId::Message(*message).to_string(),
                is_deleted: row.get(0)?,
                content: row.get(1)?,
                edited_at: UnixMillis(row.get(2)?),
            })
        });
        changes.extend(change.optional()?);
    }
    Ok(changes)
}

/// Reads what a thread is told of its channel; it answers messages with these `replies`.
pub(crate) fn read(
    connection: &Connection,
    channel: &ChannelKey,
    ContextQuery { max_messages, since, wants_summary }: ContextQuery,
    replies: impl IntoIterator<Item = Id<MessageMarker>>,
) -> Result<Context, StoreError> {
    let mut context = Context::default();
    if max_messages > 0 {
        context.newest = newest(connection, channel, None, since, max_messages)?;
        context.replied_to = replied_to(connection, channel, replies, &context.newest)?;
    }
    if wants_summary {
        context.summary = summaries::of_channel(connection, channel)?;
    }
    Ok(context)
}

/// Returns what of a channel messages reply to, what that replies to, and so on, oldest first; as far as
/// it is kept, and does not stand in `known`, through which replies are followed.
fn replied_to(
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
