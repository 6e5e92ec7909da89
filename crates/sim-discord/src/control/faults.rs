use std::sync::Arc;

use axum::extract::{Path, State};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{ControlError, Reply, read};
use crate::{
    domain::{InteractionId, UserId},
    faults::FaultSpec,
    gateway::{Disturbance, Target},
    shared::Shared,
};

/// `GET /sim/v1/faults`: those that wait to strike.
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Reply {
    Reply::json(&json!({ "faults": shared.faults.waiting() }))
}

/// A fault that strikes at once, and waits for no request.
#[derive(Debug, Deserialize)]
struct Expiry {
    kind: ExpiryKind,
    /// All that wait for their answer where it is not said.
    #[serde(default)]
    interaction_id: Option<InteractionId>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ExpiryKind {
    ExpireInteraction,
}

/// `POST /sim/v1/faults`
pub(super) async fn order(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    if let Ok(expiry) = serde_json::from_slice::<Expiry>(&body) {
        let mut state = shared.lock();
        let expired = state.world.interactions.expire(expiry.interaction_id);
        state.tell_answers();
        return Ok(Reply::created(&json!({ "kind": expiry.kind, "expired": expired })));
    }
    let spec: FaultSpec = read(&body)?;
    if let Some(problem) = spec.problem() {
        return Err(ControlError::bad_request(problem));
    }
    match shared.faults.order(spec) {
        Some(fault) => Ok(Reply::created(&fault)),
        None => Err(ControlError::bad_request("too many faults wait already; DELETE clears them")),
    }
}

/// `DELETE /sim/v1/faults`
pub(super) async fn clear(State(shared): State<Arc<Shared>>) -> Reply {
    Reply::json(&json!({ "cleared": shared.faults.clear() }))
}

/// `DELETE /sim/v1/faults/{fault}`
pub(super) async fn withdraw(
    State(shared): State<Arc<Shared>>,
    Path(fault): Path<u64>,
) -> Result<Reply, ControlError> {
    if shared.faults.withdraw(fault) {
        Ok(Reply::no_content())
    } else {
        Err(ControlError::not_found(format!("no fault {fault} waits")))
    }
}

/// `GET /sim/v1/gateway`: the sessions.
pub(super) async fn sessions(State(shared): State<Arc<Shared>>) -> Reply {
    let state = shared.lock();
    Reply::json(&json!({
        "sessions": state.sessions.overview(),
        "identifies": state.sessions.identifies(),
    }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Deed {
    Reconnect,
    Drop,
    Invalid,
    Close,
    Stall,
    Heartbeat,
    Repeat,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Disturbing {
    #[serde(rename = "do")]
    deed: Deed,
    /// All shards where it is not said, and so on.
    #[serde(default)]
    shard: Option<u64>,
    #[serde(default)]
    bot_id: Option<UserId>,
    #[serde(default)]
    session_id: Option<String>,
    /// How many dispatches a `repeat` says once more.
    #[serde(default)]
    count: Option<usize>,
    /// Whether an `invalid` session may be resumed all the same.
    #[serde(default)]
    resumable: bool,
    /// What a `close` closes with.
    #[serde(default)]
    code: Option<u16>,
}

/// `POST /sim/v1/gateway`
pub(super) async fn disturb(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let disturbing: Disturbing = read(&body)?;
    let what = match disturbing.deed {
        Deed::Reconnect => Disturbance::Reconnect,
        Deed::Drop => Disturbance::Drop,
        Deed::Invalid => Disturbance::Invalidate { resumable: disturbing.resumable },
        Deed::Close => match disturbing.code.unwrap_or(4_000) {
            code if code == 1_000 || code == 1_001 || (4_000..5_000).contains(&code) => {
                Disturbance::Close(code)
            }
            _ => {
                let problem = "code must be 1000, 1001 or between 4000 and 4999";
                return Err(ControlError::bad_request(problem));
            }
        },
        Deed::Stall => Disturbance::Stall,
        Deed::Heartbeat => Disturbance::Heartbeat,
        Deed::Repeat => Disturbance::Repeat { count: disturbing.count.unwrap_or(10) },
    };
    let target =
        Target { shard: disturbing.shard, bot: disturbing.bot_id, session: disturbing.session_id };
    let now = shared.clock.now();
    let mut state = shared.lock();
    let count = state.sessions.disturb(what, &target);
    state.let_go(now);
    Ok(Reply::json(&json!({ "sessions": count })))
}
