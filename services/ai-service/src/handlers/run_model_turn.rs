use ery_proto::{
    ai::v1::{
        Finished, RunModelTurnRequest, RunModelTurnResponse, StopReason, ToolCall,
        run_model_turn_response::Kind,
    },
    common::v1,
};

use crate::{
    adapters::SteadyProvider,
    domain::conversation::{Stop, Usage},
    error::CallError,
};

use super::parse;

/// Answers a turn: its text as a delta, if there is any, then `finished`.
///
/// Nothing is sent before the answer is whole. A stream that breaks off is asked for again, and
/// what it said first cannot be taken back; so the deltas are always exactly the text.
#[tracing::instrument(
    name = "ai.model_turn.run",
    skip_all,
    fields(
        task_thread.id = %request.thread_id,
        guild.id = request.guild_id,
        channel.id = request.channel_id,
    )
)]
pub(super) async fn answer(
    provider: &SteadyProvider,
    request: RunModelTurnRequest,
) -> Result<Vec<RunModelTurnResponse>, CallError> {
    let request = parse::turn_request(request)?;
    let answer = provider.ask(&request).await.map_err(CallError::Turn).inspect_err(|error| {
        tracing::warn!(provider = provider.name(), error = %error, "a model turn was not answered");
    })?;
    let mut responses = Vec::with_capacity(2);
    if !answer.text.is_empty() {
        responses.push(Kind::TextDelta(answer.text.clone()));
    }
    responses.push(Kind::Finished(Finished {
        text: answer.text,
        tool_calls: answer
            .calls
            .into_iter()
            .map(|call| ToolCall { call_id: call.id, tool: call.tool, arguments: call.arguments })
            .collect(),
        stop_reason: stop_reason(answer.stop).into(),
        usage: Some(usage(answer.usage)),
        provider: provider.name().to_owned(),
        model: if answer.model.is_empty() { provider.model().to_owned() } else { answer.model },
        provider_request_id: answer.provider_request_id,
    }));
    Ok(responses.into_iter().map(|kind| RunModelTurnResponse { kind: Some(kind) }).collect())
}

fn stop_reason(stop: Stop) -> StopReason {
    match stop {
        Stop::Done => StopReason::Done,
        Stop::ToolCalls => StopReason::ToolCalls,
        Stop::Length => StopReason::Length,
        Stop::Refused => StopReason::Refused,
    }
}

fn usage(usage: Usage) -> v1::Usage {
    v1::Usage {
        prompt_tokens: usage.prompt,
        completion_tokens: usage.completion,
        cached_tokens: usage.cached,
    }
}
