use std::{sync::atomic::Ordering, time::Duration};

use serde_json::json;
use tonic::Status;

use ery_channel_queue::{ChannelQueue as _, Task};
use ery_ids::ChannelKey;
use ery_proto::{common::v1::Message, store::v1::ThreadOutcome};

use crate::support::{
    ANN, BEN, BOT, CHANNEL, GUILD,
    stand::{Stand, Written},
    until,
};

/// Lets a new session tell the guild, with the last message of its channel.
async fn told(stand: &Stand, id: &str, last: u64) {
    let guild = json!({
        "id": GUILD.to_string(), "name": "a guild",
        "channels": [
            {"id": CHANNEL.to_string(), "type": 0, "last_message_id": last.to_string()},
            {"id": "21", "type": 0, "last_message_id": null},
        ],
    });
    // The gateway names no channel.
    let key = ChannelKey::from_raw(GUILD, CHANNEL).unwrap();
    stand.dispatch(id, "guild_create", key, guild.to_string().into_bytes()).await;
}

/// Lets messages be said that no session tells of, after one that is known.
fn said(stand: &Stand, texts: &[(u64, &str)]) -> Vec<Message> {
    stand.store.keep(stand.kept(ANN, "known"));
    let missed: Vec<_> = texts.iter().map(|(author, text)| stand.kept(*author, text)).collect();
    stand.tools.set_history(missed.clone());
    missed
}

fn ingested(stand: &Stand) -> Vec<u64> {
    use ery_proto::store::v1::ingest_event::Change;

    let id = |event: &ery_proto::store::v1::IngestEvent| match &event.change {
        Some(Change::Created(message)) => message.message_id,
        other => panic!("{other:?}"),
    };
    stand.store.ingested().iter().map(id).collect()
}

#[tokio::test]
async fn what_was_missed_is_taken_in_and_answered_once_and_in_order() {
    let stand = Stand::new().await;
    let missed = said(
        &stand,
        &[(ANN, "ery, one"), (BEN, "not for her"), (BOT, "her own"), (BEN, "ery, two")],
    );
    let _process = stand.start();
    told(&stand, "s.2", missed[3].message_id).await;
    // It is told again, and by another session: nothing runs twice.
    told(&stand, "s.2", missed[3].message_id).await;
    told(&stand, "t.2", missed[3].message_id).await;
    until("all are taken in", || stand.store.ingested().len() == 4).await;
    let ids: Vec<u64> = missed.iter().map(|message| message.message_id).collect();
    assert_eq!(ingested(&stand), ids);
    until("both are answered", || stand.store.finished() == 2).await;
    assert!(stand.is_queue_empty().await);
    let said = stand.tools.said().join(" ");
    assert!(said.find("ery, one") < said.find("ery, two"), "{said}");
    assert!(stand.store.outcomes().iter().all(|outcome| *outcome == ThreadOutcome::Done));
}

#[tokio::test]
async fn what_a_new_session_brings_waits_for_what_was_missed() {
    let stand = Stand::new().await;
    let missed = said(&stand, &[(ANN, "ery, one"), (BEN, "ery, two")]);
    // As long as Discord does not answer, nothing that is younger is answered.
    stand.tools.faults.add("FetchHistory", Status::unavailable("away"), 3);
    let three = Written::by(ANN, "ery, three");
    let task = Task { session: Some("s".to_owned()), ..three.task(stand.next_id()) };
    stand.queue.publish(task).await.unwrap();
    let _process = stand.start();
    until("the store was asked", || stand.store.calls("IsReadBack") > 1).await;
    assert_eq!(stand.tools.said(), Vec::<String>::new());
    told(&stand, "s.2", missed[1].message_id).await;
    until("all are answered", || stand.store.finished() == 3).await;
    let said = stand.tools.said().join(" ");
    let places = ["one", "two", "three"].map(|word| said.find(&format!("ery, {word}")).unwrap());
    assert!(places.is_sorted(), "{said}");
    // What the session brings later waits for nothing.
    let asked = stand.store.calls("IsReadBack");
    let task = Task { session: Some("s".to_owned()), ..three.task(stand.next_id()) };
    stand.queue.publish(task).await.unwrap();
    until("it is answered", || stand.store.finished() == 4).await;
    assert_eq!(stand.store.calls("IsReadBack"), asked);
}

#[tokio::test]
async fn what_is_read_back_once_the_queue_was_read_is_answered_first_all_the_same() {
    let stand = Stand::new().await;
    let missed = said(&stand, &[(ANN, "ery, one"), (BEN, "ery, two")]);
    stand.store.held.hold("IsReadBack");
    let three = Written::by(ANN, "ery, three");
    let task = Task { session: Some("s".to_owned()), ..three.task(stand.next_id()) };
    stand.queue.publish(task).await.unwrap();
    let _process = stand.start();
    until("the store is asked", || stand.store.calls("IsReadBack") == 1).await;
    told(&stand, "s.2", missed[1].message_id).await;
    until("it is read back", || stand.store.calls("NoteReadBack") == 1).await;
    stand.store.held.release("IsReadBack");
    until("all are answered", || stand.store.finished() == 3).await;
    let said = stand.tools.said().join(" ");
    let places = ["one", "two", "three"].map(|word| said.find(&format!("ery, {word}")).unwrap());
    assert!(places.is_sorted(), "{said}");
    assert_eq!(stand.store.calls("IsReadBack"), 1);
}

#[tokio::test]
async fn a_channel_does_not_wait_for_ever() {
    let stand = Stand::with(|settings| settings.read_back_wait = Duration::from_millis(200)).await;
    let task = Task {
        session: Some("s".to_owned()),
        ..Written::by(ANN, "ery, hello").task(stand.next_id())
    };
    stand.queue.publish(task).await.unwrap();
    let _process = stand.start();
    until("it is answered", || stand.store.finished() == 1).await;
}

#[tokio::test]
async fn a_channel_without_a_gap_costs_no_request() {
    let stand = Stand::new().await;
    let known = stand.kept(ANN, "known");
    stand.store.keep(known.clone());
    let _process = stand.start();
    told(&stand, "s.2", known.message_id).await;
    until("the store was asked", || stand.store.calls("FindGaps") == 1).await;
    told(&stand, "t.2", known.message_id).await;
    until("the store was asked again", || stand.store.calls("FindGaps") == 2).await;
    assert_eq!(stand.tools.history_calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_newest_are_read_back_page_by_page_up_to_the_bound() {
    let stand = Stand::with(|settings| settings.read_back_messages = 230).await;
    let texts: Vec<String> = (0..250).map(|number| format!("number {number}")).collect();
    let texts: Vec<(u64, &str)> = texts.iter().map(|text| (ANN, text.as_str())).collect();
    let missed = said(&stand, &texts);
    let _process = stand.start();
    told(&stand, "s.2", missed[249].message_id).await;
    until("as many are taken in as may be", || stand.store.ingested().len() == 230).await;
    let newest: Vec<u64> = missed[20..].iter().map(|message| message.message_id).collect();
    assert_eq!(ingested(&stand), newest);
    assert_eq!(stand.tools.history_calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_is_older_than_a_conversation_lasts_is_context_only() {
    let stand = Stand::new().await;
    let hour = 3_600_000_u64 << 22;
    stand.store.keep(Stand::kept_as(stand.next_id() - 2 * hour, ANN, "known"));
    let old = Stand::kept_as(stand.next_id() - hour, ANN, "ery, an hour ago");
    let new = stand.kept(ANN, "ery, now");
    stand.tools.set_history(vec![old, new.clone()]);
    let _process = stand.start();
    told(&stand, "s.2", new.message_id).await;
    until("both are taken in", || stand.store.ingested().len() == 2).await;
    until("one is answered", || stand.store.finished() == 1).await;
    assert!(stand.is_queue_empty().await);
    assert_eq!(stand.tools.said(), ["echo: ery, now"]);
}

#[tokio::test]
async fn an_outage_is_waited_for_and_a_refusal_is_not() {
    let stand = Stand::with(|settings| settings.patience = Duration::from_millis(100)).await;
    stand.tools.faults.add("FetchHistory", Status::resource_exhausted("slower"), 6);
    let missed = said(&stand, &[(ANN, "ery, hello")]);
    let _process = stand.start();
    told(&stand, "s.2", missed[0].message_id).await;
    until("it is answered", || stand.store.finished() == 1).await;

    let asked = stand.tools.history_calls.load(Ordering::SeqCst);
    stand.tools.faults.add("FetchHistory", Status::permission_denied("hidden"), 1);
    told(&stand, "t.2", stand.next_id()).await;
    until("it was asked", || stand.tools.history_calls.load(Ordering::SeqCst) == asked + 1).await;
    // The next guild's turn comes all the same.
    told(&stand, "u.2", stand.next_id()).await;
    until("it was asked", || stand.tools.history_calls.load(Ordering::SeqCst) == asked + 2).await;
}

#[tokio::test]
async fn a_guild_that_cannot_be_read_is_a_dead_letter() {
    let stand = Stand::new().await;
    let _process = stand.start();
    let key = ChannelKey::from_raw(GUILD, CHANNEL).unwrap();
    stand.dispatch("s.2", "guild_create", key, b"[".to_vec()).await;
    until("it is given up", || stand.store.dead_events().len() == 1).await;
    assert_eq!(stand.store.dead_events()[0].handler, "orchestrator-read-back");
}

const DIRECT: u64 = 77 << 22;

/// Lets a session begin that carries direct messages.
async fn began(stand: &Stand, id: &str) {
    let key = ChannelKey::from_raw(0, BOT).unwrap();
    stand.dispatch(id, "ready", key, b"{}".to_vec()).await;
}

fn direct(stand: &Stand, author: u64, text: &str) -> Message {
    Message { guild_id: 0, channel_id: DIRECT, ..stand.kept(author, text) }
}

#[tokio::test]
async fn direct_messages_that_were_missed_are_answered_before_what_a_new_session_brings() {
    let stand = Stand::new().await;
    stand.store.keep(direct(&stand, ANN, "known"));
    let missed = vec![direct(&stand, ANN, "one"), direct(&stand, ANN, "two")];
    stand.tools.set_history(missed.clone());
    stand.tools.faults.add("FetchHistory", Status::unavailable("away"), 3);
    let three = Written { guild: 0, channel: DIRECT, ..Written::by(ANN, "three") };
    let task = Task { session: Some("s".to_owned()), ..three.task(stand.next_id()) };
    stand.queue.publish(task).await.unwrap();
    let _process = stand.start();
    until("the store was asked", || stand.store.calls("IsReadBack") > 1).await;
    assert_eq!(stand.tools.said(), Vec::<String>::new());
    began(&stand, "s.1").await;
    until("all are taken in", || stand.store.ingested().len() == 2).await;
    assert_eq!(ingested(&stand), [missed[0].message_id, missed[1].message_id]);
    until("all are answered", || stand.tools.said().join(" ").contains("three")).await;
    let said = stand.tools.said().join(" ");
    let places = ["one", "two", "three"].map(|word| said.find(word).unwrap());
    assert!(places.is_sorted(), "{said}");
    // The session is told of again: nothing is read once more that is noted.
    assert!(stand.is_queue_empty().await);
}

#[tokio::test]
async fn the_first_words_of_somebody_new_wait_for_nothing() {
    let stand = Stand::new().await;
    let hello = Written { guild: 0, channel: DIRECT, ..Written::by(ANN, "hello") };
    let task = Task { session: Some("s".to_owned()), ..hello.task(stand.next_id()) };
    stand.queue.publish(task).await.unwrap();
    let _process = stand.start();
    until("it is answered", || stand.store.finished() == 1).await;
    assert_eq!(stand.store.calls("IsReadBack"), 1);
}
