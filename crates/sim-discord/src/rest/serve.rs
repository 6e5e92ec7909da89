//! What is done around every endpoint.

use std::{
    borrow::Cow,
    net::SocketAddr,
    sync::{Arc, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use serde::Serialize;
use tokio::time::Instant;
use tracing::debug;

use ery_clock::UnixMillis;

use super::{
    answer::Answer,
    call::Call,
    log::Record,
    rate_limits::{Asked, Limited, Scope, Standing},
    routes::{self, Match},
};
use crate::{
    domain::{self, Refusal, UserId},
    faults::{FaultKind, FaultSpec, LimitScope, When},
    percent,
    shared::Shared,
    wire,
};

/// Discord takes no larger request.
const MAX_BODY_BYTES: usize = 25 * 1024 * 1024;

/// Who asks without credentials: an account that is nowhere and may do nothing.
const NOBODY: UserId = UserId::new(1);

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const RESET_AFTER: HeaderName = HeaderName::from_static("x-ratelimit-reset-after");
const BUCKET: HeaderName = HeaderName::from_static("x-ratelimit-bucket");
const SCOPE: HeaderName = HeaderName::from_static("x-ratelimit-scope");
const GLOBAL: HeaderName = HeaderName::from_static("x-ratelimit-global");
const REASON: HeaderName = HeaderName::from_static("x-audit-log-reason");

/// Answers one request below `/api`.
pub(crate) async fn serve(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let at = shared.clock.now();
    let (parts, body) = request.into_parts();
    let mut exchange = Exchange {
        shared: &shared,
        parts: &parts,
        peer,
        at,
        body: Bytes::new(),
        bucket: None,
        standing: None,
        limited: None,
        lost: None,
        banned_for: None,
    };
    let answer = exchange.answer(body).await;
    exchange.finish(&answer)
}

/// One request on its way through.
struct Exchange<'a> {
    shared: &'a Shared,
    parts: &'a Parts,
    peer: SocketAddr,
    at: UnixMillis,
    body: Bytes,
    bucket: Option<&'a HeaderValue>,
    standing: Option<Standing>,
    limited: Option<Limited>,
    /// The fault that keeps the client from its answer.
    lost: Option<&'static str>,
    /// How long the client's address is still turned away, if it is.
    banned_for: Option<Duration>,
}

#[derive(Serialize)]
struct ErrorBody {
    message: String,
    code: u32,
}

#[derive(Serialize)]
struct LimitedBody {
    message: &'static str,
    retry_after: f64,
    global: bool,
}

impl Exchange<'_> {
    async fn answer(&mut self, body: Body) -> Answer {
        let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
            return Answer::from(&Refusal::TooLarge);
        };
        self.body = body;
        if let Some(left) = self.banned_for() {
            self.banned_for = Some(left);
            return Answer::new(429, Bytes::from_static(b"error code: 1015"));
        }
        let path = below_version(self.parts.uri.path());
        let found = match routes::find(&self.parts.method, path) {
            Ok(found) => found,
            Err(refusal) => return Answer::from(&refusal),
        };
        self.bucket = Some(&found.route.bucket_header);

        let method = self.parts.method.as_str();
        let struck = self.shared.faults.strike(method, found.route.template);
        let delay: Duration = struck.iter().map(FaultSpec::delay).sum();
        let fault = struck.into_iter().find(|fault| fault.kind != FaultKind::Delay);
        let waits = fault.as_ref().is_none_or(|fault| fault.kind != FaultKind::RateLimit);
        if waits && !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        self.suffer(fault, &found)
    }

    /// Carries the request out, with the fault that strikes it.
    fn suffer(&mut self, fault: Option<FaultSpec>, found: &Match) -> Answer {
        let Some(fault) = fault else { return self.carry_out(found) };
        match fault.kind {
            FaultKind::Error => {
                if fault.when == When::After {
                    self.carry_out(found);
                }
                let status = fault.status.unwrap_or(500);
                let words =
                    StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
                let message = format!("{status}: {}", words.unwrap_or("Unknown"));
                Answer::new(
                    status,
                    wire::render(&ErrorBody { message, code: fault.code.unwrap_or(0) }),
                )
            }
            FaultKind::RateLimit => {
                let retry_after = Duration::from_millis(fault.delay_ms.unwrap_or(1_000));
                let scope = match fault.scope {
                    Some(LimitScope::Shared) => Scope::Shared,
                    Some(LimitScope::Global) => Scope::Global,
                    None if fault.global => Scope::Global,
                    Some(LimitScope::User) | None => Scope::User,
                };
                self.limit(Limited { retry_after, scope })
            }
            FaultKind::LoseResponse => {
                let answer = self.carry_out(found);
                self.lost = Some("lose_response");
                answer
            }
            FaultKind::Cut => {
                self.lost = Some("cut");
                Answer::new(0, Bytes::new())
            }
            FaultKind::NotReady => {
                let retry_after = fault.delay_ms.unwrap_or(0).div_ceil(1_000);
                Answer::from(&Refusal::SearchNotReady { retry_after })
            }
            // A delay has passed already, and the others never happen to a request.
            FaultKind::Delay
            | FaultKind::Refuse
            | FaultKind::Duplicate
            | FaultKind::Lose
            | FaultKind::Stall
            | FaultKind::Reconnect => self.carry_out(found),
        }
    }

    fn banned_for(&self) -> Option<Duration> {
        let settings = self.shared.settings().limits;
        let limits = self.shared.rate_limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.banned_for(self.peer.ip(), &settings, Instant::now())
    }

    /// Counts what Discord counts towards turning an address away.
    fn count_invalid(&self, status: u16) {
        let is_shared = self.limited.is_some_and(|limited| limited.scope == Scope::Shared);
        if matches!(status, 401 | 403) || (status == 429 && !is_shared) {
            let settings = self.shared.settings().limits;
            let mut limits = self.shared.rate_limits.lock().unwrap_or_else(PoisonError::into_inner);
            limits.count_invalid(self.peer.ip(), &settings, Instant::now());
        }
    }

    fn limit(&mut self, limited: Limited) -> Answer {
        self.limited = Some(limited);
        let body = LimitedBody {
            message: "You are being rate limited.",
            retry_after: limited.retry_after.as_secs_f64(),
            global: limited.scope == Scope::Global,
        };
        Answer::new(429, wire::render(&body))
    }

    fn carry_out(&mut self, found: &Match) -> Answer {
        let query = percent::pairs(self.parts.uri.query().unwrap_or_default());
        let reason = header_text(&self.parts.headers, &REASON);
        let reason = reason.map(|reason| percent::decode(reason).into_owned());
        let reason = reason.filter(|reason| !reason.is_empty());
        let content_type = header_text(&self.parts.headers, &header::CONTENT_TYPE);
        let gateway_url = self.shared.gateway_url(&self.parts.headers);

        let mut state = self.shared.lock();
        let state = &mut *state;
        let token = header_text(&self.parts.headers, &header::AUTHORIZATION);
        let bot = if found.route.has_own_token {
            None // the endpoint looks at the token in the path
        } else {
            let bot = token
                .and_then(|value| value.strip_prefix("Bot "))
                .and_then(|token| state.world.bot_by_token(token.trim()))
                .map(|bot| bot.user);
            if bot.is_none() {
                return Answer::from(&Refusal::Unauthorized);
            }
            bot
        };

        let settings = self.shared.settings().limits;
        let asked =
            Asked { bot, bucket: found.route.bucket, major: found.major(), body: &self.body };
        let (standing, limited) = self
            .shared
            .rate_limits
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .count(&asked, &settings, Instant::now());
        self.standing = Some(standing);
        if let Some(limited) = limited {
            return self.limit(limited);
        }
        if let Err(refusal) = domain::check_reason(reason.as_deref()) {
            return Answer::from(&refusal);
        }
        // A thread that is due to be archived is so for whoever asks, whenever they ask.
        let now = self.shared.clock.now();
        state.pass_time(now);
        let mut call = Call {
            state,
            bot: bot.unwrap_or(NOBODY),
            now,
            params: &found.params,
            query: &query,
            body: &self.body,
            content_type: content_type.unwrap_or_default(),
            reason,
            gateway_url: &gateway_url,
        };
        match (found.route.handler)(&mut call) {
            Ok(answer) => answer,
            Err(refusal) => {
                if let Some(retry_after) = refusal.retry_after() {
                    self.limited = Some(Limited { retry_after, scope: Scope::User });
                }
                Answer::from(&refusal)
            }
        }
    }

    /// Logs the exchange and writes the answer, or cuts the connection.
    fn finish(self, answer: &Answer) -> Response {
        let path = self.parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let path = without_token(path);
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner).push(Record {
            at: self.at,
            method: self.parts.method.as_str(),
            path: &path,
            headers: &self.parts.headers,
            body: &self.body,
            status: answer.status,
            response: answer.logged.as_ref().unwrap_or(&answer.body).clone(),
            fault: self.lost,
        });
        if let Some(fault) = self.lost {
            debug!(fault, "cutting a connection as ordered");
            return cut();
        }
        if let Some(left) = self.banned_for {
            return turned_away(answer, left);
        }
        self.count_invalid(answer.status);
        let mut response = Response::new(Body::from(answer.body.clone()));
        *response.status_mut() =
            StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if !answer.body.is_empty() {
            // Without a charset: discord.py compares for equality.
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.insert(header::VIA, HeaderValue::from_static("1.1 sim-discord"));
        // A global limit belongs to no bucket, so its answer names none.
        let is_global = self.limited.is_some_and(|limited| limited.scope == Scope::Global);
        if let (Some(standing), Some(bucket), false) = (self.standing, self.bucket, is_global) {
            self.write_standing(headers, standing, bucket);
        }
        if let Some(limited) = self.limited {
            write_limited(headers, limited);
        }
        response
    }

    fn write_standing(&self, headers: &mut HeaderMap, standing: Standing, bucket: &HeaderValue) {
        let reset = self.shared.clock.now() + standing.reset_after;
        let (seconds, millis) = (reset.as_secs(), reset.0.rem_euclid(1_000));
        headers.insert(LIMIT, standing.limit.into());
        headers.insert(REMAINING, standing.remaining.into());
        headers.insert(RESET, decimal(format!("{seconds}.{millis:03}")));
        headers.insert(RESET_AFTER, decimal(format!("{:.3}", standing.reset_after.as_secs_f64())));
        headers.insert(BUCKET, bucket.clone());
    }
}

fn write_limited(headers: &mut HeaderMap, limited: Limited) {
    let whole_seconds = limited.retry_after.as_millis().div_ceil(1_000);
    headers.insert(header::RETRY_AFTER, decimal(whole_seconds.to_string()));
    headers.insert(SCOPE, HeaderValue::from_static(limited.scope.name()));
    if limited.scope == Scope::Global {
        headers.insert(GLOBAL, HeaderValue::from_static("true"));
    }
}

fn decimal(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("digits and a point may stand in a header")
}

/// Returns what stands in front of Discord answers to an address that asked too many invalid things:
/// no JSON, and without the header by which clients know Discord's own answers.
fn turned_away(answer: &Answer, left: Duration) -> Response {
    let mut response = Response::new(Body::from(answer.body.clone()));
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    let headers = response.headers_mut();
    let plain = HeaderValue::from_static("text/plain; charset=UTF-8");
    headers.insert(header::CONTENT_TYPE, plain);
    let whole_seconds = left.as_millis().div_ceil(1_000);
    headers.insert(header::RETRY_AFTER, decimal(whole_seconds.to_string()));
    response
}

/// Returns an answer that fails before its first byte, upon which the server hangs up.
fn cut() -> Response {
    let broken = futures::stream::once(async {
        Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))
    });
    Response::new(Body::from_stream(broken))
}

fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Hides the token of an interaction or a webhook in a path.
fn without_token(path: &str) -> Cow<'_, str> {
    let below = below_version(path);
    let mut parts = below.splitn(4, '/').skip(1);
    let (kind, id, rest) = (parts.next(), parts.next(), parts.next());
    let (Some(kind @ ("interactions" | "webhooks")), Some(id), Some(rest)) = (kind, id, rest)
    else {
        return Cow::Borrowed(path);
    };
    let version = &path[..path.len() - below.len()];
    let token = rest.find(['/', '?']).unwrap_or(rest.len());
    Cow::Owned(format!("{version}/{kind}/{id}/<redacted>{}", &rest[token..]))
}

/// Takes `/api` and the version off a path.
fn below_version(path: &str) -> &str {
    let path = path.strip_prefix("/api").unwrap_or(path);
    let versioned = path.strip_prefix("/v").and_then(|rest| rest.split_once('/'));
    match versioned {
        Some((version, rest)) if version.bytes().all(|byte| byte.is_ascii_digit()) => {
            // The slash belongs to what remains.
            &path[path.len() - rest.len() - 1..]
        }
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_in_paths_are_hidden() {
        for (path, shown) in [
            ("/api/v10/webhooks/5/secret", "/api/v10/webhooks/5/<redacted>"),
            ("/api/v10/webhooks/5/secret?wait=true", "/api/v10/webhooks/5/<redacted>?wait=true"),
            (
                "/api/v10/webhooks/5/secret/messages/@original",
                "/api/v10/webhooks/5/<redacted>/messages/@original",
            ),
            (
                "/api/v10/interactions/5/secret/callback",
                "/api/v10/interactions/5/<redacted>/callback",
            ),
            ("/api/v10/webhooks/5", "/api/v10/webhooks/5"),
            ("/api/v10/channels/5/messages", "/api/v10/channels/5/messages"),
        ] {
            assert_eq!(without_token(path), shown);
        }
    }

    #[test]
    fn the_version_may_be_written_or_left_out() {
        assert_eq!(below_version("/api/v10/users/@me"), "/users/@me");
        assert_eq!(below_version("/api/v9/gateway"), "/gateway");
        assert_eq!(below_version("/api/gateway"), "/gateway");
        assert_eq!(below_version("/api/voice/regions"), "/voice/regions");
    }
}
