//! What limits requests: Discord's buckets and refusals, and our own pace.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use tokio::time::Instant;
use twilight_http_ratelimiting::RateLimitHeaders;

use super::Request;

/// From how long on a limit is no bucket's, and is remembered instead of waited for.
pub(super) const LONG_WAIT: Duration = Duration::from_secs(30);

/// How many of them are remembered; past it Discord is asked again.
const MAX_LONG_WAITS: usize = 10_000;

/// How often the count of invalid requests is read anew while it is high.
const INVALID_REFRESH: Duration = Duration::from_secs(5);

/// What Discord limits by the minute: a channel's new names and topics. And what is limited by whoever
/// names no bucket, as proxies before Discord do: nothing else would hold the next request up.
///
/// None of it is waited for, and nothing else of the channel is held up by it.
#[derive(Debug, Default)]
pub(super) struct LongWaits(Mutex<HashMap<String, Instant>>);

impl LongWaits {
    pub(super) fn find(&self, request: &Request) -> Option<Duration> {
        let waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = waits.get(&request.about)?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    pub(super) fn learn(&self, request: &Request, wait: Duration, is_of_bucket: bool) {
        if wait < LONG_WAIT && is_of_bucket {
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

/// What a 429 says.
pub(super) struct Limited429 {
    pub(super) retry_after: Duration,
    pub(super) is_global: bool,
    pub(super) is_shared: bool,
}

impl Limited429 {
    pub(super) fn read(headers: &HeaderMap, body: &Bytes) -> Self {
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
pub(super) fn bucket(
    headers: &HeaderMap,
    exhausted_for: Option<Duration>,
) -> Option<RateLimitHeaders> {
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
pub(super) struct Invalid {
    count: AtomicU64,
    read_at: Mutex<Option<Instant>>,
}

impl Invalid {
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, count: u64) -> u64 {
        *self.read_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.count.swap(count, Ordering::Relaxed)
    }

    pub(super) fn add_one(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns whether the count should be read anew: while it is high, it must come down again.
    pub(super) fn is_due(&self, slow: u64) -> bool {
        if self.count() < slow {
            return false;
        }
        let read_at = *self.read_at.lock().unwrap_or_else(PoisonError::into_inner);
        read_at.is_none_or(|at| at.elapsed() >= INVALID_REFRESH)
    }
}

/// Paces this replica alone while the shared budget cannot be asked.
#[derive(Debug)]
pub(super) struct Fallback {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Fallback {
    pub(super) fn new(per_second: u32) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.max(1), next: Mutex::default() }
    }

    /// Takes the next slot, or tells how long until it.
    pub(super) fn take(&self) -> Option<Duration> {
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

#[cfg(test)]
mod tests {
    use ery_clock::UnixMillis;

    use super::*;
    use crate::adapters::discord::Method;

    const SHORT: Duration = Duration::from_secs(12);
    const LONG: Duration = Duration::from_mins(10);

    #[tokio::test(start_paused = true)]
    async fn what_no_bucket_holds_up_is_remembered_and_so_is_what_is_too_long_for_one() {
        let waits = LongWaits::default();
        let request = |path: &str| Request::new(Method::Post, path, path, 1, UnixMillis(0));
        let (of_bucket, of_none, long) = (request("one"), request("two"), request("three"));
        waits.learn(&of_bucket, SHORT, true);
        waits.learn(&of_none, SHORT, false);
        waits.learn(&long, LONG, true);
        assert_eq!(waits.find(&of_bucket), None, "the bucket waits by itself");
        assert_eq!(waits.find(&of_none), Some(SHORT));
        assert_eq!(waits.find(&long), Some(LONG));
        tokio::time::advance(SHORT).await;
        assert_eq!(waits.find(&of_none), None);
        assert!(waits.find(&long).is_some());
    }
}
