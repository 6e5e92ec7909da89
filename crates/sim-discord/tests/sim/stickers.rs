//! The stickers of a guild, and messages with them.

use reqwest::Method;
use serde_json::{Value, json};
use twilight_gateway::{Event, Intents};

use crate::support::{Bot, Sim, code};

impl Sim {
    async fn sticker(&self, guild: &str, name: &str, is_available: bool) -> String {
        let body = json!({ "guild_id": guild, "name": name, "available": is_available });
        self.post("/stickers", body).await["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_message_shows_stickers_of_its_guild() {
    let sim = Sim::start().await;
    let guild = sim.guild().to_string();
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let wave = sim.sticker(&guild, "wave", true).await;
    // Twilight 0.18 passes GUILD_STICKERS_UPDATE over: it does not know it by its name.
    let place = sim.rest(Method::GET, &format!("/guilds/{guild}"), Value::Null).await.1;
    assert_eq!(place["stickers"][0]["name"], "wave");
    let listed = format!("/guilds/{guild}/stickers");
    let list = sim.rest(Method::GET, &listed, Value::Null).await;
    assert_eq!(
        (list.0, &list.1[0]["name"], &list.1[0]["available"]),
        (200, &json!("wave"), &json!(true))
    );
    let one = sim.rest(Method::GET, &format!("{listed}/{wave}"), Value::Null).await;
    assert_eq!(one, (200, list.1[0].clone()));

    let place = sim.messages_of("general");
    let sent = sim.rest(Method::POST, &place, json!({ "sticker_ids": [wave] })).await;
    let shown = json!([{ "id": wave, "name": "wave", "format_type": 1 }]);
    assert_eq!((sent.0, &sent.1["sticker_items"]), (200, &shown));
    let told = bot.wait_for(|event| matches!(event, Event::MessageCreate(_))).await;
    let Event::MessageCreate(told) = told else { unreachable!() };
    assert_eq!(told.sticker_items[0].name, "wave");

    // What is deleted stays where it was shown.
    let path = format!("/stickers/{guild}/{wave}");
    assert_eq!(sim.control(Method::DELETE, &path, Value::Null).await.0, 204);
    let path = format!("{place}/{}", sent.1["id"].as_str().unwrap());
    assert_eq!(sim.rest(Method::GET, &path, Value::Null).await.1["sticker_items"], shown);
    let again = sim.rest(Method::POST, &place, json!({ "sticker_ids": [wave] })).await;
    assert_eq!(code(&again), (404, 10_060));
}

#[tokio::test]
async fn stickers_of_elsewhere_and_lost_ones_are_refused() {
    let sim = Sim::start().await;
    let lost = sim.sticker(&sim.guild().to_string(), "lost", false).await;
    // The other guild has a channel of that name, too.
    let place = sim.messages_of("general");
    let other = sim.post("/guilds", json!({ "name": "Other", "owner_id": sim.user("bob") })).await;
    let foreign = sim.sticker(other["id"].as_str().unwrap(), "foreign", true).await;
    for (ids, expected) in [
        (json!([lost]), (400, 50_081)),
        (json!([foreign]), (400, 50_081)),
        (json!(["77"]), (404, 10_060)),
        (json!(["1", "2", "3", "4"]), (400, 50_035)),
        (json!([]), (400, 50_006)),
    ] {
        let answer = sim.rest(Method::POST, &place, json!({ "sticker_ids": ids })).await;
        assert_eq!(code(&answer), expected, "{ids}");
    }
}
