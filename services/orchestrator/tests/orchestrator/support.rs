pub(crate) mod ai;
pub(crate) mod stand;
pub(crate) mod store;
pub(crate) mod tools;

use std::{collections::VecDeque, sync::Mutex, time::Duration};

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
