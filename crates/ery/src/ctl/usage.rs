//! `ery ctl usage`: what model turns have cost.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;
use time::OffsetDateTime;

use ery_proto::store::v1::{
    GetTotalsRequest, ListUsageRequest, ListUsageResponse, UsageOf, UsageSum,
    usage_service_client::UsageServiceClient,
};
use ery_rpc::{Transport, within};

use super::{Output, Row, TIMEOUT, answered, table};
use crate::{
    cli::{Usage, UsageWindow},
    failure::Failure,
};

pub(super) async fn run(
    command: &Usage,
    stores: &[Transport],
    output: &Output,
) -> Result<(), Failure> {
    let (from_ms, until_ms) = window(command.window, stores).await?;
    let request = ListUsageRequest {
        guild_id: command.guild.unwrap_or(0),
        channel_id: 0,
        user_id: command.user.unwrap_or(0),
        from_ms,
        until_ms,
        limit: command.limit,
    };
    let mut all = Vec::new();
    for store in stores {
        let answer = client(store).list_usage(within(TIMEOUT, request)).await;
        all.push(answered(answer)?);
    }
    let view = UsageView::of(all, command, from_ms, until_ms);
    if output.json { Output::json(&view) } else { Output::write(&view.text()) }
}

fn client(store: &Transport) -> UsageServiceClient<Transport> {
    UsageServiceClient::new(store.clone())
}

/// Returns from when until when, by the stores' clock; 0: until now.
async fn window(window: UsageWindow, stores: &[Transport]) -> Result<(i64, i64), Failure> {
    let mut began = None;
    for store in stores {
        let answer = client(store).get_totals(within(TIMEOUT, GetTotalsRequest {})).await;
        let totals = answered(answer)?;
        began = began.max(Some((totals.day_began_ms, totals.month_began_ms)));
    }
    let (day, month) = began.unwrap_or_default();
    Ok(match window {
        UsageWindow::Day => (day, 0),
        UsageWindow::Month => (month, 0),
        UsageWindow::LastMonth => (month_before(month), month),
    })
}

/// Returns when the month before the one began that began then.
fn month_before(month_began_ms: i64) -> i64 {
    let last_day = OffsetDateTime::from_unix_timestamp(month_began_ms / 1_000 - 1);
    let first_day = last_day.ok().and_then(|day| day.replace_day(1).ok());
    first_day.map_or(0, |day| day.date().midnight().assume_utc().unix_timestamp() * 1_000)
}

#[derive(Debug, Serialize)]
struct UsageView {
    window: UsageWindow,
    from_ms: i64,
    /// None: until now.
    until_ms: Option<i64>,
    total: SumView,
    by_model: Vec<PartView>,
    by_guild: Vec<PartView>,
    by_channel: Vec<PartView>,
    by_member: Vec<PartView>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct SumView {
    turns: u64,
    prompt_tokens: u64,
    cached_tokens: u64,
    completion_tokens: u64,
    cost_micros: u64,
    /// Part of the cost: by an assumed price.
    assumed_micros: u64,
    turns_in_vain: u64,
    estimated_turns: u64,
    lost_turns: u64,
    /// Part of the turns, of the tokens and of the cost: on summaries of channels.
    summary_turns: u64,
    summary_tokens: u64,
    summary_micros: u64,
    /// Part of the cost: on servers' own keys, for which the operator pays nothing.
    on_guild_key_micros: u64,
}

#[derive(Debug, Serialize)]
struct PartView {
    /// A model, or an id; `nobody` for summaries and for people who are forgotten, `direct messages` for what is no
    /// server.
    of: String,
    #[serde(flatten)]
    sum: SumView,
}

impl UsageView {
    fn of(all: Vec<ListUsageResponse>, command: &Usage, from_ms: i64, until_ms: i64) -> Self {
        let mut total = SumView::default();
        let (mut models, mut guilds, mut channels, mut members) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for answer in all {
            total.add(&answer.total.unwrap_or_default());
            models.extend(answer.by_model);
            guilds.extend(answer.by_guild);
            channels.extend(answer.by_channel);
            members.extend(answer.by_member);
        }
        let model = |of: &UsageOf| match of.model.as_str() {
            "" => "unknown".to_owned(),
            model => format!("{}/{model}", of.provider),
        };
        let id = |nobody: &'static str| {
            move |of: &UsageOf| if of.id == 0 { nobody.to_owned() } else { of.id.to_string() }
        };
        let limit = usize::try_from(command.limit).unwrap_or(usize::MAX);
        Self {
            window: command.window,
            from_ms,
            until_ms: (until_ms != 0).then_some(until_ms),
            total,
            by_model: parts(&models, model, usize::MAX),
            by_guild: parts(&guilds, id("direct messages"), limit),
            by_channel: parts(&channels, id("unknown"), limit),
            by_member: parts(&members, id("nobody"), limit),
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let total = PartView { of: "all".to_owned(), sum: self.total };
        text.push_str(&table(&[total]));
        for (heading, parts) in [
            ("By model", &self.by_model),
            ("By server", &self.by_guild),
            ("By channel", &self.by_channel),
            ("By member", &self.by_member),
        ] {
            if !parts.is_empty() {
                let _ = write!(text, "\n{heading}\n{}", table(parts));
            }
        }
        self.remarks(&mut text);
        text
    }

    /// Says how far the figures are to be trusted.
    fn remarks(&self, text: &mut String) {
        let SumView {
            assumed_micros,
            estimated_turns,
            lost_turns,
            summary_turns,
            summary_tokens,
            summary_micros,
            on_guild_key_micros,
            ..
        } = self.total;
        if on_guild_key_micros > 0 {
            let _ = writeln!(
                text,
                "\n{} of it is on servers' own keys, and no part of the installation's budget.",
                dollars(on_guild_key_micros)
            );
        }
        if summary_turns > 0 {
            let _ = writeln!(
                text,
                "\n{} of it was spent on summaries of channels: {summary_turns} turns, \
                 {summary_tokens} tokens.",
                dollars(summary_micros)
            );
        }
        if assumed_micros > 0 {
            let _ = writeln!(
                text,
                "\n{} of it is by `ai.assumed_price`: set in `ai.prices` what those models cost.",
                dollars(assumed_micros)
            );
        }
        if estimated_turns > 0 {
            let _ = writeln!(
                text,
                "\n{estimated_turns} turns were cut off, and count by their requests' bounds."
            );
        }
        if lost_turns > 0 {
            let _ = writeln!(
                text,
                "\nOf {lost_turns} turns nobody knows what they cost: their process was lost."
            );
        }
    }
}

/// Adds up what comes of several stores; what cost most first.
fn parts(list: &[UsageOf], name: impl Fn(&UsageOf) -> String, limit: usize) -> Vec<PartView> {
    let mut sums: BTreeMap<String, SumView> = BTreeMap::new();
    for of in list {
        sums.entry(name(of)).or_default().add(&of.sum.unwrap_or_default());
    }
    let mut parts: Vec<_> = sums.into_iter().map(|(of, sum)| PartView { of, sum }).collect();
    parts.sort_by_key(|part| std::cmp::Reverse((part.sum.cost_micros, part.sum.prompt_tokens)));
    parts.truncate(limit);
    parts
}

impl SumView {
    fn add(&mut self, sum: &UsageSum) {
        self.turns += sum.turns;
        self.prompt_tokens += sum.prompt_tokens;
        self.cached_tokens += sum.cached_tokens;
        self.completion_tokens += sum.completion_tokens;
        self.cost_micros += sum.cost_micros;
        self.assumed_micros += sum.assumed_micros;
        self.turns_in_vain += sum.turns_in_vain;
        self.estimated_turns += sum.estimated_turns;
        self.lost_turns += sum.lost_turns;
        self.summary_turns += sum.summary_turns;
        self.summary_tokens += sum.summary_tokens;
        self.summary_micros += sum.summary_micros;
        self.on_guild_key_micros += sum.on_guild_key_micros;
    }
}

/// Shows millionths of a dollar.
fn dollars(micros: u64) -> String {
    format!("${}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

impl Row for PartView {
    const HEADERS: &'static [&'static str] =
        &["OF", "COST", "TURNS", "PROMPT", "CACHED", "WRITTEN"];

    fn cells(&self) -> Vec<String> {
        let SumView { cost_micros, assumed_micros, turns, .. } = self.sum;
        // A mark at what is not known for sure.
        let mark = if assumed_micros > 0 { "~" } else { "" };
        vec![
            self.of.clone(),
            format!("{mark}{}", dollars(cost_micros)),
            turns.to_string(),
            self.sum.prompt_tokens.to_string(),
            self.sum.cached_tokens.to_string(),
            self.sum.completion_tokens.to_string(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(id: u64, cost_micros: u64) -> UsageOf {
        let sum = UsageSum { cost_micros, turns: 1, ..UsageSum::default() };
        UsageOf { id, sum: Some(sum), ..UsageOf::default() }
    }

    #[test]
    fn what_several_stores_tell_is_added_up_and_the_dearest_comes_first() {
        let one = ListUsageResponse { by_member: vec![of(5, 10), of(6, 30)], ..Default::default() };
        let other =
            ListUsageResponse { by_member: vec![of(5, 40), of(0, 5)], ..Default::default() };
        let command = Usage { guild: None, user: None, window: UsageWindow::Month, limit: 2 };
        let view = UsageView::of(vec![one, other], &command, 0, 0);
        let members: Vec<_> = view
            .by_member
            .iter()
            .map(|part| (part.of.as_str(), part.sum.cost_micros, part.sum.turns))
            .collect();
        assert_eq!(members, [("5", 50, 2), ("6", 30, 1)]);
    }

    #[test]
    fn the_month_before_begins_on_its_first_day() {
        // 2024-03-01 and 2024-02-01, 2026-01-01 and 2025-12-01, by UTC.
        assert_eq!(month_before(1_709_251_200_000), 1_706_745_600_000);
        assert_eq!(month_before(1_767_225_600_000), 1_764_547_200_000);
    }

    #[test]
    fn what_is_not_exact_is_said() {
        let total = SumView {
            cost_micros: 2_500_000,
            assumed_micros: 1_000_000,
            on_guild_key_micros: 500_000,
            lost_turns: 1,
            ..SumView::default()
        };
        let view = UsageView {
            window: UsageWindow::Day,
            from_ms: 0,
            until_ms: None,
            total,
            by_model: Vec::new(),
            by_guild: Vec::new(),
            by_channel: Vec::new(),
            by_member: Vec::new(),
        };
        let text = view.text();
        assert!(text.contains("~$2.500000") && text.contains("$1.000000 of it"), "{text}");
        assert!(text.contains("Of 1 turns nobody knows"), "{text}");
        assert!(text.contains("$0.500000 of it is on servers' own keys"), "{text}");
    }
}
