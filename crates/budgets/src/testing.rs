//! What budgets promise, as functions that every adapter's tests run.
//!
//! An adapter fills in a [`Stand`] and calls [`budgets_contract!`](crate::budgets_contract), which
//! makes one test of each behaviour. A behaviour panics where a promise is broken.
#![expect(clippy::missing_panics_doc, reason = "a behaviour panics where a promise is broken")]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{Budgets, Priority, RequestPermit};

/// How long a behaviour waits for a promised thing before it calls the promise broken.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// One set of budgets as two processes see it; an adapter of a single process gives the same one
/// twice.
pub struct TwoViews {
    pub a: Arc<dyn Budgets>,
    pub b: Arc<dyn Budgets>,
}

impl TwoViews {
    /// Makes both views the same.
    pub fn same(of: Arc<dyn Budgets>) -> Self {
        Self { a: Arc::clone(&of), b: of }
    }
}

/// Budgets of their own, unused at first, for one behaviour.
#[async_trait]
pub trait Stand: Send + Sync {
    async fn open(&self) -> TwoViews;
}

/// Makes a test of each promise, run on the [`testing::Stand`](crate::testing::Stand) that the
/// expression gives anew each time.
#[macro_export]
macro_rules! budgets_contract {
    (@each $stand:expr; $($behaviour:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                $crate::testing::$behaviour(&$stand).await;
            }
        )*
    };
    ($stand:expr) => {
        $crate::budgets_contract! { @each $stand;
            a_bucket_gives_one_identify_in_five_seconds,
            a_pause_stops_every_process,
            a_seconds_requests_stay_within_the_budget,
            background_requests_leave_room_for_the_foreground,
            every_process_counts_the_same_invalid_requests,
        }
    };
}

/// How long after one identify the next may follow in the same bucket.
///
/// Source: Discord Docs, Gateway, Rate Limiting: `max_concurrency` identifies in 5 seconds.
const IDENTIFY_PERIOD: Duration = Duration::from_secs(5);

/// What an adapter may add to a period, so that no clock's error breaks Discord's own.
const SLACK: Duration = Duration::from_secs(1);

/// By how much two clocks may disagree over such spans.
const TOLERANCE: Duration = Duration::from_millis(50);

async fn identify(budgets: &Arc<dyn Budgets>, bucket: u32) -> Option<Duration> {
    budgets.identify_slot(bucket).await.expect("the budget answers")
}

async fn request(budgets: &Arc<dyn Budgets>, priority: Priority, per_second: u32) -> RequestPermit {
    budgets.request(priority, per_second).await.expect("the budget answers")
}

/// Counts the requests granted until the first refusal, asking both processes in turn.
async fn burst(views: &TwoViews, priority: Priority, per_second: u32) -> u32 {
    for granted in 0.. {
        let budgets = if granted % 2 == 0 { &views.a } else { &views.b };
        if let RequestPermit::Wait(wait) = request(budgets, priority, per_second).await {
            assert!(wait > Duration::ZERO, "a wait of nothing is a hot loop");
            assert!(wait <= Duration::from_secs(1) + SLACK, "one second's budget waits {wait:?}");
            return granted;
        }
        assert!(granted <= 100 * per_second, "the budget has no end");
    }
    unreachable!("the count has no end but by a refusal")
}

/// One identify in five seconds for each bucket, whichever process asks; the buckets are
/// independent, and the wait that is told leads to a slot.
pub async fn a_bucket_gives_one_identify_in_five_seconds(stand: &dyn Stand) {
    let views = stand.open().await;
    let begun = Instant::now();
    assert_eq!(identify(&views.a, 0).await, None, "the first slot is free");
    for budgets in [&views.b, &views.a] {
        let wait = identify(budgets, 0).await.expect("the slot was just taken");
        assert!(wait > Duration::ZERO && wait <= IDENTIFY_PERIOD + SLACK, "{wait:?}");
    }
    assert_eq!(identify(&views.b, 1).await, None, "another bucket has its own slot");
    assert!(identify(&views.a, 1).await.is_some());
    loop {
        let Some(wait) = identify(&views.b, 0).await else { break };
        assert!(begun.elapsed() < PATIENCE, "the next slot never comes");
        tokio::time::sleep(wait).await;
    }
    assert!(begun.elapsed() + TOLERANCE >= IDENTIFY_PERIOD, "{:?}", begun.elapsed());
    assert!(identify(&views.a, 0).await.is_some(), "waiting gave more than one slot");
}

/// All processes together get no more than the budget, and after the time told they get more.
pub async fn a_seconds_requests_stay_within_the_budget(stand: &dyn Stand) {
    const PER_SECOND: u32 = 20;

    let views = stand.open().await;
    let begun = Instant::now();
    let mut granted: Vec<Instant> = Vec::new();
    while begun.elapsed() < Duration::from_secs(3) {
        let budgets = if granted.len().is_multiple_of(2) { &views.a } else { &views.b };
        match request(budgets, Priority::Foreground, PER_SECOND).await {
            RequestPermit::Granted => granted.push(Instant::now()),
            RequestPermit::Wait(wait) => {
                assert!(wait > Duration::ZERO, "a wait of nothing is a hot loop");
                tokio::time::sleep(wait).await;
            }
        }
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let count = f64::from(u32::try_from(granted.len()).expect("tests are small"));
    // A full bucket at first, then as much as each second gives.
    let most = f64::from(PER_SECOND) * (elapsed + 1.0) + 1.0;
    assert!(count <= most, "{count} granted in {elapsed} s");
    assert!(count >= f64::from(PER_SECOND) * 2.0, "only {count} granted in {elapsed} s");
}

/// Where the background has used up its share, the foreground is still served.
pub async fn background_requests_leave_room_for_the_foreground(stand: &dyn Stand) {
    const PER_SECOND: u32 = 40;

    let views = stand.open().await;
    let begun = Instant::now();
    let background = burst(&views, Priority::Background, PER_SECOND).await;
    if begun.elapsed() < Duration::from_millis(200) {
        assert!(background > 0, "the background starves though nobody else asks");
        assert!(background < PER_SECOND, "the background used up {background} of {PER_SECOND}");
    }
    assert_eq!(
        request(&views.b, Priority::Foreground, PER_SECOND).await,
        RequestPermit::Granted,
        "a foreground request waits behind the background"
    );
}

/// A pause stops all requests of all processes for its time; a shorter one does not shorten it.
pub async fn a_pause_stops_every_process(stand: &dyn Stand) {
    let views = stand.open().await;
    let pause = Duration::from_millis(900);
    assert_eq!(request(&views.b, Priority::Foreground, 50).await, RequestPermit::Granted);
    let begun = Instant::now();
    views.a.pause(pause).await.expect("the budget answers");
    views.b.pause(Duration::from_millis(1)).await.expect("the budget answers");
    let mut granted_at = None;
    while granted_at.is_none() {
        for budgets in [&views.a, &views.b] {
            match request(budgets, Priority::Foreground, 50).await {
                RequestPermit::Granted => granted_at = Some(begun.elapsed()),
                RequestPermit::Wait(wait) => {
                    assert!(wait > Duration::ZERO && wait <= pause + SLACK, "{wait:?}");
                    assert!(begun.elapsed() < PATIENCE, "the pause never ends");
                    tokio::time::sleep(wait.min(Duration::from_millis(50))).await;
                }
            }
        }
    }
    let granted_at = granted_at.expect("the loop ended");
    assert!(granted_at + TOLERANCE >= pause, "granted after {granted_at:?}");
}

/// Each invalid request counts once, for all; asking counts none.
pub async fn every_process_counts_the_same_invalid_requests(stand: &dyn Stand) {
    let views = stand.open().await;
    assert_eq!(views.a.invalid().await.expect("the budget answers").in_window, 0);
    for expected in 1..=12 {
        let budgets = if expected % 2 == 0 { &views.a } else { &views.b };
        assert_eq!(budgets.count_invalid().await.expect("the budget answers").in_window, expected);
        for budgets in [&views.a, &views.b] {
            assert_eq!(budgets.invalid().await.expect("the budget answers").in_window, expected);
        }
    }
}
