use ery_channel_queue::QueueError;
use ery_membership::MembershipError;

use crate::domain::{journal::ReadStepError, task_thread::ReplayError};

/// Why the orchestrator ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum OrchestratorError {
    #[error("could not register as an orchestrator")]
    Membership(#[from] MembershipError),
}

/// Why a call to another service brought no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The epoch is over: somebody else holds the channel.
    #[error("`{call}` was refused, since the epoch is over")]
    Fenced { call: &'static str },
    /// Asked again until patience ended; it may or may not have happened.
    #[error("`{call}` was not answered")]
    Unavailable {
        call: &'static str,
        #[source]
        status: Box<tonic::Status>,
    },
    /// Asking again would bring the same.
    #[error("`{call}` was refused")]
    Refused {
        call: &'static str,
        #[source]
        status: Box<tonic::Status>,
    },
    /// An answer that this process cannot read.
    #[error("`{call}` was answered without `{lacks}`")]
    Unreadable { call: &'static str, lacks: &'static str },
}

/// Why a task thread did not come to its end here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ThreadError {
    /// Somebody else goes on with it; nothing more may be written.
    #[error("the epoch is over")]
    Fenced,
    /// It waits for redelivery, with its journal.
    #[error("a service is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// This process drains; somebody else is woken for it.
    #[error("this process drains")]
    Draining,
    /// It counts as an attempt.
    #[error("the thread failed by an error of its own")]
    Own(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<CallError> for ThreadError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Fenced { .. } => Self::Fenced,
            CallError::Unavailable { .. } => Self::Unavailable(Box::new(error)),
            CallError::Refused { .. } | CallError::Unreadable { .. } => Self::Own(Box::new(error)),
        }
    }
}

impl From<QueueError> for ThreadError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::LeaseLost { .. } => Self::Fenced,
            QueueError::Unavailable(_) | QueueError::Unreadable { .. } | QueueError::Full => {
                Self::Unavailable(Box::new(error))
            }
        }
    }
}

impl From<ReplayError> for ThreadError {
    fn from(error: ReplayError) -> Self {
        Self::Own(Box::new(error))
    }
}

impl From<ReadStepError> for ThreadError {
    fn from(error: ReadStepError) -> Self {
        Self::Own(Box::new(error))
    }
}

/// Returns an error with all that caused it, as one line. For our own records, never for people.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: tonic::Code) -> tonic::Status {
        tonic::Status::new(code, "why")
    }

    #[test]
    fn each_failed_call_says_what_becomes_of_its_thread() {
        let fenced = CallError::Fenced { call: "AppendSteps" };
        assert!(matches!(ThreadError::from(fenced), ThreadError::Fenced));
        let status = Box::new(refusal(tonic::Code::Unavailable));
        let away = CallError::Unavailable { call: "CallTool", status };
        assert!(matches!(ThreadError::from(away), ThreadError::Unavailable(_)));
        let status = Box::new(refusal(tonic::Code::InvalidArgument));
        let refused = CallError::Refused { call: "CallTool", status };
        let own = ThreadError::from(refused);
        assert!(matches!(own, ThreadError::Own(_)));
        assert!(with_causes(&own).contains("`CallTool` was refused"), "{}", with_causes(&own));
        let odd = CallError::Unreadable { call: "RunModelTurn", lacks: "kind" };
        assert!(matches!(ThreadError::from(odd), ThreadError::Own(_)));
    }

    #[test]
    fn a_lost_lease_ends_a_thread_as_an_old_epoch_does() {
        let channel = ery_ids::ChannelKey::from_raw(1, 2).unwrap();
        let lost = ThreadError::from(QueueError::LeaseLost { channel });
        assert!(matches!(lost, ThreadError::Fenced));
        assert!(matches!(ThreadError::from(QueueError::Full), ThreadError::Unavailable(_)));
    }
}
