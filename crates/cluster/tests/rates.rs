//! How fast the queue is: run by hand, with `--run-ignored only --no-capture`.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(clippy::print_stdout, reason = "a measurement is printed")]

mod common;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::{task::JoinSet, time::Instant};
use twilight_model::id::Id;

use common::Servers;
use ery_channel_queue::{Released, Task};
use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, TriggerId};

fn task(channel: u64, number: u64) -> Task {
    Task {
        trigger: TriggerId::Message(Id::new(number)),
        channel: ChannelKey::from_raw(1_000 << 22, (1 + channel) << 22).unwrap(),
        retry: 0,
        bot: Id::new(77),
        received_at: UnixMillis(5),
        session: None,
        traceparent: None,
        payload: Bytes::from(vec![b'x'; 600]),
    }
}

fn rate(what: &str, count: u64, begun: Instant) {
    let elapsed = begun.elapsed();
    let per_second = f64::from(u32::try_from(count).unwrap()) / elapsed.as_secs_f64();
    println!("{what}: {per_second:.0}/s ({count} in {elapsed:.2?})");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn publish_take_read_remove_release() {
    const MESSAGES: u64 = 4_000;
    const WORKERS: u64 = 32;

    let servers = Servers::start().await;
    let cluster = servers.connect(&servers.nats_settings(), &servers.redis_settings()).await;
    for (channels, what) in [(4_000, "one message a channel"), (50, "80 messages a channel")] {
        let queue = cluster.queue();
        let begun = Instant::now();
        let mut publishers = JoinSet::new();
        for publisher in 0..64 {
            let queue = Arc::clone(&queue);
            publishers.spawn(async move {
                for number in (0..MESSAGES).filter(|number| number % 64 == publisher) {
                    queue
                        .publish(task(number % channels, channels * 100_000 + number))
                        .await
                        .unwrap();
                }
            });
        }
        publishers.join_all().await;
        rate(&format!("{what}, publish, 64 at once"), MESSAGES, begun);

        let begun = Instant::now();
        let mut wakeups = queue.wakeups(256).await.unwrap();
        let mut workers = JoinSet::new();
        let (mut done, mut takes) = (0, 0);
        while done < MESSAGES {
            tokio::select! {
                delivery = wakeups.next(), if (workers.len() as u64) < WORKERS => {
                    let (queue, delivery) = (Arc::clone(&queue), delivery.unwrap());
                    workers.spawn(async move {
                        let Some(mut lease) = queue.take(delivery).await.unwrap() else { return 0 };
                        let mut done = 0;
                        loop {
                            loop {
                                let read = lease.read(1).await.unwrap();
                                if read.is_empty() { break }
                                done += read.len() as u64;
                                lease.remove(&read);
                            }
                            match lease.release().await.unwrap() {
                                Released::More(kept) => lease = kept,
                                Released::Free => return done,
                            }
                        }
                    });
                }
                Some(finished) = workers.join_next() => {
                    done += finished.unwrap();
                    takes += 1;
                }
            }
        }
        rate(&format!("{what}, take, read, remove, release, {WORKERS} at once"), MESSAGES, begun);
        println!("  {takes} deliveries were taken");
        drop(wakeups);
    }

    let queue = cluster.queue();
    let mut wakeups = queue.wakeups(4).await.unwrap();
    let mut times = [const { Vec::new() }; 5];
    for number in 0..500 {
        let begun = Instant::now();
        queue.publish(task(7_000, 900_000_000 + number)).await.unwrap();
        times[0].push(begun.elapsed());
        let delivery = wakeups.next().await.unwrap();
        let begun = Instant::now();
        let mut lease = queue.take(delivery).await.unwrap().unwrap();
        times[1].push(begun.elapsed());
        let begun = Instant::now();
        let read = lease.read(1).await.unwrap();
        times[2].push(begun.elapsed());
        assert_eq!(read.len(), 1);
        lease.remove(&read);
        let begun = Instant::now();
        assert!(matches!(lease.release().await, Ok(Released::Free)));
        times[3].push(begun.elapsed());
        times[4].push(times[..4].iter().map(|times| times[times.len() - 1]).sum::<Duration>());
    }
    for (what, times) in ["publish", "take", "read", "release", "all"].iter().zip(&mut times) {
        times.sort_unstable();
        println!("one at a time, {what}: p50 {:.2?}, p99 {:.2?}", times[250], times[495]);
    }
}
