use std::sync::Arc;

use axum::extract::{Path, State};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{ControlError, Reply, members::present, read};
use crate::{
    domain::{Presence, Status, UserChange, UserId},
    shared::Shared,
    wire,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    #[serde(default)]
    username: Option<String>,
    #[serde(default, deserialize_with = "present")]
    global_name: Option<Option<String>>,
    #[serde(default)]
    accepts_dms: Option<bool>,
}

/// `PATCH /sim/v1/users/{user}`: an account gets another name.
pub(super) async fn update(
    State(shared): State<Arc<Shared>>,
    Path(user): Path<UserId>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let edit: Edit = read(&body)?;
    let change = UserChange {
        username: edit.username,
        global_name: edit.global_name,
        accepts_dms: edit.accepts_dms,
    };
    shared.act(|world, _| world.update_user(user, change))?;
    let state = shared.lock();
    Ok(Reply::json(&wire::UserView::new(state.world.user(user)?)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    status: Status,
    #[serde(default)]
    activities: Vec<Map<String, Value>>,
}

/// `PUT /sim/v1/presences/{user}`: somebody comes online, goes, or does something.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(user): Path<UserId>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let shown: Shown = read(&body)?;
    let presence = Presence::new(shown.status, shown.activities);
    shared.act(|world, now| world.set_presence(user, presence, now))?;
    let state = shared.lock();
    Ok(Reply::json(&wire::PresenceView::new(&state.world, None, user)))
}
