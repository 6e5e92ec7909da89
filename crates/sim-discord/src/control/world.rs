use std::sync::Arc;

use axum::extract::{Query, State};
use serde::Deserialize;

use super::Reply;
use crate::shared::Shared;

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    /// How many messages of each channel are told.
    #[serde(default)]
    messages: usize,
}

/// `GET /sim/v1/world`: in the shape that a world file has.
pub(super) async fn show(State(shared): State<Arc<Shared>>, Query(wanted): Query<Wanted>) -> Reply {
    let now = shared.clock.now();
    let file = shared.lock().world.to_file(wanted.messages, now);
    Reply::json(&file)
}
