//! What a guild plans, who is interested, and how it goes.

use std::{sync::Arc, time::Duration};

use ery_clock::ManualClock;
use reqwest::Method;
use serde_json::{Value, json};
use twilight_gateway::{Event, Intents};

use crate::support::{Bot, Sim, code, now};

fn in_minutes(minutes: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(now().as_secs() + minutes * 60).unwrap();
    at.format(&time::format_description::well_known::Rfc3339).unwrap()
}

/// An event at the harbour that the document and Discord agree with.
fn quiz() -> Value {
    json!({
        "name": "Quiz night", "privacy_level": 2, "entity_type": 3,
        "scheduled_start_time": in_minutes(60), "scheduled_end_time": in_minutes(120),
        "entity_metadata": { "location": "The harbour" }
    })
}

fn with(change: &Value) -> Value {
    let mut body = quiz();
    for (key, value) in change.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

impl Sim {
    fn events(&self) -> String {
        format!("/guilds/{}/scheduled-events", self.guild())
    }

    async fn plan(&self, body: Value) -> (u16, Value) {
        self.rest(Method::POST, &self.events(), body).await
    }

    fn event(&self, event: &Value) -> String {
        format!("{}/{}", self.events(), event["id"].as_str().unwrap())
    }
}

#[tokio::test]
async fn an_event_is_planned_changed_and_called_off() {
    let sim = Sim::start().await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let (status, event) = sim.plan(quiz()).await;
    assert_eq!(
        (status, &event["status"], &event["creator"]["username"]),
        (200, &json!(1), &json!("Ery"))
    );
    assert_eq!(event["entity_metadata"]["location"], "The harbour");
    bot.wait_for(|event| matches!(event, Event::GuildScheduledEventCreate(_))).await;

    let path = sim.event(&event);
    let edited = sim.rest(Method::PATCH, &path, json!({ "description": "Teams of four" })).await;
    assert_eq!((edited.0, &edited.1["description"]), (200, &json!("Teams of four")));
    bot.wait_for(|event| matches!(event, Event::GuildScheduledEventUpdate(_))).await;
    let skipped = sim.rest(Method::PATCH, &path, json!({ "status": 3 })).await;
    assert_eq!(code(&skipped), (400, 50_035));
    assert_eq!(sim.rest(Method::PATCH, &path, json!({ "status": 4 })).await.1["status"], 4);
    let late = sim.rest(Method::PATCH, &path, json!({ "name": "No" })).await;
    assert_eq!(code(&late), (400, 180_000));
    assert_eq!(sim.rest(Method::GET, &sim.events(), Value::Null).await, (200, json!([])));

    let other = sim.plan(quiz()).await.1;
    assert_eq!(sim.rest(Method::DELETE, &sim.event(&other), Value::Null).await.0, 204);
    bot.wait_for(|event| matches!(event, Event::GuildScheduledEventDelete(_))).await;
    assert_eq!(code(&sim.rest(Method::GET, &sim.event(&other), Value::Null).await), (404, 10_070));
    let log = format!("/guilds/{}/audit-logs", sim.guild());
    let log = sim.rest(Method::GET, &log, Value::Null).await.1;
    let entries = log["audit_log_entries"].as_array().unwrap().iter();
    let kinds: Vec<u64> = entries.map(|entry| entry["action_type"].as_u64().unwrap()).collect();
    assert_eq!(kinds, [102, 100, 101, 101, 100]);
    assert_eq!(log["guild_scheduled_events"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn each_kind_of_event_needs_its_own_fields() {
    let sim = Sim::start().await;
    let guild = sim.guild();
    let voice = json!({ "guild_id": guild, "name": "talk", "type": 2 });
    let voice = sim.post("/channels", voice).await["id"].clone();
    for (change, expected) in [
        (json!({ "scheduled_start_time": in_minutes(-1) }), (400, 50_035)),
        (json!({ "scheduled_end_time": in_minutes(30) }), (400, 50_035)),
        (json!({ "scheduled_end_time": null }), (400, 50_035)),
        (json!({ "entity_metadata": null }), (400, 50_035)),
        (json!({ "entity_metadata": { "location": "x".repeat(101) } }), (400, 50_035)),
        (json!({ "name": "" }), (400, 50_035)),
        (json!({ "name": "x".repeat(101) }), (400, 50_035)),
        (json!({ "description": "x".repeat(1_001) }), (400, 50_035)),
        (json!({ "privacy_level": 1 }), (400, 50_035)),
        (json!({ "channel_id": voice }), (400, 50_035)),
        (json!({ "entity_type": 2, "entity_metadata": null }), (400, 50_035)),
        (json!({ "entity_type": 4 }), (400, 50_035)),
        (json!({ "entity_type": 2, "channel_id": sim.channel("general") }), (400, 50_024)),
        (json!({ "entity_type": 2, "channel_id": "77" }), (404, 10_003)),
    ] {
        assert_eq!(code(&sim.plan(with(&change)).await), expected, "{change}");
    }
    let mut talk = with(&json!({ "entity_type": 2, "channel_id": voice }));
    talk.as_object_mut().unwrap().remove("entity_metadata");
    let (status, talk) = sim.plan(talk).await;
    assert_eq!((status, &talk["channel_id"]), (200, &voice));
    assert_eq!(talk["entity_metadata"], Value::Null);
    let outside = json!({
        "entity_type": 3, "channel_id": null, "entity_metadata": { "location": "Outside" }
    });
    let moved = sim.rest(Method::PATCH, &sim.event(&talk), outside).await;
    assert_eq!((moved.0, &moved.1["entity_metadata"]["location"]), (200, &json!("Outside")));
}

#[tokio::test]
async fn people_are_interested_and_plan_as_far_as_they_may() {
    let sim = Sim::start().await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let event = sim.plan(quiz()).await.1;
    let control = format!("/scheduled-events/{}/{}", sim.guild(), event["id"].as_str().unwrap());
    for who in ["bob", "alice", "bob"] {
        let path = format!("{control}/users/{}", sim.user(who));
        assert_eq!(sim.control(Method::PUT, &path, Value::Null).await.0, 204);
    }
    bot.wait_for(|event| matches!(event, Event::GuildScheduledEventUserAdd(_))).await;
    let shown = format!("{}?with_user_count=true", sim.event(&event));
    assert_eq!(sim.rest(Method::GET, &shown, Value::Null).await.1["user_count"], 2);
    let users =
        format!("{}/users?with_member=true&limit=1&after={}", sim.event(&event), sim.user("bob"));
    let users = sim.rest(Method::GET, &users, Value::Null).await.1;
    assert_eq!(users.as_array().unwrap().len(), 1);
    assert_eq!(users[0]["member"]["user"]["username"], "alice");
    let bob = format!("{control}/users/{}", sim.user("bob"));
    assert_eq!(sim.control(Method::DELETE, &bob, Value::Null).await.0, 204);
    bot.wait_for(|event| matches!(event, Event::GuildScheduledEventUserRemove(_))).await;

    let by = |who: &str| {
        json!({
            "guild_id": sim.guild(), "user_id": sim.user(who), "name": "Open stage", "entity_type": 3,
            "scheduled_start_time": in_minutes(60), "scheduled_end_time": in_minutes(90),
            "location": "Here"
        })
    };
    let refused = sim.control(Method::POST, "/scheduled-events", by("bob")).await;
    assert_eq!(code(&refused), (403, 50_013));
    let planned = sim.control(Method::POST, "/scheduled-events", by("mara")).await;
    assert_eq!(planned.0, 201);
    // Ery may plan, which is not managing what others planned; an administrator may do that.
    let renamed = sim.rest(Method::PATCH, &sim.event(&planned.1), json!({ "name": "Stage" })).await;
    assert_eq!(code(&renamed), (403, 50_013));
    let by_mara = json!({ "user_id": sim.user("mara"), "name": "Quiz" });
    assert_eq!(sim.control(Method::PATCH, &control, by_mara).await.1["name"], "Quiz");
    let by_bob = json!({ "user_id": sim.user("bob"), "name": "Mine" });
    assert_eq!(code(&sim.control(Method::PATCH, &control, by_bob).await), (403, 50_013));
}

#[tokio::test]
async fn a_hundred_events_are_enough_and_they_stay_in_a_world_file() {
    let sim = Sim::start().await;
    for _ in 0..100 {
        assert_eq!(sim.plan(quiz()).await.0, 200);
    }
    assert_eq!(code(&sim.plan(quiz()).await), (400, 30_038));
    let told = sim.get("/world").await;
    let again = sim.again_from(&told).await;
    assert_eq!(again.get("/world").await, told);
    let bot = Bot::connect(&again, Intents::all()).await;
    assert_eq!(bot.guild.guild_scheduled_events.len(), 100);
}

#[tokio::test]
async fn an_event_somewhere_else_begins_and_ends_by_itself() {
    let clock = Arc::new(ManualClock::at(now()));
    let sim = Sim::start_at(&clock).await;
    let event = sim.plan(quiz()).await.1;
    let status = async || {
        sim.rest(Method::GET, &sim.event(&event), Value::Null).await.1["status"].as_u64().unwrap()
    };
    clock.advance(Duration::from_mins(59));
    assert_eq!(status().await, 1);
    clock.advance(Duration::from_mins(2));
    assert_eq!(status().await, 2);
    clock.advance(Duration::from_hours(1));
    assert_eq!(status().await, 3);
}
