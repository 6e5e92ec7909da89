use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_ids::{EventId, ForgottenPerson, Home, Part};
use ery_trace::TraceParent;

/// One dispatch of Discord's on the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The same however often it is published.
    pub id: EventId,
    /// The dispatch's type in lower case: `message_create`.
    pub kind: String,
    pub home: Home,
    pub channel: Option<Id<ChannelMarker>>,
    /// Ery's own user, as the session that received it knows it.
    pub bot: Id<UserMarker>,
    pub received_at: UnixMillis,
    /// Where it arose, as a place in a trace; none where nobody traces it.
    pub traceparent: Option<TraceParent>,
    /// The dispatch's `d` as Discord sent it.
    pub payload: Bytes,
}

/// A receipt of an event by a durable handler; dropped without [`Self::ack`], it comes again.
pub struct EventDelivery {
    pub event: Event,
    /// Whether it may have been delivered before.
    pub is_redelivery: bool,
    pub acker: Box<dyn Acker>,
}

impl EventDelivery {
    /// Says that the event's outcome is durable.
    ///
    /// # Errors
    ///
    /// The event may be delivered again; a repeat changes nothing.
    pub async fn ack(self) -> Result<(), BusError> {
        self.acker.ack().await
    }
}

/// Acknowledges one delivery.
#[async_trait]
pub trait Acker: Send + Sync {
    async fn ack(self: Box<Self>) -> Result<(), BusError>;
}

/// Deliveries to one durable handler, in the order in which they were published.
pub type EventDeliveries = BoxStream<'static, EventDelivery>;

/// An event as a follower sees it: live, at most once.
#[derive(Clone, Debug)]
pub enum Followed {
    Event(Event),
    /// Events may be missing here: forget what was learnt from them.
    Gap,
}

/// Events as they are published.
pub type FollowedEvents = BoxStream<'static, Followed>;

/// What is told to every process that listens now, and to nobody later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Messages were edited or deleted: JSON of [`ery_ids::ChannelKey`] and message ids.
    MessagesChanged,
    /// A task thread made a step: JSON for the playground's page and the console.
    ThreadProgress,
    /// What a community or the installation set: JSON of `ery_community_config::Changed`.
    ConfigChanged,
    /// A guild's keys of model providers were changed: JSON of its id.
    ProviderKeysChanged,
    /// A person is to be forgotten: JSON of [`ForgottenPerson`].
    PersonForgotten,
}

impl Topic {
    /// Returns its name in subjects.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MessagesChanged => "messages_changed",
            Self::ThreadProgress => "thread_progress",
            Self::ConfigChanged => "config_changed",
            Self::ProviderKeysChanged => "provider_keys_changed",
            Self::PersonForgotten => "person_forgotten",
        }
    }
}

/// One of the Gateway's shards, of `total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GatewayShard {
    pub number: u32,
    pub total: u32,
}

/// From where a session can be resumed: everything up to `sequence` is on the bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumePoint {
    pub session: String,
    pub resume_url: String,
    pub sequence: u64,
    /// Ery's own user, told by READY only.
    pub bot: Id<UserMarker>,
    pub saved_at: UnixMillis,
}

/// What is left on the bus of a person who is to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    Nothing,
    Some {
        /// When it goes by age at the latest; none: once it is handled.
        gone_by: Option<UnixMillis>,
    },
}

/// Why the bus did not answer.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// It may or may not have happened.
    #[error("the event bus cannot be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A bound is reached; nothing was published.
    #[error("the event bus is full")]
    Full,
    /// No part of the payload can be carried, even compressed and split.
    #[error("event {id} of {size_bytes} bytes is too large for the bus")]
    TooLarge { id: EventId, size_bytes: usize },
}

/// Events published and handled durably, broadcasts, and resume points.
#[async_trait]
pub trait EventBus: Send + Sync {
    /// Publishes an event; returns when it is durable. A repeat of its id changes nothing.
    async fn publish(&self, event: Event) -> Result<(), BusError>;

    /// Returns what the durable `handler` has not acknowledged of a part, in order, of these kinds.
    ///
    /// A handler's name and kinds belong together for ever. What was published before its first
    /// use is delivered as far as the bus still holds it.
    async fn consume(
        &self,
        handler: &str,
        kinds: &[&str],
        part: Part,
    ) -> Result<EventDeliveries, BusError>;

    /// Returns all events of these kinds as they are published from now on; all kinds if empty.
    ///
    /// Everything published after this returns is seen, or a [`Followed::Gap`] in its place.
    async fn follow(&self, kinds: &[&str]) -> Result<FollowedEvents, BusError>;

    /// Tells every process that listens now.
    async fn broadcast(&self, topic: Topic, payload: Bytes) -> Result<(), BusError>;

    /// Hears what is broadcast from now on.
    async fn listen(&self, topic: Topic) -> Result<BoxStream<'static, Bytes>, BusError>;

    /// Erases the events that tell of a person and were received by `until`, as far as every handler
    /// has them, and tells whether any is left. Asked again, it goes on.
    ///
    /// An adapter that keeps nothing needs no code for it.
    async fn forget(&self, _person: ForgottenPerson, _until: UnixMillis) -> Result<Left, BusError> {
        Ok(Left::Nothing)
    }

    /// Saves from where a shard's session can be resumed; none forgets it.
    async fn save_resume_point(
        &self,
        shard: GatewayShard,
        point: Option<&ResumePoint>,
    ) -> Result<(), BusError>;

    /// Returns from where a shard's session can be resumed, if anywhere.
    async fn resume_point(&self, shard: GatewayShard) -> Result<Option<ResumePoint>, BusError>;
}
