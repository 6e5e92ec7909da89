use std::sync::{Arc, PoisonError};

use axum::extract::State;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::{ControlError, Reply, read};
use crate::{gateway::Disturbance, rest::FaultSpec, shared::Shared};

/// `GET /sim/v1/faults`: those that wait to strike.
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Reply {
    let faults = shared.faults.lock().unwrap_or_else(PoisonError::into_inner);
    Reply::json(&json!({ "faults": faults.waiting() }))
}

/// `POST /sim/v1/faults`
pub(super) async fn order(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let fault: FaultSpec = read(&body)?;
    if let Some(problem) = fault.problem() {
        return Err(ControlError::bad_request(problem));
    }
    let reply = Reply::created(&fault);
    if shared.faults.lock().unwrap_or_else(PoisonError::into_inner).order(fault) {
        Ok(reply)
    } else {
        Err(ControlError::bad_request("too many faults wait already; DELETE clears them"))
    }
}

/// `DELETE /sim/v1/faults`
pub(super) async fn clear(State(shared): State<Arc<Shared>>) -> Reply {
    let cleared = shared.faults.lock().unwrap_or_else(PoisonError::into_inner).clear();
    Reply::json(&json!({ "cleared": cleared }))
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
    Stall,
    Heartbeat,
    Repeat,
}

#[derive(Debug, Deserialize)]
pub(super) struct Disturbing {
    #[serde(rename = "do")]
    deed: Deed,
    /// All shards where it is not said.
    #[serde(default)]
    shard: Option<u64>,
    /// How many dispatches a `repeat` says once more.
    #[serde(default)]
    count: Option<usize>,
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
        Deed::Invalid => Disturbance::Invalidate,
        Deed::Stall => Disturbance::Stall,
        Deed::Heartbeat => Disturbance::Heartbeat,
        Deed::Repeat => Disturbance::Repeat { count: disturbing.count.unwrap_or(10) },
    };
    let count = shared.lock().sessions.disturb(what, disturbing.shard);
    Ok(Reply::json(&json!({ "sessions": count })))
}
