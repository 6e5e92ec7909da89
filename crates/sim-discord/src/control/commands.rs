use std::sync::Arc;

use axum::extract::{Path, State};
use bytes::Bytes;
use serde::Deserialize;
use twilight_model::id::{
    Id,
    marker::{CommandMarker, GenericMarker},
};

use super::{ControlError, Reply, read};
use crate::{
    domain::{Actor, ApplicationId, CommandPermission, GuildId, PermissionTarget, UserId},
    shared::Shared,
    wire,
};

#[derive(Debug, Deserialize)]
pub(super) struct Setting {
    /// Who sets them; they need `MANAGE_GUILD` and `MANAGE_ROLES`.
    #[serde(default)]
    actor_id: Option<UserId>,
    /// Whose command it is; the world's first bot's where it is not said.
    #[serde(default)]
    application_id: Option<ApplicationId>,
    permissions: Vec<OnePermission>,
}

#[derive(Debug, Deserialize)]
struct OnePermission {
    id: Id<GenericMarker>,
    /// 1 a role, 2 a user, 3 a channel.
    #[serde(rename = "type")]
    kind: u8,
    permission: bool,
}

impl OnePermission {
    fn read(&self) -> Result<CommandPermission, ControlError> {
        let target = match self.kind {
            1 => PermissionTarget::Role(self.id.cast()),
            2 => PermissionTarget::User(self.id.cast()),
            3 => PermissionTarget::Channel(self.id.get()),
            kind => {
                let problem =
                    format!("{kind} is no type of a permission: 1 role, 2 user, 3 channel");
                return Err(ControlError::bad_request(problem));
            }
        };
        Ok(CommandPermission { target, may: self.permission })
    }
}

/// `PUT /sim/v1/command-permissions/{guild}/{command}`; the application's id stands for all of its
/// commands.
pub(super) async fn set_permissions(
    State(shared): State<Arc<Shared>>,
    Path((guild, about)): Path<(GuildId, Id<CommandMarker>)>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let setting: Setting = read(&body)?;
    let permissions: Result<Vec<_>, _> =
        setting.permissions.iter().map(OnePermission::read).collect();
    let permissions = permissions?;
    let first = shared.lock().world.bots.first().map(|bot| bot.application);
    let application = setting
        .application_id
        .or(first)
        .ok_or_else(|| ControlError::bad_request("the world has no bot"))?;
    let view = wire::command_permissions_view(application, guild, about.get(), &permissions);
    let actor = setting.actor_id.map_or(Actor::Operator, Actor::User);
    shared.act(|world, now| {
        world.set_command_permissions(actor, application, guild, about.get(), permissions, now)
    })?;
    Ok(Reply::json(&view))
}
