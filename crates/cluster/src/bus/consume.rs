use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc, time::Duration};

use async_nats::{
    Message,
    jetstream::{
        consumer::{AckPolicy, DeliverPolicy, Info, pull},
        context::ConsumerInfoErrorKind,
        stream::DirectGetErrorKind,
    },
};
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use ery_event_bus::{EventDeliveries, EventDelivery};

use super::acks::{Acks, Again, Arrival, ClusterAcker};
use crate::{
    background::Backoff,
    envelope,
    nats::{BoxError, NatsLink},
    pull::{Pull, Pulled, Sharing},
    subjects,
};

/// The server never delivers again by time: its reader does, and a new reader begins where
/// everything is acknowledged.
const ACK_WAIT: Duration = Duration::from_hours(24);

/// How many events are asked for ahead of the reader.
const AHEAD: usize = 128;

/// How long making a consumer may take in all.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// One handler's durable consumer of one part.
pub(super) struct Consumer {
    pub(super) name: String,
    pub(super) filters: Vec<String>,
    pub(super) max_unacked: usize,
    pub(super) redelivery: Duration,
}

/// Where a consumer that is being made anew begins: kept while there is none.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Floor {
    sequence: u64,
    /// Of which stream: one that was made anew gives its numbers out again.
    stream_created_ns: i128,
}

/// Opens what a handler has not acknowledged of a part.
pub(super) async fn open(
    nats: Arc<NatsLink>,
    consumer: Consumer,
) -> Result<EventDeliveries, BoxError> {
    let (acks, dropped) = Acks::new(Arc::clone(&nats), consumer.redelivery);
    let mut reader = Reader {
        nats,
        consumer,
        acks,
        pull: None,
        seen: None,
        created_ns: 0,
        delivered_before: 0,
        dropped,
        again: BinaryHeap::new(),
        backoff: Backoff::new(Duration::from_millis(50), Duration::from_secs(2)),
    };
    reader.pull = Some(reader.reopened().await?);
    let deliveries = stream::unfold(reader, |mut reader| async move {
        let delivery = reader.next().await;
        Some((delivery, reader))
    });
    Ok(deliveries.boxed())
}

struct Reader {
    nats: Arc<NatsLink>,
    consumer: Consumer,
    acks: Arc<Acks>,
    /// None while the consumer has to be looked at anew.
    pull: Option<Pull>,
    /// The consumer's own number of the last delivery that was read.
    seen: Option<u64>,
    /// When the consumer was made.
    created_ns: i128,
    /// What stands up to here in the stream may have been delivered before.
    delivered_before: u64,
    dropped: mpsc::UnboundedReceiver<Again>,
    again: BinaryHeap<Reverse<(Instant, u64)>>,
    backoff: Backoff,
}

impl Reader {
    async fn next(&mut self) -> EventDelivery {
        loop {
            let Some(pull) = &mut self.pull else {
                match self.reopened().await {
                    Ok(pull) => self.pull = Some(pull),
                    Err(error) => {
                        tracing::debug!(
                            %error, consumer = self.consumer.name, "could not open a consumer"
                        );
                        self.nats.look_after().await;
                        self.backoff.wait().await;
                    }
                }
                continue;
            };
            let due = self.again.peek().map(|Reverse((due, _))| *due);
            let has_room = self.acks.unacked() < self.consumer.max_unacked;
            tokio::select! {
                biased;
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    let Some(Reverse((_, sequence))) = self.again.pop() else { continue };
                    if let Some(delivery) = self.read_again(sequence).await {
                        return delivery;
                    }
                }
                Some(Again { sequence, due }) = self.dropped.recv() => {
                    self.again.push(Reverse((due, sequence)));
                }
                pulled = pull.next(), if has_room => match pulled {
                    Pulled::Message(message) => {
                        if let Some(delivery) = self.arrived(message).await {
                            self.backoff.reset();
                            return delivery;
                        }
                    }
                    Pulled::Gone => {
                        self.pull = None;
                        self.backoff.wait().await;
                    }
                },
                () = self.acks.changed(), if !has_room => {}
            }
        }
    }

    async fn arrived(&mut self, message: Message) -> Option<EventDelivery> {
        let reply = message.reply.clone()?;
        let delivered = subjects::parse_delivered(&reply)?;
        if self.seen.is_some_and(|seen| delivered.consumer_sequence != seen + 1) {
            // Something was delivered that did not arrive: begin anew where nothing is missing.
            tracing::info!(consumer = self.consumer.name, "deliveries were lost on their way");
            self.pull = None;
            return None;
        }
        self.seen = Some(delivered.consumer_sequence);
        let sequence = delivered.stream_sequence;
        if self.acks.arrived(sequence, reply) == Arrival::Known {
            return None;
        }
        let read =
            envelope::read_event(&message.subject, message.headers.as_ref(), &message.payload);
        match read {
            Ok(event) => Some(EventDelivery {
                event,
                is_redelivery: sequence <= self.delivered_before,
                acker: Box::new(ClusterAcker::new(&self.acks, sequence)),
            }),
            Err(error) => {
                self.pass_over(&error, sequence).await;
                None
            }
        }
    }

    /// Passes over what is none of ours: no replica of any version writes such.
    async fn pass_over(&self, error: &envelope::Unreadable, sequence: u64) {
        tracing::error!(%error, sequence, "event at {sequence} cannot be read; skipping it");
        self.acks.skip(sequence).await;
    }

    /// Reads an event that its handler dropped.
    async fn read_again(&mut self, sequence: u64) -> Option<EventDelivery> {
        if !self.acks.is_open(sequence) {
            return None;
        }
        match self.nats.ask(|| self.nats.events.direct_get(sequence)).await {
            Ok(message) => {
                let (subject, headers) = (&message.subject, Some(&message.headers));
                match envelope::read_event(subject, headers, &message.payload) {
                    Ok(event) => {
                        let acker = Box::new(ClusterAcker::new(&self.acks, sequence));
                        Some(EventDelivery { event, is_redelivery: true, acker })
                    }
                    Err(error) => {
                        self.pass_over(&error, sequence).await;
                        None
                    }
                }
            }
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => {
                tracing::warn!(
                    sequence,
                    "event at {sequence} left the stream before it was handled"
                );
                self.acks.skip(sequence).await;
                None
            }
            Err(error) => {
                tracing::debug!(%error, "could not read an event again");
                self.again.push(Reverse((Instant::now() + Duration::from_secs(1), sequence)));
                None
            }
        }
    }

    /// Finds the consumer as this reader left it, or makes it anew where everything is
    /// acknowledged, so that order is kept.
    async fn reopened(&mut self) -> Result<Pull, BoxError> {
        timeout(OPEN_TIMEOUT, self.prepared()).await??;
        Ok(Pull::new(
            self.nats.client.clone(),
            subjects::next_of(subjects::EVENTS, &self.consumer.name),
            AHEAD.min(self.consumer.max_unacked),
            Sharing::Alone,
            self.nats.state.clone(),
        ))
    }

    async fn prepared(&mut self) -> Result<(), BoxError> {
        let name = self.consumer.name.clone();
        let info = match self.nats.events.consumer_info(&name).await {
            Ok(info) => info,
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => {
                let begin =
                    self.kept_floor().await?.as_ref().map_or(DeliverPolicy::All, begin_behind);
                return self.create(begin).await;
            }
            Err(error) => return Err(error.into()),
        };
        let created_ns = info.created.unix_timestamp_nanos();
        let is_anothers = self.created_ns != 0 && created_ns != self.created_ns;
        if is_anothers && info.num_waiting > 0 {
            // Whoever opened it last has it, until it reads no more.
            return Err("another reader has taken over".into());
        }
        let is_whole = match self.seen {
            Some(seen) => info.delivered.consumer_sequence == seen && created_ns == self.created_ns,
            None => info.num_ack_pending == 0,
        };
        if is_whole && self.fits(&info) {
            self.seen = Some(info.delivered.consumer_sequence);
            self.created_ns = created_ns;
            return Ok(());
        }
        let floor = Floor {
            sequence: info.ack_floor.stream_sequence,
            stream_created_ns: self.stream_created_ns().await?,
        };
        self.delivered_before = self.delivered_before.max(info.delivered.stream_sequence);
        // Should this process end in between, the next reader finds the floor.
        self.nats.cursors.put(&name, serde_json::to_vec(&floor)?.into()).await?;
        self.nats.events.delete_consumer(&name).await?;
        self.acks.begin_behind(floor.sequence);
        self.create(begin_behind(&floor)).await
    }

    async fn create(&mut self, begin: DeliverPolicy) -> Result<(), BoxError> {
        let config = self.config(begin);
        self.acks.renewed();
        let created = self.nats.context.create_consumer_on_stream(config, subjects::EVENTS).await?;
        self.seen = Some(0);
        self.created_ns = created.cached_info().created.unix_timestamp_nanos();
        self.nats.cursors.purge(&self.consumer.name).await?;
        Ok(())
    }

    async fn kept_floor(&self) -> Result<Option<Floor>, BoxError> {
        let Some(kept) = self.nats.cursors.get(&self.consumer.name).await? else {
            return Ok(None);
        };
        let floor: Floor = serde_json::from_slice(&kept)?;
        let is_of_this_stream = floor.stream_created_ns == self.stream_created_ns().await?;
        Ok(is_of_this_stream.then_some(floor))
    }

    async fn stream_created_ns(&self) -> Result<i128, BoxError> {
        Ok(self.nats.events.get_info().await?.created.unix_timestamp_nanos())
    }

    /// Whether a consumer is the one that this version of the handler describes.
    fn fits(&self, info: &Info) -> bool {
        let config = &info.config;
        let mut filters = config.filter_subjects.clone();
        if !config.filter_subject.is_empty() {
            filters.push(config.filter_subject.clone());
        }
        let mut wanted = self.consumer.filters.clone();
        filters.sort_unstable();
        wanted.sort_unstable();
        filters == wanted
            && config.ack_policy == AckPolicy::All
            && config.max_ack_pending == self.max_ack_pending()
    }

    fn config(&self, deliver_policy: DeliverPolicy) -> pull::Config {
        let (filter_subject, filter_subjects) = match self.consumer.filters.as_slice() {
            [one] => (one.clone(), Vec::new()),
            many => (String::new(), many.to_vec()),
        };
        pull::Config {
            durable_name: Some(self.consumer.name.clone()),
            deliver_policy,
            ack_policy: AckPolicy::All,
            ack_wait: ACK_WAIT,
            max_ack_pending: self.max_ack_pending(),
            filter_subject,
            filter_subjects,
            ..Default::default()
        }
    }

    fn max_ack_pending(&self) -> i64 {
        i64::try_from(self.consumer.max_unacked).unwrap_or(i64::MAX)
    }
}

fn begin_behind(floor: &Floor) -> DeliverPolicy {
    DeliverPolicy::ByStartSequence { start_sequence: floor.sequence + 1 }
}
