use bytes::Bytes;
use serde::Serialize;

use super::{UserView, render};
use crate::domain::{EmojiId, Guild, GuildEmoji, GuildId, RoleId, World};

/// An emoji of a guild.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are Discord's own fields")]
pub(crate) struct GuildEmojiView<'a> {
    id: EmojiId,
    name: &'a str,
    roles: &'a [RoleId],
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserView<'a>>,
    require_colons: bool,
    managed: bool,
    animated: bool,
    available: bool,
}

impl<'a> GuildEmojiView<'a> {
    pub(crate) fn new(emoji: &'a GuildEmoji) -> Self {
        Self {
            id: emoji.id,
            name: &emoji.name,
            roles: &emoji.roles,
            user: None,
            require_colons: true,
            managed: false,
            animated: emoji.is_animated,
            available: true,
        }
    }

    /// Returns it with who made it, for those who may know.
    pub(crate) fn with_creator(world: &'a World, emoji: &'a GuildEmoji) -> Self {
        let user = emoji.creator.map(|creator| UserView::of(world, creator));
        Self { user, ..Self::new(emoji) }
    }

    /// Returns all of a guild.
    pub(crate) fn all(guild: &'a Guild) -> Vec<Self> {
        guild.emojis.values().map(Self::new).collect()
    }
}

#[derive(Serialize)]
struct EmojisUpdate<'a> {
    guild_id: GuildId,
    emojis: Vec<GuildEmojiView<'a>>,
}

/// Returns the `d` of `GUILD_EMOJIS_UPDATE`.
pub(crate) fn emojis_update(world: &World, guild: &Guild) -> Bytes {
    let emojis = guild.emojis.values();
    let emojis = emojis.map(|emoji| GuildEmojiView::with_creator(world, emoji)).collect();
    render(&EmojisUpdate { guild_id: guild.id, emojis })
}
