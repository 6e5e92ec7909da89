//! The events that a guild has planned.

use ery_clock::UnixMillis;
use twilight_model::guild::Permissions;

use super::{answer::Answer, call::Call, form::Form};
use crate::{
    domain::{EventChange, GuildId, Refusal, ScheduledEventId, UserId, check_image},
    wire::{self, EventUserView, ScheduledEventView},
};

fn own_guild(call: &Call<'_>) -> Result<GuildId, Refusal> {
    let guild = call.id("guild_id")?;
    call.state.world.require_in_guild(call.bot, guild, Permissions::empty(), call.now)?;
    Ok(guild)
}

fn place(call: &Call<'_>) -> Result<(GuildId, ScheduledEventId), Refusal> {
    Ok((own_guild(call)?, call.id("guild_scheduled_event_id")?))
}

pub(super) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let with_count = call.query_flag("with_user_count").unwrap_or(false);
    let world = &call.state.world;
    let events = world.visible_events(call.bot, guild, call.now).into_iter();
    let views: Vec<_> =
        events.map(|event| ScheduledEventView::new(world, event, with_count)).collect();
    Ok(Answer::json(&views))
}

fn shown(call: &Call<'_>, guild: GuildId, id: ScheduledEventId) -> Result<Answer, Refusal> {
    let with_count = call.query_flag("with_user_count").unwrap_or(false);
    let world = &call.state.world;
    let event = world.visible_event(call.bot, guild, id, call.now)?;
    Ok(Answer::json(&ScheduledEventView::new(world, event, with_count)))
}

pub(super) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (guild, id) = place(call)?;
    shown(call, guild, id)
}

pub(super) fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let mut form = call.form()?;
    let (new, image) = change_of(&mut form, true);
    form.finish()?;
    check_event_image(image)?;
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let effect = call.state.world.create_event(actor, guild, new, reason.as_deref(), now)?;
    let id = call.apply(effect);
    shown(call, guild, id)
}

pub(super) fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (guild, id) = place(call)?;
    let mut form = call.form()?;
    let (edit, image) = change_of(&mut form, false);
    form.finish()?;
    check_event_image(image)?;
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let effect = call.state.world.update_event(actor, guild, id, edit, reason.as_deref(), now)?;
    call.apply(effect);
    shown(call, guild, id)
}

/// Pictures are checked, and not kept.
fn check_event_image(image: Option<String>) -> Result<(), Refusal> {
    image.map_or(Ok(()), |image| check_image("image", &image).map(|_| ()))
}

fn change_of(form: &mut Form, is_new: bool) -> (EventChange, Option<String>) {
    let privacy = form.integer("privacy_level");
    if privacy.is_some_and(|level| level != 2) {
        form.error("privacy_level", "BASE_TYPE_CHOICES", "Value must be one of {2}.");
    }
    if is_new && privacy.is_none() {
        form.require("privacy_level");
    }
    let change = EventChange {
        name: form.text("name"),
        description: form.nullable_text("description"),
        start: moment(form, "scheduled_start_time").flatten(),
        end: moment(form, "scheduled_end_time"),
        status: small(form, "status"),
        entity_type: small(form, "entity_type"),
        channel: form.nullable_id("channel_id"),
        location: form.object("entity_metadata", |form| form.text("location")).flatten(),
        recurrence: form.take("recurrence_rule").map(|rule| Some(rule).filter(|it| !it.is_null())),
    };
    let change = if is_new { EventChange { status: None, ..change } } else { change };
    (change, form.text("image"))
}

/// Reads a number that is none of Discord's choices as one that the world refuses.
fn small(form: &mut Form, key: &str) -> Option<u8> {
    form.integer(key).map(|number| u8::try_from(number).unwrap_or(0))
}

/// Reads a moment that may be null.
fn moment(form: &mut Form, key: &str) -> Option<Option<UnixMillis>> {
    let Some(text) = form.nullable_text(key)? else { return Some(None) };
    let moment = wire::parse_iso(&text);
    if moment.is_none() {
        let message = format!("Could not parse {text}. Should be ISO8601.");
        form.error(key, "DATE_TIME_TYPE_PARSE", message);
    }
    moment.map(Some)
}

pub(super) fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (guild, id) = place(call)?;
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let effect = call.state.world.delete_event(actor, guild, id, reason.as_deref(), now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

pub(super) fn users(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (guild, id) = place(call)?;
    let limit = call.query_number("limit", 1..=100, 100)?;
    let with_member = call.query_flag("with_member").unwrap_or(false);
    let before: Option<UserId> = call.query_id("before")?;
    let after: Option<UserId> = call.query_id("after")?;
    let world = &call.state.world;
    let event = world.visible_event(call.bot, guild, id, call.now)?;
    let wanted = |user: &&UserId| {
        before.is_none_or(|before| **user < before) && after.is_none_or(|after| **user > after)
    };
    let mut users: Vec<UserId> = event.users.keys().filter(wanted).copied().collect();
    if before.is_some() {
        users.drain(..users.len().saturating_sub(limit));
    }
    users.truncate(limit);
    let view = |user: &UserId| EventUserView::new(world, event, *user, with_member);
    Ok(Answer::json(&users.iter().map(view).collect::<Vec<_>>()))
}
