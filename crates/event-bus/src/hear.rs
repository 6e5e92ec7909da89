use std::{fmt, time::Duration};

use futures::StreamExt as _;
use rand::Rng as _;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{EventBus, Topic};

/// How long it takes until broadcasts are listened to again that could not be; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Hands on what is broadcast of a topic until `ended`, through outages, too. What `take` cannot read is
/// logged.
pub async fn hear<E: fmt::Display>(
    bus: &dyn EventBus,
    topic: Topic,
    ended: &CancellationToken,
    take: impl Fn(&[u8]) -> Result<(), E>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        match bus.listen(topic).await {
            Ok(mut told) => {
                while let Some(payload) = tokio::select! {
                    () = ended.cancelled() => return,
                    payload = told.next() => payload,
                } {
                    pause = FIRST_PAUSE;
                    if let Err(error) = take(&payload) {
                        let topic = topic.as_str();
                        tracing::warn!(%error, topic, "a broadcast cannot be read");
                    }
                }
            }
            Err(error) => {
                let topic = topic.as_str();
                tracing::debug!(%error, topic, "broadcasts cannot be heard yet; trying again");
            }
        }
        let jittered = pause.mul_f64(rand::rng().random_range(0.5..=1.0));
        tokio::select! {
            () = ended.cancelled() => return,
            () = sleep(jittered) => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
}
