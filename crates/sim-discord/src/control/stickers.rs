use std::sync::Arc;

use axum::extract::{Path, State};
use bytes::Bytes;
use serde::Deserialize;

use super::{ControlError, Reply, read};
use crate::{
    domain::{GuildId, NewSticker, Refusal, StickerId, png, yes},
    shared::Shared,
    wire::StickerView,
};

#[derive(Debug, Deserialize)]
pub(super) struct Making {
    guild_id: GuildId,
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    tags: String,
    /// 1 PNG, 2 APNG, 3 Lottie, 4 GIF.
    #[serde(default = "png")]
    format_type: u8,
    /// Not where the guild lost the boosts for it.
    #[serde(default = "yes")]
    available: bool,
}

/// `POST /sim/v1/stickers`: a sticker of a guild; no picture is needed.
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let new: Making = read(&body)?;
    let guild = new.guild_id;
    let wanted = NewSticker {
        name: new.name,
        description: new.description,
        tags: new.tags,
        format_type: new.format_type,
        is_available: new.available,
    };
    let id = shared.act(|world, now| world.create_sticker(guild, wanted, now))?;
    let state = shared.lock();
    let stickers = &state.world.guild(guild)?.stickers;
    let sticker = stickers.get(&id).ok_or(Refusal::UnknownSticker)?;
    Ok(Reply::created(&StickerView::new(guild, sticker)))
}

/// `DELETE /sim/v1/stickers/{guild}/{sticker}`
pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path((guild, sticker)): Path<(GuildId, StickerId)>,
) -> Result<Reply, ControlError> {
    shared.act(|world, now| world.delete_sticker(guild, sticker, now))?;
    Ok(Reply::no_content())
}
