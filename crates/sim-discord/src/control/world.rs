use std::sync::Arc;

use axum::extract::{Query, State};
use serde::Deserialize;

use super::Reply;
use crate::{
    domain::{Excerpt, GuildId},
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
