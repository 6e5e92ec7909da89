use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::State, response::IntoResponse, routing::post};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// A model that writes its answer piece by piece, and stops in its midst while it is held.
#[derive(Clone, Debug)]
pub struct WritingModel {
    inner: Arc<Inner>,
    base_url: String,
}

#[derive(Debug)]
struct Inner {
    pieces: Vec<String>,
    pause: Duration,
    asked: AtomicUsize,
    is_held: AtomicBool,
    released: Notify,
}

impl WritingModel {
    /// Serves it on a free port, in the shape of `OpenAI`'s API.
    #[expect(clippy::disallowed_methods, reason = "a test's own server, which ends with it")]
    pub async fn start(pieces: Vec<String>, pause: Duration) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let base_url = format!("http://{}/v1", listener.local_addr()?);
        let inner = Inner {
            pieces,
            pause,
            asked: AtomicUsize::new(0),
            is_held: AtomicBool::new(false),
            released: Notify::new(),
        };
        let model = Self { inner: Arc::new(inner), base_url };
        let router =
            Router::new().route("/v1/chat/completions", post(complete)).with_state(model.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(model)
    }

    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Returns the whole answer.
    pub fn text(&self) -> String {
        self.inner.pieces.concat()
    }

    /// Returns how often it was asked.
    pub fn asked(&self) -> usize {
        self.inner.asked.load(Ordering::SeqCst)
    }

    /// Stops in the midst of each answer until it is let go on.
    pub fn hold(&self) {
        self.inner.is_held.store(true, Ordering::SeqCst);
    }

    pub fn go_on(&self) {
        self.inner.is_held.store(false, Ordering::SeqCst);
        self.inner.released.notify_waiters();
    }
}

async fn complete(State(model): State<WritingModel>) -> impl IntoResponse {
    model.inner.asked.fetch_add(1, Ordering::SeqCst);
    let half = model.inner.pieces.len() / 2;
    let pieces = stream::iter(0..model.inner.pieces.len()).then(move |index| {
        let inner = Arc::clone(&model.inner);
        async move {
            loop {
                let released = inner.released.notified();
                if index != half || !inner.is_held.load(Ordering::SeqCst) {
                    break;
                }
                released.await;
            }
            tokio::time::sleep(inner.pause).await;
            chunk(&json!({ "content": inner.pieces[index] }), None)
        }
    });
    let end = format!("{}data: [DONE]\n\n", chunk(&json!({}), Some("stop")));
    let body = pieces.chain(stream::iter([end])).map(Ok::<_, Infallible>);
    ([("content-type", "text/event-stream")], Body::from_stream(body))
}

fn chunk(delta: &Value, reason: Option<&str>) -> String {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": reason });
    let chunk = json!({
        "id": "x", "object": "chat.completion.chunk", "model": "m", "choices": [choice],
    });
    format!("data: {chunk}\n\n")
}
