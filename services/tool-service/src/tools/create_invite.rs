use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use twilight_model::{
    guild::Permissions,
    id::{Id, marker::ChannelMarker},
};

use super::{Done, Run, Tool, audit, reason};
use crate::{
    adapters::discord::{
        Method, Request, RestError,
        wire::{RawUser, moment},
    },
    domain::{
        guild::{ChannelKind, Guild},
        text,
        tool::{Needs, RetryClass, Spec, Tier},
    },
    resolve::{Problem, Scene},
};

pub(crate) struct CreateInvite;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// The channel that it leads to: its id, a mention or its exact name. Left out: the current
    /// one.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    channel: Option<String>,
    /// For how many seconds it can be used, seven days at most; 0: for ever.
    #[schemars(range(min = 0, max = 604_800))]
    #[serde(default = "one_day")]
    max_age_seconds: u32,
    /// How often it can be used; 0: any number of times.
    #[schemars(range(min = 0, max = 100))]
    #[serde(default)]
    max_uses: u8,
    /// Whether whoever comes by it is gone when they disconnect, unless they were given a role.
    #[serde(default)]
    temporary: bool,
    /// Whether it is a new one even if there is one like it.
    #[serde(default)]
    unique: bool,
    /// Why, for the audit log.
    #[schemars(length(max = 400))]
    #[serde(default)]
    reason: Option<String>,
}

fn one_day() -> u32 {
    86_400
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    channel: Id<ChannelMarker>,
    max_age_seconds: u32,
    max_uses: u8,
    temporary: bool,
    unique: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

static SPEC: Spec = Spec {
    name: "create_invite",
    description: "Makes an invite to a channel of this server: a link by which people join. Only \
                  on the order of somebody who may do it themselves.",
    tier: Tier::Destructive,
    retry: RetryClass::Safe,
    works_in_dm: false,
};

#[async_trait]
impl Tool for CreateInvite {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        let channel = match &parameters.channel {
            Some(channel) => scene.channel_or_category(channel).await?,
            None => scene.here,
        };
        let kind = scene.kind(channel).await?;
        if kind.is_some_and(|kind| kind.is_thread() || kind == ChannelKind::Holder) {
            return Err(Problem::unclear(
                "An invite leads to a channel, not to a thread or a category.",
            ));
        }
        Ok(Act {
            channel,
            max_age_seconds: parameters.max_age_seconds,
            max_uses: parameters.max_uses,
            temporary: parameters.temporary,
            unique: parameters.unique,
            reason: reason::one_line(parameters.reason.as_deref(), scene.filter),
        })
    }

    fn needs(&self, act: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        let needed = Permissions::VIEW_CHANNEL | Permissions::CREATE_INVITE;
        Needs::in_channel(act.channel, needed)
    }

    /// Discord gives a like one again, unless it is to be unique.
    fn retry(&self, act: &Act) -> RetryClass {
        if act.unique { RetryClass::Reconcile } else { RetryClass::Safe }
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        #[derive(Deserialize)]
        struct RawInvite {
            code: String,
        }
        // Never `role_ids`: no model hands out roles by a link.
        let path = format!("channels/{}/invites", act.channel);
        let request = Request::new(Method::Post, path.clone(), path, run.home.key(), run.send_by)
            .json(&json!({
                "max_age": act.max_age_seconds,
                "max_uses": act.max_uses,
                "temporary": act.temporary,
                "unique": act.unique,
            }))
            .reason(run.audit_reason);
        let answer = if act.unique {
            run.discord.once(&request).await
        } else {
            run.discord.repeatedly(&request).await
        };
        let error = match answer {
            Ok(answer) => match answer.json::<RawInvite>() {
                Ok(invite) => return made(act, &invite.code, answer.status, run),
                Err(error) => error,
            },
            Err(error) => error,
        };
        if !act.unique || !error.is_in_doubt() {
            return Done::of_write(&error);
        }
        match look(run).await {
            Ok(Some(code)) => made(act, &code, error.status(), run),
            Ok(None) | Err(_) => Done::of_write(&error),
        }
    }

    async fn look_up(&self, act: &Act, run: &Run<'_>) -> Done {
        match look(run).await {
            Ok(Some(code)) => made(act, &code, 200, run),
            // An empty log is not believed where one is new: not every server keeps a log.
            Ok(None) => match has_new_one(act, run).await {
                Ok(false) => Done::failed(0, "It did not get to Discord: there is no such invite."),
                Ok(true) => Done::in_doubt(0),
                Err(error) => Done::in_doubt(error.status()),
            },
            Err(error) => Done::in_doubt(error.status()),
        }
    }
}

/// Returns whether Ery has made an invite to that channel since this execution began; where she may not
/// list them, the log alone tells.
async fn has_new_one(act: &Act, run: &Run<'_>) -> Result<bool, RestError> {
    #[derive(Deserialize)]
    struct Listed {
        inviter: Option<RawUser>,
        created_at: Option<String>,
    }
    if !run.bot_may(act.channel, Permissions::MANAGE_CHANNELS) {
        return Ok(false);
    }
    let path = format!("channels/{}/invites", act.channel);
    let send_by = run.discord.send_by();
    let request = Request::new(Method::Get, path.clone(), path, run.home.key(), send_by);
    let listed: Vec<Listed> = run.discord.repeatedly(&request).await?.json()?;
    let is_it = |invite: &Listed| {
        let made_at = invite.created_at.as_deref().and_then(moment);
        invite.inviter.as_ref().is_some_and(|by| by.id == run.bot)
            && made_at.is_none_or(|at| at >= run.opened_at - audit::CLOCK_SKEW)
    };
    Ok(listed.iter().any(is_it))
}

async fn look(run: &Run<'_>) -> Result<Option<String>, RestError> {
    match run.guild() {
        Some(guild) => audit::find_invite(guild, run).await,
        None => Ok(None),
    }
}

fn made(act: &Act, code: &str, status: u16, run: &Run<'_>) -> Done {
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    let mut fields = Map::new();
    fields.insert("code".into(), json!(code));
    fields.insert("channel".into(), json!(act.channel.to_string()));
    let uses = match act.max_uses {
        0 => "any number of times".to_owned(),
        1 => "once".to_owned(),
        uses => format!("{uses} times"),
    };
    let age = match act.max_age_seconds {
        0 => "for ever".to_owned(),
        age => format!("for {}", text::time_span(age)),
    };
    let channel = act.channel;
    let invite = match run.discord.invite(&code) {
        Some(link) => format!("The invite to <#{channel}> is {link}"),
        None => format!("The code of the invite to <#{channel}> is `{code}`"),
    };
    Done::ok(status, format!("{invite}; it can be used {uses}, {age}."), fields)
}
