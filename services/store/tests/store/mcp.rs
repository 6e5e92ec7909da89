//! Credentials of MCP clients, and what their calls leave to be done.

use ery_ids::TaskThreadId;
use ery_lifecycle::Tasks;
use ery_proto::{
    common::v1::Fence,
    store::v1::{
        ApprovalDecision, BeginExecutionRequest, CreateMcpCredentialRequest, DecideApprovalRequest,
        Decision, EndExecutionRequest, Execution, ExecutionState, GetApprovalRequest,
        GetExecutionRequest, GetMcpCredentialRequest, ListMcpCredentialsRequest, McpCredential,
        NewApproval, ReopenThreadRequest, RevokeMcpCredentialRequest, ScheduledActionState,
        Settling, ThreadOutcome,
    },
};
use tonic::Code;

use crate::{
    scheduled_actions::later,
    support::{AUTHOR, CHANNEL, GUILD, NOW, Store, end_execution, execution, fence},
};

const ID: &str = "c0ffee";
const KEY: &str = "mcp/s/1";
const HASH: [u8; 32] = [7; 32];

fn credential() -> McpCredential {
    McpCredential {
        credential_id: ID.to_owned(),
        guild_id: GUILD,
        user_id: AUTHOR,
        channel_id: CHANNEL,
        name: "desk".to_owned(),
        tools: vec!["send_message".to_owned()],
        ..McpCredential::default()
    }
}

fn call(key: &str, tier: &str) -> Execution {
    Execution {
        key: key.to_owned(),
        thread_id: String::new(),
        trigger_id: format!("mcp.{ID}"),
        tier: tier.to_owned(),
        ..execution(TaskThreadId::random(), 0)
    }
}

fn begin(execution: Execution) -> BeginExecutionRequest {
    BeginExecutionRequest {
        fence: None,
        execution: Some(execution),
        approval: None,
        settling: Some(Settling { bot_id: 77, due_at_ms: NOW + 5_000 }),
        ..BeginExecutionRequest::default()
    }
}

fn end(execution: &Execution) -> EndExecutionRequest {
    EndExecutionRequest {
        fence: None,
        guild_id: GUILD,
        channel_id: CHANNEL,
        ..end_execution(&Fence::default(), execution, ExecutionState::Done)
    }
}

impl Store {
    async fn create(&mut self) -> McpCredential {
        let request = CreateMcpCredentialRequest {
            credential: Some(credential()),
            token_hash: HASH.to_vec(),
        };
        let made = self.client.create_mcp_credential(request).await.unwrap();
        made.into_inner().credential.unwrap()
    }

    async fn in_force(&mut self, guild_id: u64) -> Option<McpCredential> {
        let request = GetMcpCredentialRequest { guild_id, credential_id: ID.to_owned() };
        let found = self.client.get_mcp_credential(request).await.unwrap().into_inner();
        let hash = if found.credential.is_some() { HASH.to_vec() } else { Vec::new() };
        assert_eq!(found.token_hash, hash);
        found.credential
    }

    async fn revoke(&mut self, guild_id: u64) -> Option<McpCredential> {
        let request = RevokeMcpCredentialRequest { guild_id, credential_id: ID.to_owned() };
        self.client.revoke_mcp_credential(request).await.unwrap().into_inner().credential
    }

    fn started(&self) -> Tasks {
        let tasks = Tasks::new();
        let (service, own) = (self.service.clone(), tasks.clone());
        tasks.spawn("store", async move { service.run(own).await });
        tasks
    }
}

#[tokio::test]
async fn a_credential_is_in_force_in_its_guild_until_it_is_revoked() {
    let mut store = Store::new().await;
    assert_eq!(store.in_force(GUILD).await, None);
    let made = store.create().await;
    assert_eq!(
        (made.user_id, made.channel_id, &made.tools),
        (AUTHOR, CHANNEL, &credential().tools)
    );
    assert_eq!(store.in_force(GUILD).await, Some(made.clone()));
    let elsewhere = GUILD + (64 << 22);
    assert_eq!(store.in_force(elsewhere).await, None, "of another guild");
    assert_eq!(store.revoke(elsewhere).await, None);

    let revoked = store.revoke(GUILD).await.unwrap();
    assert!(revoked.revoked_at_ms > 0);
    assert_eq!(store.in_force(GUILD).await, None);
    assert_eq!(store.revoke(GUILD).await, Some(revoked.clone()), "once");
    let listed = ListMcpCredentialsRequest::default();
    let listed = store.client.list_mcp_credentials(listed).await.unwrap().into_inner();
    assert_eq!(listed.credentials, [revoked]);
}

#[tokio::test]
async fn a_credential_that_binds_to_nobody_is_not_made() {
    let mut store = Store::new().await;
    for (bad, hash) in [
        (McpCredential { user_id: 0, ..credential() }, HASH.to_vec()),
        (McpCredential { guild_id: 0, ..credential() }, HASH.to_vec()),
        (McpCredential { channel_id: 0, ..credential() }, HASH.to_vec()),
        (McpCredential { credential_id: "a/b".into(), ..credential() }, HASH.to_vec()),
        (credential(), vec![7; 31]),
    ] {
        let request = CreateMcpCredentialRequest { credential: Some(bad), token_hash: hash };
        let refused = store.client.create_mcp_credential(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
}

#[tokio::test]
async fn only_what_is_read_tells_a_client_others_words() {
    let mut store = Store::new().await;
    store.create().await;
    let sent = call(KEY, "harmless");
    store.client.begin_execution(begin(sent.clone())).await.unwrap();
    store.client.end_execution(end(&sent)).await.unwrap();
    assert_eq!(store.in_force(GUILD).await.unwrap().told_at_ms, 0);
    let read = call("mcp/s/2", "read");
    store.client.begin_execution(begin(read.clone())).await.unwrap();
    store.client.end_execution(end(&read)).await.unwrap();
    assert_eq!(store.in_force(GUILD).await.unwrap().told_at_ms, NOW + 500);
}

#[tokio::test]
async fn what_was_told_counts_for_all_clients_of_the_person_and_is_renewed_when_it_is_told_again() {
    let mut store = Store::new().await;
    store.create().await;
    let other = |id: &str, user: u64| CreateMcpCredentialRequest {
        credential: Some(McpCredential {
            credential_id: id.to_owned(),
            user_id: user,
            ..credential()
        }),
        token_hash: HASH.to_vec(),
    };
    for (id, user) in [("second", AUTHOR), ("another", AUTHOR + 1)] {
        let request = other(id, user);
        store.client.create_mcp_credential(request).await.unwrap();
    }
    let read = call(KEY, "read");
    store.client.begin_execution(begin(read.clone())).await.unwrap();
    store.client.end_execution(end(&read)).await.unwrap();
    store.client.create_mcp_credential(other("third", AUTHOR)).await.unwrap();
    let told = async |store: &mut Store| {
        let listed = store.client.list_mcp_credentials(ListMcpCredentialsRequest::default()).await;
        let mut listed = listed.unwrap().into_inner().credentials;
        listed.sort_by(|one, other| one.credential_id.cmp(&other.credential_id));
        listed.into_iter().map(|it| (it.credential_id, it.told_at_ms - NOW)).collect::<Vec<_>>()
    };
    let all = |at: i64| {
        [("another", -NOW), (ID, at), ("second", at), ("third", at)]
            .map(|(id, at)| (id.to_owned(), at))
            .to_vec()
    };
    assert_eq!(told(&mut store).await, all(500));
    // Asked for again, it is told again.
    let again = Execution { opened_at_ms: NOW + 900, ..read };
    store.client.begin_execution(begin(again)).await.unwrap();
    assert_eq!(told(&mut store).await, all(900));
    // A refusal that names others.
    let refused = Execution {
        opened_at_ms: NOW + 2_000,
        closed_at_ms: NOW + 2_000,
        decision: Decision::Deny.into(),
        state: ExecutionState::Failed.into(),
        ..call("mcp/s/7", "")
    };
    let request = BeginExecutionRequest { tells_others: true, ..begin(refused) };
    store.client.begin_execution(request).await.unwrap();
    assert_eq!(told(&mut store).await, all(2_000));

    let one = ListMcpCredentialsRequest { credential_id: "second".into(), limit: 1, guild_id: 0 };
    let found = store.client.list_mcp_credentials(one).await.unwrap().into_inner().credentials;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].credential_id, "second");
}

#[tokio::test]
async fn a_call_that_is_left_open_wakes_its_channel_and_one_that_ended_does_not() {
    let mut store = Store::new().await;
    store.create().await;
    let tasks = store.started();
    let ended = call("mcp/s/2", "harmless");
    store.client.begin_execution(begin(ended.clone())).await.unwrap();
    store.client.end_execution(end(&ended)).await.unwrap();
    let denied = Execution {
        decision: Decision::Deny.into(),
        state: ExecutionState::Denied.into(),
        ..call("mcp/s/3", "harmless")
    };
    store.client.begin_execution(begin(denied)).await.unwrap();
    let open = call(KEY, "harmless");
    store.client.begin_execution(begin(open.clone())).await.unwrap();
    // A repeat plans nothing anew.
    store.client.begin_execution(begin(open)).await.unwrap();
    store.clock.advance(std::time::Duration::from_secs(6));
    store.client.begin_execution(begin(call("mcp/s/4", "harmless"))).await.unwrap();

    let published = store.queue.until_published(1).await;
    let triggers: Vec<_> = published.iter().map(|task| task.trigger.to_string()).collect();
    assert_eq!(triggers[0], format!("ex.{KEY}"));
    assert!(triggers.iter().all(|trigger| trigger.starts_with("ex.mcp/s/")), "{triggers:?}");
    assert!(!triggers.iter().any(|it| it.ends_with("/2") || it.ends_with("/3")), "{triggers:?}");
    let get = |key: &str| GetExecutionRequest {
        guild_id: GUILD,
        channel_id: CHANNEL,
        key: key.to_owned(),
    };
    let found = store.client.get_execution(get(KEY)).await.unwrap().into_inner().execution;
    assert_eq!(found.unwrap().state(), ExecutionState::Open);
    let none = store.client.get_execution(get("mcp/s/9")).await.unwrap().into_inner().execution;
    assert_eq!(none, None);
    tasks.finish(std::time::Duration::from_secs(20)).await;
}

#[tokio::test]
async fn what_a_revoked_credential_asks_for_is_not_opened() {
    let mut store = Store::new().await;
    store.create().await;
    store.client.begin_execution(begin(call("mcp/s/2", "harmless"))).await.unwrap();
    // Revoked between the look at it and the write.
    store.revoke(GUILD).await;
    let refused = store.client.begin_execution(begin(call(KEY, "harmless"))).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    // A repeat of what stands is no new act.
    store.client.begin_execution(begin(call("mcp/s/2", "harmless"))).await.unwrap();
}

#[tokio::test]
async fn what_a_credential_planned_is_cancelled_with_it() {
    let mut store = Store::new().await;
    store.create().await;
    let plan = async |store: &mut Store, key: &str, id: &str, is_expiry: bool| {
        let planned = call(key, "reversible");
        store.client.begin_execution(begin(planned.clone())).await.unwrap();
        let mut end = end(&planned);
        end.later = Some(later(id, is_expiry));
        store.client.end_execution(end).await.unwrap();
    };
    plan(&mut store, KEY, "a1", false).await;
    plan(&mut store, "mcp/s/2", "a2", true).await;
    store.revoke(GUILD).await;
    assert_eq!(store.action("a1").await.state(), ScheduledActionState::Cancelled);
    // What only lifts comes all the same.
    assert_eq!(store.action("a2").await.state(), ScheduledActionState::Waiting);
}

/// What a client asked for and is shown with buttons.
fn proposal(thread: TaskThreadId) -> BeginExecutionRequest {
    BeginExecutionRequest {
        approval: Some(NewApproval {
            hash: "h".to_owned(),
            asker_id: AUTHOR,
            bot_id: 77,
            expires_at_ms: NOW + 60_000,
        }),
        ..begin(Execution {
            thread_id: thread.to_string(),
            decision: Decision::NeedsApproval.into(),
            approval_id: "a1".to_owned(),
            ..call(KEY, "reversible")
        })
    }
}

#[tokio::test]
async fn what_a_client_proposes_waits_in_a_thread_of_its_own() {
    let mut store = Store::new().await;
    store.create().await;
    let first = TaskThreadId::random();
    let begun = store.client.begin_execution(proposal(first)).await.unwrap().into_inner();
    assert!(begun.is_new);
    // A repeat knows no thread, and makes none.
    let again = store.client.begin_execution(proposal(TaskThreadId::random())).await.unwrap();
    let again = again.into_inner();
    assert!(!again.is_new);
    assert_eq!(again.execution.unwrap().thread_id, first.to_string());

    let holder = fence(1, "a");
    assert_eq!(store.open_channel(&holder).await.unfinished, None, "nothing runs meanwhile");
    let click = DecideApprovalRequest {
        guild_id: GUILD,
        approval_id: "a1".to_owned(),
        decision: ApprovalDecision::Approved.into(),
        by: 600,
    };
    store.client.decide_approval(click).await.unwrap();
    let reopen = ReopenThreadRequest { fence: Some(holder), approval_id: "a1".to_owned() };
    let thread = store.client.reopen_thread(reopen).await.unwrap().into_inner().thread.unwrap();
    assert_eq!(thread.thread_id, first.to_string());
    assert_eq!(thread.outcome(), ThreadOutcome::Running);
    let triggers: Vec<_> = thread.triggers.iter().map(|trigger| trigger.id.as_str()).collect();
    assert_eq!(triggers, ["ap.a1"]);
    // The next holder finds it as it is, if this one dies.
    let unfinished = store.open_channel(&fence(2, "b")).await.unfinished;
    assert_eq!(unfinished, Some(thread));
}

#[tokio::test]
async fn with_a_credential_goes_what_it_proposed() {
    let mut store = Store::new().await;
    store.create().await;
    store.client.begin_execution(proposal(TaskThreadId::random())).await.unwrap();
    store.revoke(GUILD).await;
    let request = GetApprovalRequest {
        guild_id: GUILD,
        approval_id: "a1".to_owned(),
        ..GetApprovalRequest::default()
    };
    let approval = store.client.get_approval(request).await.unwrap().into_inner().approval;
    assert_eq!(approval.unwrap().decision(), ApprovalDecision::Void);
}
