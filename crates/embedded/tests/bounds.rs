//! What the embedded adapters do at their bounds, over time, and over restarts.
#![expect(clippy::unwrap_used, reason = "a test panics where something is not as it must be")]

use std::{collections::HashSet, path::Path, sync::Arc, time::Duration};

use futures::StreamExt;
use twilight_model::id::Id;

use ery_channel_queue::{BoxLease, ChannelQueue, QueueError, Released, Task};
use ery_clock::{Clock, ManualClock, UnixMillis};
use ery_embedded::{BusOptions, DatabaseError, EmbeddedFolder, FolderError, QueueOptions};
use ery_event_bus::{BusError, Event, EventBus, Followed};
use ery_group_commit::FileKey;
use ery_ids::{ChannelKey, EventId, TriggerId};

const KIND: &str = "message_create";

fn channel(number: u64) -> ChannelKey {
    ChannelKey::new(Some(Id::new(number << 22)), Id::new(number << 22))
}

fn task(channel: ChannelKey, number: u64) -> Task {
    Task {
        trigger: TriggerId::Message(Id::new(number)),
        channel,
        retry: 0,
        bot: Id::new(7),
        received_at: UnixMillis(5),
        session: None,
        traceparent: None,
        payload: vec![b'x'; 100].into(),
    }
}

fn event(number: u64) -> Event {
    Event {
        id: EventId(number.to_string()),
        kind: KIND.to_owned(),
        home: channel(1).home,
        channel: None,
        bot: Id::new(7),
        received_at: UnixMillis(5),
        traceparent: None,
        payload: vec![b'x'; 100].into(),
    }
}

/// Opens a folder once its former adapters have let go of it.
async fn open(path: &Path) -> EmbeddedFolder {
    let opened = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            match EmbeddedFolder::open(path) {
                Err(FolderError::InUse { .. }) => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                opened => return opened.expect("the folder opens"),
            }
        }
    });
    opened.await.expect("the former adapters let go of the folder")
}

async fn take(queue: &impl ChannelQueue) -> BoxLease {
    let mut wakeups = queue.wakeups(1).await.expect("it gives wake-ups");
    let delivery = tokio::time::timeout(Duration::from_secs(30), wakeups.next()).await;
    let delivery = delivery.expect("a delivery comes").expect("wake-ups do not end");
    queue.take(delivery).await.expect("it answers").expect("the channel is free")
}

async fn finish_all(mut lease: BoxLease) -> Vec<u64> {
    let read = lease.read(1_000).await.expect("the holder can read");
    lease.remove(&read);
    assert!(matches!(lease.release().await, Ok(Released::Free)));
    read.iter().map(|one| one.task.trigger.message().expect("a message").get()).collect()
}

#[tokio::test]
async fn a_full_queue_refuses_and_takes_again_once_there_is_room() {
    let temporary = tempfile::tempdir().unwrap();
    let options = QueueOptions { max_waiting: 3, ..QueueOptions::default() };
    let queue = open(temporary.path()).await.queue(options).await.unwrap();
    for number in 1..=3 {
        queue.publish(task(channel(1), number)).await.unwrap();
        // A repeat takes no room.
        queue.publish(task(channel(1), number)).await.unwrap_or_else(|error| {
            assert!(number == 3 && matches!(error, QueueError::Full));
        });
    }
    assert!(matches!(queue.publish(task(channel(2), 4)).await, Err(QueueError::Full)));
    assert_eq!(finish_all(take(&queue).await).await, [1, 2, 3]);
    queue.publish(task(channel(2), 4)).await.unwrap();
    assert_eq!(finish_all(take(&queue).await).await, [4]);
}

#[tokio::test]
async fn epochs_rise_over_a_restart_though_the_clock_stepped_back() {
    let temporary = tempfile::tempdir().unwrap();
    let mut last = 0;
    for (number, now) in [(1, 5_000_000_000), (2, 4_000_000_000), (3, 0), (4, 5_000_000_000)] {
        let clock = Arc::new(ManualClock::at(UnixMillis(now)));
        let folder = open(temporary.path()).await.with_clock(clock);
        let queue = folder.queue(QueueOptions::default()).await.unwrap();
        queue.publish(task(channel(1), number)).await.unwrap();
        let lease = take(&queue).await;
        let epoch = lease.fence().epoch.0;
        assert!(epoch > last, "{epoch} after {last}");
        assert!(epoch >= u64::try_from(now).unwrap() * 1_000, "{epoch} is below the clock");
        last = epoch;
        finish_all(lease).await;
    }
}

#[tokio::test]
async fn a_triggers_window_ends() {
    let temporary = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(UnixMillis(1_000_000)));
    let folder = open(temporary.path()).await.with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let queue = folder.queue(QueueOptions::default()).await.unwrap();
    queue.publish(task(channel(1), 1)).await.unwrap();
    assert_eq!(finish_all(take(&queue).await).await, [1]);
    queue.publish(task(channel(1), 1)).await.unwrap();
    queue.publish(task(channel(1), 2)).await.unwrap();
    assert_eq!(finish_all(take(&queue).await).await, [2], "its window is not over");

    clock.advance(Duration::from_mins(11));
    // Triggers are forgotten in the background, now and then.
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(30)).await;
    tokio::time::resume();
    let back = tokio::time::timeout(Duration::from_secs(30), async {
        let mut number = 10;
        loop {
            number += 1;
            queue.publish(task(channel(1), 1)).await.unwrap();
            queue.publish(task(channel(1), number)).await.unwrap();
            let read = finish_all(take(&queue).await).await;
            if read == [1, number] {
                return;
            }
            assert_eq!(read, [number]);
        }
    });
    back.await.expect("a trigger whose window is over can be published again");
}

#[tokio::test]
async fn encrypted_files_open_under_their_key_alone() {
    let temporary = tempfile::tempdir().unwrap();
    let (key, other) = (Some(FileKey([1; 32])), Some(FileKey([2; 32])));
    let folder = open(temporary.path()).await.with_key(key.clone());
    let mut canary = task(channel(1), 1);
    canary.payload = b"a canary that must not be readable".as_slice().into();
    let queue = folder.queue(QueueOptions::default()).await.unwrap();
    queue.publish(canary.clone()).await.unwrap();
    let bus = folder.bus(BusOptions::default()).await.unwrap();
    bus.publish(Event { payload: canary.payload.clone(), ..event(1) }).await.unwrap();
    drop((queue, bus, folder));

    let folder = open(temporary.path()).await;
    for entry in std::fs::read_dir(temporary.path()).unwrap() {
        // The WAL goes when the last connection is closed, which may be now.
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(8).any(|window| window == b"a canary"));
    }
    for key in [None, other] {
        let folder = folder.clone().with_key(key);
        let refusal = folder.queue(QueueOptions::default()).await.err().expect("a wrong key");
        assert!(matches!(refusal, DatabaseError::Open(_)), "{refusal}");
        assert!(folder.bus(BusOptions::default()).await.is_err());
    }
    let queue = folder.with_key(key).queue(QueueOptions::default()).await.unwrap();
    let mut lease = take(&queue).await;
    assert_eq!(lease.read(5).await.unwrap()[0].task, canary);
    drop((lease, queue));
    writers_have_ended().await;
}

/// Waits until no file is written any more. OpenSSL is taken down when a process ends, and whoever closes
/// an encrypted file at that moment crashes.
async fn writers_have_ended() {
    let is_at_work = || {
        let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let names = threads.filter_map(|it| std::fs::read_to_string(it.path().join("comm")).ok());
        names.into_iter().any(|name| matches!(name.trim_end(), "ery-queue" | "ery-bus"))
    };
    let ending = async {
        while is_at_work() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ending).await.expect("the writers end");
}

#[tokio::test]
async fn removed_payloads_do_not_stay_in_the_file() {
    let temporary = tempfile::tempdir().unwrap();
    let queue = open(temporary.path()).await.queue(QueueOptions::default()).await.unwrap();
    let mut canary = task(channel(1), 1);
    canary.payload = b"a canary that must be gone".repeat(500).into();
    queue.publish(canary).await.unwrap();
    assert_eq!(finish_all(take(&queue).await).await, [1]);
    drop(queue);
    // The last connection to close moves the WAL into the file and deletes it.
    let is_gone = tokio::time::timeout(Duration::from_secs(30), async {
        while temporary.path().join("queue.db-wal").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    is_gone.await.expect("the file is closed");
    let bytes = std::fs::read(temporary.path().join("queue.db")).unwrap();
    assert!(!bytes.windows(8).any(|window| window == b"a canary"));
}

#[tokio::test]
async fn what_a_dropped_lease_left_is_delivered_when_its_time_ends() {
    let temporary = tempfile::tempdir().unwrap();
    let options = QueueOptions { lease_ttl: Duration::from_millis(200), ..QueueOptions::default() };
    let queue = open(temporary.path()).await.queue(options).await.unwrap();
    queue.publish(task(channel(1), 1)).await.unwrap();
    let lease = take(&queue).await;
    let begun = tokio::time::Instant::now();
    drop(lease);
    // Long before the redelivery time of 30 s.
    assert_eq!(finish_all(take(&queue).await).await, [1]);
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(190), "the lease ended after {waited:?}");
    assert!(waited < Duration::from_secs(20), "the lease ended after {waited:?}");
}

#[tokio::test]
async fn wake_ups_and_deliveries_end_with_their_adapters() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = open(temporary.path()).await;
    let queue = folder.queue(QueueOptions::default()).await.unwrap();
    let bus = folder.bus(BusOptions::default()).await.unwrap();
    let mut wakeups = queue.wakeups(1).await.unwrap();
    let mut deliveries = bus.consume("x", &[KIND], channel(1).home.part()).await.unwrap();
    let mut followed = bus.follow(&[]).await.unwrap();
    drop((queue, bus, folder));
    assert!(wakeups.next().await.is_none());
    assert!(deliveries.next().await.is_none());
    assert!(followed.next().await.is_none());
    drop((wakeups, deliveries, followed));
    open(temporary.path()).await;
}

#[tokio::test]
async fn a_lease_that_outlives_its_queue_can_still_remove() {
    let temporary = tempfile::tempdir().unwrap();
    let queue = open(temporary.path()).await.queue(QueueOptions::default()).await.unwrap();
    queue.publish(task(channel(1), 1)).await.unwrap();
    let lease = take(&queue).await;
    drop(queue);
    assert!(matches!(EmbeddedFolder::open(temporary.path()), Err(FolderError::InUse { .. })));
    finish_all(lease).await;
    let queue = open(temporary.path()).await.queue(QueueOptions::default()).await.unwrap();
    queue.publish(task(channel(1), 2)).await.unwrap();
    assert_eq!(finish_all(take(&queue).await).await, [2]);
}

#[tokio::test]
async fn a_handler_that_answers_nothing_gets_no_more_than_its_bound() {
    let temporary = tempfile::tempdir().unwrap();
    let options = BusOptions { max_outstanding: 5, ..BusOptions::default() };
    let bus = open(temporary.path()).await.bus(options).await.unwrap();
    for number in 1..=20 {
        bus.publish(event(number)).await.unwrap();
    }
    let mut deliveries = bus.consume("slow", &[KIND], channel(1).home.part()).await.unwrap();
    let mut unanswered = Vec::new();
    for number in 1..=5_u64 {
        let delivery = deliveries.next().await.unwrap();
        assert_eq!(delivery.event, event(number));
        unanswered.push(delivery);
    }
    let silent = Duration::from_millis(100);
    assert!(tokio::time::timeout(silent, deliveries.next()).await.is_err());
    // An answer behind the first unanswered one makes no room: the first holds everything up.
    unanswered.pop().unwrap().ack().await.unwrap();
    assert!(tokio::time::timeout(silent, deliveries.next()).await.is_err());
    unanswered.remove(0).ack().await.unwrap();
    let next = tokio::time::timeout(Duration::from_secs(30), deliveries.next()).await;
    assert_eq!(next.expect("there is room").unwrap().event, event(6));
}

#[tokio::test]
async fn a_second_reader_takes_over_what_the_first_did_not_answer() {
    let temporary = tempfile::tempdir().unwrap();
    let bus = open(temporary.path()).await.bus(BusOptions::default()).await.unwrap();
    for number in 1..=4 {
        bus.publish(event(number)).await.unwrap();
    }
    let part = channel(1).home.part();
    let mut former = bus.consume("x", &[KIND], part).await.unwrap();
    let (first, second, third) =
        (former.next().await.unwrap(), former.next().await.unwrap(), former.next().await.unwrap());
    second.ack().await.unwrap();
    let mut deliveries = bus.consume("x", &[KIND], part).await.unwrap();
    assert!(former.next().await.is_none(), "two readers at once");
    // One acknowledged after the takeover counts too.
    third.ack().await.unwrap();
    drop(first);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let delivery = deliveries.next().await.unwrap();
        seen.push((delivery.event.id.0.clone(), delivery.is_redelivery));
        delivery.ack().await.unwrap();
    }
    assert_eq!(seen, [("1".to_owned(), true), ("4".to_owned(), false)]);
}

#[tokio::test]
async fn old_events_are_deleted_once_every_handler_has_acknowledged_them() {
    let temporary = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(UnixMillis(1_000_000)));
    let folder = open(temporary.path()).await.with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let bus = folder.bus(BusOptions::default()).await.unwrap();
    let part = channel(1).home.part();
    let mut quick = bus.consume("quick", &[KIND], part).await.unwrap();
    let mut slow = bus.consume("slow", &[KIND], part).await.unwrap();
    for number in 1..=10 {
        bus.publish(event(number)).await.unwrap();
    }
    for number in 1..=10_u64 {
        quick.next().await.unwrap().ack().await.unwrap();
        if number <= 4 {
            slow.next().await.unwrap().ack().await.unwrap();
        }
    }
    let held = async |bus: &ery_embedded::EmbeddedBus, name: &str| {
        let mut deliveries = bus.consume(name, &[KIND], part).await.unwrap();
        let mut numbers = Vec::new();
        loop {
            let delivery = deliveries.next().await.unwrap();
            let number: u64 = delivery.event.id.0.parse().unwrap();
            delivery.ack().await.unwrap();
            if number >= 1_000 {
                return numbers;
            }
            numbers.push(number);
        }
    };
    // A day later; what the slow handler left is kept for another day.
    clock.advance(Duration::from_hours(25));
    bus.publish(event(1_000)).await.unwrap();
    wait_for_trims(&bus, 2_000).await;
    assert_eq!(held(&bus, "new").await, [5, 6, 7, 8, 9, 10]);
    clock.advance(Duration::from_hours(24));
    bus.publish(event(1_001)).await.unwrap();
    wait_for_trims(&bus, 3_000).await;
    assert_eq!(held(&bus, "newer").await, [] as [u64; 0]);
}

/// Lets the background work that is due by time be done, as often as it wants.
async fn wait_for_trims(bus: &ery_embedded::EmbeddedBus, from: u64) {
    tokio::time::pause();
    for number in from..from + 5 {
        tokio::time::sleep(Duration::from_secs(31)).await;
        // Each publish is answered after what was due before it.
        bus.publish(event(number)).await.unwrap();
    }
    tokio::time::resume();
}

#[tokio::test]
async fn a_full_bus_drops_what_was_acknowledged_and_else_refuses() {
    let temporary = tempfile::tempdir().unwrap();
    let options = BusOptions { max_bytes: 2 << 20, ..BusOptions::default() };
    let bus = open(temporary.path()).await.bus(options).await.unwrap();
    let part = channel(1).home.part();
    let mut handler = bus.consume("x", &[KIND], part).await.unwrap();
    let mut published = 0;
    let mut refused = false;
    // Fullness is judged when old events are trimmed: within a tenth of a second of 4,096 new ones.
    for batch in 0..600 {
        if refused {
            break;
        }
        let requests = (batch * 100..batch * 100 + 100).map(|number| {
            bus.publish(Event { payload: vec![b'x'; 1_000].into(), ..event(number) })
        });
        for outcome in futures::future::join_all(requests).await {
            match outcome {
                Ok(()) => published += 1,
                Err(BusError::Full) => refused = true,
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(refused, "a handler that acknowledges nothing filled the disk");
    for _ in 0..published {
        handler.next().await.unwrap().ack().await.unwrap();
    }
    let back = tokio::time::timeout(Duration::from_secs(30), async {
        while matches!(bus.publish(event(10_000)).await, Err(BusError::Full)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    back.await.expect("acknowledged events make room");
}

#[tokio::test]
async fn a_follower_that_lags_gets_a_gap_and_then_what_is_new() {
    let temporary = tempfile::tempdir().unwrap();
    let bus = open(temporary.path()).await.bus(BusOptions::default()).await.unwrap();
    let mut followed = bus.follow(&[KIND]).await.unwrap();
    let publishes = (1..=5_000).map(|number| bus.publish(event(number)));
    for published in futures::future::join_all(publishes).await {
        published.unwrap();
    }
    assert!(matches!(followed.next().await, Some(Followed::Gap)));
    bus.publish(event(6_000)).await.unwrap();
    let mut seen = HashSet::new();
    while !seen.contains("6000") {
        let Some(Followed::Event(event)) = followed.next().await else { panic!("a second gap") };
        assert!(seen.insert(event.id.0), "an event was seen twice");
    }
}

#[tokio::test]
async fn what_the_disk_refused_is_told_and_tried_again() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = open(temporary.path()).await;
    let options = QueueOptions { max_waiting: 2, ..QueueOptions::default() };
    let queue = folder.queue(options.clone()).await.unwrap();
    let bus = folder.bus(BusOptions::default()).await.unwrap();
    queue.publish(task(channel(1), 1)).await.unwrap();
    bus.publish(event(1)).await.unwrap();
    let part = channel(1).home.part();
    let mut deliveries = bus.consume("x", &[KIND], part).await.unwrap();
    let lease = take(&queue).await;

    // Another connection's lock is what a disk that refuses looks like from here.
    let others = ["queue.db", "bus.db"].map(|name| {
        let other = rusqlite::Connection::open(temporary.path().join(name)).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        other
    });
    assert_eq!(finish_all(lease).await, [1]);
    deliveries.next().await.unwrap().ack().await.unwrap();
    let (published, announced) =
        tokio::join!(queue.publish(task(channel(1), 2)), bus.publish(event(2)));
    assert!(matches!(published, Err(QueueError::Unavailable(_))));
    assert!(matches!(announced, Err(BusError::Unavailable(_))));
    drop(others);

    // Published again as the port says, it stands once; the removal was not forgotten.
    queue.publish(task(channel(1), 2)).await.unwrap();
    bus.publish(event(2)).await.unwrap();
    drop((deliveries, queue, bus, folder));
    let folder = open(temporary.path()).await;
    let queue = folder.queue(options).await.unwrap();
    assert_eq!(finish_all(take(&queue).await).await, [2]);
    let bus = folder.bus(BusOptions::default()).await.unwrap();
    let mut deliveries = bus.consume("x", &[KIND], part).await.unwrap();
    assert_eq!(deliveries.next().await.unwrap().event, event(2));
}

#[tokio::test]
async fn too_large_an_event_is_refused_by_name() {
    let temporary = tempfile::tempdir().unwrap();
    let bus = open(temporary.path()).await.bus(BusOptions::default()).await.unwrap();
    let huge = Event { payload: vec![0; (64 << 20) + 1].into(), ..event(1) };
    assert!(matches!(
        bus.publish(huge).await,
        Err(BusError::TooLarge { id, size_bytes }) if id.0 == "1" && size_bytes == (64 << 20) + 1
    ));
}
