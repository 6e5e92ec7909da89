use std::sync::Arc;

use ery_clock::UnixMillis;
use ery_proto::store::v1::{self as proto, EndExecutionRequest, EndExecutionResponse};

use super::parse::{self, Invalid};
use crate::{
    adapters::write_executions::{self, End},
    domain::scheduled_action::Later,
    error::StoreError,
    ledger::Ledger,
    service::Inner,
};

#[tracing::instrument(name = "store.execution.end", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: EndExecutionRequest,
) -> Result<EndExecutionResponse, StoreError> {
    let end = parse(request, Arc::clone(&store.ledger))?;
    let home = end.channel.home;
    let due = end.later.as_ref().map(|later| later.due_at);
    let shard = store.shards.of(home).await?;
    let agenda = &store.agenda;
    if let Some(due) = due {
        agenda.expect(store.shards.shard_of(home), due, store.clock.now());
    }
    shard.write(move |connection| write_executions::end(connection, &end)).await?;
    if let Some(due) = due {
        agenda.add(store.shards.shard_of(home), due);
    }
    Ok(EndExecutionResponse {})
}

fn later(later: proto::Later) -> Result<Later, Invalid> {
    Ok(Later {
        id: parse::name("scheduled_action_id", later.scheduled_action_id)?,
        tool: parse::name("tool", later.tool)?,
        arguments: parse::text("arguments", later.arguments, parse::MAX_PAYLOAD_BYTES)?,
        due_at: UnixMillis(later.due_at_ms),
        is_expiry: later.is_expiry,
        bot: parse::id("bot_id", later.bot_id)?,
    })
}

fn parse(request: EndExecutionRequest, ledger: Arc<Ledger>) -> Result<End, Invalid> {
    let (fence, channel) = match request.fence {
        Some(fence) => {
            let fence = parse::fence(Some(fence))?;
            let channel = fence.channel;
            (Some(fence), channel)
        }
        None => (None, parse::channel(request.guild_id, request.channel_id)?),
    };
    let state = parse::execution_state(request.state)?;
    if !state.is_final() {
        return Err(Invalid::new("state", "is no end"));
    }
    let sent = request.sent.map(parse::message).transpose();
    let mut sent = sent.map_err(|invalid| invalid.within("sent"))?;
    if let Some(sent) = &mut sent {
        sent.is_own = true;
    }
    Ok(End {
        fence,
        channel,
        key: parse::execution_key(request.key)?,
        state,
        result: parse::text("result", request.result, parse::MAX_PAYLOAD_BYTES)?,
        rest_status: request.rest_status,
        closed_at: UnixMillis(request.closed_at_ms),
        sent,
        later: request.later.map(later).transpose().map_err(|invalid| invalid.within("later"))?,
        ledger,
    })
}
