use std::time::Duration;

/// Spares a provider that is dead, and keeps quiet when it asks for that.
///
/// Times are spans since any fixed moment. Closed until `failures` in a row; then open for a while;
/// then half open, where one attempt goes through as a trial and decides. Each trial that fails
/// doubles the while.
#[derive(Debug)]
pub(crate) struct Breaker {
    failures: u32,
    open_first: Duration,
    open_max: Duration,
    state: State,
    quiet_until: Duration,
}

#[derive(Debug)]
enum State {
    Closed {
        failures_in_a_row: u32,
    },
    Open {
        until: Duration,
        /// How long it is open before jitter.
        open_for: Duration,
    },
    /// The trial is on its way.
    HalfOpen {
        open_for: Duration,
    },
}

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Go(Attempt),
    /// The provider asked for quiet, for so long.
    Quiet(Duration),
    /// The breaker is open: the next trial is due after so long.
    Open(Duration),
    /// The trial is on its way.
    Trial,
}

/// An attempt that was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    Ordinary,
    /// The one that decides whether the breaker closes.
    Trial,
}

impl Breaker {
    pub(crate) fn new(failures: u32, open_first: Duration, open_max: Duration) -> Self {
        let state = State::Closed { failures_in_a_row: 0 };
        Self { failures, open_first, open_max, state, quiet_until: Duration::ZERO }
    }

    /// Asks for an attempt. After [`Admission::Go`], exactly one of [`Self::succeeded`],
    /// [`Self::failed`] and [`Self::abandoned`] must follow.
    pub(crate) fn admit(&mut self, now: Duration) -> Admission {
        match self.state {
            State::Open { until, .. } if now < until => {
                return Admission::Open(until.saturating_sub(now));
            }
            State::HalfOpen { .. } => return Admission::Trial,
            State::Open { .. } | State::Closed { .. } => {}
        }
        if now < self.quiet_until {
            return Admission::Quiet(self.quiet_until.saturating_sub(now));
        }
        if let State::Open { open_for, .. } = self.state {
            self.state = State::HalfOpen { open_for };
            return Admission::Go(Attempt::Trial);
        }
        Admission::Go(Attempt::Ordinary)
    }

    /// Notes that the provider answered, be it with a refusal.
    pub(crate) fn succeeded(&mut self) {
        self.state = State::Closed { failures_in_a_row: 0 };
    }

    /// Notes a failure; returns whether it opened the breaker. `jitter`, from 0 to 1, spreads the
    /// next trials of replicas.
    pub(crate) fn failed(&mut self, attempt: Attempt, now: Duration, jitter: f64) -> bool {
        let open_for = match (&mut self.state, attempt) {
            (State::Closed { failures_in_a_row }, _) => {
                *failures_in_a_row += 1;
                if *failures_in_a_row < self.failures {
                    return false;
                }
                self.open_first
            }
            (State::HalfOpen { open_for }, Attempt::Trial) => {
                open_for.saturating_mul(2).min(self.open_max)
            }
            // An attempt from before: what opened the breaker has counted.
            (State::HalfOpen { .. } | State::Open { .. }, _) => return false,
        };
        let until = now + open_for.mul_f64(1.0 - JITTER / 2.0 + JITTER * jitter);
        self.state = State::Open { until, open_for };
        true
    }

    /// Notes that an attempt ended without a verdict: after a trial, the next one is the trial.
    pub(crate) fn abandoned(&mut self, attempt: Attempt, now: Duration) {
        if let (State::HalfOpen { open_for }, Attempt::Trial) = (&self.state, attempt) {
            self.state = State::Open { until: now, open_for: *open_for };
        }
    }

    /// Notes that the provider wants no request for so long.
    pub(crate) fn keep_quiet(&mut self, now: Duration, wait: Duration) {
        self.quiet_until = self.quiet_until.max(now + wait);
    }

    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }
}

/// How far the spans of an open breaker lie apart at most, as a share of each.
const JITTER: f64 = 0.4;

#[cfg(test)]
mod tests {
    use super::*;

    const GO: Admission = Admission::Go(Attempt::Ordinary);
    const TRIAL: Admission = Admission::Go(Attempt::Trial);

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn breaker() -> Breaker {
        Breaker::new(2, at(2), at(10))
    }

    /// Fails without jitter.
    fn fails(breaker: &mut Breaker, attempt: Attempt, now: u64) -> bool {
        breaker.failed(attempt, at(now), 0.5)
    }

    fn opened() -> Breaker {
        let mut breaker = breaker();
        for _ in 0..2 {
            assert_eq!(breaker.admit(at(0)), GO);
            fails(&mut breaker, Attempt::Ordinary, 0);
        }
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let mut breaker = breaker();
        assert!(!fails(&mut breaker, Attempt::Ordinary, 0));
        breaker.succeeded();
        assert!(!fails(&mut breaker, Attempt::Ordinary, 0));
        assert_eq!(breaker.admit(at(0)), GO);
        assert!(fails(&mut breaker, Attempt::Ordinary, 0));
        assert_eq!(breaker.admit(at(1)), Admission::Open(at(1)));
    }

    #[test]
    fn lets_one_trial_through_and_closes_when_it_succeeds() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(2)), TRIAL);
        assert_eq!(breaker.admit(at(2)), Admission::Trial);
        assert!(breaker.is_open());
        breaker.succeeded();
        assert_eq!(breaker.admit(at(2)), GO);
        assert!(!breaker.is_open());
    }

    #[test]
    fn is_open_twice_as_long_after_each_trial_that_fails_up_to_a_bound() {
        let mut breaker = opened();
        let mut now = 2;
        for span in [4, 8, 10, 10] {
            assert_eq!(breaker.admit(at(now)), TRIAL);
            assert!(fails(&mut breaker, Attempt::Trial, now));
            assert_eq!(breaker.admit(at(now)), Admission::Open(at(span)));
            now += span;
        }
        assert_eq!(breaker.admit(at(now)), TRIAL);
        breaker.succeeded();
        for _ in 0..2 {
            fails(&mut breaker, Attempt::Ordinary, now);
        }
        assert_eq!(breaker.admit(at(now)), Admission::Open(at(2)), "it begins anew");
    }

    #[test]
    fn jitter_spreads_the_next_trial() {
        for (jitter, millis) in [(0.0, 1_600), (1.0, 2_400)] {
            let mut breaker = breaker();
            for _ in 0..2 {
                breaker.failed(Attempt::Ordinary, at(0), jitter);
            }
            let wait = Duration::from_millis(millis);
            assert_eq!(breaker.admit(at(0)), Admission::Open(wait));
        }
    }

    #[test]
    fn a_trial_without_a_verdict_leaves_room_for_the_next() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(20)), TRIAL);
        breaker.abandoned(Attempt::Trial, at(21));
        assert_eq!(breaker.admit(at(21)), TRIAL);
    }

    #[test]
    fn attempts_from_before_decide_nothing() {
        let mut breaker = opened();
        assert!(!fails(&mut breaker, Attempt::Ordinary, 1));
        assert_eq!(breaker.admit(at(2)), TRIAL);
        assert!(!fails(&mut breaker, Attempt::Ordinary, 2));
        breaker.abandoned(Attempt::Ordinary, at(2));
        assert_eq!(breaker.admit(at(2)), Admission::Trial);
    }

    #[test]
    fn keeps_quiet_as_long_as_it_was_told() {
        let mut breaker = breaker();
        breaker.keep_quiet(at(0), at(7));
        breaker.keep_quiet(at(1), at(2));
        assert_eq!(breaker.admit(at(3)), Admission::Quiet(at(4)));
        assert_eq!(breaker.admit(at(7)), GO);
    }
}
