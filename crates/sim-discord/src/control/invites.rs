use std::sync::Arc;

use axum::extract::{Path, Query, State};
use bytes::Bytes;
use serde::Deserialize;

use super::{
    By, ControlError, Reply,
    members::{NewUser, actor, make_user},
    read,
};
use crate::{
    domain::{ChannelId, Effect, GuildId, NewInvite, Refusal, RoleId, UserId},
    shared::Shared,
    wire::{InviteDetail, InviteView, MemberView},
};

#[derive(Debug, Deserialize)]
pub(super) struct Inviting {
    channel_id: ChannelId,
    /// Who invites; nobody in the world where it is not said.
    #[serde(default)]
    user_id: Option<UserId>,
    #[serde(default)]
    max_age: Option<u32>,
    #[serde(default)]
    max_uses: Option<u32>,
    #[serde(default)]
    temporary: bool,
    #[serde(default)]
    unique: bool,
    #[serde(default)]
    role_ids: Vec<RoleId>,
}

/// `POST /sim/v1/invites`
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let new: Inviting = read(&body)?;
    let default = NewInvite::default();
    let wanted = NewInvite {
        max_age: new.max_age.unwrap_or(default.max_age),
        max_uses: new.max_uses.unwrap_or(default.max_uses),
        is_temporary: new.temporary,
        is_unique: new.unique,
        roles: new.role_ids,
    };
    let (actor, channel) = (actor(new.user_id), new.channel_id);
    let code = shared.act(|world, now| world.create_invite(actor, channel, wanted, None, now))?;
    let state = shared.lock();
    let invite = state.world.invite(&code, shared.clock.now())?;
    Ok(Reply::created(&InviteView::new(&state.world, invite, InviteDetail::Managed)))
}

#[derive(Debug, Deserialize)]
pub(super) struct Listing {
    guild_id: GuildId,
}

/// `GET /sim/v1/invites`
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Query(listing): Query<Listing>,
) -> Result<Reply, ControlError> {
    let state = shared.lock();
    let world = &state.world;
    let now = shared.clock.now();
    let (invites, _) = world.guild_invites(actor(None), listing.guild_id, now)?;
    let view = |invite| InviteView::new(world, invite, InviteDetail::Managed);
    Ok(Reply::json(&invites.into_iter().filter_map(view).collect::<Vec<_>>()))
}

/// `DELETE /sim/v1/invites/{code}`
pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path(code): Path<String>,
    Query(by): Query<By>,
) -> Result<Reply, ControlError> {
    let actor = actor(by.user_id);
    shared.act(|world, now| world.delete_invite(actor, &code, None, now))?;
    Ok(Reply::no_content())
}

#[derive(Debug, Deserialize)]
pub(super) struct Using {
    /// Somebody who is there already; else `username` names somebody new.
    #[serde(default)]
    user_id: Option<UserId>,
    #[serde(default)]
    username: Option<String>,
}

/// `POST /sim/v1/invites/{code}/uses`: somebody comes by an invite.
pub(super) async fn accept(
    State(shared): State<Arc<Shared>>,
    Path(code): Path<String>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let using: Using = read(&body)?;
    let (guild, user) = shared.act(|world, now| {
        world.invite(&code, now)?;
        let user = match (using.user_id, using.username) {
            (Some(user), _) => user,
            (None, Some(username)) => make_user(world, &NewUser::named(username), now)?,
            (None, None) => {
                let message = "user_id or username is required";
                return Err(Refusal::field(&["user_id"], "BASE_TYPE_REQUIRED", message));
            }
        };
        let joined = world.use_invite(user, &code, now)?;
        Ok(Effect::new((joined.value, user), joined.dispatches))
    })?;
    let state = shared.lock();
    let member = state.world.member(guild, user).ok_or(Refusal::UnknownMember)?;
    Ok(Reply::json(&MemberView::new(&state.world, member)))
}
