//! What Discord refuses by a code of its own is recorded with its status and told in plain words.

use std::time::Duration;

use serde_json::{Value, json};

use ery_proto::{
    store::v1::ExecutionState,
    tool::v1::{CallOutcome, DescribePeopleRequest, ResolveCallRequest},
};

use crate::support::{Harness, content, expect};

/// A call, the route on which it is refused, how, and what is told.
type Refusal = (&'static str, Value, &'static str, u16, u32, &'static str);

fn refusals(message: &str, bob: &str) -> Vec<Refusal> {
    const SEND: &str = "POST /channels/{channel_id}/messages";
    const REACT: &str =
        "PUT /channels/{channel_id}/messages/{message_id}/reactions/{emoji_name}/@me";
    const PIN: &str = "PUT /channels/{channel_id}/messages/pins/{message_id}";
    const AT_MESSAGE: &str = "POST /channels/{channel_id}/messages/{message_id}/threads";
    const DELETE: &str = "DELETE /channels/{channel_id}/messages/{message_id}";
    let dm = json!({"member": bob, "content": "hello"});
    let send = json!({"content": "hello"});
    let react = json!({"message": message, "emoji": "🎉"});
    let role = json!({"action": "create", "name": "Sailors"});
    let channel = json!({"action": "create", "name": "boats"});
    let recipes = json!({"action": "delete", "channel": "recipes"});
    let pin = json!({"action": "pin", "message": message});
    let thread = json!({"name": "talk", "message": message});
    let post = json!({"name": "talk"});
    let delete = json!({"message": message});
    let kick = json!({"member": bob});
    vec![
        ("send_dm", dm.clone(), SEND, 403, 50_007, "take no direct messages"),
        (
            "send_dm",
            json!({"member": "zoe", "content": "hello"}),
            SEND,
            403,
            50_278,
            "share no server",
        ),
        ("send_dm", dm, "POST /users/@me/channels", 400, 40_003, "too fast"),
        ("send_message", send.clone(), SEND, 403, 200_000, "AutoMod"),
        ("send_message", send.clone(), SEND, 403, 40_004, "at the moment"),
        ("send_message", send, SEND, 400, 50_006, "no empty message"),
        ("add_reaction", react.clone(), REACT, 400, 10_014, "does not know that emoji"),
        ("add_reaction", react.clone(), REACT, 403, 30_010, "20 different reactions"),
        ("add_reaction", react, REACT, 403, 90_001, "has blocked me"),
        ("manage_roles", role, "POST /guilds/{guild_id}/roles", 400, 30_005, "250"),
        ("manage_channels", channel, "POST /guilds/{guild_id}/channels", 400, 30_013, "500"),
        ("manage_channels", recipes, "DELETE /channels/{channel_id}", 400, 50_074, "community"),
        ("create_invite", json!({}), "POST /channels/{channel_id}/invites", 400, 30_016, "1,000"),
        ("pin_message", pin, PIN, 400, 30_003, "as many pinned messages"),
        ("create_thread", thread, AT_MESSAGE, 400, 160_006, "as many active threads"),
        ("create_thread", post, "POST /channels/{channel_id}/threads", 400, 50_024, "that kind"),
        ("delete_message", delete, DELETE, 403, 50_021, "message of the system"),
        ("kick_member", kick, "DELETE /guilds/{guild_id}/members/{user_id}", 403, 50_013, "role"),
    ]
}

#[tokio::test]
async fn each_of_discords_refusals_is_recorded_and_told() {
    let it = Harness::start().await;
    let message = it.says("alice", "general", "hello").await;
    let bob = it.user("bob").to_string();
    for (tool, arguments, route, status, code, told) in refusals(&message, &bob) {
        let call = it.ordered("mara", tool, arguments).await;
        it.fault(route, "error", json!({"status": status, "code": code})).await;
        let response = it.run(&call).await;
        it.clear_faults().await;
        assert_eq!(response.outcome(), CallOutcome::Failed, "{tool} {code}: {}", response.content);
        assert!(response.reason.contains(told), "{tool} {code}: {}", response.reason);
        let execution = it.store.execution(&call.key);
        assert_eq!(execution.state(), ExecutionState::Failed, "{tool} {code}");
        assert_eq!(execution.rest_status, u32::from(status), "{tool} {code}");
    }
}

#[tokio::test]
async fn a_right_that_is_missing_is_learnt_by_its_code_whatever_the_status() {
    const KICK: &str = "DELETE /guilds/{guild_id}/members/{user_id}";
    let it = Harness::start().await;
    let kick = json!({"member": it.user("bob").to_string()});
    it.fault(KICK, "error", json!({"status": 400, "code": 50_013})).await;
    for _ in 0..3 {
        let call = it.ordered("mara", "kick_member", kick.clone()).await;
        expect(&it.run(&call).await, CallOutcome::Failed);
    }
    assert_eq!(it.requests("DELETE", "/members/").await.len(), 1);
}

#[tokio::test]
async fn a_route_that_keeps_failing_holds_up_nobody() {
    const SEARCH: &str = "GET /guilds/{guild_id}/members/search";
    let it = Harness::start().await;
    it.fault(SEARCH, "error", json!({"status": 500})).await;
    let call = it.call("bob", "general", "get_member_info", json!({"member": "zed"}));
    let resolve = ResolveCallRequest {
        guild_id: it.guild(),
        channel_id: it.channel("general"),
        tool: "kick_member".into(),
        arguments: json!({"member": "zed"}).to_string(),
        now_ms: ery_clock::Clock::now(&*it.clock).0,
        trigger_id: "m.1".into(),
        asker_id: 0,
    };
    assert_eq!(it.try_run(&call).await.unwrap_err().code(), tonic::Code::Unavailable);
    let unresolved = it.client().resolve_call(resolve.clone()).await.unwrap_err();
    assert_eq!(unresolved.code(), tonic::Code::Unavailable, "an outage is waited for");
    it.clock.advance(Duration::from_mins(2));

    let response = it.run(&call).await;

    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("has not answered properly"), "{}", response.reason);
    assert_eq!(it.store.execution(&call.key).state(), ExecutionState::Failed);
    let resolved = it.client().resolve_call(resolve).await.unwrap().into_inner();
    assert!(resolved.problem.contains("has not answered properly"), "{}", resolved.problem);
}

#[tokio::test]
async fn people_who_cannot_be_looked_up_are_strangers_in_the_end() {
    const MEMBER: &str = "GET /guilds/{guild_id}/members/{user_id}";
    let it = Harness::start().await;
    // Ery herself is known.
    expect(
        &it.run(&it.call("bob", "general", "send_message", json!({"content": "x"}))).await,
        CallOutcome::Done,
    );
    it.fault(MEMBER, "error", json!({"status": 500})).await;
    let request = DescribePeopleRequest {
        guild_id: it.guild(),
        channel_id: it.channel("general"),
        user_ids: vec![it.user("theo")],
    };
    let unknown = it.client().describe_people(request.clone()).await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::Unavailable);
    it.clock.advance(Duration::from_mins(2));
    let people = it.client().describe_people(request).await.unwrap().into_inner().people;
    assert_eq!(people[0].rights, "stranger");
}

#[tokio::test]
async fn a_guild_is_known_by_what_can_be_read_of_it() {
    let it = Harness::start().await;
    // Discord's document has both; not everybody who speaks its API does.
    it.fault("GET /guilds/{guild_id}/threads/active", "error", json!({"status": 404})).await;
    let info = it.run(&it.call("bob", "general", "get_server_info", json!({}))).await;
    expect(&info, CallOutcome::Done);
    let channel = json!({"channel": "general", "archived_threads": true});
    let response = it.run(&it.call("bob", "general", "get_channel_info", channel)).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(content(&response)["threads"], Value::Null);
}

#[tokio::test]
async fn a_channel_is_told_of_though_its_threads_cannot_be_listed() {
    let it = Harness::start().await;
    let ask = json!({"channel": "general", "archived_threads": true});
    let known = it.run(&it.call("bob", "general", "get_channel_info", ask.clone())).await;
    expect(&known, CallOutcome::Done);
    for (route, missing, told) in [
        ("GET /guilds/{guild_id}/threads/active", "threads", "Its active threads cannot"),
        (
            "GET /channels/{channel_id}/threads/archived/public",
            "archived_threads",
            "Its archived threads cannot",
        ),
    ] {
        it.fault(route, "error", json!({"status": 500})).await;
        let response = it.run(&it.call("bob", "general", "get_channel_info", ask.clone())).await;
        expect(&response, CallOutcome::Done);
        let told_of = content(&response);
        assert_eq!((&told_of["name"], &told_of[missing]), (&json!("general"), &Value::Null));
        assert!(told_of["summary"].as_str().unwrap().contains(told), "{told_of}");
        it.clear_faults().await;
    }
}

#[tokio::test]
async fn a_guild_that_is_refused_is_not_asked_for_at_every_call() {
    let it = Harness::start().await;
    it.fault("GET /guilds/{guild_id}", "error", json!({"status": 404, "code": 10_004})).await;
    for _ in 0..5 {
        let call = it.call("bob", "general", "get_server_info", json!({}));
        it.try_run(&call).await.unwrap_err();
    }
    let asked = it.requests("GET", &format!("/guilds/{}", it.guild())).await;
    let asked = asked.iter().filter(|entry| !entry["path"].as_str().unwrap().contains("channels"));
    assert!(asked.count() <= 2, "the guild, and its threads");
}
