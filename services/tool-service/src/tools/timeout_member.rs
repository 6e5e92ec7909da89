use std::time::Duration;

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

use ery_clock::UnixMillis;

use super::{Done, Run, Tool, reason};
use crate::{
    adapters::discord::{
        Method, Request,
        wire::{RawMember, moment, time_stamp},
    },
    domain::{
        guild::{Guild, GuildState},
        text,
        tool::{Needs, RetryClass, Spec, Subject, SubjectAct, Tier},
    },
    resolve::{Problem, Scene},
};

/// The longest timeout of Discord's.
const LONGEST: Duration = Duration::from_hours(28 * 24);

/// By how much Discord's clock may be behind ours.
const CLOCKS_DIFFER: Duration = Duration::from_mins(1);

pub(crate) struct TimeoutMember;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// The member: a mention, their id, or their exact name.
    #[schemars(length(min = 1, max = 200))]
    member: String,
    /// For how many seconds, 28 days at most; 0 lifts the timeout.
    #[schemars(range(min = 0, max = 2_419_200))]
    duration_seconds: u32,
    /// Why, for the audit log.
    #[schemars(length(max = 400))]
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    member: Id<UserMarker>,
    duration_seconds: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// When it ends, fixed when the execution is opened: a repeat must not prolong it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

static SPEC: Spec = Spec {
    name: "timeout_member",
    description: "Times a member out: they can read but not write for a while. A duration of 0 \
                  lifts a timeout. Only on the order of somebody who may do it themselves.",
    tier: Tier::Reversible,
    retry: RetryClass::Safe,
    works_in_dm: false,
};

#[async_trait]
impl Tool for TimeoutMember {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        let member = scene.member(&parameters.member).await?;
        Ok(Act {
            member,
            duration_seconds: parameters.duration_seconds,
            reason: reason::one_line(parameters.reason.as_deref(), scene.filter),
            until: None,
        })
    }

    fn needs(&self, act: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        let lifts = act.duration_seconds == 0;
        Needs {
            subjects: vec![Subject {
                user: act.member,
                act: if lifts { SubjectAct::Lift } else { SubjectAct::Sanction },
            }],
            ..Needs::in_guild(Permissions::MODERATE_MEMBERS)
        }
    }

    fn fix(&self, act: Act, now: UnixMillis, _: Option<&GuildState>) -> Act {
        let duration = Duration::from_secs(u64::from(act.duration_seconds));
        // Discord's clock may be behind ours: 28 days by ours would then be too much.
        let duration = duration.min(LONGEST.saturating_sub(CLOCKS_DIFFER));
        let until = (!duration.is_zero()).then(|| time_stamp(now + duration)).flatten();
        Act { until, ..act }
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        let Some(guild) = run.guild() else {
            return Done::failed(0, "I cannot do that in a direct message.");
        };
        let until = act.until.as_deref().and_then(moment);
        if act.duration_seconds > 0 && until.is_none_or(|until| until <= run.now) {
            // Found open after its time: to set it now would say nothing of what happened then.
            return Done::in_doubt(0);
        }
        let path = format!("guilds/{guild}/members/{}", act.member);
        let request = Request::new(
            Method::Patch,
            format!("guilds/{guild}/members"),
            path,
            guild.get(),
            run.send_by,
        )
        .json(&json!({ "communication_disabled_until": act.until }))
        .reason(run.audit_reason)
        .about(act.member);
        let answer = match run.discord.repeatedly(&request).await {
            Ok(answer) => answer,
            Err(error) => return Done::of_write(&error),
        };
        // The event will tell, too; until then the next decision must know.
        if let Ok(member) = answer.json::<RawMember>() {
            run.guilds.saw_member(guild, member.member());
        }
        let mut fields = Map::new();
        fields.insert("member".into(), Value::String(act.member.to_string()));
        let summary = match &act.until {
            Some(until) => {
                fields.insert("until".into(), Value::String(until.clone()));
                // Discord shows the moment in each reader's own time zone.
                let moment = moment(until).map_or(0, UnixMillis::as_secs);
                let how_long = text::time_span(act.duration_seconds);
                format!("<@{}> is timed out for {how_long}, until <t:{moment}:f>.", act.member)
            }
            None => format!("The timeout of <@{}> is lifted.", act.member),
        };
        Done::ok(answer.status, summary, fields)
    }
}
