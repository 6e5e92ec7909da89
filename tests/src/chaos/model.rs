//! A model that follows a script: an HTTP server which speaks OpenAI's chat completions.
//!
//! It reads from each request which messages are to be answered, and puts their ids and a mark of
//! the request into its answer; so whatever people see can be traced to the turn that it came of.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use futures::{StreamExt, stream};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::sleep};

use super::{
    checker::{FOR, ModelRequest, TURN},
    now_ms,
};

/// The emoji of reactions; for one message each is asked for once.
const FIRST_EMOJI: u32 = 0x1F300;
const EMOJI: u32 = 0x100;

/// How the model behaves.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// How long an answer takes, from … to ….
    pub latency: (Duration, Duration),
    /// How likely a thread's first turn asks for a tool.
    pub tools: f64,
    /// How likely a request fails: with 429, 500 or 503, a cut stream, nonsense, or slowness.
    pub faults: f64,
    /// Whether every request fails.
    pub is_down: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            latency: (Duration::from_millis(50), Duration::from_millis(500)),
            tools: 0.5,
            faults: 0.0,
            is_down: false,
        }
    }
}

/// The running server; ends with its handle.
pub struct Model {
    shared: Arc<Shared>,
    url: String,
    server: JoinHandle<()>,
}

impl Drop for Model {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Debug)]
struct Shared {
    behaviour: Mutex<Behaviour>,
    state: Mutex<Log>,
}

#[derive(Debug)]
struct Log {
    random: StdRng,
    requests: Vec<ModelRequest>,
    /// How many reactions were asked for, by message.
    reactions: HashMap<u64, u32>,
}

/// What the script has the model do.
#[derive(Clone, Debug)]
enum Reply {
    Say(String),
    Call { id: String, tool: &'static str, arguments: Value },
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Status(u16),
    Cut,
    Nonsense,
    Slow,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Status(429) => "429",
            Self::Status(_) => "5xx",
            Self::Cut => "cut",
            Self::Nonsense => "nonsense",
            Self::Slow => "slow",
        }
    }
}

impl Model {
    /// Starts it on a free port.
    #[expect(clippy::disallowed_methods, reason = "a test's own server, aborted with its handle")]
    pub async fn start(seed: u64, behaviour: Behaviour) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/v1", listener.local_addr()?);
        let log = Log {
            random: StdRng::seed_from_u64(seed),
            requests: Vec::new(),
            reactions: HashMap::new(),
        };
        let shared = Arc::new(Shared { behaviour: Mutex::new(behaviour), state: Mutex::new(log) });
        let router = Router::new()
            .route("/v1/chat/completions", post(complete))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the scripted model ended: {error}");
            }
        });
        Ok(Self { shared, url, server })
    }

    /// Returns what stands in `ERY_AI__BASE_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn change(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.shared.behaviour.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Returns every request so far.
    pub fn requests(&self) -> Vec<ModelRequest> {
        self.shared.log().requests.clone()
    }

    pub fn count(&self) -> usize {
        self.shared.log().requests.len()
    }
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way; whoever asked may go away at any moment.
struct Pending {
    shared: Arc<Shared>,
    index: usize,
    is_over: bool,
}

impl Pending {
    fn answered(mut self) {
        self.is_over = true;
        self.shared.log().requests[self.index].answered_at_ms = Some(now_ms());
    }

    fn refused(mut self) {
        self.is_over = true;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.is_over {
            self.shared.log().requests[self.index].left_at_ms = Some(now_ms());
        }
    }
}

async fn complete(State(shared): State<Arc<Shared>>, Json(body): Json<Value>) -> Response {
    let (pending, reply, fault, latency, marker) = match begin(&shared, &body) {
        Ok(begun) => begun,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    sleep(latency).await;
    match fault {
        Some(Fault::Status(status)) => {
            pending.refused();
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            let body = json!({ "error": { "message": "the script says so", "type": "fault" } });
            (status, Json(body)).into_response()
        }
        Some(Fault::Nonsense) => {
            pending.refused();
            let frames =
                "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":\n\ndata: [DONE]\n\n";
            ([(header::CONTENT_TYPE, "text/event-stream")], frames).into_response()
        }
        fault => streamed(pending, &reply, fault, marker),
    }
}

/// Reads a request, notes it, and decides what comes of it.
fn begin(
    shared: &Arc<Shared>,
    body: &Value,
) -> anyhow::Result<(Pending, Reply, Option<Fault>, Duration, u64)> {
    let conversation = Conversation::read(body)?;
    let behaviour = shared.behaviour.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut log = shared.log();
    let log = &mut *log;
    let index = log.requests.len();
    let marker = u64::try_from(index)? + 1;
    let latency = log.random.random_range(behaviour.latency.0..=behaviour.latency.1);
    let fault = if behaviour.is_down {
        Some(Fault::Status(503))
    } else if log.random.random_bool(behaviour.faults) {
        let faults = [
            Fault::Status(429),
            Fault::Status(500),
            Fault::Status(503),
            Fault::Cut,
            Fault::Nonsense,
            Fault::Slow,
        ];
        Some(faults[log.random.random_range(0..faults.len())])
    } else {
        None
    };
    let reply = decide(log, &conversation, behaviour.tools, marker);
    let reaction = match &reply {
        Reply::Call { tool: "add_reaction", arguments, .. } => {
            let message = arguments["message"].as_str().and_then(|id| id.parse().ok());
            message.zip(arguments["emoji"].as_str().map(str::to_owned))
        }
        _ => None,
    };
    log.requests.push(ModelRequest {
        marker,
        at_ms: now_ms(),
        answered_at_ms: None,
        left_at_ms: None,
        triggers: conversation.triggers,
        run: conversation.run,
        continues: conversation.continues,
        reaction,
        fault: fault.map(Fault::name),
    });
    let pending = Pending { shared: Arc::clone(shared), index, is_over: false };
    Ok((pending, reply, fault, latency, marker))
}

/// What a request tells.
struct Conversation {
    triggers: BTreeSet<u64>,
    run: String,
    continues: BTreeSet<u64>,
    /// The tools whose calls it holds already.
    called: Vec<String>,
    offered: BTreeSet<String>,
}

impl Conversation {
    fn read(body: &Value) -> anyhow::Result<Self> {
        let messages = body["messages"].as_array().context("there are no messages")?;
        let mut conversation = Self {
            triggers: BTreeSet::new(),
            run: String::new(),
            continues: BTreeSet::new(),
            called: Vec::new(),
            offered: BTreeSet::new(),
        };
        for message in messages {
            if message["role"] == "user" {
                for line in text_of(&message["content"]).lines() {
                    conversation.read_line(line);
                }
            }
            for call in message["tool_calls"].as_array().into_iter().flatten() {
                let id = call["id"].as_str().unwrap_or_default();
                conversation
                    .continues
                    .extend(id.strip_prefix("call_").and_then(|it| it.parse::<u64>().ok()));
                conversation.called.extend(call["function"]["name"].as_str().map(str::to_owned));
            }
        }
        for tool in body["tools"].as_array().into_iter().flatten() {
            conversation.offered.extend(tool["function"]["name"].as_str().map(str::to_owned));
        }
        anyhow::ensure!(!conversation.triggers.is_empty(), "no message is to be answered");
        Ok(conversation)
    }

    /// Reads one line of people's text: a message as JSON, or the marker before them.
    fn read_line(&mut self, line: &str) {
        match serde_json::from_str::<Value>(line) {
            Ok(message) if message["answer"] == true => {
                let id = message["id"].as_str().and_then(|id| id.parse::<u64>().ok());
                self.triggers.extend(id);
            }
            Err(_) if self.run.is_empty() => line.clone_into(&mut self.run),
            Ok(_) | Err(_) => {}
        }
    }
}

/// Returns a message's text, which is a string or a list of parts.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn decide(log: &mut Log, conversation: &Conversation, tools: f64, marker: u64) -> Reply {
    let list: Vec<_> = conversation.triggers.iter().map(ToString::to_string).collect();
    let words = format!("{TURN}{marker} {FOR}{}", list.join(","));
    let first = conversation.triggers.first().copied().unwrap_or(0);
    let mut acts: BTreeMap<&'static str, Value> = BTreeMap::new();
    let may = |tool: &str| {
        conversation.offered.contains(tool)
            && !conversation.called.iter().any(|called| called == tool)
    };
    if may("add_reaction") {
        let count = log.reactions.get(&first).copied().unwrap_or(0);
        let emoji = char::from_u32(FIRST_EMOJI + count % EMOJI).unwrap_or('👍').to_string();
        acts.insert("add_reaction", json!({ "message": first.to_string(), "emoji": emoji }));
    }
    if may("send_message") {
        acts.insert(
            "send_message",
            json!({ "content": format!("A note before the answer. {words}") }),
        );
    }
    if may("fetch_messages") {
        acts.insert("fetch_messages", json!({}));
    }
    let asks = conversation.called.len() < 2 && log.random.random_bool(tools);
    if acts.is_empty() || !asks {
        return Reply::Say(format!("Here is your answer. {words}"));
    }
    let chosen = log.random.random_range(0..acts.len());
    let Some((tool, arguments)) = acts.into_iter().nth(chosen) else {
        return Reply::Say(words);
    };
    if tool == "add_reaction" {
        *log.reactions.entry(first).or_default() += 1;
    }
    Reply::Call { id: format!("call_{marker}"), tool, arguments }
}

/// Writes the answer as a stream of server-sent events.
fn streamed(pending: Pending, reply: &Reply, fault: Option<Fault>, marker: u64) -> Response {
    let chunk = |delta: &Value, finish: Option<&str>| {
        let chunk = json!({
            "id": format!("chatcmpl-{marker}"), "object": "chat.completion.chunk",
            "model": "scripted",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
        });
        format!("data: {chunk}\n\n")
    };
    let mut frames = vec![chunk(&json!({ "role": "assistant", "content": "" }), None)];
    match reply {
        Reply::Say(text) => {
            let middle = text.len() / 2;
            for piece in [&text[..middle], &text[middle..]] {
                frames.push(chunk(&json!({ "content": piece }), None));
            }
            frames.push(chunk(&json!({}), Some("stop")));
        }
        Reply::Call { id, tool, arguments } => {
            let call = json!({ "index": 0, "id": id, "type": "function",
                "function": { "name": tool, "arguments": arguments.to_string() } });
            frames.push(chunk(&json!({ "tool_calls": [call] }), None));
            frames.push(chunk(&json!({}), Some("tool_calls")));
        }
    }
    let usage = json!({ "id": format!("chatcmpl-{marker}"), "model": "scripted", "choices": [],
        "usage": { "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120 } });
    frames.push(format!("data: {usage}\n\n"));
    frames.push("data: [DONE]\n\n".to_owned());
    let is_cut = matches!(fault, Some(Fault::Cut));
    if is_cut {
        frames.truncate(frames.len() / 2);
    }
    let pause = match fault {
        Some(Fault::Slow) => Duration::from_millis(700),
        _ => Duration::ZERO,
    };
    let state = (frames.into_iter(), Some(pending));
    let body = stream::unfold(state, move |(mut frames, mut pending)| async move {
        sleep(pause).await;
        if let Some(frame) = frames.next() {
            if frames.len() == 0 && !is_cut {
                pending.take()?.answered();
            }
            return Some((Ok::<_, std::io::Error>(frame), (frames, pending)));
        }
        pending.take()?.refused();
        let cut = std::io::Error::from(std::io::ErrorKind::ConnectionAborted);
        Some((Err(cut), (frames, None)))
    });
    // A body that ends by itself after its last frame, and breaks off where it was cut.
    let body = Body::from_stream(body.boxed());
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &str, calls: &[&str]) -> Value {
        let mut messages = vec![
            json!({ "role": "system", "content": "be kind" }),
            json!({ "role": "user", "content": lines }),
        ];
        for id in calls {
            messages.push(json!({ "role": "assistant", "tool_calls": [{ "id": id,
                "function": { "name": "add_reaction", "arguments": "{}" } }] }));
            messages.push(json!({ "role": "tool", "tool_call_id": id, "content": "{}" }));
        }
        json!({ "messages": messages,
            "tools": [{ "function": { "name": "add_reaction" } }] })
    }

    #[test]
    fn a_request_tells_its_triggers_its_run_and_what_it_goes_on_from() {
        let lines = "M1\n{\"id\":\"5\",\"text\":\"old\"}\n{\"id\":\"6\",\"answer\":true}\n{\"id\":\"7\",\"answer\":true}";
        let read = Conversation::read(&request(lines, &["call_3", "odd"])).unwrap();
        assert_eq!(read.triggers, [6, 7].into());
        assert_eq!(read.run, "M1");
        assert_eq!(read.continues, [3].into());
        assert_eq!(read.called, ["add_reaction", "add_reaction"]);
        assert!(Conversation::read(&request("M1", &[])).is_err());
    }

    #[tokio::test]
    async fn an_answer_is_streamed_and_noted_and_a_fault_is_too() {
        let behaviour = Behaviour {
            latency: (Duration::ZERO, Duration::ZERO),
            tools: 0.0,
            ..Behaviour::default()
        };
        let model = Model::start(1, behaviour).await.unwrap();
        let http = crate::sim::http_client();
        let ask = async || {
            let body = request("M1\n{\"id\":\"6\",\"answer\":true}", &[]);
            let request = http.post(format!("{}/chat/completions", model.url())).json(&body);
            request.send().await.unwrap()
        };
        let text = ask().await.text().await.unwrap();
        assert!(text.contains("turn:1 for") && text.ends_with("data: [DONE]\n\n"), "{text}");
        model.change(|behaviour| behaviour.is_down = true);
        assert_eq!(ask().await.status(), 503);
        let requests = model.requests();
        assert!(requests[0].answered_at_ms.is_some() && requests[0].fault.is_none());
        assert!(requests[1].answered_at_ms.is_none() && requests[1].fault == Some("5xx"));
    }
}
