//! Bans: for good and for a time, of members and of others, lifted and looked up.

use std::time::Duration;

use serde_json::{Value, json};

use ery_clock::Clock;
use ery_community_config::{Changed, Subject};
use ery_event_bus::Topic;
use ery_proto::{
    store::v1::ExecutionState,
    tool::v1::{CallOutcome, CallToolRequest},
};

use crate::support::{Harness, content, expect};

const BAN: &str = "PUT /guilds/{guild_id}/bans/{user_id}";
const UNBAN: &str = "DELETE /guilds/{guild_id}/bans/{user_id}";

const LOOK: &str = "GET /guilds/{guild_id}/bans/{user_id}";

/// A member whom both Theo and Ery outrank.
const TARGET: &str = "bob";

async fn ban_of(it: &Harness, user: u64) -> Option<Value> {
    let bans = it.rest(&format!("guilds/{}/bans", it.guild())).await;
    let bans = bans.as_array().unwrap().clone();
    let user = user.to_string();
    bans.into_iter().find(|ban| ban["user"]["id"] == user)
}

#[tokio::test]
async fn an_ordered_ban_keeps_somebody_out_and_names_who_asked() {
    let it = Harness::start().await;
    let (bob, theo) = (it.user(TARGET), it.user("theo"));
    let day = 86_400;
    let arguments = json!({"member": "@Bob", "reason": "spam", "delete_message_seconds": day});
    let call = it.ordered("theo", "ban_member", arguments).await;

    let response = it.run(&call).await;

    expect(&response, CallOutcome::Done);
    let summary = content(&response)["summary"].as_str().unwrap().to_owned();
    assert_eq!(
        summary,
        format!("<@{bob}> is banned; what they wrote in the last 1 day is deleted.")
    );
    let ban = ban_of(&it, bob).await.unwrap();
    assert_eq!(ban["reason"], format!("{theo}: spam [{}]", call.key));
    let puts = it.requests("PUT", "/bans/").await;
    assert_eq!(puts.len(), 1);
    assert_eq!(puts[0]["body"], json!({"delete_message_seconds": day}));
    let execution = it.store.execution(&call.key);
    assert_eq!((execution.tier.as_str(), execution.is_ordered), ("destructive", true));
    // The next decision knows that he is gone, though no event told so.
    let look = it.call("theo", "general", "get_member_info", json!({"member": bob.to_string()}));
    let response = it.run(&look).await;
    assert!(
        response.content.contains("not a member")
            || response.content.contains("\"is_member\":false"),
        "{}",
        response.content
    );
    // A repeat is the same ban.
    expect(&it.run(&call).await, CallOutcome::Done);
    assert_eq!(it.requests("PUT", "/bans/").await.len(), 1);
}

#[tokio::test]
async fn a_ban_for_a_time_says_when_it_ends_and_is_not_prolonged_by_a_repeat() {
    let it = Harness::start().await;
    let bob = it.user(TARGET);
    let three_days = 3 * 86_400;
    let arguments = json!({"member": bob.to_string(), "duration_seconds": three_days});
    let call = it.ordered("theo", "ban_member", arguments).await;
    let before = it.clock.now();
    it.store.with(|state| state.lose_ends = u32::MAX);
    assert_eq!(it.try_run(&call).await.unwrap_err().code(), tonic::Code::Unavailable);
    it.store.with(|state| state.lose_ends = 0);
    it.clock.advance(Duration::from_mins(1));

    let response = it.run(&call).await;

    expect(&response, CallOutcome::Done);
    let lift_at = before + Duration::from_secs(three_days);
    assert_eq!(content(&response)["lift_at_ms"], lift_at.0);
    let summary = content(&response)["summary"].as_str().unwrap().to_owned();
    assert!(summary.contains("for 3 days, until <t:"), "{summary}");
    assert!(ban_of(&it, bob).await.is_some());
    assert_eq!(it.requests("PUT", "/bans/").await.len(), 1, "it stood already");
    assert!(it.requests("DELETE", "/bans/").await.is_empty());
}

#[tokio::test]
async fn a_ban_found_open_after_its_end_is_in_doubt() {
    let it = Harness::start().await;
    let arguments = json!({"member": it.user(TARGET).to_string(), "duration_seconds": 60});
    let call = it.ordered("theo", "ban_member", arguments).await;
    it.store.with(|state| state.lose_ends = u32::MAX);
    it.fault(BAN, "error", json!({"status": 503, "count": 100})).await;
    assert_eq!(it.try_run(&call).await.unwrap_err().code(), tonic::Code::Unavailable);
    it.store.with(|state| state.lose_ends = 0);
    it.clock.advance(Duration::from_mins(10));
    expect(&it.run(&call).await, CallOutcome::InDoubt);
    let planned: Vec<_> = it.store.with(|state| state.planned.values().cloned().collect());
    assert_eq!(planned.len(), 1, "if it happened, it ends");
    assert!(planned[0].arguments.contains("unban"), "{}", planned[0].arguments);
    assert!(ban_of(&it, it.user(TARGET)).await.is_none());
}

#[tokio::test]
async fn a_repeat_does_not_say_that_a_ban_without_a_reason_is_older() {
    let it = Harness::start().await;
    let target = it.user(TARGET);
    it.rest_put(&format!("guilds/{}/bans/{target}", it.guild()), json!({})).await;
    let arguments = json!({"member": target.to_string()});
    let first = it.run(&it.ordered("theo", "ban_member", arguments.clone()).await).await;
    assert!(content(&first)["summary"].as_str().unwrap().contains("before"));
    // As where reasons are not kept: it may be what the first attempt put.
    let call = it.ordered("theo", "ban_member", arguments).await;
    it.store.with(|state| state.lose_ends = u32::MAX);
    assert_eq!(it.try_run(&call).await.unwrap_err().code(), tonic::Code::Unavailable);
    it.store.with(|state| state.lose_ends = 0);
    it.clock.advance(Duration::from_mins(1));
    let repeated = it.run(&call).await;
    assert_eq!(content(&repeated)["summary"], format!("<@{target}> is banned."));
}

#[tokio::test]
async fn a_repeat_for_several_does_not_say_that_bans_without_a_reason_are_older() {
    let it = Harness::start().await;
    for name in ["bob", "nils"] {
        let path = format!("guilds/{}/bans/{}", it.guild(), it.user(name));
        it.rest_put(&path, json!({})).await;
    }
    let arguments = json!({"members": named(&it, &["bob", "nils"])});
    let first = it.run(&it.ordered("theo", "ban_member", arguments.clone()).await).await;
    assert_eq!(content(&first)["banned"], json!([]));
    // As where reasons are not kept: they may be what the first attempt put.
    let call = it.ordered("theo", "ban_member", arguments).await;
    it.store.with(|state| state.lose_ends = u32::MAX);
    assert_eq!(it.try_run(&call).await.unwrap_err().code(), tonic::Code::Unavailable);
    it.store.with(|state| state.lose_ends = 0);
    it.clock.advance(Duration::from_mins(1));

    let repeated = content(&it.run(&call).await);

    let summary = repeated["summary"].as_str().unwrap();
    assert!(summary.starts_with("2 people are banned: <@"), "{summary}");
    assert!(repeated["banned_before"].is_null(), "{repeated}");
}

/// The call that ends the only ban with an end, once that has come.
fn end_of_the_ban(it: &Harness) -> CallToolRequest {
    let end = it.store.with(|state| state.planned.values().next().unwrap().clone());
    it.clock.advance(Duration::from_mins(1));
    CallToolRequest {
        scheduled_action_id: end.scheduled_action_id,
        principal: end.principal,
        askers: Vec::new(),
        ..it.call("theo", "general", "ban_member", json!({}))
    }
}

#[tokio::test]
async fn a_ban_ends_though_staff_allow_no_more_bans() {
    for (path, value) in [
        ("tools.policy.ban_member", json!("off")),
        ("tools.dry_run", json!(true)),
        ("paused", json!(true)),
        ("tools.destructive_per_hour", json!(0)),
    ] {
        let it = Harness::start().await;
        let bob = it.user(TARGET);
        let arguments = json!({"member": bob.to_string(), "duration_seconds": 60});
        let ban = it.ordered("theo", "ban_member", arguments.clone()).await;
        expect(&it.run(&ban).await, CallOutcome::Done);
        let version = it.config.set(it.guild(), Subject::SERVER, path, value);
        it.bus.broadcast_json(Topic::ConfigChanged, &Changed { home: it.guild(), version });
        // The broadcast takes a moment.
        let is_refused = async || {
            let other = it.ordered("theo", "ban_member", json!({"member": "nils"})).await;
            it.run(&other).await.outcome() == CallOutcome::Denied
        };
        while !is_refused().await {}

        expect(&it.run(&end_of_the_ban(&it)).await, CallOutcome::Done);

        assert!(ban_of(&it, bob).await.is_none(), "{path}");
    }
}

#[tokio::test]
async fn the_end_of_a_ban_outlives_a_token_that_is_not_accepted() {
    let it = Harness::start().await;
    let arguments = json!({"member": it.user(TARGET).to_string(), "duration_seconds": 60});
    let ban = it.ordered("theo", "ban_member", arguments).await;
    expect(&it.run(&ban).await, CallOutcome::Done);
    let due = end_of_the_ban(&it);
    it.fault(UNBAN, "error", json!({"status": 401, "count": 1})).await;
    for _ in 0..2 {
        assert_eq!(it.try_run(&due).await.unwrap_err().code(), tonic::Code::Unavailable);
        assert_eq!(it.store.execution(&due.key).state(), ExecutionState::Open);
    }
}

#[tokio::test]
async fn an_older_ban_is_put_back_where_the_new_one_is_refused() {
    let it = Harness::start().await;
    let bob = it.user(TARGET);
    let ban =
        |reason: &str| json!({"member": bob.to_string(), "duration_seconds": 60, "reason": reason});
    expect(&it.run(&it.ordered("theo", "ban_member", ban("older")).await).await, CallOutcome::Done);
    let older = ban_of(&it, bob).await.unwrap()["reason"].clone();

    it.fault(BAN, "error", json!({"status": 400, "code": 50_035, "count": 1})).await;
    let response = it.run(&it.ordered("theo", "ban_member", ban("newer")).await).await;
    expect(&response, CallOutcome::Failed);
    assert_eq!(ban_of(&it, bob).await.unwrap()["reason"], older, "its end knows it by that");
    assert!(!response.reason.contains("not banned"), "{}", response.reason);

    // Nor where nobody can tell whether the new one is there.
    it.fault(BAN, "error", json!({"status": 503, "count": 5})).await;
    let response = it.run(&it.ordered("theo", "ban_member", ban("newer")).await).await;
    expect(&response, CallOutcome::InDoubt);
    assert_eq!(ban_of(&it, bob).await.unwrap()["reason"], older);

    it.fault(BAN, "error", json!({"status": 400, "code": 50_035, "count": 2})).await;
    let response = it.run(&it.ordered("theo", "ban_member", ban("newer")).await).await;
    expect(&response, CallOutcome::Failed);
    assert!(ban_of(&it, bob).await.is_none());
    assert!(response.reason.contains("they are not banned now"), "{}", response.reason);
}

#[tokio::test]
async fn the_end_of_a_ban_waits_until_discord_is_there() {
    let it = Harness::start().await;
    let bob = it.user(TARGET);
    let arguments = json!({"member": bob.to_string(), "duration_seconds": 60});
    let ban = it.ordered("theo", "ban_member", arguments).await;
    expect(&it.run(&ban).await, CallOutcome::Done);
    let due = end_of_the_ban(&it);

    for (route, kind) in [(UNBAN, "error"), (UNBAN, "cut"), (LOOK, "error"), (LOOK, "cut")] {
        it.fault(route, kind, json!({"status": 503, "count": 100})).await;
        assert_eq!(it.try_run(&due).await.unwrap_err().code(), tonic::Code::Unavailable, "{kind}");
        assert_eq!(it.store.execution(&due.key).state(), ExecutionState::Open, "{kind}");
        it.clear_faults().await;
        assert!(ban_of(&it, bob).await.is_some());
    }

    // The breaker lets nothing through for a while.
    let lifted = loop {
        match it.try_run(&due).await {
            Ok(lifted) => break lifted,
            Err(status) => assert_eq!(status.code(), tonic::Code::Unavailable, "{status}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    expect(&lifted, CallOutcome::Done);
    assert!(ban_of(&it, bob).await.is_none());
    expect(&it.run(&due).await, CallOutcome::Done);
}

#[tokio::test]
async fn people_who_are_no_members_can_be_banned_but_never_the_owner_ery_or_oneself() {
    let it = Harness::start().await;
    let guest = it.control("/users", json!({"username": "guest"})).await;
    let guest: u64 = guest["id"].as_str().unwrap().parse().unwrap();
    let call = it.ordered("theo", "ban_member", json!({"member": guest.to_string()})).await;
    expect(&it.run(&call).await, CallOutcome::Done);
    assert!(ban_of(&it, guest).await.is_some());

    for (asker, target, told) in [
        ("theo", "mara", "owner"),
        ("mara", "mara", "themselves"),
        ("theo", "Ery", "myself"),
        ("theo", "theo", "themselves"),
        ("mara", "theo", "My highest role"),
        ("bob", "alice", "BAN_MEMBERS"),
        ("bob", "mara", "BAN_MEMBERS"),
    ] {
        let target = it.user(target).to_string();
        let call = it.ordered(asker, "ban_member", json!({"member": target})).await;
        let response = it.run(&call).await;
        expect(&response, CallOutcome::Denied);
        assert!(response.reason.contains(told), "{asker}: {}", response.reason);
    }
    assert_eq!(it.requests("PUT", "/bans/").await.len(), 1);

    let nobody = it.ordered("theo", "ban_member", json!({"member": "100000000000000001"})).await;
    let response = it.run(&nobody).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("knows nobody"), "{}", response.reason);
}

#[tokio::test]
async fn a_ban_is_lifted_and_looked_up_by_whoever_may_ban() {
    let it = Harness::start().await;
    let bob = it.user(TARGET);
    let name = json!({"member": bob.to_string()});
    let look = |who: &str| {
        let arguments = json!({"member": bob.to_string(), "action": "look_up"});
        it.call(who, "general", "ban_member", arguments)
    };
    let response = it.run(&look("theo")).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(content(&response)["is_banned"], false);
    let response = it.run(&look("alice")).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("BAN_MEMBERS"));

    expect(&it.run(&it.ordered("theo", "ban_member", name).await).await, CallOutcome::Done);
    let response = it.run(&look("theo")).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(content(&response)["is_banned"], true);
    // Why, only where nobody reads along who may not see bans.
    assert_eq!(content(&response)["ban_reason"], Value::Null);
    assert!(content(&response)["ban_reason_withheld"].as_str().unwrap().contains("Not everybody"));
    let arguments = json!({"member": bob.to_string(), "action": "look_up"});
    let response = it.run(&it.call("mara", "staff", "ban_member", arguments)).await;
    expect(&response, CallOutcome::Done);
    assert!(
        content(&response)["ban_reason"].as_str().unwrap().contains(&it.user("theo").to_string())
    );
    assert_eq!(it.store.execution(&it.store.last_key()).tier, "read");

    let lift = json!({"member": format!("<@{bob}>"), "action": "unban"});
    let response = it.run(&it.call("theo", "general", "ban_member", lift.clone())).await;
    expect(&response, CallOutcome::NeedsApproval);
    for said in ["is lifted", "is not banned"] {
        let response = it.run(&it.ordered("theo", "ban_member", lift.clone()).await).await;
        expect(&response, CallOutcome::Done);
        assert!(content(&response)["summary"].as_str().unwrap().contains(said));
    }
    assert!(ban_of(&it, bob).await.is_none());
}

#[tokio::test]
async fn a_new_ban_takes_the_place_of_an_older_one() {
    let it = Harness::start().await;
    let bob = it.user(TARGET);
    for (arguments, reason) in [
        (json!({"member": bob.to_string(), "duration_seconds": 3_600, "reason": "first"}), "first"),
        (json!({"member": bob.to_string(), "reason": "for good"}), "for good"),
    ] {
        expect(
            &it.run(&it.ordered("theo", "ban_member", arguments).await).await,
            CallOutcome::Done,
        );
        let ban = ban_of(&it, bob).await.unwrap();
        assert!(ban["reason"].as_str().unwrap().contains(reason), "{ban}");
    }
}

#[tokio::test]
async fn a_ban_for_good_that_people_put_by_hand_stands_as_it_is() {
    let it = managed().await;
    let bob = it.user(TARGET);
    let by_hand = format!("guilds/{}/bulk-ban", it.guild());
    it.rest_post(&by_hand, json!({"user_ids": [bob.to_string()]})).await;

    let ban = json!({"member": bob.to_string(), "reason": "anew"});
    let response = it.run(&it.ordered("mara", "ban_member", ban).await).await;

    expect(&response, CallOutcome::Done);
    let summary = content(&response)["summary"].as_str().unwrap().to_owned();
    assert!(summary.contains("for good before"), "{summary}");
    let response = it.run(&bans_many(&it, "mara", &["bob", "alice"]).await).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(content(&response)["banned"], json!([it.user("alice").to_string()]));
    assert_eq!(content(&response)["banned_before"], json!([bob.to_string()]));
    assert_eq!(ban_of(&it, bob).await.unwrap()["reason"], Value::Null);
    assert!(it.requests("DELETE", "/bans/").await.is_empty(), "nobody is let in meanwhile");

    // An end that was ordered counts.
    let ban = json!({"member": bob.to_string(), "duration_seconds": 60, "reason": "for a time"});
    expect(&it.run(&it.ordered("mara", "ban_member", ban).await).await, CallOutcome::Done);
    let reason = ban_of(&it, bob).await.unwrap()["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("for a time"), "{reason}");
}

#[tokio::test]
async fn what_does_not_belong_together_is_refused_with_a_sentence() {
    let it = Harness::start().await;
    for (arguments, told) in [
        (json!({"member": "1", "action": "unban", "duration_seconds": 5}), "belong to a ban"),
        (json!({"member": "bob", "action": "unban"}), "by a mention or by their id"),
        (json!({"member": "bob", "action": "look_up"}), "by a mention or by their id"),
        (json!({"member": "bobby-nobody"}), "No member"),
        (json!({"member": "bob", "delete_message_seconds": 604_801}), "delete_message_seconds"),
        (json!({"member": "bob", "action": "forgive"}), "action"),
        (json!({"member": "bob", "of_ban": "x"}), "of_ban"),
    ] {
        let response = it.run(&it.call("theo", "general", "ban_member", arguments)).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains(told), "{}", response.reason);
    }
    assert!(it.requests("PUT", "").await.is_empty());
}

#[tokio::test]
async fn lost_answers_ban_and_lift_once() {
    let it = Harness::start().await;
    let bob = it.user(TARGET);
    for (kind, more) in [
        ("lose_response", json!({"count": 1})),
        ("error", json!({"count": 2, "status": 502, "when": "after"})),
        ("error", json!({"count": 1, "status": 500, "when": "before"})),
        ("cut", json!({"count": 1})),
    ] {
        it.fault(BAN, kind, more.clone()).await;
        let ban = it.ordered("theo", "ban_member", json!({"member": bob.to_string()})).await;
        expect(&it.run(&ban).await, CallOutcome::Done);
        assert!(ban_of(&it, bob).await.is_some(), "{kind}");
        it.fault(UNBAN, kind, more).await;
        let lift = json!({"member": bob.to_string(), "action": "unban"});
        expect(&it.run(&it.ordered("theo", "ban_member", lift).await).await, CallOutcome::Done);
        assert!(ban_of(&it, bob).await.is_none(), "{kind}");
    }
    let log = it.rest(&format!("guilds/{}/audit-logs?action_type=22", it.guild())).await;
    assert_eq!(log["audit_log_entries"].as_array().unwrap().len(), 4, "one for each ban");
}

#[tokio::test]
async fn a_refusal_is_told_and_not_repeated() {
    let it = Harness::start().await;
    it.fault(BAN, "error", json!({"status": 403, "count": 1})).await;
    let ban =
        it.ordered("theo", "ban_member", json!({"member": it.user(TARGET).to_string()})).await;
    let response = it.run(&ban).await;
    expect(&response, CallOutcome::Failed);
    assert_eq!(it.store.execution(&ban.key).state(), ExecutionState::Failed);
    assert_eq!(it.requests("PUT", "/bans/").await.len(), 1);
}

#[tokio::test]
async fn a_destructive_decision_reads_asker_and_target_anew_and_others_do_not() {
    let it = Harness::start().await;
    let reads = |who: &'static str| {
        let path = format!("/members/{}", it.user(who));
        let it = &it;
        async move { it.requests("GET", &path).await.len() }
    };
    let timeout = json!({"member": it.user("alice").to_string(), "duration_seconds": 60});
    for _ in 0..3 {
        let call = it.ordered("theo", "timeout_member", timeout.clone()).await;
        expect(&it.run(&call).await, CallOutcome::Done);
    }
    assert_eq!((reads("theo").await, reads("alice").await), (1, 1), "read once, then known");

    let ban = json!({"member": it.user("alice").to_string()});
    expect(&it.run(&it.ordered("theo", "ban_member", ban).await).await, CallOutcome::Done);
    assert_eq!((reads("theo").await, reads("alice").await), (2, 2), "read again before the ban");

    // Theo loses his role, and no event tells.
    let guild = it.guild();
    let theo = it.user("theo");
    it.control_patch(&format!("/members/{guild}/{theo}"), json!({"roles": []})).await;
    let ban = json!({"member": it.user(TARGET).to_string()});
    let response = it.run(&it.ordered("theo", "ban_member", ban).await).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("BAN_MEMBERS"), "{}", response.reason);
    // And what was read is known from then on.
    let call = it.ordered("theo", "timeout_member", timeout).await;
    expect(&it.run(&call).await, CallOutcome::Denied);
}

#[tokio::test]
async fn a_server_that_says_not_banned_in_its_own_words_is_understood() {
    const LOOK: &str = "GET /guilds/{guild_id}/bans/{user_id}";
    let it = Harness::start().await;
    let bob = it.user(TARGET);
    for code in [0, 404] {
        it.fault(LOOK, "error", json!({"status": 404, "code": code})).await;
        let ban = it.ordered("theo", "ban_member", json!({"member": bob.to_string()})).await;
        expect(&it.run(&ban).await, CallOutcome::Done);
        it.clear_faults().await;
        let lift = json!({"member": bob.to_string(), "action": "unban"});
        expect(&it.run(&it.ordered("theo", "ban_member", lift).await).await, CallOutcome::Done);
    }
    // A 404 to the lifting itself may be about anything: whether there is a ban is asked for.
    expect(
        &it.run(&it.ordered("theo", "ban_member", json!({"member": bob.to_string()})).await).await,
        CallOutcome::Done,
    );
    it.fault(UNBAN, "error", json!({"status": 404, "code": 0, "count": 1})).await;
    let lift = json!({"member": bob.to_string(), "action": "unban"});
    let response = it.run(&it.ordered("theo", "ban_member", lift.clone()).await).await;
    expect(&response, CallOutcome::Failed);
    assert!(ban_of(&it, bob).await.is_some());
    expect(&it.run(&it.ordered("theo", "ban_member", lift.clone()).await).await, CallOutcome::Done);
    it.fault(UNBAN, "error", json!({"status": 404, "code": 0, "count": 1})).await;
    let response = it.run(&it.ordered("theo", "ban_member", lift).await).await;
    expect(&response, CallOutcome::Done);
    assert!(content(&response)["summary"].as_str().unwrap().contains("is not banned"));
    it.fault(LOOK, "error", json!({"status": 404, "code": 10_004})).await;
    let ban = it.ordered("theo", "ban_member", json!({"member": bob.to_string()})).await;
    expect(&it.run(&ban).await, CallOutcome::Failed);
}

const BULK: &str = "POST /guilds/{guild_id}/bulk-ban";

/// A server where Ery may manage the server, as Discord asks of whoever bans many at once.
async fn managed() -> Harness {
    let it = Harness::start().await;
    let roles = it.rest(&format!("guilds/{}/roles", it.guild())).await;
    let ery = roles.as_array().unwrap().iter().find(|role| role["name"] == "Ery").unwrap();
    let bits: u64 = ery["permissions"].as_str().unwrap().parse().unwrap();
    let path = format!("/roles/{}/{}", it.guild(), ery["id"].as_str().unwrap());
    it.control_patch(&path, json!({"permissions": (bits | 1 << 5).to_string()})).await;
    it
}

fn named(it: &Harness, names: &[&str]) -> Value {
    names.iter().map(|name| it.user(name).to_string()).collect()
}

/// Bans of several people by somebody whom Discord lets ban many at once.
async fn bans_many(it: &Harness, who: &str, names: &[&str]) -> CallToolRequest {
    let arguments = json!({"members": named(it, names), "reason": "raid"});
    it.ordered(who, "ban_member", arguments).await
}

#[tokio::test]
async fn several_people_are_banned_by_one_request_that_names_who_asked() {
    let it = managed().await;
    let call = bans_many(&it, "mara", &["bob", "alice", "nils"]).await;

    let response = it.run(&call).await;

    expect(&response, CallOutcome::Done);
    let asked = it.requests("POST", "/bulk-ban").await;
    assert_eq!(asked.len(), 1);
    assert!(it.requests("PUT", "/bans/").await.is_empty());
    let mut wanted: Vec<u64> = ["bob", "alice", "nils"].map(|name| it.user(name)).to_vec();
    wanted.sort_unstable();
    let wanted: Value = wanted.into_iter().map(|id| id.to_string()).collect();
    assert_eq!(content(&response)["banned"], wanted);
    assert_eq!(content(&response)["failed"], json!([]));
    let summary = content(&response)["summary"].as_str().unwrap().to_owned();
    assert!(summary.starts_with("3 people are banned: <@"), "{summary}");
    for name in ["bob", "alice", "nils"] {
        let ban = ban_of(&it, it.user(name)).await.unwrap();
        assert_eq!(ban["reason"], format!("{}: raid [{}]", it.user("mara"), call.key));
    }
    let execution = it.store.execution(&call.key);
    assert_eq!((execution.tier.as_str(), execution.is_ordered), ("destructive", true));
    expect(&it.run(&call).await, CallOutcome::Done);
    assert_eq!(it.requests("POST", "/bulk-ban").await.len(), 1, "a repeat is the same ban");
}

#[tokio::test]
async fn whom_discord_leaves_out_is_banned_singly_or_named() {
    let it = managed().await;
    let first = json!({"member": it.user("bob").to_string(), "duration_seconds": 60});
    expect(&it.run(&it.ordered("mara", "ban_member", first).await).await, CallOutcome::Done);
    let mut members = named(&it, &["bob", "alice"]);
    members.as_array_mut().unwrap().push(json!("100000000000000001"));
    let call =
        it.ordered("mara", "ban_member", json!({"members": members, "reason": "raid"})).await;

    let response = it.run(&call).await;

    expect(&response, CallOutcome::Done);
    for name in ["bob", "alice"] {
        let ban = ban_of(&it, it.user(name)).await.unwrap();
        assert!(ban["reason"].as_str().unwrap().contains(&call.key), "it takes another's place");
    }
    let failed = content(&response)["failed"].clone();
    assert_eq!(failed.as_array().unwrap().len(), 1);
    assert_eq!(failed[0]["member"], "100000000000000001");
    let summary = content(&response)["summary"].as_str().unwrap().to_owned();
    assert!(summary.contains("Not banned: <@100000000000000001>"), "{summary}");

    // Nobody of them: it is told as Discord tells it.
    let nobody = json!({"members": ["100000000000000001", "100000000000000002"]});
    let response = it.run(&it.ordered("mara", "ban_member", nobody).await).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("knows nobody"), "{}", response.reason);
    assert_eq!(content(&response)["failed"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn who_may_ban_but_not_manage_the_server_bans_a_few_one_by_one() {
    let it = Harness::start().await;
    let call = bans_many(&it, "theo", &["bob", "alice"]).await;
    expect(&it.run(&call).await, CallOutcome::Done);
    assert!(it.requests("POST", "/bulk-ban").await.is_empty());
    assert_eq!(it.requests("PUT", "/bans/").await.len(), 2);
    let many: Value = (0..11).map(|n| (100_000_000_000_000_001_u64 + n).to_string()).collect();
    let call = it.ordered("theo", "ban_member", json!({"members": many})).await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("MANAGE_GUILD"), "{}", response.reason);
}

#[tokio::test]
async fn one_who_may_not_be_banned_protects_the_others() {
    let it = Harness::start().await;
    for (asker, names, told) in [
        ("mara", ["bob", "theo"], "My highest role"),
        ("theo", ["bob", "mara"], "owner"),
        ("theo", ["bob", "theo"], "themselves"),
        ("theo", ["bob", "Ery"], "myself"),
        ("alice", ["bob", "nils"], "BAN_MEMBERS"),
    ] {
        let response = it.run(&bans_many(&it, asker, &names).await).await;
        expect(&response, CallOutcome::Denied);
        assert!(response.reason.contains(told), "{asker}: {}", response.reason);
        let is_about_one = !told.contains("BAN_MEMBERS");
        let named = response.reason.contains(&format!("<@{}>", it.user(names[1])));
        assert_eq!(named, is_about_one, "{}", response.reason);
    }
    assert!(ban_of(&it, it.user("bob")).await.is_none());
}

#[tokio::test]
async fn an_order_to_ban_several_names_exactly_these() {
    let it = Harness::start().await;
    let ordered = bans_many(&it, "mara", &["bob", "alice"]).await;
    for names in [&["bob", "alice", "nils"][..], &["bob", "nils"], &["bob"]] {
        let other = it.call("mara", "general", "ban_member", json!({"members": named(&it, names)}));
        let call = CallToolRequest { orders: ordered.orders.clone(), ..other };
        expect(&it.run(&call).await, CallOutcome::NeedsApproval);
    }
    // In whatever order they are named.
    let arguments = json!({"members": named(&it, &["alice", "bob", "alice"])});
    let other = it.call("mara", "general", "ban_member", arguments);
    let call = CallToolRequest { orders: ordered.orders, ..other };
    expect(&it.run(&call).await, CallOutcome::Done);
    assert!(ban_of(&it, it.user("nils")).await.is_none());
}

#[tokio::test]
async fn a_proposal_to_ban_several_shows_each_of_them() {
    let it = managed().await;
    let arguments = json!({"members": named(&it, &["bob", "alice"])});
    let call = it.call("mara", "general", "ban_member", arguments);
    expect(&it.run(&call).await, CallOutcome::NeedsApproval);
    let said = it.said("general").pop().unwrap();
    assert!(said.contains("2 members:"), "{said}");
    for name in ["bob", "alice"] {
        assert!(said.contains(&format!("<@{}> (@{name}, joined <t:", it.user(name))), "{said}");
    }
    // More than can be shown is not proposed at all.
    let many: Value = (0..60).map(|n| (100_000_000_000_000_001_u64 + n).to_string()).collect();
    let call = it.call("mara", "general", "ban_member", json!({"members": many}));
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("too long to be shown"), "{}", response.reason);
}

#[tokio::test]
async fn lost_answers_ban_several_once() {
    let it = managed().await;
    let names = ["bob", "alice", "nils"];
    for (kind, more) in [
        ("lose_response", json!({"count": 1})),
        ("error", json!({"count": 2, "status": 502, "when": "after"})),
        ("error", json!({"count": 1, "status": 500, "when": "before"})),
        ("cut", json!({"count": 1})),
    ] {
        it.fault(BULK, kind, more).await;
        let call = bans_many(&it, "mara", &names).await;
        expect(&it.run(&call).await, CallOutcome::Done);
        for name in names {
            let ban = ban_of(&it, it.user(name)).await.unwrap();
            assert!(ban["reason"].as_str().unwrap().contains(&call.key), "{kind}");
            let lift = json!({"member": it.user(name).to_string(), "action": "unban"});
            expect(&it.run(&it.ordered("mara", "ban_member", lift).await).await, CallOutcome::Done);
        }
    }
    let log = it.rest(&format!("guilds/{}/audit-logs?action_type=22&limit=100", it.guild())).await;
    assert_eq!(log["audit_log_entries"].as_array().unwrap().len(), 12, "one for each ban");
}

#[tokio::test]
async fn bans_of_several_that_cannot_be_told_are_in_doubt() {
    let it = managed().await;
    it.fault(BULK, "error", json!({"count": 100, "status": 503})).await;
    it.fault(
        "GET /guilds/{guild_id}/bans/{user_id}",
        "error",
        json!({"count": 100, "status": 503}),
    )
    .await;
    let call = bans_many(&it, "mara", &["bob", "alice"]).await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::InDoubt);
    assert_eq!(content(&response)["unknown"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn several_people_are_banned_for_good_only_and_lifted_one_by_one() {
    let it = Harness::start().await;
    let both = named(&it, &["bob", "alice"]);
    for (arguments, told) in [
        (json!({"members": both, "duration_seconds": 60}), "no end"),
        (json!({"members": both, "action": "unban"}), "one by one"),
        (json!({"members": both, "member": "bob"}), "one person in member"),
        (json!({}), "one person in member"),
        (json!({"members": []}), "members"),
        (json!({"members": ["bob", "bobby-nobody"]}), "No member"),
        (json!({"members": vec!["1"; 201]}), "members"),
    ] {
        let response = it.run(&it.call("mara", "general", "ban_member", arguments)).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains(told), "{}", response.reason);
    }
    assert!(it.requests("POST", "/bulk-ban").await.is_empty());
}

#[tokio::test]
async fn a_raids_many_members_are_read_by_pages_and_judged_each() {
    let it = managed().await;
    let guild = it.guild().to_string();
    let mut raiders = Vec::new();
    for number in 0..40 {
        let raider = json!({"guild_id": guild, "username": format!("raider{number}")});
        let member = it.control("/members", raider).await;
        raiders.push(member["user"]["id"].as_str().unwrap().to_owned());
    }
    // Some are gone already.
    raiders.extend((0..40).map(|gone: u64| (100_000_000_000_000_001 + gone).to_string()));
    let with_theo: Vec<String> =
        raiders.iter().cloned().chain([it.user("theo").to_string()]).collect();
    let call = it.ordered("mara", "ban_member", json!({ "members": with_theo })).await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains(&format!("<@{}>", it.user("theo"))), "{}", response.reason);

    raiders.truncate(40);
    let before = it.requests("GET", "/members").await.len();
    let call = it.ordered("mara", "ban_member", json!({ "members": raiders })).await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(content(&response)["banned"].as_array().unwrap().len(), 40);
    assert_eq!(it.requests("POST", "/bulk-ban").await.len(), 1);
    let reads = it.requests("GET", "/members").await.len() - before;
    assert!(reads <= 2, "{reads} requests");
}
