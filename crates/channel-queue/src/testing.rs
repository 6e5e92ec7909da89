//! What a channel queue promises, as functions that every adapter's tests run.
//!
//! An adapter fills in a [`Stand`] and calls [`channel_queue_contract!`](crate::channel_queue_contract),
//! which makes one test of each behaviour. A behaviour panics where a promise is broken.
#![expect(clippy::missing_panics_doc, reason = "a behaviour panics where a promise is broken")]

mod holding;
mod order;
mod presence;
mod waking;

pub use holding::{
    a_dropped_lease_expires_and_its_tasks_are_read_again, a_dropped_lease_is_lost_to_its_holder,
    a_held_lease_outlives_its_time, a_seized_lease_is_lost, epochs_rise_with_every_holding,
    two_views_never_hold_one_channel_at_once,
};
pub use order::{
    a_direct_message_channel_is_read_like_any_other, a_large_task_is_read_as_it_was_published,
    a_repeated_publish_stands_once, a_retry_comes_back_once,
    publishing_again_after_removal_changes_nothing,
    reading_neither_skips_nor_reorders_while_publishing_goes_on,
    tasks_are_read_in_the_order_of_publishing,
};
pub use presence::{
    a_channel_is_active_while_held_or_an_exchange_is_open,
    a_delivery_of_a_removed_task_is_harmless, a_task_that_is_not_removed_is_delivered_again,
    removed_tasks_never_come_back, what_was_not_removed_outlives_a_restart,
    what_was_turned_away_never_comes_back,
};
pub use waking::{
    a_delivery_for_a_held_channel_waits_for_its_holder, a_free_channel_is_woken_anew,
    a_reader_takes_no_more_than_its_prefetch, handing_over_wakes_another_taker_at_once,
    no_wake_up_is_lost_when_publishing_races_releasing,
};

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use twilight_model::id::Id;

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, Epoch, TriggerId};

use crate::{BoxLease, ChannelQueue, Delivery, Released, Task, Waiting, Wakeups};

/// The times with which a behaviour wants its queue opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a lease lasts unless it is renewed.
    pub lease_ttl: Duration,
    /// After what time a task that was delivered, but not removed, is delivered again.
    pub redelivery: Duration,
}

impl Timing {
    /// For what comes by waiting. Both may be longer where an adapter needs it, not much longer.
    pub const SHORT: Self =
        Self { lease_ttl: Duration::from_millis(600), redelivery: Duration::from_millis(1_200) };

    /// For what must come at once: here waiting never helps within [`PATIENCE`].
    pub const LONG: Self =
        Self { lease_ttl: Duration::from_mins(2), redelivery: Duration::from_mins(10) };
}

/// How long a behaviour waits for a promised thing before it calls the promise broken.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// One queue as two processes see it; an adapter of a single process gives the same one twice.
pub struct TwoViews {
    pub a: Arc<dyn ChannelQueue>,
    pub b: Arc<dyn ChannelQueue>,
}

impl TwoViews {
    /// Makes both views the same.
    pub fn same(of: Arc<dyn ChannelQueue>) -> Self {
        Self { a: Arc::clone(&of), b: of }
    }
}

/// Storage of its own, empty at first, for one behaviour.
#[async_trait]
pub trait Stand: Send + Sync {
    /// Opens the storage; what was opened before has been dropped, as in a restart.
    async fn open(&self, timing: Timing) -> TwoViews;
}

/// Makes a test of each promise, run on the [`testing::Stand`](crate::testing::Stand) that the
/// expression gives anew each time.
#[macro_export]
macro_rules! channel_queue_contract {
    (@each $stand:expr; $($behaviour:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                $crate::testing::$behaviour(&$stand).await;
            }
        )*
    };
    ($stand:expr) => {
        $crate::channel_queue_contract! { @each $stand;
            a_channel_is_active_while_held_or_an_exchange_is_open,
            a_delivery_for_a_held_channel_waits_for_its_holder,
            a_delivery_of_a_removed_task_is_harmless,
            a_direct_message_channel_is_read_like_any_other,
            a_dropped_lease_expires_and_its_tasks_are_read_again,
            a_dropped_lease_is_lost_to_its_holder,
            a_free_channel_is_woken_anew,
            a_held_lease_outlives_its_time,
            a_large_task_is_read_as_it_was_published,
            a_reader_takes_no_more_than_its_prefetch,
            a_repeated_publish_stands_once,
            a_retry_comes_back_once,
            a_task_that_is_not_removed_is_delivered_again,
            epochs_rise_with_every_holding,
            handing_over_wakes_another_taker_at_once,
            no_wake_up_is_lost_when_publishing_races_releasing,
            publishing_again_after_removal_changes_nothing,
            reading_neither_skips_nor_reorders_while_publishing_goes_on,
            removed_tasks_never_come_back,
            tasks_are_read_in_the_order_of_publishing,
            two_views_never_hold_one_channel_at_once,
            what_was_not_removed_outlives_a_restart,
            what_was_turned_away_never_comes_back,
        }
    };
}

/// A guild's channel; different numbers are different guilds.
fn channel(number: u64) -> ChannelKey {
    ChannelKey::new(Some(Id::new((1_000 + number) << 22)), Id::new((5_000 + number) << 22))
}

fn task(channel: ChannelKey, number: u64) -> Task {
    Task {
        trigger: TriggerId::Message(Id::new(number)),
        channel,
        retry: 0,
        bot: Id::new(77),
        received_at: UnixMillis(
            1_700_000_000_000 + i64::try_from(number).expect("tests are small"),
        ),
        session: number.is_multiple_of(3).then(|| format!("session-{number}")),
        traceparent: trace_parent(number),
        payload: Bytes::from(format!(r#"{{"id":"{number}","content":"hello {number}"}}"#)),
    }
}

/// Every other one is traced.
fn trace_parent(number: u64) -> Option<ery_trace::TraceParent> {
    let text = format!("00-{:032x}-{:016x}-01", number + 1, number + 1);
    text.parse().ok().filter(|_| number.is_multiple_of(2))
}

async fn publish(
    queue: &Arc<dyn ChannelQueue>,
    channel: ChannelKey,
    numbers: impl Iterator<Item = u64>,
) {
    for number in numbers {
        queue.publish(task(channel, number)).await.expect("the queue takes a task");
    }
}

/// Waits for `future` as long as a promised thing may take.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"))
}

/// Asks again and again until the answer is yes.
async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    soon(what, async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

async fn open_wakeups(queue: &Arc<dyn ChannelQueue>) -> Wakeups {
    queue.wakeups(64).await.expect("the queue gives wake-ups")
}

async fn next(wakeups: &mut Wakeups) -> Delivery {
    soon("a delivery", wakeups.next()).await.expect("wake-ups do not end")
}

/// Waits for a delivery of `channel`; those of other channels are dropped on the way.
async fn next_of(wakeups: &mut Wakeups, channel: ChannelKey) -> Delivery {
    loop {
        let delivery = next(wakeups).await;
        if delivery.task.channel == channel {
            return delivery;
        }
    }
}

/// Takes `channel` by whichever delivery of it succeeds.
async fn take(
    queue: &Arc<dyn ChannelQueue>,
    wakeups: &mut Wakeups,
    channel: ChannelKey,
) -> BoxLease {
    soon("a lease", async {
        loop {
            let delivery = next_of(wakeups, channel).await;
            if let Some(lease) = queue.take(delivery).await.expect("the queue answers") {
                assert_eq!(lease.fence().channel, channel);
                return lease;
            }
        }
    })
    .await
}

/// Reads everything that waits, `max` at a time.
async fn read_all(lease: &mut BoxLease, max: usize) -> Vec<Waiting> {
    let mut all = Vec::new();
    loop {
        let some = lease.read(max).await.expect("the holder can read");
        assert!(some.len() <= max, "read {} tasks where {max} were asked for", some.len());
        if some.is_empty() {
            assert!(
                all.windows(2).all(|pair: &[Waiting]| pair[0].position < pair[1].position),
                "positions do not rise"
            );
            return all;
        }
        all.extend(some);
    }
}

fn numbers(waiting: &[Waiting]) -> Vec<u64> {
    waiting
        .iter()
        .map(|waiting| waiting.task.trigger.message().expect("tests use messages").get())
        .collect()
}

/// Removes `done` and gives the channel back; what came meanwhile is read and removed too.
async fn finish(mut lease: BoxLease, done: &[Waiting]) -> Vec<u64> {
    lease.remove(done);
    let mut more = Vec::new();
    loop {
        match lease.release().await.expect("the holder can release") {
            Released::Free => return more,
            Released::More(kept) => {
                lease = kept;
                let read = read_all(&mut lease, 100).await;
                lease.remove(&read);
                more.extend(numbers(&read));
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "two processes act at once; the caller joins it")]
fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(future)
}

async fn join<T>(task: JoinHandle<T>) -> T {
    soon("a spawned task's end", task).await.expect("a spawned task does not panic")
}

/// What workers did, as the store would know it.
#[derive(Default)]
struct Record {
    channels: Mutex<HashMap<ChannelKey, ChannelRecord>>,
}

#[derive(Default)]
struct ChannelRecord {
    /// In the order in which they were first read.
    finished: Vec<u64>,
    known: HashSet<u64>,
    holders: u32,
    last_epoch: Option<Epoch>,
}

impl Record {
    fn lock(&self) -> MutexGuard<'_, HashMap<ChannelKey, ChannelRecord>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finished(&self, channel: ChannelKey) -> Vec<u64> {
        self.lock().get(&channel).map(|record| record.finished.clone()).unwrap_or_default()
    }

    fn last(&self, channel: ChannelKey) -> Option<u64> {
        self.lock().get(&channel)?.finished.last().copied()
    }

    fn begin(&self, lease: &BoxLease) {
        let fence = lease.fence();
        let mut channels = self.lock();
        let record = channels.entry(fence.channel).or_default();
        record.holders += 1;
        assert_eq!(record.holders, 1, "two holders at once");
        assert!(
            record.last_epoch.is_none_or(|last| last < fence.epoch),
            "an epoch that does not rise: {:?} after {:?}",
            fence.epoch,
            record.last_epoch
        );
        record.last_epoch = Some(fence.epoch);
    }

    fn finish(&self, channel: ChannelKey, read: &[Waiting]) {
        let mut channels = self.lock();
        let record = channels.entry(channel).or_default();
        for number in numbers(read) {
            // A task whose removal is still under way may be read again, and is found finished.
            if record.known.insert(number) {
                record.finished.push(number);
            }
        }
    }

    /// The holder kept its lease for what came meanwhile.
    fn go_on(&self, channel: ChannelKey) {
        let mut channels = self.lock();
        let record = channels.entry(channel).or_default();
        record.holders += 1;
        assert_eq!(record.holders, 1, "two holders at once");
    }

    fn end(&self, channel: ChannelKey) {
        self.lock().entry(channel).or_default().holders -= 1;
    }
}

/// Does for one view what an orchestrator does: takes what it is woken for, reads, removes, releases.
fn spawn_worker(
    queue: &Arc<dyn ChannelQueue>,
    record: &Arc<Record>,
    stop: &CancellationToken,
    batch: usize,
) -> JoinHandle<()> {
    let (queue, record, stop) = (Arc::clone(queue), Arc::clone(record), stop.clone());
    spawn(async move {
        let mut wakeups = open_wakeups(&queue).await;
        loop {
            let delivery = tokio::select! {
                () = stop.cancelled() => break,
                delivery = wakeups.next() => delivery.expect("wake-ups do not end"),
            };
            let channel = delivery.task.channel;
            let Some(mut lease) = queue.take(delivery).await.expect("the queue answers") else {
                continue;
            };
            record.begin(&lease);
            loop {
                loop {
                    let read = lease.read(batch).await.expect("the holder can read");
                    if read.is_empty() {
                        break;
                    }
                    record.finish(channel, &read);
                    lease.remove(&read);
                }
                record.end(channel);
                match lease.release().await.expect("the holder can release") {
                    Released::Free => break,
                    Released::More(kept) => lease = kept,
                }
                record.go_on(channel);
            }
        }
    })
}
