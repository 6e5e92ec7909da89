//! Members, their roles, and bans.

use std::time::Duration;

use serde_json::{Value, json};
use twilight_model::guild::Permissions;

use super::{answer::Answer, call::Call, form::Form};
use crate::{
    domain::{Ban, GuildId, Member, MemberChange, Refusal, RoleId, UserId, World},
    wire,
};

const MAX_DELETE_SECONDS: u64 = 604_800;

/// Reads the guild of the path, of which the bot must be a member.
fn own_guild(call: &Call<'_>) -> Result<GuildId, Refusal> {
    let guild = call.id("guild_id")?;
    call.state.world.require_in_guild(call.bot, guild, Permissions::empty(), call.now)?;
    Ok(guild)
}

fn views<'a>(world: &'a World, members: &[&'a Member]) -> Vec<wire::MemberView<'a>> {
    members.iter().map(|member| wire::MemberView::new(world, member)).collect()
}

pub(super) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let limit = call.query_number("limit", 1..=1_000, 1)?;
    let after = call.query_id("after")?;
    let world = &call.state.world;
    if world.bot(call.bot).is_none_or(|bot| !bot.privileged_intents) {
        return Err(Refusal::MissingAccess);
    }
    Ok(Answer::json(&views(world, &world.list_members(guild, after, limit)?)))
}

pub(super) fn search(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let limit = call.query_number("limit", 1..=1_000, 1)?;
    let Some(query) = call.query_text("query") else {
        return Err(Refusal::field(&["query"], "BASE_TYPE_REQUIRED", "This field is required"));
    };
    let world = &call.state.world;
    Ok(Answer::json(&views(world, &world.search_members(guild, query, limit)?)))
}

pub(super) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let user: UserId = call.id("user_id")?;
    if call.state.world.member(guild, user).is_none() {
        call.state.world.user(user)?;
    }
    call.member_answer(guild, user)
}

pub(super) fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let user = call.id("user_id")?;
    let mut form = call.form()?;
    let change = MemberChange {
        nick: form.nullable_text("nick"),
        roles: form.ids("roles"),
        timed_out_until: timeout_of(&mut form),
    };
    form.finish()?;
    change_member(call, guild, user, change)
}

fn timeout_of(form: &mut Form) -> Option<Option<ery_clock::UnixMillis>> {
    const KEY: &str = "communication_disabled_until";
    let text = form.nullable_text(KEY)?;
    let Some(text) = text else { return Some(None) };
    let moment = wire::parse_iso(&text);
    if moment.is_none() {
        let message = format!("Could not parse {text}. Should be ISO8601.");
        form.error(KEY, "DATE_TIME_TYPE_PARSE", message);
    }
    moment.map(Some)
}

pub(super) fn update_own(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let mut form = call.form()?;
    let change = MemberChange { nick: form.nullable_text("nick"), ..MemberChange::default() };
    form.finish()?;
    change_member(call, guild, call.bot, change)
}

fn change_member(
    call: &mut Call<'_>,
    guild: GuildId,
    user: UserId,
    change: MemberChange,
) -> Result<Answer, Refusal> {
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let world = &mut call.state.world;
    let effect = world.update_member(actor, guild, user, change, reason.as_deref(), now)?;
    call.apply(effect);
    call.member_answer(guild, user)
}

pub(super) fn give_role(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    set_role(call, true)
}

pub(super) fn take_role(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    set_role(call, false)
}

fn set_role(call: &mut Call<'_>, has: bool) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let (user, role): (UserId, RoleId) = (call.id("user_id")?, call.id("role_id")?);
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let world = &mut call.state.world;
    let effect = world.set_member_role(actor, guild, (user, role), has, reason.as_deref(), now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

pub(super) fn kick(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let user = call.id("user_id")?;
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let effect = call.state.world.kick(actor, guild, user, reason.as_deref(), now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

fn ban_view(world: &World, ban: &Ban) -> Value {
    json!({ "user": wire::UserView::of(world, ban.user), "reason": ban.reason })
}

pub(super) fn bans(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let limit = call.query_number("limit", 1..=1_000, 1_000)?;
    let before = call.query_id("before")?;
    let after = call.query_id("after")?;
    let world = &call.state.world;
    let bans = world.list_bans(call.bot, guild, (before, after), limit, call.now)?;
    let views: Vec<_> = bans.into_iter().map(|ban| ban_view(world, ban)).collect();
    Ok(Answer::json(&views))
}

pub(super) fn get_ban(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let world = &call.state.world;
    let ban = world.get_ban(call.bot, guild, call.id("user_id")?, call.now)?;
    Ok(Answer::json(&ban_view(world, ban)))
}

pub(super) fn ban(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let user = call.id("user_id")?;
    let mut form = call.form()?;
    let seconds = form.up_to("delete_message_seconds", MAX_DELETE_SECONDS);
    let days = form.up_to("delete_message_days", 7);
    form.finish()?;
    // discord.py writes them into the query, which Discord reads where the body has nothing.
    let most = usize::try_from(MAX_DELETE_SECONDS).unwrap_or(usize::MAX);
    let in_query = call.query_number("delete_message_seconds", 0..=most, 0)? as u64;
    let days_in_query = call.query_number("delete_message_days", 0..=7, 0)? as u64;
    let in_body = seconds.or(days.map(|days| days * 86_400));
    let delete = Duration::from_secs(in_body.unwrap_or(in_query.max(days_in_query * 86_400)));
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let effect = call.state.world.ban(actor, guild, user, delete, reason.as_deref(), now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

pub(super) fn bulk_ban(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let mut form = call.form()?;
    let users: Option<Vec<UserId>> = form.ids("user_ids");
    if users.is_none() {
        form.require("user_ids");
    }
    let seconds = form.up_to("delete_message_seconds", MAX_DELETE_SECONDS);
    form.finish()?;
    let (users, delete) = (users.unwrap_or_default(), Duration::from_secs(seconds.unwrap_or(0)));
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let world = &mut call.state.world;
    let effect = world.bulk_ban(actor, guild, &users, delete, reason.as_deref(), now)?;
    let done = call.apply(effect);
    Ok(Answer::json(&json!({ "banned_users": done.banned, "failed_users": done.failed })))
}

/// Answers with the bot's own member.
pub(super) fn own(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    call.member_answer(guild, call.bot)
}

pub(super) fn unban(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let user = call.id("user_id")?;
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let effect = call.state.world.unban(actor, guild, user, reason.as_deref(), now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}
