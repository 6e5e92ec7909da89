use rusqlite::{Connection, OptionalExtension as _, params};
use twilight_model::id::{Id, marker::MessageMarker};

use ery_clock::UnixMillis;
use ery_ids::ChannelKey;

use crate::{
    adapters::{
        columns::{id, json_list, optional_id},
        dead_letters, deleted_channels,
        write_channels::key,
    },
    domain::{Merge, Message, MessageChange, Standing, message::merge},
    error::StoreError,
    ledger::Ledger,
};

/// One event of ingestion, and what it says of messages of its channel.
#[derive(Debug)]
pub(crate) struct IngestEvent {
    pub(crate) id: String,
    pub(crate) channel: ChannelKey,
    pub(crate) changes: Vec<MessageChange>,
    /// When its channel was deleted, if it tells that.
    pub(crate) channel_deleted_at: Option<UnixMillis>,
}

/// Takes events in, each once per handler. Returns the messages among them that stand as deleted
/// because somebody was forgotten, or may, and those that forward what such a one said.
pub(crate) fn ingest(
    connection: &Connection,
    handler: &str,
    events: &[IngestEvent],
    ledger: &Ledger,
    now: UnixMillis,
) -> Result<Vec<Id<MessageMarker>>, StoreError> {
    let mut forgotten = Vec::new();
    let mut handle = connection.prepare_cached(
        "INSERT INTO handled_events (handler, event_id, handled_at_ms) VALUES (?1, ?2, ?3)
         ON CONFLICT DO NOTHING",
    )?;
    for event in events {
        let is_first = handle.execute(params![handler, event.id, now.0])? == 1;
        if is_first {
            for change in &event.changes {
                apply(connection, &event.channel, change, ledger, now)?;
            }
            if let Some(at) = event.channel_deleted_at {
                deleted_channels::note(connection, &event.channel, at)?;
            }
        }
        // Also of a repeat: whoever asks has them from elsewhere. And also what Ery said herself of
        // the person, which was emptied with it.
        for whole in event.changes.iter().filter_map(whole) {
            let is_gone = ledger.may_hold_off(whole.id) && is_deleted(connection, whole.id)?;
            if is_gone || repeats_forgotten(connection, whole, ledger)? {
                forgotten.push(whole.id);
            }
        }
    }
    Ok(forgotten)
}

fn is_deleted(connection: &Connection, message: Id<MessageMarker>) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM messages
                 WHERE message_id = ?1 AND deleted_at_ms IS NOT NULL)",
        )?
        .query_row([id(message)], |row| row.get(0))?)
}

/// Returns whether a message forwards, directly or by another forward, one that was emptied with its
/// author: Discord shows its words yet.
fn repeats_forgotten(
    connection: &Connection,
    message: &Message,
    ledger: &Ledger,
) -> Result<bool, StoreError> {
    let Some(forwarded) = message.forward_of.filter(|_| !ledger.is_empty()) else {
        return Ok(false);
    };
    // Whose message was deleted on Discord alone is known of it yet.
    Ok(connection
        .prepare_cached(
            "WITH RECURSIVE shown (message_id) AS (
                 VALUES (?1)
                 UNION SELECT m.forward_of FROM shown AS s
                     CROSS JOIN messages AS m ON m.message_id = s.message_id
                 WHERE m.forward_of IS NOT NULL)
             SELECT EXISTS (SELECT 1 FROM shown AS s
                 CROSS JOIN messages AS m ON m.message_id = s.message_id
                 WHERE m.deleted_at_ms IS NOT NULL AND m.buried_author_id = 0)",
        )?
        .query_row([id(forwarded)], |row| row.get(0))?)
}

fn without_enclosures(mut change: MessageChange) -> MessageChange {
    if let MessageChange::Seen { message, .. }
    | MessageChange::Edited { whole: Some(message), .. } = &mut change
    {
        message.enclosures.clear();
    }
    change
}

fn is_held_off(ledger: &Ledger, message: &Message) -> bool {
    ledger.holds_off(message.author, message.channel.guild(), message.id)
}

/// Forgets handled events from before `before`, `limit` at most, and returns how many there were.
pub(crate) fn trim_handled(
    connection: &Connection,
    before: UnixMillis,
    limit: u32,
) -> Result<usize, StoreError> {
    // The oldest have the lowest row ids: an event is recorded when it is handled.
    Ok(connection
        .prepare_cached(
            "DELETE FROM handled_events WHERE handled_at_ms < ?1 AND handled_event_id IN
                 (SELECT handled_event_id FROM handled_events ORDER BY handled_event_id LIMIT ?2)",
        )?
        .execute(params![before.0, limit])?)
}

/// Brings new texts into the search index, as the last write of a transaction.
///
/// The index writes what is pending at every savepoint, and merges those pieces later: one piece
/// for each transaction instead of for each message is most of what ingestion saves.
pub(crate) fn index_new(connection: &Connection) -> Result<(), rusqlite::Error> {
    let has_new: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM messages_unindexed)")?
        .query_row([], |row| row.get(0))?;
    if has_new {
        connection
            .prepare_cached(
                "INSERT INTO messages_fts (rowid, content) SELECT m.message_id, m.content
                 FROM messages_unindexed AS u JOIN messages AS m ON m.message_id = u.message_id",
            )?
            .execute([])?;
        connection.prepare_cached("DELETE FROM messages_unindexed")?.execute([])?;
    }
    Ok(())
}

/// Makes of a message's row what a change says.
///
/// Invariant FORGOTTEN: what a person said who is forgotten up to it stands as deleted, whoever
/// brings it, and however late. So does what was said in a channel that was deleted.
pub(crate) fn apply(
    connection: &Connection,
    channel: &ChannelKey,
    change: &MessageChange,
    ledger: &Ledger,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let held_off = whole(change).filter(|whole| is_held_off(ledger, whole)).map(|_| now);
    let deleted_at = match held_off {
        None => {
            let said_at = whole(change).map(|whole| whole.created_at);
            deleted_channels::deleted_at(connection, channel, said_at)?
        }
        held_off => held_off,
    };
    if let Some(at) = deleted_at {
        delete(connection, channel, id_of(change), at)?;
        // Whoever waits until ingestion has come this far waits for nothing more.
        connection
            .prepare_cached("UPDATE messages SET is_ingested = 1 WHERE message_id = ?1")?
            .execute([id(id_of(change))])?;
        return Ok(());
    }
    let may_be_forgotten = ledger.may_hold_off(id_of(change));
    if let Some(whole) = whole(change)
        && repeats_forgotten(connection, whole, ledger)?
    {
        let change = without_enclosures(change.clone());
        return apply_known(connection, channel, &change, may_be_forgotten);
    }
    apply_known(connection, channel, change, may_be_forgotten)
}

/// Makes a deleted message's row, or makes one of the row that stands.
pub(crate) fn delete(
    connection: &Connection,
    channel: &ChannelKey,
    id: Id<MessageMarker>,
    at: UnixMillis,
) -> Result<(), StoreError> {
    apply_known(connection, channel, &MessageChange::Deleted { id, at }, false)
}

fn id_of(change: &MessageChange) -> Id<MessageMarker> {
    match change {
        MessageChange::Seen { message, .. } => message.id,
        MessageChange::Edited { id, .. } | MessageChange::Deleted { id, .. } => *id,
    }
}

fn apply_known(
    connection: &Connection,
    channel: &ChannelKey,
    change: &MessageChange,
    may_be_forgotten: bool,
) -> Result<(), StoreError> {
    let message_id = id_of(change);
    let standing = match standing(connection, channel, message_id)? {
        Row::None => None,
        Row::Here(standing) => Some(standing),
        Row::Elsewhere => {
            tracing::warn!(
                channel.id = %channel.channel,
                "message {message_id} is another channel's; leaving it as it is"
            );
            return Ok(());
        }
    };
    if let (Some(Standing { deleted_at: Some(_), .. }), Some(whole)) = (&standing, whole(change)) {
        note_buried_author(connection, whole)?;
    }
    let merge = merge(standing.as_ref(), change);
    if merge.is_nothing() {
        return Ok(());
    }
    if merge.deletes_at.is_some() {
        dead_letters::forget_message(connection, message_id)?;
    }
    if merge.is_new
        && may_be_forgotten
        && matches!(change, MessageChange::Edited { whole: None, .. })
    {
        // A text of nobody knows whom, from before somebody was forgotten.
        return Ok(());
    }
    if merge.is_new {
        return insert(connection, channel, message_id, change, &merge);
    }
    if let Some(at) = merge.deletes_at {
        return bury(connection, message_id, at);
    }
    if let Some(whole) = whole(change) {
        if merge.takes_whole {
            take_whole(connection, whole)?;
        }
        if merge.takes_marks {
            take_marks(connection, whole)?;
        }
    }
    if merge.takes_text {
        let (content, edited_at) = match change {
            MessageChange::Seen { message, .. } => (&message.content, message.edited_at),
            MessageChange::Edited { content, edited_at, .. } => (content, *edited_at),
            MessageChange::Deleted { .. } => return Ok(()),
        };
        connection
            .prepare_cached(
                "UPDATE messages SET content = ?2, edited_at_ms = ?3 WHERE message_id = ?1",
            )?
            .execute(params![id(message_id), content, edited_at.0])?;
    }
    if merge.marks_ingested {
        connection
            .prepare_cached("UPDATE messages SET is_ingested = 1 WHERE message_id = ?1")?
            .execute([id(message_id)])?;
    }
    Ok(())
}

/// Returns whether ingestion has written a message, or its deletion; where there is none, all is there.
pub(crate) fn is_ingested(
    connection: &Connection,
    message: Option<Id<MessageMarker>>,
) -> Result<bool, StoreError> {
    let Some(message) = message else { return Ok(true) };
    let is_ingested = connection
        .prepare_cached("SELECT is_ingested FROM messages WHERE message_id = ?1")?
        .query_row([id(message)], |row| row.get(0))
        .optional()?;
    Ok(is_ingested.unwrap_or(false))
}

enum Row {
    None,
    Here(Standing),
    Elsewhere,
}

fn standing(
    connection: &Connection,
    channel: &ChannelKey,
    message: Id<MessageMarker>,
) -> Result<Row, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT guild_id, channel_id, edited_at_ms, whole_at_ms, is_ingested, deleted_at_ms,
             gate_reason <> '', nonce <> ''
         FROM messages WHERE message_id = ?1",
    )?;
    let mut rows = statement.query([id(message)])?;
    let Some(row) = rows.next()? else { return Ok(Row::None) };
    if (row.get(0)?, row.get(1)?) != key(channel) {
        return Ok(Row::Elsewhere);
    }
    Ok(Row::Here(Standing {
        edited_at: UnixMillis(row.get(2)?),
        whole_at: row.get::<_, Option<i64>>(3)?.map(UnixMillis),
        is_ingested: row.get(4)?,
        deleted_at: row.get::<_, Option<i64>>(5)?.map(UnixMillis),
        has_gate_reason: row.get(6)?,
        has_nonce: row.get(7)?,
    }))
}

fn whole(change: &MessageChange) -> Option<&Message> {
    match change {
        MessageChange::Seen { message, .. } => Some(message),
        MessageChange::Edited { whole, .. } => whole.as_deref(),
        MessageChange::Deleted { .. } => None,
    }
}

fn insert(
    connection: &Connection,
    channel: &ChannelKey,
    message_id: Id<MessageMarker>,
    change: &MessageChange,
    merge: &Merge,
) -> Result<(), StoreError> {
    let (guild, channel_id) = key(channel);
    if let Some(message) = whole(change) {
        connection
            .prepare_cached(
                "INSERT INTO messages (message_id, guild_id, channel_id, author_id, author_name,
                     is_automated, is_own, content, created_at_ms, edited_at_ms, type, reply_to,
                     reply_to_author_id, mentions, mentioned_roles, attachments, gate_reason, nonce,
                     whole_at_ms, is_ingested, enclosures, forward_of)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
                     ?17, ?18, ?10, ?19, ?20, ?21)",
            )?
            .execute(params![
                id(message_id),
                guild,
                channel_id,
                id(message.author),
                message.author_name,
                message.is_automated,
                message.is_own,
                message.content,
                message.created_at.0,
                message.edited_at.0,
                message.kind,
                optional_id(message.reply_to),
                optional_id(message.reply_to_author),
                json_list(&message.mentions),
                json_list(&message.mentioned_roles),
                json_list(&message.attachments),
                message.gate_reason,
                message.nonce,
                merge.marks_ingested,
                json_list(&message.enclosures),
                message.forward_of.map(id),
            ])?;
        return note_author(connection, message);
    }
    let (content, edited_at) = match change {
        MessageChange::Edited { content, edited_at, .. } => (content.as_str(), edited_at.0),
        MessageChange::Seen { .. } | MessageChange::Deleted { .. } => ("", 0),
    };
    connection
        .prepare_cached(
            "INSERT INTO messages (message_id, guild_id, channel_id, content, edited_at_ms,
                 is_ingested, deleted_at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)",
        )?
        .execute(params![
            id(message_id),
            guild,
            channel_id,
            content,
            edited_at,
            merge.deletes_at.map(|at| at.0),
        ])?;
    Ok(())
}

/// Leaves of a message its ids alone.
pub(crate) fn bury(
    connection: &Connection,
    message: Id<MessageMarker>,
    at: UnixMillis,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE messages SET deleted_at_ms = ?2, buried_author_id =
                     CASE WHEN author_id = 0 THEN buried_author_id ELSE author_id END, author_id = 0,
                 author_name = '', is_automated = 0, is_own = 0, content = '', created_at_ms = 0,
                 edited_at_ms = 0, type = 0, reply_to = 0, reply_to_author_id = 0, mentions = NULL,
                 mentioned_roles = NULL, attachments = NULL, enclosures = NULL, gate_reason = '',
                 nonce = '', whole_at_ms = NULL
             WHERE message_id = ?1",
        )?
        .execute(params![id(message), at.0])?;
    Ok(())
}

/// Notes whose a deleted message was, which came later than its deletion.
fn note_buried_author(connection: &Connection, message: &Message) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE messages SET buried_author_id = ?2
             WHERE message_id = ?1 AND deleted_at_ms IS NOT NULL AND buried_author_id = 0",
        )?
        .execute([id(message.id), id(message.author)])?;
    Ok(())
}

fn take_whole(connection: &Connection, message: &Message) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE messages SET author_id = ?2, author_name = ?3, is_automated = ?4, is_own = ?5,
                 created_at_ms = ?6, type = ?7, reply_to = ?8, reply_to_author_id = ?9,
                 mentions = ?10, mentioned_roles = ?11, attachments = ?12, whole_at_ms = ?13,
                 enclosures = ?14, forward_of = ?15
             WHERE message_id = ?1",
        )?
        .execute(params![
            id(message.id),
            id(message.author),
            message.author_name,
            message.is_automated,
            message.is_own,
            message.created_at.0,
            message.kind,
            optional_id(message.reply_to),
            optional_id(message.reply_to_author),
            json_list(&message.mentions),
            json_list(&message.mentioned_roles),
            json_list(&message.attachments),
            message.edited_at.0,
            json_list(&message.enclosures),
            message.forward_of.map(id),
        ])?;
    note_author(connection, message)
}

fn take_marks(connection: &Connection, message: &Message) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE messages SET gate_reason = CASE WHEN gate_reason = '' THEN ?2 ELSE gate_reason END,
                 nonce = CASE WHEN nonce = '' THEN ?3 ELSE nonce END
             WHERE message_id = ?1",
        )?
        .execute(params![id(message.id), message.gate_reason, message.nonce])?;
    Ok(())
}

/// Keeps the people and the guild that a message tells of.
fn note_author(connection: &Connection, message: &Message) -> Result<(), StoreError> {
    let (guild, _) = key(&message.channel);
    connection
        .prepare_cached(
            "INSERT INTO users (guild_id, user_id, name, is_automated, first_seen_ms, last_seen_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5)
             ON CONFLICT DO UPDATE SET name = excluded.name, last_seen_ms = excluded.last_seen_ms
             WHERE excluded.last_seen_ms >= last_seen_ms
                 AND (excluded.name <> name OR excluded.last_seen_ms >= last_seen_ms + 3600000)",
        )?
        .execute(params![
            guild,
            id(message.author),
            message.author_name,
            message.is_automated,
            message.created_at.0,
        ])?;
    if message.channel.guild().is_some() {
        connection
            .prepare_cached(
                "INSERT INTO servers (guild_id, first_seen_ms, last_seen_ms) VALUES (?1, ?2, ?2)
                 ON CONFLICT DO UPDATE SET last_seen_ms = excluded.last_seen_ms
                 WHERE excluded.last_seen_ms >= last_seen_ms + 3600000",
            )?
            .execute([guild, message.created_at.0])?;
    }
    Ok(())
}
