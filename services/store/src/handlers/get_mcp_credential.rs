use ery_ids::Home;
use ery_proto::store::v1::{GetMcpCredentialRequest, GetMcpCredentialResponse};

use super::{parse, render};
use crate::{adapters::mcp_credentials, error::StoreError, service::Inner};

#[tracing::instrument(name = "store.mcp_credential.get", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: GetMcpCredentialRequest,
) -> Result<GetMcpCredentialResponse, StoreError> {
    let guild = parse::id("guild_id", request.guild_id)?;
    let credential = parse::name("credential_id", request.credential_id)?;
    // Whoever guesses at guilds makes no files.
    let Some(shard) = store.shards.existing(Home::Guild(guild)).await? else {
        return Ok(GetMcpCredentialResponse::default());
    };
    let reading = mcp_credentials::get(shard.readers(), guild, &credential);
    let found = shard.read(reading).await?;
    let token_hash = found.as_ref().map(|it| it.token_hash.clone()).unwrap_or_default();
    Ok(GetMcpCredentialResponse { credential: found.map(render::mcp_credential), token_hash })
}
