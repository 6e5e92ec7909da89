use std::time::Duration;

/// Spares a provider that is dead, and keeps quiet when it asks for that.
///
/// Times are spans since any fixed moment. Closed until `failures` in a row; then open for a while;
/// then half open, where one attempt goes through as a probe and decides.
#[derive(Debug)]
pub(crate) struct Breaker {
    failures: u32,
    open_for: Duration,
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
    },
    /// The probe is on its way.
    HalfOpen,
}

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Go,
    /// The provider asked for quiet, for so long.
    Wait(Duration),
    /// The breaker is open, for so long at least.
    Refused(Duration),
}

impl Breaker {
    pub(crate) fn new(failures: u32, open_for: Duration) -> Self {
        let state = State::Closed { failures_in_a_row: 0 };
        Self { failures, open_for, state, quiet_until: Duration::ZERO }
    }

    /// Asks for an attempt. After [`Admission::Go`], exactly one of [`Self::succeeded`],
    /// [`Self::failed`] and [`Self::abandoned`] must follow.
    pub(crate) fn admit(&mut self, now: Duration) -> Admission {
        match self.state {
            State::Open { until } if now < until => {
                return Admission::Refused(until.saturating_sub(now));
            }
            State::HalfOpen => return Admission::Refused(Duration::ZERO),
            State::Open { .. } | State::Closed { .. } => {}
        }
        if now < self.quiet_until {
            return Admission::Wait(self.quiet_until.saturating_sub(now));
        }
        if let State::Open { .. } = self.state {
            self.state = State::HalfOpen;
        }
        Admission::Go
    }

    /// Notes that the provider answered, be it with a refusal.
    pub(crate) fn succeeded(&mut self) {
        self.state = State::Closed { failures_in_a_row: 0 };
    }

    /// Notes a failure; returns whether it opened the breaker.
    pub(crate) fn failed(&mut self, now: Duration) -> bool {
        let until = now + self.open_for;
        match &mut self.state {
            State::Closed { failures_in_a_row } => {
                *failures_in_a_row += 1;
                if *failures_in_a_row < self.failures {
                    return false;
                }
            }
            State::HalfOpen => {}
            // An attempt from before: what opened the breaker has counted.
            State::Open { .. } => return false,
        }
        self.state = State::Open { until };
        true
    }

    /// Notes that an attempt ended without a verdict: the next one is the probe.
    pub(crate) fn abandoned(&mut self, now: Duration) {
        if let State::HalfOpen = self.state {
            self.state = State::Open { until: now };
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

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_FOR: Duration = Duration::from_secs(15);

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(2, OPEN_FOR);
        for _ in 0..2 {
            assert_eq!(breaker.admit(at(0)), Admission::Go);
            breaker.failed(at(0));
        }
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::new(2, OPEN_FOR);
        assert!(!breaker.failed(at(0)));
        breaker.succeeded();
        assert!(!breaker.failed(at(0)));
        assert_eq!(breaker.admit(at(0)), Admission::Go);
        assert!(breaker.failed(at(0)));
        assert_eq!(breaker.admit(at(5)), Admission::Refused(at(10)));
    }

    #[test]
    fn lets_one_probe_through_and_closes_when_it_succeeds() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(15)), Admission::Go);
        assert_eq!(breaker.admit(at(15)), Admission::Refused(Duration::ZERO));
        assert!(breaker.is_open());
        breaker.succeeded();
        assert_eq!(breaker.admit(at(15)), Admission::Go);
        assert!(!breaker.is_open());
    }

    #[test]
    fn opens_again_when_the_probe_fails() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(20)), Admission::Go);
        assert!(breaker.failed(at(21)));
        assert_eq!(breaker.admit(at(35)), Admission::Refused(at(1)));
    }

    #[test]
    fn a_probe_without_a_verdict_leaves_room_for_the_next() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(20)), Admission::Go);
        breaker.abandoned(at(21));
        assert_eq!(breaker.admit(at(21)), Admission::Go);
    }

    #[test]
    fn attempts_from_before_do_not_keep_it_open_longer() {
        let mut breaker = opened();
        assert!(!breaker.failed(at(10)));
        assert_eq!(breaker.admit(at(15)), Admission::Go);
    }

    #[test]
    fn keeps_quiet_as_long_as_it_was_told() {
        let mut breaker = Breaker::new(2, OPEN_FOR);
        breaker.keep_quiet(at(0), at(7));
        breaker.keep_quiet(at(1), at(2));
        assert_eq!(breaker.admit(at(3)), Admission::Wait(at(4)));
        assert_eq!(breaker.admit(at(7)), Admission::Go);
    }
}
