use std::{collections::HashSet, sync::Arc};

use futures::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;

use crate::Released;

use super::{
    Record, Stand, Timing, channel, eventually, finish, join, next_of, numbers, open_wakeups,
    publish, read_all, soon, spawn_worker, take, task,
};

/// A delivery for a held channel gets no second lease; the holder, giving back, keeps the lease
/// for it and reads it.
pub async fn a_delivery_for_a_held_channel_waits_for_its_holder(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let channel = channel(1);
    publish(&views.a, channel, [1].into_iter()).await;
    let mut wakeups = open_wakeups(&views.a).await;
    let mut lease = take(&views.a, &mut wakeups, channel).await;
    let first = read_all(&mut lease, 10).await;
    assert_eq!(numbers(&first), [1]);
    lease.remove(&first);

    let mut others = open_wakeups(&views.b).await;
    publish(&views.b, channel, [2].into_iter()).await;
    // Whichever process is woken finds the channel held.
    let (queue, delivery) = tokio::select! {
        delivery = next_of(&mut wakeups, channel) => (&views.a, delivery),
        delivery = next_of(&mut others, channel) => (&views.b, delivery),
    };
    assert_eq!(delivery.task, task(channel, 2));
    assert!(queue.take(delivery).await.expect("the queue answers").is_none());
    let fence = lease.fence();
    let Released::More(mut kept) = lease.release().await.expect("the holder can release") else {
        panic!("a channel was freed though a delivery was noted");
    };
    assert_eq!(kept.fence(), fence, "what is kept is the same holding");
    let second = read_all(&mut kept, 10).await;
    assert_eq!(numbers(&second), [2]);
    finish(kept, &second).await;
}

/// A channel where nothing waits becomes free, and what is published later wakes it anew.
pub async fn a_free_channel_is_woken_anew(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let channel = channel(1);
    let mut wakeups = open_wakeups(&views.a).await;
    for number in 1..=20 {
        let publisher = if number % 2 == 0 { &views.a } else { &views.b };
        publish(publisher, channel, [number].into_iter()).await;
        let mut lease = take(&views.a, &mut wakeups, channel).await;
        let read = read_all(&mut lease, 10).await;
        assert_eq!(numbers(&read).last(), Some(&number));
        assert!(finish(lease, &read).await.is_empty());
    }
}

/// However closely a publish and a release meet, the message is read without a redelivery.
pub async fn no_wake_up_is_lost_when_publishing_races_releasing(stand: &dyn Stand) {
    const MESSAGES: u64 = 1_500;

    let views = stand.open(Timing::LONG).await;
    let (record, stop) = (Arc::new(Record::default()), CancellationToken::new());
    let workers: Vec<_> = [&views.a, &views.b]
        .into_iter()
        .map(|queue| spawn_worker(queue, &record, &stop, 10))
        .collect();
    // A trigger is one message in one channel, so each channel has its own numbers.
    let keys = [(channel(1), 0), (channel(2), 10_000)];
    for number in 1..=MESSAGES {
        let publisher = if number % 2 == 0 { &views.a } else { &views.b };
        for (key, base) in keys {
            publish(publisher, key, [base + number].into_iter()).await;
        }
        // From slow enough that the holder has gone to so fast that it never goes, the step
        // between finding nothing and giving back is met sooner or later.
        if number % 3 == 0 {
            soon(&format!("message {number} is read"), async {
                while keys.iter().any(|(key, base)| record.last(*key) != Some(base + number)) {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        } else {
            for _ in 0..number % 50 {
                tokio::task::yield_now().await;
            }
        }
    }
    eventually("the last message is read", async || {
        keys.iter().all(|(key, base)| record.last(*key) == Some(base + MESSAGES))
    })
    .await;
    stop.cancel();
    for worker in workers {
        join(worker).await;
    }
    for (key, base) in keys {
        assert_eq!(record.finished(key), (base + 1..=base + MESSAGES).collect::<Vec<_>>());
    }
}

/// A channel that is handed over with work left is taken by another at once, under a higher epoch.
pub async fn handing_over_wakes_another_taker_at_once(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let channel = channel(1);
    publish(&views.a, channel, 1..=5).await;
    let mut wakeups = open_wakeups(&views.a).await;
    let mut lease = take(&views.a, &mut wakeups, channel).await;
    let read = lease.read(2).await.expect("the holder can read");
    assert_eq!(numbers(&read), [1, 2]);
    lease.remove(&read[..1]);
    let first = lease.fence();
    // It drains: it is woken no more, and what it had pulled is dropped.
    drop(wakeups);

    let mut wakeups = open_wakeups(&views.b).await;
    lease.hand_over().await.expect("the holder can hand over");
    let mut lease = take(&views.b, &mut wakeups, channel).await;
    assert!(lease.fence().epoch > first.epoch);
    let read = read_all(&mut lease, 10).await;
    let read_numbers: Vec<_> =
        numbers(&read).into_iter().skip_while(|number| *number == 1).collect();
    assert_eq!(read_numbers, [2, 3, 4, 5], "what was not removed is read again, in order");
    finish(lease, &read).await;
}

/// A reader that takes its time keeps no more from the others than what it pulled ahead.
pub async fn a_reader_takes_no_more_than_its_prefetch(stand: &dyn Stand) {
    const TASKS: u64 = 24;
    const PREFETCH: usize = 3;

    let views = stand.open(Timing::LONG).await;
    let mut slow = views.a.wakeups(PREFETCH).await.expect("the queue gives wake-ups");
    // Polled once, it is a reader that waits for deliveries; then it is busy.
    assert!(slow.next().now_or_never().is_none(), "an empty queue delivers nothing");
    for number in 1..=TASKS {
        publish(&views.a, channel(number), [number].into_iter()).await;
    }
    let mut others = open_wakeups(&views.b).await;
    let mut seen = HashSet::new();
    let at_least = usize::try_from(TASKS).expect("tests are small") - PREFETCH - 1;
    soon("the other reader gets what the slow one leaves", async {
        while seen.len() < at_least {
            let delivery = others.next().await.expect("wake-ups do not end");
            seen.insert(delivery.task.trigger.clone());
            views.b.turn_away(delivery).await.expect("the queue answers");
        }
    })
    .await;
    drop(slow);
}
