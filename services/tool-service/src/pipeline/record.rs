//! What is written of a call, and what its caller is told from that.

use serde_json::Value;

use ery_proto::{
    store::v1::{Decision, Execution, ExecutionState},
    tool::v1::{CallOutcome, CallToolResponse, ChangedTrigger},
};

use super::ask::Ask;
use crate::{
    domain::{permissions, reason::Reason, tool::Tier},
    tools::failure,
};

/// What people and the model are told where Discord keeps failing.
pub(crate) const UNANSWERED: &str =
    "Discord has not answered properly for a while what I need to know for that; nothing was done.";

/// What was decided of a call.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) decision: Decision,
    pub(super) state: ExecutionState,
    /// For metrics.
    pub(super) code: &'static str,
    /// For the audit and for people.
    pub(super) reason: String,
    /// For the model, where nothing is done.
    pub(super) content: Option<Value>,
    pub(super) act: Option<Value>,
    pub(super) tier: &'static str,
    pub(super) is_ordered: bool,
    /// Whether what is told names what others wrote: their names.
    pub(super) tells_others: bool,
}

impl Verdict {
    pub(super) fn allowed(act: Value, ask: &Ask) -> Self {
        let reason = if ask.is_answer { "the thread's answer" } else { "the asker and Ery may" };
        Self {
            decision: Decision::Allow,
            state: ExecutionState::Open,
            code: "allowed",
            reason: reason.to_owned(),
            content: None,
            act: Some(act),
            tier: "",
            is_ordered: false,
            tells_others: false,
        }
    }

    /// Says how much it could do, and whether the asker's own message ordered it.
    pub(super) fn of(self, tier: Tier, is_ordered: bool) -> Self {
        Self { tier: tier.as_str(), is_ordered, ..self }
    }

    pub(super) fn denied(reason: &Reason, act: Option<Value>) -> Self {
        let sentence = reason.sentence();
        Self {
            decision: Decision::Deny,
            state: ExecutionState::Denied,
            code: reason.code(),
            content: Some(refusal("denied", reason)),
            reason: sentence,
            act,
            tier: "",
            is_ordered: false,
            tells_others: false,
        }
    }

    pub(super) fn needs_approval(reason: &Reason, act: Value) -> Self {
        Self {
            decision: Decision::NeedsApproval,
            content: Some(refusal("needs_approval", reason)),
            ..Self::denied(reason, Some(act))
        }
    }

    /// An act that waits for a click. Its execution is open until it is shown.
    pub(super) fn proposal(reason: &Reason, act: Value) -> Self {
        Self { state: ExecutionState::Open, content: None, ..Self::needs_approval(reason, act) }
    }

    pub(super) fn invalid(sentence: String) -> Self {
        Self::failed("invalid", sentence)
    }

    /// Something fits several, who are named.
    pub(super) fn ambiguous(sentence: String) -> Self {
        Self { tells_others: true, ..Self::failed("invalid", sentence) }
    }

    /// What it takes to judge the call could not be read from Discord.
    pub(super) fn unanswered() -> Self {
        Self::failed("unanswered", UNANSWERED.to_owned())
    }

    fn failed(code: &'static str, sentence: String) -> Self {
        Self {
            decision: Decision::Deny,
            state: ExecutionState::Failed,
            code,
            content: Some(failure(code, &sentence)),
            reason: sentence,
            act: None,
            tier: "",
            is_ordered: false,
            tells_others: false,
        }
    }
}

/// Returns what the model is told of a refusal; by its code it can be said in another language.
pub(super) fn refusal(error: &'static str, reason: &Reason) -> Value {
    let mut content = failure(error, &reason.sentence());
    content["code"] = Value::from(reason.code());
    if let Some(permission) = reason.permission() {
        content["permission"] = Value::from(permissions::words(permission).1);
    }
    content
}

/// Returns what the caller is told of an execution that is over.
pub(super) fn answer_of(execution: Execution, changes: Vec<ChangedTrigger>) -> CallToolResponse {
    let outcome = match (execution.state(), execution.decision()) {
        // Perhaps it is shown: its click or its expiry decides.
        (ExecutionState::Done | ExecutionState::InDoubt, Decision::NeedsApproval) => {
            CallOutcome::NeedsApproval
        }
        (ExecutionState::Done, _) => CallOutcome::Done,
        (ExecutionState::Denied, _) => CallOutcome::Denied,
        (ExecutionState::Failed, _) => CallOutcome::Failed,
        (ExecutionState::InDoubt | ExecutionState::Open | ExecutionState::Unspecified, _) => {
            CallOutcome::InDoubt
        }
    };
    let content: Value = serde_json::from_str(&execution.result).unwrap_or_default();
    let text = |field: &str| content[field].as_str().unwrap_or_default().to_owned();
    let message_id = match outcome {
        CallOutcome::Done => text("message_id").parse().unwrap_or(0),
        _ => 0,
    };
    let reason = match outcome {
        CallOutcome::NeedsApproval => execution.decision_reason.clone(),
        _ => text("reason"),
    };
    CallToolResponse {
        outcome: outcome.into(),
        reason,
        message_id,
        content: execution.result,
        changes,
        arguments: execution.arguments,
        tier: execution.tier,
    }
}

/// Returns the code of a refusal that the store decided.
pub(super) fn code_of(execution: &Execution) -> &'static str {
    let content: Value = serde_json::from_str(&execution.result).unwrap_or_default();
    let codes = [Reason::ORDER_USED, Reason::SLOW_MODE];
    codes.into_iter().find(|code| content["code"] == *code).unwrap_or(Reason::TOO_MANY_ACTS)
}

/// Names an outcome in metrics.
pub(super) fn word(outcome: CallOutcome) -> &'static str {
    match outcome {
        CallOutcome::Unspecified => "unspecified",
        CallOutcome::Done => "done",
        CallOutcome::Denied => "denied",
        CallOutcome::Failed => "failed",
        CallOutcome::NeedsApproval => "needs_approval",
        CallOutcome::InDoubt => "in_doubt",
        CallOutcome::Later => "later",
    }
}
