use ery_ids::TaskThreadId;
use ery_proto::{
    common::v1::{Fence, Message, Principal},
    store::v1::{
        BeginThreadRequest, Decision, Execution, ExecutionState, FinishThreadRequest,
        ListMessagesRequest, OpenChannelRequest, ThreadOutcome, Trigger,
    },
};
use tonic::{Code, Status};

use crate::support::{
    GUILD, Store, begin, begin_execution, created, edited, end_execution, execution, fence, finish,
    message, step,
};

fn assert_names<T: std::fmt::Debug>(answer: Result<T, Status>, field: &str) {
    let refused = answer.expect_err(field);
    assert_eq!(refused.code(), Code::InvalidArgument, "{field}: {refused}");
    assert!(refused.message().starts_with(&format!("`{field}` ")), "{field}: {refused}");
}

#[tokio::test]
async fn a_bad_fence_is_named() {
    let mut store = Store::new().await;
    let good = fence(5, "holder");
    for (fence, field) in [
        (None, "fence"),
        (Some(Fence { channel_id: 0, ..good.clone() }), "fence.channel_id"),
        (Some(Fence { guild_id: u64::MAX, ..good.clone() }), "fence.guild_id"),
        (Some(Fence { epoch: 0, ..good.clone() }), "fence.epoch"),
        (Some(Fence { epoch: u64::MAX, ..good.clone() }), "fence.epoch"),
        (Some(Fence { owner: String::new(), ..good.clone() }), "fence.owner"),
        (Some(Fence { owner: "o".repeat(10_000), ..good.clone() }), "fence.owner"),
    ] {
        let request = OpenChannelRequest {
            fence,
            waiting_trigger_ids: Vec::new(),
            ..OpenChannelRequest::default()
        };
        assert_names(store.client.open_channel(request).await, field);
    }
    for bad in ["", "m.0", "m.x", "m.18446744073709551615", "zz.1"] {
        let request = OpenChannelRequest {
            fence: Some(good.clone()),
            waiting_trigger_ids: vec![bad.to_owned()],
            ..OpenChannelRequest::default()
        };
        assert_names(store.client.open_channel(request).await, "waiting_trigger_ids");
    }
    assert!(!store.folder.path().join("store/shard-0007.db").exists(), "nothing was written");
}

#[tokio::test]
async fn a_bad_thread_is_named() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    store.open_channel(&holder).await;
    let good = begin(&holder, TaskThreadId::random(), &[message(1, "a")]);
    let with = |change: &dyn Fn(&mut BeginThreadRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    let with_message = |change: &dyn Fn(&mut Message)| {
        with(&|it| change(it.triggers[0].message.as_mut().unwrap()))
    };
    for (request, field) in [
        (with(&|it| it.thread_id = "one".to_owned()), "thread_id"),
        (with(&|it| it.triggers.clear()), "triggers"),
        (with(&|it| it.triggers = vec![Trigger::default()]), "triggers.id"),
        (with(&|it| it.triggers[0].message = None), "triggers.message"),
        (with(&|it| it.triggers[0].id = "ap.1".to_owned()), "triggers.message"),
        (with(&|it| it.triggers[0].id = "m.2".to_owned()), "triggers.message.message_id"),
        (with(&|it| it.principal = None), "principal"),
        (with(&|it| it.principal = Some(Principal { kind: None })), "principal.kind"),
        (with(&|it| it.askers = vec![5, 0]), "askers"),
        (with_message(&|it| it.author_id = 0), "triggers.message.author_id"),
        (with_message(&|it| it.message_id = 0), "triggers.message.message_id"),
        (with_message(&|it| it.guild_id = 0), "triggers.message.channel_id"),
        (with_message(&|it| it.content = "x".repeat(70_000)), "triggers.message.content"),
        (with_message(&|it| it.mentions[0].user_id = 0), "triggers.message.mentions.user_id"),
        (with_message(&|it| it.edited_at_ms = -1), "triggers.message.edited_at_ms"),
    ] {
        assert_names(store.begin(request).await, field);
    }
    store.begin(good).await.unwrap();
}

#[tokio::test]
async fn a_bad_step_or_end_is_named() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let before = store.rows();
    let mut unknown = step(0);
    unknown.kind = 99;
    assert_names(store.append(&holder, thread, vec![unknown]).await, "steps.kind");
    let mut large = step(0);
    large.payload = "x".repeat(2 << 20);
    assert_names(store.append(&holder, thread, vec![large]).await, "steps.payload");

    let good = finish(&holder, thread, ThreadOutcome::Done, &[1]);
    for (request, field) in [
        (FinishThreadRequest { outcome: 0, ..good.clone() }, "outcome"),
        (FinishThreadRequest { outcome: 77, ..good.clone() }, "outcome"),
        (FinishThreadRequest { outcome: ThreadOutcome::Running.into(), ..good.clone() }, "outcome"),
        (
            FinishThreadRequest { finished_trigger_ids: vec!["1".to_owned()], ..good.clone() },
            "finished_trigger_ids",
        ),
        (FinishThreadRequest { detail: "x".repeat(70_000), ..good.clone() }, "detail"),
    ] {
        assert_names(store.finish(request).await, field);
    }
    let unknown = finish(&holder, TaskThreadId::random(), ThreadOutcome::Done, &[]);
    assert_eq!(store.finish(unknown).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(store.rows(), before);
}

#[tokio::test]
async fn a_bad_execution_is_named() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let good = execution(thread, 0);
    for (bad, field) in [
        (Execution { key: "x".to_owned(), ..good.clone() }, "execution.key"),
        (Execution { thread_id: String::new(), ..good.clone() }, "execution.thread_id"),
        (Execution { channel_id: 5, ..good.clone() }, "execution.channel_id"),
        (Execution { guild_id: GUILD + 1, ..good.clone() }, "execution.channel_id"),
        (Execution { tool: String::new(), ..good.clone() }, "execution.tool"),
        (Execution { tier: "grave".to_owned(), ..good.clone() }, "execution.tier"),
        (Execution { decision: 0, ..good.clone() }, "execution.decision"),
        (Execution { state: 0, ..good.clone() }, "execution.state"),
        (Execution { decision: Decision::Deny.into(), ..good.clone() }, "execution.state"),
        (Execution { arguments_hash: "00".to_owned(), ..good.clone() }, "execution.arguments_hash"),
    ] {
        let answer = store.client.begin_execution(begin_execution(&holder, &bad)).await;
        assert_names(answer, field);
    }
    let mut missing = begin_execution(&holder, &good);
    missing.execution = None;
    assert_names(store.client.begin_execution(missing).await, "execution");

    let open = end_execution(&holder, &good, ExecutionState::Open);
    assert_names(store.client.end_execution(open).await, "state");
    let unknown = end_execution(&holder, &good, ExecutionState::Done);
    assert_eq!(store.client.end_execution(unknown).await.unwrap_err().code(), Code::NotFound);
    let ghost = execution(TaskThreadId::random(), 0);
    let unknown = store.client.begin_execution(begin_execution(&holder, &ghost)).await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_bad_event_is_named_and_nothing_of_its_batch_stands() {
    let mut store = Store::new().await;
    let mut nothing = created("mc.3", message(3, "c"));
    nothing.change = None;
    let mut nameless = created("", message(3, "c"));
    nameless.event_id = String::new();
    let mut elsewhere = created("mc.3", message(3, "c"));
    elsewhere.channel_id += 1;
    for (bad, field) in [
        (nothing, "events.change"),
        (nameless, "events.event_id"),
        (elsewhere, "events.created.channel_id"),
        (created("mc.3", Message { author_id: 0, ..message(3, "c") }), "events.created.author_id"),
        (edited("s.1", 0, "x", 5), "events.edited.message_id"),
        (edited("s.1", 3, "x", -5), "events.edited.edited_at_ms"),
    ] {
        let request = ery_proto::store::v1::IngestMessagesRequest {
            handler: "ingestion".to_owned(),
            events: vec![created("mc.2", message(2, "b")), bad],
        };
        assert_names(store.client.ingest_messages(request).await, field);
    }
    let request = ListMessagesRequest { guild_id: GUILD, ..ListMessagesRequest::default() };
    assert_names(store.client.list_messages(request).await, "channel_id");
    assert!(!store.folder.path().join("store/shard-0007.db").exists(), "nothing was written");
}
