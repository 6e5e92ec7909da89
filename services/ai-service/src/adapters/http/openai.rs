use reqwest::header::{AUTHORIZATION, HeaderName};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    adapters::{Deltas, ProviderError},
    domain::conversation::{Stop, Usage},
};

use super::{
    chat::{Chat, Entry, Part, Tool},
    dialect::{Asking, Dialect, parsed},
    failure,
    gathered::{CallPiece, Gathered},
};

/// OpenAI's chat completions, and whatever else speaks them.
#[derive(Debug)]
pub(super) struct OpenAi;

impl Dialect for OpenAi {
    fn path(&self, _: &Asking<'_>) -> String {
        "chat/completions".into()
    }

    fn key_header(&self) -> (HeaderName, &'static str) {
        (AUTHORIZATION, "Bearer ")
    }

    fn request_id_header(&self) -> Option<&'static str> {
        Some("x-request-id")
    }

    fn body(&self, chat: &Chat, asking: &Asking<'_>) -> Value {
        let mut messages = vec![json!({ "role": "system", "content": chat.system() })];
        for entry in &chat.entries {
            match entry {
                Entry::People(parts) => {
                    messages.push(json!({ "role": "user", "content": people(parts) }));
                }
                Entry::Assistant { text, calls } if calls.is_empty() => {
                    messages.push(json!({ "role": "assistant", "content": text }));
                }
                Entry::Assistant { text, calls } => {
                    let calls: Vec<Value> = calls
                        .iter()
                        .map(|call| {
                            let arguments = call.arguments.to_string();
                            let function = json!({ "name": call.tool, "arguments": arguments });
                            json!({ "id": call.id, "type": "function", "function": function })
                        })
                        .collect();
                    let content = if text.is_empty() { Value::Null } else { json!(text) };
                    let role = "assistant";
                    messages.push(json!({ "role": role, "content": content, "tool_calls": calls }));
                }
                Entry::Results(results) => messages.extend(results.iter().map(|result| {
                    let content = &result.content;
                    json!({ "role": "tool", "tool_call_id": result.call_id, "content": content })
                })),
            }
        }
        let mut body = json!({ "model": asking.model, "messages": messages });
        if asking.is_streamed {
            body["stream"] = true.into();
            body["stream_options"] = json!({ "include_usage": true });
        }
        if !chat.tools.is_empty() {
            body["tools"] = chat.tools.iter().map(function).collect();
        }
        if let Some(most) = asking.max_output_tokens {
            // OpenAI's newer models refuse the old name, and many other servers know no new one.
            let is_openai = asking.host == "api.openai.com";
            body[if is_openai { "max_completion_tokens" } else { "max_tokens" }] = most.into();
        }
        if let Some(temperature) = asking.temperature {
            body["temperature"] = temperature.into();
        }
        body
    }

    fn read(
        &self,
        frame: &str,
        answer: &mut Gathered,
        deltas: &Deltas,
    ) -> Result<(), ProviderError> {
        if frame == "[DONE]" {
            answer.is_over = true;
            return Ok(());
        }
        let frame: Frame = parsed(frame)?;
        if let Some(error) = frame.error {
            return Err(failure::in_answer(&error));
        }
        answer.tell(frame.id, frame.model);
        if let Some(usage) = frame.usage {
            answer.usage = Some(usage.into());
        }
        let Some(choice) = frame.choices.unwrap_or_default().into_iter().next() else {
            return Ok(());
        };
        let message = choice.delta.unwrap_or_default();
        answer.say(&message.content.unwrap_or_default(), deltas)?;
        let refusal = message.refusal.unwrap_or_default();
        answer.say(&refusal, deltas)?;
        for call in message.tool_calls.unwrap_or_default() {
            let function = call.function.unwrap_or_default();
            answer.add_call(CallPiece {
                index: call.index,
                id: call.id.unwrap_or_default(),
                tool: function.name.unwrap_or_default(),
                arguments: function.arguments,
                signature: String::new(),
            })?;
        }
        if let Some(reason) = choice.finish_reason {
            let is_refused = answer.stop == Some(Stop::Refused);
            answer.stop = Some(if is_refused { Stop::Refused } else { stop(&reason)? });
        }
        if !refusal.is_empty() {
            answer.stop = Some(Stop::Refused);
        }
        Ok(())
    }

    fn read_whole(
        &self,
        body: &str,
        answer: &mut Gathered,
        deltas: &Deltas,
    ) -> Result<(), ProviderError> {
        self.read(body, answer, deltas)?;
        answer.is_over = true;
        Ok(())
    }

    /// Not every server that speaks it sends `[DONE]`; the reason to stop stands behind all words.
    fn at_end(&self, answer: &mut Gathered) {
        answer.is_over = answer.stop.is_some();
    }
}

/// Writes a tool as OpenAI and Ollama have it.
pub(super) fn function(tool: &Tool) -> Value {
    let Tool { name, description, parameters } = tool;
    let function = json!({ "name": name, "description": description, "parameters": parameters });
    json!({ "type": "function", "function": function })
}

fn people(parts: &[Part]) -> Value {
    if let [Part::Text(text)] = parts {
        return json!(text);
    }
    let part = |part: &Part| match part {
        Part::Text(text) => json!({ "type": "text", "text": text }),
        Part::Image { media_type, base64 } => {
            let url = format!("data:{media_type};base64,{base64}");
            json!({ "type": "image_url", "image_url": { "url": url } })
        }
    };
    parts.iter().map(part).collect()
}

/// Reads why the model stopped; a server's own failure is no reason.
fn stop(reason: &str) -> Result<Stop, ProviderError> {
    match reason {
        "length" | "max_tokens" => Ok(Stop::Length),
        "content_filter" => Ok(Stop::Refused),
        "tool_calls" | "function_call" => Ok(Stop::ToolCalls),
        "error" | "abort" | "cancelled" | "canceled" | "insufficient_system_resource" => {
            Err(ProviderError::Nonsense)
        }
        _ => Ok(Stop::Done),
    }
}

#[derive(Deserialize)]
struct Frame {
    id: Option<String>,
    model: Option<String>,
    choices: Option<Vec<Choice>>,
    usage: Option<Counts>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(alias = "message")]
    delta: Option<Message>,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Message {
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<Call>>,
}

#[derive(Deserialize)]
struct Call {
    index: Option<u64>,
    id: Option<String>,
    function: Option<Function>,
}

#[derive(Default, Deserialize)]
struct Function {
    name: Option<String>,
    /// A piece of text; some servers send the object itself.
    arguments: Option<Value>,
}

#[derive(Deserialize)]
struct Counts {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
}

impl From<Counts> for Usage {
    fn from(counts: Counts) -> Self {
        let cached = counts.prompt_tokens_details.and_then(|details| details.cached_tokens);
        Self {
            prompt: counts.prompt_tokens.unwrap_or(0),
            completion: counts.completion_tokens.unwrap_or(0),
            cached: cached.unwrap_or(0),
            cache_written: 0,
        }
    }
}
