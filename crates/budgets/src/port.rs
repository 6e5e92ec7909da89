use std::time::Duration;

use async_trait::async_trait;

/// Which request goes first where not all can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Somebody waits for it: answers, moderation.
    Foreground,
    /// Nobody waits for it: history, counts. Keeps a share free for the foreground.
    Background,
}

/// Whether a request may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestPermit {
    Granted,
    /// Ask again after this time: the second's budget is used up, or Discord said to pause.
    Wait(Duration),
}

/// How many requests of the last ten minutes Discord counts as invalid (401, 403, 429 not shared).
///
/// Source: Discord Docs, Rate Limits: 10,000 in 10 minutes ban the address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InvalidRequests {
    pub in_window: u64,
}

/// Why a budget did not answer.
#[derive(Debug, thiserror::Error)]
pub enum BudgetsError {
    #[error("the shared budgets cannot be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Budgets shared by all replicas of an installation.
#[async_trait]
pub trait Budgets: Send + Sync {
    /// Takes the slot for an identify in a rate-limit bucket (`shard % max_concurrency`), or says
    /// how long until the next one: one in five seconds each.
    async fn identify_slot(&self, bucket: u32) -> Result<Option<Duration>, BudgetsError>;

    /// Takes one request out of this second's budget of `per_second`.
    async fn request(
        &self,
        priority: Priority,
        per_second: u32,
    ) -> Result<RequestPermit, BudgetsError>;

    /// Makes every replica pause all requests: Discord's global limit was hit.
    async fn pause(&self, how_long: Duration) -> Result<(), BudgetsError>;

    /// Counts an invalid request, and returns how many there were.
    async fn count_invalid(&self) -> Result<InvalidRequests, BudgetsError>;

    /// Returns how many there were, without counting one.
    async fn invalid(&self) -> Result<InvalidRequests, BudgetsError>;
}
