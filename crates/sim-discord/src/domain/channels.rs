//! Channels of guilds, and their overwrites.

use serde_json::{Value, json};
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Actor, Audience, Channel, ChannelId, ChannelKind, Dispatch, Effect, GuildId, Mint, Outcome,
    Overwrite, OverwriteTarget, PostEmoji, Refusal, TagChange, UserId, World,
    audit::{Deed, action, change},
    guilds::{bits, check_name},
    threads::{check_auto_archive, check_slowmode},
};
use crate::wire;

const MAX_CHANNELS: usize = 500;
const MAX_TOPIC: usize = 1_024;
const MAX_FORUM_TOPIC: usize = 4_096;
const DEFAULT_BITRATE: u32 = 64_000;
/// What a guild without boosts may have.
const BITRATES: std::ops::RangeInclusive<u32> = 8_000..=96_000;
/// The flag of a forum in which every post needs a tag; the only one that can be set.
const REQUIRES_TAG: u64 = 1 << 4;

/// What only some kinds of channels have; in the others it means nothing.
#[derive(Clone, Debug)]
pub(crate) struct ChannelSettings {
    pub(crate) bitrate: u32,
    pub(crate) user_limit: u32,
    pub(crate) rtc_region: Option<String>,
    pub(crate) video_quality_mode: Option<u8>,
    /// Minutes, of threads for which it is not said.
    pub(crate) default_auto_archive: Option<u16>,
    /// Slow mode of new threads, in seconds.
    pub(crate) default_thread_rate_limit_per_user: u32,
    pub(crate) flags: u64,
}

impl Default for ChannelSettings {
    fn default() -> Self {
        Self {
            bitrate: DEFAULT_BITRATE,
            user_limit: 0,
            rtc_region: None,
            video_quality_mode: None,
            default_auto_archive: None,
            default_thread_rate_limit_per_user: 0,
            flags: 0,
        }
    }
}

/// A channel's properties; what is none stays, or is Discord's default in a new channel.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChannelChange {
    pub(crate) name: Option<String>,
    /// Text to announcement or back; not of a new channel.
    pub(crate) kind: Option<ChannelKind>,
    pub(crate) topic: Option<Option<String>>,
    pub(crate) rate_limit_per_user: Option<u32>,
    pub(crate) nsfw: Option<bool>,
    pub(crate) position: Option<i64>,
    pub(crate) parent: Option<Option<ChannelId>>,
    pub(crate) overwrites: Option<Vec<Overwrite>>,
    pub(crate) bitrate: Option<u32>,
    pub(crate) user_limit: Option<u32>,
    pub(crate) rtc_region: Option<Option<String>>,
    pub(crate) video_quality_mode: Option<u8>,
    pub(crate) default_auto_archive: Option<Option<u16>>,
    pub(crate) default_thread_rate_limit_per_user: Option<u32>,
    pub(crate) flags: Option<u64>,
    pub(crate) tags: Option<Vec<TagChange>>,
    pub(crate) default_reaction: Option<Option<PostEmoji>>,
    pub(crate) default_sort_order: Option<Option<u8>>,
    pub(crate) default_layout: Option<u8>,
}

impl World {
    /// Makes a channel.
    pub(crate) fn create_channel(
        &mut self,
        actor: Actor,
        guild: GuildId,
        kind: ChannelKind,
        mut edit: ChannelChange,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<ChannelId> {
        let place = self.guild(guild)?;
        if let Actor::User(actor) = actor {
            self.require_in_guild(actor, guild, Permissions::MANAGE_CHANNELS, now)?;
            if let (Some(wanted), Some(member)) = (&edit.overwrites, place.members.get(&actor)) {
                check_overwrites(place.permissions_of(member, now), &[], wanted)?;
            }
        }
        if place.channels.len() >= MAX_CHANNELS {
            return Err(Refusal::TooManyChannels);
        }
        if !kind.is_of_guild() {
            let message = "Value must be one of {0, 2, 4, 5, 13, 15, 16}.";
            return Err(Refusal::field(&["type"], "BASE_TYPE_CHOICES", message));
        }
        let name = edit.name.clone().unwrap_or_default();
        check_name(&name)?;
        let next = place.channels.len();
        let id: ChannelId = self.mint.next(now);
        let mut channel = Channel::new(id, Some(guild), kind, name);
        self.check_channel_change(guild, &channel, &edit)?;
        if edit.overwrites.is_none() {
            // Of a category it takes what that says.
            let parent = edit.parent.flatten().and_then(|parent| self.channels.get(&parent));
            edit.overwrites = parent.map(|parent| parent.overwrites.clone());
        }
        channel.position = i64::try_from(next).unwrap_or(i64::MAX);
        apply(&mut channel, edit, &mut self.mint, now);
        let changes: Vec<Value> = properties(&channel)
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| change(key, Value::Null, value))
            .collect();
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
        if place.kind.is_thread() {
            return Err(Refusal::WrongChannelType);
        }
        self.check_channel_edit(actor, place, guild, &edit, now)?;
        let seen = self.seen_by_bots(guild, now);
        let drops_tags = edit.tags.is_some();
        let place = self.channels.get_mut(&channel).ok_or(Refusal::UnknownChannel)?;
        let before = properties(place);
        let had = place.overwrites.clone();
        apply(place, edit, &mut self.mint, now);
        let has = place.overwrites.clone();
        let pairs = before.into_iter().zip(properties(place));
        let changes: Vec<Value> = pairs
            .filter(|((_, old), (_, new))| old != new)
            .map(|((key, old), (_, new))| change(key, old, new))
            .collect();
        let mut dispatches = Vec::new();
        self.dispatch_channel_update(guild, channel, &mut dispatches);
        if drops_tags {
            self.drop_unknown_tags(guild, channel);
        }
        self.sync_threads(guild, &seen, now, &mut dispatches);
        if !changes.is_empty() {
            let deed = channel_deed(action::CHANNEL_UPDATE, channel, changes, reason);
            self.record(guild, actor, deed, now, &mut dispatches);
        }
        for changed in overwrites_changed(&had, &has) {
            self.record_overwrite(actor, (guild, channel), changed, reason, now, &mut dispatches);
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
        if place.kind.is_thread() {
            return self.delete_thread(actor, channel, reason, now);
        }
        if let Actor::User(actor) = actor {
            self.require(actor, place, Permissions::MANAGE_CHANNELS, now)?;
        }
        if self.guild(guild)?.needs(channel) {
            return Err(Refusal::NeededByCommunity);
        }
        let body = wire::channel_event(place);
        let name = place.name.clone();
        let audience = Audience::Guild(guild);
        let mut dispatches = vec![Dispatch::shared("CHANNEL_DELETE", audience, body)];
        self.channels.remove(&channel);
        if let Some(place) = self.guilds.get_mut(&guild) {
            place.channels.remove(&channel);
        }
        self.forget_threads_of(guild, channel);
        self.forget_invites(guild, Some(channel));
        self.forget_webhooks(guild, Some(channel));
        self.forget_events_of(guild, channel, &mut dispatches);
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
        if place.kind.is_thread() {
            return Err(Refusal::WrongChannelType);
        }
        let existing = place.overwrites.iter().find(|found| found.target == target).copied();
        if let Actor::User(actor) = actor {
            let has = self.require(actor, place, Permissions::MANAGE_ROLES, now)?;
            let nothing = (Permissions::empty(), Permissions::empty());
            let (allow, deny) = value.unwrap_or(nothing);
            let old = existing.map_or(nothing, |old| (old.allow, old.deny));
            let changed = allow.symmetric_difference(old.0) | deny.symmetric_difference(old.1);
            let is_admin = has.contains(Permissions::ADMINISTRATOR);
            let takes_roles = changed.contains(Permissions::MANAGE_ROLES) && !is_admin;
            if !self.grantable(actor, guild, has, now).contains(changed) || takes_roles {
                return Err(Refusal::MissingPermissions);
            }
        }
        let seen = self.seen_by_bots(guild, now);
        let place = self.channels.get_mut(&channel).ok_or(Refusal::UnknownChannel)?;
        if existing.is_none() && value.is_none() {
            return Err(Refusal::UnknownOverwrite);
        }
        place.overwrites.retain(|found| found.target != target);
        if let Some((allow, deny)) = value {
            place.overwrites.push(Overwrite { target, allow, deny });
        }
        let mut dispatches = Vec::new();
        self.dispatch_channel_update(guild, channel, &mut dispatches);
        self.sync_threads(guild, &seen, now, &mut dispatches);
        let old = existing.map(|old| (old.allow, old.deny));
        let place = (guild, channel);
        self.record_overwrite(actor, place, (target, old, value), reason, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    /// Writes down what became of an overwrite; nothing where it is as before.
    fn record_overwrite(
        &mut self,
        actor: Actor,
        (guild, channel): (GuildId, ChannelId),
        (target, old, new): (OverwriteTarget, Option<AllowDeny>, Option<AllowDeny>),
        reason: Option<&str>,
        now: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) {
        let action = match (old, new) {
            (None, None) => return,
            (Some(_), None) => action::OVERWRITE_DELETE,
            (None, Some(_)) => action::OVERWRITE_CREATE,
            (Some(_), Some(_)) => action::OVERWRITE_UPDATE,
        };
        let (kind, id, name) = self.describe(guild, target);
        let part = |of: Option<AllowDeny>, pick: fn(AllowDeny) -> Permissions| {
            of.map_or(Value::Null, |of| bits(pick(of)))
        };
        let changes = vec![
            change("allow", part(old, |of| of.0), part(new, |of| of.0)),
            change("deny", part(old, |of| of.1), part(new, |of| of.1)),
        ];
        let mut options = json!({ "id": id.to_string(), "type": kind });
        if let Some(name) = name {
            options["role_name"] = json!(name);
        }
        let deed =
            Deed { action, target: Some(channel.get()), changes, options: Some(options), reason };
        self.record(guild, actor, deed, now, dispatches);
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

    /// Checks that somebody may change a channel so.
    pub(super) fn check_channel_edit(
        &self,
        actor: Actor,
        channel: &Channel,
        guild: GuildId,
        edit: &ChannelChange,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        if let Actor::User(actor) = actor {
            let rights = self.require(actor, channel, Permissions::MANAGE_CHANNELS, now)?;
            if let Some(wanted) = &edit.overwrites {
                let rights = self.grantable(actor, guild, rights, now);
                check_overwrites(rights, &channel.overwrites, wanted)?;
            }
        }
        if let Some(name) = &edit.name {
            check_name(name)?;
        }
        self.check_channel_change(guild, channel, edit)
    }

    /// Returns the bits that somebody may allow and deny in a channel: those that they have there,
    /// and those that they have in the guild, so that they can take back what they denied
    /// themselves. Whether they may manage roles is a matter of the channel alone.
    fn grantable(
        &self,
        actor: UserId,
        guild: GuildId,
        rights: Permissions,
        now: UnixMillis,
    ) -> Permissions {
        let place = self.guilds.get(&guild);
        let in_guild = place.and_then(|place| {
            place.members.get(&actor).map(|member| place.permissions_of(member, now))
        });
        rights | (in_guild.unwrap_or(Permissions::empty()) - Permissions::MANAGE_ROLES)
    }

    fn check_channel_change(
        &self,
        guild: GuildId,
        channel: &Channel,
        edit: &ChannelChange,
    ) -> Result<(), Refusal> {
        let most = if channel.kind.is_forum() { MAX_FORUM_TOPIC } else { MAX_TOPIC };
        if let Some(Some(topic)) = &edit.topic
            && topic.chars().count() > most
        {
            let message = format!("Must be {most} or fewer in length.");
            return Err(Refusal::field(&["topic"], "BASE_TYPE_MAX_LENGTH", message));
        }
        check_slowmode(edit.rate_limit_per_user)?;
        check_auto_archive("default_auto_archive_duration", edit.default_auto_archive.flatten())?;
        check_kind_change(channel.kind, edit.kind)?;
        check_voice(channel.kind, edit)?;
        if let (Some(forum), Some(tags)) = (&channel.forum, &edit.tags) {
            forum.check_tags(tags)?;
        }
        if let Some(Some(parent)) = edit.parent {
            let is_category = self.channels.get(&parent).is_some_and(|parent| {
                parent.guild == Some(guild) && parent.kind == ChannelKind::CATEGORY
            });
            if !is_category || channel.kind == ChannelKind::CATEGORY {
                let message = "Category does not exist";
                let code = "CHANNEL_PARENT_INVALID";
                return Err(Refusal::field(&["parent_id"], code, message));
            }
        }
        Ok(())
    }

    /// Takes the tags that a forum has no more from its posts.
    fn drop_unknown_tags(&mut self, guild: GuildId, forum: ChannelId) {
        let tags = self.channels.get(&forum).and_then(|channel| channel.forum.as_deref());
        let Some(tags) = tags.map(|forum| forum.tags.clone()) else { return };
        let Some(guild) = self.guilds.get(&guild) else { return };
        for id in &guild.threads {
            if let Some(post) = self.channels.get_mut(id)
                && post.parent == Some(forum)
                && let Some(thread) = &mut post.thread
            {
                thread.applied_tags.retain(|tag| tags.iter().any(|known| known.id == *tag));
            }
        }
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

/// What an overwrite allows and denies.
type AllowDeny = (Permissions, Permissions);

/// Returns what differs between two lists of overwrites.
fn overwrites_changed(
    before: &[Overwrite],
    after: &[Overwrite],
) -> Vec<(OverwriteTarget, Option<AllowDeny>, Option<AllowDeny>)> {
    let find = |list: &[Overwrite], target: OverwriteTarget| {
        let found = list.iter().find(|overwrite| overwrite.target == target);
        found.map(|overwrite| (overwrite.allow, overwrite.deny))
    };
    let new = after.iter().filter(|overwrite| find(before, overwrite.target).is_none());
    let all = before.iter().chain(new).map(|overwrite| overwrite.target);
    let changed = all.map(|target| (target, find(before, target), find(after, target)));
    changed.filter(|(_, before, after)| before != after).collect()
}

/// Checks that somebody may set overwrites: only bits that they have, and the right to manage roles
/// only as an administrator.
fn check_overwrites(
    rights: Permissions,
    before: &[Overwrite],
    wanted: &[Overwrite],
) -> Result<(), Refusal> {
    let nothing = (Permissions::empty(), Permissions::empty());
    let changed = overwrites_changed(before, wanted);
    if changed.is_empty() {
        return Ok(());
    }
    let bits = changed.into_iter().fold(Permissions::empty(), |bits, (_, old, new)| {
        let (old, new) = (old.unwrap_or(nothing), new.unwrap_or(nothing));
        bits | old.0.symmetric_difference(new.0) | old.1.symmetric_difference(new.1)
    });
    let is_admin = rights.contains(Permissions::ADMINISTRATOR);
    let takes_roles = bits.contains(Permissions::MANAGE_ROLES) && !is_admin;
    if !rights.contains(bits | Permissions::MANAGE_ROLES) || takes_roles {
        return Err(Refusal::MissingPermissions);
    }
    Ok(())
}

/// Lets a text channel become one of announcements, and back; nothing else can change.
fn check_kind_change(from: ChannelKind, to: Option<ChannelKind>) -> Result<(), Refusal> {
    let can_change = [ChannelKind::TEXT, ChannelKind::ANNOUNCEMENT];
    match to {
        Some(to) if to != from && !(can_change.contains(&from) && can_change.contains(&to)) => {
            let message = "Cannot change the type of this channel to that one.";
            Err(Refusal::field(&["type"], "CHANNEL_TYPE_INVALID", message))
        }
        _ => Ok(()),
    }
}

fn check_voice(kind: ChannelKind, edit: &ChannelChange) -> Result<(), Refusal> {
    if let Some(bitrate) = edit.bitrate.filter(|_| kind.is_voice()) {
        if bitrate < *BITRATES.start() {
            let message = "int value should be greater than or equal to 8000.";
            return Err(Refusal::field(&["bitrate"], "NUMBER_TYPE_MIN", message));
        }
        if bitrate > *BITRATES.end() {
            let message = "int value should be less than or equal to 96000.";
            return Err(Refusal::field(&["bitrate"], "NUMBER_TYPE_MAX", message));
        }
    }
    let most = if kind == ChannelKind::STAGE { 10_000 } else { 99 };
    if kind.is_voice() && edit.user_limit.is_some_and(|limit| limit > most) {
        let message = format!("int value should be less than or equal to {most}.");
        return Err(Refusal::field(&["user_limit"], "NUMBER_TYPE_MAX", message));
    }
    Ok(())
}

fn apply(channel: &mut Channel, edit: ChannelChange, mint: &mut Mint, now: UnixMillis) {
    if let Some(name) = edit.name {
        channel.name = name;
    }
    channel.kind = edit.kind.unwrap_or(channel.kind);
    if let Some(topic) = edit.topic {
        channel.topic = topic.filter(|topic| !topic.is_empty());
    }
    if let Some(seconds) = edit.rate_limit_per_user {
        channel.rate_limit_per_user = seconds;
        channel.last_spoke.clear();
        channel.last_thread.clear();
    }
    channel.nsfw = edit.nsfw.unwrap_or(channel.nsfw);
    channel.position = edit.position.unwrap_or(channel.position);
    channel.parent = edit.parent.unwrap_or(channel.parent);
    if let Some(overwrites) = edit.overwrites {
        channel.overwrites = overwrites;
    }
    let settings = &mut channel.settings;
    settings.bitrate = edit.bitrate.unwrap_or(settings.bitrate);
    settings.user_limit = edit.user_limit.unwrap_or(settings.user_limit);
    if let Some(region) = edit.rtc_region {
        settings.rtc_region = region;
    }
    settings.video_quality_mode = edit.video_quality_mode.or(settings.video_quality_mode);
    settings.default_auto_archive =
        edit.default_auto_archive.unwrap_or(settings.default_auto_archive);
    if let Some(seconds) = edit.default_thread_rate_limit_per_user {
        settings.default_thread_rate_limit_per_user = seconds;
    }
    let Some(forum) = &mut channel.forum else { return };
    settings.flags = edit.flags.map_or(settings.flags, |flags| flags & REQUIRES_TAG);
    if let Some(tags) = edit.tags {
        forum.set_tags(tags, mint, now);
    }
    if let Some(reaction) = edit.default_reaction {
        forum.default_reaction = reaction;
    }
    forum.default_sort_order = edit.default_sort_order.unwrap_or(forum.default_sort_order);
    forum.default_layout = edit.default_layout.unwrap_or(forum.default_layout);
}

/// Returns what the audit log compares.
fn properties(channel: &Channel) -> Vec<(&'static str, Value)> {
    let settings = &channel.settings;
    let mut properties = vec![
        ("name", json!(channel.name)),
        ("type", json!(channel.kind.0)),
        ("topic", json!(channel.topic)),
        ("rate_limit_per_user", json!(channel.rate_limit_per_user)),
        ("nsfw", json!(channel.nsfw)),
        ("position", json!(channel.position)),
        ("default_auto_archive_duration", json!(settings.default_auto_archive)),
        ("flags", json!(settings.flags)),
    ];
    if channel.kind.is_voice() {
        properties.push(("bitrate", json!(settings.bitrate)));
        properties.push(("user_limit", json!(settings.user_limit)));
        properties.push(("rtc_region", json!(settings.rtc_region)));
    }
    if let Some(forum) = &channel.forum {
        properties.push(("available_tags", wire::forum_tags(forum)));
    }
    properties
}

fn channel_deed(
    action: u16,
    channel: ChannelId,
    changes: Vec<Value>,
    reason: Option<&str>,
) -> Deed<'_> {
    Deed { action, target: Some(channel.get()), changes, options: None, reason }
}
