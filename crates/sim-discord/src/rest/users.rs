//! The bot itself, other accounts, and direct messages.

use serde_json::json;
use twilight_model::guild::Permissions;

use super::{answer::Answer, call::Call};
use crate::{
    domain::{GuildId, Refusal, UserChange, UserId},
    wire,
};

/// Discord recommends one shard for so many guilds.
const GUILDS_PER_SHARD: usize = 1_000;

#[expect(clippy::unnecessary_wraps, reason = "all endpoints have one form")]
pub(super) fn gateway(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(Answer::json(&json!({ "url": call.gateway_url })))
}

#[expect(clippy::unnecessary_wraps, reason = "all endpoints have one form")]
pub(super) fn gateway_bot(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let limit = call.state.sessions.start_limit(call.bot);
    let own = call.state.world.guilds.values();
    let own = own.filter(|guild| guild.members.contains_key(&call.bot)).count();
    Ok(Answer::json(&json!({
        "url": call.gateway_url,
        "shards": own.div_ceil(GUILDS_PER_SHARD).max(1),
        "session_start_limit": {
            "total": limit.total,
            "remaining": limit.remaining,
            "reset_after": u64::try_from(limit.reset_after.as_millis()).unwrap_or(u64::MAX),
            "max_concurrency": limit.max_concurrency,
        },
    })))
}

pub(super) fn application(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let world = &call.state.world;
    let bot = world.bot(call.bot).ok_or(Refusal::Unauthorized)?;
    Ok(Answer::json(&wire::ApplicationView::new(world, bot)))
}

pub(super) fn me(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(Answer::json(&wire::MeView::new(call.state.world.user(call.bot)?)))
}

pub(super) fn update_me(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let mut form = call.form()?;
    let username = form.text("username");
    form.finish()?;
    let change = UserChange { username, ..UserChange::default() };
    let effect = call.state.world.update_user(call.bot, change)?;
    call.apply(effect);
    me(call)
}

pub(super) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let user = call.state.world.user(call.id("user_id")?)?;
    Ok(Answer::json(&wire::UserView::new(user)))
}

pub(super) fn guilds(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let limit = call.query_number("limit", 1..=200, 200)?;
    let before: Option<GuildId> = call.query_id("before")?;
    let after: Option<GuildId> = call.query_id("after")?;
    let with_counts = call.query_flag("with_counts").unwrap_or(false);
    let (bot, now) = (call.bot, call.now);
    let world = &call.state.world;
    let own = world.guilds.values().filter_map(|guild| {
        let member = guild.members.get(&bot)?;
        let is_wanted = before.is_none_or(|before| guild.id < before)
            && after.is_none_or(|after| guild.id > after);
        is_wanted.then(|| {
            let rights: Permissions = guild.permissions_of(member, now);
            wire::MyGuildView::new(world, guild, bot, rights, with_counts)
        })
    });
    let mut own: Vec<_> = own.collect();
    if before.is_some() {
        own.drain(..own.len().saturating_sub(limit));
    }
    own.truncate(limit);
    Ok(Answer::json(&own))
}

pub(super) fn leave_guild(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild: GuildId = call.id("guild_id")?;
    let effect = call.state.world.leave(guild, call.bot, call.now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}

#[expect(clippy::unnecessary_wraps, reason = "all endpoints have one form")]
pub(super) fn list_dms(_call: &mut Call<'_>) -> Result<Answer, Refusal> {
    // Bots get an empty list: Discord does not tell them their conversations.
    Ok(Answer::json(&json!([])))
}

pub(super) fn open_dm(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let mut form = call.form()?;
    let recipient: Option<UserId> = form.id("recipient_id");
    if recipient.is_none() {
        form.require("recipient_id");
    }
    form.finish()?;
    let recipient = recipient.ok_or(Refusal::InvalidRecipient)?;
    let effect = call.state.world.open_dm(call.bot, recipient, call.now)?;
    let channel = call.apply(effect);
    let world = &call.state.world;
    Ok(Answer::json(&wire::dm_channel(world, world.channel(channel)?, call.bot)))
}
