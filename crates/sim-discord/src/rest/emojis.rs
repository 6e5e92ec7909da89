//! The emojis of a guild.

use twilight_model::guild::Permissions;

use super::{answer::Answer, call::Call, form::Form};
use crate::{
    domain::{EmojiChange, EmojiId, GuildId, NewEmoji, Refusal, check_image},
    wire::GuildEmojiView,
};

fn own_guild(call: &Call<'_>) -> Result<GuildId, Refusal> {
    let guild = call.id("guild_id")?;
    call.state.world.require_in_guild(call.bot, guild, Permissions::empty(), call.now)?;
    Ok(guild)
}

/// Tells whether the bot may know who made an emoji.
fn sees_creators(call: &Call<'_>, guild: GuildId) -> bool {
    let either = [Permissions::CREATE_GUILD_EXPRESSIONS, Permissions::MANAGE_GUILD_EXPRESSIONS];
    let world = &call.state.world;
    either.iter().any(|needed| world.require_in_guild(call.bot, guild, *needed, call.now).is_ok())
}

pub(super) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let world = &call.state.world;
    let emojis = world.guild(guild)?.emojis.values();
    let views: Vec<_> = if sees_creators(call, guild) {
        emojis.map(|emoji| GuildEmojiView::with_creator(world, emoji)).collect()
    } else {
        emojis.map(GuildEmojiView::new).collect()
    };
    Ok(Answer::json(&views))
}

fn shown(call: &Call<'_>, guild: GuildId, id: EmojiId) -> Result<Answer, Refusal> {
    let world = &call.state.world;
    let emoji = world.guild(guild)?.emojis.get(&id).ok_or(Refusal::UnknownEmoji)?;
    Ok(if sees_creators(call, guild) {
        Answer::json(&GuildEmojiView::with_creator(world, emoji))
    } else {
        Answer::json(&GuildEmojiView::new(emoji))
    })
}

pub(super) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    shown(call, guild, call.id("emoji_id")?)
}

pub(super) fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let mut form = call.form()?;
    let name = required_text(&mut form, "name");
    let image = required_text(&mut form, "image");
    let roles = form.ids("roles").unwrap_or_default();
    form.finish()?;
    let is_animated = check_image("image", &image)?;
    let new = NewEmoji { name, roles, is_animated };
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let effect = call.state.world.create_emoji(actor, guild, new, reason.as_deref(), now)?;
    let id = call.apply(effect);
    Ok(Answer { status: 201, ..shown(call, guild, id)? })
}

fn required_text(form: &mut Form, key: &str) -> String {
    let text = form.text(key);
    if text.is_none() {
        form.require(key);
    }
    text.unwrap_or_default()
}

pub(super) fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let id = call.id("emoji_id")?;
    let mut form = call.form()?;
    let name = form.text("name");
    let roles = if form.takes_null("roles") { Some(Vec::new()) } else { form.ids("roles") };
    form.finish()?;
    let edit = EmojiChange { name, roles };
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let effect = call.state.world.update_emoji(actor, guild, id, edit, reason.as_deref(), now)?;
    call.apply(effect);
    shown(call, guild, id)
}

pub(super) fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let id = call.id("emoji_id")?;
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let effect = call.state.world.delete_emoji(actor, guild, id, reason.as_deref(), now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}
