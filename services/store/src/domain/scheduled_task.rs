use twilight_model::id::{Id, marker::UserMarker};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, TriggerId};

/// A task that is to come onto its channel's queue at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScheduledTask {
    pub(crate) channel: ChannelKey,
    pub(crate) trigger: TriggerId,
    /// How often the trigger was put back.
    pub(crate) retry: u32,
    pub(crate) bot: Id<UserMarker>,
    pub(crate) received_at: UnixMillis,
    pub(crate) payload: Vec<u8>,
    pub(crate) due_at: UnixMillis,
}
