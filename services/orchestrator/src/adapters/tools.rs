use std::time::Duration;

use futures::FutureExt;
use serde_json::{Value, json};
use tonic::Status;
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, MessageMarker, UserMarker},
    },
};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, ExecutionKey, Fence, Home, TaskThreadId, TriggerId};
use ery_proto::{
    common::v1::Principal,
    store::v1::{Approval, ScheduledAction},
    tool::v1 as proto,
};
use ery_rpc::{Peers, Transport, within};

use crate::{
    adapters::{calls::Retries, convert},
    domain::{
        commands::interaction::Interaction,
        journal::Order,
        message::Message,
        people::{Person, Rights},
        planned,
        task_thread::{Answer, Change},
        tool::{CallOutcome, Tier, Tool},
    },
    error::CallError,
};

/// The tool by which a thread answers.
const ANSWER_TOOL: &str = "send_message";

/// What is needed to read what was said in a channel before.
const TO_READ: Permissions = Permissions::VIEW_CHANNEL.union(Permissions::READ_MESSAGE_HISTORY);

/// The largest answer of the tool-service.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

type Client = proto::tool_service_client::ToolServiceClient<Transport>;

/// The tool-service, as task threads use it.
#[derive(Clone)]
pub(crate) struct Tools {
    pub(crate) peers: Peers,
    pub(crate) tool_timeout: Duration,
    pub(crate) lookup_timeout: Duration,
    pub(crate) history_timeout: Duration,
    pub(crate) retries: Retries,
}

/// What every call of a thread carries.
#[derive(Clone, Debug)]
pub(crate) struct Caller<'a> {
    pub(crate) fence: &'a Fence,
    pub(crate) thread: TaskThreadId,
    pub(crate) principal: Id<UserMarker>,
    pub(crate) askers: &'a [Id<UserMarker>],
    pub(crate) trigger: &'a TriggerId,
    /// The tools that the model was offered (CLOSED-WORLD).
    pub(crate) offered: &'a [String],
    pub(crate) orders: &'a [Order],
    pub(crate) is_tainted: bool,
    pub(crate) model: String,
    pub(crate) prompt_version: &'a str,
}

/// How a call stands among those of its turn.
#[derive(Clone, Debug)]
pub(crate) struct Stands {
    /// The approval on which it is made.
    pub(crate) approval: Option<String>,
    /// Whether it is made only if it would wait for a click.
    pub(crate) is_ahead: bool,
}

/// Which message of an answer is said, and how. Each has a key of its own, whoever says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Saying {
    /// The message with this number; the first one replies.
    Part(u32),
    /// The first one, while the answer is still written.
    Growing,
    /// What stands of it is changed, for the first time or later.
    Grown { message: Id<MessageMarker>, time: u32 },
    /// What stands of it becomes the answer's first message.
    Whole { message: Id<MessageMarker> },
    /// It stands so while the thread waits for a click.
    Held { message: Id<MessageMarker> },
    /// It is taken back.
    Withdrawn { message: Id<MessageMarker> },
    /// The first message, where what was to show it before was refused.
    Afresh,
}

impl Saying {
    /// Returns its place among the calls of the answer.
    fn call(self) -> u32 {
        match self {
            Self::Part(part) => part,
            // Invariant: what grows and the whole answer are one message (ONCE-VISIBLE).
            Self::Growing => 0,
            Self::Afresh => 90,
            Self::Held { .. } => 91,
            Self::Withdrawn { .. } => 92,
            Self::Whole { .. } => 93,
            Self::Grown { time, .. } => 100 + time,
        }
    }

    fn replies(self) -> bool {
        matches!(self, Self::Part(0) | Self::Growing | Self::Afresh)
    }

    /// Returns the message that is changed, in place of another being sent.
    fn edits(self) -> Option<Id<MessageMarker>> {
        match self {
            Self::Grown { message, .. }
            | Self::Whole { message }
            | Self::Held { message }
            | Self::Withdrawn { message } => Some(message),
            Self::Part(_) | Self::Growing | Self::Afresh => None,
        }
    }
}

/// What came of a click.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clicked {
    /// False: the button is none of a proposal's.
    pub(crate) is_ours: bool,
    /// Why it was refused, which whoever clicked is to be told yet.
    pub(crate) refusal: Option<String>,
}

/// What became of a call.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) outcome: CallOutcome,
    /// JSON for the model.
    pub(crate) content: String,
    /// One sentence for a person.
    pub(crate) reason: String,
    pub(crate) message: Option<Id<MessageMarker>>,
    pub(crate) changes: Vec<Change>,
    /// What was done, in canonical form.
    pub(crate) arguments: String,
    /// Of the act, where it is known.
    pub(crate) tier: Option<Tier>,
}

impl Called {
    /// Returns whether what was said is an answer that was still written.
    pub(crate) fn is_growing(&self) -> bool {
        is_growing(&self.arguments)
    }

    /// Returns of how many messages the answer is, to which what was said belongs.
    pub(crate) fn parts(&self) -> u32 {
        let act: Value = serde_json::from_str(&self.arguments).unwrap_or_default();
        act["parts"].as_u64().and_then(|parts| parts.try_into().ok()).unwrap_or(1)
    }
}

/// Returns whether an act said what was still written of an answer.
pub(crate) fn is_growing(act: &str) -> bool {
    let act: Value = serde_json::from_str(act).unwrap_or_default();
    act["is_growing"] == true
}

/// A call in its one exact form, or why it cannot be understood.
#[derive(Debug)]
pub(crate) enum Resolved {
    Arguments(String),
    Problem(String),
}

/// A message that no session told of.
#[derive(Debug)]
pub(crate) struct Missed {
    pub(crate) id: Id<MessageMarker>,
    pub(crate) author: Id<UserMarker>,
    /// Its JSON, as a dispatch would have it.
    pub(crate) payload: Vec<u8>,
}

/// Of which channel a channel is a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HangsOn {
    Channel(Id<ChannelMarker>),
    /// It is no thread.
    Nothing,
    /// Nobody knows the channel.
    Unknown,
}

impl Tools {
    pub(super) fn client(&self, home: Home) -> Client {
        Client::new(self.peers.of(home)).max_decoding_message_size(LARGEST_ANSWER)
    }

    /// Tells which tools may be offered to these people here.
    pub(crate) async fn list_tools(
        &self,
        channel: ChannelKey,
        askers: &[Id<UserMarker>],
    ) -> Result<Vec<Tool>, CallError> {
        let client = self.client(channel.home);
        let request = proto::ListToolsRequest {
            guild_id: channel.guild_raw(),
            channel_id: channel.channel.get(),
            askers: askers.iter().map(|asker| asker.get()).collect(),
            is_shared_turn: askers.len() > 1,
        };
        let answer = self
            .retries
            .call("ListTools", self.lookup_timeout, || {
                let request = within(self.lookup_timeout, request.clone());
                let mut client = client.clone();
                async move { client.list_tools(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        Ok(answer.tools.into_iter().map(convert::tool_from).collect())
    }

    /// Puts an order's targets and times in their one exact form.
    pub(crate) async fn resolve_call(
        &self,
        channel: ChannelKey,
        order: &Order,
        message: &Message,
        now: UnixMillis,
    ) -> Result<Resolved, CallError> {
        let client = self.client(channel.home);
        let request = proto::ResolveCallRequest {
            guild_id: channel.guild_raw(),
            channel_id: channel.channel.get(),
            tool: order.tool.clone(),
            arguments: order.arguments.clone(),
            now_ms: now.0,
            trigger_id: TriggerId::Message(message.id).to_string(),
            asker_id: message.author.get(),
        };
        let answer = self
            .retries
            .call("ResolveCall", self.lookup_timeout, || {
                let request = within(self.lookup_timeout, request.clone());
                let mut client = client.clone();
                async move { client.resolve_call(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        Ok(if answer.problem.is_empty() {
            Resolved::Arguments(answer.arguments)
        } else {
            Resolved::Problem(answer.problem)
        })
    }

    /// Makes a tool call that the model chose. A repeat under the same key acts once.
    pub(crate) async fn call(
        &self,
        caller: &Caller<'_>,
        key: ExecutionKey,
        tool: &str,
        arguments: &str,
        stands: Stands,
    ) -> Result<Called, CallError> {
        let request = proto::CallToolRequest {
            approval_id: stands.approval.unwrap_or_default(),
            is_ahead: stands.is_ahead,
            ..request(caller, &key, tool.to_owned(), arguments.to_owned())
        };
        self.send(caller.fence.channel.home, request).await
    }

    /// Says something of the thread's one answer. A repeat under the same key acts once.
    pub(crate) async fn answer(
        &self,
        caller: &Caller<'_>,
        answer: &Answer,
        saying: Saying,
    ) -> Result<Called, CallError> {
        let key = ExecutionKey::Thread { thread: caller.thread, step: 0, call: saying.call() };
        let mut arguments = json!({ "content": answer.text });
        if let Some(message) = answer.reply_to.filter(|_| saying.replies()) {
            arguments["reply_to"] = json!(message.to_string());
        }
        let request = proto::CallToolRequest {
            is_answer: true,
            answers: answer.covers.iter().map(|message| message.get()).collect(),
            part: if let Saying::Part(part) = saying { part } else { 0 },
            is_growing: matches!(saying, Saying::Growing | Saying::Grown { .. }),
            edits_message_id: saying.edits().map_or(0, Id::get),
            withdraws: matches!(saying, Saying::Withdrawn { .. }),
            ..request(caller, &key, ANSWER_TOOL.to_owned(), arguments.to_string())
        };
        self.send(caller.fence.channel.home, request).await
    }

    /// Takes back what stands of an answer that was shown while it was written, if anything does; false
    /// if that did not work.
    pub(crate) async fn take_back(
        &self,
        fence: &Fence,
        thread: TaskThreadId,
        trigger: &TriggerId,
    ) -> Result<bool, CallError> {
        let request = |saying: Saying| {
            let key = ExecutionKey::Thread { thread, step: 0, call: saying.call() }.to_string();
            proto::CallToolRequest {
                tool: ANSWER_TOOL.to_owned(),
                arguments: json!({ "content": "…" }).to_string(),
                is_answer: true,
                is_growing: saying == Saying::Growing,
                edits_message_id: saying.edits().map_or(0, Id::get),
                withdraws: saying.edits().is_some(),
                ..bare_request(fence, thread, key, trigger, None)
            }
        };
        // Under its key it is the message that stands there, if there is one.
        let shown = self.send(fence.channel.home, request(Saying::Growing)).await?;
        let Some(message) = shown.message.filter(|_| shown.is_growing()) else { return Ok(true) };
        let taken = self.send(fence.channel.home, request(Saying::Withdrawn { message })).await?;
        Ok(taken.outcome == CallOutcome::Done)
    }

    /// Does an act whose time has come, for whoever had it planned. A repeat acts once.
    pub(crate) async fn fire(
        &self,
        fence: &Fence,
        thread: TaskThreadId,
        trigger: &TriggerId,
        action: &ScheduledAction,
    ) -> Result<Called, CallError> {
        let key = due_key(thread).to_string();
        let request = proto::CallToolRequest {
            tool: action.tool.clone(),
            offered: vec![action.tool.clone()],
            scheduled_action_id: action.scheduled_action_id.clone(),
            // Whose words a prompt is nobody knows.
            is_tainted: action.tool == planned::TOOL,
            ..bare_request(fence, thread, key, trigger, action.principal.clone())
        };
        self.send(fence.channel.home, request).await
    }

    /// Does what an MCP client asked for, once it was approved. A repeat acts once.
    pub(crate) async fn do_approved(
        &self,
        fence: &Fence,
        thread: TaskThreadId,
        trigger: &TriggerId,
        approval: &Approval,
    ) -> Result<Called, CallError> {
        let principal = Id::new_checked(approval.asker_id).map(convert::person);
        let key = format!("{}/approved", approval.key);
        let request = proto::CallToolRequest {
            tool: approval.tool.clone(),
            offered: vec![approval.tool.clone()],
            approval_id: approval.approval_id.clone(),
            ..bare_request(fence, thread, key, trigger, principal)
        };
        self.send(fence.channel.home, request).await
    }

    /// Says what came of an act that no message asked for.
    pub(crate) async fn tell(
        &self,
        fence: &Fence,
        thread: TaskThreadId,
        trigger: &TriggerId,
        principal: Option<Principal>,
        text: &str,
    ) -> Result<Called, CallError> {
        let key = ExecutionKey::Thread { thread, step: 0, call: 0 }.to_string();
        let request = proto::CallToolRequest {
            tool: ANSWER_TOOL.to_owned(),
            arguments: json!({ "content": text }).to_string(),
            is_answer: true,
            ..bare_request(fence, thread, key, trigger, principal)
        };
        self.send(fence.channel.home, request).await
    }

    /// Has an execution closed that was left open and that nobody would make again.
    pub(crate) async fn settle_call(
        &self,
        channel: ChannelKey,
        key: &str,
    ) -> Result<(), CallError> {
        let client = self.client(channel.home);
        let request = proto::SettleCallRequest {
            guild_id: channel.guild_raw(),
            channel_id: channel.channel.get(),
            key: key.to_owned(),
        };
        self.retries
            .call("SettleCall", self.tool_timeout, || {
                let request = within(self.tool_timeout, request.clone());
                let mut client = client.clone();
                async move { client.settle_call(request).await.map(|_| ()) }.boxed()
            })
            .await
    }

    pub(super) async fn send(
        &self,
        home: Home,
        request: proto::CallToolRequest,
    ) -> Result<Called, CallError> {
        let client = self.client(home);
        let answer = self
            .retries
            .call("CallTool", self.tool_timeout, || {
                let request = within(self.tool_timeout, request.clone());
                let mut client = client.clone();
                async move { client.call_tool(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        let outcome = convert::call_outcome_from(answer.outcome())
            .ok_or(CallError::Unreadable { call: "CallTool", lacks: "outcome" })?;
        Ok(Called {
            outcome,
            content: convert::content(outcome, answer.content, &answer.reason),
            reason: answer.reason,
            message: Id::new_checked(answer.message_id),
            changes: convert::changed_triggers_from(answer.changes),
            arguments: answer.arguments,
            tier: (!answer.tier.is_empty()).then(|| Tier::from_word(&answer.tier)),
        })
    }

    /// Hands on a click, which may decide an act that was proposed; false if it is for nobody here.
    pub(crate) async fn click(
        &self,
        click: &Interaction,
        custom_id: &str,
    ) -> Result<Clicked, CallError> {
        let client = self.client(click.channel.home);
        let request = proto::ClickApprovalRequest {
            guild_id: click.channel.guild_raw(),
            channel_id: click.channel.channel.get(),
            user_id: click.user.get(),
            custom_id: custom_id.to_owned(),
            interaction_id: click.id,
            interaction_token: click.token.clone(),
            tells_refusal: true,
        };
        let answer = self
            .retries
            .call("ClickApproval", self.tool_timeout, || {
                let request = within(self.tool_timeout, request.clone());
                let mut client = client.clone();
                async move { client.click_approval(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        let proto::ClickApprovalResponse { is_ours, refusal } = answer;
        Ok(Clicked { is_ours, refusal: (!refusal.is_empty()).then_some(refusal) })
    }

    /// Shows how a proposal ended that nobody decided. Best effort: nothing depends on it.
    pub(crate) async fn settle_approval(
        &self,
        channel: ChannelKey,
        approval: &str,
    ) -> Result<(), Status> {
        let mut client = self.client(channel.home);
        let request = proto::SettleApprovalRequest {
            guild_id: channel.guild_raw(),
            approval_id: approval.to_owned(),
        };
        let call = client.settle_approval(within(self.lookup_timeout, request));
        tokio::time::timeout(self.lookup_timeout, call)
            .await
            .map_err(|_| Status::deadline_exceeded("showing a proposal's end took too long"))??;
        Ok(())
    }

    /// Tells what people may do in a channel.
    pub(crate) async fn describe_people(
        &self,
        channel: ChannelKey,
        users: &[Id<UserMarker>],
    ) -> Result<Vec<(Id<UserMarker>, Person)>, CallError> {
        let client = self.client(channel.home);
        let request = proto::DescribePeopleRequest {
            guild_id: channel.guild_raw(),
            channel_id: channel.channel.get(),
            user_ids: users.iter().map(|user| user.get()).collect(),
        };
        let answer = self
            .retries
            .call("DescribePeople", self.lookup_timeout, || {
                let request = within(self.lookup_timeout, request.clone());
                let mut client = client.clone();
                async move { client.describe_people(request).await.map(tonic::Response::into_inner) }.boxed()
            })
            .await?;
        let person = |person: proto::PersonInChannel| {
            let roles = person.role_ids.into_iter().filter_map(Id::new_checked).collect();
            let rights = Rights::from_word(&person.rights);
            let has = Permissions::from_bits_truncate(person.channel_permissions);
            // Both sides of a direct message read all of it.
            let reads_history = channel.guild().is_none() || has.contains(TO_READ);
            let user = Id::new_checked(person.user_id)?;
            Some((user, Person { name: person.name, rights, roles, reads_history }))
        };
        Ok(answer.people.into_iter().filter_map(person).collect())
    }

    /// Tells of which channel a channel is a thread.
    pub(crate) async fn describe_channel(&self, channel: ChannelKey) -> Result<HangsOn, CallError> {
        let client = self.client(channel.home);
        let request = proto::DescribeChannelRequest {
            guild_id: channel.guild_raw(),
            channel_id: channel.channel.get(),
        };
        let answer = self
            .retries
            .call("DescribeChannel", self.lookup_timeout, || {
                let request = within(self.lookup_timeout, request);
                let mut client = client.clone();
                async move {
                        client.describe_channel(request).await.map(tonic::Response::into_inner)
                    }
                    .boxed()
            })
            .await?;
        Ok(match (answer.is_known, Id::new_checked(answer.parent_channel_id)) {
            (false, _) => HangsOn::Unknown,
            (true, Some(parent)) => HangsOn::Channel(parent),
            (true, None) => HangsOn::Nothing,
        })
    }

    /// Reads a channel's messages from Discord, oldest first. Asked once: the thread can do without.
    pub(crate) async fn fetch_history(
        &self,
        channel: ChannelKey,
        before: Id<MessageMarker>,
        limit: u32,
    ) -> Result<Vec<Message>, Status> {
        let mut client = self.client(channel.home);
        let request = proto::FetchHistoryRequest {
            guild_id: channel.guild_raw(),
            channel_id: channel.channel.get(),
            before: before.get(),
            limit,
            with_payloads: false,
        };
        let call = client.fetch_history(within(self.history_timeout, request));
        let answer = tokio::time::timeout(self.history_timeout, call)
            .await
            .map_err(|_| Status::deadline_exceeded("the history took too long"))??;
        Ok(answer.into_inner().messages.into_iter().filter_map(convert::message_from).collect())
    }

    /// Reads messages before `before` that were missed, as Discord sends them, oldest first; behind
    /// everything that somebody waits for.
    pub(crate) async fn read_back(
        &self,
        channel: ChannelKey,
        before: u64,
        limit: usize,
    ) -> Result<Vec<Missed>, CallError> {
        let client = self.client(channel.home);
        let request = proto::FetchHistoryRequest {
            guild_id: channel.guild_raw(),
            channel_id: channel.channel.get(),
            before,
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            with_payloads: true,
        };
        let answer = self
            .retries
            .call("FetchHistory", self.lookup_timeout, || {
                let request = within(self.lookup_timeout, request);
                let mut client = client.clone();
                async move { client.fetch_history(request).await.map(tonic::Response::into_inner) }
                    .boxed()
            })
            .await?;
        if answer.messages.len() != answer.payloads.len() {
            return Err(CallError::Unreadable { call: "FetchHistory", lacks: "payloads" });
        }
        let messages = answer.messages.into_iter().zip(answer.payloads);
        Ok(messages
            .filter_map(|(message, payload)| {
                let id = Id::new_checked(message.message_id)?;
                Some(Missed { id, author: Id::new_checked(message.author_id)?, payload })
            })
            .collect())
    }

    /// Shows that Ery is typing.
    pub(crate) async fn show_typing(&self, channel: ChannelKey) -> Result<(), Status> {
        let mut client = self.client(channel.home);
        let request = proto::ShowTypingRequest {
            guild_id: channel.guild_raw(),
            channel_id: channel.channel.get(),
        };
        let call = client.show_typing(within(self.lookup_timeout, request));
        tokio::time::timeout(self.lookup_timeout, call)
            .await
            .map_err(|_| Status::deadline_exceeded("typing took too long"))??;
        Ok(())
    }
}

/// Returns the key under which what is due is done, or a prompt allowed: no model turn has its step.
pub(crate) fn due_key(thread: TaskThreadId) -> ExecutionKey {
    ExecutionKey::Thread { thread, step: 1, call: 0 }
}

fn bare_request(
    fence: &Fence,
    thread: TaskThreadId,
    key: String,
    trigger: &TriggerId,
    principal: Option<Principal>,
) -> proto::CallToolRequest {
    proto::CallToolRequest {
        fence: Some(convert::fence(fence)),
        key,
        thread_id: thread.to_string(),
        principal,
        trigger_id: trigger.to_string(),
        guild_id: fence.channel.guild_raw(),
        channel_id: fence.channel.channel.get(),
        ..proto::CallToolRequest::default()
    }
}

fn request(
    caller: &Caller<'_>,
    key: &ExecutionKey,
    tool: String,
    arguments: String,
) -> proto::CallToolRequest {
    let channel = caller.fence.channel;
    proto::CallToolRequest {
        fence: Some(convert::fence(caller.fence)),
        key: key.to_string(),
        thread_id: caller.thread.to_string(),
        tool,
        arguments,
        principal: Some(convert::person(caller.principal)),
        askers: caller.askers.iter().map(|asker| asker.get()).collect(),
        trigger_id: caller.trigger.to_string(),
        guild_id: channel.guild_raw(),
        channel_id: channel.channel.get(),
        offered: caller.offered.to_vec(),
        is_tainted: caller.is_tainted,
        orders: caller.orders.iter().map(convert::order).collect(),
        is_answer: false,
        mcp_credential_id: String::new(),
        model: caller.model.clone(),
        prompt_version: caller.prompt_version.to_owned(),
        answers: Vec::new(),
        approval_id: String::new(),
        scheduled_action_id: String::new(),
        is_command: false,
        is_ahead: false,
        buttons: String::new(),
        part: 0,
        is_growing: false,
        edits_message_id: 0,
        withdraws: false,
    }
}
