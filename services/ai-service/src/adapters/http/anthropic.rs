use reqwest::header::HeaderName;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    adapters::{Deltas, ProviderError},
    domain::conversation::{Stop, Usage},
};

use super::{
    chat::{Chat, Entry, Part},
    dialect::{Asking, Dialect, larger, parsed},
    failure,
    gathered::{CallPiece, Gathered},
};

/// The API must be told a bound; this one leaves room for any answer on Discord.
const DEFAULT_MAX_TOKENS: u32 = 4_096;

/// Anthropic's Messages.
#[derive(Debug)]
pub(super) struct Anthropic;

impl Dialect for Anthropic {
    fn path(&self, _: &Asking<'_>) -> String {
        "messages".into()
    }

    fn key_header(&self) -> (HeaderName, &'static str) {
        (HeaderName::from_static("x-api-key"), "")
    }

    fn fixed_header(&self) -> Option<(&'static str, &'static str)> {
        Some(("anthropic-version", "2023-06-01"))
    }

    fn request_id_header(&self) -> Option<&'static str> {
        Some("request-id")
    }

    fn body(&self, chat: &Chat, asking: &Asking<'_>) -> Value {
        // Tools stand before the system prompt: one mark has both of them cached.
        let mut system = Vec::new();
        if !chat.instructions.is_empty() {
            let cache = json!({ "type": "ephemeral" });
            let text = &chat.instructions;
            system.push(json!({ "type": "text", "text": text, "cache_control": cache }));
        }
        system.push(json!({ "type": "text", "text": chat.about_marker }));
        let mut messages: Vec<(&str, Vec<Value>)> = Vec::new();
        for entry in &chat.entries {
            let (role, blocks) = blocks(entry);
            match messages.last_mut() {
                // An answer without a word is left out, and then its neighbours are one.
                Some((last, known)) if *last == role => known.extend(blocks),
                _ if blocks.is_empty() => {}
                _ => messages.push((role, blocks)),
            }
        }
        let messages: Vec<Value> = messages
            .into_iter()
            .map(|(role, content)| json!({ "role": role, "content": content }))
            .collect();
        let mut body = json!({
            "model": asking.model,
            "max_tokens": asking.max_output_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
            "system": system,
            "messages": messages,
            "stream": asking.is_streamed,
        });
        if !chat.tools.is_empty() {
            let tool = |tool: &super::chat::Tool| {
                let (name, schema) = (&tool.name, &tool.parameters);
                let description = &tool.description;
                json!({ "name": name, "description": description, "input_schema": schema })
            };
            body["tools"] = chat.tools.iter().map(tool).collect();
        }
        if let Some(temperature) = asking.temperature {
            // Its scale ends at 1.
            body["temperature"] = temperature.min(1.0).into();
        }
        body
    }

    fn read(
        &self,
        frame: &str,
        answer: &mut Gathered,
        deltas: &Deltas,
    ) -> Result<(), ProviderError> {
        match parsed::<Event>(frame)? {
            Event::MessageStart { message } => {
                answer.tell(message.id, message.model);
                count(answer, message.usage);
                Ok(())
            }
            Event::ContentBlockStart { index, content_block } => {
                block(answer, Some(index), content_block, deltas)
            }
            Event::ContentBlockDelta { index, delta } => match delta {
                Delta::Text { text } => answer.say(&text, deltas),
                Delta::InputJson { partial_json } => answer.add_call(CallPiece {
                    index: Some(index),
                    arguments: Some(partial_json.into()),
                    ..CallPiece::default()
                }),
                Delta::Other => Ok(()),
            },
            Event::MessageDelta { delta, usage } => {
                count(answer, usage);
                if let Some(reason) = delta.stop_reason {
                    answer.stop = Some(stop(&reason)?);
                }
                Ok(())
            }
            Event::MessageStop => {
                answer.is_over = true;
                Ok(())
            }
            Event::Error { error } => Err(failure::in_answer(&error)),
            Event::Other => Ok(()),
        }
    }

    fn read_whole(
        &self,
        body: &str,
        answer: &mut Gathered,
        deltas: &Deltas,
    ) -> Result<(), ProviderError> {
        let message: Message = parsed(body)?;
        answer.tell(message.id, message.model);
        count(answer, message.usage);
        for (index, content) in (0..).zip(message.content.unwrap_or_default()) {
            block(answer, Some(index), content, deltas)?;
        }
        answer.stop = message.stop_reason.map(|reason| stop(&reason)).transpose()?;
        answer.is_over = true;
        Ok(())
    }
}

fn blocks(entry: &Entry) -> (&'static str, Vec<Value>) {
    match entry {
        Entry::People(parts) => {
            let part = |part: &Part| match part {
                Part::Text(text) => json!({ "type": "text", "text": text }),
                Part::Image { media_type, base64 } => {
                    let kind = "base64";
                    let source = json!({ "type": kind, "media_type": media_type, "data": base64 });
                    json!({ "type": "image", "source": source })
                }
            };
            ("user", parts.iter().map(part).collect())
        }
        Entry::Assistant { text, calls } => {
            // A block without text is refused.
            let text = Some(text).filter(|text| !text.trim().is_empty());
            let text = text.map(|text| json!({ "type": "text", "text": text.trim_end() }));
            let calls = calls.iter().map(|call| {
                let (id, name, input) = (identifier(&call.id), &call.tool, &call.arguments);
                json!({ "type": "tool_use", "id": id, "name": name, "input": input })
            });
            ("assistant", text.into_iter().chain(calls).collect())
        }
        Entry::Results(results) => {
            let result = |result: &super::chat::CallResult| {
                let mut block = json!({
                    "type": "tool_result",
                    "tool_use_id": identifier(&result.call_id),
                    "content": result.content,
                });
                if result.is_error {
                    block["is_error"] = true.into();
                }
                block
            };
            ("user", results.iter().map(result).collect())
        }
    }
}

/// Returns an id of the shape that this API demands, whoever gave it.
fn identifier(id: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    id.chars().map(|c| if fits(c) { c } else { '_' }).collect()
}

fn block(
    answer: &mut Gathered,
    index: Option<u64>,
    block: Block,
    deltas: &Deltas,
) -> Result<(), ProviderError> {
    match block {
        Block::Text { text } => answer.say(&text, deltas),
        Block::ToolUse { id, name, input } => {
            // In a stream the pieces follow, and this is an empty object.
            let arguments = input.filter(|input| input.as_object().is_none_or(|o| !o.is_empty()));
            answer.add_call(CallPiece { index, id, tool: name, arguments, ..CallPiece::default() })
        }
        Block::Other => Ok(()),
    }
}

fn count(answer: &mut Gathered, counts: Option<Counts>) {
    if let Some(counts) = counts {
        let cached = counts.cache_read_input_tokens.unwrap_or(0);
        let cache_written = counts.cache_creation_input_tokens.unwrap_or(0);
        let told = Usage {
            prompt: counts.input_tokens.unwrap_or(0) + cached + cache_written,
            completion: counts.output_tokens.unwrap_or(0),
            cached,
            cache_written,
        };
        answer.usage = Some(larger(answer.usage, told));
    }
}

fn stop(reason: &str) -> Result<Stop, ProviderError> {
    match reason {
        "tool_use" => Ok(Stop::ToolCalls),
        "max_tokens" | "model_context_window_exceeded" => Ok(Stop::Length),
        "refusal" => Ok(Stop::Refused),
        // Only tools of the provider's own pause a turn, and none is offered.
        "pause_turn" => Err(ProviderError::Nonsense),
        _ => Ok(Stop::Done),
    }
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Message,
    },
    ContentBlockStart {
        index: u64,
        content_block: Block,
    },
    ContentBlockDelta {
        index: u64,
        delta: Delta,
    },
    MessageDelta {
        delta: End,
        usage: Option<Counts>,
    },
    MessageStop,
    Error {
        error: Value,
    },
    /// `ping`, `content_block_stop`, and what is new.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Message {
    id: Option<String>,
    model: Option<String>,
    content: Option<Vec<Block>>,
    stop_reason: Option<String>,
    usage: Option<Counts>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
        input: Option<Value>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: String },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct End {
    stop_reason: Option<String>,
}

#[expect(clippy::struct_field_names, reason = "the API's own names")]
#[derive(Deserialize)]
struct Counts {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
}
