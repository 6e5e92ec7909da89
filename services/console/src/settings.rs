use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use ery_settings::{InvalidSetting, check};

/// The table `[console]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether `ery all` and `ery playground` run it, too; `ery console` runs it in any case.
    pub enabled: bool,
    /// Where it is served; port 0 takes a free one. Beyond this machine only behind TLS: clients
    /// send their token with every request.
    pub listen: SocketAddr,
    /// The names by which it may be asked for, as `Host` has them, with or without a port: others are
    /// refused, so that no web page can reach it under a name of its own (DNS rebinding).
    pub allowed_hosts: Vec<String>,
    /// The web pages that may ask, such as `https://app.example.com:443`. Clients that are no web
    /// page name none.
    pub allowed_origins: Vec<String>,
    /// The largest request.
    pub max_body_bytes: usize,
    /// Tool calls a minute for each credential.
    pub calls_per_minute: u32,
    /// Tool calls that a credential may make at once before that counts.
    pub calls_at_once: u32,
    /// Requests a minute for each credential, of any kind.
    pub requests_per_minute: u32,
    /// Sessions that a credential may have open; more are refused.
    pub sessions_per_credential: usize,
    /// After how long without a request a session is closed.
    #[serde(with = "humantime_serde")]
    pub session_idle: Duration,
    /// Credentials whose clients are known at once; the one that was silent longest goes first, with
    /// its sessions.
    pub clients: usize,
    /// How long the store or a list of tools may take.
    #[serde(with = "humantime_serde")]
    pub lookup_timeout: Duration,
    /// How long a tool call may take; what Discord is asked for by then is done all the same.
    #[serde(with = "humantime_serde")]
    pub call_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8712)),
            allowed_hosts: ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec(),
            allowed_origins: Vec::new(),
            max_body_bytes: 256 * 1024,
            calls_per_minute: 60,
            calls_at_once: 20,
            requests_per_minute: 600,
            sessions_per_credential: 16,
            session_idle: Duration::from_mins(30),
            clients: 1_000,
            lookup_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(45),
        }
    }
}

impl Settings {
    /// Checks the bounds.
    ///
    /// # Errors
    ///
    /// Names the key, the value and the bound.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let second = Duration::from_secs(1);
        check(
            !self.allowed_hosts.is_empty(),
            "console.allowed_hosts",
            &self.allowed_hosts,
            "at least one name: with none every web page could reach it",
        )?;
        check(
            (4_096..=4 << 20).contains(&self.max_body_bytes),
            "console.max_body_bytes",
            self.max_body_bytes,
            "between 4096 and 4194304",
        )?;
        for (key, value) in [
            ("console.calls_per_minute", self.calls_per_minute),
            ("console.calls_at_once", self.calls_at_once),
            ("console.requests_per_minute", self.requests_per_minute),
        ] {
            check((1..=100_000).contains(&value), key, value, "between 1 and 100000")?;
        }
        check(
            (1..=1_000).contains(&self.sessions_per_credential),
            "console.sessions_per_credential",
            self.sessions_per_credential,
            "between 1 and 1000",
        )?;
        check(
            (second * 10..=second * 86_400).contains(&self.session_idle),
            "console.session_idle",
            self.session_idle,
            "between 10s and 24h",
        )?;
        check(self.clients > 0, "console.clients", self.clients, "at least 1")?;
        for (key, value) in [
            ("console.lookup_timeout", self.lookup_timeout),
            ("console.call_timeout", self.call_timeout),
        ] {
            check(
                (second / 10..=second * 300).contains(&value),
                key,
                value,
                "between 100ms and 5m",
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_within_the_bounds_and_on_this_machine_alone() {
        let settings = Settings::default();
        settings.validate().unwrap();
        assert!(settings.listen.ip().is_loopback() && !settings.enabled);
    }

    #[test]
    fn a_setting_outside_its_bound_is_named() {
        let settings = Settings { allowed_hosts: Vec::new(), ..Settings::default() };
        assert_eq!(settings.validate().unwrap_err().key, "console.allowed_hosts");
        let settings = Settings { calls_per_minute: 0, ..Settings::default() };
        assert_eq!(settings.validate().unwrap_err().key, "console.calls_per_minute");
    }
}
