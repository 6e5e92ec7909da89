use std::time::Duration;

use twilight_model::id::{Id, marker::MessageMarker};

use ery_clock::UnixMillis;
use ery_ids::ChannelKey;

use crate::domain::Message;

/// What a model made of a channel's messages, from the first to the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) text: String,
    pub(crate) first: Id<MessageMarker>,
    pub(crate) last: Id<MessageMarker>,
    /// Of how many messages; others may lie between the first and the last.
    pub(crate) messages: u32,
    pub(crate) model: String,
    pub(crate) prompt_version: String,
    pub(crate) made_at: UnixMillis,
}

/// Who would make a channel's summary, and when one is due.
#[derive(Clone, Debug)]
pub(crate) struct SummaryWanted {
    pub(crate) channel: ChannelKey,
    pub(crate) claim: String,
    /// What threads read by themselves, and what no summary is made of: so many of the newest messages,
    /// none of them older than `since`.
    pub(crate) newest: u32,
    pub(crate) since: UnixMillis,
    /// How many messages must lie between the summary that there is and those.
    pub(crate) least: u32,
    /// How many of them are read at most, the newest.
    pub(crate) most: u32,
    /// How long after the last claim there is no other.
    pub(crate) rest: Duration,
    /// How long the claim holds.
    pub(crate) lasts: Duration,
}

/// What a summary is to be made of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SummaryMaterial {
    pub(crate) earlier: Option<Summary>,
    /// What came since, oldest first.
    pub(crate) messages: Vec<Message>,
}

/// A summary that was made.
#[derive(Debug)]
pub(crate) struct SummaryMade {
    /// Empty: none came of it.
    pub(crate) text: String,
    pub(crate) messages: u32,
    pub(crate) model: String,
    pub(crate) prompt_version: String,
}
