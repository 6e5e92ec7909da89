use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use tokio::sync::Notify;
use twilight_model::id::{Id, marker::GuildMarker};

use ery_channel_queue::{BoxLease, ChannelQueue, Delivery, Hint, QueueError, Task, Wakeups};
use ery_clock::UnixMillis;
use ery_event_bus::{
    BusError, Event, EventBus, EventDeliveries, FollowedEvents, GatewayShard, Left, ResumePoint,
    Topic,
};
use ery_ids::{ChannelKey, ForgottenPerson, Part};

/// A channel queue that keeps what is published.
#[derive(Default)]
pub(crate) struct FakeQueue {
    published: Mutex<Vec<Task>>,
    changed: Notify,
    /// How many publishes fail before one is taken.
    pub(crate) failures: AtomicUsize,
}

impl FakeQueue {
    pub(crate) fn published(&self) -> Vec<Task> {
        self.published.lock().unwrap().clone()
    }

    /// Waits until so many tasks were published.
    pub(crate) async fn until_published(&self, count: usize) -> Vec<Task> {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                let published = self.published();
                if published.len() >= count {
                    return published;
                }
                changed.await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await.unwrap()
    }
}

fn unused() -> QueueError {
    QueueError::Unavailable("the store only publishes".into())
}

#[async_trait]
impl ChannelQueue for FakeQueue {
    async fn publish(&self, task: Task) -> Result<(), QueueError> {
        let fails = |left: usize| left.checked_sub(1);
        if self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails).is_ok() {
            return Err(QueueError::Unavailable("away".into()));
        }
        self.published.lock().unwrap().push(task);
        self.changed.notify_one();
        Ok(())
    }

    async fn wakeups(&self, _: usize) -> Result<Wakeups, QueueError> {
        Err(unused())
    }

    async fn turn_away(&self, _: Delivery) -> Result<(), QueueError> {
        Err(unused())
    }

    async fn hint(&self, _: ChannelKey) -> Hint {
        Hint::Unknown
    }

    async fn take(&self, _: Delivery) -> Result<Option<BoxLease>, QueueError> {
        Err(unused())
    }
}

/// An event bus that keeps what is told, and says what it is told to say of people's events.
#[derive(Default)]
pub(crate) struct FakeBus {
    pub(crate) told: Mutex<Vec<ForgottenPerson>>,
    /// What config was told to have changed.
    pub(crate) config: Mutex<Vec<ery_community_config::Changed>>,
    /// Whose keys were told to have changed.
    pub(crate) keys: Mutex<Vec<u64>>,
    /// Something is left, which is gone by this moment.
    pub(crate) left: Mutex<Option<Left>>,
}

fn only_told() -> BusError {
    BusError::Unavailable("the store only tells and forgets".into())
}

#[async_trait]
impl EventBus for FakeBus {
    async fn publish(&self, _: Event) -> Result<(), BusError> {
        Err(only_told())
    }

    async fn consume(&self, _: &str, _: &[&str], _: Part) -> Result<EventDeliveries, BusError> {
        Err(only_told())
    }

    async fn follow(&self, _: &[&str]) -> Result<FollowedEvents, BusError> {
        Err(only_told())
    }

    async fn broadcast(&self, topic: Topic, payload: Bytes) -> Result<(), BusError> {
        match topic {
            Topic::PersonForgotten => {
                self.told.lock().unwrap().push(serde_json::from_slice(&payload).unwrap());
            }
            Topic::ConfigChanged => {
                self.config.lock().unwrap().push(serde_json::from_slice(&payload).unwrap());
            }
            Topic::ProviderKeysChanged => {
                let guild: Id<GuildMarker> = serde_json::from_slice(&payload).unwrap();
                self.keys.lock().unwrap().push(guild.get());
            }
            other => panic!("the store tells nothing of {other:?}"),
        }
        Ok(())
    }

    async fn listen(&self, _: Topic) -> Result<BoxStream<'static, Bytes>, BusError> {
        Err(only_told())
    }

    async fn forget(&self, _: ForgottenPerson, _: UnixMillis) -> Result<Left, BusError> {
        Ok(self.left.lock().unwrap().unwrap_or(Left::Nothing))
    }

    async fn save_resume_point(
        &self,
        _: GatewayShard,
        _: Option<&ResumePoint>,
    ) -> Result<(), BusError> {
        Err(only_told())
    }

    async fn resume_point(&self, _: GatewayShard) -> Result<Option<ResumePoint>, BusError> {
        Err(only_told())
    }
}
