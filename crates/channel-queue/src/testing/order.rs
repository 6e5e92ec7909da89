use std::sync::Arc;

use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio_util::sync::CancellationToken;
use twilight_model::id::Id;

use ery_ids::ChannelKey;

use crate::Task;

use super::{
    Record, Stand, Timing, channel, eventually, finish, join, next_of, numbers, open_wakeups,
    publish, read_all, spawn, spawn_worker, take, task,
};

/// What was published one after the other is read in that order, whole, whatever the chunks.
pub async fn tasks_are_read_in_the_order_of_publishing(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let (first, second) = (channel(1), channel(2));
    for number in 1..=40 {
        // The trigger's own order is not that of publishing.
        publish(&views.a, first, [1_000 - number].into_iter()).await;
        publish(&views.b, second, [2_000 + number].into_iter()).await;
    }
    let mut wakeups = open_wakeups(&views.b).await;
    let mut lease = take(&views.b, &mut wakeups, first).await;
    let read = read_all(&mut lease, 7).await;
    assert_eq!(numbers(&read), (1..=40).map(|number| 1_000 - number).collect::<Vec<_>>());
    for waiting in &read {
        let number = waiting.task.trigger.message().expect("tests use messages").get();
        assert_eq!(waiting.task, task(first, number), "a task is read as it was published");
    }
    finish(lease, &read).await;
    let mut lease = take(&views.b, &mut wakeups, second).await;
    let read = read_all(&mut lease, 100).await;
    assert_eq!(numbers(&read), (2_001..=2_040).collect::<Vec<_>>());
    finish(lease, &read).await;
}

/// A trigger that is published again, by whichever process, stands once and where it stood.
pub async fn a_repeated_publish_stands_once(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let channel = channel(1);
    let publishers: Vec<_> = (0..8)
        .map(|index| {
            let queue = if index % 2 == 0 { Arc::clone(&views.a) } else { Arc::clone(&views.b) };
            spawn(async move { publish(&queue, channel, [5].into_iter()).await })
        })
        .collect();
    for publisher in publishers {
        join(publisher).await;
    }
    publish(&views.b, channel, [6, 5, 6].into_iter()).await;
    let mut wakeups = open_wakeups(&views.a).await;
    let mut lease = take(&views.a, &mut wakeups, channel).await;
    let read = read_all(&mut lease, 100).await;
    assert_eq!(numbers(&read), [5, 6]);
    finish(lease, &read).await;
}

/// A trigger that is put back is another publish, also right after it was removed; and each retry
/// stands once.
pub async fn a_retry_comes_back_once(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let channel = channel(1);
    publish(&views.a, channel, [5].into_iter()).await;
    let mut wakeups = open_wakeups(&views.a).await;
    let mut lease = take(&views.a, &mut wakeups, channel).await;
    let read = read_all(&mut lease, 100).await;
    finish(lease, &read).await;
    for retry in [1, 1, 2, 1, 2] {
        let retried = Task { retry, ..task(channel, 5) };
        views.b.publish(retried).await.expect("the queue takes a retry");
    }
    let mut lease = take(&views.a, &mut wakeups, channel).await;
    let read = read_all(&mut lease, 100).await;
    let retries: Vec<u32> = read.iter().map(|waiting| waiting.task.retry).collect();
    assert_eq!((numbers(&read), retries), (vec![5, 5], vec![1, 2]));
    assert_eq!(read[1].task, Task { retry: 2, ..task(channel, 5) });
    finish(lease, &read).await;
}

/// A trigger that was answered and removed does not come back by being published again.
pub async fn publishing_again_after_removal_changes_nothing(stand: &dyn Stand) {
    let views = stand.open(Timing::SHORT).await;
    let channel = channel(1);
    publish(&views.a, channel, [5].into_iter()).await;
    let mut wakeups = open_wakeups(&views.a).await;
    let mut lease = take(&views.a, &mut wakeups, channel).await;
    let read = read_all(&mut lease, 100).await;
    finish(lease, &read).await;
    drop(wakeups);

    // Removal is not waited for by anyone, so the next holders may still find it for a moment.
    let mut marker = 100;
    eventually("a removed task is gone", async || {
        marker += 1;
        publish(&views.b, channel, [5, marker].into_iter()).await;
        let mut wakeups = open_wakeups(&views.b).await;
        let mut lease = take(&views.b, &mut wakeups, channel).await;
        let read = read_all(&mut lease, 100).await;
        let seen = numbers(&read);
        finish(lease, &read).await;
        seen == [marker]
    })
    .await;
    publish(&views.a, channel, [5, 200].into_iter()).await;
    let mut wakeups = open_wakeups(&views.a).await;
    let mut lease = take(&views.a, &mut wakeups, channel).await;
    let read = read_all(&mut lease, 100).await;
    // The last marker's removal may still be under way.
    let read: Vec<_> =
        read.into_iter().filter(|waiting| waiting.task != task(channel, marker)).collect();
    assert_eq!(numbers(&read), [200], "a trigger came back by being published again");
    finish(lease, &read).await;
}

/// While several publishers go on, workers on both views read each of their tasks once and in the
/// order of each publisher.
pub async fn reading_neither_skips_nor_reorders_while_publishing_goes_on(stand: &dyn Stand) {
    const PUBLISHERS: u64 = 4;
    const EACH: u64 = 150;
    const CHANNELS: u64 = 3;

    let seed: u64 = rand::random();
    let views = stand.open(Timing::LONG).await;
    let (record, stop) = (Arc::new(Record::default()), CancellationToken::new());
    let workers: Vec<_> = [&views.a, &views.b, &views.a, &views.b]
        .into_iter()
        .zip([1, 3, 50, 50])
        .map(|(queue, batch)| spawn_worker(queue, &record, &stop, batch))
        .collect();
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let queue =
                if publisher % 2 == 0 { Arc::clone(&views.a) } else { Arc::clone(&views.b) };
            let mut random = StdRng::seed_from_u64(seed ^ publisher);
            spawn(async move {
                let mut sent: Vec<(ChannelKey, u64)> = Vec::new();
                for index in 1..=EACH {
                    let (key, number) =
                        (channel(random.random_range(0..CHANNELS)), publisher * 10_000 + index);
                    publish(&queue, key, [number].into_iter()).await;
                    sent.push((key, number));
                    if random.random_bool(0.2) {
                        tokio::task::yield_now().await;
                    }
                    if random.random_bool(0.1) {
                        let (key, number) = sent[random.random_range(0..sent.len())];
                        publish(&queue, key, [number].into_iter()).await;
                    }
                }
                sent
            })
        })
        .collect();
    let mut sent = Vec::new();
    for publisher in publishers {
        sent.push(join(publisher).await);
    }
    let total = usize::try_from(PUBLISHERS * EACH).expect("tests are small");
    eventually(&format!("all {total} tasks are read (seed {seed})"), async || {
        (0..CHANNELS).map(|number| record.finished(channel(number)).len()).sum::<usize>() >= total
    })
    .await;
    stop.cancel();
    for worker in workers {
        join(worker).await;
    }
    for key in (0..CHANNELS).map(channel) {
        let finished = record.finished(key);
        for (publisher, sent) in sent.iter().enumerate() {
            let expected: Vec<u64> =
                sent.iter().filter(|(of, _)| *of == key).map(|(_, number)| *number).collect();
            let read: Vec<u64> = finished
                .iter()
                .copied()
                .filter(|number| usize::try_from(number / 10_000) == Ok(publisher))
                .collect();
            assert_eq!(read, expected, "channel {key}, publisher {publisher}, seed {seed}");
        }
    }
}

/// A direct message's channel has no guild, and is a channel like any other.
pub async fn a_direct_message_channel_is_read_like_any_other(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let direct = ChannelKey::new(None, Id::new(42 << 22));
    publish(&views.a, direct, [1, 2].into_iter()).await;
    let mut wakeups = open_wakeups(&views.b).await;
    let delivery = next_of(&mut wakeups, direct).await;
    assert_eq!(
        delivery.task,
        task(direct, delivery.task.trigger.message().expect("a message").get())
    );
    let mut lease =
        views.b.take(delivery).await.expect("the queue answers").expect("the channel is free");
    let read = read_all(&mut lease, 10).await;
    assert_eq!(numbers(&read), [1, 2]);
    assert!(read.iter().all(|waiting| waiting.task.channel == direct));
    finish(lease, &read).await;
}

/// A long message with its embeds comes through unchanged.
pub async fn a_large_task_is_read_as_it_was_published(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let channel = channel(1);
    let mut random = StdRng::seed_from_u64(7);
    let mut large = task(channel, 1);
    // Bytes that do not compress.
    large.payload = (0..400_000).map(|_| random.random::<u8>()).collect::<Vec<_>>().into();
    let mut empty = task(channel, 2);
    empty.payload = Bytes::new();
    views.a.publish(large.clone()).await.expect("the queue takes a large task");
    views.a.publish(empty.clone()).await.expect("the queue takes an empty task");
    let mut wakeups = open_wakeups(&views.b).await;
    let mut lease = take(&views.b, &mut wakeups, channel).await;
    let read = read_all(&mut lease, 10).await;
    assert!(read.len() == 2 && read[0].task == large && read[1].task == empty);
    finish(lease, &read).await;
}
