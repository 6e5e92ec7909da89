use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, StreamExt};
use serde_json::json;
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};

use crate::shared::{Shared, WorldEvent};

const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// `GET /sim/v1/events`: everything that happens, as server-sent events, whatever anybody may see.
pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stopping = shared.stopping.clone();
    let events = BroadcastStream::new(shared.watch()).map(|event| {
        let line = match event {
            Ok(event) => line_of(&event),
            Err(BroadcastStreamRecvError::Lagged(missed)) => {
                json!({ "type": "LAGGED", "guild_id": null, "channel_id": null, "data": { "missed": missed } })
                    .to_string()
            }
        };
        Ok(Event::default().data(line))
    });
    let events = events.take_until(stopping.cancelled_owned());
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// Writes the event around its data, which is JSON already.
fn line_of(event: &WorldEvent) -> String {
    let id = |id: Option<u64>| id.map_or_else(|| "null".to_owned(), |id| format!("\"{id}\""));
    let guild = id(event.guild.map(twilight_model::id::Id::get));
    let channel = id(event.channel.map(twilight_model::id::Id::get));
    let data = std::str::from_utf8(&event.body).unwrap_or("null");
    format!(
        r#"{{"type":"{}","guild_id":{guild},"channel_id":{channel},"data":{data}}}"#,
        event.name
    )
}
