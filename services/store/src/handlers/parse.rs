//! From the contract's messages to the domain's types, once: what is parsed is trusted.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use twilight_model::id::{Id, marker::UserMarker};

use ery_clock::UnixMillis;
use ery_ids::{
    ChannelKey, Epoch, ExecutionKey, Fence, Home, OwnerToken, Principal, TaskThreadId, TriggerId,
};
use ery_proto::{common::v1 as common, store::v1 as proto};

use crate::{
    adapters::dead_letters::DeadTask,
    domain::{
        ActLimit, AnswersToBots, Attachment, ChannelState, Decision, Enclosure, EnclosureKind,
        Exchange, Execution, ExecutionState, LastAnswer, Mention, Message, Outcome, ScheduledTask,
        SlowMode, Step, StepKind, Tier, Trigger, Usage,
        approval::NewApproval,
        dead_letter::DeadLetterId,
        mcp_credential::McpCredential,
        usage::{Bill, Counts, Spent},
    },
    error::StoreError,
};

/// How long an id or a name of ours may be.
pub(super) const MAX_NAME_BYTES: usize = 512;

/// How long a message's text, an error or a reason may be; Discord's own bound is below it.
pub(super) const MAX_TEXT_BYTES: usize = 64 << 10;

/// How long a step's payload may be: a whole model answer, or a tool's result.
pub(super) const MAX_PAYLOAD_BYTES: usize = 1 << 20;

/// How far back a bound of acts may look, in milliseconds: a week.
const MAX_WINDOW_MS: u64 = 7 * 24 * 60 * 60 * 1_000;

/// How many things of one kind a request may hold.
pub(super) const MAX_ITEMS: usize = 1_000;

/// A field that cannot be read.
#[derive(Debug)]
pub(super) struct Invalid {
    field: String,
    problem: String,
}

impl Invalid {
    pub(super) fn new(field: &str, problem: impl Into<String>) -> Self {
        Self { field: field.to_owned(), problem: problem.into() }
    }

    /// Names the field within the one that holds it.
    pub(super) fn within(self, outer: &str) -> Self {
        Self { field: format!("{outer}.{}", self.field), problem: self.problem }
    }
}

impl From<Invalid> for StoreError {
    fn from(Invalid { field, problem }: Invalid) -> Self {
        Self::invalid(field, problem)
    }
}

type Parsed<T> = Result<T, Invalid>;

/// Returns what a request must have.
pub(super) fn required<T>(field: &str, given: Option<T>) -> Parsed<T> {
    given.ok_or_else(|| Invalid::new(field, "is missing"))
}

/// Refuses a list that is too long.
pub(super) fn bounded<T>(field: &str, items: &[T]) -> Parsed<()> {
    if items.len() <= MAX_ITEMS {
        Ok(())
    } else {
        Err(Invalid::new(field, format!("has more than {MAX_ITEMS} items")))
    }
}

/// Refuses a text that is too long.
pub(super) fn text(field: &str, text: String, max_bytes: usize) -> Parsed<String> {
    if text.len() <= max_bytes {
        Ok(text)
    } else {
        Err(Invalid::new(field, format!("is longer than {max_bytes} bytes")))
    }
}

/// Refuses a name that is empty or too long.
pub(super) fn name(field: &str, name: String) -> Parsed<String> {
    if name.is_empty() {
        return Err(Invalid::new(field, "is empty"));
    }
    text(field, name, MAX_NAME_BYTES)
}

/// Reads an id of Discord's.
pub(super) fn id<T>(field: &str, id: u64) -> Parsed<Id<T>> {
    optional_id(field, id)?.ok_or_else(|| Invalid::new(field, "is 0"))
}

/// Reads an id of Discord's, where 0 stands for none.
pub(super) fn optional_id<T>(field: &str, id: u64) -> Parsed<Option<Id<T>>> {
    // SQLite's integers are signed; Discord's ids reach that bound in 2084.
    if i64::try_from(id).is_err() {
        return Err(Invalid::new(field, "is no id of Discord's"));
    }
    Ok(Id::new_checked(id))
}

/// Reads whose data is asked for: a guild's, or else a direct message's.
pub(super) fn home(guild_id: u64, channel_id: u64) -> Parsed<Home> {
    Ok(match optional_id("guild_id", guild_id)? {
        Some(guild) => Home::Guild(guild),
        None => Home::Dm(id("channel_id", channel_id)?),
    })
}

/// Reads a channel and where it lives; a guild of 0 means a direct message.
pub(super) fn channel(guild_id: u64, channel_id: u64) -> Parsed<ChannelKey> {
    Ok(ChannelKey::new(optional_id("guild_id", guild_id)?, id("channel_id", channel_id)?))
}

/// Reads a fence.
pub(super) fn fence(fence: Option<common::Fence>) -> Parsed<Fence> {
    let fence = required("fence", fence)?;
    optional_fence(fence).map_err(|invalid| invalid.within("fence"))
}

fn optional_fence(fence: common::Fence) -> Parsed<Fence> {
    if fence.epoch == 0 || i64::try_from(fence.epoch).is_err() {
        return Err(Invalid::new("epoch", "is no epoch"));
    }
    Ok(Fence {
        channel: channel(fence.guild_id, fence.channel_id)?,
        epoch: Epoch(fence.epoch),
        owner: OwnerToken(name("owner", fence.owner)?),
    })
}

/// Reads a thread's id.
pub(super) fn thread_id(field: &str, thread_id: &str) -> Parsed<TaskThreadId> {
    thread_id.parse().map_err(|_| Invalid::new(field, "is no id of a task thread"))
}

/// Reads a trigger's id.
pub(super) fn trigger_id(field: &str, trigger_id: String) -> Parsed<TriggerId> {
    let trigger_id = text(field, trigger_id, MAX_NAME_BYTES)?;
    let trigger: TriggerId =
        trigger_id.parse().map_err(|_| Invalid::new(field, "is no id of a trigger"))?;
    if let Some(message) = trigger.message() {
        id::<twilight_model::id::marker::MessageMarker>(field, message.get())?;
    }
    Ok(trigger)
}

/// Reads the ids of triggers.
pub(super) fn trigger_ids(field: &str, ids: Vec<String>) -> Parsed<Vec<TriggerId>> {
    bounded(field, &ids)?;
    ids.into_iter().map(|it| trigger_id(field, it)).collect()
}

/// Reads the key of an execution.
pub(super) fn execution_key(key: String) -> Parsed<ExecutionKey> {
    let key = text("key", key, MAX_NAME_BYTES)?;
    key.parse().map_err(|_| Invalid::new("key", "is no key of an execution"))
}

/// Reads a message.
pub(super) fn message(message: common::Message) -> Parsed<Message> {
    bounded("mentions", &message.mentions)?;
    bounded("mentioned_roles", &message.mentioned_roles)?;
    bounded("attachments", &message.attachments)?;
    bounded("enclosures", &message.enclosures)?;
    Ok(Message {
        channel: channel(message.guild_id, message.channel_id)?,
        id: id("message_id", message.message_id)?,
        author: id("author_id", message.author_id)?,
        author_name: text("author_name", message.author_name, MAX_NAME_BYTES)?,
        is_automated: message.is_automated,
        is_own: message.is_own,
        content: text("content", message.content, MAX_TEXT_BYTES)?,
        created_at: UnixMillis(message.created_at_ms),
        edited_at: edited_at(message.edited_at_ms)?,
        kind: message.r#type,
        reply_to: optional_id("reply_to", message.reply_to)?,
        reply_to_author: optional_id("reply_to_author_id", message.reply_to_author_id)?,
        mentions: message.mentions.into_iter().map(mention).collect::<Parsed<_>>()?,
        mentioned_roles: message
            .mentioned_roles
            .into_iter()
            .map(|role| id("mentioned_roles", role))
            .collect::<Parsed<_>>()?,
        attachments: message.attachments.into_iter().map(attachment).collect::<Parsed<_>>()?,
        enclosures: message.enclosures.into_iter().map(enclosure).collect::<Parsed<_>>()?,
        forward_of: optional_id("forward_of", message.forward_of)?,
        gate_reason: text("gate_reason", message.gate_reason, MAX_NAME_BYTES)?,
        nonce: text("nonce", message.nonce, MAX_NAME_BYTES)?,
    })
}

/// Reads the moment of an edit, 0 if there was none.
pub(super) fn edited_at(edited_at_ms: i64) -> Parsed<UnixMillis> {
    if edited_at_ms < 0 {
        return Err(Invalid::new("edited_at_ms", "is before 1970"));
    }
    Ok(UnixMillis(edited_at_ms))
}

fn mention(mention: common::Mention) -> Parsed<Mention> {
    Ok(Mention {
        user: id("mentions.user_id", mention.user_id)?,
        name: text("mentions.name", mention.name, MAX_NAME_BYTES)?,
    })
}

fn attachment(attachment: common::Attachment) -> Parsed<Attachment> {
    Ok(Attachment {
        filename: text("attachments.filename", attachment.filename, MAX_TEXT_BYTES)?,
        content_type: text("attachments.content_type", attachment.content_type, MAX_NAME_BYTES)?,
        size_bytes: attachment.size_bytes,
        url: text("attachments.url", attachment.url, MAX_TEXT_BYTES)?,
    })
}

fn enclosure(enclosure: common::Enclosure) -> Parsed<Enclosure> {
    use common::enclosure::Kind;

    let kind = match enclosure.kind() {
        Kind::Forward => EnclosureKind::Forward,
        Kind::Embed => EnclosureKind::Embed,
        Kind::Poll => EnclosureKind::Poll,
        Kind::Sticker => EnclosureKind::Sticker,
        Kind::Unspecified => {
            return Err(Invalid::new("enclosures.kind", "is none that is known"));
        }
    };
    Ok(Enclosure { kind, text: text("enclosures.text", enclosure.text, MAX_TEXT_BYTES)? })
}

/// Reads what starts a thread in `channel`.
pub(super) fn trigger(trigger: proto::Trigger, channel: &ChannelKey) -> Parsed<Trigger> {
    let id = trigger_id("id", trigger.id)?;
    let message = trigger.message.map(message).transpose();
    let message = message.map_err(|invalid| invalid.within("message"))?;
    match (id.message(), &message) {
        (None, Some(_)) => return Err(Invalid::new("message", "is given, but is not the trigger")),
        (Some(_), None) => return Err(Invalid::new("message", "is missing")),
        (Some(id), Some(message)) if message.id != id => {
            return Err(Invalid::new("message.message_id", "is not the trigger's"));
        }
        (Some(_), Some(message)) if message.channel != *channel => {
            return Err(Invalid::new("message.channel_id", "is not the fence's"));
        }
        (None, None) | (Some(_), Some(_)) => {}
    }
    Ok(Trigger { id, message, received_at: UnixMillis(trigger.received_at_ms) })
}

/// Reads a principal.
pub(super) fn principal(principal: common::Principal) -> Parsed<Principal> {
    use common::principal::Kind;

    match required("kind", principal.kind)? {
        Kind::Person(user) => Ok(Principal::Person(id("person", user)?)),
        Kind::Rule(rule) => {
            Ok(Principal::Rule { id: name("rule.id", rule.id)?, version: rule.version })
        }
        Kind::Expiry(execution) => Ok(Principal::Expiry { execution: name("expiry", execution)? }),
    }
}

/// Reads the people who ask together.
pub(super) fn askers(askers: &[u64]) -> Parsed<Vec<Id<UserMarker>>> {
    bounded("askers", askers)?;
    askers.iter().map(|asker| id("askers", *asker)).collect()
}

/// Reads a step of a journal.
pub(super) fn step(step: proto::Step) -> Parsed<Step> {
    use proto::StepKind as Kind;

    let kind = match Kind::try_from(step.kind) {
        Ok(Kind::ContextLoaded) => StepKind::ContextLoaded,
        Ok(Kind::OrdersRead) => StepKind::OrdersRead,
        Ok(Kind::ModelAsked) => StepKind::ModelAsked,
        Ok(Kind::ModelAnswered) => StepKind::ModelAnswered,
        Ok(Kind::ExecutionOpened) => StepKind::ExecutionOpened,
        Ok(Kind::ExecutionClosed) => StepKind::ExecutionClosed,
        Ok(Kind::Finished) => StepKind::Finished,
        Ok(Kind::Spent) => StepKind::Spent,
        Ok(Kind::Unspecified) | Err(_) => return Err(Invalid::new("kind", "is unknown")),
    };
    bounded("spent", &step.spent)?;
    Ok(Step {
        index: step.index,
        kind,
        payload: text("payload", step.payload, MAX_PAYLOAD_BYTES)?,
        at: UnixMillis(step.at_ms),
        bill: Bill {
            spent: step.spent.into_iter().map(spent).collect::<Parsed<_>>()?,
            spenders: askers(&step.spender_ids)?,
            lost_turns: step.lost_turns,
        },
    })
}

/// Reads what a request to a model cost.
pub(super) fn spent(spent: common::Spent) -> Parsed<Spent> {
    let usage = spent.usage.unwrap_or_default();
    let is = |holds: bool| u64::from(holds);
    Ok(Spent {
        provider: text("provider", spent.provider, MAX_NAME_BYTES)?,
        model: text("model", spent.model, MAX_NAME_BYTES)?,
        is_on_guild_key: spent.is_on_guild_key,
        counts: Counts {
            turns: 1,
            prompt_tokens: usage.prompt_tokens,
            cached_tokens: usage.cached_tokens,
            completion_tokens: usage.completion_tokens,
            cost_micros: spent.cost_micros,
            assumed_micros: if spent.is_assumed { spent.cost_micros } else { 0 },
            turns_in_vain: is(spent.is_in_vain),
            estimated_turns: is(spent.is_estimate),
            on_guild_key_micros: if spent.is_on_guild_key { spent.cost_micros } else { 0 },
            ..Counts::default()
        },
    })
}

/// Reads how a thread ended.
pub(super) fn outcome(outcome: i32) -> Parsed<Outcome> {
    use proto::ThreadOutcome as Given;

    match Given::try_from(outcome) {
        Ok(Given::Done) => Ok(Outcome::Done),
        Ok(Given::OutOfBudget) => Ok(Outcome::OutOfBudget),
        Ok(Given::Cancelled) => Ok(Outcome::Cancelled),
        Ok(Given::Failed) => Ok(Outcome::Failed),
        Ok(Given::TooBusy) => Ok(Outcome::TooBusy),
        Ok(Given::Suspended) => Ok(Outcome::Suspended),
        Ok(Given::Running) => Err(Invalid::new("outcome", "is no end")),
        Ok(Given::Unspecified) | Err(_) => Err(Invalid::new("outcome", "is unknown")),
    }
}

/// Reads what the gate is to know of a channel.
pub(super) fn channel_state(state: &proto::ChannelState) -> Parsed<ChannelState> {
    bounded("exchanges", &state.exchanges)?;
    bounded("last_answers", &state.last_answers)?;
    let exchange = |exchange: &proto::Exchange| {
        Ok(Exchange {
            user: id("exchanges.user_id", exchange.user_id)?,
            until: UnixMillis(exchange.until_ms),
        })
    };
    let last_answer = |answer: &proto::LastAnswer| {
        Ok(LastAnswer {
            user: id("last_answers.user_id", answer.user_id)?,
            at: UnixMillis(answer.at_ms),
        })
    };
    Ok(ChannelState {
        exchanges: state.exchanges.iter().map(exchange).collect::<Parsed<_>>()?,
        last_answers: state.last_answers.iter().map(last_answer).collect::<Parsed<_>>()?,
        answers_to_bots: state.answers_to_bots.as_ref().map(|answers| AnswersToBots {
            count: answers.count,
            last_at: UnixMillis(answers.last_at_ms),
        }),
    })
}

/// Reads what a thread's model turns cost.
pub(super) fn usage(usage: Option<common::Usage>) -> Usage {
    let usage = usage.unwrap_or_default();
    Usage {
        prompt: usage.prompt_tokens,
        completion: usage.completion_tokens,
        cached: usage.cached_tokens,
    }
}

/// Reads what a trigger came with.
pub(super) fn dead_task(task: proto::DeadTask) -> Parsed<DeadTask> {
    Ok(DeadTask {
        trigger: trigger_id("trigger_id", task.trigger_id)?,
        bot: id("bot_id", task.bot_id)?,
        received_at: UnixMillis(task.received_at_ms),
        payload: payload(task.payload)?,
        payload_bytes: size("payload_bytes", task.payload_bytes)?,
    })
}

/// Refuses a payload that is too large to be kept: whoever has it leaves it out.
pub(super) fn payload(payload: Option<Vec<u8>>) -> Parsed<Option<Vec<u8>>> {
    match payload {
        Some(payload) if payload.len() > MAX_PAYLOAD_BYTES => {
            Err(Invalid::new("payload", format!("is longer than {MAX_PAYLOAD_BYTES} bytes")))
        }
        payload => Ok(payload),
    }
}

/// Reads a size in bytes.
pub(super) fn size(field: &str, bytes: u64) -> Parsed<u64> {
    match i64::try_from(bytes) {
        Ok(_) => Ok(bytes),
        Err(_) => Err(Invalid::new(field, "is no size")),
    }
}

/// Reads the id of a dead letter.
pub(super) fn dead_letter_id(field: &str, id: &str) -> Parsed<DeadLetterId> {
    id.parse().map_err(|_| Invalid::new(field, "is no id of a dead letter"))
}

/// Reads a credential that is to be made.
pub(super) fn mcp_credential(
    credential: proto::McpCredential,
    token_hash: Vec<u8>,
    now: UnixMillis,
) -> Parsed<McpCredential> {
    let id_text = name("credential_id", credential.credential_id)?;
    if !id_text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Invalid::new("credential_id", "has other characters than letters and digits"));
    }
    if token_hash.len() != 32 {
        return Err(Invalid::new("token_hash", "is no SHA-256"));
    }
    bounded("tools", &credential.tools)?;
    Ok(McpCredential {
        id: id_text,
        guild: id("guild_id", credential.guild_id)?,
        user: id("user_id", credential.user_id)?,
        channel: id("channel_id", credential.channel_id)?,
        name: text("name", credential.name, MAX_NAME_BYTES)?,
        tools: credential.tools.into_iter().map(|it| name("tools", it)).collect::<Parsed<_>>()?,
        token_hash,
        created_at: now,
        revoked_at: None,
        told_at: None,
    })
}

/// Reads when an execution is to be settled that nobody would make again.
pub(super) fn settling(settling: proto::Settling, execution: &Execution) -> Parsed<ScheduledTask> {
    Ok(ScheduledTask {
        channel: execution.channel,
        trigger: TriggerId::Execution(execution.key.to_string()),
        retry: 0,
        bot: id("bot_id", settling.bot_id)?,
        received_at: execution.opened_at,
        payload: Vec::new(),
        due_at: UnixMillis(settling.due_at_ms),
    })
}

/// Reads how an execution stands.
pub(super) fn execution_state(state: i32) -> Parsed<ExecutionState> {
    use proto::ExecutionState as State;

    match State::try_from(state) {
        Ok(State::Open) => Ok(ExecutionState::Open),
        Ok(State::Done) => Ok(ExecutionState::Done),
        Ok(State::Failed) => Ok(ExecutionState::Failed),
        Ok(State::Denied) => Ok(ExecutionState::Denied),
        Ok(State::InDoubt) => Ok(ExecutionState::InDoubt),
        Ok(State::Unspecified) | Err(_) => Err(Invalid::new("state", "is unknown")),
    }
}

/// Reads a bound of what people may have done.
pub(super) fn act_limit(limit: proto::ActLimit) -> Parsed<ActLimit> {
    let window = u64::try_from(limit.window_ms).ok().filter(|it| (1..=MAX_WINDOW_MS).contains(it));
    let window = window.ok_or_else(|| Invalid::new("window_ms", "is not from 1 to a week"))?;
    Ok(ActLimit {
        is_of_person: limit.is_of_person,
        is_of_reversible: limit.is_of_reversible,
        window: Duration::from_millis(window),
        most: limit.most,
        decision_reason: text("decision_reason", limit.decision_reason, MAX_TEXT_BYTES)?,
        result: text("result", limit.result, MAX_TEXT_BYTES)?,
    })
}

/// Reads the slow mode of a channel in which an execution writes.
pub(super) fn slow_mode(slow: proto::SlowMode) -> Parsed<SlowMode> {
    Ok(SlowMode {
        channel: id("channel_id", slow.channel_id)?,
        since: optional_id("since_message_id", slow.since_message_id)?,
        limit: act_limit(required("limit", slow.limit)?)
            .map_err(|invalid| invalid.within("limit"))?,
    })
}

/// Reads an execution that is to be opened; its epoch is the fence's.
pub(super) fn execution(execution: proto::Execution, fence: Option<&Fence>) -> Parsed<Execution> {
    let channel = channel(execution.guild_id, execution.channel_id)?;
    if fence.is_some_and(|fence| fence.channel != channel) {
        return Err(Invalid::new("channel_id", "is not the fence's"));
    }
    let key = execution_key(execution.key)?;
    let thread = match execution.thread_id.as_str() {
        "" => None,
        thread => Some(thread_id("thread_id", thread)?),
    };
    if let ExecutionKey::Thread { thread: of, .. } | ExecutionKey::Approved { thread: of, .. } =
        &key
        && thread != Some(*of)
    {
        return Err(Invalid::new("thread_id", "is not the key's"));
    }
    let state = execution_state(execution.state)?;
    let decision = decision(execution.decision)?;
    if state == ExecutionState::Open && decision == Decision::Deny {
        return Err(Invalid::new("state", "is open, but the decision does not allow it"));
    }
    let arguments = text("arguments", execution.arguments, MAX_PAYLOAD_BYTES)?;
    let arguments_hash = arguments_hash(&arguments, &execution.arguments_hash)?;
    let opened_at = UnixMillis(execution.opened_at_ms);
    // One that ends at once ends when it begins, unless it says otherwise.
    let closed_at = match (state.is_final(), execution.closed_at_ms) {
        (false, _) => None,
        (true, 0) => Some(opened_at),
        (true, closed_at) => Some(UnixMillis(closed_at)),
    };
    let principal = execution.principal.map(principal).transpose();
    Ok(Execution {
        key,
        thread,
        channel,
        epoch: fence.map_or(Epoch(0), |fence| fence.epoch),
        tool: name("tool", execution.tool)?,
        arguments,
        arguments_hash,
        principal: principal.map_err(|invalid| invalid.within("principal"))?,
        trigger_id: text("trigger_id", execution.trigger_id, MAX_NAME_BYTES)?,
        tier: tier(&execution.tier)?,
        decision,
        decision_reason: text("decision_reason", execution.decision_reason, MAX_TEXT_BYTES)?,
        approver: optional_id("approver_id", execution.approver_id)?,
        is_tainted: execution.is_tainted,
        is_ordered: execution.is_ordered,
        opened_at,
        send_by: UnixMillis(execution.send_by_ms),
        closed_at,
        state,
        result: text("result", execution.result, MAX_PAYLOAD_BYTES)?,
        rest_status: execution.rest_status,
        audit_reason: text("audit_reason", execution.audit_reason, MAX_TEXT_BYTES)?,
        model: text("model", execution.model, MAX_NAME_BYTES)?,
        prompt_version: text("prompt_version", execution.prompt_version, MAX_NAME_BYTES)?,
        approval: text("approval_id", execution.approval_id, MAX_NAME_BYTES)?,
        proposal: None,
        proposal_decided_by: None,
    })
}

/// Reads what an execution proposes; its id is the execution's.
pub(super) fn new_approval(
    approval: proto::NewApproval,
    execution: &Execution,
) -> Parsed<NewApproval> {
    if execution.thread.is_none() {
        return Err(Invalid::new("thread_id", "is empty: nobody waits for the approval"));
    }
    Ok(NewApproval {
        id: name("approval_id", execution.approval.clone())?,
        hash: name("hash", approval.hash)?,
        asker: id("asker_id", approval.asker_id)?,
        bot: id("bot_id", approval.bot_id)?,
        expires_at: UnixMillis(approval.expires_at_ms),
    })
}

fn decision(decision: i32) -> Parsed<Decision> {
    use proto::Decision as Given;

    match Given::try_from(decision) {
        Ok(Given::Allow) => Ok(Decision::Allow),
        Ok(Given::Deny) => Ok(Decision::Deny),
        Ok(Given::NeedsApproval) => Ok(Decision::NeedsApproval),
        Ok(Given::Unspecified) | Err(_) => Err(Invalid::new("decision", "is unknown")),
    }
}

/// Reads a tier; it is empty where the tool is unknown.
fn tier(tier: &str) -> Parsed<Option<Tier>> {
    match (tier, Tier::parse(tier)) {
        ("", _) => Ok(None),
        (_, Some(tier)) => Ok(Some(tier)),
        (_, None) => Err(Invalid::new("tier", "is unknown")),
    }
}

/// Checks the hash of the arguments, or makes it where none is given: the audit must be true.
fn arguments_hash(arguments: &str, given: &str) -> Parsed<String> {
    use std::fmt::Write as _;

    let mut hash = String::with_capacity(64);
    for byte in Sha256::digest(arguments) {
        write!(hash, "{byte:02x}").expect("writing to a string cannot fail");
    }
    if given.is_empty() || given == hash {
        Ok(hash)
    } else {
        Err(Invalid::new("arguments_hash", "is not that of the arguments"))
    }
}
