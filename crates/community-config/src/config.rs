//! The types. Each field says who may set it (`x-layers`), how layers meet where they do not simply
//! replace one another (`x-combine`), and its bounds.

mod budgets;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, RoleMarker},
};

pub use budgets::{
    Budget, Budgets, ChannelBudget, InstallationBudget, MemberBudget, ServerBudget, Usd,
};

/// Everything that a community can set, as it holds in one place for one person.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// Ery answers nothing and does nothing of her own accord; commands still work. Where it is
    /// switched on for the installation or the server, no channel switches it off.
    #[schemars(extend("x-layers" = ["global", "server", "channel"], "x-combine" = "strictest"))]
    pub paused: bool,
    pub gate: Gate,
    pub context: Context,
    pub answers: Answers,
    pub limits: Limits,
    pub budgets: Budgets,
    pub tools: Tools,
    pub moderation: Moderation,
    pub access: Access,
}

/// Which messages get an answer.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Gate {
    /// Which messages get an answer.
    #[schemars(extend("x-layers" = ["global", "server", "channel"]))]
    pub engage: Engage,
    /// Which messages of members with a role get an answer, by the role's id: stands before `engage`.
    /// Of several roles, the one that lets the least through counts.
    #[schemars(with = "BTreeMap<String, Engage>",
        extend("x-layers" = ["server", "channel"], "x-entries" = "role"))]
    pub roles: BTreeMap<Id<RoleMarker>, Engage>,
    /// The names that address Ery at the start of a message, in any case.
    #[schemars(with = "Vec<Name>", length(max = 16), extend("x-layers" = ["global", "server"]))]
    pub names: Vec<String>,
    /// Whether bots and webhooks are answered like people. After ten answers to bots in a row Ery
    /// waits until a person speaks to her, or for ten minutes.
    #[schemars(extend("x-layers" = ["global", "server", "channel"]))]
    pub answer_bots: bool,
    /// How long a member whom Ery answered need not address her again in that channel.
    #[schemars(extend("x-layers" = ["global", "server", "channel"], "x-most" = "1h"))]
    pub exchange_window: Span,
    /// How long after an answer the same member gets no other one in that channel.
    #[schemars(extend("x-layers" = ["global", "server", "channel"], "x-most" = "1h"))]
    pub member_cooldown: Span,
    /// How long after an answer nobody gets another one in that channel, unless they address Ery.
    #[schemars(extend("x-layers" = ["global", "server", "channel"], "x-most" = "1h"))]
    pub channel_cooldown: Span,
    /// Ery leaves what this member writes unanswered, whatever it is.
    #[schemars(extend("x-layers" = ["user"]))]
    pub ignore_me: bool,
}

/// Which messages get an answer; the earlier lets less through.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Engage {
    /// None.
    Off,
    /// None: messages are kept for context and judged by rules only.
    Listen,
    /// Those addressed to Ery: a mention, a reply to her, a direct message, her name at the start,
    /// or the next message of a member whom she just answered.
    #[default]
    Addressed,
    /// Every message; the model may choose silence.
    EveryMessage,
}

/// What a task thread reads before it thinks.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Context {
    /// How many of a channel's last messages are read.
    #[schemars(range(max = 200), extend("x-layers" = ["global", "server", "channel"]))]
    pub messages: u32,
    /// How old those messages may be.
    #[schemars(extend("x-layers" = ["global", "server", "channel"], "x-least" = "1s", "x-most" = "30days"))]
    pub window: Span,
    /// Whether what was said before those messages is summed up by the model, off the way of answers,
    /// and the summary read with them. It costs tokens, within the budgets. What is off for the
    /// installation stays off.
    #[schemars(extend("x-layers" = ["global", "server", "channel"], "x-combine" = "off_stays"))]
    pub summaries: bool,
}

/// How Ery answers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Answers {
    /// What the model is told of this community: its culture, its tone, what it is about. It gives
    /// nobody a right. What is set for the server and for the channel is told both.
    #[schemars(length(max = 2_000),
        extend("x-layers" = ["global", "server", "channel"], "x-combine" = "joined"))]
    pub instructions: String,
    /// The language of answers, such as `de` or `pt-BR`; empty for the language of whoever asks. Where
    /// Ery has texts in it (English, German), what she says in channels without a model is in it, too;
    /// else it is English.
    #[schemars(with = "LanguageTag",
        extend("x-layers" = ["global", "server", "channel", "user"]))]
    pub language: String,
}

/// What one task thread may use. Layers only ever narrow it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Limits {
    /// How many model turns it may take.
    #[schemars(range(min = 1, max = 100),
        extend("x-layers" = ["global", "server", "channel"], "x-combine" = "strictest"))]
    pub steps: u32,
    /// How many tool calls it may make.
    #[schemars(range(max = 500),
        extend("x-layers" = ["global", "server", "channel"], "x-combine" = "strictest"))]
    pub tool_calls: u32,
    /// How many tokens, read and written, it may cost.
    #[schemars(range(min = 2_000, max = 100_000_000),
        extend("x-layers" = ["global", "server", "channel"], "x-combine" = "strictest"))]
    pub tokens: u64,
    /// How long one holder may work on it.
    #[schemars(extend("x-layers" = ["global", "server", "channel"], "x-combine" = "strictest",
        "x-least" = "1s", "x-most" = "1h"))]
    pub time: Span,
}

/// What the tools may do.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Tools {
    /// What holds for a tool, by its name. What is off for the installation stays off.
    #[schemars(with = "BTreeMap<String, ToolRule>",
        extend("x-layers" = ["global", "server"], "x-combine" = "off_stays", "x-entries" = "tool"))]
    pub policy: ToolRules,
    /// What matters is decided and written down, and none of it is done.
    #[schemars(extend("x-layers" = ["global", "server"], "x-combine" = "strictest"))]
    pub dry_run: bool,
    /// How many destructive acts Ery does on the server in an hour, for all together: an act on
    /// several people counts for each. What is past it is refused. Commands and the ends of
    /// sanctions are not held up.
    #[schemars(range(max = 10_000), extend("x-layers" = ["global", "server"], "x-combine" = "strictest"))]
    pub destructive_per_hour: u32,
    /// How many acts of moderation, reversible ones too, Ery does for one person in an hour.
    #[schemars(range(max = 10_000), extend("x-layers" = ["global", "server"], "x-combine" = "strictest"))]
    pub acts_per_person_per_hour: u32,
}

/// What holds for a tool; the strictest is the least.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ToolRule {
    /// It is not offered, and refused.
    Off,
    /// Whatever it changes waits for a click, even if it was ordered.
    Ask,
    /// It is done for whoever may do it; what matters only if they ordered it, or after a click.
    #[default]
    Allow,
}

/// The rules of tools, by name.
pub type ToolRules = BTreeMap<String, ToolRule>;

/// Moderation.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Moderation {
    /// Where reports by members go; without it, to the channel that Discord itself writes to for
    /// the server's staff.
    #[schemars(with = "ChannelId", extend("x-layers" = ["server"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reports_channel: Option<Id<ChannelMarker>>,
    /// Whether the model looks at what is reported, and says what it makes of it below the report: a
    /// view for moderators, by which nothing is done. The message and a few before it are sent to the
    /// model's provider for that, and it costs tokens, within the budgets. What is off for the
    /// installation stays off.
    #[schemars(extend("x-layers" = ["global", "server", "channel"], "x-combine" = "off_stays"))]
    pub verdicts_on_reports: bool,
}

/// Which roles may do what with Ery, beside those who may by Discord's own rights. It is never about
/// an act on Discord: those take the rights that Discord asks for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Access {
    /// Roles that may see cases and pause Ery, as those may who hold a right to moderate.
    #[schemars(with = "Vec<RoleId>", length(max = 50), extend("x-layers" = ["server"]))]
    pub moderator: BTreeSet<Id<RoleMarker>>,
    /// Roles that may see what others planned, and take it back, as those may who hold a right to
    /// moderate.
    #[schemars(with = "Vec<RoleId>", length(max = 50), extend("x-layers" = ["server"]))]
    pub event_manager: BTreeSet<Id<RoleMarker>>,
    /// Roles that may read and change this config, but for `access`, as those may who hold Manage
    /// server.
    #[schemars(with = "Vec<RoleId>", length(max = 50), extend("x-layers" = ["server"]))]
    pub config_admin: BTreeSet<Id<RoleMarker>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            engage: Engage::default(),
            roles: BTreeMap::new(),
            names: vec!["ery".to_owned()],
            answer_bots: false,
            exchange_window: Span(Duration::from_mins(1)),
            member_cooldown: Span(Duration::ZERO),
            channel_cooldown: Span(Duration::ZERO),
            ignore_me: false,
        }
    }
}

impl Default for Context {
    fn default() -> Self {
        Self {
            messages: 30,
            window: Span(Duration::from_hours(6)),
            // What costs, somebody switches on.
            summaries: false,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 8, tool_calls: 16, tokens: 200_000, time: Span(Duration::from_mins(2)) }
    }
}

impl Default for Tools {
    fn default() -> Self {
        Self {
            policy: ToolRules::new(),
            dry_run: false,
            // A whole raid at once, 200 people, and half as many acts beside it.
            destructive_per_hour: 300,
            acts_per_person_per_hour: 500,
        }
    }
}

/// A length of time, written as people write it: `90s`, `1h 30m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Span(#[serde(with = "humantime_serde")] pub Duration);

impl Span {
    /// Reads `90s` and the like.
    pub fn parse(text: &str) -> Option<Self> {
        humantime_serde::re::humantime::parse_duration(text).ok().map(Self)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime_serde::re::humantime::format_duration(self.0).fmt(f)
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "duration" })
    }
}

/// The id of a role.
struct RoleId;

/// The id of a channel.
struct ChannelId;

impl JsonSchema for RoleId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RoleId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        id_of("role")
    }
}

impl JsonSchema for ChannelId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ChannelId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        id_of("channel")
    }
}

fn id_of(named: &str) -> Schema {
    json_schema!({
        "type": "string", "format": "discord-id", "pattern": "^[1-9][0-9]{0,19}$", "x-names": named,
    })
}

/// A name by which Ery is called.
struct Name;

impl JsonSchema for Name {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "name", "pattern": r"^[\p{L}\p{M}\p{N}]{1,32}$" })
    }
}

/// A language, as BCP 47 names it, or none.
struct LanguageTag;

impl JsonSchema for LanguageTag {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LanguageTag".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "format": "language",
            "pattern": "^([a-z]{2,3}(-[A-Za-z0-9]{2,8})?)?$",
        })
    }
}
