//! Faults on order: what the network and Discord do on bad days.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

/// The bound of faults that wait to strike.
const MAX_FAULTS: usize = 1_000;
const MAX_DELAY_MS: u64 = 10 * 60 * 1_000;
/// Stands before the event in the routes of the Gateway, where a method stands in those of REST.
const GATEWAY: &str = "GATEWAY";

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultKind {
    /// REST: an error status; `when` says whether the request takes effect before it.
    /// Gateway: the connection is closed with the code in `status`.
    Error,
    /// A 429 that no bucket explains.
    RateLimit,
    /// The answer takes longer; a dispatch comes late, and others overtake it.
    Delay,
    /// The request takes effect, and the connection is cut before the answer.
    LoseResponse,
    /// The connection is cut: before the request takes effect, or before the dispatch is sent.
    Cut,
    /// The search says that it is not ready.
    NotReady,
    /// An IDENTIFY or RESUME is answered with an invalid session.
    Refuse,
    /// A dispatch comes twice, under one number.
    Duplicate,
    /// A dispatch never comes, and leaves no gap; a heartbeat is not answered.
    Lose,
    /// The connection says nothing any more.
    Stall,
    /// The client is asked to hang up and resume.
    Reconnect,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum When {
    #[default]
    Before,
    After,
}

/// Whose limit a 429 says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LimitScope {
    User,
    Global,
    Shared,
}

/// A fault as it is ordered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultSpec {
    /// `POST /channels/{channel_id}/messages`; the method may be left out, `*` at the end stands for
    /// anything. `GATEWAY MESSAGE_CREATE` is a dispatch, `GATEWAY RESUME` what a client sends.
    pub(crate) route: String,
    pub(crate) kind: FaultKind,
    /// How often it strikes; for ever where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
    /// How likely it strikes, of 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) probability: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delay_ms: Option<u64>,
    /// The status of an `error`; 500 where it is not said, 4000 on the Gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// The code in the body of an `error`, as Discord's refusals have one; 0 where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<u32>,
    #[serde(default)]
    pub(crate) when: When,
    /// Of a `rate_limit`: whether it counts for the whole bot.
    #[serde(default)]
    pub(crate) global: bool,
    /// Of a `rate_limit`: the scope that it tells, in place of `global`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<LimitScope>,
}

impl FaultSpec {
    /// Says what is wrong with an order, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        use FaultKind as Kind;
        if self.route.trim().is_empty() {
            return Some("route is empty".to_owned());
        }
        if self.probability.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
            return Some("probability must be between 0 and 1".to_owned());
        }
        if self.delay_ms.is_some_and(|delay| delay > MAX_DELAY_MS) {
            return Some(format!("delay_ms must be {MAX_DELAY_MS} or less"));
        }
        if self.kind == Kind::Delay && self.delay_ms.is_none() {
            return Some("a delay needs delay_ms".to_owned());
        }
        let on_rest = matches!(
            self.kind,
            Kind::Error
                | Kind::RateLimit
                | Kind::Delay
                | Kind::LoseResponse
                | Kind::Cut
                | Kind::NotReady
        );
        let statuses = if self.is_on_gateway() { 4_000..=4_999 } else { 400..=599 };
        if self.status.is_some_and(|status| !statuses.contains(&status)) {
            let (least, most) = (statuses.start(), statuses.end());
            return Some(format!("status must be between {least} and {most} on this route"));
        }
        if self.code.is_some() && (self.kind != Kind::Error || self.is_on_gateway()) {
            return Some("code belongs to an error of REST".to_owned());
        }
        let Some(event) = self.gateway_event() else {
            return (!on_rest).then(|| "this kind of fault needs a GATEWAY route".to_owned());
        };
        let fits = match (self.kind, event) {
            (Kind::RateLimit | Kind::LoseResponse | Kind::NotReady, _) => false,
            (Kind::Refuse, event) => matches!(event, "IDENTIFY" | "RESUME"),
            (Kind::Duplicate, event) => !matches!(event, "IDENTIFY" | "RESUME" | "HEARTBEAT"),
            (Kind::Lose, event) => !matches!(event, "IDENTIFY" | "RESUME"),
            _ => true,
        };
        (!fits).then(|| format!("this kind of fault does not happen to {event}"))
    }

    /// Returns what follows GATEWAY in the route, if that stands there.
    fn gateway_event(&self) -> Option<&str> {
        let (first, event) = self.route.trim().split_once(' ')?;
        first.eq_ignore_ascii_case(GATEWAY).then(|| event.trim())
    }

    fn is_on_gateway(&self) -> bool {
        self.gateway_event().is_some()
    }

    fn strikes(&self, method: &str, template: &str) -> bool {
        let route = self.route.trim();
        let path = match route.split_once(' ') {
            Some((wanted, path)) if wanted.eq_ignore_ascii_case(method) => path.trim(),
            Some(_) => return false,
            // Without a method it is a route of REST.
            None if method == GATEWAY => return false,
            None => route,
        };
        match path.strip_suffix('*') {
            Some(prefix) => template.starts_with(prefix),
            None => template == path,
        }
    }

    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.unwrap_or(0))
    }
}

/// A fault that waits to strike.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Fault {
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) spec: FaultSpec,
    /// How often it has struck.
    pub(crate) struck: u64,
}

/// The faults that wait to strike, the first ordered first.
#[derive(Debug)]
pub(crate) struct Faults {
    inner: Mutex<Inner>,
    /// How many of them are the Gateway's and REST's, so that the ordinary case takes no lock.
    on_gateway: AtomicUsize,
    on_rest: AtomicUsize,
}

#[derive(Debug)]
struct Inner {
    waiting: Vec<Fault>,
    last_id: u64,
    random: StdRng,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self {
            inner: Mutex::new(Inner { waiting: Vec::new(), last_id: 0, random }),
            on_gateway: AtomicUsize::new(0),
            on_rest: AtomicUsize::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, inner: &Inner) {
        let on_gateway = inner.waiting.iter().filter(|fault| fault.spec.is_on_gateway()).count();
        self.on_gateway.store(on_gateway, Ordering::Relaxed);
        self.on_rest.store(inner.waiting.len() - on_gateway, Ordering::Relaxed);
    }

    /// Orders a fault; none if too many wait already.
    pub(crate) fn order(&self, spec: FaultSpec) -> Option<Fault> {
        let mut inner = self.lock();
        if inner.waiting.len() >= MAX_FAULTS {
            return None;
        }
        inner.last_id += 1;
        let fault = Fault { id: inner.last_id, spec, struck: 0 };
        inner.waiting.push(fault.clone());
        self.count(&inner);
        Some(fault)
    }

    pub(crate) fn clear(&self) -> usize {
        let mut inner = self.lock();
        let cleared = std::mem::take(&mut inner.waiting).len();
        self.count(&inner);
        cleared
    }

    /// Takes one fault back; tells whether it was waiting.
    pub(crate) fn withdraw(&self, id: u64) -> bool {
        let mut inner = self.lock();
        let before = inner.waiting.len();
        inner.waiting.retain(|fault| fault.id != id);
        self.count(&inner);
        inner.waiting.len() < before
    }

    pub(crate) fn waiting(&self) -> Vec<Fault> {
        self.lock().waiting.clone()
    }

    /// Draws anew from `seed`, so that what strikes with a probability can be repeated.
    pub(crate) fn reseed(&self, seed: u64) {
        self.lock().random = StdRng::seed_from_u64(seed);
    }

    /// Returns the faults that strike this request: delays add up, of all others the first counts.
    pub(crate) fn strike(&self, method: &str, template: &str) -> Vec<FaultSpec> {
        if self.on_rest.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        self.struck(method, template)
    }

    /// Returns the faults that strike something that happens on the Gateway: a dispatch by its name,
    /// or `IDENTIFY`, `RESUME`, `HEARTBEAT`.
    pub(crate) fn strike_gateway(&self, event: &str) -> Vec<FaultSpec> {
        if self.on_gateway.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        self.struck(GATEWAY, event)
    }

    fn struck(&self, method: &str, template: &str) -> Vec<FaultSpec> {
        let mut struck: Vec<FaultSpec> = Vec::new();
        let inner = &mut *self.lock();
        let random = &mut inner.random;
        let waiting = inner.waiting.len();
        inner.waiting.retain_mut(|fault| {
            let is_delay = fault.spec.kind == FaultKind::Delay;
            let is_taken = !is_delay && struck.iter().any(|other| other.kind != FaultKind::Delay);
            if is_taken || !fault.spec.strikes(method, template) {
                return true;
            }
            if fault.spec.probability.is_some_and(|chance| !random.random_bool(chance)) {
                return true;
            }
            if fault.spec.count == Some(0) {
                return false;
            }
            struck.push(fault.spec.clone());
            fault.struck += 1;
            if let Some(count) = &mut fault.spec.count {
                *count -= 1;
            }
            fault.spec.count != Some(0)
        });
        if inner.waiting.len() != waiting {
            self.count(inner);
        }
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEND: &str = "/channels/{channel_id}/messages";

    fn fault(route: &str, kind: FaultKind, count: Option<u64>) -> FaultSpec {
        FaultSpec {
            route: route.to_owned(),
            kind,
            count,
            probability: None,
            delay_ms: Some(5),
            status: None,
            code: None,
            when: When::Before,
            global: false,
            scope: None,
        }
    }

    fn kinds(struck: &[FaultSpec]) -> Vec<FaultKind> {
        struck.iter().map(|fault| fault.kind).collect()
    }

    #[test]
    fn a_fault_strikes_its_route_as_often_as_ordered() {
        let faults = Faults::new(1);
        faults.order(fault("POST /channels/{channel_id}/messages", FaultKind::Error, Some(2)));
        assert!(faults.strike("GET", SEND).is_empty());
        assert_eq!(faults.strike("POST", SEND).len(), 1);
        assert_eq!(faults.waiting()[0].struck, 1);
        assert_eq!(faults.strike("POST", SEND).len(), 1);
        assert!(faults.strike("POST", SEND).is_empty());
        assert!(faults.waiting().is_empty());
    }

    #[test]
    fn a_star_stands_for_anything_and_delays_come_on_top() {
        let faults = Faults::new(1);
        faults.order(fault("*", FaultKind::Delay, None));
        faults.order(fault("POST /channels/*", FaultKind::Error, None));
        faults.order(fault("/channels/{channel_id}/messages", FaultKind::Cut, None));
        let struck = faults.strike("POST", SEND);
        assert_eq!(kinds(&struck), [FaultKind::Delay, FaultKind::Error]);
        assert_eq!(kinds(&faults.strike("GET", "/users/@me")), [FaultKind::Delay]);
        assert!(faults.strike_gateway("MESSAGE_CREATE").is_empty());
    }

    #[test]
    fn the_gateway_has_routes_of_its_own() {
        let faults = Faults::new(1);
        let first = faults.order(fault("GATEWAY MESSAGE_*", FaultKind::Duplicate, None)).unwrap();
        faults.order(fault("gateway RESUME", FaultKind::Refuse, Some(1)));
        assert_eq!(kinds(&faults.strike_gateway("MESSAGE_UPDATE")), [FaultKind::Duplicate]);
        assert_eq!(kinds(&faults.strike_gateway("RESUME")), [FaultKind::Refuse]);
        assert!(faults.strike_gateway("RESUME").is_empty());
        assert!(faults.strike("GET", "/gateway").is_empty());
        assert!(faults.withdraw(first.id) && !faults.withdraw(first.id));
        assert!(faults.strike_gateway("MESSAGE_UPDATE").is_empty());
    }

    #[test]
    fn a_fault_that_cannot_happen_is_not_ordered() {
        let problem =
            |route, kind, status| FaultSpec { status, ..fault(route, kind, None) }.problem();
        assert_eq!(problem("GATEWAY RESUME", FaultKind::Refuse, None), None);
        assert_eq!(problem("GATEWAY READY", FaultKind::Error, Some(4_000)), None);
        assert_eq!(problem("*", FaultKind::Error, Some(503)), None);
        for (route, kind, status) in [
            ("GATEWAY RESUME", FaultKind::Duplicate, None),
            ("GATEWAY *", FaultKind::RateLimit, None),
            ("GATEWAY *", FaultKind::Error, Some(503)),
            ("*", FaultKind::Duplicate, None),
            ("*", FaultKind::Error, Some(200)),
            (" ", FaultKind::Cut, None),
        ] {
            assert!(problem(route, kind, status).is_some(), "{route} {kind:?} {status:?}");
        }
    }

    #[test]
    fn a_probability_is_kept_roughly_and_can_be_repeated() {
        let faults = Faults::new(42);
        let mut half = fault("*", FaultKind::Error, None);
        half.probability = Some(0.5);
        faults.order(half);
        let draw = || -> Vec<bool> {
            (0..1_000).map(|_| !faults.strike("GET", "/x").is_empty()).collect()
        };
        let first = draw();
        let struck = first.iter().filter(|struck| **struck).count();
        assert!((400..600).contains(&struck), "seed 42: {struck}");
        faults.reseed(42);
        assert_eq!(draw(), first);
    }
}
