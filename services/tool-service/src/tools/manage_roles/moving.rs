//! A role put above or below another one.

use serde_json::{Map, Value, json};
use twilight_model::id::{
    Id,
    marker::{GuildMarker, RoleMarker},
};

use super::{Beside, Parameters, name_of};
use crate::{
    adapters::discord::{Method, Request, wire::RawRole},
    domain::{guild::Role, ordering, tool::RightsChange},
    resolve::{Problem, Scene},
    tools::{Done, Run},
};

impl Beside {
    fn role(self) -> Id<RoleMarker> {
        match self {
            Self::AboveRole(role) | Self::BelowRole(role) => role,
        }
    }

    pub(super) fn change(self, role: Id<RoleMarker>) -> RightsChange {
        let is_above = matches!(self, Self::AboveRole(_));
        RightsChange::MoveRole { role, beside: self.role(), is_above }
    }
}

pub(super) async fn beside(
    parameters: &Parameters,
    role: Id<RoleMarker>,
    scene: &Scene<'_>,
) -> Result<Beside, Problem> {
    let beside = match (&parameters.above, &parameters.below) {
        (Some(above), None) => Beside::AboveRole(scene.role(above).await?),
        (None, Some(below)) => Beside::BelowRole(scene.role(below).await?),
        _ => {
            return Err(Problem::unclear(
                "Say above or below which other role it is put; one of them.",
            ));
        }
    };
    if beside.role() == role {
        return Err(Problem::unclear("Say above or below which other role it is put."));
    }
    Ok(beside)
}

/// Sends all places that change. Where several roles shared one, those above give way in their
/// order, Ery's own among them, which Discord takes.
///
/// Where the roles stand is read anew, also for a repeat: no event tells that others gave way to a new
/// one, and what the first attempt did, or people since, is not undone.
pub(super) async fn perform(
    guild: Id<GuildMarker>,
    role: Id<RoleMarker>,
    beside: Beside,
    run: &Run<'_>,
) -> Done {
    let route = format!("guilds/{guild}/roles");
    let look = Request::new(Method::Get, route.clone(), route, guild.get(), run.send_by);
    let read = run.discord.repeatedly(&look).await.and_then(|answer| answer.json::<Vec<RawRole>>());
    let mut roles: Vec<Role> = match read {
        Ok(roles) => roles.iter().map(RawRole::role).collect(),
        Err(error) => return Done::of_read(&error),
    };
    roles.sort_unstable_by(Role::rank);
    let items: Vec<_> = roles.iter().map(|role| (role.id, role.position)).collect();
    let is_above = matches!(beside, Beside::AboveRole(_));
    let is_there = items.iter().any(|(id, _)| *id == role);
    let places = ordering::moved(&items, role, beside.role(), is_above).filter(|_| is_there);
    let Some(places) = places else {
        return Done::failed(0, "One of those roles does not exist any more.");
    };
    for role in roles {
        run.guilds.saw_role(guild, role);
    }
    let name = name_of(role, run);
    let mut fields = Map::new();
    fields.insert("role".into(), json!(role.to_string()));
    if places.is_empty() {
        return Done::ok(200, format!("The role {name} stands there already."), fields);
    }
    let path = format!("guilds/{guild}/roles");
    let body: Vec<Value> =
        places.iter().map(|(role, place)| json!({ "id": role, "position": place })).collect();
    let request = Request::new(Method::Patch, path.clone(), path, guild.get(), run.send_by)
        .json(&Value::Array(body))
        .reason(run.audit_reason);
    match run.discord.repeatedly(&request).await {
        Ok(answer) => {
            for changed in answer.json::<Vec<RawRole>>().unwrap_or_default() {
                run.guilds.saw_role(guild, changed.role());
            }
            Done::ok(answer.status, format!("The role {name} is moved."), fields)
        }
        Err(error) => Done::of_write(&error),
    }
}
