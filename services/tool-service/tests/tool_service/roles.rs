//! Roles: given, taken, created, changed, deleted.

use std::time::Duration;

use serde_json::{Value, json};

use ery_proto::tool::v1::CallOutcome;

use crate::support::{Harness, content, expect};

const CREATE: &str = "POST /guilds/{guild_id}/roles";

pub(crate) async fn role_named(it: &Harness, name: &str) -> Option<Value> {
    let roles = it.rest(&format!("guilds/{}/roles", it.guild())).await;
    roles.as_array().unwrap().iter().find(|role| role["name"] == name).cloned()
}

pub(crate) async fn role_id(it: &Harness, name: &str) -> String {
    role_named(it, name).await.unwrap()["id"].as_str().unwrap().to_owned()
}

async fn holds(it: &Harness, who: &str, role: &str) -> bool {
    let member = it.rest(&format!("guilds/{}/members/{}", it.guild(), it.user(who))).await;
    member["roles"].as_array().unwrap().contains(&json!(role_id(it, role).await))
}

async fn roles_named(it: &Harness, name: &str) -> usize {
    let roles = it.rest(&format!("guilds/{}/roles", it.guild())).await;
    roles.as_array().unwrap().iter().filter(|role| role["name"] == name).count()
}

#[tokio::test]
async fn a_role_is_given_and_taken_one_by_one() {
    let it = Harness::start().await;
    let bob = it.user("bob");
    for (action, role, has) in [
        ("give", "Muted".to_owned(), true),
        ("give", format!("<@&{}>", role_id(&it, "Muted").await), true),
        ("take", role_id(&it, "Muted").await, false),
        ("take", "@muted".to_owned(), false),
    ] {
        let arguments = json!({"action": action, "member": bob.to_string(), "role": role});
        let call = it.ordered("theo", "manage_roles", arguments).await;
        let response = it.run(&call).await;
        expect(&response, CallOutcome::Done);
        assert_eq!(holds(&it, "bob", "Muted").await, has, "{action}");
        assert!(holds(&it, "bob", "Member").await, "his other roles stay");
        let summary = content(&response)["summary"].as_str().unwrap().to_owned();
        assert!(summary.contains("“Muted”"), "{summary}");
        assert_eq!(it.store.execution(&call.key).tier, "destructive");
    }
    assert!(it.requests("PATCH", "/members/").await.is_empty());
}

#[tokio::test]
async fn roles_follow_rank_rights_and_ownership() {
    let it = Harness::start().await;
    it.control(
        "/roles",
        json!({"guild_id": it.guild().to_string(), "name": "Keyholder", "position": 1,
               "permissions": "32"}),
    )
    .await;
    for (asker, action, member, role, told) in [
        ("bob", "give", "alice", "Muted", "MANAGE_ROLES"),
        ("theo", "give", "bob", "Moderator", "Your highest role is not above that role"),
        ("theo", "give", "bob", "Admin", "Your highest role"),
        ("mara", "give", "bob", "Moderator", "My highest role is not above that role"),
        ("mara", "give", "bob", "Ery", "belongs to an integration"),
        ("mara", "take", "bob", "everyone", "everyone"),
        ("theo", "give", "theo", "Muted", "themselves"),
        ("theo", "take", "mara", "Member", "owner"),
        ("theo", "give", "Ery", "Muted", "myself"),
        ("mara", "give", "theo", "Muted", "My highest role is not above that member's"),
        ("theo", "give", "bob", "Keyholder", "“Manage server” (MANAGE_GUILD)"),
    ] {
        let member = it.user(member).to_string();
        let arguments = json!({"action": action, "member": member, "role": role});
        let response = it.run(&it.ordered(asker, "manage_roles", arguments).await).await;
        expect(&response, CallOutcome::Denied);
        assert!(response.reason.contains(told), "{asker} {action} {role}: {}", response.reason);
    }
    // The owner has every right; Ery needs but her rank to give what exists.
    let arguments = json!({"action": "give", "member": "bob", "role": "Keyholder"});
    let given = it.ordered("mara", "manage_roles", arguments).await;
    expect(&it.run(&given).await, CallOutcome::Done);
    let plain = it.call(
        "theo",
        "general",
        "manage_roles",
        json!({"action": "give", "member": "bob", "role": "Muted"}),
    );
    expect(&it.run(&plain).await, CallOutcome::NeedsApproval);
    assert_eq!(it.requests("PUT", "/roles/").await.len(), 1);
}

#[tokio::test]
async fn a_role_is_created_changed_and_deleted() {
    let it = Harness::start().await;
    let arguments = json!({"action": "create", "name": "Helper", "color": "#00ff00", "hoist": true,
                           "permissions": ["ADD_REACTIONS", "Embed links"]});
    let response = it.run(&it.ordered("theo", "manage_roles", arguments).await).await;
    expect(&response, CallOutcome::Done);
    let role = role_named(&it, "Helper").await.unwrap();
    assert_eq!(content(&response)["role"], role["id"]);
    assert_eq!((&role["color"], &role["hoist"]), (&json!(0x0000_ff00), &json!(true)));
    assert_eq!(role["permissions"], ((1 << 6) | (1 << 14)).to_string());

    // Known at once, though no event told.
    let arguments = json!({"action": "give", "member": "bob", "role": "helper"});
    expect(&it.run(&it.ordered("theo", "manage_roles", arguments).await).await, CallOutcome::Done);
    assert!(holds(&it, "bob", "Helper").await);

    let arguments =
        json!({"action": "change", "role": "Helper", "name": "Guide", "mentionable": true});
    expect(&it.run(&it.ordered("theo", "manage_roles", arguments).await).await, CallOutcome::Done);
    let role = role_named(&it, "Guide").await.unwrap();
    assert_eq!((&role["mentionable"], &role["color"]), (&json!(true), &json!(0x0000_ff00)));

    let arguments = json!({"action": "delete", "role": "Guide"});
    expect(&it.run(&it.ordered("theo", "manage_roles", arguments).await).await, CallOutcome::Done);
    assert!(role_named(&it, "Guide").await.is_none());
}

#[tokio::test]
async fn nobody_makes_a_role_stronger_than_themselves() {
    let it = Harness::start().await;
    let create =
        |permissions: &[&str]| json!({"action": "create", "name": "x", "permissions": permissions});
    for (asker, arguments, told) in [
        ("theo", create(&["ADMINISTRATOR"]), "You do not have the permission “Administrator”"),
        ("theo", create(&["MANAGE_GUILD"]), "MANAGE_GUILD"),
        ("theo", create(&["BAN_MEMBERS"]), "Only an administrator may do that"),
        ("mara", create(&["MANAGE_GUILD"]), "I do not have the permission “Manage server”"),
        ("bob", create(&[]), "MANAGE_ROLES"),
        (
            "theo",
            json!({"action": "change", "role": "Member", "permissions": ["BAN_MEMBERS"]}),
            "administrator",
        ),
        ("theo", json!({"action": "change", "role": "Admin", "name": "x"}), "Your highest role"),
        ("theo", json!({"action": "delete", "role": "Moderator"}), "Your highest role"),
        ("mara", json!({"action": "delete", "role": "Moderator"}), "My highest role"),
        ("mara", json!({"action": "delete", "role": "everyone"}), "everyone"),
        ("mara", json!({"action": "delete", "role": "Ery"}), "integration"),
    ] {
        let response = it.run(&it.ordered(asker, "manage_roles", arguments.clone()).await).await;
        expect(&response, CallOutcome::Denied);
        assert!(response.reason.contains(told), "{asker} {arguments}: {}", response.reason);
    }
    for method in ["POST", "PATCH", "DELETE"] {
        assert!(it.requests(method, "/roles").await.is_empty());
    }
    let banning = it.ordered("mara", "manage_roles", create(&["BAN_MEMBERS"])).await;
    expect(&it.run(&banning).await, CallOutcome::Done);
}

#[tokio::test]
async fn what_does_not_belong_together_is_refused_with_a_sentence() {
    let it = Harness::start().await;
    for (arguments, told) in [
        (json!({"action": "give", "role": "Muted"}), "Name one member"),
        (json!({"action": "give", "member": "bob"}), "Name the role"),
        (json!({"action": "give", "member": "bob", "role": "Nope"}), "no role"),
        (
            json!({"action": "give", "member": "bob", "role": "Muted", "name": "x"}),
            "create and change",
        ),
        (json!({"action": "create"}), "Name the new role"),
        (json!({"action": "create", "name": "x", "role": "Muted"}), "give its name"),
        (
            json!({"action": "create", "name": "x", "permissions": ["FLY"]}),
            "no permission with the name",
        ),
        (json!({"action": "create", "name": "x", "color": "red"}), "color"),
        (json!({"action": "change", "role": "Muted"}), "what is to change"),
        (json!({"action": "delete", "role": "Muted", "member": "bob"}), "give and take"),
        (json!({"action": "delete", "role": "999999999999999999"}), "not in this server"),
        (json!({"action": "paint"}), "action"),
    ] {
        let response = it.run(&it.call("theo", "general", "manage_roles", arguments.clone())).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains(told), "{arguments}: {}", response.reason);
    }
}

#[tokio::test]
async fn a_lost_creation_is_looked_for_and_made_once() {
    let it = Harness::start().await;
    for (number, (kind, more, outcome)) in [
        ("lose_response", json!({"count": 1}), CallOutcome::Done),
        ("error", json!({"count": 1, "status": 502, "when": "after"}), CallOutcome::Done),
        ("error", json!({"count": 2, "status": 500, "when": "before"}), CallOutcome::Done),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("made-{number}");
        it.fault(CREATE, kind, more).await;
        let arguments = json!({"action": "create", "name": name});
        let response = it.run(&it.ordered("theo", "manage_roles", arguments).await).await;
        expect(&response, outcome);
        assert_eq!(roles_named(&it, &name).await, 1, "{kind}");
        assert_eq!(content(&response)["role"], role_id(&it, &name).await);
    }
}

#[tokio::test]
async fn a_creation_that_failed_is_not_repeated_where_one_of_its_name_is_new() {
    let it = Harness::start().await;
    let arguments = json!({"action": "create", "name": "Twin"});
    let first = it.ordered("theo", "manage_roles", arguments.clone()).await;
    expect(&it.run(&first).await, CallOutcome::Done);
    // The log tells of nothing, as on a server that keeps none: it may be this one or another.
    it.fault(CREATE, "error", json!({"count": 1, "status": 500, "when": "before"})).await;
    let second = it.ordered("theo", "manage_roles", arguments).await;
    expect(&it.run(&second).await, CallOutcome::InDoubt);
    assert_eq!(roles_named(&it, "Twin").await, 1);
}

#[tokio::test]
async fn a_creation_found_open_is_looked_for_and_never_repeated() {
    let it = Harness::start().await;
    let arguments = json!({"action": "create", "name": "Helper"});
    for (is_made, outcome) in [(true, CallOutcome::Done), (false, CallOutcome::Failed)] {
        let call = it.ordered("theo", "manage_roles", arguments.clone()).await;
        it.store.with(|state| state.lose_ends = u32::MAX);
        if !is_made {
            it.fault(CREATE, "error", json!({"status": 503, "count": 100})).await;
        }
        assert_eq!(it.try_run(&call).await.unwrap_err().code(), tonic::Code::Unavailable);
        it.store.with(|state| state.lose_ends = 0);
        let before = it.requests("POST", "/roles").await.len();
        it.clock.advance(Duration::from_mins(1));
        expect(&it.run(&call).await, outcome);
        assert_eq!(it.requests("POST", "/roles").await.len(), before);
        assert_eq!(roles_named(&it, "Helper").await, 1);
    }
}

#[tokio::test]
async fn a_creation_found_open_is_in_doubt_where_one_of_its_name_is_new() {
    let it = Harness::start().await;
    let arguments = json!({"action": "create", "name": "Twin"});
    let first = it.ordered("theo", "manage_roles", arguments.clone()).await;
    expect(&it.run(&first).await, CallOutcome::Done);
    // The log tells of nothing, as on a server that keeps none: it may be this one or another.
    let second = it.ordered("theo", "manage_roles", arguments).await;
    it.store.with(|state| state.lose_ends = u32::MAX);
    it.fault(CREATE, "error", json!({"status": 503, "count": 100})).await;
    assert_eq!(it.try_run(&second).await.unwrap_err().code(), tonic::Code::Unavailable);
    it.store.with(|state| state.lose_ends = 0);
    it.clock.advance(Duration::from_mins(1));
    expect(&it.run(&second).await, CallOutcome::InDoubt);
    assert_eq!(roles_named(&it, "Twin").await, 1);
}

#[tokio::test]
async fn lost_answers_about_a_member_or_a_deletion_are_asked_for_again() {
    let it = Harness::start().await;
    let give = "PUT /guilds/{guild_id}/members/{user_id}/roles/{role_id}";
    it.fault(give, "lose_response", json!({"count": 1})).await;
    let arguments = json!({"action": "give", "member": "bob", "role": "Muted"});
    expect(&it.run(&it.ordered("theo", "manage_roles", arguments).await).await, CallOutcome::Done);
    assert!(holds(&it, "bob", "Muted").await);

    let delete = "DELETE /guilds/{guild_id}/roles/{role_id}";
    it.fault(delete, "lose_response", json!({"count": 1})).await;
    let arguments = json!({"action": "delete", "role": "Muted"});
    expect(&it.run(&it.ordered("theo", "manage_roles", arguments).await).await, CallOutcome::Done);
    assert!(role_named(&it, "Muted").await.is_none());
}

#[tokio::test]
async fn a_deletion_found_open_is_looked_for_where_it_cannot_be_judged_anew() {
    let it = Harness::start().await;
    let (guild, theo) = (it.guild(), it.user("theo"));
    it.rest_post(&format!("guilds/{guild}/roles"), json!({"name": "Helper"})).await;
    for (role, is_made, outcome) in
        [("Helper", true, CallOutcome::Done), ("Muted", false, CallOutcome::Failed)]
    {
        let arguments = json!({"action": "delete", "role": role});
        let call = it.ordered("theo", "manage_roles", arguments).await;
        it.store.with(|state| state.lose_ends = u32::MAX);
        if !is_made {
            let delete = "DELETE /guilds/{guild_id}/roles/{role_id}";
            it.fault(delete, "error", json!({"status": 503, "count": 100})).await;
        }
        assert_eq!(it.try_run(&call).await.unwrap_err().code(), tonic::Code::Unavailable);
        it.store.with(|state| state.lose_ends = 0);
        let before = it.requests("DELETE", "/roles/").await.len();
        if !is_made {
            it.control_patch(&format!("/members/{guild}/{theo}"), json!({"roles": []})).await;
        }
        it.clock.advance(Duration::from_mins(1));
        expect(&it.run(&call).await, outcome);
        assert_eq!(it.requests("DELETE", "/roles/").await.len(), before);
        assert_eq!(role_named(&it, role).await.is_none(), is_made);
    }
}

/// The roles of the server from the highest to the lowest, as Discord has them.
async fn in_order(it: &Harness) -> Vec<String> {
    let roles = it.rest(&format!("guilds/{}/roles", it.guild())).await;
    let mut roles: Vec<(i64, String)> = roles
        .as_array()
        .unwrap()
        .iter()
        .map(|role| (role["position"].as_i64().unwrap(), role["name"].as_str().unwrap().to_owned()))
        .collect();
    roles.sort();
    roles.into_iter().rev().map(|(_, name)| name).collect()
}

#[tokio::test]
async fn a_role_is_moved_to_where_it_is_wanted_and_no_further_by_a_repeat() {
    let it = Harness::start().await;
    let new = json!({"action": "create", "name": "Guide"});
    expect(&it.run(&it.ordered("mara", "manage_roles", new).await).await, CallOutcome::Done);
    for (beside, other, order) in [
        ("above", "Member", ["Admin", "Moderator", "Ery", "Guide", "Member", "Muted"]),
        ("below", "Muted", ["Admin", "Moderator", "Ery", "Member", "Muted", "Guide"]),
        ("above", "everyone", ["Admin", "Moderator", "Ery", "Member", "Muted", "Guide"]),
        ("below", "Ery", ["Admin", "Moderator", "Ery", "Guide", "Member", "Muted"]),
    ] {
        let arguments = json!({"action": "move", "role": "Guide", beside: other});
        let call = it.ordered("theo", "manage_roles", arguments).await;
        expect(&it.run(&call).await, CallOutcome::Done);
        let mut now = in_order(&it).await;
        assert_eq!(now.pop().as_deref(), Some("@everyone"));
        assert_eq!(now, order, "{beside} {other}");
        assert_eq!(it.store.execution(&call.key).tier, "destructive");
    }
    // Its answer is lost, and its end, too; meanwhile another role was moved, and stays where it is.
    let route = "PATCH /guilds/{guild_id}/roles";
    it.fault(route, "lose_response", json!({"count": 1})).await;
    it.store.with(|state| state.lose_ends = u32::MAX);
    let arguments = json!({"action": "move", "role": "Guide", "above": "Muted"});
    let call = it.ordered("theo", "manage_roles", arguments).await;
    assert_eq!(it.try_run(&call).await.unwrap_err().code(), tonic::Code::Unavailable);
    it.store.with(|state| state.lose_ends = 0);
    assert_eq!(in_order(&it).await[3..], ["Member", "Guide", "Muted", "@everyone"]);
    let other = json!({"action": "move", "role": "Member", "below": "Muted"});
    expect(&it.run(&it.ordered("theo", "manage_roles", other).await).await, CallOutcome::Done);
    it.clock.advance(Duration::from_mins(1));
    expect(&it.run(&call).await, CallOutcome::Done);
    assert_eq!(in_order(&it).await[3..], ["Guide", "Muted", "Member", "@everyone"]);
}

#[tokio::test]
async fn a_role_is_moved_only_below_the_asker_and_ery() {
    let it = Harness::start().await;
    for (asker, role, beside, other, told) in [
        ("bob", "Muted", "above", "Member", "MANAGE_ROLES"),
        ("theo", "Moderator", "below", "Member", "Your highest role"),
        ("theo", "Muted", "above", "Moderator", "Your highest role"),
        ("theo", "Muted", "below", "Admin", "Your highest role"),
        ("mara", "Moderator", "below", "Member", "My highest role"),
        ("mara", "Muted", "above", "Ery", "My highest role"),
        ("theo", "everyone", "above", "Muted", "everyone"),
        ("theo", "Muted", "below", "everyone", "everyone"),
    ] {
        let arguments = json!({"action": "move", "role": role, beside: other});
        let response = it.run(&it.ordered(asker, "manage_roles", arguments).await).await;
        expect(&response, CallOutcome::Denied);
        assert!(response.reason.contains(told), "{asker} {role}: {}", response.reason);
    }
    for (arguments, told) in [
        (json!({"action": "move", "role": "Muted"}), "above or below"),
        (json!({"action": "move", "role": "Muted", "above": "Muted"}), "which other role"),
        (json!({"action": "move", "role": "Muted", "above": "Member", "below": "Ery"}), "one of"),
        (json!({"action": "delete", "role": "Muted", "above": "Member"}), "belong to move"),
    ] {
        let response = it.run(&it.call("theo", "general", "manage_roles", arguments)).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains(told), "{}", response.reason);
    }
    let arguments = json!({"action": "move", "role": "Muted", "above": "Member"});
    let plain = it.call("theo", "general", "manage_roles", arguments);
    expect(&it.run(&plain).await, CallOutcome::NeedsApproval);
    assert!(it.requests("PATCH", "/roles").await.is_empty());
}

#[tokio::test]
async fn a_role_is_moved_by_where_the_others_stand_now() {
    let it = Harness::start().await;
    let arguments = json!({"action": "move", "role": "Muted", "above": "Member"});
    expect(&it.run(&it.ordered("theo", "manage_roles", arguments).await).await, CallOutcome::Done);
    // Somebody makes a role, for which all others give way; no event tells of them.
    it.rest_post(&format!("guilds/{}/roles", it.guild()), json!({"name": "Yak"})).await;
    let arguments = json!({"action": "move", "role": "Muted", "below": "Member"});
    expect(&it.run(&it.ordered("theo", "manage_roles", arguments).await).await, CallOutcome::Done);
    let order = in_order(&it).await;
    let place = |name: &str| order.iter().position(|it| it == name).unwrap();
    assert_eq!(place("Muted"), place("Member") + 1, "{order:?}");
    assert_eq!(place("Ery"), 2, "{order:?}");
}
