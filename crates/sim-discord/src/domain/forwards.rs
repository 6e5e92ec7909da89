//! Forwarding: a message that shows another one as it was, and says nothing itself.

use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{ChannelId, Draft, Message, MessageId, MessageKind, Reference, Refusal, UserId, World};
use crate::wire::Sight;

/// The flag of a message that shows another one.
pub(super) const HAS_SNAPSHOT: u64 = 1 << 14;

/// What somebody wants to forward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forward {
    pub(crate) channel: ChannelId,
    pub(crate) message: MessageId,
}

impl Forward {
    /// Refuses a forward that says something itself.
    pub(super) fn check_alone(draft: &Draft) -> Result<(), Refusal> {
        let says_nothing = draft.content.is_empty()
            && draft.embeds.is_empty()
            && draft.attachments.is_empty()
            && draft.components.is_empty()
            && draft.stickers.is_empty()
            && draft.poll.is_none();
        if draft.forward.is_none() || says_nothing {
            return Ok(());
        }
        let message = "A forward cannot have content of its own";
        Err(Refusal::field(&["message_reference"], "MESSAGE_REFERENCE_FORWARD_CONTENT", message))
    }
}

impl World {
    /// Returns a message as it is now, for somebody who may read it, and where it is.
    ///
    /// Source: Discord Docs, Message, "Message Reference Types".
    pub(super) fn snapshot(
        &self,
        author: UserId,
        forward: Forward,
        now: UnixMillis,
    ) -> Result<(Reference, Message), Refusal> {
        let place = self.channel(forward.channel)?;
        let rights = self.require(author, place, Permissions::empty(), now)?;
        if !rights.contains(Permissions::READ_MESSAGE_HISTORY) {
            return Err(Refusal::CannotReference);
        }
        let refused = |code, message: &str| Refusal::field(&["message_reference"], code, message);
        let found = place.messages.get(&forward.message);
        let found = found.ok_or_else(|| refused("REPLIES_UNKNOWN_MESSAGE", "Unknown message"))?;
        let is_plain = matches!(found.kind, MessageKind::DEFAULT | MessageKind::REPLY);
        if !is_plain || found.poll.is_some() {
            let message = "Cannot forward this message";
            return Err(refused("MESSAGE_REFERENCE_CANNOT_FORWARD", message));
        }
        let reads_all = self.bot(author).is_none_or(|bot| bot.privileged_intents);
        if !reads_all && Sight::WithoutContent(author).hides(found) {
            return Err(Refusal::CannotForward);
        }
        // Who forwards a forward shows what that one shows.
        let shown = found.snapshot.as_deref().unwrap_or(found);
        let shown = Message { snapshot: None, reactions: Vec::new(), nonce: None, ..shown.clone() };
        let (message, channel) = (Some(forward.message), forward.channel);
        Ok((Reference { message, channel, guild: place.guild }, shown))
    }
}
