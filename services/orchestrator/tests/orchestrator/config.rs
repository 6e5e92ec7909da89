//! What a community sets holds for what comes next, and for what runs.

use std::sync::Arc;

use ery_community_config::{Changed, Subject};
use ery_event_bus::{EventBus as _, Topic};
use ery_proto::store::v1::{ThreadOutcome, ingest_event::Change};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{
    ANN, CHANNEL, GUILD,
    ai::{Reply, context},
    stand::{Stand, Written},
    until,
};

impl Stand {
    /// Sets something, and tells everybody.
    pub(crate) async fn set(&self, home: u64, subject: Subject, path: &str, value: Value) {
        let version = self.config.set(home, subject, path, value);
        let changed = serde_json::to_vec(&Changed { home, version }).unwrap();
        self.bus.broadcast(Topic::ConfigChanged, changed.into()).await.unwrap();
    }
}

#[tokio::test]
async fn a_pause_turns_messages_away_until_it_ends() {
    let stand = Stand::new().await;
    stand.config.set(GUILD, Subject::SERVER, "paused", json!(true));
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    assert!(stand.is_queue_empty().await);
    assert_eq!(stand.ai.requests().len(), 0);

    stand.set(GUILD, Subject::SERVER, "paused", json!(false)).await;
    // It takes a moment until that is heard; until then what is said is turned away.
    while stand.tools.answers().is_empty() {
        stand.write(Written::by(ANN, "ery, hello")).await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_pause_ends_a_thread_that_runs_before_it_says_anything() {
    let stand = Stand::new().await;
    let gate = Arc::new(Semaphore::new(0));
    stand.ai.replies([Reply::Behind(Arc::clone(&gate))]);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("the model is asked", || stand.ai.running() == 1).await;
    stand.set(0, Subject::GLOBAL, "paused", json!(true)).await;
    // Nothing tells when it was heard; nobody waits for a broadcast.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    gate.add_permits(1);
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.store.threads()[0].outcome(), ThreadOutcome::Cancelled);
    assert!(stand.tools.answers().is_empty());
}

#[tokio::test]
async fn a_pause_ends_a_model_turn_that_has_no_end() {
    let stand = Stand::new().await;
    stand.ai.replies([Reply::Never]);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("the step stands", || stand.store.calls("AppendSteps") == 1).await;
    stand.set(GUILD, Subject::SERVER, "paused", json!(true)).await;
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.store.outcomes(), [ThreadOutcome::Cancelled]);
    until("the stream is dropped", || stand.ai.running() == 0).await;
    assert!(stand.tools.answers().is_empty());
}

#[tokio::test]
async fn why_a_call_was_turned_away_is_kept_whatever_ingestion_went_by() {
    let stand = Stand::new().await;
    stand.config.set(GUILD, Subject::SERVER, "gate.engage", json!("listen"));
    let _process = stand.start();
    let called = stand.write(Written::by(ANN, "ery, hello")).await;
    stand.write(Written::by(ANN, "hello all")).await;
    let kept = || {
        let created = stand.store.ingested().into_iter().filter_map(|event| match event.change {
            Some(Change::Created(message)) => Some((message.message_id, message.gate_reason)),
            _ => None,
        });
        created.collect::<Vec<_>>()
    };
    until("it is kept", || !kept().is_empty()).await;
    assert!(stand.is_queue_empty().await);
    assert_eq!(kept(), [(called, "listening".to_owned())]);
}

#[tokio::test]
async fn a_thread_goes_by_what_is_set_for_its_channel() {
    let stand = Stand::new().await;
    stand.tools.parents.lock().unwrap().insert(33, CHANNEL);
    stand.config.set(GUILD, Subject::SERVER, "gate.engage", json!("listen"));
    stand.config.set(GUILD, Subject::channel(CHANNEL), "gate.engage", json!("every_message"));
    let _process = stand.start();
    stand.write(Written::by(ANN, "hello all").in_channel(34)).await;
    stand.write(Written::by(ANN, "hello all").in_channel(33)).await;
    until("the thread is answered", || stand.tools.answers().len() == 1).await;
    assert!(stand.is_queue_empty().await);
    assert_eq!(stand.ai.requests().len(), 1);
}

#[tokio::test]
async fn where_nobody_can_tell_what_a_thread_hangs_on_its_messages_wait() {
    let stand = Stand::new().await;
    stand.config.set(GUILD, Subject::channel(CHANNEL), "gate.engage", json!("off"));
    stand.tools.parents.lock().unwrap().insert(33, CHANNEL);
    let away = tonic::Status::unavailable("away");
    stand.tools.faults.add("DescribeChannel", away, 5);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello").in_channel(33)).await;
    assert!(stand.is_queue_empty().await);
    assert_eq!(stand.ai.requests().len(), 0);
}

#[tokio::test]
async fn a_channel_answers_by_its_own_mode_and_context() {
    let stand = Stand::new().await;
    stand.config.set(GUILD, Subject::SERVER, "gate.engage", json!("listen"));
    stand.config.set(GUILD, Subject::channel(CHANNEL), "gate.engage", json!("every_message"));
    stand.config.set(GUILD, Subject::channel(CHANNEL), "context.messages", json!(0));
    stand.config.set(GUILD, Subject::SERVER, "answers.instructions", json!("We love trains."));
    stand.config.set(GUILD, Subject::user(ANN), "answers.language", json!("de"));
    let _process = stand.start();
    stand.write(Written::by(ANN, "hello all").in_channel(33)).await;
    stand.write(Written::by(ANN, "hello all")).await;
    until("the one is answered", || stand.tools.answers().len() == 1).await;
    assert!(stand.is_queue_empty().await);
    let requests = stand.ai.requests();
    let [request] = &requests[..] else { panic!("{} turns", requests.len()) };
    assert_eq!(request.channel_id, CHANNEL);
    assert!(request.instructions.contains("We love trains."), "{}", request.instructions);
    assert!(request.instructions.contains("`de`"), "{}", request.instructions);
    assert!(context(request).is_empty());
}

#[tokio::test]
async fn a_role_and_a_member_themselves_can_be_left_alone() {
    let stand = Stand::new().await;
    stand.config.set(GUILD, Subject::SERVER, "gate.roles.55", json!("off"));
    stand.config.set(GUILD, Subject::user(ANN), "gate.ignore_me", json!(true));
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    let muted = json!({ "member": { "roles": ["55"] } });
    stand.write(Written::by(900, "ery, hello").with(muted)).await;
    stand.write(Written::by(901, "ery, hello")).await;
    until("the third is answered", || stand.tools.answers().len() == 1).await;
    assert!(stand.is_queue_empty().await);
    assert_eq!(stand.ai.requests().len(), 1);
}
