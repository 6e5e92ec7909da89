use std::sync::Arc;

use async_nats::Message;
use futures::{StreamExt as _, stream};
use tokio::sync::{Mutex, mpsc};

use ery_channel_queue::{Position, UnreadableTask, UnreadableTasks};

use super::tasks::Handle;
use crate::{
    envelope::{self, Remains, Unreadable},
    subjects::{self, Delivered},
};

/// How often something is delivered before it is given up: while replicas are replaced by a newer
/// version, one of those may be able to read it.
const DELIVERIES: u64 = 3;

/// How many that were given up wait to be written down; others come again.
const GIVEN_UP: usize = 64;

/// What was delivered and cannot be read.
#[derive(Clone)]
pub(super) struct Unreadables {
    given_up: mpsc::Sender<UnreadableTask>,
    reader: Arc<Mutex<mpsc::Receiver<UnreadableTask>>>,
}

impl Default for Unreadables {
    fn default() -> Self {
        let (given_up, reader) = mpsc::channel(GIVEN_UP);
        Self { given_up, reader: Arc::new(Mutex::new(reader)) }
    }
}

impl Unreadables {
    /// Notes a delivery; the last one gives it up.
    pub(super) fn met(
        &self,
        message: &Message,
        delivered: &Delivered,
        why: Unreadable,
        handle: Box<Handle>,
    ) {
        let position = delivered.stream_sequence;
        tracing::warn!(error = %why, position, times = delivered.times,
            subject = message.subject.as_str(), size_bytes = message.payload.len(),
            "what stands at position {position} cannot be read");
        if delivered.times < DELIVERIES {
            return;
        }
        let Remains { id, bot, received_at, payload } =
            envelope::remains(message.headers.as_ref(), &message.payload);
        let published_at = delivered.published_at;
        // Where nobody listens, or too many wait, it comes again.
        drop(self.given_up.try_send(UnreadableTask {
            // A stream that was made anew may give out the position again, but not at that time.
            name: id.unwrap_or_else(|| format!("{position}.{published_at}")),
            place: message.subject.to_string(),
            channel: subjects::parse_task(&message.subject),
            bot,
            received_at: received_at.unwrap_or(published_at),
            why: why.into(),
            payload,
            position: Position(position),
            handle,
        }));
    }

    /// Returns what is given up; each is given to one reader.
    pub(super) fn given_up(&self) -> UnreadableTasks {
        stream::unfold(Arc::clone(&self.reader), |reader| async move {
            let task = reader.lock().await.recv().await?;
            Some((task, reader))
        })
        .boxed()
    }
}
