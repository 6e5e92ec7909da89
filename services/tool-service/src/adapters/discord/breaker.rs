//! Circuit breakers: a Discord that does not answer is spared, and so are those who wait for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How many places that fail are known; past it, one more counts as Discord itself.
const MAX_PLACES: usize = 256;

/// How long it counts that something failed which was not asked for again.
const KEPT: Duration = Duration::from_mins(5);

/// A breaker for each place where a kind of request fails, one for each kind that fails at several
/// places, and one for Discord as a whole: a channel, a route or a server may be broken while all
/// else works.
#[derive(Debug)]
pub(crate) struct Breakers {
    failures_to_open: u32,
    open_for: Duration,
    whole: Breaker,
    /// Only those that failed and were not answered since.
    kinds: Mutex<HashMap<String, Kind>>,
}

/// A kind of request that fails.
#[derive(Debug)]
struct Kind {
    whole: Arc<Breaker>,
    /// By the channel or server that the request is about.
    places: HashMap<String, Place>,
}

#[derive(Debug)]
struct Place {
    breaker: Arc<Breaker>,
    failed_at: Instant,
}

impl Breakers {
    pub(crate) fn new(failures_to_open: u32, open_for: Duration) -> Self {
        let whole = Breaker::new(failures_to_open, open_for);
        Self { failures_to_open, open_for, whole, kinds: Mutex::default() }
    }

    /// Returns whether a request may be sent now.
    pub(crate) fn admits(&self, method: &str, route: &str) -> bool {
        let failing = {
            let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
            if kinds.is_empty() {
                [None, None]
            } else {
                let (kind, place) = kind_and_place(method, route);
                let kind = kinds.get(&kind);
                let place = kind.and_then(|kind| kind.places.get(place));
                [place.map(|place| &place.breaker), kind.map(|kind| &kind.whole)]
                    .map(Option::<&Arc<Breaker>>::cloned)
            }
        };
        failing.into_iter().flatten().all(|breaker| breaker.admits()) && self.whole.admits()
    }

    /// Records that Discord answered, whatever it said.
    pub(crate) fn answered(&self, method: &str, route: &str) {
        self.whole.answered();
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if kinds.is_empty() {
            return;
        }
        let (kind, place) = kind_and_place(method, route);
        let Some(failing) = kinds.get_mut(&kind) else { return };
        failing.places.remove(place);
        failing.whole.answered();
        if failing.places.is_empty() {
            kinds.remove(&kind);
        }
    }

    /// Records that Discord could not be reached, and returns whether it is spared from now on.
    pub(crate) fn unreachable(&self) -> bool {
        self.whole.failed()
    }

    /// Records an error of Discord's own, and returns whether anything is spared from now on. Where
    /// a kind of request fails at several places, it is that kind; where several kinds fail, and at
    /// several places, it is Discord as a whole.
    pub(crate) fn failed(&self, method: &str, route: &str) -> bool {
        let now = Instant::now();
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        // What nobody asks for any more tells nothing of how it is now.
        let is_late =
            |place: &Place| now.duration_since(place.failed_at) < KEPT.max(self.open_for * 2);
        kinds.retain(|_, kind| {
            kind.places.retain(|_, place| is_late(place));
            !kind.places.is_empty()
        });
        let (kind, place) = kind_and_place(method, route);
        let is_known = kinds.get(&kind).is_some_and(|kind| kind.places.contains_key(place));
        if !is_known && kinds.values().map(|kind| kind.places.len()).sum::<usize>() >= MAX_PLACES {
            return self.whole.failed();
        }
        let new = || Arc::new(Breaker::new(self.failures_to_open, self.open_for));
        let failing =
            kinds.entry(kind).or_insert_with(|| Kind { whole: new(), places: HashMap::new() });
        let new_place = || Place { breaker: new(), failed_at: now };
        let at = failing.places.entry(place.to_owned()).or_insert_with(new_place);
        at.failed_at = now;
        let of_place = Arc::clone(&at.breaker);
        let of_kind = (failing.places.len() > 1).then(|| Arc::clone(&failing.whole));
        let is_elsewhere =
            kinds.values().flat_map(|kind| kind.places.keys()).any(|other| other != place);
        let is_whole = kinds.len() > 1 && is_elsewhere;
        drop(kinds);
        let is_place_spared = of_place.failed();
        let is_kind_spared = of_kind.is_some_and(|kind| kind.failed());
        is_whole && self.whole.failed() || is_kind_spared || is_place_spared
    }
}

/// Names a kind of request, its route without the ids in it, and the place that it is about: the
/// first of its ids.
fn kind_and_place<'a>(method: &str, route: &'a str) -> (String, &'a str) {
    let is_id = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let place = route.split('/').find(is_id).unwrap_or_default();
    // Behind a webhook's id stands its token.
    let is_token = |index: usize| index == 2 && route.starts_with("webhooks/");
    let parts = route.split('/').enumerate();
    let parts =
        parts.map(|(index, part)| if is_id(&part) || is_token(index) { "{id}" } else { part });
    (format!("{method} {}", parts.collect::<Vec<_>>().join("/")), place)
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
        assert!(!breakers.failed("GET", "guilds/7/members/search"));
        assert!(breakers.failed("GET", search), "it fails at several places");
        assert!(!breakers.admits("GET", search));
        assert!(!breakers.admits("GET", "guilds/9/members/search"), "it is the same kind");
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
    async fn one_broken_channel_spares_itself_alone() {
        let breakers = Breakers::new(2, PAUSE);
        let (broken, other) = ("channels/2/messages", "channels/3/messages");
        for _ in 0..3 {
            breakers.failed("POST", broken);
            breakers.failed("GET", broken);
        }
        assert!(!breakers.admits("POST", broken) && !breakers.admits("GET", broken));
        assert!(breakers.admits("POST", other) && breakers.admits("GET", other));
        assert!(breakers.admits("GET", "channels/2"), "what else is asked of it works");
        breakers.answered("POST", other);
        assert!(!breakers.admits("POST", broken));
        tokio::time::advance(PAUSE).await;
        assert!(breakers.admits("POST", broken));
        breakers.answered("POST", broken);
        assert!(breakers.admits("POST", broken) && breakers.admits("POST", broken));
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
