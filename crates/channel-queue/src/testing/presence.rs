use std::{collections::HashSet, sync::Arc, time::Duration};

use ery_clock::{Clock, SystemClock};
use ery_ids::ChannelKey;

use crate::{ChannelQueue, Hint, Released};

use super::{
    Stand, Timing, channel, eventually, finish, next, next_of, numbers, open_wakeups, publish,
    read_all, take,
};

/// A task stays until it is removed: whether its delivery was dropped, or its holder released
/// without removing it, it comes again, to any process.
pub async fn a_task_that_is_not_removed_is_delivered_again(stand: &dyn Stand) {
    let views = stand.open(Timing::SHORT).await;
    let (dropped, kept) = (channel(1), channel(2));
    publish(&views.a, dropped, [1].into_iter()).await;
    publish(&views.a, kept, [2].into_iter()).await;
    let mut wakeups = open_wakeups(&views.a).await;
    drop(next_of(&mut wakeups, dropped).await);
    let mut lease = take(&views.a, &mut wakeups, kept).await;
    assert_eq!(numbers(&read_all(&mut lease, 10).await), [2]);
    assert!(matches!(lease.release().await, Ok(Released::Free)), "everything has been read");
    drop(wakeups);

    let mut wakeups = open_wakeups(&views.b).await;
    for (key, number) in [(dropped, 1), (kept, 2), (dropped, 1)] {
        let mut lease = take(&views.b, &mut wakeups, key).await;
        let read = read_all(&mut lease, 10).await;
        assert_eq!(numbers(&read), [number]);
        assert!(matches!(lease.release().await, Ok(Released::Free)));
    }
}

/// What was removed is gone for ever: no redelivery and no restart brings it back.
pub async fn removed_tasks_never_come_back(stand: &dyn Stand) {
    let (removed, control) = (channel(1), channel(2));
    let views = stand.open(Timing::SHORT).await;
    publish(&views.a, removed, 1..=20).await;
    let mut wakeups = open_wakeups(&views.a).await;
    let mut lease = take(&views.a, &mut wakeups, removed).await;
    let read = read_all(&mut lease, 100).await;
    finish(lease, &read).await;

    // Removal is not waited for by anyone: see it happen first.
    let mut marker = 100;
    eventually("the removed tasks are gone", async || {
        marker += 1;
        publish(&views.a, removed, [marker].into_iter()).await;
        let mut lease = take(&views.a, &mut wakeups, removed).await;
        let read = read_all(&mut lease, 100).await;
        let seen = numbers(&read);
        finish(lease, &read).await;
        seen == [marker]
    })
    .await;
    drop(wakeups);

    publish(&views.b, control, [500].into_iter()).await;
    only_the_control_task_comes_again(&views.b, control, removed, marker).await;
    drop(views);
    let views = stand.open(Timing::SHORT).await;
    only_the_control_task_comes_again(&views.a, control, removed, marker).await;
}

/// Waits for two redeliveries of a task that stays; nothing else may come meanwhile, but for the
/// last marker, whose removal may still be under way.
async fn only_the_control_task_comes_again(
    queue: &Arc<dyn ChannelQueue>,
    control: ChannelKey,
    removed: ChannelKey,
    marker: u64,
) {
    let mut wakeups = open_wakeups(queue).await;
    let mut times = 0;
    while times < 3 {
        let delivery = next(&mut wakeups).await;
        let number = delivery.task.trigger.message().expect("tests use messages").get();
        if delivery.task.channel == control {
            times += 1;
        } else {
            assert_eq!(delivery.task.channel, removed);
            assert_eq!(number, marker, "a removed task came back");
            queue.turn_away(delivery).await.expect("the queue answers");
        }
    }
}

/// A restart forgets nothing that was published and not removed, and keeps its order.
pub async fn what_was_not_removed_outlives_a_restart(stand: &dyn Stand) {
    let (first, second) = (channel(1), channel(2));
    let views = stand.open(Timing::SHORT).await;
    publish(&views.a, first, 1..=30).await;
    publish(&views.b, second, 101..=130).await;
    let mut wakeups = open_wakeups(&views.a).await;
    let mut lease = take(&views.a, &mut wakeups, first).await;
    let read = lease.read(10).await.expect("the holder can read");
    lease.remove(&read[..5]);
    drop(lease);
    drop(wakeups);
    drop(views);

    let views = stand.open(Timing::SHORT).await;
    publish(&views.b, first, [31].into_iter()).await;
    let mut wakeups = open_wakeups(&views.b).await;
    let mut lease = take(&views.b, &mut wakeups, first).await;
    let read = read_all(&mut lease, 7).await;
    let again: Vec<_> = numbers(&read).into_iter().skip_while(|number| *number <= 5).collect();
    assert_eq!(again, (6..=31).collect::<Vec<_>>());
    finish(lease, &read).await;
    let mut lease = take(&views.b, &mut wakeups, second).await;
    let read = read_all(&mut lease, 7).await;
    assert_eq!(numbers(&read), (101..=130).collect::<Vec<_>>());
    finish(lease, &read).await;
}

/// What the gate turned away is removed without a lease; the channel's other tasks stay.
pub async fn what_was_turned_away_never_comes_back(stand: &dyn Stand) {
    let views = stand.open(Timing::SHORT).await;
    let (noisy, control) = (channel(1), channel(2));
    publish(&views.a, noisy, 1..=6).await;
    let mut wakeups = open_wakeups(&views.a).await;
    let mut kept = HashSet::new();
    let mut away = HashSet::new();
    while kept.len() + away.len() < 6 {
        let delivery = next_of(&mut wakeups, noisy).await;
        let number = delivery.task.trigger.message().expect("a message").get();
        if number % 2 == 0 {
            kept.insert(number);
        } else {
            away.insert(number);
            views.a.turn_away(delivery).await.expect("the queue removes it");
        }
    }
    drop(wakeups);
    publish(&views.b, control, [100].into_iter()).await;
    let mut wakeups = open_wakeups(&views.b).await;
    let mut times = 0;
    while times < 3 {
        let delivery = next(&mut wakeups).await;
        let number = delivery.task.trigger.message().expect("a message").get();
        if delivery.task.channel == control {
            times += 1;
        } else {
            assert!(!away.contains(&number), "message {number} was turned away and came back");
        }
    }
    let mut lease = take(&views.b, &mut wakeups, noisy).await;
    let read = read_all(&mut lease, 2).await;
    assert_eq!(numbers(&read), [2, 4, 6]);
    finish(lease, &read).await;
}

/// A delivery that is taken after its task was removed finds nothing, and harms nothing.
pub async fn a_delivery_of_a_removed_task_is_harmless(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let channel = channel(1);
    publish(&views.a, channel, [1, 2].into_iter()).await;
    let mut wakeups = open_wakeups(&views.a).await;
    let first = next_of(&mut wakeups, channel).await;
    let second = next_of(&mut wakeups, channel).await;
    let mut lease = views.a.take(first).await.expect("the queue answers").expect("it is free");
    let read = read_all(&mut lease, 10).await;
    assert_eq!(numbers(&read), [1, 2]);
    assert!(finish(lease, &read).await.is_empty());
    // Granted or not, there is nothing new to read, and the channel is free afterwards.
    if let Some(mut lease) = views.a.take(second).await.expect("the queue answers") {
        let read = read_all(&mut lease, 10).await;
        assert!(numbers(&read).iter().all(|number| *number <= 2));
        finish(lease, &read).await;
    }
    publish(&views.b, channel, [3].into_iter()).await;
    let mut lease = take(&views.a, &mut wakeups, channel).await;
    let read = read_all(&mut lease, 10).await;
    assert_eq!(numbers(&read).last(), Some(&3));
    finish(lease, &read).await;
}

/// The hint tells a held channel and an open exchange from a quiet one, in every process.
pub async fn a_channel_is_active_while_held_or_an_exchange_is_open(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let channel = channel(1);
    let both = async |hint: Hint| {
        views.a.hint(channel).await == hint && views.b.hint(channel).await == hint
    };
    eventually("a channel is quiet at first", async || both(Hint::Quiet).await).await;
    publish(&views.a, channel, [1].into_iter()).await;
    let mut wakeups = open_wakeups(&views.a).await;
    let mut lease = take(&views.a, &mut wakeups, channel).await;
    eventually("a held channel is active", async || both(Hint::Active).await).await;
    let read = read_all(&mut lease, 10).await;
    assert!(finish(lease, &read).await.is_empty());
    eventually("a free channel is quiet", async || both(Hint::Quiet).await).await;

    publish(&views.a, channel, [2].into_iter()).await;
    let mut lease = take(&views.a, &mut wakeups, channel).await;
    let until = SystemClock.now() + Duration::from_secs(2);
    lease.set_active_until(Some(until)).await;
    let read = read_all(&mut lease, 10).await;
    assert!(finish(lease, &read).await.is_empty());
    if SystemClock.now() < until - Duration::from_millis(500) {
        eventually("an open exchange is active", async || {
            both(Hint::Active).await || SystemClock.now() >= until
        })
        .await;
    }
    eventually("an exchange ends with its time", async || both(Hint::Quiet).await).await;
    assert!(SystemClock.now() + Duration::from_millis(200) >= until, "it ended before its time");

    publish(&views.a, channel, [3].into_iter()).await;
    let mut lease = take(&views.a, &mut wakeups, channel).await;
    lease.set_active_until(Some(SystemClock.now() + Duration::from_mins(10))).await;
    lease.set_active_until(None).await;
    let read = read_all(&mut lease, 10).await;
    assert!(finish(lease, &read).await.is_empty());
    eventually("a closed exchange is quiet", async || both(Hint::Quiet).await).await;
}
