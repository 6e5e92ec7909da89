//! A circuit breaker: a Discord that does not answer is spared, and so are those who wait for it.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Opens after so many failures in a row; then lets one request through at a time.
#[derive(Debug)]
pub(crate) struct Breaker {
    failures_to_open: u32,
    open_for: Duration,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// One request is on its way to find out; if it never comes back, the next may go then.
    Probing {
        until: Instant,
    },
}

impl Breaker {
    pub(crate) fn new(failures_to_open: u32, open_for: Duration) -> Self {
        Self { failures_to_open, open_for, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Returns whether a request may be sent now.
    pub(crate) fn admits(&self) -> bool {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match *state {
            State::Closed { .. } => true,
            State::Open { until } | State::Probing { until } if now < until => false,
            State::Open { .. } | State::Probing { .. } => {
                *state = State::Probing { until: now + self.open_for };
                true
            }
        }
    }

    /// Records that Discord answered, whatever it said.
    pub(crate) fn answered(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Closed { failures: 0 };
    }

    /// Records that it did not, and returns whether the breaker opened by that.
    pub(crate) fn failed(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = match *state {
            State::Closed { failures } => failures + 1,
            State::Probing { .. } => self.failures_to_open,
            // A request that was under way when it opened.
            State::Open { .. } => return false,
        };
        if failures >= self.failures_to_open {
            *state = State::Open { until: Instant::now() + self.open_for };
            true
        } else {
            *state = State::Closed { failures };
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn opens_after_failures_in_a_row_and_closes_after_an_answer() {
        let breaker = Breaker::new(3, PAUSE);
        assert!(!breaker.failed() && !breaker.failed());
        breaker.answered();
        assert!(!breaker.failed() && !breaker.failed());
        assert!(breaker.admits());
        assert!(breaker.failed(), "the third in a row opens it");
        assert!(!breaker.admits());
        tokio::time::advance(PAUSE).await;
        assert!(breaker.admits(), "one may try");
        assert!(!breaker.admits(), "and no other meanwhile");
        assert!(breaker.failed());
        assert!(!breaker.admits());
        tokio::time::advance(PAUSE).await;
        assert!(breaker.admits());
        breaker.answered();
        assert!(breaker.admits() && breaker.admits());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_never_returns_does_not_close_it_for_ever() {
        let breaker = Breaker::new(1, PAUSE);
        assert!(breaker.failed());
        tokio::time::advance(PAUSE).await;
        assert!(breaker.admits());
        tokio::time::advance(PAUSE).await;
        assert!(breaker.admits());
    }
}
