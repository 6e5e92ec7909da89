use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::service::Routes;
use twilight_model::id::Id;

use ery_channel_queue::{ChannelQueue, Task};
use ery_clock::{Clock, SystemClock, UnixMillis};
use ery_community_config::{Base, testing::KeptConfig};
use ery_embedded::{
    BusOptions, EmbeddedBus, EmbeddedFolder, EmbeddedMembership, EmbeddedQueue, QueueOptions,
};
use ery_event_bus::{Event, EventBus};
use ery_ids::{ChannelKey, EventId, ReplicaId, TriggerId};
use ery_lifecycle::{Ended, Tasks};
use ery_orchestrator::{Ports, Service, Settings};
use ery_proto::{
    ai::v1::ai_service_server::AiServiceServer,
    common::v1::Message,
    store::v1::{
        config_service_server::ConfigServiceServer,
        provider_key_service_server::ProviderKeyServiceServer,
        store_service_server::StoreServiceServer, usage_service_server::UsageServiceServer,
    },
    tool::v1::tool_service_server::ToolServiceServer,
};
use ery_rpc::Peers;

use super::{
    BOT, CHANNEL, GUILD, ai::FakeAi, keys::KeptKeys, store::FakeStore, tools::FakeTools,
    usage::FakeUsage,
};

/// How long a channel stays held after its holder was killed.
const LEASE: Duration = Duration::from_millis(300);

/// After what time what was not removed is delivered again.
const REDELIVERY: Duration = Duration::from_millis(600);

/// Everything around orchestrators.
pub(crate) struct Stand {
    pub(crate) queue: Arc<EmbeddedQueue>,
    pub(crate) bus: Arc<EmbeddedBus>,
    membership: Arc<EmbeddedMembership>,
    pub(crate) store: Arc<FakeStore>,
    pub(crate) config: KeptConfig,
    pub(crate) keys: KeptKeys,
    pub(crate) usage: Arc<FakeUsage>,
    pub(crate) ai: Arc<FakeAi>,
    pub(crate) tools: Arc<FakeTools>,
    pub(crate) settings: Settings,
    next_message: AtomicU64,
    _folder: TempDir,
}

/// A message that somebody is to write.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) guild: u64,
    pub(crate) channel: u64,
    pub(crate) author: u64,
    pub(crate) content: String,
    pub(crate) more: Value,
}

impl Written {
    pub(crate) fn by(author: u64, content: &str) -> Self {
        let content = content.to_owned();
        Self { guild: GUILD, channel: CHANNEL, author, content, more: json!({}) }
    }

    pub(crate) fn in_channel(self, channel: u64) -> Self {
        Self { channel, ..self }
    }

    pub(crate) fn in_guild(self, guild: u64) -> Self {
        Self { guild, ..self }
    }

    pub(crate) fn with(self, more: Value) -> Self {
        Self { more, ..self }
    }

    pub(crate) fn key(&self) -> ChannelKey {
        ChannelKey::from_raw(self.guild, self.channel).unwrap()
    }

    /// Makes the task of the message.
    pub(crate) fn task(&self, id: u64) -> Task {
        Task {
            trigger: TriggerId::Message(Id::new(id)),
            channel: self.key(),
            retry: 0,
            bot: Id::new(BOT),
            received_at: SystemClock.now(),
            session: None,
            traceparent: None,
            payload: self.payload(id).into(),
        }
    }

    pub(crate) fn payload(&self, id: u64) -> Vec<u8> {
        let mut payload = json!({
            "id": id.to_string(), "channel_id": self.channel.to_string(), "type": 0,
            "author": {"id": self.author.to_string(), "username": format!("user{}", self.author)},
            "content": self.content, "mentions": [], "attachments": [],
        });
        if self.guild != 0 {
            payload["guild_id"] = json!(self.guild.to_string());
        }
        payload.as_object_mut().unwrap().extend(self.more.as_object().unwrap().clone());
        payload.to_string().into_bytes()
    }
}

impl Stand {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(set: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let embedded = EmbeddedFolder::open(folder.path()).unwrap();
        let options =
            QueueOptions { lease_ttl: LEASE, redelivery: REDELIVERY, ..QueueOptions::default() };
        let bus_options = BusOptions { redelivery: REDELIVERY, ..BusOptions::default() };
        let queue = embedded.queue(options).await.unwrap();
        let bus = embedded.bus(bus_options).await.unwrap();
        let store = Arc::new(FakeStore::default());
        let mut settings = Settings {
            ingestion_wait: Duration::ZERO,
            attempt_pause: Duration::from_millis(5),
            patience: Duration::from_secs(5),
            ..Settings::default()
        };
        set(&mut settings);
        settings.validate().unwrap();
        Self {
            queue: Arc::new(queue),
            bus: Arc::new(bus),
            membership: Arc::new(embedded.membership()),
            tools: Arc::new(FakeTools::new(&store)),
            usage: Arc::new(FakeUsage::new(&store)),
            store,
            config: KeptConfig::default(),
            keys: KeptKeys::default(),
            ai: Arc::default(),
            settings,
            next_message: AtomicU64::new(now_as_id()),
            _folder: folder,
        }
    }

    /// Exchanges its queue for another one, which knows nothing of what was done.
    pub(crate) fn with_queue_of(self, other: &Self) -> Self {
        Self { queue: Arc::clone(&other.queue), ..self }
    }

    /// Forgets who was registered: what a killed process left behind in membership.
    pub(crate) fn with_nobody_registered(self) -> Self {
        Self { membership: Arc::new(EmbeddedMembership::new(LEASE)), ..self }
    }

    /// Starts an orchestrator that can be killed alone.
    pub(crate) fn start(&self) -> Process {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let queue: Arc<dyn ChannelQueue> = Arc::clone(&self.queue) as _;
        let routes = |routes| Peers::local(ery_rpc::local(routes));
        let ports = Ports {
            queue,
            bus: Arc::clone(&self.bus) as _,
            membership: Arc::clone(&self.membership) as _,
            clock: Arc::new(SystemClock),
            replica: ReplicaId::random(),
            config_base: Base { everywhere: self.settings.config_base(), ..Base::default() }.into(),
            store: routes(
                Routes::new(StoreServiceServer::from_arc(Arc::clone(&self.store)))
                    .add_service(ConfigServiceServer::new(self.config.clone()))
                    .add_service(ProviderKeyServiceServer::new(self.keys.clone()))
                    .add_service(UsageServiceServer::from_arc(Arc::clone(&self.usage))),
            ),
            ai: routes(Routes::new(AiServiceServer::from_arc(Arc::clone(&self.ai)))),
            tools: routes(Routes::new(ToolServiceServer::from_arc(Arc::clone(&self.tools)))),
        };
        let tasks = Tasks::new();
        let service = Service::new(self.settings.clone(), ports);
        let _inside = runtime.enter();
        let own = tasks.clone();
        tasks.spawn("orchestrator", async move { service.run(own).await });
        Process { runtime: Some(runtime), tasks }
    }

    /// Makes the next message's id; they rise.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_message.fetch_add(1, Ordering::SeqCst)
    }

    /// Lets somebody write a message that may start a thread; returns its id.
    pub(crate) async fn write(&self, written: Written) -> u64 {
        let id = self.next_id();
        self.publish(&written, id).await;
        id
    }

    pub(crate) async fn publish(&self, written: &Written, id: u64) {
        self.queue.publish(written.task(id)).await.unwrap();
    }

    /// Publishes a dispatch for the handlers.
    pub(crate) async fn dispatch(&self, id: &str, kind: &str, key: ChannelKey, payload: Vec<u8>) {
        let event = Event {
            id: EventId(id.to_owned()),
            kind: kind.to_owned(),
            home: key.home,
            channel: Some(key.channel),
            bot: Id::new(BOT),
            received_at: SystemClock.now(),
            traceparent: None,
            payload: payload.into(),
        };
        self.bus.publish(event).await.unwrap();
    }

    /// Returns a message as the store keeps it.
    pub(crate) fn kept(&self, author: u64, content: &str) -> Message {
        Self::kept_as(self.next_id(), author, content)
    }

    /// Returns a message with this id as the store keeps it.
    pub(crate) fn kept_as(message_id: u64, author: u64, content: &str) -> Message {
        Message {
            guild_id: GUILD,
            channel_id: CHANNEL,
            message_id,
            author_id: author,
            author_name: format!("user{author}"),
            is_own: author == BOT,
            content: content.to_owned(),
            created_at_ms: SystemClock.now().0,
            ..Message::default()
        }
    }

    /// Returns whether nothing is left in the queue: for a while nothing is delivered again.
    ///
    /// A process that runs may still be at it: what is delivered here meanwhile is dropped, and
    /// comes again to whoever reads.
    pub(crate) async fn is_queue_empty(&self) -> bool {
        use futures::StreamExt;

        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(40);
        let mut wakeups = self.queue.wakeups(1).await.unwrap();
        while tokio::time::timeout(REDELIVERY * 2, wakeups.next()).await.is_ok() {
            if tokio::time::Instant::now() > deadline {
                return false;
            }
        }
        true
    }
}

/// An orchestrator that runs.
pub(crate) struct Process {
    runtime: Option<Runtime>,
    tasks: Tasks,
}

impl Process {
    /// Ends it between two instructions, as a crash does.
    pub(crate) fn kill(mut self) {
        self.stop();
    }

    /// Drains it, as a first SIGTERM does.
    pub(crate) async fn drain(mut self) {
        let ended = self.tasks.finish(Duration::from_secs(10)).await;
        assert_eq!(ended, Ended::Drained);
        self.stop();
    }

    fn stop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        // Until nothing of it runs any more, which a thread of a runtime may not wait for.
        let ending = std::thread::spawn(|| runtime.shutdown_timeout(Duration::from_secs(10)));
        drop(ending.join());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns the smallest id that Discord could make now.
fn now_as_id() -> u64 {
    let UnixMillis(now) = SystemClock.now();
    u64::try_from(now - 1_420_070_400_000).unwrap() << 22
}
