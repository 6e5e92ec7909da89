//! The store's records in words: the same for `ery ctl` and for the playground's page.

use ery_proto::{
    common::v1::{Principal, principal::Kind},
    store::v1::{Decision, ExecutionState, ThreadOutcome},
};

pub(crate) fn principal(principal: Option<&Principal>) -> String {
    match principal.and_then(|principal| principal.kind.as_ref()) {
        Some(Kind::Person(user)) => format!("person {user}"),
        Some(Kind::Rule(rule)) => format!("rule {} v{}", rule.id, rule.version),
        Some(Kind::Expiry(execution)) => format!("expiry of {execution}"),
        None => "nobody".to_owned(),
    }
}

pub(crate) fn outcome(outcome: ThreadOutcome) -> &'static str {
    match outcome {
        ThreadOutcome::Unspecified => "unknown",
        ThreadOutcome::Running => "running",
        ThreadOutcome::Done => "done",
        ThreadOutcome::OutOfBudget => "out of budget",
        ThreadOutcome::Cancelled => "cancelled",
        ThreadOutcome::Failed => "failed",
        ThreadOutcome::TooBusy => "too busy",
        ThreadOutcome::Suspended => "suspended",
    }
}

pub(crate) fn decision(decision: Decision) -> &'static str {
    match decision {
        Decision::Unspecified => "unknown",
        Decision::Allow => "allowed",
        Decision::Deny => "denied",
        Decision::NeedsApproval => "needs approval",
    }
}

pub(crate) fn state(state: ExecutionState) -> &'static str {
    match state {
        ExecutionState::Unspecified => "unknown",
        ExecutionState::Open => "open",
        ExecutionState::Done => "done",
        ExecutionState::Failed => "failed",
        ExecutionState::Denied => "denied",
        ExecutionState::InDoubt => "in doubt",
    }
}
