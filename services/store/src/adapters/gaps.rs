//! Which messages were missed while Discord held no session for a guild.

use rusqlite::{Connection, OptionalExtension as _, params};
use sqlx::{SqliteConnection, SqlitePool, query};
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, GuildMarker, MessageMarker},
};

use ery_clock::UnixMillis;
use ery_ids::EventId;

use crate::{
    adapters::columns::{self, Columns as _},
    domain::gap::ChannelEnd,
    error::StoreError,
};

/// What is asked for a guild.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) guild: Id<GuildMarker>,
    pub(crate) event: EventId,
    pub(crate) received_at: UnixMillis,
    /// The name under which messages are ingested.
    pub(crate) ingestion: String,
    /// Each channel with its last message.
    pub(crate) channels: Vec<(Id<ChannelMarker>, Id<MessageMarker>)>,
}

/// Notes that Discord told a guild whole, and returns when it did so before.
pub(crate) fn note_told(
    connection: &Connection,
    question: &Question,
) -> Result<Option<UnixMillis>, StoreError> {
    let guild = columns::id(question.guild);
    let told: Option<(String, Option<i64>, Option<i64>)> = connection
        .prepare_cached(
            "SELECT told_by, told_at_ms, told_before_ms FROM servers WHERE guild_id = ?1",
        )?
        .query_row([guild], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let before = match told {
        Some((by, _, before)) if by == question.event.0 => return Ok(before.map(UnixMillis)),
        Some((_, at, _)) => at,
        None => None,
    };
    connection
        .prepare_cached(
            "INSERT INTO servers (guild_id, first_seen_ms, last_seen_ms, told_by, told_at_ms)
             VALUES (?1, ?2, ?2, ?3, ?2)
             ON CONFLICT DO UPDATE SET told_by = excluded.told_by,
                 told_before_ms = told_at_ms, told_at_ms = excluded.told_at_ms",
        )?
        .execute(params![guild, question.received_at.0, question.event.0])?;
    Ok(before.map(UnixMillis))
}

/// Notes that what was missed before `session` told the guild is read back.
pub(crate) fn note_read_back(
    connection: &Connection,
    guild: Id<GuildMarker>,
    session: &str,
    told_at: UnixMillis,
) -> Result<(), StoreError> {
    // A repeat of an older event tells nothing of what came since.
    connection
        .prepare_cached(
            "INSERT INTO servers (guild_id, first_seen_ms, last_seen_ms, read_back_session,
                 read_back_told_at_ms)
             VALUES (?1, ?3, ?3, ?2, ?3)
             ON CONFLICT DO UPDATE SET read_back_session = excluded.read_back_session,
                 read_back_told_at_ms = excluded.read_back_told_at_ms
             WHERE coalesce(read_back_told_at_ms, ?3) <= ?3",
        )?
        .execute(params![columns::id(guild), session, told_at.0])?;
    Ok(())
}

/// Tells whether what was missed before `session` told the guild is read back, or that need not be
/// waited for: a younger session's is.
pub(crate) async fn is_read_back(
    readers: &SqlitePool,
    guild: Id<GuildMarker>,
    session: &str,
    received_at: UnixMillis,
) -> Result<bool, StoreError> {
    let row = query(
        "SELECT read_back_session = ?2 OR coalesce(read_back_told_at_ms > ?3, 0)
         FROM servers WHERE guild_id = ?1",
    )
    .bind(columns::id(guild))
    .bind(session)
    .bind(received_at.0)
    .fetch_optional(readers)
    .await?;
    row.map_or(Ok(false), |row| row.flag(0))
}

/// Returns what is known of the question's channels from before `cutoff`.
pub(crate) async fn known(
    readers: &SqlitePool,
    question: &Question,
    cutoff: UnixMillis,
) -> Result<Vec<ChannelEnd>, StoreError> {
    let mut known = Vec::with_capacity(question.channels.len());
    let mut snapshot = readers.begin().await?;
    let Question { guild, ref ingestion, .. } = *question;
    for &(channel, last) in &question.channels {
        let of = (columns::id(guild), channel);
        let newest = newest(&mut snapshot, of, columns::id(last), ingestion, cutoff).await?;
        known.push(ChannelEnd { channel, last, newest });
    }
    snapshot.commit().await?;
    Ok(known)
}

/// Returns the newest message of a channel, up to `last`, that was taken in before `cutoff`.
pub(super) async fn newest(
    snapshot: &mut SqliteConnection,
    (guild, channel): (i64, Id<ChannelMarker>),
    last: i64,
    ingestion: &str,
    cutoff: UnixMillis,
) -> Result<Option<Id<MessageMarker>>, StoreError> {
    // A tombstone is known, too, but stands in no index of the channel.
    let row = query(
        "SELECT max(m.message_id) FROM (
             SELECT message_id FROM messages WHERE message_id = ?3 AND is_ingested
             UNION ALL
             SELECT message_id FROM (
                 SELECT i.message_id FROM messages AS i INDEXED BY messages_of_channel
                 WHERE i.guild_id = ?1 AND i.channel_id = ?2 AND i.message_id <= ?3
                     AND i.whole_at_ms IS NOT NULL AND i.deleted_at_ms IS NULL
                     AND i.is_ingested
                     AND NOT EXISTS (SELECT 1 FROM handled_events AS h
                         WHERE h.handler = ?4 AND h.event_id = 'mc.' || i.message_id
                             AND h.handled_at_ms > ?5)
                 ORDER BY i.message_id DESC LIMIT 1)
         ) AS m
         WHERE NOT EXISTS (SELECT 1 FROM handled_events AS h
             WHERE h.handler = ?4 AND h.event_id = 'mc.' || m.message_id
                 AND h.handled_at_ms > ?5)",
    )
    .bind(guild)
    .bind(columns::id(channel))
    .bind(last)
    .bind(ingestion)
    .bind(cutoff.0)
    .fetch_one(snapshot)
    .await?;
    Ok(row.integer_or_null(0)?.and_then(|id| Id::new_checked(id.cast_unsigned())))
}
