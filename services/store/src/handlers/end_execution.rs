use ery_clock::UnixMillis;
use ery_proto::store::v1::{EndExecutionRequest, EndExecutionResponse};

use super::parse::{self, Invalid};
use crate::{
    adapters::write_executions::{self, End},
    error::StoreError,
    service::Inner,
};

#[tracing::instrument(name = "store.execution.end", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: EndExecutionRequest,
) -> Result<EndExecutionResponse, StoreError> {
    let end = parse(request)?;
    let shard = store.shards.of(end.channel.home).await?;
    shard.write(move |connection| write_executions::end(connection, &end)).await?;
    Ok(EndExecutionResponse {})
}

fn parse(request: EndExecutionRequest) -> Result<End, Invalid> {
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
    })
}
