use twilight_model::id::{Id, marker::GuildMarker};

use ery_clock::UnixMillis;
use ery_ids::Home;
use ery_proto::store::v1::{IsReadBackRequest, IsReadBackResponse};

use super::parse;
use crate::{adapters::gaps, error::StoreError, service::Inner};

#[tracing::instrument(name = "store.read_back.ask", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: IsReadBackRequest,
) -> Result<IsReadBackResponse, StoreError> {
    let guild: Id<GuildMarker> = parse::id("guild_id", request.guild_id)?;
    let session = parse::name("session", request.session)?;
    let received_at = UnixMillis(request.received_at_ms);
    let shard = store.shards.of(Home::Guild(guild)).await?;
    let is_read_back =
        shard.read(gaps::is_read_back(shard.readers(), guild, &session, received_at)).await?;
    Ok(IsReadBackResponse { is_read_back })
}
