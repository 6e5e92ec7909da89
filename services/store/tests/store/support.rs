use std::{path::Path, sync::Arc, time::Duration};

use ery_clock::{ManualClock, UnixMillis};
use ery_group_commit::FileKey;
use ery_ids::TaskThreadId;
use ery_lifecycle::Tasks;
use ery_proto::{
    common::v1::{Fence, Mention, Message, Principal, principal::Kind},
    store::v1::{
        AppendStepsRequest, AppendStepsResponse, BeginExecutionRequest, BeginThreadRequest,
        BeginThreadResponse, ContextQuery, Decision, EndExecutionRequest, Execution,
        ExecutionState, FinishThreadRequest, IngestEvent, IngestMessagesRequest,
        OpenChannelRequest, OpenChannelResponse, ReadContextRequest, ReadContextResponse, Step,
        StepKind, ThreadOutcome, Trigger,
        ingest_event::{Change, ChannelDeletion, Deletion, Edit},
        store_service_client::StoreServiceClient,
    },
};
use ery_rpc::Transport;
use ery_store::{OpenError, Ports, Service, Settings};
use rusqlite::{Connection, Params, types::ValueRef};
use tempfile::TempDir;
use tonic::Status;

use crate::queue::{FakeBus, FakeQueue};

pub(crate) const GUILD: u64 = 7 << 22;
pub(crate) const CHANNEL: u64 = 70 << 22;
pub(crate) const AUTHOR: u64 = 500;
pub(crate) const NOW: i64 = 1_700_000_000_000;

/// A store in a folder of its own, and a client of it.
pub(crate) struct Store {
    pub(crate) client: StoreServiceClient<Transport>,
    pub(crate) service: Service,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) folder: Arc<TempDir>,
    pub(crate) queue: Arc<FakeQueue>,
    pub(crate) bus: Arc<FakeBus>,
    settings: Settings,
}

impl Store {
    pub(crate) async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        Self::open_in(Arc::new(tempfile::tempdir().unwrap()), settings).await.unwrap()
    }

    pub(crate) async fn open_in(
        folder: Arc<TempDir>,
        settings: Settings,
    ) -> Result<Self, OpenError> {
        Self::open_under(folder, settings, None).await
    }

    pub(crate) async fn open_under(
        folder: Arc<TempDir>,
        settings: Settings,
        key: Option<FileKey>,
    ) -> Result<Self, OpenError> {
        Self::open_among(folder, settings, key, None).await
    }

    pub(crate) async fn open_among(
        folder: Arc<TempDir>,
        settings: Settings,
        key: Option<FileKey>,
        stores: Option<ery_rpc::Peers>,
    ) -> Result<Self, OpenError> {
        let clock = Arc::new(ManualClock::at(UnixMillis(NOW)));
        let queue = Arc::<FakeQueue>::default();
        let bus = Arc::<FakeBus>::default();
        let ports = Ports {
            data_dir: folder.path().to_owned(),
            key,
            clock: Arc::clone(&clock) as Arc<dyn ery_clock::Clock>,
            queue: Arc::clone(&queue) as Arc<dyn ery_channel_queue::ChannelQueue>,
            bus: Arc::clone(&bus) as Arc<dyn ery_event_bus::EventBus>,
            stores,
        };
        let service = Service::open(settings.clone(), ports).await?;
        Ok(Self { client: client(&service), service, clock, folder, queue, bus, settings })
    }

    /// Closes every file and opens the store again.
    pub(crate) async fn reopen(self) -> Self {
        let settings = self.settings.clone();
        let folder = self.close().await;
        Self::open_in(folder, settings).await.unwrap()
    }

    /// Closes every file.
    pub(crate) async fn close(self) -> Arc<TempDir> {
        let Self { client, service, folder, .. } = self;
        let tasks = Tasks::new();
        tasks.drain();
        service.clone().run(tasks).await.unwrap();
        drop((client, service));
        folder
    }

    /// Returns every row of the guild's shard as text, so that two moments can be compared.
    pub(crate) fn rows(&self) -> Vec<String> {
        rows(&shard_file(self.folder.path()))
    }

    pub(crate) async fn open_channel(&mut self, fence: &Fence) -> OpenChannelResponse {
        let request = OpenChannelRequest {
            fence: Some(fence.clone()),
            waiting_trigger_ids: Vec::new(),
            ..OpenChannelRequest::default()
        };
        self.client.open_channel(request).await.unwrap().into_inner()
    }

    pub(crate) async fn begin(
        &mut self,
        request: BeginThreadRequest,
    ) -> Result<BeginThreadResponse, Status> {
        Ok(self.client.begin_thread(request).await?.into_inner())
    }

    pub(crate) async fn read_context(
        &mut self,
        request: ReadContextRequest,
    ) -> ReadContextResponse {
        self.client.read_context(request).await.unwrap().into_inner()
    }

    pub(crate) async fn append(
        &mut self,
        fence: &Fence,
        thread: TaskThreadId,
        steps: Vec<Step>,
    ) -> Result<AppendStepsResponse, Status> {
        let request =
            AppendStepsRequest { fence: Some(fence.clone()), thread_id: thread.to_string(), steps };
        Ok(self.client.append_steps(request).await?.into_inner())
    }

    pub(crate) async fn finish(&mut self, request: FinishThreadRequest) -> Result<(), Status> {
        self.client.finish_thread(request).await.map(|_| ())
    }

    pub(crate) async fn ingest(&mut self, events: Vec<IngestEvent>) {
        let request = IngestMessagesRequest { handler: "ingestion".to_owned(), events };
        self.client.ingest_messages(request).await.unwrap();
    }

    /// Opens the channel and begins a thread on one message.
    pub(crate) async fn running_thread(&mut self, fence: &Fence, message_id: u64) -> TaskThreadId {
        let thread = TaskThreadId::random();
        self.open_channel(fence).await;
        self.begin(begin(fence, thread, &[message(message_id, "hello")])).await.unwrap();
        thread
    }
}

pub(crate) fn client(service: &Service) -> StoreServiceClient<Transport> {
    StoreServiceClient::new(ery_rpc::local(service.routes()))
}

pub(crate) fn shard_file(folder: &Path) -> std::path::PathBuf {
    let shard = ery_ids::Home::Guild(twilight_model::id::Id::new(GUILD)).store_shard(64);
    folder.join("store").join(format!("{shard}.db"))
}

pub(crate) fn rows(file: &Path) -> Vec<String> {
    rows_under(file, None)
}

#[expect(
    clippy::disallowed_methods,
    reason = "there is nothing to be told by, and it is not async"
)]
pub(crate) fn rows_under(file: &Path, key: Option<&FileKey>) -> Vec<String> {
    const TABLES: [&str; 15] = [
        "users",
        "servers",
        "channel_epochs",
        "task_threads",
        "task_thread_triggers",
        "task_thread_steps",
        "finished_triggers",
        "dead_letters",
        "scheduled_tasks",
        "tool_executions",
        "moderation_logs",
        "learning_data",
        "messages",
        "channel_summaries",
        "handled_events",
    ];

    // One that is just being made has a journal yet.
    let connection = (0..250)
        .find_map(|_| {
            let opened = ery_group_commit::open_read_only(file, key).ok();
            if opened.is_none() {
                std::thread::sleep(Duration::from_millis(20));
            }
            opened
        })
        .expect("the file can be opened");
    let tables = TABLES.iter();
    tables
        .flat_map(|table| {
            let rows = select(&connection, &format!("SELECT * FROM {table} ORDER BY 1, 2, 3"), ());
            rows.into_iter().map(move |row| format!("{table}: {row}"))
        })
        .collect()
}

/// Returns the rows of a statement as text.
pub(crate) fn select(
    connection: &Connection,
    statement: &str,
    parameters: impl Params,
) -> Vec<String> {
    let mut statement = connection.prepare(statement).unwrap();
    let columns = statement.column_count();
    let text = |value: ValueRef<'_>| match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(value) => value.to_string(),
        ValueRef::Real(value) => value.to_string(),
        ValueRef::Text(value) => String::from_utf8_lossy(value).into_owned(),
        ValueRef::Blob(value) => format!("{value:02x?}"),
    };
    let rows = statement.query_map(parameters, |row| {
        let values = (0..columns).map(|column| row.get_ref(column).map(text));
        Ok(values.collect::<Result<Vec<String>, _>>()?.join(" | "))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

pub(crate) fn fence(epoch: u64, owner: &str) -> Fence {
    Fence { guild_id: GUILD, channel_id: CHANNEL, epoch, owner: owner.to_owned() }
}

/// A message whose id tells its moment: the higher, the newer.
pub(crate) fn message(message_id: u64, content: &str) -> Message {
    Message {
        guild_id: GUILD,
        channel_id: CHANNEL,
        message_id,
        author_id: AUTHOR,
        author_name: "mara".to_owned(),
        content: content.to_owned(),
        created_at_ms: NOW + i64::try_from(message_id).unwrap(),
        mentions: vec![Mention { user_id: 9, name: "ery".to_owned() }],
        ..Message::default()
    }
}

pub(crate) fn trigger(message: &Message) -> Trigger {
    Trigger {
        id: format!("m.{}", message.message_id),
        message: Some(message.clone()),
        received_at_ms: message.created_at_ms + 1,
    }
}

pub(crate) fn person(user: u64) -> Principal {
    Principal { kind: Some(Kind::Person(user)) }
}

pub(crate) fn begin(
    fence: &Fence,
    thread: TaskThreadId,
    messages: &[Message],
) -> BeginThreadRequest {
    BeginThreadRequest {
        fence: Some(fence.clone()),
        thread_id: thread.to_string(),
        triggers: messages.iter().map(trigger).collect(),
        principal: Some(person(AUTHOR)),
        askers: Vec::new(),
        started_at_ms: NOW,
        context: Some(ContextQuery { max_messages: 50, ..ContextQuery::default() }),
    }
}

pub(crate) fn step(index: u32) -> Step {
    Step {
        index,
        kind: StepKind::ModelAnswered.into(),
        payload: format!(r#"{{"answer":{index}}}"#),
        at_ms: NOW + i64::from(index),
        ..Step::default()
    }
}

pub(crate) fn execution(thread: TaskThreadId, call: u32) -> Execution {
    Execution {
        key: format!("t/{thread}/1/{call}"),
        thread_id: thread.to_string(),
        guild_id: GUILD,
        channel_id: CHANNEL,
        tool: "send_message".to_owned(),
        arguments: r#"{"content":"hi"}"#.to_owned(),
        principal: Some(person(AUTHOR)),
        trigger_id: "m.1".to_owned(),
        tier: "harmless".to_owned(),
        decision: Decision::Allow.into(),
        state: ExecutionState::Open.into(),
        opened_at_ms: NOW,
        send_by_ms: NOW + 10_000,
        model: "builtin".to_owned(),
        prompt_version: "1".to_owned(),
        ..Execution::default()
    }
}

pub(crate) fn begin_execution(fence: &Fence, execution: &Execution) -> BeginExecutionRequest {
    BeginExecutionRequest {
        fence: Some(fence.clone()),
        execution: Some(execution.clone()),
        approval: None,
        settling: None,
        ..BeginExecutionRequest::default()
    }
}

pub(crate) fn end_execution(
    fence: &Fence,
    execution: &Execution,
    state: ExecutionState,
) -> EndExecutionRequest {
    EndExecutionRequest {
        fence: Some(fence.clone()),
        guild_id: 0,
        channel_id: 0,
        key: execution.key.clone(),
        state: state.into(),
        result: r#"{"ok":true}"#.to_owned(),
        rest_status: 200,
        closed_at_ms: NOW + 500,
        sent: None,
        later: None,
    }
}

pub(crate) fn finish(
    fence: &Fence,
    thread: TaskThreadId,
    outcome: ThreadOutcome,
    finished: &[u64],
) -> FinishThreadRequest {
    FinishThreadRequest {
        fence: Some(fence.clone()),
        thread_id: thread.to_string(),
        outcome: outcome.into(),
        detail: String::new(),
        finished_trigger_ids: finished.iter().map(|id| format!("m.{id}")).collect(),
        state: None,
        usage: None,
        at_ms: NOW + 1_000,
        step: None,
        tasks: Vec::new(),
    }
}

pub(crate) fn created(event_id: &str, message: Message) -> IngestEvent {
    event(event_id, Change::Created(message))
}

pub(crate) fn edited(event_id: &str, message_id: u64, content: &str, at_ms: i64) -> IngestEvent {
    let edit = Edit { message_id, content: content.to_owned(), edited_at_ms: at_ms, message: None };
    event(event_id, Change::Edited(edit))
}

pub(crate) fn deleted(event_id: &str, message_ids: &[u64], at_ms: i64) -> IngestEvent {
    event(event_id, Change::Deleted(Deletion { message_ids: message_ids.to_vec(), at_ms }))
}

pub(crate) fn channel_deleted(event_id: &str, at_ms: i64) -> IngestEvent {
    event(event_id, Change::ChannelDeleted(ChannelDeletion { at_ms }))
}

pub(crate) fn event(event_id: &str, change: Change) -> IngestEvent {
    IngestEvent {
        event_id: event_id.to_owned(),
        guild_id: GUILD,
        channel_id: CHANNEL,
        change: Some(change),
    }
}
