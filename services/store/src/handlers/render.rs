//! From the domain's types to the contract's messages.

use twilight_model::id::{Id, marker::UserMarker};

use ery_clock::UnixMillis;
use ery_ids::Principal;
use ery_proto::{common::v1 as common, store::v1 as proto};

use crate::domain::{
    ChannelState, Decision, Enclosure, EnclosureKind, Execution, ExecutionState, Message, Outcome,
    Step, StepKind, TaskThread, Tier, Trigger, TriggerChange, Usage,
    approval::{Approval, ApprovalDecision},
    dead_letter::{Dead, DeadLetter},
    mcp_credential::McpCredential,
    scheduled_action::{ActionState, ScheduledAction},
    summary::Summary,
    usage::{InWindows, Spending, Sum},
};

pub(super) fn message(message: Message) -> common::Message {
    common::Message {
        guild_id: message.channel.guild_raw(),
        channel_id: message.channel.channel.get(),
        message_id: message.id.get(),
        author_id: message.author.get(),
        author_name: message.author_name,
        is_automated: message.is_automated,
        is_own: message.is_own,
        content: message.content,
        created_at_ms: message.created_at.0,
        edited_at_ms: message.edited_at.0,
        reply_to: message.reply_to.map_or(0, Id::get),
        mentions: message
            .mentions
            .into_iter()
            .map(|mention| common::Mention { user_id: mention.user.get(), name: mention.name })
            .collect(),
        mentioned_roles: message.mentioned_roles.into_iter().map(Id::get).collect(),
        attachments: message
            .attachments
            .into_iter()
            .map(|attachment| common::Attachment {
                filename: attachment.filename,
                content_type: attachment.content_type,
                size_bytes: attachment.size_bytes,
                url: attachment.url,
            })
            .collect(),
        r#type: message.kind,
        reply_to_author_id: message.reply_to_author.map_or(0, Id::get),
        gate_reason: message.gate_reason,
        nonce: message.nonce,
        enclosures: message.enclosures.into_iter().map(enclosure).collect(),
        forward_of: message.forward_of.map_or(0, Id::get),
    }
}

fn enclosure(enclosure: Enclosure) -> common::Enclosure {
    use common::enclosure::Kind;

    let kind = match enclosure.kind {
        EnclosureKind::Forward => Kind::Forward,
        EnclosureKind::Embed => Kind::Embed,
        EnclosureKind::Poll => Kind::Poll,
        EnclosureKind::Sticker => Kind::Sticker,
    };
    common::Enclosure { kind: kind.into(), text: enclosure.text }
}

pub(super) fn messages(messages: Vec<Message>) -> Vec<common::Message> {
    messages.into_iter().map(message).collect()
}

pub(super) fn summary(summary: Summary) -> proto::ChannelSummary {
    proto::ChannelSummary {
        text: summary.text,
        first_message_id: summary.first.get(),
        last_message_id: summary.last.get(),
        messages: summary.messages,
        model: summary.model,
        prompt_version: summary.prompt_version,
        made_at_ms: summary.made_at.0,
    }
}

pub(super) fn changes(changes: Vec<TriggerChange>) -> Vec<proto::TriggerChange> {
    changes
        .into_iter()
        .map(|change| proto::TriggerChange {
            trigger_id: change.id,
            is_deleted: change.is_deleted,
            content: change.content,
            edited_at_ms: change.edited_at.0,
        })
        .collect()
}

pub(super) fn channel_state(state: &ChannelState) -> proto::ChannelState {
    proto::ChannelState {
        exchanges: state
            .exchanges
            .iter()
            .map(|exchange| proto::Exchange {
                user_id: exchange.user.get(),
                until_ms: exchange.until.0,
            })
            .collect(),
        last_answers: state
            .last_answers
            .iter()
            .map(|answer| proto::LastAnswer { user_id: answer.user.get(), at_ms: answer.at.0 })
            .collect(),
        answers_to_bots: state.answers_to_bots.map(|answers| proto::AnswersToBots {
            count: answers.count,
            last_at_ms: answers.last_at.0,
        }),
    }
}

pub(super) fn thread(thread: TaskThread) -> proto::Thread {
    proto::Thread {
        thread_id: thread.id.to_string(),
        guild_id: thread.channel.guild_raw(),
        channel_id: thread.channel.channel.get(),
        epoch: thread.epoch.0,
        triggers: thread.triggers.into_iter().map(trigger).collect(),
        principal: thread.principal.map(principal),
        askers: thread.askers.into_iter().map(Id::get).collect(),
        started_at_ms: thread.started_at.0,
        finished_at_ms: optional_millis(thread.finished_at),
        outcome: outcome(thread.outcome).into(),
        detail: thread.detail,
        steps: thread.steps.into_iter().map(step).collect(),
        executions: thread.executions.into_iter().map(execution).collect(),
        attempts: thread.attempts,
        usage: Some(usage(thread.usage)),
        changes: changes(thread.changes),
        approvals: thread.approvals.into_iter().map(approval).collect(),
    }
}

pub(super) fn execution(execution: Execution) -> proto::Execution {
    proto::Execution {
        key: execution.key.to_string(),
        thread_id: execution.thread.map(|thread| thread.to_string()).unwrap_or_default(),
        guild_id: execution.channel.guild_raw(),
        channel_id: execution.channel.channel.get(),
        epoch: execution.epoch.0,
        tool: execution.tool,
        arguments: execution.arguments,
        arguments_hash: execution.arguments_hash,
        principal: execution.principal.map(principal),
        trigger_id: execution.trigger_id,
        tier: execution.tier.map_or("", Tier::as_str).to_owned(),
        decision: decision(execution.decision).into(),
        decision_reason: execution.decision_reason,
        is_tainted: execution.is_tainted,
        is_ordered: execution.is_ordered,
        opened_at_ms: execution.opened_at.0,
        send_by_ms: execution.send_by.0,
        closed_at_ms: optional_millis(execution.closed_at),
        state: execution_state(execution.state).into(),
        result: execution.result,
        rest_status: execution.rest_status,
        audit_reason: execution.audit_reason,
        model: execution.model,
        prompt_version: execution.prompt_version,
        approver_id: execution.approver.map_or(0, Id::get),
        approval_id: execution.approval,
        approval_decision: execution
            .proposal
            .map_or(proto::ApprovalDecision::Unspecified, approval_decision)
            .into(),
        approval_decided_by: execution.proposal_decided_by.map_or(0, Id::get),
    }
}

fn approval_decision(decision: ApprovalDecision) -> proto::ApprovalDecision {
    match decision {
        ApprovalDecision::Approved => proto::ApprovalDecision::Approved,
        ApprovalDecision::Rejected => proto::ApprovalDecision::Rejected,
        ApprovalDecision::Expired => proto::ApprovalDecision::Expired,
        ApprovalDecision::Void => proto::ApprovalDecision::Void,
    }
}

pub(super) fn approval(approval: Approval) -> proto::Approval {
    let decided = approval.decided;
    let decision = decided.map_or(proto::ApprovalDecision::Unspecified, |decided| {
        approval_decision(decided.decision)
    });
    proto::Approval {
        approval_id: approval.id,
        thread_id: approval.thread.to_string(),
        guild_id: approval.channel.guild_raw(),
        channel_id: approval.channel.channel.get(),
        key: approval.key.to_string(),
        tool: approval.tool,
        arguments: approval.arguments,
        hash: approval.hash,
        asker_id: approval.asker.map_or(0, Id::get),
        bot_id: approval.bot.get(),
        asking_message_id: approval.asking.map_or(0, Id::get),
        message_id: approval.message.map_or(0, Id::get),
        created_at_ms: approval.created_at.0,
        expires_at_ms: approval.expires_at.0,
        decision: decision.into(),
        decided_by: decided.and_then(|decided| decided.by).map_or(0, Id::get),
        decided_at_ms: decided.map_or(0, |decided| decided.at.0),
    }
}

pub(super) fn scheduled_action(action: ScheduledAction) -> proto::ScheduledAction {
    let state = match action.state {
        ActionState::Waiting => proto::ScheduledActionState::Waiting,
        ActionState::Fired => proto::ScheduledActionState::Fired,
        ActionState::Cancelled => proto::ScheduledActionState::Cancelled,
    };
    proto::ScheduledAction {
        scheduled_action_id: action.id,
        guild_id: action.channel.guild_raw(),
        channel_id: action.channel.channel.get(),
        key: action.key.to_string(),
        tool: action.tool,
        arguments: action.arguments,
        principal: action.principal.map(principal),
        created_at_ms: action.created_at.0,
        due_at_ms: action.due_at.0,
        state: state.into(),
        ended_at_ms: optional_millis(action.ended_at),
        ended_by: action.ended_by.map_or(0, Id::get),
    }
}

pub(super) fn mcp_credential(credential: McpCredential) -> proto::McpCredential {
    proto::McpCredential {
        credential_id: credential.id,
        guild_id: credential.guild.get(),
        user_id: credential.user.get(),
        channel_id: credential.channel.get(),
        name: credential.name,
        tools: credential.tools,
        created_at_ms: credential.created_at.0,
        revoked_at_ms: optional_millis(credential.revoked_at),
        told_at_ms: optional_millis(credential.told_at),
    }
}

pub(super) fn dead_letter(letter: DeadLetter) -> proto::DeadLetter {
    let refusal = letter.refusal().map(|refusal| refusal.to_string());
    let (retried_at_ms, retried_by, published_at_ms) = match letter.retried {
        Some(retried) => (retried.at.0, retried.by, optional_millis(retried.published_at)),
        None => Default::default(),
    };
    let common = proto::DeadLetter {
        id: letter.id.to_string(),
        guild_id: letter.home.guild().map_or(0, Id::get),
        channel_id: letter.channel.map_or(0, Id::get),
        received_at_ms: letter.received_at.0,
        reason: letter.reason,
        at_ms: letter.at.0,
        retried_at_ms,
        retried_by,
        published_at_ms,
        payload: letter.payload,
        payload_bytes: letter.payload_bytes,
        refusal: refusal.unwrap_or_default(),
        ..proto::DeadLetter::default()
    };
    match letter.dead {
        Dead::Task { trigger: it, thread, attempts } => proto::DeadLetter {
            kind: proto::DeadLetterKind::Task.into(),
            trigger_id: it.id.to_string(),
            thread_id: thread.to_string(),
            attempts,
            trigger: Some(trigger(*it)),
            ..common
        },
        Dead::Event { id, kind, handler } => proto::DeadLetter {
            kind: proto::DeadLetterKind::Event.into(),
            event_id: id.0,
            event_kind: kind,
            handler,
            ..common
        },
    }
}

fn trigger(trigger: Trigger) -> proto::Trigger {
    proto::Trigger {
        id: trigger.id.to_string(),
        message: trigger.message.map(message),
        received_at_ms: trigger.received_at.0,
    }
}

fn principal(principal: Principal) -> common::Principal {
    use common::principal::{Kind, Rule};

    let kind = match principal {
        Principal::Person(user) => Kind::Person(user.get()),
        Principal::Rule { id, version } => Kind::Rule(Rule { id, version }),
        Principal::Expiry { execution } => Kind::Expiry(execution),
    };
    common::Principal { kind: Some(kind) }
}

fn step(step: Step) -> proto::Step {
    let kind = match step.kind {
        StepKind::ContextLoaded => proto::StepKind::ContextLoaded,
        StepKind::OrdersRead => proto::StepKind::OrdersRead,
        StepKind::ModelAsked => proto::StepKind::ModelAsked,
        StepKind::ModelAnswered => proto::StepKind::ModelAnswered,
        StepKind::ExecutionOpened => proto::StepKind::ExecutionOpened,
        StepKind::ExecutionClosed => proto::StepKind::ExecutionClosed,
        StepKind::Finished => proto::StepKind::Finished,
        StepKind::Spent => proto::StepKind::Spent,
    };
    proto::Step {
        index: step.index,
        kind: kind.into(),
        payload: step.payload,
        at_ms: step.at.0,
        ..proto::Step::default()
    }
}

fn outcome(outcome: Outcome) -> proto::ThreadOutcome {
    match outcome {
        Outcome::Running => proto::ThreadOutcome::Running,
        Outcome::Done => proto::ThreadOutcome::Done,
        Outcome::OutOfBudget => proto::ThreadOutcome::OutOfBudget,
        Outcome::Cancelled => proto::ThreadOutcome::Cancelled,
        Outcome::Failed => proto::ThreadOutcome::Failed,
        Outcome::TooBusy => proto::ThreadOutcome::TooBusy,
        Outcome::Suspended => proto::ThreadOutcome::Suspended,
    }
}

fn decision(decision: Decision) -> proto::Decision {
    match decision {
        Decision::Allow => proto::Decision::Allow,
        Decision::Deny => proto::Decision::Deny,
        Decision::NeedsApproval => proto::Decision::NeedsApproval,
    }
}

fn execution_state(state: ExecutionState) -> proto::ExecutionState {
    match state {
        ExecutionState::Open => proto::ExecutionState::Open,
        ExecutionState::Done => proto::ExecutionState::Done,
        ExecutionState::Failed => proto::ExecutionState::Failed,
        ExecutionState::Denied => proto::ExecutionState::Denied,
        ExecutionState::InDoubt => proto::ExecutionState::InDoubt,
    }
}

/// Writes what was spent in a place.
pub(super) fn spending(spending: &Spending) -> proto::Spending {
    let (day, month) = spending.windows.began();
    let (day_ends, month_ends) = spending.windows.end();
    let member = |(user, spent): &(Id<UserMarker>, InWindows)| proto::MemberSpending {
        user_id: user.get(),
        spent: Some(in_windows(*spent)),
    };
    proto::Spending {
        day_began_ms: day.0,
        month_began_ms: month.0,
        home: Some(in_windows(spending.home)),
        channel: Some(in_windows(spending.channel)),
        members: spending.members.iter().map(member).collect(),
        day_ends_ms: day_ends.0,
        month_ends_ms: month_ends.0,
    }
}

/// Writes what was spent in both windows.
pub(super) fn in_windows(spent: InWindows) -> proto::SpentInWindows {
    let sum = |sum: Sum| proto::SpentSum { tokens: sum.tokens, cost_micros: sum.cost_micros };
    proto::SpentInWindows { day: Some(sum(spent.day)), month: Some(sum(spent.month)) }
}

fn usage(usage: Usage) -> common::Usage {
    common::Usage {
        prompt_tokens: usage.prompt,
        completion_tokens: usage.completion,
        cached_tokens: usage.cached,
    }
}

fn optional_millis(at: Option<UnixMillis>) -> i64 {
    at.map_or(0, |at| at.0)
}
