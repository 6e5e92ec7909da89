use std::{pin::Pin, sync::Arc, time::Duration};

use futures::{
    future::BoxFuture,
    stream::{self, BoxStream, StreamExt},
};
use tokio::{sync::mpsc, time::Instant};
use tonic::Status;
use tracing::Instrument;

use ery_proto::{
    ai::v1::{
        Finished, Restarted, RunModelTurnRequest, RunModelTurnResponse, SpentInVain, StopReason,
        ToolCall, run_model_turn_response::Kind,
    },
    common::v1,
};

use crate::{
    adapters::{Answered, Attachments, Chain, Delta, Deltas, Spent},
    domain::{
        conversation::{self, Stop, TurnRequest, Usage},
        prompts::Prompts,
    },
    error::CallError,
};

use super::parse;

/// A turn that can be asked.
pub(super) struct Turn {
    request: TurnRequest,
    prompt_version: String,
    wants_deltas: bool,
}

/// Parses a turn, and puts the prompt that it names before its own instructions.
pub(super) fn parse(prompts: &Prompts, request: RunModelTurnRequest) -> Result<Turn, CallError> {
    let mut instructions = request.instructions.clone();
    let mut prompt_version = String::new();
    if !request.prompt.is_empty() {
        let prompt = prompts.get(&request.prompt).ok_or(CallError::Prompt)?;
        let mut filled = prompt.fill(&request.bot_name, request.is_direct_message);
        if !instructions.is_empty() {
            filled.push_str("\n\n");
            filled.push_str(&instructions);
        }
        (instructions, prompt_version) = (filled, prompt.version.clone());
    }
    let wants_deltas = request.wants_deltas;
    let request = parse::turn_request(request, instructions)?;
    Ok(Turn { request, prompt_version, wants_deltas })
}

/// A turn under way that is told piece by piece.
struct Growing {
    told: mpsc::UnboundedReceiver<Delta>,
    /// `None` once it has ended.
    asking: Option<BoxFuture<'static, Result<Finished, CallError>>>,
    /// How it ended, until all that was told before has been passed on.
    end: Option<Result<Finished, CallError>>,
    wants_deltas: bool,
}

/// Answers a turn: its text as it is written where that is wanted, else as one delta once the
/// answer is whole; then `finished`. What attempts cost that bring nothing is told at once.
///
/// The caller waits no longer than `within`. Whoever drops the stream ends the provider's stream with it.
pub(super) fn answer(
    providers: Arc<Chain>,
    attachments: Option<Arc<Attachments>>,
    mut turn: Turn,
    within: Option<Duration>,
) -> BoxStream<'static, Result<RunModelTurnResponse, Status>> {
    let wants_deltas = turn.wants_deltas;
    let (deltas, told) = Deltas::listened_to(wants_deltas);
    // The stream itself drives the turn: nobody asks on for a caller that went away.
    let begun = Instant::now();
    let asking = async move {
        match attachments {
            Some(attachments) => attachments.fetch(&mut turn.request, providers.shown()).await,
            None => turn.request.turns.retain(|turn| !matches!(turn, conversation::Turn::Files(_))),
        }
        let within = within.map(|within| within.saturating_sub(begun.elapsed()));
        ask(&providers, &turn, &deltas, within).await
    };
    let asking: Pin<Box<_>> = Box::pin(asking.in_current_span());
    let growing = Growing { told, asking: Some(asking), end: None, wants_deltas };
    stream::unfold(growing, |mut growing| async {
        loop {
            let Some(asking) = &mut growing.asking else {
                if let Ok(delta) = growing.told.try_recv() {
                    return Some((Ok(response(of_delta(delta))), growing));
                }
                let end = growing.end.take()?;
                if let (Ok(finished), false) =
                    (&end, std::mem::replace(&mut growing.wants_deltas, true))
                    && !finished.text.is_empty()
                {
                    let text = response(Kind::TextDelta(finished.text.clone()));
                    growing.end = Some(end);
                    return Some((Ok(text), growing));
                }
                let end = end.map(|finished| response(Kind::Finished(finished)));
                return Some((end.map_err(Status::from), growing));
            };
            tokio::select! {
                biased;
                Some(delta) = growing.told.recv() => {
                    return Some((Ok(response(of_delta(delta))), growing));
                }
                end = asking => {
                    growing.end = Some(end);
                    growing.asking = None;
                }
            }
        }
    })
    .boxed()
}

async fn ask(
    providers: &Chain,
    turn: &Turn,
    deltas: &Deltas,
    within: Option<Duration>,
) -> Result<Finished, CallError> {
    let answered = providers.ask(&turn.request, deltas, within).await.map_err(CallError::Turn);
    let answered = answered.inspect_err(|error| {
        tracing::warn!(error = %error, "a model turn was not answered");
    })?;
    Ok(finished(answered, turn.prompt_version.clone()))
}

fn finished(answered: Answered<'_>, prompt_version: String) -> Finished {
    let Answered { answer, provider, model, cost_micros, spent } = answered;
    Finished {
        text: answer.text,
        tool_calls: answer
            .calls
            .into_iter()
            .map(|call| ToolCall {
                call_id: call.id,
                tool: call.tool,
                arguments: call.arguments,
                signature: call.signature,
            })
            .collect(),
        stop_reason: stop_reason(answer.stop).into(),
        usage: Some(usage(answer.usage)),
        provider: provider.to_owned(),
        model: if answer.model.is_empty() { model.to_owned() } else { answer.model },
        provider_request_id: answer.provider_request_id,
        cost_micros,
        prompt_version,
        spent: spent.into_iter().map(Into::into).collect(),
    }
}

impl From<Spent> for v1::Spent {
    fn from(spent: Spent) -> Self {
        Self {
            provider: spent.provider,
            model: spent.model,
            usage: Some(usage(spent.usage)),
            cost_micros: spent.cost_micros,
            is_assumed: spent.is_assumed,
            is_in_vain: spent.is_in_vain,
            is_estimate: spent.is_estimate,
            is_on_guild_key: spent.is_on_guild_key,
        }
    }
}

fn of_delta(delta: Delta) -> Kind {
    match delta {
        Delta::Text(text) => Kind::TextDelta(text),
        Delta::Restarted => Kind::Restarted(Restarted {}),
        Delta::SpentInVain(spent) => {
            Kind::SpentInVain(SpentInVain { spent: vec![spent.into()], ..SpentInVain::default() })
        }
    }
}

fn response(kind: Kind) -> RunModelTurnResponse {
    RunModelTurnResponse { kind: Some(kind) }
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
