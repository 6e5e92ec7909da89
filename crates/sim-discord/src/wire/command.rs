use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::render;
use crate::domain::{
    ApplicationId, Command, CommandId, CommandPermission, CommandVersionId, GuildId,
    PermissionTarget,
};

type Localizations<'a> = Option<&'a Map<String, Value>>;

#[derive(Debug, Serialize)]
pub(crate) struct CommandView<'a> {
    id: CommandId,
    application_id: ApplicationId,
    version: CommandVersionId,
    default_member_permissions: Option<String>,
    #[serde(rename = "type")]
    kind: u8,
    name: &'a str,
    /// Left out unless they were asked for; null where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    name_localizations: Option<Localizations<'a>>,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description_localizations: Option<Localizations<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild_id: Option<GuildId>,
    /// Of global commands only.
    #[serde(skip_serializing_if = "Option::is_none")]
    dm_permission: Option<bool>,
    contexts: Option<&'a [u8]>,
    integration_types: &'a [u8],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    options: Vec<Value>,
    nsfw: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    handler: Option<u8>,
}

impl<'a> CommandView<'a> {
    /// Returns the command with or without what it is called in other languages.
    pub(crate) fn new(command: &'a Command, with_localizations: bool) -> Self {
        let shown =
            |texts: &'a Option<Map<String, Value>>| with_localizations.then_some(texts.as_ref());
        let mut options = command.options.clone();
        if !with_localizations {
            options.iter_mut().for_each(strip);
        }
        Self {
            id: command.id,
            application_id: command.application,
            version: command.version,
            default_member_permissions: command
                .default_member_permissions
                .map(|needed| needed.bits().to_string()),
            kind: command.kind.0,
            name: &command.name,
            name_localizations: shown(&command.name_localizations),
            description: &command.description,
            description_localizations: shown(&command.description_localizations),
            guild_id: command.guild,
            dm_permission: command.guild.is_none().then(|| command.is_for_dms()),
            contexts: command.contexts.as_deref(),
            integration_types: &command.integration_types,
            options,
            nsfw: command.nsfw,
            handler: command.handler,
        }
    }
}

/// Takes the other languages off an option and what is in it.
fn strip(option: &mut Value) {
    let Value::Object(fields) = option else { return };
    fields.remove("name_localizations");
    fields.remove("description_localizations");
    for key in ["options", "choices"] {
        if let Some(Value::Array(nested)) = fields.get_mut(key) {
            nested.iter_mut().for_each(strip);
        }
    }
}

/// Returns who may use a command, as REST and `APPLICATION_COMMAND_PERMISSIONS_UPDATE` tell it.
pub(crate) fn command_permissions(
    application: ApplicationId,
    guild: GuildId,
    about: u64,
    permissions: &[CommandPermission],
) -> Bytes {
    render(&command_permissions_view(application, guild, about, permissions))
}

pub(crate) fn command_permissions_view(
    application: ApplicationId,
    guild: GuildId,
    about: u64,
    permissions: &[CommandPermission],
) -> Value {
    let one = |permission: &CommandPermission| {
        let (id, kind) = match permission.target {
            PermissionTarget::Role(role) => (role.get(), 1),
            PermissionTarget::User(user) => (user.get(), 2),
            PermissionTarget::Channel(channel) => (channel, 3),
        };
        json!({ "id": id.to_string(), "type": kind, "permission": permission.may })
    };
    json!({
        "id": about.to_string(),
        "application_id": application,
        "guild_id": guild,
        "permissions": permissions.iter().map(one).collect::<Vec<_>>(),
    })
}
