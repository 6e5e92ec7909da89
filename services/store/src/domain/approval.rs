use twilight_model::id::{
    Id,
    marker::{GuildMarker, MessageMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, ExecutionKey, TaskThreadId};

/// What was decided of an act that waited for a click.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApprovalDecision {
    Approved,
    Rejected,
    Expired,
    /// The message that asked for it was deleted.
    Void,
}

impl ApprovalDecision {
    const ALL: [Self; 4] = [Self::Approved, Self::Rejected, Self::Expired, Self::Void];

    /// Returns its name in the file.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Void => "void",
        }
    }

    /// Reads its name in the file.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.as_str() == text)
    }
}

/// An act that is to be approved, beside the execution that proposes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewApproval {
    pub(crate) id: String,
    pub(crate) hash: String,
    pub(crate) asker: Id<UserMarker>,
    pub(crate) bot: Id<UserMarker>,
    pub(crate) expires_at: UnixMillis,
}

/// An act that waits for the click of a person who holds the right, or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Approval {
    pub(crate) id: String,
    pub(crate) channel: ChannelKey,
    pub(crate) thread: TaskThreadId,
    /// The execution that proposed it.
    pub(crate) key: ExecutionKey,
    pub(crate) tool: String,
    pub(crate) arguments: String,
    pub(crate) hash: String,
    /// None once that person was forgotten.
    pub(crate) asker: Option<Id<UserMarker>>,
    pub(crate) bot: Id<UserMarker>,
    pub(crate) asking: Option<Id<MessageMarker>>,
    /// The message with the buttons.
    pub(crate) message: Option<Id<MessageMarker>>,
    pub(crate) created_at: UnixMillis,
    pub(crate) expires_at: UnixMillis,
    pub(crate) decided: Option<Decided>,
}

/// Who decided, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decided {
    pub(crate) decision: ApprovalDecision,
    /// None where time or a deletion did.
    pub(crate) by: Option<Id<UserMarker>>,
    pub(crate) at: UnixMillis,
}

/// A click.
#[derive(Clone, Debug)]
pub(crate) struct Click {
    pub(crate) guild: Id<GuildMarker>,
    pub(crate) approval: String,
    pub(crate) is_approved: bool,
    pub(crate) by: Id<UserMarker>,
}

/// Returns what an approval comes to that is looked at now; none if it stays open.
pub(crate) fn ruling(
    is_asking_deleted: bool,
    expires_at: UnixMillis,
    click: Option<bool>,
    now: UnixMillis,
) -> Option<ApprovalDecision> {
    match click {
        _ if is_asking_deleted => Some(ApprovalDecision::Void),
        _ if now >= expires_at => Some(ApprovalDecision::Expired),
        Some(true) => Some(ApprovalDecision::Approved),
        Some(false) => Some(ApprovalDecision::Rejected),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_file_read_back() {
        for decision in ApprovalDecision::ALL {
            assert_eq!(ApprovalDecision::parse(decision.as_str()), Some(decision));
        }
    }

    #[test]
    fn neither_a_late_click_nor_one_for_a_deleted_message_counts() {
        use ApprovalDecision::{Approved, Expired, Rejected, Void};

        let end = UnixMillis(100);
        for (is_deleted, click, now, expected) in [
            (false, Some(true), 99, Some(Approved)),
            (false, Some(false), 99, Some(Rejected)),
            (false, Some(true), 100, Some(Expired)),
            (false, None, 99, None),
            (false, None, 100, Some(Expired)),
            (true, Some(true), 99, Some(Void)),
            (true, None, 100, Some(Void)),
        ] {
            assert_eq!(ruling(is_deleted, end, click, UnixMillis(now)), expected);
        }
    }
}
