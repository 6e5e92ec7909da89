//! Discord's own document, to which all is held that a test makes the simulator say.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use ery_discord_contract::{Requests, Violation, contract, report};
use ery_sim_discord::WorldHandle;
use serde_json::Value;

/// Judges a simulator's log and what was heard from its Gateway.
///
/// It does so when it is dropped, with the simulator, so that no test can forget it.
#[derive(Debug)]
pub(crate) struct Contract {
    world: WorldHandle,
    heard: Mutex<Vec<Violation>>,
    /// Exchanges that are meant to be wrong, by method and path.
    expected: Mutex<BTreeSet<String>>,
}

impl Contract {
    pub(crate) fn new(world: WorldHandle) -> Self {
        Self { world, heard: Mutex::default(), expected: Mutex::default() }
    }

    /// Judges a frame of the Gateway.
    pub(crate) fn heard(&self, frame: &str) {
        let Some(contract) = contract() else { return };
        let frame: Value = serde_json::from_str(frame).unwrap();
        if let Some(name) = frame["t"].as_str() {
            let found = contract.check_dispatch(name, &frame["d"]);
            self.heard.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
        }
    }

    /// Says that this test asks what no document knows, as `GET /nothing/here`.
    pub(crate) fn expect_unknown(&self, request: &str) {
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        expected.insert(request.replacen(' ', " /api/v10", 1));
    }
}

impl Drop for Contract {
    fn drop(&mut self) {
        let Some(contract) = contract() else { return };
        // What has failed already need not fail twice.
        if std::thread::panicking() {
            return;
        }
        let mut violations = contract.check_log(&self.world.log(), Requests::NotRefused).unwrap();
        violations.append(self.heard.get_mut().unwrap_or_else(PoisonError::into_inner));
        let expected = self.expected.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut met = BTreeSet::new();
        violations.retain(|violation| {
            let is_expected = violation.part == "route" && expected.contains(&violation.subject);
            if is_expected {
                met.insert(violation.subject.clone());
            }
            !is_expected
        });
        assert!(violations.is_empty(), "Discord's document refuses:\n{}", report(&violations));
        assert_eq!(met, *expected, "the test was to ask what no document knows");
    }
}
