//! Reactions and pins.

use serde_json::json;

use super::{answer::Answer, call::Call};
use crate::{
    domain::{ChannelId, Emoji, MessageId, Refusal, UserId},
    wire,
};

fn place(call: &Call<'_>) -> Result<(ChannelId, MessageId), Refusal> {
    Ok((call.id("channel_id")?, call.id("message_id")?))
}

fn emoji(call: &Call<'_>) -> Result<Emoji, Refusal> {
    Emoji::parse(call.param("emoji_name"))
}

pub(super) fn add(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let ((channel, message), emoji) = (place(call)?, emoji(call)?);
    let effect = call.state.world.add_reaction(call.bot, channel, message, emoji, call.now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

pub(super) fn remove_own(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    remove_of(call, call.bot)
}

pub(super) fn remove(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let whose: UserId = call.id("user_id")?;
    remove_of(call, whose)
}

fn remove_of(call: &mut Call<'_>, whose: UserId) -> Result<Answer, Refusal> {
    let ((channel, message), emoji) = (place(call)?, emoji(call)?);
    let (bot, now) = (call.bot, call.now);
    let world = &mut call.state.world;
    let effect = world.remove_reaction(bot, channel, message, &emoji, whose, now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

pub(super) fn clear(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (channel, message) = place(call)?;
    let effect = call.state.world.clear_reactions(call.bot, channel, message, None, call.now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

pub(super) fn clear_emoji(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let ((channel, message), emoji) = (place(call)?, emoji(call)?);
    let (bot, now) = (call.bot, call.now);
    let effect = call.state.world.clear_reactions(bot, channel, message, Some(&emoji), now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

pub(super) fn users(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let ((channel, message), emoji) = (place(call)?, emoji(call)?);
    let limit = call.query_number("limit", 1..=100, 25)?;
    let after = call.query_id("after")?;
    let world = &call.state.world;
    let (bot, now) = (call.bot, call.now);
    let users = world.reaction_users(bot, channel, message, &emoji, (after, limit), now)?;
    let views: Vec<_> = users.iter().map(|user| wire::UserView::of(world, *user)).collect();
    Ok(Answer::json(&views))
}

pub(super) fn pin(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (channel, message) = place(call)?;
    let reason = call.reason.clone();
    let world = &mut call.state.world;
    let effect = world.pin(call.bot, channel, message, reason.as_deref(), call.now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

pub(super) fn unpin(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (channel, message) = place(call)?;
    let reason = call.reason.clone();
    let world = &mut call.state.world;
    let effect = world.unpin(call.bot, channel, message, reason.as_deref(), call.now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

pub(super) fn list_pins(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let channel = call.id("channel_id")?;
    let limit = call.query_number("limit", 1..=50, 50)?;
    let before = match call.query_text("before") {
        Some(text) => Some(wire::parse_iso(text).ok_or_else(|| {
            let message = format!("Could not parse {text}. Should be ISO8601.");
            Refusal::field(&["before"], "DATE_TIME_TYPE_PARSE", message)
        })?),
        None => None,
    };
    let world = &call.state.world;
    let (pins, has_more) = world.pins(call.bot, channel, before, limit, call.now)?;
    let item = |message: &crate::domain::Message| {
        json!({
            "pinned_at": message.pinned_at.map(wire::Iso),
            "message": wire::MessageView::rest(world, message, Some(call.bot), call.sight()),
        })
    };
    let items: Vec<_> = pins.into_iter().map(item).collect();
    Ok(Answer::json(&json!({ "items": items, "has_more": has_more })))
}

/// Answers the older route, which knew no pages.
pub(super) fn list_pins_as_before(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let channel = call.id("channel_id")?;
    let world = &call.state.world;
    let (pins, _) = world.pins(call.bot, channel, None, 50, call.now)?;
    let view = |message| wire::MessageView::rest(world, message, Some(call.bot), call.sight());
    let views: Vec<_> = pins.into_iter().map(view).collect();
    Ok(Answer::json(&views))
}
