//! Application commands, as clients register them.

use reqwest::Method;
use serde_json::{Value, json};
use twilight_model::application::command::CommandType;

use crate::support::Sim;

impl Sim {
    /// Returns the path of the bot's commands, of all guilds or of the demo's.
    async fn commands(&self, in_guild: bool) -> String {
        let application = self.rest(Method::GET, "/applications/@me", Value::Null).await.1;
        let application = application["id"].as_str().unwrap().to_owned();
        let guild = if in_guild { format!("/guilds/{}", self.guild()) } else { String::new() };
        format!("/applications/{application}{guild}/commands")
    }
}

#[tokio::test]
async fn a_command_is_made_overwritten_edited_and_deleted() {
    let sim = Sim::start().await;
    for in_guild in [false, true] {
        let path = sim.commands(in_guild).await;
        let body = json!({
            "name": "ask", "description": "Ask Ery", "name_localizations": { "de": "frage" },
            "default_member_permissions": "8192",
            "options": [{ "type": 3, "name": "what", "description": "The question", "required": true }]
        });
        let (status, made) = sim.rest(Method::POST, &path, body.clone()).await;
        assert_eq!((status, &made["name"], &made["type"]), (201, &json!("ask"), &json!(1)));
        assert_eq!(made["guild_id"].is_string(), in_guild);
        assert_eq!(made["default_member_permissions"], "8192");
        assert_eq!(made["name_localizations"]["de"], "frage");
        assert_eq!(sim.rest(Method::POST, &path, body).await.0, 200);

        let listed = sim.rest(Method::GET, &path, Value::Null).await.1;
        assert_eq!((&listed[0]["id"], listed[0].get("name_localizations")), (&made["id"], None));
        let whole = format!("{path}?with_localizations=true");
        let listed = sim.rest(Method::GET, &whole, Value::Null).await.1;
        assert_eq!(listed[0]["name_localizations"]["de"], "frage");

        let one = format!("{path}/{}", made["id"].as_str().unwrap());
        let edited = sim.rest(Method::PATCH, &one, json!({ "description": "New" })).await;
        assert_eq!((edited.0, &edited.1["description"]), (200, &json!("New")));
        assert_eq!(sim.rest(Method::GET, &one, Value::Null).await.1["options"], made["options"]);
        assert_eq!(sim.rest(Method::DELETE, &one, Value::Null).await.0, 204);
        let gone = sim.rest(Method::GET, &one, Value::Null).await;
        assert_eq!((gone.0, &gone.1["code"]), (404, &json!(10_063)));
    }
}

#[tokio::test]
async fn a_whole_list_replaces_another_and_keeps_ids() {
    let sim = Sim::start().await;
    let path = sim.commands(true).await;
    let list = json!([
        { "name": "one", "description": "1", "type": 1 }, { "name": "Two", "type": 2 }
    ]);
    let (status, first) = sim.rest(Method::PUT, &path, list).await;
    assert_eq!((status, first.as_array().unwrap().len()), (200, 2));
    let list = json!([{ "name": "one", "description": "changed" }]);
    let second = sim.rest(Method::PUT, &path, list).await.1;
    assert_eq!((&second[0]["id"], second.as_array().unwrap().len()), (&first[0]["id"], 1));
    let wrong =
        json!([{ "name": "one", "description": "1" }, { "name": "Bad Name", "description": "2" }]);
    let (status, refused) = sim.rest(Method::PUT, &path, wrong).await;
    assert_eq!((status, &refused["code"]), (400, &json!(50_035)));
    let error = &refused["errors"]["1"]["name"]["_errors"][0];
    assert_eq!(error["code"], "APPLICATION_COMMAND_INVALID_NAME");
    assert_eq!(sim.rest(Method::PUT, &path, json!([])).await, (200, json!([])));
    assert_eq!(sim.rest(Method::PUT, &path, json!({})).await.0, 400);
}

#[tokio::test]
async fn a_typed_client_registers_and_reads_commands() {
    let sim = Sim::start().await;
    let http = sim.http();
    let application = http.current_user_application().await.unwrap().model().await.unwrap().id;
    let commands = http.interaction(application);
    let made = commands
        .create_global_command()
        .chat_input("weather", "Tells the weather")
        .await
        .unwrap()
        .model()
        .await
        .unwrap();
    assert_eq!((made.kind, made.name.as_str()), (CommandType::ChatInput, "weather"));
    let set = commands.set_guild_commands(sim.guild(), &[made]).await.unwrap().models().await;
    assert_eq!(set.unwrap()[0].guild_id, Some(sim.guild()));
    let all = commands.global_commands().with_localizations(true).await.unwrap().models().await;
    assert_eq!(all.unwrap().len(), 1);
}

#[tokio::test]
async fn others_commands_and_other_guilds_are_out_of_reach() {
    let sim = Sim::start().await;
    let path = sim.commands(false).await;
    let theirs = "/applications/5/commands";
    let answer = sim.rest(Method::GET, theirs, Value::Null).await;
    assert_eq!((answer.0, &answer.1["code"]), (403, &json!(20_012)));
    let elsewhere = path.replace("/commands", "/guilds/5/commands");
    let answer = sim.rest(Method::GET, &elsewhere, Value::Null).await;
    assert_eq!((answer.0, &answer.1["code"]), (403, &json!(50_001)));
}

#[tokio::test]
async fn who_may_use_a_command_is_set_by_people_and_read_by_bots() {
    let sim = Sim::start().await;
    let path = sim.commands(true).await;
    let body = json!({ "name": "ask", "description": "Ask Ery" });
    let id = sim.rest(Method::POST, &path, body).await.1["id"].as_str().unwrap().to_owned();
    let own = format!("{path}/{id}/permissions");
    let answer = sim.rest(Method::GET, &own, Value::Null).await;
    assert_eq!((answer.0, &answer.1["code"]), (404, &json!(10_066)));
    let bob = sim.user("bob");
    let set = |actor: &str| {
        json!({
            "actor_id": sim.user(actor),
            "permissions": [{ "id": bob, "type": 2, "permission": false }]
        })
    };
    let control = format!("/command-permissions/{}/{id}", sim.guild());
    assert_eq!(sim.control(Method::PUT, &control, set("bob")).await.0, 403);
    assert_eq!(sim.control(Method::PUT, &control, set("mara")).await.0, 200);
    let answer = sim.rest(Method::GET, &own, Value::Null).await.1;
    assert_eq!(answer["permissions"][0]["id"], json!(bob));
    let all = sim.rest(Method::GET, &format!("{path}/permissions"), Value::Null).await.1;
    assert_eq!(all, json!([answer]));
    let refused = sim.rest(Method::PUT, &own, json!({ "permissions": [] })).await;
    assert_eq!((refused.0, &refused.1["code"]), (403, &json!(20_001)));
}

#[tokio::test]
async fn a_world_file_holds_commands() {
    let sim = Sim::start().await;
    for in_guild in [false, true] {
        let body = json!({ "name": "ask", "description": "Ask Ery" });
        sim.rest(Method::POST, &sim.commands(in_guild).await, body).await;
    }
    let file = sim.get("/world").await;
    assert_eq!(file["bots"][0]["commands"].as_array().unwrap().len(), 2);
    let document = serde_json::to_vec(&file).unwrap();
    let world = ery_sim_discord::World::from_json(&document, crate::support::now()).unwrap();
    let again = Sim::start_with(|options| options.world = Some(world)).await;
    assert_eq!(again.get("/world").await["bots"][0]["commands"], file["bots"][0]["commands"]);
}
