//! Every metric of the service. Labels come from small closed sets.

use std::sync::LazyLock;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram, Meter},
};

use ery_trace::{Timed, timed};

struct Metrics {
    calls: Counter<u64>,
    call_seconds: Timed,
    decision_seconds: Histogram<f64>,
    denials: Counter<u64>,
    requests: Counter<u64>,
    rate_limited: Counter<u64>,
    invalid_requests: Counter<u64>,
    recovered: Counter<u64>,
    guild_loads: Counter<u64>,
    member_loads: Counter<u64>,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    let meter = global::meter("ery-tool-service");
    Metrics {
        calls: counter(&meter, "ery_tool_calls", "Tool calls by tool and outcome"),
        call_seconds: timed(
            &meter,
            "ery_tool_call_seconds",
            "How long tool calls took, from the call to its answer",
            vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0],
        ),
        decision_seconds: meter
            .f64_histogram("ery_tool_decision_seconds")
            .with_description(
                "How long decisions took, from what is asked to whether it is allowed",
            )
            .with_boundaries(vec![
                0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.01, 0.1, 1.0,
            ])
            .build(),
        denials: counter(&meter, "ery_tool_denials", "Calls that were not allowed, by reason"),
        requests: counter(
            &meter,
            "ery_tool_discord_requests",
            "Requests to Discord by method, status class and outcome",
        ),
        rate_limited: counter(&meter, "ery_tool_rate_limited", "Answers of Discord's with 429"),
        invalid_requests: counter(
            &meter,
            "ery_tool_invalid_requests",
            "Requests that Discord counts as invalid, by status",
        ),
        recovered: counter(
            &meter,
            "ery_tool_recovered_executions",
            "Executions found open, by how they were settled",
        ),
        guild_loads: counter(&meter, "ery_tool_guild_loads", "Guilds read by REST"),
        member_loads: counter(&meter, "ery_tool_member_loads", "Members read by REST"),
    }
});

fn counter(meter: &Meter, name: &'static str, description: &'static str) -> Counter<u64> {
    meter.u64_counter(name).with_description(description).build()
}

/// Shows what alerts and dashboards look for before it happens: of a counter that is first seen at
/// one, Prometheus cannot tell that it rose.
pub(crate) fn begin_at_zero() {
    for counter in [&METRICS.rate_limited, &METRICS.guild_loads, &METRICS.member_loads] {
        counter.add(0, &[]);
    }
    for how in ["repeated", "looked_up", "in_doubt"] {
        METRICS.recovered.add(0, &[KeyValue::new("how", how)]);
    }
    for status in [401, 403, 429] {
        METRICS.invalid_requests.add(0, &[KeyValue::new("status", i64::from(status))]);
    }
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        METRICS.requests.add(0, &request_labels(method, 0, "unauthorized"));
    }
}

pub(crate) fn call(tool: &'static str, outcome: &'static str, seconds: f64) {
    let labels = [KeyValue::new("tool", tool), KeyValue::new("outcome", outcome)];
    METRICS.calls.add(1, &labels);
    METRICS.call_seconds.record(seconds, &labels[..1]);
}

/// Counts a decision; `is_known`: on what events told, with nothing read anew for it.
pub(crate) fn decided(is_known: bool, seconds: f64) {
    let state = if is_known { "known" } else { "read_anew" };
    METRICS.decision_seconds.record(seconds, &[KeyValue::new("state", state)]);
}

pub(crate) fn denied(reason: &'static str) {
    METRICS.denials.add(1, &[KeyValue::new("reason", reason)]);
}

pub(crate) fn request(method: &'static str, status: u16, outcome: &'static str) {
    METRICS.requests.add(1, &request_labels(method, status, outcome));
}

fn request_labels(method: &'static str, status: u16, outcome: &'static str) -> [KeyValue; 3] {
    let class = match status {
        200..=299 => "2xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "none",
    };
    [
        KeyValue::new("method", method),
        KeyValue::new("status", class),
        KeyValue::new("outcome", outcome),
    ]
}

pub(crate) fn rate_limited() {
    METRICS.rate_limited.add(1, &[]);
}

pub(crate) fn invalid_request(status: u16) {
    METRICS.invalid_requests.add(1, &[KeyValue::new("status", i64::from(status))]);
}

pub(crate) fn recovered(how: &'static str) {
    METRICS.recovered.add(1, &[KeyValue::new("how", how)]);
}

pub(crate) fn guild_loaded() {
    METRICS.guild_loads.add(1, &[]);
}

pub(crate) fn member_loaded() {
    METRICS.member_loads.add(1, &[]);
}
