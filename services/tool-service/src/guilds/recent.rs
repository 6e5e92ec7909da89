//! A bounded map that lets go of what was used least lately.

use std::{collections::HashMap, hash::Hash};

#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    entries: HashMap<K, (V, u64)>,
    capacity: usize,
    uses: u64,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), capacity: capacity.max(1), uses: 0 }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        self.uses += 1;
        let uses = self.uses;
        self.entries.get_mut(key).map(|(value, used)| {
            *used = uses;
            &*value
        })
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// Puts an entry in, and returns whether others had to go for it.
    pub(crate) fn insert(&mut self, key: K, value: V) -> bool {
        self.uses += 1;
        self.entries.insert(key, (value, self.uses));
        if self.entries.len() <= self.capacity {
            return false;
        }
        // An eighth at once, so that this is seldom.
        let mut used: Vec<u64> = self.entries.values().map(|(_, used)| *used).collect();
        let nth = used.len() / 8;
        let (_, oldest, _) = used.select_nth_unstable(nth);
        let oldest = *oldest;
        self.entries.retain(|_, (_, used)| *used > oldest);
        true
    }

    /// Lets go of an entry, and returns whether it was there.
    pub(crate) fn remove(&mut self, key: &K) -> bool {
        self.entries.remove(key).is_some()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.values().map(|(value, _)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_used_go_first_and_the_bound_holds() {
        let mut recent = Recent::new(16);
        for key in 0..16 {
            assert!(!recent.insert(key, key));
        }
        assert_eq!(recent.get(&0), Some(&0));
        assert!(recent.insert(16, 16));
        assert!(recent.values().count() <= 16);
        assert!(recent.contains(&0) && recent.contains(&16));
        assert!(!recent.contains(&1));
        for key in 0..1_000 {
            recent.insert(key, key);
            assert!(recent.values().count() <= 16);
        }
    }
}
