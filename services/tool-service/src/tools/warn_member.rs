use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, UserMarker},
    },
};

use super::{Done, Run, Tool, reason, sending::SUPPRESS_EMBEDS};
use crate::{
    adapters::discord::{
        Method, Request, RestError,
        wire::{RawChannel, RawMessage},
    },
    domain::{
        guild::Guild,
        permissions,
        tool::{AlsoIn, Needs, RetryClass, Spec, Subject, SubjectAct, Tier},
    },
    resolve::{Problem, Scene},
};

pub(crate) struct WarnMember;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// The member: a mention, their id, or their exact name.
    #[schemars(length(min = 1, max = 200))]
    member: String,
    /// What they are warned for; they read it, and so does whoever looks at the moderation log.
    #[schemars(length(min = 1, max = 400))]
    #[serde(default)]
    reason: Option<String>,
    /// How they are told: by a message in this `channel`, by a direct message (`dm`), or not at all
    /// (`none`).
    #[serde(default)]
    notice: Notice,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Notice {
    #[default]
    Channel,
    Dm,
    None,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    member: Id<UserMarker>,
    notice: Notice,
    /// Where it is told, if in a channel.
    channel: Id<ChannelMarker>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

static SPEC: Spec = Spec {
    name: "warn_member",
    description: "Warns a member: the warning is kept in the moderation log, and the member is \
                  told. Only on the order of somebody who may time members out.",
    tier: Tier::Reversible,
    retry: RetryClass::Nonce,
    works_in_dm: false,
};

#[async_trait]
impl Tool for WarnMember {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        let member = scene.member(&parameters.member).await?;
        let reason = reason::one_line(parameters.reason.as_deref(), scene.filter);
        Ok(Act { member, notice: parameters.notice, channel: scene.here, reason })
    }

    fn needs(&self, act: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        // What Ery says there for somebody, they could say there themselves.
        let to_tell = Permissions::VIEW_CHANNEL | Permissions::SEND_MESSAGES;
        let also_in = (act.notice == Notice::Channel).then(|| AlsoIn {
            channel: act.channel,
            bot: Permissions::empty(),
            asker: to_tell,
        });
        Needs {
            also_in: also_in.into_iter().collect(),
            subjects: vec![Subject { user: act.member, act: SubjectAct::Warn }],
            // The warning stands even where Ery cannot tell it.
            bot: Permissions::empty(),
            ..Needs::in_guild(Permissions::MODERATE_MEMBERS)
        }
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        match act.notice {
            Notice::None => warned(act, "not_wanted", "", 0),
            Notice::Channel => in_channel(act, run).await,
            Notice::Dm => by_dm(act, run).await,
        }
    }

    /// The warning is its record; only whether it was told is not known any more.
    async fn look_up(&self, act: &Act, _: &Run<'_>) -> Done {
        warned(act, "unknown", " I do not know whether they were told.", 0)
    }
}

async fn in_channel(act: &Act, run: &Run<'_>) -> Done {
    let kind = run.state.and_then(|state| state.channel(act.channel)).map(|channel| channel.kind);
    let to_send = kind.map_or(Permissions::SEND_MESSAGES, permissions::to_send);
    if !run.bot_may(act.channel, Permissions::VIEW_CHANNEL | to_send) {
        return warned(act, "failed", NOT_TOLD_HERE, 0);
    }
    match run.discord.repeatedly(&message(act, act.channel, run).await).await {
        Ok(answer) => {
            let done = warned(act, "channel", "", answer.status);
            let Ok(message) = answer.json::<RawMessage>() else { return done };
            let bot = run.state.and_then(|state| state.member(state.bot));
            let name = bot.map(|bot| bot.name().to_owned());
            let mut message = message.into_message(run.guild(), name.as_deref(), run.bot);
            run.nonce.clone_into(&mut message.nonce);
            Done { sent: Some(message), ..done }
        }
        Err(error) => not_told(act, &error),
    }
}

async fn by_dm(act: &Act, run: &Run<'_>) -> Done {
    let open = Request::new(
        Method::Post,
        "users/@me/channels",
        "users/@me/channels",
        run.home.key(),
        run.send_by,
    )
    .json(&json!({ "recipient_id": act.member.to_string() }))
    .about(act.member);
    let answer = run.discord.repeatedly(&open).await;
    let channel = match answer.and_then(|answer| answer.json::<RawChannel>()) {
        Ok(channel) => channel.id,
        Err(error) => return not_told(act, &error),
    };
    let message = message(act, channel, run).await.about(act.member);
    match run.discord.repeatedly(&message).await {
        Ok(answer) => warned(act, "dm", " They were told by a direct message.", answer.status),
        Err(error) => not_told(act, &error),
    }
}

async fn message(act: &Act, channel: Id<ChannelMarker>, run: &Run<'_>) -> Request {
    let language = run.policy.language;
    let of = if let (Notice::Dm, Some(state)) = (act.notice, run.state) {
        let server = crate::domain::text::name(&state.guild.name);
        language.say("warned-on-server", &[("server", (&server).into())])
    } else {
        let person = format!("<@{}>", act.member);
        language.say("warned-here", &[("person", (&person).into())])
    };
    let content = match &act.reason {
        Some(reason) => format!("{of}: {reason}"),
        None => format!("{of}."),
    };
    let notified = run.notified_in(channel, &[act.member]).await;
    let path = format!("channels/{channel}/messages");
    Request::new(Method::Post, path.clone(), path, run.home.key(), run.send_by).json(&json!({
        "content": content,
        "nonce": run.nonce,
        "enforce_nonce": true,
        "allowed_mentions": { "parse": [], "users": notified, "replied_user": false },
        "flags": SUPPRESS_EMBEDS,
    }))
}

const NOT_TOLD_HERE: &str = " I could not tell them in this channel.";

fn not_told(act: &Act, error: &RestError) -> Done {
    tracing::info!(error = %error, "a warning could not be told");
    let (notice, remark) = if error.is_in_doubt() {
        ("unknown", " I do not know whether they were told.")
    } else {
        match act.notice {
            Notice::Dm => ("failed", " I could not send them a direct message."),
            Notice::Channel | Notice::None => ("failed", NOT_TOLD_HERE),
        }
    };
    warned(act, notice, remark, error.status())
}

fn warned(act: &Act, notice: &str, remark: &str, status: u16) -> Done {
    let mut fields = Map::new();
    fields.insert("member".into(), json!(act.member.to_string()));
    fields.insert("notice".into(), json!(notice));
    let why = act.reason.as_ref().map(|reason| format!(" for: {reason}")).unwrap_or_default();
    Done::ok(status, format!("<@{}> is warned{why}.{remark}", act.member), fields)
}
