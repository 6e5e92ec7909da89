use ery_community_config::ToolRule;
use ery_proto::tool::v1::{ListToolsRequest, ListToolsResponse};

use super::channel_key;
use crate::{domain::tool::Tier, error::CallError, service::Shared, tools};

/// Tells which tools may be offered. One asker is offered every tool that is not switched off, so
/// that a refusal is decided, audited, and names what is missing.
pub(super) async fn handle(
    shared: &Shared,
    request: &ListToolsRequest,
) -> Result<ListToolsResponse, CallError> {
    let channel = channel_key(request.guild_id, request.channel_id)?;
    let is_dm = channel.guild().is_none();
    let is_shared = request.is_shared_turn || request.askers.len() > 1;
    let policy = shared.policy(channel).await?;
    let tools = tools::all()
        .filter(|entry| policy.rule(entry.spec.name) != ToolRule::Off)
        .filter(|entry| !is_dm || entry.spec.works_in_dm)
        .filter(|entry| !is_shared || entry.tool.least_tier() <= Tier::Harmless)
        .map(tools::Entry::offered);
    Ok(ListToolsResponse { tools: tools.collect() })
}
