use ery_proto::store::v1::{ListMcpCredentialsRequest, ListMcpCredentialsResponse};

use super::{parse, render, scope};
use crate::{adapters::mcp_credentials, error::StoreError, service::Inner};

#[tracing::instrument(name = "store.mcp_credentials.list", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: ListMcpCredentialsRequest,
) -> Result<ListMcpCredentialsResponse, StoreError> {
    let guild = parse::optional_id("guild_id", request.guild_id)?;
    let limit = scope::limit(request.limit, store.settings.max_listed);
    let scope = scope::parse(request.guild_id, 0)?;
    let only = Some(request.credential_id).filter(|id| !id.is_empty());
    let mut credentials = scope::read(store, scope, |_, readers| {
        let only = only.clone();
        async move { mcp_credentials::list(&readers, guild, only.as_deref(), limit).await }
    })
    .await?;
    credentials.sort_by_key(|credential| std::cmp::Reverse(credential.created_at));
    credentials.truncate(limit as usize);
    let credentials = credentials.into_iter().map(render::mcp_credential).collect();
    Ok(ListMcpCredentialsResponse { credentials })
}
