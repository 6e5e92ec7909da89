use std::sync::{Arc, Mutex, PoisonError};

use axum::{Json, Router, extract::State, response::IntoResponse, routing::post};
use serde_json::{Value, json};

/// A model that makes the same tool calls for each message, and then says that it is done. Where it is
/// to sum a channel up, it numbers what it writes: `Summary number 1.`; where it is to judge a message, it
/// takes it for a scam.
#[derive(Clone, Debug)]
pub struct ScriptedModel {
    calls: Vec<(&'static str, Value)>,
    requests: Arc<Mutex<Vec<Value>>>,
    base_url: String,
}

impl ScriptedModel {
    /// Serves a model of one call on a free port, in the shape of `OpenAI`'s API.
    pub async fn start(tool: &'static str, arguments: Value) -> anyhow::Result<Self> {
        Self::start_with(vec![(tool, arguments)]).await
    }

    /// Serves a model that makes these calls at once.
    #[expect(clippy::disallowed_methods, reason = "a test's own server, which ends with it")]
    pub async fn start_with(calls: Vec<(&'static str, Value)>) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let base_url = format!("http://{}/v1", listener.local_addr()?);
        let model = Self { calls, requests: Arc::default(), base_url };
        let router =
            Router::new().route("/v1/chat/completions", post(complete)).with_state(model.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(model)
    }

    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Returns what it was asked so far.
    pub fn requests(&self) -> Vec<Value> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn complete(
    State(model): State<ScriptedModel>,
    Json(request): Json<Value>,
) -> impl IntoResponse {
    let last = request["messages"].as_array().and_then(|messages| messages.last()).cloned();
    let mut requests = model.requests.lock().unwrap_or_else(PoisonError::into_inner);
    requests.push(request);
    let sums_up = |request: &Value| {
        let system = request["messages"][0]["content"].as_str().unwrap_or_default();
        system.contains("the summary of one channel")
    };
    let summary = requests.last().is_some_and(sums_up).then(|| {
        let number = requests.iter().filter(|request| sums_up(request)).count();
        format!("Summary number {number}.")
    });
    let judges = |request: &Value| {
        let system = request["messages"][0]["content"].as_str().unwrap_or_default();
        system.contains("You judge one message")
    };
    let verdict = requests.last().is_some_and(judges).then(|| {
        let verdict = json!({
            "category": "scam", "severity": "high", "confidence": 90, "reason": "It sells coins.",
        });
        verdict.to_string()
    });
    drop(requests);
    let is_answered = last.is_some_and(|last| last["role"] == "tool") || model.calls.is_empty();
    let (delta, reason) = if let Some(text) = summary.or(verdict) {
        (json!({ "role": "assistant", "content": text }), "stop")
    } else if is_answered {
        (json!({ "role": "assistant", "content": "Done. @everyone" }), "stop")
    } else {
        let call = |(index, (tool, arguments)): (usize, &(&str, Value))| {
            let function = json!({ "name": tool, "arguments": arguments.to_string() });
            json!({
                "index": index, "id": format!("c{index}"), "type": "function", "function": function,
            })
        };
        let calls: Vec<Value> = model.calls.iter().enumerate().map(call).collect();
        (json!({ "role": "assistant", "tool_calls": calls }), "tool_calls")
    };
    let chunk = |delta: Value, reason: Option<&str>| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": reason });
        let chunk = json!({
            "id": "x", "object": "chat.completion.chunk", "model": "m", "choices": [choice],
        });
        format!("data: {chunk}\n\n")
    };
    let body = format!("{}{}data: [DONE]\n\n", chunk(delta, None), chunk(json!({}), Some(reason)));
    ([("content-type", "text/event-stream")], body)
}
