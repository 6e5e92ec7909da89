use serde_json::json;

use ery_ids::ChannelKey;
use ery_proto::store::v1::{IngestEvent, ingest_event::Change};

use crate::support::{
    ANN, BEN, BOT, GUILD,
    stand::{Stand, Written},
    until,
};

async fn create(stand: &Stand, written: &Written) -> u64 {
    let id = stand.next_id();
    let payload = written.payload(id);
    stand.dispatch(&format!("mc.{id}"), "message_create", written.key(), payload).await;
    id
}

fn created(event: &IngestEvent) -> &ery_proto::common::v1::Message {
    let Some(Change::Created(message)) = &event.change else { panic!("{event:?}") };
    message
}

#[tokio::test]
async fn messages_are_taken_in_with_the_gates_reason() {
    let stand = Stand::new().await;
    let _process = stand.start();
    create(&stand, &Written::by(ANN, "ery, hello")).await;
    create(&stand, &Written::by(BEN, "hello all")).await;
    create(&stand, &Written::by(BOT, "mine")).await;
    until("all are taken in", || stand.store.ingested().len() == 3).await;
    let ingested = stand.store.ingested();
    let reasons: Vec<_> = ingested.iter().map(|event| created(event).gate_reason.clone()).collect();
    assert_eq!(reasons, ["", "not_addressed", "own"]);
    assert_eq!(created(&ingested[0]).content, "ery, hello");
    assert!(created(&ingested[2]).is_own);
}

#[tokio::test]
async fn a_guilds_events_keep_their_order_through_an_outage() {
    let stand = Stand::new().await;
    stand.store.faults.add("IngestMessages", tonic::Status::unavailable("away"), 5);
    let _process = stand.start();
    let mut ids = Vec::new();
    for index in 0..300 {
        ids.push(create(&stand, &Written::by(ANN, &format!("{index}"))).await);
    }
    until("all are taken in", || stand.store.ingested().len() == 300).await;
    let taken: Vec<_> =
        stand.store.ingested().iter().map(|event| created(event).message_id).collect();
    assert_eq!(taken, ids);
}

#[tokio::test]
async fn every_guild_is_taken_in_whatever_its_part() {
    let stand = Stand::new().await;
    let _process = stand.start();
    for guild in 1..=40_u64 {
        create(&stand, &Written::by(ANN, "hi").in_guild(guild << 22)).await;
    }
    create(&stand, &Written::by(ANN, "hi").in_guild(0).in_channel(30 << 22)).await;
    until("all are taken in", || stand.store.ingested().len() == 41).await;
}

#[tokio::test]
async fn edits_and_deletions_are_taken_in_and_told() {
    use ery_event_bus::{EventBus, Topic};
    use futures::StreamExt;

    let stand = Stand::new().await;
    let mut told = stand.bus.listen(Topic::MessagesChanged).await.unwrap();
    let _process = stand.start();
    let written = Written::by(ANN, "hello");
    let id = create(&stand, &written).await;
    let edited = written.clone().with(json!({
        "content": "hello!", "edited_timestamp": "2026-01-01T00:00:00.000000+00:00",
    }));
    let unfurled = written.clone().with(json!({"edited_timestamp": null, "embeds": [{}]}));
    let key = written.key();
    stand.dispatch("s.1", "message_update", key, unfurled.payload(id)).await;
    stand.dispatch("s.2", "message_update", key, edited.payload(id)).await;
    let gone = json!({"id": id.to_string(), "channel_id": "20"}).to_string();
    stand.dispatch("s.3", "message_delete", key, gone.into_bytes()).await;
    let many = json!({"ids": ["5", "6"], "channel_id": "20"}).to_string();
    stand.dispatch("s.4", "message_delete_bulk", key, many.into_bytes()).await;

    let mut messages = Vec::new();
    for _ in 0..3 {
        let next = tokio::time::timeout(std::time::Duration::from_secs(10), told.next()).await;
        let changed: serde_json::Value = serde_json::from_slice(&next.unwrap().unwrap()).unwrap();
        assert_eq!(
            (&changed["guild"], &changed["channel"]),
            (&json!(GUILD.to_string()), &json!("20"))
        );
        messages.push(changed["messages"].clone());
    }
    assert_eq!(messages, [json!([id.to_string()]), json!([id.to_string()]), json!(["5", "6"])]);
    let ingested = stand.store.ingested();
    assert_eq!(ingested.len(), 4);
    let Some(Change::Edited(edit)) = &ingested[1].change else { panic!("{:?}", ingested[1]) };
    assert_eq!((edit.content.as_str(), edit.edited_at_ms), ("hello!", 1_767_225_600_000));
    assert_eq!(edit.message.as_ref().unwrap().content, "hello!");
    let Some(Change::Deleted(gone)) = &ingested[3].change else { panic!("{:?}", ingested[3]) };
    assert_eq!(gone.message_ids, [5, 6]);
}

#[tokio::test]
async fn an_event_that_cannot_be_taken_in_holds_nobody_up() {
    let stand = Stand::new().await;
    let key = ChannelKey::from_raw(GUILD, 20).unwrap();
    stand.dispatch("s.1", "message_create", key, b"{".to_vec()).await;
    let poison = Written::by(ANN, "poison").payload(7);
    stand.dispatch("s.poison", "message_create", key, poison).await;
    create(&stand, &Written::by(ANN, "hello")).await;
    let _process = stand.start();
    until("the last one is taken in", || stand.store.ingested().len() == 1).await;
    assert_eq!(created(&stand.store.ingested()[0]).content, "hello");

    // What was passed over stands in the dead-letter list, with the reason.
    until("both are given up", || stand.store.dead_events().len() == 2).await;
    let dead = stand.store.dead_events();
    let told: Vec<_> = dead.iter().map(|event| event.event_id.as_str()).collect();
    assert_eq!(told, ["s.1", "s.poison"]);
    assert_eq!((dead[0].guild_id, dead[0].channel_id), (GUILD, 20));
    assert_eq!(dead[0].handler, "orchestrator-ingestion");
    assert_eq!(dead[0].event_kind, "message_create");
    assert_eq!((dead[0].payload.as_deref(), dead[0].payload_bytes), (Some(&b"{"[..]), 1));
    assert!(dead[0].reason.starts_with("the dispatch is no JSON of a message"), "{dead:?}");
    assert!(dead[1].reason.contains("`IngestMessages` was refused"), "{dead:?}");
}

#[tokio::test]
async fn an_event_that_cannot_be_given_up_either_is_not_forgotten() {
    let stand = Stand::new().await;
    stand.store.faults.add("RecordDeadEvent", tonic::Status::unavailable("away"), 3);
    let key = ChannelKey::from_raw(GUILD, 20).unwrap();
    stand.dispatch("s.1", "message_create", key, b"{".to_vec()).await;
    create(&stand, &Written::by(ANN, "hello")).await;
    let _process = stand.start();
    until("it is given up", || stand.store.dead_events().len() == 1).await;
    assert_eq!(stand.store.ingested().len(), 1, "the other one is taken in, once");
}

#[tokio::test]
async fn of_an_event_that_is_too_large_to_be_kept_the_size_is_told() {
    let stand = Stand::new().await;
    let key = ChannelKey::from_raw(GUILD, 20).unwrap();
    stand.dispatch("s.1", "message_create", key, vec![b'{'; 70 << 10]).await;
    let _process = stand.start();
    until("it is given up", || stand.store.dead_events().len() == 1).await;
    let dead = stand.store.dead_events().remove(0);
    assert_eq!((dead.payload, dead.payload_bytes), (None, 70 << 10));
}

#[tokio::test]
async fn parts_move_when_a_replica_goes_and_nothing_is_taken_in_twice() {
    let stand = Stand::new().await;
    let _first = stand.start();
    let second = stand.start();
    for guild in 1..=20_u64 {
        create(&stand, &Written::by(ANN, "one").in_guild(guild << 22)).await;
    }
    until("all are taken in", || stand.store.ingested().len() == 20).await;
    second.drain().await;
    for guild in 1..=20_u64 {
        create(&stand, &Written::by(ANN, "two").in_guild(guild << 22)).await;
    }
    until("all are taken in", || stand.store.ingested().len() == 40).await;
}
