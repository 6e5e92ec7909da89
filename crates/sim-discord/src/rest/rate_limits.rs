//! Rate limits, per route and top-level id, and per bot.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::domain::UserId;

/// Past so many windows, those that are over are forgotten.
const SWEEP_AT: usize = 10_000;
const GLOBAL_LIMIT: u32 = 50;
const GLOBAL_WINDOW: Duration = Duration::from_secs(1);
/// What the headers say where limits are off.
const UNLIMITED: u32 = 10_000;

/// What routes of one kind share: so many requests in such a time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) name: &'static str,
    pub(super) limit: u32,
    pub(super) window: Duration,
}

impl Bucket {
    pub(super) const fn new(name: &'static str, limit: u32, window_ms: u64) -> Self {
        Self { name, limit, window: Duration::from_millis(window_ms) }
    }
}

#[derive(Clone, Copy, Debug)]
struct Window {
    ends: Instant,
    used: u32,
}

/// How a request stands towards its bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Standing {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    pub(super) reset_after: Duration,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    Allowed(Standing),
    Limited { standing: Standing, retry_after: Duration, is_global: bool },
}

#[derive(Debug, Default)]
pub(crate) struct RateLimits {
    windows: HashMap<(UserId, &'static str, u64), Window>,
    global: HashMap<UserId, Window>,
}

impl RateLimits {
    /// Counts a request of `bot`; `major` is the top-level id in its path.
    pub(super) fn count(
        &mut self,
        bot: UserId,
        bucket: &Bucket,
        major: u64,
        now: Instant,
    ) -> Verdict {
        if self.windows.len() > SWEEP_AT {
            self.windows.retain(|_, window| window.ends > now);
        }
        let global =
            window(self.global.entry(bot).or_insert(fresh(now, GLOBAL_WINDOW)), now, GLOBAL_WINDOW);
        let key = (bot, bucket.name, major);
        let own = window(
            self.windows.entry(key).or_insert(fresh(now, bucket.window)),
            now,
            bucket.window,
        );
        let standing = |used: u32| Standing {
            limit: bucket.limit,
            remaining: bucket.limit.saturating_sub(used),
            reset_after: own.ends.duration_since(now),
        };
        if own.used >= bucket.limit {
            let retry_after = own.ends.duration_since(now);
            return Verdict::Limited {
                standing: standing(own.used),
                retry_after,
                is_global: false,
            };
        }
        if global.used >= GLOBAL_LIMIT {
            let retry_after = global.ends.duration_since(now);
            return Verdict::Limited { standing: standing(own.used), retry_after, is_global: true };
        }
        own.used += 1;
        global.used += 1;
        Verdict::Allowed(standing(own.used))
    }

    /// Returns what is told where limits are off.
    pub(super) fn unlimited() -> Standing {
        Standing { limit: UNLIMITED, remaining: UNLIMITED - 1, reset_after: Duration::from_secs(1) }
    }
}

fn fresh(now: Instant, length: Duration) -> Window {
    Window { ends: now + length, used: 0 }
}

/// Begins the window anew if it is over.
fn window(window: &mut Window, now: Instant, length: Duration) -> &mut Window {
    if window.ends <= now {
        *window = fresh(now, length);
    }
    window
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE: Bucket = Bucket::new("five", 5, 5_000);

    fn bot() -> UserId {
        UserId::new(1)
    }

    #[tokio::test(start_paused = true)]
    async fn the_sixth_in_five_seconds_waits_for_the_window() {
        let mut limits = RateLimits::default();
        let began = Instant::now();
        for remaining in (0..5).rev() {
            let Verdict::Allowed(standing) = limits.count(bot(), &FIVE, 7, began) else { panic!() };
            assert_eq!(standing.remaining, remaining);
        }
        let later = began + Duration::from_secs(2);
        let Verdict::Limited { retry_after, is_global, .. } = limits.count(bot(), &FIVE, 7, later)
        else {
            panic!()
        };
        assert_eq!((retry_after, is_global), (Duration::from_secs(3), false));
        assert!(matches!(limits.count(bot(), &FIVE, 8, later), Verdict::Allowed(_)));
        let after = began + Duration::from_secs(5);
        assert!(matches!(limits.count(bot(), &FIVE, 7, after), Verdict::Allowed(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn fifty_a_second_is_all_that_one_bot_has() {
        let mut limits = RateLimits::default();
        let now = Instant::now();
        for channel in 0..50 {
            assert!(matches!(limits.count(bot(), &FIVE, channel, now), Verdict::Allowed(_)));
        }
        let Verdict::Limited { is_global, .. } = limits.count(bot(), &FIVE, 99, now) else {
            panic!()
        };
        assert!(is_global);
        assert!(matches!(limits.count(UserId::new(2), &FIVE, 99, now), Verdict::Allowed(_)));
    }
}
