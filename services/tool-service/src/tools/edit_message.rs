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

use super::{
    Done, Run, Tool,
    embeds::{self, Embed},
    sending::SUPPRESS_EMBEDS,
    threads,
};
use crate::{
    adapters::discord::{Method, Request, wire::RawMessage},
    domain::{
        guild::Guild,
        output::MAX_CONTENT,
        tool::{Needs, Owned, RetryClass, Spec, Tier},
    },
    resolve::{Problem, Scene},
};

/// Discord's number of a message that replies to another.
const REPLY: u8 = 19;

pub(crate) struct EditMessage;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// The id of a message of yours, or a link to it.
    #[schemars(length(min = 1, max = 200))]
    message: String,
    /// The channel it stands in: its id, a mention or its exact name. Left out: the current one.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    channel: Option<String>,
    /// What it is to say from now on, in Discord's Markdown.
    #[schemars(length(min = 1, max = 2000))]
    content: String,
    /// The framed texts below it from now on. Left out: those that it has stay.
    #[schemars(length(max = 10))]
    #[serde(default)]
    embeds: Vec<Embed>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    channel: Id<ChannelMarker>,
    message: Id<MessageMarker>,
    /// None where Ery cannot read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    author: Option<Id<UserMarker>>,
    /// Whom it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written_for: Option<Id<UserMarker>>,
    content: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    embeds: Vec<Embed>,
    suppress_embeds: bool,
}

static SPEC: Spec = Spec {
    name: "edit_message",
    description: "Changes what a message of yours says. Only for the person whom it answers, or \
                  for somebody who manages messages, and only on their order.",
    tier: Tier::Reversible,
    retry: RetryClass::Safe,
    works_in_dm: false,
};

#[async_trait]
impl Tool for EditMessage {
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
        let embeds = embeds::filtered(parameters.embeds, scene.filter)?;
        embeds::fit(&embeds, &filtered)?;
        let (channel, message) =
            scene.message(parameters.channel.as_deref(), &parameters.message).await?;
        let found = scene.read(channel, message).await?;
        if found.as_ref().is_some_and(|found| !found.components.is_empty()) {
            return Err(Problem::unclear(
                "That message has buttons, and says what they do; it stays as it is.",
            ));
        }
        if let Some(guild) = scene.guild
            && let Some(found) = &found
            && found.author.id == scene.guilds.bot().await?
            && scene.shows_proposal(guild, message).await?
        {
            return Err(Problem::unclear(
                "That message tells what became of a proposal; it stays as it is.",
            ));
        }
        let written_for = match &found {
            Some(found) => answered(found, scene).await?,
            None => None,
        };
        Ok(Act {
            channel,
            message,
            author: found.as_ref().map(|found| found.author.id),
            written_for,
            content: filtered.content,
            embeds,
            suppress_embeds: filtered.without_previews,
        })
    }

    fn needs(&self, act: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        let owned = Owned {
            by: act.written_for,
            others: Permissions::MANAGE_MESSAGES,
            bot: Permissions::empty(),
            own_tier: None,
            is_plan: false,
        };
        let mut needed = Permissions::VIEW_CHANNEL;
        if !act.embeds.is_empty() {
            needed |= Permissions::EMBED_LINKS;
        }
        Needs {
            owned: Some(owned),
            tells: Some(act.channel),
            ..Needs::in_channel(act.channel, needed)
        }
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        match act.author {
            Some(author) if author == run.bot => {}
            Some(_) => return Done::failed(0, "I can only change messages of my own."),
            None => return Done::failed(0, "I find no such message in that channel."),
        }
        let mut body = json!({
            "content": act.content,
            "allowed_mentions": { "parse": [], "replied_user": false },
        });
        if !act.embeds.is_empty() {
            body["embeds"] = act.embeds.iter().map(Embed::as_discord_has_it).collect();
        } else if act.suppress_embeds {
            body["flags"] = json!(SUPPRESS_EMBEDS);
        }
        let (channel, message) = (act.channel, act.message);
        let path = format!("channels/{channel}/messages/{message}");
        let route = format!("channels/{channel}/messages/id");
        let request = Request::new(Method::Patch, route, path, run.home.key(), run.send_by);
        match threads::repeatedly(&request.json(&body), channel, run).await {
            Ok(answer) => {
                let mut fields = Map::new();
                fields.insert("message".into(), Value::String(message.to_string()));
                fields.insert("channel".into(), Value::String(channel.to_string()));
                Done::ok(answer.status, "The message was changed.", fields)
            }
            Err(error) => Done::of_write(&error),
        }
    }
}

/// What a message itself tells of whom it answers.
#[derive(Debug, PartialEq, Eq)]
enum Answers {
    Nobody,
    Somebody(Id<UserMarker>),
    AuthorOf(Id<MessageMarker>),
}

impl Answers {
    fn of(found: &RawMessage) -> Self {
        let author = found.referenced_message.as_ref().and_then(|it| it.author.as_ref());
        match (author, found.reply_to().filter(|_| found.kind == REPLY)) {
            (Some(author), _) => Self::Somebody(author.id),
            // What is replied to need not come along, which says nothing of it.
            (None, Some(message)) => Self::AuthorOf(message),
            (None, None) => Self::Nobody,
        }
    }
}

/// Returns whom a message answers.
async fn answered(
    found: &RawMessage,
    scene: &Scene<'_>,
) -> Result<Option<Id<UserMarker>>, Problem> {
    Ok(match Answers::of(found) {
        Answers::Nobody => None,
        Answers::Somebody(author) => Some(author),
        Answers::AuthorOf(message) => {
            scene.read(found.channel_id, message).await?.map(|answered| answered.author.id)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_an_answer_is_for_is_looked_up_where_it_does_not_say() {
        let answers = |more: serde_json::Value| {
            let mut message = json!({"id": "5", "channel_id": "2", "author": {"id": "9"}});
            message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            Answers::of(&serde_json::from_value(message).unwrap())
        };
        let to = json!({"message_id": "4", "channel_id": "2"});
        let whole = json!({"author": {"id": "7"}});
        assert_eq!(answers(json!({})), Answers::Nobody);
        assert_eq!(
            answers(json!({"type": 19, "message_reference": to, "referenced_message": whole})),
            Answers::Somebody(Id::new(7))
        );
        let without = Answers::AuthorOf(Id::new(4));
        assert_eq!(answers(json!({"type": 19, "message_reference": to})), without);
        // A note that something was pinned refers to it, and answers nobody.
        assert_eq!(answers(json!({"type": 6, "message_reference": to})), Answers::Nobody);
    }
}
