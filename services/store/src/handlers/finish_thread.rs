use ery_clock::UnixMillis;
use ery_proto::store::v1::{FinishThreadRequest, FinishThreadResponse};

use super::parse::{self, Invalid};
use crate::{
    adapters::{
        usage,
        write_threads::{self, Finish},
    },
    domain::usage::Windows,
    error::StoreError,
    service::Inner,
};

#[tracing::instrument(name = "store.task_thread.finish", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: FinishThreadRequest,
) -> Result<FinishThreadResponse, StoreError> {
    let finish = parse(request)?;
    let home = finish.fence.channel.home;
    let has_bill = finish.step.as_ref().is_some_and(|step| !step.bill.is_empty());
    let shard = store.shards.of(home).await?;
    let windows = Windows::at(store.clock.now());
    let in_file = shard
        .write(move |connection| {
            write_threads::finish(connection, &finish)?;
            if has_bill { usage::of_file(connection, windows).map(Some) } else { Ok(None) }
        })
        .await?;
    if let Some(in_file) = in_file {
        store.totals.note(store.shards.shard_of(home), windows, in_file);
    }
    Ok(FinishThreadResponse {})
}

fn parse(request: FinishThreadRequest) -> Result<Finish, Invalid> {
    let state = request.state.as_ref().map(parse::channel_state).transpose();
    let step = request.step.map(parse::step).transpose();
    parse::bounded("tasks", &request.tasks)?;
    let tasks = request.tasks.into_iter().map(parse::dead_task).collect::<Result<_, _>>();
    Ok(Finish {
        fence: parse::fence(request.fence)?,
        thread: parse::thread_id("thread_id", &request.thread_id)?,
        outcome: parse::outcome(request.outcome)?,
        detail: parse::text("detail", request.detail, parse::MAX_TEXT_BYTES)?,
        finished: parse::trigger_ids("finished_trigger_ids", request.finished_trigger_ids)?,
        state: state.map_err(|invalid| invalid.within("state"))?,
        usage: parse::usage(request.usage),
        at: UnixMillis(request.at_ms),
        step: step.map_err(|invalid| invalid.within("step"))?,
        tasks: tasks.map_err(|invalid| invalid.within("tasks"))?,
    })
}
