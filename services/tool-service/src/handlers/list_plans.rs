use twilight_model::id::Id;

use ery_proto::tool::v1::{ListPlansRequest, ListPlansResponse, PlannedCall};

use super::channel_key;
use crate::{error::CallError, service::Shared, tools::schedule_action as plans};

/// Tells what is planned, as far as the person who asks may see it.
pub(super) async fn handle(
    shared: &Shared,
    request: &ListPlansRequest,
) -> Result<ListPlansResponse, CallError> {
    let channel = channel_key(request.guild_id, request.channel_id)?;
    let user = Id::new_checked(request.user_id)
        .ok_or_else(|| CallError::Invalid("the person's id cannot be 0".into()))?;
    // Nothing is planned in direct messages.
    let Some(guild) = channel.guild() else { return Ok(ListPlansResponse::default()) };
    let waiting = shared.executions.scheduled_actions(guild, plans::MOST_LISTED).await?;
    if waiting.is_empty() {
        return Ok(ListPlansResponse::default());
    }
    let state = shared.guilds.state(guild, &[user]).await?;
    let policy = shared.policy(channel).await?;
    let now = shared.clock.now();
    let planned =
        waiting.into_iter().filter(|plan| plans::may_see(&state, &policy, user, plan, now));
    let planned = planned.map(|plan| PlannedCall {
        planned_by: plans::person(&plan).unwrap_or(0),
        id: plan.scheduled_action_id,
        tool: plan.tool,
        arguments: plan.arguments,
        due_at_ms: plan.due_at_ms,
        channel_id: plan.channel_id,
    });
    Ok(ListPlansResponse { plans: planned.collect() })
}
