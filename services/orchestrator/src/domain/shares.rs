//! What the whole installation has spent, by the shards of its stores: one that is away has spent what
//! it told last.

use std::collections::HashMap;

use ery_ids::StoreShard;

use crate::domain::budgets::{InWindows, Span, Sum, Total, Windows};

/// What one store tells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) windows: Windows,
    /// Of each shard that it holds; none: a store of an older version tells the sum alone.
    pub(crate) shards: Vec<(StoreShard, InWindows)>,
    pub(crate) sum: InWindows,
}

/// What is known of each shard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares {
    /// The latest that any store told of.
    windows: Windows,
    /// By number: so a shard that moves to another store counts once. One for each at most.
    shards: HashMap<StoreShard, Share>,
    /// What stores of an older version told, which do not name their shards.
    unnamed: Vec<Share>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Share {
    windows: Windows,
    spent: InWindows,
}

impl Shares {
    /// Takes in what those stores told that answered; of the others, what they told before stays.
    pub(crate) fn learn(&mut self, told: &[Told]) {
        if told.is_empty() {
            return;
        }
        let mut now: HashMap<StoreShard, Share> = HashMap::new();
        self.unnamed.clear();
        for Told { windows, shards, sum } in told {
            // Two stores' clocks may stand on two sides of midnight: the later window counts.
            self.windows.day = later(self.windows.day, windows.day);
            self.windows.month = later(self.windows.month, windows.month);
            if shards.is_empty() {
                self.unnamed.push(Share { windows: *windows, spent: *sum });
            }
            for (shard, spent) in shards {
                let share = Share { windows: *windows, spent: *spent };
                // While it moves, two stores may tell of it.
                let larger = now.get(shard).map_or(share, |other| other.or(share));
                now.insert(*shard, larger);
            }
        }
        self.shards.extend(now);
    }

    pub(crate) fn total(&self) -> Total {
        let mut spent = InWindows::default();
        for share in self.shards.values().chain(&self.unnamed) {
            let InWindows { day, month } = share.spent;
            if share.windows.day.began == self.windows.day.began {
                spent.day.add(day);
            }
            if share.windows.month.began == self.windows.month.began {
                spent.month.add(month);
            }
        }
        Total { windows: self.windows, spent }
    }
}

impl Share {
    /// Returns the one that tells of the later day, or of more.
    fn or(self, other: Self) -> Self {
        let place = |share: &Self| {
            let Sum { tokens, cost_micros } = share.spent.month;
            (share.windows.day.began, cost_micros, tokens)
        };
        if place(&other) > place(&self) { other } else { self }
    }
}

fn later(one: Span, other: Span) -> Span {
    if other.began > one.began { other } else { one }
}

#[cfg(test)]
mod tests {
    use ery_clock::UnixMillis;

    use super::*;

    /// What a store tells on a day of a month that does not end.
    fn told(day: i64, shards: &[(u32, u64)]) -> Told {
        let span = |began| Span { began: UnixMillis(began), ends: UnixMillis(began + 1) };
        let spent = |tokens| {
            let sum = Sum { tokens, cost_micros: 0 };
            InWindows { day: sum, month: sum }
        };
        Told {
            windows: Windows { day: span(day), month: span(1) },
            shards: shards
                .iter()
                .map(|(shard, tokens)| (StoreShard(*shard), spent(*tokens)))
                .collect(),
            sum: spent(shards.iter().map(|(_, tokens)| tokens).sum()),
        }
    }

    fn day(shares: &Shares) -> u64 {
        shares.total().spent.day.tokens
    }

    #[test]
    fn a_store_that_is_away_has_spent_what_it_told_last() {
        let mut shares = Shares::default();
        shares.learn(&[told(1, &[(0, 100), (1, 10)]), told(1, &[(2, 5)])]);
        assert_eq!(day(&shares), 115);
        shares.learn(&[told(1, &[(2, 7)])]);
        assert_eq!(day(&shares), 117);
        shares.learn(&[]);
        assert_eq!(day(&shares), 117);
        // One of its shards cannot be read.
        shares.learn(&[told(1, &[(0, 101)]), told(1, &[(2, 7)])]);
        assert_eq!(day(&shares), 118);
    }

    #[test]
    fn a_shard_that_moves_counts_once() {
        let mut shares = Shares::default();
        shares.learn(&[told(1, &[(0, 100)]), told(1, &[(1, 5)])]);
        // The new holder has read the file, the old one does not know yet that it has gone.
        shares.learn(&[told(1, &[(0, 100)]), told(1, &[(0, 101), (1, 5)])]);
        assert_eq!(day(&shares), 106);
        // Another store in place of both.
        shares.learn(&[told(1, &[(0, 102), (1, 5)])]);
        assert_eq!(day(&shares), 107);
    }

    #[test]
    fn what_was_told_on_another_day_counts_for_the_month_alone() {
        let mut shares = Shares::default();
        shares.learn(&[told(1, &[(0, 100)]), told(1, &[(1, 5)])]);
        shares.learn(&[told(2, &[(1, 3)])]);
        assert_eq!((day(&shares), shares.total().spent.month.tokens), (3, 103));
        // Its clock stands before midnight yet.
        shares.learn(&[told(1, &[(0, 100)]), told(2, &[(1, 4)])]);
        assert_eq!(day(&shares), 4);
    }

    #[test]
    fn stores_of_an_older_version_count_as_long_as_they_answer() {
        let mut shares = Shares::default();
        let old = Told { shards: Vec::new(), ..told(1, &[(0, 50)]) };
        shares.learn(&[old, told(1, &[(1, 5)])]);
        assert_eq!(day(&shares), 55);
        shares.learn(&[told(1, &[(0, 50), (1, 5)])]);
        assert_eq!(day(&shares), 55);
    }
}
