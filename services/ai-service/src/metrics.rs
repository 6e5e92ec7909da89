use std::time::Duration;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge, Histogram, UpDownCounter},
};

use crate::{
    adapters::{ProviderError, TurnError},
    domain::conversation::{Answer, Stop},
};

/// Every metric of the service. Labels come from closed sets: never a model's name, never an id.
/// The exporter appends `_total` to counters.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    turns: Counter<u64>,
    turn_duration: Histogram<f64>,
    turns_running: UpDownCounter<i64>,
    attempts: Counter<u64>,
    tokens: Counter<u64>,
    breaker_open: Gauge<u64>,
    breaker_waiting: UpDownCounter<i64>,
    orders: Counter<u64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = global::meter("ery-ai-service");
        Self {
            turns: meter
                .u64_counter("ery_ai_model_turns")
                .with_description("Model turns by provider and outcome.")
                .build(),
            turn_duration: meter
                .f64_histogram("ery_ai_model_turn_duration_seconds")
                .with_description("How long model turns took, with all attempts and waits.")
                .with_boundaries(vec![
                    0.001, 0.01, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
                ])
                .build(),
            turns_running: meter
                .i64_up_down_counter("ery_ai_model_turns_running")
                .with_description("Model turns under way.")
                .build(),
            attempts: meter
                .u64_counter("ery_ai_provider_attempts")
                .with_description("Requests to providers by result.")
                .build(),
            tokens: meter
                .u64_counter("ery_ai_tokens")
                .with_description("Tokens by kind: prompt, cached, completion.")
                .build(),
            breaker_open: meter
                .u64_gauge("ery_ai_breaker_open")
                .with_description("1 while the provider's circuit breaker is open or half open.")
                .build(),
            breaker_waiting: meter
                .i64_up_down_counter("ery_ai_breaker_waiting")
                .with_description("Model turns that wait for a trial of an open breaker.")
                .build(),
            orders: meter
                .u64_counter("ery_ai_orders")
                .with_description("Orders read from messages, by who read them.")
                .build(),
        }
    }

    pub(crate) fn turn_began(&self, provider: &'static str) -> RunningTurn {
        let provider = KeyValue::new("provider", provider);
        self.turns_running.add(1, std::slice::from_ref(&provider));
        RunningTurn { metrics: self.clone(), provider, is_ended: false }
    }

    pub(crate) fn attempt(&self, provider: &'static str, result: &Result<Answer, ProviderError>) {
        let result = result.as_ref().map_or_else(ProviderError::kind, |_| "ok");
        let labels = [KeyValue::new("provider", provider), KeyValue::new("result", result)];
        self.attempts.add(1, &labels);
    }

    pub(crate) fn breaker(&self, provider: &'static str, is_open: bool) {
        self.breaker_open.record(u64::from(is_open), &[KeyValue::new("provider", provider)]);
    }

    pub(crate) fn breaker_waiting(&self, provider: &'static str, change: i64) {
        self.breaker_waiting.add(change, &[KeyValue::new("provider", provider)]);
    }

    pub(crate) fn orders(&self, read_by: &'static str, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.orders.add(count, &[KeyValue::new("read_by", read_by)]);
    }
}

/// A turn under way; one that is dropped counts as cancelled.
pub(crate) struct RunningTurn {
    metrics: Metrics,
    provider: KeyValue,
    is_ended: bool,
}

impl RunningTurn {
    pub(crate) fn ended(mut self, answered: &Result<Answer, TurnError>, took: Duration) {
        let outcome = match answered {
            Ok(answer) => match answer.stop {
                Stop::Done => "done",
                Stop::ToolCalls => "tool_calls",
                Stop::Length => "length",
                Stop::Refused => "refused",
            },
            Err(TurnError::Final(_)) => "final_error",
            Err(TurnError::Exhausted { .. }) => "exhausted",
            Err(TurnError::BreakerOpen { .. }) => "breaker_open",
            Err(TurnError::QuietAsked { .. }) => "quiet_asked",
            Err(TurnError::OutOfTime { .. }) => "out_of_time",
        };
        self.count(outcome);
        let provider = std::slice::from_ref(&self.provider);
        self.metrics.turn_duration.record(took.as_secs_f64(), provider);
        if let Ok(answer) = answered {
            for (kind, count) in [
                ("prompt", answer.usage.prompt),
                ("cached", answer.usage.cached),
                ("completion", answer.usage.completion),
            ] {
                let labels = [self.provider.clone(), KeyValue::new("kind", kind)];
                self.metrics.tokens.add(count, &labels);
            }
        }
    }

    fn count(&mut self, outcome: &'static str) {
        self.is_ended = true;
        self.metrics.turns_running.add(-1, std::slice::from_ref(&self.provider));
        let labels = [self.provider.clone(), KeyValue::new("outcome", outcome)];
        self.metrics.turns.add(1, &labels);
    }
}

impl Drop for RunningTurn {
    fn drop(&mut self) {
        if !self.is_ended {
            self.count("cancelled");
        }
    }
}
