//! What Discord has refused: a 403 is learnt, never hammered.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How many are remembered; beyond it the oldest are asked anew.
const CAPACITY: usize = 10_000;

/// Which requests were refused a moment ago, by what they are about.
#[derive(Debug)]
pub(crate) struct Denials {
    ttl: Duration,
    known: Mutex<HashMap<Key, Denial>>,
}

/// A guild (or a direct message's channel), and the kind of request there.
type Key = (u64, String);

#[derive(Clone, Copy, Debug)]
struct Denial {
    code: u64,
    until: Instant,
}

impl Denials {
    pub(crate) fn new(ttl: Duration) -> Self {
        Self { ttl, known: Mutex::default() }
    }

    /// Returns Discord's code, if such a request was refused lately.
    pub(crate) fn find(&self, home: u64, about: &str) -> Option<u64> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let denial = known.get(&(home, about.to_owned()))?;
        (Instant::now() < denial.until).then_some(denial.code)
    }

    pub(crate) fn learn(&self, home: u64, about: &str, code: u64) {
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CAPACITY {
            known.retain(|_, denial| now < denial.until);
        }
        if known.len() >= CAPACITY {
            known.clear();
        }
        known.insert((home, about.to_owned()), Denial { code, until: now + self.ttl });
    }

    /// Forgets what was refused in a guild: something changed there.
    pub(crate) fn forget(&self, home: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.is_empty() {
            known.retain(|(of, _), _| *of != home);
        }
    }

    /// Forgets what was refused about one member of a guild.
    pub(crate) fn forget_about(&self, home: u64, subject: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.is_empty() {
            let is_meant = |of: u64, about: &str| of == home && about.ends_with(subject);
            known.retain(|(of, about), _| !is_meant(*of, about));
        }
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_denial_is_known_until_something_changes_or_time_passes() {
        let denials = Denials::new(Duration::from_mins(1));
        denials.learn(1, "POST channels/5/messages", 50_013);
        denials.learn(2, "POST channels/6/messages", 50_001);
        assert_eq!(denials.find(1, "POST channels/5/messages"), Some(50_013));
        assert_eq!(denials.find(1, "POST channels/6/messages"), None);
        denials.learn(1, "PATCH guilds/1/members 7", 50_013);
        denials.learn(1, "PATCH guilds/1/members 8", 50_013);
        denials.forget_about(1, " 7");
        assert_eq!(denials.find(1, "PATCH guilds/1/members 7"), None);
        assert_eq!(denials.find(1, "PATCH guilds/1/members 8"), Some(50_013));
        denials.forget(1);
        assert_eq!(denials.find(1, "POST channels/5/messages"), None);
        assert_eq!(denials.find(2, "POST channels/6/messages"), Some(50_001));
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(denials.find(2, "POST channels/6/messages"), None);
    }
}
