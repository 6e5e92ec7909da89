//! What all shards of this store have spent, so that it is told without opening their files.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use ery_ids::StoreShard;

use crate::domain::usage::{InWindows, Sum, Windows};

/// The sums of shards, as far as they were read or written since the start. One for each shard at
/// most.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    known: Mutex<HashMap<StoreShard, Known>>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    windows: Windows,
    spent: InWindows,
}

impl Totals {
    /// Takes in what a shard's file says. Sums of one window only rise, so what was read before a
    /// write does not take its place.
    pub(crate) fn note(&self, shard: StoreShard, windows: Windows, spent: InWindows) {
        let mut known = self.lock();
        let stands = known.get(&shard).map_or_else(InWindows::default, |it| it.in_windows(windows));
        let is_newer = known.get(&shard).is_none_or(|it| it.windows.day <= windows.day);
        if is_newer {
            let spent = InWindows {
                day: larger(stands.day, spent.day),
                month: larger(stands.month, spent.month),
            };
            known.insert(shard, Known { windows, spent });
        }
    }

    /// Returns what is known of a shard.
    pub(crate) fn get(&self, shard: StoreShard, windows: Windows) -> Option<InWindows> {
        self.lock().get(&shard).map(|known| known.in_windows(windows))
    }

    /// Forgets a shard whose file another one has taken the place of.
    pub(crate) fn forget(&self, shard: StoreShard) {
        self.lock().remove(&shard);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StoreShard, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Returns what of it lies in these windows.
    fn in_windows(&self, windows: Windows) -> InWindows {
        let of = |is_same: bool, sum: Sum| if is_same { sum } else { Sum::default() };
        InWindows {
            day: of(self.windows.day == windows.day, self.spent.day),
            month: of(self.windows.month == windows.month, self.spent.month),
        }
    }
}

fn larger(one: Sum, other: Sum) -> Sum {
    Sum {
        tokens: one.tokens.max(other.tokens),
        cost_micros: one.cost_micros.max(other.cost_micros),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARD: StoreShard = StoreShard(3);
    const TODAY: Windows = Windows { day: 40, month: 31 };

    fn spent(day: u64, month: u64) -> InWindows {
        let sum = |tokens| Sum { tokens, cost_micros: 0 };
        InWindows { day: sum(day), month: sum(month) }
    }

    #[test]
    fn what_was_read_before_a_write_does_not_take_its_place() {
        let totals = Totals::default();
        assert_eq!(totals.get(SHARD, TODAY), None);
        totals.note(SHARD, TODAY, spent(5, 9));
        totals.note(SHARD, TODAY, spent(4, 8));
        assert_eq!(totals.get(SHARD, TODAY), Some(spent(5, 9)));
        totals.forget(SHARD);
        totals.note(SHARD, TODAY, spent(4, 8));
        assert_eq!(totals.get(SHARD, TODAY), Some(spent(4, 8)));
    }

    #[test]
    fn a_new_window_begins_with_nothing() {
        let totals = Totals::default();
        totals.note(SHARD, TODAY, spent(5, 9));
        let tomorrow = Windows { day: 41, month: 31 };
        assert_eq!(totals.get(SHARD, tomorrow), Some(spent(0, 9)));
        totals.note(SHARD, tomorrow, spent(1, 10));
        assert_eq!(totals.get(SHARD, tomorrow), Some(spent(1, 10)));
        // A step that was written under yesterday's date.
        totals.note(SHARD, TODAY, spent(7, 11));
        assert_eq!(totals.get(SHARD, tomorrow), Some(spent(1, 10)));
        assert_eq!(totals.get(SHARD, Windows { day: 70, month: 62 }), Some(spent(0, 0)));
    }
}
