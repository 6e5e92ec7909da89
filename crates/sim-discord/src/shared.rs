//! What all connections and requests share: the world and its sessions under one lock.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, header};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use ery_clock::UnixMillis;

use crate::{
    clock::WorldClock,
    domain::{ChannelId, Dispatch, Effect, GuildId, Outcome, Payload, Refusal, World},
    faults::Faults,
    gateway::{SessionSettings, Sessions},
    options::Options,
    rest::{LimitSettings, Log, RateLimits},
    wire,
};

/// How many world events a watcher may be behind before it misses some.
const EVENTS_CAPACITY: usize = 4_096;
/// How long, and how often, a burst waits for connections that are behind.
const BREATH: Duration = Duration::from_millis(1);
const MAX_BREATHS: usize = 1_000;

/// How often it is looked at what is due by itself.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What may be set while the simulator runs, beside [`SessionSettings`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveSettings {
    pub(crate) limits: LimitSettings,
    pub(crate) heartbeat_interval: Duration,
}

/// Something that happened in the world, for those who watch it from outside.
#[derive(Debug)]
pub(crate) struct WorldEvent {
    pub(crate) name: &'static str,
    pub(crate) guild: Option<GuildId>,
    pub(crate) channel: Option<ChannelId>,
    pub(crate) body: Bytes,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) sessions: Sessions,
    events: broadcast::Sender<Arc<WorldEvent>>,
    /// Counts the answers to interactions, for those who wait for one.
    answers: watch::Sender<u64>,
}

impl State {
    /// Sends what an effect asks for, and returns its result.
    pub(crate) fn apply<T>(&mut self, effect: Effect<T>, now: UnixMillis) -> T {
        for dispatch in &effect.dispatches {
            self.sessions.deliver(&self.world, dispatch, now);
            self.publish(dispatch);
        }
        effect.value
    }

    /// Lets happen what is due by itself.
    pub(crate) fn pass_time(&mut self, now: UnixMillis) {
        let effect = self.world.pass_time(now);
        self.apply(effect, now);
    }

    /// Wakes those who wait for the answer to an interaction.
    pub(crate) fn tell_answers(&self) {
        self.answers.send_modify(|count| *count += 1);
    }

    pub(crate) fn answers(&self) -> watch::Receiver<u64> {
        self.answers.subscribe()
    }

    fn publish(&self, dispatch: &Dispatch) {
        if self.events.receiver_count() == 0 {
            return;
        }
        let body = match &dispatch.payload {
            Payload::Shared(body) | Payload::Message { full: body, .. } => body.clone(),
            Payload::Guild(guild) => match self.world.guilds.get(guild) {
                Some(guild) => {
                    wire::guild_create(&self.world, guild, guild.owner, wire::Roster::Everybody)
                }
                None => wire::guild_left(*guild),
            },
        };
        let event = WorldEvent {
            name: dispatch.name,
            guild: dispatch.audience.guild(),
            channel: dispatch.audience.channel(),
            body,
        };
        // An error says that the last watcher has just left.
        let _nobody_watches = self.events.send(Arc::new(event));
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    live: Mutex<LiveSettings>,
    pub(crate) rate_limits: Mutex<RateLimits>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) log: Mutex<Log>,
    pub(crate) clock: WorldClock,
    pub(crate) stopping: CancellationToken,
    pub(crate) address: SocketAddr,
}

impl Shared {
    pub(crate) fn new(options: Options, mut world: World, address: SocketAddr) -> Self {
        world.origin = format!("http://{address}");
        world.messages_per_channel = options.messages_per_channel.max(1);
        let settings = SessionSettings {
            replay_capacity: options.replay_capacity,
            queue_capacity: options.queue_capacity,
            resume_window: options.resume_window,
            full_member_lists: options.full_member_lists,
            identify_limit: options.rate_limits && options.identify_limit,
            max_concurrency: options.max_concurrency,
            start_limit: options.rate_limits && options.session_start_limit,
            starts: options.session_starts,
        };
        let faults = Arc::new(Faults::new(options.seed));
        let sessions = Sessions::new(settings, Arc::clone(&faults));
        let (events, _) = broadcast::channel(EVENTS_CAPACITY);
        Self {
            state: Mutex::new(State { world, sessions, events, answers: watch::Sender::new(0) }),
            live: Mutex::new(LiveSettings {
                limits: LimitSettings::new(options.rate_limits),
                heartbeat_interval: options.heartbeat_interval,
            }),
            rate_limits: Mutex::new(RateLimits::default()),
            faults,
            log: Mutex::new(Log::new(options.log_capacity)),
            clock: WorldClock::new(options.clock),
            stopping: CancellationToken::new(),
            address,
        }
    }

    /// Locks the world. A panic while it was locked leaves it as it was then.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the world and sends what follows from it, in one step.
    pub(crate) fn act<T>(
        &self,
        change: impl FnOnce(&mut World, UnixMillis) -> Outcome<T>,
    ) -> Result<T, Refusal> {
        let mut state = self.lock();
        let now = self.clock.now();
        let effect = change(&mut state.world, now)?;
        Ok(state.apply(effect, now))
    }

    /// Lets happen what is due by itself, every second.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any time.
    pub(crate) async fn keep_time(&self) -> std::convert::Infallible {
        let mut seconds = tokio::time::interval(LOOK_EVERY);
        seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            seconds.tick().await;
            let mut state = self.lock();
            let now = self.clock.now();
            state.pass_time(now);
        }
    }

    /// Lets others have their turn, and connections catch up that are far behind; for a while at most,
    /// since a connection that hears nothing at all is cut in the end.
    pub(crate) async fn breathe(&self) {
        tokio::task::yield_now().await;
        for _ in 0..MAX_BREATHS {
            if !self.lock().sessions.is_any_behind() {
                return;
            }
            tokio::time::sleep(BREATH).await;
        }
    }

    /// Returns the address of the Gateway as the client reaches it, without a slash at the end.
    pub(crate) fn gateway_url(&self, headers: &HeaderMap) -> String {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        host.map_or_else(|| format!("ws://{}", self.address), |host| format!("ws://{host}"))
    }

    pub(crate) fn settings(&self) -> LiveSettings {
        *self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change_settings(&self, change: impl FnOnce(&mut LiveSettings)) {
        change(&mut self.live.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn watch(&self) -> broadcast::Receiver<Arc<WorldEvent>> {
        self.lock().events.subscribe()
    }
}
