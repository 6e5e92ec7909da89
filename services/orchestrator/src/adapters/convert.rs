//! Between the contracts' messages and ours. Generated types go no further than here.

use twilight_model::id::{Id, marker::UserMarker};

use ery_clock::UnixMillis;
use ery_enclosures::Enclosure;
use ery_ids::{ChannelKey, ExecutionKey, Fence, TaskThreadId, TriggerId};
use ery_proto::{ai::v1 as ai, common::v1 as common, store::v1 as store, tool::v1 as tool};

use crate::{
    adapters::{tools, usage},
    domain::{
        answer::{KeyTrouble, RefusedKey},
        attachments::{Picture, TextFile},
        channel::ChannelState,
        context::{CallResult, MemberMessage, Part},
        discord,
        journal::{self, Entry, Kind, ModelTurn, Outcome, Step, Stop, ToolCall, Usage},
        message::{Attachment, Mention, Message},
        planned,
        task_thread::{Change, Executed, Past, Ruling},
        tool::{CallOutcome, Tier, Tool},
    },
};

pub(crate) fn fence(fence: &Fence) -> common::Fence {
    common::Fence {
        guild_id: fence.channel.guild_raw(),
        channel_id: fence.channel.channel.get(),
        epoch: fence.epoch.0,
        owner: fence.owner.0.clone(),
    }
}

pub(crate) fn person(user: Id<UserMarker>) -> common::Principal {
    common::Principal { kind: Some(common::principal::Kind::Person(user.get())) }
}

/// Returns the person on whose authority a thread acts, if it is one.
pub(crate) fn person_of(principal: Option<&common::Principal>) -> Option<Id<UserMarker>> {
    match principal?.kind.as_ref()? {
        common::principal::Kind::Person(user) => Id::new_checked(*user),
        common::principal::Kind::Rule(_) | common::principal::Kind::Expiry(_) => None,
    }
}

pub(crate) fn message(message: &Message, gate_reason: &str) -> common::Message {
    common::Message {
        guild_id: message.channel.guild_raw(),
        channel_id: message.channel.channel.get(),
        message_id: message.id.get(),
        author_id: message.author.get(),
        author_name: message.author_name.clone(),
        is_automated: message.is_automated,
        is_own: message.is_own,
        content: message.content.clone(),
        created_at_ms: message.created_at.0,
        edited_at_ms: message.edited_at.map_or(0, |at| at.0),
        reply_to: message.reply_to.map_or(0, Id::get),
        mentions: message
            .mentions
            .iter()
            .map(|mention| common::Mention {
                user_id: mention.user.get(),
                name: mention.name.clone(),
            })
            .collect(),
        mentioned_roles: message.mentioned_roles.iter().map(|role| role.get()).collect(),
        attachments: message
            .attachments
            .iter()
            .map(|file| common::Attachment {
                filename: file.filename.clone(),
                content_type: file.content_type.clone(),
                size_bytes: file.size_bytes,
                url: file.url.clone(),
            })
            .collect(),
        enclosures: message.enclosures.iter().cloned().map(Into::into).collect(),
        forward_of: message.forward_of.map_or(0, Id::get),
        r#type: message.kind,
        reply_to_author_id: message.reply_to_author.map_or(0, Id::get),
        gate_reason: gate_reason.to_owned(),
        nonce: message.nonce.clone(),
    }
}

/// Reads a message; none if it lacks an id.
pub(crate) fn message_from(message: common::Message) -> Option<Message> {
    Some(Message {
        channel: ChannelKey::from_raw(message.guild_id, message.channel_id)?,
        id: Id::new_checked(message.message_id)?,
        author: Id::new_checked(message.author_id)?,
        author_name: message.author_name,
        // The store keeps none: the gate alone goes by them.
        author_roles: Vec::new(),
        is_automated: message.is_automated,
        is_own: message.is_own,
        content: message.content,
        created_at: UnixMillis(message.created_at_ms),
        edited_at: Some(message.edited_at_ms).filter(|at| *at != 0).map(UnixMillis),
        reply_to: Id::new_checked(message.reply_to),
        reply_to_author: Id::new_checked(message.reply_to_author_id),
        mentions: message
            .mentions
            .into_iter()
            .filter_map(|mention| {
                Some(Mention { user: Id::new_checked(mention.user_id)?, name: mention.name })
            })
            .collect(),
        mentioned_roles: message.mentioned_roles.into_iter().filter_map(Id::new_checked).collect(),
        attachments: message
            .attachments
            .into_iter()
            .map(|file| Attachment {
                filename: file.filename,
                content_type: file.content_type,
                size_bytes: file.size_bytes,
                url: file.url,
            })
            .collect(),
        enclosures: message.enclosures.into_iter().filter_map(Enclosure::from_proto).collect(),
        forward_of: Id::new_checked(message.forward_of),
        kind: message.r#type,
        nonce: message.nonce,
    })
}

pub(crate) fn state(state: &ChannelState) -> store::ChannelState {
    store::ChannelState {
        exchanges: state
            .exchanges
            .iter()
            .map(|(user, until)| store::Exchange { user_id: user.get(), until_ms: until.0 })
            .collect(),
        last_answers: state
            .last_answers
            .iter()
            .map(|(user, at)| store::LastAnswer { user_id: user.get(), at_ms: at.0 })
            .collect(),
        answers_to_bots: state
            .answers_to_bots
            .map(|(count, at)| store::AnswersToBots { count, last_at_ms: at.0 }),
    }
}

pub(crate) fn state_from(state: store::ChannelState) -> ChannelState {
    let pair = |user, at| Some((Id::new_checked(user)?, UnixMillis(at)));
    ChannelState {
        exchanges: state
            .exchanges
            .into_iter()
            .filter_map(|exchange| pair(exchange.user_id, exchange.until_ms))
            .collect(),
        last_answers: state
            .last_answers
            .into_iter()
            .filter_map(|answer| pair(answer.user_id, answer.at_ms))
            .collect(),
        answers_to_bots: state
            .answers_to_bots
            .map(|answers| (answers.count, UnixMillis(answers.last_at_ms))),
    }
}

pub(crate) fn changes_from(changes: Vec<store::TriggerChange>) -> Vec<Change> {
    let change = |change: store::TriggerChange| {
        Some(Change {
            trigger: change.trigger_id.parse().ok()?,
            is_deleted: change.is_deleted,
            content: change.content,
            edited_at: UnixMillis(change.edited_at_ms),
        })
    };
    changes.into_iter().filter_map(change).collect()
}

pub(crate) fn changed_triggers_from(changes: Vec<tool::ChangedTrigger>) -> Vec<Change> {
    let change = |change: tool::ChangedTrigger| {
        Some(Change {
            trigger: change.trigger_id.parse().ok()?,
            is_deleted: change.is_deleted,
            content: change.content,
            edited_at: UnixMillis(change.edited_at_ms),
        })
    };
    changes.into_iter().filter_map(change).collect()
}

pub(crate) fn step(step: &Step) -> store::Step {
    let kind = match step.entry.kind() {
        Kind::ContextLoaded => store::StepKind::ContextLoaded,
        Kind::OrdersRead => store::StepKind::OrdersRead,
        Kind::ModelAsked => store::StepKind::ModelAsked,
        Kind::ModelAnswered => store::StepKind::ModelAnswered,
        Kind::ExecutionOpened => store::StepKind::ExecutionOpened,
        Kind::Finished => store::StepKind::Finished,
        Kind::Spent => store::StepKind::Spent,
    };
    let mut written = store::Step {
        index: step.index,
        kind: kind.into(),
        payload: step.entry.payload(),
        at_ms: step.at.0,
        ..store::Step::default()
    };
    usage::bill(&step.bill, &mut written);
    written
}

/// Reads a journal in its order. Steps of kinds that are not ours are passed over.
pub(crate) fn steps_from(mut steps: Vec<store::Step>) -> Result<Vec<Step>, journal::ReadStepError> {
    steps.sort_by_key(|step| step.index);
    let mut read = Vec::with_capacity(steps.len());
    for step in steps {
        let kind = match step.kind() {
            store::StepKind::ContextLoaded => Kind::ContextLoaded,
            store::StepKind::OrdersRead => Kind::OrdersRead,
            store::StepKind::ModelAsked => Kind::ModelAsked,
            store::StepKind::ModelAnswered => Kind::ModelAnswered,
            store::StepKind::ExecutionOpened => Kind::ExecutionOpened,
            store::StepKind::Finished => Kind::Finished,
            store::StepKind::Spent => Kind::Spent,
            store::StepKind::ExecutionClosed | store::StepKind::Unspecified => continue,
        };
        let entry = Entry::read(step.index, kind, &step.payload)?;
        let (index, at) = (step.index, UnixMillis(step.at_ms));
        read.push(Step { index, entry, at, bill: journal::Bill::default() });
    }
    Ok(read)
}

/// Reads what became of the calls of `thread`, by their keys: those that have ended, those that have
/// after a click, and the clicks.
pub(crate) fn past_from(
    thread: TaskThreadId,
    executions: Vec<store::Execution>,
    approvals: &[store::Approval],
) -> Past {
    let mut past = Past::default();
    for execution in executions {
        let Ok(key) = execution.key.parse() else { continue };
        let is_first = key == ExecutionKey::Thread { thread, step: 0, call: 0 };
        past.has_grown |= is_first && tools::is_growing(&execution.arguments);
        let Some(executed) = executed_from(execution) else { continue };
        match key {
            ExecutionKey::Thread { thread: of, step, call } if of == thread => {
                past.executed.insert((step, call), executed);
            }
            ExecutionKey::Approved { thread: of, step, call } if of == thread => {
                past.approved.insert((step, call), executed);
            }
            ExecutionKey::Thread { .. }
            | ExecutionKey::Approved { .. }
            | ExecutionKey::Event { .. }
            | ExecutionKey::Mcp { .. }
            | ExecutionKey::McpApproved { .. } => {}
        }
    }
    for approval in approvals {
        if let Ok(ExecutionKey::Thread { step, call, .. }) = approval.key.parse()
            && let Some(ruling) = ruling_from(approval)
        {
            past.rulings.insert((step, call), ruling);
        }
    }
    past
}

/// Returns the words of the planned prompt that a thread may answer, as its executions say; none where it
/// was not allowed yet, or answers none.
pub(crate) fn allowed_prompt(
    thread: TaskThreadId,
    executions: &[store::Execution],
) -> Option<String> {
    let key = tools::due_key(thread).to_string();
    let allowed = executions.iter().find(|execution| {
        execution.key == key
            && execution.tool == planned::TOOL
            && execution.state() == store::ExecutionState::Done
    });
    planned::words(&allowed?.arguments)
}

fn ruling_from(approval: &store::Approval) -> Option<Ruling> {
    let refused = |reason: String| Some(Ruling::Refused(reason));
    match approval.decision() {
        store::ApprovalDecision::Unspecified => None,
        store::ApprovalDecision::Approved => Some(Ruling::Approved(approval.approval_id.clone())),
        store::ApprovalDecision::Rejected => {
            refused(format!("<@{}> rejected it. It was not done.", approval.decided_by))
        }
        store::ApprovalDecision::Expired => {
            refused("Nobody approved it in time. It was not done.".to_owned())
        }
        store::ApprovalDecision::Void => {
            refused("The message that asked for it was deleted. It was not done.".to_owned())
        }
    }
}

/// Reads how a call ended; none if it has not.
fn executed_from(execution: store::Execution) -> Option<Executed> {
    let needs_approval = execution.decision() == store::Decision::NeedsApproval;
    let outcome = match execution.state() {
        store::ExecutionState::Open | store::ExecutionState::Unspecified => return None,
        // Perhaps it is shown: its click or its expiry decides.
        store::ExecutionState::Done | store::ExecutionState::InDoubt if needs_approval => {
            CallOutcome::NeedsApproval
        }
        store::ExecutionState::Done => CallOutcome::Done,
        store::ExecutionState::Failed => CallOutcome::Failed,
        store::ExecutionState::Denied => CallOutcome::Denied,
        store::ExecutionState::InDoubt => CallOutcome::InDoubt,
    };
    let tier = Tier::from_word(&execution.tier);
    let reason = execution.decision_reason;
    let content = content(outcome, execution.result, &reason);
    Some(Executed { outcome, content, tier })
}

/// Returns what the model is told of a call, where the tool-service gave no words for it too.
pub(crate) fn content(outcome: CallOutcome, content: String, reason: &str) -> String {
    if !content.is_empty() {
        return content;
    }
    match outcome {
        CallOutcome::Done => serde_json::json!({"ok": true}).to_string(),
        CallOutcome::Denied
        | CallOutcome::Failed
        | CallOutcome::NeedsApproval
        | CallOutcome::InDoubt
        | CallOutcome::Later => {
            serde_json::json!({"outcome": outcome.as_word(), "reason": reason}).to_string()
        }
    }
}

pub(crate) fn outcome(outcome: Outcome) -> store::ThreadOutcome {
    match outcome {
        Outcome::Done => store::ThreadOutcome::Done,
        Outcome::OutOfBudget => store::ThreadOutcome::OutOfBudget,
        Outcome::Cancelled => store::ThreadOutcome::Cancelled,
        Outcome::Failed => store::ThreadOutcome::Failed,
        Outcome::TooBusy => store::ThreadOutcome::TooBusy,
        Outcome::Suspended => store::ThreadOutcome::Suspended,
    }
}

/// Returns a thread's outcome as one word or two.
pub(crate) fn outcome_word(outcome: store::ThreadOutcome) -> &'static str {
    match outcome {
        store::ThreadOutcome::Unspecified => "unknown",
        store::ThreadOutcome::Running => "running",
        store::ThreadOutcome::Done => "done",
        store::ThreadOutcome::OutOfBudget => "out of budget",
        store::ThreadOutcome::Cancelled => "cancelled",
        store::ThreadOutcome::Failed => "failed",
        store::ThreadOutcome::TooBusy => "too busy",
        store::ThreadOutcome::Suspended => "suspended",
    }
}

pub(crate) fn call_outcome_from(outcome: tool::CallOutcome) -> Option<CallOutcome> {
    match outcome {
        tool::CallOutcome::Unspecified => None,
        tool::CallOutcome::Done => Some(CallOutcome::Done),
        tool::CallOutcome::Denied => Some(CallOutcome::Denied),
        tool::CallOutcome::Failed => Some(CallOutcome::Failed),
        tool::CallOutcome::NeedsApproval => Some(CallOutcome::NeedsApproval),
        tool::CallOutcome::InDoubt => Some(CallOutcome::InDoubt),
        tool::CallOutcome::Later => Some(CallOutcome::Later),
    }
}

pub(crate) fn usage(usage: Usage) -> common::Usage {
    common::Usage {
        prompt_tokens: usage.prompt_tokens,
        completion_tokens: usage.completion_tokens,
        cached_tokens: usage.cached_tokens,
    }
}

pub(crate) fn tool_from(spec: ai::ToolSpec) -> Tool {
    Tool {
        tier: Tier::from_word(&spec.tier),
        name: spec.name,
        description: spec.description,
        parameters: spec.parameters,
    }
}

pub(crate) fn tool(tool: &Tool) -> ai::ToolSpec {
    ai::ToolSpec {
        name: tool.name.clone(),
        description: tool.description.clone(),
        parameters: tool.parameters.clone(),
        tier: tool.tier.as_word().to_owned(),
    }
}

pub(crate) fn order(order: &journal::Order) -> ai::Order {
    ai::Order { tool: order.tool.clone(), arguments: order.arguments.clone() }
}

pub(crate) fn part(part: Part) -> ai::Turn {
    use ai::turn::Kind;

    let kind = match part {
        Part::Members(messages) => {
            let messages = messages.iter().map(member).collect();
            Kind::Members(ai::MemberMessages { messages, ..ai::MemberMessages::default() })
        }
        Part::Pictures(pictures) => {
            let image = |picture: Picture| ai::Image {
                message_id: picture.message.get(),
                media_type: picture.media_type,
                data: Vec::new(),
                url: picture.url,
            };
            let images = pictures.into_iter().map(image).collect();
            Kind::Members(ai::MemberMessages { images, ..ai::MemberMessages::default() })
        }
        Part::Files(files) => {
            let file = |file: TextFile| ai::TextFile {
                message_id: file.message.get(),
                filename: file.filename,
                url: file.url,
                max_bytes: file.max_bytes,
            };
            let files = files.into_iter().map(file).collect();
            Kind::Members(ai::MemberMessages { files, ..ai::MemberMessages::default() })
        }
        Part::Assistant(turn) => Kind::Assistant(ai::AssistantTurn {
            text: turn.text,
            tool_calls: turn.tool_calls.into_iter().map(tool_call).collect(),
        }),
        Part::Results(results) => Kind::ToolResults(ai::ToolResults {
            results: results.into_iter().map(tool_result).collect(),
        }),
        Part::Note(text) => Kind::Note(text),
        Part::Summary(summary) => Kind::Summary(ai::ChannelSummary {
            text: summary.text,
            from_ms: discord::made_at(summary.first).0,
            until_ms: discord::made_at(summary.last).0,
            messages: summary.messages,
        }),
    };
    ai::Turn { kind: Some(kind) }
}

fn member(member: &MemberMessage) -> ai::MemberMessage {
    ai::MemberMessage {
        message: Some(message(&member.message, "")),
        rights: member.rights.as_word().to_owned(),
        is_to_be_answered: member.is_to_be_answered,
    }
}

fn tool_call(call: ToolCall) -> ai::ToolCall {
    let ToolCall { call_id, tool, arguments, signature } = call;
    ai::ToolCall { call_id, tool, arguments, signature }
}

fn tool_result(result: CallResult) -> ai::ToolResult {
    ai::ToolResult {
        call_id: result.call_id,
        tool: result.tool,
        content: result.content,
        is_error: result.is_error,
    }
}

pub(crate) fn model_turn_from(finished: ai::Finished) -> ModelTurn {
    let stop = match finished.stop_reason() {
        ai::StopReason::ToolCalls => Stop::ToolCalls,
        ai::StopReason::Length => Stop::Length,
        ai::StopReason::Refused => Stop::Refused,
        ai::StopReason::Done | ai::StopReason::Unspecified => Stop::Done,
    };
    let usage = usage_from(finished.usage.unwrap_or_default());
    let mut spent: Vec<_> = finished.spent.into_iter().map(usage::spent_from).collect();
    if spent.is_empty() {
        // An ai-service of an older version tells no more than this.
        spent.push(journal::Spent {
            provider: finished.provider.clone(),
            model: finished.model.clone(),
            usage,
            cost_micros: finished.cost_micros.unwrap_or(0),
            ..journal::Spent::default()
        });
    }
    ModelTurn {
        text: finished.text,
        tool_calls: finished
            .tool_calls
            .into_iter()
            .map(|call| ToolCall {
                call_id: call.call_id,
                tool: call.tool,
                arguments: call.arguments,
                signature: call.signature,
            })
            .collect(),
        stop,
        usage,
        provider: finished.provider,
        model: finished.model,
        request_id: finished.provider_request_id,
        cost_micros: finished.cost_micros,
        prompt_version: finished.prompt_version,
        spent,
    }
}

/// Reads which of the guild's own keys brought nothing, and why.
pub(crate) fn refused_key(refused: ai::RefusedKey) -> RefusedKey {
    let trouble = match refused.trouble() {
        ai::KeyTrouble::NotAccepted | ai::KeyTrouble::Unspecified => KeyTrouble::NotAccepted,
        ai::KeyTrouble::NoCredit => KeyTrouble::NoCredit,
        ai::KeyTrouble::NoModel => KeyTrouble::NoModel,
        ai::KeyTrouble::NoProvider => KeyTrouble::NoProvider,
    };
    RefusedKey { provider: refused.provider, trouble }
}

/// Reads tokens as a provider counted them.
pub(crate) fn usage_from(usage: common::Usage) -> Usage {
    Usage {
        prompt_tokens: usage.prompt_tokens,
        completion_tokens: usage.completion_tokens,
        cached_tokens: usage.cached_tokens,
    }
}

/// Reads trigger ids; what is none is passed over.
pub(crate) fn triggers_from(ids: &[String]) -> impl Iterator<Item = TriggerId> + '_ {
    ids.iter().filter_map(|id| id.parse().ok())
}

#[cfg(test)]
mod tests {
    use ery_enclosures::EnclosureKind;
    use ery_ids::{Epoch, OwnerToken};

    use super::*;
    use crate::domain::fixtures::{ANN, message as a_message};

    #[test]
    fn a_message_comes_back_as_it_went() {
        let mut sent = a_message(5, ANN, "hello");
        sent.edited_at = Some(UnixMillis(7));
        sent.reply_to = Some(Id::new(4));
        sent.reply_to_author = Some(ANN);
        sent.mentions = vec![Mention { user: ANN, name: "a".into() }];
        sent.mentioned_roles = vec![Id::new(3)];
        sent.attachments = vec![Attachment {
            filename: "f".into(),
            content_type: "t".into(),
            size_bytes: 2,
            url: "u".into(),
        }];
        sent.enclosures =
            vec![Enclosure { kind: EnclosureKind::Poll, text: "Where to?\n- North".into() }];
        sent.forward_of = Some(Id::new(6));
        sent.nonce = "n".into();
        let proto = message(&sent, "off");
        assert_eq!(proto.gate_reason, "off");
        assert_eq!(message_from(proto), Some(sent));
        assert_eq!(message_from(common::Message::default()), None);
    }

    #[test]
    fn a_fence_is_written_whole_and_a_state_comes_back_as_it_went() {
        let written = Fence {
            channel: ChannelKey::from_raw(0, 9).unwrap(),
            epoch: Epoch(3),
            owner: OwnerToken("o".into()),
        };
        let sent = fence(&written);
        assert_eq!((sent.guild_id, sent.channel_id, sent.epoch), (0, 9, 3));
        assert_eq!(sent.owner, "o");
        let mut known = ChannelState::default();
        known.answered(&[ANN], UnixMillis(5), std::time::Duration::from_secs(1));
        assert_eq!(state_from(state(&known)), known);
    }

    #[test]
    fn steps_are_read_in_order_and_foreign_kinds_passed_over() {
        let finished =
            journal::Finished { outcome: Outcome::Done, detail: String::new(), answer: None };
        let last = Step {
            index: 4,
            entry: Entry::Finished(finished),
            at: UnixMillis(1),
            bill: journal::Bill::default(),
        };
        let first = Step {
            index: 0,
            entry: Entry::ModelAsked(journal::ModelAsked::default()),
            at: UnixMillis(0),
            bill: journal::Bill::default(),
        };
        let foreign = store::Step {
            index: 2,
            kind: store::StepKind::ExecutionClosed.into(),
            ..store::Step::default()
        };
        let read = steps_from(vec![step(&last), foreign, step(&first)]).unwrap();
        assert_eq!(read, [first, last]);
    }

    #[test]
    fn only_closed_executions_of_the_thread_count() {
        let thread = TaskThreadId::random();
        let execution = |key: String, state: store::ExecutionState, decision: store::Decision| {
            store::Execution {
                key,
                state: state.into(),
                decision: decision.into(),
                tier: "read".into(),
                decision_reason: "why".into(),
                ..store::Execution::default()
            }
        };
        let key = |call| ExecutionKey::Thread { thread, step: 2, call }.to_string();
        let other = ExecutionKey::Thread { thread: TaskThreadId::random(), step: 2, call: 9 };
        let allow = store::Decision::Allow;
        let executed = past_from(
            thread,
            vec![
                execution(key(0), store::ExecutionState::Done, allow),
                execution(key(1), store::ExecutionState::Open, allow),
                execution(key(2), store::ExecutionState::Done, store::Decision::NeedsApproval),
                execution(key(3), store::ExecutionState::Failed, allow),
                execution(key(4), store::ExecutionState::InDoubt, allow),
                execution(key(5), store::ExecutionState::Denied, store::Decision::Deny),
                execution(other.to_string(), store::ExecutionState::Done, allow),
                execution("e/1/rule/0".into(), store::ExecutionState::Done, allow),
            ],
            &[],
        )
        .executed;
        let outcome = |call| executed.get(&(2, call)).map(|executed| executed.outcome);
        assert_eq!(outcome(0), Some(CallOutcome::Done));
        assert_eq!(outcome(1), None);
        assert_eq!(outcome(2), Some(CallOutcome::NeedsApproval));
        assert_eq!(outcome(3), Some(CallOutcome::Failed));
        assert_eq!(outcome(4), Some(CallOutcome::InDoubt));
        assert_eq!(outcome(5), Some(CallOutcome::Denied));
        assert_eq!(executed.len(), 5);
        assert_eq!(executed[&(2, 0)].content, r#"{"ok":true}"#);
        assert_eq!(executed[&(2, 3)].content, r#"{"outcome":"failed","reason":"why"}"#);
        assert_eq!(executed[&(2, 0)].tier, Tier::Read);
    }

    #[test]
    fn only_a_prompt_that_was_allowed_is_answered() {
        let thread = TaskThreadId::random();
        let execution = |key: String, tool: &str, state: store::ExecutionState| store::Execution {
            key,
            tool: tool.to_owned(),
            arguments: r#"{"action":"answer","prompt":"Hm?"}"#.to_owned(),
            state: state.into(),
            ..store::Execution::default()
        };
        let own = tools::due_key(thread).to_string();
        let done = store::ExecutionState::Done;
        let words = |execution| allowed_prompt(thread, &[execution]);
        assert_eq!(words(execution(own.clone(), planned::TOOL, done)).as_deref(), Some("Hm?"));
        for state in [store::ExecutionState::Open, store::ExecutionState::Denied] {
            assert_eq!(words(execution(own.clone(), planned::TOOL, state)), None);
        }
        assert_eq!(words(execution(own, "send_message", done)), None);
        // What a model calls itself has another key.
        let other = ExecutionKey::Thread { thread, step: 2, call: 0 }.to_string();
        assert_eq!(words(execution(other, planned::TOOL, done)), None);
    }

    #[test]
    fn only_a_person_is_a_person() {
        assert_eq!(person_of(Some(&person(ANN))), Some(ANN));
        let expiry = common::principal::Kind::Expiry("e".into());
        assert_eq!(person_of(Some(&common::Principal { kind: Some(expiry) })), None);
        assert_eq!(person_of(None), None);
    }
}
