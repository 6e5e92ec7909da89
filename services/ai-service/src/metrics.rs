use std::time::Duration;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge, Histogram, UpDownCounter},
};

use ery_trace::{Timed, timed};

use crate::{
    adapters::{ProviderError, TurnError},
    domain::conversation::{Answer, Stop, Usage},
};

/// Every metric of the service. Labels come from closed sets: the names of providers and models are
/// those of the settings, never what a server calls itself. The exporter appends `_total` to counters.
///
/// What `OpenTelemetry`'s conventions for generative AI name has their name, with dots as underscores.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    turns: Counter<u64>,
    turn_duration: Timed,
    turns_running: UpDownCounter<i64>,
    attempts: Counter<u64>,
    operation_duration: Timed,
    tokens: Counter<u64>,
    token_usage: Histogram<u64>,
    cost: Counter<u64>,
    unpriced: Counter<u64>,
    fallbacks: Counter<u64>,
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
            turn_duration: timed(
                &meter,
                "ery_ai_model_turn_duration_seconds",
                "How long model turns took, with all attempts and waits.",
                vec![0.001, 0.01, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0],
            ),
            turns_running: meter
                .i64_up_down_counter("ery_ai_model_turns_running")
                .with_description("Model turns under way.")
                .build(),
            attempts: meter
                .u64_counter("ery_ai_provider_attempts")
                .with_description("Requests to providers by result.")
                .build(),
            operation_duration: timed(
                &meter,
                "gen_ai_client_operation_duration_seconds",
                "How long requests to providers took.",
                vec![
                    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48,
                    40.96, 81.92,
                ],
            ),
            tokens: meter
                .u64_counter("ery_ai_tokens")
                .with_description("Tokens by kind: prompt, cached, completion.")
                .build(),
            token_usage: meter
                .u64_histogram("gen_ai_client_token_usage")
                .with_description("Tokens of turns, input and output.")
                .with_boundaries((0..14).map(|power| 4_f64.powi(power)).collect())
                .build(),
            cost: meter
                .u64_counter("ery_ai_cost_micros")
                .with_description(
                    "What turns cost, in millionths of the currency, and whose key pays it.",
                )
                .build(),
            unpriced: meter
                .u64_counter("ery_ai_unpriced_turns")
                .with_description("Turns of models whose price is not known.")
                .build(),
            fallbacks: meter
                .u64_counter("ery_ai_fallbacks")
                .with_description(
                    "Turns that a provider did not answer and the next one was asked.",
                )
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

    pub(crate) fn turn_began(&self, provider: &str) -> RunningTurn {
        let provider = label(provider);
        self.turns_running.add(1, std::slice::from_ref(&provider));
        RunningTurn { metrics: self.clone(), provider, is_ended: false }
    }

    pub(crate) fn attempt(
        &self,
        provider: &str,
        model: &str,
        result: &Result<Answer, ProviderError>,
        took: Duration,
    ) {
        let kind = result.as_ref().map_or_else(ProviderError::kind, |_| "ok");
        self.attempts.add(1, &[label(provider), KeyValue::new("result", kind)]);
        let mut labels = operation(provider, model).to_vec();
        if result.is_err() {
            labels.push(KeyValue::new("error_type", kind));
        }
        self.operation_duration.record(took.as_secs_f64(), &labels);
    }

    /// Counts what a request used and cost.
    pub(crate) fn spent(
        &self,
        provider: &str,
        model: &str,
        usage: Usage,
        cost_micros: Option<u64>,
        is_on_guild_key: bool,
    ) {
        for (kind, count) in [("input", usage.prompt), ("output", usage.completion)] {
            let mut labels = operation(provider, model).to_vec();
            labels.push(KeyValue::new("gen_ai_token_type", kind));
            self.token_usage.record(count, &labels);
        }
        for (kind, count) in
            [("prompt", usage.prompt), ("cached", usage.cached), ("completion", usage.completion)]
        {
            self.tokens.add(count, &[label(provider), KeyValue::new("kind", kind)]);
        }
        let labels = [label(provider), KeyValue::new("model", model.to_owned())];
        match cost_micros {
            Some(cost) => {
                let paid_by = if is_on_guild_key { "guild" } else { "operator" };
                let [provider, model] = labels;
                self.cost.add(cost, &[provider, model, KeyValue::new("paid_by", paid_by)]);
            }
            None => self.unpriced.add(1, &labels),
        }
    }

    pub(crate) fn fell_back(&self, provider: &str) {
        self.fallbacks.add(1, &[label(provider)]);
    }

    pub(crate) fn breaker(&self, provider: &str, is_open: bool) {
        self.breaker_open.record(u64::from(is_open), &[label(provider)]);
    }

    pub(crate) fn breaker_waiting(&self, provider: &str, change: i64) {
        self.breaker_waiting.add(change, &[label(provider)]);
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

fn label(provider: &str) -> KeyValue {
    KeyValue::new("provider", provider.to_owned())
}

/// The labels of the conventions for generative AI.
fn operation(provider: &str, model: &str) -> [KeyValue; 3] {
    [
        KeyValue::new("gen_ai_operation_name", "chat"),
        KeyValue::new("gen_ai_provider_name", provider.to_owned()),
        KeyValue::new("gen_ai_request_model", model.to_owned()),
    ]
}
