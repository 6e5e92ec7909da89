//! Who is online, who is told, and what else a session asks for.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    gateway::{ALL_INTENTS, GUILD_MESSAGES, Socket, identify},
    support::Sim,
};

const GUILD_PRESENCES: u64 = 1 << 8;
const GUILDS: u64 = 1;
/// Messages of guilds, with their content.
const TALK: u64 = GUILD_MESSAGES | (1 << 15);

/// Makes a second bot that is in the demo's guild; returns its id and its token.
async fn second_bot(sim: &Sim) -> (String, String) {
    let bot = json!({
        "guild_id": sim.guild(), "username": "Other", "bot": true, "token": "other-token"
    });
    let member = sim.post("/members", bot).await;
    (member["user"]["id"].as_str().unwrap().to_owned(), "other-token".to_owned())
}

async fn identified_as(sim: &Sim, token: &str, intents: u64) -> Socket {
    let mut socket = Socket::greeted(sim).await;
    let mut frame = identify(intents, [0, 1]);
    frame["d"]["token"] = json!(token);
    socket.send(frame).await;
    socket.dispatch("READY").await;
    socket
}

#[tokio::test]
async fn who_is_online_stands_in_the_guild_and_changes_are_told() {
    let sim = Sim::start().await;
    let (mut socket, _) = Socket::identified(&sim, ALL_INTENTS).await;
    let guild = socket.dispatch("GUILD_CREATE").await["d"].clone();
    let online = guild["presences"].as_array().unwrap();
    let bob = online.iter().find(|one| one["user"]["id"] == json!(sim.user("bob"))).unwrap();
    assert_eq!(
        (&bob["status"], &bob["client_status"]["desktop"]),
        (&json!("online"), &json!("online"))
    );
    assert!(!online.iter().any(|one| one["user"]["id"] == json!(sim.user("nils"))));

    let shown = json!({ "status": "dnd", "activities": [{ "name": "chess", "type": 5 }] });
    sim.control(Method::PUT, &format!("/presences/{}", sim.user("nils")), shown).await;
    let update = socket.dispatch("PRESENCE_UPDATE").await["d"].clone();
    assert_eq!(update["guild_id"], json!(sim.guild()));
    assert_eq!(update["user"]["id"], json!(sim.user("nils")));
    assert_eq!(
        (&update["status"], &update["activities"][0]["name"]),
        (&json!("dnd"), &json!("chess"))
    );

    let counted = format!("/guilds/{}?with_counts=true", sim.guild());
    let (_, guild) = sim.rest(Method::GET, &counted, Value::Null).await;
    // Four people of the demo, nils, and the bot, which has a session.
    assert_eq!(guild["approximate_presence_count"], 6);
}

#[tokio::test]
async fn presences_are_told_to_those_with_the_intent_alone() {
    let sim = Sim::start().await;
    let (mut socket, _) = Socket::identified(&sim, GUILDS | TALK).await;
    let guild = socket.dispatch("GUILD_CREATE").await["d"].clone();
    assert_eq!(guild["presences"], json!([]));
    let shown = json!({ "status": "idle" });
    sim.control(Method::PUT, &format!("/presences/{}", sim.user("bob")), shown).await;
    sim.say("bob", "general", "unseen").await;
    assert_eq!(socket.frame().await["t"], "MESSAGE_CREATE");
}

#[tokio::test]
async fn a_bot_is_online_while_it_has_a_session() {
    let sim = Sim::start().await;
    let (other, token) = second_bot(&sim).await;
    let (mut watcher, _) = Socket::identified(&sim, GUILD_PRESENCES).await;
    let mut socket = identified_as(&sim, &token, 0).await;
    let update = watcher.dispatch("PRESENCE_UPDATE").await["d"].clone();
    assert_eq!((&update["user"]["id"], &update["status"]), (&json!(other), &json!("online")));

    let playing = json!({
        "since": null, "afk": false, "status": "idle", "activities": [{ "name": "go", "type": 0 }]
    });
    socket.send(json!({ "op": 3, "d": playing })).await;
    let update = watcher.dispatch("PRESENCE_UPDATE").await["d"].clone();
    assert_eq!(
        (&update["status"], &update["activities"][0]["name"]),
        (&json!("idle"), &json!("go"))
    );

    sim.post("/gateway", json!({ "do": "invalid", "bot_id": other })).await;
    let update = watcher.dispatch("PRESENCE_UPDATE").await["d"].clone();
    assert_eq!((&update["status"], &update["activities"]), (&json!("offline"), &json!([])));
}

#[tokio::test]
async fn members_are_found_by_prefix_with_their_presences() {
    let sim = Sim::start().await;
    let (mut socket, _) = Socket::identified(&sim, ALL_INTENTS).await;
    let wanted = json!({
        "guild_id": sim.guild(), "query": "b", "limit": 5, "presences": true,
        "nonce": "a nonce that is longer than thirty-two bytes"
    });
    socket.send(json!({ "op": 8, "d": wanted })).await;
    let chunk = socket.dispatch("GUILD_MEMBERS_CHUNK").await["d"].clone();
    assert_eq!(chunk["members"].as_array().unwrap().len(), 1);
    assert_eq!(chunk["members"][0]["user"]["username"], "bob");
    assert_eq!(chunk["presences"][0]["user"]["id"], json!(sim.user("bob")));
    assert_eq!(chunk.get("nonce"), None);
}

#[tokio::test]
async fn all_members_are_told_once_in_thirty_seconds() {
    let sim = Sim::start_with(|options| options.rate_limits = true).await;
    let (mut socket, _) = Socket::identified(&sim, ALL_INTENTS).await;
    let all = json!({ "guild_id": sim.guild(), "query": "", "limit": 0, "nonce": "n" });
    socket.send(json!({ "op": 8, "d": all })).await;
    socket.dispatch("GUILD_MEMBERS_CHUNK").await;
    socket.send(json!({ "op": 8, "d": all })).await;
    let limited = socket.dispatch("RATE_LIMITED").await["d"].clone();
    assert_eq!((&limited["opcode"], &limited["meta"]["nonce"]), (&json!(8), &json!("n")));
    let wait = limited["retry_after"].as_f64().unwrap();
    assert!((0.0..=30.0).contains(&wait), "{wait}");
}

#[tokio::test]
async fn who_lacks_the_intent_gets_no_list_of_members() {
    let sim = Sim::start().await;
    let (mut socket, ready) = Socket::identified(&sim, TALK).await;
    let all = json!({ "guild_id": sim.guild(), "query": "", "limit": 0, "presences": true });
    socket.send(json!({ "op": 8, "d": all })).await;
    let chunk = socket.dispatch("GUILD_MEMBERS_CHUNK").await["d"].clone();
    assert_eq!(chunk["members"].as_array().unwrap().len(), 1);
    assert_eq!(chunk["members"][0]["user"]["id"], ready["d"]["user"]["id"]);
    assert_eq!(chunk.get("presences"), None);
}

#[tokio::test]
async fn in_a_large_guild_those_are_named_who_are_online() {
    let sim = Sim::start().await;
    let made = sim.post("/guilds", json!({ "name": "large", "members": 120 })).await;
    let (someone, id) = (&made["members"][7]["user"]["id"], made["id"].clone());
    let path = format!("/presences/{}", someone.as_str().unwrap());
    sim.control(Method::PUT, &path, json!({ "status": "online" })).await;
    for (threshold, named) in [(50, 2), (250, 122)] {
        let mut socket = Socket::greeted(&sim).await;
        let mut frame = identify(ALL_INTENTS, [0, 1]);
        frame["d"]["large_threshold"] = json!(threshold);
        socket.send(frame).await;
        let guild = loop {
            let guild = socket.dispatch("GUILD_CREATE").await["d"].clone();
            if guild["id"] == id {
                break guild;
            }
        };
        assert_eq!(guild["members"].as_array().unwrap().len(), named, "{threshold}");
        assert_eq!(guild["presences"].as_array().unwrap().len(), 2, "{threshold}");
        assert_eq!(guild["member_count"], 122);
    }
}

#[tokio::test]
async fn what_needs_no_world_is_answered_all_the_same() {
    let sim = Sim::start().await;
    let (mut socket, _) = Socket::identified(&sim, 0).await;
    let guild = sim.guild();
    let voice = json!({
        "guild_id": guild, "channel_id": null, "self_mute": false, "self_deaf": false
    });
    socket.send(json!({ "op": 4, "d": voice })).await;
    socket.send(json!({ "op": 31, "d": { "guild_ids": [guild] } })).await;
    let sounds = socket.frame().await;
    assert_eq!(
        (&sounds["t"], &sounds["d"]["guild_id"]),
        (&json!("SOUNDBOARD_SOUNDS"), &json!(guild))
    );
    socket.send(json!({ "op": 43, "d": { "guild_id": guild, "fields": ["status"] } })).await;
    assert_eq!(socket.frame().await["t"], "CHANNEL_INFO");
    // A guild that the bot is not in is answered with silence.
    socket.send(json!({ "op": 31, "d": { "guild_ids": ["5"] } })).await;
    socket.send(json!({ "op": 1, "d": 2 })).await;
    assert_eq!(socket.frame().await["op"], 11);
}

#[tokio::test]
async fn a_guild_with_an_outage_falls_silent_and_comes_back() {
    let sim = Sim::start().await;
    let (mut socket, _) = Socket::identified(&sim, GUILDS | TALK).await;
    socket.dispatch("GUILD_CREATE").await;
    let path = format!("/guilds/{}/availability", sim.guild());
    sim.control(Method::PUT, &path, json!({ "available": false })).await;
    let gone = socket.frame().await;
    assert_eq!(
        (&gone["t"], &gone["d"]),
        (&json!("GUILD_DELETE"), &json!({ "id": sim.guild(), "unavailable": true }))
    );
    sim.say("bob", "general", "unheard").await;
    let mut late = Socket::greeted(&sim).await;
    late.send(identify(GUILDS, [0, 1])).await;
    late.dispatch("READY").await;
    assert_eq!(late.frame().await["t"], "GUILD_DELETE");
    sim.control(Method::PUT, &path, json!({ "available": true })).await;
    let back = socket.frame().await;
    assert_eq!((&back["t"], &back["d"]["unavailable"]), (&json!("GUILD_CREATE"), &json!(false)));
    sim.say("bob", "general", "heard").await;
    assert_eq!(socket.frame().await["d"]["content"], "heard");
}

#[tokio::test]
async fn a_bot_hears_that_it_has_another_name_and_so_do_the_others() {
    let sim = Sim::start().await;
    let (_, token) = second_bot(&sim).await;
    let mut other = identified_as(&sim, &token, 1 << 1).await;
    let (mut socket, _) = Socket::identified(&sim, 0).await;
    let (status, me) =
        sim.rest(Method::PATCH, "/users/@me", json!({ "username": "Harbour Ery" })).await;
    assert_eq!((status, &me["username"]), (200, &json!("Harbour Ery")));
    assert_eq!(socket.dispatch("USER_UPDATE").await["d"]["username"], "Harbour Ery");
    let member = other.dispatch("GUILD_MEMBER_UPDATE").await["d"].clone();
    assert_eq!(member["user"]["username"], "Harbour Ery");
}

#[tokio::test]
async fn a_bot_that_loses_its_guild_is_told() {
    let sim = Sim::start().await;
    let (mut socket, ready) = Socket::identified(&sim, GUILDS).await;
    socket.dispatch("GUILD_CREATE").await;
    let bot = ready["d"]["user"]["id"].as_str().unwrap();
    let path = format!("/members/{}/{bot}?actor_id={}", sim.guild(), sim.user("mara"));
    sim.control(Method::DELETE, &path, Value::Null).await;
    let gone = socket.dispatch("GUILD_DELETE").await["d"].clone();
    assert_eq!(gone, json!({ "id": sim.guild() }));
    let (status, _) = sim.rest(Method::GET, &format!("/guilds/{}", sim.guild()), Value::Null).await;
    assert!(matches!(status, 403 | 404), "{status}");
}

#[tokio::test]
async fn two_bots_hear_only_what_each_may_see() {
    let sim = Sim::start().await;
    let (other, token) = second_bot(&sim).await;
    let mut hidden = identified_as(&sim, &token, TALK).await;
    let (mut seeing, _) = Socket::identified(&sim, TALK).await;
    sim.say("theo", "staff", "one").await;
    sim.say("bob", "general", "two").await;
    assert_eq!(seeing.frame().await["d"]["content"], "one");
    assert_eq!(hidden.frame().await["d"]["content"], "two");
    // What is allowed from now on is heard from now on.
    let overwrite = json!({ "type": 1, "allow": "1024", "deny": "0" });
    let path = format!("/channels/{}/permissions/{other}", sim.channel("staff"));
    let overwrites = json!([
        { "id": sim.guild(), "type": 0, "deny": "1024" },
        { "id": other, "type": 1, "allow": "1024" },
    ]);
    let change = json!({ "permission_overwrites": overwrites });
    sim.control(Method::PATCH, &format!("/channels/{}", sim.channel("staff")), change).await;
    sim.say("mara", "staff", "three").await;
    assert_eq!(hidden.frame().await["d"]["content"], "three");
    // The first bot lost it by the same change, and may not take it back.
    let (status, _) = sim.rest(Method::PUT, &path, overwrite).await;
    assert_eq!(status, 403);
}
