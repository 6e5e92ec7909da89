use std::time::Duration;

use twilight_model::id::{Id, marker::MessageMarker};

use ery_clock::UnixMillis;
use ery_ids::ChannelKey;
use ery_proto::store::v1::{self as proto, ReadContextRequest, ReadContextResponse};

use super::{
    parse::{self, Invalid},
    render,
};
use crate::{
    adapters::{
        contexts::{self, Answered, ContextQuery},
        read,
        shard::OpenShard,
        write_messages,
    },
    error::StoreError,
    service::Inner,
};

/// How long a thread is kept waiting for ingestion at most, whatever is asked for.
const MAX_WAIT_MS: u32 = 250;

#[tracing::instrument(name = "store.context.read", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: ReadContextRequest,
) -> Result<ReadContextResponse, StoreError> {
    let channel = parse::channel(request.guild_id, request.channel_id)?;
    parse::bounded("answered", &request.answered)?;
    let answered = request
        .answered
        .into_iter()
        .map(answered)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|invalid| invalid.within("answered"))?;
    let newest = answered.iter().map(|it| it.message).max();
    let (wanted, wait) = query(store, request.query.unwrap_or_default());
    let Some(shard) = store.shards.existing(channel.home).await? else {
        return Ok(ReadContextResponse { is_current: newest.is_none(), ..Default::default() });
    };
    let is_current = wait_for_ingestion(&shard, channel, newest, wait).await;
    let reading = move |connection: &rusqlite::Connection| {
        let is_current = is_current || write_messages::is_ingested(connection, newest)?;
        let replies = answered.iter().filter_map(|it| it.reply_to);
        let context = contexts::read(connection, &channel, wanted, replies)?;
        Ok((context, contexts::changes(connection, &channel, &answered)?, is_current))
    };
    let (context, changes, is_current) = shard.read_quickly(reading).await?;
    Ok(ReadContextResponse {
        context: render::messages(context.newest),
        replied_to: render::messages(context.replied_to),
        summary: context.summary.map(render::summary),
        is_current,
        changes: render::changes(changes),
    })
}

fn answered(answered: proto::AnsweredMessage) -> Result<Answered, Invalid> {
    Ok(Answered {
        message: parse::id("message_id", answered.message_id)?,
        reply_to: parse::optional_id("reply_to_id", answered.reply_to_id)?,
        edited_at: UnixMillis(answered.edited_at_ms),
    })
}

/// Reads what is wanted, and how long ingestion is waited for.
pub(super) fn query(store: &Inner, query: proto::ContextQuery) -> (ContextQuery, Duration) {
    let wanted = ContextQuery {
        max_messages: query.max_messages.min(store.settings.max_messages),
        since: UnixMillis(query.since_ms),
        wants_summary: query.wants_summary,
    };
    (wanted, Duration::from_millis(query.wait_ms.min(MAX_WAIT_MS).into()))
}

/// Waits until ingestion has reached the newest message, so that the context is whole.
pub(super) async fn wait_for_ingestion(
    shard: &OpenShard,
    channel: ChannelKey,
    newest: Option<Id<MessageMarker>>,
    wait: Duration,
) -> bool {
    let Some(newest) = newest else { return true };
    if wait.is_zero() {
        return false;
    }
    let is_in_file = async {
        shard.read(read::is_ingested(shard.readers(), newest)).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "could not ask whether a message was ingested; waiting for it");
            false
        })
    };
    shard.arrivals().wait(channel, newest, wait, is_in_file).await
}
