//! Commands of people's own: registered when they differ, and carried out by the rights of whoever
//! gave them, without a model between.

use serde_json::{Value, json};
use tonic::Code;

use ery_proto::tool::v1::{
    AnswerInteractionRequest, CallOutcome, CallToolRequest, InteractionOutcome, ListPlansRequest,
    RegisterCommandsRequest,
};

use crate::support::{Harness, expect};

/// A command that somebody gave, by an interaction of this id.
fn command(it: &Harness, id: u64, who: &str, tool: &str, arguments: Value) -> CallToolRequest {
    let call = it.call(who, "general", tool, arguments);
    CallToolRequest {
        fence: None,
        key: format!("e/in.{id}/some-command/0"),
        thread_id: String::new(),
        trigger_id: format!("in.{id}"),
        offered: vec![tool.to_owned()],
        is_command: true,
        ..call
    }
}

fn warning(it: &Harness) -> Value {
    json!({ "member": it.user("bob").to_string(), "notice": "none" })
}

#[tokio::test]
async fn a_command_needs_no_click_but_the_rights() {
    let it = Harness::start().await;
    let given = command(&it, 1, "theo", "warn_member", warning(&it));
    expect(&it.run(&given).await, CallOutcome::Done);
    // Once more the same interaction finds what it did.
    expect(&it.run(&given).await, CallOutcome::Done);
    let execution = it.store.execution("e/in.1/some-command/0");
    assert!(execution.is_ordered && execution.thread_id.is_empty());
    assert_eq!(execution.approver_id, 0);
    let refused = command(&it, 2, "alice", "warn_member", warning(&it));
    expect(&it.run(&refused).await, CallOutcome::Denied);
    let other = command(&it, 3, "theo", "ban_member", json!({ "user": "bob" }));
    let other = CallToolRequest { offered: vec!["warn_member".into()], ..other };
    expect(&it.run(&other).await, CallOutcome::Denied);
}

#[tokio::test]
async fn a_warning_is_told_in_a_channel_only_for_whoever_may_write_there() {
    let it = Harness::start().await;
    let silenced = json!([
        { "id": it.user("theo").to_string(), "type": 1, "allow": "0", "deny": "2048" },
    ]);
    let path = format!("/channels/{}", it.channel("general"));
    it.control_patch(&path, json!({ "permission_overwrites": silenced })).await;
    let here = json!({ "member": it.user("bob").to_string(), "notice": "channel" });
    let refused = it.run(&command(&it, 1, "theo", "warn_member", here)).await;
    expect(&refused, CallOutcome::Denied);
    assert!(refused.reason.contains("SEND_MESSAGES"), "{}", refused.reason);
    let content: Value = serde_json::from_str(&refused.content).unwrap();
    assert_eq!(content["code"], "asker_lacks_permission");
    assert_eq!(content["permission"], "SEND_MESSAGES");
    assert!(it.said("general").is_empty());
    // It can be kept, or told in private, all the same.
    expect(&it.run(&command(&it, 2, "theo", "warn_member", warning(&it))).await, CallOutcome::Done);
}

#[tokio::test]
async fn where_a_server_wants_a_click_the_command_is_one_and_what_is_off_stays_off() {
    let it = Harness::start_with(|settings| {
        settings.policy.insert("warn_member".into(), ery_tool_service::ToolRule::Ask);
        settings.policy.insert("kick_member".into(), ery_tool_service::ToolRule::Off);
    })
    .await;
    let given = command(&it, 1, "theo", "warn_member", warning(&it));
    expect(&it.run(&given).await, CallOutcome::Done);
    let off = command(&it, 2, "mara", "kick_member", json!({ "member": "bob" }));
    expect(&it.run(&off).await, CallOutcome::Denied);
}

#[tokio::test]
async fn what_is_no_persons_own_is_no_command() {
    let it = Harness::start().await;
    let given = || command(&it, 1, "theo", "warn_member", warning(&it));
    let thread = it.call("theo", "general", "warn_member", warning(&it));
    for (what, request) in [
        ("a thread's", CallToolRequest { is_command: true, ..thread.clone() }),
        ("with a fence", CallToolRequest { fence: thread.fence.clone(), ..given() }),
        ("nobody's", CallToolRequest { principal: None, ..given() }),
        ("several people's", CallToolRequest { askers: vec![it.user("bob")], ..given() }),
        ("an answer", CallToolRequest { is_answer: true, ..given() }),
        ("approved", CallToolRequest { approval_id: "x".into(), ..given() }),
        ("planned", CallToolRequest { scheduled_action_id: "x".into(), ..given() }),
    ] {
        let refused = it.try_run(&request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{what}");
    }
}

#[tokio::test]
async fn commands_are_registered_with_a_discord_that_began_anew() {
    let mut it = Harness::start().await;
    let commands = json!([{ "type": 1, "name": "one", "description": "d" }]).to_string();
    let request = RegisterCommandsRequest { guild_id: 0, commands };
    for _ in 0..2 {
        let registered = it.client().register_commands(request.clone()).await.unwrap();
        assert!(registered.into_inner().is_changed);
        it.begin_discord_anew().await;
    }
}

#[tokio::test]
async fn commands_are_written_where_they_differ_and_all_at_once() {
    let it = Harness::start().await;
    let one = json!({
        "type": 1, "name": "one", "description": "d", "contexts": [0, 1],
        "integration_types": [0], "description_localizations": { "de": "D" },
        "options": [{ "type": 3, "name": "what", "description": "w", "autocomplete": true }],
    });
    let two = json!({ "type": 3, "name": "Two", "contexts": [0], "integration_types": [0] });
    let register = async |guild_id: u64, commands: Value| {
        let request = RegisterCommandsRequest { guild_id, commands: commands.to_string() };
        it.client().register_commands(request).await.unwrap().into_inner().is_changed
    };
    for guild in [0, it.guild()] {
        assert!(register(guild, json!([one, two])).await);
        assert!(!register(guild, json!([two, one])).await, "the same in another order");
        let mut other = one.clone();
        other["options"][0]["required"] = json!(true);
        assert!(register(guild, json!([other, two])).await);
        assert!(register(guild, json!([two])).await);
        assert!(!register(guild, json!([two])).await);
        assert!(register(guild, json!([])).await);
    }
    let writes = it.requests("PUT", "/commands").await;
    assert_eq!(writes.len(), 8);
    let invalid = RegisterCommandsRequest { guild_id: 0, commands: "{}".into() };
    let refused = it.client().register_commands(invalid).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn commands_of_which_a_late_field_is_refused_are_written_without() {
    let it = Harness::start().await;
    let commands = json!([{
        "type": 1, "name": "one", "description": "d", "contexts": [0], "integration_types": [0],
        "name_localizations": { "de": "eins" },
        "options": [{
            "type": 3, "name": "what", "description": "w", "required": true, "max_length": 9,
        }],
    }]);
    let register = async || {
        let request = RegisterCommandsRequest { guild_id: 0, commands: commands.to_string() };
        it.client().register_commands(request).await
    };
    let refused = json!({"status": 400, "code": 50_035, "count": 1});
    it.fault("PUT /applications/{application_id}/commands", "error", refused.clone()).await;
    assert!(register().await.unwrap().into_inner().is_changed);
    let writes = it.requests("PUT", "/commands").await;
    let written = &writes.last().unwrap()["body"][0];
    assert_eq!((writes.len(), &written["name"]), (2, &json!("one")));
    assert_eq!(written["dm_permission"], false);
    assert!(written.get("contexts").is_none() && written.get("name_localizations").is_none());
    assert_eq!(written["options"][0]["required"], true);
    assert!(written["options"][0].get("max_length").is_none());

    // What is wrong itself stays refused.
    let refused = json!({"status": 400, "code": 50_035, "count": 2});
    it.fault("PUT /applications/{application_id}/commands", "error", refused).await;
    register().await.unwrap_err();
}

#[tokio::test]
async fn plans_are_told_to_their_planner_and_to_moderators_who_see_the_place() {
    let it = Harness::start().await;
    let plan = |who: &str, place: &str| {
        let arguments = json!({
            "tool": "send_message", "arguments": { "content": "x" }, "in_seconds": 60,
        });
        let mut call = it.call(who, place, "schedule_action", arguments);
        call.offered.push("schedule_action".into());
        call
    };
    expect(&it.run(&plan("bob", "general")).await, CallOutcome::Done);
    expect(&it.run(&plan("mara", "staff")).await, CallOutcome::Done);
    let seen = async |who: &str| {
        let (guild_id, channel_id) = (it.guild(), it.channel("general"));
        let request = ListPlansRequest { guild_id, channel_id, user_id: it.user(who) };
        it.client().list_plans(request).await.unwrap().into_inner().plans.len()
    };
    assert_eq!(seen("alice").await, 0);
    assert_eq!(seen("bob").await, 1);
    assert_eq!(seen("mara").await, 2);
}

#[tokio::test]
async fn an_answer_to_what_discord_does_not_know_is_over_and_is_not_repeated() {
    let it = Harness::start().await;
    let request = AnswerInteractionRequest {
        guild_id: it.guild(),
        channel_id: it.channel("general"),
        interaction_id: 1,
        interaction_token: "t".into(),
        response: json!({ "type": 4, "data": { "content": "@everyone", "flags": 64 } }).to_string(),
    };
    let answer = it.client().answer_interaction(request.clone()).await.unwrap().into_inner();
    assert_eq!(answer.outcome(), InteractionOutcome::Expired);
    let tried = it.requests("POST", "/callback").await;
    assert_eq!(tried.len(), 1);
    assert_eq!(tried[0]["body"]["data"]["allowed_mentions"], json!({ "parse": [] }));
    for wrong in ["", "[]", r#"{"type":1}"#, r#"{"data":{}}"#] {
        let request = AnswerInteractionRequest { response: wrong.into(), ..request.clone() };
        let refused = it.client().answer_interaction(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{wrong}");
    }
}
