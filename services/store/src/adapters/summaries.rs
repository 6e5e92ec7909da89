//! Summaries of channels. Whatever takes a message away, or changes it, drops them: the file's own
//! triggers see to that (`migrations/shard/0015_summaries.sql`), so no writer can forget to.

use rusqlite::{Connection, OptionalExtension as _, params};

use ery_clock::UnixMillis;
use ery_ids::ChannelKey;

use crate::{
    adapters::{
        columns::{self, Columns},
        contexts, usage,
        write_channels::key,
    },
    domain::{
        gap::first_id_at,
        summary::{Summary, SummaryMade, SummaryMaterial, SummaryWanted},
        usage::{Bill, InWindows, Spending},
    },
    error::StoreError,
};

const TABLE: &str = "channel_summaries";

/// Returns a channel's summary.
pub(crate) fn of_channel(
    connection: &Connection,
    channel: &ChannelKey,
) -> Result<Option<Summary>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT text, first_message_id, last_message_id, messages, model, prompt_version, made_at_ms
         FROM channel_summaries WHERE guild_id = ?1 AND channel_id = ?2",
    )?;
    let mut rows = statement.query(key(channel))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Summary {
        text: row.text(0)?,
        first: Columns::id(row, 1, TABLE)?,
        last: Columns::id(row, 2, TABLE)?,
        messages: row.get(3)?,
        model: row.text(4)?,
        prompt_version: row.text(5)?,
        made_at: row.millis(6)?,
    }))
}

/// Lets somebody make a channel's summary, alone until it is brought or the claim's time is over.
///
/// `None`: another one makes it, or made one a short while ago, or none is due. A repeat by the same
/// claim has it still.
pub(crate) fn claim(
    connection: &Connection,
    wanted: &SummaryWanted,
    now: UnixMillis,
) -> Result<Option<SummaryMaterial>, StoreError> {
    let channel = &wanted.channel;
    let standing = standing(connection, channel)?;
    if let Some(Standing { claim, claimed_at, expires_at, is_open }) = &standing {
        let is_ours = *is_open && *claim == wanted.claim;
        let is_held = *is_open && now < *expires_at;
        if !is_ours && (is_held || now < *claimed_at + wanted.rest) {
            return Ok(None);
        }
        if *is_open && !is_ours {
            // Whoever had it never said what it cost.
            usage::count(connection, channel, &Bill { lost_turns: 1, ..Bill::default() }, now)?;
        }
    }
    let earlier = of_channel(connection, channel)?;
    let messages = due(connection, wanted, earlier.as_ref())?.unwrap_or_default();
    let (Some(oldest), Some(newest)) = (messages.first(), messages.last()) else {
        // Nobody makes one, also where a claim of before stands open: left so, it would count as lost.
        end_claims(connection, channel, now)?;
        return Ok(None);
    };
    let first = earlier.as_ref().map_or(oldest.id, |earlier| earlier.first.min(oldest.id));
    let (guild, channel) = key(channel);
    connection
        .prepare_cached(
            "INSERT INTO summary_claims (guild_id, channel_id, claim_id, first_message_id,
                 last_message_id, claimed_at_ms, expires_at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO UPDATE SET claim_id = excluded.claim_id,
                 first_message_id = excluded.first_message_id,
                 last_message_id = excluded.last_message_id,
                 claimed_at_ms = excluded.claimed_at_ms, expires_at_ms = excluded.expires_at_ms,
                 ended_at_ms = NULL, is_void = 0",
        )?
        .execute(params![
            guild,
            channel,
            wanted.claim,
            columns::id(first),
            columns::id(newest.id),
            now.0,
            (now + wanted.lasts).0,
        ])?;
    Ok(Some(SummaryMaterial { earlier, messages }))
}

/// Ends what stands open of a channel's claim: whoever had it is told that none is due, or has let its
/// time pass.
fn end_claims(
    connection: &Connection,
    channel: &ChannelKey,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let (guild, channel) = key(channel);
    connection
        .prepare_cached(
            "UPDATE summary_claims SET ended_at_ms = ?3
             WHERE guild_id = ?1 AND channel_id = ?2 AND ended_at_ms IS NULL",
        )?
        .execute(params![guild, channel, now.0])?;
    Ok(())
}

/// What came of a summary that was brought.
#[derive(Debug)]
pub(crate) struct Brought {
    pub(crate) is_kept: bool,
    pub(crate) spending: Spending,
    /// The sum of the whole file.
    pub(crate) in_file: InWindows,
}

/// Keeps a summary in the place of the one before, and counts what it cost; once, and only for whoever
/// has the claim. One whose messages were edited or deleted meanwhile is not kept, and counts.
pub(crate) fn bring(
    connection: &Connection,
    channel: &ChannelKey,
    claim: &str,
    made: &SummaryMade,
    bill: &Bill,
    now: UnixMillis,
) -> Result<Brought, StoreError> {
    let (guild, channel_id) = key(channel);
    let is_void: Option<bool> = connection
        .prepare_cached(
            "UPDATE summary_claims SET ended_at_ms = ?4
             WHERE guild_id = ?1 AND channel_id = ?2 AND claim_id = ?3 AND ended_at_ms IS NULL
             RETURNING is_void",
        )?
        .query_row(params![guild, channel_id, claim, now.0], |row| row.get(0))
        .optional()?;
    let mut is_kept = false;
    if let Some(is_void) = is_void {
        if !bill.is_empty() {
            usage::count(connection, channel, bill, now)?;
        }
        is_kept = !is_void && !made.text.is_empty();
    }
    if is_kept {
        connection
            .prepare_cached(
                "INSERT INTO channel_summaries (guild_id, channel_id, text, first_message_id,
                     last_message_id, messages, model, prompt_version, made_at_ms)
                 SELECT guild_id, channel_id, ?3, first_message_id, last_message_id, ?4, ?5, ?6, ?7
                 FROM summary_claims WHERE guild_id = ?1 AND channel_id = ?2
                 ON CONFLICT DO UPDATE SET text = excluded.text,
                     first_message_id = excluded.first_message_id,
                     last_message_id = excluded.last_message_id, messages = excluded.messages,
                     model = excluded.model, prompt_version = excluded.prompt_version,
                     made_at_ms = excluded.made_at_ms",
            )?
            .execute(params![
                guild,
                channel_id,
                made.text,
                made.messages,
                made.model,
                made.prompt_version,
                now.0
            ])?;
    }
    let spending = usage::spending(connection, channel, &[], now)?;
    let in_file = usage::of_file(connection, spending.windows)?;
    Ok(Brought { is_kept, spending, in_file })
}

struct Standing {
    claim: String,
    claimed_at: UnixMillis,
    expires_at: UnixMillis,
    /// It was not brought yet.
    is_open: bool,
}

fn standing(connection: &Connection, channel: &ChannelKey) -> Result<Option<Standing>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT claim_id, claimed_at_ms, expires_at_ms, ended_at_ms IS NULL
         FROM summary_claims WHERE guild_id = ?1 AND channel_id = ?2",
    )?;
    let mut rows = statement.query(key(channel))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Standing {
        claim: row.text(0)?,
        claimed_at: row.millis(1)?,
        expires_at: row.millis(2)?,
        is_open: row.flag(3)?,
    }))
}

/// Returns what lies between the summary that there is and what threads read by themselves, if it is
/// enough for another one. The index alone tells whether it is.
fn due(
    connection: &Connection,
    wanted: &SummaryWanted,
    earlier: Option<&Summary>,
) -> Result<Option<Vec<crate::domain::Message>>, StoreError> {
    const OF_CHANNEL: &str = "FROM messages INDEXED BY messages_of_channel
         WHERE guild_id = ?1 AND channel_id = ?2
             AND whole_at_ms IS NOT NULL AND deleted_at_ms IS NULL";

    let (guild, channel) = key(&wanted.channel);
    let read_anyway: Option<i64> = connection
        .prepare_cached(&format!(
            "SELECT min(message_id) FROM (SELECT message_id {OF_CHANNEL} AND message_id >= ?3
                 ORDER BY message_id DESC LIMIT ?4)"
        ))?
        .query_row(
            params![guild, channel, first_id_at(wanted.since).cast_signed(), wanted.newest],
            |row| row.get(0),
        )?;
    let before = read_anyway.unwrap_or(i64::MAX);
    let after = earlier.map_or(0, |earlier| columns::id(earlier.last));
    let found: u32 = connection
        .prepare_cached(&format!(
            "SELECT count(*) FROM (SELECT 1 {OF_CHANNEL} AND message_id > ?3 AND message_id < ?4
                 LIMIT ?5)"
        ))?
        .query_row(params![guild, channel, after, before, wanted.least], |row| row.get(0))?;
    if found < wanted.least.max(1) {
        return Ok(None);
    }
    let before = twilight_model::id::Id::new_checked(before.cast_unsigned());
    let mut messages =
        contexts::newest(connection, &wanted.channel, before, UnixMillis(0), wanted.most)?;
    messages.retain(|message| columns::id(message.id) > after);
    Ok(Some(messages))
}
