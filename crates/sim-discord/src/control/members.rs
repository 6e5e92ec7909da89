use std::{sync::Arc, time::Duration};

use axum::extract::{Path, Query, State};
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::{ControlError, Reply, read};
use crate::{
    domain::{
        Actor, BitsFile, ERY_PERMISSIONS, Effect, GuildId, MemberChange, Refusal, RoleId, UserId,
        World,
    },
    shared::Shared,
    wire,
};

use ery_clock::UnixMillis;

/// Tells `null` from what is not there.
pub(super) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Debug, Deserialize)]
pub(super) struct NewUser {
    username: String,
    #[serde(default)]
    global_name: Option<String>,
    #[serde(default)]
    bot: bool,
    /// The token of a bot; made up where it is not said.
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    accepts_dms: Option<bool>,
}

impl NewUser {
    /// Returns a person of whom nothing but the name is said.
    pub(super) fn named(username: String) -> Self {
        Self { username, global_name: None, bot: false, token: None, accepts_dms: None }
    }
}

pub(super) fn make_user(
    world: &mut World,
    new: &NewUser,
    now: UnixMillis,
) -> Result<UserId, Refusal> {
    if !(1..=32).contains(&new.username.chars().count()) {
        let message = "Must be between 1 and 32 in length.";
        return Err(Refusal::field(&["username"], "BASE_TYPE_BAD_LENGTH", message));
    }
    let id = if new.bot {
        let made_up = || format!("sim-token-{}", uuid::Uuid::new_v4().simple());
        let token = new.token.clone().unwrap_or_else(made_up);
        if world.bot_by_token(&token).is_some() {
            return Err(Refusal::field(&["token"], "TOKEN_TAKEN", "Another bot has this token."));
        }
        world.create_bot(&new.username, &token, None, now)
    } else {
        world.create_user(&new.username, new.global_name.as_deref(), false, now)
    };
    if let (Some(accepts), Some(user)) = (new.accepts_dms, world.users.get_mut(&id)) {
        user.accepts_dms = accepts;
    }
    Ok(id)
}

/// `POST /sim/v1/users`: an account that is in no guild.
pub(super) async fn create_user(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let new: NewUser = read(&body)?;
    let mut state = shared.lock();
    let id = make_user(&mut state.world, &new, shared.clock.now())?;
    let mut view = json!(wire::UserView::of(&state.world, id));
    if let Some(bot) = state.world.bot(id) {
        view["token"] = json!(bot.token);
    }
    Ok(Reply::created(&view))
}

#[derive(Debug, Deserialize)]
pub(super) struct NewMember {
    guild_id: GuildId,
    /// Somebody who is there already; else `username` names somebody new.
    #[serde(default)]
    user_id: Option<UserId>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    global_name: Option<String>,
    #[serde(default)]
    bot: bool,
    #[serde(default)]
    token: Option<String>,
    /// Of a bot's own role.
    #[serde(default)]
    permissions: Option<BitsFile>,
    #[serde(default)]
    nick: Option<String>,
    #[serde(default)]
    roles: Vec<RoleId>,
}

/// `POST /sim/v1/members`: somebody joins; a bot gets a role of its own.
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let new: NewMember = read(&body)?;
    let guild = new.guild_id;
    let user = shared.act(|world, now| {
        let user = match (new.user_id, new.username) {
            (Some(user), _) => user,
            (None, Some(username)) => {
                let account = NewUser {
                    username,
                    global_name: new.global_name,
                    bot: new.bot,
                    token: new.token,
                    accepts_dms: None,
                };
                world.guild(guild)?;
                make_user(world, &account, now)?
            }
            (None, None) => {
                let message = "user_id or username is required";
                return Err(Refusal::field(&["user_id"], "BASE_TYPE_REQUIRED", message));
            }
        };
        let mut dispatches = Vec::new();
        if world.user(user)?.is_bot && world.member(guild, user).is_none() {
            let rights = new.permissions.map_or(ERY_PERMISSIONS, |bits| bits.0);
            dispatches.extend(world.invite_bot(guild, user, rights, None, now)?.dispatches);
            for role in new.roles {
                let operator = Actor::Operator;
                let given =
                    world.set_member_role(operator, guild, (user, role), true, None, now)?;
                dispatches.extend(given.dispatches);
            }
        } else {
            dispatches.extend(world.join(guild, user, new.nick, new.roles, now)?.dispatches);
        }
        Ok(Effect::new(user, dispatches))
    })?;
    let state = shared.lock();
    let member = state.world.member(guild, user).ok_or(Refusal::UnknownMember)?;
    Ok(Reply::created(&wire::MemberView::new(&state.world, member)))
}

/// Who does it, with their rights; nobody in the world where it is not said.
pub(super) fn actor(user: Option<UserId>) -> Actor {
    user.map_or(Actor::Operator, Actor::User)
}

#[derive(Debug, Deserialize)]
pub(super) struct MemberEdit {
    #[serde(default)]
    actor_id: Option<UserId>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default, deserialize_with = "present")]
    nick: Option<Option<String>>,
    #[serde(default)]
    roles: Option<Vec<RoleId>>,
    #[serde(default, deserialize_with = "present")]
    communication_disabled_until: Option<Option<String>>,
}

/// `PATCH /sim/v1/members/{guild}/{user}`
pub(super) async fn update(
    State(shared): State<Arc<Shared>>,
    Path((guild, user)): Path<(GuildId, UserId)>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let edit: MemberEdit = read(&body)?;
    let timed_out_until = match edit.communication_disabled_until {
        Some(Some(text)) => Some(Some(wire::parse_iso(&text).ok_or_else(|| {
            ControlError::bad_request(format!("`{text}` is no moment in ISO 8601 with its zone"))
        })?)),
        Some(None) => Some(None),
        None => None,
    };
    let change = MemberChange { nick: edit.nick, roles: edit.roles, timed_out_until };
    let (actor, reason) = (actor(edit.actor_id), edit.reason.as_deref());
    shared.act(|world, now| world.update_member(actor, guild, user, change, reason, now))?;
    let state = shared.lock();
    let member = state.world.member(guild, user).ok_or(Refusal::UnknownMember)?;
    Ok(Reply::json(&wire::MemberView::new(&state.world, member)))
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct By {
    #[serde(default)]
    actor_id: Option<UserId>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    delete_message_seconds: u64,
}

/// `DELETE /sim/v1/members/{guild}/{user}`: a kick by `actor_id`, or they leave by themselves.
pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    Path((guild, user)): Path<(GuildId, UserId)>,
    Query(by): Query<By>,
) -> Result<Reply, ControlError> {
    shared.act(|world, now| match by.actor_id {
        Some(actor) => world.kick(Actor::User(actor), guild, user, by.reason.as_deref(), now),
        None => world.leave(guild, user, now),
    })?;
    Ok(Reply::no_content())
}

/// `PUT /sim/v1/bans/{guild}/{user}`
pub(super) async fn ban(
    State(shared): State<Arc<Shared>>,
    Path((guild, user)): Path<(GuildId, UserId)>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let by: By = read(&body)?;
    let delete = Duration::from_secs(by.delete_message_seconds);
    let (actor, reason) = (actor(by.actor_id), by.reason.as_deref());
    shared.act(|world, now| world.ban(actor, guild, user, delete, reason, now))?;
    Ok(Reply::no_content())
}

/// `DELETE /sim/v1/bans/{guild}/{user}`
pub(super) async fn unban(
    State(shared): State<Arc<Shared>>,
    Path((guild, user)): Path<(GuildId, UserId)>,
    Query(by): Query<By>,
) -> Result<Reply, ControlError> {
    let (actor, reason) = (actor(by.actor_id), by.reason.as_deref());
    shared.act(|world, now| world.unban(actor, guild, user, reason, now))?;
    Ok(Reply::no_content())
}
