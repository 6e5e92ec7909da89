//! Direct messages.

use std::time::Duration;

use serde_json::json;

use ery_proto::tool::v1::CallOutcome;

use crate::support::{Harness, expect};

const SEND: &str = "POST /channels/{channel_id}/messages";

/// What Ery wrote to somebody.
async fn written_to(it: &Harness, who: &str) -> Vec<String> {
    let recipient = json!({"recipient_id": it.user(who).to_string()});
    let dm = it.rest_post("users/@me/channels", recipient).await;
    let path = format!("channels/{}/messages", dm["id"].as_str().unwrap());
    let messages = it.rest(&path).await;
    let messages = messages.as_array().unwrap();
    messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn to_oneself_at_any_time_to_others_on_a_moderators_order() {
    let it = Harness::start().await;
    let own = it.call("bob", "general", "send_dm", json!({"member": "bob", "content": "note"}));
    expect(&it.run(&own).await, CallOutcome::Done);
    assert_eq!(it.store.execution(&own.key).tier, "harmless");
    assert_eq!(written_to(&it, "bob").await, ["note"]);
    assert!(it.store.with(|state| state.sent.is_empty()), "it is at home elsewhere");
    let other = json!({"member": "bob", "content": "please be kind"});
    let response = it.run(&it.ordered("alice", "send_dm", other.clone()).await).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("MODERATE_MEMBERS"), "{}", response.reason);
    let unordered = it.call("theo", "general", "send_dm", other.clone());
    expect(&it.run(&unordered).await, CallOutcome::NeedsApproval);
    let call = it.ordered("theo", "send_dm", other).await;
    expect(&it.run(&call).await, CallOutcome::Done);
    assert_eq!(it.store.execution(&call.key).tier, "destructive");
    assert_eq!(written_to(&it, "bob").await, ["please be kind", "note"]);
    // Two who share a turn are not one's self.
    let mut shared = it.call("bob", "general", "send_dm", json!({"member": "bob", "content": "x"}));
    shared.askers = vec![it.user("bob"), it.user("alice")];
    expect(&it.run(&shared).await, CallOutcome::Denied);
}

#[tokio::test]
async fn only_members_who_are_no_bots_are_written_to() {
    let it = Harness::start().await;
    let stranger = it.control("/users", json!({"username": "guest"})).await;
    let bot = it.control("/users", json!({"username": "helper", "bot": true})).await;
    let join = json!({"guild_id": it.guild().to_string(), "user_id": bot["id"]});
    it.control("/members", join).await;
    for (member, told) in [
        (stranger["id"].as_str().unwrap(), "not a member"),
        (bot["id"].as_str().unwrap(), "bot"),
        (&it.user("Ery").to_string(), "myself"),
    ] {
        let dm = json!({"member": member, "content": "x"});
        let response = it.run(&it.ordered("theo", "send_dm", dm).await).await;
        expect(&response, CallOutcome::Denied);
        assert!(response.reason.contains(told), "{}", response.reason);
    }
    assert!(it.requests("POST", "/users/@me/channels").await.is_empty());
}

#[tokio::test]
async fn a_refusal_is_told_and_the_next_one_is_asked_again() {
    let it = Harness::start().await;
    let own = || it.call("bob", "general", "send_dm", json!({"member": "bob", "content": "note"}));
    it.fault("POST /users/@me/channels", "error", json!({"count": 1, "status": 400})).await;
    expect(&it.run(&own()).await, CallOutcome::Failed);
    expect(&it.run(&own()).await, CallOutcome::Done);
    assert_eq!(written_to(&it, "bob").await, ["note"]);
}

#[tokio::test]
async fn a_lost_answer_sends_no_second_message() {
    let it = Harness::start().await;
    it.fault(SEND, "lose_response", json!({"count": 1})).await;
    let own = it.call("bob", "general", "send_dm", json!({"member": "bob", "content": "note"}));
    expect(&it.run(&own).await, CallOutcome::Done);
    // Nor does whoever finds it open long after.
    let own = it.call("bob", "general", "send_dm", json!({"member": "bob", "content": "later"}));
    it.store.with(|state| state.lose_ends = u32::MAX);
    assert_eq!(it.try_run(&own).await.unwrap_err().code(), tonic::Code::Unavailable);
    it.store.with(|state| state.lose_ends = 0);
    it.clock.advance(Duration::from_mins(10));
    expect(&it.run(&own).await, CallOutcome::Done);
    assert_eq!(written_to(&it, "bob").await, ["later", "note"]);
}

#[tokio::test]
async fn whoever_opens_their_direct_messages_and_writes_is_written_to_at_once() {
    let it = Harness::start().await;
    let bob = it.user("bob");
    let recipient = json!({"recipient_id": bob.to_string()});
    let dm = it.rest_post("users/@me/channels", recipient).await;
    let dm: u64 = dm["id"].as_str().unwrap().parse().unwrap();
    let accepts = async |accepts: bool| {
        it.control_patch(&format!("/users/{bob}"), json!({"accepts_dms": accepts})).await
    };
    let note = || it.call("bob", "general", "send_dm", json!({"member": "bob", "content": "note"}));
    accepts(false).await;
    let response = it.run(&note()).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("no direct messages"), "{}", response.reason);
    accepts(true).await;
    expect(&it.run(&note()).await, CallOutcome::Failed);
    // Now they write themselves.
    let mut answer = it.call("bob", "general", "send_message", json!({"content": "hello"}));
    (answer.guild_id, answer.channel_id) = (0, dm);
    // A message of this moment: one from before the refusal would say nothing.
    answer.trigger_id = format!("m.{}", it.says("bob", "general", "hello?").await);
    let fence = answer.fence.as_mut().unwrap();
    (fence.guild_id, fence.channel_id) = (0, dm);
    expect(&it.run(&answer).await, CallOutcome::Done);
    expect(&it.run(&note()).await, CallOutcome::Done);
    assert_eq!(written_to(&it, "bob").await, ["note", "hello"]);
}
