//! What Discord tells of a server's channels.

use serde::Deserialize;
use serde_json::{Value, json};
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, GuildMarker},
};

use super::Run;
use crate::{
    adapters::discord::{Method, Request, RestError},
    domain::text,
};

/// How much of a topic is shown in a list.
const MAX_TOPIC: usize = 200;

/// A channel, with what people see of it.
#[derive(Debug, Deserialize)]
pub(super) struct RawPlace {
    pub(super) id: Id<ChannelMarker>,
    #[serde(rename = "type")]
    pub(super) kind: u8,
    #[serde(default)]
    pub(super) position: i64,
    pub(super) name: Option<String>,
    pub(super) topic: Option<String>,
    pub(super) parent_id: Option<Id<ChannelMarker>>,
    #[serde(default)]
    pub(super) nsfw: bool,
    #[serde(default)]
    pub(super) rate_limit_per_user: u64,
}

/// What may be shown: the channels that may be known of.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a>(&'a [Id<ChannelMarker>]);

impl<'a> Sight<'a> {
    pub(super) fn of(run: &'a Run<'_>) -> Self {
        Self(run.reads)
    }

    pub(super) fn shows(self, channel: Id<ChannelMarker>) -> bool {
        self.0.binary_search(&channel).is_ok()
    }
}

/// Channels as data for the model, within the bound of a result.
pub(super) struct Listed {
    pub(super) shown: Vec<Value>,
    /// What was cut, for the end of a summary.
    pub(super) remark: String,
}

/// Returns all channels of a guild but its threads.
pub(super) async fn channels(
    guild: Id<GuildMarker>,
    run: &Run<'_>,
) -> Result<(u16, Vec<RawPlace>), RestError> {
    let path = format!("guilds/{guild}/channels");
    let request = Request::new(Method::Get, path.clone(), path, guild.get(), run.send_by);
    let answer = run.discord.repeatedly(&request).await?;
    Ok((answer.status, answer.json()?))
}

/// Lists the channels that may be shown, as Discord orders them: those of a category below it.
pub(super) fn listed(channels: &[RawPlace], sight: Sight<'_>, max_bytes: usize) -> Listed {
    let mut seen: Vec<&RawPlace> =
        channels.iter().filter(|channel| sight.shows(channel.id)).collect();
    let of_parent = |channel: &RawPlace| {
        let is_category = channel.kind == 4;
        let own = (channel.position, channel.id.get());
        let parent = channel.parent_id.and_then(|parent| {
            let parent = channels.iter().find(|of| of.id == parent)?;
            Some((1, parent.position, parent.id.get()))
        });
        let first = match (parent, is_category) {
            (Some(parent), _) => parent,
            (None, true) => (1, own.0, own.1),
            // What is in no category stands first.
            (None, false) => (0, 0, 0),
        };
        (first, !is_category, own)
    };
    seen.sort_by_key(|channel| of_parent(channel));
    let mut room = max_bytes;
    let mut shown = Vec::with_capacity(seen.len());
    for channel in &seen {
        let line = show(channel, sight);
        let size = line.to_string().len() + 1;
        if size > room {
            break;
        }
        room -= size;
        shown.push(line);
    }
    let cut = seen.len() - shown.len();
    let remark = if cut == 0 { String::new() } else { format!(" {cut} more did not fit.") };
    Listed { shown, remark }
}

fn show(channel: &RawPlace, sight: Sight<'_>) -> Value {
    let mut shown = json!({
        "id": channel.id.to_string(),
        "name": text::name(channel.name.as_deref().unwrap_or_default()),
        "kind": kind(channel.kind),
    });
    if let Some(category) = channel.parent_id.filter(|parent| sight.shows(*parent)) {
        shown["category"] = json!(category.to_string());
    }
    let topic = channel.topic.as_deref().filter(|topic| !topic.is_empty());
    if let Some(topic) = topic {
        shown["topic"] = json!(text::shortened(&text::visible(topic), MAX_TOPIC));
    }
    if channel.nsfw {
        shown["nsfw"] = json!(true);
    }
    if channel.rate_limit_per_user > 0 {
        shown["slow_mode_seconds"] = json!(channel.rate_limit_per_user);
    }
    shown
}

/// Says what Discord's number of a kind of channel means.
pub(super) fn kind(number: u8) -> &'static str {
    match number {
        0 => "text",
        2 => "voice",
        4 => "category",
        5 => "announcement",
        10 => "announcement thread",
        11 => "public thread",
        12 => "private thread",
        13 => "stage",
        14 => "directory",
        15 => "forum",
        16 => "media",
        _ => "channel",
    }
}
