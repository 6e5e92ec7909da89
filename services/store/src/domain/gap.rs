use twilight_model::id::{
    Id,
    marker::{ChannelMarker, MessageMarker},
};

use ery_clock::UnixMillis;

/// Milliseconds between 1970 and the first moment of Discord's ids.
const DISCORD_EPOCH: i64 = 1_420_070_400_000;

/// A channel that has messages, and the newest of them that came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChannelEnd {
    pub(crate) channel: Id<ChannelMarker>,
    pub(crate) last: Id<MessageMarker>,
    pub(crate) newest: Option<Id<MessageMarker>>,
}

/// Messages of a channel that may have been missed: those behind `after`, up to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) channel: Id<ChannelMarker>,
    pub(crate) after: u64,
    pub(crate) last: Id<MessageMarker>,
}

/// Tells where messages were missed. `told_before` is when Discord told the guild before this time.
///
/// Where nothing of a channel is known, messages were missed there only since a session last told of
/// the guild: an older one would have been taken in, or came before Ery did. Where nothing of the
/// guild is known, nothing was missed.
pub(crate) fn gaps(ends: &[ChannelEnd], told_before: Option<UnixMillis>) -> Vec<Gap> {
    let newest = ends.iter().filter_map(|end| end.newest).map(Id::get).max();
    let since = newest.max(told_before.map(first_id_at));
    ends.iter()
        .filter_map(|end| {
            let after = end.newest.map(Id::get).or(since)?;
            let gap = Gap { channel: end.channel, after, last: end.last };
            (end.last.get() > after).then_some(gap)
        })
        .collect()
}

/// Returns the lowest id that Discord makes at a moment.
pub(crate) fn first_id_at(at: UnixMillis) -> u64 {
    u64::try_from(at.0.saturating_sub(DISCORD_EPOCH)).unwrap_or(0) << 22
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(channel: u64, last: u64, newest: u64) -> ChannelEnd {
        let newest = Id::new_checked(newest);
        ChannelEnd { channel: Id::new(channel), last: Id::new(last), newest }
    }

    fn found(ends: &[ChannelEnd], told_before: Option<UnixMillis>) -> Vec<(u64, u64, u64)> {
        let gaps = gaps(ends, told_before);
        gaps.iter().map(|gap| (gap.channel.get(), gap.after, gap.last.get())).collect()
    }

    #[test]
    fn a_guild_of_which_nothing_is_known_has_missed_nothing() {
        assert_eq!(found(&[end(1, 50, 0), end(2, 60, 0)], None), []);
    }

    #[test]
    fn only_the_difference_is_missing() {
        assert_eq!(found(&[end(1, 50, 40), end(2, 60, 60)], None), [(1, 40, 50)]);
    }

    #[test]
    fn of_an_unknown_channel_only_what_is_newer_than_the_last_session_is_missing() {
        let ends = [end(1, 50, 50), end(2, 49, 0), end(3, 51, 0)];
        assert_eq!(found(&ends, None), [(3, 50, 51)]);
        let told = UnixMillis(DISCORD_EPOCH + 1);
        let ends = [end(1, 4_194_303, 0), end(2, 4_194_305, 0)];
        assert_eq!(found(&ends, Some(told)), [(2, 4_194_304, 4_194_305)]);
        assert_eq!(first_id_at(UnixMillis(0)), 0);
    }
}
