//! Channels themselves.

use std::ops::RangeInclusive;

use twilight_model::guild::Permissions;

use super::{
    answer::Answer,
    call::Call,
    form::Form,
    threads::{self, minutes, seconds},
};
use crate::{
    domain::{
        ChannelChange, ChannelId, ChannelKind, Overwrite, OverwriteTarget, PostEmoji, Refusal,
        TagChange,
    },
    wire,
};

pub(super) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let world = &call.state.world;
    let channel = world.channel(call.id("channel_id")?)?;
    world.require(call.bot, channel, Permissions::empty(), call.now)?;
    shown(call, channel.id)
}

/// Answers with a channel as the bot sees it.
pub(super) fn shown(call: &Call<'_>, channel: ChannelId) -> Result<Answer, Refusal> {
    let world = &call.state.world;
    let channel = world.channel(channel)?;
    Ok(match channel.guild {
        Some(_) => Answer::json(&wire::GuildChannelView::new(channel, Some(call.bot))),
        None => Answer::json(&wire::dm_channel(world, channel, call.bot)),
    })
}

pub(super) fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let channel = call.id("channel_id")?;
    if call.state.world.channel(channel)?.kind.is_thread() {
        return threads::update(call, channel);
    }
    let mut form = call.form()?;
    let kind = choice(&mut form, "type", 0..=16).map(ChannelKind);
    let change = ChannelChange { kind, ..change_of(&mut form) };
    form.finish()?;
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let world = &mut call.state.world;
    let effect = world.update_channel(actor, channel, change, reason.as_deref(), now)?;
    call.apply(effect);
    shown(call, channel)
}

/// Reads the properties of a channel.
pub(super) fn change_of(form: &mut Form) -> ChannelChange {
    ChannelChange {
        name: form.text("name"),
        kind: None,
        topic: form.nullable_text("topic"),
        rate_limit_per_user: seconds(form, "rate_limit_per_user"),
        nsfw: form.boolean("nsfw"),
        position: form.integer("position"),
        parent: form.nullable_id("parent_id"),
        overwrites: form.list("permission_overwrites").map(|list| {
            let objects = list.into_iter().enumerate().filter_map(|(index, value)| match value {
                serde_json::Value::Object(fields) => Some((index, Form::new(fields))),
                _ => None,
            });
            objects.filter_map(|(index, mut inner)| overwrite_of(form, index, &mut inner)).collect()
        }),
        bitrate: number(form, "bitrate"),
        user_limit: number(form, "user_limit"),
        rtc_region: form.nullable_text("rtc_region"),
        video_quality_mode: choice(form, "video_quality_mode", 1..=2),
        default_auto_archive: auto_archive_of(form),
        default_thread_rate_limit_per_user: seconds(form, "default_thread_rate_limit_per_user"),
        flags: form.integer("flags").and_then(|flags| u64::try_from(flags).ok()),
        tags: tags_of(form),
        default_reaction: default_reaction_of(form),
        default_sort_order: nullable_choice(form, "default_sort_order", 0..=1),
        default_layout: choice(form, "default_forum_layout", 0..=2),
    }
}

fn number(form: &mut Form, key: &str) -> Option<u32> {
    form.up_to(key, u64::from(u32::MAX)).and_then(|number| u32::try_from(number).ok())
}

/// Reads one of a few numbers. Null counts as not there.
pub(super) fn choice(form: &mut Form, key: &str, of: RangeInclusive<u8>) -> Option<u8> {
    let number = form.integer(key)?;
    let chosen = u8::try_from(number).ok().filter(|number| of.contains(number));
    if chosen.is_none() {
        let all: Vec<String> = of.map(|number| number.to_string()).collect();
        let message = format!("Value must be one of {{{}}}.", all.join(", "));
        form.error(key, "BASE_TYPE_CHOICES", message);
    }
    chosen
}

/// Reads one of a few numbers that may be null.
fn nullable_choice(form: &mut Form, key: &str, of: RangeInclusive<u8>) -> Option<Option<u8>> {
    if form.takes_null(key) { Some(None) } else { choice(form, key, of).map(Some) }
}

fn auto_archive_of(form: &mut Form) -> Option<Option<u16>> {
    const KEY: &str = "default_auto_archive_duration";
    if form.takes_null(KEY) { Some(None) } else { minutes(form, KEY).map(Some) }
}

fn tags_of(form: &mut Form) -> Option<Vec<TagChange>> {
    form.objects("available_tags", |form| {
        let name = form.text("name");
        if name.is_none() {
            form.require("name");
        }
        TagChange {
            id: form.id("id"),
            name: name.unwrap_or_default(),
            is_moderated: form.boolean("moderated").unwrap_or(false),
            emoji: PostEmoji::of(form.id("emoji_id"), form.text("emoji_name")),
        }
    })
}

fn default_reaction_of(form: &mut Form) -> Option<Option<PostEmoji>> {
    const KEY: &str = "default_reaction_emoji";
    if form.takes_null(KEY) {
        return Some(None);
    }
    form.object(KEY, |form| PostEmoji::of(form.id("emoji_id"), form.text("emoji_name")))
}

fn overwrite_of(outer: &mut Form, index: usize, form: &mut Form) -> Option<Overwrite> {
    let id = form.id("id");
    let kind = form.integer("type");
    let (allow, deny) = allow_and_deny(form);
    let Some(id) = id else {
        outer.require(&format!("permission_overwrites/{index}/id"));
        return None;
    };
    let target = target(id, kind);
    Some(Overwrite { target, allow, deny })
}

type GenericId = twilight_model::id::Id<twilight_model::id::marker::GenericMarker>;

fn target(id: GenericId, kind: Option<i64>) -> OverwriteTarget {
    if kind == Some(1) {
        OverwriteTarget::Member(id.cast())
    } else {
        OverwriteTarget::Role(id.cast())
    }
}

/// Reads both sets of an overwrite; one that is not there is empty.
fn allow_and_deny(form: &mut Form) -> (Permissions, Permissions) {
    let mut set = |key| bits(form, key).unwrap_or(Permissions::empty());
    (set("allow"), set("deny"))
}

/// Reads a set of permissions: a decimal number, mostly in a string.
pub(super) fn bits(form: &mut Form, key: &str) -> Option<Permissions> {
    let text = form.text(key)?;
    let bits = text.parse().ok().map(Permissions::from_bits_retain);
    if bits.is_none() {
        let message = format!("Value \"{text}\" is not int.");
        form.error(key, "NUMBER_TYPE_COERCE", message);
    }
    bits
}

pub(super) fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let channel = call.id("channel_id")?;
    let (actor, now) = (call.actor(), call.now);
    let answer = shown(call, channel)?;
    let reason = call.reason.clone();
    let effect = call.state.world.delete_channel(actor, channel, reason.as_deref(), now)?;
    call.apply(effect);
    Ok(answer)
}

pub(super) fn typing(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let effect = call.state.world.start_typing(call.bot, call.id("channel_id")?, call.now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

pub(super) fn set_overwrite(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let channel = call.id("channel_id")?;
    let id = call.id("overwrite_id")?;
    let mut form = call.form()?;
    let kind = form.integer("type");
    if kind.is_none() {
        form.require("type");
    }
    let value = allow_and_deny(&mut form);
    form.finish()?;
    change_overwrite(call, channel, target(id, kind), Some(value))
}

pub(super) fn delete_overwrite(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let channel = call.id("channel_id")?;
    let id: GenericId = call.id("overwrite_id")?;
    let place = call.state.world.channel(channel)?;
    let found = place.overwrites.iter().map(|overwrite| overwrite.target).find(|target| {
        matches!(target, OverwriteTarget::Role(role) if role.get() == id.get())
            || matches!(target, OverwriteTarget::Member(member) if member.get() == id.get())
    });
    change_overwrite(call, channel, found.unwrap_or(OverwriteTarget::Role(id.cast())), None)
}

fn change_overwrite(
    call: &mut Call<'_>,
    channel: ChannelId,
    target: OverwriteTarget,
    value: Option<(Permissions, Permissions)>,
) -> Result<Answer, Refusal> {
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let world = &mut call.state.world;
    let effect = world.set_overwrite(actor, channel, target, value, reason.as_deref(), now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}
