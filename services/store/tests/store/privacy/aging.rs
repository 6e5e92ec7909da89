//! Data goes by age, by kind.

use std::time::Duration;

use ery_clock::Clock as _;
use ery_proto::common::v1::Message;
use ery_store::{Kept, Retention, Settings};

use super::{
    Running, rows,
    traces::{OTHER, fill, new_thread, said_by, text_step},
};
use crate::support::{Store, begin, created, fence};

#[tokio::test(flavor = "multi_thread")]
async fn data_goes_by_age_and_by_kind() {
    let days = |days: u64| Kept::For(Duration::from_hours(24 * days));
    let retention = Retention {
        messages: days(10),
        journals: days(10),
        executions: days(10),
        dead_letters: days(10),
        names: days(10),
        cases: Kept::Forever,
        usage: days(62),
        sweep_every: Duration::from_secs(1),
    };
    let mut store = Store::with(Settings { retention, ..Settings::default() }).await;
    fill(&mut store).await;
    assert_eq!(rows(&store, "SELECT count(*) FROM channel_summaries"), ["1"]);
    store.clock.advance(Duration::from_hours(24 * 20));
    let new = u64::try_from(store.clock.now().0 - 1_420_070_400_000).unwrap() << 22;
    let fresh = Message { created_at_ms: store.clock.now().0, ..said_by(OTHER, new, "fresh") };
    store.ingest(vec![created("mc.new", fresh)]).await;
    let waiting = new_thread();
    let running = Running::start(&store);
    let swept = async {
        loop {
            let left = rows(
                &store,
                "SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM task_thread_steps),
                     (SELECT count(*) FROM tool_executions WHERE arguments <> ''),
                     (SELECT count(*) FROM dead_letters), (SELECT count(*) FROM users),
                     (SELECT count(*) FROM channel_summaries)",
            );
            if left == ["1 | 0 | 0 | 0 | 1 | 0"] {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), swept).await.expect("what is old goes");
    running.stop().await;
    let left = rows(&store, "SELECT content FROM messages");
    assert_eq!(left, ["fresh"]);
    let audit = rows(&store, "SELECT count(*), count(redacted_at_ms) FROM tool_executions");
    assert_eq!(audit, ["4 | 4"], "the audit stays, without its text");
    assert_eq!(rows(&store, "SELECT count(*), min(reason) <> '' FROM moderation_logs"), ["1 | 1"]);
    let plans = rows(&store, "SELECT arguments <> '' FROM scheduled_actions");
    assert_eq!(plans, ["1", "1"], "what is yet to be done keeps what it needs");
    // What is under way is not touched, however old it looks.
    let holder = fence(6, "later");
    store.open_channel(&holder).await;
    store.begin(begin(&holder, waiting, &[said_by(OTHER, new + 1, "go on")])).await.unwrap();
    store.append(&holder, waiting, vec![text_step(0, "kept")]).await.unwrap();
    store.clock.advance(Duration::from_hours(24 * 20));
    let running = Running::start(&store);
    let swept = async {
        while rows(&store, "SELECT content FROM messages WHERE content <> ''") != [""; 0] {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), swept).await.expect("what is old goes");
    running.stop().await;
    assert_eq!(rows(&store, "SELECT count(*) FROM task_thread_steps"), ["1"]);
}
