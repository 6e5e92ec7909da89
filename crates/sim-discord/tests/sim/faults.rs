//! What goes wrong on the Gateway by order, and a clock that jumps.

use std::time::Duration;

use ery_sim_discord::DEMO_TOKEN;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    gateway::{GUILD_MESSAGES, Socket, identify},
    support::Sim,
};

/// Messages of guilds, with their content.
const TALK: u64 = GUILD_MESSAGES | (1 << 15);

fn resume(ready: &Value, seq: u64) -> Value {
    let d = json!({ "token": DEMO_TOKEN, "session_id": ready["d"]["session_id"], "seq": seq });
    json!({ "op": 6, "d": d })
}

#[tokio::test]
async fn a_dispatch_comes_twice_late_or_never() {
    let sim = Sim::start().await;
    let (mut socket, _) = Socket::identified(&sim, TALK).await;
    let route = "GATEWAY MESSAGE_CREATE";
    sim.post("/faults", json!({ "route": route, "kind": "duplicate", "count": 1 })).await;
    sim.say("bob", "general", "twice").await;
    let first = socket.frame().await;
    assert_eq!(socket.frame().await, first);

    sim.post("/faults", json!({ "route": route, "kind": "lose", "count": 1 })).await;
    sim.say("bob", "general", "never").await;
    let late = json!({ "route": route, "kind": "delay", "delay_ms": 150, "count": 1 });
    sim.post("/faults", late).await;
    sim.say("bob", "general", "late").await;
    sim.say("bob", "general", "in time").await;
    let next = socket.frame().await;
    assert_eq!((&next["d"]["content"], &next["s"]), (&json!("in time"), &json!(3)));
    let next = socket.frame().await;
    assert_eq!((&next["d"]["content"], &next["s"]), (&json!("late"), &json!(4)));
    let listed = sim.control(Method::GET, "/faults", Value::Null).await.1;
    assert_eq!(listed, json!({ "faults": [] }));
}

#[tokio::test]
async fn a_cut_before_a_dispatch_loses_nothing() {
    let sim = Sim::start().await;
    let (mut socket, ready) = Socket::identified(&sim, TALK).await;
    let fault = json!({ "route": "GATEWAY MESSAGE_CREATE", "kind": "cut", "count": 1 });
    sim.post("/faults", fault).await;
    sim.say("bob", "general", "missed").await;
    while let Some(Ok(message)) = futures::StreamExt::next(&mut socket.0).await {
        assert!(!message.is_text(), "{message}");
    }
    let mut socket = Socket::greeted(&sim).await;
    socket.send(resume(&ready, 1)).await;
    assert_eq!(socket.frame().await["d"]["content"], "missed");
    assert_eq!(socket.frame().await["t"], "RESUMED");
}

#[tokio::test]
async fn resumes_are_refused_as_often_as_ordered() {
    let sim = Sim::start().await;
    let (socket, ready) = Socket::identified(&sim, TALK).await;
    drop(socket);
    let fault = json!({ "route": "GATEWAY RESUME", "kind": "refuse", "count": 1 });
    let ordered = sim.post("/faults", fault).await;
    assert_eq!((&ordered["id"], &ordered["struck"]), (&json!(1), &json!(0)));
    let mut socket = Socket::greeted(&sim).await;
    socket.send(resume(&ready, 1)).await;
    assert_eq!(socket.frame().await, json!({ "op": 9, "d": false, "s": null, "t": null }));
    socket.send(identify(0, [0, 1])).await;
    assert_eq!(socket.frame().await["t"], "READY");
}

#[tokio::test]
async fn what_a_client_sends_goes_wrong_too() {
    let sim = Sim::start().await;
    let closed =
        json!({ "route": "GATEWAY IDENTIFY", "kind": "error", "status": 4009, "count": 1 });
    sim.post("/faults", closed).await;
    let mut socket = Socket::greeted(&sim).await;
    socket.send(identify(0, [0, 1])).await;
    assert_eq!(socket.close_code().await, 4009);

    let (mut socket, _) = Socket::identified(&sim, 0).await;
    sim.post("/faults", json!({ "route": "GATEWAY HEARTBEAT", "kind": "lose", "count": 1 })).await;
    socket.send(json!({ "op": 1, "d": 1 })).await;
    socket.send(json!({ "op": 1, "d": 1 })).await;
    assert_eq!(socket.frame().await["op"], 11);
    let silent = tokio::time::timeout(Duration::from_millis(200), socket.frame()).await;
    assert!(silent.is_err(), "one of two heartbeats is answered: {silent:?}");
}

#[tokio::test]
async fn connections_are_closed_and_told_to_resume_by_order() {
    let sim = Sim::start().await;
    let (mut socket, ready) = Socket::identified(&sim, TALK).await;
    sim.post("/gateway", json!({ "do": "invalid", "resumable": true })).await;
    assert_eq!(socket.frame().await, json!({ "op": 9, "d": true, "s": null, "t": null }));
    socket.send(resume(&ready, 1)).await;
    assert_eq!(socket.frame().await["t"], "RESUMED");
    let other = sim.post("/gateway", json!({ "do": "close", "session_id": "nobody's" })).await;
    assert_eq!(other["sessions"], 0);
    sim.post("/gateway", json!({ "do": "close", "code": 4000 })).await;
    assert_eq!(socket.close_code().await, 4000);
    let wrong = sim.control(Method::POST, "/gateway", json!({ "do": "close", "code": 1006 })).await;
    assert_eq!(wrong.0, 400);
}

#[tokio::test]
async fn faults_are_listed_and_taken_back() {
    let sim = Sim::start().await;
    let first = sim.post("/faults", json!({ "route": "*", "kind": "error", "status": 503 })).await;
    sim.post("/faults", json!({ "route": "GATEWAY *", "kind": "duplicate" })).await;
    assert_eq!(sim.rest(Method::GET, "/users/@me", Value::Null).await.0, 503);
    let listed = sim.get("/faults").await;
    assert_eq!(listed["faults"].as_array().unwrap().len(), 2);
    assert_eq!(listed["faults"][0]["struck"], 1);
    let path = format!("/faults/{}", first["id"]);
    assert_eq!(sim.control(Method::DELETE, &path, Value::Null).await.0, 204);
    assert_eq!(sim.control(Method::DELETE, &path, Value::Null).await.0, 404);
    assert_eq!(sim.rest(Method::GET, "/users/@me", Value::Null).await.0, 200);
    assert_eq!(sim.control(Method::DELETE, "/faults", Value::Null).await.1["cleared"], 1);
    let nonsense = json!({ "route": "GATEWAY RESUME", "kind": "rate_limit" });
    assert_eq!(sim.control(Method::POST, "/faults", nonsense).await.0, 400);
}

#[tokio::test]
async fn the_worlds_time_jumps_and_goes_right_again() {
    let sim = Sim::start().await;
    let hour = 3_600_000_i64;
    let before = sim.get("/clock").await;
    assert_eq!(before["offset_ms"], 0);
    let jumped = sim.post("/clock", json!({ "jump_ms": hour })).await;
    assert_eq!(jumped["offset_ms"], hour);
    let made_at = |id: &str| (id.parse::<i64>().unwrap() >> 22) + 1_420_070_400_000;
    let said = sim.say("bob", "general", "in an hour").await;
    assert!(made_at(&said) >= before["now_ms"].as_i64().unwrap() + hour);
    let right = sim.control(Method::DELETE, "/clock", Value::Null).await.1;
    assert_eq!(right["offset_ms"], 0);
}
