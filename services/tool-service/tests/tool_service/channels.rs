//! Channels that are created, modified and deleted, and invites to them.

use std::time::Duration;

use serde_json::{Value, json};

use ery_proto::tool::v1::CallOutcome;

use crate::support::{Harness, content, expect};

const CREATE: &str = "POST /guilds/{guild_id}/channels";
const CHANGE: &str = "PATCH /channels/{channel_id}";
const DELETE: &str = "DELETE /channels/{channel_id}";
const INVITE: &str = "POST /channels/{channel_id}/invites";

async fn done(it: &Harness, tool: &str, arguments: Value) -> Value {
    let call = it.ordered("mara", tool, arguments).await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(it.store.execution(&call.key).tier, "destructive");
    content(&response)
}

async fn named(it: &Harness, name: &str) -> usize {
    let channels = it.rest(&format!("guilds/{}/channels", it.guild())).await;
    channels.as_array().unwrap().iter().filter(|channel| channel["name"] == name).count()
}

#[tokio::test]
async fn channels_are_created_modified_and_deleted() {
    let it = Harness::start().await;
    let category = done(
        &it,
        "manage_channels",
        json!({
            "action": "create", "name": "Harbour", "kind": "category",
        }),
    )
    .await;
    let category = category["channel"].as_str().unwrap();
    let made = done(
        &it,
        "manage_channels",
        json!({
            "action": "create", "name": "boats", "category": category, "topic": "Boats and ropes",
            "slow_mode_seconds": 5, "nsfw": true, "reason": "asked for",
        }),
    )
    .await;
    let boats = made["channel"].as_str().unwrap();
    let now = it.channel_now(boats).await;
    assert_eq!((&now["name"], &now["type"]), (&json!("boats"), &json!(0)));
    assert_eq!((&now["parent_id"], &now["topic"]), (&json!(category), &json!("Boats and ropes")));
    assert_eq!((&now["rate_limit_per_user"], &now["nsfw"]), (&json!(5), &json!(true)));
    for kind in ["voice", "announcement", "stage", "forum"] {
        let other = json!({"action": "create", "name": kind, "kind": kind});
        done(&it, "manage_channels", other).await;
    }
    let change = json!({
        "action": "modify", "channel": boats, "name": "ships", "topic": "", "slow_mode_seconds": 0,
    });
    done(&it, "manage_channels", change).await;
    let now = it.channel_now(boats).await;
    assert_eq!((&now["name"], &now["topic"]), (&json!("ships"), &Value::Null));
    done(&it, "manage_channels", json!({"action": "delete", "channel": "#ships"})).await;
    assert_eq!(it.channel_now(boats).await["code"], 10_003);
    let made = it.requests("POST", "/channels").await;
    assert!(made[1]["headers"]["x-audit-log-reason"].as_str().unwrap().contains("asked%20for"));
    let gone = json!({"action": "delete", "channel": boats});
    let response = it.run(&it.call("mara", "general", "manage_channels", gone)).await;
    expect(&response, CallOutcome::Failed);
}

#[tokio::test]
async fn channels_are_for_those_who_manage_them_and_on_an_order() {
    let it = Harness::start().await;
    let create = json!({"action": "create", "name": "boats"});
    let unordered = it.call("mara", "general", "manage_channels", create.clone());
    expect(&it.run(&unordered).await, CallOutcome::NeedsApproval);
    let recipes = it.channel("recipes").to_string();
    for arguments in [
        create,
        json!({"action": "modify", "channel": recipes, "topic": "x"}),
        json!({"action": "delete", "channel": recipes}),
    ] {
        let response = it.run(&it.ordered("theo", "manage_channels", arguments).await).await;
        expect(&response, CallOutcome::Denied);
        assert!(response.reason.contains("MANAGE_CHANNELS"), "{}", response.reason);
    }
    for (arguments, told) in [
        (json!({"action": "create"}), "needs a name"),
        (json!({"action": "create", "name": "x", "locked": true}), "threads"),
        (json!({"action": "create", "name": "x", "topic": "x".repeat(1_025)}), "1024"),
        (json!({"action": "create", "name": "x", "category": recipes}), "category"),
        (
            json!({"action": "create", "name": "x", "kind": "category", "category": recipes}),
            "category",
        ),
        (json!({"action": "modify", "name": "x"}), "which channel"),
        (json!({"action": "modify", "channel": recipes}), "what is to be changed"),
        (json!({"action": "modify", "channel": recipes, "archived": true}), "threads"),
        (json!({"action": "modify", "channel": recipes, "kind": "voice"}), "new channel"),
        (json!({"action": "delete", "channel": recipes, "name": "x"}), "Properties"),
        (json!({"action": "delete", "channel": "999999999999999999"}), "not in this server"),
        (json!({"action": "delete"}), "which channel"),
    ] {
        let response = it.run(&it.call("mara", "general", "manage_channels", arguments)).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains(told), "{told}: {}", response.reason);
    }
    assert!(it.requests("DELETE", "/channels/").await.is_empty());
}

#[tokio::test]
async fn a_thread_is_managed_by_who_manages_threads() {
    let it = Harness::start().await;
    let thread = it.ordered("bob", "create_thread", json!({"name": "talk"})).await;
    let thread = content(&it.run(&thread).await)["thread"].as_str().unwrap().to_owned();
    let lock = json!({"action": "modify", "channel": thread, "locked": true, "archived": true});
    expect(
        &it.run(&it.ordered("bob", "manage_channels", lock.clone()).await).await,
        CallOutcome::Denied,
    );
    expect(&it.run(&it.ordered("theo", "manage_channels", lock).await).await, CallOutcome::Done);
    let of = it.channel_now(&thread).await["thread_metadata"].clone();
    assert_eq!((&of["locked"], &of["archived"]), (&json!(true), &json!(true)));
    let topic = json!({"action": "modify", "channel": thread, "topic": "x"});
    expect(
        &it.run(&it.call("theo", "general", "manage_channels", topic)).await,
        CallOutcome::Failed,
    );
    let delete = json!({"action": "delete", "channel": thread});
    expect(&it.run(&it.ordered("theo", "manage_channels", delete).await).await, CallOutcome::Done);
}

#[tokio::test]
async fn a_list_shows_what_may_be_known_here() {
    let it = Harness::start().await;
    for (asker, place, shows_staff) in
        [("bob", "general", false), ("theo", "general", false), ("theo", "staff", true)]
    {
        let call = it.call(asker, place, "manage_channels", json!({"action": "list"}));
        let response = it.run(&call).await;
        expect(&response, CallOutcome::Done);
        assert_eq!(it.store.execution(&call.key).tier, "read");
        assert_eq!(response.content.contains("staff"), shows_staff, "{asker} in {place}");
        assert!(response.content.contains("Cakes, coffees, soups"));
    }
}

#[tokio::test]
async fn a_channel_whose_answer_was_lost_is_found_and_not_made_twice() {
    let it = Harness::start().await;
    for (kind, more) in [
        ("lose_response", json!({"count": 1})),
        ("error", json!({"count": 1, "status": 502, "when": "after"})),
        ("error", json!({"count": 1, "status": 503, "when": "before"})),
    ] {
        it.fault(CREATE, kind, more.clone()).await;
        let name = format!("{kind}-{}", more["when"].as_str().unwrap_or("x"));
        done(&it, "manage_channels", json!({"action": "create", "name": name})).await;
        assert_eq!(named(&it, &name).await, 1);
    }
    it.fault(DELETE, "lose_response", json!({"count": 1})).await;
    // A code of its own, as other servers have them.
    it.fault(DELETE, "error", json!({"status": 404, "code": 404, "count": 1})).await;
    done(&it, "manage_channels", json!({"action": "delete", "channel": "off-topic"})).await;
    assert_eq!(named(&it, "off-topic").await, 0);
}

#[tokio::test]
async fn what_nobody_recorded_is_in_doubt_where_one_like_it_is_new() {
    let it = Harness::start_with(|settings| settings.breaker_failures = 1_000).await;
    for (route, tool, arguments) in [
        (CREATE, "manage_channels", json!({"action": "create", "name": "twin"})),
        (INVITE, "create_invite", json!({"unique": true})),
    ] {
        done(&it, tool, arguments.clone()).await;
        // The log tells of nothing, as on a server that keeps none: it may be this one or another.
        let call = it.ordered("mara", tool, arguments).await;
        it.store.with(|state| state.lose_ends = u32::MAX);
        it.fault(route, "error", json!({"count": 100, "status": 503, "when": "before"})).await;
        assert_eq!(it.try_run(&call).await.unwrap_err().code(), tonic::Code::Unavailable);
        it.store.with(|state| state.lose_ends = 0);
        it.clock.advance(Duration::from_mins(1));
        expect(&it.run(&call).await, CallOutcome::InDoubt);
    }
    assert_eq!(named(&it, "twin").await, 1);
}

#[tokio::test]
async fn what_nobody_recorded_is_looked_for() {
    let it = Harness::start_with(|settings| settings.breaker_failures = 1_000).await;
    for (is_made, outcome) in [(true, CallOutcome::Done), (false, CallOutcome::Failed)] {
        let name = format!("open-{is_made}");
        let create = json!({"action": "create", "name": name});
        let call = it.ordered("mara", "manage_channels", create).await;
        it.store.with(|state| state.lose_ends = u32::MAX);
        if !is_made {
            it.fault(CREATE, "error", json!({"count": 100, "status": 503, "when": "before"})).await;
        }
        assert_eq!(it.try_run(&call).await.unwrap_err().code(), tonic::Code::Unavailable);
        it.store.with(|state| state.lose_ends = 0);
        it.clock.advance(Duration::from_mins(1));
        expect(&it.run(&call).await, outcome);
        assert_eq!(named(&it, &name).await, usize::from(is_made));
    }
}

#[tokio::test]
async fn a_deletion_that_nobody_recorded_is_looked_for() {
    let it = Harness::start().await;
    let delete = json!({"action": "delete", "channel": "events"});
    let call = it.ordered("mara", "manage_channels", delete).await;
    it.store.with(|state| state.lose_ends = u32::MAX);
    assert_eq!(it.try_run(&call).await.unwrap_err().code(), tonic::Code::Unavailable);
    it.store.with(|state| state.lose_ends = 0);
    it.clock.advance(Duration::from_mins(1));
    // It cannot be judged anew: nobody knows the channel any more.
    expect(&it.run(&call).await, CallOutcome::Done);
    assert_eq!(it.requests("DELETE", "/channels/").await.len(), 1);
}

#[tokio::test]
async fn a_limit_of_many_minutes_is_told_and_holds_nothing_else_up() {
    let it = Harness::start().await;
    let limit = json!({"count": 1, "scope": "shared", "delay_ms": 540_000});
    it.fault(CHANGE, "rate_limit", limit).await;
    let events = it.channel("events").to_string();
    let rename = |name: &str| json!({"action": "modify", "channel": events, "name": name});
    for name in ["one", "two"] {
        let response = it.run(&it.ordered("mara", "manage_channels", rename(name)).await).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains("rate limit"), "{}", response.reason);
    }
    assert_eq!(it.requests("PATCH", "/channels/").await.len(), 1, "it is not asked again");
    let slow = json!({"action": "modify", "channel": events, "slow_mode_seconds": 10});
    done(&it, "manage_channels", slow).await;
}

#[tokio::test]
async fn an_invite_is_made_on_an_order_and_gives_no_roles() {
    let it = Harness::start().await;
    let unordered = it.call("bob", "general", "create_invite", json!({}));
    expect(&it.run(&unordered).await, CallOutcome::NeedsApproval);
    let call = it.ordered("bob", "create_invite", json!({"max_uses": 1})).await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    let code = content(&response)["code"].as_str().unwrap().to_owned();
    let invite = it.rest(&format!("invites/{code}")).await;
    assert_eq!(invite["channel"]["id"], it.channel("general").to_string());
    let made = it.requests("POST", "/invites").await;
    assert_eq!(
        (&made[0]["body"]["max_age"], &made[0]["body"]["max_uses"]),
        (&json!(86_400), &json!(1))
    );
    assert!(made[0]["body"].get("role_ids").is_none());
    let again = it.ordered("bob", "create_invite", json!({"max_uses": 1})).await;
    assert_eq!(content(&it.run(&again).await)["code"], code, "a like one serves");
    for (arguments, told) in [
        (json!({"max_age_seconds": 604_801}), "max_age_seconds"),
        (json!({"max_uses": 101}), "max_uses"),
        (json!({"role_ids": ["1"]}), "role_ids"),
        (json!({"channel": "nowhere"}), "no channel"),
    ] {
        let response = it.run(&it.call("bob", "general", "create_invite", arguments)).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains(told), "{}", response.reason);
    }
    let hidden = it.ordered("bob", "create_invite", json!({"channel": "staff"})).await;
    expect(&it.run(&hidden).await, CallOutcome::Failed);
}

#[tokio::test]
async fn an_invite_leads_where_the_server_has_its_page() {
    for (page, told) in [
        (None, "The code of the invite to"),
        (Some("https://chat.example/invite/"), "is https://chat.example/invite/"),
    ] {
        let it =
            Harness::start_with(|settings| settings.invite_url = page.map(str::to_owned)).await;
        let response = it.run(&it.ordered("bob", "create_invite", json!({})).await).await;
        let told_of = content(&response);
        let (summary, code) =
            (told_of["summary"].as_str().unwrap(), told_of["code"].as_str().unwrap());
        assert!(summary.contains(told) && summary.contains(code), "{summary}");
        assert!(!summary.contains("discord.gg"), "{summary}");
    }
}

#[tokio::test]
async fn channels_are_moved_by_where_they_stand_not_by_what_is_remembered() {
    let it = Harness::start().await;
    let harbour = json!({"action": "create", "name": "Harbour", "kind": "category"});
    done(&it, "manage_channels", harbour).await;
    let mut ids = Vec::new();
    for name in ["nets", "ropes", "sails"] {
        let new = json!({"action": "create", "name": name, "category": "Harbour"});
        ids.push(done(&it, "manage_channels", new).await["channel"].clone());
    }
    let [nets, ropes, sails] = &ids[..] else { unreachable!() };
    // Somebody moves one, and no event tells of it.
    let by_hand = json!([
        {"id": ropes, "position": 0}, {"id": nets, "position": 1}, {"id": sails, "position": 2},
    ]);
    it.rest_patch(&format!("guilds/{}/channels", it.guild()), by_hand).await;
    assert_eq!(in_category(&it, "Harbour").await, ["ropes", "nets", "sails"]);

    let up = json!({"action": "move", "channel": "sails", "above": "nets"});
    done(&it, "manage_channels", up).await;

    assert_eq!(in_category(&it, "Harbour").await, ["ropes", "sails", "nets"]);

    // Nor is one moved out of the way that the asker may not manage, as it stands by now.
    let before = it.rest(&format!("guilds/{}/roles", it.guild())).await;
    let moderator = before.as_array().unwrap().iter().find(|it| it["name"] == "Moderator").unwrap();
    let bits: u64 = moderator["permissions"].as_str().unwrap().parse().unwrap();
    let moderator = moderator["id"].as_str().unwrap();
    let path = format!("/roles/{}/{moderator}", it.guild());
    it.control_patch(&path, json!({"permissions": (bits | 1 << 4).to_string()})).await;
    let changed = it.rest(&format!("guilds/{}/roles", it.guild())).await;
    let changed = changed.as_array().unwrap().iter().find(|it| it["id"] == moderator).unwrap();
    it.event("guild_role_update", &json!({"guild_id": it.guild().to_string(), "role": changed}));
    let deny = json!({"type": 0, "deny": (1_u64 << 4).to_string(), "allow": "0"});
    let ropes = ropes.as_str().unwrap();
    it.rest_put(&format!("channels/{ropes}/permissions/{moderator}"), deny).await;
    let top = json!({"action": "move", "channel": "sails", "above": "ropes"});
    let response = it.run(&it.ordered("theo", "manage_channels", top).await).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("otherwise than I knew"), "{}", response.reason);
    assert_eq!(in_category(&it, "Harbour").await, ["ropes", "sails", "nets"]);
}

#[tokio::test]
async fn a_unique_invite_whose_answer_was_lost_is_found() {
    let it = Harness::start().await;
    it.fault(INVITE, "lose_response", json!({"count": 1})).await;
    let first = done(&it, "create_invite", json!({"unique": true})).await;
    let second = done(&it, "create_invite", json!({"unique": true})).await;
    assert_ne!(first["code"], second["code"]);
    let all = it.rest(&format!("guilds/{}/invites", it.guild())).await;
    assert_eq!(all.as_array().unwrap().len(), 2);
    let call = it.ordered("mara", "create_invite", json!({"unique": true, "max_uses": 3})).await;
    it.store.with(|state| state.lose_ends = u32::MAX);
    assert_eq!(it.try_run(&call).await.unwrap_err().code(), tonic::Code::Unavailable);
    it.store.with(|state| state.lose_ends = 0);
    it.clock.advance(Duration::from_mins(1));
    expect(&it.run(&call).await, CallOutcome::Done);
    let all = it.rest(&format!("guilds/{}/invites", it.guild())).await;
    assert_eq!(all.as_array().unwrap().len(), 3);
}

/// The channels of a category from the top, as Discord has them.
async fn in_category(it: &Harness, category: &str) -> Vec<String> {
    let channels = it.rest(&format!("guilds/{}/channels", it.guild())).await;
    let channels = channels.as_array().unwrap().clone();
    let of = channels.iter().find(|channel| channel["name"] == category).unwrap()["id"].clone();
    let mut inside: Vec<&Value> =
        channels.iter().filter(|channel| channel["parent_id"] == of).collect();
    inside.sort_by_key(|channel| (channel["position"].as_i64(), channel["id"].to_string()));
    inside.into_iter().map(|channel| channel["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn channels_are_moved_into_categories_and_beside_others() {
    let it = Harness::start().await;
    let make = |name: &str, kind: &str| json!({"action": "create", "name": name, "kind": kind});
    for (name, kind) in [("Harbour", "category"), ("Quay", "category"), ("boats", "text")] {
        done(&it, "manage_channels", make(name, kind)).await;
    }
    for name in ["nets", "ropes", "sails"] {
        let mut new = make(name, "text");
        new["category"] = json!("Harbour");
        done(&it, "manage_channels", new).await;
    }
    let to = |channel: &str, beside: &str, other: &str| json!({"action": "move", "channel": channel, beside: other});
    for (arguments, harbour, quay) in [
        (to("boats", "category", "Quay"), vec!["nets", "ropes", "sails"], vec!["boats"]),
        (to("boats", "below", "nets"), vec!["nets", "boats", "ropes", "sails"], vec![]),
        (to("sails", "above", "nets"), vec!["sails", "nets", "boats", "ropes"], vec![]),
        (to("ropes", "above", "boats"), vec!["sails", "nets", "ropes", "boats"], vec![]),
    ] {
        done(&it, "manage_channels", arguments.clone()).await;
        assert_eq!(in_category(&it, "Harbour").await, harbour, "{arguments}");
        assert_eq!(in_category(&it, "Quay").await, quay, "{arguments}");
    }
    let out = json!({"action": "move", "channel": "boats", "out_of_category": true});
    done(&it, "manage_channels", out).await;
    assert_eq!(in_category(&it, "Harbour").await, ["sails", "nets", "ropes"]);
    assert!(it.requests("PUT", "/permissions/").await.is_empty(), "rights stay as they are");
}

#[tokio::test]
async fn a_move_that_makes_no_sense_or_is_not_allowed_moves_nothing() {
    let it = Harness::start().await;
    for name in ["Harbour", "Quay"] {
        let new = json!({"action": "create", "name": name, "kind": "category"});
        done(&it, "manage_channels", new).await;
    }
    for (arguments, told) in [
        (json!({"action": "move", "channel": "recipes"}), "Say where to"),
        (json!({"action": "move"}), "which channel"),
        (json!({"action": "move", "channel": "Quay", "category": "Harbour"}), "in no other"),
        (json!({"action": "move", "channel": "recipes", "category": "general"}), "in a category"),
        (json!({"action": "move", "channel": "recipes", "above": "recipes"}), "another channel"),
        (json!({"action": "move", "channel": "recipes", "above": "Quay"}), "same kind"),
        (
            json!({"action": "move", "channel": "recipes", "above": "general", "category": "Quay"}),
            "does not stand there",
        ),
        (json!({"action": "modify", "channel": "recipes", "above": "general"}), "moving alone"),
        (json!({"action": "move", "channel": "recipes", "category": "Quay", "name": "x"}), "alone"),
    ] {
        let response = it.run(&it.call("mara", "general", "manage_channels", arguments)).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains(told), "{}", response.reason);
    }
    let arguments = json!({"action": "move", "channel": "recipes", "category": "Quay"});
    let call = it.ordered("bob", "manage_channels", arguments).await;
    expect(&it.run(&call).await, CallOutcome::Denied);
    assert!(it.requests("PATCH", "/channels").await.is_empty());
}

#[tokio::test]
async fn a_channel_that_would_give_way_is_left_alone_by_who_may_not_manage_it() {
    let it = Harness::start().await;
    let roles = it.rest(&format!("guilds/{}/roles", it.guild())).await;
    let moderator = roles.as_array().unwrap().iter().find(|it| it["name"] == "Moderator").unwrap();
    let bits: u64 = moderator["permissions"].as_str().unwrap().parse().unwrap();
    let path = format!("/roles/{}/{}", it.guild(), moderator["id"].as_str().unwrap());
    it.control_patch(&path, json!({"permissions": (bits | 1 << 4).to_string()})).await;
    let harbour = json!({"action": "create", "name": "Harbour", "kind": "category"});
    done(&it, "manage_channels", harbour).await;
    for name in ["nets", "ropes", "sails"] {
        let new = json!({"action": "create", "name": name, "category": "Harbour"});
        done(&it, "manage_channels", new).await;
    }
    let deny = json!({"channel": "ropes", "role": "Moderator", "deny": ["MANAGE_CHANNELS"]});
    done(&it, "manage_permissions", deny).await;

    let up = json!({"action": "move", "channel": "sails", "above": "nets"});
    let response = it.run(&it.ordered("theo", "manage_channels", up.clone()).await).await;

    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("#ropes"), "{}", response.reason);
    assert_eq!(in_category(&it, "Harbour").await, ["nets", "ropes", "sails"]);
    done(&it, "manage_channels", up).await;
    assert_eq!(in_category(&it, "Harbour").await, ["sails", "nets", "ropes"]);
}

#[tokio::test]
async fn a_move_that_is_repeated_leaves_what_people_moved_since() {
    let it = Harness::start().await;
    let harbour = json!({"action": "create", "name": "Harbour", "kind": "category"});
    done(&it, "manage_channels", harbour).await;
    for name in ["nets", "ropes", "sails"] {
        let new = json!({"action": "create", "name": name, "category": "Harbour"});
        done(&it, "manage_channels", new).await;
    }
    it.store.with(|state| state.lose_ends = u32::MAX);
    let up = json!({"action": "move", "channel": "sails", "above": "nets"});
    let call = it.ordered("mara", "manage_channels", up).await;
    assert_eq!(it.try_run(&call).await.unwrap_err().code(), tonic::Code::Unavailable);
    it.store.with(|state| state.lose_ends = 0);
    let other = json!({"action": "move", "channel": "ropes", "above": "sails"});
    done(&it, "manage_channels", other).await;
    it.clock.advance(Duration::from_mins(1));

    expect(&it.run(&call).await, CallOutcome::Done);

    assert_eq!(in_category(&it, "Harbour").await, ["ropes", "sails", "nets"]);
    assert_eq!(it.requests("PATCH", "/channels").await.len(), 2, "nothing is left to be moved");
}

#[tokio::test]
async fn a_thread_that_is_put_away_is_brought_back_by_whoever_may_write_there() {
    let it = Harness::start().await;
    let thread = it.ordered("bob", "create_thread", json!({"name": "talk"})).await;
    let thread = content(&it.run(&thread).await)["thread"].as_str().unwrap().to_owned();
    let said =
        it.rest_post(&format!("channels/{thread}/messages"), json!({"content": "first"})).await;
    let message = said["id"].as_str().unwrap();
    let put_away = async |is_locked: bool| {
        let arguments = json!({
            "action": "modify", "channel": thread, "archived": true, "locked": is_locked,
        });
        let call = it.ordered("theo", "manage_channels", arguments).await;
        expect(&it.run(&call).await, CallOutcome::Done);
    };
    let pin = json!({"action": "pin", "message": message, "channel": thread});

    put_away(false).await;
    let response = it.run(&it.ordered("theo", "pin_message", pin.clone()).await).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(it.channel_now(&thread).await["thread_metadata"]["archived"], false);

    // One that is locked only by whoever manages threads; Discord is not even asked to.
    put_away(true).await;
    let changes = it.requests("PATCH", &format!("/channels/{thread}")).await.len();
    let edit = json!({"message": message, "channel": thread, "content": "changed"});
    let response = it.run(&it.ordered("theo", "edit_message", edit).await).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(it.requests("PATCH", &format!("/channels/{thread}")).await.len(), changes + 3);
}
