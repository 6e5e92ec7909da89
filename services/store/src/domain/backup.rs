//! Sets of backups, and how long each is kept.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

use ery_clock::UnixMillis;

const HOUR_MS: i64 = 3_600_000;

/// What is in a set of backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) id: String,
    /// The store that made it; empty: it is from before sets were kept by store. Where it was found says
    /// it, not what it holds.
    #[serde(default)]
    pub(crate) store: String,
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

impl Manifest {
    pub(crate) fn has(&self, shard: u32) -> bool {
        self.files.iter().any(|file| file.shard == Some(shard))
    }
}

/// Returns which sets of other stores are of no use to anybody: their time is over whoever keeps them,
/// and each of their shards is in a younger set of somebody. So a store's last sets go once it is no
/// more, and never the last copy of a shard.
pub(crate) fn outlived(
    sets: &[Manifest],
    others: impl Fn(&Manifest) -> bool,
    kept_for: Duration,
    now: UnixMillis,
) -> Vec<&Manifest> {
    let is_outlived = |set: &&Manifest| {
        let is_elsewhere = |shard: u32| {
            sets.iter().any(|other| other.created_at > set.created_at && other.has(shard))
        };
        others(set)
            && set.created_at + kept_for <= now
            && set.files.iter().filter_map(|file| file.shard).all(is_elsewhere)
    };
    sets.iter().filter(is_outlived).collect()
}

/// Returns which sets are not to be kept, of those of one store. The newest whole one always is.
///
/// Sets of single shards count by themselves, and so do those of what restores replaced, so that none
/// takes the place of a whole one, nor one of the latter that of a set which was asked for.
pub(crate) fn expired(sets: Vec<Manifest>, retention: Retention) -> Vec<Manifest> {
    let mut kept = BTreeSet::new();
    let name = |set: &Manifest| (set.store.clone(), set.id.clone());
    for (is_whole, is_of_replaced) in [(true, false), (false, false), (false, true)] {
        let mut alike: Vec<&Manifest> = sets
            .iter()
            .filter(|set| (set.is_whole, set.is_of_replaced) == (is_whole, is_of_replaced))
            .collect();
        alike.sort_by_key(|set| std::cmp::Reverse((set.created_at, set.id.clone())));
        kept.extend(alike.first().filter(|_| is_whole).map(|set| name(set)));
        for (hours, count) in
            [(1, retention.hourly), (24, retention.daily), (24 * 7, retention.weekly)]
        {
            let mut spans = BTreeSet::new();
            for set in &alike {
                let span = set.created_at.0.div_euclid(hours * HOUR_MS);
                if spans.len() < count as usize && spans.insert(span) {
                    kept.insert(name(set));
                }
            }
        }
    }
    sets.into_iter().filter(|set| !kept.contains(&name(set))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(hour: i64, is_whole: bool) -> Manifest {
        Manifest {
            id: format!("{hour}{}", if is_whole { "" } else { "p" }),
            store: "a".to_owned(),
            created_at: UnixMillis(hour * HOUR_MS),
            shards: 4,
            is_whole,
            is_of_replaced: false,
            files: Vec::new(),
        }
    }

    fn ids(sets: Vec<Manifest>) -> Vec<String> {
        sets.into_iter().map(|set| set.id).collect()
    }

    #[test]
    fn what_a_restore_replaced_takes_the_place_of_no_other_set() {
        let replaced = Manifest { is_of_replaced: true, id: "r".to_owned(), ..set(3, false) };
        let earlier = Manifest { is_of_replaced: true, id: "e".to_owned(), ..set(2, false) };
        let sets = vec![set(1, true), set(2, false), earlier, replaced];
        let one = Retention { hourly: 1, daily: 0, weekly: 0 };
        assert_eq!(ids(expired(sets, one)), ["e"]);
    }

    #[test]
    fn the_newest_of_each_hour_day_and_week_is_kept() {
        let sets: Vec<Manifest> = (0..24 * 21).map(|hour| set(hour, true)).collect();
        let retention = Retention { hourly: 3, daily: 2, weekly: 2 };
        let expired: BTreeSet<String> = ids(expired(sets.clone(), retention)).into_iter().collect();
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
        let sets = vec![set(1, true), set(2, true), set(3, false)];
        let none = Retention { hourly: 0, daily: 0, weekly: 0 };
        assert_eq!(ids(expired(sets, none)), ["1", "3p"]);
    }

    #[test]
    fn sets_of_a_store_that_is_no_more_go_with_their_time_but_never_the_last_copy_of_a_shard() {
        let of = |store: &str, hour: i64, shards: &[u32]| {
            let file = |shard: &u32| BackupFile {
                name: format!("shard-{shard:04}.bak"),
                shard: Some(*shard),
                bytes: 1,
                rows: 1,
            };
            let files = shards.iter().map(file).collect();
            Manifest { store: store.to_owned(), files, ..set(hour, true) }
        };
        let sets = [of("b", 1, &[1]), of("b", 2, &[1, 2]), of("a", 9, &[0, 1]), of("b", 10, &[3])];
        let outlived = |hours: u64, now: i64| -> Vec<i64> {
            let found = outlived(
                &sets,
                |set| set.store != "a",
                Duration::from_hours(hours),
                UnixMillis(now * HOUR_MS),
            );
            found.into_iter().map(|set| set.created_at.0 / HOUR_MS).collect()
        };
        // Of shard 2 there is no other copy.
        assert_eq!(outlived(5, 30), [1]);
        assert!(outlived(5, 5).is_empty(), "its time is not over");
    }
}
