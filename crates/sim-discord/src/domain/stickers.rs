//! The stickers that a guild has of its own, and what messages show of them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use ery_clock::UnixMillis;

use super::{
    Actor, Audience, Dispatch, Effect, GuildId, Outcome, Refusal, StickerId, World,
    audit::{Deed, action, change},
};
use crate::wire;

/// How many one message may have.
const MAX_STICKERS: usize = 3;
/// What a guild without boosts may have.
const MAX_GUILD_STICKERS: usize = 5;

/// A sticker of a guild.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GuildSticker {
    pub(crate) id: StickerId,
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// The name of the emoji that it goes with.
    #[serde(default)]
    pub(crate) tags: String,
    #[serde(default = "png")]
    pub(crate) format_type: u8,
    /// Not where the guild lost the boosts for it.
    #[serde(default = "yes")]
    pub(crate) available: bool,
}

/// A sticker as a message shows it, also once it is deleted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StickerItem {
    pub(crate) id: StickerId,
    pub(crate) name: String,
    pub(crate) format_type: u8,
}

/// A sticker that is to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewSticker {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) tags: String,
    pub(crate) format_type: u8,
    pub(crate) is_available: bool,
}

pub(crate) fn png() -> u8 {
    1
}

pub(crate) fn yes() -> bool {
    true
}

impl World {
    /// Makes a sticker, by nobody in the world.
    pub(crate) fn create_sticker(
        &mut self,
        guild: GuildId,
        new: NewSticker,
        now: UnixMillis,
    ) -> Outcome<StickerId> {
        if !(2..=30).contains(&new.name.chars().count()) {
            let message = "Must be between 2 and 30 in length.";
            return Err(Refusal::field(&["name"], "BASE_TYPE_BAD_LENGTH", message));
        }
        if !(1..=4).contains(&new.format_type) {
            let message = "Value must be one of {1, 2, 3, 4}.";
            return Err(Refusal::field(&["format_type"], "BASE_TYPE_CHOICES", message));
        }
        if self.guild(guild)?.stickers.len() >= MAX_GUILD_STICKERS {
            return Err(Refusal::TooManyStickers);
        }
        let id: StickerId = self.mint.next(now);
        let changes = vec![change("name", Value::Null, json!(new.name))];
        let sticker = GuildSticker {
            id,
            name: new.name,
            description: new.description,
            tags: new.tags,
            format_type: new.format_type,
            available: new.is_available,
        };
        if let Some(place) = self.guilds.get_mut(&guild) {
            place.stickers.insert(id, sticker);
        }
        let mut dispatches = Vec::new();
        self.dispatch_stickers(guild, &mut dispatches);
        let deed = deed(action::STICKER_CREATE, id, changes);
        self.record(guild, Actor::Operator, deed, now, &mut dispatches);
        Ok(Effect::new(id, dispatches))
    }

    /// Deletes a sticker; messages go on showing what they showed.
    pub(crate) fn delete_sticker(
        &mut self,
        guild: GuildId,
        id: StickerId,
        now: UnixMillis,
    ) -> Outcome<()> {
        let place = self.guilds.get_mut(&guild).ok_or(Refusal::UnknownGuild)?;
        let gone = place.stickers.remove(&id).ok_or(Refusal::UnknownSticker)?;
        let mut dispatches = Vec::new();
        self.dispatch_stickers(guild, &mut dispatches);
        let changes = vec![change("name", json!(gone.name), Value::Null)];
        let deed = deed(action::STICKER_DELETE, id, changes);
        self.record(guild, Actor::Operator, deed, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    /// Finds the stickers that a message is to show in a place. Nobody here pays for those of other
    /// guilds, and no bot can.
    pub(super) fn sticker_items(
        &self,
        place: Option<GuildId>,
        wanted: &[StickerId],
    ) -> Result<Vec<StickerItem>, Refusal> {
        if wanted.len() > MAX_STICKERS {
            let message = "Must be 3 or fewer in length.";
            return Err(Refusal::field(&["sticker_ids"], "BASE_TYPE_MAX_LENGTH", message));
        }
        let item = |id: &StickerId| {
            let found =
                self.guilds.values().find_map(|guild| Some((guild.id, guild.stickers.get(id)?)));
            let (guild, sticker) = found.ok_or(Refusal::UnknownSticker)?;
            if place != Some(guild) || !sticker.available {
                return Err(Refusal::InvalidSticker);
            }
            let (name, format_type) = (sticker.name.clone(), sticker.format_type);
            Ok(StickerItem { id: *id, name, format_type })
        };
        wanted.iter().map(item).collect()
    }

    fn dispatch_stickers(&self, guild: GuildId, dispatches: &mut Vec<Dispatch>) {
        if let Some(place) = self.guilds.get(&guild) {
            let body = wire::stickers_update(place);
            let audience = Audience::Guild(guild);
            dispatches.push(Dispatch::shared("GUILD_STICKERS_UPDATE", audience, body));
        }
    }
}

fn deed(action: u16, sticker: StickerId, changes: Vec<Value>) -> Deed<'static> {
    Deed { action, target: Some(sticker.get()), changes, options: None, reason: None }
}
