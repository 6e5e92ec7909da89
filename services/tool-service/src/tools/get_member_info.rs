use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, UserMarker},
    },
};

use super::{Done, Run, Tool};
use crate::{
    adapters::discord::wire::{created_at, time_stamp},
    domain::{
        guild::{Guild, Member},
        permissions, text,
        tool::{Needs, RetryClass, Spec, Subject, SubjectAct, Tier},
    },
    resolve::{Problem, Scene},
};

/// How many roles are named.
const MAX_ROLES: usize = 50;

pub(crate) struct GetMemberInfo;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// The member: a mention, their id, or their exact name.
    #[schemars(length(min = 1, max = 200))]
    member: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    member: Id<UserMarker>,
}

static SPEC: Spec = Spec {
    name: "get_member_info",
    description: "Tells about a member of the server: names, roles, since when they are here.",
    tier: Tier::Read,
    retry: RetryClass::Safe,
    works_in_dm: false,
};

#[async_trait]
impl Tool for GetMemberInfo {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        Ok(Act { member: scene.member(&parameters.member).await? })
    }

    fn needs(&self, act: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        Needs {
            subject: Some(Subject { user: act.member, act: SubjectAct::Look }),
            ..Needs::in_guild(Permissions::empty())
        }
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        let Some(state) = run.state else {
            return Done::failed(0, "I cannot do that in a direct message.");
        };
        let Some(member) = state.member(act.member) else {
            return Done::failed(404, "That person is not a member of this server.");
        };
        let guild = &*state.guild;
        let mut fields = Map::new();
        fields.insert("id".into(), json!(member.user.to_string()));
        fields.insert("name".into(), json!(text::name(member.name())));
        fields.insert("username".into(), json!(text::name(&member.username)));
        for (field, name) in [("global_name", &member.global_name), ("nick", &member.nick)] {
            if let Some(name) = name {
                fields.insert(field.into(), json!(text::name(name)));
            }
        }
        fields.insert("roles".into(), Value::Array(roles(guild, member)));
        fields.insert("is_owner".into(), json!(member.user == guild.owner));
        fields.insert("is_bot".into(), json!(member.is_bot));
        if let Some(joined_at) = &member.joined_at {
            fields.insert("joined_at".into(), json!(joined_at));
        }
        if let Some(created_at) = time_stamp(created_at(member.user.get())) {
            fields.insert("account_created_at".into(), json!(created_at));
        }
        if may_see_sanctions(run) {
            let until = member.timed_out_until.filter(|until| *until > run.now);
            fields.insert("timed_out_until".into(), json!(until.and_then(time_stamp)));
        }
        Done::ok(200, summary(member, guild, run, may_see_sanctions(run)), fields)
    }
}

/// Says in a sentence or two what a person would want to know.
fn summary(member: &Member, guild: &Guild, run: &Run<'_>, shows_sanctions: bool) -> String {
    let mut parts = vec![format!("<@{}> is {}", member.user, text::name(member.name()))];
    if *member.name() != *member.username {
        parts.push(format!("known as {}", text::name(&member.username)));
    }
    if member.is_bot {
        parts.push("a bot".to_owned());
    }
    if member.user == guild.owner {
        parts.push("the owner of this server".to_owned());
    }
    if let Some(day) = member.joined_at.as_deref().and_then(|moment| moment.get(..10)) {
        parts.push(format!("here since {day}"));
    }
    let names: Vec<String> = roles(guild, member)
        .iter()
        .filter_map(|role| role["name"].as_str().map(str::to_owned))
        .collect();
    parts.push(match names.as_slice() {
        [] => "without a role".to_owned(),
        [one] => format!("with the role {one}"),
        several => format!("with the roles {}", several.join(", ")),
    });
    let until = member.timed_out_until.filter(|until| shows_sanctions && *until > run.now);
    if let Some(until) = until {
        parts.push(format!("timed out until <t:{}:f>", until.as_secs()));
    }
    format!("{}.", parts.join(", "))
}

/// The member's roles, the highest first, without @everyone.
fn roles(guild: &Guild, member: &Member) -> Vec<Value> {
    let own = member.roles.iter().filter_map(|role| guild.roles.get(role));
    let mut own: Vec<_> = own.filter(|role| role.id != guild.everyone()).collect();
    own.sort_unstable_by(|a, b| b.rank(a));
    own.iter()
        .take(MAX_ROLES)
        .map(|role| json!({ "id": role.id.to_string(), "name": text::name(&role.name) }))
        .collect()
}

fn may_see_sanctions(run: &Run<'_>) -> bool {
    let Some(state) = run.state else { return false };
    !run.people.is_empty()
        && run.people.iter().all(|person| {
            state.member(*person).is_some_and(|member| {
                permissions::in_guild(&state.guild, member, run.now)
                    .contains(Permissions::MODERATE_MEMBERS)
            })
        })
}
