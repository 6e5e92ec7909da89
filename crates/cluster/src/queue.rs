mod adoption;
mod held;
mod held_hints;
mod lease;
mod tasks;
mod unreadable;
mod wakeups;

use std::{
    any::Any,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::{Instant, timeout};

use ery_channel_queue::{
    BoxLease, ChannelQueue, Delivery, Hint, Left, QueueError, Task, UnreadableTask,
    UnreadableTasks, Wakeups,
};
use ery_clock::{Clock, UnixMillis};
use ery_ids::{ChannelKey, Fence, ForgottenPerson, OwnerToken, ReplicaId};

use self::{
    held::HeldChannels,
    held_hints::HeldHints,
    lease::ClusterLease,
    tasks::{Handle, Tasks},
    unreadable::Unreadables,
};
use crate::{
    ClusterMembership, NatsSettings, RedisSettings,
    envelope::Envelope,
    error::NoAnswer,
    keys::ChannelKeys,
    nats::{BoxError, NatsLink, PublishFailure, oldest},
    redis_link::{RedisError, RedisLink},
    scripts, subjects,
};

/// A hint is worth no longer wait than the work that it may save.
const HINT_TIMEOUT: Duration = Duration::from_millis(100);

/// The channel queue over NATS JetStream and Redis.
pub struct ClusterQueue {
    inner: Arc<Inner>,
}

/// What leases and wake-ups share.
struct Inner {
    nats: Arc<NatsLink>,
    redis: Arc<RedisLink>,
    tasks: Tasks,
    held: HeldChannels,
    hints: OnceLock<HeldHints>,
    unreadable: Unreadables,
    membership: Arc<ClusterMembership>,
    clock: Arc<dyn Clock>,
    replica: ReplicaId,
    lease_ttl: Duration,
    ack_wait: Duration,
    longest_exchange: Duration,
    compress_above: usize,
    request_timeout: Duration,
}

impl ClusterQueue {
    pub(crate) fn new(
        nats: Arc<NatsLink>,
        redis: Arc<RedisLink>,
        membership: Arc<ClusterMembership>,
        clock: Arc<dyn Clock>,
        replica: ReplicaId,
        nats_settings: &NatsSettings,
        redis_settings: &RedisSettings,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                tasks: Tasks::new(Arc::clone(&nats)),
                nats,
                redis,
                held: HeldChannels::default(),
                hints: OnceLock::new(),
                unreadable: Unreadables::default(),
                membership,
                clock,
                replica,
                lease_ttl: redis_settings.lease_ttl,
                ack_wait: nats_settings.ack_wait,
                longest_exchange: redis_settings.longest_exchange,
                compress_above: nats_settings.compress_above_bytes,
                request_timeout: nats_settings.request_timeout,
            }),
        }
    }
}

#[async_trait]
impl ChannelQueue for ClusterQueue {
    async fn publish(&self, task: Task) -> Result<(), QueueError> {
        let unreadable =
            |source: BoxError| QueueError::Unreadable { trigger: task.trigger.to_string(), source };
        let envelope = Envelope::of_task(&task, self.inner.compress_above)
            .await
            .map_err(|error| unreadable(error.into()))?;
        match self.inner.nats.publish(subjects::task(task.channel), envelope).await {
            Ok(()) => Ok(()),
            Err(PublishFailure::Full) => Err(QueueError::Full),
            Err(PublishFailure::Unavailable(error)) => Err(QueueError::Unavailable(error)),
            Err(PublishFailure::TooLarge(size)) => {
                Err(unreadable(format!("{size} bytes are more than NATS carries").into()))
            }
        }
    }

    async fn wakeups(&self, prefetch: usize) -> Result<Wakeups, QueueError> {
        wakeups::open(Arc::clone(&self.inner), prefetch).await.map_err(QueueError::Unavailable)
    }

    async fn unreadable(&self) -> Result<UnreadableTasks, QueueError> {
        Ok(self.inner.unreadable.given_up())
    }

    async fn discard(&self, task: UnreadableTask) -> Result<(), QueueError> {
        let handle = handle_of(task.handle);
        self.inner.tasks.remove(task.position.0, handle).await.map_err(QueueError::Unavailable)
    }

    async fn forget(&self, _: ForgottenPerson, until: UnixMillis) -> Result<Left, QueueError> {
        let asked = timeout(self.inner.request_timeout, oldest(&self.inner.nats.tasks)).await;
        let oldest = match asked {
            Ok(oldest) => oldest.map_err(QueueError::Unavailable)?,
            Err(_) => return Err(QueueError::Unavailable(NoAnswer("NATS").into())),
        };
        // Everything that was there then was answered since, whoever it is of.
        let is_left = oldest.is_some_and(|oldest| oldest <= until);
        Ok(if is_left { Left::Some { gone_by: None } } else { Left::Nothing })
    }

    async fn turn_away(&self, delivery: Delivery) -> Result<(), QueueError> {
        let tasks = &self.inner.tasks;
        let position = delivery.position.0;
        tasks.remove(position, handle_of(delivery.handle)).await.map_err(QueueError::Unavailable)
    }

    async fn hint(&self, channel: ChannelKey) -> Hint {
        if self.inner.held.is_held(channel) {
            return Hint::Active;
        }
        match timeout(HINT_TIMEOUT, self.inner.shared_hint(channel)).await {
            Ok(Ok(hint)) => hint,
            Ok(Err(_)) | Err(_) => Hint::Unknown,
        }
    }

    async fn take(&self, delivery: Delivery) -> Result<Option<BoxLease>, QueueError> {
        let inner = &self.inner;
        let channel = delivery.task.channel;
        let position = delivery.position.0;
        let handle = handle_of(delivery.handle);
        if inner.held.note(channel, position, &handle) {
            return Ok(None);
        }
        let keys = ChannelKeys::of(channel);
        let owner = OwnerToken(format!("{}.{:016x}", inner.replica, rand::random::<u64>()));
        let asked_at = Instant::now();
        let granted = scripts::acquire(&inner.redis, &keys, &owner, inner.lease_ttl, position)
            .await
            .map_err(unavailable)?;
        let Some(epoch) = granted else {
            // Whoever holds it may be in this process by now, and about to give it back.
            inner.held.note(channel, position, &handle);
            return Ok(None);
        };
        let fence = Fence { channel, epoch, owner };
        let lease = ClusterLease::new(inner, fence, keys, asked_at, position, &handle);
        Ok(Some(Box::new(lease)))
    }
}

impl Inner {
    /// Asks Redis what it knows of a channel.
    async fn shared_hint(&self, channel: ChannelKey) -> Result<Hint, RedisError> {
        let keys = ChannelKeys::of(channel);
        // The lease first: who gives it back has written down the exchange before.
        let mut questions = redis::pipe();
        questions.exists(&keys.lease).get(&keys.exchange);
        let (held, exchange): (bool, Option<i64>) = self.redis.pipeline(&questions).await?;
        if held || exchange.is_some_and(|until| UnixMillis(until) > self.clock.now()) {
            return Ok(Hint::Active);
        }
        // Redis may have been emptied, or have lost its last second, since an exchange was opened.
        let is_trusted = scripts::known_for(&self.redis).await? >= self.longest_exchange;
        Ok(if is_trusted { Hint::Quiet } else { Hint::Unknown })
    }

    /// Tells Redis which channels this process holds, for those who come after it.
    fn hint_held(&self, channel: ChannelKey) {
        self.hints
            .get_or_init(|| {
                HeldHints::new(Arc::clone(&self.redis), &self.replica, self.held.clone())
            })
            .changed(channel);
    }
}

fn handle_of(handle: Box<dyn Any + Send + Sync>) -> Handle {
    *handle.downcast().expect("every delivery of this queue is made with a handle of its own")
}

fn unavailable(error: RedisError) -> QueueError {
    QueueError::Unavailable(error.into())
}

/// What is acknowledged says that its task is done.
const DONE: Bytes = Bytes::from_static(b"+ACK");
/// Its task is being worked on: do not deliver it again yet.
const IN_PROGRESS: Bytes = Bytes::from_static(b"+WPI");
