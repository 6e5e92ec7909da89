//! The service with a store in memory, a bus that tests speak on, and the simulated Discord.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tonic::service::Routes;
use twilight_model::id::Id;

use ery_budgets::{Budgets, BudgetsError, InvalidRequests, Priority, RequestPermit};
use ery_clock::{Clock, ManualClock, SystemClock};
use ery_community_config::{TOOLS, testing::KeptConfig};
use ery_discord_contract::{Requests, contract, report};
use ery_event_bus::{
    BusError, Event, EventBus, EventDeliveries, Followed, FollowedEvents, GatewayShard,
    ResumePoint, Topic,
};
use ery_ids::{EventId, Home, Part, TaskThreadId};
use ery_lifecycle::Tasks;
use ery_proto::{
    ai::v1::Order,
    common::v1::{Fence, Principal, principal::Kind},
    store::v1::{
        config_service_server::ConfigServiceServer, store_service_server::StoreServiceServer,
    },
    tool::v1::{
        CallOutcome, CallToolRequest, CallToolResponse, ResolveCallRequest,
        tool_service_client::ToolServiceClient,
    },
};
use ery_rpc::{Peers, Transport};
use ery_sim_discord::{Options, SimDiscord, WorldHandle};
use ery_tool_service::{Discord, Ports, Service, Settings};

use crate::store::FakeStore;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
pub(crate) struct FakeBus {
    followers: Mutex<Vec<mpsc::UnboundedSender<Followed>>>,
    listeners: Mutex<Vec<(Topic, mpsc::UnboundedSender<Bytes>)>>,
}

impl FakeBus {
    pub(crate) fn tell(&self, followed: &Followed) {
        self.followers.lock().unwrap().retain(|tx| tx.send(followed.clone()).is_ok());
    }

    /// Tells everybody who listens.
    pub(crate) fn broadcast_json(&self, topic: Topic, payload: &impl serde::Serialize) {
        let payload = Bytes::from(serde_json::to_vec(payload).unwrap());
        for (_, tx) in self.listeners.lock().unwrap().iter().filter(|(of, _)| *of == topic) {
            let _ = tx.send(payload.clone());
        }
    }

    /// Ends what is followed, as an outage does.
    pub(crate) fn cut(&self) {
        self.followers.lock().unwrap().clear();
    }
}

fn unused<T>() -> Result<T, BusError> {
    Err(BusError::Unavailable("not in these tests".into()))
}

#[async_trait]
impl EventBus for FakeBus {
    async fn publish(&self, _: Event) -> Result<(), BusError> {
        unused()
    }

    async fn consume(&self, _: &str, _: &[&str], _: Part) -> Result<EventDeliveries, BusError> {
        unused()
    }

    async fn follow(&self, _: &[&str]) -> Result<FollowedEvents, BusError> {
        let (tx, rx) = mpsc::unbounded_channel();
        self.followers.lock().unwrap().push(tx);
        Ok(futures::stream::unfold(rx, |mut rx| async { Some((rx.recv().await?, rx)) }).boxed())
    }

    async fn broadcast(&self, _: Topic, _: Bytes) -> Result<(), BusError> {
        unused()
    }

    async fn listen(&self, topic: Topic) -> Result<BoxStream<'static, Bytes>, BusError> {
        let (tx, rx) = mpsc::unbounded_channel();
        self.listeners.lock().unwrap().push((topic, tx));
        Ok(futures::stream::unfold(rx, |mut rx| async { Some((rx.recv().await?, rx)) }).boxed())
    }

    async fn save_resume_point(
        &self,
        _: GatewayShard,
        _: Option<&ResumePoint>,
    ) -> Result<(), BusError> {
        unused()
    }

    async fn resume_point(&self, _: GatewayShard) -> Result<Option<ResumePoint>, BusError> {
        unused()
    }
}

#[derive(Default)]
pub(crate) struct FakeBudgets {
    pub(crate) pauses: Mutex<Vec<Duration>>,
    pub(crate) invalid: AtomicU64,
    pub(crate) granted: AtomicU32,
    /// What happens before the next request is granted.
    pub(crate) before_grant: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

#[async_trait]
impl Budgets for FakeBudgets {
    async fn identify_slot(&self, _: u32) -> Result<Option<Duration>, BudgetsError> {
        Ok(None)
    }

    async fn request(&self, _: Priority, _: u32) -> Result<RequestPermit, BudgetsError> {
        if let Some(before) = self.before_grant.lock().unwrap().take() {
            before();
        }
        self.granted.fetch_add(1, Ordering::SeqCst);
        Ok(RequestPermit::Granted)
    }

    async fn pause(&self, how_long: Duration) -> Result<(), BudgetsError> {
        self.pauses.lock().unwrap().push(how_long);
        Ok(())
    }

    async fn count_invalid(&self) -> Result<InvalidRequests, BudgetsError> {
        let in_window = self.invalid.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(InvalidRequests { in_window })
    }

    async fn invalid(&self) -> Result<InvalidRequests, BudgetsError> {
        Ok(InvalidRequests { in_window: self.invalid.load(Ordering::SeqCst) })
    }
}

/// Holds what was said to the simulated Discord to Discord's own document, when a test ends.
struct Contract(WorldHandle);

impl Drop for Contract {
    fn drop(&mut self) {
        // What has failed already need not fail twice.
        if std::thread::panicking() {
            return;
        }
        let Some(contract) = contract() else { return };
        let violations = contract.check_log(&self.0.log(), Requests::NotRefused).unwrap();
        assert!(violations.is_empty(), "Discord's document refuses:\n{}", report(&violations));
    }
}

pub(crate) struct Harness {
    _contract: Contract,
    pub(crate) sim: SimDiscord,
    pub(crate) store: FakeStore,
    pub(crate) config: KeptConfig,
    pub(crate) bus: Arc<FakeBus>,
    pub(crate) budgets: Arc<FakeBudgets>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) service: Service,
    transport: Transport,
    tasks: Tasks,
    http: reqwest::Client,
    events: AtomicU64,
    calls: AtomicU32,
    thread: TaskThreadId,
}

async fn discord_at(address: SocketAddr, clock: &Arc<ManualClock>) -> SimDiscord {
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let options = Options {
        rate_limits: false,
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        ..Options::default()
    };
    SimDiscord::start(listener, options).await.unwrap()
}

impl Harness {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_as(change, None).await
    }

    pub(crate) async fn start_as(change: impl FnOnce(&mut Settings), token: Option<&str>) -> Self {
        // The second test of a process finds it installed, which is as good.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let sim = discord_at("127.0.0.1:0".parse().unwrap(), &clock).await;
        let store = FakeStore::default();
        let config = KeptConfig::default();
        let routes = Routes::new(StoreServiceServer::new(store.clone()))
            .add_service(ConfigServiceServer::new(config.clone()));
        let (bus, budgets) = (Arc::new(FakeBus::default()), Arc::new(FakeBudgets::default()));
        let token = token.unwrap_or(sim.token());
        let mut settings = Settings { backoff: Duration::from_millis(5), ..Settings::default() };
        change(&mut settings);
        let ports = Ports {
            discord: Discord { token: token.into(), api_url: sim.api_url() },
            bus: Arc::clone(&bus) as Arc<dyn EventBus>,
            budgets: Arc::clone(&budgets) as Arc<dyn Budgets>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            config_base: settings.config_base().into(),
            store: Peers::local(ery_rpc::local(routes)),
        };
        let service = Service::new(settings, ports).unwrap();
        let transport = ery_rpc::local(service.routes());
        let tasks = Tasks::new();
        let (running, own) = (service.clone(), tasks.clone());
        tasks.spawn("tool-service", async move { running.run(own).await });
        let harness = Self {
            _contract: Contract(sim.world()),
            sim,
            store,
            config,
            bus,
            budgets,
            clock,
            service,
            transport,
            tasks,
            http: reqwest::Client::new(),
            events: AtomicU64::new(0),
            calls: AtomicU32::new(0),
            thread: TaskThreadId::random(),
        };
        harness.until("events are followed", || harness.service.readiness().is_ready()).await;
        harness
    }

    /// Stops the simulated Discord and starts one at the same place, which knows nothing of the other:
    /// the same token, and other ids.
    pub(crate) async fn begin_discord_anew(&mut self) {
        self.clock.advance(Duration::from_mins(1));
        let meanwhile = discord_at("127.0.0.1:0".parse().unwrap(), &self.clock).await;
        let address = self.sim.addr();
        std::mem::replace(&mut self.sim, meanwhile).stop().await;
        self.sim = discord_at(address, &self.clock).await;
    }

    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
    }

    /// Drains the service, and waits for what it is doing.
    pub(crate) async fn stop(self) -> ery_lifecycle::Ended {
        self.tasks.finish(PATIENCE).await
    }

    pub(crate) fn client(&self) -> ToolServiceClient<Transport> {
        ToolServiceClient::new(self.transport.clone())
    }

    pub(crate) fn user(&self, name: &str) -> u64 {
        self.sim.world().user_named(name).expect(name).get()
    }

    pub(crate) fn channel(&self, name: &str) -> u64 {
        self.sim.world().channel_named(name).expect(name).get()
    }

    pub(crate) fn guild(&self) -> u64 {
        self.sim.world().first_guild().unwrap().get()
    }

    /// What Ery said in a channel.
    pub(crate) fn said(&self, channel: &str) -> Vec<String> {
        let ery = self.user("Ery");
        let messages = self.sim.world().messages(Id::new(self.channel(channel)));
        let own = messages.into_iter().filter(|message| message.author.get() == ery);
        own.map(|message| message.content).collect()
    }

    /// A call by a person, of a thread in a channel; its key is new.
    pub(crate) fn call(
        &self,
        who: &str,
        place: &str,
        tool: &str,
        arguments: Value,
    ) -> CallToolRequest {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        CallToolRequest {
            fence: Some(Fence {
                guild_id: self.guild(),
                channel_id: self.channel(place),
                epoch: 5,
                owner: "holder".into(),
            }),
            key: format!("t/{}/1/{call}", self.thread),
            thread_id: self.thread.to_string(),
            tool: tool.into(),
            arguments: arguments.to_string(),
            principal: Some(Principal { kind: Some(Kind::Person(self.user(who))) }),
            trigger_id: "m.1".into(),
            guild_id: self.guild(),
            channel_id: self.channel(place),
            offered: TOOLS.map(str::to_owned).to_vec(),
            model: "scripted".into(),
            prompt_version: "1".into(),
            ..CallToolRequest::default()
        }
    }

    /// A call that its asker's own message orders, word for word.
    pub(crate) async fn ordered(&self, who: &str, tool: &str, arguments: Value) -> CallToolRequest {
        self.ordered_in(who, "general", tool, arguments).await
    }

    /// A call from a channel that its asker's own message there orders.
    pub(crate) async fn ordered_in(
        &self,
        who: &str,
        place: &str,
        tool: &str,
        arguments: Value,
    ) -> CallToolRequest {
        self.ordered_by("m.1", who, place, tool, arguments).await
    }

    /// A call that a message of its asker's orders.
    pub(crate) async fn ordered_by(
        &self,
        trigger: &str,
        who: &str,
        place: &str,
        tool: &str,
        arguments: Value,
    ) -> CallToolRequest {
        let resolve = ResolveCallRequest {
            guild_id: self.guild(),
            channel_id: self.channel(place),
            tool: tool.into(),
            arguments: arguments.to_string(),
            now_ms: self.clock.now().0,
            trigger_id: trigger.to_owned(),
            // Also what its asker does not see may be ordered here.
            asker_id: 0,
        };
        let resolved = self.client().resolve_call(resolve).await.unwrap().into_inner();
        assert_eq!(resolved.problem, "", "{tool} {arguments}");
        let mut call = self.call(who, place, tool, arguments);
        trigger.clone_into(&mut call.trigger_id);
        call.orders = vec![Order { tool: tool.into(), arguments: resolved.arguments }];
        call
    }

    pub(crate) async fn run(&self, request: &CallToolRequest) -> CallToolResponse {
        self.try_run(request).await.unwrap()
    }

    pub(crate) async fn try_run(
        &self,
        request: &CallToolRequest,
    ) -> Result<CallToolResponse, tonic::Status> {
        let mut client = self.client();
        let call = client.call_tool(request.clone());
        let answer = tokio::time::timeout(PATIENCE * 2, call).await.expect("the call is answered");
        answer.map(tonic::Response::into_inner)
    }

    /// Publishes an event of the first guild.
    pub(crate) fn event(&self, kind: &str, payload: &Value) {
        self.event_of(self.user("Ery"), kind, payload);
    }

    /// Publishes an event of the first guild, from a session of this bot.
    pub(crate) fn event_of(&self, bot: u64, kind: &str, payload: &Value) {
        let number = self.events.fetch_add(1, Ordering::SeqCst);
        self.bus.tell(&Followed::Event(Event {
            id: EventId::dispatch("s", number),
            kind: kind.into(),
            home: Home::Guild(Id::new(self.guild())),
            channel: None,
            bot: Id::new(bot),
            received_at: self.clock.now(),
            traceparent: None,
            payload: payload.to_string().into(),
        }));
    }

    /// Asks the simulated Discord itself, as the bot.
    pub(crate) async fn rest(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}/{path}", self.sim.api_url()));
        let request = request.header("authorization", format!("Bot {}", self.sim.token()));
        request.send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn rest_post(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}/{path}", self.sim.api_url())).json(&body);
        let request = request.header("authorization", format!("Bot {}", self.sim.token()));
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Takes rights from Ery in a channel, as staff might.
    pub(crate) async fn deny_ery(&self, channel: &str, bits: u64) {
        let ery = self.user("Ery").to_string();
        self.overwrite(channel, &ery, json!({"type": 1, "allow": "0", "deny": bits.to_string()}))
            .await;
    }

    /// Sets what somebody, or a role, may do in a channel.
    pub(crate) async fn overwrite(&self, channel: &str, of: &str, body: Value) {
        self.rest_put(&format!("channels/{}/permissions/{of}", self.channel(channel)), body).await;
    }

    pub(crate) async fn rest_put(&self, path: &str, body: Value) {
        let request = self.http.put(format!("{}/{path}", self.sim.api_url()));
        self.change(request, path, body).await;
    }

    pub(crate) async fn rest_patch(&self, path: &str, body: Value) {
        let request = self.http.patch(format!("{}/{path}", self.sim.api_url()));
        self.change(request, path, body).await;
    }

    async fn change(&self, request: reqwest::RequestBuilder, path: &str, body: Value) {
        let request = request.header("authorization", format!("Bot {}", self.sim.token()));
        // Some requests have none.
        let request = if body.is_null() { request } else { request.json(&body) };
        let status = request.send().await.unwrap().status();
        assert!(status.is_success(), "{path}: {status}");
    }

    /// Orders something of the simulator.
    pub(crate) async fn control(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.sim.control_url()));
        Self::order_of_sim(request, path, body).await
    }

    pub(crate) async fn control_patch(&self, path: &str, body: Value) -> Value {
        let request = self.http.patch(format!("{}{path}", self.sim.control_url()));
        Self::order_of_sim(request, path, body).await
    }

    async fn order_of_sim(request: reqwest::RequestBuilder, path: &str, body: Value) -> Value {
        let answer = request.json(&body).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Says something as a person, and returns the message's id.
    pub(crate) async fn says(&self, who: &str, channel: &str, content: &str) -> String {
        let message = json!({
            "channel_id": self.channel(channel).to_string(),
            "author_id": self.user(who).to_string(),
            "content": content,
        });
        self.control("/messages", message).await["id"].as_str().unwrap().to_owned()
    }

    /// A channel as Discord has it.
    pub(crate) async fn channel_now(&self, id: &str) -> Value {
        self.rest(&format!("channels/{id}")).await
    }

    /// A message as Discord has it.
    pub(crate) async fn message_now(&self, channel: &str, id: &str) -> Value {
        self.rest(&format!("channels/{}/messages/{id}", self.channel(channel))).await
    }

    pub(crate) async fn fault(&self, route: &str, kind: &str, more: Value) {
        let mut fault = json!({ "route": route, "kind": kind });
        fault.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        self.control("/faults", fault).await;
    }

    pub(crate) async fn clear_faults(&self) {
        let url = format!("{}/faults", self.sim.control_url());
        self.http.delete(url).send().await.unwrap().error_for_status().unwrap();
    }

    /// The requests that the simulator has seen, as its log has them.
    pub(crate) async fn log(&self) -> Vec<Value> {
        let log = self.http.get(format!("{}/log", self.sim.control_url())).send().await.unwrap();
        let log = log.text().await.unwrap();
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The requests of one kind, by what their path contains.
    pub(crate) async fn requests(&self, method: &str, part: &str) -> Vec<Value> {
        let mut log = self.log().await;
        log.retain(|entry| {
            entry["method"] == method && entry["path"].as_str().unwrap().contains(part)
        });
        log
    }
}

pub(crate) fn content(response: &CallToolResponse) -> Value {
    serde_json::from_str(&response.content).unwrap_or_else(|_| panic!("{:?}", response.content))
}

/// Asserts an outcome, and shows what was said instead.
#[track_caller]
pub(crate) fn expect(response: &CallToolResponse, outcome: CallOutcome) {
    assert_eq!(response.outcome(), outcome, "{} {}", response.reason, response.content);
    let is_ok = outcome == CallOutcome::Done;
    assert_eq!(content(response)["ok"], json!(is_ok));
    assert_eq!(response.reason.is_empty(), is_ok, "{}", response.reason);
}

pub(crate) fn order(tool: &str, arguments: &Value) -> Order {
    Order { tool: tool.into(), arguments: arguments.to_string() }
}
