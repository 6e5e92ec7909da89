use ery_ids::Home;
use ery_proto::store::v1::{CancelScheduledActionRequest, CancelScheduledActionResponse};

use super::{parse, render};
use crate::{adapters::scheduled_actions, error::StoreError, service::Inner};

#[tracing::instrument(name = "store.scheduled_action.cancel", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: CancelScheduledActionRequest,
) -> Result<CancelScheduledActionResponse, StoreError> {
    let guild = parse::id("guild_id", request.guild_id)?;
    let action = parse::name("scheduled_action_id", request.scheduled_action_id)?;
    let by = parse::optional_id("by", request.by)?;
    let shard = store.shards.of(Home::Guild(guild)).await?;
    let now = store.clock.now();
    let action = shard
        .write(move |connection| scheduled_actions::cancel(connection, guild, &action, by, now))
        .await?;
    Ok(CancelScheduledActionResponse { action: action.map(render::scheduled_action) })
}
