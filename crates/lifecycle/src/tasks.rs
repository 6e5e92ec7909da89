use std::{future::Future, sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Every task of a process, each with a name.
///
/// A task that ends before its time drains the process with a failure. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tasks {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    draining: CancellationToken,
    stopping: CancellationToken,
    tracker: TaskTracker,
    failures: mpsc::UnboundedSender<String>,
    failed: tokio::sync::Mutex<mpsc::UnboundedReceiver<String>>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything finished in time.
    Drained,
    /// A task ended before its time.
    Failed(String),
    /// The grace period ran out, or a second signal came.
    OutOfTime,
}

impl Ended {
    /// Joins the ends of two stages: the graver one stands, the earlier of two failures.
    #[must_use]
    pub fn or(self, later: Self) -> Self {
        match (&self, &later) {
            (Self::Drained, _) | (Self::OutOfTime, Self::Failed(_)) => later,
            (Self::Failed(_) | Self::OutOfTime, _) => self,
        }
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    pub fn new() -> Self {
        let (failures, failed) = mpsc::unbounded_channel();
        Self {
            inner: Arc::new(Inner {
                draining: CancellationToken::new(),
                stopping: CancellationToken::new(),
                tracker: TaskTracker::new(),
                failures,
                failed: tokio::sync::Mutex::new(failed),
            }),
        }
    }

    /// Returns the token that is cancelled when nothing new may be begun.
    pub fn draining(&self) -> CancellationToken {
        self.inner.draining.clone()
    }

    /// Returns the token that is cancelled when everything must end at once.
    pub fn stopping(&self) -> CancellationToken {
        self.inner.stopping.clone()
    }

    /// Starts the drain: first SIGTERM, a failure, or the end of a test.
    pub fn drain(&self) {
        self.inner.draining.cancel();
    }

    /// Spawns a task that lives as long as the process. Ending before the drain is a failure, and
    /// so is an error at any time.
    pub fn spawn<F, E>(&self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::error::Error + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        self.spawn_tracked(name, async move {
            let result = task.await;
            let failure = match result {
                Ok(()) if inner.draining.is_cancelled() => return,
                Ok(()) => format!("{name} ended before its time"),
                Err(error) => format!("{name}: {}", with_causes(&error)),
            };
            // The receiver lives as long as `inner`.
            drop(inner.failures.send(failure));
            inner.draining.cancel();
        });
    }

    /// Spawns a task that may end at any time: one unit of work.
    pub fn spawn_work<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn_tracked(name, task);
    }

    fn spawn_tracked<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stopping = self.inner.stopping.clone();
        let guard = PanicGuard { name, inner: Arc::clone(&self.inner) };
        #[expect(clippy::disallowed_methods, reason = "this is where tasks get their names")]
        tokio::spawn(self.inner.tracker.track_future(async move {
            let guard = guard;
            tokio::select! {
                () = task => {}
                () = stopping.cancelled() => tracing::debug!(task = name, "stopped at once"),
            }
            drop(guard);
        }));
    }

    /// Drains, and waits for all tasks, for no longer than `grace`; then stops what is left.
    pub async fn finish(&self, grace: Duration) -> Ended {
        self.drain();
        self.inner.tracker.close();
        if tokio::time::timeout(grace, self.inner.tracker.wait()).await.is_err() {
            return self.stop_now().await;
        }
        match self.inner.failed.lock().await.try_recv() {
            Ok(failure) => Ended::Failed(failure),
            Err(_) => Ended::Drained,
        }
    }

    pub(crate) async fn stop_now(&self) -> Ended {
        self.inner.stopping.cancel();
        self.inner.tracker.close();
        // Cancelled tasks end at their next await; one that never awaits must not hold us.
        if tokio::time::timeout(Duration::from_secs(1), self.inner.tracker.wait()).await.is_err() {
            tracing::warn!("a task did not stop; leaving it");
        }
        match self.inner.failed.lock().await.try_recv() {
            Ok(failure) => Ended::Failed(failure),
            Err(_) => Ended::OutOfTime,
        }
    }
}

/// Notices a task that ends by a panic.
struct PanicGuard {
    name: &'static str,
    inner: Arc<Inner>,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(self.inner.failures.send(format!("{} panicked", self.name)));
            self.inner.draining.cancel();
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_before_its_time_drains_the_process() {
        let tasks = Tasks::new();
        tasks.spawn("early", async { Ok::<(), std::io::Error>(()) });
        tasks.draining().cancelled().await;
        assert_eq!(
            tasks.finish(Duration::from_secs(1)).await,
            Ended::Failed("early ended before its time".into())
        );
    }

    #[tokio::test]
    async fn a_panic_drains_the_process() {
        let tasks = Tasks::new();
        tasks.spawn_work("broken", async { panic!("a bug") });
        tasks.draining().cancelled().await;
        assert_eq!(
            tasks.finish(Duration::from_secs(1)).await,
            Ended::Failed("broken panicked".into())
        );
    }

    #[tokio::test]
    async fn work_that_ends_in_time_is_waited_for() {
        let tasks = Tasks::new();
        let draining = tasks.draining();
        tasks.spawn("patient", async move {
            draining.cancelled().await;
            Ok::<(), std::io::Error>(())
        });
        assert_eq!(tasks.finish(Duration::from_secs(1)).await, Ended::Drained);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_takes_too_long_is_stopped() {
        let tasks = Tasks::new();
        tasks.spawn_work("endless", std::future::pending());
        assert_eq!(tasks.finish(Duration::from_secs(5)).await, Ended::OutOfTime);
    }
}
