use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, GuildMarker, UserMarker},
    },
};

use ery_clock::UnixMillis;

use super::{Done, Run, Tool, reason};
use crate::{
    adapters::discord::{Method, Request, RestError, wire::RawMember},
    domain::{
        guild::{Guild, GuildState},
        tool::{Needs, RetryClass, Spec, Subject, SubjectAct, Tier},
    },
    resolve::{Problem, Scene},
};

pub(crate) struct KickMember;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// The member: a mention, their id, or their exact name.
    #[schemars(length(min = 1, max = 200))]
    member: String,
    /// Why, for the audit log.
    #[schemars(length(max = 400))]
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    member: Id<UserMarker>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// When the member joined who is meant, fixed when the execution is opened: one who came back
    /// is not removed by a repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    joined_at: Option<String>,
}

static SPEC: Spec = Spec {
    name: "kick_member",
    description: "Removes a member from the server; they can come back by an invite. Only on the \
                  order of somebody who may do it themselves.",
    tier: Tier::Destructive,
    retry: RetryClass::Reconcile,
    works_in_dm: false,
};

#[async_trait]
impl Tool for KickMember {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        let member = scene.member(&parameters.member).await?;
        let reason = reason::one_line(parameters.reason.as_deref(), scene.filter);
        Ok(Act { member, reason, joined_at: None })
    }

    fn needs(&self, act: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        let subjects = vec![Subject { user: act.member, act: SubjectAct::Kick }];
        Needs { subjects, ..Needs::in_guild(Permissions::KICK_MEMBERS) }
    }

    fn fix(&self, act: Act, _: UnixMillis, state: Option<&GuildState>) -> Act {
        let member = state.and_then(|state| state.member(act.member));
        let joined_at = member.and_then(|member| member.joined_at.as_deref()).map(str::to_owned);
        Act { joined_at, ..act }
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        let Some(guild) = run.guild() else {
            return Done::failed(0, "I cannot do that in a direct message.");
        };
        let path = format!("guilds/{guild}/members/{}", act.member);
        let route = format!("guilds/{guild}/members");
        let request = Request::new(Method::Delete, route, path, guild.get(), run.send_by)
            .reason(run.audit_reason)
            .about(act.member);
        let mut was_in_doubt = None;
        for attempt in 0..=run.discord.retries() {
            let error = match run.discord.once(&request).await {
                Ok(answer) => return gone(act, guild, answer.status, run),
                Err(error) => error,
            };
            if matches!(error, RestError::Refused { code: 10_007, .. }) {
                return gone(act, guild, 404, run);
            }
            let is_worth_repeating =
                error.is_in_doubt() || matches!(error, RestError::NotConnected(_));
            if error.is_in_doubt() {
                was_in_doubt = Some(error);
            } else if !is_worth_repeating {
                return Done::of_write(was_in_doubt.as_ref().unwrap_or(&error));
            }
            if !run.discord.wait_to_repeat(attempt, run.send_by).await {
                break;
            }
            // They may be gone, and back: a second kick would hit again.
            match stands(act, guild, run).await {
                Ok(Stands::AsBefore) => {}
                Ok(Stands::Gone) => return gone(act, guild, 404, run),
                Ok(Stands::BackAgain) => return back_again(act),
                Err(error) => return Done::of_write(was_in_doubt.as_ref().unwrap_or(&error)),
            }
        }
        Done::of_write(&was_in_doubt.unwrap_or(RestError::TooLate))
    }

    async fn look_up(&self, act: &Act, run: &Run<'_>) -> Done {
        let Some(guild) = run.guild() else { return Done::in_doubt(0) };
        match stands(act, guild, run).await {
            Ok(Stands::Gone) => gone(act, guild, 404, run),
            Ok(Stands::BackAgain) => back_again(act),
            Ok(Stands::AsBefore) => {
                Done::failed(0, "It did not get to Discord: they are here still.")
            }
            Err(error) => Done::in_doubt(error.status()),
        }
    }
}

/// How it stands with somebody who was to be removed.
enum Stands {
    AsBefore,
    Gone,
    /// Joined anew since.
    BackAgain,
}

async fn stands(act: &Act, guild: Id<GuildMarker>, run: &Run<'_>) -> Result<Stands, RestError> {
    let path = format!("guilds/{guild}/members/{}", act.member);
    let route = format!("guilds/{guild}/members");
    let request = Request::new(Method::Get, route, path, guild.get(), run.send_by);
    match run.discord.repeatedly(&request).await {
        Ok(answer) => {
            let joined_at = answer.json::<RawMember>()?.joined_at;
            let is_same = act.joined_at.is_none() || joined_at == act.joined_at;
            Ok(if is_same { Stands::AsBefore } else { Stands::BackAgain })
        }
        Err(RestError::Refused { status: 404, .. }) => Ok(Stands::Gone),
        Err(error) => Err(error),
    }
}

fn gone(act: &Act, guild: Id<GuildMarker>, status: u16, run: &Run<'_>) -> Done {
    // The event will tell, too; until then the next decision must know.
    run.guilds.saw_member_go(guild, act.member);
    let mut fields = Map::new();
    fields.insert("member".into(), json!(act.member.to_string()));
    Done::ok(status, format!("<@{}> is removed from the server.", act.member), fields)
}

fn back_again(act: &Act) -> Done {
    let mut fields = Map::new();
    fields.insert("member".into(), json!(act.member.to_string()));
    let summary = format!("<@{}> was removed from the server, and has joined anew.", act.member);
    Done::ok(200, summary, fields)
}
