//! Forwards, and what else messages have: hidden embeds, their place in
//! a thread.

use reqwest::Method;
use serde_json::{Value, json};
use twilight_gateway::Intents;

use crate::support::{Bot, Sim, code};

impl Sim {
    async fn forward(&self, to: &str, from: &str, message: &str) -> (u16, Value) {
        let reference = json!({
            "type": 1, "channel_id": self.channel(from), "message_id": message
        });
        let body = json!({ "message_reference": reference });
        self.rest(Method::POST, &self.messages_of(to), body).await
    }
}

#[tokio::test]
async fn people_forward_and_send_stickers_through_the_control_api() {
    let sim = Sim::start().await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let said = sim.say("bob", "general", "soup at noon").await;
    bot.message().await;
    let speak = async |more: Value| {
        let mut body = json!({
            "channel_id": sim.channel("recipes"), "author_id": sim.user("alice"),
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        sim.control(Method::POST, "/messages", body).await
    };
    let forward = json!({ "channel_id": sim.channel("general"), "message_id": said });
    assert_eq!(speak(json!({ "forward": forward })).await.0, 200);
    let heard = bot.message().await;
    assert_eq!(heard.message_snapshots[0].message.content, "soup at noon");
    assert_eq!(heard.author.name, "alice");
    let (status, refused) = speak(json!({ "forward": forward, "content": "look" })).await;
    assert!((400..500).contains(&status), "{refused}");

    let sticker = json!({ "guild_id": sim.guild(), "name": "Wave" });
    let sticker = sim.control(Method::POST, "/stickers", sticker).await.1["id"].clone();
    assert_eq!(speak(json!({ "sticker_ids": [sticker] })).await.0, 200);
    assert_eq!(bot.message().await.sticker_items[0].name, "Wave");
}

#[tokio::test]
async fn a_forward_shows_a_message_as_it_was() {
    let sim = Sim::start().await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let said = sim.say("bob", "general", "soup at noon").await;
    assert_eq!(bot.message().await.content, "soup at noon");
    let (status, sent) = sim.forward("recipes", "general", &said).await;
    assert_eq!(status, 200, "{sent}");
    let heard = bot.message().await;
    assert_eq!(heard.message_snapshots[0].message.content, "soup at noon");
    assert_eq!((sent["type"].as_u64(), &sent["content"]), (Some(0), &json!("")));
    assert_eq!(sent["flags"], 1 << 14);
    assert_eq!(sent["message_reference"]["type"], 1);
    assert_eq!(sent["message_reference"]["channel_id"], json!(sim.channel("general")));
    assert!(sent.get("referenced_message").is_none(), "{sent}");

    let path = format!("/messages/{}/{said}", sim.channel("general"));
    let edited = sim.control(Method::PATCH, &path, json!({ "content": "soup at one" })).await;
    assert_eq!(edited.0, 200);
    let again = format!("{}/{}", sim.messages_of("recipes"), sent["id"].as_str().unwrap());
    let again = sim.rest(Method::GET, &again, Value::Null).await.1;
    assert_eq!(again["message_snapshots"], sent["message_snapshots"]);
    // Who forwards a forward shows what that one shows.
    let once_more = sim.forward("events", "recipes", sent["id"].as_str().unwrap()).await.1;
    assert_eq!(once_more["message_snapshots"], sent["message_snapshots"]);

    let told = sim.get("/world?messages=100").await;
    let other = sim.again_from(&told).await;
    assert_eq!(other.get("/world?messages=100").await, told);
    let there = format!("{}/{}", other.messages_of("events"), once_more["id"].as_str().unwrap());
    let there = other.rest(Method::GET, &there, Value::Null).await.1;
    assert_eq!(there["message_snapshots"], sent["message_snapshots"]);
}

#[tokio::test]
async fn what_cannot_be_forwarded_is_refused() {
    let sim = Sim::start().await;
    for (source, right, expected) in [("staff", 10, (403, 50_001)), ("events", 16, (400, 160_009))]
    {
        let said = sim.say("mara", source, "secret").await;
        let own = format!("/channels/{}/permissions/{}", sim.channel(source), sim.user("Ery"));
        let denied = json!({ "type": 1, "deny": (1_u64 << right).to_string() });
        assert_eq!(sim.rest(Method::PUT, &own, denied).await.0, 204, "{source}");
        assert_eq!(code(&sim.forward("general", source, &said).await), expected, "{source}");
    }
    assert_eq!(code(&sim.forward("general", "recipes", "77").await), (400, 50_035));
    let said = sim.say("bob", "general", "soup").await;
    let asked = json!({ "poll": {
        "question": { "text": "Soup?" }, "answers": [{ "poll_media": { "text": "Leek" } }]
    } });
    let asked = sim.rest(Method::POST, &sim.messages_of("recipes"), asked).await.1;
    let asked = sim.forward("general", "recipes", asked["id"].as_str().unwrap()).await;
    assert_eq!(code(&asked), (400, 50_035));
    let reference = json!({ "type": 1, "channel_id": sim.channel("general"), "message_id": said });
    let place = sim.messages_of("recipes");
    let with_words = json!({ "content": "look", "message_reference": reference });
    assert_eq!(code(&sim.rest(Method::POST, &place, with_words).await), (400, 50_035));
    for wrong in
        [json!({ "type": 1, "message_id": said }), json!({ "type": 2, "message_id": said })]
    {
        let wrong = json!({ "message_reference": wrong });
        assert_eq!(code(&sim.rest(Method::POST, &place, wrong).await), (400, 50_035));
    }
}

#[tokio::test]
async fn embeds_can_be_hidden() {
    let sim = Sim::start().await;
    let place = sim.messages_of("general");
    let body = json!({ "content": "Menu", "embeds": [{ "title": "Tea" }] });
    let sent = sim.rest(Method::POST, &place, body).await.1;
    assert_eq!(sent["embeds"].as_array().unwrap().len(), 1);
    let path = format!("{place}/{}", sent["id"].as_str().unwrap());
    for (flags, shown) in [(4, 0), (0, 1)] {
        let edited = sim.rest(Method::PATCH, &path, json!({ "flags": flags })).await.1;
        assert_eq!(edited["flags"], flags);
        assert_eq!(edited["embeds"].as_array().unwrap().len(), shown, "{edited}");
    }
}

#[tokio::test]
async fn messages_of_a_thread_tell_their_place_in_it() {
    let sim = Sim::start().await;
    let path = format!("/channels/{}/threads", sim.channel("general"));
    let thread = sim.rest(Method::POST, &path, json!({ "name": "Soup", "type": 11 })).await.1;
    let place = format!("/channels/{}/messages", thread["id"].as_str().unwrap());
    for position in 0..3 {
        let sent = sim.rest(Method::POST, &place, json!({ "content": "x" })).await.1;
        assert_eq!(sent["position"], position);
    }
    let outside =
        sim.rest(Method::POST, &sim.messages_of("general"), json!({ "content": "x" })).await;
    assert!(outside.1.get("position").is_none());
}
