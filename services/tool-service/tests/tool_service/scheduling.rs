//! Acts at a later time: planned by a tool, judged again when they are due, listed and cancelled.

use std::time::Duration;

use serde_json::{Value, json};

use ery_clock::Clock;
use ery_community_config::Subject;
use ery_proto::tool::v1::{CallOutcome, CallToolRequest, ListPlansRequest};

use crate::support::{Harness, content, expect};

fn schedule(it: &Harness, who: &str, arguments: Value) -> CallToolRequest {
    let mut call = it.call(who, "general", "schedule_action", arguments);
    call.offered.push("schedule_action".into());
    call
}

/// The call by which an act that was planned is done.
fn due(it: &Harness, who: &str, tool: &str, id: &str) -> CallToolRequest {
    CallToolRequest {
        scheduled_action_id: id.to_owned(),
        ..it.call(who, "general", tool, json!({}))
    }
}

fn reminder(text: &str) -> Value {
    json!({"tool": "send_message", "arguments": {"content": text}, "in_seconds": 60})
}

#[tokio::test]
async fn a_planned_message_is_sent_when_it_is_due_and_not_before() {
    let it = Harness::start().await;
    let planned = it.run(&schedule(&it, "bob", reminder("water the plants"))).await;
    expect(&planned, CallOutcome::Done);
    let id = content(&planned)["id"].as_str().unwrap().to_owned();
    let action = it.store.with(|state| state.planned[&id].clone());
    assert_eq!(action.due_at_ms, it.clock.now().0 + 60_000);
    assert!(it.said("general").is_empty());

    let early = it.run(&due(&it, "bob", "send_message", &id)).await;
    expect(&early, CallOutcome::Denied);
    it.clock.advance(Duration::from_mins(1));
    let go = due(&it, "bob", "send_message", &id);
    expect(&it.run(&go).await, CallOutcome::Done);
    expect(&it.run(&go).await, CallOutcome::Done);
    assert_eq!(it.said("general"), ["water the plants"]);
}

#[tokio::test]
async fn what_is_due_is_done_for_its_own_person_alone() {
    let it = Harness::start().await;
    let planned = it.run(&schedule(&it, "bob", reminder("hello"))).await;
    let id = content(&planned)["id"].as_str().unwrap().to_owned();
    it.clock.advance(Duration::from_mins(1));
    expect(&it.run(&due(&it, "theo", "send_message", &id)).await, CallOutcome::Denied);
    expect(&it.run(&due(&it, "bob", "add_reaction", &id)).await, CallOutcome::Denied);
    expect(&it.run(&due(&it, "bob", "send_message", "ffff")).await, CallOutcome::Denied);
    assert!(it.said("general").is_empty());
}

#[tokio::test]
async fn what_was_planned_among_staff_is_judged_again_where_it_is_to_be_said() {
    let it = Harness::start().await;
    let plan = json!({
        "tool": "send_message", "in_seconds": 60,
        "arguments": {"content": "a word of the staff", "channel": "general"},
    });
    let mut call = it.ordered_in("theo", "staff", "schedule_action", plan).await;
    call.offered.push("schedule_action".into());
    let planned = it.run(&call).await;
    expect(&planned, CallOutcome::Done);
    let id = content(&planned)["id"].as_str().unwrap().to_owned();
    it.clock.advance(Duration::from_mins(1));
    let go = || CallToolRequest {
        scheduled_action_id: id.clone(),
        ..it.call("theo", "staff", "send_message", json!({}))
    };
    // As if general had been as closed as the staff's channel when this was planned on no order.
    let ordered = |is_ordered| {
        it.store.with(|state| state.executions.get_mut(&call.key).unwrap().is_ordered = is_ordered);
    };
    ordered(false);
    let refused = it.run(&go()).await;
    expect(&refused, CallOutcome::Denied);
    assert!(refused.reason.contains("carry"), "{}", refused.reason);
    ordered(true);
    expect(&it.run(&go()).await, CallOutcome::Done);
    assert_eq!(it.said("general"), ["a word of the staff"]);
}

#[tokio::test]
async fn a_planned_sanction_needs_the_right_now_and_a_click() {
    let it = Harness::start().await;
    let bob = it.user("bob").to_string();
    let act = json!({
        "tool": "timeout_member", "in_seconds": 60,
        "arguments": {"member": bob, "duration_seconds": 600},
    });
    let refused = it.run(&schedule(&it, "alice", act.clone())).await;
    expect(&refused, CallOutcome::Denied);
    assert!(refused.reason.contains("MODERATE_MEMBERS"), "{}", refused.reason);
    let proposed = it.run(&schedule(&it, "theo", act)).await;
    expect(&proposed, CallOutcome::NeedsApproval);
    assert!(it.store.with(|state| state.planned.is_empty()));
}

#[tokio::test]
async fn only_what_makes_sense_can_be_planned() {
    let it = Harness::start().await;
    for (arguments, told) in [
        (json!({}), "which tool"),
        (json!({"tool": "nothing", "in_seconds": 60}), "no such tool"),
        (json!({"tool": "schedule_action", "in_seconds": 60}), "no such tool"),
        (json!({"tool": "fetch_messages", "in_seconds": 60}), "only reads"),
        (json!({"tool": "send_message", "in_seconds": 60}), "content"),
        (json!({"tool": "send_message", "arguments": {"content": "x"}}), "Say when"),
        (
            json!({"tool": "send_message", "arguments": {"content": "x"}, "at": "tomorrow"}),
            "ISO 8601",
        ),
        (
            json!({"tool": "send_message", "arguments": {"content": "x"},
                "at": "2020-01-01T00:00:00Z"}),
            "over already",
        ),
        (
            json!({"tool": "send_message", "arguments": {"content": "x"},
                "at": "2999-01-01T00:00:00Z"}),
            "a year ahead",
        ),
        (json!({"action": "cancel"}), "by its id"),
        (json!({"action": "cancel", "id": "nothing"}), "Nothing of that id"),
    ] {
        let response = it.run(&schedule(&it, "theo", arguments.clone())).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains(told), "{arguments}: {}", response.reason);
    }
}

#[tokio::test]
async fn people_see_their_own_plans_and_moderators_all() {
    let it = Harness::start().await;
    it.run(&schedule(&it, "bob", reminder("of bob"))).await;
    it.run(&schedule(&it, "theo", reminder("of theo"))).await;
    for (who, count) in [("alice", 0), ("bob", 1), ("theo", 2)] {
        let listed = it.run(&schedule(&it, who, json!({"action": "list"}))).await;
        expect(&listed, CallOutcome::Done);
        assert_eq!(content(&listed)["planned"].as_array().unwrap().len(), count, "{who}");
    }
}

#[tokio::test]
async fn whoever_manages_events_sees_and_takes_back_what_others_planned() {
    let it = Harness::start().await;
    // @everyone is a role, too.
    let everyone = json!([it.guild().to_string()]);
    let roles = it.rest(&format!("guilds/{}/members/{}", it.guild(), it.user("alice"))).await;
    let role = match roles["roles"].as_array().unwrap().first() {
        Some(role) => json!([role]),
        None => everyone,
    };
    it.config.set(it.guild(), Subject::SERVER, "access.event_manager", role);
    let planned = it.run(&schedule(&it, "bob", reminder("of bob"))).await;
    let (guild_id, channel_id) = (it.guild(), it.channel("general"));
    let seen = ListPlansRequest { guild_id, channel_id, user_id: it.user("alice") };
    assert_eq!(it.client().list_plans(seen).await.unwrap().into_inner().plans.len(), 1);
    let listed = it.run(&schedule(&it, "alice", json!({"action": "list"}))).await;
    assert_eq!(content(&listed)["planned"].as_array().unwrap().len(), 1, "the model is told, too");
    let id = content(&planned)["id"].as_str().unwrap().to_owned();
    let cancel = json!({"action": "cancel", "id": id});
    expect(&it.run(&schedule(&it, "alice", cancel)).await, CallOutcome::Done);
    // It gives no right on Discord.
    let mut ban = it.ordered("alice", "ban_member", json!({"member": "bob"})).await;
    ban.offered.push("ban_member".into());
    expect(&it.run(&ban).await, CallOutcome::Denied);
}

#[tokio::test]
async fn what_is_cancelled_is_not_done() {
    let it = Harness::start().await;
    let planned = it.run(&schedule(&it, "bob", reminder("never"))).await;
    let id = content(&planned)["id"].as_str().unwrap().to_owned();
    let cancel = json!({"action": "cancel", "id": id});
    expect(&it.run(&schedule(&it, "bob", cancel.clone())).await, CallOutcome::Done);
    expect(&it.run(&schedule(&it, "bob", cancel)).await, CallOutcome::Failed);
    it.clock.advance(Duration::from_mins(1));
    expect(&it.run(&due(&it, "bob", "send_message", &id)).await, CallOutcome::Denied);
    assert!(it.said("general").is_empty());
}

#[tokio::test]
async fn one_person_cannot_plan_without_end() {
    let it = Harness::start().await;
    for _ in 0..50 {
        expect(&it.run(&schedule(&it, "bob", reminder("again"))).await, CallOutcome::Done);
    }
    let response = it.run(&schedule(&it, "bob", reminder("once more"))).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("too much"), "{}", response.reason);
    expect(&it.run(&schedule(&it, "alice", reminder("first"))).await, CallOutcome::Done);
}

#[tokio::test]
async fn what_was_planned_in_private_is_not_listed_in_public() {
    let it = Harness::start().await;
    let mut private = it.call("theo", "staff", "schedule_action", reminder("about bob"));
    private.offered.push("schedule_action".into());
    expect(&it.run(&private).await, CallOutcome::Done);
    let listed = it.run(&schedule(&it, "theo", json!({"action": "list"}))).await;
    expect(&listed, CallOutcome::Done);
    assert!(!listed.content.contains("about bob"), "{}", listed.content);
    let mut there = it.call("theo", "staff", "schedule_action", json!({"action": "list"}));
    there.offered.push("schedule_action".into());
    assert!(it.run(&there).await.content.contains("about bob"));
}

#[tokio::test]
async fn a_members_plan_is_theirs_to_take_back_and_the_moderators() {
    let it = Harness::start().await;
    for (who, outcome) in
        [("alice", CallOutcome::Denied), ("theo", CallOutcome::Done), ("bob", CallOutcome::Failed)]
    {
        if who == "alice" {
            it.run(&schedule(&it, "bob", reminder("of bob"))).await;
        }
        let id = it.store.with(|state| state.planned.keys().next().cloned()).unwrap();
        let cancel = schedule(&it, who, json!({"action": "cancel", "id": id}));
        expect(&it.run(&cancel).await, outcome);
    }
}
