use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, MessageMarker, UserMarker},
    },
};

use super::{Done, Run, Tool, reason};
use crate::{
    adapters::discord::{Method, Request, RestError, wire::created_at},
    domain::{
        flow::TO_READ,
        guild::Guild,
        reference,
        tool::{Needs, Owned, RetryClass, Spec, Tier},
    },
    resolve::{Problem, Scene},
};

/// Discord deletes many at once only of what is younger than 14 days; an hour is left for clocks.
const BULK_AGE: Duration = Duration::from_hours(14 * 24 - 1);

/// How many messages are deleted, or looked at, at once.
const MOST: u8 = 100;

/// How many messages are read at once, and how often, to learn which are there.
const PAGE: usize = 100;
const MOST_LOOKS: usize = 10;

/// Discord's codes that say that there is nothing left to be deleted.
const GONE: &[u64] = &[10_003, 10_008];

/// Discord's answers to a deletion of many that it takes only one by one.
const TOO_OLD: u64 = 50_034;
const WRONG_COUNT: u64 = 50_016;

pub(crate) struct DeleteMessage;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// The id of the message, or a link to it.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    message: Option<String>,
    /// The ids of several messages of one channel, instead of message.
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 200)))]
    #[serde(default)]
    messages: Vec<String>,
    /// How many of the newest messages, instead of their ids; those before the message that orders it.
    #[schemars(range(min = 1, max = 100))]
    #[serde(default)]
    latest: Option<u8>,
    /// With latest: only what this member wrote, of the newest 100 messages: an id, a mention or a
    /// name.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    by: Option<String>,
    /// The channel they stand in: its id, a mention or its exact name. Left out: the current one.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    channel: Option<String>,
    /// Why, for the audit log.
    #[schemars(length(max = 400))]
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    channel: Id<ChannelMarker>,
    /// In their order, each once.
    messages: Vec<Id<MessageMarker>>,
    /// Whose it is, if it is one; none where Ery cannot read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    author: Option<Id<UserMarker>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

static SPEC: Spec = Spec {
    name: "delete_message",
    description: "Deletes a message, or up to 100 messages of one channel at once. People delete \
                  their own; those of others only who manages messages. Give message, messages or \
                  latest. Only on an order.",
    tier: Tier::Destructive,
    retry: RetryClass::Safe,
    works_in_dm: false,
};

#[async_trait]
impl Tool for DeleteMessage {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        let Parameters { message, messages, latest, by, channel, reason } = parameters;
        let reason = reason::one_line(reason.as_deref(), scene.filter);
        let named: Vec<String> = message.into_iter().chain(messages).collect();
        if latest.is_some() != named.is_empty() || by.is_some() && latest.is_none() {
            return Err(Problem::unclear(
                "Give either ids in message or messages, or a number in latest, and by with latest \
                 alone.",
            ));
        }
        if let Some(latest) = latest {
            if !(1..=MOST).contains(&latest) {
                return Err(Problem::unclear("I delete 1 to 100 messages at once."));
            }
            let channel = match &channel {
                Some(channel) => scene.channel(channel).await?,
                None => scene.here,
            };
            let author = match &by {
                Some(by) => Some(scene.member(by).await?),
                None => None,
            };
            let messages = newest(scene, channel, latest, author).await?;
            return Ok(Act { channel, messages, author, reason });
        }
        let Some(first) = named.first() else {
            return Err(Problem::unclear("Name the message, or the messages, by their ids."));
        };
        let (channel, first) = scene.message(channel.as_deref(), first).await?;
        let mut messages = vec![first];
        for text in &named[1..] {
            match reference::message(text) {
                Some((of, message)) if of.is_none_or(|of| of == channel) => messages.push(message),
                Some(_) => {
                    return Err(Problem::unclear("Name messages of one and the same channel."));
                }
                None => return Err(Problem::unclear("Name each message by its id.")),
            }
        }
        messages.sort_unstable();
        messages.dedup();
        let author = match messages.as_slice() {
            [one] => scene.read(channel, *one).await?.map(|found| found.author.id),
            _ => None,
        };
        Ok(Act { channel, messages, author, reason })
    }

    fn needs(&self, act: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        let owned = Owned {
            by: act.author,
            others: Permissions::MANAGE_MESSAGES,
            bot: Permissions::MANAGE_MESSAGES,
            own_tier: None,
            is_plan: false,
        };
        Needs { owned: Some(owned), ..Needs::in_channel(act.channel, Permissions::VIEW_CHANNEL) }
    }

    fn tier(&self, act: &Act) -> Tier {
        match act.messages.len() {
            0 => Tier::Read,
            1 => Tier::Reversible,
            _ => Tier::Destructive,
        }
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        if act.messages.is_empty() {
            return Done::failed(
                0,
                "There is no such message among the newest ones that I can read.",
            );
        }
        if let [message] = act.messages.as_slice() {
            let deleted = run.discord.repeatedly(&of_one(act, *message, run)).await;
            return match deleted {
                Ok(answer) => Done::ok(answer.status, "The message was deleted.", fields(act, 1)),
                // Not every server tells by Discord's code that it is gone.
                Err(error) if error.is_in_doubt() || run.is_repeat && error.status() == 404 => {
                    match standing(act, run).await {
                        Ok(Some(there)) if there.is_empty() => {
                            Done::ok(404, "The message was deleted.", fields(act, 1))
                        }
                        Ok(_) | Err(_) => Done::of_write(&error),
                    }
                }
                Err(error) => Done::of_write(&error),
            };
        }
        // Discord deletes many at once whether they are there or not, and tells nothing of that.
        let there = match standing(act, run).await {
            Ok(there) => there,
            Err(error) => return Done::of_read(&error),
        };
        let wanted = match &there {
            Some(there) if there.is_empty() && !run.is_repeat => {
                return Done::failed(0, "None of those messages is in that channel any more.");
            }
            Some(there) => there,
            None => &act.messages,
        };
        let deleted = match delete(act, wanted, run).await {
            Ok(deleted) => deleted,
            Err(error) => return Done::of_write(&error),
        };
        let count = act.messages.len();
        let were = if deleted == 1 { "was" } else { "were" };
        let summary = if there.is_none() {
            format!(
                "Discord took {deleted} of {count} deletions; how many of the messages were there I \
                 could not see."
            )
        } else if run.is_repeat && deleted == wanted.len() {
            format!("Of those {count} messages none is there any more.")
        } else if deleted == count {
            format!("{count} messages were deleted.")
        } else if deleted == wanted.len() {
            format!(
                "{deleted} of {count} messages {were} deleted; the others were not there any more."
            )
        } else {
            format!(
                "{deleted} of {count} messages {were} deleted; the others are left, or gone already."
            )
        };
        Done::ok(204, summary, fields(act, deleted))
    }

    async fn look_up(&self, act: &Act, run: &Run<'_>) -> Done {
        let count = act.messages.len();
        match standing(act, run).await {
            Ok(Some(there)) if there.is_empty() && count == 1 => {
                Done::ok(404, "The message was deleted.", fields(act, 1))
            }
            Ok(Some(there)) if there.is_empty() => {
                let summary = format!("Of those {count} messages none is there any more.");
                Done::ok(404, summary, fields(act, 0))
            }
            Ok(Some(there)) if there.len() == count => {
                Done::failed(0, "It did not get to Discord: nothing was deleted.")
            }
            Ok(_) => Done::in_doubt(0),
            Err(error) => Done::in_doubt(error.status()),
        }
    }
}

/// Deletes messages, as many at once as Discord does; returns how many, and fails only where not one
/// was.
async fn delete(
    act: &Act,
    wanted: &[Id<MessageMarker>],
    run: &Run<'_>,
) -> Result<usize, RestError> {
    let oldest = run.now - BULK_AGE;
    let (young, old): (Vec<_>, Vec<_>) =
        wanted.iter().partition(|message| created_at(message.get()) > oldest);
    // Of one alone, Discord deletes not many at once.
    let (many, mut singly) =
        if young.len() > 1 { (young, old) } else { (vec![], [young, old].concat()) };
    let mut deleted = 0;
    if !many.is_empty() {
        match run.discord.repeatedly(&of_many(act, &many, run)).await {
            Ok(_) => deleted += many.len(),
            // By Discord's clock some are too old after all: one by one, then.
            Err(RestError::Refused { code: TOO_OLD | WRONG_COUNT, .. }) => {
                singly.extend(many);
            }
            Err(error) => return Err(error),
        }
    }
    for message in singly {
        match run.discord.repeatedly(&of_one(act, message, run)).await {
            Ok(_) => deleted += 1,
            Err(RestError::Refused { code: 10_008, .. }) => {}
            Err(error) if deleted == 0 => return Err(error),
            Err(error) => {
                tracing::warn!(error = %error, "not all messages could be deleted");
                break;
            }
        }
    }
    Ok(deleted)
}

/// Returns which of the messages are there, in their order; none where Ery may not read them, or where
/// they lie so far apart that it would take too many looks.
async fn standing(act: &Act, run: &Run<'_>) -> Result<Option<Vec<Id<MessageMarker>>>, RestError> {
    #[derive(Deserialize)]
    struct Listed {
        id: Id<MessageMarker>,
    }
    if !run.bot_may(act.channel, TO_READ) {
        return Ok(None);
    }
    let mut there = Vec::with_capacity(act.messages.len());
    let mut left = act.messages.as_slice();
    for _ in 0..MOST_LOOKS {
        let Some(first) = left.first() else { break };
        let route = format!("channels/{}/messages", act.channel);
        let path = format!("{route}?limit={PAGE}&after={}", first.get() - 1);
        let request = Request::new(Method::Get, route, path, run.home.key(), run.send_by);
        let read = match run.discord.repeatedly(&request).await {
            Ok(answer) => answer.json::<Vec<Listed>>()?,
            Err(RestError::Refused { status: 403, .. } | RestError::RefusedBefore { .. }) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        // A page tells of all up to its last message; one that is not full of all there are.
        let last = read.iter().map(|message| message.id).max();
        let end = match last {
            Some(last) if read.len() >= PAGE => left.partition_point(|wanted| *wanted <= last),
            _ => left.len(),
        };
        let (told, rest) = left.split_at(end.max(1));
        there.extend(told.iter().filter(|id| read.iter().any(|message| message.id == **id)));
        left = rest;
    }
    Ok(left.is_empty().then_some(there))
}

/// Returns the newest messages of a channel, or those of them that somebody wrote; perhaps none,
/// which is told only to those who may delete there.
async fn newest(
    scene: &Scene<'_>,
    channel: Id<ChannelMarker>,
    count: u8,
    author: Option<Id<UserMarker>>,
) -> Result<Vec<Id<MessageMarker>>, Problem> {
    let looked_at = if author.is_some() { MOST } else { count };
    let found = scene.latest(channel, looked_at).await?;
    let mut messages: Vec<_> = found
        .iter()
        .filter(|message| author.is_none_or(|author| message.author.id == author))
        .map(|message| message.id)
        .take(usize::from(count))
        .collect();
    messages.sort_unstable();
    Ok(messages)
}

fn of_one(act: &Act, message: Id<MessageMarker>, run: &Run<'_>) -> Request {
    let channel = act.channel;
    let path = format!("channels/{channel}/messages/{message}");
    let route = format!("channels/{channel}/messages/id");
    Request::new(Method::Delete, route, path, run.home.key(), run.send_by)
        .reason(run.audit_reason)
        .done_if(GONE, run.is_repeat)
}

fn of_many(act: &Act, messages: &[Id<MessageMarker>], run: &Run<'_>) -> Request {
    let path = format!("channels/{}/messages/bulk-delete", act.channel);
    Request::new(Method::Post, path.clone(), path, run.home.key(), run.send_by)
        .json(&json!({ "messages": messages }))
        .reason(run.audit_reason)
        .done_if(GONE, run.is_repeat)
}

fn fields(act: &Act, deleted: usize) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("channel".into(), json!(act.channel.to_string()));
    fields.insert("deleted".into(), json!(deleted));
    fields
}
