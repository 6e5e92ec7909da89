//! Guilds: what they are, their channels and roles, their audit log, and the search.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use twilight_model::guild::Permissions;

use super::{
    answer::Answer,
    call::Call,
    channels::{bits, change_of, shown},
    form::Form,
};
use crate::{
    domain::{
        AuditLogQuery, ChannelKind, Guild, GuildId, Refusal, RoleChange, RoleId, Search, ThreadList,
    },
    wire,
};

/// Finds the guild of the path, of which the bot must be a member.
fn own_guild<'a>(call: &'a Call<'_>) -> Result<&'a Guild, Refusal> {
    let guild: GuildId = call.id("guild_id")?;
    call.state.world.require_in_guild(call.bot, guild, Permissions::empty(), call.now)
}

pub(super) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let with_counts = call.query_flag("with_counts").unwrap_or(false);
    let guild = own_guild(call)?;
    let form = wire::GuildForm::Rest { with_counts };
    Ok(Answer::json(&wire::GuildView::new(&call.state.world, guild, form)))
}

pub(super) fn channels(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let channels = guild.channels.iter().filter_map(|id| call.state.world.channels.get(id));
    let views: Vec<_> = channels.map(wire::ChannelView::new).collect();
    Ok(Answer::json(&views))
}

pub(super) fn create_channel(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?.id;
    let mut form = call.form()?;
    let kind = form.up_to("type", 16).unwrap_or(0);
    let change = change_of(&mut form);
    if change.name.is_none() {
        form.require("name");
    }
    form.finish()?;
    let kind = ChannelKind(u8::try_from(kind).unwrap_or(u8::MAX));
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let world = &mut call.state.world;
    let effect = world.create_channel(actor, guild, kind, change, reason.as_deref(), now)?;
    let channel = call.apply(effect);
    Ok(Answer { status: 201, ..shown(call, channel)? })
}

pub(super) fn roles(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let roles: Vec<_> = own_guild(call)?.roles.values().map(wire::RoleView::new).collect();
    Ok(Answer::json(&roles))
}

pub(super) fn role_member_counts(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let mut counts: BTreeMap<RoleId, u64> = guild
        .roles
        .keys()
        .filter(|role| **role != guild.everyone())
        .map(|role| (*role, 0))
        .collect();
    for role in guild.members.values().flat_map(|member| &member.roles) {
        *counts.entry(*role).or_default() += 1;
    }
    let counts: BTreeMap<String, u64> =
        counts.into_iter().map(|(role, count)| (role.to_string(), count)).collect();
    Ok(Answer::json(&counts))
}

fn role_answer(call: &Call<'_>, guild: GuildId, role: RoleId) -> Result<Answer, Refusal> {
    let guild = call.state.world.guild(guild)?;
    let role = guild.roles.get(&role).ok_or(Refusal::UnknownRole)?;
    Ok(Answer::json(&wire::RoleView::new(role)))
}

pub(super) fn get_role(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?.id;
    role_answer(call, guild, call.id("role_id")?)
}

fn role_change_of(form: &mut Form) -> RoleChange {
    let colors = form.object("colors", |form| form.up_to("primary_color", 0x00FF_FFFF)).flatten();
    let color = form.up_to("color", 0x00FF_FFFF).or(colors);
    RoleChange {
        name: form.text("name"),
        permissions: bits(form, "permissions"),
        color: color.and_then(|color| u32::try_from(color).ok()),
        hoist: form.boolean("hoist"),
        mentionable: form.boolean("mentionable"),
        position: None,
    }
}

pub(super) fn create_role(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?.id;
    let mut form = call.form()?;
    let change = role_change_of(&mut form);
    form.finish()?;
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let world = &mut call.state.world;
    let effect = world.create_role(actor, guild, change, reason.as_deref(), now)?;
    let role = call.apply(effect);
    role_answer(call, guild, role)
}

pub(super) fn update_role(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?.id;
    let role = call.id("role_id")?;
    let mut form = call.form()?;
    let change = role_change_of(&mut form);
    form.finish()?;
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let world = &mut call.state.world;
    let effect = world.update_role(actor, guild, role, change, reason.as_deref(), now)?;
    call.apply(effect);
    role_answer(call, guild, role)
}

pub(super) fn delete_role(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?.id;
    let role = call.id("role_id")?;
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let effect = call.state.world.delete_role(actor, guild, role, reason.as_deref(), now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

pub(super) fn audit_log(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?.id;
    let number = |id: twilight_model::id::Id<twilight_model::id::marker::GenericMarker>| id.get();
    let query = AuditLogQuery {
        user: call.query_id("user_id")?,
        target: call.query_id("target_id")?.map(number),
        action: match call.query_number("action_type", 0..=usize::from(u16::MAX), 0)? {
            0 => None,
            action => u16::try_from(action).ok(),
        },
        before: call.query_id("before")?.map(number),
        after: call.query_id("after")?.map(number),
        limit: call.query_number("limit", 1..=100, 50)?,
    };
    let world = &call.state.world;
    let entries = world.audit_log(call.bot, guild, &query, call.now)?;
    Ok(Answer::json(&wire::AuditLogView::new(world, &entries)))
}

pub(super) fn search(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?.id;
    let number = |id: twilight_model::id::Id<twilight_model::id::marker::GenericMarker>| id.get();
    let content = call.query_text("content").filter(|content| !content.is_empty());
    if content.is_some_and(|content| content.chars().count() > 1_024) {
        let message = "Must be 1024 or fewer in length.";
        return Err(Refusal::field(&["content"], "BASE_TYPE_MAX_LENGTH", message));
    }
    let search = Search {
        content: content.map(str::to_owned),
        authors: call.query_ids("author_id")?,
        channels: call.query_ids("channel_id")?,
        mentions: call.query_ids("mentions")?,
        mentions_everyone: call.query_flag("mention_everyone"),
        has: call.query_texts("has").map(str::to_owned).collect(),
        pinned: call.query_flag("pinned"),
        min_id: call.query_id("min_id")?.map(number),
        max_id: call.query_id("max_id")?.map(number),
        oldest_first: call.query_text("sort_order") == Some("asc"),
        by_relevance: call.query_text("sort_by") == Some("relevance"),
        offset: call.query_number("offset", 0..=9_975, 0)?,
        limit: call.query_number("limit", 1..=25, 25)?,
    };
    let world = &call.state.world;
    let result = world.search(call.bot, guild, &search, call.now)?;
    // The threads in which something was found are told beside it, with the bot's memberships.
    let found: BTreeSet<_> = result.messages.iter().map(|message| message.channel).collect();
    let threads = found.iter().filter_map(|id| world.channels.get(id));
    let threads = threads.filter(|channel| channel.kind.is_thread()).collect();
    let list = ThreadList { threads, has_more: false };
    let beside = json!(wire::ThreadListView::new(&list, call.bot));
    let hit = |message| [wire::MessageView::hit(world, message, call.sight())];
    let messages: Vec<_> = result.messages.into_iter().map(hit).collect();
    Ok(Answer::json(&json!({
        "messages": messages,
        "doing_deep_historical_index": false,
        "total_results": result.total,
        "threads": beside["threads"],
        "members": beside["members"],
    })))
}
