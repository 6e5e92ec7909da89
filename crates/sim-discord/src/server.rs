//! Listening, and stopping.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{
        DefaultBodyLimit, Path, Query, State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    response::{IntoResponse, Response},
    routing::{any, get},
    serve::ListenerExt,
};
use http::{HeaderMap, StatusCode, Uri, header};
use tokio::{net::TcpListener, task::JoinHandle};
use tracing::debug;

use crate::{
    control,
    domain::{AttachmentId, ChannelId, World},
    gateway,
    handle::WorldHandle,
    options::Options,
    rest,
    shared::Shared,
};

/// How long connections have to end by themselves.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
const MAX_BODY_BYTES: usize = 40 * 1024 * 1024;

/// Why the simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("could not tell the listener's address")]
    Address(#[source] std::io::Error),
    #[error("the world has no bot that could have the token")]
    NoBot,
    #[error("the token is already another bot's")]
    TokenTaken,
}

/// A running simulated Discord. It stops when this is dropped.
#[derive(Debug)]
pub struct SimDiscord {
    address: SocketAddr,
    token: String,
    shared: Arc<Shared>,
    server: Option<JoinHandle<()>>,
}

impl SimDiscord {
    /// Starts to serve Gateway, REST and control API on `listener`.
    ///
    /// # Errors
    ///
    /// [`StartError`], of the address or of the token.
    #[expect(clippy::unused_async, reason = "it must run inside the runtime that it spawns on")]
    pub async fn start(listener: TcpListener, mut options: Options) -> Result<Self, StartError> {
        let address = listener.local_addr().map_err(StartError::Address)?;
        let world = options.world.take();
        let mut world = world.unwrap_or_else(|| World::demo(&*options.clock));
        let token = apply_token(&mut world, options.token.take())?;
        let shared = Arc::new(Shared::new(options, world, reachable(address)));
        let stopping = shared.stopping.clone();
        let app = app(Arc::clone(&shared));
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                debug!(%error, "a connection keeps Nagle's algorithm");
            }
        });
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let serving = axum::serve(listener, app).with_graceful_shutdown(stopping.cancelled_owned());
        let (delays, time) = (Arc::clone(&shared), Arc::clone(&shared));
        let server = spawn(async move {
            tokio::select! {
                served = serving.into_future() => {
                    if let Err(error) = served {
                        tracing::error!(%error, "the simulated Discord stopped serving");
                    }
                }
                never = gateway::release_delayed(&delays) => match never {},
                never = time.keep_time() => match never {},
            }
        });
        Ok(Self { address, token, shared, server: Some(server) })
    }

    /// Returns the address that is listened on.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns the base of the REST API, `http://host:port/api/v10`.
    pub fn api_url(&self) -> String {
        format!("http://{}/api/v10", self.shared.address)
    }

    /// Returns the address of the Gateway, `ws://host:port`.
    pub fn gateway_url(&self) -> String {
        format!("ws://{}", self.shared.address)
    }

    /// Returns the base of the control API, `http://host:port/sim/v1`.
    pub fn control_url(&self) -> String {
        format!("http://{}/sim/v1", self.shared.address)
    }

    /// Returns the token of the world's first bot; empty if there is none.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Returns a handle to the world, for tests.
    pub fn world(&self) -> WorldHandle {
        WorldHandle::new(Arc::clone(&self.shared))
    }

    /// Stops: hangs up on everybody, and waits until they are gone, five seconds at most.
    pub async fn stop(mut self) {
        self.shared.stopping.cancel();
        if let Some(mut server) = self.server.take()
            && tokio::time::timeout(STOP_PATIENCE, &mut server).await.is_err()
        {
            debug!("some connections did not end in time");
            server.abort();
        }
    }

    /// Waits until it stops serving, which it does by itself only when listening fails.
    ///
    /// # Cancel safety
    ///
    /// It can be called again.
    pub async fn stopped(&mut self) {
        if let Some(server) = &mut self.server
            && let Err(error) = server.await
        {
            tracing::error!(%error, "the simulated Discord ended abnormally");
        }
        self.server = None;
    }
}

impl Drop for SimDiscord {
    fn drop(&mut self) {
        self.shared.stopping.cancel();
    }
}

fn apply_token(world: &mut World, token: Option<String>) -> Result<String, StartError> {
    let Some(token) = token else {
        return Ok(world.bots.first().map(|bot| bot.token.clone()).unwrap_or_default());
    };
    if world.bots.iter().skip(1).any(|bot| bot.token == token) {
        return Err(StartError::TokenTaken);
    }
    let bot = world.bots.first_mut().ok_or(StartError::NoBot)?;
    bot.token.clone_from(&token);
    Ok(token)
}

/// Returns an address by which a listener on all interfaces is reached from this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        let loopback: std::net::IpAddr = if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        };
        address.set_ip(loopback);
    }
    address
}

fn app(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(connect))
        .route("/healthz", get(async || "ok"))
        .route("/api/{*path}", any(rest::serve))
        .route("/attachments/{channel}/{attachment}/{filename}", get(file))
        .merge(control::router())
        .fallback(elsewhere)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(shared)
}

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// Takes a Gateway connection.
async fn connect(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<gateway::Query>,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Response {
    match upgrade {
        Ok(upgrade) => {
            let own_url = shared.gateway_url(&headers);
            let upgrade = upgrade.max_message_size(gateway::MAX_MESSAGE_BYTES);
            upgrade.on_upgrade(move |socket| gateway::serve(socket, shared, query, own_url))
        }
        Err(rejection) => rejection.into_response(),
    }
}

/// Clients that put a slash after the address come to `//`.
async fn elsewhere(
    State(shared): State<Arc<Shared>>,
    query: Query<gateway::Query>,
    headers: HeaderMap,
    uri: Uri,
    upgrade: Upgrade,
) -> Response {
    if uri.path().bytes().all(|byte| byte == b'/') {
        return connect(State(shared), query, headers, upgrade).await;
    }
    StatusCode::NOT_FOUND.into_response()
}

/// Serves an attached file, as Discord's content network does.
async fn file(
    State(shared): State<Arc<Shared>>,
    Path((channel, attachment, _filename)): Path<(ChannelId, AttachmentId, String)>,
) -> Response {
    let state = shared.lock();
    let content_type = state.world.channels.get(&channel).and_then(|channel| {
        let mut attached = channel.messages.values().rev().flat_map(|message| &message.attachments);
        attached.find(|found| found.id == attachment).and_then(|found| found.content_type.clone())
    });
    match state.world.file(attachment) {
        Some(content) => {
            let kind = content_type.unwrap_or_else(|| "application/octet-stream".to_owned());
            ([(header::CONTENT_TYPE, kind)], content).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a library of its own, which keeps its one task's handle and ends with it"
)]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}
