//! Sets of backups, and how long each is kept.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use ery_clock::UnixMillis;

const HOUR_MS: i64 = 3_600_000;

/// What is in a set of backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) id: String,
    pub(crate) created_at: UnixMillis,
    /// How many shards the store is divided into.
    pub(crate) shards: u32,
    /// Whether it holds every shard that there was; else those that were asked for.
    pub(crate) is_whole: bool,
    /// It keeps what a restore replaced.
    #[serde(default)]
    pub(crate) is_of_replaced: bool,
    pub(crate) files: Vec<BackupFile>,
}

/// One database of the store, compressed and sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackupFile {
    pub(crate) name: String,
    /// None: it is `global.db`.
    pub(crate) shard: Option<u32>,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
}

/// What stands in the clear before a sealed backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) shard: Option<u32>,
    pub(crate) shards: u32,
    /// The last migration of its tables.
    pub(crate) migration: i64,
    pub(crate) created_at: UnixMillis,
    pub(crate) key_id: String,
    pub(crate) salt: [u8; 32],
}

/// How many sets are kept: the newest of each of so many hours, days and weeks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    pub(crate) hourly: u32,
    pub(crate) daily: u32,
    pub(crate) weekly: u32,
}

/// Returns which sets are not to be kept. The newest whole one always is.
///
/// Sets of single shards count by themselves, and so do those of what restores replaced, so that none
/// takes the place of a whole one, nor one of the latter that of a set which was asked for.
pub(crate) fn expired(sets: &[Manifest], retention: Retention) -> Vec<String> {
    let mut kept = BTreeSet::new();
    for (is_whole, is_of_replaced) in [(true, false), (false, false), (false, true)] {
        let mut alike: Vec<&Manifest> = sets
            .iter()
            .filter(|set| (set.is_whole, set.is_of_replaced) == (is_whole, is_of_replaced))
            .collect();
        alike.sort_by_key(|set| std::cmp::Reverse((set.created_at, set.id.clone())));
        kept.extend(alike.first().filter(|_| is_whole).map(|set| set.id.as_str()));
        for (hours, count) in
            [(1, retention.hourly), (24, retention.daily), (24 * 7, retention.weekly)]
        {
            let mut spans = BTreeSet::new();
            for set in &alike {
                let span = set.created_at.0.div_euclid(hours * HOUR_MS);
                if spans.len() < count as usize && spans.insert(span) {
                    kept.insert(set.id.as_str());
                }
            }
        }
    }
    sets.iter().filter(|set| !kept.contains(set.id.as_str())).map(|set| set.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(hour: i64, is_whole: bool) -> Manifest {
        Manifest {
            id: format!("{hour}{}", if is_whole { "" } else { "p" }),
            created_at: UnixMillis(hour * HOUR_MS),
            shards: 4,
            is_whole,
            is_of_replaced: false,
            files: Vec::new(),
        }
    }

    #[test]
    fn what_a_restore_replaced_takes_the_place_of_no_other_set() {
        let replaced = Manifest { is_of_replaced: true, id: "r".to_owned(), ..set(3, false) };
        let earlier = Manifest { is_of_replaced: true, id: "e".to_owned(), ..set(2, false) };
        let sets = [set(1, true), set(2, false), earlier, replaced];
        let one = Retention { hourly: 1, daily: 0, weekly: 0 };
        assert_eq!(expired(&sets, one), ["e"]);
    }

    #[test]
    fn the_newest_of_each_hour_day_and_week_is_kept() {
        let sets: Vec<Manifest> = (0..24 * 21).map(|hour| set(hour, true)).collect();
        let retention = Retention { hourly: 3, daily: 2, weekly: 2 };
        let expired: BTreeSet<String> = expired(&sets, retention).into_iter().collect();
        let mut kept: Vec<i64> = sets
            .iter()
            .filter(|set| !expired.contains(&set.id))
            .map(|set| set.created_at.0)
            .collect();
        kept.sort_unstable();
        // Weeks are counted from a Thursday, the first day of 1970.
        let hours: Vec<i64> = kept.iter().map(|at| at / HOUR_MS).collect();
        assert_eq!(hours, [24 * 14 - 1, 24 * 20 - 1, 24 * 21 - 3, 24 * 21 - 2, 24 * 21 - 1]);
    }

    #[test]
    fn the_newest_whole_set_is_kept_whatever_is_set() {
        let sets = [set(1, true), set(2, true), set(3, false)];
        let none = Retention { hourly: 0, daily: 0, weekly: 0 };
        assert_eq!(expired(&sets, none), ["1", "3p"]);
    }
}
