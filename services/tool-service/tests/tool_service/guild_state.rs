//! What is known of guilds, and when it is forgotten.

use std::time::Duration;

use serde_json::{Value, json};

use ery_event_bus::Followed;
use ery_proto::tool::v1::{CallOutcome, DescribePeopleRequest};

use crate::support::{Harness, expect};

/// Everything that a guild's first event tells, by REST.
async fn guild_create(it: &Harness) -> Value {
    let guild = it.guild();
    let mut payload = it.rest(&format!("guilds/{guild}")).await;
    payload["channels"] = it.rest(&format!("guilds/{guild}/channels")).await;
    let members = it.rest(&format!("guilds/{guild}/members?limit=100")).await;
    payload["member_count"] = json!(members.as_array().unwrap().len());
    payload["members"] = members;
    payload["threads"] = json!([]);
    payload
}

async fn rights(it: &Harness, who: &str) -> String {
    let request = DescribePeopleRequest {
        guild_id: it.guild(),
        channel_id: it.channel("general"),
        user_ids: vec![it.user(who)],
    };
    it.client().describe_people(request).await.unwrap().into_inner().people[0].rights.clone()
}

#[tokio::test]
async fn a_warm_decision_costs_no_request() {
    let it = Harness::start().await;
    let call = || it.call("bob", "general", "send_message", json!({"content": "x"}));
    expect(&it.run(&call()).await, CallOutcome::Done);
    let before = it.log().await.len();
    for _ in 0..5 {
        expect(&it.run(&call()).await, CallOutcome::Done);
    }
    assert_eq!(it.log().await.len() - before, 5, "one request for each message");
}

#[tokio::test]
async fn a_cold_guild_is_read_once_however_many_ask() {
    let it = Harness::start().await;
    let calls: Vec<_> = (0..20)
        .map(|number| {
            it.call("bob", "general", "send_message", json!({"content": number.to_string()}))
        })
        .collect();
    let runs = calls.iter().map(|call| it.run(call));
    for response in futures::future::join_all(runs).await {
        expect(&response, CallOutcome::Done);
    }
    let guild = it.guild();
    for path in [
        "/users/@me".to_owned(),
        format!("/guilds/{guild}/channels"),
        format!("/guilds/{guild}/threads/active"),
        format!("/guilds/{guild}/members/{}", it.user("bob")),
        format!("/guilds/{guild}/members/{}", it.user("Ery")),
    ] {
        assert_eq!(it.requests("GET", &path).await.len(), 1, "{path}");
    }
}

#[tokio::test]
async fn a_session_of_another_bot_lets_ery_ask_who_she_is() {
    let mut it = Harness::start().await;
    let says = |it: &Harness| it.call("bob", "general", "send_message", json!({"content": "x"}));
    expect(&it.run(&says(&it)).await, CallOutcome::Done);
    it.begin_discord_anew().await;
    // Who she was there is nobody here, as events do not tell yet.
    expect(&it.run(&says(&it)).await, CallOutcome::Denied);
    it.event("guild_create", &guild_create(&it).await);
    eventually(&it, "Ery", "ery").await;
    expect(&it.run(&says(&it)).await, CallOutcome::Done);
}

#[tokio::test]
async fn events_of_a_bot_that_is_not_ours_let_ery_ask_once() {
    let it = Harness::start().await;
    assert_eq!(rights(&it, "theo").await, "moderator");
    let theo = json!({
        "guild_id": it.guild().to_string(),
        "user": { "id": it.user("theo").to_string(), "username": "theo" },
    });
    it.event_of(it.user("zoe"), "guild_member_remove", &theo);
    // All that was known is forgotten with it, and what Discord says is true.
    while it.requests("GET", "/users/@me").await.len() < 2 {
        assert_eq!(rights(&it, "theo").await, "moderator");
    }
    it.event_of(it.user("zoe"), "guild_member_remove", &theo);
    eventually(&it, "theo", "stranger").await;
    assert_eq!(it.requests("GET", "/users/@me").await.len(), 2);
}

#[tokio::test]
async fn guild_create_tells_all_and_later_events_change_it() {
    let it = Harness::start().await;
    let payload = guild_create(&it).await;
    it.event("guild_create", &payload);
    let mut known = String::new();
    for _ in 0..500 {
        known = rights(&it, "theo").await;
        if it.requests("GET", &format!("/members/{}", it.user("theo"))).await.is_empty() {
            break;
        }
    }
    assert_eq!(known, "moderator");
    for (who, expected) in [("mara", "owner"), ("bob", "member"), ("zoe", "member"), ("Ery", "ery")]
    {
        assert_eq!(rights(&it, who).await, expected, "{who}");
    }
    let requests = it.requests("GET", "/members/").await;
    assert!(requests.is_empty(), "{requests:?}");

    // Theo loses his roles.
    let (theo_id, guild_id) = (it.user("theo").to_string(), it.guild().to_string());
    let mut theo = payload["members"]
        .as_array()
        .unwrap()
        .iter()
        .find(|member| member["user"]["id"] == theo_id)
        .unwrap()
        .clone();
    theo["guild_id"] = json!(it.guild().to_string());
    theo["roles"] = json!([]);
    it.event("guild_member_update", &theo);
    eventually(&it, "theo", "member").await;
    // And the role of all becomes an administrator's.
    let mut everyone = payload["roles"]
        .as_array()
        .unwrap()
        .iter()
        .find(|role| role["id"] == guild_id)
        .unwrap()
        .clone();
    everyone["permissions"] = json!("8");
    it.event("guild_role_update", &json!({"guild_id": it.guild().to_string(), "role": everyone}));
    eventually(&it, "bob", "administrator").await;
    it.event(
        "guild_member_remove",
        &json!({"guild_id": it.guild().to_string(), "user": theo["user"]}),
    );
    eventually(&it, "theo", "stranger").await;
    assert!(it.requests("GET", "/members/").await.is_empty());
}

async fn eventually(it: &Harness, who: &str, expected: &str) {
    for _ in 0..500 {
        if rights(it, who).await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(rights(it, who).await, expected, "{who}");
}

#[tokio::test]
async fn a_gap_and_an_outage_of_the_bus_make_all_forgotten() {
    let it = Harness::start().await;
    assert_eq!(rights(&it, "theo").await, "moderator");
    let reads = || async { it.requests("GET", "/threads/active").await.len() };
    assert_eq!(reads().await, 1);
    it.bus.tell(&Followed::Gap);
    for _ in 0..500 {
        rights(&it, "theo").await;
        if reads().await == 2 {
            break;
        }
    }
    assert_eq!(reads().await, 2, "it was read anew after the gap");
    it.bus.cut();
    it.until("the outage is noticed", || !it.service.readiness().is_ready()).await;
    assert_eq!(rights(&it, "theo").await, "moderator", "served once events are followed again");
    assert_eq!(reads().await, 3);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_makes_its_guild_forgotten() {
    let it = Harness::start().await;
    assert_eq!(rights(&it, "theo").await, "moderator");
    it.event("guild_role_update", &json!({"guild_id": it.guild().to_string(), "role": 7}));
    let mut reads = 1;
    for _ in 0..500 {
        rights(&it, "theo").await;
        reads = it.requests("GET", "/threads/active").await.len();
        if reads == 2 {
            break;
        }
    }
    assert_eq!(reads, 2);
}
