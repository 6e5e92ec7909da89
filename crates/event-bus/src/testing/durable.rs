use std::sync::Arc;

use rand::{Rng, SeedableRng, rngs::StdRng};
use twilight_model::id::Id;

use ery_ids::Home;

use super::{
    CREATED, DELETED, Stand, Timing, ack_until, consume, event, guild, guild_of_another_part, join,
    next, number_of, publish, spawn,
};

/// A handler gets its part's events as they were published, whole, and those of no other part.
pub async fn a_handler_reads_its_part_in_order(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let home = guild(1);
    let other = guild_of_another_part(home);
    let mut deliveries = consume(&views.a, "ingest", &[CREATED], home).await;
    for number in 1..=60 {
        let publisher = if number % 2 == 0 { &views.a } else { &views.b };
        publish(publisher, home, CREATED, [1_000 - number].into_iter()).await;
        publish(publisher, other, CREATED, [5_000 + number].into_iter()).await;
    }
    for number in 1..=60 {
        let delivery = next(&mut deliveries).await;
        assert_eq!(delivery.event, event(home, CREATED, 1_000 - number));
        assert!(!delivery.is_redelivery);
        delivery.ack().await.expect("the bus takes an acknowledgement");
    }
}

/// Only the kinds asked for are delivered, in the order of all of them together.
pub async fn a_handler_hears_its_kinds_only(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let home = Home::Dm(Id::new(42 << 22));
    let mut both = consume(&views.b, "both", &[CREATED, DELETED], home).await;
    let mut one = consume(&views.b, "one", &[DELETED], home).await;
    for number in 1..=30 {
        let kind = [CREATED, DELETED, "typing_start"]
            [usize::from(number % 3 == 0) + usize::from(number % 5 == 0)];
        publish(&views.a, home, kind, [number].into_iter()).await;
    }
    publish(&views.a, home, DELETED, [100].into_iter()).await;
    let of = |kinds: &[&str]| -> Vec<u64> {
        (1..=30)
            .filter(|number| {
                let kind = [CREATED, DELETED, "typing_start"]
                    [usize::from(number % 3 == 0) + usize::from(number % 5 == 0)];
                kinds.contains(&kind)
            })
            .chain([100])
            .collect()
    };
    assert_eq!(ack_until(&mut both, 100).await, of(&[CREATED, DELETED]));
    assert_eq!(ack_until(&mut one, 100).await, of(&[DELETED]));
}

/// Each handler gets each event, however far the others are.
pub async fn every_handler_gets_every_event(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let home = guild(1);
    let mut first = consume(&views.a, "first", &[CREATED], home).await;
    let mut second = consume(&views.b, "second", &[CREATED], home).await;
    let _idle = consume(&views.b, "idle", &[CREATED], home).await;
    publish(&views.a, home, CREATED, 1..=20).await;
    assert_eq!(ack_until(&mut first, 20).await, (1..=20).collect::<Vec<_>>());
    publish(&views.a, home, CREATED, 21..=30).await;
    assert_eq!(ack_until(&mut second, 30).await, (1..=30).collect::<Vec<_>>());
    assert_eq!(ack_until(&mut first, 30).await, (21..=30).collect::<Vec<_>>());
}

/// What was published before a handler's first use is delivered to it too.
pub async fn a_new_handler_gets_what_the_bus_still_holds(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let home = guild(1);
    let mut old = consume(&views.a, "old", &[CREATED], home).await;
    publish(&views.a, home, CREATED, 1..=25).await;
    assert_eq!(ack_until(&mut old, 25).await, (1..=25).collect::<Vec<_>>());
    let mut new = consume(&views.b, "new", &[CREATED], home).await;
    publish(&views.b, home, CREATED, 26..=30).await;
    assert_eq!(ack_until(&mut new, 30).await, (1..=30).collect::<Vec<_>>());
}

/// A repeat of an event's id changes nothing, whoever publishes it, and also after a restart.
pub async fn a_repeated_publish_is_delivered_once(stand: &dyn Stand) {
    let home = guild(1);
    let views = stand.open(Timing::LONG).await;
    let publishers: Vec<_> = (0..8)
        .map(|index| {
            let bus = Arc::clone(if index % 2 == 0 { &views.a } else { &views.b });
            spawn(async move { publish(&bus, home, CREATED, [1].into_iter()).await })
        })
        .collect();
    for publisher in publishers {
        join(publisher).await;
    }
    publish(&views.a, home, CREATED, [2, 1, 2].into_iter()).await;
    drop(views);
    let views = stand.open(Timing::LONG).await;
    let mut deliveries = consume(&views.b, "ingest", &[CREATED], home).await;
    publish(&views.b, home, CREATED, [1, 3].into_iter()).await;
    assert_eq!(ack_until(&mut deliveries, 3).await, [1, 2, 3]);
    publish(&views.a, home, CREATED, [2, 3, 4].into_iter()).await;
    assert_eq!(
        ack_until(&mut deliveries, 4).await,
        [4],
        "an acknowledged event was published anew"
    );
}

/// An event whose acknowledgement was answered does not come again: not to the next reader, and
/// not after a restart.
pub async fn an_acknowledged_event_never_comes_again(stand: &dyn Stand) {
    let home = guild(1);
    let views = stand.open(Timing::SHORT).await;
    publish(&views.a, home, CREATED, 1..=10).await;
    let mut deliveries = consume(&views.a, "ingest", &[CREATED], home).await;
    assert_eq!(ack_until(&mut deliveries, 10).await, (1..=10).collect::<Vec<_>>());
    // Longer than the redelivery time: what is waited for is that nothing comes.
    let silence = Timing::SHORT.redelivery * 3;
    assert!(
        tokio::time::timeout(silence, futures::StreamExt::next(&mut deliveries)).await.is_err(),
        "an acknowledged event came again"
    );
    drop(deliveries);
    let mut deliveries = consume(&views.b, "ingest", &[CREATED], home).await;
    publish(&views.a, home, CREATED, 11..=12).await;
    assert_eq!(ack_until(&mut deliveries, 12).await, [11, 12]);
    drop(deliveries);
    drop(views);

    let views = stand.open(Timing::SHORT).await;
    let mut deliveries = consume(&views.a, "ingest", &[CREATED], home).await;
    publish(&views.b, home, CREATED, [13].into_iter()).await;
    assert_eq!(ack_until(&mut deliveries, 13).await, [13]);
}

/// A delivery that is dropped comes again to the same reader, marked as such, while others go on.
pub async fn a_dropped_event_comes_again(stand: &dyn Stand) {
    let views = stand.open(Timing::SHORT).await;
    let home = guild(1);
    publish(&views.a, home, CREATED, 1..=3).await;
    let mut deliveries = consume(&views.a, "ingest", &[CREATED], home).await;
    for expected in 1..=3 {
        let delivery = next(&mut deliveries).await;
        assert_eq!(number_of(&delivery.event), expected);
        assert!(!delivery.is_redelivery);
        if expected == 2 {
            drop(delivery);
        } else {
            delivery.ack().await.expect("the bus takes an acknowledgement");
        }
    }
    for _ in 0..2 {
        let delivery = next(&mut deliveries).await;
        assert_eq!(delivery.event, event(home, CREATED, 2));
        assert!(delivery.is_redelivery);
    }
    publish(&views.b, home, CREATED, [4].into_iter()).await;
    let mut seen = ack_until(&mut deliveries, 4).await;
    if !seen.contains(&2) {
        seen.extend(ack_until(&mut deliveries, 2).await);
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [2, 4]);
}

/// What was delivered and not acknowledged, and what was never delivered, comes after a restart,
/// in order.
pub async fn what_was_not_acknowledged_comes_again_after_a_restart(stand: &dyn Stand) {
    let home = guild(1);
    let views = stand.open(Timing::SHORT).await;
    publish(&views.a, home, CREATED, 1..=40).await;
    let mut deliveries = consume(&views.a, "ingest", &[CREATED], home).await;
    let mut unanswered = Vec::new();
    for expected in 1..=20 {
        let delivery = next(&mut deliveries).await;
        assert_eq!(number_of(&delivery.event), expected);
        if expected <= 10 {
            delivery.ack().await.expect("the bus takes an acknowledgement");
        } else {
            unanswered.push(delivery);
        }
    }
    drop(unanswered);
    drop(deliveries);
    drop(views);

    let views = stand.open(Timing::SHORT).await;
    let mut deliveries = consume(&views.b, "ingest", &[CREATED], home).await;
    let mut again = Vec::new();
    while again.len() < 30 {
        let delivery = next(&mut deliveries).await;
        again.push(number_of(&delivery.event));
        delivery.ack().await.expect("the bus takes an acknowledgement");
    }
    // Where a server holds the unanswered ones for another moment, the others may come first.
    let (held, fresh): (Vec<u64>, Vec<u64>) = again.iter().partition(|number| **number <= 20);
    assert_eq!(held, (11..=20).collect::<Vec<_>>());
    assert_eq!(fresh, (21..=40).collect::<Vec<_>>());
}

/// While many publish and a handler reads, nothing is missed, doubled, or out of its order.
pub async fn while_many_publish_each_ones_order_is_kept(stand: &dyn Stand) {
    const PUBLISHERS: u64 = 4;
    const EACH: u64 = 200;

    let seed: u64 = rand::random();
    let views = stand.open(Timing::LONG).await;
    let home = guild(1);
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let bus = Arc::clone(if publisher % 2 == 0 { &views.a } else { &views.b });
            let mut random = StdRng::seed_from_u64(seed ^ publisher);
            spawn(async move {
                for index in 1..=EACH {
                    publish(&bus, home, CREATED, [publisher * 10_000 + index].into_iter()).await;
                    if random.random_bool(0.1) {
                        let repeated = publisher * 10_000 + random.random_range(1..=index);
                        publish(&bus, home, CREATED, [repeated].into_iter()).await;
                    }
                }
            })
        })
        .collect();
    let mut early = consume(&views.a, "early", &[CREATED], home).await;
    let mut delivered = Vec::new();
    for _ in 0..PUBLISHERS * EACH {
        let delivery = next(&mut early).await;
        delivered.push(number_of(&delivery.event));
        delivery.ack().await.expect("the bus takes an acknowledgement");
    }
    for publisher in publishers {
        join(publisher).await;
    }
    for publisher in 0..PUBLISHERS {
        let of: Vec<u64> = delivered
            .iter()
            .filter(|number| **number / 10_000 == publisher)
            .map(|number| number % 10_000)
            .collect();
        assert_eq!(of, (1..=EACH).collect::<Vec<_>>(), "publisher {publisher}, seed {seed}");
    }
    let mut late = consume(&views.b, "late", &[CREATED], home).await;
    let again = ack_until(&mut late, *delivered.last().expect("something was published")).await;
    assert_eq!(again, delivered, "two handlers disagree about the order (seed {seed})");
}

/// A large guild's dispatch comes through unchanged.
pub async fn a_large_event_comes_through_unchanged(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let home = guild(1);
    let mut random = StdRng::seed_from_u64(7);
    let mut large = event(home, "guild_create", 1);
    // Text that compresses, as JSON does, to well below a megabyte.
    large.payload = (0..1_500_000_u32)
        .map(|index| if index % 8 == 0 { random.random_range(b'a'..=b'z') } else { b'"' })
        .collect::<Vec<_>>()
        .into();
    let mut deliveries = consume(&views.b, "cache", &["guild_create"], home).await;
    views.a.publish(large.clone()).await.expect("the bus takes a large event");
    let delivery = next(&mut deliveries).await;
    assert!(delivery.event == large, "a large event was changed on its way");
    delivery.ack().await.expect("the bus takes an acknowledgement");
}
