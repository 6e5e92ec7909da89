use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use ery_channel_queue::{ChannelQueue, QueueError, Task};
use ery_clock::UnixMillis;
use ery_ids::StoreShard;
use ery_trace::TraceParent;

use crate::{
    adapters::scheduled_tasks::{self, Due},
    domain::ScheduledTask,
    error::StoreError,
    service::Inner,
};

/// How many tasks of one shard are published before the next shard has its turn.
const AT_ONCE: u32 = 64;

/// How long the queue may take for one task.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a shard waits whose tasks could not be published, or that could not be read.
const RETRY: Duration = Duration::from_secs(1);

/// The longest sleep, after which the clock is asked again: it may have been set.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// Publishes tasks that are due to the channel queue, and marks them once they stand there.
///
/// A crash between the two repeats the publish under the same id, which the queue takes for what it
/// is; where it no longer remembers, the store knows the trigger as finished. So nothing is lost and
/// nothing runs twice.
pub(crate) struct Scheduler {
    store: Arc<Inner>,
    queue: Arc<dyn ChannelQueue>,
}

/// Why a shard's tasks were not all published.
#[derive(Debug, thiserror::Error)]
enum Held {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the channel queue did not take a task")]
    Queue(#[from] QueueError),
    #[error("the channel queue did not answer in time")]
    Timeout,
}

impl Scheduler {
    pub(crate) fn new(store: Arc<Inner>, queue: Arc<dyn ChannelQueue>) -> Self {
        Self { store, queue }
    }

    /// Publishes until the process drains; first what a process before this one left.
    pub(crate) async fn run(self, draining: CancellationToken) {
        let agenda = &self.store.agenda;
        for shard in self.store.shards.all_existing() {
            agenda.add(shard, UnixMillis(0));
        }
        // Shards whose tasks could not be published, and when they are tried again.
        let mut held: BTreeSet<StoreShard> = BTreeSet::new();
        let mut retry_at = Instant::now();
        loop {
            for shard in agenda.take(self.store.clock.now()) {
                if draining.is_cancelled() {
                    return;
                }
                match self.publish_due(shard, &draining).await {
                    Ok(Some(next)) => agenda.add(shard, next),
                    // Whoever has a shard that has gone looks at it.
                    Ok(None) | Err(Held::Store(StoreError::Elsewhere { .. })) => {}
                    Err(error) => {
                        self.store.metrics.publish_failed();
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(store_shard = %shard, error,
                            "tasks of {shard} are not published yet; trying again");
                        if held.is_empty() {
                            retry_at = Instant::now() + RETRY;
                        }
                        held.insert(shard);
                    }
                }
            }
            let due = agenda.next().map(|next| next.since(self.store.clock.now()));
            let wake = Instant::now() + due.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP);
            let wake = if held.is_empty() { wake } else { wake.min(retry_at) };
            tokio::select! {
                biased;
                () = draining.cancelled() => return,
                () = agenda.changed() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
            if Instant::now() >= retry_at {
                for shard in std::mem::take(&mut held) {
                    agenda.add(shard, UnixMillis(0));
                }
            }
        }
    }

    /// Publishes what is due of a shard, and returns when it is to be looked at again.
    async fn publish_due(
        &self,
        shard: StoreShard,
        draining: &CancellationToken,
    ) -> Result<Option<UnixMillis>, Held> {
        let shards = &self.store.shards;
        let was_open = shards.is_open(shard).await;
        let open = shards.open(shard).await?;
        let now = self.store.clock.now();
        let mut unreadable = None;
        for Due { row, task, written_at } in
            open.read(scheduled_tasks::due(open.readers(), now, AT_ONCE)).await?
        {
            if draining.is_cancelled() {
                return Ok(None);
            }
            match self.publish(task, written_at).await {
                Ok(()) => {}
                // One that can never be published holds no other up.
                Err(Held::Queue(error @ QueueError::Unreadable { .. })) => {
                    unreadable = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            }
            let at = self.store.clock.now();
            open.write(move |connection| scheduled_tasks::mark_published(connection, row, at))
                .await?;
            self.store.metrics.task_published();
        }
        if let Some(error) = unreadable {
            return Err(error.into());
        }
        let next = open.read(scheduled_tasks::next_due(open.readers())).await?;
        drop(open);
        if !was_open {
            // It was only looked at: nobody needs it open for that.
            shards.close(shard).await;
        }
        Ok(next)
    }

    async fn publish(
        &self,
        task: ScheduledTask,
        written_at: Option<TraceParent>,
    ) -> Result<(), Held> {
        let ScheduledTask { channel, trigger, retry, bot, received_at, payload, .. } = task;
        let task = Task {
            trigger,
            channel,
            retry,
            bot,
            received_at,
            session: None,
            traceparent: written_at,
            payload: payload.into(),
        };
        match tokio::time::timeout(PUBLISH_TIMEOUT, self.queue.publish(task)).await {
            Ok(published) => Ok(published?),
            Err(_) => Err(Held::Timeout),
        }
    }
}
