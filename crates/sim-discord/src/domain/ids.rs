//! Snowflakes: unique, and ordered by the moment at which they were made.

use twilight_model::id::{
    Id,
    marker::{
        ApplicationMarker, AttachmentMarker, AuditLogEntryMarker, ChannelMarker, CommandMarker,
        CommandVersionMarker, EmojiMarker, GuildMarker, InteractionMarker, MessageMarker,
        RoleMarker, ScheduledEventMarker, StickerMarker, TagMarker, UserMarker, WebhookMarker,
    },
};

use ery_clock::UnixMillis;

pub(crate) type ApplicationId = Id<ApplicationMarker>;
pub(crate) type AttachmentId = Id<AttachmentMarker>;
pub(crate) type AuditLogEntryId = Id<AuditLogEntryMarker>;
pub(crate) type ChannelId = Id<ChannelMarker>;
pub(crate) type EmojiId = Id<EmojiMarker>;
pub(crate) type CommandId = Id<CommandMarker>;
pub(crate) type CommandVersionId = Id<CommandVersionMarker>;
pub(crate) type GuildId = Id<GuildMarker>;
pub(crate) type InteractionId = Id<InteractionMarker>;
pub(crate) type MessageId = Id<MessageMarker>;
pub(crate) type RoleId = Id<RoleMarker>;
pub(crate) type ScheduledEventId = Id<ScheduledEventMarker>;
pub(crate) type StickerId = Id<StickerMarker>;
pub(crate) type TagId = Id<TagMarker>;
pub(crate) type UserId = Id<UserMarker>;
pub(crate) type WebhookId = Id<WebhookMarker>;

/// The first second of 2015, from which snowflakes count.
const DISCORD_EPOCH_MS: i64 = 1_420_070_400_000;
/// Worker, process and increment; the rest is the time.
const TIME_SHIFT: u32 = 22;
const YEAR_MS: i64 = 365 * 24 * 3_600 * 1_000;

/// Makes ids, each greater than every one before it.
#[derive(Debug, Default)]
pub(crate) struct Mint {
    last: u64,
    last_guild: u64,
}

impl Mint {
    /// Makes the next id; it tells `now`, or a little more where ids were made faster than that.
    pub(crate) fn next<M>(&mut self, now: UnixMillis) -> Id<M> {
        self.last = first_of(now).max(self.last + 1);
        Id::new(self.last)
    }

    /// Makes a guild's id.
    ///
    /// Shards are counted by the time in it, so each guild gets a millisecond of its own, from a
    /// year ago onwards: guilds that are made in one burst still spread over all shards.
    pub(crate) fn next_guild(&mut self, now: UnixMillis) -> GuildId {
        let oldest = first_of(UnixMillis(now.0 - YEAR_MS)).max(1 << TIME_SHIFT);
        self.last_guild =
            if self.last_guild == 0 { oldest } else { self.last_guild + (1 << TIME_SHIFT) };
        Id::new(self.last_guild)
    }

    /// Takes note of an id that was made elsewhere, so that it is not made again.
    pub(crate) fn observe<M>(&mut self, id: Id<M>, now: UnixMillis) {
        if created_at(id) <= now {
            self.last = self.last.max(id.get());
        }
    }

    /// Takes note of a guild's id that was made elsewhere.
    pub(crate) fn observe_guild(&mut self, id: GuildId, now: UnixMillis) {
        if created_at(id) <= now {
            self.last_guild = self.last_guild.max((id.get() >> TIME_SHIFT) << TIME_SHIFT);
        }
    }
}

/// Returns the smallest id of a moment.
pub(crate) fn first_of(at: UnixMillis) -> u64 {
    u64::try_from(at.0.saturating_sub(DISCORD_EPOCH_MS)).unwrap_or(0) << TIME_SHIFT
}

/// Returns the moment that an id tells.
pub(crate) fn created_at<M>(id: Id<M>) -> UnixMillis {
    let since = i64::try_from(id.get() >> TIME_SHIFT).unwrap_or(i64::MAX);
    UnixMillis(since.saturating_add(DISCORD_EPOCH_MS))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    #[test]
    fn ids_rise_even_when_the_clock_stands_or_goes_back() {
        let mut mint = Mint::default();
        let first: MessageId = mint.next(NOW);
        let second: MessageId = mint.next(NOW);
        let third: MessageId = mint.next(UnixMillis(NOW.0 - 5_000));
        assert!(first < second && second < third);
        assert_eq!(created_at(first), NOW);
    }

    #[test]
    fn guilds_made_in_one_burst_spread_over_the_shards() {
        let mut mint = Mint::default();
        let shards: HashSet<u64> =
            (0..16).map(|_| (mint.next_guild(NOW).get() >> TIME_SHIFT) % 16).collect();
        assert_eq!(shards.len(), 16);
    }

    #[test]
    fn an_observed_id_is_not_made_again() {
        let mut mint = Mint::default();
        let theirs: MessageId = Id::new(first_of(NOW) + 7);
        mint.observe(theirs, NOW);
        assert!(mint.next::<MessageMarker>(NOW) > theirs);
    }
}
