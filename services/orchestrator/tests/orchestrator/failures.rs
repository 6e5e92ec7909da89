use std::{sync::atomic::Ordering, time::Duration};

use serde_json::json;
use tonic::Status;
use twilight_model::id::Id;

use ery_channel_queue::{ChannelQueue, Task};
use ery_clock::UnixMillis;
use ery_community_config::Subject;
use ery_ids::TriggerId;
use ery_proto::store::v1::ThreadOutcome;

use crate::support::{
    ANN, BEN, BOT, GUILD, MODERATORS,
    ai::Reply,
    stand::{Stand, Written},
    until,
};

#[tokio::test]
async fn services_that_do_not_answer_are_asked_again() {
    let stand = Stand::new().await;
    let away = || Status::unavailable("away");
    for rpc in ["OpenChannel", "BeginThread", "AppendSteps", "FinishThread"] {
        stand.store.faults.add(rpc, away(), 2);
    }
    for rpc in ["DescribePeople", "ListTools", "CallTool"] {
        stand.tools.faults.add(rpc, away(), 2);
    }
    stand.ai.replies([Reply::Fail(away()), Reply::Cut]);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.tools.said(), ["echo: ery, hello"]);
    assert_eq!(stand.store.calls("RecordAttempt"), 0);
}

#[tokio::test]
async fn a_longer_outage_is_left_to_redelivery_and_is_no_attempt() {
    let stand = Stand::with(|settings| settings.patience = Duration::from_millis(30)).await;
    stand.store.faults.add("BeginThread", Status::unavailable("away"), 8);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.tools.said(), ["echo: ery, hello"]);
    assert_eq!(stand.store.calls("RecordAttempt"), 0);
    assert!(stand.store.calls("OpenChannel") > 1);
}

#[tokio::test]
async fn where_no_provider_answers_one_honest_sentence_is_said() {
    for status in [Status::resource_exhausted("all tried"), Status::failed_precondition("key")] {
        let stand = Stand::new().await;
        stand.ai.replies([Reply::Fail(status)]);
        let _process = stand.start();
        stand.write(Written::by(ANN, "ery, hello")).await;
        until("it is finished", || stand.store.finished() == 1).await;
        assert_eq!(stand.store.outcomes(), [ThreadOutcome::Failed]);
        let said = stand.tools.said();
        assert!(said[0].starts_with("Sorry, my language model"), "{said:?}");
        assert!(stand.store.threads()[0].detail.contains("no provider answered"));
        assert_eq!(stand.ai.requests().len(), 1);
    }
}

#[tokio::test]
async fn what_code_says_is_in_the_language_that_is_set_for_answers() {
    let stand = Stand::new().await;
    let language = "answers.language";
    stand.config.set(GUILD, Subject::SERVER, language, json!("de"));
    stand.config.set(GUILD, Subject::user(BEN), language, json!("en"));
    let fail = || Reply::Fail(Status::resource_exhausted("all tried"));
    stand.ai.replies([fail(), fail()]);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("it is finished", || stand.store.finished() == 1).await;
    stand.write(Written::by(BEN, "ery, hello")).await;
    until("both are finished", || stand.store.finished() == 2).await;
    let said = stand.tools.said();
    assert!(said[0].starts_with("Entschuldigung, mein Sprachmodell"), "{said:?}");
    assert!(said[1].starts_with("Sorry, my language model"), "{said:?}");
}

#[tokio::test]
async fn a_thread_that_takes_too_long_ends_with_a_sentence() {
    let stand = Stand::with(|settings| settings.thread_time = Duration::from_millis(50)).await;
    stand.ai.replies([Reply::Never]);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.store.outcomes(), [ThreadOutcome::OutOfBudget]);
    assert!(stand.tools.said()[0].starts_with("Sorry, this took longer"));
    assert_eq!(stand.ai.running(), 0);
}

#[tokio::test]
async fn a_model_that_never_ends_calling_tools_is_stopped() {
    let stand = Stand::with(|settings| settings.max_steps = 3).await;
    stand.ai.replies((0..9).map(|_| Reply::Calls(vec![("get_member_info", "{}")])));
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.store.outcomes(), [ThreadOutcome::OutOfBudget]);
    assert_eq!(stand.ai.requests().len(), 3);
    assert_eq!(stand.tools.done().len(), 4);
}

#[tokio::test]
async fn a_thread_that_fails_by_itself_is_a_dead_letter_after_five_attempts() {
    let stand = Stand::new().await;
    stand.tools.faults.add("CallTool", Status::invalid_argument("a bug"), 5);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, poison")).await;
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.store.calls("RecordAttempt"), 5);
    assert_eq!(stand.store.outcomes(), [ThreadOutcome::Failed]);
    let thread = &stand.store.threads()[0];
    assert!(thread.detail.contains("`CallTool` was refused"), "{}", thread.detail);
    // The journaled model turn was not asked again.
    assert_eq!(stand.ai.requests().len(), 1);
    let said = stand.tools.said();
    assert!(said[0].starts_with("Sorry, something went wrong"), "{said:?}");

    // What it came with is kept with the dead letter, as it came.
    let dead = stand.store.dead_tasks();
    assert_eq!((dead.len(), dead[0].bot_id), (1, BOT));
    let id: u64 = dead[0].trigger_id.strip_prefix("m.").unwrap().parse().unwrap();
    assert_eq!(dead[0].payload, Some(Written::by(ANN, "ery, poison").payload(id)));

    // The channel goes on.
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("the next one is finished", || stand.store.finished() == 2).await;
    assert_eq!(stand.tools.said()[1], "echo: ery, hello");
}

#[tokio::test]
async fn a_thread_that_cannot_even_begin_is_a_dead_letter_too() {
    let stand = Stand::new().await;
    stand.store.faults.add("BeginThread", Status::invalid_argument("a bug"), 100);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, poison")).await;
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.store.outcomes(), [ThreadOutcome::Failed]);
    assert_eq!(stand.store.calls("BeginThread"), 6);
    assert!(stand.is_queue_empty().await);
}

#[tokio::test]
async fn a_retry_is_answered_by_a_new_thread_also_where_the_gate_would_say_no_by_now() {
    let stand = Stand::with(|settings| {
        settings.exchange_window = Duration::from_millis(200);
        settings.member_cooldown = Duration::from_mins(1);
    })
    .await;
    let _process = stand.start();
    stand.tools.faults.add("CallTool", Status::invalid_argument("a bug"), 5);
    let id = stand.write(Written::by(ANN, "ery, poison")).await;
    until("it is a dead letter", || stand.store.finished() == 1).await;
    assert_eq!(stand.tools.said().len(), 1);

    stand.store.put_back(id);
    let retried = Task { retry: 1, ..Written::by(ANN, "ery, poison").task(id) };
    stand.queue.publish(retried).await.unwrap();
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.store.outcomes(), [ThreadOutcome::Failed, ThreadOutcome::Done]);
    let answers = stand.tools.answers();
    assert_eq!(answers.len(), 2);
    assert_ne!(answers[0].key, answers[1].key, "each thread has an answer of its own");
    assert_eq!(stand.tools.said()[1], "echo: ery, poison");
}

#[tokio::test]
async fn a_passing_error_of_its_own_costs_an_attempt_only() {
    let stand = Stand::new().await;
    stand.tools.faults.add("CallTool", Status::internal("a bug"), 2);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.store.outcomes(), [ThreadOutcome::Done]);
    assert_eq!(stand.store.calls("RecordAttempt"), 2);
    assert_eq!(stand.tools.said(), ["echo: ery, hello"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_a_dead_letter_and_holds_nobody_up() {
    let stand = Stand::new().await;
    let written = Written::by(ANN, "ery, hello");
    let task = |trigger, payload: &'static [u8]| Task {
        trigger,
        channel: written.key(),
        retry: 0,
        bot: Id::new(BOT),
        received_at: UnixMillis(0),
        session: None,
        traceparent: None,
        payload: payload.into(),
    };
    let odd = TriggerId::Message(Id::new(stand.next_id()));
    stand.queue.publish(task(odd, b"{\"no\": \"message\"}")).await.unwrap();
    let unknown = TriggerId::WebhookDelivery("w1".to_owned());
    stand.queue.publish(task(unknown, b"")).await.unwrap();
    stand.write(written.clone()).await;
    let _process = stand.start();
    until("all are finished", || stand.store.finished() == 3).await;
    assert_eq!(
        stand.store.outcomes(),
        [ThreadOutcome::Failed, ThreadOutcome::Failed, ThreadOutcome::Done]
    );
    assert_eq!(stand.tools.said(), ["echo: ery, hello"]);
}

#[tokio::test]
async fn more_than_may_wait_is_turned_down_once_and_visibly() {
    let stand = Stand::with(|settings| settings.max_waiting = 5).await;
    for index in 0..12 {
        stand.write(Written::by(MODERATORS, &format!("ery, {index}"))).await;
    }
    let _process = stand.start();
    until("all are finished", || stand.store.finished() == 12).await;
    let said = stand.tools.said();
    assert_eq!(said.len(), 6, "{said:?}");
    assert!(said[0].contains("the last 7 messages unanswered"), "{said:?}");
    let expected: Vec<_> = (0..5).map(|index| format!("echo: ery, {index}")).collect();
    assert_eq!(said[1..], expected);
    let outcomes = stand.store.outcomes();
    assert_eq!(outcomes[0], ThreadOutcome::TooBusy);
    assert!(stand.is_queue_empty().await);
}

#[tokio::test]
async fn what_is_not_for_ery_does_not_count_as_waiting() {
    let stand = Stand::with(|settings| settings.max_waiting = 2).await;
    stand.write(Written::by(ANN, "ery, one")).await;
    for _ in 0..20 {
        stand.write(Written::by(MODERATORS, "chatter")).await;
    }
    stand.write(Written::by(MODERATORS, "ery, two")).await;
    let _process = stand.start();
    until("both are finished", || stand.store.finished() == 2).await;
    assert_eq!(stand.tools.said(), ["echo: ery, one", "echo: ery, two"]);
    assert!(stand.is_queue_empty().await);
}

#[tokio::test]
async fn a_finished_message_that_comes_again_is_not_answered_again() {
    let stand = Stand::new().await;
    let process = stand.start();
    let written = Written::by(ANN, "ery, hello").with(json!({"nonce": "1"}));
    let id = stand.write(written.clone()).await;
    until("it is finished", || stand.store.finished() == 1).await;
    process.drain().await;

    // As after a restored queue: the store alone knows that it is done.
    let other = Stand::new().await;
    let stand = stand.with_queue_of(&other);
    let opened = stand.store.calls("OpenChannel");
    stand.publish(&written, id).await;
    let process = stand.start();
    until("the channel is opened", || stand.store.calls("OpenChannel") > opened).await;
    process.drain().await;
    assert!(stand.is_queue_empty().await);
    assert_eq!(stand.tools.answers().len(), 1);
    assert_eq!(stand.tools.typing.load(Ordering::SeqCst), 0);
}
