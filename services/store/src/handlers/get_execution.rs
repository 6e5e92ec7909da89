use ery_proto::store::v1::{GetExecutionRequest, GetExecutionResponse};

use super::{parse, render};
use crate::{adapters::read, error::StoreError, service::Inner};

#[tracing::instrument(name = "store.execution.get", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: GetExecutionRequest,
) -> Result<GetExecutionResponse, StoreError> {
    let channel = parse::channel(request.guild_id, request.channel_id)?;
    let key = parse::execution_key(request.key)?;
    let Some(shard) = store.shards.existing(channel.home).await? else {
        return Ok(GetExecutionResponse::default());
    };
    let execution = shard.read(read::execution(shard.readers(), &key)).await?;
    let execution = execution.filter(|execution| execution.channel == channel);
    Ok(GetExecutionResponse { execution: execution.map(render::execution) })
}
