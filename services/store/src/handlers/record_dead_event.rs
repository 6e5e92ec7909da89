use twilight_model::id::{Id, marker::MessageMarker};

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
    let kind = parse::name("event_kind", request.event_kind)?;
    let message = request.payload.as_deref().and_then(|payload| message_of(&kind, payload));
    Ok(DeadEvent {
        handler: parse::name("handler", request.handler)?,
        event: EventId(parse::name("event_id", request.event_id)?),
        kind,
        home,
        channel,
        message,
        bot: parse::optional_id("bot_id", request.bot_id)?,
        received_at: UnixMillis(request.received_at_ms),
        reason: parse::text("reason", request.reason, parse::MAX_TEXT_BYTES)?,
        payload: parse::payload(request.payload)?,
        payload_bytes: parse::size("payload_bytes", request.payload_bytes)?,
    })
}

/// Returns the message that a dispatch is about, so that its deletion reaches what it said here.
///
/// Source: Discord Docs, Gateway Events: a message's own dispatches name it `id`, those about what is
/// done to it `message_id`.
fn message_of(kind: &str, payload: &[u8]) -> Option<Id<MessageMarker>> {
    let field = match kind {
        "message_create" | "message_update" => "id",
        kind if kind.starts_with("message_") => "message_id",
        _ => return None,
    };
    let payload: serde_json::Value = serde_json::from_slice(payload).ok()?;
    payload.get(field)?.as_str()?.parse().ok()
}
