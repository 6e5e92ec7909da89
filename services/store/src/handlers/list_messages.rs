use ery_clock::UnixMillis;
use ery_proto::store::v1::{ListMessagesRequest, ListMessagesResponse};

use super::{parse, render, scope};
use crate::{adapters::contexts, error::StoreError, service::Inner};

#[tracing::instrument(name = "store.messages.list", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: ListMessagesRequest,
) -> Result<ListMessagesResponse, StoreError> {
    let channel = parse::channel(request.guild_id, request.channel_id)?;
    let before = parse::optional_id("before", request.before)?;
    let limit = scope::limit(request.limit, store.settings.max_messages);
    let Some(shard) = store.shards.existing(channel.home).await? else {
        return Ok(ListMessagesResponse::default());
    };
    let since = UnixMillis(request.since_ms);
    let newest = move |connection: &rusqlite::Connection| {
        contexts::newest(connection, &channel, before, since, limit)
    };
    let messages = shard.read_quickly(newest).await?;
    Ok(ListMessagesResponse { messages: render::messages(messages) })
}
