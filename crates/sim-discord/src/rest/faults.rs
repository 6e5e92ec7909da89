//! Faults on order: what the network and Discord do on bad days.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

/// The bound of faults that wait to strike.
const MAX_FAULTS: usize = 1_000;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultKind {
    /// An error status; `when` says whether the request takes effect before it.
    Error,
    /// A 429 that no bucket explains.
    RateLimit,
    /// The answer takes longer.
    Delay,
    /// The request takes effect, and the connection is cut before the answer.
    LoseResponse,
    /// The connection is cut before the request takes effect.
    Cut,
    /// The search says that it is not ready.
    NotReady,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum When {
    #[default]
    Before,
    After,
}

/// A fault as it is ordered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FaultSpec {
    /// `POST /channels/{channel_id}/messages`; the method may be left out, `*` at the end stands for
    /// anything.
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
    /// The status of an `error`; 500 where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    #[serde(default)]
    pub(crate) when: When,
    /// Of a `rate_limit`: whether it counts for the whole bot.
    #[serde(default)]
    pub(crate) global: bool,
}

impl FaultSpec {
    /// Says what is wrong with an order, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.route.trim().is_empty() {
            return Some("route is empty".to_owned());
        }
        if self.probability.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
            return Some("probability must be between 0 and 1".to_owned());
        }
        if self.status.is_some_and(|status| !(400..=599).contains(&status)) {
            return Some("status must be between 400 and 599".to_owned());
        }
        if self.kind == FaultKind::Delay && self.delay_ms.is_none() {
            return Some("a delay needs delay_ms".to_owned());
        }
        None
    }

    fn strikes(&self, method: &str, template: &str) -> bool {
        let route = self.route.trim();
        let path = match route.split_once(' ') {
            Some((wanted, path)) if wanted.eq_ignore_ascii_case(method) => path.trim(),
            Some(_) => return false,
            None => route,
        };
        match path.strip_suffix('*') {
            Some(prefix) => template.starts_with(prefix),
            None => template == path,
        }
    }

    pub(super) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.unwrap_or(0))
    }
}

/// The faults that wait to strike, the first ordered first.
#[derive(Debug)]
pub(crate) struct Faults {
    waiting: Vec<FaultSpec>,
    random: StdRng,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self { waiting: Vec::new(), random: StdRng::seed_from_u64(seed) }
    }

    /// Orders a fault; `false` if too many wait already.
    pub(crate) fn order(&mut self, fault: FaultSpec) -> bool {
        let has_room = self.waiting.len() < MAX_FAULTS;
        if has_room {
            self.waiting.push(fault);
        }
        has_room
    }

    pub(crate) fn clear(&mut self) -> usize {
        std::mem::take(&mut self.waiting).len()
    }

    pub(crate) fn waiting(&self) -> &[FaultSpec] {
        &self.waiting
    }

    /// Returns the faults that strike this request: delays add up, of all others the first counts.
    pub(super) fn strike(&mut self, method: &str, template: &str) -> Vec<FaultSpec> {
        let mut struck: Vec<FaultSpec> = Vec::new();
        let random = &mut self.random;
        self.waiting.retain_mut(|fault| {
            let is_delay = fault.kind == FaultKind::Delay;
            let is_taken = !is_delay && struck.iter().any(|other| other.kind != FaultKind::Delay);
            if is_taken || !fault.strikes(method, template) {
                return true;
            }
            if fault.probability.is_some_and(|chance| !random.random_bool(chance)) {
                return true;
            }
            if fault.count == Some(0) {
                return false;
            }
            struck.push(fault.clone());
            if let Some(count) = &mut fault.count {
                *count -= 1;
            }
            fault.count != Some(0)
        });
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
            when: When::Before,
            global: false,
        }
    }

    #[test]
    fn a_fault_strikes_its_route_as_often_as_ordered() {
        let mut faults = Faults::new(1);
        faults.order(fault("POST /channels/{channel_id}/messages", FaultKind::Error, Some(2)));
        assert!(faults.strike("GET", SEND).is_empty());
        assert_eq!(faults.strike("POST", SEND).len(), 1);
        assert_eq!(faults.strike("POST", SEND).len(), 1);
        assert!(faults.strike("POST", SEND).is_empty());
    }

    #[test]
    fn a_star_stands_for_anything_and_delays_come_on_top() {
        let mut faults = Faults::new(1);
        faults.order(fault("*", FaultKind::Delay, None));
        faults.order(fault("POST /channels/*", FaultKind::Error, None));
        faults.order(fault("/channels/{channel_id}/messages", FaultKind::Cut, None));
        let kinds: Vec<_> = faults.strike("POST", SEND).iter().map(|fault| fault.kind).collect();
        assert_eq!(kinds, [FaultKind::Delay, FaultKind::Error]);
        let kinds: Vec<_> =
            faults.strike("GET", "/users/@me").iter().map(|fault| fault.kind).collect();
        assert_eq!(kinds, [FaultKind::Delay]);
    }

    #[test]
    fn a_probability_is_kept_roughly() {
        let mut faults = Faults::new(42);
        let mut half = fault("*", FaultKind::Error, None);
        half.probability = Some(0.5);
        faults.order(half);
        let struck = (0..1_000).filter(|_| !faults.strike("GET", "/x").is_empty()).count();
        assert!((400..600).contains(&struck), "seed 42: {struck}");
    }
}
