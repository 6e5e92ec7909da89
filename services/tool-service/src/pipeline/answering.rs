//! A thread's answer: cut into messages, shown while it is written, changed, or taken back.

use serde_json::{Value, json};

use super::ask::Ask;
use crate::domain::{
    output::{self, Filter},
    split,
};

/// What becomes of one message of an answer.
pub(super) struct Piece {
    /// The call's arguments, with the text of this message alone.
    pub(super) arguments: String,
    /// How many messages the answer has.
    parts: usize,
}

impl Piece {
    /// Cuts a message out of an answer. The whole is filtered before, so that nothing gets through
    /// because it stands on two sides of a border.
    ///
    /// None: the arguments have no text, and are judged as they are.
    pub(super) fn of(ask: &Ask, filter: &Filter) -> Option<Self> {
        let mut arguments: Value = serde_json::from_str(&ask.arguments).ok()?;
        let content = arguments.get("content")?.as_str()?;
        let (text, parts) = if ask.answering.is_growing {
            (split::growing(&filter.filtered(output::settled(content)).content), 1)
        } else {
            let parts = split::split(&filter.filtered(content).content);
            (parts.get(ask.answering.part).cloned().unwrap_or_default(), parts.len())
        };
        arguments["content"] = Value::String(text);
        Some(Self { arguments: arguments.to_string(), parts })
    }

    /// Writes into an act what code alone sets.
    pub(super) fn complete(&self, ask: &Ask, act: &mut Value) {
        let answering = &ask.answering;
        if self.parts > 1 {
            act["parts"] = json!(self.parts);
        }
        if answering.is_growing {
            act["is_growing"] = json!(true);
        }
        if let Some(message) = answering.edits {
            let becomes = if answering.withdraws { "withdraws" } else { "edits" };
            act[becomes] = json!(message);
        }
    }
}
