use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter, types::Value};
use twilight_model::id::Id;

use ery_clock::UnixMillis;
use ery_event_bus::{Event, GatewayShard, ResumePoint};
use ery_ids::{EventId, ForgottenPerson, Home, PARTS, Part};

use super::state::Stored;
use crate::database::trace_parent;

/// The file's schema, in order; released ones are never edited.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("../../migrations/bus/0001_events.sql")];

/// How many rows one trim looks at, so that no commit waits long for it.
const TRIM_ROWS: u32 = 1_024;

/// A row has an id that cannot be one.
#[derive(Debug, thiserror::Error)]
#[error("an id is zero")]
struct ZeroId;

/// Writes an event; false if its id is known already.
pub(super) fn insert(
    connection: &Connection,
    seq: u64,
    event: &Event,
    now: UnixMillis,
) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO events (seq, id, part, kind, home, is_direct, channel, bot, received_at,
                             published_at, traceparent, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (id) DO NOTHING",
    )?;
    let written = statement.execute(params![
        seq.cast_signed(),
        event.id.0,
        event.home.part().0,
        event.kind,
        event.home.key().cast_signed(),
        event.home.guild().is_none(),
        event.channel.map(|channel| channel.get().cast_signed()),
        event.bot.get().cast_signed(),
        event.received_at.0,
        now.0,
        event.traceparent.map(|parent| parent.to_string()),
        &event.payload[..],
    ])?;
    Ok(written == 1)
}

/// Reads events of a part and of these kinds (all, if empty), in order: those behind `after` and
/// up to `until`, no more than `limit`, and no more than `limit_bytes` beyond the first.
pub(super) fn read(
    connection: &Connection,
    part: Part,
    kinds: &[String],
    (after, until): (u64, u64),
    limit: usize,
    limit_bytes: usize,
) -> rusqlite::Result<Vec<Arc<Stored>>> {
    let filter = if kinds.is_empty() {
        String::new()
    } else {
        format!("AND kind IN ({})", vec!["?"; kinds.len()].join(", "))
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT seq, id, kind, home, is_direct, channel, bot, received_at, traceparent, payload
         FROM events WHERE part = ? AND seq > ? AND seq <= ? {filter} ORDER BY seq LIMIT ?"
    ))?;
    let bounds = [i64::from(part.0), after.cast_signed(), until.cast_signed()];
    let values = bounds
        .into_iter()
        .map(Value::from)
        .chain(kinds.iter().cloned().map(Value::from))
        .chain([Value::from(i64::try_from(limit).unwrap_or(i64::MAX))]);
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut events, mut size_bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let stored = read_row(row)?;
        size_bytes += stored.event.payload.len();
        events.push(Arc::new(stored));
        if size_bytes >= limit_bytes {
            break;
        }
    }
    Ok(events)
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let id = |index: usize| row.get::<_, i64>(index).map(i64::cast_unsigned);
    // The writer took these from ids, so a zero is damage to the file.
    let zero = |index| {
        rusqlite::Error::FromSqlConversionFailure(
            index,
            rusqlite::types::Type::Integer,
            Box::new(ZeroId),
        )
    };
    let is_direct: bool = row.get(4)?;
    let home = id(3)?;
    let home = if is_direct {
        Home::Dm(Id::new_checked(home).ok_or_else(|| zero(3))?)
    } else {
        Home::Guild(Id::new_checked(home).ok_or_else(|| zero(3))?)
    };
    let channel: Option<i64> = row.get(5)?;
    let event = Event {
        id: EventId(row.get(1)?),
        kind: row.get(2)?,
        home,
        channel: channel.and_then(|channel| Id::new_checked(channel.cast_unsigned())),
        bot: Id::new_checked(id(6)?).ok_or_else(|| zero(6))?,
        received_at: UnixMillis(row.get(7)?),
        traceparent: trace_parent(row.get(8)?),
        payload: row.get::<_, Vec<u8>>(9)?.into(),
    };
    Ok(Stored { seq: id(0)?, event })
}

/// Returns the number of the last event.
pub(super) fn last_seq(connection: &Connection) -> rusqlite::Result<u64> {
    let last: Option<i64> =
        connection.query_row("SELECT max(seq) FROM events", [], |row| row.get(0))?;
    Ok(last.map_or(0, i64::cast_unsigned))
}

/// How far a handler has acknowledged a part.
pub(super) struct Cursor {
    pub(super) handler: Arc<str>,
    pub(super) part: Part,
    pub(super) acked: u64,
}

pub(super) fn cursors(connection: &Connection) -> rusqlite::Result<Vec<Cursor>> {
    let mut statement = connection.prepare("SELECT handler, part, acked FROM cursors")?;
    let rows = statement.query_map([], |row| {
        Ok(Cursor {
            handler: row.get::<_, String>(0)?.into(),
            part: Part(row.get(1)?),
            acked: row.get::<_, i64>(2)?.cast_unsigned(),
        })
    })?;
    // A part beyond those there are would be of another version's division.
    Ok(rows
        .collect::<rusqlite::Result<Vec<_>>>()?
        .into_iter()
        .filter(|c| c.part.0 < PARTS)
        .collect())
}

pub(super) fn save_cursor(connection: &Connection, cursor: &Cursor) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO cursors (handler, part, acked) VALUES (?1, ?2, ?3)
             ON CONFLICT (handler, part) DO UPDATE SET acked = max(acked, excluded.acked)",
        )?
        .execute(params![&*cursor.handler, cursor.part.0, cursor.acked.cast_signed()])?;
    Ok(())
}

/// What may be deleted now.
#[derive(Clone, Debug)]
pub(super) struct TrimPlan {
    /// Where the trim before this left off.
    pub(super) after: u64,
    /// Events older than this go, where every handler has acknowledged them.
    pub(super) acked_before: UnixMillis,
    /// Events older than this go in any case.
    pub(super) any_before: UnixMillis,
    /// For each part, up to where every handler has acknowledged.
    pub(super) floors: [u64; PARTS as usize],
}

/// What a trim did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trimmed {
    /// Where to go on; none if nothing more can be deleted now.
    pub(super) next: Option<u64>,
    /// The last event of each part that went. Those before it are gone too.
    pub(super) deleted: [u64; PARTS as usize],
    /// Events that went though a handler had not acknowledged them.
    pub(super) unacknowledged: u64,
    /// How much of the file is in use.
    pub(super) used_bytes: u64,
}

/// Deletes old events, looking at a bounded number of rows.
pub(super) fn trim(connection: &Connection, plan: &TrimPlan) -> rusqlite::Result<Trimmed> {
    let mut select = connection.prepare_cached(
        "SELECT seq, part, published_at FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut delete = connection.prepare_cached("DELETE FROM events WHERE seq = ?1")?;
    let rows = select
        .query_map(params![plan.after.cast_signed(), TRIM_ROWS], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, u8>(1)?, row.get::<_, i64>(2)?))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let is_end = rows.len() < usize::try_from(TRIM_ROWS).expect("a u32 fits a usize");
    let mut trimmed = Trimmed {
        next: rows.last().filter(|_| !is_end).map(|(seq, ..)| seq.cast_unsigned()),
        ..Trimmed::default()
    };
    for (seq, part, published_at) in rows {
        let floor = plan.floors.get(usize::from(part)).copied().unwrap_or(u64::MAX);
        if published_at >= plan.acked_before.0 {
            // Events are numbered as they are published, so what follows is younger still.
            trimmed.next = None;
            break;
        }
        let is_acked = seq.cast_unsigned() <= floor;
        if is_acked || published_at < plan.any_before.0 {
            delete.execute([seq])?;
            if let Some(deleted) = trimmed.deleted.get_mut(usize::from(part)) {
                *deleted = seq.cast_unsigned();
            }
            trimmed.unacknowledged += u64::from(!is_acked);
        }
    }
    trimmed.used_bytes = used_bytes(connection)?;
    Ok(trimmed)
}

/// What an erased event is called and says; its id stays, so that a repeat of it is known as one.
pub(super) const ERASED_KIND: &str = "erased";
pub(super) const ERASED_PAYLOAD: &[u8] = b"{}";

/// How many rows one step of an erasure looks at.
const ERASE_ROWS: u32 = 512;

/// What one step of an erasure did.
#[derive(Debug, Default)]
pub(super) struct Erased {
    /// Where to go on; none if that was all.
    pub(super) next: Option<u64>,
    /// The part and the number of each event that was emptied.
    pub(super) emptied: Vec<(Part, u64)>,
    /// There is one that a handler needs yet.
    pub(super) is_left: bool,
}

/// Erases events that tell of a person and that no handler needs, looking at a bounded number of
/// rows behind `after`.
///
/// What Ery said goes with them, to whomever, and what anybody forwarded: it may quote the person, of
/// whom a forward says nothing, and what every handler has is of no use any more.
pub(super) fn erase(
    connection: &Connection,
    person: ForgottenPerson,
    until: UnixMillis,
    after: u64,
    is_needed: impl Fn(Part, &str, u64) -> bool,
) -> rusqlite::Result<Erased> {
    let last: Option<i64> = connection
        .prepare_cached(
            "SELECT max(seq) FROM
                 (SELECT seq FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2)",
        )?
        .query_row(params![after.cast_signed(), ERASE_ROWS], |row| row.get(0))?;
    let Some(last) = last else { return Ok(Erased::default()) };
    let mut select = connection.prepare_cached(
        "SELECT seq, part, kind FROM events WHERE seq > ?1 AND seq <= ?2 AND kind <> ?3
             AND received_at <= ?4 AND (?5 IS NULL OR (home = ?5 AND NOT is_direct))
             AND (instr(payload, CAST(?6 AS BLOB)) > 0
                 OR (substr(kind, 1, 8) = 'message_'
                     AND (instr(payload, CAST('\"' || bot || '\"' AS BLOB)) > 0
                         OR instr(payload, CAST('\"message_snapshots\"' AS BLOB)) > 0)))",
    )?;
    let found = select
        .query_map(
            params![
                after.cast_signed(),
                last,
                ERASED_KIND,
                until.0,
                person.guild.map(|guild| guild.get().cast_signed()),
                person.as_discord_has_it()
            ],
            |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), Part(row.get(1)?), row.get(2)?)),
        )?
        .collect::<rusqlite::Result<Vec<(u64, Part, String)>>>()?;
    let mut update = connection.prepare_cached(
        "UPDATE events SET kind = ?2, payload = ?3, traceparent = NULL WHERE seq = ?1",
    )?;
    let mut erased = Erased { next: Some(last.cast_unsigned()), ..Erased::default() };
    for (seq, part, kind) in found {
        if is_needed(part, &kind, seq) {
            erased.is_left = true;
        } else {
            update.execute(params![seq.cast_signed(), ERASED_KIND, ERASED_PAYLOAD])?;
            erased.emptied.push((part, seq));
        }
    }
    Ok(erased)
}

fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT (page_count - freelist_count) * page_size
             FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
        )?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(|bytes| u64::try_from(bytes).unwrap_or(0))
}

pub(super) fn save_resume_point(
    connection: &Connection,
    shard: GatewayShard,
    point: Option<&ResumePoint>,
) -> rusqlite::Result<()> {
    match point {
        Some(point) => connection
            .prepare_cached(
                "INSERT OR REPLACE INTO resume_points
                     (number, total, session, resume_url, sequence, bot, saved_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                shard.number,
                shard.total,
                point.session,
                point.resume_url,
                point.sequence.cast_signed(),
                point.bot.get().cast_signed(),
                point.saved_at.0,
            ])?,
        None => connection
            .prepare_cached("DELETE FROM resume_points WHERE number = ?1 AND total = ?2")?
            .execute(params![shard.number, shard.total])?,
    };
    Ok(())
}

pub(super) fn resume_point(
    connection: &Connection,
    shard: GatewayShard,
) -> rusqlite::Result<Option<ResumePoint>> {
    let found = connection
        .prepare_cached(
            "SELECT session, resume_url, sequence, bot, saved_at FROM resume_points
             WHERE number = ?1 AND total = ?2",
        )?
        .query_row(params![shard.number, shard.total], |row| {
            // A bot's id of zero is damage; without the point the shard identifies anew.
            let bot = Id::new_checked(row.get::<_, i64>(3)?.cast_unsigned());
            let (session, resume_url) = (row.get(0)?, row.get(1)?);
            let (sequence, saved_at) = (row.get::<_, i64>(2)?.cast_unsigned(), row.get(4)?);
            let saved_at = UnixMillis(saved_at);
            Ok(bot.map(|bot| ResumePoint { session, resume_url, sequence, bot, saved_at }))
        })
        .optional()?;
    Ok(found.flatten())
}
