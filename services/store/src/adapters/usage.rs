//! What model turns have cost: counted with the journal, summed up for budgets, and listed.

use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter, types::Value};
use sqlx::{SqlitePool, query, sqlite::SqliteRow};
use twilight_model::id::{Id, marker::UserMarker};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, Fence, TaskThreadId};

use crate::{
    adapters::{
        columns::{self, Columns as _, from_json},
        write_channels::{check_fence, key},
    },
    domain::usage::{Bill, Counts, InWindows, Spending, Sum, Windows},
    error::StoreError,
};

/// How many groups of one kind are read from a file at most.
const MOST_GROUPS: u32 = 1_000;

/// Counts what a step tells of, in the transaction that journals it: so it is counted once.
pub(crate) fn count(
    connection: &Connection,
    channel: &ChannelKey,
    bill: &Bill,
    at: UnixMillis,
) -> Result<(), StoreError> {
    let windows = Windows::at(at);
    let nobody = [0];
    let people: Vec<i64> = bill.spenders.iter().copied().map(columns::id).collect();
    let people = if people.is_empty() { &nobody[..] } else { &people[..] };
    let mut of_people = vec![Counts::default(); people.len()];
    let mut spend = |provider: &str, model: &str, counts: Counts| -> Result<(), StoreError> {
        let shares = counts.bounded().shares(people.len());
        for ((person, share), sum) in people.iter().zip(shares).zip(&mut of_people) {
            let row = Row {
                home: home(channel),
                day: windows.day,
                channel: columns::id(channel.channel),
                guild: key(channel).0,
                provider,
                model,
            };
            add_row(connection, row, *person, share)?;
            sum.add(share);
        }
        Ok(())
    };
    for spent in &bill.spent {
        spend(&spent.provider, &spent.model, spent.counts)?;
    }
    if bill.lost_turns > 0 {
        spend("", "", Counts { lost_turns: bill.lost_turns.into(), ..Counts::default() })?;
    }
    let mut whole = Counts::default();
    let home = home(channel);
    let of_operator = bill.spent.iter().filter(|spent| !spent.is_on_guild_key);
    let of_operator = of_operator.fold(Counts::default(), |mut sum, spent| {
        sum.add(spent.counts.bounded());
        sum
    });
    for (person, counts) in people.iter().zip(of_people) {
        whole.add(counts);
        if *person != 0 {
            add_sum(connection, (home, "member", *person), windows, counts.sum())?;
        }
    }
    // What a guild pays itself is no part of what the installation spends.
    for (of, counts) in [
        ((home, "channel", columns::id(channel.channel)), whole),
        ((home, "home", 0), whole),
        ((0, "file", 0), of_operator),
    ] {
        add_sum(connection, of, windows, counts.sum())?;
    }
    Ok(())
}

/// What work without a journal has spent, as it is counted.
const COUNTED: &str = "count-spent";

/// Counts what work has spent that no journal tells of, once under its id.
pub(crate) fn count_once(
    connection: &Connection,
    channel: &ChannelKey,
    count: &str,
    bill: &Bill,
    at: UnixMillis,
) -> Result<(), StoreError> {
    let is_first = connection
        .prepare_cached(
            "INSERT INTO handled_events (handler, event_id, handled_at_ms) VALUES (?1, ?2, ?3)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![COUNTED, count, at.0])?
        == 1;
    if is_first && !bill.is_empty() {
        self::count(connection, channel, bill, at)?;
    }
    Ok(())
}

/// A row, whoever it was spent for.
#[derive(Clone, Copy)]
struct Row<'a> {
    home: i64,
    day: i64,
    channel: i64,
    guild: i64,
    provider: &'a str,
    model: &'a str,
}

fn add_row(
    connection: &Connection,
    row: Row<'_>,
    user: i64,
    counts: Counts,
) -> Result<(), StoreError> {
    let ids = [row.home, row.day, row.channel, user].map(Value::Integer);
    let named = [row.provider, row.model].map(|text| Value::Text(text.to_owned()));
    let counts = counts.each().map(|count| Value::Integer(count.cast_signed()));
    let values = ids.into_iter().chain(named).chain([Value::Integer(row.guild)]).chain(counts);
    connection
        .prepare_cached(
            "INSERT INTO usage (home_id, day, channel_id, user_id, provider, model, guild_id, turns,
                 prompt_tokens, cached_tokens, completion_tokens, cost_micros, assumed_micros,
                 turns_in_vain, estimated_turns, lost_turns, summary_turns, summary_tokens,
                 summary_micros, on_guild_key_micros)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                 ?19, ?20)
             ON CONFLICT DO UPDATE SET turns = turns + excluded.turns,
                 prompt_tokens = prompt_tokens + excluded.prompt_tokens,
                 cached_tokens = cached_tokens + excluded.cached_tokens,
                 completion_tokens = completion_tokens + excluded.completion_tokens,
                 cost_micros = cost_micros + excluded.cost_micros,
                 assumed_micros = assumed_micros + excluded.assumed_micros,
                 turns_in_vain = turns_in_vain + excluded.turns_in_vain,
                 estimated_turns = estimated_turns + excluded.estimated_turns,
                 lost_turns = lost_turns + excluded.lost_turns,
                 summary_turns = summary_turns + excluded.summary_turns,
                 summary_tokens = summary_tokens + excluded.summary_tokens,
                 summary_micros = summary_micros + excluded.summary_micros,
                 on_guild_key_micros = on_guild_key_micros + excluded.on_guild_key_micros",
        )?
        .execute(params_from_iter(values))?;
    Ok(())
}

/// Takes the person away from what was spent for them until a day, a bounded number of rows; returns
/// how many there were.
pub(crate) fn give_to_nobody(
    connection: &Connection,
    user: i64,
    home: Option<i64>,
    until_day: i64,
    most: u32,
) -> Result<usize, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT home_id, day, channel_id, guild_id, provider, model, turns, prompt_tokens,
             cached_tokens, completion_tokens, cost_micros, assumed_micros, turns_in_vain,
             estimated_turns, lost_turns, summary_turns, summary_tokens, summary_micros,
             on_guild_key_micros
         FROM usage WHERE user_id = ?1 AND user_id <> 0 AND (?2 IS NULL OR home_id = ?2)
             AND day <= ?3 LIMIT ?4",
    )?;
    let found = statement.query_map(params![user, home, until_day, most], |row| {
        let ids: [i64; 4] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
        let named: [String; 2] = [row.get(4)?, row.get(5)?];
        let mut counts = Counts::default();
        for (index, count) in (6..).zip(counts.each_mut()) {
            *count = row.get::<_, i64>(index)?.cast_unsigned();
        }
        Ok((ids, named, counts))
    })?;
    let found: Vec<_> = found.collect::<Result<_, _>>()?;
    for ([home, day, channel, guild], [provider, model], counts) in &found {
        let (home, day, channel, guild) = (*home, *day, *channel, *guild);
        add_row(connection, Row { home, day, channel, guild, provider, model }, 0, *counts)?;
        connection
            .prepare_cached(
                "DELETE FROM usage WHERE home_id = ?1 AND day = ?2 AND channel_id = ?3
                     AND user_id = ?4 AND provider = ?5 AND model = ?6",
            )?
            .execute(params![home, day, channel, user, provider, model])?;
    }
    Ok(found.len())
}

/// Of what a sum is: home, scope and subject.
type Of = (i64, &'static str, i64);

fn add_sum(
    connection: &Connection,
    (home, scope, subject): Of,
    windows: Windows,
    sum: Sum,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO usage_sums (home_id, scope, subject_id, period, began_day, tokens, cost_micros)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT DO UPDATE SET tokens = tokens + excluded.tokens,
             cost_micros = cost_micros + excluded.cost_micros",
    )?;
    let (tokens, cost) = (sum.tokens.cast_signed(), sum.cost_micros.cast_signed());
    for (period, began) in [("day", windows.day), ("month", windows.month)] {
        statement.execute(params![home, scope, subject, period, began, tokens, cost])?;
    }
    Ok(())
}

/// Returns what was spent in a channel, its home, and for some of its people.
pub(crate) fn spending(
    connection: &Connection,
    channel: &ChannelKey,
    users: &[Id<UserMarker>],
    now: UnixMillis,
) -> Result<Spending, StoreError> {
    let (windows, home) = (Windows::at(now), home(channel));
    let of = |of| in_windows(connection, of, windows);
    let members = users.iter().map(|user| Ok((*user, of((home, "member", columns::id(*user)))?)));
    Ok(Spending {
        windows,
        home: of((home, "home", 0))?,
        channel: of((home, "channel", columns::id(channel.channel)))?,
        members: members.collect::<Result<_, StoreError>>()?,
    })
}

/// Returns what was spent in the whole file.
pub(crate) fn of_file(connection: &Connection, windows: Windows) -> Result<InWindows, StoreError> {
    in_windows(connection, (0, "file", 0), windows)
}

fn in_windows(
    connection: &Connection,
    (home, scope, subject): Of,
    windows: Windows,
) -> Result<InWindows, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT tokens, cost_micros FROM usage_sums WHERE home_id = ?1 AND scope = ?2
             AND subject_id = ?3 AND period = ?4 AND began_day = ?5",
    )?;
    let mut sum = |period: &str, began: i64| -> Result<Sum, StoreError> {
        let sum = statement
            .query_row(params![home, scope, subject, period, began], |row| {
                let (tokens, cost): (i64, i64) = (row.get(0)?, row.get(1)?);
                Ok(Sum { tokens: tokens.cast_unsigned(), cost_micros: cost.cast_unsigned() })
            })
            .optional()?;
        Ok(sum.unwrap_or_default())
    };
    Ok(InWindows { day: sum("day", windows.day)?, month: sum("month", windows.month)? })
}

/// Returns for whom a thread runs.
pub(crate) fn spenders(
    connection: &Connection,
    thread: TaskThreadId,
) -> Result<Vec<Id<UserMarker>>, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT CASE WHEN principal_kind = 'person' THEN principal_id END, askers
             FROM task_threads WHERE thread_id = ?1",
        )?
        .query_row([thread.0.as_bytes().as_slice()], |row| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?))
        })
        .optional()?;
    let Some((principal, askers)) = found else { return Ok(Vec::new()) };
    let askers: Vec<Id<UserMarker>> = match askers {
        Some(askers) => from_json(&askers, "task_threads")?,
        None => Vec::new(),
    };
    // A pseudonym is no number.
    let principal = principal.and_then(|principal| principal.parse().ok());
    let principal = principal.and_then(Id::new_checked);
    Ok(principal.into_iter().chain(askers).collect())
}

/// Something that is told once in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) scope: &'static str,
    pub(crate) subject: u64,
    pub(crate) period: &'static str,
    pub(crate) began_day: i64,
    pub(crate) stage: &'static str,
}

/// Takes the right to tell something, for a thread that has it yet or that is the first.
pub(crate) fn claim(
    connection: &Connection,
    fence: &Fence,
    thread: TaskThreadId,
    notices: &[Notice],
) -> Result<Vec<bool>, StoreError> {
    check_fence(connection, fence)?;
    let (home, thread) = (home(&fence.channel), thread.0.as_bytes().as_slice());
    let claim = |notice: &Notice| -> Result<bool, StoreError> {
        let Notice { scope, subject, period, began_day, stage } = *notice;
        let subject = subject.cast_signed();
        connection
            .prepare_cached(
                "INSERT INTO usage_notices (home_id, scope, subject_id, period, began_day, stage,
                     thread_id)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
            )?
            .execute(params![home, scope, subject, period, began_day, stage, thread])?;
        Ok(connection
            .prepare_cached(
                "SELECT thread_id = ?7 FROM usage_notices WHERE home_id = ?1 AND scope = ?2
                     AND subject_id = ?3 AND period = ?4 AND began_day = ?5 AND stage = ?6",
            )?
            .query_row(params![home, scope, subject, period, began_day, stage, thread], |row| {
                row.get(0)
            })?)
    };
    notices.iter().map(claim).collect()
}

/// Which of what was spent is meant.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    /// None: every one of the file.
    pub(crate) home: Option<u64>,
    pub(crate) channel: Option<u64>,
    pub(crate) user: Option<u64>,
    pub(crate) from_day: i64,
    /// The first day that is not meant.
    pub(crate) until_day: i64,
}

/// What was spent, in one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listed {
    pub(crate) total: Counts,
    pub(crate) by_model: Vec<((String, String), Counts)>,
    pub(crate) by_channel: Vec<(u64, Counts)>,
    pub(crate) by_member: Vec<(u64, Counts)>,
    pub(crate) by_guild: Vec<(u64, Counts)>,
}

/// Returns what was spent, of each kind what cost most first.
pub(crate) async fn list(readers: &SqlitePool, wanted: Wanted) -> Result<Listed, StoreError> {
    let mut listed = Listed::default();
    for row in grouped(readers, wanted, "provider, model").await? {
        let counts = counts(&row, 2)?;
        listed.total.add(counts);
        listed.by_model.push(((row.text(0)?, row.text(1)?), counts));
    }
    for (column, list) in [
        ("channel_id", &mut listed.by_channel),
        ("user_id", &mut listed.by_member),
        ("guild_id", &mut listed.by_guild),
    ] {
        for row in grouped(readers, wanted, column).await? {
            list.push((row.integer(0)?.cast_unsigned(), counts(&row, 1)?));
        }
    }
    Ok(listed)
}

async fn grouped(
    readers: &SqlitePool,
    wanted: Wanted,
    by: &'static str,
) -> Result<Vec<SqliteRow>, StoreError> {
    let home = if wanted.home.is_some() { "home_id = ?1" } else { "?1 IS NULL" };
    let statement = format!(
        "SELECT {by}, sum(turns), sum(prompt_tokens), sum(cached_tokens), sum(completion_tokens),
             sum(cost_micros), sum(assumed_micros), sum(turns_in_vain), sum(estimated_turns),
             sum(lost_turns), sum(summary_turns), sum(summary_tokens), sum(summary_micros),
             sum(on_guild_key_micros)
         FROM usage WHERE {home} AND day >= ?2 AND day < ?3
             AND (?4 IS NULL OR channel_id = ?4) AND (?5 IS NULL OR user_id = ?5)
         GROUP BY {by} ORDER BY sum(cost_micros) DESC, sum(prompt_tokens + completion_tokens) DESC
         LIMIT ?6"
    );
    // What is put into it comes from the code here alone.
    Ok(query(sqlx::AssertSqlSafe(statement))
        .bind(wanted.home.map(u64::cast_signed))
        .bind(wanted.from_day)
        .bind(wanted.until_day)
        .bind(wanted.channel.map(u64::cast_signed))
        .bind(wanted.user.map(u64::cast_signed))
        .bind(MOST_GROUPS)
        .fetch_all(readers)
        .await?)
}

fn counts(row: &SqliteRow, first: usize) -> Result<Counts, StoreError> {
    let mut counts = Counts::default();
    for (index, count) in (first..).zip(counts.each_mut()) {
        *count = row.integer(index)?.cast_unsigned();
    }
    Ok(counts)
}

/// Returns a channel's home as its column holds it.
fn home(channel: &ChannelKey) -> i64 {
    channel.home.key().cast_signed()
}
