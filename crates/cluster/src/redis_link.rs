use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use redis::{
    Client, Cmd, ErrorKind, FromRedisValue, Pipeline, ScriptInvocation, ServerErrorKind,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use secrecy::ExposeSecret as _;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    ConnectError, RedisSettings,
    background::Backoff,
    error::NoAnswer,
    servers::{Servers, redis_server},
};

/// How long one attempt may take to connect, and to be answered.
const ATTEMPT: Duration = Duration::from_secs(1);

/// After how many failures in a row the connection is thrown away: one that is half open answers
/// nothing, and is not noticed otherwise.
const FAILURES_OF_A_DEAD_CONNECTION: u32 = 3;

/// Why Redis did not answer a question.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedisError {
    #[error("Redis cannot be reached")]
    Unavailable(#[source] redis::RedisError),
    #[error("Redis cannot be reached")]
    NoAnswer(#[source] NoAnswer),
    #[error("Redis refused a command")]
    Refused(#[source] redis::RedisError),
    #[error("Redis gave an answer to `{0}` that makes no sense")]
    Nonsense(&'static str),
}

/// The connection to Redis: every question has a deadline, and is asked again within it.
///
/// Every question may be asked twice: scripts recognise their owner.
pub(crate) struct RedisLink {
    client: Client,
    config: ConnectionManagerConfig,
    timeout: Duration,
    state: Mutex<State>,
}

struct State {
    manager: ConnectionManager,
    failures: u32,
    /// Which run of the server answers; none until it is asked after a failure.
    run: Option<String>,
}

impl RedisLink {
    /// Connects, trying for as long as the settings say.
    pub(crate) async fn connect(settings: &RedisSettings) -> Result<Self, ConnectError> {
        let server = redis_server(settings.url.expose_secret())?;
        let client = client(settings).await?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(ATTEMPT))
            .set_response_timeout(Some(ATTEMPT));
        let deadline = Instant::now() + settings.connect_timeout;
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        loop {
            let attempt = async {
                let mut manager =
                    ConnectionManager::new_with_config(client.clone(), config.clone()).await?;
                // Without a password the server lets everybody connect, and then refuses.
                redis::cmd("PING").query_async::<()>(&mut manager).await?;
                Ok(manager)
            };
            let error = match timeout_at(deadline, attempt).await {
                Ok(Ok(manager)) => {
                    let state = Mutex::new(State { manager, failures: 0, run: None });
                    return Ok(Self { client, config, timeout: settings.timeout, state });
                }
                Ok(Err(error)) if is_refusal(&error) => {
                    return Err(ConnectError::RedisRefused { server: server.to_string() });
                }
                Ok(Err(error)) => unreachable_at(&server, error),
                Err(_) => unreachable_at(&server, NoAnswer("Redis")),
            };
            if Instant::now() >= deadline {
                return Err(error);
            }
            if timeout_at(deadline, backoff.wait()).await.is_err() {
                return Err(error);
            }
        }
    }

    /// Runs a script.
    pub(crate) async fn script<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, RedisError> {
        self.ask(&Question::Script(script)).await
    }

    /// Runs one command.
    pub(crate) async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        self.ask(&Question::Command(command)).await
    }

    /// Runs commands in one round trip, in order, not atomically.
    pub(crate) async fn pipeline<T: FromRedisValue>(
        &self,
        pipeline: &Pipeline,
    ) -> Result<T, RedisError> {
        self.ask(&Question::Pipeline(pipeline)).await
    }

    /// Names the server's present run: another one may have lost what was written last.
    pub(crate) async fn run(&self) -> Result<String, RedisError> {
        let known = self.state.lock().unwrap_or_else(PoisonError::into_inner).run.clone();
        if let Some(run) = known {
            return Ok(run);
        }
        let mut question = redis::cmd("INFO");
        question.arg("server");
        let answer: String = self.command(&question).await?;
        let run = answer.lines().find_map(|line| line.strip_prefix("run_id:"));
        let run = run.ok_or(RedisError::Nonsense("INFO"))?.trim().to_owned();
        self.state.lock().unwrap_or_else(PoisonError::into_inner).run = Some(run.clone());
        Ok(run)
    }

    async fn ask<T: FromRedisValue>(&self, question: &Question<'_>) -> Result<T, RedisError> {
        let deadline = Instant::now() + self.timeout;
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(200));
        loop {
            let attempt = timeout(2 * ATTEMPT, question.ask(self.manager()));
            let error = match timeout_at(deadline, attempt).await {
                Ok(Ok(Ok(answer))) => {
                    self.succeeded();
                    return Ok(answer);
                }
                Ok(Ok(Err(error))) if !may_pass(&error) => return Err(RedisError::Refused(error)),
                Ok(Ok(Err(error))) => RedisError::Unavailable(error),
                Ok(Err(_)) | Err(_) => RedisError::NoAnswer(NoAnswer("Redis")),
            };
            self.failed();
            if timeout_at(deadline, backoff.wait()).await.is_err() || Instant::now() >= deadline {
                return Err(error);
            }
        }
    }

    fn manager(&self) -> ConnectionManager {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).manager.clone()
    }

    fn succeeded(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).failures = 0;
    }

    fn failed(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures += 1;
        state.run = None;
        if state.failures < FAILURES_OF_A_DEAD_CONNECTION {
            return;
        }
        state.failures = 0;
        match ConnectionManager::new_lazy_with_config(self.client.clone(), self.config.clone()) {
            Ok(manager) => state.manager = manager,
            Err(error) => tracing::error!(%error, "could not make a new connection to Redis"),
        }
    }
}

/// What can be asked, and asked again.
enum Question<'a> {
    Script(&'a ScriptInvocation<'a>),
    Command(&'a Cmd),
    Pipeline(&'a Pipeline),
}

impl Question<'_> {
    async fn ask<T: FromRedisValue>(
        &self,
        mut connection: ConnectionManager,
    ) -> redis::RedisResult<T> {
        match self {
            Self::Script(script) => script.invoke_async(&mut connection).await,
            Self::Command(command) => command.query_async(&mut connection).await,
            Self::Pipeline(pipeline) => pipeline.query_async(&mut connection).await,
        }
    }
}

async fn client(settings: &RedisSettings) -> Result<Client, ConnectError> {
    let url = settings.url.expose_secret();
    let client = match &settings.ca_file {
        None => Client::open(url),
        Some(path) => {
            let root_cert = tokio::fs::read(path).await.map_err(|source| ConnectError::CaFile {
                key: "redis.ca_file",
                path: path.display().to_string(),
                source,
            })?;
            let certificates =
                redis::TlsCertificates { client_tls: None, root_cert: Some(root_cert) };
            Client::build_with_tls(url, certificates)
        }
    };
    // The client's own error could repeat what stands in the URL.
    client.map_err(|_| ConnectError::InvalidUrl {
        key: "redis.url",
        reason: "the client does not understand it",
    })
}

fn unreachable_at(
    server: &Servers,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> ConnectError {
    ConnectError::RedisUnreachable { server: server.to_string(), source: source.into() }
}

fn is_refusal(error: &redis::RedisError) -> bool {
    let code = error.code().unwrap_or_default();
    error.kind() == ErrorKind::AuthenticationFailed
        || matches!(code, "WRONGPASS" | "NOAUTH" | "NOPERM")
}

/// Whether asking again may help: the connection broke, or the server is only just starting.
fn may_pass(error: &redis::RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Parse | ErrorKind::AuthenticationFailed => true,
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::BusyLoading
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
        ),
        _ => false,
    }
}
