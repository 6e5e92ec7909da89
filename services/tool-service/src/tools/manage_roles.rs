//! Roles: given and taken, made, changed, moved and deleted.

mod moving;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, GuildMarker, RoleMarker, UserMarker},
    },
};

use super::{Done, Run, Tool, audit, manage_permissions, permission_list, reason};
use crate::{
    adapters::discord::{Method, Request, RestError, wire::RawRole},
    domain::{
        guild::Guild,
        output::Filter,
        permissions, text,
        tool::{BitsChange, Needs, RetryClass, RightsChange, Spec, Subject, SubjectAct, Tier},
    },
    resolve::{Problem, Scene},
};

/// Discord's number for a role's creation in the audit log.
const ROLE_CREATE: u16 = 30;

pub(crate) struct ManageRoles;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// `give` or `take` a role to or from a member; `create`, `change`, `delete` or `move` a role
    /// itself.
    action: Action,
    /// Who gets or loses the role, for give and take: a mention, their id, or their exact name.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    member: Option<String>,
    /// The role, for all but create: a mention, its id, or its exact name.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    role: Option<String>,
    /// For move: the role right above which it is put; as for role.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    above: Option<String>,
    /// For move: the role right below which it is put, instead of above.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    below: Option<String>,
    /// The name of the new role, or the new name, for create and change.
    #[schemars(length(min = 1, max = 100))]
    #[serde(default)]
    name: Option<String>,
    /// Its color as six hex digits with a #, for create and change; #000000 for none.
    #[schemars(regex(pattern = "^#?[0-9a-fA-F]{6}$"))]
    #[serde(default)]
    color: Option<String>,
    /// Whether its members are listed apart, for create and change.
    #[serde(default)]
    hoist: Option<bool>,
    /// Whether everybody may mention it, for create and change.
    #[serde(default)]
    mentionable: Option<bool>,
    /// All permissions that the role has from then on, such as `SEND_MESSAGES`, for create and
    /// change. To switch single ones use `manage_permissions`.
    #[schemars(length(max = 60), inner(length(min = 1, max = 60)))]
    #[serde(default)]
    permissions: Option<Vec<String>>,
    /// Why, for the audit log.
    #[schemars(length(max = 400))]
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    Give,
    Take,
    Create,
    Change,
    Delete,
    Move,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Act {
    Give {
        member: Id<UserMarker>,
        role: Id<RoleMarker>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Take {
        member: Id<UserMarker>,
        role: Id<RoleMarker>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Create {
        look: Look,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Change {
        role: Id<RoleMarker>,
        look: Look,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Delete {
        role: Id<RoleMarker>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Move {
        role: Id<RoleMarker>,
        beside: Beside,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

/// Where a role is put.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Beside {
    AboveRole(Id<RoleMarker>),
    BelowRole(Id<RoleMarker>),
}

/// What a role is given; what is none stays, or is Discord's default in a new role.
#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Look {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    color: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hoist: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mentionable: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "permission_list::optional")]
    permissions: Option<Permissions>,
}

impl Look {
    /// Says where a new role is found: in this list.
    fn sought<'a>(&'a self, list: &'a str) -> audit::Sought<'a> {
        audit::Sought { list, name: self.name.as_deref().unwrap_or("new role") }
    }
}

static SPEC: Spec = Spec {
    name: "manage_roles",
    description: "Gives a role to a member or takes it away, or creates, changes, moves or deletes \
                  a role. Only on the order of somebody who may do it themselves.",
    tier: Tier::Destructive,
    retry: RetryClass::Safe,
    works_in_dm: false,
};

#[async_trait]
impl Tool for ManageRoles {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        let action = parameters.action;
        check_fields(&parameters)?;
        let reason = reason::one_line(parameters.reason.as_deref(), scene.filter);
        let role = match &parameters.role {
            Some(role) => Some(scene.role(role).await?),
            None => None,
        };
        let member = match &parameters.member {
            Some(member) => Some(scene.member(member).await?),
            None => None,
        };
        let look = look(&parameters, scene.filter)?;
        let missing =
            || Problem::unclear("Name the role: by a mention, its id, or its exact name.");
        let role = || role.ok_or_else(missing);
        let member = || {
            member.ok_or_else(|| {
                Problem::unclear(
                    "Name one member: by a mention, by their id, or by their exact name.",
                )
            })
        };
        Ok(match action {
            Action::Give => Act::Give { member: member()?, role: role()?, reason },
            Action::Take => Act::Take { member: member()?, role: role()?, reason },
            Action::Create if look.name.is_none() => {
                return Err(Problem::unclear("Name the new role."));
            }
            Action::Create => {
                // Without this Discord would copy what everyone may do.
                let permissions = look.permissions.or(Some(Permissions::empty()));
                Act::Create { look: Look { permissions, ..look }, reason }
            }
            Action::Change if look == Look::default() => {
                return Err(Problem::unclear("Say what is to change about the role."));
            }
            Action::Change => Act::Change { role: role()?, look, reason },
            Action::Delete => Act::Delete { role: role()?, reason },
            Action::Move => {
                let role = role()?;
                let beside = moving::beside(&parameters, role, scene).await?;
                Act::Move { role, beside, reason }
            }
        })
    }

    fn needs(&self, act: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        let (member, change) = match act {
            Act::Give { member, role, .. } => (Some(*member), RightsChange::GiveRole(*role)),
            Act::Take { member, role, .. } => (Some(*member), RightsChange::TakeRole(*role)),
            Act::Create { look, .. } => {
                let permissions = look.permissions.unwrap_or(Permissions::empty());
                (None, RightsChange::CreateRole { permissions })
            }
            Act::Change { role, look, .. } => {
                let permissions = look.permissions.map_or(BitsChange::Stay, BitsChange::Set);
                (None, RightsChange::ChangeRole { role: *role, permissions })
            }
            Act::Delete { role, .. } => (None, RightsChange::DeleteRole(*role)),
            Act::Move { role, beside, .. } => (None, beside.change(*role)),
        };
        Needs {
            subjects: member
                .map(|user| Subject { user, act: SubjectAct::Rights })
                .into_iter()
                .collect(),
            rights: Some(change),
            ..Needs::in_guild(Permissions::MANAGE_ROLES)
        }
    }

    fn retry(&self, act: &Act) -> RetryClass {
        match act {
            Act::Create { .. } => RetryClass::Reconcile,
            Act::Give { .. }
            | Act::Take { .. }
            | Act::Change { .. }
            | Act::Delete { .. }
            | Act::Move { .. } => RetryClass::Safe,
        }
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        let Some(guild) = run.guild() else {
            return Done::failed(0, "I cannot do that in a direct message.");
        };
        match act {
            Act::Give { member, role, .. } => assign(guild, *member, *role, true, run).await,
            Act::Take { member, role, .. } => assign(guild, *member, *role, false, run).await,
            Act::Create { look, .. } => create(guild, look, run).await,
            Act::Change { role, look, .. } => change(guild, *role, look, run).await,
            Act::Delete { role, .. } => delete(guild, *role, run).await,
            Act::Move { role, beside, .. } => moving::perform(guild, *role, *beside, run).await,
        }
    }

    async fn look_up(&self, act: &Act, run: &Run<'_>) -> Done {
        let Some(guild) = run.guild() else { return Done::in_doubt(0) };
        let look = match act {
            Act::Create { look, .. } => look,
            Act::Delete { role, .. } => return look_for_deleted(guild, *role, run).await,
            Act::Give { .. } | Act::Take { .. } | Act::Change { .. } | Act::Move { .. } => {
                return Done::in_doubt(0);
            }
        };
        let list = format!("guilds/{guild}/roles");
        match audit::made_before(guild, ROLE_CREATE, &look.sought(&list), run).await {
            Ok(Some(role)) => created(Id::new(role), look, 200),
            Ok(None) => Done::failed(0, "It did not get to Discord: there is no such role."),
            Err(done) => done,
        }
    }
}

/// Refuses what does not belong to an action, rather than to drop it silently.
fn check_fields(parameters: &Parameters) -> Result<(), Problem> {
    let is_about_member = matches!(parameters.action, Action::Give | Action::Take);
    if !is_about_member && parameters.member.is_some() {
        return Err(Problem::unclear("A member belongs to give and take alone."));
    }
    if parameters.action == Action::Create && parameters.role.is_some() {
        return Err(Problem::unclear("A new role has no role yet: give its name instead."));
    }
    if parameters.action != Action::Move
        && (parameters.above.is_some() || parameters.below.is_some())
    {
        return Err(Problem::unclear("Above and below belong to move alone."));
    }
    let has_look = parameters.name.is_some()
        || parameters.color.is_some()
        || parameters.hoist.is_some()
        || parameters.mentionable.is_some()
        || parameters.permissions.is_some();
    if has_look && !matches!(parameters.action, Action::Create | Action::Change) {
        return Err(Problem::unclear(
            "Name, color, hoist, mentionable and permissions belong to create and change alone.",
        ));
    }
    Ok(())
}

fn look(parameters: &Parameters, filter: &Filter) -> Result<Look, Problem> {
    let name = match &parameters.name {
        Some(name) => {
            let name = text::one_line(&filter.filtered(name).content);
            if name.is_empty() {
                return Err(Problem::unclear("The role's name is empty."));
            }
            Some(name)
        }
        None => None,
    };
    let color = parameters.color.as_deref();
    let color = color.and_then(|color| u32::from_str_radix(color.trim_start_matches('#'), 16).ok());
    let permissions = parameters.permissions.as_deref().map(permission_list::read).transpose()?;
    let (hoist, mentionable) = (parameters.hoist, parameters.mentionable);
    Ok(Look { name, color, hoist, mentionable, permissions })
}

/// Gives or takes one role; never sets all roles of a member, which would undo what others changed.
async fn assign(
    guild: Id<GuildMarker>,
    member: Id<UserMarker>,
    role: Id<RoleMarker>,
    gives: bool,
    run: &Run<'_>,
) -> Done {
    let path = format!("guilds/{guild}/members/{member}/roles/{role}");
    let route = format!("guilds/{guild}/members/roles");
    let method = if gives { Method::Put } else { Method::Delete };
    let request = Request::new(method, route, path, guild.get(), run.send_by)
        .reason(run.audit_reason)
        .about(member);
    let status = match run.discord.repeatedly(&request).await {
        Ok(answer) => answer.status,
        Err(error) => return Done::of_write(&error),
    };
    // The event will tell, too; until then the next decision must know.
    if let Some(known) = run.guilds.known_member(guild, member) {
        let mut known = (*known).clone();
        let mut roles: Vec<_> =
            known.roles.iter().copied().filter(|other| *other != role).collect();
        roles.extend(gives.then_some(role));
        known.roles = roles.into();
        run.guilds.saw_member(guild, known);
    }
    let name = name_of(role, run);
    let mut fields = Map::new();
    fields.insert("member".into(), json!(member.to_string()));
    fields.insert("role".into(), json!(role.to_string()));
    let summary = if gives {
        format!("<@{member}> has the role {name}.")
    } else {
        format!("<@{member}> does not have the role {name} any more.")
    };
    Done::ok(status, summary, fields)
}

async fn create(guild: Id<GuildMarker>, look: &Look, run: &Run<'_>) -> Done {
    let path = format!("guilds/{guild}/roles");
    let request = Request::new(Method::Post, &*path, &*path, guild.get(), run.send_by)
        .json(&body(look))
        .reason(run.audit_reason);
    let sought = look.sought(&path);
    let mut last = RestError::TooLate;
    for attempt in 0..=run.discord.retries() {
        let error = match run.discord.once(&request).await {
            Ok(answer) => match answer.json::<RawRole>() {
                Ok(role) => {
                    run.guilds.saw_role(guild, role.role());
                    return created(role.id, look, answer.status);
                }
                Err(error) => error,
            },
            Err(error) => error,
        };
        match audit::after(error, guild, ROLE_CREATE, &sought, run).await {
            audit::After::Happened { id, status } => return created(Id::new(id), look, status),
            audit::After::Again(error) => last = error,
            audit::After::Over(error) => return Done::of_write(&error),
        }
        if !run.discord.wait_to_repeat(attempt, run.send_by).await {
            break;
        }
    }
    // The log says that none of them was carried out.
    Done::of_read(&last)
}

fn created(role: Id<RoleMarker>, look: &Look, status: u16) -> Done {
    let mut fields = Map::new();
    fields.insert("role".into(), json!(role.to_string()));
    let name = look.name.as_deref().map_or_else(|| "new role".into(), text::name);
    Done::ok(status, format!("The role “{name}” is created."), fields)
}

async fn change(guild: Id<GuildMarker>, role: Id<RoleMarker>, look: &Look, run: &Run<'_>) -> Done {
    if let Some(permissions) = look.permissions
        && let Some(refusal) = manage_permissions::blinds(role, permissions, run)
    {
        return refusal;
    }
    let request = of_role(Method::Patch, guild, role, run).json(&body(look));
    let answer = match run.discord.repeatedly(&request).await {
        Ok(answer) => answer,
        Err(error) => return Done::of_write(&error),
    };
    let before = name_of(role, run);
    if let Ok(changed) = answer.json::<RawRole>() {
        run.guilds.saw_role(guild, changed.role());
    }
    let mut fields = Map::new();
    fields.insert("role".into(), json!(role.to_string()));
    let mut summary = format!("The role {before} is changed");
    if let Some(name) = &look.name {
        summary = format!("{summary}: its name is “{}” now", text::name(name));
    }
    if let Some(permissions) = look.permissions {
        fields.insert("permissions".into(), json!(permissions::constants(permissions)));
    }
    Done::ok(answer.status, summary + ".", fields)
}

async fn delete(guild: Id<GuildMarker>, role: Id<RoleMarker>, run: &Run<'_>) -> Done {
    if let Some(refusal) = manage_permissions::blinds(role, Permissions::empty(), run) {
        return refusal;
    }
    let name = name_of(role, run);
    let request = of_role(Method::Delete, guild, role, run);
    let status = match run.discord.repeatedly(&request).await {
        Ok(answer) => answer.status,
        // For a deletion: done.
        Err(RestError::Refused { code: 10_011, .. }) => 404,
        Err(error) if error.is_in_doubt() => match exists(guild, role, run).await {
            Ok(false) => 404,
            Ok(true) | Err(_) => return Done::of_write(&error),
        },
        Err(error) => return Done::of_write(&error),
    };
    deleted(guild, role, status, &name, run)
}

/// Finds out what became of a deletion that cannot be judged anew: what it is about may be gone.
async fn look_for_deleted(guild: Id<GuildMarker>, role: Id<RoleMarker>, run: &Run<'_>) -> Done {
    match exists(guild, role, run).await {
        Ok(false) => deleted(guild, role, 404, &name_of(role, run), run),
        Ok(true) => Done::failed(0, "It was not deleted: the role is still there."),
        Err(error) => Done::in_doubt(error.status()),
    }
}

fn deleted(
    guild: Id<GuildMarker>,
    role: Id<RoleMarker>,
    status: u16,
    name: &str,
    run: &Run<'_>,
) -> Done {
    run.guilds.saw_role_go(guild, role);
    let mut fields = Map::new();
    fields.insert("role".into(), json!(role.to_string()));
    Done::ok(status, format!("The role {name} is deleted."), fields)
}

async fn exists(
    guild: Id<GuildMarker>,
    role: Id<RoleMarker>,
    run: &Run<'_>,
) -> Result<bool, RestError> {
    let request = of_role(Method::Get, guild, role, run);
    match run.discord.repeatedly(&request).await {
        Ok(_) => Ok(true),
        Err(RestError::Refused { status: 404, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn of_role(method: Method, guild: Id<GuildMarker>, role: Id<RoleMarker>, run: &Run<'_>) -> Request {
    let path = format!("guilds/{guild}/roles/{role}");
    let route = format!("guilds/{guild}/roles/role");
    let request = Request::new(method, route, path, guild.get(), run.send_by).about(role);
    if method == Method::Get { request } else { request.reason(run.audit_reason) }
}

fn body(look: &Look) -> Value {
    let mut body = Map::new();
    if let Some(name) = &look.name {
        body.insert("name".into(), json!(name));
    }
    if let Some(color) = look.color {
        body.insert("color".into(), json!(color));
    }
    if let Some(hoist) = look.hoist {
        body.insert("hoist".into(), json!(hoist));
    }
    if let Some(mentionable) = look.mentionable {
        body.insert("mentionable".into(), json!(mentionable));
    }
    if let Some(permissions) = look.permissions {
        body.insert("permissions".into(), json!(permissions.bits().to_string()));
    }
    Value::Object(body)
}

/// Returns a role's name between quotation marks; a mention would notify its members.
fn name_of(role: Id<RoleMarker>, run: &Run<'_>) -> String {
    let role = run.state.and_then(|state| state.guild.roles.get(&role));
    role.map_or_else(|| "that was meant".into(), |role| format!("“{}”", text::name(&role.name)))
}
