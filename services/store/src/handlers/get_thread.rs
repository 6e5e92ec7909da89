use ery_ids::TaskThreadId;
use ery_proto::store::v1::{GetThreadRequest, GetThreadResponse};

use super::{parse, render, scope};
use crate::{
    adapters::read::{self, Scope},
    domain::TaskThread,
    error::StoreError,
    service::Inner,
};

#[tracing::instrument(name = "store.task_thread.get", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: GetThreadRequest,
) -> Result<GetThreadResponse, StoreError> {
    let thread = parse::thread_id("thread_id", &request.thread_id)?;
    let scope = scope::parse(request.guild_id, request.channel_id)?;
    let found = find(store, scope, thread).await?;
    let found = found.ok_or(StoreError::ThreadNotFound { thread })?;
    Ok(GetThreadResponse { thread: Some(render::thread(found)) })
}

async fn find(
    store: &Inner,
    scope: Scope,
    thread: TaskThreadId,
) -> Result<Option<TaskThread>, StoreError> {
    let found = scope::read(store, scope, |_, readers| async move {
        Ok(read::thread(&readers, thread).await?.into_iter().collect())
    })
    .await?;
    // A shard is home to many guilds: another one's thread is not shown.
    Ok(found.into_iter().find(|found| match scope {
        Scope::Channel(channel) => found.channel == channel,
        Scope::Home(home) => found.channel.home == home,
        Scope::All => true,
    }))
}
