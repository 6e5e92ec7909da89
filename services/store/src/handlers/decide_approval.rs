use ery_ids::Home;
use ery_proto::store::v1::{ApprovalDecision, DecideApprovalRequest, DecideApprovalResponse};

use super::{
    parse::{self, Invalid},
    render,
};
use crate::{adapters::approvals, domain::approval::Click, error::StoreError, service::Inner};

#[tracing::instrument(name = "store.approval.decide", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: DecideApprovalRequest,
) -> Result<DecideApprovalResponse, StoreError> {
    let click = parse(request)?;
    let home = Home::Guild(click.guild);
    let shard = store.shards.of(home).await?;
    let now = store.clock.now();
    store.agenda.expect(store.shards.shard_of(home), now, now);
    let approval =
        shard.write(move |connection| approvals::decide(connection, &click, now)).await?;
    // Its thread is woken at once.
    store.agenda.add(store.shards.shard_of(home), now);
    Ok(DecideApprovalResponse { approval: approval.map(render::approval) })
}

fn parse(request: DecideApprovalRequest) -> Result<Click, Invalid> {
    let is_approved = match request.decision() {
        ApprovalDecision::Approved => true,
        ApprovalDecision::Rejected => false,
        ApprovalDecision::Unspecified | ApprovalDecision::Expired | ApprovalDecision::Void => {
            return Err(Invalid::new("decision", "is none that a person makes"));
        }
    };
    Ok(Click {
        guild: parse::id("guild_id", request.guild_id)?,
        approval: parse::name("approval_id", request.approval_id)?,
        is_approved,
        by: parse::id("by", request.by)?,
    })
}
