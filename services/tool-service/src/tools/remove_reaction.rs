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

use super::{Done, Run, Tool, threads};
use crate::{
    adapters::discord::{Method, Request, RestError},
    domain::{
        guild::Guild,
        reference, text,
        tool::{Needs, Owned, RetryClass, Spec, Tier},
    },
    resolve::{Problem, Scene},
};

/// Discord's answer where a message has no reaction with an emoji.
const UNKNOWN_EMOJI: u64 = 10_014;

pub(crate) struct RemoveReaction;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// The id of the message, or a link to it.
    #[schemars(length(min = 1, max = 200))]
    message: String,
    /// The channel it stands in: its id, a mention or its exact name. Left out: the current one.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    channel: Option<String>,
    /// The emoji itself, such as 👍, or `name:id` of a custom one. Left out: every emoji, which
    /// takes everybody's reactions away.
    #[schemars(length(min = 1, max = 100))]
    #[serde(default)]
    emoji: Option<String>,
    /// Whose reaction: a mention, an id, or an exact name. Left out: your own.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    member: Option<String>,
    /// Whether everybody's reactions with that emoji go.
    #[serde(default)]
    everybody: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    channel: Id<ChannelMarker>,
    message: Id<MessageMarker>,
    which: Which,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "of")]
enum Which {
    One { emoji: String, member: Id<UserMarker> },
    Emoji { emoji: String },
    All,
}

static SPEC: Spec = Spec {
    name: "remove_reaction",
    description: "Takes reactions to a message away: your own, a member's, everybody's with one \
                  emoji, or all. People take away their own; those of others, and yours, only \
                  for who manages messages.",
    tier: Tier::Destructive,
    retry: RetryClass::Safe,
    works_in_dm: false,
};

#[async_trait]
impl Tool for RemoveReaction {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        let (channel, message) =
            scene.message(parameters.channel.as_deref(), &parameters.message).await?;
        let emoji = match &parameters.emoji {
            Some(emoji) => Some(reference::emoji(emoji).ok_or_else(|| {
                Problem::unclear(
                    "Give one emoji: the character itself, or name:id of a custom one.",
                )
            })?),
            None => None,
        };
        let emoji = emoji.map(|emoji| emoji.as_in_path());
        let which = match (emoji, &parameters.member, parameters.everybody) {
            (_, Some(_), true) => {
                return Err(Problem::unclear("Say whose reaction, or everybody's; not both."));
            }
            (None, Some(_), false) => {
                return Err(Problem::unclear("Say which emoji of that member's."));
            }
            (None, None, _) => Which::All,
            (Some(emoji), None, true) => Which::Emoji { emoji },
            (Some(emoji), Some(member), false) => {
                Which::One { emoji, member: scene.member(member).await? }
            }
            (Some(emoji), None, false) => Which::One { emoji, member: scene.guilds.bot().await? },
        };
        Ok(Act { channel, message, which })
    }

    fn needs(&self, act: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        let by = match act.which {
            Which::One { member, .. } => Some(member),
            Which::Emoji { .. } | Which::All => None,
        };
        let owned = Owned {
            by,
            others: Permissions::MANAGE_MESSAGES,
            bot: Permissions::MANAGE_MESSAGES,
            own_tier: Some(Tier::Harmless),
            is_plan: false,
        };
        Needs { owned: Some(owned), ..Needs::in_channel(act.channel, Permissions::VIEW_CHANNEL) }
    }

    fn tier(&self, act: &Act) -> Tier {
        match act.which {
            Which::One { .. } => Tier::Reversible,
            Which::Emoji { .. } | Which::All => Tier::Destructive,
        }
    }

    fn least_tier(&self) -> Tier {
        Tier::Harmless
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        let (channel, message) = (act.channel, act.message);
        let path = format!("channels/{channel}/messages/{message}/reactions");
        let route = format!("channels/{channel}/messages/reactions");
        let (route, path, summary) = match &act.which {
            Which::One { emoji, member } if *member == run.bot => {
                let emoji = text::percent_encoded(emoji);
                let summary = "I have no reaction with that emoji at that message any more.";
                (format!("{route}/@me"), format!("{path}/{emoji}/@me"), summary.to_owned())
            }
            Which::One { emoji, member } => {
                let emoji = text::percent_encoded(emoji);
                // Discord says the same where they had none.
                let summary = format!(
                    "<@{member}> has no reaction with that emoji at that message any more."
                );
                (format!("{route}/user"), format!("{path}/{emoji}/{member}"), summary)
            }
            Which::Emoji { emoji } => {
                let emoji = text::percent_encoded(emoji);
                let summary = "All reactions with that emoji were removed.".to_owned();
                (format!("{route}/emoji"), format!("{path}/{emoji}"), summary)
            }
            Which::All => (route, path, "That message has no reactions any more.".to_owned()),
        };
        // A repeat finds no such reaction any more.
        let request = Request::new(Method::Delete, route, path, run.home.key(), run.send_by)
            .done_if(&[UNKNOWN_EMOJI], run.is_repeat);
        match threads::repeatedly(&request, channel, run).await {
            Ok(answer) => {
                let mut fields = Map::new();
                fields.insert("message".into(), Value::String(message.to_string()));
                fields.insert("channel".into(), json!(channel.to_string()));
                Done::ok(answer.status, summary, fields)
            }
            Err(RestError::Refused { code: UNKNOWN_EMOJI, status }) => {
                Done::failed(status, "Nobody reacted to that message with that emoji.")
            }
            Err(error) => Done::of_write(&error),
        }
    }
}
