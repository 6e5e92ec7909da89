//! What can be set about a guild.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Actor, Audience, ChannelId, ChannelKind, Dispatch, Effect, Guild, GuildId, Outcome, Refusal,
    World,
    audit::{Deed, action, change},
};
use crate::wire;

const MAX_DESCRIPTION: usize = 300;
const AFK_TIMEOUTS: [u32; 5] = [60, 300, 900, 1_800, 3_600];
/// The feature of guilds with rules, which need channels for them and for Discord's updates.
const COMMUNITY: &str = "COMMUNITY";
/// What can be switched on and off; the rest is Discord's to give.
const SETTABLE_FEATURES: [&str; 4] =
    [COMMUNITY, "DISCOVERABLE", "INVITES_DISABLED", "RAID_ALERTS_DISABLED"];

/// What can be set about a guild beside its name and its channels for notices and rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GuildSettings {
    pub(crate) verification_level: u8,
    pub(crate) default_message_notifications: u8,
    pub(crate) explicit_content_filter: u8,
    pub(crate) afk_channel: Option<ChannelId>,
    /// In seconds.
    pub(crate) afk_timeout: u32,
    pub(crate) system_channel_flags: u32,
    pub(crate) public_updates_channel: Option<ChannelId>,
    pub(crate) safety_alerts_channel: Option<ChannelId>,
    pub(crate) preferred_locale: String,
    pub(crate) features: BTreeSet<String>,
    pub(crate) shows_boost_progress: bool,
}

impl Default for GuildSettings {
    fn default() -> Self {
        Self {
            verification_level: 1,
            default_message_notifications: 1,
            explicit_content_filter: 2,
            afk_channel: None,
            afk_timeout: 300,
            system_channel_flags: 0,
            public_updates_channel: None,
            safety_alerts_channel: None,
            preferred_locale: "en-US".to_owned(),
            features: BTreeSet::new(),
            shows_boost_progress: false,
        }
    }
}

/// A change of a guild; what is none stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct GuildChange {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<Option<String>>,
    pub(crate) verification_level: Option<u8>,
    pub(crate) default_message_notifications: Option<u8>,
    pub(crate) explicit_content_filter: Option<u8>,
    pub(crate) afk_channel: Option<Option<ChannelId>>,
    pub(crate) afk_timeout: Option<u32>,
    pub(crate) system_channel: Option<Option<ChannelId>>,
    pub(crate) system_channel_flags: Option<u32>,
    pub(crate) rules_channel: Option<Option<ChannelId>>,
    pub(crate) public_updates_channel: Option<Option<ChannelId>>,
    pub(crate) safety_alerts_channel: Option<Option<ChannelId>>,
    pub(crate) preferred_locale: Option<String>,
    pub(crate) features: Option<Vec<String>>,
    pub(crate) shows_boost_progress: Option<bool>,
}

impl Guild {
    /// Tells whether a guild with rules cannot do without a channel.
    pub(super) fn needs(&self, channel: ChannelId) -> bool {
        [self.rules_channel, self.settings.public_updates_channel].contains(&Some(channel))
    }
}

impl World {
    /// Changes a guild.
    pub(crate) fn update_guild(
        &mut self,
        actor: Actor,
        guild: GuildId,
        edit: GuildChange,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        if let Actor::User(actor) = actor {
            self.require_in_guild(actor, guild, Permissions::MANAGE_GUILD, now)?;
        }
        self.check_guild_change(actor, guild, &edit, now)?;
        let place = self.guilds.get_mut(&guild).ok_or(Refusal::UnknownGuild)?;
        let before = properties(place);
        apply(place, edit);
        let changes: Vec<Value> = before
            .into_iter()
            .zip(properties(place))
            .filter(|((_, old), (_, new))| old != new)
            .map(|((key, old), (_, new))| change(key, old, new))
            .collect();
        let mut dispatches = Vec::new();
        if let Some(place) = self.guilds.get(&guild) {
            let body = wire::guild_update(self, place);
            dispatches.push(Dispatch::shared("GUILD_UPDATE", Audience::Guild(guild), body));
        }
        if !changes.is_empty() {
            let target = Some(guild.get());
            let deed =
                Deed { action: action::GUILD_UPDATE, target, changes, options: None, reason };
            self.record(guild, actor, deed, now, &mut dispatches);
        }
        Ok(Effect::new((), dispatches))
    }

    fn check_guild_change(
        &self,
        actor: Actor,
        guild: GuildId,
        edit: &GuildChange,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        if let Some(name) = &edit.name
            && !(2..=100).contains(&name.chars().count())
        {
            let message = "Must be between 2 and 100 in length.";
            return Err(Refusal::field(&["name"], "BASE_TYPE_BAD_LENGTH", message));
        }
        if let Some(Some(text)) = &edit.description
            && text.chars().count() > MAX_DESCRIPTION
        {
            let message = "Must be 300 or fewer in length.";
            return Err(Refusal::field(&["description"], "BASE_TYPE_MAX_LENGTH", message));
        }
        if edit.afk_timeout.is_some_and(|seconds| !AFK_TIMEOUTS.contains(&seconds)) {
            let message = "Value must be one of {60, 300, 900, 1800, 3600}.";
            return Err(Refusal::field(&["afk_timeout"], "BASE_TYPE_CHOICES", message));
        }
        let text = [ChannelKind::TEXT, ChannelKind::ANNOUNCEMENT];
        let channels = [
            ("afk_channel_id", edit.afk_channel, &[ChannelKind::VOICE][..]),
            ("system_channel_id", edit.system_channel, &text[..1]),
            ("rules_channel_id", edit.rules_channel, &text[..]),
            ("public_updates_channel_id", edit.public_updates_channel, &text[..]),
            ("safety_alerts_channel_id", edit.safety_alerts_channel, &text[..]),
        ];
        for (key, channel, kinds) in channels {
            let Some(Some(channel)) = channel else { continue };
            let found = self.channels.get(&channel).filter(|it| it.guild == Some(guild));
            if found.is_none_or(|found| !kinds.contains(&found.kind)) {
                let message = "Channel is not of the right kind, or not of this guild.";
                return Err(Refusal::field(&[key], "CHANNEL_INVALID", message));
            }
        }
        self.check_features(actor, guild, edit, now)
    }

    fn check_features(
        &self,
        actor: Actor,
        guild: GuildId,
        edit: &GuildChange,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let Some(wanted) = &edit.features else { return Ok(()) };
        let place = self.guild(guild)?;
        let has = |feature: &str| place.settings.features.contains(feature);
        let wants = |feature: &str| wanted.iter().any(|wanted| wanted == feature);
        if wants(COMMUNITY) && !has(COMMUNITY) {
            if let Actor::User(actor) = actor {
                self.require_in_guild(actor, guild, Permissions::ADMINISTRATOR, now)?;
            }
            let rules = edit.rules_channel.unwrap_or(place.rules_channel);
            let updates =
                edit.public_updates_channel.unwrap_or(place.settings.public_updates_channel);
            for (key, channel) in
                [("rules_channel_id", rules), ("public_updates_channel_id", updates)]
            {
                if channel.is_none() {
                    let message = "This field is required";
                    return Err(Refusal::field(&[key], "BASE_TYPE_REQUIRED", message));
                }
            }
        }
        Ok(())
    }
}

fn apply(guild: &mut Guild, edit: GuildChange) {
    if let Some(name) = edit.name {
        guild.name = name;
    }
    if let Some(description) = edit.description {
        guild.description = description.filter(|text| !text.is_empty());
    }
    guild.system_channel = edit.system_channel.unwrap_or(guild.system_channel);
    guild.rules_channel = edit.rules_channel.unwrap_or(guild.rules_channel);
    let settings = &mut guild.settings;
    settings.verification_level = edit.verification_level.unwrap_or(settings.verification_level);
    settings.default_message_notifications =
        edit.default_message_notifications.unwrap_or(settings.default_message_notifications);
    settings.explicit_content_filter =
        edit.explicit_content_filter.unwrap_or(settings.explicit_content_filter);
    settings.afk_channel = edit.afk_channel.unwrap_or(settings.afk_channel);
    settings.afk_timeout = edit.afk_timeout.unwrap_or(settings.afk_timeout);
    settings.system_channel_flags =
        edit.system_channel_flags.unwrap_or(settings.system_channel_flags);
    settings.public_updates_channel =
        edit.public_updates_channel.unwrap_or(settings.public_updates_channel);
    settings.safety_alerts_channel =
        edit.safety_alerts_channel.unwrap_or(settings.safety_alerts_channel);
    if let Some(locale) = edit.preferred_locale {
        settings.preferred_locale = locale;
    }
    settings.shows_boost_progress =
        edit.shows_boost_progress.unwrap_or(settings.shows_boost_progress);
    if let Some(wanted) = edit.features {
        for feature in SETTABLE_FEATURES {
            if wanted.iter().any(|wanted| wanted == feature) {
                settings.features.insert(feature.to_owned());
            } else {
                settings.features.remove(feature);
            }
        }
    }
}

/// Returns what the audit log compares.
fn properties(guild: &Guild) -> [(&'static str, Value); 13] {
    let settings = &guild.settings;
    [
        ("name", json!(guild.name)),
        ("description", json!(guild.description)),
        ("verification_level", json!(settings.verification_level)),
        ("default_message_notifications", json!(settings.default_message_notifications)),
        ("explicit_content_filter", json!(settings.explicit_content_filter)),
        ("afk_channel_id", json!(settings.afk_channel)),
        ("afk_timeout", json!(settings.afk_timeout)),
        ("system_channel_id", json!(guild.system_channel)),
        ("system_channel_flags", json!(settings.system_channel_flags)),
        ("rules_channel_id", json!(guild.rules_channel)),
        ("public_updates_channel_id", json!(settings.public_updates_channel)),
        ("preferred_locale", json!(settings.preferred_locale)),
        ("features", json!(settings.features)),
    ]
}
