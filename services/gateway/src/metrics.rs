use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge, Histogram},
};

/// Every metric of the gateway. The exporter appends units, and `_total` to counters.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    dispatches: Counter<u64>,
    publish_retries: Counter<u64>,
    publish_seconds: Histogram<f64>,
    in_flight: Gauge<u64>,
    sessions: Counter<u64>,
    disconnects: Counter<u64>,
    shards: Gauge<u64>,
    resume_saves: Counter<u64>,
    stalls: Counter<u64>,
}

/// What became of a dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DispatchOutcome {
    Published,
    /// It belongs to the session, or to no guild and no channel.
    Internal,
    TooLarge,
    Unreadable,
}

impl DispatchOutcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Internal => "internal",
            Self::TooLarge => "too_large",
            Self::Unreadable => "unreadable",
        }
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = global::meter("ery_gateway");
        let metrics = Self {
            dispatches: meter
                .u64_counter("ery_gateway_dispatches")
                .with_description("Dispatches received from Discord, by what became of them.")
                .build(),
            publish_retries: meter
                .u64_counter("ery_gateway_publish_retries")
                .with_description("Publishes that were refused or took too long, and are repeated.")
                .build(),
            publish_seconds: meter
                .f64_histogram("ery_gateway_publish")
                .with_unit("s")
                .with_description("From a dispatch's receipt until the bus acknowledged it.")
                .with_boundaries(vec![
                    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
                ])
                .build(),
            in_flight: meter
                .u64_gauge("ery_gateway_in_flight")
                .with_description("Dispatches on their way to the bus, by shard modulo 16.")
                .build(),
            sessions: meter
                .u64_counter("ery_gateway_sessions")
                .with_description("Sessions begun, by how: identified or resumed.")
                .build(),
            disconnects: meter
                .u64_counter("ery_gateway_disconnects")
                .with_description("Connections to Discord that ended, by reason.")
                .build(),
            shards: meter
                .u64_gauge("ery_gateway_shards")
                .with_description("Shards of this replica, by state: held or connected.")
                .build(),
            resume_saves: meter
                .u64_counter("ery_gateway_resume_saves")
                .with_description("Resume points saved, by outcome.")
                .build(),
            stalls: meter
                .u64_counter("ery_gateway_stalls")
                .with_description("Shards closed because the bus took nothing for too long.")
                .build(),
        };
        metrics.begin_at_zero();
        metrics
    }

    /// Shows what alerts and dashboards look for before it happens: of a counter that is first seen at
    /// one, Prometheus cannot tell that it rose.
    fn begin_at_zero(&self) {
        self.publish_retries.add(0, &[]);
        self.stalls.add(0, &[]);
        for outcome in ["saved", "failed"] {
            self.resume_saves.add(0, &[KeyValue::new("outcome", outcome)]);
        }
    }

    pub(crate) fn dispatch(&self, outcome: DispatchOutcome) {
        self.dispatches.add(1, &[KeyValue::new("outcome", outcome.as_str())]);
    }

    pub(crate) fn publish_retried(&self) {
        self.publish_retries.add(1, &[]);
    }

    pub(crate) fn published(&self, seconds: f64) {
        self.publish_seconds.record(seconds, &[]);
    }

    pub(crate) fn in_flight(&self, shard: u32, count: usize) {
        let slot = i64::from(shard % 16);
        self.in_flight
            .record(u64::try_from(count).unwrap_or(u64::MAX), &[KeyValue::new("slot", slot)]);
    }

    pub(crate) fn session(&self, how: &'static str) {
        self.sessions.add(1, &[KeyValue::new("how", how)]);
    }

    pub(crate) fn disconnect(&self, reason: &'static str) {
        self.disconnects.add(1, &[KeyValue::new("reason", reason)]);
    }

    pub(crate) fn shards(&self, held: u32, connected: u32) {
        self.shards.record(u64::from(held), &[KeyValue::new("state", "held")]);
        self.shards.record(u64::from(connected), &[KeyValue::new("state", "connected")]);
    }

    pub(crate) fn resume_point_saved(&self, is_saved: bool) {
        let outcome = if is_saved { "saved" } else { "failed" };
        self.resume_saves.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    pub(crate) fn stalled(&self) {
        self.stalls.add(1, &[]);
    }
}
