//! Acts that wait for a click: decided once, by whom and when, and what their thread comes to.

use ery_ids::TaskThreadId;
use ery_lifecycle::Tasks;
use ery_proto::{
    common::v1::Fence,
    store::v1::{
        Approval, ApprovalDecision, BeginExecutionRequest, DecideApprovalRequest, Decision,
        ExecutionState, GetApprovalRequest, NewApproval, ReopenThreadRequest, Thread,
        ThreadOutcome,
    },
};
use tonic::Code;

use crate::support::{
    AUTHOR, CHANNEL, GUILD, NOW, Store, begin_execution, created, deleted, end_execution,
    execution, fence, finish, message,
};

const ID: &str = "6f2b";
const MODERATOR: u64 = 600;
const BUTTONS: u64 = 9_000;

impl Store {
    /// Has a thread that one message began propose an act, and wait for a click.
    async fn proposed(&mut self, fence: &Fence) -> TaskThreadId {
        let thread = self.running_thread(fence, 1).await;
        self.client.begin_execution(proposal(fence, thread)).await.unwrap();
        let mut shown = message(BUTTONS, "may I?");
        shown.is_own = true;
        let mut end = end_execution(fence, &act(thread), ExecutionState::Done);
        end.sent = Some(shown);
        self.client.end_execution(end).await.unwrap();
        self.finish(finish(fence, thread, ThreadOutcome::Suspended, &[1])).await.unwrap();
        thread
    }

    async fn click(&mut self, decision: ApprovalDecision, by: u64) -> Option<Approval> {
        let request = DecideApprovalRequest {
            guild_id: GUILD,
            approval_id: ID.to_owned(),
            decision: decision.into(),
            by,
        };
        self.client.decide_approval(request).await.unwrap().into_inner().approval
    }

    async fn approval(&mut self, guild_id: u64) -> Option<Approval> {
        let approval_id = ID.to_owned();
        let request = GetApprovalRequest { guild_id, approval_id, message_id: 0 };
        self.client.get_approval(request).await.unwrap().into_inner().approval
    }

    async fn shown_by(&mut self, guild_id: u64, message_id: u64) -> Option<Approval> {
        let request = GetApprovalRequest { guild_id, approval_id: String::new(), message_id };
        self.client.get_approval(request).await.unwrap().into_inner().approval
    }

    async fn reopened(&mut self, fence: &Fence) -> Option<Thread> {
        let request =
            ReopenThreadRequest { fence: Some(fence.clone()), approval_id: ID.to_owned() };
        self.client.reopen_thread(request).await.unwrap().into_inner().thread
    }
}

fn act(thread: TaskThreadId) -> ery_proto::store::v1::Execution {
    ery_proto::store::v1::Execution {
        tool: "timeout_member".to_owned(),
        arguments: r#"{"member":"7"}"#.to_owned(),
        tier: "reversible".to_owned(),
        decision: Decision::NeedsApproval.into(),
        approval_id: ID.to_owned(),
        ..execution(thread, 0)
    }
}

fn proposal(fence: &Fence, thread: TaskThreadId) -> BeginExecutionRequest {
    BeginExecutionRequest {
        approval: Some(NewApproval {
            hash: "h".to_owned(),
            asker_id: AUTHOR,
            bot_id: 77,
            expires_at_ms: NOW + 60_000,
        }),
        ..begin_execution(fence, &act(thread))
    }
}

#[tokio::test]
async fn a_message_tells_which_proposal_it_shows_before_and_after_the_decision() {
    let mut store = Store::new().await;
    store.proposed(&fence(5, "holder")).await;
    assert_eq!(store.shown_by(GUILD, BUTTONS).await.unwrap().approval_id, ID);
    store.click(ApprovalDecision::Approved, MODERATOR).await.unwrap();
    let shown = store.shown_by(GUILD, BUTTONS).await.unwrap();
    assert_eq!(shown.decision(), ApprovalDecision::Approved);
    assert_eq!(store.shown_by(GUILD, BUTTONS + 1).await, None);
    assert_eq!(store.shown_by(8 << 22, BUTTONS).await, None, "of another server");
}

#[tokio::test]
async fn a_click_decides_once_and_wakes_the_thread_at_once() {
    let mut store = Store::new().await;
    let fence = fence(1, "a");
    let thread = store.proposed(&fence).await;
    let tasks = Tasks::new();
    let (service, own) = (store.service.clone(), tasks.clone());
    tasks.spawn("store", async move { service.run(own).await });

    let open = store.approval(GUILD).await.unwrap();
    assert_eq!(open.decision(), ApprovalDecision::Unspecified);
    assert_eq!((open.message_id, open.asking_message_id), (BUTTONS, 1));
    assert_eq!(open.thread_id, thread.to_string());
    assert_eq!(store.approval(GUILD + (64 << 22)).await, None, "of another guild");
    assert!(store.queue.published().is_empty());

    let decided = store.click(ApprovalDecision::Approved, MODERATOR).await.unwrap();
    assert_eq!((decided.decision(), decided.decided_by), (ApprovalDecision::Approved, MODERATOR));
    let second = store.click(ApprovalDecision::Rejected, 601).await.unwrap();
    assert_eq!(second, decided);
    let published = store.queue.until_published(1).await;
    assert_eq!(published[0].trigger.to_string(), format!("ap.{ID}"));
    assert_eq!(published[0].channel.channel.get(), CHANNEL);
    tasks.finish(std::time::Duration::from_secs(20)).await;
}

#[tokio::test]
async fn a_decided_thread_runs_again_with_all_that_it_did() {
    let mut store = Store::new().await;
    let first = fence(1, "a");
    let thread = store.proposed(&first).await;
    let second = fence(2, "b");
    store.open_channel(&second).await;
    assert_eq!(store.reopened(&second).await, None, "it is not decided");

    store.click(ApprovalDecision::Approved, MODERATOR).await;
    let reopened = store.reopened(&second).await.unwrap();
    assert_eq!(reopened.thread_id, thread.to_string());
    assert_eq!(reopened.outcome(), ThreadOutcome::Running);
    let triggers: Vec<_> = reopened.triggers.iter().map(|trigger| trigger.id.clone()).collect();
    assert_eq!(triggers, ["m.1".to_owned(), format!("ap.{ID}")]);
    assert_eq!(reopened.approvals.len(), 1);
    assert_eq!(reopened.approvals[0].decided_by, MODERATOR);
    // A repeat finds it running; so does the next holder, if this one dies.
    assert_eq!(store.reopened(&second).await, Some(reopened.clone()));
    let third = fence(3, "c");
    let unfinished = store.open_channel(&third).await.unfinished.unwrap();
    assert_eq!(unfinished, reopened);

    let mut end = finish(&third, thread, ThreadOutcome::Done, &[1]);
    end.finished_trigger_ids.push(format!("ap.{ID}"));
    store.finish(end).await.unwrap();
    assert_eq!(store.reopened(&third).await, None, "it is over");
    assert_eq!(store.open_channel(&third).await.unfinished, None);
}

#[tokio::test]
async fn an_old_holder_reopens_nothing() {
    let mut store = Store::new().await;
    let old = fence(1, "a");
    store.proposed(&old).await;
    store.click(ApprovalDecision::Approved, MODERATOR).await;
    store.open_channel(&fence(2, "b")).await;
    let request = ReopenThreadRequest { fence: Some(old), approval_id: ID.to_owned() };
    let refused = store.client.reopen_thread(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted);
}

#[tokio::test]
async fn an_approval_expires_and_a_late_click_does_not_count() {
    let mut store = Store::new().await;
    let fence = fence(1, "a");
    store.proposed(&fence).await;
    store.clock.set(ery_clock::UnixMillis(NOW + 60_000));
    let late = store.click(ApprovalDecision::Approved, MODERATOR).await.unwrap();
    assert_eq!((late.decision(), late.decided_by), (ApprovalDecision::Expired, 0));
    let reopened = store.reopened(&fence).await.unwrap();
    assert_eq!(reopened.approvals[0].decision(), ApprovalDecision::Expired);
}

#[tokio::test]
async fn time_alone_wakes_a_thread_for_which_nobody_clicked() {
    let mut store = Store::new().await;
    let fence = fence(1, "a");
    store.proposed(&fence).await;
    store.clock.set(ery_clock::UnixMillis(NOW + 60_000));
    let reopened = store.reopened(&fence).await.unwrap();
    assert_eq!(reopened.approvals[0].decision(), ApprovalDecision::Expired);
}

#[tokio::test]
async fn deleting_the_asking_message_voids_the_approval() {
    let mut store = Store::new().await;
    let fence = fence(1, "a");
    store.ingest(vec![created("mc.1", message(1, "do it"))]).await;
    store.proposed(&fence).await;
    store.ingest(vec![deleted("d", &[1], NOW + 5)]).await;
    let decided = store.click(ApprovalDecision::Approved, MODERATOR).await.unwrap();
    assert_eq!((decided.decision(), decided.decided_by), (ApprovalDecision::Void, 0));
}

#[tokio::test]
async fn what_proposes_must_say_what_and_what_does_not_must_not() {
    let mut store = Store::new().await;
    let fence = fence(1, "a");
    let thread = store.running_thread(&fence, 1).await;
    let mute = BeginExecutionRequest { approval: None, ..proposal(&fence, thread) };
    let mut allowed = proposal(&fence, thread);
    allowed.execution.as_mut().unwrap().decision = Decision::Allow.into();
    for wrong in [mute, allowed] {
        let refused = store.client.begin_execution(wrong).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_does_not_open_again_with_a_backup_from_before_it_was_decided() {
    use ery_proto::store::v1::{
        CreateBackupRequest, RestoreBackupRequest,
        store_admin_service_client::StoreAdminServiceClient,
    };

    let target = tempfile::tempdir().unwrap();
    let url = Some(format!("file://{}", target.path().display()));
    let backup = ery_store::Backup { url, ..ery_store::Backup::default() };
    let settings = ery_store::Settings { backup, ..ery_store::Settings::default() };
    let mut store = Store::with(settings).await;
    let fence = fence(1, "a");
    store.proposed(&fence).await;
    let mut admin = StoreAdminServiceClient::new(ery_rpc::local(store.service.routes()));
    let made = admin.create_backup(CreateBackupRequest { guild_id: 0 }).await.unwrap();
    store.click(ApprovalDecision::Approved, MODERATOR).await;
    let id = made.into_inner().backup.unwrap().id;
    let restore =
        RestoreBackupRequest { id, guild_id: GUILD, accepts_unsealed: false, store: String::new() };
    admin.restore_backup(restore).await.unwrap();
    let again = store.click(ApprovalDecision::Approved, MODERATOR).await.unwrap();
    assert_eq!(again.decision(), ApprovalDecision::Void);
    assert_eq!(store.reopened(&fence).await, None);
}
