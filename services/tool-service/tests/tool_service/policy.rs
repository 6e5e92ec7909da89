//! What the staff of a server and of the installation allow.

use std::time::Duration;

use serde_json::json;

use ery_community_config::{Changed, Subject, TOOLS};
use ery_event_bus::Topic;
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
async fn what_a_server_sets_holds_at_once_and_never_above_the_installation() {
    let it = Harness::start_with(|settings| {
        settings.policy = [("kick_member".into(), ToolRule::Off)].into();
    })
    .await;
    let home = it.guild();
    let set = |path: &str, value: serde_json::Value| {
        let version = it.config.set(home, Subject::SERVER, path, value);
        it.bus.broadcast_json(Topic::ConfigChanged, &Changed { home, version });
    };
    let call = timeout(&it);
    expect(&it.run(&call).await, CallOutcome::Done);

    set("tools.policy.timeout_member", json!("off"));
    until_denied(&it, "switched off").await;
    set("tools.policy.timeout_member", json!("allow"));
    set("paused", json!(true));
    until_denied(&it, "paused").await;
    set("paused", json!(false));

    set("tools.policy.kick_member", json!("allow"));
    let kick =
        it.call("theo", "general", "kick_member", json!({"member": it.user("bob").to_string()}));
    expect(&it.run(&kick).await, CallOutcome::Denied);
}

/// A broadcast takes a moment; what it says is then decided.
async fn until_denied(it: &Harness, word: &str) {
    for _ in 0..200 {
        let call = timeout(it);
        let response = it.run(&call).await;
        let reason = &response.reason;
        if response.outcome() == CallOutcome::Denied && reason.contains(word) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it was never denied as {word}");
}

#[test]
fn rules_can_be_set_for_every_tool_that_there_is() {
    let unknown: Vec<_> =
        TOOLS.into_iter().filter(|tool| !ery_tool_service::is_tool(tool)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[tokio::test]
async fn a_rule_is_not_evaded_by_planning() {
    let message = json!({
        "tool": "send_message", "arguments": {"content": "hello"}, "in_seconds": 60,
    });
    let prompt = json!({"prompt": "What happened?", "in_seconds": 60});
    let plan = |it: &Harness, planned: &serde_json::Value| {
        let mut call = it.call("bob", "general", "schedule_action", planned.clone());
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
        for planned in [&message, &prompt] {
            expect(&it.run(&plan(&it, planned)).await, outcome);
        }
        assert!(it.store.with(|state| state.planned.is_empty()));
        let shown = it.said("general");
        assert_eq!(shown.iter().any(|it| it.contains("What happened?")), !shown.is_empty());
    }
}

#[tokio::test]
async fn no_more_is_done_in_an_hour_than_the_server_allows() {
    let it = Harness::start().await;
    let set = |path: &str, value: serde_json::Value| {
        it.config.set(it.guild(), Subject::SERVER, path, value);
    };
    set("tools.destructive_per_hour", json!(1));
    set("tools.acts_per_person_per_hour", json!(3));
    let ban = async |who: &str, whom: &str| {
        let arguments = json!({"member": it.user(whom).to_string()});
        it.ordered(who, "ban_member", arguments).await
    };
    expect(&it.run(&ban("theo", "bob").await).await, CallOutcome::Done);

    let call = ban("mara", "alice").await;
    let response = it.run(&call).await;

    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("at most 1 act of"), "{}", response.reason);
    assert!(response.reason.contains("tools.destructive_per_hour"), "{}", response.reason);
    let execution = it.store.execution(&call.key);
    assert_eq!((execution.decision(), execution.state()), (Decision::Deny, ExecutionState::Denied));
    assert_eq!(it.requests("PUT", "/bans/").await.len(), 1, "nothing is asked of Discord");
    expect(&it.run(&call).await, CallOutcome::Denied);

    // What can be undone goes on, up to the person's own bound; an answer is no such act.
    let timeout = async || {
        let act = json!({"member": it.user("alice").to_string(), "duration_seconds": 600});
        it.run(&it.ordered("theo", "timeout_member", act).await).await
    };
    for _ in 0..2 {
        expect(&timeout().await, CallOutcome::Done);
    }
    let response = timeout().await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("for one person"), "{}", response.reason);
    let hello = it.call("theo", "general", "send_message", json!({"content": "hello"}));
    expect(&it.run(&hello).await, CallOutcome::Done);

    // An hour later there is room again.
    it.clock.advance(std::time::Duration::from_hours(1));
    expect(&it.run(&ban("mara", "alice").await).await, CallOutcome::Done);
}

#[tokio::test]
async fn what_a_thread_belongs_to_is_waited_for_as_every_look_and_then_told() {
    let it = Harness::start().await;
    let general = it.channel("general");
    // No list tells of a thread that is put away.
    let old = json!({"name": "old", "type": 11});
    let old = it.rest_post(&format!("channels/{general}/threads"), old).await;
    let old = old["id"].as_str().unwrap().to_owned();
    it.control_patch(&format!("/threads/{old}"), json!({"archived": true})).await;
    it.config.set(it.guild(), Subject::channel(general), "tools.dry_run", json!(true));
    it.fault("GET /channels/{channel_id}", "error", json!({"status": 503})).await;
    let mut call = it.call("bob", "general", "get_server_info", json!({}));
    call.channel_id = old.parse().unwrap();
    call.fence.as_mut().unwrap().channel_id = call.channel_id;
    let waits = it.try_run(&call).await.unwrap_err();
    assert_eq!(waits.code(), tonic::Code::Unavailable, "{waits}");
    assert!(waits.message().contains("discord"), "it is not the store's fault: {waits}");
    it.clock.advance(Duration::from_mins(2));
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("not answered properly"), "{}", response.reason);
}
