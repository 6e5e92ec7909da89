//! What the staff of a server and of the installation allow.

use serde_json::json;

use ery_proto::{
    store::v1::{Decision, ExecutionState},
    tool::v1::CallOutcome,
};
use ery_tool_service::ToolRule;

use crate::support::{Harness, expect, order};

fn timeout(it: &Harness) -> ery_proto::tool::v1::CallToolRequest {
    let act = json!({"member": it.user("bob").to_string(), "duration_seconds": 600});
    let mut call = it.call("theo", "general", "timeout_member", act.clone());
    call.orders = vec![order("timeout_member", &act)];
    call
}

#[tokio::test]
async fn where_staff_are_to_be_asked_even_an_order_waits_for_a_click() {
    let it = Harness::start_with(|settings| {
        settings.policy = [("timeout_member".into(), ToolRule::Ask)].into();
    })
    .await;
    let call = timeout(&it);
    expect(&it.run(&call).await, CallOutcome::NeedsApproval);
    assert!(it.requests("PATCH", "/members/").await.is_empty());
    assert_eq!(it.said("general").len(), 1, "it is proposed");
}

#[tokio::test]
async fn a_dry_run_decides_and_does_nothing_that_matters() {
    let it = Harness::start_with(|settings| settings.dry_run = true).await;
    let call = timeout(&it);
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("dry run"), "{}", response.reason);
    let execution = it.store.execution(&call.key);
    assert_eq!(execution.decision(), Decision::Deny);
    assert_eq!(execution.state(), ExecutionState::Denied);
    assert!(it.requests("PATCH", "/members/").await.is_empty());
    let hello = it.call("theo", "general", "send_message", json!({"content": "hello"}));
    expect(&it.run(&hello).await, CallOutcome::Done);
}

#[tokio::test]
async fn a_rule_is_not_evaded_by_planning() {
    let plan = |it: &Harness| {
        let planned = json!({
            "tool": "send_message", "arguments": {"content": "hello"}, "in_seconds": 60,
        });
        let mut call = it.call("bob", "general", "schedule_action", planned);
        call.offered.push("schedule_action".into());
        call
    };
    for (rule, outcome) in
        [(ToolRule::Ask, CallOutcome::NeedsApproval), (ToolRule::Off, CallOutcome::Denied)]
    {
        let it = Harness::start_with(|settings| {
            settings.policy = [("send_message".into(), rule)].into();
        })
        .await;
        expect(&it.run(&plan(&it)).await, outcome);
        assert!(it.store.with(|state| state.planned.is_empty()));
    }
}
