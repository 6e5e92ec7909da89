use std::{future::Future, time::Duration};

use tokio::task::JoinHandle;

/// Runs `future` beside its maker, which keeps the handle or has another way to end it.
#[expect(
    clippy::disallowed_methods,
    reason = "a library has no `Tasks`; every task here is owned by what it serves"
)]
pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(future)
}

/// A task that ends with its owner.
#[derive(Debug)]
pub(crate) struct Owned(JoinHandle<()>);

impl Owned {
    pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(spawn(future))
    }

    /// Ends it, and waits until it has.
    pub(crate) async fn end(mut self) {
        self.0.abort();
        if let Err(error) = (&mut self.0).await
            && error.is_panic()
        {
            tracing::error!("a background task panicked");
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Spreads a period by ±20 %, so that many do not act at once.
pub(crate) fn jittered(period: Duration) -> Duration {
    period.mul_f64(rand::random_range(0.8..1.2))
}

/// Waits that grow from `first` to `last`, each spread by ±20 %.
pub(crate) struct Backoff {
    next: Duration,
    first: Duration,
    last: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, last: Duration) -> Self {
        Self { next: first, first, last }
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }

    pub(crate) async fn wait(&mut self) {
        let wait = jittered(self.next);
        self.next = (self.next * 2).min(self.last);
        tokio::time::sleep(wait).await;
    }
}
