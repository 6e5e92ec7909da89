use ery_proto::store::v1::{ListScheduledActionsRequest, ListScheduledActionsResponse};

use super::{parse, render, scope};
use crate::{
    adapters::scheduled_actions, domain::scheduled_action::ActionQuery, error::StoreError,
    service::Inner,
};

#[tracing::instrument(name = "store.scheduled_actions.list", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: ListScheduledActionsRequest,
) -> Result<ListScheduledActionsResponse, StoreError> {
    let wanted = ActionQuery {
        guild: parse::optional_id("guild_id", request.guild_id)?,
        is_waiting_only: request.is_waiting_only,
        limit: scope::limit(request.limit, store.settings.max_listed),
    };
    let scope = scope::parse(request.guild_id, 0)?;
    let mut actions = scope::read(store, scope, |_, readers| async move {
        scheduled_actions::list(&readers, wanted).await
    })
    .await?;
    actions.sort_by_key(|action| action.due_at);
    actions.truncate(wanted.limit as usize);
    let actions = actions.into_iter().map(render::scheduled_action).collect();
    Ok(ListScheduledActionsResponse { actions })
}
