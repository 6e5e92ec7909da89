//! Permissions: of channels, and of roles on the whole server.

use serde_json::{Value, json};

use ery_proto::tool::v1::CallOutcome;

use crate::{
    roles::{role_id, role_named},
    support::{Harness, content, expect},
};

const SEND: u64 = 1 << 11;
const VIEW: u64 = 1 << 10;

async fn overwrite(it: &Harness, channel: &str, of: &str) -> Option<(u64, u64)> {
    let channel = it.rest(&format!("channels/{}", it.channel(channel))).await;
    let found = channel["permission_overwrites"].as_array().unwrap().iter().find(|o| o["id"] == of);
    let bits = |value: &Value| value.as_str().unwrap().parse().unwrap();
    found.map(|found| (bits(&found["allow"]), bits(&found["deny"])))
}

async fn run(it: &Harness, who: &str, arguments: Value) -> ery_proto::tool::v1::CallToolResponse {
    it.run(&it.ordered(who, "manage_permissions", arguments).await).await
}

#[tokio::test]
async fn a_channel_is_locked_and_unlocked_and_other_bits_stay() {
    let it = Harness::start().await;
    let everyone = it.guild().to_string();
    let muted = role_id(&it, "Muted").await;
    let before = overwrite(&it, "recipes", &muted).await.unwrap();
    assert_eq!(overwrite(&it, "recipes", &everyone).await, None);

    let lock = json!({"channel": "#recipes", "role": "@everyone", "deny": ["SEND_MESSAGES"]});
    let response = run(&it, "theo", lock).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(overwrite(&it, "recipes", &everyone).await, Some((0, SEND)));
    // Ery can still answer there, and unlock it.
    let ery = it.user("Ery").to_string();
    assert_eq!(overwrite(&it, "recipes", &ery).await, Some((SEND, 0)));
    let summary = content(&response)["summary"].as_str().unwrap().to_owned();
    assert!(summary.starts_with("For everyone in <#"), "{summary}");

    let react = json!({"channel": "recipes", "role": "everyone", "allow": ["add reactions"]});
    expect(&run(&it, "theo", react).await, CallOutcome::Done);
    assert_eq!(overwrite(&it, "recipes", &everyone).await, Some((1 << 6, SEND)));
    let unlock = json!({"channel": "recipes", "role": "everyone", "clear": ["Send messages"]});
    expect(&run(&it, "theo", unlock).await, CallOutcome::Done);
    assert_eq!(overwrite(&it, "recipes", &everyone).await, Some((1 << 6, 0)));
    let reset = json!({"channel": "recipes", "role": "everyone", "reset": true});
    expect(&run(&it, "theo", reset).await, CallOutcome::Done);
    assert_eq!(overwrite(&it, "recipes", &everyone).await, None);
    assert_eq!(overwrite(&it, "recipes", &muted).await, Some(before), "nothing else changed");
}

#[tokio::test]
async fn the_id_stands_in_the_body_too_for_others_who_speak_discords_api() {
    let it = Harness::start().await;
    let bob = it.user("bob").to_string();
    for on in ["everyone", "bob"] {
        let on = if on == "bob" { json!({"member": "bob"}) } else { json!({"role": "everyone"}) };
        let mut arguments = json!({"channel": "events", "deny": ["SEND_MESSAGES"]});
        arguments.as_object_mut().unwrap().extend(on.as_object().unwrap().clone());
        expect(&run(&it, "mara", arguments).await, CallOutcome::Done);
    }
    let writes = it.requests("PUT", "/permissions/").await;
    let ids: Vec<_> = writes.iter().map(|write| &write["body"]["id"]).collect();
    for of in [it.user("Ery").to_string(), it.guild().to_string(), bob] {
        assert!(ids.contains(&&json!(of)), "{of}: {ids:?}");
    }
    for write in &writes {
        let path = write["path"].as_str().unwrap();
        assert!(path.ends_with(write["body"]["id"].as_str().unwrap()), "{write}");
    }
}

#[tokio::test]
async fn here_is_where_it_was_said() {
    let it = Harness::start().await;
    let lock = json!({"channel": "here", "role": "@everyone", "deny": ["SEND_MESSAGES"]});
    expect(&run(&it, "theo", lock).await, CallOutcome::Done);
    assert_eq!(overwrite(&it, "general", &it.guild().to_string()).await, Some((0, SEND)));
    let speak = it.call("bob", "general", "send_message", json!({"content": "x"}));
    expect(&it.run(&speak).await, CallOutcome::Denied);
    let mut answer = it.call("bob", "general", "send_message", json!({"content": "locked"}));
    answer.is_answer = true;
    expect(&it.run(&answer).await, CallOutcome::Done);
}

#[tokio::test]
async fn what_others_set_meanwhile_is_kept() {
    let it = Harness::start().await;
    let everyone = it.guild().to_string();
    // Somebody denies reactions, and no event tells.
    let channel = it.channel("recipes");
    let react = 1_u64 << 6;
    it.control_patch(
        &format!("/channels/{channel}"),
        json!({"permission_overwrites": [
            {"id": everyone, "type": 0, "allow": "0", "deny": react.to_string()}]}),
    )
    .await;
    let lock = json!({"channel": "recipes", "role": "everyone", "deny": ["SEND_MESSAGES"]});
    expect(&run(&it, "theo", lock).await, CallOutcome::Done);
    assert_eq!(overwrite(&it, "recipes", &everyone).await, Some((0, SEND | react)));
}

#[tokio::test]
async fn a_member_is_let_in_and_shut_out() {
    let it = Harness::start().await;
    let bob = it.user("bob").to_string();
    let arguments = json!({"channel": "staff", "member": "bob", "allow": ["VIEW_CHANNEL"]});
    expect(&run(&it, "theo", arguments).await, CallOutcome::Done);
    assert_eq!(overwrite(&it, "staff", &bob).await, Some((1 << 10, 0)));
    let arguments = json!({"channel": "staff", "member": bob, "reset": true});
    expect(&run(&it, "theo", arguments).await, CallOutcome::Done);
    assert_eq!(overwrite(&it, "staff", &bob).await, None);
}

#[tokio::test]
async fn a_roles_permissions_are_switched_on_the_whole_server() {
    let it = Harness::start().await;
    let bits = async |name: &str| -> u64 {
        role_named(&it, name).await.unwrap()["permissions"].as_str().unwrap().parse().unwrap()
    };
    let before = bits("Member").await;
    let arguments = json!({"role": "Member", "deny": ["ATTACH_FILES"]});
    expect(&run(&it, "theo", arguments).await, CallOutcome::Done);
    assert_eq!(bits("Member").await, before & !(1 << 15));
    let arguments = json!({"role": "Member", "allow": ["attach files"]});
    expect(&run(&it, "theo", arguments).await, CallOutcome::Done);
    assert_eq!(bits("Member").await, before);
    let everyone = bits("@everyone").await;
    let arguments = json!({"role": "@everyone", "deny": ["CREATE_INSTANT_INVITE"]});
    expect(&run(&it, "theo", arguments).await, CallOutcome::Done);
    assert_eq!(bits("@everyone").await, everyone & !1);
}

#[tokio::test]
async fn she_is_not_made_to_shut_herself_out() {
    let it = Harness::start().await;
    let (everyone, ery) = (it.guild().to_string(), role_id(&it, "Ery").await);
    it.overwrite("recipes", &ery, json!({"type": 0, "allow": VIEW.to_string(), "deny": "0"})).await;
    it.overwrite("recipes", &everyone, json!({"type": 0, "allow": "0", "deny": VIEW.to_string()}))
        .await;
    let written = it.requests("PUT", "/permissions/").await.len();
    for arguments in [
        json!({"channel": "recipes", "role": "Ery", "clear": ["VIEW_CHANNEL"]}),
        json!({"channel": "recipes", "role": "Ery", "reset": true}),
    ] {
        let response = run(&it, "mara", arguments.clone()).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains("shut me out of <#"), "{arguments}: {}", response.reason);
    }
    assert_eq!(it.requests("PUT", "/permissions/").await.len(), written);
    assert!(it.requests("DELETE", "/permissions/").await.is_empty());
    // To whom she gives what she has herself, she may take it from again.
    let others = json!({"channel": "recipes", "role": "Member", "allow": ["VIEW_CHANNEL"]});
    expect(&run(&it, "mara", others).await, CallOutcome::Done);
}

#[tokio::test]
async fn on_the_whole_server_neither() {
    let it = Harness::start().await;
    let ery = role_named(&it, "Ery").await.unwrap();
    let bits: u64 = ery["permissions"].as_str().unwrap().parse().unwrap();
    let path = format!("/roles/{}/{}", it.guild(), ery["id"].as_str().unwrap());
    it.control_patch(&path, json!({"permissions": (bits & !VIEW).to_string()})).await;
    let hide = json!({"role": "@everyone", "deny": ["VIEW_CHANNEL"]});
    let response = run(&it, "mara", hide.clone()).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("see no channel"), "{}", response.reason);
    // Nor by the other tool that changes roles.
    let none = json!({"action": "change", "role": "@everyone", "permissions": []});
    let call = it.ordered("mara", "manage_roles", none).await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("see no channel"), "{}", response.reason);
    assert!(it.requests("PATCH", "/roles/").await.is_empty());
}

#[tokio::test]
async fn nobody_allows_what_they_may_not_themselves() {
    let it = Harness::start().await;
    let channel = "recipes";
    for (asker, arguments, told) in [
        (
            "bob",
            json!({"channel": channel, "role": "everyone", "deny": ["SEND_MESSAGES"]}),
            "MANAGE_ROLES",
        ),
        (
            "theo",
            json!({"channel": channel, "member": "bob", "allow": ["MANAGE_WEBHOOKS"]}),
            "You do not have",
        ),
        (
            "mara",
            json!({"channel": channel, "member": "bob", "allow": ["MANAGE_WEBHOOKS"]}),
            "I do not have",
        ),
        (
            "theo",
            json!({"channel": channel, "member": "bob", "allow": ["MANAGE_ROLES"]}),
            "Only an administrator",
        ),
        (
            "mara",
            json!({"channel": channel, "member": "bob", "allow": ["MANAGE_ROLES"]}),
            "only do that as an administrator",
        ),
        (
            "theo",
            json!({"channel": channel, "role": "Admin", "deny": ["SEND_MESSAGES"]}),
            "Your highest role",
        ),
        ("theo", json!({"channel": channel, "member": "mara", "deny": ["SEND_MESSAGES"]}), "owner"),
        (
            "theo",
            json!({"channel": channel, "member": "theo", "allow": ["SEND_MESSAGES"]}),
            "themselves",
        ),
        ("theo", json!({"role": "Member", "allow": ["BAN_MEMBERS"]}), "Only an administrator"),
        ("theo", json!({"role": "Member", "allow": ["ADMINISTRATOR"]}), "You do not have"),
        (
            "theo",
            json!({"role": "everyone", "allow": ["MENTION_EVERYONE"]}),
            "Only an administrator",
        ),
        ("mara", json!({"role": "Member", "allow": ["ADMINISTRATOR"]}), "I do not have"),
        ("theo", json!({"role": "Moderator", "deny": ["SEND_MESSAGES"]}), "Your highest role"),
    ] {
        let response = run(&it, asker, arguments.clone()).await;
        expect(&response, CallOutcome::Denied);
        assert!(response.reason.contains(told), "{asker} {arguments}: {}", response.reason);
    }
    // Who does not see a channel is told nothing of it.
    let hidden = json!({"channel": "staff", "member": "alice", "allow": ["VIEW_CHANNEL"]});
    let response = run(&it, "bob", hidden).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("that you can see"), "{}", response.reason);
    for method in ["PUT", "PATCH", "DELETE"] {
        assert!(it.requests(method, "").await.is_empty());
    }
}

#[tokio::test]
async fn what_does_not_belong_together_is_refused_with_a_sentence() {
    let it = Harness::start().await;
    let send = json!(["SEND_MESSAGES"]);
    for (arguments, told) in [
        (json!({"channel": "recipes", "deny": send}), "Name either one role or one member"),
        (
            json!({"channel": "recipes", "role": "everyone", "member": "bob", "deny": send}),
            "either one role",
        ),
        (json!({"channel": "recipes", "role": "everyone"}), "Say which permissions"),
        (
            json!({"channel": "recipes", "role": "everyone", "deny": send, "reset": true}),
            "Say which permissions",
        ),
        (json!({"channel": "recipes", "role": "everyone", "deny": send, "allow": send}), "at once"),
        (
            json!({"channel": "recipes", "role": "everyone", "deny": ["FLY"]}),
            "no permission with the name “FLY”",
        ),
        (json!({"channel": "nowhere", "role": "everyone", "deny": send}), "no channel"),
        (
            json!({"channel": "999999999999999999", "role": "everyone", "deny": send}),
            "not in this server",
        ),
        (json!({"role": "everyone", "clear": send}), "allow or deny it"),
        (json!({"role": "everyone", "reset": true}), "allow or deny it"),
        (json!({"member": "bob", "deny": send}), "by roles alone"),
    ] {
        let response =
            it.run(&it.call("theo", "general", "manage_permissions", arguments.clone())).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains(told), "{arguments}: {}", response.reason);
    }
}

#[tokio::test]
async fn lost_answers_are_asked_for_again() {
    let it = Harness::start().await;
    let everyone = it.guild().to_string();
    let route = "/channels/{channel_id}/permissions/{overwrite_id}";
    it.fault(&format!("PUT {route}"), "lose_response", json!({"count": 1})).await;
    let lock = json!({"channel": "recipes", "role": "everyone", "deny": ["SEND_MESSAGES"]});
    expect(&run(&it, "theo", lock).await, CallOutcome::Done);
    assert_eq!(overwrite(&it, "recipes", &everyone).await, Some((0, SEND)));
    it.fault(&format!("DELETE {route}"), "lose_response", json!({"count": 1})).await;
    let reset = json!({"channel": "recipes", "role": "everyone", "reset": true});
    expect(&run(&it, "theo", reset).await, CallOutcome::Done);
    assert_eq!(overwrite(&it, "recipes", &everyone).await, None);
}
