use std::{error::Error as _, sync::Arc, time::Duration};

use async_nats::{
    Client, ConnectErrorKind, ConnectOptions, Event,
    jetstream::{
        self, Context, ErrorCode,
        consumer::{AckPolicy, pull},
        context::{ContextBuilder, CreateStreamErrorKind, PublishErrorKind},
        kv,
        message::PublishMessage,
        response::Response,
        stream::{self, DiscardPolicy, RetentionPolicy, StorageType, Stream},
    },
};
use bytes::Bytes;
use futures::StreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::{Mutex, Semaphore, watch},
    time::{Instant, timeout, timeout_at},
};

use ery_clock::{Clock, UnixMillis};

use crate::{
    ConnectError, NatsSettings,
    background::{Backoff, jittered},
    envelope::Envelope,
    error::NoAnswer,
    servers::{Servers, nats_urls},
    subjects,
};

/// Older servers lose streams when they are killed.
const FLOOR: &str = "2.10.23";

/// How long one attempt to connect may take.
const ATTEMPT: Duration = Duration::from_secs(3);

/// How long a lost connection waits between attempts, at first and at last.
const RECONNECT_FIRST: Duration = Duration::from_millis(20);
const RECONNECT_LAST: Duration = Duration::from_secs(1);

/// How often a question is asked again because the connection was made anew.
const RECONNECTS: u32 = 3;

/// Streams are looked after at most this often.
const ENSURE_PERIOD: Duration = Duration::from_secs(1);

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What happened to the connection so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkState {
    /// How often it was made.
    pub(crate) connects: u64,
    /// How often messages of subscriptions may have been missed.
    pub(crate) gaps: u64,
}

/// Why something was not published.
#[derive(Debug)]
pub(crate) enum PublishFailure {
    Unavailable(BoxError),
    Full,
    TooLarge(usize),
}

/// What a process has to do with the streams, the durable consumer and the buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// It makes them where they are missing, and brings them to its settings.
    Kept,
    /// It takes them as others made them.
    Used,
}

/// The connection to NATS, with the streams.
pub(crate) struct NatsLink {
    pub(crate) client: Client,
    pub(crate) context: Context,
    pub(crate) tasks: Stream<()>,
    pub(crate) events: Stream<()>,
    pub(crate) resume_points: kv::Store,
    pub(crate) cursors: kv::Store,
    pub(crate) state: watch::Receiver<LinkState>,
    /// How many more publishes may be under way.
    window: Semaphore,
    settings: NatsSettings,
    streams: Streams,
    clock: Arc<dyn Clock>,
    ensured_at: Mutex<Instant>,
}

impl NatsLink {
    /// Connects, trying for as long as the settings say, and makes what is missing where this process
    /// keeps it; else waits until others have.
    pub(crate) async fn connect(
        settings: &NatsSettings,
        streams: Streams,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConnectError> {
        let deadline = Instant::now() + settings.connect_timeout;
        let (changes, state) = watch::channel(LinkState::default());
        let (options, addresses, servers) = options(settings, changes)?;
        let client = connect(&options, &addresses, &servers, deadline).await?;
        check_version(&client, &servers)?;
        let context = ContextBuilder::new()
            .timeout(settings.request_timeout)
            // The window is our own: an acknowledgement that will never come must not hold a place.
            .max_ack_inflight(1 << 20)
            .ack_timeout(settings.request_timeout)
            .build(client.clone());
        let (tasks, events, resume_points, cursors) =
            made(&context, settings, streams, &*clock, &servers, deadline).await?;
        Ok(Self {
            client,
            context,
            tasks,
            events,
            resume_points,
            cursors,
            state,
            window: Semaphore::new(settings.publish_window),
            settings: settings.clone(),
            streams,
            clock,
            ensured_at: Mutex::new(Instant::now()),
        })
    }

    /// Publishes under a deduplicating id, again and again until it is acknowledged.
    pub(crate) async fn publish(
        &self,
        subject: String,
        envelope: Envelope,
    ) -> Result<(), PublishFailure> {
        let size = envelope.size_bytes();
        if size > self.client.max_payload() {
            return Err(PublishFailure::TooLarge(size));
        }
        let deadline = Instant::now() + self.settings.publish_deadline;
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        let Envelope { headers, payload } = envelope;
        let Ok(Ok(_place)) = timeout_at(deadline, self.window.acquire()).await else {
            return Err(PublishFailure::Unavailable(NoAnswer("NATS").into()));
        };
        loop {
            let message = PublishMessage::build().headers(headers.clone()).payload(payload.clone());
            let attempt =
                async { self.context.send_publish(subject.clone(), message).await?.await };
            let mut state = self.state.clone();
            let attempt = async {
                tokio::select! {
                    biased;
                    acked = attempt => Some(acked),
                    // What was sent before is not answered any more, and may have arrived.
                    () = reconnected(&mut state) => None,
                }
            };
            let error = match timeout_at(deadline, attempt).await {
                Ok(None) => continue,
                Ok(Some(Ok(_))) => return Ok(()),
                Ok(Some(Err(error))) if is_full(&error) => return Err(PublishFailure::Full),
                Ok(Some(Err(error))) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                    return Err(PublishFailure::TooLarge(size));
                }
                Ok(Some(Err(error))) => {
                    if error.kind() == PublishErrorKind::StreamNotFound {
                        self.look_after().await;
                    }
                    error.into()
                }
                Err(_) => BoxError::from(NoAnswer("NATS")),
            };
            if timeout_at(deadline, backoff.wait()).await.is_err() || Instant::now() >= deadline {
                return Err(PublishFailure::Unavailable(error));
            }
        }
    }

    /// Asks a question, and once more on each new connection: what was asked on the former one is
    /// not answered any more.
    ///
    /// The question must be one that may be asked twice.
    pub(crate) async fn ask<T, F>(&self, question: impl Fn() -> F) -> T
    where
        F: Future<Output = T>,
    {
        for _ in 0..RECONNECTS {
            let mut state = self.state.clone();
            tokio::select! {
                biased;
                answer = question() => return answer,
                () = reconnected(&mut state) => {}
            }
        }
        question().await
    }

    /// Makes streams and the consumer anew where they are gone, and this process keeps them: the
    /// server may have lost them.
    pub(crate) async fn look_after(&self) {
        if self.streams == Streams::Used {
            return;
        }
        let Ok(mut ensured_at) = self.ensured_at.try_lock() else { return };
        if ensured_at.elapsed() < ENSURE_PERIOD {
            return;
        }
        let ensured = ensure(&self.context, &self.settings, &*self.clock);
        match timeout(self.settings.request_timeout, ensured).await {
            Ok(Ok(())) => {}
            Ok(Err((name, error))) => {
                tracing::warn!(error = %error, "could not look after `{name}`");
            }
            Err(_) => tracing::warn!("could not look after the streams in time"),
        }
        *ensured_at = Instant::now();
    }

    /// Asks JetStream's API; an error of its own is an error.
    pub(crate) async fn api<V: DeserializeOwned>(
        &self,
        subject: String,
        request: &(impl Serialize + Sync),
    ) -> Result<V, BoxError> {
        match self.context.request::<_, _, Response<V>>(subject, request).await? {
            Response::Ok(answer) => Ok(answer),
            Response::Err { error } => Err(error.into()),
        }
    }

    /// Waits until the server has seen what this connection sent: subscriptions above all.
    pub(crate) async fn settled(&self) -> Result<(), BoxError> {
        let inbox = self.client.new_inbox();
        let round_trip = async {
            let mut echo = self.client.subscribe(inbox.clone()).await?;
            self.client.publish(inbox.clone(), Bytes::new()).await?;
            echo.next().await.ok_or(NoAnswer("NATS"))?;
            Ok(())
        };
        timeout(self.settings.request_timeout, round_trip)
            .await
            .unwrap_or_else(|_| Err(NoAnswer("NATS").into()))
    }
}

/// Waits until the connection is made anew; for ever once the client is gone.
async fn reconnected(state: &mut watch::Receiver<LinkState>) {
    let connects = state.borrow_and_update().connects;
    let is_new = |state: &LinkState| state.connects != connects;
    if state.wait_for(is_new).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Makes the options, and the addresses without credentials.
fn options(
    settings: &NatsSettings,
    changes: watch::Sender<LinkState>,
) -> Result<(ConnectOptions, Vec<String>, Servers), ConnectError> {
    let (urls, servers) = nats_urls(settings.url.expose_secret())?;
    let user = urls.iter().find_map(|url| url.user.clone()).or_else(|| settings.user.clone());
    let password = urls.iter().find_map(|url| url.password.clone()).or_else(|| {
        settings
            .password
            .as_ref()
            .map(|password: &SecretString| password.expose_secret().to_owned())
    });
    let changes = Arc::new(changes);
    let mut options = ConnectOptions::new()
        .name("ery")
        .connection_timeout(ATTEMPT)
        .request_timeout(Some(settings.request_timeout))
        .ping_interval(Duration::from_secs(10))
        .reconnect_delay_callback(|attempts| {
            let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
            let wait = RECONNECT_FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(10));
            jittered(wait.min(RECONNECT_LAST))
        })
        .subscription_capacity(8_192)
        .event_callback(move |event| {
            let changes = Arc::clone(&changes);
            async move { note(&changes, &event) }
        });
    let is_token = |character: char| character.is_ascii_alphanumeric() || character == '-';
    let inbox_of = user.clone().filter(|user| password.is_some() && user.chars().all(is_token));
    options = match (user, password) {
        (Some(user), Some(password)) => options.user_and_password(user, password),
        // A lone word before the host is a token.
        (Some(token), None) => options.token(token),
        _ => options,
    };
    // What is answered to one user is no other's to hear.
    if let Some(user) = &inbox_of {
        options = options.custom_inbox_prefix(format!("_INBOX.{user}"));
    }
    if urls.iter().any(|url| url.address.starts_with("tls:")) {
        options = options.require_tls(true);
    }
    if let Some(path) = &settings.ca_file {
        options = options.add_root_certificates(path.clone());
    }
    Ok((options, urls.into_iter().map(|url| url.address).collect(), servers))
}

fn note(changes: &watch::Sender<LinkState>, event: &Event) {
    changes.send_modify(|state| match event {
        Event::Connected => {
            state.connects += 1;
            state.gaps += 1;
        }
        Event::Disconnected | Event::SlowConsumer(_) => state.gaps += 1,
        _ => {}
    });
}

async fn connect(
    options: &ConnectOptions,
    addresses: &[String],
    servers: &Servers,
    deadline: Instant,
) -> Result<Client, ConnectError> {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
    loop {
        let attempt = options.clone().connect(addresses.to_vec());
        let error: BoxError = match timeout_at(deadline, attempt).await {
            Ok(Ok(client)) => return Ok(client),
            Ok(Err(error)) if error.kind() == ConnectErrorKind::AuthorizationViolation => {
                return Err(ConnectError::NatsRefused { servers: servers.to_string() });
            }
            Ok(Err(error)) => error.into(),
            Err(_) => NoAnswer("NATS").into(),
        };
        if timeout_at(deadline, backoff.wait()).await.is_err() || Instant::now() >= deadline {
            return Err(ConnectError::NatsUnreachable {
                servers: servers.to_string(),
                source: error,
            });
        }
    }
}

fn check_version(client: &Client, servers: &Servers) -> Result<(), ConnectError> {
    if client.is_server_compatible(2, 10, 23) {
        return Ok(());
    }
    Err(ConnectError::NatsTooOld {
        servers: servers.to_string(),
        version: client.server_info().version,
        floor: FLOOR,
    })
}

type Made = (Stream<()>, Stream<()>, kv::Store, kv::Store);

/// Makes what is missing, trying while JetStream is only just starting.
async fn made(
    context: &Context,
    settings: &NatsSettings,
    streams: Streams,
    clock: &dyn Clock,
    servers: &Servers,
    deadline: Instant,
) -> Result<Made, ConnectError> {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
    loop {
        let attempt = async {
            if streams == Streams::Kept {
                ensure(context, settings, clock).await?;
            }
            opened(context).await
        };
        let (name, error) = match timeout_at(deadline, attempt).await {
            Ok(Ok(made)) => return Ok(made),
            Ok(Err(failure)) => failure,
            Err(_) => (subjects::TASKS, NoAnswer("NATS").into()),
        };
        let code = jetstream_code(error.as_ref());
        if code == Some(ErrorCode::JETSTREAM_NOT_ENABLED)
            || code == Some(ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT)
        {
            return Err(ConnectError::NoJetStream { servers: servers.to_string() });
        }
        // Anything else may pass within the time: servers that elect a leader, above all.
        if timeout_at(deadline, backoff.wait()).await.is_err() || Instant::now() >= deadline {
            return Err(ConnectError::Stream { servers: servers.to_string(), name, source: error });
        }
    }
}

type Failure = (&'static str, BoxError);

/// Makes streams, the consumer and the buckets as the settings say, whoever else does so too.
async fn ensure(
    context: &Context,
    settings: &NatsSettings,
    clock: &dyn Clock,
) -> Result<(), Failure> {
    for config in [tasks_config(settings), events_config(settings)] {
        let name = if config.name == subjects::TASKS { subjects::TASKS } else { subjects::EVENTS };
        ensure_stream(context, config, clock).await.map_err(|error| (name, error))?;
    }
    context
        .create_consumer_on_stream(orchestrator_config(settings), subjects::TASKS)
        .await
        .map_err(|error| (subjects::ORCHESTRATOR, error.into()))?;
    for bucket in [subjects::RESUME_POINTS, subjects::CURSORS] {
        let config = kv::Config {
            bucket: bucket.to_owned(),
            history: 1,
            num_replicas: settings.replicas,
            storage: StorageType::File,
            ..Default::default()
        };
        context.create_or_update_key_value(config).await.map_err(|error| (bucket, error.into()))?;
    }
    Ok(())
}

async fn opened(context: &Context) -> Result<Made, Failure> {
    let stream = async |name: &'static str| {
        context.get_stream_no_info(name).await.map_err(|error| (name, error.into()))
    };
    let bucket = async |name: &'static str| {
        context.get_key_value(name).await.map_err(|error| (name, BoxError::from(error)))
    };
    Ok((
        stream(subjects::TASKS).await?,
        stream(subjects::EVENTS).await?,
        bucket(subjects::RESUME_POINTS).await?,
        bucket(subjects::CURSORS).await?,
    ))
}

/// Makes a stream, or brings one that is there to its settings.
///
/// Invariant NOTHING-LOST: a stream that is made anew begins behind every position that a former
/// one can have given out, by the clock in microseconds: what somebody still knows by an old
/// position, and removes, is then nobody else's. Redis holds such numbers without loss until 2255.
async fn ensure_stream(
    context: &Context,
    config: stream::Config,
    clock: &dyn Clock,
) -> Result<(), BoxError> {
    let begins = u64::try_from(clock.now().0).unwrap_or(0).saturating_mul(1_000);
    let new = stream::Config { first_sequence: Some(begins), ..config.clone() };
    match context.create_stream(new).await {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            CreateStreamErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NAME_EXIST =>
            {
                context.update_stream(config).await?;
                Ok(())
            }
            _ => Err(error.into()),
        },
    }
}

/// Returns when the oldest message of a stream was published; none if it is empty.
pub(crate) async fn oldest(stream: &Stream<()>) -> Result<Option<UnixMillis>, BoxError> {
    let state = stream.get_info().await?.state;
    let millis = state.first_timestamp.unix_timestamp_nanos() / 1_000_000;
    Ok((state.messages > 0).then(|| UnixMillis(i64::try_from(millis).unwrap_or(0))))
}

fn tasks_config(settings: &NatsSettings) -> stream::Config {
    stream::Config {
        name: subjects::TASKS.to_owned(),
        description: Some("what waits for channels".to_owned()),
        subjects: vec![subjects::ALL_TASKS.to_owned()],
        retention: RetentionPolicy::WorkQueue,
        discard: DiscardPolicy::New,
        storage: StorageType::File,
        allow_direct: true,
        duplicate_window: settings.duplicate_window,
        max_bytes: settings.tasks_max_bytes,
        num_replicas: settings.replicas,
        ..Default::default()
    }
}

fn events_config(settings: &NatsSettings) -> stream::Config {
    stream::Config {
        name: subjects::EVENTS.to_owned(),
        description: Some("what Discord sent".to_owned()),
        subjects: vec![subjects::ALL_EVENTS.to_owned()],
        retention: RetentionPolicy::Limits,
        // An event that a handler has not seen must not make room for another.
        discard: DiscardPolicy::New,
        storage: StorageType::File,
        allow_direct: true,
        duplicate_window: settings.duplicate_window,
        max_age: settings.events_max_age,
        max_bytes: settings.events_max_bytes,
        num_replicas: settings.replicas,
        ..Default::default()
    }
}

fn orchestrator_config(settings: &NatsSettings) -> pull::Config {
    pull::Config {
        durable_name: Some(subjects::ORCHESTRATOR.to_owned()),
        description: Some("wakes channels".to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: settings.ack_wait,
        max_ack_pending: settings.max_ack_pending,
        num_replicas: settings.replicas,
        ..Default::default()
    }
}

/// Finds JetStream's own code among an error's causes.
fn jetstream_code(error: &(dyn std::error::Error + 'static)) -> Option<ErrorCode> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<jetstream::Error>() {
            return Some(error.error_code());
        }
        if let Some(error) = error.downcast_ref::<jetstream::context::CreateStreamError>()
            && let CreateStreamErrorKind::JetStream(error) = error.kind()
        {
            return Some(error.error_code());
        }
        cause = error.source();
    }
    None
}

/// Whether the stream, or the server's disk quota, is full.
fn is_full(error: &jetstream::context::PublishError) -> bool {
    let Some(error) = error.source().and_then(|source| source.downcast_ref::<jetstream::Error>())
    else {
        return false;
    };
    match error.error_code() {
        ErrorCode::STREAM_STORE_FAILED => error.to_string().contains("maximum"),
        ErrorCode::INSUFFICIENT_RESOURCES | ErrorCode::STORAGE_RESOURCES_EXCEEDED => true,
        _ => false,
    }
}
