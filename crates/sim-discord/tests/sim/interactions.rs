//! Commands, buttons, selects and forms: people use them, and the bot answers.

use reqwest::Method;
use serde_json::{Value, json};
use twilight_gateway::Event;
use twilight_model::{
    application::interaction::{Interaction, InteractionData, InteractionType},
    gateway::Intents,
};

use crate::support::{Bot, Sim};

impl Sim {
    async fn application(&self) -> String {
        let told = self.rest(Method::GET, "/applications/@me", Value::Null).await.1;
        told["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn register(&self, command: Value) {
        let path = format!("/applications/{}/commands", self.application().await);
        let (status, answer) = self.rest(Method::POST, &path, command).await;
        assert_eq!(status, 201, "{answer}");
    }

    /// Lets somebody interact in #general; whether they may is for the test to say.
    pub(crate) async fn interact(&self, who: &str, mut deed: Value) -> (u16, Value) {
        deed["user_id"] = json!(self.user(who));
        deed["channel_id"] = json!(self.channel("general"));
        self.control(Method::POST, "/interactions", deed).await
    }

    /// Asks the REST API without any credentials.
    pub(crate) async fn open(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}{path}", self.sim.api_url());
        let mut request = self.client.request(method, url);
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub(crate) async fn answer(&self, interaction: &Interaction, body: Value) -> (u16, Value) {
        let path = format!("/interactions/{}/{}/callback", interaction.id, interaction.token);
        self.open(Method::POST, &path, body).await
    }
}

pub(crate) async fn heard(bot: &mut Bot) -> Interaction {
    let event = bot.wait_for(|event| matches!(event, Event::InteractionCreate(_))).await;
    let Event::InteractionCreate(interaction) = event else { unreachable!() };
    interaction.0
}

pub(crate) fn responses(interaction: &Interaction) -> String {
    format!("/webhooks/{}/{}", interaction.application_id, interaction.token)
}

fn code(answer: &(u16, Value)) -> (u16, u64) {
    (answer.0, answer.1["code"].as_u64().unwrap_or(0))
}

fn ask() -> Value {
    json!({
        "name": "ask", "description": "Ask Ery", "options": [
            { "type": 3, "name": "what", "description": "x", "required": true },
            { "type": 6, "name": "whom", "description": "x" },
            { "type": 11, "name": "file", "description": "x" }
        ]
    })
}

#[tokio::test]
async fn a_slash_command_is_answered_followed_up_and_edited() {
    let sim = Sim::start().await;
    sim.register(ask()).await;
    // Without a single intent: interactions need none.
    let mut bot = Bot::connect(&sim, Intents::GUILDS).await;
    let deed = json!({ "type": "command", "command": "ask", "options": {
        "what": "tea?", "whom": sim.user("alice"), "file": { "filename": "a.txt", "content": "hi" }
    } });
    let (status, begun) = sim.interact("bob", deed).await;
    assert_eq!((status, &begun["state"]), (201, &json!("waiting")));
    let interaction = heard(&mut bot).await;
    assert_eq!(interaction.id.to_string(), begun["id"].as_str().unwrap());
    assert_eq!(interaction.kind, InteractionType::ApplicationCommand);
    assert_eq!(interaction.guild_id, Some(sim.guild()));
    assert!(interaction.member.as_ref().unwrap().permissions.is_some());
    let Some(InteractionData::ApplicationCommand(data)) = &interaction.data else { panic!() };
    assert_eq!((data.name.as_str(), data.options.len()), ("ask", 3));
    let resolved = data.resolved.as_ref().unwrap();
    assert_eq!(resolved.users[&sim.user("alice")].name, "alice");
    assert_eq!((resolved.members.len(), resolved.attachments.len()), (1, 1));

    let early = sim.open(Method::POST, &responses(&interaction), json!({ "content": "x" })).await;
    assert_eq!(code(&early), (404, 10_015));
    let body = json!({ "type": 4, "data": { "content": "Tea it is." } });
    let path = format!(
        "/interactions/{}/{}/callback?with_response=true",
        interaction.id, interaction.token
    );
    let (status, told) = sim.open(Method::POST, &path, body.clone()).await;
    assert_eq!((status, &told["resource"]["message"]["content"]), (200, &json!("Tea it is.")));
    assert_eq!(told["resource"]["message"]["interaction_metadata"]["user"]["username"], "bob");
    assert_eq!(told["resource"]["message"]["type"], 20);
    assert_eq!(code(&sim.answer(&interaction, body).await), (400, 40_060));

    let follow =
        sim.open(Method::POST, &responses(&interaction), json!({ "content": "More." })).await;
    assert_eq!((follow.0, &follow.1["content"]), (200, &json!("More.")));
    let original = format!("{}/messages/@original", responses(&interaction));
    let edited = sim.open(Method::PATCH, &original, json!({ "content": "Coffee." })).await;
    assert_eq!((edited.0, &edited.1["content"]), (200, &json!("Coffee.")));
    assert_eq!(sim.open(Method::GET, &original, Value::Null).await.1["content"], "Coffee.");
    assert_eq!(sim.open(Method::DELETE, &original, Value::Null).await.0, 204);
    assert_eq!(code(&sim.open(Method::GET, &original, Value::Null).await), (404, 10_008));
    let wrong = format!("/webhooks/{}/nonsense", interaction.application_id);
    let wrong = sim.open(Method::POST, &wrong, json!({ "content": "x" })).await;
    assert_eq!(code(&wrong), (401, 50_027));

    let url = format!("{}/log", sim.sim.control_url());
    let log = sim.client.get(url).send().await.unwrap().text().await.unwrap();
    assert!(log.contains("<redacted>/callback") && !log.contains(&interaction.token));
}

#[tokio::test]
async fn an_ephemeral_answer_is_for_one_person_alone() {
    let sim = Sim::start().await;
    sim.register(ask()).await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let deed = json!({ "type": "command", "command": "ask", "options": { "what": "x" } });
    let begun = sim.interact("bob", deed).await.1;
    let interaction = heard(&mut bot).await;
    let deferred = json!({ "type": 5, "data": { "flags": 64 } });
    assert_eq!(sim.answer(&interaction, deferred).await.0, 204);
    let thinking = bot.message().await;
    assert_eq!((thinking.guild_id, thinking.flags.unwrap().bits()), (None, 64 | 128));
    let said =
        sim.open(Method::POST, &responses(&interaction), json!({ "content": "Psst" })).await.1;
    assert_eq!(said["id"], json!(thinking.id), "what comes first fills the answer in");
    assert_eq!(said["flags"], 64);
    let path = format!("/channels/{}/messages", sim.channel("general"));
    let listed = sim.rest(Method::GET, &path, Value::Null).await.1;
    assert!(listed.as_array().unwrap().iter().all(|message| message["id"] != said["id"]));
    let state = sim.get(&format!("/interactions/{}", begun["id"].as_str().unwrap())).await;
    assert_eq!(state["response"]["message"]["content"], "Psst");
}

#[tokio::test]
async fn buttons_and_selects_work_where_they_are() {
    let sim = Sim::start().await;
    let mut bot = Bot::connect(&sim, Intents::GUILDS).await;
    let components = json!([
        { "type": 1, "components": [
            { "type": 2, "style": 1, "label": "Yes", "custom_id": "yes" },
            { "type": 2, "style": 1, "label": "No", "custom_id": "no", "disabled": true }
        ] },
        { "type": 1, "components": [{ "type": 5, "custom_id": "who" }] }
    ]);
    let path = format!("/channels/{}/messages", sim.channel("general"));
    let body = json!({ "content": "Well?", "components": components });
    let (status, sent) = sim.rest(Method::POST, &path, body).await;
    assert_eq!((status, &sent["components"][0]["components"][1]["id"]), (200, &json!(3)));
    let press = |custom_id: &str| json!({ "type": "button", "message_id": sent["id"], "custom_id": custom_id });
    for wrong in ["no", "other"] {
        assert_eq!(code(&sim.interact("bob", press(wrong)).await), (400, 50_035));
    }
    assert_eq!(sim.interact("bob", press("yes")).await.0, 201);
    let interaction = heard(&mut bot).await;
    assert_eq!(interaction.message.as_ref().unwrap().content, "Well?");
    let update = json!({ "type": 7, "data": { "content": "Yes!", "components": [] } });
    assert_eq!(sim.answer(&interaction, update).await.0, 204);
    let one = format!("{path}/{}", sent["id"].as_str().unwrap());
    let shown = sim.rest(Method::GET, &one, Value::Null).await.1;
    assert_eq!((&shown["content"], &shown["components"]), (&json!("Yes!"), &json!([])));

    let body = json!({ "content": "Who?", "components": components });
    let sent = sim.rest(Method::POST, &path, body).await.1;
    let choose = json!({
        "type": "select", "message_id": sent["id"], "custom_id": "who",
        "values": [sim.user("alice").to_string()]
    });
    assert_eq!(sim.interact("bob", choose).await.0, 201);
    let Some(InteractionData::MessageComponent(data)) = heard(&mut bot).await.data else {
        panic!()
    };
    assert_eq!(data.values, [sim.user("alice").to_string()]);
    assert_eq!(data.resolved.unwrap().users.len(), 1);
}

#[tokio::test]
async fn a_form_is_shown_filled_in_and_read() {
    let sim = Sim::start().await;
    sim.register(json!({ "name": "form", "description": "x" })).await;
    let mut bot = Bot::connect(&sim, Intents::GUILDS).await;
    let opened = sim.interact("bob", json!({ "type": "command", "command": "form" })).await.1;
    let interaction = heard(&mut bot).await;
    let input =
        json!({ "type": 4, "custom_id": "why", "style": 1, "label": "Why", "max_length": 5 });
    let modal = json!({ "type": 9, "data": {
        "custom_id": "m", "title": "x".repeat(46),
        "components": [{ "type": 1, "components": [input] }]
    } });
    assert_eq!(code(&sim.answer(&interaction, modal.clone()).await), (400, 50_035));
    let mut modal = modal;
    modal["data"]["title"] = json!("Reason");
    assert_eq!(sim.answer(&interaction, modal).await.0, 204);
    let send = |text: &str| json!({ "type": "modal", "interaction_id": opened["id"], "fields": { "why": text } });
    assert_eq!(code(&sim.interact("bob", send("too long")).await), (400, 50_035));
    assert_eq!(code(&sim.interact("alice", send("so")).await), (400, 50_035));
    assert_eq!(sim.interact("bob", send("so")).await.0, 201);
    let interaction = heard(&mut bot).await;
    assert_eq!(interaction.kind, InteractionType::ModalSubmit);
    let Some(InteractionData::ModalSubmit(data)) = &interaction.data else { panic!() };
    assert_eq!(data.custom_id, "m");
    let answer = json!({ "type": 4, "data": { "content": "Thanks" } });
    assert_eq!(sim.answer(&interaction, answer).await.0, 204);
}

#[tokio::test]
async fn choices_are_offered_while_somebody_types() {
    let sim = Sim::start().await;
    let option = json!({ "type": 3, "name": "city", "description": "x", "autocomplete": true });
    sim.register(json!({ "name": "weather", "description": "x", "options": [option] })).await;
    let mut bot = Bot::connect(&sim, Intents::GUILDS).await;
    let deed = json!({
        "type": "autocomplete", "command": "weather", "focused": "city",
        "options": { "city": "Ha" }, "wait_ms": 20_000
    });
    let answering = async {
        let interaction = heard(&mut bot).await;
        assert_eq!(interaction.kind, InteractionType::ApplicationCommandAutocomplete);
        let message = json!({ "type": 4, "data": { "content": "x" } });
        assert_eq!(code(&sim.answer(&interaction, message).await), (400, 50_035));
        let choices = json!({ "choices": [{ "name": "Hamburg", "value": "hh" }] });
        assert_eq!(sim.answer(&interaction, json!({ "type": 8, "data": choices })).await.0, 204);
    };
    let ((status, told), ()) = tokio::join!(sim.interact("bob", deed), answering);
    assert_eq!((status, &told["state"]), (201, &json!("answered")));
    assert_eq!(told["response"]["choices"][0]["value"], "hh");
}

#[tokio::test]
async fn who_may_not_use_a_command_is_refused() {
    let sim = Sim::start().await;
    let admin = json!({ "name": "admin", "description": "x", "default_member_permissions": "0" });
    sim.register(admin).await;
    let path = format!("/applications/{}/commands", sim.application().await);
    sim.rest(Method::POST, &path, json!({ "name": "About", "type": 2 })).await;
    let deed = json!({ "type": "command", "command": "admin" });
    assert_eq!(code(&sim.interact("bob", deed.clone()).await), (403, 50_013));
    assert_eq!(sim.interact("mara", deed).await.0, 201);
    let unknown = json!({ "type": "command", "command": "nothing" });
    assert_eq!(code(&sim.interact("bob", unknown).await), (404, 10_063));
    let about = json!({ "type": "command", "command": "About", "target_id": sim.user("alice") });
    assert_eq!(sim.interact("bob", about.clone()).await.0, 201);
    let mut hidden = about;
    hidden["user_id"] = json!(sim.user("bob"));
    hidden["channel_id"] = json!(sim.channel("staff"));
    let answer = sim.control(Method::POST, "/interactions", hidden).await;
    assert_eq!(code(&answer), (403, 50_001));
}

#[tokio::test]
async fn an_interaction_expires_on_order() {
    let sim = Sim::start().await;
    sim.register(ask()).await;
    let mut bot = Bot::connect(&sim, Intents::GUILDS).await;
    let deed = json!({ "type": "command", "command": "ask", "options": { "what": "x" } });
    let begun = sim.interact("bob", deed).await.1;
    let interaction = heard(&mut bot).await;
    let fault = json!({ "kind": "expire_interaction", "interaction_id": begun["id"] });
    assert_eq!(sim.post("/faults", fault).await["expired"], 1);
    let answer =
        sim.answer(&interaction, json!({ "type": 4, "data": { "content": "late" } })).await;
    assert_eq!(code(&answer), (404, 10_062));
    let state = sim.get(&format!("/interactions/{}", begun["id"].as_str().unwrap())).await;
    assert_eq!(state["state"], "expired");
}
