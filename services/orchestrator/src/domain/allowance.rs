//! So many at once, and as they come again; for each of many.

use std::{collections::HashMap, hash::Hash, time::Duration};

use ery_clock::UnixMillis;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    pub(crate) at_once: u32,
    /// How long until one more comes.
    pub(crate) every: Duration,
}

/// What is left to each, of those who took something lately.
#[derive(Debug)]
pub(crate) struct Allowances<K> {
    each: Allowance,
    /// Past it, who took last the longest ago is forgotten.
    most: usize,
    of: HashMap<K, Taken>,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    /// How long until all are there again.
    full_at: UnixMillis,
    last_at: UnixMillis,
    /// For what the last one was taken.
    last_for: u64,
}

impl<K: Clone + Eq + Hash> Allowances<K> {
    pub(crate) fn new(each: Allowance, most: usize) -> Self {
        Self { each, most, of: HashMap::new() }
    }

    /// Takes one for `purpose`, or tells how long to wait. For the same purpose again nothing is
    /// taken.
    pub(crate) fn take(&mut self, key: K, purpose: u64, now: UnixMillis) -> Result<(), Duration> {
        let Allowance { at_once, every } = self.each;
        let before = self.of.get(&key);
        if before.is_some_and(|taken| taken.last_for == purpose) {
            return Ok(());
        }
        let full_at = before.map_or(now, |taken| taken.full_at.max(now)) + every;
        let longest = every * at_once;
        let wait = full_at.since(now);
        if wait > longest {
            return Err(wait.saturating_sub(longest));
        }
        if self.of.len() >= self.most && !self.of.contains_key(&key) {
            let oldest = self.of.iter().min_by_key(|(_, taken)| taken.last_at);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.of.remove(&oldest);
            }
        }
        self.of.insert(key, Taken { full_at, last_at: now, last_for: purpose });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UnixMillis {
        UnixMillis(1_000_000 + seconds * 1_000)
    }

    #[test]
    fn a_burst_is_let_through_and_then_one_after_the_other() {
        let each = Allowance { at_once: 2, every: Duration::from_secs(10) };
        let mut all = Allowances::new(each, 9);
        assert_eq!([all.take('a', 1, at(0)), all.take('a', 2, at(0))], [Ok(()), Ok(())]);
        assert_eq!(all.take('a', 3, at(1)), Err(Duration::from_secs(9)));
        assert_eq!(all.take('a', 2, at(1)), Ok(()), "the same again takes nothing");
        assert_eq!(all.take('b', 3, at(1)), Ok(()), "others have their own");
        assert_eq!(all.take('a', 3, at(10)), Ok(()));
        assert_eq!(all.take('a', 4, at(11)), Err(Duration::from_secs(9)));
        // It never holds more than its size.
        assert_eq!([all.take('a', 5, at(999)), all.take('a', 6, at(999))], [Ok(()), Ok(())]);
        assert!(all.take('a', 7, at(999)).is_err());
    }

    #[test]
    fn past_its_bound_who_took_the_longest_ago_is_forgotten() {
        let each = Allowance { at_once: 1, every: Duration::from_secs(100) };
        let mut all = Allowances::new(each, 2);
        for (key, second) in [('a', 0), ('b', 1), ('c', 2)] {
            assert_eq!(all.take(key, 1, at(second)), Ok(()));
        }
        assert!(all.take('c', 2, at(3)).is_err() && all.take('b', 2, at(3)).is_err());
        assert_eq!(all.take('a', 2, at(3)), Ok(()));
    }
}
