//! The world's time, which can be made to jump.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use ery_clock::{Clock, UnixMillis};

/// Another clock's time, moved by as much as was ordered.
///
/// Only what is told in the world follows it: ids, timestamps, timeouts, slow mode, the headers of
/// rate limits. How long something takes is measured by a clock that never jumps.
#[derive(Debug)]
pub(crate) struct WorldClock {
    inner: Arc<dyn Clock>,
    offset_ms: AtomicI64,
}

impl WorldClock {
    pub(crate) fn new(inner: Arc<dyn Clock>) -> Self {
        Self { inner, offset_ms: AtomicI64::new(0) }
    }

    pub(crate) fn now(&self) -> UnixMillis {
        UnixMillis(self.inner.now().0.saturating_add(self.offset_ms()))
    }

    pub(crate) fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }

    /// Jumps from where it is now, forwards or backwards.
    pub(crate) fn jump(&self, by_ms: i64) {
        let moved = |offset: i64| Some(offset.saturating_add(by_ms));
        // The closure always returns something, so the update cannot fail.
        let _former = self.offset_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, moved);
    }

    /// Goes right again.
    pub(crate) fn set_right(&self) {
        self.offset_ms.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use ery_clock::ManualClock;

    use super::*;

    #[test]
    fn it_jumps_and_goes_right_again() {
        let clock = WorldClock::new(Arc::new(ManualClock::at(UnixMillis(1_000))));
        clock.jump(5_000);
        clock.jump(-2_000);
        assert_eq!((clock.now(), clock.offset_ms()), (UnixMillis(4_000), 3_000));
        clock.set_right();
        assert_eq!(clock.now(), UnixMillis(1_000));
    }
}
