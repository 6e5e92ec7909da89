//! What can be set about a guild, in a world file.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::{ChannelId, GuildSettings};

/// What is as in a new guild is left out.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct GuildSettingsFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verification_level: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_message_notifications: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    explicit_content_filter: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    afk_channel_id: Option<ChannelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    afk_timeout: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    system_channel_flags: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_updates_channel_id: Option<ChannelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    safety_alerts_channel_id: Option<ChannelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preferred_locale: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    features: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    premium_progress_bar_enabled: bool,
}

impl GuildSettingsFile {
    pub(super) fn new(settings: &GuildSettings) -> Self {
        fn unless<T: PartialEq + Clone>(value: &T, new: &T) -> Option<T> {
            (value != new).then(|| value.clone())
        }
        let new = GuildSettings::default();
        Self {
            verification_level: unless(&settings.verification_level, &new.verification_level),
            default_message_notifications: unless(
                &settings.default_message_notifications,
                &new.default_message_notifications,
            ),
            explicit_content_filter: unless(
                &settings.explicit_content_filter,
                &new.explicit_content_filter,
            ),
            afk_channel_id: settings.afk_channel,
            afk_timeout: unless(&settings.afk_timeout, &new.afk_timeout),
            system_channel_flags: unless(&settings.system_channel_flags, &new.system_channel_flags),
            public_updates_channel_id: settings.public_updates_channel,
            safety_alerts_channel_id: settings.safety_alerts_channel,
            preferred_locale: unless(&settings.preferred_locale, &new.preferred_locale),
            features: settings.features.clone(),
            premium_progress_bar_enabled: settings.shows_boost_progress,
        }
    }

    pub(super) fn read(self) -> GuildSettings {
        let new = GuildSettings::default();
        GuildSettings {
            verification_level: self.verification_level.unwrap_or(new.verification_level),
            default_message_notifications: self
                .default_message_notifications
                .unwrap_or(new.default_message_notifications),
            explicit_content_filter: self
                .explicit_content_filter
                .unwrap_or(new.explicit_content_filter),
            afk_channel: self.afk_channel_id,
            afk_timeout: self.afk_timeout.unwrap_or(new.afk_timeout),
            system_channel_flags: self.system_channel_flags.unwrap_or(new.system_channel_flags),
            public_updates_channel: self.public_updates_channel_id,
            safety_alerts_channel: self.safety_alerts_channel_id,
            preferred_locale: self.preferred_locale.unwrap_or(new.preferred_locale),
            features: self.features,
            shows_boost_progress: self.premium_progress_bar_enabled,
        }
    }
}
