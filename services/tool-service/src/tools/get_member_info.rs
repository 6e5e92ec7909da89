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
    adapters::discord::{
        Method, Request, RestError,
        wire::{RawMember, RawUser, created_at, time_stamp},
    },
    domain::{
        flow,
        guild::{Guild, Member},
        text,
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
    /// The member: a mention, their id, or their exact name. By id, somebody who left, too.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    member: Option<String>,
    /// Instead of member: how the names begin of the members to look for.
    #[schemars(length(min = 1, max = 100))]
    #[serde(default)]
    name_begins_with: Option<String>,
    /// How many members to look for.
    #[schemars(range(min = 1, max = 100))]
    #[serde(default = "ten")]
    limit: u8,
}

fn ten() -> u8 {
    10
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Act {
    One(One),
    Search(Search),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct One {
    member: Id<UserMarker>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    name_begins_with: String,
    limit: u8,
}

static SPEC: Spec = Spec {
    name: "get_member_info",
    description: "Tells about a member of the server: names, roles, since when they are here; or \
                  looks for members by the beginning of their names. Give one of the two.",
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
        let prefix = parameters.name_begins_with.as_deref().map(text::visible);
        let prefix = prefix.as_deref().map(str::trim).filter(|prefix| !prefix.is_empty());
        match (&parameters.member, prefix) {
            (Some(member), None) => Ok(Act::One(One { member: scene.member(member).await? })),
            (None, Some(prefix)) => {
                let name_begins_with = prefix.trim_start_matches('@').to_owned();
                Ok(Act::Search(Search { name_begins_with, limit: parameters.limit }))
            }
            _ => Err(Problem::unclear("Name a member, or say how the name begins; one of them.")),
        }
    }

    fn needs(&self, act: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        let everybody = Needs::in_guild(Permissions::empty());
        match act {
            Act::One(One { member }) => {
                let subjects = vec![Subject { user: *member, act: SubjectAct::Look }];
                Needs { subjects, ..everybody }
            }
            // Of whom it tells is not known yet; it is for members as well.
            Act::Search(_) => Needs { is_for_members: true, ..everybody },
        }
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        let Some(state) = run.state else {
            return Done::failed(0, "I cannot do that in a direct message.");
        };
        match act {
            Act::Search(search) => found(search, &state.guild, run).await,
            Act::One(One { member }) => match state.member(*member) {
                Some(member) => told(member, &state.guild, run),
                None => of_stranger(*member, run).await,
            },
        }
    }
}

/// Tells of somebody who is no member, or no more.
async fn of_stranger(user: Id<UserMarker>, run: &Run<'_>) -> Done {
    let path = format!("users/{user}");
    let request = Request::new(Method::Get, "users", path, run.home.key(), run.send_by);
    let read = run.discord.repeatedly(&request).await;
    match read.and_then(|answer| Ok((answer.status, answer.json::<RawUser>()?))) {
        Ok((status, user)) => {
            let mut fields = Map::new();
            fields.insert("id".into(), json!(user.id.to_string()));
            fields.insert("name".into(), json!(text::name(user.name())));
            fields.insert("username".into(), json!(text::name(&user.username)));
            fields.insert("is_bot".into(), json!(user.bot));
            fields.insert("is_member".into(), json!(false));
            if let Some(created_at) = time_stamp(created_at(user.id.get())) {
                fields.insert("account_created_at".into(), json!(created_at));
            }
            let name = text::name(user.name());
            let summary = format!("<@{}> is {name}, and not a member of this server.", user.id);
            Done::ok(status, summary, fields)
        }
        Err(RestError::Refused { status: 404, .. }) => {
            Done::failed(404, "That person is not a member of this server.")
        }
        Err(error) => Done::of_read(&error),
    }
}

async fn found(search: &Search, guild: &Guild, run: &Run<'_>) -> Done {
    let Search { name_begins_with, limit } = search;
    let route = format!("guilds/{}/members/search", guild.id);
    let prefix = text::percent_encoded(name_begins_with);
    let path = format!("{route}?query={prefix}&limit={limit}");
    let request = Request::new(Method::Get, route, path, run.home.key(), run.send_by);
    let read = run.discord.repeatedly(&request).await;
    match read.and_then(|answer| Ok((answer.status, answer.json::<Vec<RawMember>>()?))) {
        Ok((status, members)) => {
            let members: Vec<Value> = members
                .iter()
                .map(|raw| {
                    let member = raw.member();
                    json!({
                        "id": member.user.to_string(),
                        "name": text::name(member.name()),
                        "username": text::name(&member.username),
                        "is_bot": member.is_bot,
                        "roles": roles(guild, &member),
                    })
                })
                .collect();
            let mut fields = Map::new();
            let summary = match members.len() {
                0 => "No member's name begins so.".to_owned(),
                1 => "One member's name begins so.".to_owned(),
                count => format!("The names of {count} members begin so."),
            };
            fields.insert("members".into(), Value::Array(members));
            Done::ok(status, summary, fields)
        }
        Err(error) => Done::of_read(&error),
    }
}

fn told(member: &Member, guild: &Guild, run: &Run<'_>) -> Done {
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
    let shows_sanctions = may_tell_sanctions(member, run);
    if shows_sanctions {
        let until = member.timed_out_until.filter(|until| *until > run.now);
        fields.insert("timed_out_until".into(), json!(until.and_then(time_stamp)));
    }
    let mut summary = summary(member, guild, run, shows_sanctions);
    if !shows_sanctions && run.all_have(Permissions::MODERATE_MEMBERS) {
        summary.push_str(" Whether they are timed out I tell only where just moderators read.");
    }
    Done::ok(200, summary, fields)
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

/// Whether a member's timeout may be told: Discord shows it to themselves and to those who may time out
/// members, and to nobody else, who all may read the answer.
///
/// Source: Discord's help, Time Out FAQ.
fn may_tell_sanctions(member: &Member, run: &Run<'_>) -> bool {
    let is_own = run.people == [member.user];
    let is_among_moderators = || {
        run.state
            .is_some_and(|state| flow::all_hold(state, Permissions::MODERATE_MEMBERS, run.here))
    };
    is_own || run.all_have(Permissions::MODERATE_MEMBERS) && is_among_moderators()
}
