//! Dispatches that come late, by order.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use tokio::{sync::Notify, time::Instant};

/// The bound of dispatches that are late at a time.
const MAX_LATE: usize = 10_000;

/// A dispatch that is still to come; it gets its number when it does.
#[derive(Debug)]
pub(super) struct Late {
    pub(super) session: Arc<str>,
    pub(super) name: &'static str,
    pub(super) body: Bytes,
}

/// The dispatches that come late, by the moment at which they do.
#[derive(Debug, Default)]
pub(super) struct Delayed {
    late: BTreeMap<(Instant, u64), Late>,
    next: u64,
    changed: Arc<Notify>,
}

impl Delayed {
    /// Holds a dispatch until `due`; gives it back where too many are held already.
    pub(super) fn hold(&mut self, due: Instant, late: Late) -> Option<Late> {
        if self.late.len() >= MAX_LATE {
            return Some(late);
        }
        self.next += 1;
        self.late.insert((due, self.next), late);
        self.changed.notify_one();
        None
    }

    /// Takes out what is due, the earliest first.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Late> {
        let still = self.late.split_off(&(now, u64::MAX));
        std::mem::replace(&mut self.late, still).into_values().collect()
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.late.keys().next().map(|(due, _)| *due)
    }

    /// Is notified when something is held anew.
    pub(super) fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_late_comes_when_it_is_due() {
        let mut delayed = Delayed::default();
        let now = Instant::now();
        for (name, seconds) in [("LAST", 3), ("FIRST", 1), ("SECOND", 1)] {
            let late = Late { session: "s".into(), name, body: Bytes::new() };
            assert!(delayed.hold(now + Duration::from_secs(seconds), late).is_none());
        }
        assert!(delayed.take_due(now).is_empty());
        let due = delayed.take_due(now + Duration::from_secs(2));
        assert_eq!(due.iter().map(|late| late.name).collect::<Vec<_>>(), ["FIRST", "SECOND"]);
        assert_eq!(delayed.next_due(), Some(now + Duration::from_secs(3)));
    }
}
