use ery_proto::store::v1::{ReopenThreadRequest, ReopenThreadResponse};

use super::{parse, render};
use crate::{
    adapters::{
        approvals::{self, Reopened},
        read,
    },
    error::StoreError,
    service::Inner,
};

#[tracing::instrument(name = "store.task_thread.reopen", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: ReopenThreadRequest,
) -> Result<ReopenThreadResponse, StoreError> {
    let fence = parse::fence(request.fence)?;
    let approval = parse::name("approval_id", request.approval_id)?;
    let shard = store.shards.of(fence.channel.home).await?;
    let now = store.clock.now();
    let reopened = shard
        .write(move |connection| approvals::reopen(connection, &fence, &approval, now))
        .await?;
    let thread = match reopened {
        // Older holders are shut out by now: what is read here stays so.
        Reopened::Runs(thread) => shard.read(read::thread(shard.readers(), thread)).await?,
        Reopened::Nothing => None,
    };
    Ok(ReopenThreadResponse { thread: thread.map(render::thread) })
}
