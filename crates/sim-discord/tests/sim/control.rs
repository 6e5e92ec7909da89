//! The control API: setting up, speaking, watching.

use ery_sim_discord::{Options, SimDiscord, World};
use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{PATIENCE, Sim, now};

#[tokio::test]
async fn the_world_can_be_told_and_loaded_again() {
    let sim = Sim::start().await;
    let rich =
        json!({ "embeds": [{ "title": "a title", "fields": [{ "name": "n", "value": "v" }] }] });
    let path = format!("/channels/{}/messages", sim.channel("general"));
    assert_eq!(sim.rest(Method::POST, &path, rich).await.0, 200);
    sim.say("bob", "general", "remember me").await;
    let told = sim.get("/world?messages=1000").await;
    assert_eq!(told["bots"][0]["token"], ery_sim_discord::DEMO_TOKEN);
    let bob = told["guilds"][0]["members"].as_array().unwrap().iter();
    let bob = bob.clone().find(|member| member["user"]["username"] == "bob").unwrap();
    assert!(bob["permissions"].as_str().unwrap().parse::<u64>().unwrap() > 0);

    let world = World::from_json(told.to_string().as_bytes(), now()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options { world: Some(world), ..Options::default() };
    let again = SimDiscord::start(listener, options).await.unwrap();
    let url = format!("{}/world?messages=1000", again.control_url());
    let retold: Value = sim.client.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(retold["guilds"][0]["channels"], told["guilds"][0]["channels"]);
    let general = again.world().channel_named("general").unwrap();
    assert_eq!(again.world().messages(general).last().unwrap().content, "remember me");
    again.stop().await;
}

#[tokio::test]
async fn people_are_held_to_their_rights() {
    let sim = Sim::start().await;
    let speak = async |who: &str, place: &str| {
        let body = json!({
            "channel_id": sim.channel(place), "author_id": sim.user(who), "content": "x"
        });
        let (status, answer) = sim.control(Method::POST, "/messages", body).await;
        (status, answer["code"].as_u64().unwrap_or(0))
    };
    assert_eq!(speak("bob", "staff").await, (403, 50_001));
    assert_eq!(speak("bob", "welcome").await, (403, 50_013));
    assert_eq!(speak("theo", "staff").await, (200, 0));
    assert_eq!(speak("theo", "welcome").await, (200, 0));
}

#[tokio::test]
async fn names_are_written_as_mentions() {
    let sim = Sim::start().await;
    let body = json!({
        "channel_id": sim.channel("general"), "author_id": sim.user("theo"),
        "content": "@bob and @Moderator, mail me@bob.example or @nobody"
    });
    let message = sim.post("/messages", body).await;
    let content = message["content"].as_str().unwrap();
    assert!(content.starts_with(&format!("<@{}> and <@&", sim.user("bob"))), "{content}");
    assert!(content.ends_with("mail me@bob.example or @nobody"), "{content}");
    assert_eq!(message["mentions"][0]["username"], "bob");
    assert_eq!(message["mention_roles"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_person_edits_deletes_and_reacts() {
    let sim = Sim::start().await;
    let said = sim.say("bob", "general", "teh cake").await;
    let path = format!("/messages/{}/{said}", sim.channel("general"));
    let edited = sim.control(Method::PATCH, &path, json!({ "content": "the cake" })).await;
    assert_eq!((edited.0, &edited.1["content"]), (200, &json!("the cake")));
    let other = json!({ "content": "mine", "author_id": sim.user("alice") });
    assert_eq!(sim.control(Method::PATCH, &path, other).await.0, 403);
    let react = json!({
        "channel_id": sim.channel("general"), "message_id": said,
        "user_id": sim.user("alice"), "emoji": "🎂"
    });
    let message = sim.post("/reactions", react.clone()).await;
    assert_eq!(message["reactions"][0]["count"], 1);
    assert_eq!(sim.control(Method::DELETE, "/reactions", react).await.0, 204);
    let by_alice = format!("{path}?author_id={}", sim.user("alice"));
    assert_eq!(sim.control(Method::DELETE, &by_alice, Value::Null).await.0, 403);
    assert_eq!(sim.control(Method::DELETE, &path, Value::Null).await.0, 204);
    assert_eq!(sim.control(Method::DELETE, &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn many_things_are_made_at_once() {
    let sim = Sim::start().await;
    let body = json!({ "name": "load", "count": 20, "channels": 3, "members": ["ann", "ben"] });
    let made = sim.post("/guilds", body).await;
    let guilds = made["guilds"].as_array().unwrap();
    assert_eq!(guilds.len(), 20);
    assert_eq!(
        (guilds[19]["name"].as_str(), guilds[0]["channels"].as_array().unwrap().len()),
        (Some("load-20"), 3)
    );
    assert_eq!(guilds[0]["members"].as_array().unwrap().len(), 4, "owner, two members, the bot");
    let channel = &guilds[0]["channels"][0]["id"];
    let speech =
        json!({ "channel_id": channel, "author_id": guilds[0]["owner_id"], "content": "hi" });
    assert_eq!(sim.post("/messages", speech).await["content"], "hi");

    let guild = sim.guild();
    let role = json!({ "guild_id": guild, "name": "VIP", "permissions": "8192", "members": [sim.user("bob")] });
    let role = sim.post("/roles", role).await;
    let channels = json!({ "guild_id": guild, "name": "room", "count": 3, "topic": "t" });
    let channels = sim.post("/channels", channels).await;
    assert_eq!(channels["channels"].as_array().unwrap().len(), 3);
    let bob = format!("/guilds/{guild}/members/{}", sim.user("bob"));
    let member = sim.rest(Method::GET, &bob, Value::Null).await.1;
    assert!(member["roles"].as_array().unwrap().contains(&role["id"]));
    let bot =
        json!({ "guild_id": guild, "username": "Other", "bot": true, "token": "other-token" });
    let bot = sim.post("/members", bot).await;
    assert_eq!(
        (bot["user"]["bot"].as_bool(), bot["roles"].as_array().unwrap().len()),
        (Some(true), 1)
    );
}

#[tokio::test]
async fn watchers_see_what_happens_at_once() {
    let sim = Sim::start().await;
    let url = format!("{}/events", sim.sim.control_url());
    let response = sim.client.get(url).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let mut stream = response.bytes_stream();
    sim.say("theo", "staff", "unfiltered").await;
    let chunk = timeout(PATIENCE, stream.next()).await.unwrap().unwrap().unwrap();
    let text = String::from_utf8(chunk.to_vec()).unwrap();
    let event: Value = serde_json::from_str(text.trim().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(event["type"], "MESSAGE_CREATE");
    assert_eq!(event["channel_id"], json!(sim.channel("staff")));
    assert_eq!(event["data"]["content"], "unfiltered");
}

#[tokio::test]
async fn wrong_requests_are_explained() {
    let sim = Sim::start().await;
    let missing = sim.control(Method::POST, "/messages", json!({ "content": "x" })).await;
    assert_eq!(missing.0, 400);
    assert!(missing.1["message"].as_str().unwrap().contains("channel_id"), "{}", missing.1);
    let fault = json!({ "route": "*", "kind": "error", "status": 200 });
    assert_eq!(sim.control(Method::POST, "/faults", fault).await.0, 400);
    let setting = json!({ "rate_limit": false });
    assert_eq!(sim.control(Method::PATCH, "/settings", setting).await.0, 400);
    assert_eq!(sim.control(Method::GET, "/nothing", Value::Null).await.0, 404);
    assert_eq!(sim.control(Method::PUT, "/world", json!({})).await.0, 405);
}

#[tokio::test]
async fn the_description_names_what_is_there() {
    let sim = Sim::start().await;
    let description = sim.get("/openapi.json").await;
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.len() > 20);
    for (path, operations) in paths {
        let concrete = path.replace("{channel}", "1").replace("{message}", "2");
        let concrete = concrete
            .replace("{guild}", "3")
            .replace("{user}", "4")
            .replace("{role}", "5")
            .replace("{thread}", "6")
            .replace("{code}", "abc")
            .replace("{event}", "7")
            .replace("{emoji}", "8");
        for method in operations.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let name = method.to_uppercase();
            let method: Method = name.parse().unwrap();
            let address = format!("http://{}{concrete}", sim.sim.addr());
            // Headers are enough: some answers never end.
            let answer = sim.client.request(method, address).send().await.unwrap();
            assert_ne!(answer.status(), 405, "{name} {path}");
            let is_route = answer.status() != 404 || {
                let text = answer.text().await.unwrap();
                !text.is_empty() && !text.contains("404: Not Found")
            };
            assert!(is_route, "{name} {path}");
        }
    }
}

#[tokio::test]
async fn pages_of_any_origin_may_ask() {
    let sim = Sim::start().await;
    let url = format!("{}/messages", sim.sim.control_url());
    let preflight = sim.client.request(Method::OPTIONS, url).send().await.unwrap();
    assert_eq!(preflight.status(), 204);
    assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
    let health = format!("http://{}/healthz", sim.sim.addr());
    assert_eq!(sim.client.get(health).send().await.unwrap().text().await.unwrap(), "ok");
}

#[tokio::test]
async fn stopping_ends_every_connection() {
    let sim = Sim::start().await;
    let url = format!("{}/events", sim.sim.control_url());
    let mut watching = sim.client.get(url).send().await.unwrap().bytes_stream();
    let address = sim.sim.addr();
    timeout(PATIENCE, sim.sim.stop()).await.unwrap();
    while timeout(PATIENCE, watching.next()).await.unwrap().is_some() {}
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_large_world_is_made_up_and_told_in_parts() {
    let sim = Sim::start().await;
    let order = json!({ "guilds": 7, "members": 70, "channels": 2, "seed": 3 });
    let made = sim.post("/generate", order).await;
    assert_eq!(made["guilds"].as_array().unwrap().len(), 7);
    let one = made["guilds"][2].as_str().unwrap();
    let (_, seen) = sim.rest(Method::GET, &format!("/guilds/{one}"), Value::Null).await;
    assert_eq!(seen["id"], one, "the bot is in it");
    let part = sim.get(&format!("/world?guild={one}&members=3")).await;
    assert_eq!(part["guilds"].as_array().unwrap().len(), 1);
    assert_eq!(part["guilds"][0]["members"].as_array().unwrap().len(), 3);

    let (mut told, mut after) = (Vec::new(), "0".to_owned());
    loop {
        let path = if after == "0" {
            "/world?limit=3".to_owned()
        } else {
            format!("/world?limit=3&after={after}")
        };
        let page = sim.get(&path).await;
        let guilds = page["guilds"].as_array().unwrap();
        let Some(last) = guilds.last() else { break };
        last["id"].as_str().unwrap().clone_into(&mut after);
        told.extend(guilds.iter().map(|guild| guild["id"].clone()));
    }
    let all = sim.get("/world").await;
    let all: Vec<Value> =
        all["guilds"].as_array().unwrap().iter().map(|guild| guild["id"].clone()).collect();
    assert_eq!((told.len(), told), (8, all));
    let wrong = json!({ "guilds": 7, "members": 6 });
    assert_eq!(sim.control(Method::POST, "/generate", wrong).await.0, 400);
}

#[tokio::test]
async fn somebody_says_very_much_and_all_of_it_is_heard() {
    // More than may wait for a connection, so that the one who speaks must wait.
    const COUNT: usize = 10_000;
    let sim = Sim::start().await;
    let (mut socket, _) =
        crate::gateway::Socket::identified(&sim, crate::gateway::GUILD_MESSAGES).await;
    let body = json!({
        "channel_id": sim.channel("general"), "author_id": sim.user("bob"), "content": "again",
        "count": COUNT
    });
    let hearing = async {
        for expected in 0..COUNT {
            let text = socket.message().await.into_text().unwrap();
            let sequence = format!("\"s\":{},", expected + 2);
            assert!(text.contains(&sequence), "{sequence} is not next: {text}");
        }
    };
    let (said, ()) = tokio::join!(sim.post("/messages", body), hearing);
    assert_eq!(said["content"], "again");
    let too_much = json!({
        "channel_id": sim.channel("general"), "author_id": sim.user("bob"), "content": "again",
        "count": 0
    });
    assert_eq!(sim.control(Method::POST, "/messages", too_much).await.0, 400);
}
