use ery_ids::Home;
use ery_proto::store::v1::{GetApprovalRequest, GetApprovalResponse};

use super::{parse, render};
use crate::{adapters::approvals, error::StoreError, service::Inner};

#[tracing::instrument(name = "store.approval.get", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: GetApprovalRequest,
) -> Result<GetApprovalResponse, StoreError> {
    let guild = parse::id("guild_id", request.guild_id)?;
    let message = parse::optional_id("message_id", request.message_id)?;
    let shard = store.shards.of(Home::Guild(guild)).await?;
    let approval = if let Some(message) = message.filter(|_| request.approval_id.is_empty()) {
        shard.read(approvals::shown_by(shard.readers(), guild, message)).await?
    } else {
        let approval = parse::name("approval_id", request.approval_id)?;
        shard.read(approvals::get(shard.readers(), guild, &approval)).await?
    };
    Ok(GetApprovalResponse { approval: approval.map(render::approval) })
}
