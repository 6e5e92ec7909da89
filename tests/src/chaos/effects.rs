//! What people could see, read from the simulated Discord's log alone.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;

use crate::LogEntry;

/// The first moment of Discord's ids, in milliseconds since 1970.
const DISCORD_EPOCH_MS: u64 = 1_420_070_400_000;

/// A change that people could see. A repeat that changed nothing is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// Its place in the log.
    pub seq: u64,
    pub channel: u64,
    pub at_ms: u64,
    pub deed: Deed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Deed {
    /// A message to people.
    Message {
        id: u64,
        /// The messages that it is for: the one that it replies to, and those that code links to.
        covers: BTreeSet<u64>,
        content: String,
    },
    Reaction {
        message: u64,
        emoji: String,
    },
}

/// Reads the log bit by bit.
#[derive(Debug, Default)]
pub(super) struct EffectReader {
    pub effects: Vec<Effect>,
    /// Every message of Ery's that stands, by id.
    messages: HashSet<u64>,
    reactions: HashSet<(u64, String)>,
    /// Messages that were covered, and by how many of hers.
    pub covered: BTreeMap<u64, u32>,
    pub last_seq: u64,
    pub requests: u64,
}

impl EffectReader {
    /// Takes the entries that follow in the log.
    pub(super) fn read(&mut self, entries: &[LogEntry]) {
        for entry in entries {
            self.last_seq = self.last_seq.max(entry.seq);
            self.requests += 1;
            // Whether the answer got back to Ery does not matter: people saw it.
            if !(200..300).contains(&entry.status) {
                continue;
            }
            let path = entry.path.split('?').next().unwrap_or_default();
            let parts: Vec<&str> =
                path.trim_start_matches("/api/v10").trim_matches('/').split('/').collect();
            match (entry.method.as_str(), parts.as_slice()) {
                ("POST", ["channels", channel, "messages"]) => self.message(entry, channel),
                ("PUT", ["channels", channel, "messages", message, "reactions", emoji, "@me"]) => {
                    self.reaction(entry, channel, message, emoji);
                }
                _ => {}
            }
        }
    }

    fn message(&mut self, entry: &LogEntry, channel: &str) {
        let (Some(id), Ok(channel)) = (number(&entry.response["id"]), channel.parse()) else {
            return;
        };
        // Under the same nonce Discord answers with the message that stands.
        if !self.messages.insert(id) {
            return;
        }
        let content = entry.response["content"].as_str().unwrap_or_default().to_owned();
        let mut covers: BTreeSet<u64> =
            number(&entry.response["message_reference"]["message_id"]).into_iter().collect();
        covers.extend(linked(&content));
        for message in &covers {
            *self.covered.entry(*message).or_default() += 1;
        }
        let deed = Deed::Message { id, covers, content };
        self.effects.push(Effect { seq: entry.seq, channel, at_ms: said_at_ms(id), deed });
    }

    fn reaction(&mut self, entry: &LogEntry, channel: &str, message: &str, emoji: &str) {
        let (Ok(channel), Ok(message)) = (channel.parse(), message.parse()) else { return };
        let emoji = decoded(emoji);
        if self.reactions.insert((message, emoji.clone())) {
            let at_ms = u64::try_from(entry.at_ms).unwrap_or(0);
            let deed = Deed::Reaction { message, emoji };
            self.effects.push(Effect { seq: entry.seq, channel, at_ms, deed });
        }
    }
}

/// Returns when a message with this id was written, in milliseconds since 1970.
pub(super) fn said_at_ms(id: u64) -> u64 {
    (id >> 22) + DISCORD_EPOCH_MS
}

fn number(id: &serde_json::Value) -> Option<u64> {
    id.as_str()?.parse().ok()
}

/// Reads the links `…/channels/<guild>/<channel>/<message>`.
fn linked(content: &str) -> impl Iterator<Item = u64> + '_ {
    content.split("/channels/").skip(1).filter_map(|link| {
        let path: String = link
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '@'))
            .collect();
        path.split('/').nth(2)?.parse().ok()
    })
}

/// Takes the percent signs out of a path's part.
fn decoded(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                digit(high).zip(digit(low)).and_then(|(h, l)| u8::try_from(h * 16 + l).ok())
            }
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn entry(seq: u64, method: &str, path: &str, status: u16, response: Value) -> LogEntry {
        LogEntry {
            seq,
            at_ms: 5,
            method: method.into(),
            path: format!("/api/v10{path}"),
            body: Value::Null,
            status,
            response,
        }
    }

    fn sent(seq: u64, id: u64, status: u16) -> LogEntry {
        let response = json!({ "id": id.to_string(),
            "content": "yes\n-# answers https://discord.com/channels/1/7/12",
            "message_reference": { "message_id": "11" } });
        entry(seq, "POST", "/channels/7/messages", status, response)
    }

    #[test]
    fn a_message_covers_its_reference_and_its_links_once() {
        let mut reader = EffectReader::default();
        reader.read(&[sent(1, 100, 200), sent(2, 100, 200)]);
        assert_eq!(reader.effects.len(), 1);
        assert_eq!(reader.covered, [(11, 1), (12, 1)].into());
        reader.read(&[sent(3, 101, 200)]);
        assert_eq!(reader.covered, [(11, 2), (12, 2)].into());
    }

    #[test]
    fn what_failed_is_no_effect_and_a_repeated_reaction_neither() {
        let mut reader = EffectReader::default();
        let react = |seq, status| {
            let path = "/channels/7/messages/11/reactions/%F0%9F%91%8D/@me";
            entry(seq, "PUT", path, status, Value::Null)
        };
        reader.read(&[sent(1, 100, 500), react(2, 0), react(3, 204), react(4, 204)]);
        let deeds: Vec<_> = reader.effects.iter().map(|effect| effect.deed.clone()).collect();
        assert_eq!(deeds, [Deed::Reaction { message: 11, emoji: "👍".into() }]);
        assert_eq!(reader.last_seq, 4);
    }
}
