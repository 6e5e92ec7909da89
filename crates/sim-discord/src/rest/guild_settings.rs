//! What can be set about a guild, and moving several of its roles or channels at once.

use serde_json::json;
use twilight_model::guild::Permissions;

use super::{answer::Answer, call::Call, channels::choice, form::Form};
use crate::{
    domain::{ChannelMove, GuildChange, GuildId, Refusal, check_image},
    wire,
};

fn own_guild(call: &Call<'_>) -> Result<GuildId, Refusal> {
    let guild = call.id("guild_id")?;
    call.state.world.require_in_guild(call.bot, guild, Permissions::empty(), call.now)?;
    Ok(guild)
}

pub(super) fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let mut form = call.form()?;
    let change = change_of(&mut form);
    let pictures = ["icon", "splash", "discovery_splash", "banner", "home_header"];
    let pictures: Vec<_> = pictures.iter().map(|key| (*key, form.text(key))).collect();
    form.finish()?;
    for (key, picture) in pictures {
        // They are checked, and not kept.
        picture.map_or(Ok(false), |picture| check_image(key, &picture))?;
    }
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let effect = call.state.world.update_guild(actor, guild, change, reason.as_deref(), now)?;
    call.apply(effect);
    let world = &call.state.world;
    let form = wire::GuildForm::Rest { with_counts: false };
    Ok(Answer::json(&wire::GuildView::new(world, world.guild(guild)?, form)))
}

fn change_of(form: &mut Form) -> GuildChange {
    let number = |form: &mut Form, key| {
        form.up_to(key, u64::from(u32::MAX)).and_then(|number| u32::try_from(number).ok())
    };
    GuildChange {
        name: form.text("name"),
        description: form.nullable_text("description"),
        verification_level: choice(form, "verification_level", 0..=4),
        default_message_notifications: choice(form, "default_message_notifications", 0..=1),
        explicit_content_filter: choice(form, "explicit_content_filter", 0..=2),
        afk_channel: form.nullable_id("afk_channel_id"),
        afk_timeout: number(form, "afk_timeout"),
        system_channel: form.nullable_id("system_channel_id"),
        system_channel_flags: number(form, "system_channel_flags"),
        rules_channel: form.nullable_id("rules_channel_id"),
        public_updates_channel: form.nullable_id("public_updates_channel_id"),
        safety_alerts_channel: form.nullable_id("safety_alerts_channel_id"),
        preferred_locale: form.text("preferred_locale"),
        features: form.list("features").map(|list| {
            list.iter().filter_map(|feature| feature.as_str().map(str::to_owned)).collect()
        }),
        shows_boost_progress: form.boolean("premium_progress_bar_enabled"),
    }
}

pub(super) fn preview(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let world = &call.state.world;
    Ok(Answer::json(&wire::GuildPreviewView::new(world, world.guild(guild)?)))
}

#[expect(clippy::unnecessary_wraps, reason = "all endpoints have one form")]
pub(super) fn regions(_call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let region = |id: &str, name: &str, is_optimal: bool| {
        json!({
            "id": id, "name": name, "custom": false, "deprecated": false, "optimal": is_optimal
        })
    };
    Ok(Answer::json(&json!([
        region("rotterdam", "Rotterdam", true),
        region("us-east", "US East", false),
        region("us-west", "US West", false),
        region("singapore", "Singapore", false),
        region("japan", "Japan", false),
        region("sydney", "Sydney", false),
        region("brazil", "Brazil", false),
        region("southafrica", "South Africa", false),
    ])))
}

pub(super) fn guild_regions(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    own_guild(call)?;
    regions(call)
}

pub(super) fn move_roles(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let moves = Form::read_all(call.list()?, |form| {
        let role = form.id("id");
        if role.is_none() {
            form.require("id");
        }
        (role, form.integer("position"))
    })?;
    let moves = moves.into_iter().filter_map(|(role, position)| Some((role?, position))).collect();
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let effect = call.state.world.move_roles(actor, guild, moves, reason.as_deref(), now)?;
    call.apply(effect);
    let guild = call.state.world.guild(guild)?;
    Ok(Answer::json(&guild.roles.values().map(wire::RoleView::new).collect::<Vec<_>>()))
}

pub(super) fn move_channels(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild = own_guild(call)?;
    let moves = Form::read_all(call.list()?, |form| {
        let channel = form.id("id");
        if channel.is_none() {
            form.require("id");
        }
        Some(ChannelMove {
            channel: channel?,
            position: form.integer("position"),
            parent: form.nullable_id("parent_id"),
            takes_overwrites: form.boolean("lock_permissions").unwrap_or(false),
        })
    })?;
    let moves = moves.into_iter().flatten().collect();
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let effect = call.state.world.move_channels(actor, guild, moves, reason.as_deref(), now)?;
    call.apply(effect);
    Ok(Answer::no_content())
}
