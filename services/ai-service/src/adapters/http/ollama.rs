use reqwest::header::{AUTHORIZATION, HeaderName};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    adapters::{Deltas, ProviderError},
    domain::conversation::{Stop, Usage},
};

use super::{
    attempt,
    chat::{Chat, Entry, Part},
    dialect::{Asking, Dialect, parsed},
    failure,
    framing::Framing,
    gathered::{CallPiece, Gathered},
    openai,
};

/// How many tokens are made room for at the least, and at the most.
const LEAST_ROOM: u64 = 8_192;
const MOST_ROOM: u64 = 131_072;

/// Ollama's own chat, which can be told how much context to make room for.
#[derive(Debug)]
pub(super) struct Ollama;

impl Dialect for Ollama {
    fn path(&self, _: &Asking<'_>) -> String {
        "api/chat".into()
    }

    fn key_header(&self) -> (HeaderName, &'static str) {
        (AUTHORIZATION, "Bearer ")
    }

    fn body(&self, chat: &Chat, asking: &Asking<'_>) -> Value {
        let mut messages = vec![json!({ "role": "system", "content": chat.system() })];
        for entry in &chat.entries {
            match entry {
                Entry::People(parts) => messages.push(people(parts)),
                Entry::Assistant { text, calls } => {
                    let mut message = json!({ "role": "assistant", "content": text });
                    if !calls.is_empty() {
                        let call = |call: &super::chat::Call| {
                            let (name, arguments) = (&call.tool, &call.arguments);
                            let function = json!({ "name": name, "arguments": arguments });
                            json!({ "id": call.id, "function": function })
                        };
                        message["tool_calls"] = calls.iter().map(call).collect();
                    }
                    messages.push(message);
                }
                Entry::Results(results) => messages.extend(results.iter().map(|result| {
                    json!({
                        "role": "tool",
                        "tool_name": result.tool,
                        "tool_call_id": result.call_id,
                        "content": result.content,
                    })
                })),
            }
        }
        let mut options = json!({});
        if let Some(most) = asking.max_output_tokens {
            options["num_predict"] = most.into();
        }
        if let Some(temperature) = asking.temperature {
            options["temperature"] = temperature.into();
        }
        let room = asking.context_window.map_or_else(|| room_for(chat, asking), u64::from);
        options["num_ctx"] = room.into();
        let mut body = json!({
            "model": asking.model,
            "messages": messages,
            "stream": asking.is_streamed,
            "options": options,
        });
        if !chat.tools.is_empty() {
            body["tools"] = chat.tools.iter().map(openai::function).collect();
        }
        body
    }

    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn read(
        &self,
        frame: &str,
        answer: &mut Gathered,
        deltas: &Deltas,
    ) -> Result<(), ProviderError> {
        let frame: Frame = parsed(frame)?;
        if let Some(error) = frame.error {
            return Err(failure::in_answer(&error));
        }
        answer.tell(None, frame.model);
        let message = frame.message.unwrap_or_default();
        answer.say(&message.content.unwrap_or_default(), deltas)?;
        // A call always comes whole.
        for call in message.tool_calls.unwrap_or_default() {
            answer.add_call(CallPiece {
                index: None,
                id: call.id.unwrap_or_default(),
                tool: call.function.name,
                arguments: call.function.arguments,
                signature: String::new(),
            })?;
        }
        if frame.done.unwrap_or(false) {
            answer.is_over = true;
            answer.stop = Some(stop(frame.done_reason.as_deref())?);
            answer.usage = frame
                .prompt_eval_count
                .zip(frame.eval_count)
                .map(|(prompt, completion)| Usage { prompt, completion, ..Usage::default() });
        }
        Ok(())
    }
}

/// Returns how many tokens are made room for where the settings do not say: a power of two, since the
/// model is loaded anew for each other size.
///
/// Ollama's own default is a few thousand, and what does not fit it drops without a word, from the
/// beginning: the instructions first.
fn room_for(chat: &Chat, asking: &Asking<'_>) -> u64 {
    let completion = asking.max_output_tokens.map_or(LEAST_ROOM / 2, u64::from);
    let whole = attempt::tokens(chat.bytes).saturating_add(completion);
    whole.clamp(LEAST_ROOM, MOST_ROOM).next_power_of_two()
}

fn people(parts: &[Part]) -> Value {
    let mut text = Vec::new();
    let mut images = Vec::new();
    for part in parts {
        match part {
            Part::Text(part) => text.push(part.as_str()),
            Part::Image { base64, .. } => images.push(base64.as_str()),
        }
    }
    let mut message = json!({ "role": "user", "content": text.join("\n") });
    if !images.is_empty() {
        message["images"] = json!(images);
    }
    message
}

fn stop(reason: Option<&str>) -> Result<Stop, ProviderError> {
    match reason {
        Some("length") => Ok(Stop::Length),
        // The model was loaded or put away, and nothing was asked of it.
        Some("load" | "unload") => Err(ProviderError::Nonsense),
        _ => Ok(Stop::Done),
    }
}

#[derive(Deserialize)]
struct Frame {
    model: Option<String>,
    message: Option<Message>,
    done: Option<bool>,
    done_reason: Option<String>,
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
    error: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Message {
    content: Option<String>,
    tool_calls: Option<Vec<Call>>,
}

#[derive(Deserialize)]
struct Call {
    id: Option<String>,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    arguments: Option<Value>,
}
