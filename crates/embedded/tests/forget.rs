//! A person is forgotten in what is queued: in the files, in their logs and in memory.
#![expect(clippy::unwrap_used, reason = "a test panics where something is not as it must be")]

use std::{fs, path::Path, time::Duration};

use futures::StreamExt;
use twilight_model::id::Id;

use ery_channel_queue::{ChannelQueue, Left as LeftTasks, Released, Task};
use ery_clock::UnixMillis;
use ery_embedded::{BusOptions, EmbeddedFolder, FolderError, QueueOptions};
use ery_event_bus::{Event, EventBus, EventDelivery, Left};
use ery_ids::{ChannelKey, EventId, ForgottenPerson, Home, TriggerId};

const KIND: &str = "message_create";
const CANARY: &str = "canary-1729";
const MARA: u64 = 910_000_000_000_000_001;
const OTHER: u64 = 910_000_000_000_000_002;
const UNTIL: UnixMillis = UnixMillis(1_000);

fn home() -> Home {
    Home::Guild(Id::new(7 << 22))
}

fn everywhere() -> ForgottenPerson {
    ForgottenPerson { user: Id::new(MARA), guild: None }
}

fn payload(author: u64, text: &str) -> Vec<u8> {
    format!(r#"{{"author":{{"id":"{author}"}},"content":"{text}"}}"#).into_bytes()
}

fn event(number: u64, author: u64, text: &str) -> Event {
    Event {
        id: EventId(number.to_string()),
        kind: KIND.to_owned(),
        home: home(),
        channel: None,
        bot: Id::new(7),
        received_at: UnixMillis(5),
        traceparent: None,
        payload: payload(author, text).into(),
    }
}

fn holding(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let holds = |path: &std::path::PathBuf| {
        let bytes = fs::read(path).unwrap();
        bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
    };
    files.filter(holds).map(|path| path.display().to_string()).collect()
}

async fn open(path: &Path) -> EmbeddedFolder {
    loop {
        match EmbeddedFolder::open(path) {
            Err(FolderError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(1)).await,
            opened => return opened.unwrap(),
        }
    }
}

async fn next(events: &mut (impl futures::Stream<Item = EventDelivery> + Unpin)) -> EventDelivery {
    tokio::time::timeout(Duration::from_secs(30), events.next()).await.unwrap().unwrap()
}

/// Asks until nothing is left: what was acknowledged last is on its way.
async fn until_nothing(bus: &impl EventBus) {
    let asked = async {
        while bus.forget(everywhere(), UNTIL).await.unwrap() != Left::Nothing {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asked).await.unwrap();
}

#[tokio::test]
async fn events_of_a_person_are_erased_once_every_handler_has_them() {
    let temporary = tempfile::tempdir().unwrap();
    let bus = open(temporary.path()).await.bus(BusOptions::default()).await.unwrap();
    let mut slow = bus.consume("slow", &[KIND], home().part()).await.unwrap();
    let mut other = bus.consume("other", &["guild_create"], home().part()).await.unwrap();
    for (number, author) in [(1, MARA), (2, OTHER), (3, MARA)] {
        let text = if author == MARA { CANARY } else { "hello" };
        bus.publish(event(number, author, text)).await.unwrap();
    }
    next(&mut slow).await.ack().await.unwrap();
    let second = next(&mut slow).await;
    let third = next(&mut slow).await;
    // What a handler has not got yet stays until it has, and is said to be left.
    assert_eq!(bus.forget(everywhere(), UNTIL).await.unwrap(), Left::Some { gone_by: None });
    assert!(!holding(temporary.path()).is_empty());
    assert!(third.event.payload.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    third.ack().await.unwrap();
    until_nothing(&bus).await;
    assert_eq!(holding(temporary.path()), Vec::<String>::new());
    drop(second);

    // A repeat is known as one, though its event was erased.
    bus.publish(event(3, MARA, CANARY)).await.unwrap();
    assert_eq!(holding(temporary.path()), Vec::<String>::new());
    // Who reads anew gets what is others', from memory and from the file.
    for _ in 0..2 {
        let mut anew = bus.consume("slow", &[KIND], home().part()).await.unwrap();
        let delivery = next(&mut anew).await;
        assert_eq!(delivery.event.id, EventId("2".to_owned()));
    }
    let mut new = bus.consume("new", &[KIND], home().part()).await.unwrap();
    assert_eq!(next(&mut new).await.event.id, EventId("2".to_owned()));
    let none = tokio::time::timeout(Duration::from_millis(50), other.next()).await;
    assert!(none.is_err());
    drop((slow, other, new, bus));
    let bus = open(temporary.path()).await.bus(BusOptions::default()).await.unwrap();
    let mut anew = bus.consume("slow", &[KIND], home().part()).await.unwrap();
    assert_eq!(next(&mut anew).await.event.id, EventId("2".to_owned()));
}

#[tokio::test]
async fn what_ery_said_is_erased_with_it_for_she_may_have_quoted_the_person() {
    let temporary = tempfile::tempdir().unwrap();
    let bus = open(temporary.path()).await.bus(BusOptions::default()).await.unwrap();
    bus.publish(event(1, 7, CANARY)).await.unwrap();
    bus.publish(event(2, OTHER, "hello")).await.unwrap();
    until_nothing(&bus).await;
    assert_eq!(holding(temporary.path()), Vec::<String>::new());
    let mut new = bus.consume("new", &[KIND], home().part()).await.unwrap();
    assert_eq!(next(&mut new).await.event.id, EventId("2".to_owned()));
}

fn forward_of_somebody() -> Vec<u8> {
    format!(
        r#"{{"author":{{"id":"{OTHER}"}},"content":"","message_snapshots":[{{"message":{{"content":"{CANARY}"}}}}]}}"#
    )
    .into_bytes()
}

#[tokio::test]
async fn what_others_forward_is_erased_with_it_for_it_does_not_say_whose_it_was() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = open(temporary.path()).await;
    let bus = folder.bus(BusOptions::default()).await.unwrap();
    let forward = Event { payload: forward_of_somebody().into(), ..event(1, OTHER, "") };
    bus.publish(forward).await.unwrap();
    bus.publish(event(2, OTHER, "hello")).await.unwrap();
    until_nothing(&bus).await;
    assert_eq!(holding(temporary.path()), Vec::<String>::new());
    let mut new = bus.consume("new", &[KIND], home().part()).await.unwrap();
    assert_eq!(next(&mut new).await.event.id, EventId("2".to_owned()));

    let queue = folder.queue(QueueOptions::default()).await.unwrap();
    let task = Task { payload: forward_of_somebody().into(), ..task(OTHER) };
    queue.publish(task).await.unwrap();
    let waits = LeftTasks::Some { gone_by: None };
    assert_eq!(queue.forget(everywhere(), UNTIL).await.unwrap(), waits);
}

fn task(author: u64) -> Task {
    Task {
        trigger: TriggerId::Message(Id::new(5)),
        channel: ChannelKey { home: home(), channel: Id::new(9) },
        retry: 0,
        bot: Id::new(7),
        received_at: UnixMillis(5),
        session: None,
        traceparent: None,
        payload: payload(author, CANARY).into(),
    }
}

#[tokio::test]
async fn what_came_later_or_is_of_another_guild_is_left_alone() {
    let temporary = tempfile::tempdir().unwrap();
    let bus = open(temporary.path()).await.bus(BusOptions::default()).await.unwrap();
    let late = Event { received_at: UnixMillis(2_000), ..event(1, MARA, CANARY) };
    bus.publish(late).await.unwrap();
    assert_eq!(bus.forget(everywhere(), UNTIL).await.unwrap(), Left::Nothing);
    assert!(!holding(temporary.path()).is_empty());
    let here = ForgottenPerson { guild: Some(Id::new(8 << 22)), ..everywhere() };
    bus.publish(event(2, MARA, CANARY)).await.unwrap();
    assert_eq!(bus.forget(here, UnixMillis(9_000)).await.unwrap(), Left::Nothing);
    assert!(!holding(temporary.path()).is_empty());
    let here = ForgottenPerson { guild: home().guild(), ..everywhere() };
    assert_eq!(bus.forget(here, UnixMillis(9_000)).await.unwrap(), Left::Nothing);
    assert_eq!(holding(temporary.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_task_of_a_person_is_said_to_wait_and_leaves_nothing_once_it_is_done() {
    let temporary = tempfile::tempdir().unwrap();
    let queue = open(temporary.path()).await.queue(QueueOptions::default()).await.unwrap();
    queue.publish(task(MARA)).await.unwrap();
    let mut wakeups = queue.wakeups(1).await.unwrap();
    let delivery = tokio::time::timeout(Duration::from_secs(30), wakeups.next()).await;
    let waits = LeftTasks::Some { gone_by: None };
    assert_eq!(queue.forget(everywhere(), UNTIL).await.unwrap(), waits);
    let elsewhere = ForgottenPerson { guild: Some(Id::new(3)), ..everywhere() };
    assert_eq!(queue.forget(elsewhere, UNTIL).await.unwrap(), LeftTasks::Nothing);
    let mut lease = queue.take(delivery.unwrap().unwrap()).await.unwrap().unwrap();
    let read = lease.read(9).await.unwrap();
    lease.remove(&read);
    assert!(matches!(lease.release().await, Ok(Released::Free)));
    let asked = async {
        while queue.forget(everywhere(), UNTIL).await.unwrap() != LeftTasks::Nothing {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asked).await.unwrap();
    assert_eq!(holding(temporary.path()), Vec::<String>::new());
}
