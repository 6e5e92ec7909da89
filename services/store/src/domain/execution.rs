use std::time::Duration;

use twilight_model::id::{
    Id,
    marker::{ChannelMarker, MessageMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, Epoch, ExecutionKey, Principal, TaskThreadId};

use super::approval::ApprovalDecision;

/// How much harm a tool can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    Read,
    Harmless,
    Reversible,
    Destructive,
}

impl Tier {
    const ALL: [Self; 4] = [Self::Read, Self::Harmless, Self::Reversible, Self::Destructive];

    /// Returns its name, in the file and in the contract.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Harmless => "harmless",
            Self::Reversible => "reversible",
            Self::Destructive => "destructive",
        }
    }

    /// Reads its name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow,
    Deny,
    NeedsApproval,
}

impl Decision {
    const ALL: [Self; 3] = [Self::Allow, Self::Deny, Self::NeedsApproval];

    /// Returns its name in the file.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::NeedsApproval => "needs_approval",
        }
    }

    /// Reads its name in the file.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.as_str() == text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExecutionState {
    /// Reserved; its effect may or may not have happened.
    Open,
    Done,
    Failed,
    Denied,
    InDoubt,
}

impl ExecutionState {
    const ALL: [Self; 5] = [Self::Open, Self::Done, Self::Failed, Self::Denied, Self::InDoubt];

    /// Returns its name in the file.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Denied => "denied",
            Self::InDoubt => "in_doubt",
        }
    }

    /// Reads its name in the file.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    pub(crate) fn is_final(self) -> bool {
        self != Self::Open
    }

    /// Judges closing an execution that stands so with `state`.
    ///
    /// One in doubt may still become certain: its message, with its nonce, may come by the Gateway.
    pub(crate) fn close(self, state: Self) -> Closing {
        match (self, state) {
            (Self::Open, state) if state.is_final() => Closing::Write,
            (Self::InDoubt, Self::Done | Self::Failed) => Closing::Write,
            (stands, state) if stands == state && state.is_final() => Closing::Repeat,
            _ => Closing::Refused,
        }
    }
}

/// Returns whether an execution is a moderation act that was allowed and carried out.
pub(crate) fn is_moderation(tier: Option<Tier>, decision: Decision, state: ExecutionState) -> bool {
    decision == Decision::Allow
        && state == ExecutionState::Done
        && match tier {
            Some(Tier::Reversible | Tier::Destructive) => true,
            Some(Tier::Read | Tier::Harmless) | None => false,
        }
}

/// What closing an execution comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    Write,
    /// It is closed so already.
    Repeat,
    /// It is closed otherwise.
    Refused,
}

/// A decision on a tool call, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Execution {
    pub(crate) key: ExecutionKey,
    pub(crate) thread: Option<TaskThreadId>,
    pub(crate) channel: ChannelKey,
    pub(crate) epoch: Epoch,
    pub(crate) tool: String,
    pub(crate) arguments: String,
    pub(crate) arguments_hash: String,
    pub(crate) principal: Option<Principal>,
    pub(crate) trigger_id: String,
    pub(crate) tier: Option<Tier>,
    pub(crate) decision: Decision,
    pub(crate) decision_reason: String,
    pub(crate) approver: Option<Id<UserMarker>>,
    pub(crate) is_tainted: bool,
    pub(crate) is_ordered: bool,
    pub(crate) opened_at: UnixMillis,
    pub(crate) send_by: UnixMillis,
    pub(crate) closed_at: Option<UnixMillis>,
    pub(crate) state: ExecutionState,
    pub(crate) result: String,
    pub(crate) rest_status: u32,
    pub(crate) audit_reason: String,
    pub(crate) model: String,
    pub(crate) prompt_version: String,
    /// The approval that it proposed, or on which it stands; empty if none.
    pub(crate) approval: String,
    /// What was decided of the act that it proposed; not part of what is written.
    pub(crate) proposal: Option<ApprovalDecision>,
    /// Who decided it.
    pub(crate) proposal_decided_by: Option<Id<UserMarker>>,
}

/// A bound of what people may have done in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ActLimit {
    /// Of the execution's own person; of everybody in the guild where false.
    pub(crate) is_of_person: bool,
    /// Whether reversible acts count beside destructive ones.
    pub(crate) is_of_reversible: bool,
    pub(crate) window: Duration,
    pub(crate) most: u32,
    pub(crate) decision_reason: String,
    pub(crate) result: String,
}

impl ActLimit {
    /// Returns what is written of an execution past this bound.
    pub(crate) fn denied(&self, execution: &Execution) -> Execution {
        Execution {
            decision: Decision::Deny,
            decision_reason: self.decision_reason.clone(),
            state: ExecutionState::Denied,
            closed_at: Some(execution.opened_at),
            result: self.result.clone(),
            ..execution.clone()
        }
    }
}

/// Slow mode in a channel in which an execution writes for its person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlowMode {
    pub(crate) channel: Id<ChannelMarker>,
    /// From which message on their own count; none do where there is none.
    pub(crate) since: Option<Id<MessageMarker>>,
    /// The window, and what is written of a denial.
    pub(crate) limit: ActLimit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_file_read_back() {
        for tier in Tier::ALL {
            assert_eq!(Tier::parse(tier.as_str()), Some(tier));
        }
        for decision in Decision::ALL {
            assert_eq!(Decision::parse(decision.as_str()), Some(decision));
        }
        for state in ExecutionState::ALL {
            assert_eq!(ExecutionState::parse(state.as_str()), Some(state));
        }
    }

    #[test]
    fn only_moderation_acts_that_happened_are_logged() {
        use ExecutionState::{Denied, Done, Failed};

        for (tier, decision, state, expected) in [
            (Some(Tier::Reversible), Decision::Allow, Done, true),
            (Some(Tier::Destructive), Decision::Allow, Done, true),
            (Some(Tier::Destructive), Decision::Allow, Failed, false),
            (Some(Tier::Destructive), Decision::Deny, Denied, false),
            (Some(Tier::Harmless), Decision::Allow, Done, false),
            (None, Decision::Allow, Done, false),
        ] {
            assert_eq!(is_moderation(tier, decision, state), expected, "{tier:?} {state:?}");
        }
    }

    #[test]
    fn an_execution_is_closed_once_and_only_doubt_may_be_cleared() {
        use ExecutionState::{Denied, Done, Failed, InDoubt, Open};

        for (stands, state, expected) in [
            (Open, Done, Closing::Write),
            (Open, Denied, Closing::Write),
            (Open, InDoubt, Closing::Write),
            (Open, Open, Closing::Refused),
            (Done, Done, Closing::Repeat),
            (Done, Failed, Closing::Refused),
            (Denied, Done, Closing::Refused),
            (InDoubt, InDoubt, Closing::Repeat),
            (InDoubt, Done, Closing::Write),
            (InDoubt, Denied, Closing::Refused),
        ] {
            assert_eq!(stands.close(state), expected, "{stands:?} {state:?}");
        }
    }
}
