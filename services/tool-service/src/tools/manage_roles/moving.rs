//! A role put above or below another one.

use serde_json::{Map, Value, json};
use twilight_model::id::{
    Id,
    marker::{GuildMarker, RoleMarker},
};

use super::{Beside, Parameters, name_of};
use crate::{
    adapters::discord::{Method, Request, wire::RawRole},
    domain::{
        guild::{Member, Role},
        ordering,
        tool::RightsChange,
    },
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
    if !stays_below(&roles, role, &places, run) {
        return Done::failed(
            0,
            "The roles stand otherwise than I knew: there, that role would not be below mine and yours. \
             Say anew where it is to go.",
        );
    }
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

/// Whether a role is below the highest of Ery's and of whoever asks, before it is moved and after: what
/// was decided by stands in memory, and Discord checks Ery alone.
fn stays_below(
    roles: &[Role],
    moved: Id<RoleMarker>,
    places: &[(Id<RoleMarker>, i64)],
    run: &Run<'_>,
) -> bool {
    let Some(state) = run.state else { return false };
    let mut after: Vec<Role> = roles.to_vec();
    for role in &mut after {
        if let Some((_, place)) = places.iter().find(|(id, _)| *id == role.id) {
            role.position = *place;
        }
    }
    let is_below = |order: &[Role], member: &Member| {
        let own =
            order.iter().filter(|role| member.roles.contains(&role.id)).max_by(|a, b| a.rank(b));
        let role = order.iter().find(|role| role.id == moved);
        own.zip(role).is_some_and(|(own, role)| role.rank(own).is_lt())
    };
    let everybody = run.people.iter().chain([&run.bot]);
    everybody.filter(|user| **user != state.guild.owner).all(|user| {
        state
            .member(*user)
            .is_some_and(|member| is_below(roles, member) && is_below(&after, member))
    })
}
