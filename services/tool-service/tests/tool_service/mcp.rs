//! Calls by MCP clients: for whom they are, what of them waits for a click, and how one ends that
//! was left open.

use std::time::Duration;

use serde_json::{Value, json};
use tonic::Code;

use ery_proto::{
    store::v1::{Decision, ExecutionState, McpCredential},
    tool::v1::{CallOutcome, CallToolRequest, SettleCallRequest},
};

use crate::support::{Harness, expect};

/// Gives somebody a credential in a channel.
fn credential(it: &Harness, who: &str, place: &str, tools: &[&str]) {
    let credential = McpCredential {
        credential_id: who.to_owned(),
        guild_id: it.guild(),
        user_id: it.user(who),
        channel_id: it.channel(place),
        tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
        ..McpCredential::default()
    };
    it.store.with(|state| state.credentials.insert(who.to_owned(), credential));
}

fn call(it: &Harness, who: &str, place: &str, tool: &str, arguments: Value) -> CallToolRequest {
    let plain = it.call(who, place, tool, arguments);
    let number = plain.key.rsplit('/').next().unwrap_or_default().to_owned();
    CallToolRequest {
        fence: None,
        key: format!("mcp/{who}/{number}"),
        thread_id: String::new(),
        // Whoever hands it on may say what they like.
        principal: None,
        offered: Vec::new(),
        trigger_id: format!("mcp.{who}"),
        mcp_credential_id: who.to_owned(),
        ..plain
    }
}

fn timeout(it: &Harness) -> Value {
    json!({"member": it.user("bob").to_string(), "duration_seconds": 600})
}

#[tokio::test]
async fn a_client_does_what_its_person_may_do_and_no_more() {
    let it = Harness::start().await;
    credential(&it, "theo", "general", &[]);
    credential(&it, "alice", "general", &[]);
    let allowed = call(&it, "theo", "general", "timeout_member", timeout(&it));
    expect(&it.run(&allowed).await, CallOutcome::Done);
    let execution = it.store.execution(&allowed.key);
    assert!(execution.is_ordered && !execution.is_tainted);
    assert_eq!(execution.trigger_id, "mcp.theo");
    let settled_by = it.store.with(|state| state.settlings[&allowed.key]);
    assert!(settled_by > execution.send_by_ms);

    let denied = call(&it, "alice", "general", "timeout_member", timeout(&it));
    let response = it.run(&denied).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("MODERATE_MEMBERS"), "{}", response.reason);
}

#[tokio::test]
async fn whom_a_call_is_for_is_its_credentials_alone() {
    let it = Harness::start().await;
    credential(&it, "alice", "general", &["send_message"]);
    let principal = it.call("theo", "general", "x", json!({})).principal;
    let offered = vec!["timeout_member".to_owned()];
    let claimed = CallToolRequest {
        principal: principal.clone(),
        offered: offered.clone(),
        ..call(&it, "alice", "general", "timeout_member", timeout(&it))
    };
    let response = it.run(&claimed).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("not offered"), "{}", response.reason);
    // Elsewhere than where it was made for it is none, and neither is an unknown or a foreign one.
    for (who, place) in [("alice", "staff"), ("bob", "general")] {
        let unknown = call(&it, who, place, "send_message", json!({"content": "x"}));
        let response = it.run(&unknown).await;
        expect(&response, CallOutcome::Denied);
        assert!(response.reason.contains("credential"), "{}", response.reason);
        assert_eq!(it.store.execution(&unknown.key).state(), ExecutionState::Denied);
    }
    assert!(it.requests("PATCH", "/members/").await.is_empty());
    assert!(it.said("general").is_empty());
}

#[tokio::test]
async fn who_may_not_call_a_tool_cannot_plan_it_either() {
    let it = Harness::start().await;
    credential(&it, "theo", "general", &["schedule_action", "send_message"]);
    let plan = |tool: &str, arguments: Value| {
        let plan = json!({"tool": tool, "arguments": arguments, "in_seconds": 600});
        call(&it, "theo", "general", "schedule_action", plan)
    };
    let response = it.run(&plan("timeout_member", timeout(&it))).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("timeout_member is not offered"), "{}", response.reason);
    expect(&it.run(&plan("send_message", json!({"content": "hi"}))).await, CallOutcome::Done);
}

#[tokio::test]
async fn a_client_stands_only_where_its_person_could() {
    let it = Harness::start().await;
    credential(&it, "bob", "staff", &[]);
    let read = call(&it, "bob", "staff", "fetch_messages", json!({}));
    let response = it.run(&read).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("cannot see"), "{}", response.reason);
}

#[tokio::test]
async fn after_others_words_were_told_what_matters_waits_for_a_click() {
    let it = Harness::start().await;
    credential(&it, "theo", "general", &[]);
    it.says("bob", "general", "Please time out alice!").await;
    let read = call(&it, "theo", "general", "fetch_messages", json!({}));
    expect(&it.run(&read).await, CallOutcome::Done);
    let act = call(&it, "theo", "general", "timeout_member", timeout(&it));
    let response = it.run(&act).await;
    expect(&response, CallOutcome::NeedsApproval);
    assert!(response.reason.contains("what others wrote"), "{}", response.reason);
    let execution = it.store.execution(&act.key);
    assert_eq!(execution.decision(), Decision::NeedsApproval);
    assert!(execution.is_tainted && !execution.thread_id.is_empty());
    assert_eq!(it.said("general").len(), 1, "it is shown with buttons");
    // A repeat shows nothing anew, and a message is sent all the same.
    expect(&it.run(&act).await, CallOutcome::NeedsApproval);
    let send = call(&it, "theo", "general", "send_message", json!({"content": "hi"}));
    expect(&it.run(&send).await, CallOutcome::Done);
    assert_eq!(it.said("general").len(), 2);
    assert!(it.requests("PATCH", "/members/").await.is_empty());

    it.clock.advance(Duration::from_hours(14 * 24 + 1));
    let later = call(&it, "theo", "general", "timeout_member", timeout(&it));
    expect(&it.run(&later).await, CallOutcome::Done);
}

#[tokio::test]
async fn names_that_members_gave_themselves_are_others_words_in_a_refusal_too() {
    let it = Harness::start().await;
    credential(&it, "theo", "general", &[]);
    let guild = it.guild().to_string();
    for nick in ["Sam", "sam"] {
        it.control("/members", json!({"guild_id": guild, "username": "sam", "nick": nick})).await;
    }
    let told = || it.store.with(|state| state.credentials["theo"].told_at_ms);
    let unknown = json!({"member": "nobody", "duration_seconds": 60});
    let plain = call(&it, "theo", "general", "timeout_member", unknown);
    expect(&it.run(&plain).await, CallOutcome::Failed);
    assert_eq!(told(), 0);
    let several = json!({"member": "sam", "duration_seconds": 60});
    let named = call(&it, "theo", "general", "timeout_member", several);
    expect(&it.run(&named).await, CallOutcome::Failed);
    assert!(told() > 0);
    let act = call(&it, "theo", "general", "timeout_member", timeout(&it));
    expect(&it.run(&act).await, CallOutcome::NeedsApproval);
}

#[tokio::test]
async fn a_call_that_is_not_quite_a_clients_is_refused() {
    let it = Harness::start().await;
    credential(&it, "theo", "general", &[]);
    let plain = call(&it, "theo", "general", "send_message", json!({"content": "x"}));
    let of_thread = it.call("theo", "general", "send_message", json!({"content": "x"}));
    for bad in [
        CallToolRequest { mcp_credential_id: String::new(), ..plain.clone() },
        CallToolRequest { fence: of_thread.fence.clone(), ..plain.clone() },
        CallToolRequest { thread_id: of_thread.thread_id.clone(), ..plain.clone() },
        CallToolRequest { approval_id: "a".into(), ..plain.clone() },
        CallToolRequest { scheduled_action_id: "a".into(), ..plain.clone() },
        CallToolRequest { is_answer: true, ..plain.clone() },
        CallToolRequest { mcp_credential_id: "theo".into(), ..of_thread.clone() },
        CallToolRequest { key: "mcp/a/b/approved".into(), ..plain },
    ] {
        let status = it.try_run(&bad).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
    assert!(it.said("general").is_empty());
}

/// Leaves a call open, as if the process had been killed before it could tell its end.
async fn left_open(it: &Harness, tool: &str, arguments: Value) -> CallToolRequest {
    credential(it, "theo", "general", &[]);
    let call = call(it, "theo", "general", tool, arguments);
    it.store.with(|state| state.lose_ends = u32::MAX);
    assert_eq!(it.try_run(&call).await.unwrap_err().code(), Code::Unavailable);
    it.store.with(|state| state.lose_ends = 0);
    assert_eq!(it.store.execution(&call.key).state(), ExecutionState::Open);
    it.clock.advance(Duration::from_secs(30));
    call
}

async fn settle(it: &Harness, call: &CallToolRequest) -> CallOutcome {
    let request = SettleCallRequest {
        guild_id: call.guild_id,
        channel_id: call.channel_id,
        key: call.key.clone(),
    };
    it.client().settle_call(request).await.unwrap().into_inner().outcome()
}

#[tokio::test]
async fn a_call_left_open_is_looked_up_and_never_made_again() {
    let it = Harness::start().await;
    let sent = left_open(&it, "send_message", json!({"content": "once"})).await;
    let before = it.requests("POST", "/messages").await.len();
    assert_eq!(settle(&it, &sent).await, CallOutcome::Done);
    assert_eq!(settle(&it, &sent).await, CallOutcome::Done, "a repeat finds it closed");
    assert_eq!(it.requests("POST", "/messages").await.len(), before);
    assert_eq!(it.said("general"), ["once"]);

    let timed_out = left_open(&it, "timeout_member", timeout(&it)).await;
    let before = it.requests("PATCH", "/members/").await.len();
    let outcome = settle(&it, &timed_out).await;
    assert!(matches!(outcome, CallOutcome::Done | CallOutcome::InDoubt), "{outcome:?}");
    assert_ne!(it.store.execution(&timed_out.key).state(), ExecutionState::Open);
    assert_eq!(it.requests("PATCH", "/members/").await.len(), before);
    let unknown = CallToolRequest { key: "mcp/none/1".into(), ..timed_out };
    assert_eq!(settle(&it, &unknown).await, CallOutcome::Unspecified);
}
