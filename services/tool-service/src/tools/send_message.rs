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

use super::{Done, Run, Tool};
use crate::{
    adapters::discord::{
        Method, Request, RestError,
        wire::{RawMessage, snowflake_at},
    },
    domain::{
        execution::NONCE_LIFE,
        guild::Guild,
        output::MAX_CONTENT,
        tool::{Needs, RetryClass, Spec, Tier},
    },
    resolve::{Problem, Scene},
};

/// Discord's flag for a message without previews of its links.
const SUPPRESS_EMBEDS: u64 = 1 << 2;

/// How many of the messages after the opening are looked through for the one in doubt.
const MAX_PAGES: usize = 5;

/// How far Discord's clock may be behind ours.
const CLOCK_SKEW: std::time::Duration = std::time::Duration::from_secs(5);

pub(crate) struct SendMessage;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// What to say, in Discord's Markdown.
    #[schemars(length(min = 1, max = 2000))]
    content: String,
    /// The id of the message in this channel that it replies to.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    reply_to: Option<String>,
    /// Ids of the members whom the message notifies, if its text mentions them. Nobody else is
    /// notified: never @everyone, @here or roles.
    #[schemars(length(max = 20), inner(length(min = 1, max = 100)))]
    #[serde(default)]
    mention_users: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    channel: Id<ChannelMarker>,
    content: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<Id<MessageMarker>>,
    mention_users: Vec<Id<UserMarker>>,
    /// Whether Discord shows no previews: some link leads to a host that nobody vouches for.
    suppress_embeds: bool,
    /// Buttons; only code sets them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    components: Option<Value>,
}

static SPEC: Spec = Spec {
    name: "send_message",
    description: "Sends one more message to the current channel, besides the answer that ends \
                  your turn. Use it only where something must be said before the answer.",
    tier: Tier::Harmless,
    retry: RetryClass::Nonce,
    works_in_dm: true,
};

#[async_trait]
impl Tool for SendMessage {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        let filtered = scene.filter.filtered(&parameters.content);
        if filtered.content.trim().is_empty() {
            return Err(Problem::unclear("The content is empty."));
        }
        let length = filtered.content.chars().count();
        if length > MAX_CONTENT {
            return Err(Problem::unclear(format!(
                "The content has {length} characters; Discord takes {MAX_CONTENT}. Shorten it."
            )));
        }
        let reply_to = parameters.reply_to.map(|text| scene.message_here(&text)).transpose()?;
        let mut mention_users = Vec::with_capacity(parameters.mention_users.len());
        for member in &parameters.mention_users {
            mention_users.push(scene.member(member).await?);
        }
        mention_users.sort_unstable();
        mention_users.dedup();
        Ok(Act {
            channel: scene.here,
            content: filtered.content,
            reply_to,
            mention_users,
            suppress_embeds: filtered.without_previews,
            components: None,
        })
    }

    fn needs(&self, act: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        // The right to send stands for the one to send in threads where the channel is one.
        let to_send = Permissions::VIEW_CHANNEL | Permissions::SEND_MESSAGES;
        Needs::in_channel(act.channel, to_send)
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        let answer = match run.discord.repeatedly(&request(act, run)).await {
            Ok(answer) => answer,
            Err(error) if error.is_in_doubt() => return self.settle(act, run, &error).await,
            Err(error) if error.passes() => return Done::of_write(&error).unsettled(),
            Err(error) => return Done::of_write(&error),
        };
        match answer.json::<RawMessage>() {
            Ok(message) => sent(message, answer.status, run),
            Err(error) => self.settle(act, run, &error).await,
        }
    }

    async fn look_up(&self, act: &Act, run: &Run<'_>) -> Done {
        match find(act, run).await {
            Ok(Found::Message(message)) => sent(*message, 200, run),
            // While it may still be repeated elsewhere, that it is not there says nothing.
            Ok(Found::Nothing) if run.now >= run.opened_at + NONCE_LIFE + run.request_timeout => {
                Done::failed(0, "The message did not get to Discord.")
            }
            Ok(Found::Nothing | Found::TooMuchSince) => Done::in_doubt(0),
            Err(error) => {
                tracing::warn!(error = %error, "cannot look up whether a message was sent");
                let done = Done::in_doubt(error.status());
                if error.is_in_doubt() || error.passes() { done.unsettled() } else { done }
            }
        }
    }
}

impl SendMessage {
    /// Looks whether a send without a clear answer got through. That it is not there yet does not
    /// mean that it will not be.
    async fn settle(&self, act: &Act, run: &Run<'_>, error: &RestError) -> Done {
        tracing::warn!(error = %error, "a send has no clear answer; looking for it");
        match find(act, run).await {
            Ok(Found::Message(message)) => sent(*message, error.status(), run),
            Ok(Found::Nothing | Found::TooMuchSince) | Err(_) => {
                Done::in_doubt(error.status()).unsettled()
            }
        }
    }
}

fn request(act: &Act, run: &Run<'_>) -> Request {
    let mut body = json!({
        "content": act.content,
        "nonce": run.nonce,
        "enforce_nonce": true,
        "allowed_mentions": {
            "parse": [],
            "users": act.mention_users,
            "replied_user": false,
        },
    });
    // Without the right to read the history Discord refuses replies; the answer matters more.
    if let Some(reply_to) = act.reply_to.filter(|_| may_reply(act, run)) {
        body["message_reference"] = json!({
            "message_id": reply_to,
            "fail_if_not_exists": false,
        });
    }
    if act.suppress_embeds {
        body["flags"] = json!(SUPPRESS_EMBEDS);
    }
    if let Some(components) = &act.components {
        body["components"] = components.clone();
    }
    let path = format!("channels/{}/messages", act.channel);
    Request::new(Method::Post, path.clone(), path, run.home.key(), run.send_by).json(&body).send()
}

fn may_reply(act: &Act, run: &Run<'_>) -> bool {
    let Some(state) = run.state else { return true };
    let rights = state.member(state.bot).zip(state.channel(act.channel)).map(|(bot, channel)| {
        crate::domain::permissions::in_channel(&state.guild, bot, channel, run.now)
    });
    rights.is_none_or(|rights| rights.contains(Permissions::READ_MESSAGE_HISTORY))
}

fn sent(message: RawMessage, status: u16, run: &Run<'_>) -> Done {
    let mut fields = Map::new();
    fields.insert("message_id".into(), Value::String(message.id.to_string()));
    fields.insert("channel".into(), Value::String(message.channel_id.to_string()));
    let name = run.state.and_then(|state| state.member(state.bot)).map(|bot| bot.name().to_owned());
    let mut message = message.into_message(run.guild(), name.as_deref(), run.bot);
    run.nonce.clone_into(&mut message.nonce);
    Done { sent: Some(message), ..Done::ok(status, "The message was sent.", fields) }
}

enum Found {
    Message(Box<RawMessage>),
    Nothing,
    TooMuchSince,
}

/// Looks for the message among what was written since its execution was opened.
async fn find(act: &Act, run: &Run<'_>) -> Result<Found, RestError> {
    let mut after = snowflake_at(run.opened_at - CLOCK_SKEW);
    let no_later_than = run.opened_at + NONCE_LIFE + CLOCK_SKEW;
    for _ in 0..MAX_PAGES {
        let route = format!("channels/{}/messages", act.channel);
        let path = format!("{route}?limit=100&after={after}");
        let send_by = run.discord.send_by();
        let request = Request::new(Method::Get, route, path, run.home.key(), send_by);
        let page: Vec<RawMessage> = run.discord.repeatedly(&request).await?.json()?;
        let (count, newest) = (page.len(), page.iter().map(|message| message.id.get()).max());
        let is_over = page.iter().any(|message| message.created_at() > no_later_than);
        let found = page.into_iter().find(|message| {
            message.author.id == run.bot
                && match &message.nonce {
                    Some(nonce) => nonce == run.nonce,
                    None => message.content == act.content && message.reply_to() == act.reply_to,
                }
        });
        if let Some(message) = found {
            return Ok(Found::Message(Box::new(message)));
        }
        match newest {
            Some(newest) if count == 100 && !is_over => after = newest,
            _ => return Ok(Found::Nothing),
        }
    }
    Ok(Found::TooMuchSince)
}
