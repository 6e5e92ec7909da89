//! Pinned messages.

use serde_json::json;
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Actor, Audience, ChannelId, Dispatch, Effect, Message, MessageId, MessageKind, Outcome,
    Reference, Refusal, UserId, World,
    audit::{Deed, action},
    notices::Notice,
};
use crate::wire;

const MAX_PINS: usize = 250;

impl World {
    /// Pins a message, which a message of the system tells; a pinned one stays as it is.
    pub(crate) fn pin(
        &mut self,
        actor: UserId,
        channel: ChannelId,
        message: MessageId,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        let place = self.channel(channel)?;
        self.require(actor, place, Permissions::PIN_MESSAGES, now)?;
        let found = place.message(message)?;
        if found.kind.is_system() {
            return Err(Refusal::SystemMessage);
        }
        Self::refuse_archived(place)?;
        if found.pinned_at.is_some() {
            return Ok(Effect::none(()));
        }
        let pins = place.messages.values().filter(|message| message.pinned_at.is_some()).count();
        if pins >= MAX_PINS {
            return Err(Refusal::TooManyPins);
        }
        let guild = place.guild;
        let mut dispatches = self.set_pinned(actor, channel, message, Some(now), reason, now);
        let reference = Some(Reference { message: Some(message), channel, guild });
        let notice = Notice { reference, ..Notice::default() };
        self.post_notice(channel, actor, MessageKind::PIN, notice, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    /// Takes a pin away.
    pub(crate) fn unpin(
        &mut self,
        actor: UserId,
        channel: ChannelId,
        message: MessageId,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        let place = self.channel(channel)?;
        self.require(actor, place, Permissions::PIN_MESSAGES, now)?;
        Self::refuse_archived(place)?;
        if place.message(message)?.pinned_at.is_none() {
            return Ok(Effect::none(()));
        }
        let dispatches = self.set_pinned(actor, channel, message, None, reason, now);
        Ok(Effect::new((), dispatches))
    }

    /// Returns pinned messages, the latest pinned first, and whether there are more.
    pub(crate) fn pins(
        &self,
        reader: UserId,
        channel: ChannelId,
        before: Option<UnixMillis>,
        limit: usize,
        now: UnixMillis,
    ) -> Result<(Vec<&Message>, bool), Refusal> {
        let channel = self.channel(channel)?;
        let rights = self.require(reader, channel, Permissions::empty(), now)?;
        if !rights.contains(Permissions::READ_MESSAGE_HISTORY) {
            return Ok((Vec::new(), false));
        }
        let mut pinned: Vec<&Message> = channel
            .messages
            .values()
            .filter(|message| {
                message.pinned_at.is_some_and(|at| before.is_none_or(|before| at < before))
            })
            .collect();
        pinned.sort_by_key(|message| std::cmp::Reverse((message.pinned_at, message.id)));
        let has_more = pinned.len() > limit;
        pinned.truncate(limit);
        Ok((pinned, has_more))
    }

    fn set_pinned(
        &mut self,
        actor: UserId,
        channel: ChannelId,
        message: MessageId,
        pinned_at: Option<UnixMillis>,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Vec<Dispatch> {
        let mut dispatches = Vec::new();
        let Some(place) = self.channels.get_mut(&channel) else { return dispatches };
        let guild = place.guild;
        let Some(found) = place.messages.get_mut(&message) else { return dispatches };
        found.pinned_at = pinned_at;
        let author = found.author;
        if pinned_at.is_some() {
            place.last_pin = pinned_at;
        }
        let body = wire::channel_pins_update(place);
        let audience = Audience::of_channel(guild, channel);
        dispatches.extend(self.message_dispatch("MESSAGE_UPDATE", channel, message));
        dispatches.push(Dispatch::shared("CHANNEL_PINS_UPDATE", audience, body));
        if let Some(guild) = guild {
            let is_pin = pinned_at.is_some();
            let deed = Deed {
                action: if is_pin { action::MESSAGE_PIN } else { action::MESSAGE_UNPIN },
                target: Some(author.get()),
                changes: Vec::new(),
                options: Some(json!({ "channel_id": channel, "message_id": message })),
                reason,
            };
            self.record(guild, Actor::User(actor), deed, now, &mut dispatches);
        }
        dispatches
    }
}
