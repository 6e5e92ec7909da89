use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use ery_settings::{InvalidSetting, check};

/// Where OpenAI itself listens.
const OPENAI_BASE_URL: &str = "https://api.openai.com/v1/";

/// The path of nearly every compatible server, taken where the address has none.
const DEFAULT_PATH: &str = "/v1/";

/// Which provider answers model turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// Command understanding without a model and without a network.
    #[default]
    Builtin,
    /// Any server that speaks OpenAI's chat completions.
    OpenAi,
}

/// The table `[ai]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub provider: ProviderKind,
    /// The server's address with its version part, `http://127.0.0.1:8000/v1`; unset: OpenAI's own.
    ///
    /// A missing slash at the end is added, and so is `/v1/` where there is no path at all.
    pub base_url: Option<String>,
    /// Many compatible servers need none.
    #[serde(skip_serializing)]
    pub api_key: Option<SecretString>,
    /// The model's name, as the provider knows it.
    pub model: String,
    /// Whether the model may read what a moderator orders, where the built-in commands find no
    /// order in the message. Off: only orders that code itself understands are carried out without
    /// a confirmation. On: a model that errs, or that somebody else controls, can invent an order.
    pub model_reads_orders: bool,
    /// Unset: the provider's own.
    pub temperature: Option<f64>,
    /// How long connecting may take.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long an attempt may wait for the first byte of the answer.
    #[serde(with = "humantime_serde")]
    pub first_byte_timeout: Duration,
    /// How long a stream may be silent between two pieces; a keep-alive comment counts as one.
    #[serde(with = "humantime_serde")]
    pub read_timeout: Duration,
    /// How long a whole turn may take, with all its attempts and the waits between them.
    #[serde(with = "humantime_serde")]
    pub turn_timeout: Duration,
    /// How often a turn is asked for before it is given up.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles from then on, with jitter.
    #[serde(with = "humantime_serde")]
    pub backoff_base: Duration,
    /// The longest wait of our own choosing; what the provider asks for may be longer.
    #[serde(with = "humantime_serde")]
    pub backoff_max: Duration,
    /// How many failures in a row open the circuit breaker.
    pub breaker_failures: u32,
    /// How long the breaker is open at first before it lets one attempt through as a trial; each
    /// trial that fails doubles it, up to `breaker_open`. Short, since most outages are.
    #[serde(with = "humantime_serde")]
    pub breaker_open_first: Duration,
    /// How long it is open at most.
    #[serde(with = "humantime_serde")]
    pub breaker_open: Duration,
    /// How long a turn waits for trials in all, within its time. Past it the turn is told that the
    /// provider does not answer: after that long people would rather know.
    #[serde(with = "humantime_serde")]
    pub breaker_wait: Duration,
    /// How many turns may wait for trials at once; others are told at once.
    pub breaker_waiting: usize,
    /// How many turns may be with the provider at once; others wait, within their turn's time.
    pub max_parallel: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            provider: ProviderKind::Builtin,
            base_url: None,
            api_key: None,
            model: String::new(),
            model_reads_orders: false,
            temperature: None,
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_mins(1),
            read_timeout: Duration::from_mins(1),
            turn_timeout: Duration::from_mins(3),
            attempts: 4,
            backoff_base: Duration::from_millis(500),
            backoff_max: Duration::from_secs(20),
            breaker_failures: 8,
            breaker_open_first: Duration::from_secs(1),
            breaker_open: Duration::from_secs(15),
            breaker_wait: Duration::from_secs(20),
            breaker_waiting: 256,
            max_parallel: 64,
        }
    }
}

impl Settings {
    /// Checks every value that code relies upon.
    ///
    /// # Errors
    ///
    /// Names the key, the value and the bound.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        const POSITIVE: &str = "longer than zero";
        check(
            !self.connect_timeout.is_zero(),
            "ai.connect_timeout",
            self.connect_timeout,
            POSITIVE,
        )?;
        check(
            !self.first_byte_timeout.is_zero(),
            "ai.first_byte_timeout",
            self.first_byte_timeout,
            POSITIVE,
        )?;
        check(!self.read_timeout.is_zero(), "ai.read_timeout", self.read_timeout, POSITIVE)?;
        check(
            !self.turn_timeout.is_zero() && self.turn_timeout <= Duration::from_hours(1),
            "ai.turn_timeout",
            self.turn_timeout,
            "longer than zero and at most an hour",
        )?;
        check((1..=20).contains(&self.attempts), "ai.attempts", self.attempts, "from 1 to 20")?;
        check(
            !self.backoff_base.is_zero() && self.backoff_base <= self.backoff_max,
            "ai.backoff_base",
            self.backoff_base,
            "longer than zero and at most `ai.backoff_max`",
        )?;
        check(
            self.breaker_failures >= 1,
            "ai.breaker_failures",
            self.breaker_failures,
            "1 or more",
        )?;
        check(!self.breaker_open.is_zero(), "ai.breaker_open", self.breaker_open, POSITIVE)?;
        check(
            !self.breaker_open_first.is_zero(),
            "ai.breaker_open_first",
            self.breaker_open_first,
            POSITIVE,
        )?;
        check(
            self.breaker_waiting <= 10_000,
            "ai.breaker_waiting",
            self.breaker_waiting,
            "at most 10000",
        )?;
        check(
            (1..=10_000).contains(&self.max_parallel),
            "ai.max_parallel",
            self.max_parallel,
            "from 1 to 10000",
        )?;
        if let Some(temperature) = self.temperature {
            check(
                (0.0..=2.0).contains(&temperature),
                "ai.temperature",
                temperature,
                "from 0 to 2",
            )?;
        }
        match self.provider {
            ProviderKind::Builtin => {}
            ProviderKind::OpenAi => {
                let is_sendable = |key: &SecretString| {
                    key.expose_secret().bytes().all(|byte| byte.is_ascii_graphic())
                };
                check(
                    self.api_key.as_ref().is_none_or(is_sendable),
                    "ai.api_key",
                    "not shown",
                    "of visible ASCII characters alone",
                )?;
                let model = self.model.as_str();
                check(
                    !model.trim().is_empty(),
                    "ai.model",
                    model,
                    "the name of a model, since `ai.provider` is `openai`",
                )?;
                self.endpoint()?;
            }
        }
        Ok(())
    }

    /// Returns the provider's base address, which ends with a slash.
    pub(crate) fn endpoint(&self) -> Result<Url, InvalidSetting> {
        let given = self.base_url.as_deref().map_or("", str::trim);
        let given = if given.is_empty() { OPENAI_BASE_URL } else { given };
        let invalid = |value: &str, bound| InvalidSetting {
            key: "ai.base_url",
            value: format!("{value:?}"),
            bound,
        };
        let is_web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let mut url = match Url::parse(given) {
            Ok(url) if is_web(&url) => url,
            // What cannot be taken apart may hold a password anywhere.
            Ok(_) | Err(_) if given.contains('@') => {
                return Err(invalid("not shown", "an http or https address"));
            }
            Ok(_) | Err(_) => return Err(invalid(given, "an http or https address")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            let bound = "an address without a user or password: the key belongs in `ai.api_key`";
            return Err(invalid("not shown", bound));
        }
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/chat/completions").unwrap_or(path);
        let path = if path.is_empty() { DEFAULT_PATH.to_owned() } else { format!("{path}/") };
        url.set_path(&path);
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_base_url(base_url: &str) -> Settings {
        Settings {
            provider: ProviderKind::OpenAi,
            base_url: Some(base_url.into()),
            model: "some-model".into(),
            ..Settings::default()
        }
    }

    #[test]
    fn every_form_of_an_address_becomes_one_that_ends_with_a_slash() {
        for (given, endpoint) in [
            ("", "https://api.openai.com/v1/"),
            ("http://127.0.0.1:9", "http://127.0.0.1:9/v1/"),
            ("http://127.0.0.1:9/", "http://127.0.0.1:9/v1/"),
            ("http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1/"),
            (" http://127.0.0.1:9/v1/ ", "http://127.0.0.1:9/v1/"),
            ("http://h/v1//", "http://h/v1/"),
            ("http://h/v1/chat/completions", "http://h/v1/"),
            ("https://h/api/openai/v1", "https://h/api/openai/v1/"),
            ("https://h/deployments/d?api-version=2", "https://h/deployments/d/?api-version=2"),
            ("https://h/v1#part", "https://h/v1/"),
        ] {
            assert_eq!(with_base_url(given).endpoint().unwrap().as_str(), endpoint, "{given}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_showing_a_password() {
        for given in ["ftp://h/v1", "h/v1", "/v1", "http://", "file:///etc/passwd", "127.0.0.1:80"]
        {
            let error = with_base_url(given).validate().unwrap_err();
            assert_eq!(error.key, "ai.base_url", "{given}");
        }
        for given in ["http://user:hunter2@h/v1", "user:hunter2@h", "ftp://user:hunter2@h"] {
            let error = with_base_url(given).validate().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_defaults_hold_and_openai_needs_a_model() {
        Settings::default().validate().unwrap();
        let settings = Settings { provider: ProviderKind::OpenAi, ..Settings::default() };
        assert_eq!(settings.validate().unwrap_err().key, "ai.model");
        let settings = Settings { api_key: Some("a\nb".into()), ..with_base_url("http://h") };
        assert_eq!(settings.validate().unwrap_err().key, "ai.api_key");
    }

    #[test]
    fn bounds_are_named() {
        let zero = Duration::ZERO;
        for (settings, key) in [
            (Settings { connect_timeout: zero, ..Settings::default() }, "ai.connect_timeout"),
            (Settings { first_byte_timeout: zero, ..Settings::default() }, "ai.first_byte_timeout"),
            (Settings { read_timeout: zero, ..Settings::default() }, "ai.read_timeout"),
            (Settings { turn_timeout: zero, ..Settings::default() }, "ai.turn_timeout"),
            (Settings { attempts: 0, ..Settings::default() }, "ai.attempts"),
            (Settings { backoff_base: zero, ..Settings::default() }, "ai.backoff_base"),
            (Settings { breaker_failures: 0, ..Settings::default() }, "ai.breaker_failures"),
            (Settings { breaker_open: zero, ..Settings::default() }, "ai.breaker_open"),
            (Settings { breaker_open_first: zero, ..Settings::default() }, "ai.breaker_open_first"),
            (Settings { breaker_waiting: 10_001, ..Settings::default() }, "ai.breaker_waiting"),
            (Settings { max_parallel: 0, ..Settings::default() }, "ai.max_parallel"),
            (Settings { temperature: Some(f64::NAN), ..Settings::default() }, "ai.temperature"),
        ] {
            assert_eq!(settings.validate().unwrap_err().key, key);
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let settings = Settings { api_key: Some("hunter2".into()), ..Settings::default() };
        let shown = format!("{settings:?}{}", serde_json::to_string(&settings).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
