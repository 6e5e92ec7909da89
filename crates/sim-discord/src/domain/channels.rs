//! Channels of guilds, and their overwrites.

use serde_json::{Value, json};
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Actor, Audience, Channel, ChannelId, ChannelKind, Dispatch, Effect, GuildId, Outcome,
    Overwrite, OverwriteTarget, Refusal, World,
    audit::{Deed, action, change},
    guilds::{bits, check_name},
};
use crate::wire;

const MAX_CHANNELS: usize = 500;
const MAX_TOPIC: usize = 1_024;
const MAX_SLOWMODE: u32 = 21_600;

/// A channel's properties; what is none stays, or is Discord's default in a new channel.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChannelChange {
    pub(crate) name: Option<String>,
    pub(crate) topic: Option<Option<String>>,
    pub(crate) rate_limit_per_user: Option<u32>,
    pub(crate) nsfw: Option<bool>,
    pub(crate) position: Option<i64>,
    pub(crate) parent: Option<Option<ChannelId>>,
    pub(crate) overwrites: Option<Vec<Overwrite>>,
}

impl World {
    /// Makes a channel.
    pub(crate) fn create_channel(
        &mut self,
        actor: Actor,
        guild: GuildId,
        kind: ChannelKind,
        edit: ChannelChange,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<ChannelId> {
        if let Actor::User(actor) = actor {
            self.require_in_guild(actor, guild, Permissions::MANAGE_CHANNELS, now)?;
        }
        let place = self.guild(guild)?;
        if place.channels.len() >= MAX_CHANNELS {
            return Err(Refusal::TooManyChannels);
        }
        if !kind.is_of_guild() {
            let message = "Value must be one of {0, 2, 4, 5, 13, 15}.";
            return Err(Refusal::field(&["type"], "BASE_TYPE_CHOICES", message));
        }
        let name = edit.name.clone().unwrap_or_default();
        check_name(&name)?;
        self.check_channel_change(guild, &edit)?;
        let next = place.channels.len();
        let id: ChannelId = self.mint.next(now);
        let mut channel = Channel::new(id, Some(guild), kind, name);
        channel.position = i64::try_from(next).unwrap_or(i64::MAX);
        let changes = vec![change("name", Value::Null, json!(channel.name))];
        apply(&mut channel, edit);
        let body = wire::channel_event(&channel);
        self.channels.insert(id, channel);
        if let Some(place) = self.guilds.get_mut(&guild) {
            place.channels.insert(id);
        }
        // Bots are told of all channels of a guild, as GUILD_CREATE does; not of what is said there.
        let audience = Audience::Guild(guild);
        let mut dispatches = vec![Dispatch::shared("CHANNEL_CREATE", audience, body)];
        let deed = channel_deed(action::CHANNEL_CREATE, id, changes, reason);
        self.record(guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new(id, dispatches))
    }

    /// Changes a channel.
    pub(crate) fn update_channel(
        &mut self,
        actor: Actor,
        channel: ChannelId,
        edit: ChannelChange,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        let place = self.channel(channel)?;
        let guild = place.guild.ok_or(Refusal::DmChannel)?;
        if let Actor::User(actor) = actor {
            let mut needed = Permissions::MANAGE_CHANNELS;
            if edit.overwrites.is_some() {
                needed |= Permissions::MANAGE_ROLES;
            }
            self.require(actor, place, needed, now)?;
        }
        if let Some(name) = &edit.name {
            check_name(name)?;
        }
        self.check_channel_change(guild, &edit)?;
        let place = self.channels.get_mut(&channel).ok_or(Refusal::UnknownChannel)?;
        let before = properties(place);
        apply(place, edit);
        let pairs = before.into_iter().zip(properties(place));
        let changes: Vec<Value> = pairs
            .filter(|((_, old), (_, new))| old != new)
            .map(|((key, old), (_, new))| change(key, old, new))
            .collect();
        let mut dispatches = Vec::new();
        self.dispatch_channel_update(guild, channel, &mut dispatches);
        if !changes.is_empty() {
            let deed = channel_deed(action::CHANNEL_UPDATE, channel, changes, reason);
            self.record(guild, actor, deed, now, &mut dispatches);
        }
        Ok(Effect::new((), dispatches))
    }

    /// Deletes a channel with all that is in it.
    pub(crate) fn delete_channel(
        &mut self,
        actor: Actor,
        channel: ChannelId,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        let place = self.channel(channel)?;
        let guild = place.guild.ok_or(Refusal::DmChannel)?;
        if let Actor::User(actor) = actor {
            self.require(actor, place, Permissions::MANAGE_CHANNELS, now)?;
        }
        let body = wire::channel_event(place);
        let name = place.name.clone();
        let audience = Audience::Guild(guild);
        let mut dispatches = vec![Dispatch::shared("CHANNEL_DELETE", audience, body)];
        self.channels.remove(&channel);
        if let Some(place) = self.guilds.get_mut(&guild) {
            place.channels.remove(&channel);
        }
        for other in self.channels.values_mut().filter(|other| other.parent == Some(channel)) {
            other.parent = None;
        }
        let changes = vec![change("name", json!(name), Value::Null)];
        let deed = channel_deed(action::CHANNEL_DELETE, channel, changes, reason);
        self.record(guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    /// Sets or removes what a role or a member may do in a channel beyond their roles.
    pub(crate) fn set_overwrite(
        &mut self,
        actor: Actor,
        channel: ChannelId,
        target: OverwriteTarget,
        value: Option<(Permissions, Permissions)>,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        let place = self.channel(channel)?;
        let guild = place.guild.ok_or(Refusal::DmChannel)?;
        let existing = place.overwrites.iter().find(|found| found.target == target).copied();
        if let Actor::User(actor) = actor {
            let has = self.require(actor, place, Permissions::MANAGE_ROLES, now)?;
            let nothing = (Permissions::empty(), Permissions::empty());
            let (allow, deny) = value.unwrap_or(nothing);
            let old = existing.map_or(nothing, |old| (old.allow, old.deny));
            let changed = allow.symmetric_difference(old.0) | deny.symmetric_difference(old.1);
            let is_admin = has.contains(Permissions::ADMINISTRATOR);
            let takes_roles = changed.contains(Permissions::MANAGE_ROLES) && !is_admin;
            if !has.contains(changed) || takes_roles {
                return Err(Refusal::MissingPermissions);
            }
        }
        let place = self.channels.get_mut(&channel).ok_or(Refusal::UnknownChannel)?;
        place.overwrites.retain(|found| found.target != target);
        let action = match (existing, value) {
            (None, None) => return Err(Refusal::UnknownOverwrite),
            (Some(_), None) => action::OVERWRITE_DELETE,
            (None, Some(_)) => action::OVERWRITE_CREATE,
            (Some(_), Some(_)) => action::OVERWRITE_UPDATE,
        };
        if let Some((allow, deny)) = value {
            place.overwrites.push(Overwrite { target, allow, deny });
        }
        let mut dispatches = Vec::new();
        self.dispatch_channel_update(guild, channel, &mut dispatches);
        let (kind, id, name) = self.describe(guild, target);
        let old = existing.map(|old| (old.allow, old.deny));
        let part = |of: Option<(Permissions, Permissions)>, pick: fn((_, _)) -> Permissions| {
            of.map_or(Value::Null, |of| bits(pick(of)))
        };
        let changes = vec![
            change("allow", part(old, |of| of.0), part(value, |of| of.0)),
            change("deny", part(old, |of| of.1), part(value, |of| of.1)),
        ];
        let mut options = json!({ "id": id.to_string(), "type": kind });
        if let Some(name) = name {
            options["role_name"] = json!(name);
        }
        let deed =
            Deed { action, target: Some(channel.get()), changes, options: Some(options), reason };
        self.record(guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    fn describe(
        &self,
        guild: GuildId,
        target: OverwriteTarget,
    ) -> (&'static str, u64, Option<String>) {
        match target {
            OverwriteTarget::Role(role) => {
                let found = self.guilds.get(&guild).and_then(|guild| guild.roles.get(&role));
                ("0", role.get(), found.map(|role| role.name.clone()))
            }
            OverwriteTarget::Member(member) => ("1", member.get(), None),
        }
    }

    fn check_channel_change(&self, guild: GuildId, edit: &ChannelChange) -> Result<(), Refusal> {
        if let Some(Some(topic)) = &edit.topic
            && topic.chars().count() > MAX_TOPIC
        {
            let message = "Must be 1024 or fewer in length.";
            return Err(Refusal::field(&["topic"], "BASE_TYPE_MAX_LENGTH", message));
        }
        if edit.rate_limit_per_user.is_some_and(|seconds| seconds > MAX_SLOWMODE) {
            let message = "int value should be less than or equal to 21600.";
            return Err(Refusal::field(&["rate_limit_per_user"], "NUMBER_TYPE_MAX", message));
        }
        if let Some(Some(parent)) = edit.parent {
            let is_category = self.channels.get(&parent).is_some_and(|parent| {
                parent.guild == Some(guild) && parent.kind == ChannelKind::CATEGORY
            });
            if !is_category {
                let message = "Category does not exist";
                let code = "CHANNEL_PARENT_INVALID";
                return Err(Refusal::field(&["parent_id"], code, message));
            }
        }
        Ok(())
    }

    fn dispatch_channel_update(
        &self,
        guild: GuildId,
        channel: ChannelId,
        dispatches: &mut Vec<Dispatch>,
    ) {
        if let Some(place) = self.channels.get(&channel) {
            let body = wire::channel_event(place);
            let audience = Audience::Guild(guild);
            dispatches.push(Dispatch::shared("CHANNEL_UPDATE", audience, body));
        }
    }
}

fn apply(channel: &mut Channel, edit: ChannelChange) {
    if let Some(name) = edit.name {
        channel.name = name;
    }
    if let Some(topic) = edit.topic {
        channel.topic = topic.filter(|topic| !topic.is_empty());
    }
    if let Some(seconds) = edit.rate_limit_per_user {
        channel.rate_limit_per_user = seconds;
        channel.last_spoke.clear();
    }
    channel.nsfw = edit.nsfw.unwrap_or(channel.nsfw);
    channel.position = edit.position.unwrap_or(channel.position);
    channel.parent = edit.parent.unwrap_or(channel.parent);
    if let Some(overwrites) = edit.overwrites {
        channel.overwrites = overwrites;
    }
}

/// Returns what the audit log compares.
fn properties(channel: &Channel) -> [(&'static str, Value); 5] {
    [
        ("name", json!(channel.name)),
        ("topic", json!(channel.topic)),
        ("rate_limit_per_user", json!(channel.rate_limit_per_user)),
        ("nsfw", json!(channel.nsfw)),
        ("position", json!(channel.position)),
    ]
}

fn channel_deed(
    action: u16,
    channel: ChannelId,
    changes: Vec<Value>,
    reason: Option<&str>,
) -> Deed<'_> {
    Deed { action, target: Some(channel.get()), changes, options: None, reason }
}
