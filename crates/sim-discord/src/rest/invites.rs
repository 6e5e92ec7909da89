//! Invites.

use super::{answer::Answer, call::Call, form::Form};
use crate::{
    domain::{ChannelId, GuildId, Invite, NewInvite, Refusal, World},
    wire::{InviteDetail, InviteView},
};

pub(super) fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let channel: ChannelId = call.id("channel_id")?;
    if call.body.iter().all(u8::is_ascii_whitespace) {
        return Err(Refusal::InvalidJson); // an empty object is needed at least
    }
    let mut form = call.form()?;
    let new = new_invite_of(&mut form);
    form.finish()?;
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let effect = call.state.world.create_invite(actor, channel, new, reason.as_deref(), now)?;
    let code = call.apply(effect);
    let world = &call.state.world;
    shown(world, world.invite(&code, call.now)?, InviteDetail::Managed)
}

fn new_invite_of(form: &mut Form) -> NewInvite {
    let default = NewInvite::default();
    let mut number = |key, most, default| {
        form.up_to(key, most).and_then(|number| u32::try_from(number).ok()).unwrap_or(default)
    };
    NewInvite {
        max_age: number("max_age", 604_800, default.max_age),
        max_uses: number("max_uses", 100, default.max_uses),
        is_temporary: form.boolean("temporary").unwrap_or(false),
        is_unique: form.boolean("unique").unwrap_or(false),
        roles: form.ids("role_ids").unwrap_or_default(),
    }
}

fn shown(world: &World, invite: &Invite, detail: InviteDetail) -> Result<Answer, Refusal> {
    let view = InviteView::new(world, invite, detail).ok_or(Refusal::UnknownInvite)?;
    Ok(Answer::json(&view))
}

pub(super) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let with_counts = call.query_flag("with_counts").unwrap_or(false);
    let world = &call.state.world;
    let invite = world.invite(call.param("code"), call.now)?;
    shown(world, invite, InviteDetail::Public { with_counts })
}

pub(super) fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (actor, now) = (call.actor(), call.now);
    let reason = call.reason.clone();
    let code = call.param("code").to_owned();
    let effect = call.state.world.delete_invite(actor, &code, reason.as_deref(), now)?;
    let gone = call.apply(effect);
    shown(&call.state.world, &gone, InviteDetail::Public { with_counts: false })
}

pub(super) fn of_channel(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let world = &call.state.world;
    let invites = world.channel_invites(call.bot, call.id("channel_id")?, call.now)?;
    Ok(list(world, &invites, InviteDetail::Managed))
}

pub(super) fn of_guild(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guild: GuildId = call.id("guild_id")?;
    let world = &call.state.world;
    let (invites, sees_uses) = world.guild_invites(call.actor(), guild, call.now)?;
    let public = InviteDetail::Public { with_counts: false };
    Ok(list(world, &invites, if sees_uses { InviteDetail::Managed } else { public }))
}

fn list(world: &World, invites: &[&Invite], detail: InviteDetail) -> Answer {
    let views = invites.iter().filter_map(|invite| InviteView::new(world, invite, detail));
    Answer::json(&views.collect::<Vec<_>>())
}
