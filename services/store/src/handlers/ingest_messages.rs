use std::{collections::HashMap, sync::Arc};

use ery_clock::UnixMillis;
use ery_proto::store::v1::{
    IngestEvent as Event, IngestMessagesRequest, IngestMessagesResponse,
    ingest_event::{Change, Deletion, Edit},
};

use super::parse::{self, Invalid};
use crate::{
    adapters::write_messages::{self, IngestEvent},
    domain::MessageChange,
    error::StoreError,
    service::Inner,
};

#[tracing::instrument(name = "store.messages.ingest", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: IngestMessagesRequest,
) -> Result<IngestMessagesResponse, StoreError> {
    let handler = parse::name("handler", request.handler)?;
    parse::bounded("events", &request.events)?;
    let events: Vec<IngestEvent> = request
        .events
        .into_iter()
        .map(event)
        .collect::<Result<_, _>>()
        .map_err(|invalid| invalid.within("events"))?;
    let Some(home) = events.first().map(|event| event.channel.home) else {
        return Ok(IngestMessagesResponse::default());
    };
    if events.iter().any(|event| event.channel.home != home) {
        return Err(Invalid::new("events", "have several homes").into());
    }
    let mut newest = HashMap::new();
    for event in &events {
        for change in &event.changes {
            if let MessageChange::Seen { message, .. } = change {
                let reached = newest.entry(event.channel).or_insert(message.id);
                *reached = (*reached).max(message.id);
            }
        }
    }
    let shard = store.shards.of(home).await?;
    let now = store.clock.now();
    let ledger = Arc::clone(&store.ledger);
    let forgotten = shard
        .write(move |connection| {
            write_messages::ingest(connection, &handler, &events, &ledger, now)
        })
        .await?;
    for (channel, message) in newest {
        shard.arrivals().reached(channel, message);
    }
    Ok(IngestMessagesResponse {
        forgotten_message_ids: forgotten.into_iter().map(twilight_model::id::Id::get).collect(),
    })
}

fn event(event: Event) -> Result<IngestEvent, Invalid> {
    let channel = parse::channel(event.guild_id, event.channel_id)?;
    let mut channel_deleted_at = None;
    let changes = match parse::required("change", event.change)? {
        Change::Created(message) => {
            let message = parse::message(message).map_err(|invalid| invalid.within("created"))?;
            if message.channel != channel {
                return Err(Invalid::new("created.channel_id", "is not the event's"));
            }
            vec![MessageChange::Seen { message: Box::new(message), by_ingestion: true }]
        }
        Change::Edited(edit) => {
            let change = edited(edit).map_err(|invalid| invalid.within("edited"))?;
            if let MessageChange::Edited { whole: Some(whole), .. } = &change
                && whole.channel != channel
            {
                return Err(Invalid::new("edited.message.channel_id", "is not the event's"));
            }
            vec![change]
        }
        Change::Deleted(deletion) => {
            deleted(&deletion).map_err(|invalid| invalid.within("deleted"))?
        }
        Change::ChannelDeleted(deletion) => {
            channel_deleted_at = Some(UnixMillis(deletion.at_ms));
            Vec::new()
        }
    };
    let id = parse::name("event_id", event.event_id)?;
    Ok(IngestEvent { id, channel, changes, channel_deleted_at })
}

/// Reads an edit. Its own text and moment count, also for the whole message that comes with it.
fn edited(edit: Edit) -> Result<MessageChange, Invalid> {
    let id = parse::id("message_id", edit.message_id)?;
    let content = parse::text("content", edit.content, parse::MAX_TEXT_BYTES)?;
    let edited_at = parse::edited_at(edit.edited_at_ms)?;
    let whole = edit.message.map(parse::message).transpose();
    let mut whole = whole.map_err(|invalid| invalid.within("message"))?.map(Box::new);
    if let Some(whole) = &mut whole {
        if whole.id != id {
            return Err(Invalid::new("message.message_id", "is not the edit's"));
        }
        whole.content.clone_from(&content);
        whole.edited_at = edited_at;
    }
    Ok(MessageChange::Edited { id, content, edited_at, whole })
}

fn deleted(deletion: &Deletion) -> Result<Vec<MessageChange>, Invalid> {
    parse::bounded("message_ids", &deletion.message_ids)?;
    let at = UnixMillis(deletion.at_ms);
    deletion
        .message_ids
        .iter()
        .map(|id| Ok(MessageChange::Deleted { id: parse::id("message_ids", *id)?, at }))
        .collect()
}
