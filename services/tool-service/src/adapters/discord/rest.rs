//! A request to Discord: its budgets, its deadline, its outcome.

mod error;
mod limits;
mod request;
mod traced;

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicI64, Ordering},
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
use tracing::Instrument;
use twilight_http_ratelimiting::{Endpoint, Permit, RateLimiter};

use ery_budgets::{Budgets, RequestPermit};
use ery_clock::{Clock, UnixMillis};

use super::{ApiUrl, breaker::Breakers, denials::Denials};
use crate::{
    domain::{execution::sha256_hex, text},
    metrics,
    settings::Settings,
};

use limits::{Fallback, Invalid, LONG_WAIT, Limited429, LongWaits, bucket};

pub(crate) use error::RestError;
pub(crate) use request::{Answer, File, Request};
pub(crate) use twilight_http_ratelimiting::Method;

/// No answer of Discord's that we ask for is larger.
const MAX_BODY_BYTES: usize = 8 << 20;

/// Stands for "no pacing of ours" in the shared budget, which pauses are taken from all the same.
const UNPACED_PER_SECOND: u32 = 1_000_000;

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
    /// When a request last had an answer that was no error of Discord's own.
    answered_at: AtomicI64,
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
            answered_at: AtomicI64::new(i64::MIN),
        })
    }

    /// Returns the link of an invite; none where nobody knows to which page it leads.
    pub(crate) fn invite(&self, code: &str) -> Option<String> {
        let page = match self.settings.invite_url.as_deref() {
            Some(page) => page,
            None if self.api.is_discords_own() => "https://discord.gg",
            None => return None,
        };
        Some(format!("{}/{code}", page.trim_end_matches('/')))
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

    /// Returns when a request last had an answer that was no error of Discord's own.
    pub(crate) fn answered_at(&self) -> UnixMillis {
        UnixMillis(self.answered_at.load(Ordering::Relaxed))
    }

    /// Forgets that direct messages to somebody were refused: they write to Ery there themselves.
    pub(crate) fn forget_direct_denials(
        &self,
        channel: u64,
        user: Option<u64>,
        written_at: UnixMillis,
    ) {
        let mut abouts = vec![format!("POST channels/{channel}/messages")];
        abouts.extend(user.map(|user| format!("POST users/@me/channels {user}")));
        self.denials.forget_these(&abouts, self.clock.now().since(written_at));
    }

    /// Returns a digest that nobody computes who does not have the bot's token.
    pub(crate) fn digest(&self, text: &str) -> String {
        let token = String::from_utf8_lossy(self.authorization.as_bytes());
        sha256_hex(&format!("{token}/{text}"))
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
        let span = traced::request(request);
        let result = self.attempt(request).instrument(span.clone()).await;
        traced::requested(&span, result.as_ref().map(|answer| answer.status));
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
                let is_of_bucket = bucket(&headers, Some(limit)).is_some();
                self.long_waits.learn(request, limit, is_of_bucket);
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
            headers.insert(header::CONTENT_TYPE, request.content_type.clone());
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
            self.answered_at.store(self.clock.now().0, Ordering::Relaxed);
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
            StatusCode::UNAUTHORIZED if request.has_own_token() => {
                self.count_invalid(request, status).await;
            }
            StatusCode::UNAUTHORIZED => {
                self.count_invalid(request, status).await;
                if code != 0 && self.is_token_accepted(request).await {
                    // Servers that speak Discord's API say so of what the bot may not see, too.
                    self.denials.learn(request.home, &request.about, code);
                    return Err(RestError::Refused { status: number, code });
                }
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

    /// Asks whether a token is accepted elsewhere that was not accepted for `request`. Discord names no
    /// code where it is the token; where it cannot be asked, what was refused is that one request.
    async fn is_token_accepted(&self, request: &Request) -> bool {
        let path = "users/@me";
        let probe = Request::new(Method::Get, path, path, request.home, request.send_by);
        match self.exchange(&probe).await {
            Ok((StatusCode::UNAUTHORIZED, ..)) => {
                self.count_invalid(&probe, StatusCode::UNAUTHORIZED).await;
                false
            }
            Ok(_) | Err(_) => true,
        }
    }

    fn backoff(&self, attempt: u32) -> Duration {
        let base = self.settings.backoff.saturating_mul(1 << attempt.min(10));
        let jitter = rand::rng().random_range(0.5..1.0);
        base.min(self.settings.max_backoff).mul_f64(jitter)
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
    // Who takes no direct messages is not asked again and again either.
    matches!(code, 50_001 | 50_013 | 50_007 | 50_278)
        || status == StatusCode::FORBIDDEN && code == 0
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    code: u64,
}
