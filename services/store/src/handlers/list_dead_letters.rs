use std::cmp::Reverse;

use ery_proto::store::v1::{ListDeadLettersRequest, ListDeadLettersResponse};

use super::{render, scope};
use crate::{
    adapters::{dead_letters, read::Scope},
    error::StoreError,
    service::Inner,
};

#[tracing::instrument(name = "store.dead_letters.list", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: ListDeadLettersRequest,
) -> Result<ListDeadLettersResponse, StoreError> {
    let scope = scope::parse(request.guild_id, request.channel_id)?;
    let limit = scope::limit(request.limit, store.settings.max_listed);
    let is_retryable_only = request.is_retryable_only;
    let mut letters = scope::read(store, scope, |shard, readers| async move {
        dead_letters::list(&readers, shard, scope, is_retryable_only, limit).await
    })
    .await?;
    if let Scope::All = scope {
        letters.sort_by_key(|letter| Reverse(letter.at));
    }
    letters.truncate(limit as usize);
    Ok(ListDeadLettersResponse {
        dead_letters: letters.into_iter().map(render::dead_letter).collect(),
    })
}
