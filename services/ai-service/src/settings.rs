use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use ery_settings::{InvalidSetting, check};

use crate::domain::{
    builtin,
    prices::{self, Price, Pricing},
};

/// What logs, metrics and journals call the provider that is asked once a budget is used up.
pub(crate) const CHEAPER: &str = "cheaper";

/// Which provider answers model turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// Command understanding without a model and without a network.
    #[default]
    Builtin,
    /// Any server that speaks OpenAI's chat completions.
    OpenAi,
    /// Anthropic's Messages.
    Anthropic,
    /// Google's `generateContent`.
    Gemini,
    /// Ollama's own API.
    Ollama,
}

/// Where an API is found.
struct Place {
    base_url: &'static str,
    /// Taken where an address has no path.
    path: &'static str,
    /// What may stand at an address's end, since people copy it from examples.
    method: &'static str,
}

impl ProviderKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Builtin => builtin::NAME,
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
        }
    }

    fn place(self) -> Place {
        let (base_url, path, method) = match self {
            Self::Builtin | Self::OpenAi => {
                ("https://api.openai.com/v1/", "/v1/", "/chat/completions")
            }
            Self::Anthropic => ("https://api.anthropic.com/v1/", "/v1/", "/messages"),
            Self::Gemini => {
                ("https://generativelanguage.googleapis.com/v1beta/", "/v1beta/", "/models")
            }
            Self::Ollama => ("http://127.0.0.1:11434/", "/", "/api/chat"),
        };
        Place { base_url, path, method }
    }
}

/// One provider of a chain; what is unset is as in the table around it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderSettings {
    /// What logs, metrics and journals call it; unset: its kind.
    pub name: Option<String>,
    pub kind: ProviderKind,
    pub base_url: Option<String>,
    #[serde(skip_serializing)]
    pub api_key: Option<SecretString>,
    pub model: String,
    pub streaming: Option<bool>,
    pub temperature: Option<f64>,
    pub context_window: Option<u32>,
    pub pictures: Option<bool>,
    #[serde(with = "humantime_serde::option")]
    pub first_byte_timeout: Option<Duration>,
    #[serde(with = "humantime_serde::option")]
    pub read_timeout: Option<Duration>,
    pub attempts: Option<u32>,
    pub max_parallel: Option<usize>,
}

/// What a model's tokens cost, for a million of each.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PriceSettings {
    pub input: f64,
    pub output: f64,
    /// Tokens read from the provider's cache; unset: `input`.
    pub cached_input: Option<f64>,
    /// Tokens written to the provider's cache; unset: `input`.
    pub cache_write: Option<f64>,
}

impl PriceSettings {
    fn price(&self) -> Price {
        Price::per_million(
            self.input,
            self.cached_input.unwrap_or(self.input),
            self.cache_write.unwrap_or(self.input),
            self.output,
        )
    }
}

/// The table `[ai]`.
#[expect(clippy::struct_excessive_bools, reason = "each is a setting by itself")]
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub provider: ProviderKind,
    /// The server's address with its version part, `http://127.0.0.1:8000/v1`; unset: the
    /// provider's own.
    ///
    /// A missing slash at the end is added, and so is the usual path where there is none at all.
    pub base_url: Option<String>,
    /// Many compatible servers need none.
    #[serde(skip_serializing)]
    pub api_key: Option<SecretString>,
    /// The model's name, as the provider knows it.
    pub model: String,
    /// Whether the model may read what a moderator orders, where the built-in commands find no
    /// order in the message. Off: only orders that code itself understands are carried out without
    /// a confirmation. On: a model that errs, or that somebody else controls, can twist an order whose
    /// verb and targets stand in the message; it cannot invent one.
    pub model_reads_orders: bool,
    /// Several providers, asked in this order: the next one where the one before gives no answer.
    /// In place of `provider`, `base_url`, `api_key` and `model`.
    pub providers: Vec<ProviderSettings>,
    /// The longest wait for a provider while another one stands behind it.
    #[serde(with = "humantime_serde")]
    pub fallback_wait: Duration,
    /// Prices by model, for a million tokens; before those that are built in.
    pub prices: BTreeMap<String, PriceSettings>,
    /// The price that a model counts with whose own is not known, so that budgets of money hold for
    /// it all the same. As dear as a large model of today: who is told of it may lower it, and nobody
    /// is surprised by a bill.
    pub assumed_price: PriceSettings,
    /// The model that is asked once a budget is used up, at the first provider of the chain; empty:
    /// none, and Ery stops then.
    pub cheaper_model: String,
    /// Whether answers come in pieces. Off, `first_byte_timeout` is the time for a whole answer.
    pub streaming: bool,
    /// How many tokens `ollama` makes room for. It cuts what is longer without a word, and its own
    /// default may be far shorter than what Ery sends.
    pub context_window: Option<u32>,
    /// Whether the model is shown pictures: those of the messages that it answers, fetched from Discord.
    pub pictures: bool,
    /// Whether the model is given the texts of files: those on the messages that it answers, fetched from
    /// Discord.
    pub text_files: bool,
    /// The hosts that pictures and files are fetched from, and no others: Discord's own.
    pub files_from: Vec<String>,
    /// A folder whose files `conversation.txt`, `orders.txt` and `summary.txt` stand in for the built-in
    /// prompts.
    pub prompts_dir: Option<PathBuf>,
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
            providers: Vec::new(),
            fallback_wait: Duration::from_secs(2),
            prices: BTreeMap::new(),
            assumed_price: PriceSettings {
                input: 5.0,
                output: 25.0,
                cached_input: None,
                cache_write: None,
            },
            cheaper_model: String::new(),
            streaming: true,
            context_window: None,
            pictures: false,
            text_files: true,
            files_from: vec!["cdn.discordapp.com".to_owned(), "media.discordapp.net".to_owned()],
            prompts_dir: None,
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
        let priced = self.prices.values().map(|price| ("ai.prices", price));
        for (key, price) in priced.chain([("ai.assumed_price", &self.assumed_price)]) {
            let PriceSettings { input, output, cached_input, cache_write } = *price;
            for value in
                [Some(input), Some(output), cached_input, cache_write].into_iter().flatten()
            {
                let holds = (0.0..=1e6).contains(&value);
                check(holds, key, value, "from 0 to 1000000 for a million tokens")?;
            }
        }
        let has_first = self.cheaper_model.is_empty()
            || self.chain().first().is_some_and(|(_, own)| own.provider != ProviderKind::Builtin);
        let bound = "empty, since the first provider is the built-in one and asks no model";
        check(has_first, "ai.cheaper_model", &self.cheaper_model, bound)?;
        if self.providers.is_empty() {
            return self.validate_provider();
        }
        let is_single = self.base_url.is_some()
            || self.api_key.is_some()
            || !self.model.is_empty()
            || self.provider != ProviderKind::Builtin;
        let bound = "the only place that names providers: `ai.provider`, `ai.base_url`, \
                     `ai.api_key` and `ai.model` must be unset beside it";
        check(!is_single, "ai.providers", "set", bound)?;
        let mut names = BTreeSet::new();
        for (name, settings) in self.chain() {
            let is_name = (1..=32).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            check(is_name, "ai.providers", &name, "named by 1 to 32 letters, digits, -, _ or .")?;
            let bound = "named otherwise: so is the provider of `ai.cheaper_model` called";
            check(name != CHEAPER, "ai.providers", &name, bound)?;
            let is_new = names.insert(name.clone());
            let bound = "a list of different names; where two are of one kind, set `name`";
            check(is_new, "ai.providers", &name, bound)?;
            settings.validate().map_err(|error| {
                let value = format!("wrong at {name:?}: `{}` is {}", error.key, error.value);
                InvalidSetting { key: "ai.providers", value, bound: error.bound }
            })?;
        }
        Ok(())
    }

    /// Checks what the kind of provider needs.
    fn validate_provider(&self) -> Result<(), InvalidSetting> {
        if self.provider == ProviderKind::Builtin {
            return Ok(());
        }
        let model = self.model.as_str();
        let is_named = !model.trim().is_empty();
        check(is_named, "ai.model", model, "the name of a model, since `ai.provider` needs one")?;
        let is_sendable =
            |key: &SecretString| key.expose_secret().bytes().all(|byte| byte.is_ascii_graphic());
        check(
            self.api_key.as_ref().is_none_or(is_sendable),
            "ai.api_key",
            "not shown",
            "of visible ASCII characters alone",
        )?;
        self.endpoint()?;
        Ok(())
    }

    /// Returns the providers in order, by name, each with settings of its own.
    pub(crate) fn chain(&self) -> Vec<(String, Self)> {
        if self.providers.is_empty() {
            return vec![(self.provider.name().to_owned(), self.clone())];
        }
        self.providers
            .iter()
            .map(|own| {
                let settings = Self {
                    provider: own.kind,
                    base_url: own.base_url.clone(),
                    api_key: own.api_key.clone(),
                    model: own.model.clone(),
                    providers: Vec::new(),
                    streaming: own.streaming.unwrap_or(self.streaming),
                    temperature: own.temperature.or(self.temperature),
                    context_window: own.context_window.or(self.context_window),
                    pictures: own.pictures.unwrap_or(self.pictures),
                    first_byte_timeout: own.first_byte_timeout.unwrap_or(self.first_byte_timeout),
                    read_timeout: own.read_timeout.unwrap_or(self.read_timeout),
                    attempts: own.attempts.unwrap_or(self.attempts),
                    max_parallel: own.max_parallel.unwrap_or(self.max_parallel),
                    ..self.clone()
                };
                (own.name.clone().unwrap_or_else(|| own.kind.name().to_owned()), settings)
            })
            .collect()
    }

    /// Returns settings by which one provider is asked alone: the one of that name, else the first;
    /// with another model, where one is named. None: there is no provider of that name.
    pub fn only(&self, provider: Option<&str>, model: Option<&str>) -> Option<Self> {
        let is_it = |name: &str| provider.is_none_or(|wanted| wanted == name);
        let (_, own) = self.chain().into_iter().find(|(name, _)| is_it(name))?;
        let model = model.map_or_else(|| own.model.clone(), str::to_owned);
        Some(Self { model, cheaper_model: String::new(), ..own })
    }

    /// Returns the names of the providers, in order.
    pub fn provider_names(&self) -> Vec<String> {
        self.chain().into_iter().map(|(name, _)| name).collect()
    }

    /// Returns how the cheaper model is asked, if one is set.
    pub(crate) fn cheaper(&self) -> Option<Self> {
        let (_, first) = self.chain().into_iter().next()?;
        let model = self.cheaper_model.clone();
        (!model.is_empty()).then_some(Self { model, ..first })
    }

    /// Returns whether the model runs in the operator's own network: at a loopback or private
    /// address, or under a name that the internet does not know.
    pub(crate) fn is_own_network(&self) -> bool {
        if self.provider == ProviderKind::Builtin {
            return true;
        }
        let Ok(endpoint) = self.endpoint() else { return false };
        match endpoint.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unique_local(),
            Some(url::Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                let ends = [".localhost", ".local", ".internal", ".lan", ".home.arpa"];
                !name.contains('.') || ends.iter().any(|end| name.ends_with(end))
            }
            None => false,
        }
    }

    /// Returns what the model's tokens cost, assumed where it is not known.
    pub(crate) fn pricing(&self) -> Pricing {
        let known = self.price();
        let price = known.unwrap_or_else(|| self.assumed_price.price());
        Pricing { price, is_assumed: known.is_none() }
    }

    /// Returns what the model's tokens cost, if that is known.
    fn price(&self) -> Option<Price> {
        if let Some((_, own)) = self.prices.iter().find(|(name, _)| **name == self.model) {
            return Some(own.price());
        }
        match self.provider {
            // What runs on one's own machine has no price.
            ProviderKind::Builtin | ProviderKind::Ollama => Some(Price::default()),
            ProviderKind::OpenAi | ProviderKind::Anthropic | ProviderKind::Gemini => {
                prices::listed(&self.model)
            }
        }
    }

    /// Returns the provider's base address, which ends with a slash.
    pub(crate) fn endpoint(&self) -> Result<Url, InvalidSetting> {
        let place = self.provider.place();
        let given = self.base_url.as_deref().map_or("", str::trim);
        let given = if given.is_empty() { place.base_url } else { given };
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
        let path = path.strip_suffix(place.method).unwrap_or(path);
        let path = if path.is_empty() { place.path.to_owned() } else { format!("{path}/") };
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

    fn chained(kinds: &[(Option<&str>, ProviderKind)]) -> Settings {
        let provider = |(name, kind): &(Option<&str>, ProviderKind)| ProviderSettings {
            name: name.map(str::to_owned),
            kind: *kind,
            model: "m".into(),
            ..ProviderSettings::default()
        };
        Settings { providers: kinds.iter().map(provider).collect(), ..Settings::default() }
    }

    #[test]
    fn a_chain_has_names_and_each_of_it_its_own_settings() {
        use ProviderKind::{Anthropic, Builtin, Gemini, Ollama, OpenAi};

        let mut settings = chained(&[
            (None, OpenAi),
            (Some("spare"), OpenAi),
            (None, Anthropic),
            (None, Gemini),
            (None, Ollama),
            (None, Builtin),
        ]);
        settings.providers[1].attempts = Some(9);
        settings.validate().unwrap();
        let chain = settings.chain();
        let names: Vec<_> = chain.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["openai", "spare", "anthropic", "gemini", "ollama", "builtin"]);
        assert_eq!((chain[0].1.attempts, chain[1].1.attempts), (4, 9));
        let endpoints: Vec<_> = chain[2..5].iter().map(|(_, it)| it.endpoint().unwrap()).collect();
        let hosts: Vec<_> = endpoints.iter().map(Url::as_str).collect();
        let expected = [
            "https://api.anthropic.com/v1/",
            "https://generativelanguage.googleapis.com/v1beta/",
            "http://127.0.0.1:11434/",
        ];
        assert_eq!(hosts, expected);
        let free = Pricing { price: Price::default(), is_assumed: false };
        assert_eq!(chain[4].1.pricing(), free);
        let assumed = Pricing { price: settings.assumed_price.price(), is_assumed: true };
        assert_eq!(chain[0].1.pricing(), assumed);
    }

    #[test]
    fn a_chain_that_is_none_is_refused() {
        let twice = chained(&[(None, ProviderKind::OpenAi), (None, ProviderKind::OpenAi)]);
        let odd = chained(&[(Some("a b"), ProviderKind::OpenAi)]);
        let single = Settings { model: "m".into(), ..chained(&[(None, ProviderKind::OpenAi)]) };
        let mut incomplete = chained(&[(None, ProviderKind::Gemini)]);
        incomplete.providers[0].model.clear();
        for settings in [twice, odd, single, incomplete] {
            assert_eq!(settings.validate().unwrap_err().key, "ai.providers");
        }
        let mut leaking = chained(&[(None, ProviderKind::OpenAi)]);
        leaking.providers[0].api_key = Some("hunter2\n".into());
        let error = leaking.validate().unwrap_err().to_string();
        assert!(error.contains("ai.api_key") && !error.contains("hunter2"), "{error}");
        let shown = format!("{leaking:?}{}", serde_json::to_string(&leaking).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
        let price =
            PriceSettings { input: -1.0, output: 0.0, cached_input: None, cache_write: None };
        let prices = [("m".to_owned(), price)].into();
        let settings = Settings { prices, ..Settings::default() };
        assert_eq!(settings.validate().unwrap_err().key, "ai.prices");
    }

    #[test]
    fn a_model_in_ones_own_network_is_known_by_its_address() {
        for own in [
            "http://127.0.0.1:9/v1",
            "http://localhost:9",
            "http://[::1]:9/v1",
            "http://10.0.0.7/v1",
            "http://192.168.1.9:8000/v1",
            "http://vllm:8000/v1",
            "http://host.docker.internal:8000/v1",
            "http://[fd00::7]/v1",
        ] {
            assert!(with_base_url(own).is_own_network(), "{own}");
        }
        for other in ["", "https://openrouter.ai/api/v1", "http://93.184.215.14/v1"] {
            assert!(!with_base_url(other).is_own_network(), "{other}");
        }
        assert!(Settings::default().is_own_network());
    }

    #[test]
    fn a_cheaper_model_is_asked_as_the_first_provider_is() {
        let mut settings = chained(&[(None, ProviderKind::OpenAi), (None, ProviderKind::Gemini)]);
        assert!(settings.cheaper().is_none());
        settings.providers[0].attempts = Some(9);
        settings.cheaper_model = "gpt-4.1-nano".into();
        settings.validate().unwrap();
        let cheaper = settings.cheaper().unwrap();
        assert_eq!((cheaper.provider, cheaper.attempts), (ProviderKind::OpenAi, 9));
        assert_eq!((cheaper.model.as_str(), cheaper.pricing().is_assumed), ("gpt-4.1-nano", false));

        let builtin = Settings { cheaper_model: "m".into(), ..Settings::default() };
        assert_eq!(builtin.validate().unwrap_err().key, "ai.cheaper_model");
        let named = chained(&[(Some(CHEAPER), ProviderKind::OpenAi)]);
        assert_eq!(named.validate().unwrap_err().key, "ai.providers");
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
