//! What webhooks say, and how they take it back.

use serde_json::Value;
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{Persona, Webhook, checked_name, picture_hash};
use crate::{
    domain::{
        AllowedMentions, Audience, Channel, ChannelId, Dispatch, Draft, Edit, Effect, Message,
        MessageId, MessageKind, NewThread, Outcome, Refusal, TagId, UserId, WebhookId, World,
        components, messages::Sender,
    },
    wire,
};

const MAX_AVATAR_URL: usize = 2_048;

/// What somebody posts by a webhook.
#[derive(Clone, Debug, Default)]
pub(crate) struct Posting {
    pub(crate) draft: Draft,
    /// Another name and picture than the webhook's own.
    pub(crate) username: Option<String>,
    pub(crate) avatar_url: Option<String>,
    /// The thread of the webhook's channel in which it is said.
    pub(crate) thread: Option<ChannelId>,
    /// The post of a forum that begins with it.
    pub(crate) thread_name: Option<String>,
    pub(crate) applied_tags: Vec<TagId>,
    /// Whether components are meant, which count for an application's own webhooks in any case.
    pub(crate) with_components: bool,
}

/// What came of posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Posted {
    pub(crate) channel: ChannelId,
    pub(crate) message: MessageId,
}

impl World {
    /// Posts by a webhook.
    pub(crate) fn execute_webhook(
        &mut self,
        id: WebhookId,
        token: &str,
        posting: Posting,
        now: UnixMillis,
    ) -> Outcome<Posted> {
        let webhook = self.webhook_by_token(id, token)?.clone();
        let persona = persona_of(&webhook, &posting)?;
        let mut draft = posting.draft;
        if webhook.application.is_none() {
            if posting.with_components {
                refuse_interactive(&draft.components)?;
            } else {
                draft.components.clear();
            }
        }
        draft.allowed_mentions.get_or_insert_with(AllowedMentions::users_only);
        draft.nonce = None; // a webhook knows nothing of them
        let mut dispatches = Vec::new();
        let place = self.webhook_place(&webhook, posting.thread)?;
        let new = NewThread {
            name: posting.thread_name.unwrap_or_default(),
            applied_tags: posting.applied_tags,
            ..NewThread::default()
        };
        let is_named = !new.name.is_empty();
        let (is_forum, channel) = (place.kind.is_forum(), place.id);
        let channel = match (is_forum, is_named, posting.thread) {
            (true, false, _) => return Err(Refusal::WebhookNeedsThread),
            (_, true, Some(_)) => return Err(Refusal::WebhookThreadTwice),
            (false, true, None) => return Err(Refusal::WebhookThreadElsewhere),
            (true, true, None) => {
                self.open_webhook_post(webhook.id.cast(), channel, new, now, &mut dispatches)?
            }
            (false, false, _) => channel,
        };
        let sender = Sender {
            author: webhook.id.cast(),
            kind: MessageKind::DEFAULT,
            reference: None,
            rights: Permissions::all(),
        };
        let composed = match self.compose(sender, channel, draft, now) {
            Ok(composed) => composed,
            Err(refusal) => {
                // A first message that is refused takes its post with it.
                if is_forum {
                    self.forget_thread(webhook.guild, channel);
                }
                return Err(refusal);
            }
        };
        let message = Message {
            id: if is_forum { channel.cast() } else { composed.id },
            webhook: Some(webhook.id),
            application: webhook.application,
            persona: Some(Box::new(persona)),
            ..composed
        };
        let id = message.id;
        if is_forum {
            if let Some(forum) = self.channels.get_mut(&webhook.channel) {
                forum.last_message = Some(id);
            }
        } else {
            let mentioned = message.mentions.clone();
            self.stir_thread(channel, None, &mentioned, now, &mut dispatches);
        }
        self.insert_message(message, now, &mut dispatches);
        Ok(Effect::new(Posted { channel, message: id }, dispatches))
    }

    /// Finds where a webhook speaks: in its channel, or in a thread of that.
    fn webhook_place(
        &self,
        webhook: &Webhook,
        thread: Option<ChannelId>,
    ) -> Result<&Channel, Refusal> {
        let Some(thread) = thread else { return self.channel(webhook.channel) };
        let place = self.channel(thread)?;
        let is_its = place.kind.is_thread() && place.parent == Some(webhook.channel);
        if is_its { Ok(place) } else { Err(Refusal::UnknownChannel) }
    }

    /// Finds a message that a webhook said.
    pub(crate) fn webhook_message(
        &self,
        id: WebhookId,
        token: &str,
        message: MessageId,
        thread: Option<ChannelId>,
    ) -> Result<&Message, Refusal> {
        let webhook = self.webhook_by_token(id, token)?;
        let found = self.webhook_place(webhook, thread)?.message(message)?;
        let author: UserId = id.cast();
        if found.author == author { Ok(found) } else { Err(Refusal::UnknownMessage) }
    }

    /// Edits a message that a webhook said.
    pub(crate) fn edit_webhook_message(
        &mut self,
        id: WebhookId,
        token: &str,
        (message, thread): (MessageId, Option<ChannelId>),
        mut edit: Edit,
        with_components: bool,
        now: UnixMillis,
    ) -> Outcome<Posted> {
        let found = self.webhook_message(id, token, message, thread)?.clone();
        let channel = found.channel;
        Self::refuse_archived(self.channel(channel)?)?;
        if found.application.is_none() {
            edit.components = edit.components.filter(|_| with_components);
            refuse_interactive(edit.components.as_deref().unwrap_or_default())?;
        }
        edit.allowed_mentions.get_or_insert_with(AllowedMentions::users_only);
        edit.poll = None; // what was said becomes no poll
        let revised = self.revise(found, edit, Permissions::all(), now)?;
        let place = self.channels.get_mut(&channel).ok_or(Refusal::UnknownChannel)?;
        place.messages.insert(message, revised);
        let dispatch = self.message_dispatch("MESSAGE_UPDATE", channel, message);
        Ok(Effect::new(Posted { channel, message }, dispatch.into_iter().collect()))
    }

    /// Deletes a message that a webhook said.
    pub(crate) fn delete_webhook_message(
        &mut self,
        id: WebhookId,
        token: &str,
        message: MessageId,
        thread: Option<ChannelId>,
    ) -> Outcome<()> {
        let found = self.webhook_message(id, token, message, thread)?;
        let (channel, guild) = (found.channel, found.guild);
        self.remove_messages(channel, &[message]);
        let body = wire::message_delete(channel, guild, message);
        let audience = Audience::of_channel(guild, channel);
        Ok(Effect::new((), vec![Dispatch::shared("MESSAGE_DELETE", audience, body)]))
    }
}

/// Returns as whom a webhook speaks.
fn persona_of(webhook: &Webhook, posting: &Posting) -> Result<Persona, Refusal> {
    let name = match &posting.username {
        Some(name) => checked_name("username", name)?,
        None => webhook.name.clone(),
    };
    let avatar = match &posting.avatar_url {
        Some(url) => Some(picture_hash(checked_url(url)?)),
        None => webhook.avatar.clone(),
    };
    Ok(Persona { name, avatar })
}

fn checked_url(url: &str) -> Result<&str, Refusal> {
    if url.chars().count() > MAX_AVATAR_URL {
        let message = "Must be 2048 or fewer in length.";
        return Err(Refusal::field(&["avatar_url"], "BASE_TYPE_MAX_LENGTH", message));
    }
    if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
        let message = "Scheme must be one of ('http', 'https').";
        return Err(Refusal::field(&["avatar_url"], "URL_TYPE_INVALID_SCHEME", message));
    }
    Ok(url)
}

/// Refuses components that need an application to answer them.
fn refuse_interactive(components: &[Value]) -> Result<(), Refusal> {
    let mut is_interactive = false;
    components::for_each(components, &mut |component| {
        is_interactive |= component.get("custom_id").is_some_and(|id| !id.is_null());
    });
    if !is_interactive {
        return Ok(());
    }
    let message = "A webhook of no application cannot send components that are answered";
    Err(Refusal::field(&["components"], "APPLICATION_WEBHOOK_REQUIRED", message))
}
