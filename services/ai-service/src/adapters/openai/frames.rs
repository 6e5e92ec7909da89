use std::{
    borrow::Cow,
    sync::{Mutex, MutexGuard, PoisonError},
};

use genai::chat::{ChatFrameSink, FrameCtx, RawFrameRef};
use serde::Deserialize;
use serde_json::Value;

use crate::{adapters::ProviderError, domain::conversation::ToolCall};

/// How many tool calls an answer may have.
const MOST_CALLS: usize = 32;

/// The longest id of a call that is echoed.
const LONGEST_ID: usize = 64;

/// Gathers from a stream's frames what genai does not tell, or tells unsafely: tool calls, the
/// request's id, the model that answered.
#[derive(Debug, Default)]
pub(super) struct Frames(Mutex<Gathered>);

#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    pub(super) request_id: String,
    pub(super) model: String,
    pub(super) argument_bytes: usize,
    calls: Vec<PartialCall>,
    is_nonsense: bool,
}

#[derive(Clone, Debug, Default)]
struct PartialCall {
    index: Option<usize>,
    id: String,
    tool: String,
    arguments: String,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(default)]
    choices: Option<Vec<Choice>>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Option<Delta>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Deserialize)]
struct CallDelta {
    #[serde(default)]
    index: Option<usize>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<FunctionDelta>,
}

#[derive(Deserialize)]
struct FunctionDelta {
    #[serde(default)]
    name: Option<String>,
    /// A piece of text; some servers send the object itself.
    #[serde(default)]
    arguments: Option<Value>,
}

impl ChatFrameSink for Frames {
    fn on_frame(&self, _: &FrameCtx, frame: RawFrameRef<'_>) {
        let mut gathered = self.gathered();
        // Most frames hold a piece of text only, which genai reads.
        if !gathered.request_id.is_empty() && !frame.data.contains("tool_calls") {
            return;
        }
        match serde_json::from_str::<Frame<'_>>(frame.data) {
            Ok(read) => gathered.add(read),
            // `[DONE]` and keep-alives are no JSON.
            Err(_) if frame.data.contains("tool_calls") => gathered.is_nonsense = true,
            Err(_) => {}
        }
    }
}

impl Frames {
    /// Takes what was gathered.
    pub(super) fn take(&self) -> Gathered {
        std::mem::take(&mut *self.gathered())
    }

    pub(super) fn argument_bytes(&self) -> usize {
        self.gathered().argument_bytes
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gathered {
    fn add(&mut self, frame: Frame<'_>) {
        if self.request_id.is_empty() {
            self.request_id = bounded(frame.id.unwrap_or_default().into_owned(), 128);
        }
        if self.model.is_empty() {
            self.model = bounded(frame.model.unwrap_or_default().into_owned(), 128);
        }
        let choice = frame.choices.and_then(|choices| choices.into_iter().next());
        let delta = choice.and_then(|choice| choice.delta);
        for call in delta.and_then(|delta| delta.tool_calls).unwrap_or_default() {
            self.add_call(call);
        }
    }

    fn add_call(&mut self, delta: CallDelta) {
        let id = delta.id.unwrap_or_default();
        let function = delta.function.unwrap_or(FunctionDelta { name: None, arguments: None });
        let name = function.name.unwrap_or_default();
        let known = self.calls.iter().position(|call| match delta.index {
            Some(index) => call.index == Some(index),
            None => !id.is_empty() && call.id == id,
        });
        let position = match (known, delta.index) {
            // A server without indexes goes on with its last call.
            (None, None) if id.is_empty() && name.is_empty() => self.calls.len().checked_sub(1),
            (known, _) => known,
        };
        let position = position.unwrap_or_else(|| {
            self.calls.push(PartialCall { index: delta.index, ..PartialCall::default() });
            self.calls.len() - 1
        });
        if self.calls.len() > MOST_CALLS {
            self.calls.truncate(MOST_CALLS);
            self.is_nonsense = true;
            return;
        }
        let call = &mut self.calls[position];
        if call.id.is_empty() {
            call.id = id;
        }
        if call.tool.is_empty() {
            call.tool = name;
        }
        let arguments = match function.arguments {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(piece)) => piece,
            Some(whole) => whole.to_string(),
        };
        self.argument_bytes += arguments.len() + call.id.len() + call.tool.len();
        call.arguments.push_str(&arguments);
    }

    /// Returns the calls, each with an id of its own.
    pub(super) fn into_calls(self) -> Result<Vec<ToolCall>, ProviderError> {
        if self.is_nonsense {
            return Err(ProviderError::Nonsense);
        }
        let mut calls: Vec<ToolCall> = Vec::with_capacity(self.calls.len());
        for (index, partial) in self.calls.into_iter().enumerate() {
            let is_taken = calls.iter().any(|call| call.id == partial.id);
            let is_fit = !partial.id.is_empty() && partial.id.len() <= LONGEST_ID && !is_taken;
            let id = if is_fit { partial.id } else { format!("call_{index}_of_this_turn") };
            // A tool without parameters may be called without arguments.
            let arguments = match partial.arguments.trim() {
                "" => "{}".to_owned(),
                _ => partial.arguments,
            };
            calls.push(ToolCall { id, tool: bounded(partial.tool, 128), arguments });
        }
        Ok(calls)
    }
}

fn bounded(text: String, longest: usize) -> String {
    if text.len() <= longest { text } else { text.chars().take(longest / 4).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn gathered(deltas: &[Value]) -> Result<Vec<(String, String, String)>, ProviderError> {
        let mut gathered = Gathered::default();
        for delta in deltas {
            let frame = json!({"choices": [{"delta": {"tool_calls": [delta]}}]}).to_string();
            gathered.add(serde_json::from_str(&frame).unwrap());
        }
        let calls = gathered.into_calls()?;
        Ok(calls.into_iter().map(|call| (call.id, call.tool, call.arguments)).collect())
    }

    fn call(id: &str, tool: &str, arguments: &str) -> (String, String, String) {
        (id.into(), tool.into(), arguments.into())
    }

    #[test]
    fn pieces_are_put_together_by_index() {
        let calls = gathered(&[
            json!({"index": 0, "id": "call_1", "function": {"name": "a", "arguments": ""}}),
            json!({"index": 1, "id": "call_2", "function": {"name": "b", "arguments": "{\"y\""}}),
            json!({"index": 0, "function": {"arguments": "{\"x\":1}"}}),
            json!({"index": 1, "function": {"arguments": ":2}"}}),
        ]);
        let expected = [call("call_1", "a", "{\"x\":1}"), call("call_2", "b", "{\"y\":2}")];
        assert_eq!(calls.unwrap(), expected);
    }

    #[test]
    fn servers_without_indexes_or_ids_are_understood() {
        let calls = gathered(&[
            json!({"id": "p", "function": {"name": "a", "arguments": {"x": 1}}}),
            json!({"function": {"name": "b", "arguments": "{"}}),
            json!({"function": {"arguments": "}"}}),
            json!({"id": "p", "function": {"arguments": ""}}),
            json!({"index": 7, "id": "p", "function": {"name": "c"}}),
        ]);
        let expected = [
            call("p", "a", "{\"x\":1}"),
            call("call_1_of_this_turn", "b", "{}"),
            call("call_2_of_this_turn", "c", "{}"),
        ];
        assert_eq!(calls.unwrap(), expected);
    }

    #[test]
    fn a_huge_index_costs_nothing_and_too_many_calls_are_nonsense() {
        let huge = json!({"index": 4_000_000_000_u32, "id": "h", "function": {"name": "a"}});
        assert_eq!(gathered(&[huge]).unwrap(), [call("h", "a", "{}")]);
        let many: Vec<Value> = (0..40).map(|index| json!({"index": index, "id": "i"})).collect();
        assert_eq!(gathered(&many), Err(ProviderError::Nonsense));
    }
}
