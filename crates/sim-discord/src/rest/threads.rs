//! Threads, their members, and the lists of them.

use twilight_model::id::{Id, marker::ChannelMarker};

use ery_clock::UnixMillis;

use super::{answer::Answer, call::Call, form::Form, messages::draft_of};
use crate::{
    domain::{
        Archived, ChannelId, ChannelKind, MessageId, NewThread, Refusal, ThreadChange, ThreadList,
        UserId,
    },
    wire,
};

pub(super) fn create_from_message(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (channel, message): (ChannelId, MessageId) =
        (call.id("channel_id")?, call.id("message_id")?);
    let mut form = call.form()?;
    let new = new_thread_of(&mut form);
    form.finish()?;
    let reason = call.reason.clone();
    let (bot, now) = (call.bot, call.now);
    let world = &mut call.state.world;
    let reason = reason.as_deref();
    let effect = world.create_thread_from_message(bot, channel, message, new, reason, now)?;
    let thread = call.apply(effect);
    made(call, thread)
}

pub(super) fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let channel: ChannelId = call.id("channel_id")?;
    let (mut form, files) = call.form_and_files()?;
    let new = new_thread_of(&mut form);
    let first = form.object("message", |form| draft_of(form, files));
    form.finish()?;
    let reason = call.reason.clone();
    let (bot, now) = (call.bot, call.now);
    let world = &mut call.state.world;
    let effect = world.create_thread(bot, channel, new, first, reason.as_deref(), now)?;
    let thread = call.apply(effect);
    made(call, thread)
}

/// Answers with a thread that was just made.
fn made(call: &Call<'_>, thread: ChannelId) -> Result<Answer, Refusal> {
    let world = &call.state.world;
    let view = wire::ThreadView::made(world, world.channel(thread)?, call.bot);
    Ok(Answer { status: 201, ..Answer::json(&view.ok_or(Refusal::UnknownChannel)?) })
}

fn new_thread_of(form: &mut Form) -> NewThread {
    let name = form.text("name");
    if name.is_none() {
        form.require("name");
    }
    NewThread {
        name: name.unwrap_or_default(),
        kind: form.up_to("type", 16).and_then(|kind| u8::try_from(kind).ok()).map(ChannelKind),
        auto_archive: minutes(form, "auto_archive_duration"),
        rate_limit_per_user: seconds(form, "rate_limit_per_user"),
        is_invitable: form.boolean("invitable"),
        applied_tags: form.ids("applied_tags").unwrap_or_default(),
    }
}

/// Reads a number of minutes that is none of Discord's choices as one that the world refuses.
pub(super) fn minutes(form: &mut Form, key: &str) -> Option<u16> {
    form.integer(key).map(|minutes| u16::try_from(minutes).unwrap_or(0))
}

/// Reads a slow mode's seconds.
pub(super) fn seconds(form: &mut Form, key: &str) -> Option<u32> {
    form.up_to(key, 21_600).and_then(|seconds| u32::try_from(seconds).ok())
}

/// Changes the thread of the path, which `PATCH /channels/{id}` found to be one.
pub(super) fn update(call: &mut Call<'_>, thread: ChannelId) -> Result<Answer, Refusal> {
    let mut form = call.form()?;
    let change = ThreadChange {
        name: form.text("name"),
        archived: form.boolean("archived"),
        locked: form.boolean("locked"),
        invitable: form.boolean("invitable"),
        auto_archive: minutes(&mut form, "auto_archive_duration"),
        rate_limit_per_user: seconds(&mut form, "rate_limit_per_user"),
        flags: form.integer("flags").and_then(|flags| u64::try_from(flags).ok()),
        applied_tags: form.ids("applied_tags"),
    };
    form.finish()?;
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let effect = call.state.world.update_thread(actor, thread, change, reason.as_deref(), now)?;
    call.apply(effect);
    super::channels::shown(call, thread)
}

pub(super) fn join(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let effect = call.state.world.join_thread(call.bot, call.id("channel_id")?, call.now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

pub(super) fn leave(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let effect = call.state.world.leave_thread(call.bot, call.id("channel_id")?, call.now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

pub(super) fn add_member(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (thread, user) = (call.id("channel_id")?, call.id("user_id")?);
    let effect = call.state.world.add_to_thread(call.bot, thread, user, call.now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

pub(super) fn remove_member(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (thread, user) = (call.id("channel_id")?, call.id("user_id")?);
    let effect = call.state.world.remove_from_thread(call.bot, thread, user, call.now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

pub(super) fn get_member(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let thread: ChannelId = call.id("channel_id")?;
    // The bot itself may be asked for by its name in paths.
    let user: UserId = if call.param("user_id") == "@me" { call.bot } else { call.id("user_id")? };
    let world = &call.state.world;
    let members = world.thread_members(call.bot, thread, call.now)?;
    let (user, member) =
        members.into_iter().find(|(id, _)| *id == user).ok_or(Refusal::UnknownMember)?;
    Ok(if call.query_flag("with_member").unwrap_or(false) {
        let channel = world.channel(thread)?;
        Answer::json(&wire::ThreadMemberView::whole(world, channel, user, member))
    } else {
        Answer::json(&wire::ThreadMemberView::bare(thread, user, member))
    })
}

pub(super) fn members(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let thread: ChannelId = call.id("channel_id")?;
    let with_member = call.query_flag("with_member").unwrap_or(false);
    let limit = call.query_number("limit", 1..=100, 100)?;
    let after: Option<UserId> = call.query_id("after")?;
    let world = &call.state.world;
    if world.bot(call.bot).is_none_or(|bot| !bot.privileged_intents) {
        return Err(Refusal::MissingAccess);
    }
    let members = world.thread_members(call.bot, thread, call.now)?;
    let channel = world.channel(thread)?;
    let views: Vec<_> = if with_member {
        // Only then are there pages.
        let page = members.into_iter().filter(|(user, _)| after.is_none_or(|after| *user > after));
        page.take(limit)
            .map(|(user, member)| wire::ThreadMemberView::whole(world, channel, user, member))
            .collect()
    } else {
        let bare = |(user, member)| wire::ThreadMemberView::bare(thread, user, member);
        members.into_iter().map(bare).collect()
    };
    Ok(Answer::json(&views))
}

pub(super) fn active(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = call.id("guild_id")?;
    let world = &call.state.world;
    let nothing = twilight_model::guild::Permissions::empty();
    world.require_in_guild(call.bot, guild, nothing, call.now)?;
    let threads = world.active_threads(call.bot, guild, call.now);
    let list = ThreadList { threads, has_more: false };
    Ok(Answer::json(&wire::ThreadListView::new(&list, call.bot)))
}

pub(super) fn archived_public(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let before = moment(call, "before")?;
    archived(call, Archived::Public, (before, None))
}

pub(super) fn archived_private(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let before = moment(call, "before")?;
    archived(call, Archived::Private, (before, None))
}

pub(super) fn archived_joined(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let before: Option<Id<ChannelMarker>> = call.query_id("before")?;
    archived(call, Archived::Joined, (None, before))
}

fn archived(
    call: &Call<'_>,
    which: Archived,
    before: (Option<UnixMillis>, Option<ChannelId>),
) -> Result<Answer, Refusal> {
    let channel = call.id("channel_id")?;
    let limit = call.query_number("limit", 2..=100, 50)?;
    let world = &call.state.world;
    let list = world.archived_threads(call.bot, channel, which, before, limit, call.now)?;
    Ok(Answer::json(&wire::ThreadListView::new(&list, call.bot)))
}

/// Reads a moment of the query.
fn moment(call: &Call<'_>, key: &str) -> Result<Option<UnixMillis>, Refusal> {
    let Some(text) = call.query_text(key) else { return Ok(None) };
    let moment = wire::parse_iso(text).ok_or_else(|| {
        let message = format!("Could not parse {text}. Should be ISO8601.");
        Refusal::field(&[key], "DATE_TIME_TYPE_PARSE", message)
    })?;
    Ok(Some(moment))
}
