use ery_proto::store::v1::{AppendStepsRequest, AppendStepsResponse};

use super::{parse, render};
use crate::{
    adapters::write_threads::{self, Appended},
    domain::Step,
    error::StoreError,
    service::Inner,
};

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
    let home = fence.channel.home;
    let shard = store.shards.of(home).await?;
    let now = store.clock.now();
    let Appended { changes, spending, in_file } = shard
        .write(move |connection| {
            write_threads::append_steps(connection, &fence, thread, &steps, now)
        })
        .await?;
    if let Some(spending) = &spending {
        store.totals.note(store.shards.shard_of(home), spending.windows, in_file);
    }
    Ok(AppendStepsResponse {
        changes: render::changes(changes),
        spending: spending.as_ref().map(render::spending),
    })
}
