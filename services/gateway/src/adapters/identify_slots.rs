use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, oneshot},
    time::Instant,
};
use twilight_gateway_queue::Queue;
use twilight_model::gateway::SessionStartLimit;

use ery_budgets::Budgets;
use ery_lifecycle::Tasks;

use crate::{adapters::Rest, domain::Backoff};

/// How old what Discord said of the day's identifies may be before it is asked again.
///
/// Other replicas identify, too; and exceeding the day's number resets the token.
const LIMIT_AGE: Duration = Duration::from_mins(1);

/// How long a question for the day's number may take.
const LIMIT_PATIENCE: Duration = Duration::from_secs(5);

/// Lets shards identify one by one in each bucket, across all replicas, and so many a day.
///
/// Source: Discord Docs, Gateway, Session Start Limit: `rate_limit_key = shard % max_concurrency`.
#[derive(Clone)]
pub(crate) struct IdentifySlots {
    inner: Arc<Inner>,
}

struct Inner {
    budgets: Arc<dyn Budgets>,
    rest: Arc<Rest>,
    tasks: Tasks,
    day: Mutex<Day>,
}

struct Day {
    limit: SessionStartLimit,
    told_at: Instant,
}

impl IdentifySlots {
    pub(crate) fn new(
        budgets: Arc<dyn Budgets>,
        rest: Arc<Rest>,
        limit: SessionStartLimit,
        tasks: Tasks,
    ) -> Self {
        let day = Mutex::new(Day { limit, told_at: Instant::now() });
        Self { inner: Arc::new(Inner { budgets, rest, tasks, day }) }
    }
}

impl Queue for IdentifySlots {
    fn enqueue(&self, shard: u32) -> oneshot::Receiver<()> {
        let (mut granted, receiver) = oneshot::channel();
        let inner = Arc::clone(&self.inner);
        self.inner.tasks.spawn_work("identify slot", async move {
            tokio::select! {
                // The shard was closed meanwhile.
                () = granted.closed() => {}
                () = inner.wait_for_slot(shard) => drop(granted.send(())),
            }
        });
        receiver
    }
}

impl Inner {
    async fn wait_for_slot(&self, shard: u32) {
        let max_concurrency = self.wait_for_day().await;
        let bucket = shard % max_concurrency;
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        loop {
            match self.budgets.identify_slot(bucket).await {
                Ok(None) => return,
                Ok(Some(wait)) => tokio::time::sleep(wait).await,
                Err(error) => {
                    if backoff.failures() == 0 {
                        tracing::warn!(
                            shard.id = shard,
                            error = &error as &dyn std::error::Error,
                            "no identify slot for shard {shard} could be had; trying on"
                        );
                    }
                    tokio::time::sleep(backoff.failed(rand::random())).await;
                }
            }
        }
    }

    /// Takes one of the day's identifies, and returns how many may go at once.
    async fn wait_for_day(&self) -> u32 {
        // Held while waiting: nobody else may identify, either.
        let mut day = self.day.lock().await;
        loop {
            if day.told_at.elapsed() >= LIMIT_AGE || day.limit.remaining == 0 {
                match self.rest.gateway(LIMIT_PATIENCE).await {
                    Ok(info) => {
                        *day = Day { limit: info.start_limit, told_at: Instant::now() };
                    }
                    Err(error) => tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "Discord did not say how many identifies are left"
                    ),
                }
            }
            if day.limit.remaining > 0 {
                day.limit.remaining -= 1;
                return u32::from(day.limit.max_concurrency.max(1));
            }
            let wait = Duration::from_millis(day.limit.reset_after)
                .clamp(Duration::from_secs(1), Duration::from_mins(10));
            tracing::error!(
                reset_after_ms = day.limit.reset_after,
                "the day's identifies are used up; more would reset the token: waiting"
            );
            tokio::time::sleep(wait).await;
        }
    }
}
