use ery_ids::Home;
use ery_proto::store::v1::{CreateMcpCredentialRequest, CreateMcpCredentialResponse};

use super::{parse, render};
use crate::{adapters::mcp_credentials, error::StoreError, service::Inner};

#[tracing::instrument(name = "store.mcp_credential.create", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: CreateMcpCredentialRequest,
) -> Result<CreateMcpCredentialResponse, StoreError> {
    let credential = parse::required("credential", request.credential)?;
    let new = parse::mcp_credential(credential, request.token_hash, store.clock.now())
        .map_err(|invalid| invalid.within("credential"))?;
    let shard = store.shards.of(Home::Guild(new.guild)).await?;
    let made = shard.write(move |connection| mcp_credentials::create(connection, &new)).await?;
    Ok(CreateMcpCredentialResponse { credential: made.map(render::mcp_credential) })
}
