use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, GuildMarker},
    },
};

use super::{
    Done, Run, Tool,
    server::{self, Sight},
};
use crate::{
    adapters::discord::{
        Method, Request, RestError,
        wire::{created_at, time_stamp},
    },
    domain::{
        guild::Guild,
        permissions, text,
        tool::{Needs, Reads, RetryClass, Spec, Tier},
    },
    resolve::{Problem, Scene},
};

/// How many roles are told of.
const MAX_ROLES: usize = 100;

pub(crate) struct GetServerInfo;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {}

static SPEC: Spec = Spec {
    name: "get_server_info",
    description: "Tells about this server: its name, owner, how many members it has, its roles \
                  and channels; its settings to those who manage it.",
    tier: Tier::Read,
    retry: RetryClass::Safe,
    works_in_dm: false,
};

#[async_trait]
impl Tool for GetServerInfo {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, _: Parameters, _: &Scene<'_>) -> Result<Act, Problem> {
        Ok(Act {})
    }

    fn needs(&self, _: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        let reads = Reads::AboutAll;
        Needs { reads, is_for_members: true, ..Needs::in_guild(Permissions::empty()) }
    }

    async fn perform(&self, _: &Act, run: &Run<'_>) -> Done {
        let Some(guild) = run.guild() else {
            return Done::failed(0, "I cannot do that in a direct message.");
        };
        // Without the counts everything else is told all the same.
        let counts = async {
            let counts = counts(guild, run).await.inspect_err(|error| {
                tracing::warn!(error = %error, "how many have which role cannot be read");
            });
            Ok(counts.unwrap_or_default())
        };
        let asked = tokio::try_join!(about(guild, run), server::channels(guild, run), counts);
        match asked {
            Ok(((status, raw), (_, channels), counts)) => {
                let fields = told(&raw, &channels, &counts, run);
                Done::ok(status, summary(&raw, &fields), fields)
            }
            Err(error) => Done::of_read(&error),
        }
    }
}

#[derive(Deserialize)]
struct RawServer {
    id: Id<GuildMarker>,
    #[serde(default)]
    name: String,
    description: Option<String>,
    owner_id: Option<String>,
    approximate_member_count: Option<u64>,
    approximate_presence_count: Option<u64>,
    #[serde(default)]
    premium_tier: u8,
    #[serde(default)]
    premium_subscription_count: Option<u64>,
    #[serde(default)]
    roles: Vec<RawRole>,
    #[serde(default)]
    features: Vec<String>,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

#[derive(Deserialize)]
struct RawRole {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    position: i64,
    #[serde(default)]
    hoist: bool,
    #[serde(default)]
    mentionable: bool,
    #[serde(default)]
    managed: bool,
    #[serde(default)]
    permissions: String,
}

/// What only those see who manage the server.
const SETTINGS: [(&str, bool); 12] = [
    ("verification_level", false),
    ("default_message_notifications", false),
    ("explicit_content_filter", false),
    ("mfa_level", false),
    ("nsfw_level", false),
    ("preferred_locale", false),
    ("afk_timeout", false),
    ("afk_channel_id", true),
    ("system_channel_id", true),
    ("rules_channel_id", true),
    ("public_updates_channel_id", true),
    ("safety_alerts_channel_id", true),
];

async fn about(guild: Id<GuildMarker>, run: &Run<'_>) -> Result<(u16, RawServer), RestError> {
    let route = format!("guilds/{guild}");
    let path = format!("{route}?with_counts=true");
    let request = Request::new(Method::Get, route, path, guild.get(), run.send_by);
    let answer = run.discord.repeatedly(&request).await?;
    Ok((answer.status, answer.json()?))
}

async fn counts(guild: Id<GuildMarker>, run: &Run<'_>) -> Result<HashMap<String, u64>, RestError> {
    let path = format!("guilds/{guild}/roles/member-counts");
    let request = Request::new(Method::Get, path.clone(), path, guild.get(), run.send_by);
    run.discord.repeatedly(&request).await?.json()
}

fn told(
    raw: &RawServer,
    channels: &[server::RawPlace],
    counts: &HashMap<String, u64>,
    run: &Run<'_>,
) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut tell = |field: &str, value: Value| {
        if !value.is_null() {
            fields.insert(field.to_owned(), value);
        }
    };
    tell("id", json!(raw.id.to_string()));
    tell("name", json!(text::name(&raw.name)));
    tell("owner_id", json!(raw.owner_id));
    let description = raw.description.as_deref().map(text::visible);
    tell("description", json!(description));
    let known = run.state.and_then(|state| state.guild.member_count);
    tell("members", json!(raw.approximate_member_count.or(known)));
    tell("online", json!(raw.approximate_presence_count));
    tell("created_at", json!(time_stamp(created_at(raw.id.get()))));
    tell("boost_tier", json!(raw.premium_tier));
    tell("boosts", json!(raw.premium_subscription_count));
    // Every server has one; an answer without any does not tell of them.
    tell("roles", if raw.roles.is_empty() { Value::Null } else { roles(raw, counts, run) });
    let sight = Sight::of(run);
    let listed = server::listed(channels, sight, run.max_result_bytes / 2);
    tell("channels", Value::Array(listed.shown));
    if run.all_have(Permissions::MANAGE_GUILD) {
        let mut settings = Map::new();
        for (name, is_channel) in SETTINGS {
            let value = raw.settings.get(name).cloned().unwrap_or_default();
            let is_shown = !is_channel || is_known(&value, sight);
            if is_shown && !value.is_null() {
                settings.insert(name.to_owned(), value);
            }
        }
        settings.insert("features".into(), json!(raw.features));
        tell("settings", Value::Object(settings));
    }
    fields
}

fn is_known(channel: &Value, sight: Sight<'_>) -> bool {
    let id = channel.as_str().and_then(|id| id.parse().ok()).and_then(Id::new_checked);
    id.is_some_and(|id| sight.shows(id))
}

/// The roles, the highest first; what they allow to those who manage roles.
fn roles(raw: &RawServer, counts: &HashMap<String, u64>, run: &Run<'_>) -> Value {
    let shows_permissions = run.all_have(Permissions::MANAGE_ROLES);
    let mut roles: Vec<&RawRole> =
        raw.roles.iter().filter(|role| role.id != raw.id.to_string()).collect();
    roles.sort_by(|a, b| b.position.cmp(&a.position).then_with(|| a.id.cmp(&b.id)));
    roles
        .into_iter()
        .take(MAX_ROLES)
        .map(|role| {
            let mut shown = json!({
                "id": role.id,
                "name": text::name(&role.name),
                "members": counts.get(&role.id),
                "is_shown_apart": role.hoist,
                "is_mentionable": role.mentionable,
                "is_managed": role.managed,
            });
            let bits = role.permissions.parse().map(Permissions::from_bits_retain);
            if let Ok(bits) = bits
                && shows_permissions
            {
                shown["permissions"] = json!(permissions::constants(bits));
            }
            shown
        })
        .collect()
}

fn summary(raw: &RawServer, fields: &Map<String, Value>) -> String {
    let count = |field: &str| fields.get(field).and_then(Value::as_array).map_or(0, Vec::len);
    let members = fields.get("members").and_then(Value::as_u64).map_or_else(String::new, |count| {
        format!("{}, ", text::counted(count, "member", "members"))
    });
    let roles = match fields.get("roles") {
        Some(_) => format!("{} and ", text::counted(count("roles"), "role", "roles")),
        None => String::new(),
    };
    let owner = raw
        .owner_id
        .as_deref()
        .map_or_else(String::new, |owner| format!(" Its owner is <@{owner}>."));
    format!(
        "{} has {members}{roles}{} that may be shown here.{owner}",
        text::name(&raw.name),
        text::counted(count("channels"), "channel", "channels"),
    )
}
