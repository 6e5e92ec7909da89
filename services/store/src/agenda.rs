use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use ery_clock::UnixMillis;
use ery_ids::StoreShard;

/// After how long a write that was asked for is committed, or never will be.
const SURELY_WRITTEN: Duration = Duration::from_secs(30);

/// When each shard is to be looked at for tasks that are due. One entry for each shard at most.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    due: Mutex<BTreeMap<StoreShard, UnixMillis>>,
    changed: Notify,
}

impl Agenda {
    /// Has a shard looked at no later than `due`.
    pub(crate) fn add(&self, shard: StoreShard, due: UnixMillis) {
        let mut all = self.lock();
        let entry = all.entry(shard).or_insert(due);
        *entry = (*entry).min(due);
        drop(all);
        self.changed.notify_one();
    }

    /// Has a shard looked at for what is about to be written, whatever becomes of whoever asked for
    /// it: a request whose caller is gone ends wherever it stands, while its write is committed all
    /// the same. To be called before the write; the exact time is added once it is committed.
    pub(crate) fn expect(&self, shard: StoreShard, due: UnixMillis, now: UnixMillis) {
        self.add(shard, due.max(now + SURELY_WRITTEN));
    }

    /// Takes the shards that are to be looked at by `now`.
    pub(crate) fn take(&self, now: UnixMillis) -> Vec<StoreShard> {
        let mut all = self.lock();
        let due: Vec<_> =
            all.iter().filter(|(_, due)| **due <= now).map(|(shard, _)| *shard).collect();
        for shard in &due {
            all.remove(shard);
        }
        due
    }

    /// Returns when the next shard is to be looked at.
    pub(crate) fn next(&self) -> Option<UnixMillis> {
        self.lock().values().min().copied()
    }

    /// Waits until something was added since this was last waited for.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<StoreShard, UnixMillis>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_shard_is_looked_at_once_and_no_later_than_it_was_ever_due() {
        let agenda = Agenda::default();
        agenda.add(StoreShard(1), UnixMillis(20));
        agenda.add(StoreShard(1), UnixMillis(10));
        agenda.add(StoreShard(1), UnixMillis(30));
        agenda.add(StoreShard(2), UnixMillis(15));
        assert!(agenda.changed().now_or_never().is_some());
        assert_eq!(agenda.next(), Some(UnixMillis(10)));
        assert_eq!(agenda.take(UnixMillis(9)), []);
        assert_eq!(agenda.take(UnixMillis(10)), [StoreShard(1)]);
        assert_eq!(agenda.next(), Some(UnixMillis(15)));
        assert_eq!(agenda.take(UnixMillis(99)), [StoreShard(2)]);
        assert_eq!(agenda.next(), None);
        assert!(agenda.changed().now_or_never().is_none());
    }
}
