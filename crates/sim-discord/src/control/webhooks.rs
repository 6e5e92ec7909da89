use std::sync::Arc;

use axum::extract::{Path, Query, State};
use bytes::Bytes;
use serde::Deserialize;

use super::{ControlError, Reply, members::actor, read};
use crate::{
    domain::{ChannelId, UserId, WebhookId},
    shared::Shared,
    wire::{WebhookDetail, WebhookView},
};

#[derive(Debug, Deserialize)]
pub(super) struct Making {
    channel_id: ChannelId,
    name: String,
    /// Who makes it; nobody in the world where it is not said.
    #[serde(default)]
    actor_id: Option<UserId>,
}

/// `POST /sim/v1/webhooks`: somebody makes a webhook, at whose `url` an outside service then posts.
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let new: Making = read(&body)?;
    let actor = actor(new.actor_id);
    let id = shared.act(|world, now| {
        world.create_webhook(actor, new.channel_id, &new.name, None, None, now)
    })?;
    let state = shared.lock();
    let webhook = state.world.webhook(id)?;
    Ok(Reply::created(&WebhookView::new(&state.world, webhook, WebhookDetail::Whole)))
}

#[derive(Debug, Deserialize)]
pub(super) struct By {
    #[serde(default)]
    actor_id: Option<UserId>,
}

/// `DELETE /sim/v1/webhooks/{webhook}`
pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path(webhook): Path<WebhookId>,
    Query(by): Query<By>,
) -> Result<Reply, ControlError> {
    let actor = actor(by.actor_id);
    shared.act(|world, now| world.delete_webhook(actor, webhook, None, now))?;
    Ok(Reply::no_content())
}
