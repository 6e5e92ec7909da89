use std::cmp::Reverse;

use ery_proto::store::v1::{ListThreadsRequest, ListThreadsResponse};

use super::{render, scope};
use crate::{adapters::read, error::StoreError, service::Inner};

#[tracing::instrument(name = "store.task_threads.list", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: ListThreadsRequest,
) -> Result<ListThreadsResponse, StoreError> {
    let scope = scope::parse(request.guild_id, request.channel_id)?;
    let limit = scope::limit(request.limit, store.settings.max_listed);
    let is_running_only = request.is_running_only;
    let mut threads = scope::read(store, scope, |_, readers| async move {
        read::threads(&readers, scope, is_running_only, limit).await
    })
    .await?;
    threads.sort_by_key(|thread| Reverse(thread.id));
    threads.truncate(limit as usize);
    Ok(ListThreadsResponse { threads: threads.into_iter().map(render::thread).collect() })
}
