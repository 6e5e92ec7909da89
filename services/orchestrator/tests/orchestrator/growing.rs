//! Answers that people see while they are written: one message each, whole in the end.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use ery_proto::store::v1::ThreadOutcome;

use crate::{
    changes::tell,
    support::{
        ANN,
        ai::Reply,
        stand::{Stand, Written},
        until,
    },
};

/// Longer than what is waited for before it is shown.
const WORDS: &str = "These are the first words of a long answer, and they go on for a while, since whoever \
                     asked wants to know all of it at once and in detail. ";

async fn stand() -> Stand {
    Stand::with(|settings| {
        settings.growing_answers = true;
        settings.growing_every = Duration::from_millis(10);
    })
    .await
}

/// Has Ann ask, and waits until half of the answer is shown.
async fn half(stand: &Stand, gate: &Arc<Semaphore>) -> u64 {
    stand.ai.replies([Reply::Writes(vec![WORDS, "The end."], Arc::clone(gate))]);
    let id = stand.write(Written::by(ANN, "ery, tell me")).await;
    until("half of it is shown", || stand.tools.standing() == [WORDS]).await;
    id
}

#[tokio::test]
async fn an_answer_grows_in_one_message_and_ends_whole() {
    let stand = stand().await;
    let gate = Arc::new(Semaphore::new(0));
    let _process = stand.start();
    half(&stand, &gate).await;
    assert!(stand.ai.requests()[0].wants_deltas);
    gate.add_permits(1);
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.tools.standing(), [format!("{WORDS}The end.")]);
    let keys: Vec<_> = stand.tools.answers().iter().map(|it| it.key.clone()).collect();
    assert!(keys[0].ends_with("/0/0") && keys[1].ends_with("/0/93"), "{keys:?}");
}

#[tokio::test]
async fn whoever_goes_on_after_a_kill_makes_one_whole_answer_of_it() {
    let stand = stand().await;
    let gate = Arc::new(Semaphore::new(0));
    let first = stand.start();
    half(&stand, &gate).await;
    first.kill();
    let _second = stand.start();
    until("it is finished", || stand.store.finished() == 1).await;
    assert_eq!(stand.tools.standing(), ["echo: ery, tell me"]);
}

#[tokio::test]
async fn a_half_answer_to_what_is_deleted_is_taken_back() {
    for is_killed in [false, true] {
        let stand = stand().await;
        let gate = Arc::new(Semaphore::new(0));
        let mut process = stand.start();
        let id = half(&stand, &gate).await;
        if is_killed {
            process.kill();
            stand.store.delete(id);
            process = stand.start();
        } else {
            stand.store.delete(id);
            tell(&stand, id).await;
        }
        until("it is finished", || stand.store.finished() == 1).await;
        assert_eq!(stand.store.outcomes(), [ThreadOutcome::Cancelled]);
        assert!(stand.tools.standing().is_empty(), "{:?}", stand.tools.standing());
        drop(process);
    }
}

#[tokio::test]
async fn where_the_model_fails_in_its_midst_the_message_says_so() {
    let stand = stand().await;
    let gate = Arc::new(Semaphore::new(0));
    let _process = stand.start();
    half(&stand, &gate).await;
    gate.close();
    until("it is finished", || stand.store.finished() == 1).await;
    let standing = stand.tools.standing();
    assert_eq!(standing.len(), 1);
    assert!(standing[0].starts_with("Sorry, my language model"), "{standing:?}");
}

#[tokio::test]
async fn a_long_answer_takes_several_messages_of_which_the_first_replies() {
    let stand = Stand::new().await;
    let long: &'static str = Box::leak("word ".repeat(900).into_boxed_str());
    stand.ai.replies([Reply::Text(long)]);
    let _process = stand.start();
    stand.write(Written::by(ANN, "ery, tell me")).await;
    until("it is finished", || stand.store.finished() == 1).await;
    assert!(!stand.ai.requests()[0].wants_deltas, "it is off by default");
    assert_eq!(stand.tools.standing().concat(), long.trim());
    let replies: Vec<_> =
        stand.tools.answers().iter().map(|it| it.arguments.contains("reply_to")).collect();
    assert_eq!(replies, [true, false, false]);
    assert_eq!(stand.store.outcomes(), [ThreadOutcome::Done]);
}
