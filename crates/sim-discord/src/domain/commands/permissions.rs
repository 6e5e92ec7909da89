//! Who may use a command in a guild, as its admins have set it.
//!
//! Source: Discord Docs, Application Commands, "Permissions".

use serde_json::json;
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{Command, Commands};
use crate::{
    domain::{
        Actor, ApplicationId, Audience, Channel, CommandId, Dispatch, Effect, Guild, GuildId,
        Member, Outcome, Refusal, RoleId, UserId, World,
        audit::{Deed, action, change},
    },
    wire,
};

/// Whom or where a permission is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PermissionTarget {
    Role(RoleId),
    User(UserId),
    Channel(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommandPermission {
    pub(crate) target: PermissionTarget,
    pub(crate) may: bool,
}

const MAX_PERMISSIONS: usize = 100;

impl Commands {
    /// Returns what is set in a guild about commands of one application, and about it as a whole.
    pub(crate) fn permissions_in(
        &self,
        application: ApplicationId,
        guild: GuildId,
    ) -> impl Iterator<Item = (u64, &[CommandPermission])> {
        let known = move |about: u64| {
            about == application.get()
                || self.of_application(application).any(|command| command.id.get() == about)
        };
        self.permissions
            .range((guild, 0)..=(guild, u64::MAX))
            .filter(move |((_, about), _)| known(*about))
            .map(|((_, about), permissions)| (*about, permissions.as_slice()))
    }

    /// Returns what is set in a guild about one command.
    pub(crate) fn permissions_of(
        &self,
        guild: GuildId,
        command: CommandId,
    ) -> Result<&[CommandPermission], Refusal> {
        let found = self.permissions.get(&(guild, command.get()));
        found.map(Vec::as_slice).ok_or(Refusal::UnknownCommandPermissions)
    }
}

impl World {
    /// Sets who may use a command in a guild, or with the application's own id all of its commands.
    pub(crate) fn set_command_permissions(
        &mut self,
        actor: Actor,
        application: ApplicationId,
        guild: GuildId,
        about: u64,
        permissions: Vec<CommandPermission>,
        now: UnixMillis,
    ) -> Outcome<()> {
        if let Some(user) = actor.user() {
            let needed = Permissions::MANAGE_GUILD | Permissions::MANAGE_ROLES;
            self.require_in_guild(user, guild, needed, now)?;
        }
        self.guild(guild)?;
        let is_known = about == application.get()
            || self.commands.of_application(application).any(|command| {
                command.id.get() == about && command.guild.is_none_or(|of| of == guild)
            });
        if !is_known {
            return Err(Refusal::UnknownCommand);
        }
        if permissions.len() > MAX_PERMISSIONS {
            let message = "Must be 100 or fewer in length.";
            return Err(Refusal::field(&["permissions"], "BASE_TYPE_MAX_LENGTH", message));
        }
        let body = wire::command_permissions(application, guild, about, &permissions);
        self.commands.permissions.insert((guild, about), permissions);
        let name = "APPLICATION_COMMAND_PERMISSIONS_UPDATE";
        let mut dispatches = vec![Dispatch::shared(name, Audience::Guild(guild), body.clone())];
        let told = serde_json::from_slice(&body).unwrap_or_default();
        let deed = Deed {
            action: action::APPLICATION_COMMAND_PERMISSION_UPDATE,
            target: Some(about),
            changes: vec![change(&about.to_string(), serde_json::Value::Null, told)],
            options: Some(json!({ "application_id": application })),
            reason: None,
        };
        self.record(guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    /// Tells whether a member may use a command in a channel of their guild.
    pub(crate) fn may_use_command(
        &self,
        guild: &Guild,
        member: &Member,
        channel: &Channel,
        command: &Command,
        rights: Permissions,
    ) -> bool {
        if rights.contains(Permissions::ADMINISTRATOR) || member.user == guild.owner {
            return true;
        }
        let set = |about: u64| {
            self.commands.permissions.get(&(guild.id, about)).map_or(&[][..], Vec::as_slice)
        };
        let (own, whole) = (set(command.id.get()), set(command.application.get()));
        // What is set about the command itself takes the place of what is set about the whole.
        let places = |set: &[CommandPermission]| place(set, guild, channel);
        if places(own).or_else(|| places(whole)) == Some(false) {
            return false;
        }
        let people = |set: &[CommandPermission]| person(set, guild, member);
        if let Some(may) = people(own).or_else(|| people(whole)) {
            return may;
        }
        match command.default_member_permissions {
            None => true,
            Some(needed) => !needed.is_empty() && rights.contains(needed),
        }
    }
}

/// Looks up a channel, and for want of it all channels, whose id is one less than the guild's.
fn place(set: &[CommandPermission], guild: &Guild, channel: &Channel) -> Option<bool> {
    let own = channel.parent.filter(|_| channel.kind.is_thread()).unwrap_or(channel.id).get();
    let said = |id: u64| {
        set.iter().find(|one| one.target == PermissionTarget::Channel(id)).map(|one| one.may)
    };
    said(own).or_else(|| said(guild.id.get() - 1))
}

/// Looks up a member, then their roles, of which one that allows is enough, then everyone.
fn person(set: &[CommandPermission], guild: &Guild, member: &Member) -> Option<bool> {
    let said =
        |target: PermissionTarget| set.iter().find(|one| one.target == target).map(|one| one.may);
    if let Some(may) = said(PermissionTarget::User(member.user)) {
        return Some(may);
    }
    let roles: Vec<bool> =
        member.roles.iter().filter_map(|role| said(PermissionTarget::Role(*role))).collect();
    if roles.is_empty() {
        said(PermissionTarget::Role(guild.everyone()))
    } else {
        Some(roles.contains(&true))
    }
}
