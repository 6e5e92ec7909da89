//! What Discord has refused: a 403 is learnt, never hammered.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How many are remembered; beyond it the oldest are asked anew.
const CAPACITY: usize = 10_000;

/// Discord's refusals of direct messages: of the end of these no event tells, since they hang on what
/// somebody sets for themselves.
const NOT_TOLD: &[u64] = &[50_007, 50_278];

/// How long such a one is believed: whoever opens their direct messages now is not kept waiting.
const NOT_TOLD_TTL: Duration = Duration::from_secs(20);

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
    since: Instant,
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
        let ttl = if NOT_TOLD.contains(&code) { self.ttl.min(NOT_TOLD_TTL) } else { self.ttl };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CAPACITY {
            known.retain(|_, denial| now < denial.until);
        }
        if known.len() >= CAPACITY {
            known.clear();
        }
        known.insert((home, about.to_owned()), Denial { code, since: now, until: now + ttl });
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

    /// Forgets what was refused of exactly these so long ago, wherever it was asked for.
    pub(crate) fn forget_these(&self, abouts: &[String], ago: Duration) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.is_empty() {
            known.retain(|(_, about), denial| {
                denial.since.elapsed() < ago || !abouts.contains(about)
            });
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

    #[tokio::test(start_paused = true)]
    async fn that_somebody_takes_no_direct_messages_is_not_believed_for_long() {
        let denials = Denials::new(Duration::from_mins(5));
        let direct = "POST channels/7/messages";
        denials.learn(1, direct, 50_007);
        assert_eq!(denials.find(1, direct), Some(50_007));
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(denials.find(1, direct), None);
        // And not at all once they write themselves.
        denials.learn(1, direct, 50_007);
        denials.learn(1, "POST channels/8/messages", 50_007);
        tokio::time::advance(Duration::from_secs(2)).await;
        denials.forget_these(&[direct.to_owned()], Duration::from_secs(3));
        assert_eq!(denials.find(1, direct), Some(50_007), "they wrote before that");
        denials.forget_these(&[direct.to_owned()], Duration::from_secs(1));
        assert_eq!(denials.find(1, direct), None);
        assert_eq!(denials.find(1, "POST channels/8/messages"), Some(50_007));
    }
}
