use ery_proto::store::v1::{GetDeadLetterRequest, GetDeadLetterResponse};

use super::{parse, render};
use crate::{adapters::dead_letters, error::StoreError, service::Inner};

#[tracing::instrument(name = "store.dead_letter.get", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: GetDeadLetterRequest,
) -> Result<GetDeadLetterResponse, StoreError> {
    let id = parse::dead_letter_id("id", &request.id)?;
    let unknown = || StoreError::DeadLetterUnknown { id: id.to_string() };
    let shard = store.shards.if_existing(id.shard).await?.ok_or_else(unknown)?;
    let letter = shard.read(dead_letters::get(shard.readers(), id)).await?.ok_or_else(unknown)?;
    Ok(GetDeadLetterResponse { dead_letter: Some(render::dead_letter(letter)) })
}
