//! The span of one request to a provider. Nothing of what is said stands in it.
//!
//! Source: OpenTelemetry's semantic conventions for generative AI, spans of clients.

use tracing::{Span, field::Empty};

use crate::domain::conversation::{Answer, Stop};

use super::ProviderError;

/// Makes it; none where the turn is not traced.
pub(super) fn attempt(provider: &str, model: &str, attempt: u32) -> Span {
    ery_trace::within(|| {
        tracing::info_span!(
            "ai.provider.ask",
            otel.name = format!("chat {model}"),
            otel.kind = "client",
            otel.status_code = Empty,
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = provider,
            gen_ai.request.model = model,
            gen_ai.response.model = Empty,
            gen_ai.response.id = Empty,
            gen_ai.response.finish_reasons = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            gen_ai.usage.cache_read.input_tokens = Empty,
            error.type = Empty,
            attempt,
        )
    })
}

/// Notes how it ended.
pub(super) fn ended(span: &Span, result: &Result<Answer, ProviderError>) {
    let answer = match result {
        Ok(answer) => answer,
        Err(error) => {
            span.record("error.type", error.kind());
            span.record("otel.status_code", "ERROR");
            return;
        }
    };
    span.record("gen_ai.usage.input_tokens", answer.usage.prompt);
    span.record("gen_ai.usage.output_tokens", answer.usage.completion);
    span.record("gen_ai.usage.cache_read.input_tokens", answer.usage.cached);
    span.record("gen_ai.response.finish_reasons", finish_reason(answer.stop));
    for (field, text) in [
        ("gen_ai.response.model", &answer.model),
        ("gen_ai.response.id", &answer.provider_request_id),
    ] {
        if !text.is_empty() {
            span.record(field, text.as_str());
        }
    }
}

fn finish_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::Done => "stop",
        Stop::ToolCalls => "tool_calls",
        Stop::Length => "length",
        Stop::Refused => "content_filter",
    }
}
