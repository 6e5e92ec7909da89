//! The emojis of a guild, and reacting with them.

use reqwest::Method;
use serde_json::{Value, json};
use twilight_gateway::{Event, Intents};

use crate::support::{Bot, Sim, code};

const PICTURE: &str = "data:image/png;base64,iVBORw0KGgo=";

impl Sim {
    /// Makes an emoji from outside the world, in the demo's guild.
    async fn emoji(&self, name: &str) -> Value {
        self.post("/emojis", json!({ "guild_id": self.guild(), "name": name })).await
    }

    async fn react(&self, who: &str, message: &str, emoji: &str) -> (u16, Value) {
        let body = json!({
            "channel_id": self.channel("general"), "message_id": message,
            "user_id": self.user(who), "emoji": emoji
        });
        self.control(Method::POST, "/reactions", body).await
    }
}

fn written(emoji: &Value) -> String {
    format!("{}:{}", emoji["name"].as_str().unwrap(), emoji["id"].as_str().unwrap())
}

#[tokio::test]
async fn emojis_are_made_by_those_who_may() {
    let sim = Sim::start().await;
    let guild = sim.guild();
    let emojis = format!("/guilds/{guild}/emojis");
    let body = json!({ "name": "anchor", "image": PICTURE });
    assert_eq!(code(&sim.rest(Method::POST, &emojis, body.clone()).await), (403, 50_013));

    let rights = json!({ "permissions": (1_u64 << 43).to_string() });
    let everyone = format!("/roles/{guild}/{guild}");
    let before =
        sim.rest(Method::GET, &format!("/guilds/{guild}/roles/{guild}"), Value::Null).await;
    let before: u64 = before.1["permissions"].as_str().unwrap().parse().unwrap();
    let rights = rights["permissions"].as_str().unwrap().parse::<u64>().unwrap() | before;
    let rights = json!({ "permissions": rights.to_string() });
    assert_eq!(sim.control(Method::PATCH, &everyone, rights).await.0, 200);

    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let (status, made) = sim.rest(Method::POST, &emojis, body).await;
    assert_eq!((status, &made["user"]["username"]), (201, &json!("Ery")));
    let told = bot.wait_for(|event| matches!(event, Event::GuildEmojisUpdate(_))).await;
    let Event::GuildEmojisUpdate(told) = told else { unreachable!() };
    assert_eq!(told.emojis[0].name, "anchor");

    let one = format!("{emojis}/{}", made["id"].as_str().unwrap());
    let renamed = sim.rest(Method::PATCH, &one, json!({ "name": "harbour" })).await;
    assert_eq!((renamed.0, &renamed.1["name"]), (200, &json!("harbour")));
    for (body, expected) in [
        (json!({ "name": "x", "image": PICTURE }), 50_035),
        (json!({ "name": "no spaces", "image": PICTURE }), 50_035),
        (json!({ "name": "fine", "image": "nothing" }), 50_035),
        (json!({ "name": "fine" }), 50_035),
    ] {
        let answer = sim.rest(Method::POST, &emojis, body.clone()).await;
        assert_eq!(code(&answer), (400, expected), "{body}");
    }
    assert_eq!(sim.rest(Method::GET, &emojis, Value::Null).await.1.as_array().unwrap().len(), 1);

    // What another made needs the right to manage.
    let theirs = sim.emoji("gull").await;
    let path = format!("{emojis}/{}", theirs["id"].as_str().unwrap());
    assert_eq!(code(&sim.rest(Method::DELETE, &path, Value::Null).await), (403, 50_013));
    assert_eq!(sim.rest(Method::DELETE, &one, Value::Null).await.0, 204);
    assert_eq!(code(&sim.rest(Method::DELETE, &one, Value::Null).await), (400, 10_014));
}

#[tokio::test]
async fn people_react_with_an_emoji_of_their_guild() {
    let sim = Sim::start().await;
    let anchor = sim.emoji("anchor").await;
    let said = sim.say("alice", "general", "ahoy").await;
    let (status, message) = sim.react("bob", &said, &written(&anchor)).await;
    assert_eq!((status, &message["reactions"][0]["emoji"]["id"]), (200, &anchor["id"]));
    let path = format!("/channels/{}/messages/{said}/reactions", sim.channel("general"));
    let own = format!("{path}/{}/@me", written(&anchor));
    assert_eq!(sim.rest(Method::PUT, &own, Value::Null).await.0, 204);
    let users = format!("{path}/{}", written(&anchor));
    let users = sim.rest(Method::GET, &users, Value::Null).await.1;
    assert_eq!(users.as_array().unwrap().len(), 2);
    let unknown = format!("{path}/nothing:77/@me");
    assert_eq!(code(&sim.rest(Method::PUT, &unknown, Value::Null).await), (400, 10_014));
    assert_eq!(sim.rest(Method::DELETE, &own, Value::Null).await.0, 204);
}

#[tokio::test]
async fn an_emoji_of_elsewhere_needs_a_right_and_a_membership() {
    let sim = Sim::start().await;
    let other = sim
        .post("/guilds", json!({ "name": "other", "bots": [], "channels": ["elsewhere"] }))
        .await;
    let emoji = json!({ "guild_id": other["id"], "name": "foreign" });
    let emoji = sim.post("/emojis", emoji).await;
    let said = sim.say("alice", "general", "ahoy").await;
    assert_eq!(code(&sim.react("bob", &said, &written(&emoji)).await), (400, 10_014));
    let join = json!({ "guild_id": other["id"], "user_id": sim.user("bob") });
    sim.post("/members", join).await;
    let deny = json!({ "permission_overwrites": [
        { "id": sim.user("bob"), "type": 1, "deny": (1_u64 << 18).to_string() }
    ] });
    let general = format!("/channels/{}", sim.channel("general"));
    assert_eq!(sim.control(Method::PATCH, &general, deny).await.0, 200);
    assert_eq!(code(&sim.react("bob", &said, &written(&emoji)).await), (403, 50_013));
    let free = json!({ "permission_overwrites": [] });
    assert_eq!(sim.control(Method::PATCH, &general, free).await.0, 200);
    assert_eq!(sim.react("bob", &said, &written(&emoji)).await.0, 200);
    // What is there already, everybody may use.
    assert_eq!(sim.react("alice", &said, &written(&emoji)).await.0, 200);
}

#[tokio::test]
async fn emojis_stay_in_a_world_file_and_in_the_guild() {
    let sim = Sim::start().await;
    sim.emoji("anchor").await;
    let told = sim.get("/world").await;
    let again = sim.again_from(&told).await;
    assert_eq!(again.get("/world").await, told);
    let bot = Bot::connect(&again, Intents::all()).await;
    assert_eq!(bot.guild.emojis[0].name, "anchor");
    let guild = again.rest(Method::GET, &format!("/guilds/{}", again.guild()), Value::Null).await.1;
    assert_eq!(guild["emojis"][0]["name"], "anchor");
}
