//! Warnings: kept whether or not they can be told.

use serde_json::json;

use ery_proto::{store::v1::ExecutionState, tool::v1::CallOutcome};

use crate::support::{Harness, content, expect};

const SEND: &str = "POST /channels/{channel_id}/messages";

#[tokio::test]
async fn a_warning_is_recorded_and_told_in_the_channel() {
    let it = Harness::start().await;
    let bob = it.user("bob");
    let arguments = json!({"member": "bob", "reason": "spam, @everyone"});
    let call = it.ordered("theo", "warn_member", arguments).await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(content(&response)["notice"], "channel");
    let said = it.said("general");
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with(&format!("<@{bob}>, you are warned: spam")), "{said:?}");
    let sends = it.requests("POST", "/messages").await;
    assert_eq!(sends[0]["body"]["allowed_mentions"]["parse"], json!([]));
    let execution = it.store.execution(&call.key);
    assert_eq!((execution.tier.as_str(), execution.state()), ("reversible", ExecutionState::Done));
    assert_eq!(it.store.with(|state| state.sent.len()), 1, "the notice is kept as a message");
}

#[tokio::test]
async fn a_warning_is_not_tried_to_be_told_where_ery_may_not_write() {
    let it = Harness::start().await;
    it.deny_ery("general", 1 << 11).await;
    let response = it.run(&it.ordered("theo", "warn_member", json!({"member": "bob"})).await).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(content(&response)["notice"], "failed");
    assert!(it.requests("POST", "/messages").await.is_empty());
}

#[tokio::test]
async fn a_warning_stands_though_it_cannot_be_told() {
    let it = Harness::start().await;
    for (notice, told) in [("channel", "in this channel"), ("dm", "direct message")] {
        it.fault(SEND, "error", json!({"status": 403, "count": 1})).await;
        let arguments = json!({"member": "bob", "reason": "spam", "notice": notice});
        let response = it.run(&it.ordered("theo", "warn_member", arguments).await).await;
        expect(&response, CallOutcome::Done);
        assert_eq!(content(&response)["notice"], "failed");
        let summary = content(&response)["summary"].as_str().unwrap().to_owned();
        assert!(summary.contains("is warned for: spam") && summary.contains(told), "{summary}");
        // Something changed, so that the refusal is not believed any more.
        it.event(
            "guild_member_update",
            &it.rest(&format!("guilds/{}/members/{}", it.guild(), it.user("Ery")))
                .await
                .as_object()
                .map(|member| {
                    let mut member = member.clone();
                    member.insert("guild_id".into(), json!(it.guild().to_string()));
                    serde_json::Value::Object(member)
                })
                .unwrap(),
        );
    }
    let arguments = json!({"member": "bob", "reason": "spam", "notice": "none"});
    let response = it.run(&it.ordered("theo", "warn_member", arguments).await).await;
    expect(&response, CallOutcome::Done);
    assert!(it.said("general").is_empty());
}

#[tokio::test]
async fn a_warning_by_direct_message_is_told_there_alone() {
    let it = Harness::start().await;
    let arguments = json!({"member": "bob", "reason": "spam", "notice": "dm"});
    let response = it.run(&it.ordered("theo", "warn_member", arguments).await).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(content(&response)["notice"], "dm");
    assert!(it.said("general").is_empty());
    assert_eq!(it.requests("POST", "/messages").await.len(), 1);
}

#[tokio::test]
async fn only_who_may_time_out_and_ranks_above_warns() {
    let it = Harness::start().await;
    for (asker, target, told) in [
        ("bob", "alice", "MODERATE_MEMBERS"),
        ("theo", "mara", "owner"),
        ("theo", "theo", "themselves"),
        ("theo", "Ery", "myself"),
    ] {
        let arguments = json!({"member": it.user(target).to_string(), "reason": "x"});
        let response = it.run(&it.ordered(asker, "warn_member", arguments).await).await;
        expect(&response, CallOutcome::Denied);
        assert!(response.reason.contains(told), "{asker}: {}", response.reason);
    }
    // A reproof asks nothing of Discord: Ery's rank does not matter.
    let arguments = json!({"member": it.user("theo").to_string(), "reason": "x"});
    expect(&it.run(&it.ordered("mara", "warn_member", arguments).await).await, CallOutcome::Done);
}

#[tokio::test]
async fn a_lost_answer_tells_once() {
    let it = Harness::start().await;
    for (kind, more) in [
        ("lose_response", json!({"count": 1})),
        ("error", json!({"count": 1, "status": 502, "when": "after"})),
        ("error", json!({"count": 1, "status": 500, "when": "before"})),
    ] {
        it.fault(SEND, kind, more).await;
        let reason = format!("{kind} {}", it.said("general").len());
        let arguments = json!({"member": "bob", "reason": reason});
        expect(
            &it.run(&it.ordered("theo", "warn_member", arguments).await).await,
            CallOutcome::Done,
        );
    }
    assert_eq!(it.said("general").len(), 3);
}
