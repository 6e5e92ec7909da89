use std::sync::Arc;

use axum::extract::State;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::{ControlError, Reply, read};
use crate::shared::Shared;

fn current(shared: &Shared) -> Reply {
    Reply::json(&json!({
        "now_ms": shared.clock.now(),
        "offset_ms": shared.clock.offset_ms(),
    }))
}

/// `GET /sim/v1/clock`: what time it is in the world.
pub(super) async fn show(State(shared): State<Arc<Shared>>) -> Reply {
    current(&shared)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Jump {
    /// How far it jumps from where it is; backwards where it is negative.
    jump_ms: i64,
}

/// `POST /sim/v1/clock`: lets the time jump.
pub(super) async fn jump(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let jump: Jump = read(&body)?;
    shared.clock.jump(jump.jump_ms);
    Ok(current(&shared))
}

/// `DELETE /sim/v1/clock`: the time goes right again.
pub(super) async fn set_right(State(shared): State<Arc<Shared>>) -> Reply {
    shared.clock.set_right();
    current(&shared)
}
