use serde_json::Value;

use crate::{
    adapters::{Deltas, ProviderError},
    domain::conversation::{Answer, Stop, ToolCall, Usage},
};

/// How many bytes of text and arguments an answer may have.
const LONGEST_ANSWER: usize = 256 * 1024;

/// How many tool calls an answer may have.
const MOST_CALLS: usize = 32;

/// The longest id of a call that is echoed.
const LONGEST_ID: usize = 64;

/// The longest signature that goes back to its provider.
const LONGEST_SIGNATURE: usize = 64 * 1024;

/// The end of ids that are ours, since the provider gave none.
const OUR_ID: &str = "_of_this_turn";

/// An answer as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) request_id: String,
    pub(super) model: String,
    pub(super) stop: Option<Stop>,
    /// Whether the provider said that nothing follows.
    pub(super) is_over: bool,
    pub(super) usage: Option<Usage>,
    speech: Speech,
    calls: Vec<PartialCall>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct PartialCall {
    index: Option<u64>,
    id: String,
    tool: String,
    arguments: String,
    signature: String,
}

/// A piece of a call, as a frame has it.
#[derive(Debug, Default)]
pub(super) struct CallPiece {
    pub(super) index: Option<u64>,
    pub(super) id: String,
    pub(super) tool: String,
    /// A piece of text; some servers send the object itself.
    pub(super) arguments: Option<Value>,
    pub(super) signature: String,
}

impl Gathered {
    /// Adds what the model says.
    pub(super) fn say(&mut self, text: &str, deltas: &Deltas) -> Result<(), ProviderError> {
        self.speech.add(text, deltas);
        self.count(text.len())
    }

    /// Notes the request's id and the model that answered, where they are not known yet.
    pub(super) fn tell(&mut self, request_id: Option<String>, model: Option<String>) {
        if self.request_id.is_empty() {
            self.request_id = bounded(request_id.unwrap_or_default(), 128);
        }
        if self.model.is_empty() {
            self.model = bounded(model.unwrap_or_default(), 128);
        }
    }

    /// Adds a piece to the call that it belongs to.
    pub(super) fn add_call(&mut self, piece: CallPiece) -> Result<(), ProviderError> {
        let CallPiece { index, id, tool, arguments, signature } = piece;
        let known = self.calls.iter().position(|call| match index {
            Some(index) => call.index == Some(index),
            None => !id.is_empty() && call.id == id,
        });
        let position = match (known, index) {
            // A server without indexes goes on with its last call.
            (None, None) if id.is_empty() && tool.is_empty() => self.calls.len().checked_sub(1),
            (known, _) => known,
        };
        let position = position.unwrap_or_else(|| {
            self.calls.push(PartialCall { index, ..PartialCall::default() });
            self.calls.len() - 1
        });
        if self.calls.len() > MOST_CALLS || signature.len() > LONGEST_SIGNATURE {
            return Err(ProviderError::Nonsense);
        }
        let call = &mut self.calls[position];
        let arguments = match arguments {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(piece)) => piece,
            Some(whole) => whole.to_string(),
        };
        let added = arguments.len() + id.len() + tool.len();
        call.arguments.push_str(&arguments);
        for (known, told) in
            [(&mut call.id, id), (&mut call.tool, tool), (&mut call.signature, signature)]
        {
            if known.is_empty() {
                *known = told;
            }
        }
        self.count(added)
    }

    /// Makes the answer, if it is whole.
    ///
    /// # Errors
    ///
    /// [`ProviderError::BrokeOff`] without an end and a stop reason.
    pub(super) fn into_answer(
        self,
        prompt_bytes: usize,
        deltas: &Deltas,
    ) -> Result<Answer, ProviderError> {
        let stop = self.stop.filter(|_| self.is_over).ok_or(ProviderError::BrokeOff)?;
        let text = self.speech.end(deltas);
        let has_calls = !self.calls.is_empty();
        let calls = match stop {
            // They may be cut, or were not meant to be made.
            Stop::Length | Stop::Refused => Vec::new(),
            Stop::ToolCalls if !has_calls => return Err(ProviderError::Nonsense),
            Stop::Done | Stop::ToolCalls => into_calls(self.calls),
        };
        let stop = match stop {
            Stop::Done if has_calls => Stop::ToolCalls,
            stop => stop,
        };
        // Budgets are kept even where the server does not count: four bytes are about a token.
        let usage = self.usage.unwrap_or_else(|| Usage {
            prompt: estimate(prompt_bytes),
            completion: estimate(self.bytes),
            ..Usage::default()
        });
        let (model, provider_request_id) = (self.model, self.request_id);
        Ok(Answer { text, calls, stop, usage, model, provider_request_id })
    }

    /// Returns all that has come, and keeps what was counted.
    pub(super) fn take(&mut self) -> Self {
        let counted = Self { usage: self.usage, bytes: self.bytes, ..Self::default() };
        std::mem::replace(self, counted)
    }

    /// Returns whether the model has begun to write, or its provider to count.
    pub(super) fn has_begun(&self) -> bool {
        self.bytes > 0 || self.usage.is_some()
    }

    /// Returns how many bytes the model has written.
    pub(super) fn written(&self) -> usize {
        self.bytes
    }

    fn count(&mut self, bytes: usize) -> Result<(), ProviderError> {
        self.bytes += bytes;
        if self.bytes > LONGEST_ANSWER { Err(ProviderError::TooLong) } else { Ok(()) }
    }
}

/// Returns the calls, each with an id of its own.
fn into_calls(partial: Vec<PartialCall>) -> Vec<ToolCall> {
    let mut calls: Vec<ToolCall> = Vec::with_capacity(partial.len());
    for (index, partial) in partial.into_iter().enumerate() {
        let is_taken = calls.iter().any(|call| call.id == partial.id);
        let is_fit = !partial.id.is_empty() && partial.id.len() <= LONGEST_ID && !is_taken;
        let id = if is_fit { partial.id } else { format!("call_{index}{OUR_ID}") };
        // A tool without parameters may be called without arguments.
        let arguments = match partial.arguments.trim() {
            "" => "{}".to_owned(),
            _ => partial.arguments,
        };
        let (tool, signature) = (bounded(partial.tool, 128), partial.signature);
        calls.push(ToolCall { id, tool, arguments, signature });
    }
    calls
}

/// Returns whether a provider gave this id, so that it knows it when it comes back.
pub(super) fn is_theirs(call_id: &str) -> bool {
    !call_id.ends_with(OUR_ID)
}

fn bounded(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes));
    text
}

fn estimate(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX)
}

/// What a model says, without what a reasoning model thought aloud before.
#[derive(Debug, Default)]
struct Speech {
    text: String,
    /// Where the answer begins, once that is known.
    begins: Option<usize>,
    /// How far the end of the thoughts was looked for.
    searched: usize,
    /// How much of the answer was told.
    told: usize,
}

const THOUGHTS: [(&str, &str); 2] = [("<think>", "</think>"), ("<thinking>", "</thinking>")];

impl Speech {
    fn add(&mut self, text: &str, deltas: &Deltas) {
        self.text.push_str(text);
        if self.begins.is_none() {
            self.begins = self.find_beginning();
        }
        if let Some(begins) = self.begins {
            let answer = &self.text[begins..];
            deltas.say(&answer[self.told..]);
            self.told = answer.len();
        }
    }

    fn find_beginning(&mut self) -> Option<usize> {
        let start = self.text.len() - self.text.trim_start().len();
        let spoken = &self.text[start..];
        for (open, close) in THOUGHTS {
            if !spoken.starts_with(open) {
                continue;
            }
            let from = self.text.floor_char_boundary(self.searched.max(start));
            let Some(found) = self.text[from..].find(close) else {
                self.searched = self.text.len().saturating_sub(close.len());
                return None;
            };
            let end = from + found + close.len();
            let answer = self.text[end..].trim_start();
            return (!answer.is_empty()).then(|| self.text.len() - answer.len());
        }
        // What could still become thoughts is held back.
        let is_open = THOUGHTS.iter().any(|(open, _)| open.starts_with(spoken));
        (!is_open).then_some(0)
    }

    fn end(mut self, deltas: &Deltas) -> String {
        let begins = self.begins.unwrap_or_else(|| {
            let is_thought =
                THOUGHTS.iter().any(|(open, _)| self.text.trim_start().starts_with(open));
            if is_thought { self.text.len() } else { 0 }
        });
        let answer = self.text.split_off(begins);
        deltas.say(&answer[self.told..]);
        answer
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spoken(text: &str, size: usize) -> String {
        let (deltas, mut told) = Deltas::listened_to(true);
        let mut speech = Speech::default();
        let letters: Vec<char> = text.chars().collect();
        for piece in letters.chunks(size) {
            speech.add(&piece.iter().collect::<String>(), &deltas);
        }
        let answer = speech.end(&deltas);
        let mut heard = String::new();
        while let Ok(crate::adapters::Delta::Text(delta)) = told.try_recv() {
            heard.push_str(&delta);
        }
        assert_eq!(heard, answer, "the deltas are exactly the answer");
        answer
    }

    #[test]
    fn thoughts_are_left_out_and_never_told() {
        for size in 1..20 {
            assert_eq!(spoken("<think>hm\n</think>\n\nhello", size), "hello");
            assert_eq!(spoken(" <thinking>ä</thinking>b", size), "b");
            assert_eq!(spoken("<think>cut", size), "");
            assert_eq!(spoken("<think>cut</think>  ", size), "");
            assert_eq!(spoken("I <think> so", size), "I <think> so");
            assert_eq!(spoken("<thi", size), "<thi");
            assert_eq!(spoken(" <b>", size), " <b>");
            assert_eq!(spoken("", size), "");
        }
    }

    fn piece(index: Option<u64>, id: &str, tool: &str, arguments: Value) -> CallPiece {
        let (id, tool, arguments) = (id.into(), tool.into(), Some(arguments));
        CallPiece { index, id, tool, arguments, ..CallPiece::default() }
    }

    fn gathered(
        pieces: impl IntoIterator<Item = CallPiece>,
    ) -> Result<Vec<ToolCall>, ProviderError> {
        let mut gathered =
            Gathered { stop: Some(Stop::ToolCalls), is_over: true, ..Gathered::default() };
        for piece in pieces {
            gathered.add_call(piece)?;
        }
        gathered.into_answer(0, &Deltas::default()).map(|answer| answer.calls)
    }

    fn call(id: &str, tool: &str, arguments: &str) -> ToolCall {
        let (id, tool, arguments) = (id.into(), tool.into(), arguments.into());
        ToolCall { id, tool, arguments, signature: String::new() }
    }

    #[test]
    fn pieces_of_parallel_calls_find_their_call() {
        let calls = gathered([
            piece(Some(0), "call_1", "a", json!("")),
            piece(Some(1), "call_2", "b", json!("{\"y\"")),
            piece(Some(0), "", "", json!("{\"x\":1}")),
            piece(Some(1), "", "", json!(":2}")),
        ]);
        let expected = [call("call_1", "a", "{\"x\":1}"), call("call_2", "b", "{\"y\":2}")];
        assert_eq!(calls.unwrap(), expected);
    }

    #[test]
    fn servers_without_indexes_or_ids_are_understood() {
        let calls = gathered([
            piece(None, "p", "a", json!({"x": 1})),
            piece(None, "", "b", json!("{")),
            piece(None, "", "", json!("}")),
            piece(None, "p", "", json!("")),
            piece(Some(7), "p", "c", Value::Null),
        ]);
        let expected = [
            call("p", "a", "{\"x\":1}"),
            call("call_1_of_this_turn", "b", "{}"),
            call("call_2_of_this_turn", "c", "{}"),
        ];
        assert_eq!(calls.unwrap(), expected);
        assert!(is_theirs("p") && !is_theirs("call_1_of_this_turn"));
    }

    #[test]
    fn a_huge_index_costs_nothing_and_too_many_calls_are_nonsense() {
        let huge = piece(Some(4_000_000_000), "h", "a", Value::Null);
        assert_eq!(gathered([huge]).unwrap(), [call("h", "a", "{}")]);
        let many = (0..40).map(|index| piece(Some(index), "i", "a", Value::Null));
        assert_eq!(gathered(many), Err(ProviderError::Nonsense));
    }

    #[test]
    fn without_an_end_or_a_reason_there_is_no_answer() {
        for (stop, is_over) in [(None, true), (Some(Stop::Done), false)] {
            let gathered = Gathered { stop, is_over, ..Gathered::default() };
            let answer = gathered.into_answer(0, &Deltas::default());
            assert_eq!(answer, Err(ProviderError::BrokeOff));
        }
    }
}
