//! Timeouts: rights, order of roles, orders.

use std::time::Duration;

use serde_json::{Value, json};

use ery_clock::Clock;
use ery_proto::{
    common::v1::{Principal, principal::Kind},
    store::v1::{Decision, ExecutionState},
    tool::v1::{CallOutcome, CallToolRequest, ResolveCallRequest},
};

use crate::support::{Harness, content, expect, order};

fn timeout(it: &Harness, who: &str, arguments: &Value) -> CallToolRequest {
    it.call(who, "general", "timeout_member", arguments.clone())
}

async fn timed_out_until(it: &Harness, who: &str) -> Value {
    let path = format!("guilds/{}/members/{}", it.guild(), it.user(who));
    it.rest(&path).await["communication_disabled_until"].clone()
}

#[tokio::test]
async fn an_ordered_timeout_is_given_with_an_absolute_end_and_the_askers_name() {
    let it = Harness::start().await;
    let (bob, theo) = (it.user("bob"), it.user("theo"));
    let request = ResolveCallRequest {
        guild_id: it.guild(),
        channel_id: it.channel("general"),
        tool: "timeout_member".into(),
        arguments: json!({"member": "@Bob", "duration_seconds": 600, "reason": "spam"}).to_string(),
        now_ms: it.clock.now().0,
        trigger_id: "m.1".into(),
        asker_id: 0,
    };
    let resolved = it.client().resolve_call(request).await.unwrap().into_inner();
    assert_eq!(resolved.problem, "");
    let canonical: Value = serde_json::from_str(&resolved.arguments).unwrap();
    assert_eq!(
        canonical,
        json!({"member": bob.to_string(), "duration_seconds": 600, "reason": "spam"})
    );

    // The model words it differently, and read others' text before.
    let mut call = timeout(
        &it,
        "theo",
        &json!({
            "member": format!("<@{bob}>"), "duration_seconds": 600, "reason": "because I say so",
        }),
    );
    call.is_tainted = true;
    call.orders = vec![order("timeout_member", &canonical)];
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    it.clock.advance(Duration::from_secs(30));
    expect(&it.run(&call).await, CallOutcome::Done);

    let patches = it.requests("PATCH", "/members/").await;
    assert_eq!(patches.len(), 1);
    let until = patches[0]["body"]["communication_disabled_until"].as_str().unwrap();
    assert_eq!(content(&response)["until"], until);
    assert!(timed_out_until(&it, "bob").await.is_string());
    let reason = patches[0]["headers"]["x-audit-log-reason"].as_str().unwrap();
    assert!(reason.contains(&theo.to_string()) && reason.contains("spam"), "{reason}");
    assert!(reason.contains(&call.key.replace('/', "%2F")), "{reason}");
    assert!(!reason.contains("because"), "the order is carried out, not the model's words");
    let execution = it.store.execution(&call.key);
    assert!(execution.is_ordered && execution.is_tainted);
    assert_eq!(execution.tier, "reversible");
    assert_eq!(execution.audit_reason, format!("{theo}: spam [{}]", call.key));
    assert!(execution.arguments.contains(until), "{}", execution.arguments);
}

#[tokio::test]
async fn without_an_equal_order_a_timeout_waits_for_approval() {
    let it = Harness::start().await;
    let (bob, alice) = (it.user("bob").to_string(), it.user("alice").to_string());
    let arguments = json!({"member": bob, "duration_seconds": 600});
    for (is_tainted, orders) in [
        (false, vec![]),
        (true, vec![]),
        (true, vec![order("timeout_member", &json!({"member": alice, "duration_seconds": 600}))]),
        (true, vec![order("timeout_member", &json!({"member": bob, "duration_seconds": 601}))]),
        (true, vec![order("ban_member", &arguments)]),
        (true, vec![order("timeout_member", &json!("nonsense"))]),
    ] {
        let mut call = timeout(&it, "theo", &arguments);
        (call.is_tainted, call.orders) = (is_tainted, orders);
        let response = it.run(&call).await;
        expect(&response, CallOutcome::NeedsApproval);
        assert_eq!(content(&response)["error"], "needs_approval");
        assert!(response.reason.contains("plain message"), "{}", response.reason);
        let execution = it.store.execution(&call.key);
        assert_eq!(execution.decision(), Decision::NeedsApproval);
        assert_eq!(execution.state(), ExecutionState::Done, "it is shown");
        expect(&it.run(&call).await, CallOutcome::NeedsApproval);
    }
    assert!(it.requests("PATCH", "").await.is_empty());
}

#[tokio::test]
async fn who_lacks_the_right_or_the_rank_is_told_so_and_nothing_is_sent() {
    let it = Harness::start().await;
    for (asker, target, told) in [
        ("bob", "alice", "You need the permission “Time out members” (MODERATE_MEMBERS)"),
        ("zoe", "bob", "MODERATE_MEMBERS"),
        ("theo", "mara", "owner"),
        ("theo", "theo", "themselves"),
        ("theo", "Ery", "myself"),
        ("mara", "theo", "My highest role"),
    ] {
        let act = json!({"member": it.user(target).to_string(), "duration_seconds": 60});
        let mut call = timeout(&it, asker, &act);
        call.orders = vec![order("timeout_member", &act)];
        let response = it.run(&call).await;
        expect(&response, CallOutcome::Denied);
        assert!(response.reason.contains(told), "{asker} on {target}: {}", response.reason);
        let execution = it.store.execution(&call.key);
        assert_eq!(execution.state(), ExecutionState::Denied);
        assert_eq!(execution.decision(), Decision::Deny);
        assert_ne!(execution.closed_at_ms, 0);
    }
    assert!(it.requests("PATCH", "").await.is_empty());
    assert_eq!(it.store.with(|state| state.ends), 0, "opened and closed in one write");
}

#[tokio::test]
async fn a_shared_turn_and_a_direct_message_moderate_nobody() {
    let it = Harness::start().await;
    let act = json!({"member": it.user("bob").to_string(), "duration_seconds": 60});
    let mut shared = timeout(&it, "theo", &act);
    shared.askers = vec![it.user("theo"), it.user("mara")];
    shared.orders = vec![order("timeout_member", &act)];
    expect(&it.run(&shared).await, CallOutcome::Denied);

    let mut dm = timeout(&it, "theo", &act);
    dm.orders = vec![order("timeout_member", &act)];
    dm.guild_id = 0;
    dm.fence.as_mut().unwrap().guild_id = 0;
    expect(&it.run(&dm).await, CallOutcome::Denied);
    assert!(it.requests("PATCH", "").await.is_empty());
}

#[tokio::test]
async fn a_timeout_is_lifted_and_a_rule_needs_no_order() {
    let it = Harness::start().await;
    let bob = it.user("bob").to_string();
    let mut by_rule = timeout(&it, "theo", &json!({"member": bob, "duration_seconds": 60}));
    by_rule.principal = Some(Principal {
        kind: Some(Kind::Rule(ery_proto::common::v1::principal::Rule {
            id: "links".into(),
            version: 3,
        })),
    });
    expect(&it.run(&by_rule).await, CallOutcome::Done);
    assert!(timed_out_until(&it, "bob").await.is_string());

    // He is timed out, and the service knows it before any event told so.
    let speak = it.call("bob", "general", "send_message", json!({"content": "x"}));
    let response = it.run(&speak).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("timed out"), "{}", response.reason);

    let act = json!({"member": bob, "duration_seconds": 0});
    let mut lift = timeout(&it, "theo", &act);
    lift.orders = vec![order("timeout_member", &act)];
    expect(&it.run(&lift).await, CallOutcome::Done);
    assert_eq!(timed_out_until(&it, "bob").await, Value::Null);
    let mut speak = it.call("bob", "general", "send_message", json!({"content": "back"}));
    speak.is_answer = false;
    expect(&it.run(&speak).await, CallOutcome::Done);
}

#[tokio::test]
async fn an_open_timeout_is_repeated_with_the_end_that_was_stored() {
    let it = Harness::start().await;
    let bob = it.user("bob").to_string();
    let act = json!({"member": bob, "duration_seconds": 600});
    let mut call = timeout(&it, "theo", &act);
    call.orders = vec![order("timeout_member", &act)];
    // Its answer never came, nor did the store hear of it.
    it.fault("PATCH /guilds/{guild_id}/members/{user_id}", "lose_response", json!({"count": 1}))
        .await;
    it.store.with(|state| state.lose_ends = u32::MAX);
    let status = it.try_run(&call).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    let before = timed_out_until(&it, "bob").await;
    assert!(before.is_string());

    it.store.with(|state| state.lose_ends = 0);
    it.clock.advance(Duration::from_mins(1));
    expect(&it.run(&call).await, CallOutcome::Done);
    assert_eq!(timed_out_until(&it, "bob").await, before, "it was not prolonged");
}

#[tokio::test]
async fn an_open_timeout_whose_repeat_is_refused_is_in_doubt() {
    let it = Harness::start().await;
    let act = json!({"member": it.user("bob").to_string(), "duration_seconds": 600});
    let mut call = timeout(&it, "theo", &act);
    call.orders = vec![order("timeout_member", &act)];
    it.store.with(|state| state.lose_ends = u32::MAX);
    assert_eq!(it.try_run(&call).await.unwrap_err().code(), tonic::Code::Unavailable);
    assert!(timed_out_until(&it, "bob").await.is_string());

    it.store.with(|state| state.lose_ends = 0);
    it.clock.advance(Duration::from_mins(1));
    let refusal = json!({"status": 403, "count": 1});
    it.fault("PATCH /guilds/{guild_id}/members/{user_id}", "error", refusal).await;
    expect(&it.run(&call).await, CallOutcome::InDoubt);
}
