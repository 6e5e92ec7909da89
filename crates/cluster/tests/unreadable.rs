//! What stands in the stream of tasks and cannot be read: passed over, given up, removed.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::{sync::Arc, time::Duration};

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::time::timeout;
use twilight_model::id::Id;

use common::Servers;
use ery_channel_queue::{BoxLease, ChannelQueue, Released, Task, UnreadableTask, Wakeups};
use ery_clock::UnixMillis;
use ery_cluster::NatsSettings;
use ery_ids::{ChannelKey, TriggerId};

const PATIENCE: Duration = Duration::from_secs(30);

fn channel() -> ChannelKey {
    ChannelKey::from_raw(1_000 << 22, 5_000 << 22).unwrap()
}

fn subject() -> String {
    let ChannelKey { home, channel } = channel();
    format!("ery.task.{}.{}.{channel}", home.part(), home.guild().unwrap())
}

fn task(number: u64) -> Task {
    Task {
        trigger: TriggerId::Message(Id::new(number)),
        channel: channel(),
        retry: 0,
        bot: Id::new(77),
        received_at: UnixMillis(5),
        session: None,
        traceparent: None,
        payload: Bytes::from_static(b"{}"),
    }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.insert(*name, *value);
    }
    headers
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

fn short(servers: &Servers) -> NatsSettings {
    NatsSettings { ack_wait: Duration::from_millis(500), ..servers.nats_settings() }
}

/// Takes the channel by the next delivery; reads on until it is given back, and finishes all.
async fn work(queue: &Arc<dyn ChannelQueue>, wakeups: &mut Wakeups) -> Vec<u64> {
    let delivery = soon("a delivery", wakeups.next()).await.unwrap();
    let mut lease: BoxLease = queue.take(delivery).await.unwrap().unwrap();
    let mut numbers = Vec::new();
    loop {
        let read = lease.read(2).await.unwrap();
        numbers.extend(read.iter().map(|it| it.task.trigger.message().unwrap().get()));
        lease.remove(&read);
        if !read.is_empty() {
            continue;
        }
        match lease.release().await.unwrap() {
            Released::Free => return numbers,
            Released::More(kept) => lease = kept,
        }
    }
}

/// Lets deliveries come until something is given up.
async fn given_up(
    unreadable: &mut ery_channel_queue::UnreadableTasks,
    wakeups: &mut Wakeups,
) -> UnreadableTask {
    soon("something that is given up", async {
        loop {
            tokio::select! {
                task = unreadable.next() => return task.unwrap(),
                // A task that was removed may have been on its way.
                delivery = wakeups.next() => drop(delivery.unwrap()),
            }
        }
    })
    .await
}

async fn count(servers: &Servers) -> u64 {
    let context = common::jetstream(&servers.nats).await;
    let mut stream = context.get_stream("ERY_TASKS").await.unwrap();
    stream.info().await.unwrap().state.messages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_holds_nobody_up_and_comes_to_an_end() {
    let servers = Servers::start().await;
    let cluster = servers.connect(&short(&servers), &servers.redis_settings()).await;
    let queue = cluster.queue();
    let context = common::jetstream(&servers.nats).await;
    let publish = async |headers: HeaderMap, payload: &'static [u8]| {
        let sent = context.publish_with_headers(subject(), headers, payload.into()).await;
        sent.unwrap().await.unwrap();
    };

    publish(HeaderMap::new(), b"no headers").await;
    queue.publish(task(1)).await.unwrap();
    let known = [("Nats-Msg-Id", "x:m.7"), ("Ery-Received-At", "9"), ("Ery-Bot", "77")];
    let mut named = headers(&known);
    named.insert("Ery-Trigger", "nonsense");
    publish(named, b"an odd trigger").await;
    let mut packed = headers(&[("Ery-Received-At", "9"), ("Ery-Bot", "77")]);
    packed.insert("Ery-Trigger", "m.8");
    packed.insert("Ery-Encoding", "zstd");
    publish(packed, b"no zstd").await;
    queue.publish(task(2)).await.unwrap();

    let mut wakeups = queue.wakeups(16).await.unwrap();
    let mut unreadable = queue.unreadable().await.unwrap();
    assert_eq!(work(&queue, &mut wakeups).await, [1, 2]);

    let (mut ended, mut payloads) = (Vec::new(), Vec::new());
    while ended.len() < 3 {
        let task = given_up(&mut unreadable, &mut wakeups).await;
        assert_eq!(task.channel, Some(channel()));
        ended.push((task.position, task.name.clone(), task.bot, task.received_at));
        payloads.push(task.payload.clone());
        queue.discard(task).await.unwrap();
    }
    ended.sort_unstable_by_key(|(position, ..)| *position);
    payloads.sort_unstable();
    assert_eq!(payloads, ["an odd trigger", "no headers", "no zstd"]);
    let [bare, named, packed] = &ended[..] else { panic!("{ended:?}") };
    // What has no name of its own is named by its place and time, and is the same each time, too.
    assert_eq!((bare.1.clone(), bare.2), (format!("{}.{}", bare.0.0, bare.3), None));
    assert_eq!((named.1.as_str(), named.2, named.3), ("x:m.7", Some(Id::new(77)), UnixMillis(9)));
    assert!(packed.1.starts_with(&format!("{}.", packed.0.0)), "{packed:?}");
    assert_eq!((packed.2, packed.3), (Some(Id::new(77)), UnixMillis(9)));
    soon("an empty stream", async { while count(&servers).await > 0 {} }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_is_handed_over_though_what_stands_first_cannot_be_read() {
    let servers = Servers::start().await;
    // Nothing is delivered again within this test.
    let (nats, redis) = (servers.nats_settings(), servers.redis_settings());
    let (a, b) = tokio::join!(servers.connect(&nats, &redis), servers.connect(&nats, &redis));
    let context = common::jetstream(&servers.nats).await;
    context.publish(subject(), "nonsense".into()).await.unwrap().await.unwrap();
    a.queue().publish(task(1)).await.unwrap();
    let mut wakeups = a.queue().wakeups(4).await.unwrap();
    let delivery = soon("a delivery", wakeups.next()).await.unwrap();
    let lease = a.queue().take(delivery).await.unwrap().unwrap();
    drop(wakeups);

    let queue = b.queue();
    let mut wakeups = queue.wakeups(4).await.unwrap();
    lease.hand_over().await.unwrap();
    assert_eq!(work(&queue, &mut wakeups).await, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_under_no_channel_is_given_up_as_such() {
    let servers = Servers::start().await;
    let cluster = servers.connect(&short(&servers), &servers.redis_settings()).await;
    let queue = cluster.queue();
    let context = common::jetstream(&servers.nats).await;
    context.publish("ery.task.what.ever", "x".into()).await.unwrap().await.unwrap();
    let mut wakeups = queue.wakeups(4).await.unwrap();
    let mut unreadable = queue.unreadable().await.unwrap();
    let task = given_up(&mut unreadable, &mut wakeups).await;
    assert_eq!((task.channel, &task.payload[..]), (None, &b"x"[..]));
    assert_eq!(task.place, "ery.task.what.ever");
    queue.discard(task).await.unwrap();
    soon("an empty stream", async { while count(&servers).await > 0 {} }).await;
}
