//! A store in memory: as much of it as executions need.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use tonic::{Request, Response, Status, async_trait};

use ery_proto::{
    common::v1::{Principal, principal::Kind},
    store::v1::{store_service_server::StoreService, *},
};

#[derive(Clone, Default)]
pub(crate) struct FakeStore(Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    pub(crate) executions: HashMap<String, Execution>,
    pub(crate) sent: Vec<ery_proto::common::v1::Message>,
    pub(crate) changes: Vec<TriggerChange>,
    pub(crate) approvals: HashMap<String, Approval>,
    pub(crate) planned: HashMap<String, ScheduledAction>,
    pub(crate) credentials: HashMap<String, McpCredential>,
    /// When executions that nobody would make again are settled, by key.
    pub(crate) settlings: HashMap<String, i64>,
    /// The keys of what may count against a bound, none older than the widest window.
    acts: VecDeque<String>,
    /// The keys of what was allowed, each with the order that it carries out.
    orders: Vec<(String, String)>,
    /// The keys of what wrote for its person in slow mode, each with where.
    wrote_in: Vec<(String, u64)>,
    /// What people wrote themselves: who, where, and the message's id.
    pub(crate) wrote: Vec<(u64, u64, u64)>,
    /// Whether an order is used up: most tests give one over and over in one thread.
    pub(crate) counts_orders: bool,
    /// The highest epoch; lower ones are refused.
    pub(crate) epoch: u64,
    pub(crate) is_down: bool,
    /// Whether proposals alone cannot be read.
    pub(crate) loses_approvals: bool,
    /// How many ends are lost before one is taken.
    pub(crate) lose_ends: u32,
    pub(crate) begins: u32,
    pub(crate) last_key: String,
    pub(crate) ends: u32,
}

impl State {
    /// Whether an order is carried out as often as it was given.
    fn is_used_up(&self, limit: &ActLimit, order: &str) -> bool {
        let has_failed = |key: &String| {
            let stands = self.executions.get(key);
            stands.is_some_and(|it| it.state() == ExecutionState::Failed)
        };
        let used = self.orders.iter().filter(|(key, of)| of == order && !has_failed(key));
        self.counts_orders && used.count() >= limit.most as usize
    }

    /// Whether the same was done there for its person not long ago, or they wrote there themselves.
    fn is_too_soon(&self, slow: &SlowMode, given: &Execution) -> bool {
        let window_ms = slow.limit.as_ref().map_or(0, |limit| limit.window_ms);
        let counts = |it: &Execution| {
            it.decision() == Decision::Allow
                && it.state() != ExecutionState::Failed
                && it.opened_at_ms > given.opened_at_ms - window_ms
                && it.tool == given.tool
                && it.principal == given.principal
        };
        let done = self.wrote_in.iter().filter(|(_, channel)| *channel == slow.channel_id);
        let person = given.principal.as_ref().and_then(|principal| principal.kind.clone());
        done.filter_map(|(key, _)| self.executions.get(key)).any(counts)
            || self.wrote.iter().any(|(user, channel, message)| {
                person == Some(Kind::Person(*user))
                    && *channel == slow.channel_id
                    && slow.since_message_id != 0
                    && *message >= slow.since_message_id
            })
    }

    /// Whether so much is done already; each act counts once here.
    fn is_past(&self, limit: &ActLimit, given: &Execution) -> bool {
        let counts = |it: &&Execution| {
            it.decision() == Decision::Allow
                && it.opened_at_ms > given.opened_at_ms - limit.window_ms
                && (it.tier == "destructive" || limit.is_of_reversible && it.tier == "reversible")
                && (!limit.is_of_person || it.principal == given.principal)
        };
        self.acts.iter().filter_map(|key| self.executions.get(key)).filter(counts).count()
            >= limit.most as usize
    }
}

impl FakeStore {
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// Returns the key that was opened last.
    pub(crate) fn last_key(&self) -> String {
        self.with(|state| state.last_key.clone())
    }

    pub(crate) fn execution(&self, key: &str) -> Execution {
        self.with(|state| state.executions.get(key).cloned()).expect("the execution stands")
    }
}

fn refused<T>() -> Result<T, Status> {
    Err(Status::unimplemented("not in these tests"))
}

#[async_trait]
impl StoreService for FakeStore {
    async fn begin_execution(
        &self,
        request: Request<BeginExecutionRequest>,
    ) -> Result<Response<BeginExecutionResponse>, Status> {
        let request = request.into_inner();
        let given = request.execution.expect("an execution is given");
        self.with(|state| {
            if state.is_down {
                return Err(Status::unavailable("down"));
            }
            if request.fence.is_some_and(|fence| fence.epoch < state.epoch) {
                return Err(Status::aborted("stale epoch"));
            }
            state.begins += 1;
            state.last_key.clone_from(&given.key);
            let changes = state.changes.clone();
            let is_new = !state.executions.contains_key(&given.key);
            if let Some(settling) = request.settling.filter(|_| is_new) {
                state.settlings.insert(given.key.clone(), settling.due_at_ms);
            }
            if let Some(new) = request.approval.filter(|_| is_new) {
                let approval = Approval {
                    approval_id: given.approval_id.clone(),
                    thread_id: given.thread_id.clone(),
                    guild_id: given.guild_id,
                    channel_id: given.channel_id,
                    key: given.key.clone(),
                    tool: given.tool.clone(),
                    arguments: given.arguments.clone(),
                    hash: new.hash,
                    asker_id: new.asker_id,
                    bot_id: new.bot_id,
                    created_at_ms: given.opened_at_ms,
                    expires_at_ms: new.expires_at_ms,
                    ..Approval::default()
                };
                state.approvals.insert(given.approval_id.clone(), approval);
            }
            let mut given = given;
            let of_order = request.order_limit.iter();
            let used_up = of_order.filter(|limit| state.is_used_up(limit, &request.order_hash));
            let slow = request.slow_mode.as_ref();
            let too_soon = slow.filter(|slow| state.is_too_soon(slow, &given));
            let too_soon = too_soon.and_then(|slow| slow.limit.as_ref()).into_iter();
            let past = request.limits.iter().filter(|limit| state.is_past(limit, &given));
            if let Some(limit) = used_up.chain(too_soon).chain(past).next().filter(|_| is_new) {
                given.set_decision(Decision::Deny);
                given.set_state(ExecutionState::Denied);
                given.decision_reason.clone_from(&limit.decision_reason);
                given.result.clone_from(&limit.result);
            }
            if is_new && given.decision() == Decision::Allow && !request.order_hash.is_empty() {
                state.orders.push((given.key.clone(), request.order_hash.clone()));
            }
            if let Some(slow) = slow.filter(|_| is_new) {
                state.wrote_in.push((given.key.clone(), slow.channel_id));
            }
            if is_new && !request.limits.is_empty() {
                let is_over = |key: &String| {
                    let width = request.limits.iter().map(|limit| limit.window_ms).max();
                    let since = given.opened_at_ms - width.unwrap_or_default();
                    state.executions.get(key).is_some_and(|it| it.opened_at_ms <= since)
                };
                let over = state.acts.iter().take_while(|key| is_over(key)).count();
                state.acts.drain(..over);
                state.acts.push_back(given.key.clone());
            }
            let execution = state.executions.entry(given.key.clone()).or_insert(given).clone();
            let is_read_again = !is_new && execution.tier == "read";
            let credential = execution.trigger_id.strip_prefix("mcp.").unwrap_or_default();
            if let Some(credential) = state.credentials.get_mut(credential)
                && (request.tells_others || is_read_again)
            {
                credential.told_at_ms = execution.opened_at_ms;
            }
            let execution = Some(execution);
            Ok(Response::new(BeginExecutionResponse { is_new, execution, changes }))
        })
    }

    async fn end_execution(
        &self,
        request: Request<EndExecutionRequest>,
    ) -> Result<Response<EndExecutionResponse>, Status> {
        let request = request.into_inner();
        self.with(|state| {
            if state.is_down {
                return Err(Status::unavailable("down"));
            }
            if state.lose_ends > 0 {
                state.lose_ends -= 1;
                return Err(Status::unavailable("lost"));
            }
            if request.fence.is_some_and(|fence| fence.epoch < state.epoch) {
                return Err(Status::aborted("stale epoch"));
            }
            state.ends += 1;
            let execution = state.executions.get_mut(&request.key).expect("it was begun");
            assert_eq!(execution.state(), ExecutionState::Open, "it is closed once");
            execution.state = request.state;
            execution.result = request.result;
            execution.rest_status = request.rest_status;
            execution.closed_at_ms = request.closed_at_ms;
            if let Some(approval) = state.approvals.get_mut(&execution.approval_id) {
                approval.message_id = request.sent.as_ref().map_or(0, |sent| sent.message_id);
            }
            if let Some(later) = request.later {
                let principal = if later.is_expiry {
                    let kind = Kind::Expiry(request.key.clone());
                    Some(Principal { kind: Some(kind) })
                } else {
                    execution.principal.clone()
                };
                let action = ScheduledAction {
                    scheduled_action_id: later.scheduled_action_id.clone(),
                    guild_id: execution.guild_id,
                    channel_id: execution.channel_id,
                    key: request.key.clone(),
                    tool: later.tool,
                    arguments: later.arguments,
                    principal,
                    due_at_ms: later.due_at_ms,
                    state: ScheduledActionState::Waiting.into(),
                    ..ScheduledAction::default()
                };
                state.planned.insert(later.scheduled_action_id, action);
            }
            let credential = execution.trigger_id.strip_prefix("mcp.").unwrap_or_default();
            if let Some(credential) = state.credentials.get_mut(credential)
                && execution.tier == "read"
            {
                credential.told_at_ms = request.closed_at_ms;
            }
            state.sent.extend(request.sent);
            Ok(Response::new(EndExecutionResponse {}))
        })
    }

    async fn get_approval(
        &self,
        request: Request<GetApprovalRequest>,
    ) -> Result<Response<GetApprovalResponse>, Status> {
        let request = request.into_inner();
        if self.with(|state| state.loses_approvals) {
            return Err(Status::unavailable("lost"));
        }
        let is_meant = |it: &&Approval| match request.message_id {
            0 => it.approval_id == request.approval_id,
            message => it.message_id == message,
        };
        let approval = self.with(|state| state.approvals.values().find(is_meant).cloned());
        let approval = approval.filter(|approval| approval.guild_id == request.guild_id);
        Ok(Response::new(GetApprovalResponse { approval }))
    }

    async fn decide_approval(
        &self,
        request: Request<DecideApprovalRequest>,
    ) -> Result<Response<DecideApprovalResponse>, Status> {
        let request = request.into_inner();
        let approval = self.with(|state| {
            let approval = state.approvals.get_mut(&request.approval_id)?;
            if approval.decision() == ApprovalDecision::Unspecified {
                approval.decision = request.decision;
                approval.decided_by = request.by;
            }
            Some(approval.clone())
        });
        Ok(Response::new(DecideApprovalResponse { approval }))
    }

    async fn get_scheduled_action(
        &self,
        request: Request<GetScheduledActionRequest>,
    ) -> Result<Response<GetScheduledActionResponse>, Status> {
        let id = request.into_inner().scheduled_action_id;
        let action = self.with(|state| state.planned.get(&id).cloned());
        Ok(Response::new(GetScheduledActionResponse { action }))
    }

    async fn list_scheduled_actions(
        &self,
        _: Request<ListScheduledActionsRequest>,
    ) -> Result<Response<ListScheduledActionsResponse>, Status> {
        let actions = self.with(|state| {
            let waits = |it: &&ScheduledAction| it.state() == ScheduledActionState::Waiting;
            state.planned.values().filter(waits).cloned().collect()
        });
        Ok(Response::new(ListScheduledActionsResponse { actions }))
    }

    async fn cancel_scheduled_action(
        &self,
        request: Request<CancelScheduledActionRequest>,
    ) -> Result<Response<CancelScheduledActionResponse>, Status> {
        let request = request.into_inner();
        let action = self.with(|state| {
            let action = state.planned.get_mut(&request.scheduled_action_id)?;
            if action.state() == ScheduledActionState::Waiting {
                action.set_state(ScheduledActionState::Cancelled);
                action.ended_by = request.by;
            }
            Some(action.clone())
        });
        Ok(Response::new(CancelScheduledActionResponse { action }))
    }

    async fn explain_message(
        &self,
        _: Request<ExplainMessageRequest>,
    ) -> Result<Response<ExplainMessageResponse>, Status> {
        refused()
    }

    async fn list_cases(
        &self,
        _: Request<ListCasesRequest>,
    ) -> Result<Response<ListCasesResponse>, Status> {
        refused()
    }

    async fn get_mcp_credential(
        &self,
        request: Request<GetMcpCredentialRequest>,
    ) -> Result<Response<GetMcpCredentialResponse>, Status> {
        let request = request.into_inner();
        let found = self.with(|state| state.credentials.get(&request.credential_id).cloned());
        let credential = found.filter(|it| it.guild_id == request.guild_id);
        Ok(Response::new(GetMcpCredentialResponse { credential, token_hash: Vec::new() }))
    }

    async fn get_execution(
        &self,
        request: Request<GetExecutionRequest>,
    ) -> Result<Response<GetExecutionResponse>, Status> {
        let key = request.into_inner().key;
        let execution = self.with(|state| state.executions.get(&key).cloned());
        Ok(Response::new(GetExecutionResponse { execution }))
    }

    async fn create_mcp_credential(
        &self,
        _: Request<CreateMcpCredentialRequest>,
    ) -> Result<Response<CreateMcpCredentialResponse>, Status> {
        refused()
    }

    async fn list_mcp_credentials(
        &self,
        _: Request<ListMcpCredentialsRequest>,
    ) -> Result<Response<ListMcpCredentialsResponse>, Status> {
        refused()
    }

    async fn revoke_mcp_credential(
        &self,
        _: Request<RevokeMcpCredentialRequest>,
    ) -> Result<Response<RevokeMcpCredentialResponse>, Status> {
        refused()
    }

    async fn claim_summary(
        &self,
        _: Request<ClaimSummaryRequest>,
    ) -> Result<Response<ClaimSummaryResponse>, Status> {
        refused()
    }

    async fn keep_summary(
        &self,
        _: Request<KeepSummaryRequest>,
    ) -> Result<Response<KeepSummaryResponse>, Status> {
        refused()
    }

    async fn reopen_thread(
        &self,
        _: Request<ReopenThreadRequest>,
    ) -> Result<Response<ReopenThreadResponse>, Status> {
        refused()
    }

    async fn open_channel(
        &self,
        _: Request<OpenChannelRequest>,
    ) -> Result<Response<OpenChannelResponse>, Status> {
        refused()
    }

    async fn begin_thread(
        &self,
        _: Request<BeginThreadRequest>,
    ) -> Result<Response<BeginThreadResponse>, Status> {
        refused()
    }

    async fn read_context(
        &self,
        _: Request<ReadContextRequest>,
    ) -> Result<Response<ReadContextResponse>, Status> {
        refused()
    }

    async fn append_steps(
        &self,
        _: Request<AppendStepsRequest>,
    ) -> Result<Response<AppendStepsResponse>, Status> {
        refused()
    }

    async fn record_attempt(
        &self,
        _: Request<RecordAttemptRequest>,
    ) -> Result<Response<RecordAttemptResponse>, Status> {
        refused()
    }

    async fn finish_thread(
        &self,
        _: Request<FinishThreadRequest>,
    ) -> Result<Response<FinishThreadResponse>, Status> {
        refused()
    }

    async fn ingest_messages(
        &self,
        _: Request<IngestMessagesRequest>,
    ) -> Result<Response<IngestMessagesResponse>, Status> {
        refused()
    }

    async fn list_messages(
        &self,
        _: Request<ListMessagesRequest>,
    ) -> Result<Response<ListMessagesResponse>, Status> {
        refused()
    }

    async fn get_thread(
        &self,
        _: Request<GetThreadRequest>,
    ) -> Result<Response<GetThreadResponse>, Status> {
        refused()
    }

    async fn list_threads(
        &self,
        _: Request<ListThreadsRequest>,
    ) -> Result<Response<ListThreadsResponse>, Status> {
        refused()
    }

    async fn list_executions(
        &self,
        _: Request<ListExecutionsRequest>,
    ) -> Result<Response<ListExecutionsResponse>, Status> {
        refused()
    }

    async fn list_dead_letters(
        &self,
        _: Request<ListDeadLettersRequest>,
    ) -> Result<Response<ListDeadLettersResponse>, Status> {
        refused()
    }

    async fn get_dead_letter(
        &self,
        _: Request<GetDeadLetterRequest>,
    ) -> Result<Response<GetDeadLetterResponse>, Status> {
        refused()
    }

    async fn retry_dead_letters(
        &self,
        _: Request<RetryDeadLettersRequest>,
    ) -> Result<Response<RetryDeadLettersResponse>, Status> {
        refused()
    }

    async fn record_dead_event(
        &self,
        _: Request<RecordDeadEventRequest>,
    ) -> Result<Response<RecordDeadEventResponse>, Status> {
        refused()
    }

    async fn find_gaps(
        &self,
        _: Request<FindGapsRequest>,
    ) -> Result<Response<FindGapsResponse>, Status> {
        refused()
    }

    async fn find_direct_gaps(
        &self,
        _: Request<FindDirectGapsRequest>,
    ) -> Result<Response<FindDirectGapsResponse>, Status> {
        refused()
    }

    async fn note_read_back(
        &self,
        _: Request<NoteReadBackRequest>,
    ) -> Result<Response<NoteReadBackResponse>, Status> {
        refused()
    }

    async fn is_read_back(
        &self,
        _: Request<IsReadBackRequest>,
    ) -> Result<Response<IsReadBackResponse>, Status> {
        refused()
    }
}
