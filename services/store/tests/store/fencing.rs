use ery_ids::TaskThreadId;
use ery_proto::{
    common::v1::Fence,
    store::v1::{ExecutionState, RecordAttemptRequest, ThreadOutcome},
};
use tonic::{Code, Status};

use crate::support::{
    Store, begin, begin_execution, end_execution, execution, fence, finish, message, step,
};

/// Every write of a task thread but the opening of its channel.
#[derive(Clone, Copy, Debug)]
enum Write {
    BeginThread,
    AppendSteps,
    RecordAttempt,
    BeginExecution,
    EndExecution,
    FinishThread,
}

impl Write {
    const ALL: [Self; 6] = [
        Self::BeginThread,
        Self::AppendSteps,
        Self::RecordAttempt,
        Self::BeginExecution,
        Self::EndExecution,
        Self::FinishThread,
    ];

    async fn call(
        self,
        store: &mut Store,
        fence: &Fence,
        thread: TaskThreadId,
    ) -> Result<(), Status> {
        match self {
            Self::BeginThread => {
                let other = TaskThreadId::random();
                store.begin(begin(fence, other, &[message(2, "me too")])).await.map(drop)
            }
            Self::AppendSteps => store.append(fence, thread, vec![step(1)]).await.map(drop),
            Self::RecordAttempt => {
                let request = RecordAttemptRequest {
                    fence: Some(fence.clone()),
                    thread_id: thread.to_string(),
                    error: "the provider is gone".to_owned(),
                    at_step: 0,
                    at_ms: 1,
                };
                store.client.record_attempt(request).await.map(drop)
            }
            Self::BeginExecution => {
                let request = begin_execution(fence, &execution(thread, 1));
                store.client.begin_execution(request).await.map(drop)
            }
            Self::EndExecution => {
                let request = end_execution(fence, &execution(thread, 0), ExecutionState::Done);
                store.client.end_execution(request).await.map(drop)
            }
            Self::FinishThread => {
                store.finish(finish(fence, thread, ThreadOutcome::Done, &[1])).await
            }
        }
    }
}

#[tokio::test]
async fn every_write_but_the_newest_openers_is_refused_and_changes_nothing() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let open = begin_execution(&holder, &execution(thread, 0));
    store.client.begin_execution(open).await.unwrap();
    let before = store.rows();
    for (case, stale) in [
        ("a lower epoch", fence(4, "holder")),
        ("the same epoch of another owner", fence(5, "other")),
        ("a higher epoch that did not open the channel", fence(6, "other")),
        ("a channel that nobody opened", Fence { channel_id: 99 << 22, ..holder.clone() }),
    ] {
        for write in Write::ALL {
            // An execution names its channel; there, the fence's must be the same.
            if matches!(write, Write::BeginThread | Write::BeginExecution)
                && stale.channel_id != holder.channel_id
            {
                continue;
            }
            let refused = write.call(&mut store, &stale, thread).await.unwrap_err();
            assert_eq!(refused.code(), Code::Aborted, "{write:?} under {case}: {refused}");
            assert_eq!(store.rows(), before, "{write:?} under {case}");
        }
    }
}

#[tokio::test]
async fn a_higher_epoch_shuts_the_older_holder_out() {
    let mut store = Store::new().await;
    let (old, new) = (fence(5, "old"), fence(6, "new"));
    let thread = store.running_thread(&old, 1).await;
    store.append(&old, thread, vec![step(0)]).await.unwrap();

    let opened = store.open_channel(&new).await;
    assert_eq!(opened.refused_by_epoch, 0);
    let unfinished = opened.unfinished.unwrap();
    assert_eq!(unfinished.thread_id, thread.to_string());
    assert_eq!(unfinished.epoch, 5);

    let refused = store.append(&old, thread, vec![step(1)]).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted);
    store.append(&new, thread, vec![step(1)]).await.unwrap();
}

#[tokio::test]
async fn opening_under_an_old_epoch_tells_the_highest_and_changes_nothing() {
    let mut store = Store::new().await;
    store.running_thread(&fence(5, "holder"), 1).await;
    let before = store.rows();
    for refused in [fence(4, "holder"), fence(5, "other")] {
        let opened = store.open_channel(&refused).await;
        assert_eq!(opened.refused_by_epoch, 5);
        assert_eq!(opened.unfinished, None);
        assert_eq!(store.rows(), before);
    }
}

#[tokio::test]
async fn a_fence_holds_for_its_channel_alone() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let elsewhere = Fence { channel_id: 99 << 22, ..holder };
    store.open_channel(&elsewhere).await;
    let refused = store.append(&elsewhere, thread, vec![step(0)]).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    let refused =
        store.finish(finish(&elsewhere, thread, ThreadOutcome::Done, &[1])).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
}
