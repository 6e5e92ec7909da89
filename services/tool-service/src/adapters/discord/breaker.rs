//! Circuit breakers: a Discord that does not answer is spared, and so are those who wait for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How many kinds of request that fail are known; past it, one more counts as Discord itself.
const MAX_ROUTES: usize = 256;

/// One breaker for Discord as a whole and one for each kind of request that fails: one route may be
/// broken while all others work.
#[derive(Debug)]
pub(crate) struct Breakers {
    failures_to_open: u32,
    open_for: Duration,
    whole: Breaker,
    /// Only those that failed and were not answered since.
    routes: Mutex<HashMap<String, Arc<Breaker>>>,
}

impl Breakers {
    pub(crate) fn new(failures_to_open: u32, open_for: Duration) -> Self {
        let whole = Breaker::new(failures_to_open, open_for);
        Self { failures_to_open, open_for, whole, routes: Mutex::default() }
    }

    /// Returns whether a request may be sent now.
    pub(crate) fn admits(&self, method: &str, route: &str) -> bool {
        let of_route = {
            let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
            if routes.is_empty() { None } else { routes.get(&kind(method, route)).cloned() }
        };
        of_route.is_none_or(|it| it.admits()) && self.whole.admits()
    }

    /// Records that Discord answered, whatever it said.
    pub(crate) fn answered(&self, method: &str, route: &str) {
        self.whole.answered();
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if !routes.is_empty() {
            routes.remove(&kind(method, route));
        }
    }

    /// Records that Discord could not be reached, and returns whether it is spared from now on.
    pub(crate) fn unreachable(&self) -> bool {
        self.whole.failed()
    }

    /// Records an error of Discord's own, and returns whether anything is spared from now on. Where
    /// several kinds of request fail, it is Discord as a whole.
    pub(crate) fn failed(&self, method: &str, route: &str) -> bool {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = kind(method, route);
        if routes.len() >= MAX_ROUTES && !routes.contains_key(&kind) {
            return self.whole.failed();
        }
        let new = || Arc::new(Breaker::new(self.failures_to_open, self.open_for));
        let of_route = Arc::clone(routes.entry(kind).or_insert_with(new));
        let is_several = routes.len() > 1;
        drop(routes);
        let is_route_spared = of_route.failed();
        is_several && self.whole.failed() || is_route_spared
    }
}

/// Names a kind of request: its route without the ids in it.
fn kind(method: &str, route: &str) -> String {
    let parts = route
        .split('/')
        .map(|part| if part.bytes().all(|byte| byte.is_ascii_digit()) { "{id}" } else { part });
    format!("{method} {}", parts.collect::<Vec<_>>().join("/"))
}

/// Opens after so many failures in a row; then lets one request through at a time.
#[derive(Debug)]
struct Breaker {
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
    fn new(failures_to_open: u32, open_for: Duration) -> Self {
        Self { failures_to_open, open_for, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Returns whether a request may be sent now.
    fn admits(&self) -> bool {
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
    fn answered(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Closed { failures: 0 };
    }

    /// Records that it did not, and returns whether the breaker opened by that.
    fn failed(&self) -> bool {
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
    async fn one_broken_route_spares_itself_alone_and_several_spare_discord() {
        let breakers = Breakers::new(2, PAUSE);
        let (search, send) = ("guilds/1/members/search", "channels/2/messages");
        assert!(!breakers.failed("GET", search));
        assert!(breakers.failed("GET", "guilds/7/members/search"), "it is the same kind");
        assert!(!breakers.admits("GET", search));
        assert!(breakers.admits("POST", send), "all others work");
        breakers.answered("POST", send);
        assert!(!breakers.admits("GET", search), "which tells nothing of the broken one");
        tokio::time::advance(PAUSE).await;
        assert!(breakers.admits("GET", search));
        breakers.failed("GET", search);

        breakers.failed("POST", send);
        assert!(breakers.failed("POST", send));
        assert!(!breakers.admits("GET", "users/@me"), "it is Discord itself");
        tokio::time::advance(PAUSE).await;
        assert!(breakers.admits("GET", "users/@me"));
        breakers.answered("GET", "users/@me");
        assert!(breakers.admits("GET", search));
        breakers.answered("GET", search);
        breakers.answered("POST", send);
        assert!(breakers.admits("GET", search) && breakers.admits("POST", send));
    }

    #[tokio::test(start_paused = true)]
    async fn a_discord_that_cannot_be_reached_is_spared_whatever_was_asked() {
        let breakers = Breakers::new(2, PAUSE);
        assert!(!breakers.unreachable());
        assert!(breakers.unreachable());
        assert!(!breakers.admits("GET", "users/@me") && !breakers.admits("PUT", "x"));
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
