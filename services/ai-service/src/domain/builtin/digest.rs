//! Sums messages up without a model: who wrote how much, about which words, and what came last.

use std::{collections::HashMap, fmt::Write as _};

use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use ery_clock::UnixMillis;

use crate::domain::conversation::MemberMessage;

use super::{duration::in_words, report::cut, request::Place};

const MOST_QUOTED: usize = 5;
const LONGEST_QUOTE: usize = 120;
const MOST_WORDS: usize = 6;

/// A message as a tool's result tells of it.
struct Found {
    id: u64,
    author_id: Option<u64>,
    author: String,
    text: String,
    at_ms: Option<i64>,
}

/// Sums up the messages of a result. `None`: it holds no list of messages.
pub(super) fn catch_up(
    content: &Value,
    asked: &MemberMessage,
    channel: Option<&Place>,
    not_before_ms: Option<i64>,
    now: UnixMillis,
) -> Option<String> {
    let mut messages = messages(content)?;
    messages.retain(|message| message.id != asked.id.get());
    if let Some(not_before) = not_before_ms {
        messages.retain(|message| message.at_ms.is_none_or(|at| at >= not_before));
    }
    let place = channel.map_or("here".to_owned(), |channel| format!("in {channel}"));
    // What the asker wrote last has been seen, and so has what came before it.
    let own = messages.iter().rposition(|message| message.author_id == Some(asked.author.get()));
    let is_since_own = own.is_some() && not_before_ms.is_none() && channel.is_none();
    if is_since_own && let Some(own) = own {
        messages.drain(..=own);
    }
    let since = if is_since_own { " since your last message" } else { "" };
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else {
        return Some(format!("You missed nothing: there are no messages {place}{since}."));
    };
    let mut text = format!("{} {place}{since}", count(messages.len(), "message"));
    let authors = by_author(&messages);
    let _ = write!(text, " by {}", count(authors.len(), "person"));
    let shown: Vec<String> =
        authors.iter().take(8).map(|(author, count)| format!("{author} {count}")).collect();
    let more = if authors.len() > shown.len() { ", …" } else { "" };
    let _ = write!(text, " ({}{more})", shown.join(", "));
    if let (Some(from), Some(to)) = (first.at_ms, last.at_ms) {
        let span = to.saturating_sub(from) / 1_000;
        if span >= 60 {
            let _ = write!(text, ", over {}", roughly(span));
        }
        let ago = now.0.saturating_sub(to) / 1_000;
        if ago >= 60 {
            let _ = write!(text, ", the last one {} ago", roughly(ago));
        }
    }
    text.push('.');
    let words = frequent_words(&messages);
    if !words.is_empty() {
        let _ = write!(text, "\nMost used words: {}.", words.join(", "));
    }
    let quoted = messages.iter().rev().filter(|message| !message.text.is_empty()).take(MOST_QUOTED);
    let quoted: Vec<&Found> = quoted.collect();
    if !quoted.is_empty() {
        text.push_str("\nThe last of them:");
        for message in quoted.into_iter().rev() {
            let _ = write!(text, "\n• {}: “{}”", message.author, quote(&message.text));
        }
    }
    text.push_str("\n(Counted, not understood: I'm in built-in command mode.)");
    Some(text)
}

/// Lists the messages of a search. `None`: the result holds no list of messages.
pub(super) fn found(content: &Value, now: UnixMillis) -> Option<String> {
    let messages = messages(content)?;
    if messages.is_empty() {
        return Some("I found no messages like that.".into());
    }
    let total = content.get("total").and_then(Value::as_u64);
    let total =
        total.and_then(|total| usize::try_from(total).ok()).unwrap_or(0).max(messages.len());
    let mut text = format!("I found {}", count(total, "message"));
    text.push_str(if total > MOST_QUOTED { "; the newest:" } else { ":" });
    for message in messages.iter().rev().take(MOST_QUOTED) {
        let _ = write!(text, "\n• {}", message.author);
        if let Some(at) = message.at_ms {
            let ago = now.0.saturating_sub(at) / 1_000;
            if ago >= 60 {
                let _ = write!(text, ", {} ago", roughly(ago));
            }
        }
        let _ = write!(text, ": “{}”", quote(&message.text));
    }
    Some(text)
}

/// Reads a result's messages, the oldest first.
fn messages(content: &Value) -> Option<Vec<Found>> {
    let list = content.get("messages")?.as_array()?;
    let mut messages: Vec<Found> = list.iter().filter_map(message).collect();
    messages.sort_by_key(|message| message.id);
    Some(messages)
}

fn message(value: &Value) -> Option<Found> {
    let id = number(value.get("id").or_else(|| value.get("message_id"))?)?;
    let author = value.get("author");
    let name = ["author_name", "author", "name"]
        .iter()
        .find_map(|key| value.get(key)?.as_str())
        .or_else(|| author?.get("name")?.as_str())
        .unwrap_or("somebody");
    let author_id = value.get("author_id").or_else(|| author?.get("id")).and_then(number);
    let text = ["text", "content"].iter().find_map(|key| value.get(key)?.as_str()).unwrap_or("");
    let at = ["at", "created_at", "timestamp", "created_at_ms", "at_ms"]
        .iter()
        .find_map(|key| value.get(key));
    Some(Found {
        id,
        author_id,
        author: tidy(&cut(name, 32)),
        text: text.to_owned(),
        at_ms: at.and_then(moment),
    })
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn moment(value: &Value) -> Option<i64> {
    if let Some(number) = value.as_i64() {
        // Seconds have ten digits in our time, milliseconds thirteen.
        return Some(if number < 100_000_000_000 { number.saturating_mul(1_000) } else { number });
    }
    let moment = OffsetDateTime::parse(value.as_str()?, &Rfc3339).ok()?;
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()
}

fn by_author(messages: &[Found]) -> Vec<(String, usize)> {
    let mut authors: Vec<(String, usize)> = Vec::new();
    for message in messages {
        match authors.iter_mut().find(|(author, _)| *author == message.author) {
            Some((_, count)) => *count += 1,
            None => authors.push((message.author.clone(), 1)),
        }
    }
    authors.sort_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
    authors
}

fn frequent_words(messages: &[Found]) -> Vec<String> {
    const COMMON: &[&str] = &[
        "about", "after", "again", "also", "always", "because", "been", "before", "being", "could",
        "does", "doesn't", "don't", "doing", "done", "each", "even", "every", "from", "gonna",
        "good", "have", "haven't", "here", "into", "it's", "just", "know", "like", "look", "made",
        "make", "many", "maybe", "more", "most", "much", "need", "never", "nope", "okay", "only",
        "other", "over", "please", "really", "right", "said", "same", "should", "since", "some",
        "still", "such", "sure", "take", "than", "thank", "thanks", "that", "that's", "their",
        "them", "then", "there", "these", "they", "they're", "thing", "things", "think", "this",
        "those", "through", "time", "today", "very", "want", "well", "were", "what", "what's",
        "when", "where", "which", "while", "will", "with", "would", "yeah", "your", "you're",
        "i'll", "i've", "can't", "won't", "didn't", "isn't", "http", "https",
    ];
    let mut counts: HashMap<String, usize> = HashMap::new();
    for message in messages {
        let mut seen = Vec::new();
        for word in message.text.split(|c: char| !(c.is_alphanumeric() || c == '\'')) {
            let word = word.trim_matches('\'').to_lowercase();
            let length = word.chars().count();
            let is_word = (4..=24).contains(&length) && word.chars().any(char::is_alphabetic);
            // Repeating a word within a message does not make it more of a topic.
            if is_word && !COMMON.contains(&word.as_str()) && !seen.contains(&word) {
                *counts.entry(word.clone()).or_default() += 1;
                seen.push(word);
            }
        }
    }
    let mut words: Vec<(String, usize)> =
        counts.into_iter().filter(|(_, count)| *count > 1).collect();
    words.sort_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
    words.into_iter().take(MOST_WORDS).map(|(word, _)| word).collect()
}

fn count(count: usize, what: &str) -> String {
    match (count, what) {
        (1, what) => format!("1 {what}"),
        (count, "person") => format!("{count} people"),
        (count, what) => format!("{count} {what}s"),
    }
}

/// Says a span by its largest unit.
fn roughly(seconds: i64) -> String {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    let unit = [86_400, 3_600, 60, 1].into_iter().find(|unit| seconds >= *unit).unwrap_or(1);
    in_words(seconds / unit * unit)
}

fn quote(text: &str) -> String {
    cut(&tidy(text), LONGEST_QUOTE)
}

/// Takes markup from a member's text, so that a quote looks like one.
fn tidy(text: &str) -> String {
    let plain: String = text
        .chars()
        .filter(|character| !matches!(character, '`' | '*' | '|' | '~' | '\\'))
        .map(|character| match character {
            '[' => '(',
            ']' => ')',
            '“' | '”' => '"',
            other => other,
        })
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ").trim_start_matches(['>', '#']).to_owned()
}
