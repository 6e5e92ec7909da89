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

use super::{
    Done, Run, Tool,
    sending::{Outgoing, Sent},
};
use crate::{
    adapters::discord::{Method, Request, RestError, wire::RawChannel},
    domain::{
        guild::Guild,
        output::MAX_CONTENT,
        tool::{Needs, Owned, RetryClass, Spec, Subject, SubjectAct, Tier},
    },
    resolve::{Problem, Scene},
};

pub(crate) struct SendDm;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// The member: a mention, their id, or their exact name.
    #[schemars(length(min = 1, max = 200))]
    member: String,
    /// What to say, in Discord's Markdown.
    #[schemars(length(min = 1, max = 2000))]
    content: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    member: Id<UserMarker>,
    content: String,
    /// Whether Discord shows no previews: some link leads to a host that nobody vouches for.
    suppress_embeds: bool,
}

static SPEC: Spec = Spec {
    name: "send_dm",
    description: "Sends a direct message to a member of this server. To whoever asked at any \
                  time; to others only on the order of a moderator.",
    tier: Tier::Destructive,
    retry: RetryClass::Nonce,
    works_in_dm: false,
};

#[async_trait]
impl Tool for SendDm {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        let filtered = scene.filter.filtered(&parameters.content);
        let length = filtered.content.chars().count();
        if filtered.content.trim().is_empty() {
            return Err(Problem::unclear("The content is empty."));
        }
        if length > MAX_CONTENT {
            return Err(Problem::unclear(format!(
                "The content has {length} characters; Discord takes {MAX_CONTENT}. Shorten it."
            )));
        }
        Ok(Act {
            member: scene.member(&parameters.member).await?,
            content: filtered.content,
            suppress_embeds: filtered.without_previews,
        })
    }

    fn needs(&self, act: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        let owned = Owned {
            by: Some(act.member),
            others: Permissions::MODERATE_MEMBERS,
            bot: Permissions::empty(),
            own_tier: Some(Tier::Harmless),
            is_plan: false,
        };
        Needs {
            owned: Some(owned),
            subjects: vec![Subject { user: act.member, act: SubjectAct::Address }],
            ..Needs::in_guild(Permissions::empty())
        }
    }

    fn least_tier(&self) -> Tier {
        Tier::Harmless
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        let channel = match open(act, run).await {
            Ok(channel) => channel,
            // Nothing was said yet, whatever became of it.
            Err(error) => return Done::of_read(&error),
        };
        match outgoing(act, channel).send(run).await {
            Ok(sent) => told(act, &sent),
            Err(done) => done,
        }
    }

    async fn look_up(&self, act: &Act, run: &Run<'_>) -> Done {
        match open(act, run).await {
            Ok(channel) => match outgoing(act, channel).look_up(run).await {
                Ok(sent) => told(act, &sent),
                Err(done) => done,
            },
            Err(error) => Done::in_doubt(error.status()),
        }
    }
}

/// Returns the channel of direct messages with somebody; Discord has one, however often it is
/// opened.
async fn open(act: &Act, run: &Run<'_>) -> Result<Id<ChannelMarker>, RestError> {
    let path = "users/@me/channels";
    let request = Request::new(Method::Post, path, path, run.home.key(), run.send_by)
        .json(&json!({ "recipient_id": act.member }))
        .about(act.member);
    Ok(run.discord.repeatedly(&request).await?.json::<RawChannel>()?.id)
}

fn outgoing(act: &Act, channel: Id<ChannelMarker>) -> Outgoing<'_> {
    Outgoing {
        channel,
        content: &act.content,
        embeds: &[],
        poll: None,
        files: &[],
        stickers: &[],
        reply_to: None,
        mention_users: &[],
        suppress_embeds: act.suppress_embeds,
        components: None,
    }
}

/// The message is not told to the store: a direct message is at home elsewhere (HOME).
fn told(act: &Act, sent: &Sent) -> Done {
    let mut fields = Map::new();
    fields.insert("member".into(), Value::String(act.member.to_string()));
    let summary = format!("The direct message to <@{}> was sent.", act.member);
    Done::ok(sent.status, summary, fields)
}
