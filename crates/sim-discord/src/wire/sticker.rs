use bytes::Bytes;
use serde::Serialize;

use super::render;
use crate::domain::{Guild, GuildId, GuildSticker, StickerId};

/// A sticker of a guild.
#[derive(Debug, Serialize)]
pub(crate) struct StickerView<'a> {
    id: StickerId,
    name: &'a str,
    tags: &'a str,
    #[serde(rename = "type")]
    kind: u8,
    format_type: u8,
    description: Option<&'a str>,
    available: bool,
    guild_id: GuildId,
}

impl<'a> StickerView<'a> {
    pub(crate) fn new(guild: GuildId, sticker: &'a GuildSticker) -> Self {
        Self {
            id: sticker.id,
            name: &sticker.name,
            tags: &sticker.tags,
            kind: 2,
            format_type: sticker.format_type,
            description: sticker.description.as_deref(),
            available: sticker.available,
            guild_id: guild,
        }
    }

    /// Returns all of a guild.
    pub(crate) fn all(guild: &'a Guild) -> Vec<Self> {
        guild.stickers.values().map(|sticker| Self::new(guild.id, sticker)).collect()
    }
}

#[derive(Serialize)]
struct StickersUpdate<'a> {
    guild_id: GuildId,
    stickers: Vec<StickerView<'a>>,
}

/// Returns the `d` of `GUILD_STICKERS_UPDATE`.
pub(crate) fn stickers_update(guild: &Guild) -> Bytes {
    render(&StickersUpdate { guild_id: guild.id, stickers: StickerView::all(guild) })
}
