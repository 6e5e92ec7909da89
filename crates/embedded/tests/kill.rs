//! What was acknowledged outlives `kill -9`, and what was removed stays removed.
//!
//! A child process works on a data folder and prints what it was told; it is killed in the middle of
//! it, again and again, and each time the folder is looked at.
#![expect(clippy::unwrap_used, reason = "a test panics where something is not as it must be")]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use rand::{Rng, SeedableRng, rngs::StdRng};
use twilight_model::id::Id;

use ery_channel_queue::{ChannelQueue, Released, Task};
use ery_clock::UnixMillis;
use ery_embedded::{BusOptions, EmbeddedFolder, QueueOptions};
use ery_event_bus::{Event, EventBus};
use ery_ids::{ChannelKey, EventId, TriggerId};

const ROUNDS: u64 = 5;
const CHANNELS: u64 = 4;
const KIND: &str = "message_create";

/// Tells the child where to work and from which number to count.
const FOLDER: &str = "ERY_KILL_TEST_FOLDER";
const BASE: &str = "ERY_KILL_TEST_BASE";

fn channel(number: u64) -> ChannelKey {
    let number = number % CHANNELS;
    ChannelKey::new(Some(Id::new((1 + number) << 22)), Id::new((100 + number) << 22))
}

fn task(number: u64) -> Task {
    Task {
        trigger: TriggerId::Message(Id::new(number)),
        channel: channel(number),
        retry: 0,
        bot: Id::new(7),
        received_at: UnixMillis(1_700_000_000_000),
        session: None,
        traceparent: None,
        payload: format!("{{\"n\":{number}}}").into(),
    }
}

fn event(number: u64) -> Event {
    Event {
        id: EventId(number.to_string()),
        kind: KIND.to_owned(),
        home: channel(number).home,
        channel: Some(channel(number).channel),
        bot: Id::new(7),
        received_at: UnixMillis(1_700_000_000_000),
        traceparent: None,
        payload: format!("{{\"n\":{number}}}").into(),
    }
}

fn say(line: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}

/// What the children said, in all rounds.
#[derive(Default)]
struct Told {
    /// Publishes that were begun, and those that were acknowledged.
    begun: BTreeSet<u64>,
    published: BTreeSet<u64>,
    /// Removals (of tasks) and acknowledgements (of events).
    done: BTreeSet<u64>,
    /// Those that must be on disk, because a publish that was begun later was acknowledged.
    done_for_certain: BTreeSet<u64>,
    highest_epoch: u64,
}

impl Told {
    fn hear(&mut self, lines: &[String]) {
        let numbers: Vec<(&str, u64)> = lines
            .iter()
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(what, number)| Some((what, number.parse().ok()?)))
            .collect();
        let mut last_sure_begin = 0;
        let mut begun_at = HashMap::new();
        for (index, (what, number)) in numbers.iter().enumerate() {
            match *what {
                "begin" => {
                    self.begun.insert(*number);
                    begun_at.insert(*number, index);
                }
                "published" => {
                    self.published.insert(*number);
                    last_sure_begin = last_sure_begin.max(begun_at[number]);
                }
                "done" => {
                    self.done.insert(*number);
                }
                "epoch" => self.highest_epoch = self.highest_epoch.max(*number),
                _ => {}
            }
        }
        let sure = numbers[..last_sure_begin].iter().filter(|(what, _)| *what == "done");
        self.done_for_certain.extend(sure.map(|(_, number)| *number));
    }

    /// Compares what is still there, by channel and in its order, with what was said.
    fn check(&self, left: &BTreeMap<ChannelKey, Vec<u64>>, seed: u64) {
        let all: Vec<u64> = left.values().flatten().copied().collect();
        let set: BTreeSet<u64> = all.iter().copied().collect();
        assert_eq!(all.len(), set.len(), "something stands twice (seed {seed})");
        let lost: Vec<_> =
            self.published.difference(&self.done).filter(|number| !set.contains(number)).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?} (seed {seed})");
        let back: Vec<_> = set.intersection(&self.done_for_certain).collect();
        assert!(back.is_empty(), "removed and back: {back:?} (seed {seed})");
        assert!(set.is_subset(&self.begun), "something came from nowhere (seed {seed})");
        for (channel, numbers) in left {
            assert!(numbers.is_sorted(), "channel {channel} is out of order (seed {seed})");
        }
    }
}

/// Runs the child test `name` until it has said so many lines, kills it, and returns them.
fn run_and_kill(name: &str, folder: &Path, base: u64, lines_until_kill: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(BASE, base.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut lines = Vec::new();
    while lines.len() < lines_until_kill {
        let mut line = String::new();
        assert!(out.read_line(&mut line).unwrap() > 0, "the child ended by itself: {lines:?}");
        lines.push(line);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    lines.extend(rest.split_inclusive('\n').map(str::to_owned));
    // A line that was cut off was not said.
    lines.retain(|line| line.ends_with('\n'));
    lines.iter().map(|line| line.trim().to_owned()).collect()
}

fn child_settings() -> (PathBuf, u64) {
    let folder = std::env::var_os(FOLDER).expect("the parent test names the folder").into();
    let base = std::env::var_os(BASE).expect("the parent test gives a base");
    (folder, base.to_str().unwrap().parse().unwrap())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
#[ignore = "the child of a_killed_queue_loses_nothing_and_brings_nothing_back"]
fn child_queue() {
    let (folder, base) = child_settings();
    // The harness has begun a line of its own.
    say(format_args!(""));
    runtime().block_on(async {
        let folder = EmbeddedFolder::open(folder).unwrap();
        let queue = folder.queue(QueueOptions::default()).await.unwrap();
        let publishers = (0..CHANNELS).map(|channel| {
            let queue = &queue;
            async move {
                for step in 1.. {
                    let number = base + step * CHANNELS + channel;
                    say(format_args!("begin {number}"));
                    queue.publish(task(number)).await.unwrap();
                    say(format_args!("published {number}"));
                }
            }
        });
        let work = async {
            let mut wakeups = queue.wakeups(4).await.unwrap();
            while let Some(delivery) = wakeups.next().await {
                let Some(mut lease) = queue.take(delivery).await.unwrap() else { continue };
                say(format_args!("epoch {}", lease.fence().epoch));
                loop {
                    for waiting in lease.read(3).await.unwrap() {
                        tokio::time::sleep(Duration::from_micros(300)).await;
                        let number = waiting.task.trigger.message().unwrap();
                        lease.remove(&[waiting]);
                        say(format_args!("done {number}"));
                    }
                    match lease.release().await.unwrap() {
                        Released::Free => break,
                        Released::More(kept) => lease = kept,
                    }
                }
            }
        };
        tokio::join!(futures::future::join_all(publishers), work);
    });
}

#[test]
fn a_killed_queue_loses_nothing_and_brings_nothing_back() {
    let seed: u64 = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut told = Told::default();
    for round in 1..=ROUNDS {
        let lines = random.random_range(50..4_000);
        told.hear(&run_and_kill("child_queue", folder.path(), round * 1_000_000, lines));
        runtime().block_on(look_at_queue(folder.path(), &told, seed));
    }
    assert!(told.published.len() > 100 && told.done_for_certain.len() > 20, "nothing was tried");
}

async fn look_at_queue(path: &Path, told: &Told, seed: u64) {
    let folder = EmbeddedFolder::open(path).expect("the lock went with the process");
    let queue = folder.queue(QueueOptions::default()).await.unwrap();
    // What was removed for certain does not come back by being published again, nor twice what
    // stands.
    for number in told.done_for_certain.iter().chain(&told.published).rev().take(300) {
        queue.publish(task(*number)).await.unwrap();
    }
    let mut left: BTreeMap<ChannelKey, Vec<u64>> = BTreeMap::new();
    let mut wakeups = queue.wakeups(1).await.unwrap();
    while let Ok(Some(delivery)) =
        tokio::time::timeout(Duration::from_millis(300), wakeups.next()).await
    {
        if left.contains_key(&delivery.task.channel) {
            continue;
        }
        let mut lease = queue.take(delivery).await.unwrap().expect("nobody holds it");
        assert!(lease.fence().epoch.0 > told.highest_epoch, "an epoch came again (seed {seed})");
        let mut read = Vec::new();
        loop {
            let some = lease.read(100).await.unwrap();
            if some.is_empty() {
                break;
            }
            read.extend(some);
        }
        for waiting in &read {
            let number = waiting.task.trigger.message().unwrap().get();
            assert_eq!(waiting.task, task(number), "a task was changed (seed {seed})");
        }
        let numbers = read.iter().map(|w| w.task.trigger.message().unwrap().get()).collect();
        left.insert(lease.fence().channel, numbers);
        assert!(matches!(lease.release().await.unwrap(), Released::Free));
    }
    told.check(&left, seed);
}

#[test]
#[ignore = "the child of a_killed_bus_loses_nothing_and_brings_nothing_back"]
fn child_bus() {
    let (folder, base) = child_settings();
    // The harness has begun a line of its own.
    say(format_args!(""));
    runtime().block_on(async {
        let folder = EmbeddedFolder::open(folder).unwrap();
        let bus = Arc::new(folder.bus(BusOptions::default()).await.unwrap());
        let publishers = (0..CHANNELS).map(|channel| {
            let bus = &bus;
            async move {
                for step in 1.. {
                    let number = base + step * CHANNELS + channel;
                    say(format_args!("begin {number}"));
                    bus.publish(event(number)).await.unwrap();
                    say(format_args!("published {number}"));
                }
            }
        });
        let parts: BTreeSet<_> = (0..CHANNELS).map(|number| channel(number).home.part()).collect();
        let handlers = parts.into_iter().map(|part| {
            let bus = &bus;
            async move {
                let mut deliveries = bus.consume("ingest", &[KIND], part).await.unwrap();
                while let Some(delivery) = deliveries.next().await {
                    tokio::time::sleep(Duration::from_micros(300)).await;
                    let id = delivery.event.id.clone();
                    delivery.ack().await.unwrap();
                    say(format_args!("done {id}"));
                }
            }
        });
        let (publishers, handlers) =
            (futures::future::join_all(publishers), futures::future::join_all(handlers));
        tokio::join!(publishers, handlers);
    });
}

#[test]
fn a_killed_bus_loses_nothing_and_brings_nothing_back() {
    let seed: u64 = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut told = Told::default();
    for round in 1..=ROUNDS {
        let lines = random.random_range(50..4_000);
        told.hear(&run_and_kill("child_bus", folder.path(), round * 1_000_000, lines));
        runtime().block_on(look_at_bus(folder.path(), &mut told, round, seed));
    }
    assert!(told.published.len() > 100 && told.done_for_certain.len() > 20, "nothing was tried");
}

async fn look_at_bus(path: &Path, told: &mut Told, round: u64, seed: u64) {
    let folder = EmbeddedFolder::open(path).expect("the lock went with the process");
    let bus = folder.bus(BusOptions::default()).await.unwrap();
    for number in told.published.iter().rev().take(100) {
        bus.publish(event(*number)).await.unwrap();
    }
    // The last of each channel; they stand behind everything that was published before.
    let markers: Vec<u64> =
        (0..CHANNELS).map(|number| round * 1_000_000 + 900_000 + number).collect();
    for marker in &markers {
        bus.publish(event(*marker)).await.unwrap();
        told.begun.insert(*marker);
        told.published.insert(*marker);
    }
    let mut left: BTreeMap<ChannelKey, Vec<u64>> = BTreeMap::new();
    let parts: BTreeSet<_> = markers.iter().map(|number| channel(*number).home.part()).collect();
    for part in parts {
        let mut deliveries = bus.consume("ingest", &[KIND], part).await.unwrap();
        let mut missing: BTreeSet<&u64> =
            markers.iter().filter(|number| channel(**number).home.part() == part).collect();
        // Kept, so that they are not delivered again.
        let mut unanswered = Vec::new();
        while !missing.is_empty() {
            let next = tokio::time::timeout(Duration::from_secs(30), deliveries.next()).await;
            let delivery = next.expect("the markers come").unwrap();
            let number: u64 = delivery.event.id.0.parse().unwrap();
            assert_eq!(delivery.event, event(number), "an event was changed (seed {seed})");
            left.entry(channel(number)).or_default().push(number);
            missing.remove(&number);
            unanswered.push(delivery);
        }
    }
    told.check(&left, seed);
}
