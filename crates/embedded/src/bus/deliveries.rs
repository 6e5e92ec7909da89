use std::{pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::stream;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use ery_event_bus::{Acker, BusError, EventDeliveries, EventDelivery};

use crate::database;

use super::{
    Closed,
    state::{BusState, Loaded, Reader, Step, Stored},
    table,
};

/// How many events, and of about how many bytes, are read from the file at a time.
const LOAD_EVENTS: usize = 256;
const LOAD_BYTES: usize = 1 << 20;

/// After what time the file is read again that could not be read.
const RETRY: Duration = Duration::from_secs(1);

/// One reader of a durable handler.
pub(super) struct Deliveries {
    pub(super) state: Arc<BusState>,
    pub(super) database: database::Reader,
    pub(super) closing: CancellationToken,
    pub(super) reader: Reader,
    pub(super) kinds: Vec<String>,
    pub(super) loaded: Loaded,
}

impl Deliveries {
    pub(super) fn into_stream(self) -> EventDeliveries {
        Box::pin(stream::unfold(self, |mut deliveries| async move {
            deliveries.next().await.map(|delivery| (delivery, deliveries))
        }))
    }

    /// Waits for the next delivery; none once the bus is closed, or another reader took over.
    async fn next(&mut self) -> Option<EventDelivery> {
        loop {
            if self.closing.is_cancelled() {
                return None;
            }
            match self.state.step(&self.reader, &mut self.loaded) {
                Step::Deliver { event, attempt, is_redelivery } => {
                    return Some(self.delivery(&event, attempt, is_redelivery));
                }
                Step::Load { after, until } => self.load(after, until).await,
                Step::Wait(due) => self.wait(due).await,
                Step::End => return None,
            }
        }
    }

    fn delivery(&self, stored: &Stored, attempt: u32, is_redelivery: bool) -> EventDelivery {
        let acker = EmbeddedAcker {
            state: Arc::clone(&self.state),
            closing: self.closing.clone(),
            reader: self.reader.clone(),
            seq: stored.seq,
            attempt,
            is_acked: false,
        };
        EventDelivery { event: stored.event.clone(), is_redelivery, acker: Box::new(acker) }
    }

    async fn load(&mut self, after: u64, until: u64) {
        let (part, kinds) = (self.reader.part, self.kinds.clone());
        let read = self.database.read(move |connection| {
            table::read(connection, part, &kinds, (after, until), LOAD_EVENTS, LOAD_BYTES)
                .map_err(database::ReadError::from)
        });
        match read.await {
            Ok(events) => {
                // Where a limit cut it short, the next read goes on behind the last.
                let has_more = events.len() >= LOAD_EVENTS
                    || events.iter().map(|stored| stored.event.payload.len()).sum::<usize>()
                        >= LOAD_BYTES;
                let until = match events.last() {
                    Some(last) if has_more => last.seq,
                    _ => until,
                };
                self.loaded = Loaded { events: events.into(), until };
            }
            Err(error) => {
                tracing::error!(
                    handler = &*self.reader.handler,
                    part = self.reader.part.0,
                    error = &error as &dyn std::error::Error,
                    "could not read events from the file; trying again"
                );
                tokio::select! {
                    () = self.closing.cancelled() => {}
                    () = sleep(RETRY) => {}
                }
            }
        }
    }

    async fn wait(&self, due: Option<Instant>) {
        let due = pin!(async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        });
        tokio::select! {
            () = self.closing.cancelled() => {}
            () = self.reader.notify.notified() => {}
            () = due => {}
        }
    }
}

struct EmbeddedAcker {
    state: Arc<BusState>,
    closing: CancellationToken,
    reader: Reader,
    seq: u64,
    attempt: u32,
    is_acked: bool,
}

#[async_trait]
impl Acker for EmbeddedAcker {
    async fn ack(mut self: Box<Self>) -> Result<(), BusError> {
        if self.closing.is_cancelled() {
            return Err(BusError::Unavailable(Box::new(Closed)));
        }
        self.is_acked = true;
        self.state.ack(&self.reader, self.seq);
        Ok(())
    }
}

impl Drop for EmbeddedAcker {
    fn drop(&mut self) {
        if !self.is_acked {
            self.state.dropped(&self.reader, self.seq, self.attempt);
        }
    }
}
