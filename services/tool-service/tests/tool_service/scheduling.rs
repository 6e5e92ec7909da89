//! Acts at a later time: planned by a tool, judged again when they are due, listed and cancelled.

use std::time::Duration;

use serde_json::{Value, json};

use ery_clock::Clock;
use ery_community_config::{Changed, Subject};
use ery_event_bus::Topic;
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
async fn a_cancellation_that_nobody_recorded_is_looked_for() {
    let it = Harness::start().await;
    let planned = it.run(&schedule(&it, "bob", reminder("never"))).await;
    let id = content(&planned)["id"].as_str().unwrap().to_owned();
    let call = schedule(&it, "bob", json!({"action": "cancel", "id": id}));
    it.store.with(|state| state.lose_ends = u32::MAX);
    assert_eq!(it.try_run(&call).await.unwrap_err().code(), tonic::Code::Unavailable);
    it.store.with(|state| state.lose_ends = 0);
    it.clock.advance(Duration::from_mins(1));
    // It cannot be judged anew: nothing of that id waits.
    expect(&it.run(&call).await, CallOutcome::Done);
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

const MISSED: &str = "What did we miss since yesterday evening?";

fn prompt(words: &str) -> Value {
    json!({"prompt": words, "in_seconds": 60})
}

/// Plans a prompt, and returns its id once it is due.
async fn due_prompt(it: &Harness, who: &str) -> String {
    let planned = it.run(&schedule(it, who, prompt(MISSED))).await;
    expect(&planned, CallOutcome::Done);
    it.clock.advance(Duration::from_mins(1));
    content(&planned)["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_prompt_is_planned_by_its_words_and_may_be_answered_when_it_is_due() {
    let it = Harness::start().await;
    let planned = it.run(&schedule(&it, "bob", prompt(MISSED))).await;
    expect(&planned, CallOutcome::Done);
    assert!(content(&planned)["summary"].as_str().unwrap().starts_with("An answer is planned"));
    let id = content(&planned)["id"].as_str().unwrap().to_owned();
    let action = it.store.with(|state| state.planned[&id].clone());
    let stored: Value = serde_json::from_str(&action.arguments).unwrap();
    assert_eq!(stored, json!({"action": "answer", "prompt": MISSED}));

    expect(&it.run(&due(&it, "bob", "schedule_action", &id)).await, CallOutcome::Denied);
    it.clock.advance(Duration::from_mins(1));
    let go = due(&it, "bob", "schedule_action", &id);
    for _ in 0..2 {
        let allowed = it.run(&go).await;
        expect(&allowed, CallOutcome::Done);
        assert_eq!(serde_json::from_str::<Value>(&allowed.arguments).unwrap(), stored);
    }
    let written = it.store.execution(&go.key);
    assert!(written.arguments.contains(MISSED), "the audit has the words");
    assert_eq!(written.tier, "harmless");
    assert!(it.said("general").is_empty(), "whoever answers is the thread");
}

/// Sets what somebody may do in #general, and tells of it as Discord does.
async fn may_in_general(it: &Harness, of: &str, body: Value) {
    it.overwrite("general", of, body).await;
    let channel = it.channel_now(&it.channel("general").to_string()).await;
    it.event("channel_update", &channel);
}

/// Sets something for the server, and tells of it as the store does.
fn set(it: &Harness, path: &str, value: Value) {
    let home = it.guild();
    let version = it.config.set(home, Subject::SERVER, path, value);
    it.bus.broadcast_json(Topic::ConfigChanged, &Changed { home, version });
}

/// What is told takes a moment to be heard; then it is decided by that.
async fn until_told(
    it: &Harness,
    call: &impl Fn() -> CallToolRequest,
    outcome: CallOutcome,
    told: &str,
) {
    for _ in 0..200 {
        let response = it.run(&call()).await;
        if response.outcome() == outcome && response.reason.contains(told) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to {outcome:?} {told}");
}

#[tokio::test]
async fn a_due_prompt_is_judged_anew_for_whoever_planned_it() {
    let it = Harness::start().await;
    let id = due_prompt(&it, "bob").await;
    let go = || due(&it, "bob", "schedule_action", &id);
    expect(&it.run(&due(&it, "theo", "schedule_action", &id)).await, CallOutcome::Denied);
    expect(&it.run(&due(&it, "bob", "send_message", &id)).await, CallOutcome::Denied);

    for (path, forbidden, allowed, told) in [
        ("paused", json!(true), json!(false), "paused"),
        ("tools.policy.send_message", json!("off"), json!("allow"), "switched off"),
        ("tools.policy.schedule_action", json!("off"), json!("allow"), "switched off"),
    ] {
        set(&it, path, forbidden);
        until_told(&it, &go, CallOutcome::Denied, told).await;
        set(&it, path, allowed);
        until_told(&it, &go, CallOutcome::Done, "").await;
    }

    let bob = it.user("bob").to_string();
    for (bits, told) in [(1 << 11, "SEND_MESSAGES"), (1 << 10, "VIEW_CHANNEL")] {
        let denied = json!({"type": 1, "allow": "0", "deny": bits.to_string()});
        may_in_general(&it, &bob, denied).await;
        until_told(&it, &go, CallOutcome::Denied, told).await;
    }
    may_in_general(&it, &bob, json!({"type": 1, "allow": "0", "deny": "0"})).await;
    until_told(&it, &go, CallOutcome::Done, "").await;

    let kick = it.ordered("theo", "kick_member", json!({"member": bob})).await;
    expect(&it.run(&kick).await, CallOutcome::Done);
    let gone = it.run(&go()).await;
    expect(&gone, CallOutcome::Denied);
    assert!(gone.reason.contains("not a member"), "{}", gone.reason);
}

#[tokio::test]
async fn only_words_that_everybody_can_see_whole_are_a_prompt() {
    let it = Harness::start().await;
    let two = json!({"prompt": "x", "tool": "send_message", "arguments": {"content": "x"},
        "in_seconds": 60});
    for (arguments, told) in [
        (two, "not both"),
        (json!({"prompt": "x", "arguments": {}, "in_seconds": 60}), "not both"),
        (json!({"prompt": " \u{200b} ", "in_seconds": 60}), "empty"),
        (json!({"prompt": "x".repeat(1_001), "in_seconds": 60}), ""),
        (json!({"prompt": "x"}), "Say when"),
        // Nothing but the plan's own time has it answered.
        (json!({"action": "answer", "prompt": "x"}), ""),
        (
            json!({"tool": "schedule_action", "arguments": {"prompt": "x", "in_seconds": 60},
                "in_seconds": 60}),
            "no such tool",
        ),
    ] {
        let response = it.run(&schedule(&it, "theo", arguments.clone())).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains(told), "{arguments}: {}", response.reason);
    }
    let hidden = prompt("what was \u{202e}said\u{e0041}\u{e0042}?");
    expect(&it.run(&schedule(&it, "bob", hidden)).await, CallOutcome::Done);
    let stored = it.store.with(|state| state.planned.values().next().unwrap().arguments.clone());
    assert!(stored.contains("what was said?"), "{stored}");
}

#[tokio::test]
async fn a_planned_prompt_is_listed_with_its_words_and_taken_back() {
    let it = Harness::start().await;
    let planned = it.run(&schedule(&it, "bob", prompt(MISSED))).await;
    let listed = it.run(&schedule(&it, "bob", json!({"action": "list"}))).await;
    let item = &content(&listed)["planned"][0];
    assert_eq!((&item["prompt"], item.get("tool")), (&json!(MISSED), None));
    let (guild_id, channel_id) = (it.guild(), it.channel("general"));
    let seen = ListPlansRequest { guild_id, channel_id, user_id: it.user("bob") };
    let plans = it.client().list_plans(seen).await.unwrap().into_inner().plans;
    assert!(plans[0].arguments.contains(MISSED), "{}", plans[0].arguments);

    let id = content(&planned)["id"].as_str().unwrap().to_owned();
    let cancel = json!({"action": "cancel", "id": id});
    expect(&it.run(&schedule(&it, "alice", cancel.clone())).await, CallOutcome::Denied);
    let cancelled = it.run(&schedule(&it, "bob", cancel)).await;
    expect(&cancelled, CallOutcome::Done);
    assert!(cancelled.content.contains("An answer is not planned"), "{}", cancelled.content);
    it.clock.advance(Duration::from_mins(1));
    expect(&it.run(&due(&it, "bob", "schedule_action", &id)).await, CallOutcome::Denied);
}

#[tokio::test]
async fn whoever_may_say_nothing_here_plans_no_prompt() {
    let it = Harness::start().await;
    let everyone = it.guild().to_string();
    let muted = json!({"type": 0, "allow": "0", "deny": (1 << 11).to_string()});
    it.overwrite("general", &everyone, muted).await;
    let silent = it.run(&schedule(&it, "bob", prompt(MISSED))).await;
    expect(&silent, CallOutcome::Denied);
    assert!(silent.reason.contains("SEND_MESSAGES"), "{}", silent.reason);
    let mut without = schedule(&it, "bob", prompt(MISSED));
    without.offered.retain(|tool| tool != "send_message");
    let refused = it.run(&without).await;
    expect(&refused, CallOutcome::Denied);
    assert!(refused.reason.contains("not offered"), "{}", refused.reason);
    assert!(it.store.with(|state| state.planned.is_empty()));
}
