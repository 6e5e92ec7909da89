use twilight_model::id::{Id, marker::GuildMarker};

use ery_clock::UnixMillis;
use ery_ids::Home;
use ery_proto::store::v1::{NoteReadBackRequest, NoteReadBackResponse};

use super::parse;
use crate::{adapters::gaps, error::StoreError, service::Inner};

#[tracing::instrument(name = "store.read_back.note", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: NoteReadBackRequest,
) -> Result<NoteReadBackResponse, StoreError> {
    let guild: Id<GuildMarker> = parse::id("guild_id", request.guild_id)?;
    let session = parse::name("session", request.session)?;
    let told_at = UnixMillis(request.told_at_ms);
    let shard = store.shards.of(Home::Guild(guild)).await?;
    shard
        .write(move |connection| gaps::note_read_back(connection, guild, &session, told_at))
        .await?;
    Ok(NoteReadBackResponse {})
}
