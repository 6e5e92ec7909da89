use std::{future::Future, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;

use ery_ids::{Epoch, Fence};

use crate::QueueError;

use super::{
    Record, Stand, Timing, channel, eventually, finish, join, next_of, numbers, open_wakeups,
    publish, read_all, soon, spawn_worker, take,
};

/// Every holding of a channel has a higher epoch than all before it: also after one was raised,
/// also after a restart.
pub async fn epochs_rise_with_every_holding(stand: &dyn Stand) {
    let channel = channel(1);
    let mut last = Epoch(0);
    let mut owners = Vec::new();
    let mut number = 0;
    for _ in 0..2 {
        let views = stand.open(Timing::SHORT).await;
        for index in 0..6 {
            let queue = if index % 2 == 0 { &views.a } else { &views.b };
            number += 1;
            publish(queue, channel, [number].into_iter()).await;
            let mut wakeups = open_wakeups(queue).await;
            let mut lease = take(queue, &mut wakeups, channel).await;
            let fence = lease.fence();
            assert!(fence.epoch > last, "{:?} after {last:?}", fence.epoch);
            assert!(!owners.contains(&fence.owner), "an owner names one holding");
            owners.push(fence.owner);
            last = fence.epoch;
            if index % 3 == 0 {
                // The store has seen a higher one: far ahead of every clock.
                let floor = Epoch(last.0 + 3_600_000_000);
                let raised = lease.raise_epoch(floor).await.expect("the holder can raise");
                assert!(raised > floor);
                assert_eq!(lease.fence().epoch, raised);
                let again = lease.raise_epoch(Epoch(5)).await.expect("the holder can raise");
                assert!(again >= raised, "an epoch never goes down");
                last = again;
            }
            let read = read_all(&mut lease, 10).await;
            finish(lease, &read).await;
        }
        drop(views);
    }
}

/// A holder that vanished keeps its channel until the lease's time is over; then another takes it
/// and reads everything again that was not removed, in order.
pub async fn a_dropped_lease_expires_and_its_tasks_are_read_again(stand: &dyn Stand) {
    let views = stand.open(Timing::SHORT).await;
    let channel = channel(1);
    publish(&views.a, channel, 1..=4).await;
    let mut wakeups = open_wakeups(&views.a).await;
    let mut lease = take(&views.a, &mut wakeups, channel).await;
    let read = read_all(&mut lease, 10).await;
    assert_eq!(numbers(&read), [1, 2, 3, 4]);
    lease.remove(&read[..1]);
    let epoch = lease.fence().epoch;
    drop(lease);
    drop(wakeups);

    let mut wakeups = open_wakeups(&views.b).await;
    let mut lease = take(&views.b, &mut wakeups, channel).await;
    assert!(lease.fence().epoch > epoch);
    let read = read_all(&mut lease, 10).await;
    let again: Vec<_> = numbers(&read).into_iter().skip_while(|number| *number == 1).collect();
    assert_eq!(again, [2, 3, 4]);
    finish(lease, &read).await;
}

/// The token of a lease that was dropped is cancelled, at the latest when another has the channel.
pub async fn a_dropped_lease_is_lost_to_its_holder(stand: &dyn Stand) {
    let views = stand.open(Timing::SHORT).await;
    let channel = channel(1);
    publish(&views.a, channel, [1].into_iter()).await;
    let mut wakeups = open_wakeups(&views.a).await;
    let lease = take(&views.a, &mut wakeups, channel).await;
    let lost = lease.lost();
    assert!(!lost.is_cancelled());
    drop(lease);
    drop(wakeups);
    let mut wakeups = open_wakeups(&views.b).await;
    let mut lease = take(&views.b, &mut wakeups, channel).await;
    soon("the former holder's token is cancelled", lost.cancelled()).await;
    assert!(!lease.lost().is_cancelled(), "the new holder has its own token");
    let read = read_all(&mut lease, 10).await;
    finish(lease, &read).await;
}

/// A lease renews itself: its holder keeps the channel for much longer than the lease's time.
pub async fn a_held_lease_outlives_its_time(stand: &dyn Stand) {
    let views = stand.open(Timing::SHORT).await;
    let channel = channel(1);
    publish(&views.a, channel, [1].into_iter()).await;
    let mut wakeups = open_wakeups(&views.a).await;
    let mut lease = take(&views.a, &mut wakeups, channel).await;
    drop(wakeups);
    let mut others = open_wakeups(&views.b).await;
    // Deliveries of the held channel, if any come, are refused all the while.
    let lost = lease.lost();
    let held_for = Timing::SHORT.lease_ttl * 4;
    let refused = async {
        loop {
            let delivery = others.next().await.expect("wake-ups do not end");
            assert!(views.b.take(delivery).await.expect("the queue answers").is_none());
        }
    };
    assert!(tokio::time::timeout(held_for, refused).await.is_err());
    assert!(!lost.is_cancelled(), "a lease that renews itself was lost");

    publish(&views.b, channel, [2].into_iter()).await;
    loop {
        let delivery = next_of(&mut others, channel).await;
        let number = delivery.task.trigger.message().expect("a message").get();
        assert!(views.b.take(delivery).await.expect("the queue answers").is_none());
        if number == 2 {
            break;
        }
    }
    let read = read_all(&mut lease, 10).await;
    assert_eq!(numbers(&read), [1, 2]);
    finish(lease, &read).await;
}

/// Many workers on both views, many channels: no channel has two holders, and all is read in order.
pub async fn two_views_never_hold_one_channel_at_once(stand: &dyn Stand) {
    const CHANNELS: u64 = 5;
    const MESSAGES: u64 = 80;

    let views = stand.open(Timing::LONG).await;
    let (record, stop) = (Arc::new(Record::default()), CancellationToken::new());
    let workers: Vec<_> = (0..6)
        .map(|index| {
            let queue = if index % 2 == 0 { &views.a } else { &views.b };
            spawn_worker(queue, &record, &stop, 1 + index)
        })
        .collect();
    // A trigger is one message in one channel, so each channel has its own numbers.
    let keys = (0..CHANNELS).map(|number| (channel(number), number * 10_000));
    for number in 1..=MESSAGES {
        for (key, base) in keys.clone() {
            let publisher = if number % 2 == 0 { &views.a } else { &views.b };
            publish(publisher, key, [base + number].into_iter()).await;
        }
    }
    eventually("all messages are read", async || {
        keys.clone().all(|(key, base)| record.last(key) == Some(base + MESSAGES))
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

/// A lease that ended behind its holder's back, as by a pause or an emptied Redis, is lost: the
/// token says so, and the former holder can no longer disturb the next one.
///
/// `seize` makes the lease of this fence end. Not part of
/// [`channel_queue_contract!`](crate::channel_queue_contract): where leases live in the process
/// itself, nothing can end them so.
pub async fn a_seized_lease_is_lost<F>(stand: &dyn Stand, seize: impl FnOnce(Fence) -> F)
where
    F: Future<Output = ()>,
{
    let views = stand.open(Timing::SHORT).await;
    let channel = channel(1);
    publish(&views.a, channel, [1].into_iter()).await;
    let mut wakeups = open_wakeups(&views.a).await;
    let mut former = take(&views.a, &mut wakeups, channel).await;
    let lost = former.lost();
    drop(wakeups);
    seize(former.fence()).await;
    let mut wakeups = open_wakeups(&views.b).await;
    let mut lease = take(&views.b, &mut wakeups, channel).await;
    soon("the former holder learns of it", lost.cancelled()).await;
    assert!(lease.fence().epoch > former.fence().epoch);
    assert!(matches!(
        former.raise_epoch(Epoch(1)).await,
        Err(QueueError::LeaseLost { channel: of }) if of == channel
    ));
    assert!(matches!(former.release().await, Err(QueueError::LeaseLost { .. })));

    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(lease.lost().cancelled().now_or_never().is_none(), "the next holder was disturbed");
    publish(&views.a, channel, [2].into_iter()).await;
    let mut others = open_wakeups(&views.a).await;
    drop(wakeups);
    let delivery = next_of(&mut others, channel).await;
    assert!(views.a.take(delivery).await.expect("the queue answers").is_none());
    let read = read_all(&mut lease, 10).await;
    assert_eq!(numbers(&read), [1, 2]);
    finish(lease, &read).await;
}
