use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, EmojiMarker, MessageMarker},
    },
};

use super::{Done, Run, Tool, threads};
use crate::{
    adapters::discord::{Method, Request},
    domain::{
        flow::TO_READ,
        guild::Guild,
        reference::{self, EmojiReference},
        text,
        tool::{Needs, RetryClass, Spec, Tier},
    },
    resolve::{Problem, Scene},
};

pub(crate) struct AddReaction;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// The id of a message in the current channel.
    #[schemars(length(min = 1, max = 200))]
    message: String,
    /// The emoji itself, such as 👍, or `name:id` of a custom one.
    #[schemars(length(min = 1, max = 100))]
    emoji: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    channel: Id<ChannelMarker>,
    message: Id<MessageMarker>,
    /// The character, or `name:id`.
    emoji: String,
    /// Whether somebody reacted with it before; looked for only where it matters.
    #[serde(default, skip_serializing_if = "crate::tools::is_false")]
    is_there: bool,
}

static SPEC: Spec = Spec {
    name: "add_reaction",
    description: "Adds a reaction of yours to a message in the current channel.",
    tier: Tier::Harmless,
    retry: RetryClass::Safe,
    works_in_dm: true,
};

#[async_trait]
impl Tool for AddReaction {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        let message = scene.message_here(&parameters.message)?;
        let emoji = reference::emoji(&parameters.emoji).ok_or_else(|| {
            Problem::unclear("Give one emoji: the character itself, or name:id of a custom one.")
        })?;
        // Discord lets her join in where she may not begin.
        let is_there = !scene.bot_may(scene.here, Permissions::ADD_REACTIONS).await?
            && scene.read(scene.here, message).await?.is_some_and(|message| {
                message.reactions.iter().any(|reaction| reaction.emoji.is(&emoji))
            });
        Ok(Act { channel: scene.here, message, emoji: emoji.as_in_path(), is_there })
    }

    fn needs(&self, act: &Act, guild: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        let mut needed = TO_READ | Permissions::ADD_REACTIONS;
        if is_foreign(&act.emoji, guild) {
            needed |= Permissions::USE_EXTERNAL_EMOJIS;
        }
        let mut needs = Needs::in_channel(act.channel, needed);
        if act.is_there {
            needs.bot.remove(Permissions::ADD_REACTIONS | Permissions::USE_EXTERNAL_EMOJIS);
        }
        needs
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        let (channel, message) = (act.channel, act.message);
        let emoji = text::percent_encoded(&act.emoji);
        let path = format!("channels/{channel}/messages/{message}/reactions/{emoji}/@me");
        let route = format!("channels/{channel}/messages/reactions/@me");
        let request = Request::new(Method::Put, route, path, run.home.key(), run.send_by)
            .about(custom(&act.emoji).map_or(0, Id::get));
        match threads::repeatedly(&request, channel, run).await {
            Ok(answer) => {
                let mut fields = Map::new();
                fields.insert("message".into(), Value::String(message.to_string()));
                fields.insert("emoji".into(), Value::String(act.emoji.clone()));
                Done::ok(answer.status, "The reaction was added.", fields)
            }
            Err(error) => Done::of_write(&error),
        }
    }
}

fn custom(emoji: &str) -> Option<Id<EmojiMarker>> {
    match reference::emoji(emoji) {
        Some(EmojiReference::Custom { id, .. }) => Some(id),
        Some(EmojiReference::Unicode(_)) | None => None,
    }
}

/// Whether an emoji is another guild's.
fn is_foreign(emoji: &str, guild: Option<&Guild>) -> bool {
    custom(emoji).is_some_and(|id| guild.is_some_and(|guild| !guild.emojis.contains(&id)))
}
