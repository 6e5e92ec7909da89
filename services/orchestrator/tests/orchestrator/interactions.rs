//! What people type, choose and press: answered at once, once, and beside the channel's thread.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use tonic::Status;
use twilight_model::guild::Permissions;

use ery_clock::{Clock, SystemClock};
use ery_ids::ChannelKey;
use ery_orchestrator::CommandScope;
use ery_proto::tool::v1::PlannedCall;

use crate::support::{
    BOT, CHANNEL, GUILD,
    ai::Reply,
    eventually,
    stand::{Stand, Written},
    until,
};

pub(crate) const MEMBER: u64 = 5;

/// Lets somebody do something to which Discord wants an answer; returns the interaction's id.
pub(crate) async fn interact(stand: &Stand, kind: u8, data: Value) -> u64 {
    let id = stand.next_id();
    dispatch(stand, id, "s.1", kind, data).await;
    id
}

/// Lets somebody who may time members out do something.
async fn moderate(stand: &Stand, kind: u8, data: Value) -> u64 {
    let id = stand.next_id();
    dispatch_with(stand, id, "s.1", kind, (data, Permissions::MODERATE_MEMBERS)).await;
    id
}

async fn dispatch(stand: &Stand, id: u64, event: &str, kind: u8, data: Value) {
    dispatch_with(stand, id, event, kind, (data, Permissions::empty())).await;
}

async fn dispatch_with(
    stand: &Stand,
    id: u64,
    event: &str,
    kind: u8,
    (data, permissions): (Value, Permissions),
) {
    let permissions = permissions.bits().to_string();
    let payload = json!({
        "id": id.to_string(), "application_id": "7", "type": kind, "token": format!("token-{id}"),
        "guild_id": GUILD.to_string(), "channel_id": CHANNEL.to_string(), "locale": "en-US",
        "member": { "user": { "id": MEMBER.to_string() }, "permissions": permissions },
        "data": data,
    });
    let key = ChannelKey::from_raw(GUILD, CHANNEL).unwrap();
    let event = format!("{event}{id}");
    stand.dispatch(&event, "interaction_create", key, payload.to_string().into_bytes()).await;
}

fn list() -> Value {
    json!({ "name": "schedule", "type": 1, "options": [
        { "name": "list", "type": 1, "options": [] },
    ]})
}

fn cancel(id: &str) -> Value {
    json!({ "name": "schedule", "type": 1, "options": [
        { "name": "cancel", "type": 1, "options": [{ "name": "what", "type": 3, "value": id }] },
    ]})
}

fn plan(id: &str, content: &str) -> PlannedCall {
    PlannedCall {
        id: id.into(),
        tool: "send_message".into(),
        arguments: json!({ "content": content }).to_string(),
        due_at_ms: SystemClock.now().0 + 60_000,
        channel_id: CHANNEL,
        planned_by: MEMBER,
    }
}

/// Returns the first answer to an interaction, once it is there.
async fn first(stand: &Stand, id: u64) -> Value {
    eventually("a first answer", || {
        let answered = stand.tools.answered.lock().unwrap();
        let found = answered.iter().find(|it| it.interaction_id == id)?;
        Some(serde_json::from_str(&found.response).unwrap())
    })
    .await
}

/// Returns what came of an interaction, once it is said.
pub(crate) async fn end(stand: &Stand, id: u64) -> String {
    let token = format!("token-{id}");
    eventually("an answer", || {
        let edited = stand.tools.edited.lock().unwrap();
        let found = edited.iter().find(|it| it.interaction_token == token)?;
        let message: Value = serde_json::from_str(&found.message).unwrap();
        Some(message["content"].as_str().unwrap().to_owned())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_answered_while_the_channels_thread_waits_for_its_model() {
    let stand = Stand::new().await;
    stand.tools.plans.lock().unwrap().push(plan("abc", "water the plants"));
    stand.ai.replies([Reply::Never]);
    let _process = stand.start();
    stand.write(Written::by(MEMBER, "ery, think about it")).await;
    until("a model turn runs", || stand.ai.running() > 0).await;

    let id = interact(&stand, 2, list()).await;

    assert_eq!(first(&stand, id).await, json!({ "type": 5, "data": { "flags": 64 } }));
    let said = end(&stand, id).await;
    assert!(said.contains("water the plants") && said.contains("`abc`"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interaction_that_comes_twice_is_answered_once_and_acts_once() {
    let stand = Stand::new().await;
    let _process = stand.start();
    let id = interact(&stand, 2, cancel("abc")).await;
    end(&stand, id).await;
    // By another session of Discord's.
    dispatch(&stand, id, "t.1", 2, cancel("abc")).await;
    let after = interact(&stand, 2, list()).await;
    end(&stand, after).await;

    let answers = stand.tools.answered.lock().unwrap().len();
    assert_eq!(answers, 2);
    let done = stand.tools.done();
    assert_eq!(done.len(), 1, "{done:?}");
    assert_eq!(done[0].key, format!("e/in.{id}/schedule-cancel/0"));
    assert!(done[0].is_command && done[0].offered == ["schedule_action"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_for_an_interaction_that_is_over() {
    let stand = Stand::new().await;
    stand.tools.is_expired.store(true, Ordering::SeqCst);
    let _process = stand.start();
    let late = interact(&stand, 2, cancel("abc")).await;
    // So old that its token is worth nothing.
    let old = late - ((20 * 60 * 1_000) << 22);
    dispatch(&stand, old, "s.1", 2, cancel("abc")).await;
    let button = json!({ "custom_id": "ery.cancel.abc", "component_type": 2 });
    interact(&stand, 3, button).await;
    until("both are tried", || stand.tools.too_late.load(Ordering::SeqCst) == 2).await;
    stand.tools.is_expired.store(false, Ordering::SeqCst);
    let after = interact(&stand, 2, list()).await;
    end(&stand, after).await;

    assert!(stand.tools.done().is_empty());
    let answered = stand.tools.answered.lock().unwrap();
    assert!(answered.iter().all(|it| it.interaction_id != old), "{answered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_that_takes_long_holds_up_no_other() {
    let stand = Stand::new().await;
    let _process = stand.start();
    stand.tools.held.hold("CallTool");
    let slow = interact(&stand, 2, cancel("abc")).await;
    first(&stand, slow).await;
    let quick = interact(&stand, 2, list()).await;
    end(&stand, quick).await;
    let edited = stand.tools.edited.lock().unwrap().len();
    assert_eq!(edited, 1);
    stand.tools.held.release("CallTool");
    end(&stand, slow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_goes_on_after_a_crash_between_its_two_answers() {
    let stand = Stand::new().await;
    stand.tools.held.hold("CallTool");
    let process = stand.start();
    let id = interact(&stand, 2, cancel("abc")).await;
    first(&stand, id).await;
    process.kill();
    stand.tools.held.release("CallTool");
    let stand = stand.with_nobody_registered();
    let _next = stand.start();
    assert!(end(&stand, id).await.contains("not planned any more"));
    assert_eq!(stand.tools.done().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_is_completed_and_without_an_answer_nothing_is_offered() {
    let stand = Stand::new().await;
    let plans = [plan("abc", "water the plants"), plan("def", "feed the cat")];
    stand.tools.plans.lock().unwrap().extend(plans);
    let _process = stand.start();
    let typed = |text: &str| {
        json!({ "name": "schedule", "type": 1, "options": [{ "name": "cancel", "type": 1,
            "options": [{ "name": "what", "type": 3, "value": text, "focused": true }] }]})
    };
    let id = interact(&stand, 4, typed("CAT")).await;
    let answer = first(&stand, id).await;
    let choices = answer["data"]["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 1, "{answer}");
    assert_eq!(choices[0]["value"], "def");

    stand.tools.held.hold("ListPlans");
    let id = interact(&stand, 4, typed("")).await;
    let answer = first(&stand, id).await;
    assert_eq!(answer["data"]["choices"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_opened_at_once_and_what_it_says_is_done() {
    let stand = Stand::new().await;
    let _process = stand.start();
    let menu = json!({ "name": "Warn…", "type": 2, "target_id": "42" });
    let id = interact(&stand, 2, menu.clone()).await;
    let refused = first(&stand, id).await;
    assert_eq!(refused["type"], 4, "who may not warn is not asked for what");
    let id = moderate(&stand, 2, menu).await;
    let form = first(&stand, id).await;
    assert_eq!(form["type"], 9);
    let custom_id = form["data"]["custom_id"].as_str().unwrap();
    let sent = json!({ "custom_id": custom_id, "components": [
        { "type": 18, "component": { "type": 4, "custom_id": "reason", "value": "spam" } },
    ]});
    let id = interact(&stand, 5, sent).await;
    assert!(end(&stand, id).await.contains("<@42> is warned"));
    let done = stand.tools.done();
    let arguments: Value = serde_json::from_str(&done[0].arguments).unwrap();
    assert_eq!(arguments, json!({ "member": "42", "notice": "channel", "reason": "spam" }));
    assert_eq!(done[0].tool, "warn_member");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_more_is_said_to_be_unknown_and_half_an_event_is_a_dead_letter() {
    let stand = Stand::new().await;
    let _process = stand.start();
    let key = ChannelKey::from_raw(GUILD, CHANNEL).unwrap();
    stand.dispatch("s.9", "interaction_create", key, b"{}".to_vec()).await;
    let id = interact(&stand, 2, json!({ "name": "gone", "type": 1 })).await;
    let answer = first(&stand, id).await;
    assert_eq!((&answer["type"], &answer["data"]["flags"]), (&json!(4), &json!(64)));
    until("there is a dead letter", || {
        stand.store.dead_events().iter().any(|it| it.event_id == "s.9")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_person_sees_is_not_taken_for_the_channels() {
    let stand = Stand::new().await;
    let _process = stand.start();
    let key = ChannelKey::from_raw(GUILD, CHANNEL).unwrap();
    let whispered = Written::by(BOT, "a secret").with(json!({ "flags": 64 }));
    let (hidden, seen) = (stand.next_id(), stand.next_id());
    for kind in ["message_create", "message_update"] {
        let payload = whispered.payload(hidden);
        stand.dispatch(&format!("{kind}.{hidden}"), kind, key, payload).await;
    }
    let said = Written::by(MEMBER, "hello");
    stand.dispatch(&format!("mc.{seen}"), "message_create", key, said.payload(seen)).await;
    let of = |message: u64| {
        let taken = stand.store.ingested();
        taken.iter().any(|it| it.event_id.ends_with(&message.to_string()))
    };
    until("what was said is taken in", || of(seen)).await;
    assert!(!of(hidden));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_registered_by_one_replica_again_after_failures_and_with_each_session() {
    let stand = Stand::new().await;
    stand.tools.faults.add("RegisterCommands", Status::unavailable("away"), 3);
    let _one = stand.start();
    let _other = stand.start();
    let registered = || stand.tools.registered.lock().unwrap().clone();
    until("the commands are registered", || !registered().is_empty()).await;
    let first = registered();
    assert_eq!(first[0].guild_id, 0);
    let names: Value = serde_json::from_str(&first[0].commands).unwrap();
    assert!(names.as_array().unwrap().iter().any(|it| it["name"] == "schedule"), "{names}");

    let key = ChannelKey::from_raw(0, BOT).unwrap();
    let count = registered().len();
    stand.dispatch("new.1", "ready", key, b"{}".to_vec()).await;
    until("they are registered anew", || registered().len() > count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_development_each_server_gets_the_commands_and_no_other_place() {
    let stand = Stand::with(|settings| settings.commands = CommandScope::Guilds).await;
    let _process = stand.start();
    let key = ChannelKey::from_raw(GUILD, CHANNEL).unwrap();
    stand.dispatch("new.2", "guild_create", key, b"{}".to_vec()).await;
    let registered = || stand.tools.registered.lock().unwrap().clone();
    let of = |guild: u64| registered().into_iter().find(|it| it.guild_id == guild);
    let own = eventually("the server's commands", || of(GUILD)).await;
    assert!(own.commands.contains("schedule"));
    let everywhere = eventually("those of all servers", || of(0)).await;
    assert_eq!(everywhere.commands, "[]");

    let stand = Stand::with(|settings| settings.commands = CommandScope::Off).await;
    let _process = stand.start();
    let id = interact(&stand, 2, list()).await;
    end(&stand, id).await;
    assert!(stand.tools.registered.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_goes_to_the_staff_once_and_where_there_is_none_that_is_said() {
    let stand = Stand::new().await;
    let _process = stand.start();
    let form = json!({ "custom_id": "ery.report.42", "components": [
        { "type": 18, "component": { "type": 4, "custom_id": "reason", "value": "spam `x`" } },
    ]});
    let id = interact(&stand, 5, form.clone()).await;
    assert!(end(&stand, id).await.contains("no channel for its staff"));
    assert!(stand.tools.done().is_empty());

    stand.tools.staff_channel.store(77, Ordering::SeqCst);
    for _ in 0..2 {
        let id = interact(&stand, 5, form.clone()).await;
        assert!(end(&stand, id).await.contains("The staff"));
    }
    let done = stand.tools.done();
    assert_eq!(done.len(), 1, "{done:?}");
    let arguments: Value = serde_json::from_str(&done[0].arguments).unwrap();
    assert_eq!(arguments["channel"], "77");
    let content = arguments["content"].as_str().unwrap();
    assert!(content.contains("`spam ˋxˋ`") && content.contains("/42"), "{content}");
    assert!(!done[0].is_command && done[0].key == format!("e/rp.42.{MEMBER}/report/0"));
}

pub(crate) fn report_of(message: u64) -> Value {
    json!({ "custom_id": format!("ery.report.{message}"), "components": [
        { "type": 18, "component": { "type": 4, "custom_id": "reason", "value": "spam" } },
    ]})
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_keeps_the_staff_busy_only_so_far() {
    let stand = Stand::new().await;
    stand.tools.staff_channel.store(77, Ordering::SeqCst);
    let _process = stand.start();
    for message in 1..=3 {
        let id = interact(&stand, 5, report_of(message)).await;
        assert!(end(&stand, id).await.contains("The staff"), "{message}");
    }
    for message in 4..=5 {
        let id = interact(&stand, 5, report_of(message)).await;
        let said = end(&stand, id).await;
        assert!(said.contains("did not pass this one on") && said.contains("minutes"), "{said}");
    }
    assert_eq!(stand.tools.done().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_why_again_and_again_is_asked_to_wait() {
    let stand = Stand::new().await;
    let _process = stand.start();
    let why = json!({ "name": "why", "type": 1, "options": [
        { "name": "message", "type": 3, "value": "42" },
    ]});
    for count in 1..=6 {
        let id = interact(&stand, 2, why.clone()).await;
        let said = end(&stand, id).await;
        assert_eq!(said.contains("several times"), count == 6, "{count}: {said}");
    }
}
