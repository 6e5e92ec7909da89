use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::timeout;

use ery_budgets::{Budgets, BudgetsError, InvalidRequests, Priority, RequestPermit};

use crate::{
    error::NoAnswer,
    redis_link::{RedisError, RedisLink},
    scripts,
};

/// One identify in five seconds, and a little for the clocks' differences.
const IDENTIFY_PERIOD: Duration = Duration::from_millis(5_500);

/// A request waits no longer for the budget than this: its sender has a fallback.
const PATIENCE: Duration = Duration::from_millis(500);

/// Budgets shared by all replicas, in Redis and by its clock.
pub struct ClusterBudgets {
    redis: Arc<RedisLink>,
}

impl ClusterBudgets {
    pub(crate) fn new(redis: Arc<RedisLink>) -> Self {
        Self { redis }
    }
}

#[async_trait]
impl Budgets for ClusterBudgets {
    async fn identify_slot(&self, bucket: u32) -> Result<Option<Duration>, BudgetsError> {
        soon(scripts::identify(&self.redis, bucket, IDENTIFY_PERIOD)).await
    }

    async fn request(
        &self,
        priority: Priority,
        per_second: u32,
    ) -> Result<RequestPermit, BudgetsError> {
        let budget = match priority {
            Priority::Foreground => per_second,
            // A fifth is the foreground's alone.
            Priority::Background => per_second - per_second.div_ceil(5),
        };
        if budget == 0 {
            return Ok(RequestPermit::Wait(Duration::from_secs(1)));
        }
        let wait = soon(scripts::request(&self.redis, budget)).await?;
        Ok(wait.map_or(RequestPermit::Granted, RequestPermit::Wait))
    }

    async fn pause(&self, how_long: Duration) -> Result<(), BudgetsError> {
        if how_long.is_zero() {
            return Ok(());
        }
        soon(scripts::pause(&self.redis, how_long.max(Duration::from_millis(1)))).await
    }

    async fn count_invalid(&self) -> Result<InvalidRequests, BudgetsError> {
        let in_window = soon(scripts::invalid(&self.redis, 1)).await?;
        Ok(InvalidRequests { in_window })
    }

    async fn invalid(&self) -> Result<InvalidRequests, BudgetsError> {
        let in_window = soon(scripts::invalid(&self.redis, 0)).await?;
        Ok(InvalidRequests { in_window })
    }
}

async fn soon<T>(question: impl Future<Output = Result<T, RedisError>>) -> Result<T, BudgetsError> {
    match timeout(PATIENCE, question).await {
        Ok(answer) => answer.map_err(|error| BudgetsError::Unavailable(error.into())),
        Err(_) => Err(BudgetsError::Unavailable(NoAnswer("Redis").into())),
    }
}
