use std::{io, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
    time::Instant,
};

use crate::{Ended, Tasks};

/// SIGTERM and SIGINT, caught from the process's first moment on: PID 1 has no default for them.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Catches the signals. To be called inside the runtime, before anything that takes time.
    ///
    /// # Errors
    ///
    /// If the system refuses signal handlers.
    pub fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Runs until a signal comes or a task of any stage fails; then drains stage by stage, so that
    /// what others still need ends last. All stages share `grace`; a second signal stops at once.
    pub async fn run(mut self, stages: &[Tasks], grace: Duration) -> Ended {
        let mut failed = JoinSet::new();
        for stage in stages {
            failed.spawn(stage.draining().cancelled_owned());
        }
        tokio::select! {
            () = self.next() => {}
            _ = failed.join_next() => {}
        }
        tracing::info!(grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX), "draining");
        tokio::select! {
            ended = drain(stages, grace) => ended,
            () = self.next() => {
                tracing::warn!("a second signal: stopping at once");
                let mut ended = Ended::OutOfTime;
                for stage in stages {
                    ended = ended.or(stage.stop_now().await);
                }
                ended
            }
        }
    }
}

/// Drains each stage in turn.
async fn drain(stages: &[Tasks], grace: Duration) -> Ended {
    let until = Instant::now() + grace;
    let mut ended = Ended::Drained;
    for stage in stages {
        let left = until.saturating_duration_since(Instant::now());
        ended = ended.or(stage.finish(left).await);
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_in_one_stage_drains_all_in_order() {
        let (first, last) = (Tasks::new(), Tasks::new());
        let (draining, outliving) = (first.draining(), last.draining());
        let (seen, was_outlived) = tokio::sync::oneshot::channel();
        first.spawn("first", async move {
            draining.cancelled().await;
            seen.send(!outliving.is_cancelled()).map_err(|_| io::Error::other("nobody looks"))
        });
        let broken = Tasks::new();
        broken.spawn("broken", async { Err(io::Error::other("cause")) });
        let ended =
            Signals::catch().unwrap().run(&[first, broken, last], Duration::from_secs(5)).await;
        assert_eq!(ended, Ended::Failed("broken: cause".into()));
        assert!(was_outlived.await.unwrap(), "the last stage must outlive the first");
    }
}
