use serde::Serialize;
use serde_json::value::RawValue;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use ery_proto::store::v1::{
    ApprovalDecision, Decision, Execution, ExecutionState, Step, StepKind, Thread,
};

use super::Row;
use crate::words::{decision, outcome, principal, state};

/// A task thread, as a list shows it.
#[derive(Debug, Serialize)]
pub(super) struct ThreadView {
    thread_id: String,
    guild_id: Option<String>,
    channel_id: String,
    outcome: &'static str,
    detail: String,
    principal: String,
    triggers: Vec<String>,
    epoch: u64,
    attempts: u32,
    started_at_ms: i64,
    finished_at_ms: Option<i64>,
    prompt_tokens: u64,
    completion_tokens: u64,
}

impl From<&Thread> for ThreadView {
    fn from(thread: &Thread) -> Self {
        let usage = thread.usage.unwrap_or_default();
        Self {
            thread_id: thread.thread_id.clone(),
            guild_id: (thread.guild_id != 0).then(|| thread.guild_id.to_string()),
            channel_id: thread.channel_id.to_string(),
            outcome: outcome(thread.outcome()),
            detail: thread.detail.clone(),
            principal: principal(thread.principal.as_ref()),
            triggers: thread.triggers.iter().map(|trigger| trigger.id.clone()).collect(),
            epoch: thread.epoch,
            attempts: thread.attempts,
            started_at_ms: thread.started_at_ms,
            finished_at_ms: (thread.finished_at_ms != 0).then_some(thread.finished_at_ms),
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
        }
    }
}

impl Row for ThreadView {
    const HEADERS: &'static [&'static str] =
        &["THREAD", "CHANNEL", "STARTED", "TOOK", "OUTCOME", "TRIGGERS", "DETAIL"];

    fn cells(&self) -> Vec<String> {
        let took = self.finished_at_ms.map_or_else(
            || "runs".to_owned(),
            |finished| format!("{} ms", finished - self.started_at_ms),
        );
        vec![
            self.thread_id.clone(),
            self.channel_id.clone(),
            moment(self.started_at_ms),
            took,
            self.outcome.to_owned(),
            self.triggers.len().to_string(),
            self.detail.clone(),
        ]
    }
}

/// A step of a thread's journal.
#[derive(Debug, Serialize)]
pub(super) struct StepView {
    index: u32,
    kind: &'static str,
    at_ms: i64,
    payload: Option<Box<RawValue>>,
}

impl From<&Step> for StepView {
    fn from(step: &Step) -> Self {
        Self {
            index: step.index,
            kind: step_kind(step.kind()),
            at_ms: step.at_ms,
            payload: RawValue::from_string(step.payload.clone()).ok(),
        }
    }
}

impl Row for StepView {
    const HEADERS: &'static [&'static str] = &["STEP", "AT", "KIND", "PAYLOAD"];

    fn cells(&self) -> Vec<String> {
        let payload = self.payload.as_ref().map_or("", |payload| payload.get());
        vec![
            self.index.to_string(),
            moment(self.at_ms),
            self.kind.to_owned(),
            payload.chars().take(120).collect(),
        ]
    }
}

/// An execution of a tool: a record of the audit.
#[derive(Debug, Serialize)]
pub(super) struct ExecutionView {
    key: String,
    thread_id: String,
    guild_id: Option<String>,
    channel_id: String,
    tool: String,
    tier: String,
    principal: String,
    trigger_id: String,
    decision: &'static str,
    decision_reason: String,
    state: &'static str,
    arguments: Option<Box<RawValue>>,
    arguments_hash: String,
    result: Option<Box<RawValue>>,
    rest_status: u32,
    audit_reason: String,
    approver_id: Option<String>,
    approval_id: Option<String>,
    /// What became of what it proposed: waiting, approved, rejected, expired or void.
    proposal: Option<&'static str>,
    proposal_decided_by: Option<String>,
    is_tainted: bool,
    is_ordered: bool,
    epoch: u64,
    model: String,
    prompt_version: String,
    opened_at_ms: i64,
    closed_at_ms: Option<i64>,
}

impl From<&Execution> for ExecutionView {
    fn from(execution: &Execution) -> Self {
        Self {
            key: execution.key.clone(),
            thread_id: execution.thread_id.clone(),
            guild_id: (execution.guild_id != 0).then(|| execution.guild_id.to_string()),
            channel_id: execution.channel_id.to_string(),
            tool: execution.tool.clone(),
            tier: execution.tier.clone(),
            principal: principal(execution.principal.as_ref()),
            trigger_id: execution.trigger_id.clone(),
            decision: decision(execution.decision()),
            decision_reason: execution.decision_reason.clone(),
            state: state(execution.state()),
            arguments: RawValue::from_string(execution.arguments.clone()).ok(),
            arguments_hash: execution.arguments_hash.clone(),
            result: RawValue::from_string(execution.result.clone()).ok(),
            rest_status: execution.rest_status,
            audit_reason: execution.audit_reason.clone(),
            approver_id: (execution.approver_id != 0).then(|| execution.approver_id.to_string()),
            approval_id: (!execution.approval_id.is_empty()).then(|| execution.approval_id.clone()),
            proposal: proposal(execution),
            proposal_decided_by: (execution.approval_decided_by != 0)
                .then(|| execution.approval_decided_by.to_string()),
            is_tainted: execution.is_tainted,
            is_ordered: execution.is_ordered,
            epoch: execution.epoch,
            model: execution.model.clone(),
            prompt_version: execution.prompt_version.clone(),
            opened_at_ms: execution.opened_at_ms,
            closed_at_ms: (execution.closed_at_ms != 0).then_some(execution.closed_at_ms),
        }
    }
}

impl Row for ExecutionView {
    const HEADERS: &'static [&'static str] =
        &["OPENED", "TOOL", "DECISION", "STATE", "PRINCIPAL", "KEY", "REASON"];

    fn cells(&self) -> Vec<String> {
        vec![
            moment(self.opened_at_ms),
            self.tool.clone(),
            match self.proposal {
                Some(proposal) => format!("{}: {proposal}", self.decision),
                None => self.decision.to_owned(),
            },
            self.state.to_owned(),
            self.principal.clone(),
            self.key.clone(),
            self.decision_reason.clone(),
        ]
    }
}

fn proposal(execution: &Execution) -> Option<&'static str> {
    let is_shown = matches!(execution.state(), ExecutionState::Done | ExecutionState::InDoubt);
    if execution.decision() != Decision::NeedsApproval || !is_shown {
        return None;
    }
    Some(match execution.approval_decision() {
        ApprovalDecision::Unspecified => "waiting",
        ApprovalDecision::Approved => "approved",
        ApprovalDecision::Rejected => "rejected",
        ApprovalDecision::Expired => "expired",
        ApprovalDecision::Void => "void",
    })
}

pub(super) fn moment(at_ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp(at_ms.div_euclid(1_000))
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_else(|| at_ms.to_string())
}

fn step_kind(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Unspecified => "unknown",
        StepKind::ContextLoaded => "context loaded",
        StepKind::OrdersRead => "orders read",
        StepKind::ModelAsked => "model asked",
        StepKind::ModelAnswered => "model answered",
        StepKind::ExecutionOpened => "execution opened",
        StepKind::ExecutionClosed => "execution closed",
        StepKind::Finished => "finished",
        StepKind::Spent => "spent",
    }
}
