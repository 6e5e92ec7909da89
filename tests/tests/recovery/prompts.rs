//! A planned prompt, while whoever answers it is killed in between.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Json, extract::State, response::IntoResponse};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use ery_tests::eventually;

use super::{Installation, PATIENCE};

const WORDS: &str = "How is bob, and what happened?";
const ANSWER: &str = "Bob is fine, and nothing happened.";

/// A model that plans a prompt for each message, and that looks something up for a prompt before it
/// answers; for that it waits.
#[derive(Clone)]
struct Model {
    /// What it was asked for a prompt.
    asked: Arc<Mutex<Vec<Value>>>,
    gate: Arc<Semaphore>,
}

impl Model {
    async fn start() -> (Self, String) {
        let model = Self { asked: Arc::default(), gate: Arc::new(Semaphore::new(0)) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let router = axum::Router::new()
            .route("/v1/chat/completions", axum::routing::post(complete))
            .with_state(model.clone());
        #[expect(
            clippy::disallowed_methods,
            reason = "the fake lives as long as the test's runtime"
        )]
        tokio::spawn(async move { axum::serve(listener, router).await });
        (model, url)
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn complete(State(model): State<Model>, Json(request): Json<Value>) -> impl IntoResponse {
    let messages = request["messages"].as_array().cloned().unwrap_or_default();
    let system = messages[0]["content"].as_str().unwrap_or_default();
    let is_prompt = system.contains("The time has come");
    let has_looked = messages.iter().any(|message| message["role"] == "tool");
    if is_prompt {
        model.asked.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
    }
    let call = |tool: &str, arguments: Value| {
        let function = json!({ "name": tool, "arguments": arguments.to_string() });
        json!({ "role": "assistant", "tool_calls": [
            { "index": 0, "id": "c0", "type": "function", "function": function },
        ]})
    };
    let say = |text: &str| json!({ "role": "assistant", "content": text });
    let delta = match (is_prompt, has_looked) {
        (false, false) => call("schedule_action", json!({ "prompt": WORDS, "in_seconds": 2 })),
        (false, true) => say("It is planned."),
        (true, false) => call("get_member_info", json!({ "member": "bob" })),
        (true, true) => {
            drop(model.gate.acquire().await);
            say(ANSWER)
        }
    };
    let reason = if delta["content"].is_string() { "stop" } else { "tool_calls" };
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

async fn a_prompt_is_answered_once(mut installation: Installation, model: &Model) {
    let (_, channel, member, bot) = installation.place().await;
    let asked = format!("<@{bot}> later, tell us how bob is");
    installation.sim().say(&channel, &member, &asked).await.unwrap();
    // It has looked something up, and is about to answer.
    eventually("the prompt's second turn", PATIENCE, async || {
        Ok((model.asked().len() == 2).then_some(()))
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", installation.output()));
    installation.kill_and_restart().await;
    model.gate.add_permits(Semaphore::MAX_PERMITS >> 1);

    let answer = format!("{ANSWER}\n-# <@{member}> had planned this.");
    let answers = async |installation: &Installation| {
        let messages = installation.sim().messages(&channel).await.unwrap();
        messages.into_iter().filter(|message| message["content"] == answer).collect::<Vec<_>>()
    };
    let waited = eventually("the answer", PATIENCE, async || {
        Ok(Some(answers(&installation).await).filter(|answers| !answers.is_empty()))
    });
    let said = waited.await.unwrap_or_else(|error| panic!("{error}\n{}", installation.output()));
    assert_eq!(said[0]["message_reference"], Value::Null);
    assert_eq!(said[0]["mentions"], json!([]), "nobody is notified");

    // What it had looked up, it did not look up again.
    let turns = model.asked();
    let is_first = |it: &&Value| !it["messages"].to_string().contains("\"role\":\"tool\"");
    let first = turns.iter().filter(is_first).count();
    assert_eq!((turns.len(), first), (3, 1));
    let offered = turns[0]["tools"].to_string();
    assert!(offered.contains("fetch_messages") && !offered.contains("schedule_action"));
    assert!(!offered.contains("\"send_message\"") && !offered.contains("ban_member"));

    let plans = installation.ctl(&["schedule", "list", "--all"]).await;
    assert_eq!((&plans[0]["state"], &plans[0]["prompt"]), (&json!("fired"), &json!(WORDS)));
    let message = said[0]["id"].as_str().unwrap();
    let why = installation.ctl(&["threads", "why", message]).await;
    let thread = eventually("the thread's end", PATIENCE, async || {
        let why = installation.ctl(&["threads", "why", message]).await;
        Ok(Some(why["thread"].clone()).filter(|thread| thread["finished_at_ms"].is_i64()))
    })
    .await
    .unwrap();
    assert_eq!(why["part"], "sent", "{why}");
    let trigger = thread["triggers"][0].as_str().unwrap();
    assert!(trigger.starts_with("sa."), "{trigger}");
    let id = thread["thread_id"].as_str().unwrap();
    let shown = installation.ctl(&["threads", "show", id]).await.to_string();
    assert!(shown.contains("scheduled-1"), "the prompt's version: {shown}");
    let replayed = installation.ctl(&["threads", "replay", id]).await;
    assert_eq!(replayed[0]["original"]["answer"], ANSWER, "{replayed}");
    assert_eq!(answers(&installation).await.len(), 1);
}

fn variables(url: &str) -> [(&str, &str); 3] {
    [("ERY_AI__PROVIDER", "openai"), ("ERY_AI__BASE_URL", url), ("ERY_AI__MODEL", "scripted")]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_prompt_is_answered_once_through_a_kill_in_one_process() {
    let (model, url) = Model::start().await;
    a_prompt_is_answered_once(Installation::one(&variables(&url)).await, &model).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_prompt_is_answered_once_through_a_kill_in_a_cluster() {
    let (model, url) = Model::start().await;
    a_prompt_is_answered_once(Installation::many(&variables(&url)).await, &model).await;
}
