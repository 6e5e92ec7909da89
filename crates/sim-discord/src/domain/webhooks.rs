//! Webhooks: addresses in a channel at which whoever knows the token may post.
//!
//! Source: Discord Docs, Webhook.

mod messages;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Actor, ApplicationId, Audience, Channel, ChannelId, ChannelKind, Dispatch, Effect, GuildId,
    Outcome, Refusal, UserId, WebhookId, World,
    audit::{Deed, action, change},
    check_image,
    interactions::secret,
};
use crate::wire;

pub(crate) use messages::{Posted, Posting};

const MAX_WEBHOOKS: usize = 15;
const MAX_NAME: usize = 80;
/// What no webhook may have in its name.
const FORBIDDEN: [&str; 2] = ["discord", "clyde"];

#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) id: WebhookId,
    pub(crate) guild: GuildId,
    pub(crate) channel: ChannelId,
    pub(crate) name: String,
    /// The hash of its picture.
    pub(crate) avatar: Option<String>,
    /// The secret by which it is used without credentials.
    pub(crate) token: String,
    pub(crate) creator: Option<UserId>,
    /// The application whose bot made it.
    pub(crate) application: Option<ApplicationId>,
}

/// As whom a webhook speaks in a message, which stays when the webhook changes or is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Persona {
    pub(crate) name: String,
    pub(crate) avatar: Option<String>,
}

/// A change of a webhook; what is none stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct WebhookChange {
    pub(crate) name: Option<String>,
    /// An image as clients send it, or none for no picture.
    pub(crate) avatar: Option<Option<String>>,
    /// The channel into which it moves.
    pub(crate) channel: Option<ChannelId>,
}

impl World {
    pub(crate) fn webhook(&self, id: WebhookId) -> Result<&Webhook, Refusal> {
        self.webhooks.get(&id).ok_or(Refusal::UnknownWebhook)
    }

    /// Finds a webhook for whoever has its token.
    pub(crate) fn webhook_by_token(&self, id: WebhookId, token: &str) -> Result<&Webhook, Refusal> {
        let webhook = self.webhook(id)?;
        if webhook.token == token { Ok(webhook) } else { Err(Refusal::InvalidWebhookToken) }
    }

    /// Finds a webhook for somebody who manages those of its channel.
    pub(crate) fn managed_webhook(
        &self,
        actor: Actor,
        id: WebhookId,
        now: UnixMillis,
    ) -> Result<&Webhook, Refusal> {
        let webhook = self.webhook(id)?;
        self.require_webhooks(actor, self.channel(webhook.channel)?, now)?;
        Ok(webhook)
    }

    /// Makes a webhook in a channel.
    pub(crate) fn create_webhook(
        &mut self,
        actor: Actor,
        channel: ChannelId,
        name: &str,
        avatar: Option<&str>,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<WebhookId> {
        let place = self.channel(channel)?;
        let guild = self.check_holds_webhooks(actor, place, now)?;
        let name = checked_name("name", name)?;
        let avatar = avatar.map(avatar_of).transpose()?;
        let id: WebhookId = self.mint.next(now);
        let creator = actor.user();
        let webhook = Webhook {
            id,
            guild,
            channel,
            name,
            avatar,
            token: secret("webhook", id.get()),
            creator,
            application: creator.and_then(|user| self.bot(user)).map(|bot| bot.application),
        };
        let changes = properties(&webhook).into_iter();
        let changes = changes.map(|(key, value)| change(key, Value::Null, value)).collect();
        self.webhooks.insert(id, webhook);
        let mut dispatches = vec![webhooks_update(guild, channel)];
        let deed = webhook_deed(action::WEBHOOK_CREATE, id, changes, reason);
        self.record(guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new(id, dispatches))
    }

    /// Changes a webhook, for those who manage them where it is and where it goes.
    pub(crate) fn update_webhook(
        &mut self,
        actor: Actor,
        id: WebhookId,
        new: &WebhookChange,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        let before = self.managed_webhook(actor, id, now)?.clone();
        if let Some(channel) = new.channel.filter(|channel| *channel != before.channel) {
            let place = self.channel(channel)?;
            if place.guild != Some(before.guild) {
                return Err(Refusal::UnknownChannel);
            }
            self.check_holds_webhooks(actor, place, now)?;
        }
        self.change_webhook(actor, &before, new, reason, now)
    }

    /// Changes a webhook by its token, which moves it nowhere and leaves no trace in the audit log.
    pub(crate) fn update_webhook_by_token(
        &mut self,
        id: WebhookId,
        token: &str,
        new: WebhookChange,
        now: UnixMillis,
    ) -> Outcome<()> {
        let before = self.webhook_by_token(id, token)?.clone();
        let new = WebhookChange { channel: None, ..new };
        self.change_webhook(Actor::Operator, &before, &new, None, now)
    }

    fn change_webhook(
        &mut self,
        actor: Actor,
        before: &Webhook,
        new: &WebhookChange,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        let mut after = before.clone();
        if let Some(name) = &new.name {
            after.name = checked_name("name", name)?;
        }
        if let Some(avatar) = &new.avatar {
            after.avatar = avatar.as_deref().map(avatar_of).transpose()?;
        }
        after.channel = new.channel.unwrap_or(before.channel);
        let changes: Vec<Value> = properties(before)
            .into_iter()
            .zip(properties(&after))
            .filter(|((_, old), (_, new))| old != new)
            .map(|((key, old), (_, new))| change(key, old, new))
            .collect();
        if changes.is_empty() {
            return Ok(Effect::none(()));
        }
        let (id, guild) = (before.id, before.guild);
        let mut dispatches = vec![webhooks_update(guild, before.channel)];
        if after.channel != before.channel {
            dispatches.push(webhooks_update(guild, after.channel));
        }
        self.webhooks.insert(id, after);
        let deed = webhook_deed(action::WEBHOOK_UPDATE, id, changes, reason);
        self.record(guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    /// Deletes a webhook, for those who manage them in its channel.
    pub(crate) fn delete_webhook(
        &mut self,
        actor: Actor,
        id: WebhookId,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        self.managed_webhook(actor, id, now)?;
        self.drop_webhook(actor, id, reason, now)
    }

    /// Deletes a webhook by its token, which leaves no trace in the audit log.
    pub(crate) fn delete_webhook_by_token(
        &mut self,
        id: WebhookId,
        token: &str,
        now: UnixMillis,
    ) -> Outcome<()> {
        self.webhook_by_token(id, token)?;
        self.drop_webhook(Actor::Operator, id, None, now)
    }

    fn drop_webhook(
        &mut self,
        actor: Actor,
        id: WebhookId,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        let gone = self.webhooks.remove(&id).ok_or(Refusal::UnknownWebhook)?;
        let mut dispatches = vec![webhooks_update(gone.guild, gone.channel)];
        let changes = properties(&gone).into_iter();
        let changes = changes.map(|(key, value)| change(key, value, Value::Null)).collect();
        let deed = webhook_deed(action::WEBHOOK_DELETE, id, changes, reason);
        self.record(gone.guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    /// Returns the webhooks of a channel, for those who manage them there.
    pub(crate) fn channel_webhooks(
        &self,
        actor: UserId,
        channel: ChannelId,
        now: UnixMillis,
    ) -> Result<Vec<&Webhook>, Refusal> {
        let place = self.channel(channel)?;
        if place.guild.is_none() {
            return Err(Refusal::DmChannel);
        }
        self.require(actor, place, Permissions::MANAGE_WEBHOOKS, now)?;
        Ok(self.webhooks.values().filter(|webhook| webhook.channel == channel).collect())
    }

    /// Returns the webhooks of a guild, for those who manage them there.
    pub(crate) fn guild_webhooks(
        &self,
        actor: UserId,
        guild: GuildId,
        now: UnixMillis,
    ) -> Result<Vec<&Webhook>, Refusal> {
        self.require_in_guild(actor, guild, Permissions::MANAGE_WEBHOOKS, now)?;
        Ok(self.webhooks.values().filter(|webhook| webhook.guild == guild).collect())
    }

    /// Forgets the webhooks of a channel, or of a whole guild, that is gone.
    pub(super) fn forget_webhooks(&mut self, guild: GuildId, channel: Option<ChannelId>) {
        self.webhooks.retain(|_, webhook| {
            webhook.guild != guild || channel.is_some_and(|channel| webhook.channel != channel)
        });
    }

    /// Checks that somebody may put one more webhook into a channel; returns its guild.
    fn check_holds_webhooks(
        &self,
        actor: Actor,
        place: &Channel,
        now: UnixMillis,
    ) -> Result<GuildId, Refusal> {
        let guild = place.guild.ok_or(Refusal::DmChannel)?;
        self.require_webhooks(actor, place, now)?;
        if place.kind.is_thread() || place.kind == ChannelKind::CATEGORY {
            return Err(Refusal::WrongChannelType);
        }
        let there = self.webhooks.values().filter(|webhook| webhook.channel == place.id);
        if there.count() >= MAX_WEBHOOKS { Err(Refusal::TooManyWebhooks) } else { Ok(guild) }
    }

    fn require_webhooks(
        &self,
        actor: Actor,
        place: &Channel,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        match actor {
            Actor::User(user) => {
                self.require(user, place, Permissions::MANAGE_WEBHOOKS, now).map(|_| ())
            }
            Actor::Operator => Ok(()),
        }
    }
}

/// Returns a name without the spaces around it, if a webhook may have it.
fn checked_name(key: &str, name: &str) -> Result<String, Refusal> {
    let name = name.trim();
    if !(1..=MAX_NAME).contains(&name.chars().count()) {
        let message = "Must be between 1 and 80 in length.";
        return Err(Refusal::field(&[key], "BASE_TYPE_BAD_LENGTH", message));
    }
    let lower = name.to_lowercase();
    if let Some(word) = FORBIDDEN.iter().find(|word| lower.contains(**word)) {
        let message = format!("Username cannot contain \"{word}\"");
        return Err(Refusal::field(&[key], "USERNAME_INVALID_CONTAINS", message));
    }
    Ok(name.to_owned())
}

/// Returns the hash of an image as clients send it.
fn avatar_of(data: &str) -> Result<String, Refusal> {
    check_image("avatar", data)?;
    Ok(picture_hash(data))
}

/// Names a picture as Discord does, by a hash.
fn picture_hash(data: &str) -> String {
    use std::fmt::Write as _;
    let hash = Sha256::digest(data.as_bytes());
    let mut text = String::with_capacity(32);
    for byte in &hash[..16] {
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

/// Returns what the audit log tells of a webhook; its token is no part of it.
fn properties(webhook: &Webhook) -> [(&'static str, Value); 5] {
    [
        ("name", json!(webhook.name)),
        ("type", json!(1)),
        ("channel_id", json!(webhook.channel)),
        ("avatar_hash", json!(webhook.avatar)),
        ("application_id", json!(webhook.application)),
    ]
}

fn webhook_deed(action: u16, id: WebhookId, changes: Vec<Value>, reason: Option<&str>) -> Deed<'_> {
    Deed { action, target: Some(id.get()), changes, options: None, reason }
}

fn webhooks_update(guild: GuildId, channel: ChannelId) -> Dispatch {
    let body = wire::webhooks_update(guild, channel);
    Dispatch::shared("WEBHOOKS_UPDATE", Audience::Channel(guild, channel), body)
}
