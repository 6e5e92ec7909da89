use ery_ids::Home;
use ery_proto::store::v1::{RevokeMcpCredentialRequest, RevokeMcpCredentialResponse};

use super::{parse, render};
use crate::{adapters::mcp_credentials, error::StoreError, service::Inner};

#[tracing::instrument(name = "store.mcp_credential.revoke", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: RevokeMcpCredentialRequest,
) -> Result<RevokeMcpCredentialResponse, StoreError> {
    let guild = parse::id("guild_id", request.guild_id)?;
    let credential = parse::name("credential_id", request.credential_id)?;
    let home = Home::Guild(guild);
    let Some(shard) = store.shards.existing(home).await? else {
        return Ok(RevokeMcpCredentialResponse::default());
    };
    let now = store.clock.now();
    store.agenda.expect(store.shards.shard_of(home), now, now);
    let revoked = shard
        .write(move |connection| mcp_credentials::revoke(connection, guild, &credential, now))
        .await?;
    // What was proposed by it wakes its channel.
    store.agenda.add(store.shards.shard_of(home), now);
    Ok(RevokeMcpCredentialResponse { credential: revoked.map(render::mcp_credential) })
}
