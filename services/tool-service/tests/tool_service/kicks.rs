//! Kicks: whoever came back is not removed again.

use std::time::Duration;

use serde_json::{Value, json};

use ery_proto::tool::v1::CallOutcome;

use crate::support::{Harness, content, expect};

const KICK: &str = "DELETE /guilds/{guild_id}/members/{user_id}";

async fn is_member(it: &Harness, user: u64) -> bool {
    let member = it.rest(&format!("guilds/{}/members/{user}", it.guild())).await;
    member["user"]["id"].as_str() == Some(user.to_string().as_str())
}

async fn rejoin(it: &Harness, user: u64) {
    it.clock.advance(Duration::from_secs(5));
    let member = json!({"guild_id": it.guild().to_string(), "user_id": user.to_string()});
    it.control("/members", member).await;
}

async fn kicks_logged(it: &Harness) -> usize {
    let log: Value = it.rest(&format!("guilds/{}/audit-logs?action_type=20", it.guild())).await;
    log["audit_log_entries"].as_array().unwrap().len()
}

#[tokio::test]
async fn an_ordered_kick_removes_a_member_and_names_who_asked() {
    let it = Harness::start().await;
    let (bob, theo) = (it.user("bob"), it.user("theo"));
    let call = it.ordered("theo", "kick_member", json!({"member": "bob", "reason": "spam"})).await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(content(&response)["member"], bob.to_string());
    assert!(!is_member(&it, bob).await);
    assert_eq!(it.store.execution(&call.key).audit_reason, format!("{theo}: spam [{}]", call.key));
    assert!(it.store.execution(&call.key).arguments.contains("joined_at"));
}

#[tokio::test]
async fn who_may_not_is_told_so_and_nothing_is_sent() {
    let it = Harness::start().await;
    let guest = it.control("/users", json!({"username": "guest"})).await;
    for (asker, target, told) in [
        ("bob", it.user("alice").to_string(), "KICK_MEMBERS"),
        ("theo", it.user("mara").to_string(), "owner"),
        ("theo", it.user("Ery").to_string(), "myself"),
        ("theo", it.user("theo").to_string(), "themselves"),
        ("mara", it.user("theo").to_string(), "My highest role"),
        ("theo", guest["id"].as_str().unwrap().to_owned(), "not a member"),
    ] {
        let call = it.ordered(asker, "kick_member", json!({"member": target})).await;
        let response = it.run(&call).await;
        expect(&response, CallOutcome::Denied);
        assert!(response.reason.contains(told), "{asker}: {}", response.reason);
    }
    let call = it.call("theo", "general", "kick_member", json!({"member": "bob"}));
    expect(&it.run(&call).await, CallOutcome::NeedsApproval);
    assert!(it.requests("DELETE", "").await.is_empty());
}

#[tokio::test]
async fn a_lost_answer_removes_once() {
    let it = Harness::start().await;
    let bob = it.user("bob");
    for (number, (kind, more)) in [
        ("lose_response", json!({"count": 1})),
        ("error", json!({"count": 1, "status": 502, "when": "after"})),
        ("error", json!({"count": 2, "status": 500, "when": "before"})),
        ("cut", json!({"count": 1})),
    ]
    .into_iter()
    .enumerate()
    {
        it.fault(KICK, kind, more).await;
        let call = it.ordered("theo", "kick_member", json!({"member": bob.to_string()})).await;
        expect(&it.run(&call).await, CallOutcome::Done);
        assert!(!is_member(&it, bob).await, "{kind}");
        assert_eq!(kicks_logged(&it).await, number + 1);
        rejoin(&it, bob).await;
    }
}

#[tokio::test]
async fn a_kick_found_open_is_looked_for_and_never_hits_who_came_back() {
    let it = Harness::start().await;
    let bob = it.user("bob");
    let open = async || {
        let call = it.ordered("theo", "kick_member", json!({"member": bob.to_string()})).await;
        it.store.with(|state| state.lose_ends = u32::MAX);
        assert_eq!(it.try_run(&call).await.unwrap_err().code(), tonic::Code::Unavailable);
        it.store.with(|state| state.lose_ends = 0);
        it.clock.advance(Duration::from_mins(1));
        call
    };
    let call = open().await;
    expect(&it.run(&call).await, CallOutcome::Done);
    assert_eq!(it.requests("DELETE", "/members/").await.len(), 1);

    rejoin(&it, bob).await;
    let call = open().await;
    rejoin(&it, bob).await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    assert!(content(&response)["summary"].as_str().unwrap().contains("has joined anew"));
    assert!(is_member(&it, bob).await);
    assert_eq!(it.requests("DELETE", "/members/").await.len(), 2);

    // One that never got to Discord.
    it.fault(KICK, "error", json!({"status": 503, "count": 100})).await;
    let call = open().await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("did not get to Discord"), "{}", response.reason);
    assert!(is_member(&it, bob).await);
}
