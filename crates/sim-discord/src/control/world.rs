use std::sync::Arc;

use axum::extract::{Query, State};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::{ControlError, Reply, read};
use crate::{
    domain::{Excerpt, Generator, GuildId},
    shared::Shared,
};

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    /// How many messages of each channel are told.
    #[serde(default)]
    messages: usize,
    /// This guild alone.
    #[serde(default)]
    guild: Option<GuildId>,
    /// The guilds with greater ids.
    #[serde(default)]
    after: Option<GuildId>,
    /// So many guilds at most.
    #[serde(default)]
    limit: Option<usize>,
    /// So many members of each guild at most.
    #[serde(default)]
    members: Option<usize>,
}

/// `GET /sim/v1/world`: all of it or a part, in the shape that a world file has.
pub(super) async fn show(State(shared): State<Arc<Shared>>, Query(wanted): Query<Wanted>) -> Reply {
    let now = shared.clock.now();
    let excerpt = Excerpt {
        messages: wanted.messages,
        guild: wanted.guild,
        after: wanted.after,
        guilds: wanted.limit,
        members: wanted.members,
    };
    let file = shared.lock().world.to_file(&excerpt, now);
    Reply::json(&file)
}

/// `POST /sim/v1/generate`: more guilds are made up, with all bots in them. Everything else waits
/// meanwhile.
pub(super) async fn generate(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let generator: Generator = read(&body)?;
    generator.check().map_err(|error| ControlError::bad_request(error.to_string()))?;
    let guilds = shared.act(|world, now| world.grow(&generator, now))?;
    Ok(Reply::created(&json!({ "guilds": guilds })))
}
