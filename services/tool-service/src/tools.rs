//! The tools, one file each, and what all of them go through.

mod add_reaction;
mod answer;
mod arguments;
mod audit;
mod ban_member;
mod create_invite;
mod create_thread;
mod delete_message;
mod edit_message;
mod embeds;
mod fetch_messages;
mod files;
mod get_audit_logs;
mod get_channel_info;
mod get_member_info;
mod get_server_info;
mod kick_member;
mod listing;
mod manage_channels;
mod manage_permissions;
mod manage_roles;
mod permission_list;
mod pin_message;
mod polls;
mod reason;
mod remove_reaction;
pub(crate) mod schedule_action;
mod search_messages;
mod send_dm;
mod send_message;
mod sending;
mod server;
mod stickers;
mod threads;
mod timeout_member;
mod warn_member;

use std::{collections::HashMap, sync::LazyLock, time::Duration};

use async_trait::async_trait;
use jsonschema::Validator;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, GuildMarker, UserMarker},
    },
};

use ery_clock::UnixMillis;
use ery_ids::Home;
use ery_proto::ai::v1::ToolSpec;

use crate::{
    adapters::{discord::Discord, store::Executions},
    domain::{
        guild::{Channel, Guild, GuildState, Member},
        permissions,
        policy::Policy,
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

    /// Tells how little its least act can do: people who share a turn are offered what has
    /// something for them.
    fn least_tier(&self) -> Tier {
        self.spec().tier
    }

    /// Returns the other tool that an act has called, if it does.
    fn inner(&self, _act: &Self::Act) -> Option<&'static str> {
        None
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
    /// Where it was asked for, and where its outcome is told.
    pub(crate) here: Id<ChannelMarker>,
    /// None in a direct message.
    pub(crate) state: Option<&'a GuildState>,
    /// Everybody on whose rights the call stands.
    pub(crate) people: &'a [Id<UserMarker>],
    /// What the staff allow where it was asked for.
    pub(crate) policy: &'a Policy,
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
    /// Whether an earlier attempt may have got through.
    pub(crate) is_repeat: bool,
    /// Whether it is made again where Discord gives no clear answer.
    pub(crate) is_made_again: bool,
}

impl Run<'_> {
    pub(crate) fn guild(&self) -> Option<Id<GuildMarker>> {
        self.home.guild()
    }

    /// Returns whether everybody who asked has these permissions on the whole server.
    pub(crate) fn all_have(&self, wanted: Permissions) -> bool {
        let Some(state) = self.state else { return false };
        self.all_people(|person| permissions::in_guild(&state.guild, person, self.now), wanted)
    }

    /// Returns whether everybody who asked has one of these permissions in a channel.
    pub(crate) fn all_have_in(&self, channel: &Channel, one_of: &[Permissions]) -> bool {
        let Some(state) = self.state else { return false };
        let of = |person: &Member| permissions::in_channel(&state.guild, person, channel, self.now);
        one_of.iter().any(|wanted| self.all_people(of, *wanted))
    }

    /// Returns whom of these a message in a channel notifies. Into a closed thread a mention would let
    /// them in, which only those do who manage threads; those who are in it are notified.
    pub(crate) async fn notified_in(
        &self,
        channel: Id<ChannelMarker>,
        users: &[Id<UserMarker>],
    ) -> Vec<Id<UserMarker>> {
        let known = self.state.and_then(|state| state.channel(channel));
        let closed = known
            .filter(|it| it.is_closed() && !self.all_have_in(it, &[Permissions::MANAGE_THREADS]));
        let Some((thread, guild)) = closed.zip(self.guild()) else { return users.to_vec() };
        let mut inside = Vec::new();
        for user in users {
            match self.guilds.is_in_thread(guild, thread.id, *user).await {
                Ok(true) => inside.push(*user),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(error = %error, "who is in a thread cannot be read");
                }
            }
        }
        inside
    }

    /// Returns whether Ery has these permissions in a channel; what is not known here, Discord says.
    pub(crate) fn bot_may(&self, channel: Id<ChannelMarker>, wanted: Permissions) -> bool {
        let Some(state) = self.state else { return true };
        let (Some(bot), Some(channel)) = (state.member(self.bot), state.channel(channel)) else {
            return true;
        };
        permissions::in_channel(&state.guild, bot, channel, self.now).contains(wanted)
    }

    /// Returns whether Ery has these permissions on the whole server.
    pub(crate) fn bot_has(&self, wanted: Permissions) -> bool {
        let Some(state) = self.state else { return false };
        let bot = state.member(self.bot);
        bot.is_some_and(|bot| permissions::in_guild(&state.guild, bot, self.now).contains(wanted))
    }

    fn all_people(&self, has: impl Fn(&Member) -> Permissions, wanted: Permissions) -> bool {
        let Some(state) = self.state else { return false };
        !self.people.is_empty()
            && self.people.iter().all(|person| {
                state.member(*person).is_some_and(|person| has(person).contains(wanted))
            })
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
    fn least_tier(&self) -> Tier;
    /// The other tool that the act has called; none if there is none, or `act` is not this tool's.
    fn inner_of(&self, act: &Value) -> Option<&'static str>;
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

    fn least_tier(&self) -> Tier {
        T::least_tier(self)
    }

    fn inner_of(&self, act: &Value) -> Option<&'static str> {
        self.inner(&T::Act::deserialize(act).ok()?)
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

    /// Returns it as a model is offered it.
    pub(crate) fn offered(&self) -> ToolSpec {
        ToolSpec {
            name: self.spec.name.to_owned(),
            description: self.spec.description.to_owned(),
            parameters: self.schema.clone(),
            tier: self.spec.tier.as_str().to_owned(),
        }
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
        Entry::new(edit_message::EditMessage),
        Entry::new(delete_message::DeleteMessage),
        Entry::new(add_reaction::AddReaction),
        Entry::new(remove_reaction::RemoveReaction),
        Entry::new(ban_member::BanMember),
        Entry::new(kick_member::KickMember),
        Entry::new(timeout_member::TimeoutMember),
        Entry::new(warn_member::WarnMember),
        Entry::new(manage_roles::ManageRoles),
        Entry::new(manage_permissions::ManagePermissions),
        Entry::new(get_member_info::GetMemberInfo),
        Entry::new(get_server_info::GetServerInfo),
        Entry::new(get_channel_info::GetChannelInfo),
        Entry::new(search_messages::SearchMessages),
        Entry::new(get_audit_logs::GetAuditLogs),
        Entry::new(create_invite::CreateInvite),
        Entry::new(manage_channels::ManageChannels),
        Entry::new(send_dm::SendDm),
        Entry::new(create_thread::CreateThread),
        Entry::new(pin_message::PinMessage),
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

/// Whether a flag of an act need not be written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(it: &bool) -> bool {
    !it
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
            // Not every provider knows these.
            for unknown in ["\"null\"", "\"anyOf\"", "\"$ref\""] {
                assert!(!entry.schema.contains(unknown), "{name}: {unknown} in {}", entry.schema);
            }
            for (field, of) in schema["properties"].as_object().unwrap() {
                assert!(of["description"].is_string(), "{name}.{field} is not described");
                let is_id = ["member", "author", "channel", "message", "reply_to", "before"]
                    .contains(&field.as_str());
                assert!(!is_id || of["type"] == "string", "{name}.{field}: {of}");
            }
            assert!(!entry.spec.description.is_empty());
        }
    }

    /// The rows of the page of all tools, cell by cell.
    fn rows() -> Vec<Vec<&'static str>> {
        let page = include_str!("../../../docs/tools.md");
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
    }

    #[test]
    fn the_page_of_all_tools_says_what_they_say() {
        let told: Vec<[String; 4]> = rows()
            .iter()
            .map(|row| [0, 1, 2, 3].map(|cell| row[cell].trim_matches('`').to_owned()))
            .collect();
        let own: Vec<[String; 4]> = all()
            .map(|entry| {
                let spec = entry.spec;
                let works_in_dm = if spec.works_in_dm { "yes" } else { "no" };
                [spec.name, spec.tier.as_str(), works_in_dm, spec.retry.as_str()].map(str::to_owned)
            })
            .collect();
        assert_eq!(told, own, "docs/tools.md");
        for row in rows() {
            assert_eq!(row.len(), 7, "{}", row[0]);
            assert!(!row[4].is_empty() && !row[5].is_empty(), "{} needs no rights?", row[0]);
        }
    }

    #[test]
    fn every_tool_has_the_tier_that_the_safety_rules_give_it() {
        let tiers: Vec<_> = all()
            .map(|entry| (entry.spec.name, entry.tool.least_tier(), entry.spec.tier))
            .collect();
        let (read, harmless) = (Tier::Read, Tier::Harmless);
        let (reversible, destructive) = (Tier::Reversible, Tier::Destructive);
        assert_eq!(
            tiers,
            [
                ("send_message", harmless, reversible),
                ("fetch_messages", read, read),
                ("edit_message", reversible, reversible),
                ("delete_message", destructive, destructive),
                ("add_reaction", harmless, harmless),
                ("remove_reaction", harmless, destructive),
                ("ban_member", destructive, destructive),
                ("kick_member", destructive, destructive),
                ("timeout_member", reversible, reversible),
                ("warn_member", reversible, reversible),
                ("manage_roles", destructive, destructive),
                ("manage_permissions", destructive, destructive),
                ("get_member_info", read, read),
                ("get_server_info", read, read),
                ("get_channel_info", read, read),
                ("search_messages", read, read),
                ("get_audit_logs", read, read),
                ("create_invite", destructive, destructive),
                ("manage_channels", read, destructive),
                ("send_dm", harmless, destructive),
                ("create_thread", reversible, reversible),
                ("pin_message", read, reversible),
                ("schedule_action", read, destructive),
            ]
        );
    }
}
