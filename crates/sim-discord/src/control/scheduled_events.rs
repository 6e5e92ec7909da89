use std::sync::Arc;

use axum::extract::{Path, Query, State};
use bytes::Bytes;
use serde::Deserialize;

use ery_clock::UnixMillis;

use super::{
    By, ControlError, Reply,
    members::{actor, present},
    read,
};
use crate::{
    domain::{ChannelId, EventChange, GuildId, Refusal, ScheduledEventId, UserId},
    shared::Shared,
    wire::{self, ScheduledEventView},
};

#[derive(Debug, Deserialize)]
pub(super) struct Planning {
    /// Of a new event.
    #[serde(default)]
    guild_id: Option<GuildId>,
    /// Who plans it, with their rights; nobody in the world where it is not said.
    #[serde(default)]
    user_id: Option<UserId>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    description: Option<Option<String>>,
    #[serde(default)]
    scheduled_start_time: Option<String>,
    #[serde(default, deserialize_with = "present")]
    scheduled_end_time: Option<Option<String>>,
    #[serde(default)]
    status: Option<u8>,
    /// 1 stage, 2 voice, 3 external.
    #[serde(default)]
    entity_type: Option<u8>,
    #[serde(default, deserialize_with = "present")]
    channel_id: Option<Option<ChannelId>>,
    #[serde(default)]
    location: Option<String>,
}

fn moment(text: &str) -> Result<UnixMillis, ControlError> {
    let wrong = || format!("`{text}` is no moment in ISO 8601 with its zone");
    wire::parse_iso(text).ok_or_else(|| ControlError::bad_request(wrong()))
}

impl Planning {
    fn change(self) -> Result<EventChange, ControlError> {
        let end = self.scheduled_end_time.map(|end| end.as_deref().map(moment).transpose());
        Ok(EventChange {
            name: self.name,
            description: self.description,
            start: self.scheduled_start_time.as_deref().map(moment).transpose()?,
            end: end.transpose()?,
            status: self.status,
            entity_type: self.entity_type,
            channel: self.channel_id,
            location: self.location,
            recurrence: None,
        })
    }
}

/// `POST /sim/v1/scheduled-events`
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let new: Planning = read(&body)?;
    let guild = new.guild_id.ok_or_else(|| ControlError::bad_request("guild_id is missing"))?;
    let actor = actor(new.user_id);
    let change = EventChange { status: None, ..new.change()? };
    let id = shared.act(|world, now| world.create_event(actor, guild, change, None, now))?;
    let answer = shown(&shared, guild, id)?;
    Ok(Reply::created(&answer))
}

/// `PATCH /sim/v1/scheduled-events/{guild}/{event}`
pub(super) async fn update(
    State(shared): State<Arc<Shared>>,
    Path((guild, id)): Path<(GuildId, ScheduledEventId)>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let edit: Planning = read(&body)?;
    let actor = actor(edit.user_id);
    let change = edit.change()?;
    shared.act(|world, now| world.update_event(actor, guild, id, change, None, now))?;
    Ok(Reply::json(&shown(&shared, guild, id)?))
}

fn shown(
    shared: &Shared,
    guild: GuildId,
    id: ScheduledEventId,
) -> Result<serde_json::Value, Refusal> {
    let state = shared.lock();
    let world = &state.world;
    let event = world.guild(guild)?.events.get(&id).ok_or(Refusal::UnknownEvent)?;
    Ok(serde_json::json!(ScheduledEventView::new(world, event, true)))
}

/// `DELETE /sim/v1/scheduled-events/{guild}/{event}`
pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path((guild, id)): Path<(GuildId, ScheduledEventId)>,
    Query(by): Query<By>,
) -> Result<Reply, ControlError> {
    let actor = actor(by.user_id);
    shared.act(|world, now| world.delete_event(actor, guild, id, None, now))?;
    Ok(Reply::no_content())
}

/// `PUT /sim/v1/scheduled-events/{guild}/{event}/users/{user}`: they are interested.
pub(super) async fn subscribe(
    State(shared): State<Arc<Shared>>,
    Path((guild, id, user)): Path<(GuildId, ScheduledEventId, UserId)>,
) -> Result<Reply, ControlError> {
    shared.act(|world, now| world.set_interested(user, guild, id, true, now))?;
    Ok(Reply::no_content())
}

/// `DELETE /sim/v1/scheduled-events/{guild}/{event}/users/{user}`: they are no more.
pub(super) async fn unsubscribe(
    State(shared): State<Arc<Shared>>,
    Path((guild, id, user)): Path<(GuildId, ScheduledEventId, UserId)>,
) -> Result<Reply, ControlError> {
    shared.act(|world, now| world.set_interested(user, guild, id, false, now))?;
    Ok(Reply::no_content())
}
