use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use twilight_model::id::{Id, marker::GuildMarker};
use url::Url;

use ery_community_config::{Base, Document, ToolRule, ToolRules};
use ery_settings::{InvalidSetting, check};

/// The table `[tool_service]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long Discord may take for one answer; after that the outcome is unknown.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// For how long after its opening an execution may write a request to Discord. A new holder
    /// waits this long, and `request_timeout`, before it finds out what the former one did.
    #[serde(with = "humantime_serde")]
    pub send_by: Duration,
    /// How long a call is asked for again where Discord gives no usable answer to what it takes to
    /// judge it; then it fails, and says so.
    #[serde(with = "humantime_serde")]
    pub lookup_patience: Duration,
    /// How long a request may wait for room in Discord's rate limits; then it fails, and says so.
    #[serde(with = "humantime_serde")]
    pub queue_deadline: Duration,
    /// How often a request is repeated after a 5xx or a lost connection, where that is harmless.
    pub retries: u32,
    /// The wait before the first repeat; it doubles each time, with jitter.
    #[serde(with = "humantime_serde")]
    pub backoff: Duration,
    /// The longest wait between repeats.
    #[serde(with = "humantime_serde")]
    pub max_backoff: Duration,
    /// After how many failures in a row Discord is spared.
    pub breaker_failures: u32,
    /// For how long Discord is spared before one request tries again.
    #[serde(with = "humantime_serde")]
    pub breaker_open_for: Duration,
    /// For how long a 403 is believed, unless something changes in the guild.
    #[serde(with = "humantime_serde")]
    pub denial_ttl: Duration,
    /// Requests a second of all replicas together; Discord's limit is 50. 0: no pacing of ours.
    pub requests_per_second: u32,
    /// Requests a second of this replica while the shared budget cannot be reached.
    pub fallback_requests_per_second: u32,
    /// From how many invalid requests in ten minutes on we slow down; Discord bans at 10,000.
    pub invalid_requests_slow: u64,
    /// From how many invalid requests in ten minutes on nothing but sends goes out.
    pub invalid_requests_stop: u64,
    /// How many calls may be under way at once; more are told to try later.
    pub calls: usize,
    /// How many guilds are kept in memory; the least used one goes first.
    pub guilds: usize,
    /// How many members of each guild are kept in memory; the least used ones go first.
    pub members_per_guild: usize,
    /// How long the store may take for one answer.
    #[serde(with = "humantime_serde")]
    pub store_timeout: Duration,
    /// How long a model's arguments may be; Discord's own bounds are far below.
    pub max_arguments_bytes: usize,
    /// How long a result for the model may be; older messages are cut first, and that is said.
    pub max_result_bytes: usize,
    /// How long an act that was proposed waits for somebody who approves it.
    #[serde(with = "humantime_serde")]
    pub approval_time: Duration,
    /// For how long after an MCP client was told what others wrote its acts that matter wait for a
    /// click: a model that read them may do what they say.
    #[serde(with = "humantime_serde")]
    pub mcp_told_for: Duration,
    /// Tools that are switched off everywhere.
    pub disabled_tools: Vec<String>,
    /// What holds for a tool everywhere: `off`, `ask` (it waits for a click) or `allow`.
    pub policy: ToolRules,
    /// What holds for a tool in a guild, by the guild's id; stands before `policy`, but for `off`.
    pub guild_policy: BTreeMap<Id<GuildMarker>, ToolRules>,
    /// Decides and writes down what matters, and does none of it.
    pub dry_run: bool,
    /// Hosts whose links may carry a query, be masked and be shown with a preview.
    pub link_hosts: Vec<String>,
    /// Texts that must never be said: canaries.
    pub never_said: Vec<String>,
    /// The page to which invites lead, their code behind it. Left out, it is `https://discord.gg` where
    /// `discord.api_url` is Discord's own; of another server, whose page nobody told, only the code is said.
    pub invite_url: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(10),
            send_by: Duration::from_secs(10),
            lookup_patience: Duration::from_mins(2),
            queue_deadline: Duration::from_secs(8),
            retries: 4,
            backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(2),
            breaker_failures: 20,
            breaker_open_for: Duration::from_secs(5),
            denial_ttl: Duration::from_mins(5),
            requests_per_second: 45,
            fallback_requests_per_second: 15,
            invalid_requests_slow: 2_000,
            invalid_requests_stop: 5_000,
            calls: 5_000,
            guilds: 2_000,
            members_per_guild: 1_000,
            store_timeout: Duration::from_secs(5),
            max_arguments_bytes: 32 * 1024,
            max_result_bytes: 64 * 1024,
            approval_time: Duration::from_hours(24),
            mcp_told_for: Duration::from_hours(14 * 24),
            disabled_tools: Vec::new(),
            policy: ToolRules::new(),
            guild_policy: BTreeMap::new(),
            dry_run: false,
            link_hosts: [
                "discord.com",
                "discord.gg",
                "discordapp.com",
                "github.com",
                "wikipedia.org",
                "youtube.com",
                "youtu.be",
            ]
            .map(str::to_owned)
            .to_vec(),
            never_said: Vec::new(),
            invite_url: None,
        }
    }
}

impl Settings {
    /// The keys that [`Self::config_base`] is made of: they may change while the process runs.
    pub const LIVE: &[&str] = &["policy", "guild_policy", "disabled_tools", "dry_run"];

    /// Returns what these settings say of what a community can set, too: it lies below all layers.
    pub fn config_base(&self) -> Base {
        let rule = |(tool, rule): (&String, &ToolRule)| {
            let word = serde_json::to_value(rule).unwrap_or_default();
            (format!("tools.policy.{tool}"), word)
        };
        let is_off = |tool: &String| {
            self.disabled_tools.contains(tool) || self.policy.get(tool) == Some(&ToolRule::Off)
        };
        let mut everywhere: Document = self.policy.iter().map(rule).collect();
        everywhere.extend(self.disabled_tools.iter().map(|tool| rule((tool, &ToolRule::Off))));
        everywhere.insert("tools.dry_run".to_owned(), self.dry_run.into());
        let homes = self.guild_policy.iter().map(|(guild, rules)| {
            // What is off everywhere stays off.
            let own = rules.iter().filter(|(tool, _)| !is_off(tool));
            (guild.get(), own.map(rule).collect())
        });
        Base { everywhere, homes: homes.collect() }
    }

    /// Checks the bounds.
    ///
    /// # Errors
    ///
    /// Names the key, the value and the bound.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let second = Duration::from_secs(1);
        let is_timeout = |time: Duration| (second / 10..=second * 60).contains(&time);
        let timeout = "between 100ms and 60s";
        check(
            (second..=second * 60 * 60 * 24 * 14).contains(&self.approval_time),
            "tool_service.approval_time",
            self.approval_time,
            "between 1s and 14 days",
        )?;
        check(
            self.mcp_told_for <= second * 60 * 60 * 24 * 14,
            "tool_service.mcp_told_for",
            self.mcp_told_for,
            "at most 14 days",
        )?;
        check(
            is_timeout(self.request_timeout),
            "tool_service.request_timeout",
            self.request_timeout,
            timeout,
        )?;
        check(is_timeout(self.send_by), "tool_service.send_by", self.send_by, timeout)?;
        check(
            is_timeout(self.store_timeout),
            "tool_service.store_timeout",
            self.store_timeout,
            timeout,
        )?;
        check(
            self.queue_deadline <= self.send_by && !self.queue_deadline.is_zero(),
            "tool_service.queue_deadline",
            self.queue_deadline,
            "above zero, and no longer than `tool_service.send_by`: later it may not be sent",
        )?;
        check(self.retries <= 10, "tool_service.retries", self.retries, "at most 10")?;
        check(
            !self.backoff.is_zero() && self.backoff <= self.max_backoff,
            "tool_service.backoff",
            self.backoff,
            "above zero, and no longer than `tool_service.max_backoff`",
        )?;
        check(
            self.max_backoff <= second * 30,
            "tool_service.max_backoff",
            self.max_backoff,
            "at most 30s",
        )?;
        check(
            self.breaker_failures > 0,
            "tool_service.breaker_failures",
            self.breaker_failures,
            "at least 1",
        )?;
        check(
            is_timeout(self.breaker_open_for),
            "tool_service.breaker_open_for",
            self.breaker_open_for,
            timeout,
        )?;
        check(
            (second..=second * 3_600).contains(&self.denial_ttl),
            "tool_service.denial_ttl",
            self.denial_ttl,
            "between 1s and 1h",
        )?;
        check(
            self.fallback_requests_per_second > 0,
            "tool_service.fallback_requests_per_second",
            self.fallback_requests_per_second,
            "at least 1",
        )?;
        check(
            self.invalid_requests_slow <= self.invalid_requests_stop
                && self.invalid_requests_stop < 10_000,
            "tool_service.invalid_requests_stop",
            self.invalid_requests_stop,
            "at least `tool_service.invalid_requests_slow`, and below 10000: there Discord bans \
             the address",
        )?;
        check(self.calls > 0, "tool_service.calls", self.calls, "at least 1")?;
        check(self.guilds > 0, "tool_service.guilds", self.guilds, "at least 1")?;
        check(
            self.members_per_guild >= 100,
            "tool_service.members_per_guild",
            self.members_per_guild,
            "at least 100: those whom one call is about must have room",
        )?;
        check(
            (1_024..=1 << 20).contains(&self.max_arguments_bytes),
            "tool_service.max_arguments_bytes",
            self.max_arguments_bytes,
            "between 1024 and 1048576",
        )?;
        check(
            (4_096..=1 << 20).contains(&self.max_result_bytes),
            "tool_service.max_result_bytes",
            self.max_result_bytes,
            "between 4096 and 1048576",
        )?;
        self.validate_invites()
    }

    fn validate_invites(&self) -> Result<(), InvalidSetting> {
        let is_page = |page: &String| {
            Url::parse(page).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.query().is_none()
                    && url.fragment().is_none()
            })
        };
        check(
            self.invite_url.as_ref().is_none_or(is_page),
            "tool_service.invite_url",
            self.invite_url.as_deref().unwrap_or_default(),
            "an address with http:// or https://, without query and fragment",
        )?;
        self.validate_policy()
    }

    fn validate_policy(&self) -> Result<(), InvalidSetting> {
        let unknown = self.disabled_tools.iter().find(|tool| !crate::tools::is_name(tool));
        check(
            unknown.is_none(),
            "tool_service.disabled_tools",
            &self.disabled_tools,
            "a list of names of tools",
        )?;
        let named = self.policy.keys().chain(self.guild_policy.values().flat_map(ToolRules::keys));
        let unknown: Vec<_> = named.filter(|tool| !crate::tools::is_name(tool)).collect();
        check(
            unknown.is_empty(),
            "tool_service.policy",
            &unknown,
            "names of tools, each with off, ask or allow",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_for_tools_that_there_are() {
        let rules = |tool: &str| [(tool.to_owned(), ToolRule::Ask)].into();
        let settings = Settings { policy: rules("ban_member"), ..Settings::default() };
        settings.validate().unwrap();
        let settings =
            Settings { guild_policy: [(Id::new(7), rules("nuke"))].into(), ..Settings::default() };
        assert_eq!(settings.validate().unwrap_err().key, "tool_service.policy");
    }

    #[test]
    fn the_defaults_are_within_the_bounds() {
        Settings::default().validate().unwrap();
    }

    #[test]
    fn a_setting_outside_its_bound_is_named() {
        let settings = Settings { invalid_requests_stop: 10_000, ..Settings::default() };
        let error = settings.validate().unwrap_err().to_string();
        assert!(error.contains("tool_service.invalid_requests_stop"), "{error}");
        let settings = Settings { disabled_tools: vec!["nuke".into()], ..Settings::default() };
        let error = settings.validate().unwrap_err().to_string();
        assert!(error.contains("nuke"), "{error}");
        for page in ["chat.example/invite", "ftp://chat.example", "https://chat.example/?code="] {
            let settings = Settings { invite_url: Some(page.into()), ..Settings::default() };
            let error = settings.validate().unwrap_err();
            assert_eq!(error.key, "tool_service.invite_url", "{page}");
        }
    }
}
