use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use twilight_model::id::Id;

use ery_channel_queue::{BoxLease, Delivery, Hint, Wakeups};
use ery_clock::UnixMillis;
use ery_event_bus::{EventDeliveries, FollowedEvents, GatewayShard, ResumePoint, Topic};
use ery_ids::{ChannelKey, EventId, Home, Part, TriggerId};

use super::*;
use crate::domain::{Mark, Progress, Session};

/// A bus and a queue that note what was begun, and fail as told.
#[derive(Default)]
struct Fake {
    begun: Mutex<Vec<String>>,
    stands: Mutex<Vec<String>>,
    /// How many publishes fail from now on.
    failures: Mutex<u32>,
    too_large: Option<&'static str>,
    /// What is tried for a second, as on a connection that was lost.
    takes_long: Option<&'static str>,
    never_answers: bool,
}

impl Fake {
    fn stands(&self) -> Vec<String> {
        self.stands.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn take(&self, name: String) -> bool {
        self.begun.lock().unwrap().push(name.clone());
        let fails = {
            let mut failures = self.failures.lock().unwrap();
            let fails = *failures > 0;
            *failures = failures.saturating_sub(1);
            fails
        };
        if self.never_answers {
            future::pending::<()>().await;
        }
        let is_long = self.takes_long == Some(name.as_str());
        tokio::time::sleep(Duration::from_millis(if is_long { 1_000 } else { 5 })).await;
        if !fails {
            self.stands.lock().unwrap().push(name);
        }
        !fails
    }
}

fn unavailable() -> Box<dyn std::error::Error + Send + Sync> {
    "told to fail".into()
}

#[async_trait]
impl EventBus for Fake {
    async fn publish(&self, event: Event) -> Result<(), BusError> {
        if self.too_large == Some(event.id.0.as_str()) {
            return Err(BusError::TooLarge { id: event.id, size_bytes: 9 });
        }
        let is_taken = self.take(event.id.to_string()).await;
        if is_taken { Ok(()) } else { Err(BusError::Unavailable(unavailable())) }
    }

    async fn consume(&self, _: &str, _: &[&str], _: Part) -> Result<EventDeliveries, BusError> {
        Err(BusError::Full)
    }

    async fn follow(&self, _: &[&str]) -> Result<FollowedEvents, BusError> {
        Err(BusError::Full)
    }

    async fn broadcast(&self, _: Topic, _: Bytes) -> Result<(), BusError> {
        Ok(())
    }

    async fn listen(&self, _: Topic) -> Result<BoxStream<'static, Bytes>, BusError> {
        Err(BusError::Full)
    }

    async fn save_resume_point(
        &self,
        _: GatewayShard,
        _: Option<&ResumePoint>,
    ) -> Result<(), BusError> {
        Ok(())
    }

    async fn resume_point(&self, _: GatewayShard) -> Result<Option<ResumePoint>, BusError> {
        Ok(None)
    }
}

#[async_trait]
impl ChannelQueue for Fake {
    async fn publish(&self, task: Task) -> Result<(), QueueError> {
        let is_taken = self.take(task.trigger.to_string()).await;
        if is_taken { Ok(()) } else { Err(QueueError::Unavailable(unavailable())) }
    }

    async fn wakeups(&self, _: usize) -> Result<Wakeups, QueueError> {
        Err(QueueError::Full)
    }

    async fn turn_away(&self, _: Delivery) -> Result<(), QueueError> {
        Ok(())
    }

    async fn hint(&self, _: ChannelKey) -> Hint {
        Hint::Unknown
    }

    async fn take(&self, _: Delivery) -> Result<Option<BoxLease>, QueueError> {
        Ok(None)
    }
}

/// Numbers dispatches as a shard does.
struct Numbers {
    progress: Progress,
    session: Arc<Session>,
    next: u64,
}

impl Numbers {
    fn new() -> Self {
        let session = Session { name: "s".into(), resume_url: String::new(), bot: Id::new(1) };
        Self { progress: Progress::default(), session: Arc::new(session), next: 1 }
    }

    fn message(&mut self) -> Outgoing {
        self.message_in(6)
    }

    fn message_in(&mut self, channel: u64) -> Outgoing {
        let channel = Id::new(channel);
        let number = self.next;
        self.next += 1;
        let mark = Mark { session: Arc::clone(&self.session), sequence: number };
        let home = Home::Guild(Id::new(5));
        let event = Event {
            id: EventId::message_created(Id::new(number)),
            kind: "message_create".into(),
            home,
            channel: Some(channel),
            bot: Id::new(1),
            received_at: UnixMillis(0),
            traceparent: None,
            payload: Bytes::from_static(b"{}"),
        };
        let task = Task {
            trigger: TriggerId::Message(Id::new(number)),
            channel: ChannelKey { home, channel },
            retry: 0,
            bot: Id::new(1),
            received_at: UnixMillis(0),
            session: None,
            traceparent: None,
            payload: Bytes::from_static(b"{}"),
        };
        Outgoing {
            ticket: self.progress.received(mark),
            received: Instant::now(),
            event: Some(event),
            task: Some(task),
            span: Span::none(),
        }
    }

    fn reached(&self) -> u64 {
        self.progress.reached().map_or(0, |mark| mark.sequence)
    }
}

fn publisher(fake: &Arc<Fake>, window: usize) -> Publisher {
    let (bus, queue): (Arc<dyn EventBus>, Arc<dyn ChannelQueue>) =
        (Arc::clone(fake) as _, Arc::clone(fake) as _);
    Publisher::new(bus, queue, Metrics::new(), window, Duration::from_secs(10))
}

async fn settle_all(publisher: &mut Publisher, numbers: &mut Numbers) {
    while publisher.outstanding() > 0 {
        let ticket = publisher.settled().await;
        numbers.progress.handled(ticket);
    }
}

fn of_kind(all: &[String], prefix: &str) -> Vec<String> {
    all.iter().filter(|name| name.starts_with(prefix)).cloned().collect()
}

fn names(prefix: &str, numbers: std::ops::RangeInclusive<u64>) -> Vec<String> {
    numbers.map(|number| format!("{prefix}{number}")).collect()
}

#[tokio::test(start_paused = true)]
async fn publishes_are_begun_in_order_and_at_once() {
    let fake = Arc::new(Fake::default());
    let (mut publisher, mut numbers) = (publisher(&fake, 100), Numbers::new());
    for channel in 1..=50 {
        publisher.push(numbers.message_in(channel));
    }
    let begun = fake.begun.lock().unwrap().clone();
    assert_eq!(of_kind(&begun, "mc."), names("mc.", 1..=50));
    assert_eq!(of_kind(&begun, "m."), names("m.", 1..=50));
    settle_all(&mut publisher, &mut numbers).await;
    assert_eq!(numbers.reached(), 50);
    assert!(publisher.last.is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_task_overtakes_another_of_its_channel() {
    let fake = Arc::new(Fake { takes_long: Some("m.1"), ..Fake::default() });
    let (mut publisher, mut numbers) = (publisher(&fake, 100), Numbers::new());
    for channel in [6, 6, 7, 6, 7] {
        publisher.push(numbers.message_in(channel));
    }
    settle_all(&mut publisher, &mut numbers).await;
    assert_eq!(of_kind(&fake.stands(), "mc."), names("mc.", 1..=5));
    assert_eq!(of_kind(&fake.stands(), "m."), ["m.3", "m.5", "m.1", "m.2", "m.4"]);
    assert_eq!(numbers.reached(), 5);
    assert!(publisher.last.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_task_behind_one_that_fails_waits_for_it() {
    let fake = Arc::new(Fake { failures: Mutex::new(2), ..Fake::default() });
    let (mut publisher, mut numbers) = (publisher(&fake, 100), Numbers::new());
    // The first one's event and task fail.
    publisher.push(numbers.message());
    publisher.push(numbers.message());
    settle_all(&mut publisher, &mut numbers).await;
    assert_eq!(of_kind(&fake.stands(), "m."), names("m.", 1..=2));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_settled_before_both_publishes_stand() {
    // The event gets through, the task does not.
    let fake = Arc::new(Fake { failures: Mutex::new(0), ..Fake::default() });
    let (mut publisher, mut numbers) = (publisher(&fake, 10), Numbers::new());
    let mut message = numbers.message();
    message.event = None;
    *fake.failures.lock().unwrap() = 3;
    publisher.push(message);
    let ticket = publisher.settled().await;
    numbers.progress.handled(ticket);
    assert_eq!(fake.stands(), ["m.1"]);
    assert_eq!(fake.begun.lock().unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_the_failed_ones_go_before_what_came_meanwhile() {
    let fake = Arc::new(Fake { failures: Mutex::new(30), ..Fake::default() });
    let (mut publisher, mut numbers) = (publisher(&fake, 100), Numbers::new());
    for _ in 0..5 {
        publisher.push(numbers.message());
    }
    // Polls until the first failures are noted, then more arrives.
    tokio::select! {
        _ = publisher.settled() => panic!("nothing can settle yet"),
        () = tokio::time::sleep(Duration::from_millis(6)) => {}
    }
    for _ in 0..5 {
        publisher.push(numbers.message());
    }
    settle_all(&mut publisher, &mut numbers).await;
    assert_eq!(numbers.reached(), 10);
    assert_eq!(of_kind(&fake.stands(), "mc."), names("mc.", 1..=10));
    assert_eq!(of_kind(&fake.stands(), "m."), names("m.", 1..=10));
}

#[tokio::test(start_paused = true)]
async fn while_the_bus_is_away_only_one_is_tried_and_not_in_a_loop() {
    let fake = Arc::new(Fake { failures: Mutex::new(u32::MAX), ..Fake::default() });
    let (mut publisher, mut numbers) = (publisher(&fake, 100), Numbers::new());
    for _ in 0..50 {
        publisher.push(numbers.message());
    }
    let minute = Duration::from_mins(1);
    assert!(tokio::time::timeout(minute, publisher.settled()).await.is_err());
    // Fifty events and the first task; then one dispatch at a time, at most every 2.5 seconds in the end.
    let begun = fake.begun.lock().unwrap().len();
    assert!((52..150).contains(&begun), "{begun}");
    assert_eq!(publisher.outstanding(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_full_window_that_stands_still_is_a_stall() {
    let fake = Arc::new(Fake { never_answers: true, ..Fake::default() });
    let (mut publisher, mut numbers) = (publisher(&fake, 3), Numbers::new());
    for _ in 0..2 {
        publisher.push(numbers.message());
    }
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!((publisher.is_full(), publisher.stalled_for()), (false, Duration::ZERO));
    publisher.push(numbers.message());
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(publisher.is_full());
    assert!(publisher.stalled_for() >= Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_is_never_answered_is_made_again() {
    let fake = Arc::new(Fake { never_answers: true, ..Fake::default() });
    let (mut publisher, mut numbers) = (publisher(&fake, 3), Numbers::new());
    publisher.push(numbers.message());
    let wait = Duration::from_secs(25);
    assert!(tokio::time::timeout(wait, publisher.settled()).await.is_err());
    assert!(fake.begun.lock().unwrap().len() >= 4);
}

#[tokio::test(start_paused = true)]
async fn an_event_too_large_for_the_bus_counts_as_handled() {
    let fake = Arc::new(Fake { too_large: Some("mc.1"), ..Fake::default() });
    let (mut publisher, mut numbers) = (publisher(&fake, 3), Numbers::new());
    publisher.push(numbers.message());
    publisher.push(numbers.message());
    settle_all(&mut publisher, &mut numbers).await;
    assert_eq!(numbers.reached(), 2);
    assert_eq!(of_kind(&fake.stands(), "mc."), ["mc.2"]);
}
