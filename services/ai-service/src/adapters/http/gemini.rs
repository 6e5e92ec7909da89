use reqwest::header::HeaderName;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    adapters::{Deltas, ProviderError},
    domain::conversation::{Stop, Usage},
};

use super::{
    chat::{Call, CallResult, Chat, Entry, Part},
    dialect::{Asking, Dialect, larger, parsed},
    failure,
    gathered::{CallPiece, Gathered, is_theirs},
};

/// What the API takes in place of a signature for a call that another model made.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Google's `generateContent`.
#[derive(Debug)]
pub(super) struct Gemini;

impl Dialect for Gemini {
    fn path(&self, asking: &Asking<'_>) -> String {
        let model = asking.model.strip_prefix("models/").unwrap_or(asking.model);
        let method = if asking.is_streamed { "streamGenerateContent" } else { "generateContent" };
        format!("models/{model}:{method}")
    }

    fn query(&self, asking: &Asking<'_>) -> Option<&'static str> {
        asking.is_streamed.then_some("alt=sse")
    }

    fn key_header(&self) -> (HeaderName, &'static str) {
        (HeaderName::from_static("x-goog-api-key"), "")
    }

    fn body(&self, chat: &Chat, asking: &Asking<'_>) -> Value {
        let contents: Vec<Value> = chat.entries.iter().filter_map(content).collect();
        let mut body = json!({
            "systemInstruction": { "parts": [{ "text": chat.system() }] },
            "contents": contents,
        });
        if !chat.tools.is_empty() {
            let tool = |tool: &super::chat::Tool| {
                let (name, description) = (&tool.name, &tool.description);
                // `parameters` knows a part of JSON Schema only.
                let schema = &tool.parameters;
                json!({ "name": name, "description": description, "parametersJsonSchema": schema })
            };
            let tools: Value = chat.tools.iter().map(tool).collect();
            body["tools"] = json!([{ "functionDeclarations": tools }]);
        }
        let mut generation = json!({});
        if let Some(most) = asking.max_output_tokens {
            generation["maxOutputTokens"] = most.into();
        }
        if let Some(temperature) = asking.temperature {
            generation["temperature"] = temperature.into();
        }
        body["generationConfig"] = generation;
        body
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
        answer.tell(frame.response_id, frame.model_version);
        if let Some(counts) = frame.usage_metadata {
            answer.usage = Some(larger(answer.usage, counts.into()));
        }
        if frame.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some()) {
            answer.stop = Some(Stop::Refused);
        }
        let Some(candidate) = frame.candidates.unwrap_or_default().into_iter().next() else {
            return Ok(());
        };
        let content = candidate.content.unwrap_or_default();
        for part in content.parts.unwrap_or_default() {
            if let Some(text) = part.text.filter(|_| !part.thought.unwrap_or(false)) {
                answer.say(&text, deltas)?;
            }
            if let Some(call) = part.function_call {
                answer.add_call(CallPiece {
                    index: None,
                    id: call.id.unwrap_or_default(),
                    tool: call.name,
                    arguments: call.args,
                    signature: part.thought_signature.unwrap_or_default(),
                })?;
            }
        }
        if let Some(reason) = candidate.finish_reason {
            answer.stop = Some(stop(&reason)?);
        }
        Ok(())
    }

    /// A stream has no mark of its end but its finish reason, which stands in its last frame.
    fn at_end(&self, answer: &mut Gathered) {
        answer.is_over = answer.stop.is_some();
    }
}

fn content(entry: &Entry) -> Option<Value> {
    let (role, parts): (&str, Vec<Value>) = match entry {
        Entry::People(parts) => ("user", parts.iter().map(part).collect()),
        Entry::Assistant { text, calls } => {
            let text = Some(text).filter(|text| !text.is_empty());
            let text = text.map(|text| json!({ "text": text }));
            ("model", text.into_iter().chain(calls_of(calls)).collect())
        }
        Entry::Results(results) => ("user", results.iter().map(response).collect()),
    };
    (!parts.is_empty()).then(|| json!({ "role": role, "parts": parts }))
}

fn part(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({ "text": text }),
        Part::Image { media_type, base64 } => {
            json!({ "inlineData": { "mimeType": media_type, "data": base64 } })
        }
    }
}

fn calls_of(calls: &[Call]) -> impl Iterator<Item = Value> {
    // The first of parallel calls carries the signature of them all.
    let is_unsigned = calls.iter().all(|call| call.signature.is_empty());
    calls.iter().enumerate().map(move |(index, call)| {
        let mut function = json!({ "name": call.tool, "args": call.arguments });
        if is_theirs(&call.id) {
            function["id"] = json!(call.id);
        }
        let mut part = json!({ "functionCall": function });
        if !call.signature.is_empty() {
            part["thoughtSignature"] = json!(call.signature);
        } else if is_unsigned && index == 0 {
            part["thoughtSignature"] = json!(NO_SIGNATURE);
        }
        part
    })
}

fn response(result: &CallResult) -> Value {
    // A result must be an object.
    let content = match serde_json::from_str(&result.content) {
        Ok(object @ Value::Object(_)) => object,
        Ok(other) => json!({ "result": other }),
        Err(_) => json!({ "result": result.content }),
    };
    let mut response = json!({ "name": result.tool, "response": content });
    if is_theirs(&result.call_id) {
        response["id"] = json!(result.call_id);
    }
    json!({ "functionResponse": response })
}

fn stop(reason: &str) -> Result<Stop, ProviderError> {
    match reason {
        "MAX_TOKENS" => Ok(Stop::Length),
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII"
        | "IMAGE_SAFETY" => Ok(Stop::Refused),
        // What the model wrote could not be read as a call, or the server failed.
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE"
        | "OTHER"
        | "FINISH_REASON_UNSPECIFIED" => Err(ProviderError::Nonsense),
        _ => Ok(Stop::Done),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame {
    candidates: Option<Vec<Candidate>>,
    prompt_feedback: Option<Feedback>,
    usage_metadata: Option<Counts>,
    model_version: Option<String>,
    response_id: Option<String>,
    error: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback {
    block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Option<Content>,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Content {
    parts: Option<Vec<ContentPart>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContentPart {
    text: Option<String>,
    thought: Option<bool>,
    thought_signature: Option<String>,
    function_call: Option<FunctionCall>,
}

#[derive(Deserialize)]
struct FunctionCall {
    id: Option<String>,
    name: String,
    args: Option<Value>,
}

#[expect(clippy::struct_field_names, reason = "the API's own names")]
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    prompt_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
}

impl From<Counts> for Usage {
    fn from(counts: Counts) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| a.unwrap_or(0) + b.unwrap_or(0);
        Self {
            prompt: sum(counts.prompt_token_count, counts.tool_use_prompt_token_count),
            completion: sum(counts.candidates_token_count, counts.thoughts_token_count),
            cached: counts.cached_content_token_count.unwrap_or(0),
            cache_written: 0,
        }
    }
}
