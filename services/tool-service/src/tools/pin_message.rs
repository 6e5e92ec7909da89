use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, MessageMarker},
    },
};

use super::{Done, Run, Tool, listing, reason, threads};
use crate::{
    adapters::discord::{
        Method, Request,
        wire::{RawMessage, Readable},
    },
    domain::{
        flow::TO_READ,
        guild::Guild,
        text,
        tool::{Needs, Reads, RetryClass, Spec, Tier},
    },
    resolve::{Problem, Scene},
};

pub(crate) struct PinMessage;

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    Pin,
    Unpin,
    List,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// What to do: pin a message, unpin it, or list what is pinned.
    action: Action,
    /// The id of the message, or a link to it; not to list.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    message: Option<String>,
    /// The channel: its id, a mention or its exact name. Left out: the current one.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    channel: Option<String>,
    /// How many to list.
    #[schemars(range(min = 1, max = 50))]
    #[serde(default = "fifty")]
    limit: u8,
    /// To list on: pinned before this moment, as an earlier list told it.
    #[schemars(length(min = 1, max = 40))]
    #[serde(default)]
    before: Option<String>,
    /// Why, for the audit log.
    #[schemars(length(max = 400))]
    #[serde(default)]
    reason: Option<String>,
}

fn fifty() -> u8 {
    50
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "action")]
pub(crate) enum Act {
    Pin(Pinned),
    Unpin(Pinned),
    List {
        channel: Id<ChannelMarker>,
        limit: u8,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<String>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pinned {
    channel: Id<ChannelMarker>,
    message: Id<MessageMarker>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

static SPEC: Spec = Spec {
    name: "pin_message",
    description: "Pins a message to its channel, takes the pin away, or lists what is pinned. \
                  Pinning and unpinning only on an order.",
    tier: Tier::Reversible,
    retry: RetryClass::Safe,
    works_in_dm: false,
};

#[async_trait]
impl Tool for PinMessage {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        let named = parameters.channel.as_deref();
        match (parameters.action, &parameters.message) {
            (Action::List, Some(_)) => Err(Problem::unclear("To list pins, name no message.")),
            (Action::List, None) => {
                let before = match parameters.before {
                    Some(before) if crate::adapters::discord::wire::moment(&before).is_none() => {
                        return Err(Problem::unclear("Give before as an ISO 8601 time stamp."));
                    }
                    before => before,
                };
                let channel = match named {
                    Some(channel) => scene.channel(channel).await?,
                    None => scene.here,
                };
                Ok(Act::List { channel, limit: parameters.limit, before })
            }
            (_, None) => Err(Problem::unclear("Name the message by its id.")),
            (action, Some(message)) => {
                let (channel, message) = scene.message(named, message).await?;
                let reason = reason::one_line(parameters.reason.as_deref(), scene.filter);
                let pinned = Pinned { channel, message, reason };
                Ok(if action == Action::Pin { Act::Pin(pinned) } else { Act::Unpin(pinned) })
            }
        }
    }

    fn needs(&self, act: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        match act {
            Act::Pin(pinned) | Act::Unpin(pinned) => {
                Needs::in_channel(pinned.channel, TO_READ | Permissions::PIN_MESSAGES)
            }
            Act::List { channel, .. } => Needs {
                reads: Reads::Channels(vec![*channel]),
                ..Needs::in_channel(*channel, TO_READ)
            },
        }
    }

    fn tier(&self, act: &Act) -> Tier {
        match act {
            Act::Pin(_) | Act::Unpin(_) => Tier::Reversible,
            Act::List { .. } => Tier::Read,
        }
    }

    fn least_tier(&self) -> Tier {
        Tier::Read
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        match act {
            Act::Pin(pinned) => set(Method::Put, pinned, "The message is pinned.", run).await,
            Act::Unpin(pinned) => {
                set(Method::Delete, pinned, "The message is not pinned any more.", run).await
            }
            Act::List { channel, limit, before } => {
                list(*channel, *limit, before.as_deref(), run).await
            }
        }
    }
}

async fn set(method: Method, pinned: &Pinned, summary: &str, run: &Run<'_>) -> Done {
    let (channel, message) = (pinned.channel, pinned.message);
    let route = format!("channels/{channel}/messages/pins");
    let path = format!("{route}/{message}");
    let request = Request::new(method, format!("{route}/id"), path, run.home.key(), run.send_by)
        .reason(run.audit_reason);
    match threads::repeatedly(&request, channel, run).await {
        Ok(answer) => {
            let mut fields = Map::new();
            fields.insert("message".into(), Value::String(message.to_string()));
            fields.insert("channel".into(), Value::String(channel.to_string()));
            Done::ok(answer.status, summary, fields)
        }
        Err(error) => Done::of_write(&error),
    }
}

async fn list(channel: Id<ChannelMarker>, limit: u8, before: Option<&str>, run: &Run<'_>) -> Done {
    #[derive(Deserialize)]
    struct Pins {
        items: Readable<Pin>,
        #[serde(default)]
        has_more: bool,
    }
    #[derive(Deserialize)]
    struct Pin {
        pinned_at: String,
        message: RawMessage,
    }
    let route = format!("channels/{channel}/messages/pins");
    let before = before
        .map(|before| format!("&before={}", text::percent_encoded(before)))
        .unwrap_or_default();
    let path = format!("{route}?limit={limit}{before}");
    let request = Request::new(Method::Get, route, path, run.home.key(), run.send_by);
    let read = run.discord.repeatedly(&request).await;
    let (status, pins) = match read.and_then(|read| Ok((read.status, read.json::<Pins>()?))) {
        Ok(read) => read,
        Err(error) => return Done::of_read(&error),
    };
    let oldest = pins.items.items.last().map(|pin| pin.pinned_at.clone());
    let mut messages: Vec<RawMessage> =
        pins.items.items.into_iter().map(|pin| pin.message).collect();
    messages.retain(|message| message.channel_id == channel);
    messages.sort_unstable_by_key(|message| message.id);
    let listed = listing::list(&messages, run);
    let summary = format!(
        "{} of <#{channel}>, the oldest first{}{}.",
        text::counted(listed.messages.len(), "pinned message", "pinned messages"),
        listed.remark(),
        if pins.has_more { "; more were pinned before" } else { "" },
    );
    let mut fields = Map::new();
    fields.insert("channel".into(), json!(channel.to_string()));
    fields.insert("messages".into(), Value::Array(listed.messages));
    if let Some(oldest) = oldest.filter(|_| pins.has_more) {
        fields.insert("before".into(), json!(oldest));
    }
    Done::ok(status, summary, fields)
}
