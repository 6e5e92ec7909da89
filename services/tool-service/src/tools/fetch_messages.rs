use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, MessageMarker},
};

use super::{Done, Run, Tool, listing};
use crate::{
    adapters::discord::{
        Method, Request,
        wire::{RawMessage, Readable},
    },
    domain::{
        flow::TO_READ,
        guild::Guild,
        reference, text,
        tool::{Needs, Reads, RetryClass, Spec, Tier},
    },
    resolve::{Problem, Scene},
};

pub(crate) struct FetchMessages;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// The channel: its id, a mention or its exact name. Left out: the current channel.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    channel: Option<String>,
    /// How many messages.
    #[schemars(range(min = 1, max = 100))]
    #[serde(default = "fifty")]
    limit: u8,
    /// Only messages before this message id.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    before: Option<String>,
    /// The messages next after this message id.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    after: Option<String>,
    /// Messages around this message id.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    around: Option<String>,
    /// Only this one message: its id, or a link to it.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    message: Option<String>,
}

fn fifty() -> u8 {
    50
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    channel: Id<ChannelMarker>,
    limit: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Id<MessageMarker>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Id<MessageMarker>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    around: Option<Id<MessageMarker>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<Id<MessageMarker>>,
}

static SPEC: Spec = Spec {
    name: "fetch_messages",
    description: "Reads messages of a channel, the newest ones unless told otherwise, in the \
                  order in which they were written. Give at most one of before, after, around and \
                  message.",
    tier: Tier::Read,
    retry: RetryClass::Safe,
    works_in_dm: true,
};

#[async_trait]
impl Tool for FetchMessages {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        let anchors =
            [&parameters.before, &parameters.after, &parameters.around, &parameters.message];
        if anchors.into_iter().flatten().count() > 1 {
            return Err(Problem::unclear("Give only one of before, after, around and message."));
        }
        if let Some(message) = &parameters.message {
            let (channel, message) = scene.message(parameters.channel.as_deref(), message).await?;
            let message = Some(message);
            return Ok(Act { channel, limit: 1, before: None, after: None, around: None, message });
        }
        let channel = match &parameters.channel {
            Some(channel) => scene.channel(channel).await?,
            None => scene.here,
        };
        let id = |text: Option<String>| match text {
            None => Ok(None),
            Some(text) => match reference::message(&text) {
                Some((None, message)) => Ok(Some(message)),
                Some((Some(of), message)) if of == channel => Ok(Some(message)),
                _ => Err(Problem::unclear("Name the message by its id, in that channel.")),
            },
        };
        Ok(Act {
            channel,
            limit: parameters.limit,
            before: id(parameters.before)?,
            after: id(parameters.after)?,
            around: id(parameters.around)?,
            message: None,
        })
    }

    fn needs(&self, act: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        Needs {
            reads: Reads::Channels(vec![act.channel]),
            ..Needs::in_channel(act.channel, TO_READ)
        }
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        if let Some(message) = act.message {
            return one(act.channel, message, run).await;
        }
        let route = format!("channels/{}/messages", act.channel);
        let anchor = match (act.before, act.after, act.around) {
            (Some(id), _, _) => format!("&before={id}"),
            (_, Some(id), _) => format!("&after={id}"),
            (_, _, Some(id)) => format!("&around={id}"),
            (None, None, None) => String::new(),
        };
        let path = format!("{route}?limit={}{anchor}", act.limit);
        let request = Request::new(Method::Get, route, path, run.home.key(), run.send_by);
        let read = run.discord.repeatedly(&request).await;
        let read = read
            .and_then(|answer| Ok((answer.status, answer.json::<Readable<RawMessage>>()?.items)));
        match read {
            Ok((status, mut messages)) => {
                messages.retain(|message| message.channel_id == act.channel);
                messages.sort_unstable_by_key(|message| message.id);
                let listed = listing::list(&messages, run);
                let summary = format!(
                    "{} of <#{}>, the oldest first{}.",
                    text::counted(listed.messages.len(), "message", "messages"),
                    act.channel,
                    listed.remark()
                );
                let mut fields = Map::new();
                fields.insert("channel".into(), Value::String(act.channel.to_string()));
                fields.insert("messages".into(), Value::Array(listed.messages));
                Done::ok(status, summary, fields)
            }
            Err(error) => Done::of_read(&error),
        }
    }
}

async fn one(channel: Id<ChannelMarker>, message: Id<MessageMarker>, run: &Run<'_>) -> Done {
    let path = format!("channels/{channel}/messages/{message}");
    let route = format!("channels/{channel}/messages/id");
    let request = Request::new(Method::Get, route, path, run.home.key(), run.send_by);
    let read = run.discord.repeatedly(&request).await;
    match read.and_then(|answer| Ok((answer.status, answer.json::<RawMessage>()?))) {
        Ok((status, message)) if message.channel_id == channel => {
            let listed = listing::list(&[message], run);
            let mut fields = Map::new();
            fields.insert("channel".into(), Value::String(channel.to_string()));
            fields.insert("messages".into(), Value::Array(listed.messages));
            Done::ok(status, format!("One message of <#{channel}>."), fields)
        }
        Ok((status, _)) => Done::failed(status, "That message does not exist in this channel."),
        Err(error) => Done::of_read(&error),
    }
}
