use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use tokio::sync::Notify;

use ery_channel_queue::{BoxLease, ChannelQueue, Delivery, Hint, QueueError, Task, Wakeups};
use ery_ids::ChannelKey;

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
