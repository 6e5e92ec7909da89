mod deliveries;
mod follow;
mod pump;
mod state;
mod table;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, future::ready, stream::BoxStream};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};
use tokio_util::sync::{CancellationToken, DropGuard};

use ery_clock::{Clock, UnixMillis};
use ery_event_bus::{
    BusError, Event, EventBus, EventDeliveries, FollowedEvents, GatewayShard, Left, ResumePoint,
    Topic,
};
use ery_group_commit::{FileKey, Writer};
use ery_ids::{ForgottenPerson, Part};

use crate::{
    DatabaseError,
    background::spawn,
    database::{self, Reader},
    folder::FolderLock,
};

use self::{
    deliveries::Deliveries,
    follow::Followers,
    pump::{Publish, Pump},
    state::{BusState, Loaded},
};

/// How many publishes may wait to be written; past it, publishing waits for room.
const PUBLISHES: usize = 4_096;

/// How many broadcasts wait for a listener before it misses the oldest.
const BROADCASTS: usize = 1_024;

/// The largest payload of one event. Discord's own are a few megabytes at most.
const MAX_PAYLOAD_BYTES: usize = 64 << 20;

/// Times and bounds of the event bus.
#[derive(Clone, Debug)]
pub struct BusOptions {
    /// How long an event is kept that every handler has acknowledged. 24 h.
    pub retention: Duration,
    /// How long an event is kept that a handler has not. 48 h.
    pub retention_unacknowledged: Duration,
    /// After what time an event comes again whose delivery was dropped. 30 s.
    pub redelivery: Duration,
    /// How many events a handler may leave unacknowledged in a part before it gets no more. 8,192.
    pub max_outstanding: usize,
    /// How many bytes of the newest events are kept in memory. 8 MiB.
    pub tail_bytes: usize,
    /// How large the file may grow before acknowledged events go early; if that does not help,
    /// publishing is refused as full. 4 GiB.
    pub max_bytes: u64,
    /// How long an acknowledgement waits for others to share a commit with. A crash in it brings
    /// events back. 50 ms.
    pub ack_linger: Duration,
}

impl Default for BusOptions {
    fn default() -> Self {
        Self {
            retention: Duration::from_hours(24),
            retention_unacknowledged: Duration::from_hours(48),
            redelivery: Duration::from_secs(30),
            max_outstanding: 8_192,
            tail_bytes: 8 << 20,
            max_bytes: 4 << 30,
            ack_linger: Duration::from_millis(50),
        }
    }
}

/// The event bus in one file of the data folder, for one process.
///
/// Made by [`EmbeddedFolder::bus`](crate::EmbeddedFolder::bus).
pub struct EmbeddedBus {
    state: Arc<BusState>,
    followers: Arc<Followers>,
    publishes: mpsc::Sender<Publish>,
    writer: Writer,
    reader: Reader,
    messages_changed: broadcast::Sender<Bytes>,
    thread_progress: broadcast::Sender<Bytes>,
    config_changed: broadcast::Sender<Bytes>,
    provider_keys_changed: broadcast::Sender<Bytes>,
    person_forgotten: broadcast::Sender<Bytes>,
    /// Something was erased since the file was last written anew, or may have been.
    is_to_be_rewritten: AtomicBool,
    closing: CancellationToken,
    /// Ends the deliveries.
    _on_drop: DropGuard,
}

/// The bus was dropped while something of it was still in use.
#[derive(Debug, thiserror::Error)]
#[error("the event bus is closed")]
struct Closed;

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> BusError {
    BusError::Unavailable(Box::new(error))
}

impl EmbeddedBus {
    pub(crate) async fn open(
        path: PathBuf,
        key: Option<FileKey>,
        clock: Arc<dyn Clock>,
        lock: FolderLock,
        options: BusOptions,
    ) -> Result<Self, DatabaseError> {
        let load = |connection: &rusqlite::Connection| {
            Ok((table::last_seq(connection)?, table::cursors(connection)?))
        };
        let opened = database::open(path, key, "ery-bus", table::MIGRATIONS, load).await?;
        let (last_seq, cursors) = opened.loaded;
        // Events may have been deleted that were numbered above those that are left.
        let last_seq = cursors.iter().map(|cursor| cursor.acked).fold(last_seq, u64::max);
        let state = Arc::new(BusState::new(options.clone(), last_seq, cursors));
        let followers = Arc::new(Followers::default());
        let (publishes, queued) = mpsc::channel(PUBLISHES);
        let pump = Pump {
            state: Arc::clone(&state),
            followers: Arc::clone(&followers),
            writer: opened.writer.clone(),
            clock,
            publishes: queued,
            last_seq,
            options,
            lock,
        };
        spawn(pump.run());
        let closing = CancellationToken::new();
        Ok(Self {
            state,
            followers,
            publishes,
            writer: opened.writer,
            reader: opened.reader,
            messages_changed: broadcast::Sender::new(BROADCASTS),
            thread_progress: broadcast::Sender::new(BROADCASTS),
            config_changed: broadcast::Sender::new(BROADCASTS),
            provider_keys_changed: broadcast::Sender::new(BROADCASTS),
            person_forgotten: broadcast::Sender::new(BROADCASTS),
            is_to_be_rewritten: AtomicBool::new(true),
            closing: closing.clone(),
            _on_drop: closing.drop_guard(),
        })
    }

    fn topic(&self, topic: Topic) -> &broadcast::Sender<Bytes> {
        match topic {
            Topic::MessagesChanged => &self.messages_changed,
            Topic::ThreadProgress => &self.thread_progress,
            Topic::ConfigChanged => &self.config_changed,
            Topic::ProviderKeysChanged => &self.provider_keys_changed,
            Topic::PersonForgotten => &self.person_forgotten,
        }
    }
}

#[async_trait]
impl EventBus for EmbeddedBus {
    async fn publish(&self, event: Event) -> Result<(), BusError> {
        let size_bytes = event.payload.len();
        if size_bytes > MAX_PAYLOAD_BYTES {
            return Err(BusError::TooLarge { id: event.id, size_bytes });
        }
        if self.state.is_full() {
            return Err(BusError::Full);
        }
        let (answer, answered) = oneshot::channel();
        self.publishes.send(Publish { event, answer }).await.map_err(|_| unavailable(Closed))?;
        answered.await.map_err(unavailable)?.map_err(unavailable)
    }

    async fn consume(
        &self,
        handler: &str,
        kinds: &[&str],
        part: Part,
    ) -> Result<EventDeliveries, BusError> {
        let deliveries = Deliveries {
            state: Arc::clone(&self.state),
            database: self.reader.clone(),
            closing: self.closing.clone(),
            reader: self.state.begin_reading(handler, kinds, part),
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            loaded: Loaded::default(),
        };
        Ok(deliveries.into_stream())
    }

    async fn follow(&self, kinds: &[&str]) -> Result<FollowedEvents, BusError> {
        Ok(self.followers.follow(kinds, self.closing.clone()))
    }

    async fn broadcast(&self, topic: Topic, payload: Bytes) -> Result<(), BusError> {
        // It fails where nobody listens, which is no failure here.
        drop(self.topic(topic).send(payload));
        Ok(())
    }

    async fn listen(&self, topic: Topic) -> Result<BoxStream<'static, Bytes>, BusError> {
        let heard = BroadcastStream::new(self.topic(topic).subscribe());
        let heard = heard.filter_map(move |heard| {
            ready(match heard {
                Ok(payload) => Some(payload),
                Err(BroadcastStreamRecvError::Lagged(missed)) => {
                    tracing::warn!(topic = topic.as_str(), missed, "a listener is too slow");
                    None
                }
            })
        });
        Ok(heard.boxed())
    }

    async fn forget(&self, person: ForgottenPerson, until: UnixMillis) -> Result<Left, BusError> {
        let (mut after, mut is_left) = (0, false);
        loop {
            let state = Arc::clone(&self.state);
            let erased = self
                .writer
                .write(move |connection| {
                    table::erase(connection, person, until, after, |part, kind, seq| {
                        state.is_needed(part, kind, seq)
                    })
                })
                .await
                .map_err(unavailable)?;
            self.state.blank(&erased.emptied);
            if !erased.emptied.is_empty() {
                self.is_to_be_rewritten.store(true, Ordering::Release);
            }
            is_left |= erased.is_left;
            match erased.next {
                Some(next) => after = next,
                None => break,
            }
        }
        if is_left {
            return Ok(Left::Some { gone_by: None });
        }
        // Asked again, there is nothing more to do unless something was erased since.
        if self.is_to_be_rewritten.load(Ordering::Acquire) {
            if !self.writer.alone(database::write_anew).await.map_err(unavailable)? {
                return Ok(Left::Some { gone_by: None });
            }
            self.is_to_be_rewritten.store(false, Ordering::Release);
        }
        Ok(Left::Nothing)
    }

    async fn save_resume_point(
        &self,
        shard: GatewayShard,
        point: Option<&ResumePoint>,
    ) -> Result<(), BusError> {
        let point = point.cloned();
        self.writer
            .write(move |connection| table::save_resume_point(connection, shard, point.as_ref()))
            .await
            .map_err(unavailable)
    }

    async fn resume_point(&self, shard: GatewayShard) -> Result<Option<ResumePoint>, BusError> {
        self.reader
            .read(move |connection| {
                table::resume_point(connection, shard).map_err(database::ReadError::from)
            })
            .await
            .map_err(unavailable)
    }
}
