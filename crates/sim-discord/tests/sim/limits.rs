//! Rate limits as a client meets them.

use ery_sim_discord::Options;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::Sim;

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

fn limited(options: &mut Options) {
    options.rate_limits = true;
}

async fn set(sim: &Sim, change: Value) {
    let (status, answer) = sim.control(Method::PATCH, "/settings", change).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn a_bucket_tells_how_it_stands_and_when_it_is_empty() {
    let sim = Sim::start_with(limited).await;
    let path = format!("/channels/{}/messages", sim.channel("general"));
    for remaining in (0..5).rev() {
        let sent = sim.raw(Method::POST, &path, json!({ "content": "x" })).await.unwrap();
        assert_eq!(sent.status(), 200);
        assert_eq!(header(&sent, "x-ratelimit-limit"), Some("5"));
        assert_eq!(header(&sent, "x-ratelimit-remaining"), Some(&*remaining.to_string()));
        assert!(header(&sent, "x-ratelimit-bucket").is_some_and(|bucket| !bucket.is_empty()));
    }
    let refused = sim.raw(Method::POST, &path, json!({ "content": "x" })).await.unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(header(&refused, "x-ratelimit-scope"), Some("user"));
    assert_eq!(header(&refused, "x-ratelimit-global"), None);
    assert!(header(&refused, "via").is_some());
    let whole: f64 = header(&refused, "retry-after").unwrap().parse().unwrap();
    let body: Value = refused.json().await.unwrap();
    let exact = body["retry_after"].as_f64().unwrap();
    assert!(exact <= whole && whole < exact + 1.0, "{exact} {whole}");
    assert_eq!(body["global"], false);
}

#[tokio::test]
async fn the_global_limit_names_no_bucket() {
    let sim = Sim::start_with(limited).await;
    set(&sim, json!({ "global_requests_per_second": 0 })).await;
    let refused = sim.raw(Method::GET, "/users/@me", Value::Null).await.unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(header(&refused, "x-ratelimit-global"), Some("true"));
    assert_eq!(header(&refused, "x-ratelimit-scope"), Some("global"));
    assert_eq!(header(&refused, "x-ratelimit-bucket"), None);
    assert_eq!(refused.json::<Value>().await.unwrap()["global"], true);
    set(&sim, json!({ "global_limit": false })).await;
    assert_eq!(sim.rest(Method::GET, "/users/@me", Value::Null).await.0, 200);
}

#[tokio::test]
async fn a_channel_is_renamed_twice_in_ten_minutes() {
    let sim = Sim::start_with(limited).await;
    set(&sim, json!({ "route_limits": false, "global_limit": false })).await;
    let path = format!("/channels/{}", sim.channel("general"));
    // Ery has MANAGE_CHANNELS.
    for name in ["one", "two"] {
        assert_eq!(sim.rest(Method::PATCH, &path, json!({ "name": name })).await.0, 200);
    }
    let refused = sim.raw(Method::PATCH, &path, json!({ "topic": "three" })).await.unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(header(&refused, "x-ratelimit-scope"), Some("shared"));
    let body: Value = refused.json().await.unwrap();
    assert!(body["retry_after"].as_f64().unwrap() > 500.0, "{body}");
    assert_eq!(sim.rest(Method::PATCH, &path, json!({ "nsfw": false })).await.0, 200);
    set(&sim, json!({ "long_limits": false })).await;
    assert_eq!(sim.rest(Method::PATCH, &path, json!({ "name": "three" })).await.0, 200);
}

#[tokio::test]
async fn an_address_with_too_many_invalid_requests_is_turned_away() {
    let sim = Sim::start_with(limited).await;
    set(&sim, json!({ "invalid_requests": 3, "route_limits": false })).await;
    let shared =
        json!({ "route": "GET /users/@me", "kind": "rate_limit", "scope": "shared", "count": 3 });
    sim.post("/faults", shared).await;
    for _ in 0..3 {
        assert_eq!(sim.rest(Method::GET, "/users/@me", Value::Null).await.0, 429);
    }
    // Those were shared, and do not count; these do.
    let staff = format!("/guilds/{}/members/{}", sim.guild(), sim.user("mara"));
    for _ in 0..3 {
        assert_eq!(sim.rest(Method::DELETE, &staff, Value::Null).await.0, 403);
    }
    let turned_away = sim.raw(Method::GET, "/users/@me", Value::Null).await.unwrap();
    assert_eq!(turned_away.status(), 429);
    assert_eq!(header(&turned_away, "via"), None);
    assert_ne!(header(&turned_away, "content-type"), Some("application/json"));
    assert!(header(&turned_away, "retry-after").is_some());
    set(&sim, json!({ "invalid_limit": false })).await;
    assert_eq!(sim.rest(Method::GET, "/users/@me", Value::Null).await.0, 200);
}

#[tokio::test]
async fn sessions_of_a_day_are_counted_and_may_be_limited() {
    let sim = Sim::start().await;
    set(&sim, json!({ "session_starts": 2, "session_start_limit": true })).await;
    for remaining in [1, 0] {
        let (_, _) = crate::gateway::Socket::identified(&sim, 0).await;
        let (_, told) = sim.rest(Method::GET, "/gateway/bot", Value::Null).await;
        let limit = &told["session_start_limit"];
        assert_eq!((&limit["total"], &limit["remaining"]), (&json!(2), &json!(remaining)));
        assert!(limit["reset_after"].as_u64().unwrap() <= 86_400_000);
    }
    let mut socket = crate::gateway::Socket::greeted(&sim).await;
    socket.send(crate::gateway::identify(0, [0, 1])).await;
    assert_eq!(socket.close_code().await, 4004);
}

#[tokio::test]
async fn shards_of_one_bucket_identify_one_by_one() {
    let sim = Sim::start_with(|options| {
        options.rate_limits = true;
        options.max_concurrency = 2;
    })
    .await;
    let mut answers = Vec::new();
    for shard in [0, 1, 2] {
        let mut socket = crate::gateway::Socket::greeted(&sim).await;
        socket.send(crate::gateway::identify(0, [shard, 4])).await;
        let frame = socket.frame().await;
        answers.push((frame["op"].as_u64().unwrap(), frame["d"].clone()));
    }
    assert_eq!((answers[0].0, answers[1].0), (0, 0));
    assert_eq!(answers[2], (9, json!(false)), "shard 2 shares the bucket of shard 0");
}
