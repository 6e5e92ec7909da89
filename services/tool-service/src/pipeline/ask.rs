//! What a caller asks for, parsed once.

use std::time::Duration;

use serde_json::Value;
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, GuildMarker, MessageMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, ExecutionKey, Home, Principal, TriggerId};
use ery_proto::{
    ai::v1::Order,
    common::v1 as common,
    store::v1::{BeginExecutionResponse, Execution, ExecutionState},
    tool::v1::{CallToolRequest, ChangedTrigger},
};

use super::record::Verdict;
use crate::{
    domain::{
        decide::Confirmed,
        execution::{audit_reason, sha256_hex},
        text,
    },
    error::CallError,
    patience::Question,
    resolve::Sight,
    tools::ANSWER_TOOL,
};

/// How much of what cannot be understood is kept for the audit.
const MAX_KEPT: usize = 2_000;

/// The longest key that is taken; our own have some sixty characters.
const MAX_KEY: usize = 512;

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of the request by itself")]
pub(super) struct Ask {
    pub(super) fence: Option<common::Fence>,
    pub(super) key: String,
    pub(super) home: Home,
    pub(super) here: Id<ChannelMarker>,
    pub(super) tool: String,
    pub(super) arguments: String,
    pub(super) principal: Option<Principal>,
    pub(super) askers: Vec<Id<UserMarker>>,
    pub(super) offered: Vec<String>,
    pub(super) is_tainted: bool,
    pub(super) is_answer: bool,
    /// The approval on which the call stands.
    pub(super) approval: Option<String>,
    /// The scheduled action that is due.
    pub(super) scheduled: Option<String>,
    /// By which credential an MCP client asks.
    pub(super) credential: Option<String>,
    /// Whether the person gave it in Discord's own interface, where no model chooses anything.
    pub(super) is_command: bool,
    /// Whether one before it waits for a click: then it is made only if it would wait, too.
    pub(super) is_ahead: bool,
    /// Buttons below what a rule says.
    pub(super) buttons: Option<Value>,
    /// Of a thread's answer.
    pub(super) answering: Answering,
    orders: Vec<Order>,
    thread_id: String,
    trigger_id: String,
    model: String,
    prompt_version: String,
    answers: Vec<u64>,
}

/// Names a tool for the audit, whatever the model called it.
fn tool_name(tool: &str) -> String {
    let visible = text::visible(tool);
    if visible.trim().is_empty() { "(no name)".to_owned() } else { text::shortened(&visible, 64) }
}

/// Which message of a thread's answer is meant, and what becomes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answering {
    /// From 0.
    pub(super) part: usize,
    /// It is shown while it is written.
    pub(super) is_growing: bool,
    /// The message that is changed, in place of another.
    pub(super) edits: Option<Id<MessageMarker>>,
    /// That message is deleted.
    pub(super) withdraws: bool,
}

impl Ask {
    pub(super) fn parse(request: CallToolRequest) -> Result<Self, CallError> {
        let invalid = |text: &str| CallError::Invalid(text.to_owned());
        let channel = ChannelKey::from_raw(request.guild_id, request.channel_id)
            .ok_or_else(|| invalid("a call must name its channel"))?;
        if request.key.len() > MAX_KEY {
            return Err(invalid("the execution's key is too long"));
        }
        let key: ExecutionKey =
            request.key.parse().map_err(|_| invalid("a call must carry an execution's key"))?;
        match &request.fence {
            Some(fence) => {
                let fenced = (fence.guild_id, fence.channel_id);
                if fenced != (request.guild_id, request.channel_id) {
                    return Err(invalid("the fence is for another channel"));
                }
            }
            None if key.is_of_thread() => {
                return Err(invalid("a task thread's call must carry a fence"));
            }
            None => {}
        }
        let credential = Some(request.mcp_credential_id).filter(|id| !id.is_empty());
        let is_plain = request.fence.is_none()
            && request.thread_id.is_empty()
            && request.approval_id.is_empty()
            && request.scheduled_action_id.is_empty()
            && !request.is_answer;
        let answering = Answering {
            part: usize::try_from(request.part).unwrap_or(usize::MAX),
            is_growing: request.is_growing,
            edits: Id::new_checked(request.edits_message_id),
            withdraws: request.withdraws,
        };
        if answering != Answering::default() && !request.is_answer {
            return Err(invalid("only a thread's answer has parts, grows or is taken back"));
        }
        if answering.withdraws && answering.edits.is_none() {
            return Err(invalid("what is taken back must be named"));
        }
        match (&key, &credential) {
            (ExecutionKey::Mcp { .. }, Some(_)) if is_plain => {}
            (ExecutionKey::Mcp { .. }, _) => {
                return Err(invalid("an MCP client's call must carry a credential, and no thread"));
            }
            (_, Some(_)) => return Err(invalid("only an MCP client's call has a credential")),
            (_, None) => {}
        }
        if request.is_command {
            let is_of_event = matches!(key, ExecutionKey::Event { .. });
            let is_persons =
                matches!(principal(request.principal.clone())?, Some(Principal::Person(_)));
            if !is_plain || !is_of_event || !is_persons || !request.askers.is_empty() {
                return Err(invalid("a command is of one person and one event, and of no thread"));
            }
        }
        let buttons = match request.buttons.as_str() {
            "" => None,
            buttons => {
                let of_rule =
                    matches!(principal(request.principal.clone())?, Some(Principal::Rule { .. }));
                let read: Result<Vec<Value>, _> = serde_json::from_str(buttons);
                match read {
                    Ok(rows) if of_rule && is_plain && request.tool == ANSWER_TOOL => {
                        Some(Value::Array(rows))
                    }
                    _ => return Err(invalid("only what a rule says has buttons")),
                }
            }
        };
        let askers = request.askers.iter().map(|asker| {
            Id::new_checked(*asker).ok_or_else(|| invalid("an asker's id cannot be 0"))
        });
        Ok(Self {
            askers: askers.collect::<Result<_, _>>()?,
            principal: principal(request.principal)?,
            fence: request.fence,
            key: request.key,
            home: channel.home,
            here: channel.channel,
            tool: request.tool,
            arguments: request.arguments,
            offered: request.offered,
            is_tainted: request.is_tainted,
            is_answer: request.is_answer,
            approval: Some(request.approval_id).filter(|id| !id.is_empty()),
            scheduled: Some(request.scheduled_action_id).filter(|id| !id.is_empty()),
            credential,
            is_command: request.is_command,
            is_ahead: request.is_ahead,
            buttons,
            answering,
            orders: request.orders,
            thread_id: request.thread_id,
            trigger_id: request.trigger_id,
            model: request.model,
            prompt_version: request.prompt_version,
            answers: request.answers,
        })
    }

    /// Returns the call of an execution that stands, as far as it can be told from it.
    pub(super) fn of(channel: ChannelKey, execution: &Execution) -> Result<Self, CallError> {
        Ok(Self {
            fence: None,
            key: execution.key.clone(),
            home: channel.home,
            here: channel.channel,
            tool: execution.tool.clone(),
            arguments: execution.arguments.clone(),
            principal: principal(execution.principal.clone())?,
            askers: Vec::new(),
            offered: Vec::new(),
            is_tainted: execution.is_tainted,
            is_answer: false,
            approval: None,
            scheduled: None,
            credential: None,
            is_command: false,
            is_ahead: false,
            buttons: None,
            answering: Answering::default(),
            orders: Vec::new(),
            thread_id: execution.thread_id.clone(),
            trigger_id: execution.trigger_id.clone(),
            model: execution.model.clone(),
            prompt_version: execution.prompt_version.clone(),
            answers: Vec::new(),
        })
    }

    /// Returns whether the call is an order by itself: of an MCP client that was told of nobody's
    /// words, so that it is nobody's but its person's; or a person's own command.
    pub(super) fn is_an_order(&self) -> bool {
        self.is_command || self.credential.is_some() && !self.is_tainted
    }

    /// Returns how a person's own command is confirmed: by giving it.
    pub(super) fn command(&self) -> Option<Confirmed> {
        self.is_command.then_some(Confirmed::Command)
    }

    /// Returns whether nobody would make the call again for sure, so that one that is left open must
    /// be settled by itself.
    pub(super) fn is_made_once(&self) -> bool {
        self.is_command || self.credential.is_some()
    }

    /// Names the call and who holds the channel for it: repeats are alike in both.
    pub(super) fn identity(&self) -> String {
        match &self.fence {
            Some(fence) => {
                let ahead = if self.is_ahead { "#ahead" } else { "" };
                format!("{}#{}#{}{ahead}", self.key, fence.epoch, fence.owner)
            }
            None => format!("{}#{}", self.key, self.home.key()),
        }
    }

    pub(super) fn guild(&self) -> Option<Id<GuildMarker>> {
        self.home.guild()
    }

    pub(super) fn guild_raw(&self) -> u64 {
        self.guild().map_or(0, Id::get)
    }

    pub(super) fn orders(&self) -> impl Iterator<Item = (&str, &str)> {
        self.orders.iter().map(|order| (order.tool.as_str(), order.arguments.as_str()))
    }

    pub(super) fn thread_id(&self) -> &str {
        &self.thread_id
    }

    /// Returns for whom channels are looked for, where these people ask.
    pub(super) fn sight<'a>(&self, people: &'a [Id<UserMarker>]) -> Sight<'a> {
        match self.principal {
            _ if self.is_answer => Sight::All,
            Some(Principal::Rule { .. } | Principal::Expiry { .. }) => Sight::All,
            Some(Principal::Person(_)) | None if people.is_empty() => Sight::Nobody,
            Some(Principal::Person(_)) | None => Sight::People(people),
        }
    }

    /// Returns the message that the call answers, if there is one.
    pub(super) fn trigger(&self) -> Option<Id<MessageMarker>> {
        self.trigger_id.parse::<TriggerId>().ok()?.message()
    }

    /// Returns as what it waits for Discord.
    pub(super) fn question(&self) -> Question<'_> {
        Question { key: &self.key, place: format!("{}/{}", self.tool, self.home.key()) }
    }

    /// Returns whether it has to come to an end however long Discord is away: an answer, and the end
    /// of what was done for a while.
    pub(super) fn is_waited_for(&self) -> bool {
        self.is_answer || self.is_end()
    }

    /// Returns whether it ends what was done for a while.
    pub(super) fn is_end(&self) -> bool {
        matches!(self.principal, Some(Principal::Expiry { .. }))
    }

    pub(super) fn asker_id(&self) -> u64 {
        match &self.principal {
            Some(Principal::Person(user)) => user.get(),
            Some(Principal::Rule { .. } | Principal::Expiry { .. }) | None => 0,
        }
    }

    fn asker(&self) -> String {
        match &self.principal {
            Some(Principal::Person(user)) => user.to_string(),
            Some(principal) => principal.to_string(),
            None => "nobody".into(),
        }
    }

    /// Returns the reason for Discord's audit log.
    pub(super) fn audit_reason(&self, act: &Value) -> String {
        audit_reason(&self.asker(), act["reason"].as_str(), &self.key)
    }

    /// Returns whether those who asked took it back: everything that it answers was deleted.
    pub(super) fn is_withdrawn(&self, changes: &[ChangedTrigger]) -> bool {
        let is_deleted =
            |id: &str| changes.iter().any(|change| change.is_deleted && change.trigger_id == id);
        if self.answers.is_empty() {
            is_deleted(&self.trigger_id)
        } else {
            self.answers.iter().all(|message| is_deleted(&format!("m.{message}")))
        }
    }

    /// Returns the row that is written before anything is done.
    pub(super) fn execution(
        &self,
        verdict: &Verdict,
        now: UnixMillis,
        send_within: Duration,
    ) -> Execution {
        let arguments = match &verdict.act {
            Some(act) => act.to_string(),
            // As the model wrote it, for the audit: a JSON string, whatever it was.
            None => Value::from(text::shortened(&self.arguments, MAX_KEPT)).to_string(),
        };
        let is_open = verdict.state == ExecutionState::Open;
        Execution {
            key: self.key.clone(),
            thread_id: self.thread_id.clone(),
            guild_id: self.guild_raw(),
            channel_id: self.here.get(),
            epoch: self.fence.as_ref().map_or(0, |fence| fence.epoch),
            tool: tool_name(&self.tool),
            arguments_hash: sha256_hex(&arguments),
            arguments,
            principal: self.principal.as_ref().map(to_proto),
            trigger_id: self.trigger_id.clone(),
            tier: verdict.tier.to_owned(),
            decision: verdict.decision.into(),
            decision_reason: verdict.reason.clone(),
            is_tainted: self.is_tainted,
            is_ordered: verdict.is_ordered,
            opened_at_ms: now.0,
            send_by_ms: (now + send_within).0,
            closed_at_ms: if is_open { 0 } else { now.0 },
            state: verdict.state.into(),
            result: verdict.content.as_ref().map(ToString::to_string).unwrap_or_default(),
            rest_status: 0,
            audit_reason: match &verdict.act {
                Some(act) if is_open => self.audit_reason(act),
                _ => String::new(),
            },
            model: self.model.clone(),
            prompt_version: self.prompt_version.clone(),
            approver_id: 0,
            approval_id: String::new(),
            ..Execution::default()
        }
    }
}

/// Returns what the store told of the thread's triggers.
pub(super) fn changes(begun: &BeginExecutionResponse) -> Vec<ChangedTrigger> {
    begun
        .changes
        .iter()
        .map(|change| ChangedTrigger {
            trigger_id: change.trigger_id.clone(),
            is_deleted: change.is_deleted,
            content: change.content.clone(),
            edited_at_ms: change.edited_at_ms,
        })
        .collect()
}

pub(super) fn principal(given: Option<common::Principal>) -> Result<Option<Principal>, CallError> {
    use common::principal::Kind;

    let Some(kind) = given.and_then(|given| given.kind) else { return Ok(None) };
    Ok(Some(match kind {
        Kind::Person(user) => Principal::Person(
            Id::new_checked(user)
                .ok_or_else(|| CallError::Invalid("the person's id cannot be 0".into()))?,
        ),
        Kind::Rule(rule) => Principal::Rule { id: rule.id, version: rule.version },
        Kind::Expiry(execution) => Principal::Expiry { execution },
    }))
}

pub(super) fn to_proto(principal: &Principal) -> common::Principal {
    use common::principal::{Kind, Rule};

    common::Principal {
        kind: Some(match principal {
            Principal::Person(user) => Kind::Person(user.get()),
            Principal::Rule { id, version } => {
                Kind::Rule(Rule { id: id.clone(), version: *version })
            }
            Principal::Expiry { execution } => Kind::Expiry(execution.clone()),
        }),
    }
}
