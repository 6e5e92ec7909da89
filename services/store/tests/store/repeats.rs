use ery_ids::TaskThreadId;
use ery_proto::store::v1::{
    ChannelState, ExecutionState, LastAnswer, OpenChannelRequest, RecordAttemptRequest,
    ThreadOutcome,
};

use crate::support::{
    NOW, Store, begin, begin_execution, created, deleted, edited, end_execution, execution, fence,
    finish, message, step,
};

#[tokio::test]
async fn opening_a_channel_again_answers_alike() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    store.append(&holder, thread, vec![step(0), step(1)]).await.unwrap();
    let request = OpenChannelRequest {
        fence: Some(fence(6, "next")),
        waiting_trigger_ids: vec!["m.1".to_owned(), "sa.x.1".to_owned()],
        ..OpenChannelRequest::default()
    };
    let first = store.client.open_channel(request.clone()).await.unwrap().into_inner();
    let before = store.rows();
    let second = store.client.open_channel(request).await.unwrap().into_inner();
    assert_eq!(first, second);
    assert_eq!(first.unfinished.unwrap().steps, [step(0), step(1)]);
    assert_eq!(store.rows(), before);
}

#[tokio::test]
async fn beginning_a_thread_again_answers_alike() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    store.open_channel(&holder).await;
    let request = begin(&holder, TaskThreadId::random(), &[message(1, "a"), message(2, "b")]);
    let first = store.begin(request.clone()).await.unwrap();
    let before = store.rows();
    assert_eq!(store.begin(request).await.unwrap(), first);
    assert_eq!(first.context, [message(1, "a"), message(2, "b")]);
    assert_eq!(store.rows(), before);
}

#[tokio::test]
async fn a_step_that_stands_is_left_as_it_is() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    store.append(&holder, thread, vec![step(0)]).await.unwrap();
    let before = store.rows();
    let mut other = step(0);
    other.payload = "{}".to_owned();
    store.append(&holder, thread, vec![other]).await.unwrap();
    assert_eq!(store.rows(), before);

    store.finish(finish(&holder, thread, ThreadOutcome::Done, &[1])).await.unwrap();
    let before = store.rows();
    store.append(&holder, thread, vec![step(0)]).await.unwrap();
    assert_eq!(store.rows(), before);
}

#[tokio::test]
async fn an_attempt_is_counted_once() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let mut attempts = Vec::new();
    for (error, at_step, at_ms) in [
        ("broken", 0, 10),
        ("broken", 0, 10),
        // No error of its own, but no progress either.
        ("", 0, 20),
        // Progress.
        ("", 3, 30),
        ("", 3, 40),
        ("broken again", 9, 50),
    ] {
        let request = RecordAttemptRequest {
            fence: Some(holder.clone()),
            thread_id: thread.to_string(),
            error: error.to_owned(),
            at_step,
            at_ms,
        };
        attempts.push(store.client.record_attempt(request).await.unwrap().into_inner().attempts);
    }
    assert_eq!(attempts, [1, 1, 2, 2, 3, 4]);
    let opened = store.open_channel(&fence(6, "next")).await;
    assert_eq!(opened.unfinished.unwrap().attempts, 4);
}

#[tokio::test]
async fn an_execution_is_opened_and_closed_once() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let wanted = execution(thread, 0);
    let open = begin_execution(&holder, &wanted);
    let first = store.client.begin_execution(open.clone()).await.unwrap().into_inner();
    assert!(first.is_new);

    let mut different = open.clone();
    different.execution.as_mut().unwrap().arguments = r#"{"content":"other"}"#.to_owned();
    let before = store.rows();
    let second = store.client.begin_execution(different).await.unwrap().into_inner();
    assert!(!second.is_new);
    assert_eq!(second.execution, first.execution);
    assert_eq!(store.rows(), before);

    let mut end = end_execution(&holder, &wanted, ExecutionState::Done);
    end.sent = Some(message(3, "hi"));
    store.client.end_execution(end.clone()).await.unwrap();
    let before = store.rows();
    store.client.end_execution(end).await.unwrap();
    assert_eq!(store.rows(), before);
    let third = store.client.begin_execution(open).await.unwrap().into_inner();
    assert!(!third.is_new);
    assert_eq!(third.execution.unwrap().state, i32::from(ExecutionState::Done));
}

#[tokio::test]
async fn a_thread_is_finished_once() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let mut end = finish(&holder, thread, ThreadOutcome::Failed, &[1]);
    end.detail = "five attempts".to_owned();
    end.step = Some(step(0));
    end.state = Some(ChannelState {
        exchanges: Vec::new(),
        last_answers: vec![LastAnswer { user_id: 500, at_ms: NOW }],
        ..ChannelState::default()
    });
    store.finish(end.clone()).await.unwrap();
    let before = store.rows();
    store.finish(end.clone()).await.unwrap();
    end.at_ms += 5;
    store.finish(end).await.unwrap();
    assert_eq!(store.rows(), before);
}

#[tokio::test]
async fn an_event_is_taken_in_once_per_handler() {
    let mut store = Store::new().await;
    let events = vec![
        created("mc.1", message(1, "a")),
        edited("s.2", 1, "b", NOW + 5),
        created("mc.2", message(2, "c")),
        deleted("s.4", &[2], NOW + 9),
    ];
    store.ingest(events.clone()).await;
    let before = store.rows();
    store.ingest(events.clone()).await;
    store.ingest(events[..1].to_vec()).await;
    assert_eq!(store.rows(), before);
}
