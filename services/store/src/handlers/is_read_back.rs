use ery_clock::UnixMillis;
use ery_ids::Home;
use ery_proto::store::v1::{IsReadBackRequest, IsReadBackResponse};

use super::{find_gaps::CLOCKS_DIFFER, parse};
use crate::{
    adapters::{
        direct_channels::{self, Begun},
        gaps,
    },
    error::StoreError,
    service::Inner,
};

#[tracing::instrument(name = "store.read_back.ask", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: IsReadBackRequest,
) -> Result<IsReadBackResponse, StoreError> {
    let home = parse::home(request.guild_id, request.channel_id)?;
    let session = parse::name("session", request.session)?;
    let received_at = UnixMillis(request.received_at_ms);
    let shard = store.shards.of(home).await?;
    let readers = shard.readers();
    let is_read_back = match home {
        Home::Guild(guild) => {
            shard.read(gaps::is_read_back(readers, guild, &session, received_at)).await?
        }
        Home::Dm(channel) => {
            let begun = Begun { session, told_at: received_at };
            let known = shard.read(direct_channels::is_read_back(readers, channel, &begun)).await?;
            if let Some(is_read_back) = known {
                is_read_back
            } else {
                // What is known from before is read back by the session's beginning; it is not told
                // here that it need not be.
                let before = received_at - CLOCKS_DIFFER;
                if !shard.read(direct_channels::is_known(readers, channel, before)).await? {
                    shard.write(move |to| direct_channels::note_new(to, channel, &begun)).await?;
                }
                true
            }
        }
    };
    Ok(IsReadBackResponse { is_read_back })
}
