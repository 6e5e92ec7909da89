//! Publishing messages of announcement channels to whoever follows those.

use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{ChannelId, ChannelKind, Effect, MessageId, Outcome, Refusal, UserId, World};

/// The flag of a message that was published.
const CROSSPOSTED: u64 = 1;

impl World {
    /// Publishes a message: one's own, or with `MANAGE_MESSAGES` another's. Nobody follows channels
    /// here, so it goes nowhere else.
    pub(crate) fn crosspost(
        &mut self,
        actor: UserId,
        channel: ChannelId,
        message: MessageId,
        now: UnixMillis,
    ) -> Outcome<()> {
        let place = self.channel(channel)?;
        let rights = self.require(actor, place, Permissions::SEND_MESSAGES, now)?;
        if place.kind != ChannelKind::ANNOUNCEMENT {
            return Err(Refusal::WrongChannelType);
        }
        let found = place.message(message)?;
        if found.kind.is_system() {
            return Err(Refusal::SystemMessage);
        }
        if found.author != actor && !rights.contains(Permissions::MANAGE_MESSAGES) {
            return Err(Refusal::MissingPermissions);
        }
        if found.flags & CROSSPOSTED != 0 {
            return Err(Refusal::AlreadyCrossposted);
        }
        self.message_mut(channel, message)?.flags |= CROSSPOSTED;
        let dispatch = self.message_dispatch("MESSAGE_UPDATE", channel, message);
        Ok(Effect::new((), dispatch.into_iter().collect()))
    }
}
