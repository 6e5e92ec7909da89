//! What Discord answers when it does not do what is asked.

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;
use tonic::Code;

use ery_proto::tool::v1::CallOutcome;
use ery_tool_service::NewServiceError;

use crate::support::{Harness, expect};

const SEND: &str = "POST /channels/{channel_id}/messages";

async fn overwrite_for_ery(it: &Harness, channel: &str, deny: u64) -> Value {
    let mut channel = it.rest(&format!("channels/{}", it.channel(channel))).await;
    channel["permission_overwrites"].as_array_mut().unwrap().push(json!({
        "id": it.user("Ery").to_string(), "type": 1, "allow": "0", "deny": deny.to_string(),
    }));
    channel
}

#[tokio::test]
async fn a_403_is_learnt_and_not_hammered_until_something_changes() {
    let it = Harness::start().await;
    // The cache says that Ery may; Discord knows better.
    it.fault(SEND, "error", json!({"status": 403, "count": 1})).await;
    for attempt in 0..3 {
        let call = it.call("bob", "general", "send_message", json!({"content": "x"}));
        let response = it.run(&call).await;
        expect(&response, CallOutcome::Failed);
        assert_eq!(it.requests("POST", "/messages").await.len(), 1, "attempt {attempt}");
    }
    assert_eq!(it.budgets.invalid.load(Ordering::SeqCst), 1);
    let other = it.call("bob", "recipes", "send_message", json!({"content": "elsewhere"}));
    expect(&it.run(&other).await, CallOutcome::Done);

    let channel = it.rest(&format!("channels/{}", it.channel("general"))).await;
    it.event("channel_update", &channel);
    let mut is_done = false;
    for _ in 0..200 {
        let call = it.call("bob", "general", "send_message", json!({"content": "again"}));
        if it.run(&call).await.outcome() == CallOutcome::Done {
            is_done = true;
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(is_done, "the event made it forgotten");
    assert_eq!(it.said("general"), ["again"]);
}

#[tokio::test]
async fn what_ery_may_not_is_said_as_her_own_and_not_tried() {
    let it = Harness::start().await;
    let warm = it.call("bob", "general", "send_message", json!({"content": "warm"}));
    expect(&it.run(&warm).await, CallOutcome::Done);
    let before = it.requests("POST", "/messages").await.len();
    it.event("channel_update", &overwrite_for_ery(&it, "general", 1 << 11).await);
    let mut reason = String::new();
    for _ in 0..200 {
        let call = it.call("bob", "general", "send_message", json!({"content": "warm"}));
        let response = it.run(&call).await;
        if response.outcome() == CallOutcome::Denied {
            reason = response.reason;
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(
        reason,
        "I need the permission “Send messages” (SEND_MESSAGES) in #general for that."
    );
    assert!(it.requests("POST", "/messages").await.len() >= before);
    assert_eq!(it.budgets.invalid.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_401_stops_every_request_of_the_process() {
    let it = Harness::start_as(|_| {}, Some("not-the-token")).await;
    for _ in 0..3 {
        let call = it.call("bob", "general", "send_message", json!({"content": "x"}));
        let status = it.try_run(&call).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        assert!(!status.message().contains("not-the-token"));
    }
    assert_eq!(it.log().await.len(), 1);
    assert!(!it.service.readiness().is_ready());
}

#[tokio::test]
async fn a_401_that_is_not_about_the_token_stops_nothing() {
    let it = Harness::start().await;
    // As a server says it that only speaks like Discord, and as Discord does of an interaction.
    it.fault(SEND, "error", json!({"status": 401, "code": 50_001, "count": 1})).await;
    let call = it.call("bob", "general", "send_message", json!({"content": "x"}));
    expect(&it.run(&call).await, CallOutcome::Failed);
    let log = it.log().await;
    let refused = log.iter().position(|entry| entry["status"] == 401).expect("it was refused");
    let after: Vec<_> = log[refused + 1..].iter().map(|entry| entry["path"].clone()).collect();
    assert_eq!(after.len(), 1, "{after:?}");
    assert!(after[0].as_str().unwrap().ends_with("/users/@me"), "{after:?}");
    assert!(it.service.readiness().is_ready());
    let other = it.call("bob", "recipes", "send_message", json!({"content": "elsewhere"}));
    expect(&it.run(&other).await, CallOutcome::Done);
}

#[tokio::test]
async fn a_429_is_waited_for_as_told() {
    let it = Harness::start().await;
    let warm = it.call("bob", "general", "send_message", json!({"content": "warm"}));
    expect(&it.run(&warm).await, CallOutcome::Done);
    it.fault(SEND, "rate_limit", json!({"count": 1, "delay_ms": 300})).await;
    let began = Instant::now();
    let call = it.call("bob", "general", "send_message", json!({"content": "patience"}));
    expect(&it.run(&call).await, CallOutcome::Done);
    let log = it.requests("POST", "/messages").await;
    assert_eq!(log.len(), 3);
    let told = log[1]["response"]["retry_after"].as_f64().unwrap();
    assert!(began.elapsed().as_secs_f64() >= told, "{told}");
    assert_eq!(it.said("general"), ["warm", "patience"]);
    assert!(it.budgets.pauses.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_global_429_pauses_all_replicas() {
    let it = Harness::start().await;
    it.fault(SEND, "rate_limit", json!({"count": 1, "delay_ms": 200, "global": true})).await;
    let call = it.call("bob", "general", "send_message", json!({"content": "patience"}));
    expect(&it.run(&call).await, CallOutcome::Done);
    assert_eq!(it.budgets.pauses.lock().unwrap().len(), 1);
    assert_eq!(it.budgets.invalid.load(Ordering::SeqCst), 1);
    assert_eq!(it.said("general"), ["patience"]);
}

#[tokio::test]
async fn a_429_longer_than_the_queues_deadline_is_told_not_waited_for() {
    let it = Harness::start().await;
    it.fault(SEND, "rate_limit", json!({"count": 1, "delay_ms": 60_000})).await;
    let began = Instant::now();
    let call = it.call("bob", "general", "send_message", json!({"content": "never"}));
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("rate limit"), "{}", response.reason);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(it.said("general").is_empty());
}

#[tokio::test]
async fn a_discord_that_does_not_answer_is_spared() {
    let it = Harness::start_with(|settings| {
        settings.breaker_failures = 3;
        settings.breaker_open_for = Duration::from_millis(300);
        settings.retries = 0;
    })
    .await;
    let warm = it.call("bob", "general", "add_reaction", json!({"message": "1", "emoji": "👍"}));
    expect(&it.run(&warm).await, CallOutcome::Failed);
    let react = "PUT /channels/{channel_id}/messages/{message_id}/reactions/{emoji_name}/@me";
    it.fault(react, "error", json!({"status": 503})).await;
    let before = it.requests("PUT", "/reactions/").await.len();
    for _ in 0..6 {
        let call =
            it.call("bob", "general", "add_reaction", json!({"message": "1", "emoji": "👍"}));
        assert_ne!(it.run(&call).await.outcome(), CallOutcome::Done);
    }
    assert_eq!(it.requests("PUT", "/reactions/").await.len() - before, 3);
    tokio::time::sleep(Duration::from_millis(350)).await;
    let call = it.call("bob", "general", "send_message", json!({"content": "back"}));
    expect(&it.run(&call).await, CallOutcome::Done);
}

#[tokio::test]
async fn too_many_invalid_requests_stop_all_but_sends() {
    let it = Harness::start().await;
    let warm = it.call("bob", "general", "send_message", json!({"content": "warm"}));
    expect(&it.run(&warm).await, CallOutcome::Done);
    it.budgets.invalid.store(5_000, Ordering::SeqCst);
    it.fault(SEND, "error", json!({"status": 403, "count": 1})).await;
    let refused = it.call("bob", "recipes", "send_message", json!({"content": "x"}));
    expect(&it.run(&refused).await, CallOutcome::Failed);
    let read = it.call("bob", "general", "fetch_messages", json!({}));
    let before = it.log().await.len();
    let response = it.run(&read).await;
    expect(&response, CallOutcome::Failed);
    assert_eq!(it.log().await.len(), before);
    let send = it.call("bob", "general", "send_message", json!({"content": "still"}));
    expect(&it.run(&send).await, CallOutcome::Done);
}

#[tokio::test]
async fn settings_that_cannot_work_are_named() {
    let it = Harness::start().await;
    let ports = |api_url: &str, token: &str| ery_tool_service::Ports {
        discord: ery_tool_service::Discord { token: token.into(), api_url: api_url.into() },
        bus: std::sync::Arc::clone(&it.bus) as _,
        budgets: std::sync::Arc::clone(&it.budgets) as _,
        clock: std::sync::Arc::clone(&it.clock) as _,
        config_base: ery_community_config::SharedBase::default(),
        store: ery_rpc::Peers::local(ery_rpc::local(it.service.routes())),
    };
    let new = |ports| ery_tool_service::Service::new(ery_tool_service::Settings::default(), ports);
    let error = new(ports("https://discord.com/api/v9", "t")).unwrap_err();
    assert!(matches!(error, NewServiceError::ApiUrl(_)) && error.to_string().contains("/api/v10"));
    let error = new(ports("https://proxy.example/api/v10", "a\nb")).unwrap_err();
    assert!(matches!(error, NewServiceError::Token(_)), "{error}");
    assert!(!error.to_string().contains("a\nb"));
    assert!(new(ports("https://proxy.example/api/v10", "Bot t")).is_ok());
}
