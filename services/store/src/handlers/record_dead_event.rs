use ery_clock::UnixMillis;
use ery_ids::{EventId, Home};
use ery_proto::store::v1::{RecordDeadEventRequest, RecordDeadEventResponse};

use super::parse::{self, Invalid};
use crate::{
    adapters::dead_letters::{self, DeadEvent},
    error::StoreError,
    service::Inner,
};

#[tracing::instrument(name = "store.dead_event.record", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: RecordDeadEventRequest,
) -> Result<RecordDeadEventResponse, StoreError> {
    let event = parse(request)?;
    let shard = store.shards.of(event.home).await?;
    let now = store.clock.now();
    shard.write(move |connection| dead_letters::insert_event(connection, &event, now)).await?;
    Ok(RecordDeadEventResponse {})
}

fn parse(request: RecordDeadEventRequest) -> Result<DeadEvent, Invalid> {
    let guild = parse::optional_id("guild_id", request.guild_id)?;
    let channel = parse::optional_id("channel_id", request.channel_id)?;
    let home = match (guild, channel) {
        (Some(guild), _) => Home::Guild(guild),
        (None, Some(channel)) => Home::Dm(channel),
        (None, None) => return Err(Invalid::new("channel_id", "is 0 where there is no guild")),
    };
    Ok(DeadEvent {
        handler: parse::name("handler", request.handler)?,
        event: EventId(parse::name("event_id", request.event_id)?),
        kind: parse::name("event_kind", request.event_kind)?,
        home,
        channel,
        bot: parse::optional_id("bot_id", request.bot_id)?,
        received_at: UnixMillis(request.received_at_ms),
        reason: parse::text("reason", request.reason, parse::MAX_TEXT_BYTES)?,
        payload: parse::payload(request.payload)?,
        payload_bytes: parse::size("payload_bytes", request.payload_bytes)?,
    })
}
