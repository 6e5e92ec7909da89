use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use ery_community_config::{Document, Engage, Span, Usd};
use ery_settings::{InvalidSetting, check};

/// Where Discord is told which commands there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandScope {
    /// Once, for every server and for direct messages.
    #[default]
    Global,
    /// In each server for itself, and nowhere else: for development, beside an application that people
    /// use. No command works in a direct message then.
    Guilds,
    /// Nowhere; what Discord knows stays as it is.
    Off,
}

/// The table `[orchestrator]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many channels this process works on at once. Past it nothing more is pulled from the
    /// queue, where it waits.
    pub task_threads: usize,
    /// How many wake-ups the queue may hand out ahead of a free slot. Small: another replica could
    /// have taken them.
    pub prefetch: usize,

    /// Which messages are answered, unless the community's config says otherwise.
    pub engage: Engage,
    /// The names that address Ery at the start of a message, in any case.
    pub names: Vec<String>,
    /// Whether bots and webhooks are answered like people. Two bots that answer each other go on
    /// for ever.
    pub answer_bots: bool,
    /// How long a member whom Ery answered need not address her again in that channel.
    #[serde(with = "humantime_serde")]
    pub exchange_window: Duration,
    /// How long after an answer the same member gets no other one in that channel. Zero: no pause.
    #[serde(with = "humantime_serde")]
    pub member_cooldown: Duration,

    /// How many messages may wait for one channel. What comes beyond is told that Ery is too busy.
    pub max_waiting: usize,
    /// How many messages may share one turn.
    pub shared_turn_messages: usize,

    /// How many of a channel's last messages a task thread reads.
    pub context_messages: u32,
    /// How old those messages may be.
    #[serde(with = "humantime_serde")]
    pub context_window: Duration,
    /// Whether what was said before those is summed up by the model, in each channel in which Ery
    /// answers, unless the community's config says otherwise. Unset: where a community switches it
    /// on. False: nowhere.
    pub summaries: Option<bool>,
    /// How long after a channel's last summary there is no other, so that what it costs is bounded
    /// however busy a channel is.
    #[serde(with = "humantime_serde")]
    pub summary_rest: Duration,
    /// How many tokens a model turn's request may have, counted by a bound that is never below
    /// the provider's own count for ordinary text.
    pub context_tokens: u64,
    /// How long a thread waits for its channel's ingestion to reach its trigger; 250 ms at most.
    #[serde(with = "humantime_serde")]
    pub ingestion_wait: Duration,
    /// How many tokens the model may write in one turn.
    pub max_output_tokens: u32,

    /// How many model turns a task thread may take.
    pub max_steps: u32,
    /// How many tool calls a task thread may make.
    pub max_tool_calls: u32,
    /// How many tokens, read and written, a task thread may cost.
    pub thread_tokens: u64,
    /// How long one holder may work on a task thread. A new holder begins anew.
    #[serde(with = "humantime_serde")]
    pub thread_time: Duration,
    /// How often a task thread may fail by an error of its own before it is a dead letter.
    pub max_attempts: u32,
    /// How long to wait before a thread that failed by an error of its own is tried again; doubled
    /// each time.
    #[serde(with = "humantime_serde")]
    pub attempt_pause: Duration,

    /// How long a task thread may last before people see that Ery is typing.
    #[serde(with = "humantime_serde")]
    pub typing_after: Duration,

    /// Whether people see an answer while it is written: a message that grows. It takes more requests
    /// to Discord, and a record of the audit for each change.
    pub growing_answers: bool,
    /// How long at least between two changes of a message that grows. Discord takes five requests in
    /// five seconds for the messages of a channel.
    #[serde(with = "humantime_serde")]
    pub growing_every: Duration,

    /// How long the store may take for one call.
    #[serde(with = "humantime_serde")]
    pub store_timeout: Duration,
    /// How long the tool-service may take to describe people, list tools or resolve a call.
    #[serde(with = "humantime_serde")]
    pub lookup_timeout: Duration,
    /// How long the tool-service may take for one tool call, Discord's rate limits included.
    #[serde(with = "humantime_serde")]
    pub tool_timeout: Duration,
    /// How long the ai-service may take for one model turn, its own retries included.
    #[serde(with = "humantime_serde")]
    pub model_timeout: Duration,
    /// How long a channel's history may take to be read from Discord. Without it the thread goes
    /// on with what the store has.
    #[serde(with = "humantime_serde")]
    pub history_timeout: Duration,
    /// How long a service that does not answer is asked again before the thread is left to
    /// redelivery.
    #[serde(with = "humantime_serde")]
    pub patience: Duration,

    /// How many events one call hands to the store.
    pub ingest_batch: usize,
    /// How many events of one part may wait for the store. Past it no more are pulled from the bus.
    pub ingest_waiting: usize,

    /// How many messages of one channel are read back that were missed while Discord held no
    /// session; the newest of them. 0: none.
    pub read_back_messages: usize,
    /// How many direct messages are read back when a session begins anew, a request for each: those
    /// in which something was said last. 0: none.
    pub read_back_direct_channels: usize,
    /// How old a message that was read back may be to be answered still; older ones are context only.
    /// A conversation has gone on after a quarter of an hour, and an answer then is a surprise.
    #[serde(with = "humantime_serde")]
    pub read_back_answered_within: Duration,
    /// How long a channel waits, before it goes on, until what was missed before Discord began a new
    /// session is read back, so that it is answered first. 0: not at all.
    #[serde(with = "humantime_serde")]
    pub read_back_wait: Duration,
    /// Where Discord is told which commands there are.
    pub commands: CommandScope,
    /// Whether Ery introduces herself once in a server that she joins: what she lacks there, and how
    /// to begin.
    pub greet: bool,

    /// How many channels this process reads back at once, behind everything that people wait for.
    pub read_back_channels: usize,

    /// What may be spent on models.
    pub budgets: Budgets,
    /// How often all stores are asked what the installation has spent. What other replicas spend
    /// between two answers may go past its budget.
    #[serde(with = "humantime_serde")]
    pub budget_refresh: Duration,
}

/// The table `[orchestrator.budgets]`: what may be spent on models, in windows of a day and a month
/// by UTC. It lies below the community's config, which only lowers it; `ery ctl config set` without a
/// server changes it without a restart.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budgets {
    /// Of all servers and direct messages together.
    pub installation: Budget,
    /// Of each server.
    pub server: Budget,
    /// Of each channel.
    pub channel: Budget,
    /// Of each member in each server.
    pub member: Budget,
    /// At what share of a budget, in percent, it is said once that it is nearly used up.
    pub warn_percent: u32,
    /// How much more the cheaper model may spend once a budget is used up, in percent of it.
    pub cheaper_percent: u32,
}

/// What one budget says: amounts, or `"unlimited"`; unset, the default of the config's key holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// In dollars.
    pub day_usd: Option<Most<Usd>>,
    pub month_usd: Option<Most<Usd>>,
    /// Read and written.
    pub day_tokens: Option<Most<u64>>,
    pub month_tokens: Option<Most<u64>>,
}

/// The most that something may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged, expecting = "an amount from 0 on, or `unlimited`")]
pub enum Most<T> {
    Of(T),
    /// Written `"unlimited"`.
    #[serde(with = "unlimited")]
    Unlimited,
}

/// As many tokens as a budget can say: more than anybody uses.
const UNLIMITED_TOKENS: u64 = 1_000_000_000_000;

mod unlimited {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const WORD: &str = "unlimited";

    pub(super) fn serialize<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(WORD)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            WORD => Ok(()),
            other => Err(D::Error::custom(format!("`{other}` is no amount and not `{WORD}`"))),
        }
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            installation: Budget::default(),
            server: Budget::default(),
            channel: Budget::default(),
            member: Budget::default(),
            warn_percent: 80,
            cheaper_percent: 20,
        }
    }
}

impl Budgets {
    fn config_base(&self) -> Document {
        let mut document = Document::from([
            ("budgets.warn_percent".to_owned(), self.warn_percent.into()),
            ("budgets.cheaper_percent".to_owned(), self.cheaper_percent.into()),
        ]);
        for (name, budget) in [
            ("installation", self.installation),
            ("server", self.server),
            ("channel", self.channel),
            ("member", self.member),
        ] {
            let Budget { day_usd, month_usd, day_tokens, month_tokens } = budget;
            let usd = |of: Option<Most<Usd>>| match of? {
                Most::Of(usd) => serde_json::to_value(usd).ok(),
                Most::Unlimited => serde_json::to_value(Usd::MOST).ok(),
            };
            let tokens = |of: Option<Most<u64>>| match of? {
                Most::Of(tokens) => Some(Value::from(tokens)),
                Most::Unlimited => Some(UNLIMITED_TOKENS.into()),
            };
            let values = [
                ("day_usd", usd(day_usd)),
                ("month_usd", usd(month_usd)),
                ("day_tokens", tokens(day_tokens)),
                ("month_tokens", tokens(month_tokens)),
            ];
            document.extend(
                values
                    .into_iter()
                    .filter_map(|(of, value)| Some((format!("budgets.{name}.{of}"), value?))),
            );
        }
        document
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check(
            (1..=100).contains(&self.warn_percent),
            "orchestrator.budgets.warn_percent",
            self.warn_percent,
            "1 to 100",
        )?;
        for budget in [self.installation, self.server, self.channel, self.member] {
            for most in [budget.day_tokens, budget.month_tokens] {
                let Some(Most::Of(tokens)) = most else { continue };
                let bound = "1,000,000,000,000 at most, or \"unlimited\"";
                let key = "orchestrator.budgets";
                check(tokens <= UNLIMITED_TOKENS, key, tokens, bound)?;
            }
        }
        check(
            self.cheaper_percent <= 1_000,
            "orchestrator.budgets.cheaper_percent",
            self.cheaper_percent,
            "1,000 at most",
        )
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            task_threads: 256,
            prefetch: 32,
            engage: Engage::Addressed,
            names: vec!["ery".to_owned()],
            answer_bots: false,
            exchange_window: Duration::from_mins(1),
            member_cooldown: Duration::ZERO,
            max_waiting: 200,
            shared_turn_messages: 10,
            context_messages: 30,
            context_window: Duration::from_hours(6),
            summaries: None,
            summary_rest: Duration::from_mins(10),
            context_tokens: 24_000,
            ingestion_wait: Duration::from_millis(250),
            max_output_tokens: 1_000,
            max_steps: 8,
            max_tool_calls: 16,
            thread_tokens: 200_000,
            thread_time: Duration::from_mins(2),
            max_attempts: 5,
            attempt_pause: Duration::from_millis(500),
            typing_after: Duration::from_millis(400),
            growing_answers: false,
            growing_every: Duration::from_millis(1_500),
            store_timeout: Duration::from_secs(5),
            lookup_timeout: Duration::from_secs(5),
            tool_timeout: Duration::from_secs(30),
            model_timeout: Duration::from_mins(1),
            history_timeout: Duration::from_secs(3),
            patience: Duration::from_secs(20),
            ingest_batch: 128,
            ingest_waiting: 2_048,
            read_back_messages: 500,
            read_back_direct_channels: 1_000,
            read_back_answered_within: Duration::from_mins(15),
            read_back_wait: Duration::from_secs(30),
            commands: CommandScope::Global,
            greet: true,
            read_back_channels: 4,
            budgets: Budgets::default(),
            budget_refresh: Duration::from_secs(2),
        }
    }
}

impl Settings {
    /// The keys that [`Self::config_base`] is made of: they may change while the process runs.
    pub const LIVE: &[&str] = &[
        "engage",
        "names",
        "answer_bots",
        "exchange_window",
        "member_cooldown",
        "context_messages",
        "context_window",
        "summaries",
        "max_steps",
        "max_tool_calls",
        "thread_tokens",
        "thread_time",
        "budgets",
    ];

    /// Returns what these settings say of what a community can set, too: it lies below all layers.
    pub fn config_base(&self) -> Document {
        let span = |duration: Duration| Value::from(Span(duration).to_string());
        let values: [(&str, Value); 11] = [
            ("gate.engage", serde_json::to_value(self.engage).unwrap_or_default()),
            ("gate.names", self.names.clone().into()),
            ("gate.answer_bots", self.answer_bots.into()),
            ("gate.exchange_window", span(self.exchange_window)),
            ("gate.member_cooldown", span(self.member_cooldown)),
            ("context.messages", self.context_messages.into()),
            ("context.window", span(self.context_window)),
            ("limits.steps", self.max_steps.into()),
            ("limits.tool_calls", self.max_tool_calls.into()),
            ("limits.tokens", self.thread_tokens.into()),
            ("limits.time", span(self.thread_time)),
        ];
        let mut document: Document = values.map(|(path, value)| (path.to_owned(), value)).into();
        // What is not set leaves it to communities.
        let summaries = self.summaries.map(|is_on| ("context.summaries".to_owned(), is_on.into()));
        document.extend(summaries);
        document.extend(self.budgets.config_base());
        document
    }

    /// Checks every value that has a bound.
    ///
    /// # Errors
    ///
    /// Names the first key that is outside its bound.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        self.validate_gate()?;
        self.budgets.validate()?;
        check(
            (Duration::from_millis(50)..=Duration::from_mins(1)).contains(&self.budget_refresh),
            "orchestrator.budget_refresh",
            self.budget_refresh,
            "50 ms to 1 min: the installation's budget is overrun by what is spent meanwhile",
        )?;
        self.validate_work()?;
        self.validate_waits()
    }

    fn validate_gate(&self) -> Result<(), InvalidSetting> {
        let is_name = |name: &String| {
            (1..=32).contains(&name.chars().count()) && name.chars().all(char::is_alphanumeric)
        };
        check(
            self.names.len() <= 16 && self.names.iter().all(is_name),
            "orchestrator.names",
            &self.names,
            "16 names at most, each of 1 to 32 letters and digits",
        )?;
        check(
            self.exchange_window <= Duration::from_hours(1),
            "orchestrator.exchange_window",
            self.exchange_window,
            "1 h at most, or Ery answers what is not for her",
        )?;
        check(
            self.member_cooldown <= Duration::from_hours(1),
            "orchestrator.member_cooldown",
            self.member_cooldown,
            "1 h at most",
        )
    }

    fn validate_work(&self) -> Result<(), InvalidSetting> {
        let within = |holds, key, value: u64, bound| check(holds, key, value, bound);
        let size = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        within(
            (1..=65_536).contains(&self.task_threads),
            "orchestrator.task_threads",
            size(self.task_threads),
            "1 to 65,536",
        )?;
        within(
            (1..=4_096).contains(&self.prefetch),
            "orchestrator.prefetch",
            size(self.prefetch),
            "1 to 4,096",
        )?;
        within(
            (1..=10_000).contains(&self.max_waiting),
            "orchestrator.max_waiting",
            size(self.max_waiting),
            "1 to 10,000",
        )?;
        within(
            (1..=20).contains(&self.shared_turn_messages),
            "orchestrator.shared_turn_messages",
            size(self.shared_turn_messages),
            "1 to 20, or one answer cannot link to all that it answers",
        )?;
        within(
            self.context_messages <= 200,
            "orchestrator.context_messages",
            u64::from(self.context_messages),
            "200 at most",
        )?;
        within(
            (12_000..=2_000_000).contains(&self.context_tokens),
            "orchestrator.context_tokens",
            self.context_tokens,
            "12,000 (prompt and tools take most of that) to 2,000,000",
        )?;
        within(
            (16..=64_000).contains(&self.max_output_tokens),
            "orchestrator.max_output_tokens",
            u64::from(self.max_output_tokens),
            "16 to 64,000",
        )?;
        within(
            (1..=100).contains(&self.max_steps),
            "orchestrator.max_steps",
            u64::from(self.max_steps),
            "1 to 100",
        )?;
        within(
            self.max_tool_calls <= 500,
            "orchestrator.max_tool_calls",
            u64::from(self.max_tool_calls),
            "500 at most",
        )?;
        within(
            self.thread_tokens >= self.context_tokens,
            "orchestrator.thread_tokens",
            self.thread_tokens,
            "at least `orchestrator.context_tokens`, or no thread has a second turn",
        )?;
        within(
            (1..=100).contains(&self.max_attempts),
            "orchestrator.max_attempts",
            u64::from(self.max_attempts),
            "1 to 100",
        )?;
        within(
            (1..=1_000).contains(&self.ingest_batch),
            "orchestrator.ingest_batch",
            size(self.ingest_batch),
            "1 to 1,000",
        )?;
        within(
            self.ingest_waiting >= self.ingest_batch,
            "orchestrator.ingest_waiting",
            size(self.ingest_waiting),
            "at least `orchestrator.ingest_batch`",
        )?;
        within(
            self.read_back_messages <= 10_000,
            "orchestrator.read_back_messages",
            size(self.read_back_messages),
            "10,000 at most, they are a request for each hundred",
        )?;
        within(
            self.read_back_direct_channels <= 10_000,
            "orchestrator.read_back_direct_channels",
            size(self.read_back_direct_channels),
            "10,000 at most, they are a request each",
        )?;
        within(
            (1..=64).contains(&self.read_back_channels),
            "orchestrator.read_back_channels",
            size(self.read_back_channels),
            "1 to 64",
        )
    }

    fn validate_waits(&self) -> Result<(), InvalidSetting> {
        check(
            self.ingestion_wait <= Duration::from_millis(250),
            "orchestrator.ingestion_wait",
            self.ingestion_wait,
            "250 ms at most: the store waits no longer",
        )?;
        check(
            self.context_window >= Duration::from_secs(1),
            "orchestrator.context_window",
            self.context_window,
            "at least 1 s",
        )?;
        check(
            self.summary_rest <= Duration::from_hours(24),
            "orchestrator.summary_rest",
            self.summary_rest,
            "24 h at most",
        )?;
        check(
            self.read_back_wait <= Duration::from_mins(10),
            "orchestrator.read_back_wait",
            self.read_back_wait,
            "10 min at most: nobody is answered in the channel meanwhile",
        )?;
        let bound = Duration::from_millis(10)..=Duration::from_mins(1);
        check(
            bound.contains(&self.growing_every),
            "orchestrator.growing_every",
            self.growing_every,
            "10 ms to 1 min; Discord takes about one change in a second",
        )?;
        for (key, value) in [
            ("orchestrator.thread_time", self.thread_time),
            ("orchestrator.store_timeout", self.store_timeout),
            ("orchestrator.lookup_timeout", self.lookup_timeout),
            ("orchestrator.tool_timeout", self.tool_timeout),
            ("orchestrator.model_timeout", self.model_timeout),
            ("orchestrator.history_timeout", self.history_timeout),
            ("orchestrator.patience", self.patience),
        ] {
            let bound = Duration::from_millis(10)..=Duration::from_hours(1);
            check(bound.contains(&value), key, value, "10 ms to 1 h")?;
        }
        check(
            self.attempt_pause <= Duration::from_mins(1),
            "orchestrator.attempt_pause",
            self.attempt_pause,
            "1 min at most: the channel waits meanwhile",
        )
    }
}

#[cfg(test)]
mod tests {
    use ery_community_config::{InstallationBudget, Layered, Snapshot};

    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        Settings::default().validate().unwrap();
    }

    #[test]
    fn the_settings_are_what_a_communitys_config_is_laid_upon() {
        let settings = Settings { max_steps: 3, engage: Engage::Listen, ..Settings::default() };
        let snapshot = Snapshot::new(settings.config_base(), Document::new(), Layered::new());
        let config = &snapshot.effective(0, 0).config;
        assert_eq!((config.limits.steps, config.gate.engage), (3, Engage::Listen));
        assert_eq!(config.context.window.0, settings.context_window);
        assert!(!config.context.summaries);
        let on = Settings { summaries: Some(true), ..Settings::default() };
        let on = Snapshot::new(on.config_base(), Document::new(), Layered::new());
        assert!(on.effective(0, 0).config.context.summaries);
        let defaults = Settings::default().config_base();
        let config = Snapshot::new(defaults, Document::new(), Layered::new()).effective(0, 0);
        assert_eq!(config.config, ery_community_config::Config::default());
    }

    #[test]
    fn a_bad_value_is_named_with_its_bound() {
        let settings = Settings { task_threads: 0, ..Settings::default() };
        let error = settings.validate().unwrap_err();
        assert_eq!(error.key, "orchestrator.task_threads");
        assert_eq!(error.value, "0");

        let settings = Settings { ingestion_wait: Duration::from_secs(1), ..Settings::default() };
        assert_eq!(settings.validate().unwrap_err().key, "orchestrator.ingestion_wait");

        let settings = Settings { names: vec!["two words".to_owned()], ..Settings::default() };
        assert_eq!(settings.validate().unwrap_err().key, "orchestrator.names");
    }

    #[test]
    fn budgets_are_amounts_or_unlimited_and_lie_below_the_config() {
        let settings: Settings = serde_json::from_str(
            r#"{"budgets": {"member": {"day_usd": "unlimited", "day_tokens": 5000},
                "server": {"day_usd": 2.5, "month_usd": 20}}}"#,
        )
        .unwrap();
        settings.validate().unwrap();
        let snapshot = Snapshot::new(settings.config_base(), Document::new(), Layered::new());
        let budgets = snapshot.effective(0, 0).config.budgets.clone();
        assert_eq!(budgets.member.day_usd, Some(Usd::MOST));
        assert_eq!(budgets.member.day_tokens, Some(5_000));
        assert_eq!(budgets.server.day_usd, Some(Usd { micros: 2_500_000 }));
        assert_eq!(budgets.installation, InstallationBudget::default());
        for wrong in [r#""much""#, "-1", "1000001"] {
            let text = format!(r#"{{"budgets": {{"member": {{"day_usd": {wrong}}}}}}}"#);
            let refused = serde_json::from_str::<Settings>(&text).unwrap_err().to_string();
            assert!(refused.contains("unlimited"), "{refused}");
        }
        let refresh = Settings { budget_refresh: Duration::ZERO, ..Settings::default() };
        assert_eq!(refresh.validate().unwrap_err().key, "orchestrator.budget_refresh");
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let refused = serde_json::from_str::<Settings>(r#"{"task_thread": 1}"#).unwrap_err();
        assert!(refused.to_string().contains("task_thread"), "{refused}");
    }

    #[test]
    fn durations_are_written_as_people_write_them() {
        let settings: Settings =
            serde_json::from_str(r#"{"thread_time": "90s", "engage": "every_message"}"#).unwrap();
        assert_eq!(settings.thread_time, Duration::from_secs(90));
        assert_eq!(settings.engage, Engage::EveryMessage);
    }
}
