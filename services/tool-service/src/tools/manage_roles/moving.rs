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
        guild::{Guild, Role},
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

/// Returns the places that change, as the roles stand now; none if they are not all there.
pub(super) fn places(
    guild: &Guild,
    role: Id<RoleMarker>,
    beside: Beside,
) -> Option<Vec<(Id<RoleMarker>, i64)>> {
    guild.roles.get(&role)?;
    let mut roles: Vec<&Role> = guild.roles.values().collect();
    roles.sort_unstable_by(|one, other| one.rank(other));
    let items: Vec<_> = roles.into_iter().map(|role| (role.id, role.position)).collect();
    ordering::moved(&items, role, beside.role(), matches!(beside, Beside::AboveRole(_)))
}

/// Sends all places that change. Where several roles shared one, those above give way in their
/// order, Ery's own among them, which Discord takes. A repeat goes by where all stand by then: what
/// the first attempt did is not done again, nor what people moved meanwhile undone.
pub(super) async fn perform(
    guild: Id<GuildMarker>,
    role: Id<RoleMarker>,
    beside: Beside,
    places: Option<&[(Id<RoleMarker>, i64)]>,
    run: &Run<'_>,
) -> Done {
    let anew = match run.state {
        Some(state) if run.is_repeat => self::places(&state.guild, role, beside),
        _ => None,
    };
    let places = if run.is_repeat { anew.as_deref() } else { places };
    let Some(places) = places else {
        return Done::failed(0, "One of those roles does not exist any more.");
    };
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
