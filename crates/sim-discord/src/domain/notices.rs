//! Messages of the system: what happened, told in the channel where it happened.

use serde_json::Value;

use ery_clock::UnixMillis;

use super::{ChannelId, Dispatch, Message, MessageKind, Persona, Reference, UserId, World};

/// What a message of the system says beside its kind.
#[derive(Debug, Default)]
pub(super) struct Notice {
    pub(super) content: String,
    pub(super) mentions: Vec<UserId>,
    pub(super) embeds: Vec<Value>,
    pub(super) reference: Option<Reference>,
    /// As whom a webhook caused it.
    pub(super) persona: Option<Box<Persona>>,
}

impl World {
    /// Puts a message of the system into a channel, in the name of whoever caused it.
    pub(super) fn post_notice(
        &mut self,
        channel: ChannelId,
        author: UserId,
        kind: MessageKind,
        notice: Notice,
        now: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) {
        let guild = self.channels.get(&channel).and_then(|channel| channel.guild);
        let id = self.mint.next(now);
        let message = Message {
            content: notice.content,
            mentions: notice.mentions,
            embeds: notice.embeds,
            reference: notice.reference,
            webhook: notice.persona.as_ref().map(|_| author.cast()),
            persona: notice.persona,
            ..Message::new(id, channel, guild, author, kind)
        };
        self.insert_message(message, now, dispatches);
    }
}
