use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use axum::extract::State;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ControlError, Reply, read};
use crate::{rest::LimitSettings, shared::Shared};

/// The shortest heartbeat interval that makes sense.
const MIN_HEARTBEAT_MS: u64 = 50;

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn current(shared: &Shared) -> Value {
    let live = shared.settings();
    let sessions = shared.lock().sessions.settings.clone();
    let log_capacity = shared.log.lock().unwrap_or_else(PoisonError::into_inner).capacity();
    json!({
        "rate_limits": live.limits.enabled,
        "route_limits": live.limits.routes,
        "long_limits": live.limits.long,
        "global_limit": live.limits.global,
        "global_requests_per_second": live.limits.global_per_second,
        "invalid_limit": live.limits.invalid,
        "invalid_requests": live.limits.invalid_requests,
        "invalid_window_ms": millis(live.limits.invalid_window),
        "heartbeat_interval_ms": millis(live.heartbeat_interval),
        "log_capacity": log_capacity,
        "replay_capacity": sessions.replay_capacity,
        "queue_capacity": sessions.queue_capacity,
        "resume_window_ms": millis(sessions.resume_window),
        "full_member_lists": sessions.full_member_lists,
        "identify_limit": sessions.identify_limit,
        "max_concurrency": sessions.max_concurrency,
        "session_start_limit": sessions.start_limit,
        "session_starts": sessions.starts,
    })
}

/// `GET /sim/v1/settings`
pub(super) async fn show(State(shared): State<Arc<Shared>>) -> Reply {
    Reply::json(&current(&shared))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(default)]
    rate_limits: Option<bool>,
    #[serde(default)]
    route_limits: Option<bool>,
    #[serde(default)]
    long_limits: Option<bool>,
    #[serde(default)]
    global_limit: Option<bool>,
    #[serde(default)]
    global_requests_per_second: Option<u32>,
    #[serde(default)]
    invalid_limit: Option<bool>,
    #[serde(default)]
    invalid_requests: Option<u32>,
    #[serde(default)]
    invalid_window_ms: Option<u64>,
    #[serde(default)]
    heartbeat_interval_ms: Option<u64>,
    #[serde(default)]
    log_capacity: Option<usize>,
    #[serde(default)]
    replay_capacity: Option<usize>,
    #[serde(default)]
    queue_capacity: Option<usize>,
    #[serde(default)]
    resume_window_ms: Option<u64>,
    #[serde(default)]
    full_member_lists: Option<bool>,
    #[serde(default)]
    identify_limit: Option<bool>,
    #[serde(default)]
    max_concurrency: Option<u64>,
    #[serde(default)]
    session_start_limit: Option<bool>,
    #[serde(default)]
    session_starts: Option<u64>,
    /// Draws anew from here what strikes with a probability.
    #[serde(default)]
    seed: Option<u64>,
}

impl Change {
    fn apply_to_limits(&self, limits: &mut LimitSettings) {
        limits.enabled = self.rate_limits.unwrap_or(limits.enabled);
        limits.routes = self.route_limits.unwrap_or(limits.routes);
        limits.long = self.long_limits.unwrap_or(limits.long);
        limits.global = self.global_limit.unwrap_or(limits.global);
        limits.global_per_second =
            self.global_requests_per_second.unwrap_or(limits.global_per_second);
        limits.invalid = self.invalid_limit.unwrap_or(limits.invalid);
        limits.invalid_requests = self.invalid_requests.unwrap_or(limits.invalid_requests);
        if let Some(window) = self.invalid_window_ms {
            limits.invalid_window = Duration::from_millis(window);
        }
    }
}

/// `PATCH /sim/v1/settings`: what is not named stays; new connections find the new values.
pub(super) async fn update(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let change: Change = read(&body)?;
    if change.heartbeat_interval_ms.is_some_and(|interval| interval < MIN_HEARTBEAT_MS) {
        let problem = format!("heartbeat_interval_ms must be {MIN_HEARTBEAT_MS} or more");
        return Err(ControlError::bad_request(problem));
    }
    if change.max_concurrency == Some(0) {
        return Err(ControlError::bad_request("max_concurrency must be 1 or more"));
    }
    shared.change_settings(|live| {
        change.apply_to_limits(&mut live.limits);
        if let Some(interval) = change.heartbeat_interval_ms {
            live.heartbeat_interval = Duration::from_millis(interval);
        }
    });
    if let Some(seed) = change.seed {
        shared.faults.reseed(seed);
    }
    if let Some(capacity) = change.log_capacity {
        shared.log.lock().unwrap_or_else(PoisonError::into_inner).set_capacity(capacity);
    }
    {
        let sessions = &mut shared.lock().sessions.settings;
        sessions.replay_capacity = change.replay_capacity.unwrap_or(sessions.replay_capacity);
        sessions.queue_capacity = change.queue_capacity.unwrap_or(sessions.queue_capacity);
        if let Some(window) = change.resume_window_ms {
            sessions.resume_window = Duration::from_millis(window);
        }
        sessions.full_member_lists = change.full_member_lists.unwrap_or(sessions.full_member_lists);
        let identifies = change.identify_limit.or(change.rate_limits);
        sessions.identify_limit = identifies.unwrap_or(sessions.identify_limit);
        sessions.max_concurrency = change.max_concurrency.unwrap_or(sessions.max_concurrency);
        let starts = change.session_start_limit.or(change.rate_limits);
        sessions.start_limit = starts.unwrap_or(sessions.start_limit);
        sessions.starts = change.session_starts.unwrap_or(sessions.starts);
    }
    Ok(Reply::json(&current(&shared)))
}
