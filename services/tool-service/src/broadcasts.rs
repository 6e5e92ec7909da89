//! What is told to every process.

use std::time::Duration;

use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use ery_event_bus::{EventBus, Topic};

/// Hands on what is told of a topic until the process drains; what cannot be read is nothing to
/// `take`.
pub(crate) async fn hear(
    bus: &dyn EventBus,
    topic: Topic,
    draining: CancellationToken,
    take: impl Fn(&[u8]) -> Result<(), serde_json::Error>,
) {
    let mut wait = Duration::from_millis(100);
    loop {
        match bus.listen(topic).await {
            Ok(mut told) => {
                wait = Duration::from_millis(100);
                while let Some(payload) = tokio::select! {
                    () = draining.cancelled() => return,
                    payload = told.next() => payload,
                } {
                    if let Err(error) = take(&payload) {
                        let topic = topic.as_str();
                        tracing::warn!(%error, topic, "a broadcast cannot be read");
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%error, topic = topic.as_str(), "broadcasts cannot be heard yet");
            }
        }
        tokio::select! {
            () = draining.cancelled() => return,
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(Duration::from_secs(5)),
        }
    }
}
