use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use twilight_model::id::{Id, marker::MessageMarker};

use ery_event_bus::{EventBus, Topic};
use ery_ids::ChannelKey;

use crate::{domain::progress::Progress, metrics::Metrics};

/// How many broadcasts may wait for the bus; what comes beyond is dropped and counted.
const WAITING: usize = 4_096;

/// Tells every process what happens, without anybody waiting for it.
#[derive(Clone, Debug)]
pub(crate) struct Broadcaster {
    tx: mpsc::Sender<(Topic, Bytes)>,
    metrics: Metrics,
}

/// The broadcaster's other end.
#[derive(Debug)]
pub(crate) struct Broadcasts {
    rx: mpsc::Receiver<(Topic, Bytes)>,
}

/// Messages that were edited or deleted, as [`Topic::MessagesChanged`] carries them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessagesChanged {
    /// None in a direct message.
    pub(crate) guild: Option<String>,
    pub(crate) channel: String,
    /// None where the channel itself was deleted.
    pub(crate) messages: Vec<String>,
}

impl MessagesChanged {
    pub(crate) fn new(channel: ChannelKey, messages: &[Id<MessageMarker>]) -> Self {
        Self {
            guild: channel.guild().map(|guild| guild.to_string()),
            channel: channel.channel.to_string(),
            messages: messages.iter().map(ToString::to_string).collect(),
        }
    }

    /// Returns the channel and the messages; none if they are no ids.
    pub(crate) fn read(payload: &[u8]) -> Option<(ChannelKey, Vec<Id<MessageMarker>>)> {
        let changed: Self = serde_json::from_slice(payload).ok()?;
        let guild = changed.guild.map_or(Some(0), |guild| guild.parse().ok())?;
        let channel = ChannelKey::from_raw(guild, changed.channel.parse().ok()?)?;
        let message = |id: &String| id.parse().ok().and_then(Id::new_checked);
        Some((channel, changed.messages.iter().filter_map(message).collect()))
    }
}

impl Broadcaster {
    pub(crate) fn new(metrics: Metrics) -> (Self, Broadcasts) {
        let (tx, rx) = mpsc::channel(WAITING);
        (Self { tx, metrics }, Broadcasts { rx })
    }

    /// Tells pages of a thread's step.
    pub(crate) fn progress(&self, progress: &Progress) {
        self.send(Topic::ThreadProgress, progress.to_json());
    }

    /// Tells holders that messages were edited or deleted.
    pub(crate) fn messages_changed(&self, changed: &MessagesChanged) {
        let json = serde_json::to_vec(changed).expect("strings can be written as JSON");
        self.send(Topic::MessagesChanged, json);
    }

    fn send(&self, topic: Topic, payload: Vec<u8>) {
        if self.tx.try_send((topic, payload.into())).is_err() {
            self.metrics.broadcast_dropped();
        }
    }
}

impl Broadcasts {
    /// Hands broadcasts to the bus until `ended`, and then what is left.
    pub(crate) async fn run(mut self, bus: Arc<dyn EventBus>, ended: CancellationToken) {
        loop {
            let (topic, payload) = tokio::select! {
                biased;
                Some(next) = self.rx.recv() => next,
                () = ended.cancelled() => break,
            };
            // Listeners hear the next one; what counts stands in the store.
            if let Err(error) = bus.broadcast(topic, payload).await {
                tracing::debug!(%error, topic = topic.as_str(), "a broadcast was lost");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_reads_back_as_written() {
        for channel in [ChannelKey::from_raw(10, 20), ChannelKey::from_raw(0, 20)] {
            let channel = channel.unwrap();
            let changed = MessagesChanged::new(channel, &[Id::new(1), Id::new(2)]);
            let json = serde_json::to_vec(&changed).unwrap();
            let read = MessagesChanged::read(&json).unwrap();
            assert_eq!(read, (channel, vec![Id::new(1), Id::new(2)]));
        }
        assert_eq!(MessagesChanged::read(b"{}"), None);
        let odd = br#"{"guild": "x", "channel": "1", "messages": []}"#;
        assert_eq!(MessagesChanged::read(odd), None);
    }
}
