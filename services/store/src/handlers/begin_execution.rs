use ery_proto::store::v1::{BeginExecutionRequest, BeginExecutionResponse};

use super::{
    parse::{self, Invalid},
    render,
};
use crate::{
    adapters::{read, write_executions},
    domain::{Decision, ExecutionState},
    error::StoreError,
    service::Inner,
};

/// How long the hash of an order may be.
const MAX_ORDER_HASH: usize = 64;

#[tracing::instrument(name = "store.execution.begin", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: BeginExecutionRequest,
) -> Result<BeginExecutionResponse, StoreError> {
    let fence = match request.fence {
        Some(fence) => Some(parse::fence(Some(fence))?),
        None => None,
    };
    let execution = parse::required("execution", request.execution)?;
    let execution = parse::execution(execution, fence.as_ref())
        .map_err(|invalid| invalid.within("execution"))?;
    let approval = request
        .approval
        .map(|approval| parse::new_approval(approval, &execution))
        .transpose()
        .map_err(|invalid| invalid.within("approval"))?;
    let proposes =
        execution.decision == Decision::NeedsApproval && execution.state == ExecutionState::Open;
    if proposes != approval.is_some() {
        return Err(Invalid::new("approval", "belongs to an open execution that needs one").into());
    }
    let settling = request
        .settling
        .map(|settling| parse::settling(settling, &execution))
        .transpose()
        .map_err(|invalid| invalid.within("settling"))?;
    let shard = store.shards.of(execution.channel.home).await?;
    let expires_at = approval.as_ref().map(|approval| approval.expires_at);
    let settle_at = settling.as_ref().map(|settling| settling.due_at);
    let (asked, tells_others) = (execution.clone(), request.tells_others);
    parse::bounded("limits", &request.limits)?;
    let limits = request.limits.into_iter().map(parse::act_limit).collect::<Result<_, _>>();
    let limits = limits.map_err(|invalid| invalid.within("limits"))?;
    let order_limit = request.order_limit.map(parse::act_limit).transpose();
    let order_limit = order_limit.map_err(|invalid| invalid.within("order_limit"))?;
    let order = parse::text("order_hash", request.order_hash, MAX_ORDER_HASH)?;
    let slow = request.slow_mode.map(parse::slow_mode).transpose();
    let slow = slow.map_err(|invalid| invalid.within("slow_mode"))?;
    let opening = write_executions::Opening {
        approval,
        settling,
        weight: request.weight,
        limits,
        order,
        order_limit,
        slow,
    };
    for due in [expires_at, settle_at].into_iter().flatten() {
        store.agenda.expect(store.shards.shard_of(asked.channel.home), due, store.clock.now());
    }
    let opened = shard
        .write(move |connection| {
            let opened = write_executions::begin(connection, fence.as_ref(), &execution, &opening)?;
            if tells_others || !opened.is_new {
                write_executions::told(connection, &execution, tells_others)?;
            }
            Ok(opened)
        })
        .await?;
    for due in [expires_at, settle_at].into_iter().flatten() {
        store.agenda.add(store.shards.shard_of(asked.channel.home), due);
    }
    let execution = if opened.is_new {
        opened.past.map_or_else(|| asked.clone(), |limit| limit.denied(&asked))
    } else {
        let stands = shard.read(read::execution(shard.readers(), &asked.key)).await?;
        stands
            .filter(|stands| stands.channel == asked.channel)
            .ok_or(StoreError::ExecutionUnknown { key: asked.key, channel: asked.channel })?
    };
    Ok(BeginExecutionResponse {
        is_new: opened.is_new,
        execution: Some(render::execution(execution)),
        changes: render::changes(opened.changes),
    })
}
