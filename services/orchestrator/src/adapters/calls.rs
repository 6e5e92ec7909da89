use std::{error::Error, time::Duration};

use futures::future::BoxFuture;
use rand::Rng;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::error::CallError;

/// The first pause before a call is repeated; doubled each time, half of it at random.
const FIRST_PAUSE: Duration = Duration::from_millis(25);

/// The longest pause before a call is repeated.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How calls are repeated that were not answered.
///
/// Every call that is repeated has a key or an index by which its second time changes nothing.
#[derive(Clone, Debug)]
pub(crate) struct Retries {
    /// For how long a service that does not answer is asked again.
    pub(crate) patience: Duration,
    /// Cancelled when nothing is to be waited for any longer.
    pub(crate) draining: CancellationToken,
}

impl Retries {
    /// Returns the same with no more patience than this.
    pub(crate) fn for_at_most(&self, patience: Duration) -> Self {
        Self { patience: self.patience.min(patience), draining: self.draining.clone() }
    }

    /// Makes a call until it is answered or refused, or patience ends. Each try has `limit`.
    pub(crate) async fn call<T>(
        &self,
        name: &'static str,
        limit: Duration,
        mut attempt: impl FnMut() -> BoxFuture<'static, Result<T, Status>>,
    ) -> Result<T, CallError> {
        let begun = Instant::now();
        let mut pauses = Pauses::new();
        loop {
            let status = match timeout(limit, attempt()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("the call took too long"),
            };
            match fate(&status) {
                Fate::Fenced => return Err(CallError::Fenced { call: name }),
                Fate::Refused => {
                    return Err(CallError::Refused { call: name, status: Box::new(status) });
                }
                Fate::Again => {}
            }
            let pause = pauses.next();
            let is_over = begun.elapsed() + pause > self.patience || self.draining.is_cancelled();
            if is_over {
                return Err(CallError::Unavailable { call: name, status: Box::new(status) });
            }
            tracing::debug!(call = name, code = ?status.code(), "repeating a call");
            tokio::select! {
                () = sleep(pause) => {}
                () = self.draining.cancelled() => {
                    return Err(CallError::Unavailable { call: name, status: Box::new(status) });
                }
            }
        }
    }
}

/// Rising pauses with jitter.
#[derive(Debug)]
pub(crate) struct Pauses {
    next: Duration,
}

impl Pauses {
    pub(crate) fn new() -> Self {
        Self { next: FIRST_PAUSE }
    }

    /// Returns the next pause: a random one between half and all of what is due.
    pub(crate) fn next(&mut self) -> Duration {
        let due = self.next;
        self.next = (due * 2).min(LONGEST_PAUSE);
        due.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

/// What a refusal means for the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Stop: the epoch is over.
    Fenced,
    /// Ask again: it may not have arrived, or nobody was there.
    Again,
    /// Asking again would bring the same.
    Refused,
}

/// Reads a status by its code alone, but for those that came of a broken connection.
pub(crate) fn fate(status: &Status) -> Fate {
    match status.code() {
        Code::Aborted => Fate::Fenced,
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Cancelled => {
            Fate::Again
        }
        // A peer that dies in the middle of a call leaves no code, only an error of the transport.
        Code::Unknown | Code::Internal if status.source().is_some() => Fate::Again,
        Code::Ok
        | Code::Unknown
        | Code::Internal
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => Fate::Refused,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        sync::atomic::{AtomicU32, Ordering},
    };

    use futures::FutureExt;

    use super::*;

    fn away<T: Send + 'static>() -> BoxFuture<'static, Result<T, Status>> {
        ready(Err(Status::unavailable("away"))).boxed()
    }

    fn retries() -> Retries {
        Retries { patience: Duration::from_secs(5), draining: CancellationToken::new() }
    }

    const LIMIT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_not_answered_is_repeated() {
        let tries = AtomicU32::new(0);
        let answer = retries()
            .call("Test", LIMIT, || match tries.fetch_add(1, Ordering::SeqCst) {
                0 => away(),
                1 => pending().boxed(),
                _ => ready(Ok(7)).boxed(),
            })
            .await;
        assert_eq!(answer.unwrap(), 7);
        assert_eq!(tries.load(Ordering::SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let answer: Result<(), _> = retries().call("Test", LIMIT, away).await;
        assert!(matches!(answer, Err(CallError::Unavailable { call: "Test", .. })));
    }

    #[tokio::test]
    async fn a_refusal_and_an_old_epoch_are_not_repeated() {
        let tries = AtomicU32::new(0);
        let answer: Result<(), _> = retries()
            .call("Test", LIMIT, || {
                tries.fetch_add(1, Ordering::SeqCst);
                ready(Err(Status::invalid_argument("never"))).boxed()
            })
            .await;
        assert!(matches!(answer, Err(CallError::Refused { .. })));
        let old = || ready(Err(Status::aborted("old"))).boxed();
        let answer: Result<(), _> = retries().call("Test", LIMIT, old).await;
        assert!(matches!(answer, Err(CallError::Fenced { .. })));
        assert_eq!(tries.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_the_waiting() {
        let retries = retries();
        retries.draining.cancel();
        let answer: Result<(), _> = retries.call("Test", LIMIT, away).await;
        assert!(matches!(answer, Err(CallError::Unavailable { .. })));
    }

    #[test]
    fn a_broken_connection_is_no_refusal() {
        let broken = Status::from_error("reset by peer".into());
        assert_eq!(fate(&broken), Fate::Again);
        assert_eq!(fate(&Status::unknown("a bug")), Fate::Refused);
        assert_eq!(fate(&Status::internal("a bug")), Fate::Refused);
    }

    #[test]
    fn pauses_rise_to_a_bound() {
        let mut pauses = Pauses::new();
        assert!(pauses.next() <= FIRST_PAUSE);
        for _ in 0..20 {
            assert!(pauses.next() <= LONGEST_PAUSE);
        }
        assert!(pauses.next() >= LONGEST_PAUSE / 2);
    }
}
