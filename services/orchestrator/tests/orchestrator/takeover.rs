use std::sync::{Arc, atomic::Ordering};

use tokio::sync::Semaphore;

use ery_proto::store::v1::{StepKind, ThreadOutcome};

use crate::support::{
    ANN, CHANNEL, GUILD, MODERATORS,
    ai::{Reply, to_be_answered},
    stand::{Stand, Written},
    until,
};

#[tokio::test]
async fn a_killed_holders_thread_goes_on_from_its_journal() {
    let stand = Stand::new().await;
    // The second call never returns while the first holder lives.
    stand.ai.replies([
        Reply::Calls(vec![("add_reaction", "{}")]),
        Reply::Never,
        Reply::Text("done by another"),
    ]);
    let first = stand.start();
    stand.write(Written::by(ANN, "ery, react")).await;
    until("the second turn is asked", || stand.ai.requests().len() == 2).await;
    until("its step stands", || stand.store.calls("AppendSteps") == 3).await;
    first.kill();

    let _second = stand.start();
    until("it is finished", || stand.store.finished() == 1).await;
    let tools: Vec<_> = stand.tools.done().iter().map(|call| call.tool.clone()).collect();
    assert_eq!(tools, ["add_reaction", "send_message"]);
    assert_eq!(stand.tools.said(), ["done by another"]);
    // Only the turn in flight was asked again.
    assert_eq!(stand.ai.requests().len(), 3);
    assert_eq!(stand.store.threads().len(), 1);
    let steps = &stand.store.threads()[0].steps;
    let asked = steps.iter().filter(|step| step.kind() == StepKind::ModelAsked).count();
    assert_eq!(asked, 3);
    assert_eq!(stand.store.calls("RecordAttempt"), 0);
}

#[tokio::test]
async fn a_journaled_answer_is_sent_by_the_next_holder_without_asking_the_model() {
    let stand = Stand::new().await;
    stand.tools.faults.add("CallTool", tonic::Status::unavailable("away"), 1_000);
    let first = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("the answer is journaled", || stand.store.calls("AppendSteps") == 2).await;
    first.kill();
    stand.tools.faults.clear();

    let _second = stand.start();
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.tools.said(), ["echo: ery, hello"]);
    assert_eq!(stand.ai.requests().len(), 1);
}

#[tokio::test]
async fn an_execution_left_open_is_settled_under_its_key() {
    let stand = Stand::new().await;
    stand.tools.dies_after_acting.store(true, Ordering::SeqCst);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.tools.said(), ["echo: ery, hello"]);
    assert_eq!(stand.store.threads()[0].executions.len(), 1);
}

#[tokio::test]
async fn an_old_epoch_abandons_the_thread_and_writes_nothing_more() {
    let stand = Stand::new().await;
    let gate = Arc::new(Semaphore::new(0));
    stand.ai.replies([Reply::Behind(Arc::clone(&gate))]);
    let process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("the step stands", || stand.store.calls("AppendSteps") == 1).await;
    stand.store.open_elsewhere(GUILD, CHANNEL, u64::MAX >> 2);
    gate.add_permits(1);
    until("it is refused", || stand.store.calls("AppendSteps") == 2).await;
    process.drain().await;
    assert_eq!(stand.store.finished(), 0);
    assert!(stand.tools.done().is_empty());
    assert_eq!(stand.store.calls("RecordAttempt"), 0);
    // It was not removed: whoever comes next finds it.
    assert!(!stand.is_queue_empty().await);
}

#[tokio::test]
async fn a_store_that_has_seen_a_higher_epoch_gets_a_higher_one_still() {
    let stand = Stand::new().await;
    let ahead = 1 << 60;
    stand.store.open_elsewhere(GUILD, CHANNEL, ahead);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("it is finished", || stand.store.finished() == 1).await;
    assert!(stand.store.threads()[0].epoch > ahead);
}

#[tokio::test]
async fn a_draining_holder_ends_its_step_and_hands_the_channel_over() {
    let stand = Stand::new().await;
    let gate = Arc::new(Semaphore::new(0));
    stand.ai.replies([Reply::Behind(Arc::clone(&gate))]);
    let first = stand.start();
    stand.write(Written::by(ANN, "ery, hello")).await;
    until("the model works", || stand.ai.running() == 1).await;
    let _second = stand.start();
    tokio::join!(first.drain(), async {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        gate.add_permits(1);
    });
    until("it is finished", || stand.store.finished() == 1).await;
    // The running turn was journaled, and sent by the other.
    assert_eq!(stand.ai.requests().len(), 1);
    assert_eq!(stand.tools.said(), ["echo: ery, hello"]);
    assert_eq!(stand.store.outcomes(), [ThreadOutcome::Done]);
    assert_eq!(stand.store.calls("OpenChannel"), 2);
}

#[tokio::test]
async fn two_orchestrators_double_nothing_while_one_is_killed_again_and_again() {
    let stand = Stand::new().await;
    let steady = stand.start();
    let mut victim = stand.start();
    for index in 0..60_u64 {
        let channel = 50 + index % 6;
        let author = MODERATORS + index % 2;
        stand.write(Written::by(author, &format!("ery, {index}")).in_channel(channel)).await;
        if index % 15 == 14 {
            victim.kill();
            victim = stand.start();
        }
    }
    until("all are finished", || stand.store.finished() == 60).await;
    let mut said = stand.tools.said();
    said.sort();
    said.dedup();
    assert_eq!((said.len(), stand.tools.answers().len()), (60, 60));
    for channel in 50..56 {
        let answers = stand.tools.answers();
        let of_channel = answers.iter().filter(|call| call.channel_id == channel);
        let covered: Vec<_> = of_channel.flat_map(|call| call.answers.clone()).collect();
        assert!(covered.is_sorted(), "{covered:?}");
    }
    assert!(stand.ai.requests().iter().all(|request| to_be_answered(request).len() == 1));
    drop(steady);
}
