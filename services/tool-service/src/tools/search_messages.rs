use std::{cmp::Reverse, collections::HashSet, time::Duration};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, UserMarker},
    },
};

use super::{Done, Run, Tool, listing};
use crate::{
    adapters::discord::{
        Answer, Method, Request, RestError,
        wire::{RawMessage, Readable},
    },
    domain::{
        guild::Guild,
        reference, text,
        tool::{Needs, Reads, RetryClass, Spec, Tier},
    },
    resolve::{Problem, Scene},
};

/// The most channels that Discord takes in one search.
const MAX_CHANNELS: usize = 500;

/// How long to wait for the search index where Discord says only "a short while".
const SHORT_WHILE: Duration = Duration::from_millis(500);

pub(crate) struct SearchMessages;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// Words that the messages contain.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default)]
    query: Option<String>,
    /// Who wrote them: a mention, an id, or an exact name.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    author: Option<String>,
    /// The channel: its id, a mention or its exact name. Left out: all that the asker can read.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    channel: Option<String>,
    /// Whom they mention: a mention, an id, or an exact name.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    mentions: Option<String>,
    /// What they have.
    #[serde(default)]
    has: Option<Has>,
    /// Whether they are pinned.
    #[serde(default)]
    pinned: Option<bool>,
    /// Only messages before this message id.
    #[schemars(length(min = 1, max = 20))]
    #[serde(default)]
    before: Option<String>,
    /// Only messages after this message id.
    #[schemars(length(min = 1, max = 20))]
    #[serde(default)]
    after: Option<String>,
    /// Which come first.
    #[serde(default)]
    order: Order,
    /// How many of those that were found to pass over.
    #[schemars(range(min = 0, max = 9975))]
    #[serde(default)]
    offset: u16,
    /// How many messages.
    #[schemars(range(min = 1, max = 25))]
    #[serde(default = "ten")]
    limit: u8,
}

#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Has {
    Link,
    Embed,
    File,
    Image,
    Video,
    Sound,
    Poll,
}

impl Has {
    fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Embed => "embed",
            Self::File => "file",
            Self::Image => "image",
            Self::Video => "video",
            Self::Sound => "sound",
            Self::Poll => "poll",
        }
    }

    /// Returns whether a message may have it, itself or by what it forwards: not every server that is asked
    /// for it looks.
    fn may_be_in(self, message: &RawMessage) -> bool {
        let forwarded = || message.message_snapshots.iter().map(|snapshot| &snapshot.message);
        let has_files =
            !message.attachments.is_empty() || forwarded().any(|of| !of.attachments.is_empty());
        let has_embeds = !message.embeds.is_empty() || forwarded().any(|of| !of.embeds.is_empty());
        let says = |what: &str| {
            message.content.contains(what) || forwarded().any(|of| of.content().contains(what))
        };
        match self {
            Self::File => has_files,
            Self::Poll => message.poll.is_some(),
            Self::Embed => has_embeds,
            Self::Link => has_embeds || says("://"),
            // Embeds show them, too.
            Self::Image | Self::Video | Self::Sound => has_files || has_embeds,
        }
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Order {
    #[default]
    Newest,
    Oldest,
    Relevance,
}

fn ten() -> u8 {
    10
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    author: Option<Id<UserMarker>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channel: Option<Id<ChannelMarker>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mentions: Option<Id<UserMarker>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    has: Option<Has>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pinned: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<u64>,
    #[serde(default)]
    order: Order,
    #[serde(default)]
    offset: u16,
    limit: u8,
}

static SPEC: Spec = Spec {
    name: "search_messages",
    description: "Searches the server's messages, in one channel or in all that may be read: by \
                  words, author, whom they mention, what they have, whether they are pinned. Give \
                  at least one of these. The newest come first unless told otherwise.",
    tier: Tier::Read,
    retry: RetryClass::Safe,
    works_in_dm: false,
};

#[async_trait]
impl Tool for SearchMessages {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        let query = parameters.query.map(|query| text::visible(&query).trim().to_owned());
        let query = query.filter(|query| !query.is_empty());
        let has_criterion = query.is_some()
            || parameters.author.is_some()
            || parameters.mentions.is_some()
            || parameters.has.is_some()
            || parameters.pinned.is_some();
        if !has_criterion {
            return Err(Problem::unclear("Say what to look for: words, an author, or both."));
        }
        let mentions = match &parameters.mentions {
            Some(member) => Some(scene.member(member).await?),
            None => None,
        };
        let id = |text: Option<String>| match text {
            None => Ok(None),
            Some(text) => reference::id(&text)
                .map(Some)
                .ok_or_else(|| Problem::unclear("Name a message by its id.")),
        };
        let author = match &parameters.author {
            Some(author) => Some(scene.member(author).await?),
            None => None,
        };
        let channel = match &parameters.channel {
            Some(channel) => Some(scene.channel(channel).await?),
            None => None,
        };
        Ok(Act {
            query,
            author,
            channel,
            mentions,
            has: parameters.has,
            pinned: parameters.pinned,
            before: id(parameters.before)?,
            after: id(parameters.after)?,
            order: parameters.order,
            offset: parameters.offset,
            limit: parameters.limit,
        })
    }

    fn needs(&self, act: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        Needs {
            reads: match act.channel {
                Some(channel) => Reads::Channels(vec![channel]),
                None => Reads::WhatMayBeRead { at_most: MAX_CHANNELS },
            },
            ..Needs::in_guild(Permissions::empty())
        }
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        let Some(guild) = run.guild() else {
            return Done::failed(0, "I cannot do that in a direct message.");
        };
        let route = format!("guilds/{guild}/messages/search");
        let path = format!("{route}?{}", query(act, run.reads));
        let request = Request::new(Method::Get, route, path, guild.get(), run.send_by);
        loop {
            let answer = match run.discord.repeatedly(&request).await {
                Ok(answer) => answer,
                Err(error) => return Done::of_read(&error),
            };
            if answer.status != 202 {
                return match found(&answer, act, run) {
                    Ok(done) => done,
                    Err(error) => Done::of_read(&error),
                };
            }
            let wait = until_indexed(&answer);
            if !run.discord.has_time(&request, wait) {
                return Done::failed(
                    202,
                    "Discord is still preparing its search for this server; try again in a minute.",
                );
            }
            tokio::time::sleep(wait).await;
        }
    }
}

fn query(act: &Act, channels: &[Id<ChannelMarker>]) -> String {
    let order = match act.order {
        Order::Newest => "sort_by=timestamp&sort_order=desc",
        Order::Oldest => "sort_by=timestamp&sort_order=asc",
        Order::Relevance => "sort_by=relevance&sort_order=desc",
    };
    let mut query = format!("limit={}&{order}", act.limit);
    let mut add = |name: &str, value: &str| {
        query.push('&');
        query.push_str(name);
        query.push('=');
        query.push_str(&text::percent_encoded(value));
    };
    if let Some(words) = &act.query {
        add("content", words);
    }
    if let Some(author) = act.author {
        add("author_id", &author.to_string());
    }
    if let Some(mentions) = act.mentions {
        add("mentions", &mentions.to_string());
    }
    if let Some(has) = act.has {
        add("has", has.as_str());
    }
    if let Some(pinned) = act.pinned {
        add("pinned", &pinned.to_string());
    }
    for (name, id) in [("max_id", act.before), ("min_id", act.after)] {
        if let Some(id) = id {
            add(name, &id.to_string());
        }
    }
    if act.offset > 0 {
        add("offset", &act.offset.to_string());
    }
    for channel in channels {
        add("channel_id", &channel.to_string());
    }
    query
}

fn until_indexed(answer: &Answer) -> Duration {
    #[derive(Deserialize)]
    struct NotIndexed {
        #[serde(default)]
        retry_after: f64,
    }
    let told = answer.json::<NotIndexed>().map_or(0.0, |body| body.retry_after);
    Duration::try_from_secs_f64(told).unwrap_or(Duration::MAX).max(SHORT_WHILE)
}

fn found(answer: &Answer, act: &Act, run: &Run<'_>) -> Result<Done, RestError> {
    #[derive(Deserialize)]
    struct Found {
        #[serde(default)]
        messages: Vec<Readable<RawMessage>>,
        #[serde(default)]
        total_results: u64,
    }
    let found: Found = answer.json()?;
    let mut messages: Vec<RawMessage> =
        found.messages.into_iter().flat_map(|found| found.items).collect();
    // Discord was told the channels; what it finds elsewhere all the same is not shown.
    messages.retain(|message| run.reads.contains(&message.channel_id));
    messages.retain(|message| act.author.is_none_or(|author| message.author.id == author));
    // Where a message says that it does not fit, it does not.
    let may_differ = |message: &RawMessage| act.pinned.is_none() || message.pinned.is_none();
    messages.retain(|message| may_differ(message) || message.pinned == act.pinned);
    messages.retain(|message| act.has.is_none_or(|has| has.may_be_in(message)));
    // Discord's bounds hold the messages themselves, too.
    messages.retain(|message| act.before.is_none_or(|before| message.id.get() < before));
    messages.retain(|message| act.after.is_none_or(|after| message.id.get() > after));
    // Those that are wanted most come last: if not all fit, they are kept.
    match act.order {
        Order::Newest => messages.sort_unstable_by_key(|message| message.id),
        Order::Oldest => messages.sort_unstable_by_key(|message| Reverse(message.id)),
        Order::Relevance => messages.reverse(),
    }
    let mut seen = HashSet::with_capacity(messages.len());
    messages.retain(|message| seen.insert(message.id));
    let mut listed = listing::list(&messages, run);
    for (shown, message) in listed.messages.iter_mut().zip(&messages[listed.cut..]) {
        shown["channel"] = Value::String(message.channel_id.to_string());
    }
    let first = match act.order {
        Order::Newest => "the oldest of them",
        Order::Oldest => {
            listed.messages.reverse();
            "the oldest of them"
        }
        Order::Relevance => {
            listed.messages.reverse();
            "what fits best"
        }
    };
    let count = listed.messages.len();
    let total = found.total_results.max(u64::try_from(count).unwrap_or(u64::MAX));
    let summary = match count {
        0 => "Nothing was found in the channels that may be read here.".to_owned(),
        count => {
            let total = text::counted(total, "message", "messages");
            format!("{count} of {total} found, {first} first{}.", listed.remark())
        }
    };
    let mut fields = Map::new();
    fields.insert("messages".into(), Value::Array(listed.messages));
    Ok(Done::ok(answer.status, summary, fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_have_it_is_not_shown() {
        let message = |more: Value| -> RawMessage {
            let mut message = serde_json::json!({
                "id": "5", "channel_id": "2", "author": {"id": "7"}, "content": "plain",
            });
            message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value(message).unwrap()
        };
        let plain = message(serde_json::json!({}));
        let with_file = message(serde_json::json!({"attachments": [{"filename": "a.png"}]}));
        let with_link = message(serde_json::json!({"content": "see https://example.org"}));
        let with_embed = message(serde_json::json!({"embeds": [{"title": "t"}]}));
        let all = [Has::Link, Has::Embed, Has::File, Has::Image, Has::Video, Has::Sound, Has::Poll];
        let had = |message: &RawMessage| -> Vec<&str> {
            let had = all.into_iter().filter(|has| has.may_be_in(message));
            had.map(Has::as_str).collect()
        };
        assert!(had(&plain).is_empty());
        assert_eq!(had(&with_file), ["file", "image", "video", "sound"]);
        assert_eq!(had(&with_link), ["link"]);
        let forwards =
            |of: Value| message(serde_json::json!({"message_snapshots": [{"message": of}]}));
        assert_eq!(
            had(&forwards(serde_json::json!({"content": "", "attachments": [{"id": "1"}]}))),
            ["file", "image", "video", "sound"]
        );
        assert_eq!(had(&forwards(serde_json::json!({"content": "https://example.org"}))), ["link"]);
        assert_eq!(had(&forwards(serde_json::json!({"embeds": [{}]}))), had(&with_embed));
        assert!(had(&forwards(serde_json::json!({"content": "plain"}))).is_empty());
        assert_eq!(had(&with_embed), ["link", "embed", "image", "video", "sound"]);
    }
}
