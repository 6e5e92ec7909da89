use twilight_model::id::{
    Id,
    marker::{GuildMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, ExecutionKey, Principal};

/// How an act stands that is to be done at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActionState {
    Waiting,
    Fired,
    Cancelled,
}

impl ActionState {
    const ALL: [Self; 3] = [Self::Waiting, Self::Fired, Self::Cancelled];

    /// Returns its name in the file.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Fired => "fired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads its name in the file.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// What an execution leaves to be done later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Later {
    pub(crate) id: String,
    pub(crate) tool: String,
    pub(crate) arguments: String,
    pub(crate) due_at: UnixMillis,
    /// It ends what the execution did; else it is done for whoever the execution was done for.
    pub(crate) is_expiry: bool,
    pub(crate) bot: Id<UserMarker>,
}

/// An act that is to be done at a time, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScheduledAction {
    pub(crate) id: String,
    pub(crate) channel: ChannelKey,
    /// The execution that planned it.
    pub(crate) key: ExecutionKey,
    pub(crate) tool: String,
    pub(crate) arguments: String,
    pub(crate) principal: Option<Principal>,
    pub(crate) created_at: UnixMillis,
    pub(crate) due_at: UnixMillis,
    pub(crate) state: ActionState,
    pub(crate) ended_at: Option<UnixMillis>,
    pub(crate) ended_by: Option<Id<UserMarker>>,
}

/// Which acts a list shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ActionQuery {
    /// None: of all guilds.
    pub(crate) guild: Option<Id<GuildMarker>>,
    pub(crate) is_waiting_only: bool,
    pub(crate) limit: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_file_read_back() {
        for state in ActionState::ALL {
            assert_eq!(ActionState::parse(state.as_str()), Some(state));
        }
    }
}
