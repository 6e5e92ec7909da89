use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::StatusCode,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::StreamExt;

use ery_event_bus::Topic;

use super::{Page, refusal};

/// How often a silent stream says that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Tells the steps of all task threads as they happen.
pub(super) async fn follow(State(page): State<Page>) -> Response {
    let heard = match page.bus.listen(Topic::ThreadProgress).await {
        Ok(heard) => heard,
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "the page could not listen to the task threads' progress");
            return refusal(StatusCode::SERVICE_UNAVAILABLE, "the event bus does not answer");
        }
    };
    let events = heard.filter_map(async |payload| {
        let text = std::str::from_utf8(&payload).ok()?;
        Some(Ok::<_, Infallible>(Event::default().data(text)))
    });
    let events = events.take_until(page.draining.cancelled_owned());
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}
