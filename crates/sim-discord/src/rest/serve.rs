//! What is done around every endpoint.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
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
    faults::{FaultKind, FaultSpec, When},
    log::Record,
    rate_limits::{RateLimits, Standing, Verdict},
    routes::{self, Match},
};
use crate::{
    domain::{self, Refusal},
    percent,
    shared::Shared,
    wire,
};

/// Discord takes no larger request.
const MAX_BODY_BYTES: usize = 25 * 1024 * 1024;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const RESET_AFTER: HeaderName = HeaderName::from_static("x-ratelimit-reset-after");
const BUCKET: HeaderName = HeaderName::from_static("x-ratelimit-bucket");
const SCOPE: HeaderName = HeaderName::from_static("x-ratelimit-scope");
const GLOBAL: HeaderName = HeaderName::from_static("x-ratelimit-global");
const REASON: HeaderName = HeaderName::from_static("x-audit-log-reason");

/// Answers one request below `/api`.
pub(crate) async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let at = shared.clock.now();
    let (parts, body) = request.into_parts();
    let mut exchange = Exchange {
        shared: &shared,
        parts: &parts,
        at,
        body: Bytes::new(),
        bucket: None,
        standing: None,
        limited: None,
        lost: None,
    };
    let answer = exchange.answer(body).await;
    exchange.finish(&answer)
}

/// One request on its way through.
struct Exchange<'a> {
    shared: &'a Shared,
    parts: &'a Parts,
    at: UnixMillis,
    body: Bytes,
    bucket: Option<&'a HeaderValue>,
    standing: Option<Standing>,
    limited: Option<Limited>,
    /// The fault that keeps the client from its answer.
    lost: Option<&'static str>,
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

#[derive(Clone, Copy)]
struct Limited {
    retry_after: Duration,
    is_global: bool,
}

impl Exchange<'_> {
    async fn answer(&mut self, body: Body) -> Answer {
        let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
            return Answer::from(&Refusal::TooLarge);
        };
        self.body = body;
        let path = below_version(self.parts.uri.path());
        let found = match routes::find(&self.parts.method, path) {
            Ok(found) => found,
            Err(refusal) => return Answer::from(&refusal),
        };
        self.bucket = Some(&found.route.bucket_header);

        let method = self.parts.method.as_str();
        let struck = self
            .shared
            .faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .strike(method, found.route.template);
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
                Answer { status, body: wire::render(&ErrorBody { message, code: 0 }) }
            }
            FaultKind::RateLimit => {
                let retry_after = Duration::from_millis(fault.delay_ms.unwrap_or(1_000));
                self.limit(Limited { retry_after, is_global: fault.global })
            }
            FaultKind::LoseResponse => {
                let answer = self.carry_out(found);
                self.lost = Some("lose_response");
                answer
            }
            FaultKind::Cut => {
                self.lost = Some("cut");
                Answer { status: 0, body: Bytes::new() }
            }
            FaultKind::NotReady => {
                let retry_after = fault.delay_ms.unwrap_or(0).div_ceil(1_000);
                Answer::from(&Refusal::SearchNotReady { retry_after })
            }
            FaultKind::Delay => self.carry_out(found),
        }
    }

    fn limit(&mut self, limited: Limited) -> Answer {
        self.limited = Some(limited);
        let body = LimitedBody {
            message: "You are being rate limited.",
            retry_after: limited.retry_after.as_secs_f64(),
            global: limited.is_global,
        };
        Answer { status: 429, body: wire::render(&body) }
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
        let bot = token
            .and_then(|value| value.strip_prefix("Bot "))
            .and_then(|token| state.world.bot_by_token(token.trim()))
            .map(|bot| bot.user);
        let Some(bot) = bot else { return Answer::from(&Refusal::Unauthorized) };

        if self.shared.settings().rate_limits {
            let mut limits = self.shared.rate_limits.lock().unwrap_or_else(PoisonError::into_inner);
            match limits.count(bot, found.route.bucket, found.major(), Instant::now()) {
                Verdict::Allowed(standing) => self.standing = Some(standing),
                Verdict::Limited { standing, retry_after, is_global } => {
                    self.standing = Some(standing);
                    return self.limit(Limited { retry_after, is_global });
                }
            }
        } else {
            self.standing = Some(RateLimits::unlimited());
        }
        if let Err(refusal) = domain::check_reason(reason.as_deref()) {
            return Answer::from(&refusal);
        }
        let max_concurrency = state.sessions.settings.max_concurrency;
        let mut call = Call {
            state,
            bot,
            now: self.shared.clock.now(),
            params: &found.params,
            query: &query,
            body: &self.body,
            content_type: content_type.unwrap_or_default(),
            reason,
            gateway_url: &gateway_url,
            max_concurrency,
        };
        match (found.route.handler)(&mut call) {
            Ok(answer) => answer,
            Err(refusal) => {
                if let Refusal::Slowmode { retry_after_ms } = refusal {
                    let retry_after = Duration::from_millis(retry_after_ms);
                    self.limited = Some(Limited { retry_after, is_global: false });
                }
                Answer::from(&refusal)
            }
        }
    }

    /// Logs the exchange and writes the answer, or cuts the connection.
    fn finish(self, answer: &Answer) -> Response {
        let path = self.parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner).push(Record {
            at: self.at,
            method: self.parts.method.as_str(),
            path,
            headers: &self.parts.headers,
            body: &self.body,
            status: answer.status,
            response: answer.body.clone(),
            fault: self.lost,
        });
        if let Some(fault) = self.lost {
            debug!(fault, "cutting a connection as ordered");
            return cut();
        }
        let mut response = Response::new(Body::from(answer.body.clone()));
        *response.status_mut() =
            StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if !answer.body.is_empty() {
            // Without a charset: discord.py compares for equality.
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.insert(header::VIA, HeaderValue::from_static("1.1 sim-discord"));
        if let (Some(standing), Some(bucket)) = (self.standing, self.bucket) {
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
    let scope = if limited.is_global { "global" } else { "user" };
    headers.insert(SCOPE, HeaderValue::from_static(scope));
    if limited.is_global {
        headers.insert(GLOBAL, HeaderValue::from_static("true"));
    }
}

fn decimal(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("digits and a point may stand in a header")
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
    fn the_version_may_be_written_or_left_out() {
        assert_eq!(below_version("/api/v10/users/@me"), "/users/@me");
        assert_eq!(below_version("/api/v9/gateway"), "/gateway");
        assert_eq!(below_version("/api/gateway"), "/gateway");
        assert_eq!(below_version("/api/voice/regions"), "/voice/regions");
    }
}
