use ery_ids::Home;
use ery_proto::store::v1::{GetScheduledActionRequest, GetScheduledActionResponse};

use super::{parse, render};
use crate::{adapters::scheduled_actions, error::StoreError, service::Inner};

#[tracing::instrument(name = "store.scheduled_action.get", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: GetScheduledActionRequest,
) -> Result<GetScheduledActionResponse, StoreError> {
    let guild = parse::id("guild_id", request.guild_id)?;
    let action = parse::name("scheduled_action_id", request.scheduled_action_id)?;
    let shard = store.shards.of(Home::Guild(guild)).await?;
    let action = shard.read(scheduled_actions::get(shard.readers(), guild, &action)).await?;
    Ok(GetScheduledActionResponse { action: action.map(render::scheduled_action) })
}
