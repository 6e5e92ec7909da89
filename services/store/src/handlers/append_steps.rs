use ery_proto::store::v1::{AppendStepsRequest, AppendStepsResponse};

use super::{parse, render};
use crate::{adapters::write_threads, domain::Step, error::StoreError, service::Inner};

#[tracing::instrument(name = "store.step.append", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: AppendStepsRequest,
) -> Result<AppendStepsResponse, StoreError> {
    let fence = parse::fence(request.fence)?;
    let thread = parse::thread_id("thread_id", &request.thread_id)?;
    parse::bounded("steps", &request.steps)?;
    let steps: Vec<Step> = request
        .steps
        .into_iter()
        .map(parse::step)
        .collect::<Result<_, _>>()
        .map_err(|invalid| invalid.within("steps"))?;
    let shard = store.shards.of(fence.channel.home).await?;
    let changes = shard
        .write(move |connection| write_threads::append_steps(connection, &fence, thread, &steps))
        .await?;
    Ok(AppendStepsResponse { changes: render::changes(changes) })
}
