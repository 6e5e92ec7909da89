//! What an event bus promises, as functions that every adapter's tests run.
//!
//! An adapter fills in a [`Stand`] and calls [`event_bus_contract!`](crate::event_bus_contract),
//! which makes one test of each behaviour. A behaviour panics where a promise is broken.
#![expect(clippy::missing_panics_doc, reason = "a behaviour panics where a promise is broken")]

mod durable;
mod live;

pub use durable::{
    a_dropped_event_comes_again, a_handler_hears_its_kinds_only, a_handler_reads_its_part_in_order,
    a_large_event_comes_through_unchanged, a_new_handler_gets_what_the_bus_still_holds,
    a_repeated_publish_is_delivered_once, an_acknowledged_event_never_comes_again,
    every_handler_gets_every_event, what_was_not_acknowledged_comes_again_after_a_restart,
    while_many_publish_each_ones_order_is_kept,
};
pub use live::{
    a_broadcast_reaches_everyone_who_listens_now, a_follower_of_no_kinds_sees_all,
    a_follower_sees_what_is_published_from_now_on, a_resume_point_is_what_was_saved_last,
    resume_points_outlive_a_restart,
};

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use tokio::task::JoinHandle;
use twilight_model::id::Id;

use ery_clock::UnixMillis;
use ery_ids::{EventId, Home};

use crate::{Event, EventBus, EventDeliveries, EventDelivery};

/// The times with which a behaviour wants its bus opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// After what time an event that was delivered, but not acknowledged, is delivered again.
    pub redelivery: Duration,
}

impl Timing {
    /// For what comes by waiting. It may be longer where an adapter needs it, not much longer.
    pub const SHORT: Self = Self { redelivery: Duration::from_secs(1) };

    /// For what must come at once: here waiting never helps within [`PATIENCE`].
    pub const LONG: Self = Self { redelivery: Duration::from_mins(10) };
}

/// How long a behaviour waits for a promised thing before it calls the promise broken.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// One bus as two processes see it; an adapter of a single process gives the same one twice.
pub struct TwoViews {
    pub a: Arc<dyn EventBus>,
    pub b: Arc<dyn EventBus>,
}

impl TwoViews {
    /// Makes both views the same.
    pub fn same(of: Arc<dyn EventBus>) -> Self {
        Self { a: Arc::clone(&of), b: of }
    }
}

/// Storage of its own, empty at first, for one behaviour.
#[async_trait]
pub trait Stand: Send + Sync {
    /// Opens the storage; what was opened before has been dropped, as in a restart that was not a
    /// crash: acknowledgements that were answered stand.
    async fn open(&self, timing: Timing) -> TwoViews;
}

/// Makes a test of each promise, run on the [`testing::Stand`](crate::testing::Stand) that the
/// expression gives anew each time.
#[macro_export]
macro_rules! event_bus_contract {
    (@each $stand:expr; $($behaviour:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                $crate::testing::$behaviour(&$stand).await;
            }
        )*
    };
    ($stand:expr) => {
        $crate::event_bus_contract! { @each $stand;
            a_broadcast_reaches_everyone_who_listens_now,
            a_dropped_event_comes_again,
            a_follower_of_no_kinds_sees_all,
            a_follower_sees_what_is_published_from_now_on,
            a_handler_hears_its_kinds_only,
            a_handler_reads_its_part_in_order,
            a_large_event_comes_through_unchanged,
            a_new_handler_gets_what_the_bus_still_holds,
            a_repeated_publish_is_delivered_once,
            a_resume_point_is_what_was_saved_last,
            an_acknowledged_event_never_comes_again,
            every_handler_gets_every_event,
            resume_points_outlive_a_restart,
            what_was_not_acknowledged_comes_again_after_a_restart,
            while_many_publish_each_ones_order_is_kept,
        }
    };
}

const CREATED: &str = "message_create";
const DELETED: &str = "message_delete";

/// A guild; different numbers are different guilds, of different parts mostly.
fn guild(number: u64) -> Home {
    Home::Guild(Id::new((1_000 + number) << 22))
}

/// A guild whose part is not that of `home`.
fn guild_of_another_part(home: Home) -> Home {
    (0..1_000).map(guild).find(|other| other.part() != home.part()).expect("there are many parts")
}

fn event(home: Home, kind: &str, number: u64) -> Event {
    Event {
        id: EventId(format!("session.{number}")),
        kind: kind.to_owned(),
        home,
        channel: (!number.is_multiple_of(3)).then(|| Id::new((9_000 + number) << 22)),
        bot: Id::new(77),
        received_at: UnixMillis(
            1_700_000_000_000 + i64::try_from(number).expect("tests are small"),
        ),
        traceparent: trace_parent(number),
        payload: Bytes::from(format!(r#"{{"id":"{number}","content":"hello {number}"}}"#)),
    }
}

/// Every other one is traced.
fn trace_parent(number: u64) -> Option<ery_trace::TraceParent> {
    let text = format!("00-{:032x}-{:016x}-01", number + 1, number + 1);
    text.parse().ok().filter(|_| number.is_multiple_of(2))
}

/// Publishes events of one kind, one after the other.
async fn publish(
    bus: &Arc<dyn EventBus>,
    home: Home,
    kind: &str,
    numbers: impl Iterator<Item = u64>,
) {
    for number in numbers {
        bus.publish(event(home, kind, number)).await.expect("the bus takes an event");
    }
}

fn number_of(event: &Event) -> u64 {
    let (_, number) = event.id.0.rsplit_once('.').expect("tests name events so");
    number.parse().expect("tests name events so")
}

/// Waits for `future` as long as a promised thing may take.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"))
}

async fn consume(
    bus: &Arc<dyn EventBus>,
    handler: &str,
    kinds: &[&str],
    home: Home,
) -> EventDeliveries {
    bus.consume(handler, kinds, home.part()).await.expect("the bus gives deliveries")
}

async fn next(deliveries: &mut EventDeliveries) -> EventDelivery {
    soon("a delivery", deliveries.next()).await.expect("deliveries do not end")
}

/// Receives and acknowledges deliveries until event `last` has come; returns all, in order.
async fn ack_until(deliveries: &mut EventDeliveries, last: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    loop {
        let delivery = next(deliveries).await;
        let number = number_of(&delivery.event);
        seen.push(number);
        delivery.ack().await.expect("the bus takes an acknowledgement");
        if number == last {
            return seen;
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
