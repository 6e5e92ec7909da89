//! Invites: who makes them, who comes by them, and when they are over.

use std::{sync::Arc, time::Duration};

use ery_clock::ManualClock;
use reqwest::Method;
use serde_json::{Value, json};
use twilight_gateway::{Event, Intents};

use crate::support::{Bot, Sim, code, now};

impl Sim {
    async fn invite(&self, channel: &str, body: Value) -> (u16, Value) {
        let path = format!("/channels/{}/invites", self.channel(channel));
        self.rest(Method::POST, &path, body).await
    }

    async fn come_by(&self, code: &Value, body: Value) -> (u16, Value) {
        let path = format!("/invites/{}/uses", code.as_str().unwrap());
        self.control(Method::POST, &path, body).await
    }
}

#[tokio::test]
async fn an_invite_is_made_anew_only_if_it_is_to_be_unique() {
    let sim = Sim::start().await;
    let (status, first) = sim.invite("general", json!({})).await;
    assert_eq!((status, &first["max_age"], &first["uses"]), (200, &json!(86_400), &json!(0)));
    assert_eq!(first["channel"]["name"], "general");
    assert_eq!(first["inviter"]["username"], "Ery");
    assert_eq!(sim.invite("general", json!({})).await.1["code"], first["code"]);
    assert_ne!(sim.invite("general", json!({ "max_uses": 3 })).await.1["code"], first["code"]);
    assert_ne!(sim.invite("general", json!({ "unique": true })).await.1["code"], first["code"]);

    let path = format!("/invites/{}?with_counts=true", first["code"].as_str().unwrap());
    let shown = sim.rest(Method::GET, &path, Value::Null).await.1;
    assert_eq!(shown["approximate_member_count"], 8);
    assert_eq!((shown.get("uses"), &shown["guild"]["name"]), (None, &json!("Harbour Café")));
    let path = format!("/channels/{}/invites", sim.channel("general"));
    assert_eq!(sim.rest(Method::GET, &path, Value::Null).await.1.as_array().unwrap().len(), 3);

    let bare = sim.invite("general", Value::Null).await;
    assert_eq!(code(&bare), (400, 50_109));
    for wrong in
        [json!({ "max_age": 604_801 }), json!({ "max_age": -1 }), json!({ "max_uses": 101 })]
    {
        assert_eq!(code(&sim.invite("general", wrong.clone()).await), (400, 50_035), "{wrong}");
    }
    let unknown = sim.rest(Method::GET, "/invites/nothing", Value::Null).await;
    assert_eq!(code(&unknown), (404, 10_006));
}

#[tokio::test]
async fn people_come_until_an_invite_is_used_up() {
    let sim = Sim::start().await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let invite = sim.invite("general", json!({ "max_uses": 2 })).await.1;
    bot.wait_for(|event| matches!(event, Event::InviteCreate(it) if it.max_uses == 2)).await;
    let code_of = &invite["code"];
    let (status, member) = sim.come_by(code_of, json!({ "username": "ines" })).await;
    assert_eq!((status, &member["user"]["username"]), (200, &json!("ines")));
    bot.wait_for(|event| matches!(event, Event::MemberAdd(_))).await;
    // Who is a member already does not use it.
    assert_eq!(sim.come_by(code_of, json!({ "user_id": sim.user("bob") })).await.0, 200);
    let ban = format!("/bans/{}/{}", sim.guild(), sim.user("zoe"));
    assert_eq!(sim.control(Method::PUT, &ban, json!({})).await.0, 204);
    let banned = sim.come_by(code_of, json!({ "user_id": sim.user("zoe") })).await;
    assert_eq!(code(&banned), (403, 40_007));
    let listed = sim.get(&format!("/invites?guild_id={}", sim.guild())).await;
    assert_eq!(listed[0]["uses"], 1);
    assert_eq!(sim.come_by(code_of, json!({ "username": "olaf" })).await.0, 200);
    bot.wait_for(|event| matches!(event, Event::InviteDelete(it) if json!(it.code) == *code_of))
        .await;
    assert_eq!(code(&sim.come_by(code_of, json!({ "username": "late" })).await), (404, 10_006));
}

#[tokio::test]
async fn an_invite_is_over_when_its_time_is() {
    let clock = Arc::new(ManualClock::at(now()));
    let sim = Sim::start_at(&clock).await;
    let invite = sim.invite("general", json!({ "max_age": 60 })).await.1;
    let path = format!("/invites/{}", invite["code"].as_str().unwrap());
    clock.advance(Duration::from_secs(59));
    assert_eq!(sim.rest(Method::GET, &path, Value::Null).await.0, 200);
    clock.advance(Duration::from_secs(1));
    assert_eq!(code(&sim.rest(Method::GET, &path, Value::Null).await), (404, 10_006));
    let forever = sim.invite("general", json!({ "max_age": 0 })).await.1;
    assert_eq!(forever["expires_at"], Value::Null);
}

#[tokio::test]
async fn those_who_manage_a_channel_withdraw_its_invites() {
    let sim = Sim::start().await;
    let by_bob = json!({ "channel_id": sim.channel("general"), "user_id": sim.user("bob") });
    let invite = sim.post("/invites", by_bob).await;
    let path = format!("/invites/{}", invite["code"].as_str().unwrap());
    let alice = format!("{path}?user_id={}", sim.user("alice"));
    assert_eq!(code(&sim.control(Method::DELETE, &alice, Value::Null).await), (403, 50_013));
    let hidden = json!({ "channel_id": sim.channel("staff"), "user_id": sim.user("bob") });
    assert_eq!(code(&sim.control(Method::POST, "/invites", hidden).await), (403, 50_001));

    let gone = sim.rest(Method::DELETE, &path, Value::Null).await;
    assert_eq!((gone.0, &gone.1["code"]), (200, &invite["code"]));
    assert_eq!(code(&sim.rest(Method::DELETE, &path, Value::Null).await), (404, 10_006));
    let log = format!("/guilds/{}/audit-logs", sim.guild());
    let log = sim.rest(Method::GET, &log, Value::Null).await.1;
    let kinds: Vec<u64> = log["audit_log_entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action_type"].as_u64().unwrap())
        .collect();
    assert_eq!(kinds, [42, 40]);
}

#[tokio::test]
async fn invites_stay_in_a_world_file_and_go_with_their_channel() {
    let sim = Sim::start().await;
    sim.invite("recipes", json!({ "max_uses": 5, "temporary": true })).await;
    let told = sim.get("/world").await;
    let again = sim.again_from(&told).await;
    assert_eq!(again.get("/world").await, told);
    let path = format!("/channels/{}", sim.channel("recipes"));
    assert_eq!(sim.rest(Method::DELETE, &path, Value::Null).await.0, 200);
    let left =
        sim.rest(Method::GET, &format!("/guilds/{}/invites", sim.guild()), Value::Null).await;
    assert_eq!(left, (200, json!([])));
}
