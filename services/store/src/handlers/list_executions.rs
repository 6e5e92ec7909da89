use std::cmp::Reverse;

use ery_proto::store::v1::{ListExecutionsRequest, ListExecutionsResponse};

use super::{parse, render, scope};
use crate::{
    adapters::read::{self, Scope},
    error::StoreError,
    service::Inner,
};

#[tracing::instrument(name = "store.executions.list", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: ListExecutionsRequest,
) -> Result<ListExecutionsResponse, StoreError> {
    let scope = scope::parse(request.guild_id, request.channel_id)?;
    let thread = match request.thread_id.as_str() {
        "" => None,
        thread => Some(parse::thread_id("thread_id", thread)?),
    };
    let before = match request.before_key {
        key if key.is_empty() => None,
        key => Some(parse::execution_key(key)?),
    };
    let limit = scope::limit(request.limit, store.settings.max_listed);
    let before = before.as_ref();
    let mut executions = scope::read(store, scope, |_, readers| async move {
        read::executions(&readers, scope, thread, before, limit).await
    })
    .await?;
    if let Scope::All = scope {
        // Each shard's are in order; between shards the time decides.
        executions.sort_by_key(|execution| Reverse(execution.opened_at));
    }
    executions.truncate(limit as usize);
    Ok(ListExecutionsResponse {
        executions: executions.into_iter().map(render::execution).collect(),
    })
}
