//! The tools, one file each, and what all of them go through.

mod add_reaction;
mod answer;
mod arguments;
mod audit;
mod ban_member;
mod fetch_messages;
mod get_member_info;
mod kick_member;
mod listing;
mod manage_permissions;
mod manage_roles;
mod permission_list;
mod reason;
mod schedule_action;
mod search_messages;
mod send_message;
mod timeout_member;
mod warn_member;

use std::{collections::HashMap, sync::LazyLock, time::Duration};

use async_trait::async_trait;
use jsonschema::Validator;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, GuildMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_ids::Home;

use crate::{
    adapters::{discord::Discord, store::Executions},
    domain::{
        guild::{Guild, GuildState},
        tool::{Needs, RetryClass, Spec, Tier},
    },
    guilds::Guilds,
    resolve::{Problem, Scene},
};

pub(crate) use answer::{Authority, Done, Later, Settled, failure};

/// The tool by which a thread answers.
pub(crate) const ANSWER_TOOL: &str = "send_message";

/// One tool, typed.
#[async_trait]
pub(crate) trait Tool: Send + Sync + 'static {
    /// What the model writes; ids are strings, unknown fields are refused.
    type Parameters: DeserializeOwned + JsonSchema + Send;
    /// The one exact form: ids instead of names, every default written out.
    type Act: Serialize + DeserializeOwned + Send + Sync;

    fn spec(&self) -> &'static Spec;

    /// Puts parameters into their exact form.
    async fn resolve(
        &self,
        parameters: Self::Parameters,
        scene: &Scene<'_>,
    ) -> Result<Self::Act, Problem>;

    /// Tells what a call needs; `guild` is none in a direct message.
    fn needs(&self, act: &Self::Act, guild: Option<&Guild>, here: Id<ChannelMarker>) -> Needs;

    /// Tells how much an act can do; never more than its tool.
    fn tier(&self, _act: &Self::Act) -> Tier {
        self.spec().tier
    }

    /// Tells what may be done about an act whose outcome is not known.
    fn retry(&self, _act: &Self::Act) -> RetryClass {
        self.spec().retry
    }

    /// Fixes what depends on the moment, so that a repeat does exactly the same; `state` is what
    /// the decision was made on.
    fn fix(&self, act: Self::Act, _now: UnixMillis, _state: Option<&GuildState>) -> Self::Act {
        act
    }

    /// Does it.
    async fn perform(&self, act: &Self::Act, run: &Run<'_>) -> Done;

    /// Finds out whether it was done, where it must not be repeated.
    async fn look_up(&self, _act: &Self::Act, _run: &Run<'_>) -> Done {
        Done::in_doubt(0)
    }
}

/// What a tool has while it acts.
pub(crate) struct Run<'a> {
    /// The execution's key, which Discord's audit log names.
    pub(crate) key: &'a str,
    pub(crate) discord: &'a Discord,
    pub(crate) guilds: &'a Guilds,
    pub(crate) executions: &'a Executions,
    pub(crate) home: Home,
    /// None in a direct message.
    pub(crate) state: Option<&'a GuildState>,
    /// Everybody on whose rights the call stands.
    pub(crate) people: &'a [Id<UserMarker>],
    /// The channels that may be read.
    pub(crate) reads: &'a [Id<ChannelMarker>],
    pub(crate) nonce: &'a str,
    /// For Discord's audit log: who asked, why, and under which key.
    pub(crate) audit_reason: &'a str,
    pub(crate) opened_at: UnixMillis,
    /// No request may be written after this moment.
    pub(crate) send_by: UnixMillis,
    pub(crate) now: UnixMillis,
    /// How long Discord may take for one answer.
    pub(crate) request_timeout: Duration,
    pub(crate) bot: Id<UserMarker>,
    pub(crate) max_result_bytes: usize,
}

impl Run<'_> {
    pub(crate) fn guild(&self) -> Option<Id<GuildMarker>> {
        self.home.guild()
    }
}

/// A tool whose types are behind JSON.
#[async_trait]
pub(crate) trait AnyTool: Send + Sync {
    async fn resolve_json(&self, parameters: Value, scene: &Scene<'_>) -> Result<Value, Problem>;
    /// None if `act` is not this tool's.
    fn needs_of(
        &self,
        act: &Value,
        guild: Option<&Guild>,
        here: Id<ChannelMarker>,
    ) -> Option<Needs>;
    /// None if `act` is not this tool's.
    fn tier_of(&self, act: &Value) -> Option<Tier>;
    /// None if `act` is not this tool's.
    fn retry_of(&self, act: &Value) -> Option<RetryClass>;
    fn fixed(&self, act: Value, now: UnixMillis, state: Option<&GuildState>) -> Option<Value>;
    async fn perform_json(&self, act: &Value, run: &Run<'_>) -> Done;
    async fn look_up_json(&self, act: &Value, run: &Run<'_>) -> Done;
}

#[async_trait]
impl<T: Tool> AnyTool for T {
    async fn resolve_json(&self, parameters: Value, scene: &Scene<'_>) -> Result<Value, Problem> {
        let parameters = serde_json::from_value(parameters)
            .map_err(|error| Problem::unclear(format!("The arguments do not fit: {error}.")))?;
        let act = self.resolve(parameters, scene).await?;
        serde_json::to_value(act)
            .map_err(|error| Problem::unclear(format!("The arguments do not fit: {error}.")))
    }

    fn needs_of(
        &self,
        act: &Value,
        guild: Option<&Guild>,
        here: Id<ChannelMarker>,
    ) -> Option<Needs> {
        let act = T::Act::deserialize(act).ok()?;
        Some(self.needs(&act, guild, here))
    }

    fn tier_of(&self, act: &Value) -> Option<Tier> {
        Some(self.tier(&T::Act::deserialize(act).ok()?))
    }

    fn retry_of(&self, act: &Value) -> Option<RetryClass> {
        Some(self.retry(&T::Act::deserialize(act).ok()?))
    }

    fn fixed(&self, act: Value, now: UnixMillis, state: Option<&GuildState>) -> Option<Value> {
        serde_json::to_value(self.fix(serde_json::from_value(act).ok()?, now, state)).ok()
    }

    async fn perform_json(&self, act: &Value, run: &Run<'_>) -> Done {
        match T::Act::deserialize(act) {
            Ok(act) => self.perform(&act, run).await,
            Err(error) => unreadable(&error),
        }
    }

    async fn look_up_json(&self, act: &Value, run: &Run<'_>) -> Done {
        match T::Act::deserialize(act) {
            Ok(act) => self.look_up(&act, run).await,
            Err(error) => unreadable(&error),
        }
    }
}

/// Stored by another version of ours, or damaged: what it meant is not known any more.
fn unreadable(error: &serde_json::Error) -> Done {
    tracing::error!(line = error.line(), "stored arguments cannot be read");
    Done::in_doubt(0)
}

/// A tool with its schema.
pub(crate) struct Entry {
    pub(crate) tool: Box<dyn AnyTool>,
    pub(crate) spec: &'static Spec,
    /// JSON Schema, draft 2020-12, of the parameters.
    pub(crate) schema: String,
    validator: Validator,
}

impl Entry {
    fn new<T: Tool>(tool: T) -> Self {
        let schema = arguments::schema::<T::Parameters>();
        let validator =
            jsonschema::validator_for(&schema).expect("a schema made from a type is valid");
        Self { spec: tool.spec(), tool: Box::new(tool), schema: schema.to_string(), validator }
    }

    /// Reads a model's arguments, or says what is wrong with them.
    pub(crate) fn parse(&self, arguments: &str, max_bytes: usize) -> Result<Value, String> {
        arguments::parse(&self.validator, arguments, max_bytes)
    }
}

static TOOLS: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    vec![
        Entry::new(send_message::SendMessage),
        Entry::new(fetch_messages::FetchMessages),
        Entry::new(add_reaction::AddReaction),
        Entry::new(ban_member::BanMember),
        Entry::new(kick_member::KickMember),
        Entry::new(timeout_member::TimeoutMember),
        Entry::new(warn_member::WarnMember),
        Entry::new(manage_roles::ManageRoles),
        Entry::new(manage_permissions::ManagePermissions),
        Entry::new(get_member_info::GetMemberInfo),
        Entry::new(search_messages::SearchMessages),
        Entry::new(schedule_action::ScheduleAction),
    ]
});

static BY_NAME: LazyLock<HashMap<&'static str, &'static Entry>> =
    LazyLock::new(|| TOOLS.iter().map(|entry| (entry.spec.name, entry)).collect());

/// Returns every tool.
pub(crate) fn all() -> impl Iterator<Item = &'static Entry> {
    TOOLS.iter()
}

/// Returns the tool of that name.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    BY_NAME.get(name).copied()
}

/// Returns whether there is a tool of that name.
pub(crate) fn is_name(name: &str) -> bool {
    BY_NAME.contains_key(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_is_closed_and_names_ids_as_strings() {
        for entry in all() {
            let schema: Value = serde_json::from_str(&entry.schema).unwrap();
            let name = entry.spec.name;
            assert_eq!(schema["additionalProperties"], Value::Bool(false), "{name}");
            assert_eq!(schema["type"], "object", "{name}");
            for (field, of) in schema["properties"].as_object().unwrap() {
                assert!(of["description"].is_string(), "{name}.{field} is not described");
                let is_id = ["member", "author", "channel", "message", "reply_to", "before"]
                    .contains(&field.as_str());
                assert!(!is_id || of["type"] == "string", "{name}.{field}: {of}");
            }
            assert!(!entry.spec.description.is_empty());
        }
    }

    #[test]
    fn every_tool_has_the_tier_that_the_safety_rules_give_it() {
        let tiers: Vec<_> = all().map(|entry| (entry.spec.name, entry.spec.tier)).collect();
        assert_eq!(
            tiers,
            [
                ("send_message", Tier::Harmless),
                ("fetch_messages", Tier::Read),
                ("add_reaction", Tier::Harmless),
                ("ban_member", Tier::Destructive),
                ("kick_member", Tier::Destructive),
                ("timeout_member", Tier::Reversible),
                ("warn_member", Tier::Reversible),
                ("manage_roles", Tier::Destructive),
                ("manage_permissions", Tier::Destructive),
                ("get_member_info", Tier::Read),
                ("search_messages", Tier::Read),
                ("schedule_action", Tier::Destructive),
            ]
        );
    }
}
