use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// How many tokens each answer costs, as it is reported.
pub const PROMPT: u64 = 100;
pub const COMPLETION: u64 = 20;

/// A model that answers each message with a word, and reports what that cost: a meter beside which
/// Ery's own counts can be laid.
#[derive(Clone, Debug)]
pub struct MeteredModel {
    inner: Arc<Inner>,
    base_url: String,
}

#[derive(Debug, Default)]
struct Inner {
    /// The model of each answer that was given whole.
    reported: Mutex<Vec<String>>,
    /// The keys that it was asked with, answered or not.
    keys: Mutex<Vec<String>>,
    /// Keys that it does not accept.
    refused: Mutex<Vec<String>>,
    is_held: AtomicBool,
    released: Notify,
}

impl MeteredModel {
    /// Serves it on a free port, in the shape of `OpenAI`'s API.
    #[expect(clippy::disallowed_methods, reason = "a test's own server, which ends with it")]
    pub async fn start() -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let base_url = format!("http://{}/v1", listener.local_addr()?);
        let model = Self { inner: Arc::default(), base_url };
        let router =
            Router::new().route("/v1/chat/completions", post(complete)).with_state(model.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(model)
    }

    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Returns the models of the answers that it gave and charged for.
    pub fn reported(&self) -> Vec<String> {
        self.inner.reported.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns how many tokens it charged for.
    pub fn tokens(&self) -> u64 {
        u64::try_from(self.reported().len()).unwrap_or(u64::MAX) * (PROMPT + COMPLETION)
    }

    /// Returns how often it was asked, answered or not.
    pub fn asked(&self) -> usize {
        self.keys().len()
    }

    /// Returns the keys that it was asked with, in order.
    pub fn keys(&self) -> Vec<String> {
        self.inner.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Accepts a key no more.
    pub fn refuse(&self, key: &str) {
        self.inner.refused.lock().unwrap_or_else(PoisonError::into_inner).push(key.to_owned());
    }

    /// Answers nothing until it is let go on.
    pub fn hold(&self) {
        self.inner.is_held.store(true, Ordering::SeqCst);
    }

    pub fn go_on(&self) {
        self.inner.is_held.store(false, Ordering::SeqCst);
        self.inner.released.notify_waiters();
    }
}

async fn complete(
    State(model): State<MeteredModel>,
    headers: HeaderMap,
    Json(request): Json<Value>,
) -> Response {
    let key = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = key.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default().to_owned();
    let refused = model.inner.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
    model.inner.keys.lock().unwrap_or_else(PoisonError::into_inner).push(key.clone());
    if refused.contains(&key) {
        let error = json!({ "error": { "message": format!("Incorrect API key: {key}") } });
        return (StatusCode::UNAUTHORIZED, Json(error)).into_response();
    }
    loop {
        let released = model.inner.released.notified();
        if !model.inner.is_held.load(Ordering::SeqCst) {
            break;
        }
        released.await;
    }
    // Whoever went away meanwhile dropped this, and is charged nothing.
    let name = request["model"].as_str().unwrap_or_default().to_owned();
    model.inner.reported.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
    let chunk = |delta: Value, reason: Option<&str>| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": reason });
        let chunk = json!({
            "id": "x", "object": "chat.completion.chunk", "model": name, "choices": [choice],
        });
        format!("data: {chunk}\n\n")
    };
    let usage = json!({
        "id": "x", "object": "chat.completion.chunk", "model": name, "choices": [],
        "usage": { "prompt_tokens": PROMPT, "completion_tokens": COMPLETION,
            "total_tokens": PROMPT + COMPLETION },
    });
    let said = json!({ "role": "assistant", "content": format!("Thus speaks {name}.") });
    let (said, end) = (chunk(said, None), chunk(json!({}), Some("stop")));
    (
        [("content-type", "text/event-stream")],
        format!("{said}{end}data: {usage}\n\ndata: [DONE]\n\n"),
    )
        .into_response()
}
