use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use tonic::{Request, Response, Status};

use ery_proto::{
    common::v1::{Fence, Message},
    store::v1::{store_service_server::StoreService, *},
};

use super::{Faults, Held};

/// A store in memory that keeps the contract's promises.
#[derive(Default)]
pub(crate) struct FakeStore {
    state: Mutex<State>,
    pub(crate) held: Held,
    pub(crate) faults: Faults,
}

/// Lets several servers share one store.
pub(crate) type SharedStore = Arc<FakeStore>;

#[derive(Default)]
struct State {
    channels: HashMap<(u64, u64), Channel>,
    threads: Vec<Thread>,
    finished: HashMap<String, String>,
    messages: BTreeMap<u64, Kept>,
    events: HashSet<(String, String)>,
    ingested: Vec<IngestEvent>,
    dead_events: Vec<RecordDeadEventRequest>,
    dead_tasks: Vec<DeadTask>,
    /// By guild and channel.
    read_back: HashMap<(u64, u64), NoteReadBackRequest>,
    calls: Vec<&'static str>,
    /// What is told of having been spent when a channel is opened.
    spending: Option<Spending>,
    /// What the next claim of a summary is granted with.
    due: Option<ClaimSummaryResponse>,
    claims: Vec<ClaimSummaryRequest>,
    kept_summaries: Vec<KeepSummaryRequest>,
    /// Whatever channel asks.
    summary: Option<ChannelSummary>,
    planned: Vec<ScheduledAction>,
}

#[derive(Default)]
struct Channel {
    epoch: u64,
    owner: String,
    state: ChannelState,
}

struct Kept {
    message: Message,
    is_deleted: bool,
}

type Answer<T> = Result<Response<T>, Status>;

impl FakeStore {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn called(&self, rpc: &'static str) -> Result<MutexGuard<'_, State>, Status> {
        let mut state = self.state();
        state.calls.push(rpc);
        self.faults.check(rpc)?;
        Ok(state)
    }

    /// Returns how often an RPC was called.
    pub(crate) fn calls(&self, rpc: &str) -> usize {
        self.state().calls.iter().filter(|call| **call == rpc).count()
    }

    pub(crate) fn threads(&self) -> Vec<Thread> {
        self.state().threads.clone()
    }

    /// Returns the outcomes of the threads that have ended, in the order in which they began.
    pub(crate) fn outcomes(&self) -> Vec<ThreadOutcome> {
        let threads = self.threads();
        let ended = threads.iter().filter(|thread| thread.finished_at_ms != 0);
        ended.map(Thread::outcome).collect()
    }

    /// Returns how many triggers are finished.
    pub(crate) fn finished(&self) -> usize {
        self.state().finished.len()
    }

    pub(crate) fn ingested(&self) -> Vec<IngestEvent> {
        self.state().ingested.clone()
    }

    /// Returns the events that were given up, in order.
    pub(crate) fn dead_events(&self) -> Vec<RecordDeadEventRequest> {
        self.state().dead_events.clone()
    }

    /// Returns what the triggers of failed threads came with, in order.
    pub(crate) fn dead_tasks(&self) -> Vec<DeadTask> {
        self.state().dead_tasks.clone()
    }

    /// Lets a trigger start a thread again, as a retry does.
    pub(crate) fn put_back(&self, message: u64) {
        let removed = self.state().finished.remove(&format!("m.{message}"));
        assert!(removed.is_some(), "{message} is not finished");
    }

    /// Keeps a message, as ingestion would.
    pub(crate) fn keep(&self, message: Message) {
        self.state().messages.insert(message.message_id, Kept { message, is_deleted: false });
    }

    /// Lets the next claim of a summary be granted: of these messages, and of an earlier summary.
    pub(crate) fn is_due(&self, earlier: Option<ChannelSummary>, messages: Vec<Message>) {
        let due = ClaimSummaryResponse { is_granted: true, earlier, messages };
        self.state().due = Some(due);
    }

    pub(crate) fn claims(&self) -> Vec<ClaimSummaryRequest> {
        self.state().claims.clone()
    }

    pub(crate) fn kept_summaries(&self) -> Vec<KeepSummaryRequest> {
        self.state().kept_summaries.clone()
    }

    /// Says what whoever wants it is told of what was said before.
    pub(crate) fn sum_up(&self, summary: ChannelSummary) {
        self.state().summary = Some(summary);
    }

    /// Has something be planned.
    pub(crate) fn plan(&self, action: ScheduledAction) {
        self.state().planned.push(action);
    }

    pub(crate) fn planned(&self, id: &str) -> Option<ScheduledAction> {
        self.state().planned.iter().find(|action| action.scheduled_action_id == id).cloned()
    }

    /// Takes the words out of all that is planned, as when somebody is forgotten.
    pub(crate) fn empty_plans(&self) {
        for action in &mut self.state().planned {
            action.arguments.clear();
        }
    }

    /// Says what was spent, whoever asks.
    pub(crate) fn spent(&self, spending: Spending) {
        self.state().spending = Some(spending);
    }

    pub(crate) fn spending(&self) -> Option<Spending> {
        self.state().spending.clone()
    }

    pub(crate) fn delete(&self, message: u64) {
        self.state().messages.get_mut(&message).unwrap().is_deleted = true;
    }

    pub(crate) fn edit(&self, message: u64, content: &str, at: i64) {
        let mut state = self.state();
        let kept = state.messages.get_mut(&message).unwrap();
        content.clone_into(&mut kept.message.content);
        kept.message.edited_at_ms = at;
    }

    /// Lets another holder open a channel under a higher epoch.
    pub(crate) fn open_elsewhere(&self, guild: u64, channel: u64, epoch: u64) {
        let mut state = self.state();
        let channel = state.channels.entry((guild, channel)).or_default();
        channel.epoch = epoch;
        "another".clone_into(&mut channel.owner);
    }

    pub(crate) fn channel_state(&self, guild: u64, channel: u64) -> ChannelState {
        self.state().channels.get(&(guild, channel)).map(|it| it.state.clone()).unwrap_or_default()
    }

    /// Opens an execution as the tool-service does; tells whether it is new.
    pub(crate) fn begin(
        &self,
        fence: &Fence,
        execution: Execution,
    ) -> Result<(bool, Execution, Vec<TriggerChange>), Status> {
        let mut state = self.state();
        state.check(fence)?;
        let index = state.running(&execution.thread_id)?;
        let changes = state.changes(index);
        let thread = &mut state.threads[index];
        if let Some(stands) = thread.executions.iter().find(|it| it.key == execution.key) {
            return Ok((false, stands.clone(), changes));
        }
        thread.executions.push(execution.clone());
        Ok((true, execution, changes))
    }

    /// Closes an execution.
    pub(crate) fn end(&self, fence: &Fence, key: &str) -> Result<(), Status> {
        let mut state = self.state();
        state.check(fence)?;
        let mut executions = state.threads.iter_mut().flat_map(|thread| &mut thread.executions);
        if let Some(execution) = executions.find(|execution| execution.key == key) {
            execution.set_state(ExecutionState::Done);
            r#"{"ok":true}"#.clone_into(&mut execution.result);
        }
        Ok(())
    }
}

impl State {
    fn check(&self, fence: &Fence) -> Result<(), Status> {
        match self.channels.get(&(fence.guild_id, fence.channel_id)) {
            Some(it) if it.epoch == fence.epoch && it.owner == fence.owner => Ok(()),
            _ => Err(Status::aborted("the epoch is over")),
        }
    }

    fn runs_in(&self, fence: &Fence) -> Option<usize> {
        self.threads.iter().position(|thread| {
            (thread.guild_id, thread.channel_id) == (fence.guild_id, fence.channel_id)
                && thread.outcome() == ThreadOutcome::Running
        })
    }

    fn running(&self, thread: &str) -> Result<usize, Status> {
        let index = self.threads.iter().position(|it| it.thread_id == thread);
        let index = index.ok_or_else(|| Status::not_found("no such thread"))?;
        if self.threads[index].outcome() == ThreadOutcome::Running {
            Ok(index)
        } else {
            Err(Status::failed_precondition("the thread has ended"))
        }
    }

    fn change(&self, trigger: &str, sent_edited_at: i64) -> Option<TriggerChange> {
        let message: u64 = trigger.strip_prefix("m.")?.parse().ok()?;
        let kept = self.messages.get(&message)?;
        let is_changed = kept.is_deleted || kept.message.edited_at_ms > sent_edited_at;
        is_changed.then(|| TriggerChange {
            trigger_id: trigger.to_owned(),
            is_deleted: kept.is_deleted,
            content: kept.message.content.clone(),
            edited_at_ms: kept.message.edited_at_ms,
        })
    }

    fn changes(&self, thread: usize) -> Vec<TriggerChange> {
        let change = |trigger: &Trigger| {
            let sent = trigger.message.as_ref().map_or(0, |message| message.edited_at_ms);
            self.change(&trigger.id, sent)
        };
        self.threads[thread].triggers.iter().filter_map(change).collect()
    }

    fn changes_of(&self, answered: &[AnsweredMessage]) -> Vec<TriggerChange> {
        let change =
            |it: &AnsweredMessage| self.change(&format!("m.{}", it.message_id), it.edited_at_ms);
        answered.iter().filter_map(change).collect()
    }

    fn append(&mut self, thread: usize, steps: &[Step]) -> Result<(), Status> {
        let journal = &mut self.threads[thread].steps;
        for step in steps {
            let next = journal.last().map_or(0, |step| step.index + 1);
            if step.index > next {
                return Err(Status::failed_precondition("the journal would have a gap"));
            }
            if step.index == next {
                journal.push(step.clone());
            }
        }
        Ok(())
    }
}

fn fence_of(fence: Option<Fence>) -> Result<Fence, Status> {
    fence.ok_or_else(|| Status::invalid_argument("`fence` is missing"))
}

#[async_trait]
impl StoreService for FakeStore {
    async fn open_channel(
        &self,
        request: Request<OpenChannelRequest>,
    ) -> Answer<OpenChannelResponse> {
        let request = request.into_inner();
        let mut state = self.called("OpenChannel")?;
        let fence = fence_of(request.fence)?;
        let channel = state.channels.entry((fence.guild_id, fence.channel_id)).or_default();
        let is_same = channel.epoch == fence.epoch && channel.owner == fence.owner;
        if fence.epoch <= channel.epoch && !is_same {
            let refused_by_epoch = channel.epoch;
            return Ok(Response::new(OpenChannelResponse {
                refused_by_epoch,
                ..OpenChannelResponse::default()
            }));
        }
        channel.epoch = fence.epoch;
        channel.owner.clone_from(&fence.owner);
        let known = channel.state.clone();
        let unfinished = state.runs_in(&fence).map(|index| {
            let changes = state.changes(index);
            Thread { changes, ..state.threads[index].clone() }
        });
        let waiting = request.waiting_trigger_ids;
        let is_finished = |id: &&String| state.finished.contains_key(*id);
        Ok(Response::new(OpenChannelResponse {
            refused_by_epoch: 0,
            unfinished,
            changes: waiting.iter().filter_map(|id| state.change(id, 0)).collect(),
            finished_trigger_ids: waiting.iter().filter(is_finished).cloned().collect(),
            state: Some(known),
            spending: state.spending.clone(),
        }))
    }

    async fn begin_thread(
        &self,
        request: Request<BeginThreadRequest>,
    ) -> Answer<BeginThreadResponse> {
        let request = request.into_inner();
        self.held.pass("BeginThread").await;
        let mut state = self.called("BeginThread")?;
        let fence = fence_of(request.fence)?;
        state.check(&fence)?;
        if request.principal.is_none() || request.triggers.is_empty() {
            return Err(Status::invalid_argument("`principal` or `triggers` is missing"));
        }
        let index = if state.threads.iter().any(|it| it.thread_id == request.thread_id) {
            state.running(&request.thread_id)?
        } else {
            let is_done = |trigger: &Trigger| state.finished.contains_key(&trigger.id);
            if state.runs_in(&fence).is_some() || request.triggers.iter().any(is_done) {
                return Err(Status::failed_precondition("another runs, or it is finished"));
            }
            for message in request.triggers.iter().filter_map(|trigger| trigger.message.clone()) {
                let kept = Kept { message, is_deleted: false };
                state.messages.entry(kept.message.message_id).or_insert(kept);
            }
            state.threads.push(Thread {
                thread_id: request.thread_id,
                guild_id: fence.guild_id,
                channel_id: fence.channel_id,
                epoch: fence.epoch,
                triggers: request.triggers,
                principal: request.principal,
                askers: request.askers,
                started_at_ms: request.started_at_ms,
                outcome: ThreadOutcome::Running.into(),
                ..Thread::default()
            });
            state.threads.len() - 1
        };
        let changes = state.changes(index);
        Ok(Response::new(BeginThreadResponse { changes, ..BeginThreadResponse::default() }))
    }

    async fn read_context(
        &self,
        request: Request<ReadContextRequest>,
    ) -> Answer<ReadContextResponse> {
        let request = request.into_inner();
        let state = self.called("ReadContext")?;
        let wanted = request.query.unwrap_or_default();
        let is_wanted = |kept: &&Kept| {
            !kept.is_deleted
                && kept.message.channel_id == request.channel_id
                && kept.message.created_at_ms >= wanted.since_ms
        };
        let context = state.messages.values().filter(is_wanted);
        let mut context: Vec<_> = context.map(|kept| kept.message.clone()).collect();
        let surplus = context.len().saturating_sub(wanted.max_messages as usize);
        context.drain(..surplus);
        Ok(Response::new(ReadContextResponse {
            context,
            is_current: true,
            changes: state.changes_of(&request.answered),
            summary: state.summary.clone().filter(|_| wanted.wants_summary),
            ..ReadContextResponse::default()
        }))
    }

    async fn append_steps(
        &self,
        request: Request<AppendStepsRequest>,
    ) -> Answer<AppendStepsResponse> {
        let request = request.into_inner();
        let mut state = self.called("AppendSteps")?;
        state.check(&fence_of(request.fence)?)?;
        let index = state.running(&request.thread_id)?;
        state.append(index, &request.steps)?;
        Ok(Response::new(AppendStepsResponse {
            changes: state.changes(index),
            ..AppendStepsResponse::default()
        }))
    }

    async fn record_attempt(
        &self,
        request: Request<RecordAttemptRequest>,
    ) -> Answer<RecordAttemptResponse> {
        let request = request.into_inner();
        let mut state = self.called("RecordAttempt")?;
        state.check(&fence_of(request.fence)?)?;
        let index = state.running(&request.thread_id)?;
        state.threads[index].attempts += 1;
        let attempts = state.threads[index].attempts;
        Ok(Response::new(RecordAttemptResponse { attempts }))
    }

    async fn finish_thread(
        &self,
        request: Request<FinishThreadRequest>,
    ) -> Answer<FinishThreadResponse> {
        let request = request.into_inner();
        let mut state = self.called("FinishThread")?;
        let fence = fence_of(request.fence.clone())?;
        state.check(&fence)?;
        let index = if state.threads.iter().any(|it| it.thread_id == request.thread_id) {
            state.running(&request.thread_id)?
        } else {
            state.threads.push(Thread {
                thread_id: request.thread_id.clone(),
                guild_id: fence.guild_id,
                channel_id: fence.channel_id,
                ..Thread::default()
            });
            state.threads.len() - 1
        };
        if let Some(step) = &request.step {
            state.append(index, std::slice::from_ref(step))?;
        }
        let outcome = request.outcome();
        state.dead_tasks.extend(request.tasks);
        let thread = &mut state.threads[index];
        thread.set_outcome(outcome);
        thread.detail = request.detail;
        thread.finished_at_ms = request.at_ms;
        thread.usage = request.usage;
        for trigger in request.finished_trigger_ids {
            let by = state.finished.insert(trigger.clone(), request.thread_id.clone());
            assert_eq!(by, None, "{trigger} was finished twice");
        }
        let channel = state.channels.entry((fence.guild_id, fence.channel_id)).or_default();
        channel.state = request.state.unwrap_or_default();
        Ok(Response::new(FinishThreadResponse {}))
    }

    async fn ingest_messages(
        &self,
        request: Request<IngestMessagesRequest>,
    ) -> Answer<IngestMessagesResponse> {
        let request = request.into_inner();
        let mut state = self.called("IngestMessages")?;
        let home = |event: &IngestEvent| {
            if event.guild_id == 0 { event.channel_id } else { event.guild_id }
        };
        let homes: HashSet<_> = request.events.iter().map(home).collect();
        if homes.len() != 1 {
            return Err(Status::invalid_argument("events of several homes"));
        }
        if request.events.iter().any(|event| event.event_id.contains("poison")) {
            return Err(Status::invalid_argument("poison"));
        }
        for event in request.events {
            if !state.events.insert((request.handler.clone(), event.event_id.clone())) {
                continue;
            }
            match event.change.clone() {
                Some(ingest_event::Change::Created(message)) => {
                    let kept = Kept { message, is_deleted: false };
                    state.messages.entry(kept.message.message_id).or_insert(kept);
                }
                Some(ingest_event::Change::Edited(edit)) => {
                    if let Some(kept) = state.messages.get_mut(&edit.message_id) {
                        kept.message.content = edit.content;
                        kept.message.edited_at_ms = edit.edited_at_ms;
                    }
                }
                Some(ingest_event::Change::Deleted(deletion)) => {
                    for message in deletion.message_ids {
                        if let Some(kept) = state.messages.get_mut(&message) {
                            kept.is_deleted = true;
                        }
                    }
                }
                Some(ingest_event::Change::ChannelDeleted(_)) => {
                    let channel = event.channel_id;
                    for kept in state.messages.values_mut() {
                        kept.is_deleted |= kept.message.channel_id == channel;
                    }
                }
                None => return Err(Status::invalid_argument("`change` is missing")),
            }
            state.ingested.push(event);
        }
        Ok(Response::new(IngestMessagesResponse::default()))
    }

    async fn claim_summary(
        &self,
        request: Request<ClaimSummaryRequest>,
    ) -> Answer<ClaimSummaryResponse> {
        let mut state = self.called("ClaimSummary")?;
        state.claims.push(request.into_inner());
        Ok(Response::new(state.due.take().unwrap_or_default()))
    }

    async fn keep_summary(
        &self,
        request: Request<KeepSummaryRequest>,
    ) -> Answer<KeepSummaryResponse> {
        let mut state = self.called("KeepSummary")?;
        let request = request.into_inner();
        let is_kept = !request.text.is_empty();
        state.kept_summaries.push(request);
        Ok(Response::new(KeepSummaryResponse { is_kept, spending: None }))
    }

    async fn begin_execution(
        &self,
        _: Request<BeginExecutionRequest>,
    ) -> Answer<BeginExecutionResponse> {
        Err(Status::unimplemented("asked by the tool-service only"))
    }

    async fn end_execution(&self, _: Request<EndExecutionRequest>) -> Answer<EndExecutionResponse> {
        Err(Status::unimplemented("asked by the tool-service only"))
    }

    async fn list_messages(
        &self,
        request: Request<ListMessagesRequest>,
    ) -> Answer<ListMessagesResponse> {
        let request = request.into_inner();
        let state = self.called("ListMessages")?;
        let is_wanted = |kept: &&Kept| {
            !kept.is_deleted
                && kept.message.channel_id == request.channel_id
                && (request.before == 0 || kept.message.message_id < request.before)
        };
        let kept = state.messages.values().filter(is_wanted);
        let mut messages: Vec<_> = kept.map(|kept| kept.message.clone()).collect();
        messages.drain(..messages.len().saturating_sub(request.limit as usize));
        Ok(Response::new(ListMessagesResponse { messages }))
    }

    async fn get_thread(&self, _: Request<GetThreadRequest>) -> Answer<GetThreadResponse> {
        Err(Status::unimplemented("not asked by the orchestrator"))
    }

    async fn list_threads(&self, _: Request<ListThreadsRequest>) -> Answer<ListThreadsResponse> {
        Ok(Response::new(ListThreadsResponse { threads: self.threads() }))
    }

    async fn explain_message(
        &self,
        _: Request<ExplainMessageRequest>,
    ) -> Answer<ExplainMessageResponse> {
        Ok(Response::new(ExplainMessageResponse::default()))
    }

    async fn list_cases(&self, _: Request<ListCasesRequest>) -> Answer<ListCasesResponse> {
        Ok(Response::new(ListCasesResponse::default()))
    }

    async fn list_executions(
        &self,
        _: Request<ListExecutionsRequest>,
    ) -> Answer<ListExecutionsResponse> {
        Err(Status::unimplemented("not asked by the orchestrator"))
    }

    async fn list_dead_letters(
        &self,
        _: Request<ListDeadLettersRequest>,
    ) -> Answer<ListDeadLettersResponse> {
        Err(Status::unimplemented("not asked by the orchestrator"))
    }

    async fn get_dead_letter(
        &self,
        _: Request<GetDeadLetterRequest>,
    ) -> Answer<GetDeadLetterResponse> {
        Err(Status::unimplemented("not asked by the orchestrator"))
    }

    async fn retry_dead_letters(
        &self,
        _: Request<RetryDeadLettersRequest>,
    ) -> Answer<RetryDeadLettersResponse> {
        Err(Status::unimplemented("not asked by the orchestrator"))
    }

    async fn record_dead_event(
        &self,
        request: Request<RecordDeadEventRequest>,
    ) -> Answer<RecordDeadEventResponse> {
        let mut state = self.called("RecordDeadEvent")?;
        state.dead_events.push(request.into_inner());
        Ok(Response::new(RecordDeadEventResponse {}))
    }

    async fn find_gaps(&self, request: Request<FindGapsRequest>) -> Answer<FindGapsResponse> {
        let request = request.into_inner();
        let state = self.called("FindGaps")?;
        let gap = |end: &ChannelEnd| {
            let known = state.messages.values().map(|kept| &kept.message);
            let of_channel = known.filter(|message| message.channel_id == end.channel_id);
            let after = of_channel.map(|message| message.message_id).max()?;
            let (channel_id, last) = (end.channel_id, end.last_message_id);
            (last > after).then_some(Gap { channel_id, after, last })
        };
        let gaps = request.channels.iter().filter_map(gap).collect();
        Ok(Response::new(FindGapsResponse { gaps }))
    }

    async fn create_mcp_credential(
        &self,
        _: Request<CreateMcpCredentialRequest>,
    ) -> Answer<CreateMcpCredentialResponse> {
        Err(Status::unimplemented("not asked by the orchestrator"))
    }

    async fn get_mcp_credential(
        &self,
        _: Request<GetMcpCredentialRequest>,
    ) -> Answer<GetMcpCredentialResponse> {
        Err(Status::unimplemented("not asked by the orchestrator"))
    }

    async fn list_mcp_credentials(
        &self,
        _: Request<ListMcpCredentialsRequest>,
    ) -> Answer<ListMcpCredentialsResponse> {
        Err(Status::unimplemented("not asked by the orchestrator"))
    }

    async fn revoke_mcp_credential(
        &self,
        _: Request<RevokeMcpCredentialRequest>,
    ) -> Answer<RevokeMcpCredentialResponse> {
        Err(Status::unimplemented("not asked by the orchestrator"))
    }

    async fn get_execution(&self, _: Request<GetExecutionRequest>) -> Answer<GetExecutionResponse> {
        Err(Status::unimplemented("not asked by the orchestrator"))
    }

    async fn find_direct_gaps(
        &self,
        _: Request<FindDirectGapsRequest>,
    ) -> Answer<FindDirectGapsResponse> {
        let state = self.called("FindDirectGaps")?;
        let mut newest = BTreeMap::new();
        for Kept { message, .. } in state.messages.values() {
            if message.guild_id == 0 {
                newest.insert(message.channel_id, message.message_id);
            }
        }
        let gap = |(channel_id, after)| DirectGap { channel_id, after };
        let gaps = newest.into_iter().map(gap).collect();
        Ok(Response::new(FindDirectGapsResponse { gaps, left_out: 0 }))
    }

    async fn get_approval(&self, _: Request<GetApprovalRequest>) -> Answer<GetApprovalResponse> {
        Err(Status::unimplemented("not asked by the orchestrator"))
    }

    async fn decide_approval(
        &self,
        _: Request<DecideApprovalRequest>,
    ) -> Answer<DecideApprovalResponse> {
        Err(Status::unimplemented("not asked by the orchestrator"))
    }

    async fn get_scheduled_action(
        &self,
        request: Request<GetScheduledActionRequest>,
    ) -> Answer<GetScheduledActionResponse> {
        drop(self.called("GetScheduledAction")?);
        let action = self.planned(&request.into_inner().scheduled_action_id);
        Ok(Response::new(GetScheduledActionResponse { action }))
    }

    async fn list_scheduled_actions(
        &self,
        _: Request<ListScheduledActionsRequest>,
    ) -> Answer<ListScheduledActionsResponse> {
        Err(Status::unimplemented("not asked by the orchestrator"))
    }

    async fn cancel_scheduled_action(
        &self,
        _: Request<CancelScheduledActionRequest>,
    ) -> Answer<CancelScheduledActionResponse> {
        Err(Status::unimplemented("not asked by the orchestrator"))
    }

    async fn reopen_thread(&self, _: Request<ReopenThreadRequest>) -> Answer<ReopenThreadResponse> {
        drop(self.called("ReopenThread")?);
        Ok(Response::new(ReopenThreadResponse { thread: None }))
    }

    async fn note_read_back(
        &self,
        request: Request<NoteReadBackRequest>,
    ) -> Answer<NoteReadBackResponse> {
        let mut state = self.called("NoteReadBack")?;
        let noted = request.into_inner();
        state.read_back.insert((noted.guild_id, noted.channel_id), noted);
        Ok(Response::new(NoteReadBackResponse {}))
    }

    async fn is_read_back(
        &self,
        request: Request<IsReadBackRequest>,
    ) -> Answer<IsReadBackResponse> {
        let asked = request.into_inner();
        drop(self.called("IsReadBack")?);
        self.held.pass("IsReadBack").await;
        let state = self.state();
        let last = state.read_back.get(&(asked.guild_id, asked.channel_id));
        let is_new = asked.guild_id == 0
            && state.messages.values().all(|kept| kept.message.channel_id != asked.channel_id);
        let is_read_back = last.map_or(is_new, |last| {
            last.session == asked.session || last.told_at_ms > asked.received_at_ms
        });
        Ok(Response::new(IsReadBackResponse { is_read_back }))
    }
}
