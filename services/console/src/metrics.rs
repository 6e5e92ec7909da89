use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram},
};

/// Every metric of the service. Labels come from closed sets, never an id.
/// The exporter appends `_total` to counters.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    requests: Counter<u64>,
    calls: Counter<u64>,
    call_duration: Histogram<f64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = global::meter("ery-console");
        Self {
            requests: meter
                .u64_counter("ery_console_mcp_requests")
                .with_description("HTTP requests of MCP clients by how they were let in.")
                .build(),
            calls: meter
                .u64_counter("ery_console_mcp_calls")
                .with_description("Tool calls of MCP clients by outcome.")
                .build(),
            call_duration: meter
                .f64_histogram("ery_console_mcp_call_duration_seconds")
                .with_description("How long tool calls of MCP clients took.")
                .with_boundaries(vec![0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
                .build(),
        }
    }

    /// Counts a request: `admitted`, `unauthorized`, `limited` or `unavailable`.
    pub(crate) fn request(&self, admission: &'static str) {
        self.requests.add(1, &[KeyValue::new("admission", admission)]);
    }

    /// Counts a tool call.
    pub(crate) fn call(&self, outcome: &'static str, seconds: f64) {
        self.calls.add(1, &[KeyValue::new("outcome", outcome)]);
        self.call_duration.record(seconds, &[]);
    }
}
