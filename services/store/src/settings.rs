use std::time::Duration;

use serde::{Deserialize, Serialize};

use ery_settings::{InvalidSetting, check};

/// The table `[store]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many shard files the data is divided into. Fixed when the store is created.
    pub shards: u32,
    /// How many shard files may be open at once; past it, the one unused for longest is closed.
    pub open_shards: u32,
    /// How long a shard file stays open unused.
    #[serde(with = "humantime_serde")]
    pub idle_close: Duration,
    /// How many connections read one shard file at once; they are opened as they are needed.
    pub readers_per_shard: u32,
    /// How long a call waits for a reader, or for a shard file to be free to open.
    #[serde(with = "humantime_serde")]
    pub busy_timeout: Duration,
    /// How many messages one answer holds: a list, or a thread's context.
    pub max_messages: u32,
    /// How many threads, executions or dead letters one list holds.
    pub max_listed: u32,
    /// How long the ids of handled events are kept: longer than the bus may deliver one again.
    #[serde(with = "humantime_serde")]
    pub handled_events_kept: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shards: 64,
            open_shards: 64,
            idle_close: Duration::from_mins(5),
            readers_per_shard: 2,
            busy_timeout: Duration::from_secs(5),
            max_messages: 200,
            max_listed: 1_000,
            // The bus keeps events for 24 hours.
            handled_events_kept: Duration::from_hours(26),
        }
    }
}

/// The shortest time for which ids of handled events are kept.
const LEAST_HANDLED_EVENTS_KEPT: Duration = Duration::from_hours(25);

impl Settings {
    /// Checks every value against its bound.
    ///
    /// # Errors
    ///
    /// Names the key, its value and the bound.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        check(
            (1..=4_096).contains(&self.shards),
            "store.shards",
            self.shards,
            "from 1 to 4096, each is a file",
        )?;
        check(
            (1..=4_096).contains(&self.open_shards),
            "store.open_shards",
            self.open_shards,
            "from 1 to 4096, each costs a thread and its caches",
        )?;
        check(
            self.idle_close >= Duration::from_secs(1),
            "store.idle_close",
            self.idle_close,
            "at least 1s, opening a file costs more than keeping it",
        )?;
        check(
            (1..=64).contains(&self.readers_per_shard),
            "store.readers_per_shard",
            self.readers_per_shard,
            "from 1 to 64",
        )?;
        check(
            (Duration::from_millis(10)..=Duration::from_mins(1)).contains(&self.busy_timeout),
            "store.busy_timeout",
            self.busy_timeout,
            "from 10ms to 60s, callers have deadlines of their own",
        )?;
        check(
            (1..=1_000).contains(&self.max_messages),
            "store.max_messages",
            self.max_messages,
            "from 1 to 1000, an answer must fit a call",
        )?;
        check(
            (1..=10_000).contains(&self.max_listed),
            "store.max_listed",
            self.max_listed,
            "from 1 to 10000, an answer must fit a call",
        )?;
        check(
            self.handled_events_kept >= LEAST_HANDLED_EVENTS_KEPT,
            "store.handled_events_kept",
            self.handled_events_kept,
            "at least 25h, the bus may deliver an event again for 24h",
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
    fn a_value_outside_its_bound_is_named() {
        for (settings, key) in [
            (Settings { shards: 0, ..Settings::default() }, "store.shards"),
            (Settings { open_shards: 0, ..Settings::default() }, "store.open_shards"),
            (Settings { idle_close: Duration::ZERO, ..Settings::default() }, "store.idle_close"),
            (Settings { readers_per_shard: 0, ..Settings::default() }, "store.readers_per_shard"),
            (
                Settings { busy_timeout: Duration::ZERO, ..Settings::default() },
                "store.busy_timeout",
            ),
            (Settings { max_messages: 0, ..Settings::default() }, "store.max_messages"),
            (Settings { max_listed: 0, ..Settings::default() }, "store.max_listed"),
            (
                Settings { handled_events_kept: Duration::from_mins(1), ..Settings::default() },
                "store.handled_events_kept",
            ),
        ] {
            assert_eq!(settings.validate().unwrap_err().key, key);
        }
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        let settings = serde_json::from_str::<Settings>(r#"{"idle_close": "90s"}"#).unwrap();
        assert_eq!(settings.idle_close, Duration::from_secs(90));
        assert!(serde_json::from_str::<Settings>(r#"{"shard": 4}"#).is_err());
    }
}
