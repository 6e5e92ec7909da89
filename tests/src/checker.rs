use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};

use crate::LogEntry;

/// A message that the bot sent, as the simulated Discord's log has it.
#[derive(Clone, Debug)]
pub struct Answer {
    pub channel: String,
    pub message: u64,
    pub at_ms: i64,
    pub content: String,
    /// The messages that it answers: the one that it is a reply to, and those that it names.
    pub covers: BTreeSet<u64>,
}

/// Judges from the log alone whether every message was answered once, in order.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    said: BTreeMap<u64, String>,
}

impl Checker {
    /// Notes that `message` was said in `channel`, addressed to Ery.
    pub fn said(&mut self, channel: &str, message: u64) {
        self.said.insert(message, channel.to_owned());
    }

    pub fn count(&self) -> usize {
        self.said.len()
    }

    /// Returns the bot's messages, in the order in which they were accepted.
    ///
    /// A repeat under the same nonce answers the message that stands: it is one message.
    pub fn answers(log: &[LogEntry]) -> anyhow::Result<Vec<Answer>> {
        let mut answers: BTreeMap<u64, Answer> = BTreeMap::new();
        for entry in log {
            let Some(channel) = entry
                .path
                .trim_start_matches("/api/v10")
                .strip_prefix("/channels/")
                .and_then(|rest| rest.split('?').next()?.strip_suffix("/messages"))
            else {
                continue;
            };
            if entry.method != "POST" || !(200..300).contains(&entry.status) {
                continue;
            }
            // What she says where she joins answers nobody.
            if entry.response["components"].to_string().contains("ery.setup.") {
                continue;
            }
            let id = entry.response["id"].as_str().context("a message has an id")?.parse()?;
            let content = entry.response["content"].as_str().unwrap_or_default();
            answers.entry(id).or_insert_with(|| Answer {
                channel: channel.to_owned(),
                message: id,
                at_ms: entry.at_ms,
                content: content.to_owned(),
                covers: covers(&entry.response["message_reference"]["message_id"], content),
            });
        }
        Ok(answers.into_values().collect())
    }

    /// Returns the messages that nobody has answered yet.
    pub fn unanswered(&self, log: &[LogEntry]) -> anyhow::Result<BTreeSet<u64>> {
        let covered: BTreeSet<u64> =
            Self::answers(log)?.into_iter().flat_map(|answer| answer.covers).collect();
        Ok(self.said.keys().filter(|message| !covered.contains(message)).copied().collect())
    }

    /// Refuses anything lost, doubled, misplaced or out of order.
    ///
    /// # Errors
    ///
    /// Lists what is wrong.
    pub fn check(&self, log: &[LogEntry]) -> anyhow::Result<Vec<Answer>> {
        let answers = Self::answers(log)?;
        let mut wrong = Vec::new();
        let mut covered: BTreeMap<u64, u64> = BTreeMap::new();
        let mut latest: BTreeMap<&str, u64> = BTreeMap::new();
        for answer in &answers {
            let ours: Vec<u64> = answer
                .covers
                .iter()
                .filter(|message| self.said.contains_key(message))
                .copied()
                .collect();
            if ours.is_empty() {
                wrong.push(format!(
                    "{} answers nothing that was said: {}",
                    answer.message, answer.content
                ));
            }
            for message in &ours {
                if self.said[message] != answer.channel {
                    wrong.push(format!("{message} was answered in channel {}", answer.channel));
                }
                if let Some(first) = covered.insert(*message, answer.message) {
                    wrong.push(format!(
                        "{message} was answered by {first} and by {}",
                        answer.message
                    ));
                }
            }
            if let (Some(first), Some(last)) = (ours.first(), ours.last()) {
                if latest.get(answer.channel.as_str()).is_some_and(|before| before > first) {
                    wrong.push(format!("{} answers {first} after a later message", answer.message));
                }
                latest.insert(&answer.channel, *last);
            }
        }
        for message in self.said.keys().filter(|message| !covered.contains_key(message)) {
            wrong.push(format!("{message} was never answered"));
        }
        if !wrong.is_empty() {
            bail!("{} violations:\n{}", wrong.len(), wrong.join("\n"));
        }
        Ok(answers)
    }
}

/// Reads the reference, and the links `…/channels/<guild>/<channel>/<message>` in the text.
fn covers(reference: &serde_json::Value, content: &str) -> BTreeSet<u64> {
    let mut covers: BTreeSet<u64> =
        reference.as_str().and_then(|id| id.parse().ok()).into_iter().collect();
    for link in content.split("/channels/").skip(1) {
        let path: String = link
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '@'))
            .collect();
        covers.extend(path.split('/').nth(2).and_then(|id| id.parse::<u64>().ok()));
    }
    covers
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent(seq: u64, channel: &str, id: u64, reply_to: u64, content: &str) -> LogEntry {
        LogEntry {
            seq,
            at_ms: 0,
            method: "POST".into(),
            path: format!("/api/v10/channels/{channel}/messages"),
            body: json!({}),
            status: 200,
            response: json!({ "id": id.to_string(), "content": content,
                "message_reference": { "message_id": reply_to.to_string() } }),
        }
    }

    fn checker(said: &[u64]) -> Checker {
        let mut checker = Checker::default();
        for message in said {
            checker.said("7", *message);
        }
        checker
    }

    #[test]
    fn an_answer_covers_its_reference_and_the_messages_that_it_names() {
        let log = [sent(1, "7", 100, 2, "yes\n-# answers <https://discord.com/channels/5/7/1>")];
        let answers = checker(&[1, 2]).check(&log).unwrap();
        assert_eq!(answers[0].covers, [1, 2].into());
    }

    #[test]
    fn a_lost_message_is_found() {
        let error = checker(&[1, 2]).check(&[sent(1, "7", 100, 1, "")]).unwrap_err().to_string();
        assert!(error.contains("2 was never answered"), "{error}");
    }

    #[test]
    fn a_second_answer_is_found_but_a_repeated_nonce_is_not_one() {
        let twice = [sent(1, "7", 100, 1, ""), sent(2, "7", 101, 1, "")];
        assert!(
            checker(&[1])
                .check(&twice)
                .unwrap_err()
                .to_string()
                .contains("answered by 100 and by 101")
        );
        let same = [sent(1, "7", 100, 1, ""), sent(2, "7", 100, 1, "")];
        assert!(checker(&[1]).check(&same).is_ok());
    }

    #[test]
    fn disorder_and_a_wrong_channel_are_found() {
        let disorder = [sent(1, "7", 100, 2, ""), sent(2, "7", 101, 1, "")];
        assert!(
            checker(&[1, 2])
                .check(&disorder)
                .unwrap_err()
                .to_string()
                .contains("after a later message")
        );
        let elsewhere = [sent(1, "8", 100, 1, "")];
        assert!(checker(&[1]).check(&elsewhere).unwrap_err().to_string().contains("in channel 8"));
    }
}
