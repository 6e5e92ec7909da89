//! Measures the embedded queue and bus: `cargo run --release --example rates -- [folder [in-flight]]`.
//!
//! Prints messages per second, CPU time per thousand, and the latency of a lone publish. The folder
//! should be on the disk that is to be measured; without one a temporary folder is used. Where the
//! disk's syncs are the limit, the rate rises with how many publishes are in flight.
#![expect(clippy::print_stdout, reason = "its figures are for a person to read")]

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, future::join_all, stream};
use tokio::time::Instant;
use twilight_model::id::Id;

use ery_channel_queue::{ChannelQueue, QueueError, Released, Task};
use ery_clock::{Clock, SystemClock};
use ery_embedded::{BusOptions, EmbeddedFolder, QueueOptions};
use ery_event_bus::{BusError, Event, EventBus};
use ery_ids::{ChannelKey, EventId, Part, TriggerId};

const MESSAGES: u64 = 60_000;
const IN_FLIGHT: usize = 100;
const CHANNELS: u64 = 200;
const WORKERS: usize = 4;
const HANDLERS: [&str; 4] = ["ingest", "rules", "counters", "feedback"];

/// The `d` of a message with a line of text.
const PAYLOAD_BYTES: usize = 1_200;

#[derive(Debug, thiserror::Error)]
enum RatesError {
    #[error(transparent)]
    Folder(#[from] ery_embedded::FolderError),
    #[error(transparent)]
    Database(#[from] ery_embedded::DatabaseError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

#[tokio::main]
async fn main() -> Result<(), RatesError> {
    let temporary = tempfile::tempdir()?;
    let path =
        std::env::args_os().nth(1).map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let folder = EmbeddedFolder::open(path)?;
    let in_flight = std::env::args().nth(2).and_then(|text| text.parse().ok()).unwrap_or(IN_FLIGHT);
    queue(&folder, in_flight).await?;
    bus(&folder, in_flight).await
}

/// CPU time of the process so far, in milliseconds.
fn cpu_ms() -> u64 {
    // The kernel counts in hundredths of a second wherever Ery runs.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum::<u64>()
        * 10
}

#[expect(clippy::cast_precision_loss, reason = "figures for a person")]
fn report(what: &str, count: u64, begun: Instant, cpu_before: u64) {
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = (cpu_ms() - cpu_before) as f64 / count as f64;
    println!("{what}: {:.0}/s, {cpu:.3} CPU s per 1,000", count as f64 / seconds);
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted.get((sorted.len() * percent / 100).min(sorted.len() - 1)).copied().unwrap_or_default()
}

fn report_latency(what: &str, mut latencies: Vec<Duration>) {
    latencies.sort();
    let (half, most) = (percentile(&latencies, 50), percentile(&latencies, 99));
    println!("{what}, one at a time: p50 {half:?}, p99 {most:?}");
}

fn task(number: u64) -> Task {
    let key = number % CHANNELS;
    Task {
        trigger: TriggerId::Message(Id::new(1 + number)),
        channel: ChannelKey::new(Some(Id::new((1 + key) << 22)), Id::new((1_000 + key) << 22)),
        retry: 0,
        bot: Id::new(7),
        received_at: SystemClock.now(),
        session: None,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().ok(),
        payload: vec![b'x'; PAYLOAD_BYTES].into(),
    }
}

async fn queue(folder: &EmbeddedFolder, in_flight: usize) -> Result<(), RatesError> {
    let queue = folder.queue(QueueOptions::default()).await?;
    let done = AtomicU64::new(0);
    let (begun, cpu) = (Instant::now(), cpu_ms());
    let publish = async {
        stream::iter(0..MESSAGES)
            .map(|number| queue.publish(task(number)))
            .buffer_unordered(in_flight)
            .for_each(|published| async {
                if let Err(error) = published {
                    println!("could not publish: {error}");
                }
            })
            .await;
    };
    let work = join_all((0..WORKERS).map(|_| async {
        let mut wakeups = queue.wakeups(16).await?;
        while done.load(Ordering::Relaxed) < MESSAGES {
            let Ok(Some(delivery)) =
                tokio::time::timeout(Duration::from_millis(200), wakeups.next()).await
            else {
                continue;
            };
            let Some(mut lease) = queue.take(delivery).await? else { continue };
            loop {
                let read = lease.read(16).await?;
                done.fetch_add(read.len() as u64, Ordering::Relaxed);
                lease.remove(&read);
                match lease.release().await? {
                    Released::Free => break,
                    Released::More(kept) => lease = kept,
                }
            }
        }
        Ok::<(), RatesError>(())
    }));
    let ((), worked) = tokio::join!(publish, work);
    worked.into_iter().collect::<Result<Vec<()>, _>>()?;
    report("queue: publish, take, read, remove, release", MESSAGES, begun, cpu);

    let mut latencies = Vec::new();
    for number in MESSAGES..MESSAGES + 300 {
        let begun = Instant::now();
        queue.publish(task(number)).await?;
        latencies.push(begun.elapsed());
    }
    report_latency("queue: publish", latencies);
    Ok(())
}

fn event(number: u64) -> Event {
    let Task { channel, bot, received_at, traceparent, payload, .. } = task(number);
    Event {
        id: EventId(format!("0123456789abcdef0123456789abcdef.{number}")),
        kind: "message_create".to_owned(),
        home: channel.home,
        channel: Some(channel.channel),
        bot,
        received_at,
        traceparent,
        payload,
    }
}

async fn bus(folder: &EmbeddedFolder, in_flight: usize) -> Result<(), RatesError> {
    let bus = Arc::new(folder.bus(BusOptions::default()).await?);
    let expected = MESSAGES * HANDLERS.len() as u64;
    let done = AtomicU64::new(0);
    let (begun, cpu) = (Instant::now(), cpu_ms());
    let publish = async {
        stream::iter(0..MESSAGES)
            .map(|number| bus.publish(event(number)))
            .buffer_unordered(in_flight)
            .for_each(|published| async {
                if let Err(error) = published {
                    println!("could not publish: {error}");
                }
            })
            .await;
    };
    let readers = HANDLERS.iter().flat_map(|handler| Part::all().map(move |part| (handler, part)));
    let handle = join_all(readers.map(|(handler, part)| {
        let (bus, done) = (&bus, &done);
        async move {
            let mut deliveries = bus.consume(handler, &["message_create"], part).await?;
            while done.load(Ordering::Relaxed) < expected {
                let next = tokio::time::timeout(Duration::from_millis(200), deliveries.next());
                let Ok(Some(delivery)) = next.await else { continue };
                delivery.ack().await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<(), RatesError>(())
        }
    }));
    let ((), handled) = tokio::join!(publish, handle);
    handled.into_iter().collect::<Result<Vec<()>, _>>()?;
    report(
        &format!("bus: publish, and deliver to {} handlers that ack", HANDLERS.len()),
        MESSAGES,
        begun,
        cpu,
    );

    let mut latencies = Vec::new();
    for number in MESSAGES..MESSAGES + 300 {
        let begun = Instant::now();
        bus.publish(event(number)).await?;
        latencies.push(begun.elapsed());
    }
    report_latency("bus: publish", latencies);
    Ok(())
}
