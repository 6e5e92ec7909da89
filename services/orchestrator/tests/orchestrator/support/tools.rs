use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use tonic::{Request, Response, Status};

use ery_proto::{
    ai::v1::ToolSpec,
    common::v1::Message,
    store::v1::{Execution, ExecutionState},
    tool::v1::{tool_service_server::ToolService, *},
};

use super::{BOT, Faults, Held, MODERATORS, store::SharedStore};

const VIEW_CHANNEL: u64 = 1 << 10;
const READ_MESSAGE_HISTORY: u64 = 1 << 16;

/// A role of Ery's.
pub(crate) const BOT_ROLE: u64 = 777;

/// A tool-service that does nothing but record, once for each key.
pub(crate) struct FakeTools {
    store: SharedStore,
    done: Mutex<Vec<CallToolRequest>>,
    /// The message that each call sent, by its key.
    messages: Mutex<HashMap<String, u64>>,
    last_message: AtomicU64,
    history: Mutex<Vec<Message>>,
    pub(crate) history_calls: AtomicUsize,
    /// Of which channel a channel is a thread.
    pub(crate) parents: Mutex<HashMap<u64, u64>>,
    /// Who may not read what was said before.
    pub(crate) without_history: Mutex<Vec<u64>>,
    pub(crate) typing: AtomicUsize,
    /// Whether the next call is left open: as if the service died after Discord had acted.
    pub(crate) dies_after_acting: AtomicBool,
    /// The first answers to interactions, each once.
    pub(crate) answered: Mutex<Vec<AnswerInteractionRequest>>,
    pub(crate) edited: Mutex<Vec<EditInteractionAnswerRequest>>,
    /// Whether Discord takes no answer any more.
    pub(crate) is_expired: AtomicBool,
    /// How many answers came too late.
    pub(crate) too_late: AtomicUsize,
    pub(crate) registered: Mutex<Vec<RegisterCommandsRequest>>,
    pub(crate) plans: Mutex<Vec<PlannedCall>>,
    /// Why nothing that is due may be done.
    pub(crate) refuses_due: Mutex<Option<&'static str>>,
    /// Where the staff is told of something; 0 for nowhere.
    pub(crate) staff_channel: AtomicU64,
    pub(crate) faults: Faults,
    pub(crate) held: Held,
}

type Answer<T> = Result<Response<T>, Status>;

impl FakeTools {
    pub(crate) fn new(store: &SharedStore) -> Self {
        Self {
            store: Arc::clone(store),
            done: Mutex::default(),
            messages: Mutex::default(),
            last_message: AtomicU64::new(1 << 40),
            history: Mutex::default(),
            history_calls: AtomicUsize::new(0),
            parents: Mutex::default(),
            without_history: Mutex::default(),
            typing: AtomicUsize::new(0),
            dies_after_acting: AtomicBool::new(false),
            answered: Mutex::default(),
            edited: Mutex::default(),
            is_expired: AtomicBool::new(false),
            too_late: AtomicUsize::new(0),
            registered: Mutex::default(),
            plans: Mutex::default(),
            refuses_due: Mutex::default(),
            staff_channel: AtomicU64::new(0),
            faults: Faults::default(),
            held: Held::default(),
        }
    }

    /// Returns what was done, each once.
    pub(crate) fn done(&self) -> Vec<CallToolRequest> {
        self.done.lock().unwrap().clone()
    }

    /// Returns the answers that people see.
    pub(crate) fn answers(&self) -> Vec<CallToolRequest> {
        self.done().into_iter().filter(|call| call.is_answer).collect()
    }

    /// Returns the texts that people see.
    pub(crate) fn said(&self) -> Vec<String> {
        self.answers().iter().map(|call| argument(call, "content")).collect()
    }

    /// Returns what stands of answers, with all that was changed and taken back.
    pub(crate) fn standing(&self) -> Vec<String> {
        let mut standing: Vec<(u64, String)> = Vec::new();
        for call in self.answers() {
            let content = part(&argument(&call, "content"), call.part);
            match call.edits_message_id {
                0 => standing.push((self.message_of(&call.key), content)),
                of => {
                    standing.retain(|(message, _)| *message != of || !call.withdraws);
                    if let Some((_, text)) = standing.iter_mut().find(|(it, _)| *it == of) {
                        *text = content;
                    }
                }
            }
        }
        standing.into_iter().map(|(_, text)| text).collect()
    }

    fn message_of(&self, key: &str) -> u64 {
        let mut messages = self.messages.lock().unwrap();
        let next = || self.last_message.fetch_add(1, Ordering::SeqCst);
        *messages.entry(key.to_owned()).or_insert_with(next)
    }

    pub(crate) fn set_history(&self, messages: Vec<Message>) {
        *self.history.lock().unwrap() = messages;
    }
}

/// How many letters a message has at most.
const MOST: usize = 2_000;

/// Cuts a message out of an answer.
fn part(content: &str, part: u32) -> String {
    content.chars().skip(MOST * part as usize).take(MOST).collect()
}

/// Returns what is done for a call, as the tool-service tells it.
fn act_of(request: &CallToolRequest) -> String {
    let Ok(mut act) = serde_json::from_str::<serde_json::Value>(&request.arguments) else {
        return request.arguments.clone();
    };
    let length = act["content"].as_str().map_or(0, |content| content.chars().count());
    if request.is_growing {
        act["is_growing"] = true.into();
    } else if request.is_answer && length > MOST {
        act["parts"] = length.div_ceil(MOST).into();
    }
    act.to_string()
}

/// Returns an argument of a call.
pub(crate) fn argument(call: &CallToolRequest, name: &str) -> String {
    let arguments: serde_json::Value = serde_json::from_str(&call.arguments).unwrap();
    arguments[name].as_str().unwrap().to_owned()
}

fn tool(name: &str, tier: &str) -> ToolSpec {
    ToolSpec {
        name: name.into(),
        description: format!("does {name}"),
        parameters: "{}".into(),
        tier: tier.into(),
    }
}

fn person(user_id: u64) -> PersonInChannel {
    let rights = match user_id {
        BOT => "ery",
        MODERATORS.. => "moderator",
        _ => "member",
    };
    PersonInChannel {
        user_id,
        name: if user_id == BOT { "Ery".into() } else { format!("member {user_id}") },
        rights: rights.into(),
        role_ids: if user_id == BOT { vec![BOT_ROLE] } else { Vec::new() },
        channel_permissions: VIEW_CHANNEL | READ_MESSAGE_HISTORY,
        ..PersonInChannel::default()
    }
}

#[async_trait]
impl ToolService for FakeTools {
    async fn click_approval(
        &self,
        _: Request<ClickApprovalRequest>,
    ) -> Result<Response<ClickApprovalResponse>, Status> {
        Ok(Response::new(ClickApprovalResponse::default()))
    }

    async fn answer_interaction(
        &self,
        request: Request<AnswerInteractionRequest>,
    ) -> Answer<AnswerInteractionResponse> {
        self.faults.check("AnswerInteraction")?;
        let request = request.into_inner();
        let mut answered = self.answered.lock().unwrap();
        let outcome = if self.is_expired.load(Ordering::SeqCst) {
            self.too_late.fetch_add(1, Ordering::SeqCst);
            InteractionOutcome::Expired
        } else if answered.iter().any(|it| it.interaction_id == request.interaction_id) {
            InteractionOutcome::AnsweredBefore
        } else {
            answered.push(request);
            InteractionOutcome::Done
        };
        Ok(Response::new(AnswerInteractionResponse { outcome: outcome.into() }))
    }

    async fn edit_interaction_answer(
        &self,
        request: Request<EditInteractionAnswerRequest>,
    ) -> Answer<EditInteractionAnswerResponse> {
        self.faults.check("EditInteractionAnswer")?;
        self.edited.lock().unwrap().push(request.into_inner());
        let outcome = InteractionOutcome::Done.into();
        Ok(Response::new(EditInteractionAnswerResponse { outcome }))
    }

    async fn register_commands(
        &self,
        request: Request<RegisterCommandsRequest>,
    ) -> Answer<RegisterCommandsResponse> {
        self.faults.check("RegisterCommands")?;
        self.registered.lock().unwrap().push(request.into_inner());
        Ok(Response::new(RegisterCommandsResponse::default()))
    }

    async fn list_plans(&self, _: Request<ListPlansRequest>) -> Answer<ListPlansResponse> {
        self.held.pass("ListPlans").await;
        self.faults.check("ListPlans")?;
        Ok(Response::new(ListPlansResponse { plans: self.plans.lock().unwrap().clone() }))
    }

    async fn find_staff_channel(
        &self,
        _: Request<FindStaffChannelRequest>,
    ) -> Answer<FindStaffChannelResponse> {
        let channel_id = self.staff_channel.load(Ordering::SeqCst);
        Ok(Response::new(FindStaffChannelResponse { channel_id }))
    }

    async fn check_guild(&self, _: Request<CheckGuildRequest>) -> Answer<CheckGuildResponse> {
        Ok(Response::new(CheckGuildResponse::default()))
    }

    async fn settle_call(
        &self,
        _: Request<SettleCallRequest>,
    ) -> Result<Response<SettleCallResponse>, Status> {
        Ok(Response::new(SettleCallResponse::default()))
    }

    async fn settle_approval(
        &self,
        _: Request<SettleApprovalRequest>,
    ) -> Result<Response<SettleApprovalResponse>, Status> {
        Ok(Response::new(SettleApprovalResponse {}))
    }

    async fn list_tools(&self, request: Request<ListToolsRequest>) -> Answer<ListToolsResponse> {
        self.faults.check("ListTools")?;
        let mut tools = vec![tool("get_member_info", "read"), tool("add_reaction", "harmless")];
        if !request.into_inner().is_shared_turn {
            tools.push(tool("timeout_member", "reversible"));
            tools.push(tool("ban_member", "destructive"));
        }
        Ok(Response::new(ListToolsResponse { tools }))
    }

    async fn resolve_call(
        &self,
        request: Request<ResolveCallRequest>,
    ) -> Answer<ResolveCallResponse> {
        self.faults.check("ResolveCall")?;
        let request = request.into_inner();
        let problem = if request.arguments.contains("nobody") { "Who is nobody?" } else { "" };
        Ok(Response::new(ResolveCallResponse {
            arguments: format!("resolved {}", request.arguments),
            problem: problem.into(),
        }))
    }

    async fn call_tool(&self, request: Request<CallToolRequest>) -> Answer<CallToolResponse> {
        self.held.pass("CallTool").await;
        self.faults.check("CallTool")?;
        let request = request.into_inner();
        if request.fence.is_none() {
            let mut done = self.done.lock().unwrap();
            if done.iter().all(|it| it.key != request.key) {
                done.push(request.clone());
            }
            return Ok(Response::new(CallToolResponse {
                outcome: CallOutcome::Done.into(),
                content: r#"{"ok":true}"#.into(),
                message_id: self.message_of(&request.key),
                arguments: request.arguments,
                ..CallToolResponse::default()
            }));
        }
        let is_due = !request.scheduled_action_id.is_empty();
        if let Some(reason) = self.refuses_due.lock().unwrap().filter(|_| is_due) {
            return Ok(Response::new(CallToolResponse {
                outcome: CallOutcome::Denied.into(),
                reason: reason.into(),
                ..CallToolResponse::default()
            }));
        }
        let planned = self.store.planned(&request.scheduled_action_id);
        let fence = request.fence.clone().unwrap_or_default();
        let tier = if request.tool == "get_member_info" { "read" } else { "harmless" };
        let execution = Execution {
            key: request.key.clone(),
            thread_id: request.thread_id.clone(),
            tool: request.tool.clone(),
            arguments: planned.map_or_else(|| act_of(&request), |planned| planned.arguments),
            tier: tier.into(),
            state: ExecutionState::Open.into(),
            ..Execution::default()
        };
        let (is_new, stands, changes) = self.store.begin(&fence, execution)?;
        if is_new {
            self.done.lock().unwrap().push(request.clone());
        }
        if self.dies_after_acting.swap(false, Ordering::SeqCst) {
            return Err(Status::unavailable("died"));
        }
        if stands.state() == ExecutionState::Open {
            self.store.end(&fence, &request.key)?;
        }
        let change = |change: ery_proto::store::v1::TriggerChange| ChangedTrigger {
            trigger_id: change.trigger_id,
            is_deleted: change.is_deleted,
            content: change.content,
            edited_at_ms: change.edited_at_ms,
        };
        Ok(Response::new(CallToolResponse {
            outcome: CallOutcome::Done.into(),
            content: r#"{"ok":true}"#.into(),
            message_id: self.message_of(&request.key),
            changes: changes.into_iter().map(change).collect(),
            arguments: stands.arguments,
            ..CallToolResponse::default()
        }))
    }

    async fn describe_people(
        &self,
        request: Request<DescribePeopleRequest>,
    ) -> Answer<DescribePeopleResponse> {
        self.faults.check("DescribePeople")?;
        let without_history = self.without_history.lock().unwrap().clone();
        let mut people: Vec<_> = request.into_inner().user_ids.into_iter().map(person).collect();
        for person in &mut people {
            if without_history.contains(&person.user_id) {
                person.channel_permissions = VIEW_CHANNEL;
            }
        }
        Ok(Response::new(DescribePeopleResponse { people }))
    }

    async fn describe_channel(
        &self,
        request: Request<DescribeChannelRequest>,
    ) -> Answer<DescribeChannelResponse> {
        self.faults.check("DescribeChannel")?;
        let channel = request.into_inner().channel_id;
        let parents = self.parents.lock().unwrap();
        let parent_channel_id = parents.get(&channel).copied().unwrap_or(0);
        Ok(Response::new(DescribeChannelResponse { is_known: true, parent_channel_id }))
    }

    async fn describe_guild(
        &self,
        _: Request<DescribeGuildRequest>,
    ) -> Answer<DescribeGuildResponse> {
        self.faults.check("DescribeGuild")?;
        Ok(Response::new(DescribeGuildResponse::default()))
    }

    async fn fetch_history(
        &self,
        request: Request<FetchHistoryRequest>,
    ) -> Answer<FetchHistoryResponse> {
        self.history_calls.fetch_add(1, Ordering::SeqCst);
        let request = request.into_inner();
        self.faults.check("FetchHistory")?;
        let is_asked_for = |message: &Message| {
            let is_before = request.before == 0 || message.message_id < request.before;
            message.channel_id == request.channel_id && is_before
        };
        let mut messages = self.history.lock().unwrap().clone();
        messages.retain(is_asked_for);
        messages.drain(..messages.len().saturating_sub(request.limit as usize));
        let payload = |message: &Message| {
            let mut payload = serde_json::json!({
                "id": message.message_id.to_string(), "channel_id": message.channel_id.to_string(),
                "type": 0, "content": message.content,
                "author": {"id": message.author_id.to_string(), "username": message.author_name},
            });
            if message.guild_id != 0 {
                payload["guild_id"] = message.guild_id.to_string().into();
            }
            payload.to_string().into_bytes()
        };
        let payloads =
            if request.with_payloads { messages.iter().map(payload).collect() } else { Vec::new() };
        Ok(Response::new(FetchHistoryResponse { messages, payloads }))
    }

    async fn show_typing(&self, _: Request<ShowTypingRequest>) -> Answer<ShowTypingResponse> {
        self.typing.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(ShowTypingResponse {}))
    }
}
