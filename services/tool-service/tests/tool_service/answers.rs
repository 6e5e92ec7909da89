//! Messages and reactions.

use serde_json::json;

use ery_proto::{
    store::v1::{Decision, ExecutionState, TriggerChange},
    tool::v1::{CallOutcome, CallToolRequest},
};

use crate::support::{Harness, content, expect};

#[tokio::test]
async fn a_message_is_sent_once_and_pings_nobody_unasked() {
    let it = Harness::start().await;
    let bob = it.user("bob");
    let text = format!("Hello @everyone and <@{bob}>, see [here](https://evil.example/?d=secret)");
    let call = it.call(
        "bob",
        "general",
        "send_message",
        json!({
            "content": text, "mention_users": [bob.to_string()],
        }),
    );
    let first = it.run(&call).await;
    expect(&first, CallOutcome::Done);
    assert_ne!(first.message_id, 0);
    assert_eq!(content(&first)["message_id"], first.message_id.to_string());
    let again = it.run(&call).await;
    assert_eq!(again, first, "a repeat is answered from what stands");

    let sends = it.requests("POST", "/messages").await;
    assert_eq!(sends.len(), 1);
    let body = &sends[0]["body"];
    assert_eq!(
        body["allowed_mentions"],
        json!({"parse": [], "users": [bob.to_string()], "replied_user": false})
    );
    assert_eq!(body["enforce_nonce"], true);
    assert_eq!(body["nonce"].as_str().unwrap().len(), 25);
    assert_eq!(body["flags"], 4, "no preview of an unknown host's page");
    assert_eq!(
        body["content"],
        format!("Hello @everyone and <@{bob}>, see here (https://evil.example/)")
    );

    let execution = it.store.execution(&call.key);
    assert_eq!(execution.state(), ExecutionState::Done);
    assert_eq!(execution.decision(), Decision::Allow);
    assert_eq!(execution.tier, "harmless");
    assert_eq!(execution.arguments_hash.len(), 64);
    assert_eq!(execution.rest_status, 200);
    let sent = it.store.with(|state| state.sent.clone());
    assert_eq!(sent.len(), 1);
    assert!(sent[0].is_own && sent[0].message_id == first.message_id);
    assert_eq!(sent[0].nonce, body["nonce"].as_str().unwrap());
    assert_eq!(sent[0].channel_id, it.channel("general"));
}

#[tokio::test]
async fn calls_of_one_key_at_once_are_one_call() {
    let it = Harness::start().await;
    let call = it.call("bob", "general", "send_message", json!({"content": "once"}));
    it.fault("POST /channels/{channel_id}/messages", "delay", json!({"delay_ms": 100})).await;
    let (a, b, c) = tokio::join!(it.run(&call), it.run(&call), it.run(&call));
    expect(&a, CallOutcome::Done);
    assert!(a == b && b == c);
    assert_eq!(it.said("general"), ["once"]);
    assert_eq!(it.store.with(|state| state.begins), 1);
}

#[tokio::test]
async fn an_answer_goes_out_for_whoever_asked_as_a_reply() {
    let it = Harness::start().await;
    let asked = it
        .control(
            "/messages",
            json!({
                "channel_id": it.channel("general").to_string(),
                "author_id": it.user("zoe").to_string(),
                "content": "ery?",
            }),
        )
        .await;
    let mut call = it.call(
        "zoe",
        "general",
        "send_message",
        json!({
            "content": "Yes?", "reply_to": asked["id"],
        }),
    );
    call.is_answer = true;
    call.offered.clear();
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    let sends = it.requests("POST", "/messages").await;
    let body = &sends.iter().find(|send| send["body"]["content"] == "Yes?").unwrap()["body"];
    assert_eq!(
        body["message_reference"],
        json!({"message_id": asked["id"], "fail_if_not_exists": false})
    );
    assert_eq!(it.requests("GET", "/members/").await.len(), 1, "only Ery herself is looked up");
}

#[tokio::test]
async fn an_answer_to_a_message_that_was_deleted_is_not_sent() {
    let it = Harness::start().await;
    it.store.with(|state| {
        state.changes.push(TriggerChange {
            trigger_id: "m.77".into(),
            is_deleted: true,
            ..TriggerChange::default()
        });
    });
    let mut call = it.call("bob", "general", "send_message", json!({"content": "Yes?"}));
    call.is_answer = true;
    call.answers = vec![77];
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Failed);
    assert_eq!(response.changes.len(), 1);
    assert!(it.said("general").is_empty());
    call.key.push('1');
    call.answers = vec![77, 78];
    expect(&it.run(&call).await, CallOutcome::Done);
}

#[tokio::test]
async fn what_was_not_offered_or_cannot_be_understood_is_recorded_and_not_done() {
    let it = Harness::start().await;
    let hostile = [
        ("nuke_server", json!({}), CallOutcome::Denied),
        ("ban_everybody", json!({"member": "1"}), CallOutcome::Denied),
        ("ban_member", json!({"member": "1"}), CallOutcome::Failed),
        ("send_message", json!({"content": "x".repeat(2_001)}), CallOutcome::Failed),
        ("send_message", json!({"content": "x", "channel": "1"}), CallOutcome::Failed),
        ("send_message", json!({"content": "x", "reply_to": "../1"}), CallOutcome::Failed),
        ("send_message", json!({"content": "\u{200b}"}), CallOutcome::Failed),
        ("send_message", json!([]), CallOutcome::Failed),
        ("add_reaction", json!({"message": "1", "emoji": "../../@me"}), CallOutcome::Failed),
        ("add_reaction", json!({"message": "1/../2", "emoji": "👍"}), CallOutcome::Failed),
        ("fetch_messages", json!({"channel": "1/messages?x="}), CallOutcome::Failed),
        ("timeout_member", json!({"member": "1", "duration_seconds": -5}), CallOutcome::Failed),
        (
            "timeout_member",
            json!({"member": "nobody at all", "duration_seconds": 5}),
            CallOutcome::Failed,
        ),
        ("search_messages", json!({}), CallOutcome::Failed),
    ];
    for (tool, arguments, outcome) in hostile {
        let call = it.call("theo", "general", tool, arguments.clone());
        let response = it.run(&call).await;
        expect(&response, outcome);
        let error = if outcome == CallOutcome::Denied { "denied" } else { "invalid" };
        assert_eq!(content(&response)["error"], error, "{tool} {arguments}");
        let execution = it.store.execution(&call.key);
        assert_ne!(execution.closed_at_ms, 0, "{tool} is opened and closed in one write");
        assert!(execution.arguments.len() < 9_000);
        assert!(serde_json::from_str::<serde_json::Value>(&execution.arguments).is_ok());
    }
    let mut unoffered = it.call("theo", "general", "send_message", json!({"content": "x"}));
    unoffered.offered.retain(|name| name != "send_message");
    expect(&it.run(&unoffered).await, CallOutcome::Denied);
    let mut huge = it.call("theo", "general", "send_message", json!({}));
    huge.arguments = "[".repeat(1 << 20);
    expect(&it.run(&huge).await, CallOutcome::Failed);
    assert_eq!(it.store.with(|state| state.ends), 0);
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let writes = it.requests(method, "/api/v10/").await;
        assert!(writes.is_empty(), "{writes:?}");
    }
}

type Spoil = fn(&mut CallToolRequest);

#[tokio::test]
async fn a_request_that_makes_no_sense_is_refused_and_not_recorded() {
    let it = Harness::start().await;
    let good = it.call("bob", "general", "send_message", json!({"content": "x"}));
    let spoils: [Spoil; 6] = [
        |call| call.key = "nonsense".into(),
        |call| call.channel_id = 0,
        |call| call.fence = None,
        |call| call.fence.as_mut().unwrap().channel_id = 1,
        |call| call.askers = vec![0],
        |call| {
            call.is_answer = true;
            call.tool = "timeout_member".into();
        },
    ];
    for spoil in spoils {
        let mut call = good.clone();
        spoil(&mut call);
        let status = it.try_run(&call).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status}");
    }
    assert_eq!(it.store.with(|state| state.begins), 0);
}

#[tokio::test]
async fn a_reaction_is_added_and_a_repeat_adds_none() {
    let it = Harness::start().await;
    let message = it.sim.world().messages(twilight_model::id::Id::new(it.channel("general")))[0].id;
    for emoji in ["🎉", "👍🏽"] {
        let call = it.call(
            "bob",
            "general",
            "add_reaction",
            json!({
                "message": message.to_string(), "emoji": emoji,
            }),
        );
        expect(&it.run(&call).await, CallOutcome::Done);
        expect(&it.run(&call).await, CallOutcome::Done);
    }
    assert_eq!(it.requests("PUT", "/reactions/").await.len(), 2);
    let ghost = it.call("bob", "general", "add_reaction", json!({"message": "17", "emoji": "👍"}));
    let response = it.run(&ghost).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("does not exist"), "{}", response.reason);
}

#[tokio::test]
async fn in_a_direct_message_ery_answers_reads_and_reacts() {
    let it = Harness::start().await;
    let zoe = it.user("zoe");
    let dm = it.rest_post("users/@me/channels", json!({"recipient_id": zoe.to_string()})).await;
    let channel: u64 = dm["id"].as_str().unwrap().parse().unwrap();
    let in_dm = |tool: &str, arguments: serde_json::Value| {
        let mut call = it.call("zoe", "general", tool, arguments);
        (call.guild_id, call.channel_id) = (0, channel);
        let fence = call.fence.as_mut().unwrap();
        (fence.guild_id, fence.channel_id) = (0, channel);
        call
    };
    let answer = CallToolRequest {
        is_answer: true,
        ..in_dm("send_message", json!({"content": "Hello Zoë"}))
    };
    let sent = it.run(&answer).await;
    expect(&sent, CallOutcome::Done);
    let read = it.run(&in_dm("fetch_messages", json!({}))).await;
    expect(&read, CallOutcome::Done);
    assert_eq!(content(&read)["messages"][0]["content"], "Hello Zoë");
    let message = sent.message_id.to_string();
    let react = in_dm("add_reaction", json!({"message": message, "emoji": "👍"}));
    expect(&it.run(&react).await, CallOutcome::Done);
    let sticker = it.run(&in_dm("send_message", json!({"stickers": ["wave"]}))).await;
    expect(&sticker, CallOutcome::Failed);
    assert!(sticker.reason.contains("In a direct message"), "{}", sticker.reason);
    let general = it.channel("general").to_string();
    let elsewhere = in_dm("fetch_messages", json!({"channel": general}));
    expect(&it.run(&elsewhere).await, CallOutcome::Failed);
    for (tool, arguments) in [
        ("search_messages", json!({"query": "x"})),
        ("get_member_info", json!({"member": zoe.to_string()})),
        ("timeout_member", json!({"member": zoe.to_string(), "duration_seconds": 60})),
    ] {
        expect(&it.run(&in_dm(tool, arguments)).await, CallOutcome::Denied);
    }
    assert!(it.requests("GET", "/guilds/").await.is_empty());
    let stored = it.store.with(|state| state.sent.clone());
    assert_eq!((stored[0].guild_id, stored[0].channel_id), (0, channel));
}

#[tokio::test]
async fn a_call_goes_on_when_its_caller_is_gone() {
    let it = Harness::start().await;
    it.fault("POST /channels/{channel_id}/messages", "delay", json!({"delay_ms": 200})).await;
    let call = it.call("bob", "general", "send_message", json!({"content": "still here"}));
    let gone = tokio::time::timeout(std::time::Duration::from_millis(60), it.run(&call)).await;
    assert!(gone.is_err(), "the caller left");
    let (store, key) = (it.store.clone(), call.key.clone());
    it.until("it is closed", || {
        store.with(|state| {
            state.executions.get(&key).is_some_and(|of| of.state() == ExecutionState::Done)
        })
    })
    .await;
    assert_eq!(it.said("general"), ["still here"]);
    assert_eq!(it.stop().await, ery_lifecycle::Ended::Drained);
}
