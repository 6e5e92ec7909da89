//! The span of a tool call.
//!
//! Source: OpenTelemetry's semantic conventions for generative AI, execution of tools.

use tracing::{Span, field::Empty};

use super::Ask;

/// Makes the span of a tool call; none where nothing is traced.
pub(super) fn call(tool: &'static str, ask: &Ask) -> Span {
    ery_trace::within(|| {
        tracing::info_span!(
            "tool.call.run",
            otel.name = format!("execute_tool {tool}"),
            otel.status_code = Empty,
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = tool,
            guild.id = ask.guild_raw(),
            channel.id = ask.here.get(),
            execution.key = ask.key,
            outcome = Empty,
        )
    })
}

/// Notes in the span at hand how the call ended.
pub(super) fn called(outcome: &'static str, is_answered: bool) {
    let span = Span::current();
    span.record("outcome", outcome);
    if !is_answered {
        span.record("otel.status_code", "ERROR");
    }
}
