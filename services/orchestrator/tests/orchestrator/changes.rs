use std::sync::Arc;

use serde_json::json;
use tokio::sync::Semaphore;

use ery_event_bus::{EventBus, Topic};
use ery_ids::ChannelKey;
use ery_proto::store::v1::ThreadOutcome;

use crate::support::{
    ANN, BEN, CHANNEL, GUILD,
    ai::{Reply, notes, to_be_answered},
    stand::{Stand, Written},
    until,
};

pub(crate) async fn tell(stand: &Stand, message: u64) {
    let changed = json!({
        "guild": GUILD.to_string(), "channel": CHANNEL.to_string(),
        "messages": [message.to_string()],
    });
    let payload = changed.to_string().into_bytes().into();
    stand.bus.broadcast(Topic::MessagesChanged, payload).await.unwrap();
}

#[tokio::test]
async fn a_deletion_stops_the_running_model_turn_and_cancels_the_thread() {
    let stand = Stand::new().await;
    stand.ai.replies([Reply::Never]);
    let _process = stand.start();
    let id = stand.write(Written::by(ANN, "ery, oops")).await;
    until("the model works", || stand.ai.running() == 1).await;
    until("the step stands", || stand.store.calls("AppendSteps") == 1).await;
    stand.store.delete(id);
    tell(&stand, id).await;
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.store.outcomes(), [ThreadOutcome::Cancelled]);
    until("the stream is dropped", || stand.ai.running() == 0).await;
    assert!(stand.tools.answers().is_empty());
    assert!(stand.is_queue_empty().await);
}

#[tokio::test]
async fn a_deleted_channel_ends_its_thread_while_the_model_works() {
    let stand = Stand::new().await;
    stand.ai.replies([Reply::Never]);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("the step stands", || stand.store.calls("AppendSteps") == 1).await;
    let channel = ChannelKey::from_raw(GUILD, CHANNEL).unwrap();
    stand.dispatch("s.1", "channel_delete", channel, b"{}".to_vec()).await;
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.store.outcomes(), [ThreadOutcome::Cancelled]);
    until("the stream is dropped", || stand.ai.running() == 0).await;
    assert!(stand.tools.answers().is_empty());
    assert!(stand.is_queue_empty().await);
}

#[tokio::test]
async fn a_deletion_of_one_of_several_begins_the_turn_anew_without_it() {
    let stand = Stand::new().await;
    stand.ai.replies([Reply::Never]);
    let ids = [
        stand.write(Written::by(ANN, "ery, one")).await,
        stand.write(Written::by(BEN, "ery, two")).await,
    ];
    let _process = stand.start();
    until("the step stands", || stand.store.calls("AppendSteps") == 1).await;
    stand.store.delete(ids[1]);
    tell(&stand, ids[1]).await;
    until("it is finished", || stand.store.finished() == 2).await;
    assert_eq!(stand.tools.said(), ["echo: ery, one"]);
    assert_eq!(stand.tools.answers()[0].answers, [ids[0]]);
    assert_eq!(to_be_answered(&stand.ai.requests()[1]), ["ery, one"]);
    assert_eq!(stand.store.outcomes(), [ThreadOutcome::Done]);
}

#[tokio::test]
async fn a_deletion_is_noticed_without_any_broadcast() {
    let stand = Stand::new().await;
    let gate = Arc::new(Semaphore::new(0));
    stand.ai.replies([Reply::Behind(Arc::clone(&gate))]);
    let _process = stand.start();
    let id = stand.write(Written::by(ANN, "ery, oops")).await;
    until("the step stands", || stand.store.calls("AppendSteps") == 1).await;
    stand.store.delete(id);
    gate.add_permits(1);
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.store.outcomes(), [ThreadOutcome::Cancelled]);
    assert!(stand.tools.answers().is_empty());
}

#[tokio::test]
async fn a_message_deleted_while_it_waited_is_passed_over() {
    let stand = Stand::new().await;
    let id = stand.write(Written::by(ANN, "ery, oops")).await;
    let mut message = stand.kept(ANN, "ery, oops");
    message.message_id = id;
    stand.store.keep(message);
    stand.store.delete(id);
    let process = stand.start();
    until("the channel is opened", || stand.store.calls("OpenChannel") >= 1).await;
    process.drain().await;
    assert!(stand.is_queue_empty().await);
    assert!(stand.store.threads().is_empty());
}

#[tokio::test]
async fn an_edit_before_the_model_turn_counts_and_a_later_one_is_told() {
    let stand = Stand::new().await;
    let id = stand.write(Written::by(ANN, "ery, frist")).await;
    let mut message = stand.kept(ANN, "ery, frist");
    message.message_id = id;
    stand.store.keep(message);
    stand.store.edit(id, "ery, first", 1_000);
    let gate = Arc::new(Semaphore::new(0));
    stand
        .ai
        .replies([Reply::Calls(vec![("add_reaction", "{}")]), Reply::Behind(Arc::clone(&gate))]);
    let _process = stand.start();
    until("the first turn was asked", || !stand.ai.requests().is_empty()).await;
    assert_eq!(to_be_answered(&stand.ai.requests()[0]), ["ery, first"]);
    until("the second turn was asked", || stand.ai.requests().len() == 2).await;
    assert!(notes(&stand.ai.requests()[1]).is_empty());
    stand.store.edit(id, "ery, second", 2_000);
    gate.add_permits(1);
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.tools.said(), ["echo: ery, first"]);
}

#[tokio::test]
async fn an_edit_in_a_running_thread_is_told_to_the_model() {
    let stand = Stand::new().await;
    let gate = Arc::new(Semaphore::new(0));
    stand.ai.replies([Reply::Calls(vec![("add_reaction", "{}")])]);
    stand.tools.faults.add("CallTool", tonic::Status::unavailable("busy"), 3);
    let _process = stand.start();
    let id = stand.write(Written::by(ANN, "ery, first")).await;
    until("the step stands", || stand.store.calls("AppendSteps") >= 1).await;
    stand.store.edit(id, "ery, second", 2_000);
    gate.add_permits(1);
    until("it is finished", || stand.store.finished() == 1).await;
    let second = &stand.ai.requests()[1];
    assert_eq!(to_be_answered(second), ["ery, first"]);
    assert!(notes(second)[0].contains("was edited"), "{:?}", notes(second));
}
