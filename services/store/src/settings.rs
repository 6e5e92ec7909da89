use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use ery_group_commit::{FileKey, NotAKey};
use ery_settings::{InvalidSetting, check};

/// The table `[store]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What this store is called among others, for ever.
    pub name: String,
    /// The store that has every shard at first; a new one of another name begins with none. Unset:
    /// each new store has all.
    pub founder: Option<String>,
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
    pub encryption: Encryption,
    pub backup: Backup,
    pub retention: Retention,
}

/// The table `[store.retention]`: after what time data goes, by kind.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Messages, since they were said.
    pub messages: Kept,
    /// Journals of task threads, since those ended; what came of a thread stays.
    pub journals: Kept,
    /// The text of tool calls, of proposals and of what was planned, since the call; what was
    /// decided stays.
    pub executions: Kept,
    /// Dead letters.
    pub dead_letters: Kept,
    /// Names of people, since they last said something.
    pub names: Kept,
    /// Cases of moderation.
    pub cases: Kept,
    /// What model turns have cost, by day. The windows of budgets are never longer than a month.
    pub usage: Kept,
    /// How often what is past its time is looked for.
    #[serde(with = "humantime_serde")]
    pub sweep_every: Duration,
}

/// How long something is kept: a duration, or `forever`, which `0` means too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Forever,
    For(Duration),
}

impl Kept {
    /// Returns after what time it goes, if it does.
    pub fn limit(self) -> Option<Duration> {
        match self {
            Self::Forever => None,
            Self::For(limit) => Some(limit),
        }
    }
}

impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Forever => serializer.serialize_str("forever"),
            Self::For(limit) => humantime_serde::serialize(limit, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Number(u64),
            Text(String),
        }

        let text = match Given::deserialize(deserializer)? {
            Given::Number(0) => return Ok(Self::Forever),
            Given::Number(number) => number.to_string(),
            Given::Text(text) => text,
        };
        match text.trim() {
            "forever" | "0" => Ok(Self::Forever),
            text => {
                let limit = humantime_serde::re::humantime::parse_duration(text);
                limit.map(Self::For).map_err(|error| {
                    D::Error::custom(format!("`{text}` is no duration and not `forever`: {error}"))
                })
            }
        }
    }
}

const DAY: Duration = Duration::from_hours(24);

impl Default for Retention {
    fn default() -> Self {
        Self {
            messages: Kept::For(365 * DAY),
            journals: Kept::For(90 * DAY),
            executions: Kept::For(365 * DAY),
            dead_letters: Kept::For(90 * DAY),
            names: Kept::For(365 * DAY),
            cases: Kept::Forever,
            // The same month of the year before can be compared with.
            usage: Kept::For(400 * DAY),
            sweep_every: Duration::from_hours(1),
        }
    }
}

impl Retention {
    fn validate(&self) -> Result<(), InvalidSetting> {
        for (name, kept) in [
            ("store.retention.messages", self.messages),
            ("store.retention.journals", self.journals),
            ("store.retention.executions", self.executions),
            ("store.retention.dead_letters", self.dead_letters),
            ("store.retention.names", self.names),
            ("store.retention.cases", self.cases),
        ] {
            let bound = "at least 3days, the bus may bring an event again for two; or `forever`";
            let is_long = kept.limit().is_none_or(|limit| limit >= 3 * DAY);
            check(is_long, name, format_args!("{kept:?}"), bound)?;
        }
        let is_long = self.usage.limit().is_none_or(|limit| limit >= 62 * DAY);
        let bound = "at least 62days, budgets sum up a whole month; or `forever`";
        check(is_long, "store.retention.usage", format_args!("{:?}", self.usage), bound)?;
        check(
            self.sweep_every >= Duration::from_secs(1),
            "store.retention.sweep_every",
            self.sweep_every,
            "at least 1s",
        )
    }
}

/// The table `[store.backup]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backup {
    /// Where backups go, `file:///folder` or `s3://bucket/folder`; none makes none.
    pub url: Option<String>,
    /// How often everything is backed up.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// Of how many hours, days and weeks the newest backup is kept.
    pub keep_hourly: u32,
    pub keep_daily: u32,
    pub keep_weekly: u32,
    /// Whether each backup is read back and checked before it is sent.
    pub verify: bool,
    /// Where the bucket is, if not at AWS.
    pub s3_endpoint: Option<String>,
    pub s3_region: String,
    pub s3_access_key_id: Option<String>,
    #[serde(serialize_with = "redacted")]
    pub s3_secret_access_key: Option<SecretString>,
}

impl Default for Backup {
    fn default() -> Self {
        Self {
            url: None,
            every: Duration::from_hours(1),
            keep_hourly: 24,
            keep_daily: 14,
            keep_weekly: 8,
            verify: true,
            s3_endpoint: None,
            s3_region: "us-east-1".into(),
            s3_access_key_id: None,
            s3_secret_access_key: None,
        }
    }
}

impl Backup {
    fn validate(&self) -> Result<(), InvalidSetting> {
        let is_url = |url: &str, schemes: &[&str]| {
            url::Url::parse(url).is_ok_and(|url| schemes.contains(&url.scheme()))
        };
        let is_target = |url: &String| {
            url::Url::parse(url).is_ok_and(|url| match url.scheme() {
                "file" => url.host_str().is_none() && url.path().len() > 1,
                "s3" => url.host_str().is_some(),
                _ => false,
            })
        };
        check(
            self.url.as_ref().is_none_or(is_target),
            "store.backup.url",
            &self.url,
            "`file:///folder` or `s3://bucket/folder`",
        )?;
        check(
            self.every >= Duration::from_mins(1),
            "store.backup.every",
            self.every,
            "at least 1m, each reads everything",
        )?;
        check(
            self.s3_endpoint.as_ref().is_none_or(|url| is_url(url, &["http", "https"])),
            "store.backup.s3_endpoint",
            &self.s3_endpoint,
            "an address with `http://` or `https://`",
        )?;
        check(
            self.s3_access_key_id.is_some() == self.s3_secret_access_key.is_some(),
            "store.backup.s3_access_key_id",
            &self.s3_access_key_id,
            "set together with `store.backup.s3_secret_access_key`, or not at all",
        )
    }
}

/// The table `[store.encryption]`, which holds for every file of the data folder.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Encryption {
    /// The key, 64 hexadecimal digits; none leaves the files in the clear.
    #[serde(serialize_with = "redacted")]
    pub key: Option<SecretString>,
    /// The key before it, for `ery ctl store rekey`, and for backups that were made under it.
    #[serde(serialize_with = "redacted")]
    pub previous_key: Option<SecretString>,
}

impl Encryption {
    /// Returns the key of every file; none if they are in the clear.
    ///
    /// # Errors
    ///
    /// If it is no key. [`Settings::validate`] has said so by then.
    pub fn key(&self) -> Result<Option<FileKey>, NotAKey> {
        self.key.as_ref().map(|key| FileKey::parse(key.expose_secret())).transpose()
    }

    /// Returns the key before it, if one is given.
    ///
    /// # Errors
    ///
    /// As [`Encryption::key`].
    pub fn previous_key(&self) -> Result<Option<FileKey>, NotAKey> {
        self.previous_key.as_ref().map(|key| FileKey::parse(key.expose_secret())).transpose()
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        for (name, key) in [
            ("store.encryption.key", self.key()),
            ("store.encryption.previous_key", self.previous_key()),
        ] {
            let bound = "64 hexadecimal digits, as `openssl rand -hex 32` prints them";
            // Never the value: it may be a key with a slip in it.
            check(key.is_ok(), name, format_args!("something else"), bound)?;
        }
        Ok(())
    }
}

/// Shows whether a secret is set, and nothing of it.
#[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
fn redacted<S: Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(_) => serializer.serialize_some("(set)"),
        None => serializer.serialize_none(),
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "store".to_owned(),
            founder: None,
            shards: 64,
            open_shards: 64,
            idle_close: Duration::from_mins(5),
            readers_per_shard: 2,
            busy_timeout: Duration::from_secs(5),
            max_messages: 200,
            max_listed: 1_000,
            // The bus keeps events for 24 hours.
            handled_events_kept: Duration::from_hours(26),
            encryption: Encryption::default(),
            backup: Backup::default(),
            retention: Retention::default(),
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
        let is_name = |name: &str| {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            (1..=63).contains(&name.len()) && name.bytes().all(is_part)
        };
        let names = [("store.name", Some(&self.name)), ("store.founder", self.founder.as_ref())];
        for (key, name) in names {
            let Some(name) = name else { continue };
            let bound = "1 to 63 letters, digits, `-`, `.` or `_`";
            check(is_name(name), key, name, bound)?;
        }
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
        )?;
        self.encryption.validate()?;
        self.retention.validate()?;
        self.backup.validate()
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
    fn a_key_is_checked_and_never_shown() {
        let with = |key: &str| Settings {
            encryption: Encryption { key: Some(key.into()), previous_key: None },
            ..Settings::default()
        };
        let refused = with("hunter2").validate().unwrap_err();
        assert_eq!(refused.key, "store.encryption.key");
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
        let good = with(&"0123456789abcdef".repeat(4));
        good.validate().unwrap();
        let shown = format!("{good:?} {}", serde_json::to_string(&good).unwrap());
        assert!(!shown.contains("0123456789") && shown.contains("(set)"), "{shown}");
    }

    #[test]
    fn what_is_kept_for_ever_says_so() {
        let read = |text: &str| serde_json::from_str::<Kept>(text);
        assert_eq!(read(r#""forever""#).unwrap(), Kept::Forever);
        assert_eq!(read("0").unwrap(), Kept::Forever);
        assert_eq!(read(r#""0""#).unwrap(), Kept::Forever);
        assert_eq!(read(r#""30days""#).unwrap(), Kept::For(30 * DAY));
        for wrong in ["7", r#""a while""#, r#""""#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        for kept in [Kept::Forever, Kept::For(30 * DAY)] {
            assert_eq!(read(&serde_json::to_string(&kept).unwrap()).unwrap(), kept);
        }
        let short = Retention { names: Kept::For(DAY), ..Retention::default() };
        let settings = Settings { retention: short, ..Settings::default() };
        assert_eq!(settings.validate().unwrap_err().key, "store.retention.names");
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        let settings = serde_json::from_str::<Settings>(r#"{"idle_close": "90s"}"#).unwrap();
        assert_eq!(settings.idle_close, Duration::from_secs(90));
        assert!(serde_json::from_str::<Settings>(r#"{"shard": 4}"#).is_err());
    }
}
