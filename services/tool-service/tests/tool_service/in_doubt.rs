//! Executions of which nobody knows how they ended (ONCE-VISIBLE, FENCED).

use std::time::Duration;

use serde_json::json;
use tonic::Code;

use ery_proto::{
    store::v1::ExecutionState,
    tool::v1::{CallOutcome, CallToolRequest},
};

use crate::support::{Harness, content, expect};

const SEND: &str = "POST /channels/{channel_id}/messages";

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_nonce() {
    let it = Harness::start().await;
    for (kind, more) in [
        ("lose_response", json!({"count": 1})),
        ("error", json!({"count": 2, "status": 502, "when": "after"})),
        ("error", json!({"count": 1, "status": 500, "when": "before"})),
        ("cut", json!({"count": 1})),
    ] {
        it.fault(SEND, kind, more.clone()).await;
        let text = format!("{kind} {more}");
        let call = it.call("bob", "general", "send_message", json!({"content": text}));
        expect(&it.run(&call).await, CallOutcome::Done);
        let said = it.said("general");
        assert_eq!(said.iter().filter(|said| **said == text).count(), 1, "{said:?}");
    }
    let nonces: Vec<_> = it.requests("POST", "/messages").await;
    let first: Vec<_> = nonces.iter().take(2).map(|send| send["body"]["nonce"].clone()).collect();
    assert_eq!(first[0], first[1]);
}

/// How often a send is tried in one call.
const TRIES: u32 = 5;

#[tokio::test]
async fn a_fault_that_passes_costs_an_answer_no_reference() {
    let it = Harness::start().await;
    let question = it.says("bob", "general", "a question").await;
    let answer = json!({"content": "Yes", "reply_to": question});
    let call = it.call("bob", "general", "send_message", answer);
    let call = CallToolRequest { is_answer: true, ..call };
    it.fault(SEND, "error", json!({"status": 500, "count": TRIES})).await;
    assert_eq!(it.try_run(&call).await.unwrap_err().code(), Code::Unavailable);
    expect(&it.run(&call).await, CallOutcome::Done);
    let sends = it.requests("POST", "/messages").await;
    assert!(sends.iter().all(|it| it["body"]["message_reference"]["message_id"] == question));
    assert_eq!(it.said("general").iter().filter(|said| *said == "Yes").count(), 1);
}

#[tokio::test]
async fn what_cannot_be_a_reply_says_by_a_link_what_it_answers() {
    let it = Harness::start().await;
    let question = it.says("bob", "general", "a question").await;
    let link =
        format!("https://discord.com/channels/{}/{}/{question}", it.guild(), it.channel("general"));
    let reply = json!({"content": "Yes", "reply_to": question});
    // What is made again is tried with its reference twice, and anything else once.
    for (is_answer, tries) in [(true, 2 * TRIES), (false, TRIES)] {
        let before = it.said("general").len();
        let call = it.call("bob", "general", "send_message", reply.clone());
        let call = CallToolRequest { is_answer, ..call };
        it.fault(SEND, "error", json!({"status": 500, "count": tries})).await;
        if is_answer {
            assert_eq!(it.try_run(&call).await.unwrap_err().code(), Code::Unavailable);
        }
        expect(&it.run(&call).await, CallOutcome::Done);
        assert_eq!(it.said("general")[before..], [format!("Yes\n-# ↪ {link}")]);
        let last = it.requests("POST", "/messages").await.pop().unwrap();
        assert_eq!(last["body"]["message_reference"], serde_json::Value::Null);
    }
}

#[tokio::test]
async fn a_stale_epoch_sends_nothing() {
    let it = Harness::start().await;
    it.store.with(|state| state.epoch = 6);
    let call = it.call("bob", "general", "send_message", json!({"content": "late"}));
    let status = it.try_run(&call).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "{status}");
    assert!(it.said("general").is_empty());
}

#[tokio::test]
async fn without_the_store_nothing_is_sent() {
    let it = Harness::start().await;
    it.store.with(|state| state.is_down = true);
    let call = it.call("bob", "general", "send_message", json!({"content": "x"}));
    assert_eq!(it.try_run(&call).await.unwrap_err().code(), Code::Unavailable);
    assert!(it.said("general").is_empty());
    it.store.with(|state| state.is_down = false);
    expect(&it.run(&call).await, CallOutcome::Done);
}

#[tokio::test]
async fn an_end_that_the_store_loses_is_told_again() {
    let it = Harness::start().await;
    it.store.with(|state| state.lose_ends = 2);
    let call = it.call("bob", "general", "send_message", json!({"content": "x"}));
    expect(&it.run(&call).await, CallOutcome::Done);
    assert_eq!(it.store.execution(&call.key).state(), ExecutionState::Done);
}

/// A send whose end never got into the store, whatever became of it at Discord.
async fn left_open(it: &Harness, is_sent: bool) -> ery_proto::tool::v1::CallToolRequest {
    let call = it.call("bob", "general", "send_message", json!({"content": "the answer"}));
    it.store.with(|state| state.lose_ends = u32::MAX);
    if !is_sent {
        it.fault(SEND, "error", json!({"status": 503, "count": 100})).await;
    }
    assert_eq!(it.try_run(&call).await.unwrap_err().code(), Code::Unavailable);
    it.store.with(|state| state.lose_ends = 0);
    assert_eq!(it.store.execution(&call.key).state(), ExecutionState::Open);
    call
}

#[tokio::test]
async fn an_open_send_is_repeated_under_its_nonce_while_that_is_known() {
    let it = Harness::start().await;
    let mut call = left_open(&it, true).await;
    // A new holder, after the deadline and the request's timeout.
    it.clock.advance(Duration::from_secs(21));
    call.fence.as_mut().unwrap().epoch = 6;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(it.said("general"), ["the answer"]);
    assert_eq!(it.requests("POST", "/messages").await.len(), 2);
    assert_eq!(it.store.with(|state| state.sent.len()), 1);
}

#[tokio::test]
async fn a_repeat_that_is_refused_does_not_hide_what_was_sent() {
    let it = Harness::start().await;
    let mut call = left_open(&it, true).await;
    it.clock.advance(Duration::from_secs(21));
    call.fence.as_mut().unwrap().epoch = 6;
    it.fault(SEND, "error", json!({"status": 403, "count": 1})).await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    assert_ne!(response.message_id, 0);
    assert_eq!(it.said("general"), ["the answer"]);
    assert_eq!(it.store.execution(&call.key).state(), ExecutionState::Done);
}

#[tokio::test]
async fn a_second_attempt_that_is_refused_does_not_hide_the_first() {
    let it = Harness::start().await;
    it.fault(SEND, "lose_response", json!({"count": 1})).await;
    it.fault(SEND, "error", json!({"status": 403, "count": 1})).await;
    let call = it.call("bob", "general", "send_message", json!({"content": "the answer"}));
    expect(&it.run(&call).await, CallOutcome::Done);
    assert_eq!(it.said("general"), ["the answer"]);
    assert_eq!(it.requests("POST", "/messages").await.len(), 2);
}

#[tokio::test]
async fn an_open_send_is_looked_up_once_its_nonce_is_forgotten() {
    let it = Harness::start().await;
    let call = left_open(&it, true).await;
    it.clock.advance(Duration::from_mins(10));
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    assert_ne!(response.message_id, 0);
    assert_eq!(it.requests("POST", "/messages").await.len(), 1, "it is not sent again");
    assert_eq!(it.said("general"), ["the answer"]);
}

#[tokio::test]
async fn where_ery_may_not_read_nobody_can_tell_whether_a_send_stands() {
    let it = Harness::start().await;
    it.deny_ery("general", 1 << 16).await;
    let call = left_open(&it, true).await;
    it.clock.advance(Duration::from_mins(10));
    expect(&it.run(&call).await, CallOutcome::InDoubt);
    assert_eq!(it.said("general"), ["the answer"]);
}

#[tokio::test]
async fn a_send_that_stood_and_was_deleted_since_is_done() {
    let it = Harness::start().await;
    let call = left_open(&it, true).await;
    it.fault(SEND, "error", json!({"status": 404, "code": 10_008, "count": 1})).await;
    it.clock.advance(Duration::from_secs(30));
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    assert!(content(&response)["summary"].as_str().unwrap().contains("deleted since"));
}

#[tokio::test]
async fn an_open_send_that_is_nowhere_has_failed() {
    let it = Harness::start_with(|settings| settings.breaker_failures = 1_000).await;
    let call = left_open(&it, false).await;
    it.clock.advance(Duration::from_mins(10));
    let before = it.requests("POST", "/messages").await.len();
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("did not get to Discord"), "{}", response.reason);
    assert_eq!(it.requests("POST", "/messages").await.len(), before);
    assert!(it.said("general").is_empty());
}

#[tokio::test]
async fn whoever_finds_a_call_open_waits_until_it_cannot_be_under_way() {
    let it = Harness::start().await;
    let mut call = left_open(&it, true).await;
    call.fence.as_mut().unwrap().epoch = 6;
    let (again, clock) = (it.run(&call), &it.clock);
    let early = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(it.requests("POST", "/messages").await.len(), 1, "nothing is asked yet");
        clock.advance(Duration::from_secs(21));
    };
    let (response, ()) = tokio::join!(again, early);
    expect(&response, CallOutcome::Done);
    assert_eq!(it.said("general"), ["the answer"]);
}

#[tokio::test]
async fn what_nobody_can_tell_is_told_so() {
    let it = Harness::start_with(|settings| {
        settings.retries = 1;
        settings.breaker_failures = 1_000;
    })
    .await;
    it.fault(SEND, "error", json!({"status": 500, "when": "before"})).await;
    it.fault("GET /channels/{channel_id}/messages", "error", json!({"status": 500})).await;
    let call = it.call("bob", "general", "send_message", json!({"content": "perhaps"}));
    let response = it.run(&call).await;
    expect(&response, CallOutcome::InDoubt);
    assert_eq!(content(&response)["error"], "in_doubt");
    let execution = it.store.execution(&call.key);
    assert_eq!(execution.state(), ExecutionState::InDoubt);
    assert_eq!(execution.rest_status, 500);
}

#[tokio::test]
async fn a_threads_answer_waits_for_a_discord_that_is_away() {
    let it = Harness::start_with(|settings| {
        settings.retries = 1;
        settings.breaker_failures = 1_000;
    })
    .await;
    it.fault(SEND, "error", json!({"status": 503, "when": "before", "count": 3})).await;
    let mut call = it.call("bob", "general", "send_message", json!({"content": "the answer"}));
    call.is_answer = true;
    let status = it.try_run(&call).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert_eq!(it.store.execution(&call.key).state(), ExecutionState::Open);
    assert!(it.said("general").is_empty());
    // Who asks again need not wait: what this process tried has come to its end.
    expect(&it.run(&call).await, CallOutcome::Done);
    assert_eq!(it.said("general"), ["the answer"]);
    assert_eq!(it.store.execution(&call.key).state(), ExecutionState::Done);
}

#[tokio::test]
async fn a_threads_answer_that_nobody_could_look_up_is_looked_up_later() {
    let it = Harness::start_with(|settings| {
        settings.retries = 1;
        settings.breaker_failures = 1_000;
    })
    .await;
    it.fault(SEND, "error", json!({"status": 502, "when": "after", "count": 2})).await;
    let look = "GET /channels/{channel_id}/messages";
    it.fault(look, "error", json!({"status": 500, "count": 4})).await;
    let mut call = it.call("bob", "general", "send_message", json!({"content": "the answer"}));
    call.is_answer = true;
    assert_eq!(it.try_run(&call).await.unwrap_err().code(), Code::Unavailable);
    it.clock.advance(Duration::from_mins(10));
    assert_eq!(it.try_run(&call).await.unwrap_err().code(), Code::Unavailable);
    expect(&it.run(&call).await, CallOutcome::Done);
    assert_eq!(it.said("general"), ["the answer"], "it is not sent again");
}

#[tokio::test]
async fn nothing_is_written_after_the_deadline() {
    let it = Harness::start().await;
    expect(
        &it.run(&it.call("bob", "general", "send_message", json!({"content": "warm"}))).await,
        CallOutcome::Done,
    );
    // Room for the request comes only when its time is over.
    let clock = std::sync::Arc::clone(&it.clock);
    *it.budgets.before_grant.lock().unwrap() =
        Some(Box::new(move || clock.advance(Duration::from_secs(10))));
    let call = it.call("bob", "general", "send_message", json!({"content": "late"}));
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("too long"), "{}", response.reason);
    assert_eq!(it.said("general"), ["warm"]);
    assert_eq!(it.store.execution(&call.key).state(), ExecutionState::Failed);
}

#[tokio::test]
async fn a_first_attempt_that_comes_much_too_late_is_no_failure() {
    let it = Harness::start().await;
    expect(
        &it.run(&it.call("bob", "general", "send_message", json!({"content": "warm"}))).await,
        CallOutcome::Done,
    );
    // By now another replica may have taken the call for abandoned, and have repeated it.
    let clock = std::sync::Arc::clone(&it.clock);
    *it.budgets.before_grant.lock().unwrap() =
        Some(Box::new(move || clock.advance(Duration::from_secs(30))));
    let call = it.call("bob", "general", "send_message", json!({"content": "late"}));
    expect(&it.run(&call).await, CallOutcome::Done);
    assert_eq!(it.said("general"), ["warm", "late"]);
    assert_eq!(it.store.execution(&call.key).state(), ExecutionState::Done);
}
