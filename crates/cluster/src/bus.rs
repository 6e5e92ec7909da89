mod acks;
mod consume;
mod follow;

use std::{sync::Arc, time::Duration};

use async_nats::connection::State;
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use tokio::time::timeout;

use ery_clock::UnixMillis;
use ery_event_bus::{
    BusError, Event, EventBus, EventDeliveries, FollowedEvents, GatewayShard, Left, ResumePoint,
    Topic,
};
use ery_ids::{EventId, ForgottenPerson, Part};

use crate::{
    NatsSettings,
    envelope::Envelope,
    error::NoAnswer,
    nats::{BoxError, NatsLink, PublishFailure, oldest},
    subjects,
};

/// The event bus over NATS JetStream.
pub struct ClusterBus {
    nats: Arc<NatsLink>,
    compress_above: usize,
    max_unacked: usize,
    redelivery: Duration,
    request_timeout: Duration,
    max_age: Duration,
}

impl ClusterBus {
    pub(crate) fn new(nats: Arc<NatsLink>, settings: &NatsSettings) -> Self {
        Self {
            nats,
            compress_above: settings.compress_above_bytes,
            max_unacked: settings.max_unacked_events,
            redelivery: settings.ack_wait,
            request_timeout: settings.request_timeout,
            max_age: settings.events_max_age,
        }
    }

    async fn in_time<T>(
        &self,
        question: impl Future<Output = Result<T, BoxError>>,
    ) -> Result<T, BusError> {
        match timeout(self.request_timeout, question).await {
            Ok(answer) => answer.map_err(BusError::Unavailable),
            Err(_) => Err(BusError::Unavailable(NoAnswer("NATS").into())),
        }
    }
}

#[async_trait]
impl EventBus for ClusterBus {
    async fn publish(&self, event: Event) -> Result<(), BusError> {
        let envelope = Envelope::of_event(&event, self.compress_above)
            .await
            .map_err(|error| BusError::Unavailable(error.into()))?;
        let subject = subjects::event(event.home, &event.kind, event.channel);
        match self.nats.publish(subject, envelope).await {
            Ok(()) => Ok(()),
            Err(PublishFailure::Full) => Err(BusError::Full),
            Err(PublishFailure::Unavailable(error)) => Err(BusError::Unavailable(error)),
            Err(PublishFailure::TooLarge(size_bytes)) => {
                Err(BusError::TooLarge { id: event.id, size_bytes })
            }
        }
    }

    async fn consume(
        &self,
        handler: &str,
        kinds: &[&str],
        part: Part,
    ) -> Result<EventDeliveries, BusError> {
        let consumer = consume::Consumer {
            name: subjects::handler(handler, part),
            filters: subjects::event_filters(kinds, Some(part)),
            max_unacked: self.max_unacked,
            redelivery: self.redelivery,
        };
        consume::open(Arc::clone(&self.nats), consumer).await.map_err(BusError::Unavailable)
    }

    async fn follow(&self, kinds: &[&str]) -> Result<FollowedEvents, BusError> {
        let filters = subjects::event_filters(kinds, None);
        follow::open(Arc::clone(&self.nats), filters).await.map_err(BusError::Unavailable)
    }

    async fn broadcast(&self, topic: Topic, payload: Bytes) -> Result<(), BusError> {
        let size_bytes = payload.len();
        if size_bytes > self.nats.client.max_payload() {
            let id = EventId(subjects::broadcast(topic));
            return Err(BusError::TooLarge { id, size_bytes });
        }
        let told = async {
            self.nats.client.publish(subjects::broadcast(topic), payload).await?;
            // It waits for a connection then: whoever relies on being told is told late, if at all.
            match self.nats.client.connection_state() {
                State::Connected => Ok(()),
                State::Pending | State::Disconnected => Err(NoAnswer("NATS").into()),
            }
        };
        self.in_time(told).await
    }

    async fn listen(&self, topic: Topic) -> Result<BoxStream<'static, Bytes>, BusError> {
        let heard = async {
            let heard = self.nats.client.subscribe(subjects::broadcast(topic)).await?;
            self.nats.settled().await?;
            Ok(heard)
        };
        let heard = self.in_time(heard).await?;
        Ok(heard.map(|message| message.payload).boxed())
    }

    async fn forget(&self, _: ForgottenPerson, until: UnixMillis) -> Result<Left, BusError> {
        // A secure erase rewrites a whole file of the stream for each event; they go by age instead.
        let oldest = self.in_time(oldest(&self.nats.events)).await?;
        let is_left = oldest.is_some_and(|oldest| oldest <= until);
        Ok(if is_left { Left::Some { gone_by: Some(until + self.max_age) } } else { Left::Nothing })
    }

    async fn save_resume_point(
        &self,
        shard: GatewayShard,
        point: Option<&ResumePoint>,
    ) -> Result<(), BusError> {
        let key = subjects::resume_point(shard);
        let bucket = &self.nats.resume_points;
        let saved = async {
            match point {
                Some(point) => {
                    bucket.put(key, serde_json::to_vec(point)?.into()).await?;
                }
                None => bucket.purge(key).await?,
            }
            Ok(())
        };
        self.in_time(saved).await
    }

    async fn resume_point(&self, shard: GatewayShard) -> Result<Option<ResumePoint>, BusError> {
        let key = subjects::resume_point(shard);
        let read = async {
            let Some(point) = self.nats.resume_points.get(key).await? else { return Ok(None) };
            Ok(Some(serde_json::from_slice(&point)?))
        };
        self.in_time(read).await
    }
}
