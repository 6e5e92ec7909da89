use std::{fmt, path::PathBuf, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

/// The table `[nats]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsSettings {
    /// `nats://host:port`, or `tls://host:port` for TLS; several are separated by commas. A user
    /// and a password may stand before the host.
    #[serde(serialize_with = "without_credentials")]
    pub url: SecretString,
    /// The user, where the URL names none.
    pub user: Option<String>,
    /// The password, where the URL names none.
    #[serde(serialize_with = "redacted")]
    pub password: Option<SecretString>,
    /// Certificates in PEM of who signed the server's; without it, the system's.
    pub ca_file: Option<PathBuf>,
    /// How many servers keep each stream: 1, or 3 with three servers or more.
    pub replicas: usize,
    /// How long the start tries to reach a server before it gives up.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long one request may take.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// How many publishes of this process may wait for their acknowledgement at once.
    pub publish_window: usize,
    /// How long one publish is tried again, under the same id, before its caller is told.
    #[serde(with = "humantime_serde")]
    pub publish_deadline: Duration,
    /// After what time a task that was delivered, but not removed, is delivered again. More than
    /// the lease lasts, so that a redelivery after a crash finds the channel free.
    #[serde(with = "humantime_serde")]
    pub ack_wait: Duration,
    /// For how long a repeated publish is recognised.
    #[serde(with = "humantime_serde")]
    pub duplicate_window: Duration,
    /// How many tasks may have been delivered and not removed. More than the largest backlog, or
    /// one channel stops all.
    pub max_ack_pending: i64,
    /// How large the stream of tasks may become; publishing is refused then.
    pub tasks_max_bytes: i64,
    /// How large the stream of events may become; publishing is refused then.
    pub events_max_bytes: i64,
    /// How long events are kept.
    #[serde(with = "humantime_serde")]
    pub events_max_age: Duration,
    /// How many events of one part a handler may have received and not acknowledged.
    pub max_unacked_events: usize,
    /// Payloads larger than this are compressed.
    pub compress_above_bytes: usize,
}

impl Default for NatsSettings {
    fn default() -> Self {
        Self {
            url: "nats://127.0.0.1:4222".into(),
            user: None,
            password: None,
            ca_file: None,
            replicas: 1,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(5),
            publish_window: 512,
            publish_deadline: Duration::from_secs(30),
            ack_wait: Duration::from_secs(30),
            duplicate_window: Duration::from_mins(10),
            max_ack_pending: 100_000,
            tasks_max_bytes: 256 << 20,
            events_max_bytes: 2 << 30,
            events_max_age: Duration::from_hours(24),
            max_unacked_events: 1_024,
            compress_above_bytes: 64 << 10,
        }
    }
}

/// The table `[redis]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSettings {
    /// `redis://host:port/database`, or `rediss://…` for TLS. A user and a password may stand
    /// before the host.
    #[serde(serialize_with = "without_credentials")]
    pub url: SecretString,
    /// Certificates in PEM of who signed the server's; without it, the well-known authorities'.
    pub ca_file: Option<PathBuf>,
    /// How long the start tries to reach the server before it gives up.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long one operation may take, with its repeats.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How long a channel's lease lasts unless it is renewed, at a third of it ± 20 %.
    #[serde(with = "humantime_serde")]
    pub lease_ttl: Duration,
    /// How long a replica stands in the list unless it renews that, at a third of it ± 20 %.
    #[serde(with = "humantime_serde")]
    pub member_ttl: Duration,
    /// The longest time for which an exchange may stay open. A Redis that has been known for less
    /// is not trusted to know that none is open.
    #[serde(with = "humantime_serde")]
    pub longest_exchange: Duration,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379/0".into(),
            ca_file: None,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            lease_ttl: Duration::from_secs(15),
            member_ttl: Duration::from_secs(15),
            longest_exchange: Duration::from_mins(15),
        }
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

/// Shows where a server is, without the user and the password that may stand in its address.
fn without_credentials<S: Serializer>(
    url: &SecretString,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let addresses = url.expose_secret().split(',').map(|address| {
        let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
    });
    serializer.serialize_str(&addresses.collect::<Vec<_>>().join(","))
}

/// A setting outside its bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` is {value}; it must be {bound}")]
pub struct InvalidSetting {
    /// The whole key, `redis.lease_ttl`.
    pub key: &'static str,
    pub value: String,
    /// What it may be, with the reason where it is not plain.
    pub bound: &'static str,
}

impl NatsSettings {
    /// Checks each setting by itself.
    ///
    /// # Errors
    ///
    /// Names the first key that is out of its bound.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        check(matches!(self.replicas, 1 | 3 | 5), "nats.replicas", self.replicas, "1, 3 or 5")?;
        for (key, value) in [
            ("nats.connect_timeout", self.connect_timeout),
            ("nats.request_timeout", self.request_timeout),
            ("nats.publish_deadline", self.publish_deadline),
            ("nats.ack_wait", self.ack_wait),
            ("nats.events_max_age", self.events_max_age),
        ] {
            check(!value.is_zero(), key, value, "more than nothing")?;
        }
        check(
            self.duplicate_window >= Duration::from_secs(1)
                && self.duplicate_window <= self.events_max_age,
            "nats.duplicate_window",
            self.duplicate_window,
            "between 1s and `nats.events_max_age`",
        )?;
        check(
            (1..=1 << 20).contains(&self.publish_window),
            "nats.publish_window",
            self.publish_window,
            "between 1 and 1048576",
        )?;
        check(
            self.max_ack_pending >= 1_000,
            "nats.max_ack_pending",
            self.max_ack_pending,
            "1000 at least: one channel's backlog must not stop all others",
        )?;
        for (key, value) in [
            ("nats.tasks_max_bytes", self.tasks_max_bytes),
            ("nats.events_max_bytes", self.events_max_bytes),
        ] {
            check(value >= 1 << 20, key, value, "1048576 (1 MiB) at least")?;
        }
        check(
            (1..=1 << 16).contains(&self.max_unacked_events),
            "nats.max_unacked_events",
            self.max_unacked_events,
            "between 1 and 65536",
        )
    }
}

impl RedisSettings {
    /// Checks each setting by itself, and the lease's time against NATS's redelivery.
    ///
    /// # Errors
    ///
    /// Names the first key that is out of its bound.
    pub fn validate(&self, nats: &NatsSettings) -> Result<(), InvalidSetting> {
        for (key, value) in
            [("redis.connect_timeout", self.connect_timeout), ("redis.timeout", self.timeout)]
        {
            check(!value.is_zero(), key, value, "more than nothing")?;
        }
        for (key, value) in
            [("redis.lease_ttl", self.lease_ttl), ("redis.member_ttl", self.member_ttl)]
        {
            check(value >= Duration::from_millis(100), key, value, "100ms at least")?;
        }
        check(
            self.lease_ttl < nats.ack_wait,
            "redis.lease_ttl",
            self.lease_ttl,
            "less than `nats.ack_wait`, so that a redelivery after a crash finds the channel free",
        )
    }
}

fn check(
    holds: bool,
    key: &'static str,
    value: impl fmt::Debug,
    bound: &'static str,
) -> Result<(), InvalidSetting> {
    if holds { Ok(()) } else { Err(InvalidSetting { key, value: format!("{value:?}"), bound }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        let nats = NatsSettings::default();
        nats.validate().unwrap();
        RedisSettings::default().validate(&nats).unwrap();
    }

    #[test]
    fn a_lease_that_outlives_redelivery_is_refused_by_its_key() {
        let nats = NatsSettings::default();
        let redis = RedisSettings { lease_ttl: Duration::from_secs(30), ..Default::default() };
        assert_eq!(redis.validate(&nats).unwrap_err().key, "redis.lease_ttl");
    }

    #[test]
    fn a_backlog_that_stops_everybody_is_refused() {
        let nats = NatsSettings { max_ack_pending: 10, ..Default::default() };
        let text = nats.validate().unwrap_err().to_string();
        assert!(text.starts_with("`nats.max_ack_pending` is 10; it must be 1000"), "{text}");
    }

    #[test]
    fn what_stands_in_a_url_is_not_printed() {
        let nats = NatsSettings { url: "nats://u:hidden@h:1".into(), ..Default::default() };
        let redis = RedisSettings { url: "redis://:hidden@h:1".into(), ..Default::default() };
        assert!(!format!("{nats:?} {redis:?}").contains("hidden"));
    }
}
