//! The emojis that a guild has of its own.

use serde_json::{Value, json};
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Actor, Audience, Dispatch, Effect, EmojiId, GuildId, Outcome, Refusal, RoleId, UserId, World,
    audit::{Deed, action, change},
};
use crate::wire;

/// What a guild without boosts may have, of each kind.
const MAX_EMOJIS: usize = 50;
const MAX_IMAGE_BYTES: usize = 256 * 1024;

/// An emoji of a guild.
#[derive(Clone, Debug)]
pub(crate) struct GuildEmoji {
    pub(crate) id: EmojiId,
    pub(crate) name: String,
    pub(crate) creator: Option<UserId>,
    /// Who may use it; everybody where the list is empty.
    pub(crate) roles: Vec<RoleId>,
    pub(crate) is_animated: bool,
}

/// An emoji that somebody wants.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewEmoji {
    pub(crate) name: String,
    pub(crate) roles: Vec<RoleId>,
    pub(crate) is_animated: bool,
}

/// A change of an emoji; what is none stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct EmojiChange {
    pub(crate) name: Option<String>,
    pub(crate) roles: Option<Vec<RoleId>>,
}

/// Reads an image as clients send it, `data:image/png;base64,…`, and tells whether it moves.
pub(crate) fn check_image(key: &str, data: &str) -> Result<bool, Refusal> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let wrong = || {
        let message = "Invalid image data";
        Refusal::field(&[key], "IMAGE_INVALID", message)
    };
    let rest = data.strip_prefix("data:image/").ok_or_else(wrong)?;
    let (kind, encoded) = rest.split_once(";base64,").ok_or_else(wrong)?;
    if !["png", "jpeg", "jpg", "gif", "webp", "avif"].contains(&kind) {
        return Err(wrong());
    }
    let bytes = STANDARD.decode(encoded).map_err(|_| wrong())?;
    if bytes.is_empty() {
        return Err(wrong());
    }
    if bytes.len() > MAX_IMAGE_BYTES {
        return Err(Refusal::ImageTooLarge);
    }
    Ok(kind == "gif")
}

impl World {
    /// Makes an emoji.
    pub(crate) fn create_emoji(
        &mut self,
        actor: Actor,
        guild: GuildId,
        new: NewEmoji,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<EmojiId> {
        if let Actor::User(actor) = actor {
            self.require_in_guild(actor, guild, Permissions::CREATE_GUILD_EXPRESSIONS, now)?;
        }
        check_emoji_name(&new.name)?;
        let place = self.guild(guild)?;
        check_roles(place, &new.roles)?;
        let alike = place.emojis.values().filter(|emoji| emoji.is_animated == new.is_animated);
        if alike.count() >= MAX_EMOJIS {
            return Err(if new.is_animated {
                Refusal::TooManyAnimatedEmojis
            } else {
                Refusal::TooManyEmojis
            });
        }
        let id: EmojiId = self.mint.next(now);
        let changes = vec![change("name", Value::Null, json!(new.name))];
        let emoji = GuildEmoji {
            id,
            name: new.name,
            creator: actor.user(),
            roles: new.roles,
            is_animated: new.is_animated,
        };
        if let Some(place) = self.guilds.get_mut(&guild) {
            place.emojis.insert(id, emoji);
        }
        let mut dispatches = Vec::new();
        self.dispatch_emojis(guild, &mut dispatches);
        let deed = emoji_deed(action::EMOJI_CREATE, id, changes, reason);
        self.record(guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new(id, dispatches))
    }

    /// Changes an emoji: one's own, or with `MANAGE_GUILD_EXPRESSIONS` another's.
    pub(crate) fn update_emoji(
        &mut self,
        actor: Actor,
        guild: GuildId,
        id: EmojiId,
        edit: EmojiChange,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        self.check_may_change_emoji(actor, guild, id, now)?;
        if let Some(name) = &edit.name {
            check_emoji_name(name)?;
        }
        check_roles(self.guild(guild)?, edit.roles.as_deref().unwrap_or_default())?;
        let place = self.guilds.get_mut(&guild).ok_or(Refusal::UnknownGuild)?;
        let emoji = place.emojis.get_mut(&id).ok_or(Refusal::UnknownEmoji)?;
        let before = emoji.name.clone();
        emoji.name = edit.name.unwrap_or_else(|| before.clone());
        if let Some(roles) = edit.roles {
            emoji.roles = roles;
        }
        let after = emoji.name.clone();
        let mut dispatches = Vec::new();
        self.dispatch_emojis(guild, &mut dispatches);
        if before != after {
            let changes = vec![change("name", json!(before), json!(after))];
            let deed = emoji_deed(action::EMOJI_UPDATE, id, changes, reason);
            self.record(guild, actor, deed, now, &mut dispatches);
        }
        Ok(Effect::new((), dispatches))
    }

    /// Deletes an emoji: one's own, or with `MANAGE_GUILD_EXPRESSIONS` another's.
    pub(crate) fn delete_emoji(
        &mut self,
        actor: Actor,
        guild: GuildId,
        id: EmojiId,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        self.check_may_change_emoji(actor, guild, id, now)?;
        let place = self.guilds.get_mut(&guild).ok_or(Refusal::UnknownGuild)?;
        let gone = place.emojis.remove(&id).ok_or(Refusal::UnknownEmoji)?;
        let mut dispatches = Vec::new();
        self.dispatch_emojis(guild, &mut dispatches);
        let changes = vec![change("name", json!(gone.name), Value::Null)];
        let deed = emoji_deed(action::EMOJI_DELETE, id, changes, reason);
        self.record(guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    fn check_may_change_emoji(
        &self,
        actor: Actor,
        guild: GuildId,
        id: EmojiId,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let Actor::User(actor) = actor else { return Ok(()) };
        let place = self.require_in_guild(actor, guild, Permissions::empty(), now)?;
        let emoji = place.emojis.get(&id).ok_or(Refusal::UnknownEmoji)?;
        let manages = Permissions::MANAGE_GUILD_EXPRESSIONS;
        if self.require_in_guild(actor, guild, manages, now).is_ok() {
            return Ok(());
        }
        if emoji.creator != Some(actor) {
            return Err(Refusal::MissingPermissions);
        }
        self.require_in_guild(actor, guild, Permissions::CREATE_GUILD_EXPRESSIONS, now).map(|_| ())
    }

    /// Finds an emoji, and whose it is, among all guilds.
    pub(super) fn guild_emoji(&self, id: EmojiId) -> Option<(GuildId, &GuildEmoji)> {
        self.guilds.values().find_map(|guild| Some((guild.id, guild.emojis.get(&id)?)))
    }

    fn dispatch_emojis(&self, guild: GuildId, dispatches: &mut Vec<Dispatch>) {
        if let Some(place) = self.guilds.get(&guild) {
            let body = wire::emojis_update(self, place);
            let audience = Audience::Guild(guild);
            dispatches.push(Dispatch::shared("GUILD_EMOJIS_UPDATE", audience, body));
        }
    }
}

fn check_emoji_name(name: &str) -> Result<(), Refusal> {
    if !(2..=32).contains(&name.chars().count()) {
        let message = "Must be between 2 and 32 in length.";
        return Err(Refusal::field(&["name"], "BASE_TYPE_BAD_LENGTH", message));
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let message = "String value did not match validation regex.";
        return Err(Refusal::field(&["name"], "STRING_TYPE_REGEX", message));
    }
    Ok(())
}

fn check_roles(guild: &super::Guild, roles: &[RoleId]) -> Result<(), Refusal> {
    match roles.iter().position(|role| !guild.roles.contains_key(role)) {
        Some(at) => {
            Err(Refusal::field(&["roles", &at.to_string()], "ROLE_NOT_FOUND", "Unknown Role"))
        }
        None => Ok(()),
    }
}

fn emoji_deed(action: u16, emoji: EmojiId, changes: Vec<Value>, reason: Option<&str>) -> Deed<'_> {
    Deed { action, target: Some(emoji.get()), changes, options: None, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_told_from_what_is_none() {
        assert_eq!(check_image("image", "data:image/png;base64,aGk="), Ok(false));
        assert_eq!(check_image("image", "data:image/gif;base64,aGk="), Ok(true));
        for wrong in ["", "aGk=", "data:text/plain;base64,aGk=", "data:image/png;base64,%"] {
            assert!(matches!(check_image("image", wrong), Err(Refusal::InvalidForm(_))), "{wrong}");
        }
        let large = format!("data:image/png;base64,{}", "AAAA".repeat(100_000));
        assert_eq!(check_image("image", &large), Err(Refusal::ImageTooLarge));
    }
}
