//! Guilds and their roles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Actor, Audience, Dispatch, Effect, Guild, GuildId, GuildSettings, Member, Outcome, Payload,
    Refusal, Role, RoleId, UserId, World,
    audit::{Deed, action, change},
};
use crate::wire;

const MAX_ROLES: usize = 250;
const MAX_NAME: usize = 100;

/// What everybody may do in a new guild, as Discord sets it.
pub(crate) const DEFAULT_EVERYONE: Permissions = Permissions::CREATE_INVITE
    .union(Permissions::ADD_REACTIONS)
    .union(Permissions::STREAM)
    .union(Permissions::VIEW_CHANNEL)
    .union(Permissions::SEND_MESSAGES)
    .union(Permissions::EMBED_LINKS)
    .union(Permissions::ATTACH_FILES)
    .union(Permissions::READ_MESSAGE_HISTORY)
    .union(Permissions::USE_EXTERNAL_EMOJIS)
    .union(Permissions::CONNECT)
    .union(Permissions::SPEAK)
    .union(Permissions::USE_VAD)
    .union(Permissions::CHANGE_NICKNAME)
    .union(Permissions::USE_SLASH_COMMANDS)
    .union(Permissions::CREATE_PUBLIC_THREADS)
    .union(Permissions::SEND_MESSAGES_IN_THREADS)
    .union(Permissions::SEND_POLLS);

/// What a new guild begins with.
#[derive(Clone, Debug)]
pub(crate) struct GuildSeed {
    pub(crate) name: String,
    pub(crate) owner: UserId,
    pub(crate) everyone: Option<Permissions>,
}

/// A role's properties; what is none stays, or is Discord's default in a new role.
#[derive(Clone, Debug, Default)]
pub(crate) struct RoleChange {
    pub(crate) name: Option<String>,
    pub(crate) permissions: Option<Permissions>,
    pub(crate) color: Option<u32>,
    pub(crate) hoist: Option<bool>,
    pub(crate) mentionable: Option<bool>,
    pub(crate) position: Option<i64>,
}

impl World {
    /// Makes a guild with its owner as the only member.
    pub(crate) fn create_guild(&mut self, seed: GuildSeed, now: UnixMillis) -> Outcome<GuildId> {
        self.user(seed.owner)?;
        check_name(&seed.name)?;
        let id = self.mint.next_guild(now);
        let everyone = Role {
            id: id.cast(),
            name: "@everyone".to_owned(),
            color: 0,
            hoist: false,
            position: 0,
            permissions: seed.everyone.unwrap_or(DEFAULT_EVERYONE),
            mentionable: false,
            bot: None,
        };
        let owner = Member {
            user: seed.owner,
            nick: None,
            roles: Vec::new(),
            joined_at: now,
            timed_out_until: None,
        };
        let guild = Guild {
            id,
            name: seed.name,
            description: None,
            owner: seed.owner,
            roles: BTreeMap::from([(everyone.id, everyone)]),
            members: BTreeMap::from([(seed.owner, owner)]),
            channels: BTreeSet::new(),
            threads: BTreeSet::new(),
            emojis: BTreeMap::new(),
            stickers: BTreeMap::new(),
            events: BTreeMap::new(),
            bans: BTreeMap::new(),
            audit_log: VecDeque::new(),
            system_channel: None,
            rules_channel: None,
            settings: GuildSettings::default(),
        };
        self.guilds.insert(id, guild);
        Ok(Effect::none(id))
    }

    /// Adds a bot with a role of its own, as an invitation with permissions does.
    pub(crate) fn invite_bot(
        &mut self,
        guild: GuildId,
        bot: UserId,
        permissions: Permissions,
        position: Option<i64>,
        now: UnixMillis,
    ) -> Outcome<RoleId> {
        let name = self.user(bot)?.username.clone();
        let change = RoleChange {
            name: Some(name),
            permissions: Some(permissions),
            position,
            ..RoleChange::default()
        };
        let role = self.create_role(Actor::Operator, guild, change, None, now)?;
        if let Some(role) =
            self.guilds.get_mut(&guild).and_then(|guild| guild.roles.get_mut(&role.value))
        {
            role.bot = Some(bot);
        }
        let mut dispatches = role.dispatches;
        dispatches.extend(self.join(guild, bot, None, vec![role.value], now)?.dispatches);
        Ok(Effect::new(role.value, dispatches))
    }

    /// Makes a role: at the bottom, or, for the operator, where they say.
    pub(crate) fn create_role(
        &mut self,
        actor: Actor,
        guild: GuildId,
        change: RoleChange,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<RoleId> {
        self.check_role_change(actor, guild, None, &change, now)?;
        let place = self.guild(guild)?;
        if place.roles.len() >= MAX_ROLES {
            return Err(Refusal::TooManyRoles);
        }
        let everyone = place.roles.get(&place.everyone()).map(|role| role.permissions);
        let role = Role {
            id: self.mint.next(now),
            name: change.name.unwrap_or_else(|| "new role".to_owned()),
            color: change.color.unwrap_or(0),
            hoist: change.hoist.unwrap_or(false),
            position: change.position.unwrap_or(1).max(1),
            permissions: change.permissions.or(everyone).unwrap_or(Permissions::empty()),
            mentionable: change.mentionable.unwrap_or(false),
            bot: None,
        };
        let id = role.id;
        let changes = vec![super::audit::change("name", Value::Null, json!(role.name))];
        if let Some(place) = self.guilds.get_mut(&guild) {
            place.roles.insert(id, role);
        }
        let mut dispatches = Vec::new();
        self.dispatch_role("GUILD_ROLE_CREATE", guild, id, &mut dispatches);
        let deed = role_deed(action::ROLE_CREATE, id, changes, reason);
        self.record(guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new(id, dispatches))
    }

    /// Changes a role.
    pub(crate) fn update_role(
        &mut self,
        actor: Actor,
        guild: GuildId,
        role: RoleId,
        edit: RoleChange,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        self.check_role_change(actor, guild, Some(role), &edit, now)?;
        self.set_role(actor, guild, role, edit, reason, now)
    }

    /// Changes a role; that the actor may is known.
    pub(super) fn set_role(
        &mut self,
        actor: Actor,
        guild: GuildId,
        role: RoleId,
        edit: RoleChange,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        let seen = self.seen_by_bots(guild, now);
        let place = self.guilds.get_mut(&guild).ok_or(Refusal::UnknownGuild)?;
        let is_everyone = role == place.everyone();
        let found = place.roles.get_mut(&role).ok_or(Refusal::UnknownRole)?;
        let before = found.clone();
        if let Some(name) = edit.name.filter(|_| !is_everyone) {
            found.name = name;
        }
        found.permissions = edit.permissions.unwrap_or(found.permissions);
        found.color = edit.color.unwrap_or(found.color);
        found.hoist = edit.hoist.unwrap_or(found.hoist);
        found.mentionable = edit.mentionable.unwrap_or(found.mentionable);
        if let Some(position) = edit.position.filter(|_| !is_everyone) {
            found.position = position.max(1);
        }
        let after = found.clone();
        let pairs = [
            ("name", json!(before.name), json!(after.name)),
            ("permissions", bits(before.permissions), bits(after.permissions)),
            ("color", json!(before.color), json!(after.color)),
            ("hoist", json!(before.hoist), json!(after.hoist)),
            ("mentionable", json!(before.mentionable), json!(after.mentionable)),
            ("position", json!(before.position), json!(after.position)),
        ];
        let differ = pairs.into_iter().filter(|(_, old, new)| old != new);
        let changes: Vec<Value> = differ.map(|(key, old, new)| change(key, old, new)).collect();
        let mut dispatches = Vec::new();
        self.dispatch_role("GUILD_ROLE_UPDATE", guild, role, &mut dispatches);
        self.sync_threads(guild, &seen, now, &mut dispatches);
        if !changes.is_empty() {
            let deed = role_deed(action::ROLE_UPDATE, role, changes, reason);
            self.record(guild, actor, deed, now, &mut dispatches);
        }
        Ok(Effect::new((), dispatches))
    }

    /// Deletes a role and takes it from everybody.
    pub(crate) fn delete_role(
        &mut self,
        actor: Actor,
        guild: GuildId,
        role: RoleId,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        let nothing = RoleChange::default();
        self.check_role_change(actor, guild, Some(role), &nothing, now)?;
        let place = self.guilds.get_mut(&guild).ok_or(Refusal::UnknownGuild)?;
        let is_managed = place.roles.get(&role).is_some_and(Role::is_managed);
        if role == place.everyone() || is_managed {
            return Err(Refusal::InvalidRole);
        }
        let gone = place.roles.remove(&role).ok_or(Refusal::UnknownRole)?;
        for member in place.members.values_mut() {
            member.roles.retain(|given| *given != role);
        }
        let channels = place.channels.clone();
        for channel in channels {
            if let Some(channel) = self.channels.get_mut(&channel) {
                let target = super::OverwriteTarget::Role(role);
                channel.overwrites.retain(|overwrite| overwrite.target != target);
            }
        }
        let body = wire::role_deleted(guild, role);
        let mut dispatches =
            vec![Dispatch::shared("GUILD_ROLE_DELETE", Audience::Guild(guild), body)];
        let changes = vec![change("name", json!(gone.name), Value::Null)];
        let deed = role_deed(action::ROLE_DELETE, role, changes, reason);
        self.record(guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    fn check_role_change(
        &self,
        actor: Actor,
        guild: GuildId,
        role: Option<RoleId>,
        edit: &RoleChange,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        if let Some(name) = &edit.name {
            check_name(name)?;
        }
        let place = self.guild(guild)?;
        if let Actor::User(actor) = actor {
            self.require_in_guild(actor, guild, Permissions::MANAGE_ROLES, now)?;
            let member = place.members.get(&actor).ok_or(Refusal::UnknownGuild)?;
            let rights = place.permissions_of(member, now);
            if edit.permissions.is_some_and(|wanted| {
                let had = role.and_then(|role| place.roles.get(&role));
                let had = had.map_or(Permissions::empty(), |role| role.permissions);
                !rights.contains(wanted.symmetric_difference(had))
            }) {
                return Err(Refusal::MissingPermissions);
            }
            let is_everyone = role == Some(place.everyone());
            if role.is_some_and(|role| !is_everyone && !place.outranks_role(actor, role)) {
                return Err(if place.roles.contains_key(&role.unwrap_or(place.everyone())) {
                    Refusal::MissingPermissions
                } else {
                    Refusal::UnknownRole
                });
            }
        }
        match role {
            Some(role) if !place.roles.contains_key(&role) => Err(Refusal::UnknownRole),
            _ => Ok(()),
        }
    }

    fn dispatch_role(
        &self,
        name: &'static str,
        guild: GuildId,
        role: RoleId,
        dispatches: &mut Vec<Dispatch>,
    ) {
        let found = self.guilds.get(&guild).and_then(|guild| guild.roles.get(&role));
        if let Some(role) = found {
            let body = wire::role_event(guild, role);
            dispatches.push(Dispatch::shared(name, Audience::Guild(guild), body));
        }
    }

    /// Begins or ends an outage of a guild, of which its bots hear nothing meanwhile.
    pub(crate) fn set_available(&mut self, guild: GuildId, is_available: bool) -> Outcome<()> {
        self.guild(guild)?;
        let has_changed = if is_available {
            self.unavailable.remove(&guild)
        } else {
            self.unavailable.insert(guild)
        };
        if !has_changed {
            return Ok(Effect::none(()));
        }
        let audience = Audience::Guild(guild);
        let dispatch = if is_available {
            let payload = Payload::Guild(guild);
            Dispatch { name: "GUILD_CREATE", audience, payload, about: None }
        } else {
            Dispatch::shared("GUILD_DELETE", audience, wire::guild_unavailable(guild))
        };
        Ok(Effect::new((), vec![dispatch]))
    }

    /// Removes a guild for good; its bots are told.
    pub(crate) fn delete_guild(&mut self, guild: GuildId) -> Outcome<()> {
        let gone = self.guilds.remove(&guild).ok_or(Refusal::UnknownGuild)?;
        for channel in gone.channels.iter().chain(&gone.threads) {
            self.channels.remove(channel);
        }
        self.unavailable.remove(&guild);
        self.forget_invites(guild, None);
        self.forget_webhooks(guild, None);
        let bots = gone.members.keys().filter(|user| self.bot(**user).is_some());
        let dispatches = bots.map(|bot| Dispatch {
            name: "GUILD_DELETE",
            audience: Audience::User(*bot, guild),
            payload: Payload::Shared(wire::guild_left(guild)),
            about: Some(*bot),
        });
        Ok(Effect::new((), dispatches.collect()))
    }
}

/// Returns the bits as Discord writes them.
pub(super) fn bits(permissions: Permissions) -> Value {
    json!(permissions.bits().to_string())
}

/// Checks the length of a name: 1 to 100 characters.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    if (1..=MAX_NAME).contains(&name.chars().count()) {
        return Ok(());
    }
    let message = "Must be between 1 and 100 in length.";
    Err(Refusal::field(&["name"], "BASE_TYPE_BAD_LENGTH", message))
}

fn role_deed(action: u16, role: RoleId, changes: Vec<Value>, reason: Option<&str>) -> Deed<'_> {
    Deed { action, target: Some(role.get()), changes, options: None, reason }
}
