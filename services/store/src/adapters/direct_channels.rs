//! Direct messages, and what of them was missed while Discord held no session.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use sqlx::{SqlitePool, query};
use twilight_model::id::{Id, marker::ChannelMarker};

use ery_clock::UnixMillis;

use crate::{
    adapters::{
        columns::{self, Columns as _},
        gaps,
    },
    domain::gap,
    error::StoreError,
};

/// A session that has begun.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) session: String,
    pub(crate) told_at: UnixMillis,
}

/// How far back a direct message is looked at of which nothing is known from before a session: it
/// is new, and what was said first may have been missed.
const FIRST_WORDS: Duration = Duration::from_mins(15);

/// A direct message, and the newest of it that was known before a session began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) channel: Id<ChannelMarker>,
    pub(crate) newest: u64,
}

/// Returns the direct messages of a shard with what was known of them before `cutoff`, in no order.
pub(crate) async fn known(
    readers: &SqlitePool,
    ingestion: &str,
    cutoff: UnixMillis,
) -> Result<Vec<Known>, StoreError> {
    let mut snapshot = readers.begin().await?;
    // Each step seeks the next channel, however many messages lie between.
    let rows = query(
        "WITH RECURSIVE channels (id) AS (
             SELECT min(channel_id) FROM messages INDEXED BY messages_of_channel
             WHERE guild_id = 0 AND whole_at_ms IS NOT NULL AND deleted_at_ms IS NULL
             UNION ALL
             SELECT (SELECT min(m.channel_id) FROM messages AS m INDEXED BY messages_of_channel
                     WHERE m.guild_id = 0 AND m.channel_id > channels.id
                         AND m.whole_at_ms IS NOT NULL AND m.deleted_at_ms IS NULL)
             FROM channels WHERE channels.id IS NOT NULL
         )
         SELECT id FROM channels WHERE id IS NOT NULL
         UNION SELECT channel_id FROM direct_channels",
    )
    .fetch_all(&mut *snapshot)
    .await?;
    let mut known = Vec::with_capacity(rows.len());
    for row in rows {
        let channel = row.id(0, "messages")?;
        let newest = gaps::newest(&mut snapshot, (0, channel), i64::MAX, ingestion, cutoff).await?;
        let newest = newest.map_or_else(|| gap::first_id_at(cutoff - FIRST_WORDS), Id::get);
        known.push(Known { channel, newest });
    }
    snapshot.commit().await?;
    Ok(known)
}

/// Notes that a direct message is to be read back, and returns behind which message; none if it is
/// done for this session.
pub(crate) fn note_pending(
    connection: &Connection,
    Known { channel, newest }: Known,
    Begun { session, .. }: &Begun,
) -> Result<Option<u64>, StoreError> {
    // What an earlier session left undone is missing still.
    let after: Option<i64> = connection
        .prepare_cached(
            "INSERT INTO direct_channels (channel_id, pending_session, pending_after)
             VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET pending_session = excluded.pending_session,
                 pending_after = min(coalesce(pending_after, excluded.pending_after),
                     excluded.pending_after)
             WHERE read_back_session <> ?2
             RETURNING pending_after",
        )?
        .query_row(params![columns::id(channel), session, newest.cast_signed()], |row| row.get(0))
        .optional()?;
    Ok(after.map(i64::cast_unsigned))
}

/// Notes that what was missed before `begun` is read back.
pub(crate) fn note_read_back(
    connection: &Connection,
    channel: Id<ChannelMarker>,
    Begun { session, told_at }: &Begun,
) -> Result<(), StoreError> {
    // A repeat of an older event tells nothing of what came since.
    connection
        .prepare_cached(
            "INSERT INTO direct_channels (channel_id, read_back_session, read_back_told_at_ms)
             VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET read_back_session = excluded.read_back_session,
                 read_back_told_at_ms = excluded.read_back_told_at_ms,
                 pending_session = NULL, pending_after = NULL
             WHERE coalesce(read_back_told_at_ms, ?3) <= ?3
                 AND coalesce(pending_session, ?2) = ?2",
        )?
        .execute(params![columns::id(channel), session, told_at.0])?;
    Ok(())
}

/// Tells whether what was missed before the session of `begun` is read back; none where the channel
/// is not known.
pub(crate) async fn is_read_back(
    readers: &SqlitePool,
    channel: Id<ChannelMarker>,
    Begun { session, told_at }: &Begun,
) -> Result<Option<bool>, StoreError> {
    let row = query(
        "SELECT read_back_session = ?2 OR coalesce(read_back_told_at_ms > ?3, 0)
         FROM direct_channels WHERE channel_id = ?1",
    )
    .bind(columns::id(channel))
    .bind(session)
    .bind(told_at.0)
    .fetch_optional(readers)
    .await?;
    row.map(|row| row.flag(0)).transpose()
}

/// Tells whether something was said in a direct message before a moment, as far as is known.
pub(crate) async fn is_known(
    readers: &SqlitePool,
    channel: Id<ChannelMarker>,
    before: UnixMillis,
) -> Result<bool, StoreError> {
    let row = query(
        "SELECT 1 FROM messages INDEXED BY messages_of_channel
         WHERE guild_id = 0 AND channel_id = ?1 AND message_id < ?2
             AND whole_at_ms IS NOT NULL AND deleted_at_ms IS NULL LIMIT 1",
    )
    .bind(columns::id(channel))
    .bind(gap::first_id_at(before).cast_signed())
    .fetch_optional(readers)
    .await?;
    Ok(row.is_some())
}

/// Notes a direct message that Ery did not know: nothing of it was missed before its first session.
pub(crate) fn note_new(
    connection: &Connection,
    channel: Id<ChannelMarker>,
    Begun { session, told_at }: &Begun,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO direct_channels (channel_id, read_back_session, read_back_told_at_ms)
             VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute(params![columns::id(channel), session, told_at.0])?;
    Ok(())
}
