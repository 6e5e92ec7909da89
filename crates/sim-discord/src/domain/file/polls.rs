//! Polls as they stand in a world file.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{Emoji, User, UserId, emoji_text};
use crate::{
    domain::{Poll, PollAnswer},
    wire::{Iso, parse_iso},
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PollFile {
    question: String,
    answers: Vec<AnswerFile>,
    expiry: String,
    #[serde(default)]
    allow_multiselect: bool,
    #[serde(default)]
    is_finalized: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerFile {
    text: String,
    /// A unicode emoji, or `name:id` of a guild's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    emoji: Option<String>,
    /// In the order in which they voted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    voter_ids: Vec<UserId>,
}

impl PollFile {
    pub(super) fn new(poll: &Poll) -> Self {
        let answer = |answer: &PollAnswer| AnswerFile {
            text: answer.text.clone(),
            emoji: answer.emoji.as_ref().map(emoji_text),
            voter_ids: answer.voters.clone(),
        };
        Self {
            question: poll.question.clone(),
            answers: poll.answers.iter().map(answer).collect(),
            expiry: Iso(poll.expiry).to_string(),
            allow_multiselect: poll.allows_many,
            is_finalized: poll.is_finalized,
        }
    }

    pub(super) fn read(self, users: &HashMap<UserId, User>) -> Result<Poll, String> {
        let expiry = parse_iso(&self.expiry)
            .ok_or_else(|| format!("`{}` is no moment in ISO 8601", self.expiry))?;
        let mut answers = Vec::with_capacity(self.answers.len());
        for answer in self.answers {
            if let Some(nobody) = answer.voter_ids.iter().find(|user| !users.contains_key(user)) {
                return Err(format!("nobody is {nobody}, who voted for `{}`", answer.text));
            }
            let emoji = answer
                .emoji
                .map(|text| Emoji::parse(&text).map_err(|_| format!("`{text}` is no emoji")));
            let (emoji, voters) = (emoji.transpose()?, answer.voter_ids);
            answers.push(PollAnswer { text: answer.text, emoji, voters });
        }
        Ok(Poll {
            question: self.question,
            answers,
            allows_many: self.allow_multiselect,
            expiry,
            is_finalized: self.is_finalized,
        })
    }
}
