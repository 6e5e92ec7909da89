use ery_clock::UnixMillis;
use ery_ids::Home;
use ery_proto::store::v1::{NoteReadBackRequest, NoteReadBackResponse};

use super::parse;
use crate::{
    adapters::{
        direct_channels::{self, Begun},
        gaps,
    },
    error::StoreError,
    service::Inner,
};

#[tracing::instrument(name = "store.read_back.note", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: NoteReadBackRequest,
) -> Result<NoteReadBackResponse, StoreError> {
    let home = parse::home(request.guild_id, request.channel_id)?;
    let session = parse::name("session", request.session)?;
    let told_at = UnixMillis(request.told_at_ms);
    let shard = store.shards.of(home).await?;
    shard
        .write(move |connection| match home {
            Home::Guild(guild) => gaps::note_read_back(connection, guild, &session, told_at),
            Home::Dm(channel) => {
                direct_channels::note_read_back(connection, channel, &Begun { session, told_at })
            }
        })
        .await?;
    Ok(NoteReadBackResponse {})
}
