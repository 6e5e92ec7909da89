use std::time::Duration;

use axum::{
    Json,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tonic::{Code, Status};

use ery_ids::ChannelKey;
use ery_proto::store::v1::{
    Execution, GetThreadRequest, ListExecutionsRequest, ListThreadsRequest, Step, StepKind, Thread,
    store_service_client::StoreServiceClient,
};
use ery_rpc::{Transport, within};

use super::{Page, refusal};
use crate::words::{decision, outcome, principal, state};

/// A person waits for it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The most that one question may ask for.
const MAX_ROWS: u32 = 200;

/// How many threads are read at once.
const AT_ONCE: usize = 8;

/// Which records are asked for; a guild of 0, or none, means a direct message's channel.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Place {
    #[serde(default)]
    guild: u64,
    #[serde(default)]
    channel: u64,
    limit: Option<u32>,
}

impl Place {
    /// Returns the store that holds these records, or none if no place is named.
    fn store(self, page: &Page) -> Option<StoreServiceClient<Transport>> {
        let channel = if self.channel == 0 { self.guild } else { self.channel };
        let key = ChannelKey::from_raw(self.guild, channel)?;
        let client = StoreServiceClient::new(page.store.of(key.home));
        Some(client.max_decoding_message_size(64 << 20))
    }

    fn limit(self, default: u32) -> u32 {
        self.limit.unwrap_or(default).clamp(1, MAX_ROWS)
    }
}

/// A task thread, in the words of the live progress.
#[derive(Debug, Serialize)]
struct ThreadView {
    thread: String,
    guild: String,
    channel: String,
    started_at_ms: i64,
    finished_at_ms: Option<i64>,
    outcome: &'static str,
    detail: String,
    principal: String,
    /// The text of the first message that it answers.
    trigger: Option<String>,
    steps: Vec<StepView>,
}

/// A step, in the words of the live progress.
#[derive(Debug, PartialEq, Serialize)]
struct StepView {
    kind: &'static str,
    at_ms: i64,
    detail: Value,
}

/// Returns a channel's latest task threads with their steps, the newest first.
pub(super) async fn threads(State(page): State<Page>, Query(place): Query<Place>) -> Response {
    let Some(store) = place.store(&page) else { return no_place() };
    let request = ListThreadsRequest {
        guild_id: place.guild,
        channel_id: place.channel,
        limit: place.limit(20),
        is_running_only: false,
    };
    match whole_threads(store, request).await {
        Ok(threads) => Json(threads.iter().map(thread_view).collect::<Vec<_>>()).into_response(),
        Err(status) => refused(&status),
    }
}

/// Lists threads, and reads each with its steps and executions.
async fn whole_threads(
    mut store: StoreServiceClient<Transport>,
    request: ListThreadsRequest,
) -> Result<Vec<Thread>, Status> {
    let listed = store.list_threads(within(TIMEOUT, request)).await?.into_inner().threads;
    let whole = listed.into_iter().map(|listed| whole_thread(store.clone(), listed));
    stream::iter(whole).buffered(AT_ONCE).try_collect().await
}

async fn whole_thread(
    mut store: StoreServiceClient<Transport>,
    listed: Thread,
) -> Result<Thread, Status> {
    let request = GetThreadRequest {
        thread_id: listed.thread_id.clone(),
        guild_id: listed.guild_id,
        channel_id: listed.channel_id,
    };
    match store.get_thread(within(TIMEOUT, request)).await {
        Ok(answer) => Ok(answer.into_inner().thread.unwrap_or(listed)),
        // Forgotten meanwhile: what the list told of it stands.
        Err(status) if status.code() == Code::NotFound => Ok(listed),
        Err(status) => Err(status),
    }
}

/// Returns a guild's latest executions, the newest first: the audit.
pub(super) async fn executions(State(page): State<Page>, Query(place): Query<Place>) -> Response {
    let Some(mut store) = place.store(&page) else { return no_place() };
    let request = ListExecutionsRequest {
        guild_id: place.guild,
        channel_id: place.channel,
        thread_id: String::new(),
        limit: place.limit(100),
        before_key: String::new(),
    };
    match store.list_executions(within(TIMEOUT, request)).await {
        Ok(answer) => {
            let executions = answer.into_inner().executions;
            Json(executions.iter().map(execution_view).collect::<Vec<_>>()).into_response()
        }
        Err(status) => refused(&status),
    }
}

fn no_place() -> Response {
    refusal(StatusCode::BAD_REQUEST, "say which `guild`, or which `channel` of direct messages")
}

fn refused(status: &Status) -> Response {
    tracing::warn!(code = ?status.code(), "the store did not answer the page");
    refusal(StatusCode::BAD_GATEWAY, "the store does not answer")
}

fn thread_view(thread: &Thread) -> ThreadView {
    let message = thread.triggers.iter().find_map(|trigger| trigger.message.as_ref());
    ThreadView {
        thread: thread.thread_id.clone(),
        guild: thread.guild_id.to_string(),
        channel: thread.channel_id.to_string(),
        started_at_ms: thread.started_at_ms,
        finished_at_ms: (thread.finished_at_ms != 0).then_some(thread.finished_at_ms),
        outcome: outcome(thread.outcome()),
        detail: thread.detail.clone(),
        principal: principal(thread.principal.as_ref()),
        trigger: message.map(|message| message.content.clone()),
        steps: steps(thread),
    }
}

/// Returns the journal's steps, each tool call as one: its execution tells more than its steps.
fn steps(thread: &Thread) -> Vec<StepView> {
    let begun = StepView {
        kind: "begun",
        at_ms: thread.started_at_ms,
        detail: json!({
            "principal": principal(thread.principal.as_ref()),
            "triggers": thread.triggers.iter().map(|trigger| trigger.id.as_str()).collect::<Vec<_>>(),
            "epoch": thread.epoch.to_string(),
        }),
    };
    let journal = thread.steps.iter().filter_map(step_view);
    let tools = thread.executions.iter().map(|execution| StepView {
        kind: "tool",
        at_ms: execution.opened_at_ms,
        detail: execution_view(execution),
    });
    let mut steps: Vec<StepView> = std::iter::once(begun).chain(journal).chain(tools).collect();
    // Stable: of two at the same instant the journal's order stands, a tool behind its turn.
    steps.sort_by_key(|step| (step.at_ms, step.kind == "finished"));
    steps
}

fn step_view(step: &Step) -> Option<StepView> {
    let kind = match step.kind() {
        StepKind::ContextLoaded => "context",
        StepKind::OrdersRead => "orders",
        StepKind::ModelAsked => "model_asked",
        StepKind::ModelAnswered => "model_answered",
        StepKind::Finished => "finished",
        StepKind::Unspecified
        | StepKind::ExecutionOpened
        | StepKind::ExecutionClosed
        | StepKind::Spent => return None,
    };
    Some(StepView { kind, at_ms: step.at_ms, detail: parsed(&step.payload) })
}

fn execution_view(execution: &Execution) -> Value {
    json!({
        "key": execution.key,
        "thread": execution.thread_id,
        "channel": execution.channel_id.to_string(),
        "tool": execution.tool,
        "tier": execution.tier,
        "principal": principal(execution.principal.as_ref()),
        "decision": decision(execution.decision()),
        "reason": execution.decision_reason,
        "is_ordered": execution.is_ordered,
        "is_tainted": execution.is_tainted,
        "state": state(execution.state()),
        "arguments": parsed(&execution.arguments),
        "result": parsed(&execution.result),
        "rest_status": execution.rest_status,
        "audit_reason": execution.audit_reason,
        "opened_at_ms": execution.opened_at_ms,
        "closed_at_ms": (execution.closed_at_ms != 0).then_some(execution.closed_at_ms),
    })
}

/// Reads JSON that another service wrote; what is none is shown as text.
fn parsed(text: &str) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use ery_proto::store::v1::{Decision, ExecutionState};

    use super::*;

    fn step(index: u32, kind: StepKind, at_ms: i64) -> Step {
        Step {
            index,
            kind: kind.into(),
            payload: r#"{"messages":3}"#.into(),
            at_ms,
            ..Step::default()
        }
    }

    #[test]
    fn a_threads_steps_read_as_they_happened() {
        let thread = Thread {
            thread_id: "t".into(),
            started_at_ms: 1,
            steps: vec![
                step(0, StepKind::ContextLoaded, 2),
                step(1, StepKind::ModelAnswered, 3),
                step(2, StepKind::ExecutionOpened, 4),
                step(3, StepKind::ExecutionClosed, 5),
                step(4, StepKind::Finished, 6),
            ],
            executions: vec![Execution {
                key: "k".into(),
                tool: "timeout_member".into(),
                decision: Decision::Deny.into(),
                state: ExecutionState::Denied.into(),
                decision_reason: "lacks MODERATE_MEMBERS".into(),
                opened_at_ms: 4,
                ..Execution::default()
            }],
            ..Thread::default()
        };
        let view = thread_view(&thread);
        let kinds: Vec<_> = view.steps.iter().map(|step| step.kind).collect();
        assert_eq!(kinds, ["begun", "context", "model_answered", "tool", "finished"]);
        assert_eq!(view.steps[1].detail["messages"], 3);
        let tool = &view.steps[3].detail;
        assert_eq!((&tool["decision"], &tool["state"]), (&json!("denied"), &json!("denied")));
        assert_eq!(tool["reason"], "lacks MODERATE_MEMBERS");
    }

    #[test]
    fn what_is_no_json_is_shown_as_text() {
        assert_eq!(parsed("{broken"), Value::String("{broken".into()));
        assert_eq!(parsed(""), Value::Null);
    }
}
