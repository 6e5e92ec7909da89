pub(crate) mod ai;
pub(crate) mod keys;
pub(crate) mod stand;
pub(crate) mod store;
pub(crate) mod tools;
pub(crate) mod usage;

use std::{collections::VecDeque, sync::Mutex, time::Duration};

use tokio::sync::watch;
use tonic::Status;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ery's own user.
pub(crate) const BOT: u64 = 99;
/// The guild of most tests, and its channel.
pub(crate) const GUILD: u64 = 10 << 22;
pub(crate) const CHANNEL: u64 = 20;
/// People without rights; everybody from [`MODERATORS`] on has some.
pub(crate) const ANN: u64 = 1;
pub(crate) const BEN: u64 = 2;
pub(crate) const MODERATORS: u64 = 1_000;

/// Waits until `is_so`, for a bounded time.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain until {what}");
}

/// Waits until something is found, for a bounded time.
pub(crate) async fn eventually<T>(what: &str, find: impl Fn() -> Option<T>) -> T {
    let mut found = None;
    let waited = tokio::time::timeout(PATIENCE, async {
        while found.is_none() {
            found = find();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
    found.unwrap()
}

/// Calls that are to wait before they are answered.
pub(crate) struct Held(watch::Sender<Vec<&'static str>>);

impl Default for Held {
    fn default() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }
}

impl Held {
    pub(crate) fn hold(&self, rpc: &'static str) {
        self.0.send_modify(|held| held.push(rpc));
    }

    pub(crate) fn release(&self, rpc: &'static str) {
        self.0.send_modify(|held| held.retain(|it| *it != rpc));
    }

    pub(crate) async fn pass(&self, rpc: &'static str) {
        let mut held = self.0.subscribe();
        drop(held.wait_for(|held| !held.contains(&rpc)).await);
    }
}

/// What an RPC is to answer instead of what it would, once for each entry.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<(&'static str, VecDeque<Status>)>>);

impl Faults {
    pub(crate) fn add(&self, rpc: &'static str, status: Status, times: usize) {
        let statuses = std::iter::repeat_n(status, times).collect();
        self.0.lock().unwrap().push((rpc, statuses));
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    pub(crate) fn check(&self, rpc: &'static str) -> Result<(), Status> {
        let mut faults = self.0.lock().unwrap();
        let next = faults.iter_mut().find(|(of, left)| *of == rpc && !left.is_empty());
        next.and_then(|(_, left)| left.pop_front()).map_or(Ok(()), Err)
    }
}
