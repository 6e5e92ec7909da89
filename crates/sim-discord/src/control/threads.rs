use std::sync::Arc;

use axum::extract::{Path, Query, State};
use bytes::Bytes;
use serde::Deserialize;

use super::{By, ControlError, Reply, members::actor, read};
use crate::{
    domain::{
        AllowedMentions, ChannelId, ChannelKind, Draft, MessageId, NewThread, Refusal, TagId,
        ThreadChange, UserId,
    },
    shared::Shared,
    wire,
};

#[derive(Debug, Deserialize)]
pub(super) struct Beginning {
    channel_id: ChannelId,
    user_id: UserId,
    name: String,
    /// The message at which it begins.
    #[serde(default)]
    message_id: Option<MessageId>,
    /// 10, 11 or 12; public where it is not said, unlike in Discord's own API.
    #[serde(rename = "type", default)]
    kind: Option<u8>,
    #[serde(default)]
    auto_archive_duration: Option<u16>,
    #[serde(default)]
    rate_limit_per_user: Option<u32>,
    #[serde(default)]
    invitable: Option<bool>,
    /// Of a forum's post: what it says first, and its tags.
    #[serde(default)]
    content: String,
    #[serde(default)]
    applied_tags: Vec<TagId>,
}

/// `POST /sim/v1/threads`: somebody begins a thread, or posts in a forum.
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let new: Beginning = read(&body)?;
    let (user, channel) = (new.user_id, new.channel_id);
    let thread = shared.act(|world, now| {
        let place = world.channel(channel)?;
        let kind = new.kind.map_or_else(
            || match place.kind {
                ChannelKind::ANNOUNCEMENT => ChannelKind::ANNOUNCEMENT_THREAD,
                _ => ChannelKind::PUBLIC_THREAD,
            },
            ChannelKind,
        );
        let content = world.with_mentions_resolved(place, new.content);
        let first =
            Draft { content, allowed_mentions: Some(AllowedMentions::all()), ..Draft::default() };
        let first = Some(first).filter(|_| place.kind.is_forum());
        let wanted = NewThread {
            name: new.name,
            kind: Some(kind),
            auto_archive: new.auto_archive_duration,
            rate_limit_per_user: new.rate_limit_per_user,
            is_invitable: new.invitable,
            applied_tags: new.applied_tags,
        };
        match new.message_id {
            Some(message) => {
                world.create_thread_from_message(user, channel, message, wanted, None, now)
            }
            None => world.create_thread(user, channel, wanted, first, None, now),
        }
    })?;
    let state = shared.lock();
    let view = wire::ThreadView::made(&state.world, state.world.channel(thread)?, user);
    Ok(Reply::created(&view))
}

#[derive(Debug, Deserialize)]
pub(super) struct Changing {
    /// Who changes it, with their rights; nobody in the world where it is not said.
    #[serde(default)]
    user_id: Option<UserId>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    archived: Option<bool>,
    #[serde(default)]
    locked: Option<bool>,
    #[serde(default)]
    invitable: Option<bool>,
    #[serde(default)]
    auto_archive_duration: Option<u16>,
    #[serde(default)]
    rate_limit_per_user: Option<u32>,
    #[serde(default)]
    flags: Option<u64>,
    #[serde(default)]
    applied_tags: Option<Vec<TagId>>,
}

/// `PATCH /sim/v1/threads/{thread}`
pub(super) async fn update(
    State(shared): State<Arc<Shared>>,
    Path(thread): Path<ChannelId>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let edit: Changing = read(&body)?;
    let change = ThreadChange {
        name: edit.name,
        archived: edit.archived,
        locked: edit.locked,
        invitable: edit.invitable,
        auto_archive: edit.auto_archive_duration,
        rate_limit_per_user: edit.rate_limit_per_user,
        flags: edit.flags,
        applied_tags: edit.applied_tags,
    };
    let actor = actor(edit.user_id);
    shared.act(|world, now| world.update_thread(actor, thread, change, None, now))?;
    let state = shared.lock();
    Ok(Reply::json(&wire::GuildChannelView::new(state.world.channel(thread)?, edit.user_id)))
}

/// `DELETE /sim/v1/threads/{thread}`
pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path(thread): Path<ChannelId>,
    Query(by): Query<By>,
) -> Result<Reply, ControlError> {
    let actor = actor(by.user_id);
    shared.act(|world, now| {
        if !world.channel(thread)?.kind.is_thread() {
            return Err(Refusal::WrongChannelType);
        }
        world.delete_channel(actor, thread, None, now)
    })?;
    Ok(Reply::no_content())
}

#[derive(Debug, Deserialize)]
pub(super) struct ByActor {
    #[serde(default)]
    actor_id: Option<UserId>,
}

/// `PUT /sim/v1/threads/{thread}/members/{user}`: they join, or `actor_id` adds them.
pub(super) async fn join(
    State(shared): State<Arc<Shared>>,
    Path((thread, user)): Path<(ChannelId, UserId)>,
    Query(by): Query<ByActor>,
) -> Result<Reply, ControlError> {
    let actor = by.actor_id.unwrap_or(user);
    shared.act(|world, now| world.add_to_thread(actor, thread, user, now))?;
    Ok(Reply::no_content())
}

/// `DELETE /sim/v1/threads/{thread}/members/{user}`: they leave, or `actor_id` removes them.
pub(super) async fn leave(
    State(shared): State<Arc<Shared>>,
    Path((thread, user)): Path<(ChannelId, UserId)>,
    Query(by): Query<ByActor>,
) -> Result<Reply, ControlError> {
    let actor = by.actor_id.unwrap_or(user);
    shared.act(|world, now| world.remove_from_thread(actor, thread, user, now))?;
    Ok(Reply::no_content())
}
