use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::Instant,
};
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, UserMarker},
};

use ery_clock::SystemClock;
use ery_event_bus::Event;
use ery_gateway::{Discord, GatewayError, Ports, Service, Settings};
use ery_ids::ReplicaId;
use ery_lifecycle::{Ended, Tasks};
use ery_sim_discord::{Options, SimDiscord, World};

use crate::platform::{Claims, Platform};

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A simulated Discord, and the ports that outlive the services under test.
pub(crate) struct Stand {
    pub(crate) sim: SimDiscord,
    pub(crate) platform: Arc<Platform>,
    http: reqwest::Client,
}

/// Another address of the simulated Gateway.
pub(crate) struct Detour {
    pub(crate) url: String,
    pub(crate) connections: Arc<AtomicUsize>,
    tasks: Tasks,
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.tasks.stopping().cancel();
    }
}

/// A service that runs.
pub(crate) struct Running {
    pub(crate) tasks: Tasks,
    pub(crate) replica: ReplicaId,
    pub(crate) result: oneshot::Receiver<Result<(), GatewayError>>,
}

impl Stand {
    pub(crate) async fn new() -> Self {
        Self::in_world(None).await
    }

    pub(crate) async fn in_world(world: Option<World>) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = Options { world, rate_limits: false, ..Options::default() };
        let sim = SimDiscord::start(listener, options).await.unwrap();
        Self { sim, platform: Platform::new(), http: reqwest::Client::new() }
    }

    pub(crate) fn settings() -> Settings {
        Settings {
            claim_ttl: Duration::from_secs(1),
            resume_save_interval: Duration::from_millis(20),
            start_patience: Duration::from_secs(2),
            ..Settings::default()
        }
    }

    pub(crate) fn discord(&self) -> Discord {
        Discord {
            token: SecretString::from(self.sim.token()),
            api_url: self.sim.api_url(),
            gateway_url: Some(self.sim.gateway_url()),
        }
    }

    pub(crate) fn start(&self) -> Running {
        self.start_with(Self::settings(), self.discord())
    }

    pub(crate) fn start_with(&self, settings: Settings, discord: Discord) -> Running {
        let replica = ReplicaId::random();
        let ports = Ports {
            discord,
            bus: Arc::clone(&self.platform) as _,
            queue: Arc::clone(&self.platform) as _,
            membership: Arc::new(Claims(Arc::clone(&self.platform))),
            budgets: Arc::clone(&self.platform) as _,
            clock: Arc::new(SystemClock),
            replica: replica.clone(),
        };
        let (tasks, (ended, result)) = (Tasks::new(), oneshot::channel());
        let service = Service::new(settings, ports);
        let own = tasks.clone();
        tasks.spawn_work("gateway", async move {
            // Nobody may wait for it.
            drop(ended.send(service.run(own).await));
        });
        Running { tasks, replica, result }
    }

    /// Opens another address of the simulated Gateway, and counts who connects there. Discord tells
    /// sessions that are begun there to be resumed there.
    pub(crate) async fn detour(&self) -> Detour {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let target = self.sim.gateway_url().trim_start_matches("ws://").to_owned();
        let (tasks, connections) = (Tasks::new(), Arc::new(AtomicUsize::new(0)));
        let (own, count) = (tasks.clone(), Arc::clone(&connections));
        tasks.spawn_work("detour", async move {
            while let Ok((mut inner, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let mut outer = TcpStream::connect(&target).await.unwrap();
                own.spawn_work("connection", async move {
                    // However it ends, both sides see it.
                    drop(tokio::io::copy_bidirectional(&mut inner, &mut outer).await);
                });
            }
        });
        Detour { url, connections, tasks }
    }

    /// Starts a service, and waits until its session has begun.
    pub(crate) async fn connected(&self) -> Running {
        let running = self.start();
        self.until_sessions(1).await;
        running
    }

    /// Waits until so many sessions are connected.
    pub(crate) async fn until_sessions(&self, count: usize) {
        eventually("the sessions are connected", || async {
            let sessions = self.control("/gateway").await;
            let sessions = sessions["sessions"].as_array().unwrap().clone();
            let connected = sessions.iter().filter(|session| session["connected"] == true).count();
            let is_known = sessions.iter().all(|session| session["sequence"] != 0);
            (connected == count && is_known).then_some(())
        })
        .await;
    }

    pub(crate) async fn identifies(&self) -> u64 {
        self.control("/gateway").await["identifies"].as_u64().unwrap()
    }

    pub(crate) async fn control(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.sim.control_url());
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.sim.control_url());
        let answer = self.http.post(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    pub(crate) async fn disturb(&self, deed: &str) {
        self.post("/gateway", json!({ "do": deed })).await;
    }

    pub(crate) fn general(&self) -> Id<ChannelMarker> {
        self.sim.world().channel_named("general").unwrap()
    }

    pub(crate) fn bob(&self) -> Id<UserMarker> {
        self.sim.world().user_named("bob").unwrap()
    }

    /// Lets bob say something so many times; returns the messages' event ids.
    pub(crate) fn chat(&self, count: usize) -> Vec<String> {
        (0..count)
            .map(|index| {
                let text = format!("message {index} \"with\" ünusual \u{1F600} text");
                let message = self.sim.world().say(self.bob(), self.general(), &text).unwrap();
                format!("mc.{message}")
            })
            .collect()
    }

    /// Waits until all of these stand on the bus, and returns the new messages there, in order.
    pub(crate) async fn until_published(&self, ids: &[String]) -> Vec<String> {
        eventually("the messages are on the bus", || async {
            let published = self.created();
            ids.iter().all(|id| published.contains(id)).then_some(published)
        })
        .await
    }

    /// Returns the ids of new messages on the bus, in order.
    pub(crate) fn created(&self) -> Vec<String> {
        ids(&self.platform.events(), "message_create")
    }

    /// Waits until the resume point stands at the session's last dispatch.
    pub(crate) async fn until_saved(&self) {
        eventually("the resume point has caught up", || async {
            let sessions = self.control("/gateway").await;
            let session = sessions["sessions"].as_array()?.first()?.clone();
            let point = self.platform.point(0, 1)?;
            let is_there = point.sequence == session["sequence"].as_u64()?
                && point.session.starts_with(&format!("{}~", session["session_id"].as_str()?));
            is_there.then_some(())
        })
        .await;
    }
}

impl Running {
    /// Ends at once, as a kill would: nothing is flushed, nothing is said.
    pub(crate) async fn kill(self) {
        self.tasks.stopping().cancel();
        drop(self.result.await);
    }

    pub(crate) async fn drain(self) {
        assert_eq!(self.tasks.finish(PATIENCE).await, Ended::Drained);
        self.result.await.unwrap().unwrap();
    }

    /// Waits for the error with which it ends.
    pub(crate) async fn error(self) -> GatewayError {
        let result = tokio::time::timeout(PATIENCE, self.result).await.unwrap().unwrap();
        self.tasks.finish(PATIENCE).await;
        result.unwrap_err()
    }
}

/// Returns the ids of events of a kind, in order.
pub(crate) fn ids(events: &[Event], kind: &str) -> Vec<String> {
    events.iter().filter(|event| event.kind == kind).map(|event| event.id.to_string()).collect()
}

/// Asks again and again until there is an answer.
pub(crate) async fn eventually<T, F>(what: &str, mut question: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
    T: Debug,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = question().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
