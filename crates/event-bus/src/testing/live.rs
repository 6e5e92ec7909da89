use bytes::Bytes;
use futures::StreamExt;
use twilight_model::id::Id;

use ery_clock::UnixMillis;

use crate::{Event, Followed, FollowedEvents, GatewayShard, ResumePoint, Topic};

use super::{CREATED, DELETED, Stand, Timing, event, guild, guild_of_another_part, publish, soon};

/// Returns what a follower sees until event `last`, without gaps if there are none.
async fn follow_until(followed: &mut FollowedEvents, last: &Event) -> Vec<Event> {
    let mut seen = Vec::new();
    loop {
        let one = soon("a followed event", followed.next()).await.expect("following does not end");
        let Followed::Event(event) = one else { panic!("a gap among a handful of events") };
        seen.push(event);
        if seen.last() == Some(last) {
            return seen;
        }
    }
}

/// A follower sees the kinds it asked for, of all parts, from the moment it began; each of them.
pub async fn a_follower_sees_what_is_published_from_now_on(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let home = guild(1);
    let other = guild_of_another_part(home);
    publish(&views.a, home, CREATED, 1..=5).await;
    for (bus, from) in [(&views.a, 10), (&views.b, 100)] {
        let mut followed = bus.follow(&[CREATED]).await.expect("the bus can be followed");
        let mut expected = Vec::new();
        for number in from..from + 10 {
            let home = if number % 2 == 0 { home } else { other };
            publish(&views.a, home, CREATED, [number].into_iter()).await;
            publish(&views.b, home, DELETED, [number + 1_000].into_iter()).await;
            expected.push(event(home, CREATED, number));
        }
        let last = expected.last().expect("ten were published").clone();
        let mut seen = follow_until(&mut followed, &last).await;
        // Order is kept within a part.
        for part in [home.part(), other.part()] {
            let of = |events: &[Event]| -> Vec<Event> {
                events.iter().filter(|event| event.home.part() == part).cloned().collect()
            };
            if part == last.home.part() {
                assert_eq!(of(&seen), of(&expected));
            }
        }
        while seen.len() < expected.len() {
            let more = soon("a followed event", followed.next()).await;
            let Some(Followed::Event(event)) = more else { panic!("events are missing") };
            seen.push(event);
        }
        assert!(expected.iter().all(|event| seen.contains(event)));
        assert!(seen.iter().all(|event| event.kind == CREATED));
    }
}

/// Who names no kinds follows all.
pub async fn a_follower_of_no_kinds_sees_all(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let home = guild(1);
    let mut followed = views.b.follow(&[]).await.expect("the bus can be followed");
    let expected = [
        event(home, CREATED, 1),
        event(home, DELETED, 2),
        event(home, "guild_scheduled_event_create", 3),
    ];
    for event in expected.clone() {
        views.a.publish(event).await.expect("the bus takes an event");
    }
    assert_eq!(follow_until(&mut followed, &expected[2]).await, expected);
}

/// A broadcast reaches all who listen to its topic now, its sender's own process too, and nobody
/// who begins later.
pub async fn a_broadcast_reaches_everyone_who_listens_now(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let listen = async |bus: &std::sync::Arc<dyn crate::EventBus>, topic| {
        bus.listen(topic).await.expect("the bus can be listened to")
    };
    let mut here = listen(&views.a, Topic::ConfigChanged).await;
    let mut there = listen(&views.b, Topic::ConfigChanged).await;
    let mut other = listen(&views.b, Topic::MessagesChanged).await;
    for text in ["one", "two", "three"] {
        views.a.broadcast(Topic::ConfigChanged, Bytes::from(text)).await.expect("it can be told");
    }
    for heard in [&mut here, &mut there] {
        for text in ["one", "two", "three"] {
            assert_eq!(soon("a broadcast", heard.next()).await, Some(Bytes::from(text)));
        }
    }
    let mut late = listen(&views.a, Topic::ConfigChanged).await;
    views.b.broadcast(Topic::MessagesChanged, Bytes::from("else")).await.expect("it can be told");
    views.b.broadcast(Topic::ConfigChanged, Bytes::from("four")).await.expect("it can be told");
    assert_eq!(soon("a broadcast", late.next()).await, Some(Bytes::from("four")));
    assert_eq!(soon("a broadcast", other.next()).await, Some(Bytes::from("else")));
}

fn resume_point(sequence: u64) -> ResumePoint {
    ResumePoint {
        session: format!("session-{sequence}"),
        resume_url: "wss://gateway-us-east1-b.discord.gg".to_owned(),
        sequence,
        bot: Id::new(77),
        saved_at: UnixMillis(1_700_000_000_000),
    }
}

/// Each shard of each total has its own resume point: the one saved last, or none.
pub async fn a_resume_point_is_what_was_saved_last(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let shards = [(0, 1), (0, 16), (1, 16)].map(|(number, total)| GatewayShard { number, total });
    for shard in shards {
        assert_eq!(views.a.resume_point(shard).await.expect("the bus answers"), None);
    }
    for (shard, sequence) in [(0, 10), (1, 20), (1, 21), (0, 12)] {
        let point = resume_point(sequence);
        let saved = views.a.save_resume_point(shards[shard], Some(&point)).await;
        saved.expect("the bus saves it");
        let read = views.b.resume_point(shards[shard]).await.expect("the bus answers");
        assert_eq!(read, Some(point));
    }
    assert_eq!(views.b.resume_point(shards[2]).await.expect("the bus answers"), None);
    views.b.save_resume_point(shards[0], None).await.expect("the bus forgets it");
    views.b.save_resume_point(shards[0], None).await.expect("forgetting twice is no error");
    assert_eq!(views.a.resume_point(shards[0]).await.expect("the bus answers"), None);
    let kept = views.a.resume_point(shards[1]).await.expect("the bus answers");
    assert_eq!(kept, Some(resume_point(21)));
}

/// A resume point that was saved is there after a restart; one that was forgotten is not.
pub async fn resume_points_outlive_a_restart(stand: &dyn Stand) {
    let (kept, forgotten) =
        (GatewayShard { number: 0, total: 2 }, GatewayShard { number: 1, total: 2 });
    let views = stand.open(Timing::LONG).await;
    for shard in [kept, forgotten] {
        views.a.save_resume_point(shard, Some(&resume_point(5))).await.expect("it is saved");
    }
    views.a.save_resume_point(forgotten, None).await.expect("it is forgotten");
    drop(views);
    let views = stand.open(Timing::LONG).await;
    let point = views.b.resume_point(kept).await.expect("the bus answers");
    assert_eq!(point, Some(resume_point(5)));
    assert_eq!(views.b.resume_point(forgotten).await.expect("the bus answers"), None);
}
