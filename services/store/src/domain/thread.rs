use serde::{Deserialize, Serialize};
use twilight_model::id::{Id, marker::UserMarker};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, Epoch, Principal, TaskThreadId, TriggerId};

use super::{Execution, Message, approval::Approval, usage::Bill};

/// How a task thread stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Running,
    Done,
    OutOfBudget,
    Cancelled,
    Failed,
    TooBusy,
    Suspended,
}

impl Outcome {
    const ALL: [Self; 7] = [
        Self::Running,
        Self::Done,
        Self::OutOfBudget,
        Self::Cancelled,
        Self::Failed,
        Self::TooBusy,
        Self::Suspended,
    ];

    /// Returns its name in the file.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::OutOfBudget => "out_of_budget",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::TooBusy => "too_busy",
            Self::Suspended => "suspended",
        }
    }

    /// Reads its name in the file.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepKind {
    ContextLoaded,
    OrdersRead,
    ModelAsked,
    ModelAnswered,
    ExecutionOpened,
    ExecutionClosed,
    Finished,
    /// Only what was spent.
    Spent,
}

impl StepKind {
    const ALL: [Self; 8] = [
        Self::ContextLoaded,
        Self::OrdersRead,
        Self::ModelAsked,
        Self::ModelAnswered,
        Self::ExecutionOpened,
        Self::ExecutionClosed,
        Self::Finished,
        Self::Spent,
    ];

    /// Returns its name in the file.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ContextLoaded => "context_loaded",
            Self::OrdersRead => "orders_read",
            Self::ModelAsked => "model_asked",
            Self::ModelAnswered => "model_answered",
            Self::ExecutionOpened => "execution_opened",
            Self::ExecutionClosed => "execution_closed",
            Self::Finished => "finished",
            Self::Spent => "spent",
        }
    }

    /// Reads its name in the file.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One entry of a thread's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) index: u32,
    pub(crate) kind: StepKind,
    pub(crate) payload: String,
    pub(crate) at: UnixMillis,
    /// What it tells of having been spent; it is counted with the step, and read no more.
    pub(crate) bill: Bill,
}

/// Returns whether a step may be written after `last`, the highest index that stands.
///
/// A journal begins at 0 or 1 and has no gaps: replaying it must not skip what was decided.
pub(crate) fn may_follow(last: Option<u32>, index: u32) -> bool {
    match last {
        Some(last) => index <= last.saturating_add(1),
        None => index <= 1,
    }
}

/// What starts a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trigger {
    pub(crate) id: TriggerId,
    pub(crate) message: Option<Message>,
    pub(crate) received_at: UnixMillis,
}

/// A trigger deleted or edited since it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TriggerChange {
    pub(crate) id: String,
    pub(crate) is_deleted: bool,
    pub(crate) content: String,
    pub(crate) edited_at: UnixMillis,
}

/// Tokens that a thread's model turns cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) prompt: u64,
    pub(crate) completion: u64,
    pub(crate) cached: u64,
}

/// What the gate knows of a channel beyond the message itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChannelState {
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) last_answers: Vec<LastAnswer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) answers_to_bots: Option<AnswersToBots>,
}

/// How many bots and webhooks were answered since a person was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AnswersToBots {
    pub(crate) count: u32,
    pub(crate) last_at: UnixMillis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exchange {
    pub(crate) user: Id<UserMarker>,
    pub(crate) until: UnixMillis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastAnswer {
    pub(crate) user: Id<UserMarker>,
    pub(crate) at: UnixMillis,
}

/// A thread with what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TaskThread {
    pub(crate) id: TaskThreadId,
    pub(crate) channel: ChannelKey,
    pub(crate) epoch: Epoch,
    pub(crate) principal: Option<Principal>,
    pub(crate) askers: Vec<Id<UserMarker>>,
    pub(crate) started_at: UnixMillis,
    pub(crate) finished_at: Option<UnixMillis>,
    pub(crate) outcome: Outcome,
    pub(crate) detail: String,
    pub(crate) attempts: u32,
    pub(crate) usage: Usage,
    pub(crate) triggers: Vec<Trigger>,
    pub(crate) steps: Vec<Step>,
    pub(crate) executions: Vec<Execution>,
    pub(crate) changes: Vec<TriggerChange>,
    pub(crate) approvals: Vec<Approval>,
}

/// An attempt at a thread that did not end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// It ended with an error of the thread's own.
    pub(crate) has_error: bool,
    pub(crate) at_step: u32,
    pub(crate) at: UnixMillis,
}

/// The last attempt that was recorded of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastAttempt {
    pub(crate) at_step: u32,
    pub(crate) at: UnixMillis,
}

impl Attempt {
    /// Returns whether this is a repeat of the one recorded last.
    pub(crate) fn is_repeat_of(&self, last: Option<LastAttempt>) -> bool {
        last == Some(LastAttempt { at_step: self.at_step, at: self.at })
    }

    /// Returns whether it counts towards the thread's end: an error of its own, or no progress
    /// since the one before. A drain, a kill or an outage that made progress does not.
    pub(crate) fn counts_after(&self, last: Option<LastAttempt>) -> bool {
        self.has_error || last.is_some_and(|last| last.at_step == self.at_step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_file_read_back() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.as_str()), Some(outcome));
        }
        for kind in StepKind::ALL {
            assert_eq!(StepKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(Outcome::parse("ended"), None);
    }

    #[test]
    fn a_journal_has_no_gaps() {
        for (last, index, expected) in [
            (None, 0, true),
            (None, 1, true),
            (None, 2, false),
            (Some(3), 3, true),
            (Some(3), 4, true),
            (Some(3), 5, false),
            (Some(u32::MAX), u32::MAX, true),
        ] {
            assert_eq!(may_follow(last, index), expected, "{last:?} {index}");
        }
    }

    #[test]
    fn an_attempt_counts_by_its_error_or_for_want_of_progress() {
        let last = Some(LastAttempt { at_step: 4, at: UnixMillis(10) });
        let attempt = |has_error, at_step| Attempt { has_error, at_step, at: UnixMillis(20) };
        assert!(attempt(true, 9).counts_after(last));
        assert!(attempt(true, 0).counts_after(None));
        assert!(attempt(false, 4).counts_after(last));
        assert!(!attempt(false, 5).counts_after(last));
        assert!(!attempt(false, 0).counts_after(None));
        assert!(Attempt { at: UnixMillis(10), ..attempt(false, 4) }.is_repeat_of(last));
        assert!(!attempt(false, 4).is_repeat_of(last));
    }
}
