//! One request to Discord: its budgets, its deadline, its outcome.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rand::Rng;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use twilight_http_ratelimiting::{Endpoint, Permit, RateLimitHeaders, RateLimiter};

use ery_budgets::{Budgets, Priority, RequestPermit};
use ery_clock::{Clock, UnixMillis};

use super::{ApiUrl, breaker::Breakers, denials::Denials};
use crate::{domain::text, metrics, settings::Settings};

pub(crate) use twilight_http_ratelimiting::Method;

/// No answer of Discord's that we ask for is larger.
const MAX_BODY_BYTES: usize = 8 << 20;

/// Stands for "no pacing of ours" in the shared budget, which pauses are taken from all the same.
const UNPACED_PER_SECOND: u32 = 1_000_000;

/// From how long on a limit is no bucket's, and is remembered instead of waited for.
const LONG_WAIT: Duration = Duration::from_secs(30);

/// How many of them are remembered; past it Discord is asked again.
const MAX_LONG_WAITS: usize = 10_000;

/// How often the count of invalid requests is read anew while it is high.
const INVALID_REFRESH: Duration = Duration::from_secs(5);

/// One request, ready to be sent any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: Method,
    /// Path and query below the base, every part of it encoded.
    path: String,
    /// The path without what does not make a bucket of its own.
    route: String,
    body: Option<Bytes>,
    /// For the audit log, not encoded.
    reason: Option<String>,
    priority: Priority,
    /// No request is written after this moment.
    send_by: UnixMillis,
    /// Whether it is a send, which goes on when invalid requests stop everything else.
    is_send: bool,
    /// The guild, or the channel of a direct message: where a refusal is learnt.
    home: u64,
    /// What a refusal is about.
    about: String,
    /// The codes by which Discord says that it is done already.
    means_done: &'static [u64],
    /// Whether another attempt, not of this request, may have got through before.
    was_tried: bool,
}

impl Request {
    /// Makes a request; `route` names the kind of path for its bucket, with its first id.
    pub(crate) fn new(
        method: Method,
        route: impl Into<String>,
        path: impl Into<String>,
        home: u64,
        send_by: UnixMillis,
    ) -> Self {
        let (route, path) = (route.into(), path.into());
        let about = format!("{} {route}", method.name());
        Self {
            method,
            path,
            route,
            body: None,
            reason: None,
            priority: Priority::Foreground,
            send_by,
            is_send: false,
            home,
            about,
            means_done: &[],
            was_tried: false,
        }
    }

    /// Says by which codes a repeat learns that an earlier attempt got through, and whether there
    /// may have been one already.
    pub(crate) fn done_if(mut self, codes: &'static [u64], was_tried: bool) -> Self {
        (self.means_done, self.was_tried) = (codes, was_tried);
        self
    }

    pub(crate) fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = Some(Bytes::from(body.to_string()));
        self
    }

    pub(crate) fn reason(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    pub(crate) fn in_background(mut self) -> Self {
        self.priority = Priority::Background;
        self
    }

    pub(crate) fn send(mut self) -> Self {
        self.is_send = true;
        self
    }

    /// Names what a refusal is about more narrowly than the route does.
    pub(crate) fn about(mut self, subject: impl std::fmt::Display) -> Self {
        self.about = format!("{} {subject}", self.about);
        self
    }
}

/// What Discord answered: a success.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Reads the body.
    pub(crate) fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, RestError> {
        serde_json::from_slice(&self.body)
            .map_err(|source| RestError::Unreadable { status: self.status, source })
    }
}

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestError {
    /// Discord said no: not done, and never to be repeated unchanged.
    #[error("discord refused the request with status {status}, code {code}")]
    Refused { status: u16, code: u64 },
    /// As it said a moment ago; not sent.
    #[error("discord refused a like request a moment ago with code {code}")]
    RefusedBefore { code: u64 },
    /// Not done: there was no room in time.
    #[error("discord's rate limit leaves no room in time")]
    RateLimited { retry_after: Duration },
    /// Not sent: the deadline had passed.
    #[error("the deadline for writing the request has passed")]
    TooLate,
    /// Not sent: Discord does not take our token.
    #[error("discord does not accept the bot's token")]
    Unauthorized,
    /// Not sent: so many requests were invalid that the address might be banned.
    #[error("too many invalid requests in the last ten minutes")]
    TooManyInvalid,
    /// Not sent.
    #[error("discord has not answered for a while, and is spared")]
    BreakerOpen,
    /// Not sent.
    #[error("could not connect to discord")]
    NotConnected(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// May or may not be done.
    #[error("discord answered with status {status}")]
    ServerError { status: u16 },
    /// May or may not be done.
    #[error("the connection to discord was lost")]
    ConnectionLost(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// May or may not be done.
    #[error("discord did not answer in time")]
    TimedOut,
    /// Done, but what it says cannot be read.
    #[error("discord's answer with status {status} cannot be read")]
    Unreadable {
        status: u16,
        #[source]
        source: serde_json::Error,
    },
}

impl RestError {
    /// Returns whether the request may have been carried out.
    pub(crate) fn is_in_doubt(&self) -> bool {
        match self {
            Self::ServerError { .. }
            | Self::ConnectionLost(_)
            | Self::TimedOut
            | Self::Unreadable { .. } => true,
            Self::Refused { .. }
            | Self::RefusedBefore { .. }
            | Self::RateLimited { .. }
            | Self::TooLate
            | Self::Unauthorized
            | Self::TooManyInvalid
            | Self::BreakerOpen
            | Self::NotConnected(_) => false,
        }
    }

    /// Returns whether the request was not made for a reason that passes by itself.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::TooLate
            | Self::TooManyInvalid
            | Self::BreakerOpen
            | Self::NotConnected(_) => true,
            Self::Refused { .. }
            | Self::RefusedBefore { .. }
            | Self::Unauthorized
            | Self::ServerError { .. }
            | Self::ConnectionLost(_)
            | Self::TimedOut
            | Self::Unreadable { .. } => false,
        }
    }

    /// Returns the HTTP status, 0 if none came.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Refused { status, .. }
            | Self::ServerError { status }
            | Self::Unreadable { status, .. } => *status,
            _ => 0,
        }
    }

    fn is_worth_repeating(&self) -> bool {
        matches!(
            self,
            Self::ServerError { .. }
                | Self::ConnectionLost(_)
                | Self::TimedOut
                | Self::NotConnected(_)
        )
    }

    fn label(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::RefusedBefore { .. } => "refused_before",
            Self::RateLimited { .. } => "rate_limited",
            Self::TooLate => "too_late",
            Self::Unauthorized => "unauthorized",
            Self::TooManyInvalid => "too_many_invalid",
            Self::BreakerOpen => "breaker_open",
            Self::NotConnected(_) => "not_connected",
            Self::ServerError { .. } => "server_error",
            Self::ConnectionLost(_) => "connection_lost",
            Self::TimedOut => "timed_out",
            Self::Unreadable { .. } => "unreadable",
        }
    }
}

/// The client of Discord's REST API; one for each process.
pub(crate) struct Discord {
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    api: ApiUrl,
    authorization: HeaderValue,
    // Made at the first request, since it runs a task of its own.
    limiter: OnceLock<RateLimiter>,
    budgets: Arc<dyn Budgets>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    breakers: Breakers,
    denials: Denials,
    long_waits: LongWaits,
    invalid: Invalid,
    paused_until: Mutex<Option<Instant>>,
    is_authorized: watch::Sender<bool>,
    fallback: Fallback,
}

impl Discord {
    pub(crate) fn new(
        settings: &Settings,
        api: ApiUrl,
        token: &SecretString,
        budgets: Arc<dyn Budgets>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TokenError> {
        let token = token.expose_secret().trim();
        let token = token.strip_prefix("Bot ").unwrap_or(token);
        if token.is_empty() {
            return Err(TokenError::Empty);
        }
        let mut authorization =
            HeaderValue::try_from(format!("Bot {token}")).map_err(|_| TokenError::NoHeader)?;
        authorization.set_sensitive(true);
        Ok(Self {
            http: Client::builder(TokioExecutor::new()).build(connector()),
            api,
            authorization,
            limiter: OnceLock::new(),
            budgets,
            clock,
            settings: settings.clone(),
            breakers: Breakers::new(settings.breaker_failures, settings.breaker_open_for),
            denials: Denials::new(settings.denial_ttl),
            long_waits: LongWaits::default(),
            invalid: Invalid::default(),
            paused_until: Mutex::default(),
            is_authorized: watch::Sender::new(true),
            fallback: Fallback::new(settings.fallback_requests_per_second),
        })
    }

    /// Follows whether Discord accepts our token.
    pub(crate) fn authorized(&self) -> watch::Receiver<bool> {
        self.is_authorized.subscribe()
    }

    /// Forgets what Discord refused in a guild, or anywhere: something changed there.
    pub(crate) fn forget_denials(&self, home: Option<u64>) {
        match home {
            Some(home) => self.denials.forget(home),
            None => self.denials.forget_all(),
        }
    }

    /// Forgets what Discord refused about one member: something changed about them.
    pub(crate) fn forget_denials_about(&self, home: u64, user: u64) {
        self.denials.forget_about(home, &format!(" {user}"));
    }

    /// Returns until when a request begun now may be written.
    pub(crate) fn send_by(&self) -> UnixMillis {
        self.clock.now() + self.settings.send_by
    }

    /// Returns whether a request could still be written after waiting so long.
    pub(crate) fn has_time(&self, request: &Request, wait: Duration) -> bool {
        self.clock.now() + wait < request.send_by
    }

    /// Sends a request, again if nothing is known of it or it was not done, until its deadline.
    ///
    /// Only for requests that may be repeated: whoever cannot have one twice uses [`Self::once`].
    pub(crate) async fn repeatedly(&self, request: &Request) -> Result<Answer, RestError> {
        let mut was_in_doubt = None;
        for attempt in 0..=self.settings.retries {
            let error = match self.once(request).await {
                Ok(answer) => return Ok(answer),
                Err(RestError::Refused { status, code })
                    if (was_in_doubt.is_some() || request.was_tried)
                        && request.means_done.contains(&code) =>
                {
                    return Ok(Answer { status, body: Bytes::new() });
                }
                Err(error) => error,
            };
            if !error.is_worth_repeating() || attempt == self.settings.retries {
                // What was in doubt is settled neither by a later attempt that was not even sent,
                // nor by one that Discord refuses; only reading can be refused as a whole.
                let is_read = request.method == Method::Get;
                let is_answered = is_read && matches!(error, RestError::Refused { .. });
                return Err(match was_in_doubt {
                    Some(earlier) if !is_answered => earlier,
                    _ => error,
                });
            }
            if error.is_in_doubt() {
                was_in_doubt = Some(error);
            }
            let wait = self.backoff(attempt);
            if self.clock.now() + wait >= request.send_by {
                break;
            }
            sleep(wait).await;
        }
        Err(was_in_doubt.unwrap_or(RestError::TooLate))
    }

    /// Waits before an attempt is repeated; false if no request may be written after that.
    pub(crate) async fn wait_to_repeat(&self, attempt: u32, send_by: UnixMillis) -> bool {
        let wait = self.backoff(attempt);
        if self.clock.now() + wait >= send_by {
            return false;
        }
        sleep(wait).await;
        true
    }

    /// Returns how often a request is repeated at most.
    pub(crate) fn retries(&self) -> u32 {
        self.settings.retries
    }

    /// Sends a request once; a 429 is no attempt, and is waited for as told.
    pub(crate) async fn once(&self, request: &Request) -> Result<Answer, RestError> {
        let result = self.attempt(request).await;
        match &result {
            Ok(answer) => metrics::request(request.method.name(), answer.status, "ok"),
            Err(error) => metrics::request(request.method.name(), error.status(), error.label()),
        }
        result
    }

    async fn attempt(&self, request: &Request) -> Result<Answer, RestError> {
        let queue_until = Instant::now() + self.settings.queue_deadline;
        loop {
            self.may_ask(request)?;
            let permit = self.permit(request, queue_until).await?;
            self.budget(request, queue_until).await?;
            // Invariant: nothing is awaited between this look at the clock and the write.
            if self.clock.now() >= request.send_by {
                return Err(RestError::TooLate);
            }
            let (status, headers, body) = self.exchange(request).await?;
            self.breaker_saw(request, status);
            let Some(limit) = self.settle(request, permit, status, &headers, &body).await else {
                return self.outcome(request, status, body).await;
            };
            let left = self.left(request, queue_until);
            if limit >= left {
                self.long_waits.learn(request, limit);
                return Err(RestError::RateLimited { retry_after: limit });
            }
            metrics::rate_limited();
            sleep(limit).await;
        }
    }

    /// Refuses what need not be tried.
    fn may_ask(&self, request: &Request) -> Result<(), RestError> {
        if !*self.is_authorized.borrow() {
            return Err(RestError::Unauthorized);
        }
        if let Some(code) = self.denials.find(request.home, &request.about) {
            return Err(RestError::RefusedBefore { code });
        }
        if let Some(left) = self.long_waits.find(request) {
            return Err(RestError::RateLimited { retry_after: left });
        }
        if self.invalid.count() >= self.settings.invalid_requests_stop && !request.is_send {
            return Err(RestError::TooManyInvalid);
        }
        if self.clock.now() >= request.send_by {
            return Err(RestError::TooLate);
        }
        Ok(())
    }

    /// Waits for the turn in the request's bucket.
    async fn permit(&self, request: &Request, until: Instant) -> Result<Permit, RestError> {
        let limiter = self.limiter.get_or_init(|| RateLimiter::new(u16::MAX));
        let endpoint = Endpoint { method: request.method, path: request.route.clone() };
        let left = self.left(request, until);
        // Dropping the future gives the place in the queue up.
        timeout(left, limiter.acquire(endpoint)).await.map_err(|_| self.out_of_time(request))
    }

    /// Waits for room in what all replicas together may ask.
    async fn budget(&self, request: &Request, until: Instant) -> Result<(), RestError> {
        loop {
            self.refresh_invalid().await;
            let wait = match self.paused_for() {
                Some(pause) => Some(pause),
                None => match self.budgets.request(request.priority, self.per_second()).await {
                    Ok(RequestPermit::Granted) => None,
                    Ok(RequestPermit::Wait(wait)) => Some(wait.max(Duration::from_millis(1))),
                    Err(error) => {
                        tracing::debug!(error = %error, "pacing requests alone");
                        self.fallback.take()
                    }
                },
            };
            let Some(wait) = wait else { break };
            let left = self.left(request, until);
            if wait >= left {
                return Err(if left.is_zero() {
                    self.out_of_time(request)
                } else {
                    RestError::RateLimited { retry_after: wait }
                });
            }
            sleep(wait).await;
        }
        // Last, so that whoever was let through does send its request and tells how it went.
        let admits = self.breakers.admits(request.method.name(), &request.route);
        if admits { Ok(()) } else { Err(RestError::BreakerOpen) }
    }

    fn per_second(&self) -> u32 {
        let configured = match self.settings.requests_per_second {
            0 => UNPACED_PER_SECOND,
            configured => configured,
        };
        if self.invalid.count() >= self.settings.invalid_requests_slow {
            (configured.min(50) / 5).max(1)
        } else {
            configured
        }
    }

    async fn refresh_invalid(&self) {
        if self.invalid.is_due(self.settings.invalid_requests_slow)
            && let Ok(invalid) = self.budgets.invalid().await
        {
            self.invalid.set(invalid.in_window);
        }
    }

    fn paused_for(&self) -> Option<Duration> {
        let until = (*self.paused_until.lock().unwrap_or_else(PoisonError::into_inner))?;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Returns how long a request may still wait before it must be written.
    fn left(&self, request: &Request, until: Instant) -> Duration {
        let queue = until.saturating_duration_since(Instant::now());
        queue.min(request.send_by.since(self.clock.now()))
    }

    fn out_of_time(&self, request: &Request) -> RestError {
        if self.clock.now() >= request.send_by {
            RestError::TooLate
        } else {
            RestError::RateLimited { retry_after: Duration::from_secs(1) }
        }
    }

    async fn exchange(
        &self,
        request: &Request,
    ) -> Result<(StatusCode, HeaderMap, Bytes), RestError> {
        let message = self.message(request);
        let answer = timeout(self.settings.request_timeout, transfer(&self.http, message)).await;
        let answer = answer.unwrap_or(Err(RestError::TimedOut));
        if answer.is_err() && self.breakers.unreachable() {
            tracing::warn!("discord does not answer; sparing it for a while");
        }
        answer
    }

    fn message(&self, request: &Request) -> http::Request<Full<Bytes>> {
        let mut message = http::Request::new(Full::new(request.body.clone().unwrap_or_default()));
        *message.method_mut() = match request.method {
            Method::Delete => http::Method::DELETE,
            Method::Patch => http::Method::PATCH,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            // `Method` may grow; everything that changes something is above.
            _ => http::Method::GET,
        };
        *message.uri_mut() = self
            .api
            .join(&request.path)
            .try_into()
            .expect("the base is a URL, and every part of a path is digits, ours or encoded");
        let headers = message.headers_mut();
        headers.insert(header::AUTHORIZATION, self.authorization.clone());
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!(
                "DiscordBot (https://discord.com/developers, ",
                env!("CARGO_PKG_VERSION"),
                ")"
            )),
        );
        if request.body.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(reason) = &request.reason {
            let reason = text::percent_encoded(reason);
            let reason = HeaderValue::try_from(reason).expect("what is encoded is plain ASCII");
            headers.insert("x-audit-log-reason", reason);
        }
        message
    }

    fn breaker_saw(&self, request: &Request, status: StatusCode) {
        let method = request.method.name();
        if status.is_server_error() {
            if self.breakers.failed(method, &request.route) {
                tracing::warn!(
                    route = request.route,
                    "discord answers with errors of its own; sparing it for a while"
                );
            }
        } else {
            self.breakers.answered(method, &request.route);
        }
    }

    /// Gives the turn back with what the headers say; returns how long a 429 says to wait.
    async fn settle(
        &self,
        request: &Request,
        permit: Permit,
        status: StatusCode,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Option<Duration> {
        if status != StatusCode::TOO_MANY_REQUESTS {
            permit.complete(bucket(headers, None));
            return None;
        }
        let limited = Limited429::read(headers, body);
        // A bucket that is told to be empty waits by itself; a global limit is no bucket's.
        // Nor is one of many minutes the bucket's, but that of one kind of change.
        permit.complete(if limited.is_global || limited.retry_after >= LONG_WAIT {
            None
        } else {
            bucket(headers, Some(limited.retry_after))
        });
        if limited.is_global {
            tracing::warn!(
                retry_after_ms = u64::try_from(limited.retry_after.as_millis()).unwrap_or(u64::MAX),
                "discord's global rate limit is hit; pausing all requests"
            );
            self.pause(limited.retry_after).await;
        }
        if !limited.is_shared {
            self.count_invalid(request, status).await;
        }
        Some(limited.retry_after)
    }

    async fn pause(&self, how_long: Duration) {
        let until = Instant::now() + how_long;
        {
            let mut paused = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
            *paused = Some(paused.map_or(until, |earlier| earlier.max(until)));
        }
        if let Err(error) = self.budgets.pause(how_long).await {
            tracing::warn!(error = %error, "could not tell the other replicas to pause");
        }
    }

    async fn count_invalid(&self, request: &Request, status: StatusCode) {
        match self.budgets.count_invalid().await {
            Ok(invalid) => {
                let before = self.invalid.set(invalid.in_window);
                let stop = self.settings.invalid_requests_stop;
                if before < stop && invalid.in_window >= stop {
                    tracing::error!(
                        invalid = invalid.in_window,
                        "so many requests were invalid that the address may be banned; only \
                         sends go on"
                    );
                }
            }
            Err(error) => {
                self.invalid.add_one();
                tracing::debug!(error = %error, "counting invalid requests alone");
            }
        }
        metrics::invalid_request(status.as_u16());
        tracing::debug!(
            status = status.as_u16(),
            route = request.route,
            "a request that discord counts as invalid"
        );
    }

    async fn outcome(
        &self,
        request: &Request,
        status: StatusCode,
        body: Bytes,
    ) -> Result<Answer, RestError> {
        let number = status.as_u16();
        if status.is_success() {
            return Ok(Answer { status: number, body });
        }
        if status.is_server_error() || status.is_informational() {
            return Err(RestError::ServerError { status: number });
        }
        let code = serde_json::from_slice::<ErrorBody>(&body).map_or(0, |error| error.code);
        match status {
            StatusCode::UNAUTHORIZED => {
                self.count_invalid(request, status).await;
                if self.is_authorized.send_replace(false) {
                    tracing::error!(
                        "discord does not accept the bot's token any more; no request is made \
                         until the process is started with a valid one"
                    );
                }
                return Err(RestError::Unauthorized);
            }
            StatusCode::FORBIDDEN => self.count_invalid(request, status).await,
            _ => {}
        }
        if is_about_rights(status, code) {
            self.denials.learn(request.home, &request.about, code);
        }
        Err(RestError::Refused { status: number, code })
    }

    fn backoff(&self, attempt: u32) -> Duration {
        let base = self.settings.backoff.saturating_mul(1 << attempt.min(10));
        let jitter = rand::rng().random_range(0.5..1.0);
        base.min(self.settings.max_backoff).mul_f64(jitter)
    }
}

/// What Discord limits by the minute: a channel's new names and topics.
///
/// None of it is waited for, and nothing else of the channel is held up by it.
#[derive(Debug, Default)]
struct LongWaits(Mutex<HashMap<String, Instant>>);

impl LongWaits {
    fn find(&self, request: &Request) -> Option<Duration> {
        let waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = waits.get(&request.about)?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    fn learn(&self, request: &Request, wait: Duration) {
        if wait < LONG_WAIT {
            return;
        }
        let now = Instant::now();
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waits.len() >= MAX_LONG_WAITS {
            waits.retain(|_, until| now < *until);
        }
        if waits.len() < MAX_LONG_WAITS {
            waits.insert(request.about.clone(), now + wait);
        }
    }
}

/// Why a token cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("`discord.token` is empty")]
    Empty,
    #[error("`discord.token` holds characters that no token has")]
    NoHeader,
}

fn connector() -> HttpsConnector<HttpConnector> {
    use hyper_rustls::ConfigBuilderExt;

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring offers the cipher suites of TLS 1.2 and 1.3")
        .with_webpki_roots()
        .with_no_client_auth();
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(http)
}

/// Writes a request and reads its whole answer.
fn transfer(
    http: &Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    message: http::Request<Full<Bytes>>,
) -> BoxFuture<'static, Result<(StatusCode, HeaderMap, Bytes), RestError>> {
    let response = http.request(message);
    async move {
        let response = response.await.map_err(|error| {
            if error.is_connect() {
                RestError::NotConnected(Box::new(error))
            } else {
                RestError::ConnectionLost(Box::new(error))
            }
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY_BYTES).collect().await;
        let body = body.map_err(RestError::ConnectionLost)?;
        Ok((head.status, head.headers, body.to_bytes()))
    }
    .boxed()
}

/// Whether a refusal means that a right is missing, rather than that this one message was refused:
/// by its code, since not everybody who speaks Discord's API says 403.
fn is_about_rights(status: StatusCode, code: u64) -> bool {
    matches!(code, 50_001 | 50_013) || status == StatusCode::FORBIDDEN && code == 0
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    code: u64,
}

/// What a 429 says.
struct Limited429 {
    retry_after: Duration,
    is_global: bool,
    is_shared: bool,
}

impl Limited429 {
    fn read(headers: &HeaderMap, body: &Bytes) -> Self {
        #[derive(Default, Deserialize)]
        struct Body {
            #[serde(default)]
            retry_after: Option<f64>,
            #[serde(default)]
            global: bool,
        }
        let body: Body = serde_json::from_slice(body).unwrap_or_default();
        let scope = headers.get(RateLimitHeaders::SCOPE).map(HeaderValue::as_bytes);
        let seconds = body
            .retry_after
            .or_else(|| number(headers, header::RETRY_AFTER.as_str()))
            .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
            .unwrap_or(1.0);
        Self {
            // Never at once: a limit that says zero would be asked in a loop.
            retry_after: Duration::try_from_secs_f64(seconds)
                .unwrap_or(Duration::MAX)
                .clamp(Duration::from_millis(10), Duration::from_hours(24)),
            is_global: body.global
                || scope == Some(b"global")
                || headers.contains_key("x-ratelimit-global"),
            is_shared: scope == Some(b"shared"),
        }
    }
}

/// Reads the bucket's state; `exhausted_for` where the request was refused by it.
#[expect(clippy::disallowed_methods, reason = "the rate limiter's type wants the system's Instant")]
fn bucket(headers: &HeaderMap, exhausted_for: Option<Duration>) -> Option<RateLimitHeaders> {
    let bucket = headers.get(RateLimitHeaders::BUCKET)?.as_bytes().to_vec();
    let whole = |name| number(headers, name).filter(|number| (0.0..65_535.0).contains(number));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was checked"
    )]
    let whole = |name| whole(name).map(|number| number as u16);
    let reset_after = exhausted_for.or_else(|| {
        let seconds = number(headers, RateLimitHeaders::RESET_AFTER)?;
        Duration::try_from_secs_f64(seconds).ok()
    })?;
    let remaining =
        if exhausted_for.is_some() { Some(0) } else { whole(RateLimitHeaders::REMAINING) };
    Some(RateLimitHeaders {
        bucket,
        limit: whole(RateLimitHeaders::LIMIT).unwrap_or(1),
        remaining: remaining?,
        reset_at: std::time::Instant::now() + reset_after.min(Duration::from_hours(24)),
    })
}

fn number(headers: &HeaderMap, name: &str) -> Option<f64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// How many invalid requests there were, as last heard.
#[derive(Debug, Default)]
struct Invalid {
    count: AtomicU64,
    read_at: Mutex<Option<Instant>>,
}

impl Invalid {
    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    fn set(&self, count: u64) -> u64 {
        *self.read_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.count.swap(count, Ordering::Relaxed)
    }

    fn add_one(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns whether the count should be read anew: while it is high, it must come down again.
    fn is_due(&self, slow: u64) -> bool {
        if self.count() < slow {
            return false;
        }
        let read_at = *self.read_at.lock().unwrap_or_else(PoisonError::into_inner);
        read_at.is_none_or(|at| at.elapsed() >= INVALID_REFRESH)
    }
}

/// Paces this replica alone while the shared budget cannot be asked.
#[derive(Debug)]
struct Fallback {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Fallback {
    fn new(per_second: u32) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.max(1), next: Mutex::default() }
    }

    /// Takes the next slot, or tells how long until it.
    fn take(&self) -> Option<Duration> {
        let now = Instant::now();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        match *next {
            Some(at) if at > now => Some(at - now),
            _ => {
                *next = Some(now + self.interval);
                None
            }
        }
    }
}
