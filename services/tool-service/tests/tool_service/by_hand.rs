//! What an asker could not do by hand for reasons other than permissions: locks, slow mode, closed
//! threads, tags for the staff, an order that is used up.

use std::time::Duration;

use serde_json::{Value, json};

use ery_proto::{
    store::v1::{ExecutionState, McpCredential},
    tool::v1::{CallOutcome, CallToolRequest},
};

use crate::support::{Harness, content, expect};

/// A thread in `general` that `who` begins.
async fn thread(it: &Harness, who: &str, visibility: &str) -> Value {
    let begin = json!({"name": "aside", "visibility": visibility});
    let response = it.run(&it.ordered(who, "create_thread", begin).await).await;
    expect(&response, CallOutcome::Done);
    it.channel_now(content(&response)["thread"].as_str().unwrap()).await
}

fn id_of(value: &Value) -> u64 {
    value["id"].as_str().unwrap().parse().unwrap()
}

/// Tells of a thread as it is from now on.
fn is_now(it: &Harness, thread: &Value, field: &str, value: bool) {
    let mut changed = thread.clone();
    changed["thread_metadata"][field] = json!(value);
    it.event("thread_update", &changed);
}

/// The same call, in another place.
fn moved(mut call: CallToolRequest, channel: u64) -> CallToolRequest {
    call.channel_id = channel;
    call.fence.as_mut().unwrap().channel_id = channel;
    call
}

/// Runs calls until one ends so: an event takes a moment.
async fn until(it: &Harness, outcome: CallOutcome, call: impl Fn() -> CallToolRequest) -> String {
    for _ in 0..200 {
        let response = it.run(&call()).await;
        if response.outcome() == outcome {
            return response.reason;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never ends as {outcome:?}");
}

#[tokio::test]
async fn in_a_locked_thread_only_those_write_who_manage_threads() {
    let it = Harness::start().await;
    let begun = thread(&it, "bob", "public").await;
    let channel = id_of(&begun);
    let say = |who: &str| {
        moved(it.call(who, "general", "send_message", json!({"content": "x"})), channel)
    };
    expect(&it.run(&say("bob")).await, CallOutcome::Done);
    is_now(&it, &begun, "locked", true);
    let reason = until(&it, CallOutcome::Denied, || say("bob")).await;
    assert!(reason.contains("MANAGE_THREADS"), "{reason}");
    expect(&it.run(&say("mara")).await, CallOutcome::Done);
    let elsewhere = json!({"content": "x", "channel": channel.to_string()});
    expect(&it.run(&it.ordered("bob", "send_message", elsewhere).await).await, CallOutcome::Denied);
}

#[tokio::test]
async fn a_mention_lets_nobody_into_a_closed_thread() {
    let it = Harness::start().await;
    let begun = thread(&it, "mara", "private").await;
    let channel = id_of(&begun);
    is_now(&it, &begun, "invitable", false);
    let zoe = it.user("zoe").to_string();
    let hey = |who: &str| {
        let words = json!({"content": format!("hey <@{zoe}>"), "mention_users": [zoe]});
        moved(it.call(who, "general", "send_message", words), channel)
    };
    expect(&it.run(&hey("bob")).await, CallOutcome::Done);
    expect(&it.run(&hey("mara")).await, CallOutcome::Done);
    let sent = it.requests("POST", &format!("/channels/{channel}/messages")).await;
    let notified: Vec<_> =
        sent.iter().map(|sent| sent["body"]["allowed_mentions"]["users"].clone()).collect();
    let last: Vec<_> = notified.iter().rev().take(2).rev().cloned().collect();
    assert_eq!(last, [json!([]), json!([zoe])], "mara manages threads");
    // Whom somebody let in is in, and notified by whoever is.
    it.rest_put(&format!("channels/{channel}/thread-members/{zoe}"), Value::Null).await;
    expect(&it.run(&hey("bob")).await, CallOutcome::Done);
    let sent = it.requests("POST", &format!("/channels/{channel}/messages")).await;
    assert_eq!(sent.last().unwrap()["body"]["allowed_mentions"]["users"], json!([zoe]));
}

#[tokio::test]
async fn who_left_a_private_thread_does_nothing_more_in_it() {
    let it = Harness::start().await;
    let begun = thread(&it, "mara", "private").await;
    let channel = id_of(&begun);
    let say = || moved(it.call("bob", "general", "send_message", json!({"content": "x"})), channel);
    expect(&it.run(&say()).await, CallOutcome::Done);
    let members = |field: &str, value: Value| json!({"id": channel.to_string(), "guild_id": it.guild().to_string(), "member_count": 1, field: value});
    it.event(
        "thread_members_update",
        &members("removed_member_ids", json!([it.user("bob").to_string()])),
    );
    let reason = until(&it, CallOutcome::Denied, say).await;
    assert!(reason.contains("VIEW_CHANNEL"), "{reason}");
    let back = json!([{"user_id": it.user("bob").to_string()}]);
    it.event("thread_members_update", &members("added_members", back));
    until(&it, CallOutcome::Done, say).await;
}

#[tokio::test]
async fn what_was_planned_in_a_private_thread_is_done_for_those_who_are_in_it_still() {
    let it = Harness::start().await;
    let channel = id_of(&thread(&it, "mara", "private").await);
    for (who, outcome) in [("bob", CallOutcome::Denied), ("mara", CallOutcome::Done)] {
        let plan = json!({
            "tool": "send_message", "arguments": {"content": "later"}, "in_seconds": 60,
        });
        let mut call = moved(it.call(who, "general", "schedule_action", plan), channel);
        call.offered.push("schedule_action".into());
        let planned = it.run(&call).await;
        expect(&planned, CallOutcome::Done);
        it.clock.advance(Duration::from_mins(1));
        let due = CallToolRequest {
            scheduled_action_id: content(&planned)["id"].as_str().unwrap().to_owned(),
            ..moved(it.call(who, "general", "send_message", json!({})), channel)
        };
        expect(&it.run(&due).await, outcome);
    }
}

/// Puts `events` in slow mode, and waits until Ery knows.
async fn slow_events(it: &Harness, seconds: u32) {
    // By this the server is known, and hears of its events.
    let say = json!({"content": "from elsewhere", "channel": "events"});
    let say = it.ordered("nils", "send_message", say).await;
    let mut events = it.channel_now(&it.channel("events").to_string()).await;
    events["rate_limit_per_user"] = json!(seconds);
    it.event("channel_update", &events);
    let reason = until(it, CallOutcome::Denied, || CallToolRequest {
        key: it.call("nils", "general", "send_message", json!({})).key,
        ..say.clone()
    })
    .await;
    assert!(reason.contains("BYPASS_SLOWMODE"), "{reason}");
}

fn say(it: &Harness, who: &str) -> CallToolRequest {
    it.call(who, "events", "send_message", json!({"content": "x"}))
}

/// Asserts that slow mode is why somebody is refused.
async fn is_too_soon(it: &Harness, call: &CallToolRequest) {
    let response = it.run(call).await;
    expect(&response, CallOutcome::Denied);
    assert_eq!(content(&response)["code"], "slow_mode", "{}", response.content);
    assert!(response.reason.contains("slow mode in #events"), "{}", response.reason);
    assert!(response.reason.contains("once in 1 hour"), "{}", response.reason);
    assert_eq!(it.store.execution(&call.key).state(), ExecutionState::Denied);
}

#[tokio::test]
async fn slow_mode_holds_for_what_is_said_elsewhere_for_somebody() {
    let it = Harness::start().await;
    let first = json!({"content": "1", "channel": "events"});
    expect(&it.run(&it.ordered("bob", "send_message", first).await).await, CallOutcome::Done);
    slow_events(&it, 3_600).await;
    let again = json!({"content": "2", "channel": "events"});
    let response = it.run(&it.ordered("bob", "send_message", again).await).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("BYPASS_SLOWMODE"), "{}", response.reason);
    let by_staff = json!({"content": "3", "channel": "events"});
    expect(&it.run(&it.ordered("mara", "send_message", by_staff).await).await, CallOutcome::Done);
}

#[tokio::test]
async fn slow_mode_holds_where_it_was_asked_for_as_for_what_one_writes_oneself() {
    let it = Harness::start().await;
    slow_events(&it, 3_600).await;
    // Several calls of one thread: the second is one too many, unless one is spared.
    expect(&it.run(&say(&it, "bob")).await, CallOutcome::Done);
    is_too_soon(&it, &say(&it, "bob")).await;
    expect(&it.run(&say(&it, "alice")).await, CallOutcome::Done);
    for _ in 0..2 {
        expect(&it.run(&say(&it, "mara")).await, CallOutcome::Done);
    }
    // A thread is counted by itself.
    let begin = json!({"name": "aside", "visibility": "public"});
    for outcome in [CallOutcome::Done, CallOutcome::Denied] {
        let call = it.ordered_in("bob", "events", "create_thread", begin.clone()).await;
        expect(&it.run(&call).await, outcome);
    }
    it.clock.advance(Duration::from_hours(1));
    expect(&it.run(&say(&it, "bob")).await, CallOutcome::Done);
    // What they wrote themselves counts, whether the call answers it or not.
    it.clock.advance(Duration::from_hours(1));
    let written = it.says("bob", "events", "say something").await;
    let answering = |call| CallToolRequest { trigger_id: format!("m.{written}"), ..call };
    is_too_soon(&it, &answering(say(&it, "bob"))).await;
    let answer = it.call("bob", "events", "send_message", json!({"content": "I may not."}));
    let answer = CallToolRequest { is_answer: true, ..answering(answer) };
    expect(&it.run(&answer).await, CallOutcome::Done);
    let (bob, events) = (it.user("bob"), it.channel("events"));
    it.store.with(|state| state.wrote.push((bob, events, written.parse().unwrap())));
    is_too_soon(&it, &say(&it, "bob")).await;
}

#[tokio::test]
async fn slow_mode_holds_for_plans_and_for_mcp_clients() {
    let it = Harness::start().await;
    slow_events(&it, 3_600).await;
    let mut plans = Vec::new();
    for _ in 0..2 {
        let plan = json!({
            "tool": "send_message", "arguments": {"content": "later"}, "in_seconds": 60,
        });
        let planned = it.run(&it.call("bob", "events", "schedule_action", plan)).await;
        expect(&planned, CallOutcome::Done);
        plans.push(content(&planned)["id"].as_str().unwrap().to_owned());
    }
    it.clock.advance(Duration::from_mins(1));
    let due = |id: &str| CallToolRequest { scheduled_action_id: id.to_owned(), ..say(&it, "bob") };
    expect(&it.run(&due(&plans[0])).await, CallOutcome::Done);
    is_too_soon(&it, &due(&plans[1])).await;

    let credential = McpCredential {
        credential_id: "alice".into(),
        guild_id: it.guild(),
        user_id: it.user("alice"),
        channel_id: it.channel("events"),
        ..McpCredential::default()
    };
    it.store.with(|state| state.credentials.insert("alice".into(), credential));
    let by_client = |number: u32| CallToolRequest {
        fence: None,
        key: format!("mcp/alice/{number}"),
        thread_id: String::new(),
        principal: None,
        trigger_id: "mcp.alice".into(),
        mcp_credential_id: "alice".into(),
        ..say(&it, "alice")
    };
    expect(&it.run(&by_client(1)).await, CallOutcome::Done);
    is_too_soon(&it, &by_client(2)).await;
}

#[tokio::test]
async fn tags_for_the_staff_are_set_for_the_staff_alone() {
    let it = Harness::start().await;
    let forum = json!({
        "name": "help", "type": 15,
        "available_tags": [{"name": "Question"}, {"name": "Official", "moderated": true}],
    });
    let forum = it.rest_post(&format!("guilds/{}/channels", it.guild()), forum).await;
    it.event("channel_create", &forum);
    let post =
        |tag: &str| json!({"name": "p", "content": "x", "channel": forum["id"], "tags": [tag]});
    for (who, tag, outcome) in [
        ("bob", "Question", CallOutcome::Done),
        ("bob", "official", CallOutcome::Denied),
        ("mara", "Official", CallOutcome::Done),
    ] {
        let call = it.ordered(who, "create_thread", post(tag)).await;
        expect(&it.run(&call).await, outcome);
    }
    // Its tags are known with it: nothing is asked for them.
    let of_forum = format!("/channels/{}", forum["id"].as_str().unwrap());
    let asked = it.requests("GET", &of_forum).await;
    assert!(asked.is_empty(), "{asked:?}");
}

#[tokio::test]
async fn an_order_is_carried_out_once_however_often_the_model_calls_for_it() {
    let it = Harness::start().await;
    it.store.with(|state| state.counts_orders = true);
    let act = json!({"member": it.user("bob").to_string(), "reason": "spam"});
    let order = it.ordered("theo", "warn_member", act).await;
    expect(&it.run(&order).await, CallOutcome::Done);
    expect(&it.run(&order).await, CallOutcome::Done);
    let again = |reason: &str| {
        let act = json!({"member": it.user("bob").to_string(), "reason": reason});
        CallToolRequest {
            orders: order.orders.clone(),
            ..it.call("theo", "general", "warn_member", act)
        }
    };
    for reason in ["spam", "more spam"] {
        let call = again(reason);
        let response = it.run(&call).await;
        expect(&response, CallOutcome::Denied);
        assert!(response.reason.contains("carried out already"), "{}", response.reason);
        assert_eq!(it.store.execution(&call.key).state(), ExecutionState::Denied);
    }
    assert_eq!(it.said("general").len(), 1);
}

#[tokio::test]
async fn a_reason_carries_nothing_out() {
    let it = Harness::start().await;
    let secret = format!("ghp_{}", "a".repeat(36));
    let reason = format!("{secret} https://evil.example/?leak=1");
    let act = json!({"member": "bob", "duration_seconds": 60, "reason": reason});
    let call = it.ordered("theo", "timeout_member", act).await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    let told = format!("{} {:?}", response.content, it.requests("PATCH", "/members/").await);
    assert!(!told.contains("ghp_") && !told.contains("leak"), "{told}");
}

#[tokio::test]
async fn a_tool_without_a_name_is_refused_like_any_unknown_one() {
    let it = Harness::start().await;
    for name in ["", "\u{200b}", "\u{202e}"] {
        let call = it.call("bob", "general", name, json!({}));
        let response = it.run(&call).await;
        expect(&response, CallOutcome::Denied);
        assert_eq!(it.store.execution(&call.key).tool, "(no name)");
    }
}

#[tokio::test]
async fn what_is_not_there_is_asked_for_once() {
    let it = Harness::start().await;
    for _ in 0..3 {
        let read =
            it.call("bob", "general", "fetch_messages", json!({"channel": "1234567890123456789"}));
        expect(&it.run(&read).await, CallOutcome::Failed);
    }
    assert_eq!(it.requests("GET", "/channels/1234567890123456789").await.len(), 1);
}
