use std::sync::Arc;

use axum::extract::{Path, Query, State};
use bytes::Bytes;
use serde::Deserialize;

use super::{By, ControlError, Reply, members::actor, read};
use crate::{
    domain::{EmojiId, GuildId, NewEmoji, Refusal, RoleId, UserId},
    shared::Shared,
    wire::GuildEmojiView,
};

#[derive(Debug, Deserialize)]
pub(super) struct Making {
    guild_id: GuildId,
    name: String,
    /// Who makes it, with their rights; nobody in the world where it is not said.
    #[serde(default)]
    user_id: Option<UserId>,
    #[serde(default)]
    roles: Vec<RoleId>,
    #[serde(default)]
    animated: bool,
}

/// `POST /sim/v1/emojis`: an emoji of a guild; no picture is needed.
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let new: Making = read(&body)?;
    let (guild, actor) = (new.guild_id, actor(new.user_id));
    let wanted = NewEmoji { name: new.name, roles: new.roles, is_animated: new.animated };
    let id = shared.act(|world, now| world.create_emoji(actor, guild, wanted, None, now))?;
    let state = shared.lock();
    let emoji = state.world.guild(guild)?.emojis.get(&id).ok_or(Refusal::UnknownEmoji)?;
    Ok(Reply::created(&GuildEmojiView::with_creator(&state.world, emoji)))
}

/// `DELETE /sim/v1/emojis/{guild}/{emoji}`
pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path((guild, emoji)): Path<(GuildId, EmojiId)>,
    Query(by): Query<By>,
) -> Result<Reply, ControlError> {
    let actor = actor(by.user_id);
    shared.act(|world, now| world.delete_emoji(actor, guild, emoji, None, now))?;
    Ok(Reply::no_content())
}
