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
    files::{self, TextFile},
    polls::Poll,
    sending::{Outgoing, SUPPRESS_EMBEDS, Sent, UNKNOWN_MESSAGE},
    stickers::{self, Sticker},
    threads,
};
use crate::{
    adapters::discord::{Method, Request, RestError},
    domain::{
        guild::Guild,
        output::MAX_CONTENT,
        reference,
        tool::{AlsoIn, Needs, RetryClass, Spec, Tier, Writes},
    },
    resolve::{Problem, Scene},
};

pub(crate) struct SendMessage;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// What to say, in Discord's Markdown. May be left out beside embeds, a poll, files or
    /// stickers.
    #[schemars(length(min = 1, max = 2000))]
    #[serde(default)]
    content: Option<String>,
    /// The channel: its id, a mention or its exact name. Left out: the current channel.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    channel: Option<String>,
    /// Framed texts below it. Only where they say it better than plain words.
    #[schemars(length(max = 10))]
    #[serde(default)]
    embeds: Vec<Embed>,
    /// A question that members answer by a click. It cannot be changed later.
    #[serde(default)]
    poll: Option<Poll>,
    /// Texts to be sent as files: only what people want to keep, or what is too long to be said.
    #[schemars(length(max = 10))]
    #[serde(default)]
    files: Vec<TextFile>,
    /// Stickers of this server: their ids or exact names.
    #[schemars(length(max = 3), inner(length(min = 1, max = 100)))]
    #[serde(default)]
    stickers: Vec<String>,
    /// The id of the message in that channel that it replies to.
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    embeds: Vec<Embed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    poll: Option<Poll>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<TextFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stickers: Vec<Sticker>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<Id<MessageMarker>>,
    mention_users: Vec<Id<UserMarker>>,
    /// Whether Discord shows no previews: some link leads to a host that nobody vouches for.
    suppress_embeds: bool,
    /// Buttons; only code sets them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    components: Option<Value>,
    /// How many messages the answer has that it belongs to; none: it is all of it. Only code sets this
    /// and what follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parts: Option<usize>,
    /// Whether the answer is still written.
    #[serde(default, skip_serializing_if = "crate::tools::is_false")]
    is_growing: bool,
    /// The message of Ery's that is changed, in place of another being sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edits: Option<Id<MessageMarker>>,
    /// The message of Ery's that is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    withdraws: Option<Id<MessageMarker>>,
    /// Whether it is said in another channel than where it was asked for.
    #[serde(default, skip_serializing_if = "crate::tools::is_false")]
    is_elsewhere: bool,
}

impl Act {
    /// Returns the message that stands already, and becomes another or none.
    fn stands(&self) -> Option<Id<MessageMarker>> {
        self.withdraws.or(self.edits)
    }
}

static SPEC: Spec = Spec {
    name: "send_message",
    description: "Sends one more message to the current channel, besides the answer that ends \
                  your turn, or to another channel. Use it only where something must be said \
                  before the answer, or elsewhere; in another channel only on an order.",
    tier: Tier::Reversible,
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
        let embeds = embeds::filtered(parameters.embeds, scene.filter)?;
        let filtered = scene.filter.filtered(parameters.content.as_deref().unwrap_or_default());
        let poll = parameters.poll.map(|poll| poll.filtered(scene.filter)).transpose()?;
        let files = files::filtered(parameters.files, scene.filter)?;
        let stickers = stickers::resolved(&parameters.stickers, scene).await?;
        let has_more =
            !embeds.is_empty() || poll.is_some() || !files.is_empty() || !stickers.is_empty();
        if filtered.content.trim().is_empty() && !has_more {
            return Err(Problem::unclear("The content is empty."));
        }
        let length = filtered.content.chars().count();
        if length > MAX_CONTENT {
            return Err(Problem::unclear(format!(
                "The content has {length} characters; Discord takes {MAX_CONTENT}. Shorten it."
            )));
        }
        embeds::fit(&embeds, &filtered)?;
        let channel = match &parameters.channel {
            Some(channel) => scene.channel(channel).await?,
            None => scene.here,
        };
        let reply_to = match &parameters.reply_to {
            Some(text) => match reference::message(text) {
                Some((of, message)) if of.is_none_or(|of| of == channel) => Some(message),
                Some(_) => return Err(Problem::unclear("That message is not in that channel.")),
                None => return Err(Problem::unclear("Name one message by its id.")),
            },
            None => None,
        };
        let mut mention_users = Vec::with_capacity(parameters.mention_users.len());
        for member in &parameters.mention_users {
            mention_users.push(scene.member(member).await?);
        }
        mention_users.sort_unstable();
        mention_users.dedup();
        Ok(Act {
            channel,
            content: filtered.content,
            embeds,
            poll,
            files,
            stickers,
            reply_to,
            mention_users,
            suppress_embeds: filtered.without_previews,
            components: None,
            parts: None,
            is_growing: false,
            edits: None,
            withdraws: None,
            is_elsewhere: channel != scene.here,
        })
    }

    fn needs(&self, act: &Act, guild: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        if act.stands().is_some() {
            // It is her own, and stands there already.
            let needed = Permissions::VIEW_CHANNEL;
            return Needs { tells: Some(act.channel), ..Needs::in_channel(act.channel, needed) };
        }
        // The right to send stands for the one to send in threads where the channel is one.
        let mut to_send = Permissions::VIEW_CHANNEL | Permissions::SEND_MESSAGES;
        if !act.embeds.is_empty() {
            to_send |= Permissions::EMBED_LINKS;
        }
        if act.poll.is_some() {
            to_send |= Permissions::SEND_POLLS;
        }
        if !act.files.is_empty() {
            to_send |= Permissions::ATTACH_FILES;
        }
        let to_reply = Permissions::READ_MESSAGE_HISTORY;
        let reply = (act.reply_to.is_some() && act.components.is_none()).then_some(AlsoIn {
            channel: act.channel,
            bot: Permissions::empty(),
            asker: to_reply,
        });
        // Where she writes once more for somebody, they would have to wait.
        let is_slow = guild.is_some_and(|guild| guild.is_slow(act.channel));
        let spared = (is_slow && act.is_elsewhere).then_some(AlsoIn {
            channel: act.channel,
            bot: Permissions::empty(),
            asker: Permissions::BYPASS_SLOWMODE,
        });
        Needs {
            also_in: reply.into_iter().chain(spared).collect(),
            tells: Some(act.channel),
            writes: Some(Writes::Message(act.channel)),
            ..Needs::in_channel(act.channel, to_send)
        }
    }

    fn tier(&self, act: &Act) -> Tier {
        if act.is_elsewhere { Tier::Reversible } else { Tier::Harmless }
    }

    fn least_tier(&self) -> Tier {
        Tier::Harmless
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        if let Some(message) = act.stands() {
            return change(act, message, run).await;
        }
        let notified = run.notified_in(act.channel, &act.mention_users).await;
        match outgoing(act, &notified).send(run).await {
            Ok(sent) => told(sent, run),
            Err(done) => done,
        }
    }

    async fn look_up(&self, act: &Act, run: &Run<'_>) -> Done {
        if let Some(message) = act.stands() {
            // Once more changes nothing.
            return change(act, message, run).await;
        }
        let notified = run.notified_in(act.channel, &act.mention_users).await;
        match outgoing(act, &notified).look_up(run).await {
            Ok(sent) => told(sent, run),
            Err(done) => done,
        }
    }
}

/// Changes a message of an answer, or takes it back. A repeat changes nothing.
async fn change(act: &Act, message: Id<MessageMarker>, run: &Run<'_>) -> Done {
    let channel = act.channel;
    let path = format!("channels/{channel}/messages/{message}");
    let route = format!("channels/{channel}/messages/id");
    let of =
        |method| Request::new(method, route.clone(), path.clone(), run.home.key(), run.send_by);
    let request = if act.withdraws.is_some() {
        of(Method::Delete)
    } else {
        let notified = run.notified_in(channel, &act.mention_users).await;
        let mut body = json!({
            "content": act.content,
            "allowed_mentions": {
                "parse": [], "users": notified, "replied_user": false,
            },
        });
        if act.suppress_embeds {
            body["flags"] = json!(SUPPRESS_EMBEDS);
        }
        of(Method::Patch).json(&body)
    };
    let mut fields = Map::new();
    fields.insert("message_id".into(), Value::String(message.to_string()));
    fields.insert("channel".into(), Value::String(channel.to_string()));
    match threads::repeatedly(&request, channel, run).await {
        Ok(answer) => Done::ok(answer.status, "The message was changed.", fields),
        // Whoever deleted it wanted no answer to stand there.
        Err(RestError::Refused { code: UNKNOWN_MESSAGE, status }) => {
            Done::ok(status, "The message was deleted since.", fields)
        }
        Err(error) => Done::of_write(&error),
    }
}

fn outgoing<'a>(act: &'a Act, notified: &'a [Id<UserMarker>]) -> Outgoing<'a> {
    Outgoing {
        channel: act.channel,
        content: &act.content,
        embeds: &act.embeds,
        poll: act.poll.as_ref(),
        files: &act.files,
        stickers: &act.stickers,
        reply_to: act.reply_to,
        mention_users: notified,
        suppress_embeds: act.suppress_embeds,
        components: act.components.as_ref(),
    }
}

fn told(sent: Sent, run: &Run<'_>) -> Done {
    let Sent { message, status } = sent;
    let mut fields = Map::new();
    fields.insert("message_id".into(), Value::String(message.id.to_string()));
    fields.insert("channel".into(), Value::String(message.channel_id.to_string()));
    let name = run.state.and_then(|state| state.member(state.bot)).map(|bot| bot.name().to_owned());
    let mut message = message.into_message(run.guild(), name.as_deref(), run.bot);
    run.nonce.clone_into(&mut message.nonce);
    Done { sent: Some(message), ..Done::ok(status, "The message was sent.", fields) }
}
