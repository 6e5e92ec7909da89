//! What the person said, and where others' messages name them.

use rusqlite::{Connection, params};
use twilight_model::id::{Id, marker::MessageMarker};

use super::{Part, Pass, Search, after, behind};
use crate::{
    adapters::{
        columns::{from_json, json_list},
        dead_letters, write_messages,
    },
    domain::Mention,
    error::StoreError,
};

/// How many messages are looked through in one write.
const MESSAGES_AT_ONCE: u32 = 2_000;

/// How many are emptied in one write where all of a channel are.
const EMPTIED_AT_ONCE: u32 = 500;

/// The channels in which the person writes to Ery directly.
///
/// `?1` is the deletion, `?2` the person's id as text.
pub(super) const DIRECT: &str = "SELECT m.channel_id FROM deletion_messages AS d
     JOIN messages AS m ON m.message_id = d.message_id
     WHERE d.deletion_id = ?1 AND d.is_theirs AND m.guild_id = 0
     UNION SELECT channel_id FROM task_threads
     WHERE guild_id = 0 AND principal_kind = 'person' AND principal_id = ?2";

struct Row {
    id: i64,
    author: i64,
    buried_author: i64,
    is_own: bool,
    is_deleted: bool,
    mentions: Option<String>,
}

/// Empties what the person said, and takes their name and id out of what others did.
pub(super) fn said(search: &Search<'_>, cursor: &[u8]) -> Result<Part, StoreError> {
    let from = after(cursor).max(0);
    let Some(last) = search.span("messages", "message_id", from, MESSAGES_AT_ONCE)? else {
        return Ok(Part::End);
    };
    for row in named(search, from, last)? {
        let is_theirs = row.author == search.user || row.buried_author == search.user;
        note(search, row.id, is_theirs)?;
        if row.is_deleted {
            search
                .connection
                .prepare_cached("UPDATE messages SET buried_author_id = 0 WHERE message_id = ?1")?
                .execute([row.id])?;
        } else if is_theirs || row.is_own || row.author == 0 {
            empty(search, row.id)?;
        } else {
            unname(search, &row)?;
        }
    }
    forwards(search, from, last)?;
    Ok(if last >= search.before { Part::End } else { behind(last) })
}

/// Takes what the person said between two messages out of messages that forward it, or that forward such
/// a one; also out of those that were sent since.
fn forwards(search: &Search<'_>, from: i64, last: i64) -> Result<(), StoreError> {
    let found: Vec<i64> = search
        .connection
        .prepare_cached(
            "WITH RECURSIVE repeats (message_id) AS (
                 SELECT f.message_id FROM deletion_messages AS d
                     CROSS JOIN messages AS f ON f.forward_of = d.message_id
                 WHERE d.deletion_id = ?1 AND d.is_theirs
                     AND d.message_id > ?2 AND d.message_id <= ?3
                 UNION SELECT f.message_id FROM repeats AS r
                     CROSS JOIN messages AS f ON f.forward_of = r.message_id)
             SELECT m.message_id FROM repeats AS r
                 CROSS JOIN messages AS m ON m.message_id = r.message_id
             WHERE m.enclosures IS NOT NULL",
        )?
        .query_map(params![search.who.deletion, from, last], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for message in found {
        note(search, message, false)?;
        if let Some(id) = Id::new_checked(message.cast_unsigned()) {
            dead_letters::forget_message(search.connection, id)?;
        }
        search
            .connection
            .prepare_cached("UPDATE messages SET enclosures = NULL WHERE message_id = ?1")?
            .execute([message])?;
    }
    Ok(())
}

/// Finds what the person said, and what names them, between two messages.
fn named(search: &Search<'_>, from: i64, last: i64) -> Result<Vec<Row>, StoreError> {
    // Of an edit whose message never came nobody knows the author, and nobody will.
    let with_unknown = search.pass != Pass::First;
    let mut statement = search.connection.prepare_cached(
        "SELECT message_id, author_id, buried_author_id, is_own, deleted_at_ms IS NOT NULL, mentions
         FROM messages
         WHERE message_id > ?1 AND message_id <= min(?2, ?3) AND (?4 IS NULL OR guild_id = ?4)
             AND (author_id = ?5 OR buried_author_id = ?5 OR reply_to_author_id = ?5
                 OR instr(coalesce(mentions, ''), ?6) > 0
                 OR (is_own AND instr(content, ?6) > 0)
                 OR (is_own AND instr(coalesce(enclosures, ''), ?6) > 0)
                 OR (?7 AND author_id = 0 AND content <> ''))",
    )?;
    let rows = statement.query_map(
        params![from, last, search.before, search.guild, search.user, search.digits, with_unknown],
        |row| {
            Ok(Row {
                id: row.get(0)?,
                author: row.get(1)?,
                buried_author: row.get(2)?,
                is_own: row.get(3)?,
                is_deleted: row.get(4)?,
                mentions: row.get(5)?,
            })
        },
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn note(search: &Search<'_>, message: i64, is_theirs: bool) -> Result<(), StoreError> {
    search
        .connection
        .prepare_cached(
            "INSERT INTO deletion_messages (deletion_id, message_id, is_theirs) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET is_theirs = max(is_theirs, excluded.is_theirs)",
        )?
        .execute(params![search.who.deletion, message, is_theirs])?;
    search
        .connection
        .prepare_cached(
            "INSERT INTO deletion_channels
                 (deletion_id, guild_id, channel_id, first_message_id, last_message_id)
             SELECT ?1, guild_id, channel_id, message_id, message_id
             FROM messages WHERE message_id = ?2
             ON CONFLICT DO UPDATE SET
                 first_message_id = min(first_message_id, excluded.first_message_id),
                 last_message_id = max(last_message_id, excluded.last_message_id)",
        )?
        .execute(params![search.who.deletion, message])?;
    Ok(())
}

/// Leaves of a message its id, and not whose it was.
fn empty(search: &Search<'_>, message: i64) -> Result<(), StoreError> {
    let Some(id): Option<Id<MessageMarker>> = Id::new_checked(message.cast_unsigned()) else {
        return Ok(());
    };
    dead_letters::forget_message(search.connection, id)?;
    write_messages::bury(search.connection, id, search.now)?;
    search
        .connection
        .prepare_cached("UPDATE messages SET buried_author_id = 0 WHERE message_id = ?1")?
        .execute([message])?;
    Ok(())
}

/// Takes the person out of a message that somebody else wrote. What that one typed is theirs.
fn unname(search: &Search<'_>, row: &Row) -> Result<(), StoreError> {
    let mentions: Vec<Mention> = match &row.mentions {
        Some(mentions) => from_json(mentions, "messages")?,
        None => Vec::new(),
    };
    let others: Vec<Mention> =
        mentions.into_iter().filter(|mention| mention.user != search.who.person.user).collect();
    search
        .connection
        .prepare_cached(
            "UPDATE messages SET mentions = ?2, reply_to_author_id =
                 CASE WHEN reply_to_author_id = ?3 THEN 0 ELSE reply_to_author_id END
             WHERE message_id = ?1",
        )?
        .execute(params![row.id, json_list(&others), search.user])?;
    Ok(())
}

/// Empties what Ery said to the person directly.
pub(super) fn direct(search: &Search<'_>, _: &[u8]) -> Result<Part, StoreError> {
    if search.guild.is_some() {
        return Ok(Part::End);
    }
    let mut statement = search.connection.prepare_cached(&format!(
        "SELECT message_id FROM messages INDEXED BY messages_of_channel
         WHERE guild_id = 0 AND channel_id IN ({DIRECT})
             AND whole_at_ms IS NOT NULL AND deleted_at_ms IS NULL AND message_id <= ?3
         LIMIT {EMPTIED_AT_ONCE}"
    ))?;
    let found: Vec<i64> = statement
        .query_map(params![search.who.deletion, search.digits, search.before], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for message in &found {
        note(search, *message, true)?;
        empty(search, *message)?;
    }
    Ok(if found.is_empty() { Part::End } else { Part::Again })
}

/// Empties a message if Ery sent it herself.
pub(super) fn empty_own(search: &Search<'_>, message: i64) -> Result<(), StoreError> {
    if is_own(search.connection, message)? {
        empty(search, message)?;
    }
    Ok(())
}

fn is_own(connection: &Connection, message: i64) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM messages WHERE message_id = ?1 AND is_own)")?
        .query_row([message], |row| row.get(0))?)
}
