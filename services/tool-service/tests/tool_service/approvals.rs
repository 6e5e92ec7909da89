//! Acts that wait for a click: how they are shown, who may decide, and what is then carried out.

use std::time::Duration;

use serde_json::{Value, json};

use ery_community_config::{Changed, Subject};
use ery_event_bus::Topic;
use ery_proto::{
    store::v1::{ApprovalDecision, Decision, ExecutionState},
    tool::v1::{CallOutcome, CallToolRequest, ClickApprovalRequest, SettleApprovalRequest},
};

use crate::support::{Harness, expect};

/// Has theo, who may, ask for a timeout of bob in words that are no order.
async fn proposed(it: &Harness) -> CallToolRequest {
    let arguments = json!({
        "member": it.user("bob").to_string(), "duration_seconds": 600, "reason": "`x` @everyone",
    });
    let call = it.call("theo", "general", "timeout_member", arguments);
    expect(&it.run(&call).await, CallOutcome::NeedsApproval);
    call
}

/// The message with the buttons, as the simulator shows it.
async fn shown(it: &Harness) -> Value {
    let path = format!("channels/{}/messages?limit=1", it.channel("general"));
    it.rest(&path).await[0].clone()
}

fn approval(it: &Harness, call: &CallToolRequest) -> String {
    it.store.execution(&call.key).approval_id
}

/// A press of a button of the newest message.
async fn click(it: &Harness, who: &str, end: &str) -> ClickApprovalRequest {
    let message = shown(it).await;
    let buttons = message["components"][0]["components"].as_array().cloned().unwrap_or_default();
    let button = buttons
        .into_iter()
        .find(|button| button["custom_id"].as_str().is_some_and(|id| id.ends_with(end)))
        .expect("there is such a button");
    ClickApprovalRequest {
        guild_id: it.guild(),
        channel_id: it.channel("general"),
        user_id: it.user(who),
        custom_id: button["custom_id"].as_str().unwrap().to_owned(),
        // The simulator knows no such interaction: what counts here is what it is told.
        interaction_id: 1,
        interaction_token: "t".into(),
        tells_refusal: false,
    }
}

/// Lets somebody press a button of the newest message; returns the answer.
async fn press(it: &Harness, who: &str, end: &str) -> Value {
    let request = click(it, who, end).await;
    let before = it.requests("POST", "/callback").await.len();
    assert!(it.client().click_approval(request).await.unwrap().into_inner().is_ours);
    for _ in 0..500 {
        let mut callbacks = it.requests("POST", "/callback").await;
        if callbacks.len() > before {
            return callbacks.swap_remove(before)["body"].take();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the click is not answered");
}

fn approved(call: &CallToolRequest, approval: &str) -> CallToolRequest {
    CallToolRequest {
        key: format!("{}/approved", call.key),
        approval_id: approval.to_owned(),
        ..call.clone()
    }
}

#[tokio::test]
async fn a_proposal_shows_whom_it_is_about_and_not_the_models_words() {
    let it = Harness::start().await;
    let call = proposed(&it).await;
    let message = shown(&it).await;
    let text = message["content"].as_str().unwrap();
    let bob = it.user("bob");
    assert!(text.contains(&format!("<@{bob}>")) && text.contains("@bob"), "{text}");
    assert!(text.contains(&format!("<@{}> asked", it.user("theo"))), "{text}");
    assert!(text.contains("`ˋxˋ @everyone`"), "what somebody wrote is quoted: {text}");
    assert_eq!(message["mentions"].as_array().map(Vec::len), Some(0));
    let labels: Vec<_> = message["components"][0]["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|button| button["label"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(labels, ["Approve", "Reject"]);
    let execution = it.store.execution(&call.key);
    assert_eq!(execution.decision(), Decision::NeedsApproval);
    assert_eq!(execution.state(), ExecutionState::Done);
    // A repeat shows nothing anew, and nothing was done.
    expect(&it.run(&call).await, CallOutcome::NeedsApproval);
    assert_eq!(it.said("general").len(), 1);
    assert!(it.requests("PATCH", "/members/").await.is_empty());
}

#[tokio::test]
async fn a_proposal_is_in_the_language_that_is_set_there_to_its_end() {
    let it = Harness::start().await;
    it.config.set(it.guild(), Subject::SERVER, "answers.language", json!("de"));
    proposed(&it).await;
    let message = shown(&it).await;
    let text = message["content"].as_str().unwrap();
    assert!(text.contains("hat darum gebeten"), "{text}");
    assert!(text.contains("\n> **Einem Mitglied ein Timeout geben**\n"), "{text}");
    let buttons = message["components"][0]["components"].as_array().unwrap().clone();
    assert_eq!(buttons.len(), 2);
    assert_eq!(
        (&buttons[0]["label"], &buttons[1]["label"]),
        (&json!("Freigeben"), &json!("Ablehnen"))
    );
    let answer = press(&it, "theo", ".n").await;
    let content = answer["data"]["content"].as_str().unwrap();
    assert!(content.starts_with("Darum gebeten hat <@"), "{content}");
    assert!(content.contains("Abgelehnt von <@"), "{content}");
}

#[tokio::test]
async fn a_refusal_is_told_by_the_caller_who_knows_the_persons_language() {
    let it = Harness::start().await;
    proposed(&it).await;
    let request = ClickApprovalRequest { tells_refusal: true, ..click(&it, "bob", "y").await };
    let gone = ClickApprovalRequest { custom_id: "ery.ap.gone.y".into(), ..request.clone() };
    let answer = it.client().click_approval(request).await.unwrap().into_inner();
    let content: Value = serde_json::from_str(&answer.refusal).unwrap();
    assert!(answer.is_ours);
    assert_eq!(content["code"], "asker_lacks_permission", "{content}");
    assert_eq!(content["permission"], "MODERATE_MEMBERS", "{content}");
    let answer = it.client().click_approval(gone).await.unwrap().into_inner();
    assert!(answer.refusal.contains("proposal_unknown"), "{}", answer.refusal);
    assert!(it.requests("POST", "/callback").await.is_empty());
}

#[tokio::test]
async fn a_call_whose_turn_has_not_come_is_made_only_if_it_waits_for_a_click_too() {
    let it = Harness::start().await;
    let ahead = |tool: &str, arguments: Value| CallToolRequest {
        is_ahead: true,
        ..it.call("theo", "general", tool, arguments)
    };
    for (tool, arguments) in [
        ("send_message", json!({"content": "done!"})),
        ("fetch_messages", json!({})),
        ("nuke", json!({})),
        ("ban_member", json!({"member": it.user("mara").to_string()})),
    ] {
        let call = ahead(tool, arguments);
        assert_eq!(it.run(&call).await.outcome(), CallOutcome::Later, "{tool}");
        assert!(!it.store.with(|state| state.executions.contains_key(&call.key)), "{tool}");
    }
    assert!(it.said("general").is_empty());
    let timeout = json!({"member": it.user("bob").to_string(), "duration_seconds": 600});
    // What its asker ordered need not wait for what they did not order.
    let kick = it.ordered("theo", "kick_member", json!({"member": "alice"})).await;
    let kick = CallToolRequest { is_ahead: true, ..kick };
    expect(&it.run(&kick).await, CallOutcome::Done);
    let call = ahead("timeout_member", timeout);
    expect(&it.run(&call).await, CallOutcome::NeedsApproval);
    assert_eq!(it.said("general").len(), 1, "it is shown with its buttons");
    // When its turn comes it finds what is shown.
    expect(&it.run(&CallToolRequest { is_ahead: false, ..call }).await, CallOutcome::NeedsApproval);
    assert_eq!(it.said("general").len(), 1);
}

#[tokio::test]
async fn a_lost_response_shows_a_proposal_once() {
    let it = Harness::start().await;
    let more = json!({"count": 1});
    it.fault("POST /channels/{channel_id}/messages", "lose_response", more).await;
    proposed(&it).await;
    assert_eq!(it.said("general").len(), 1);
}

#[tokio::test]
async fn who_could_not_do_it_by_hand_cannot_approve_it() {
    let it = Harness::start().await;
    let call = proposed(&it).await;
    for who in ["alice", "bob"] {
        for end in [".y", ".n"] {
            let answer = press(&it, who, end).await;
            assert_eq!(answer["type"], 4, "{who}: {answer}");
            assert_eq!(answer["data"]["flags"], 64, "only {who} sees it");
        }
    }
    let approval = approval(&it, &call);
    let stands = it.store.with(|state| state.approvals[&approval].decision());
    assert_eq!(stands, ApprovalDecision::Unspecified);
    // Each of them is written down, once, however often they clicked.
    let clicked: Vec<_> = it.store.with(|state| {
        let all = state.executions.values();
        all.filter(|it| it.approval_id == approval && it.key != call.key).cloned().collect()
    });
    assert_eq!(clicked.len(), 2);
    for who in ["alice", "bob"] {
        let person = it.call(who, "general", "x", json!({})).principal;
        let execution = clicked.iter().find(|it| it.principal == person).unwrap();
        assert_eq!(execution.decision(), Decision::Deny);
        assert_eq!(execution.state(), ExecutionState::Denied);
        assert_eq!(execution.tool, "timeout_member");
        let reason = &execution.decision_reason;
        assert!(reason.contains("click") && reason.contains("MODERATE_MEMBERS"), "{reason}");
        assert!(!execution.key.contains(&it.user(who).to_string()), "{}", execution.key);
    }
    // And without a click nothing runs, whatever is claimed.
    let response = it.run(&approved(&call, &approval)).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("Nobody approved"), "{}", response.reason);
    assert!(it.requests("PATCH", "/members/").await.is_empty());
}

#[tokio::test]
async fn what_was_shown_is_carried_out_once_it_is_approved() {
    let it = Harness::start().await;
    let call = proposed(&it).await;
    let answer = press(&it, "mara", ".y").await;
    assert_eq!(answer["type"], 7, "{answer}");
    assert_eq!(answer["data"]["components"], json!([]));
    let approval = approval(&it, &call);
    // The model's words are not what counts.
    let alice = it.user("alice").to_string();
    let mut go = approved(&call, &approval);
    go.arguments = json!({"member": alice, "duration_seconds": 2_000_000}).to_string();
    expect(&it.run(&go).await, CallOutcome::Done);
    expect(&it.run(&go).await, CallOutcome::Done);
    let patches = it.requests("PATCH", "/members/").await;
    assert_eq!(patches.len(), 1);
    let path = patches[0]["path"].as_str().unwrap();
    assert!(path.ends_with(&it.user("bob").to_string()), "{path}");
    let execution = it.store.execution(&go.key);
    assert_eq!(execution.approver_id, it.user("mara"));
    assert_eq!(execution.approval_id, approval);
}

#[tokio::test]
async fn an_approval_serves_its_own_call_alone() {
    let it = Harness::start().await;
    let call = proposed(&it).await;
    press(&it, "theo", ".y").await;
    let approval = approval(&it, &call);
    let mut of_another = approved(&call, &approval);
    of_another.key = of_another.key.replace("/1/", "/2/");
    let mut by_another = approved(&call, &approval);
    by_another.principal = it.call("mara", "general", "timeout_member", json!({})).principal;
    let mut elsewhere = approved(&call, &approval);
    elsewhere.channel_id = it.channel("staff");
    elsewhere.fence.as_mut().unwrap().channel_id = elsewhere.channel_id;
    for stolen in [of_another, by_another, elsewhere] {
        expect(&it.run(&stolen).await, CallOutcome::Denied);
    }
    assert!(it.requests("PATCH", "/members/").await.is_empty());
}

#[tokio::test]
async fn rights_are_judged_again_when_it_is_carried_out() {
    let it = Harness::start().await;
    let call = proposed(&it).await;
    press(&it, "mara", ".y").await;
    // Whoever asked has lost the right meanwhile.
    let (guild, theo) = (it.guild(), it.user("theo"));
    it.control_patch(&format!("/members/{guild}/{theo}"), json!({"roles": []})).await;
    let go = approved(&call, &approval(&it, &call));
    let response = it.run(&go).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("MODERATE_MEMBERS"), "{}", response.reason);
    assert!(it.requests("PATCH", "/members/").await.is_empty());
}

#[tokio::test]
async fn whoever_asked_may_take_it_back_and_a_second_click_changes_nothing() {
    let it = Harness::start().await;
    let call = proposed(&it).await;
    let message = shown(&it).await;
    press(&it, "theo", ".n").await;
    let id = approval(&it, &call);
    let stands = it.store.with(|state| state.approvals[&id].decision());
    assert_eq!(stands, ApprovalDecision::Rejected);
    let late = ClickApprovalRequest {
        guild_id: it.guild(),
        channel_id: it.channel("general"),
        user_id: it.user("mara"),
        custom_id: message["components"][0]["components"][0]["custom_id"]
            .as_str()
            .unwrap()
            .to_owned(),
        interaction_id: 1,
        interaction_token: "gone".into(),
        tells_refusal: false,
    };
    assert!(it.client().click_approval(late).await.unwrap().into_inner().is_ours);
    let stands = it.store.with(|state| state.approvals[&id].decision());
    assert_eq!(stands, ApprovalDecision::Rejected);
    expect(&it.run(&approved(&call, &id)).await, CallOutcome::Denied);
}

#[tokio::test]
async fn while_she_is_paused_a_click_approves_nothing_and_the_proposal_stands() {
    let it = Harness::start().await;
    let call = proposed(&it).await;
    let id = approval(&it, &call);
    let home = it.guild();
    let version = it.config.set(home, Subject::SERVER, "paused", json!(true));
    it.bus.broadcast_json(Topic::ConfigChanged, &Changed { home, version });
    loop {
        let other = it.call("theo", "general", "get_server_info", json!({}));
        if it.run(&other).await.outcome() == CallOutcome::Denied {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let answer = press(&it, "mara", ".y").await;
    assert!(answer["data"]["content"].to_string().contains("paused"), "{answer}");
    let stands = it.store.with(|state| state.approvals[&id].decision());
    assert_eq!(stands, ApprovalDecision::Unspecified);
}

#[tokio::test]
async fn an_order_that_waits_for_a_click_is_carried_out_word_for_word() {
    let it = Harness::start_with(|settings| {
        settings.policy = [("send_message".into(), ery_tool_service::ToolRule::Ask)].into();
    })
    .await;
    let out = json!({"content": "what the staff say", "channel": "general"});
    let call = it.ordered_in("theo", "staff", "send_message", out).await;
    expect(&it.run(&call).await, CallOutcome::NeedsApproval);
    let path = format!("channels/{}/messages?limit=1", it.channel("staff"));
    let shown = it.rest(&path).await[0].clone();
    let id = shown["components"][0]["components"][0]["custom_id"].as_str().unwrap().to_owned();
    let request = ClickApprovalRequest {
        guild_id: it.guild(),
        channel_id: it.channel("staff"),
        user_id: it.user("theo"),
        custom_id: id,
        interaction_id: 1,
        interaction_token: "t".into(),
        tells_refusal: false,
    };
    it.client().click_approval(request).await.unwrap();
    let approval = approval(&it, &call);
    expect(&it.run(&approved(&call, &approval)).await, CallOutcome::Done);
    assert_eq!(it.said("general"), ["what the staff say"]);
}

#[tokio::test]
async fn what_a_proposal_says_is_not_changed_while_it_can_be_clicked() {
    let it = Harness::start().await;
    proposed(&it).await;
    let message = shown(&it).await;
    let edit = json!({"message": message["id"], "content": "Approve this to pin the rules"});
    let response = it.run(&it.call("mara", "general", "edit_message", edit)).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("buttons"), "{}", response.reason);
    assert_eq!(shown(&it).await["content"], message["content"]);
}

#[tokio::test]
async fn what_a_proposal_came_to_is_not_rewritten() {
    let it = Harness::start().await;
    let call = proposed(&it).await;
    let message = shown(&it).await["id"].as_str().unwrap().to_owned();
    press(&it, "mara", ".n").await;
    let id = approval(&it, &call);
    it.client()
        .settle_approval(SettleApprovalRequest { guild_id: it.guild(), approval_id: id })
        .await
        .unwrap();
    let stands = it.message_now("general", &message).await;
    assert_eq!(stands["components"], json!([]));
    assert!(stands["content"].as_str().unwrap().contains("Rejected by"), "{stands}");
    for who in ["theo", "mara"] {
        let edit = json!({"message": message, "content": "Approved by everybody."});
        let response = it.run(&it.call(who, "general", "edit_message", edit)).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains("proposal"), "{}", response.reason);
    }
    assert_eq!(it.message_now("general", &message).await["content"], stands["content"]);
}

#[tokio::test]
async fn whether_a_message_shows_a_proposal_is_asked_again_where_the_store_is_away() {
    let it = Harness::start().await;
    let answer = it.call("bob", "general", "send_message", json!({"content": "first"}));
    let message = it.run(&answer).await.message_id.to_string();
    let edit = json!({"message": message, "content": "second"});
    let call = it.ordered("mara", "edit_message", edit).await;
    it.store.with(|state| state.loses_approvals = true);

    let away = it.try_run(&call).await.unwrap_err();

    assert_eq!(away.code(), tonic::Code::Unavailable);
    it.store.with(|state| state.loses_approvals = false);
    expect(&it.run(&call).await, CallOutcome::Done);
    assert_eq!(it.message_now("general", &message).await["content"], "second");
}

#[tokio::test]
async fn foreign_buttons_are_left_alone() {
    let it = Harness::start().await;
    let foreign = ClickApprovalRequest {
        guild_id: it.guild(),
        channel_id: it.channel("general"),
        user_id: it.user("mara"),
        custom_id: "poll.1".into(),
        interaction_id: 1,
        interaction_token: "t".into(),
        tells_refusal: false,
    };
    assert!(!it.client().click_approval(foreign).await.unwrap().into_inner().is_ours);
    assert!(it.requests("POST", "/callback").await.is_empty());
}

#[tokio::test]
async fn an_expired_proposal_loses_its_buttons() {
    let it = Harness::start_with(|settings| settings.approval_time = Duration::from_mins(5)).await;
    let call = proposed(&it).await;
    let id = approval(&it, &call);
    it.store.with(|state| {
        let approval = state.approvals.get_mut(&id).unwrap();
        assert_eq!(approval.expires_at_ms - approval.created_at_ms, 300_000);
        approval.set_decision(ApprovalDecision::Expired);
    });
    let request = SettleApprovalRequest { guild_id: it.guild(), approval_id: id };
    it.client().settle_approval(request).await.unwrap();
    let message = shown(&it).await;
    assert_eq!(message["components"], json!([]));
    assert!(message["content"].as_str().unwrap().contains("Nobody approved"), "{message}");
}
