//! Polls: a question below a message, with answers to choose from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use ery_enclosures::RawPoll;

use crate::{
    domain::{output::Filter, text},
    resolve::Problem,
};

const MAX_QUESTION: usize = 300;
const MAX_ANSWER: usize = 55;

/// A question that members answer by a click.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Poll {
    /// What is asked.
    #[schemars(length(min = 1, max = 300))]
    question: String,
    /// What can be chosen, in plain words, 55 characters each at most.
    #[schemars(length(min = 1, max = 10), inner(length(min = 1, max = 55)))]
    answers: Vec<String>,
    /// For how many hours it is open, 32 days at most.
    #[schemars(range(min = 1, max = 768))]
    #[serde(default = "one_day")]
    hours: u16,
    /// Whether a member may choose more than one answer.
    #[serde(default)]
    several: bool,
}

fn one_day() -> u16 {
    24
}

impl Poll {
    /// Makes a poll harmless, and holds it to Discord's bounds.
    pub(super) fn filtered(mut self, filter: &Filter) -> Result<Self, Problem> {
        let question = [(&mut self.question, MAX_QUESTION)];
        let answers = self.answers.iter_mut().map(|answer| (answer, MAX_ANSWER));
        for (words, most) in question.into_iter().chain(answers) {
            // Discord shows each of them on one line.
            *words = text::one_line(&filter.filtered(words).content);
            let length = words.chars().count();
            if length == 0 || length > most {
                return Err(Problem::unclear(format!(
                    "A text of the poll has {length} characters; it takes 1 to {most}."
                )));
            }
        }
        for (index, answer) in self.answers.iter().enumerate() {
            if self.answers[..index].contains(answer) {
                return Err(Problem::unclear(format!("The poll has the answer “{answer}” twice.")));
            }
        }
        Ok(self)
    }

    pub(super) fn as_discord_has_it(&self) -> Value {
        let answers = self.answers.iter().map(|text| json!({ "poll_media": { "text": text } }));
        json!({
            "question": { "text": self.question },
            "answers": answers.collect::<Vec<_>>(),
            "duration": self.hours,
            "allow_multiselect": self.several,
        })
    }

    /// Whether Discord shows this one.
    pub(super) fn is(&self, shown: &RawPoll) -> bool {
        shown.question() == self.question
            && shown.answers().eq(self.answers.iter().map(String::as_str))
    }
}
