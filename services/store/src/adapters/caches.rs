//! How much of their files open connections keep in memory: a fixed amount, shared by as many as there are.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rusqlite::Connection;

/// Memory for the caches of one kind of connections, of all files together.
#[derive(Clone, Debug)]
pub(crate) struct Caches(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// What all of them keep together, while that is more than the least of each.
    total_kib: usize,
    /// What one of them keeps, from … to ….
    each_kib: RangeInclusive<usize>,
    open: AtomicUsize,
}

impl Caches {
    /// Those of quick readers. With the upper levels of its trees at hand, a read decrypts hardly more
    /// than the rows that it is for: those of ten million messages take 12 MiB.
    pub(crate) fn of_readers() -> Self {
        Self::new(32 << 10, 256..=16_384)
    }

    /// Those of writers. With less, new messages of many channels find hardly a page of their index
    /// there, and an encrypted one is costly to read again.
    pub(crate) fn of_writers() -> Self {
        Self::new(128 << 10, 2_048..=16_384)
    }

    fn new(total_kib: usize, each_kib: RangeInclusive<usize>) -> Self {
        Self(Arc::new(Inner { total_kib, each_kib, open: AtomicUsize::new(0) }))
    }

    /// Counts one more connection, until what is returned is dropped.
    pub(crate) fn join(&self) -> Share {
        self.0.open.fetch_add(1, Ordering::Relaxed);
        Share { caches: self.clone(), kib: AtomicUsize::new(0) }
    }

    /// Returns how much one connection may keep now.
    fn share_kib(&self) -> usize {
        let Inner { total_kib, each_kib, open } = &*self.0;
        let open = open.load(Ordering::Relaxed).max(1);
        (total_kib / open).clamp(*each_kib.start(), *each_kib.end())
    }
}

/// The share of one connection.
#[derive(Debug)]
pub(crate) struct Share {
    caches: Caches,
    /// What its connection was told last.
    kib: AtomicUsize,
}

impl Share {
    /// Returns whether its connection keeps more or less than its share.
    pub(crate) fn has_changed(&self) -> bool {
        self.kib.load(Ordering::Relaxed) != self.caches.share_kib()
    }

    /// Has its connection keep no more than its share.
    pub(crate) fn apply(&self, connection: &Connection) -> Result<(), rusqlite::Error> {
        let share = self.caches.share_kib();
        if self.kib.load(Ordering::Relaxed) != share {
            connection.pragma_update(None, "cache_size", format!("-{share}"))?;
            self.kib.store(share, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.caches.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache_of(connection: &Connection) -> i64 {
        connection.pragma_query_value(None, "cache_size", |row| row.get(0)).unwrap()
    }

    #[test]
    fn each_keeps_its_share_within_its_bounds() {
        let caches = Caches::new(100, 10..=60);
        let connection = Connection::open_in_memory().unwrap();
        let share = caches.join();
        assert!(share.has_changed());
        share.apply(&connection).unwrap();
        assert_eq!((cache_of(&connection), share.has_changed()), (-60, false));

        let others: Vec<_> = (0..3).map(|_| caches.join()).collect();
        assert!(share.has_changed());
        share.apply(&connection).unwrap();
        assert_eq!(cache_of(&connection), -25);
        let more: Vec<_> = (0..50).map(|_| caches.join()).collect();
        share.apply(&connection).unwrap();
        assert_eq!(cache_of(&connection), -10);

        drop((others, more));
        share.apply(&connection).unwrap();
        assert_eq!(cache_of(&connection), -60);
    }
}
