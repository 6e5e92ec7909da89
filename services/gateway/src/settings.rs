use std::time::Duration;

use serde::{Deserialize, Serialize};

use ery_settings::{InvalidSetting, check};

/// The intents that the tools and the handlers need.
///
/// Source: Discord Docs, Gateway Intents: guilds, members, moderation, guild messages and
/// reactions, direct messages and reactions, message content, scheduled events, polls.
const INTENTS: u64 = 16_889_415;

/// Guilds, bit 0: without it Discord names no guild and no channel.
const INTENT_GUILDS: u64 = 1;

/// The table `[gateway]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many shards there are in all; none: as many as Discord recommends.
    pub shards: Option<u32>,
    /// Discord's intents as a bit set.
    pub intents: u64,
    /// How long Discord may be out of reach at the start before the process gives up.
    #[serde(with = "humantime_serde")]
    pub start_patience: Duration,
    /// How long a shard stays claimed after its replica died.
    ///
    /// Short, because nobody receives its dispatches meanwhile; Discord replays them.
    #[serde(with = "humantime_serde")]
    pub claim_ttl: Duration,
    /// How long another live replica must have been the preferred one before a shard moves there.
    #[serde(with = "humantime_serde")]
    pub rebalance_after: Duration,
    /// How often the resume point is saved.
    #[serde(with = "humantime_serde")]
    pub resume_save_interval: Duration,
    /// After how many published dispatches it is saved earlier than that.
    pub resume_save_events: u32,
    /// How many dispatches of a shard may be on their way to the bus.
    pub publish_window: usize,
    /// How long one attempt to publish may take; then it is made again under the same id.
    #[serde(with = "humantime_serde")]
    pub publish_timeout: Duration,
    /// How long the window may stay full before the shard is closed, to resume later.
    ///
    /// Shorter than Discord's heartbeat interval of 41 s: a shard that is not read sends none.
    #[serde(with = "humantime_serde")]
    pub stall_limit: Duration,
    /// How long a connection may bring nothing at all before it is given up.
    #[serde(with = "humantime_serde")]
    pub silence_limit: Duration,
    /// The longest wait between two attempts to connect.
    #[serde(with = "humantime_serde")]
    pub reconnect_max_wait: Duration,
    /// How long a drain waits for publishes under way.
    #[serde(with = "humantime_serde")]
    pub drain_patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shards: None,
            intents: INTENTS,
            start_patience: Duration::from_mins(2),
            claim_ttl: Duration::from_secs(15),
            rebalance_after: Duration::from_mins(1),
            resume_save_interval: Duration::from_secs(1),
            resume_save_events: 100,
            publish_window: 512,
            publish_timeout: Duration::from_secs(10),
            stall_limit: Duration::from_secs(30),
            silence_limit: Duration::from_mins(2),
            reconnect_max_wait: Duration::from_secs(30),
            drain_patience: Duration::from_secs(5),
        }
    }
}

impl Settings {
    /// Checks every bound.
    ///
    /// # Errors
    ///
    /// Names the first key outside its bound.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let second = Duration::from_secs(1);
        let minute = 60 * second;
        check(
            self.shards.is_none_or(|shards| (1..=16_384).contains(&shards)),
            "gateway.shards",
            self.shards,
            "1 to 16384, or absent for Discord's own recommendation",
        )?;
        check(
            self.intents & INTENT_GUILDS != 0,
            "gateway.intents",
            self.intents,
            "a bit set with bit 0 (guilds), without which Discord names no channel",
        )?;
        check(
            self.start_patience <= 60 * minute,
            "gateway.start_patience",
            self.start_patience,
            "an hour at most",
        )?;
        check(
            (second..=10 * minute).contains(&self.claim_ttl),
            "gateway.claim_ttl",
            self.claim_ttl,
            "1s to 10m",
        )?;
        check(
            self.rebalance_after >= self.claim_ttl,
            "gateway.rebalance_after",
            self.rebalance_after,
            "`gateway.claim_ttl` at least, or shards move to replicas that just died",
        )?;
        check(
            (Duration::from_millis(10)..=minute).contains(&self.resume_save_interval),
            "gateway.resume_save_interval",
            self.resume_save_interval,
            "10ms to 1m, for Discord replays what came since",
        )?;
        check(
            self.resume_save_events >= 1,
            "gateway.resume_save_events",
            self.resume_save_events,
            "1 at least",
        )?;
        check(
            (1..=65_536).contains(&self.publish_window),
            "gateway.publish_window",
            self.publish_window,
            "1 to 65536",
        )?;
        check(
            (Duration::from_millis(100)..=minute).contains(&self.publish_timeout),
            "gateway.publish_timeout",
            self.publish_timeout,
            "100ms to 1m",
        )?;
        check(
            (Duration::from_millis(100)..=40 * second).contains(&self.stall_limit),
            "gateway.stall_limit",
            self.stall_limit,
            "100ms to 40s, below Discord's heartbeat interval",
        )?;
        check(
            (45 * second..=10 * minute).contains(&self.silence_limit),
            "gateway.silence_limit",
            self.silence_limit,
            "45s to 10m, above Discord's heartbeat interval",
        )?;
        check(
            (second..=10 * minute).contains(&self.reconnect_max_wait),
            "gateway.reconnect_max_wait",
            self.reconnect_max_wait,
            "1s to 10m",
        )?;
        check(
            self.drain_patience <= minute,
            "gateway.drain_patience",
            self.drain_patience,
            "1m at most",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        Settings::default().validate().unwrap();
    }

    #[test]
    fn a_bad_setting_is_named() {
        let bad = [
            (Settings { shards: Some(0), ..Settings::default() }, "gateway.shards"),
            (Settings { intents: 512, ..Settings::default() }, "gateway.intents"),
            (Settings { publish_window: 0, ..Settings::default() }, "gateway.publish_window"),
            (
                Settings { stall_limit: Duration::from_mins(1), ..Settings::default() },
                "gateway.stall_limit",
            ),
            (
                Settings { rebalance_after: Duration::ZERO, ..Settings::default() },
                "gateway.rebalance_after",
            ),
        ];
        for (settings, key) in bad {
            assert_eq!(settings.validate().unwrap_err().key, key);
        }
    }
}
