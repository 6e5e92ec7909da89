//! What is set by choosing from menus.

use std::time::Duration;

use serde_json::{Value, json};

use ery_tests::eventually;

use crate::Stand;

impl Stand {
    fn role(&self, world: &Value, name: &str) -> String {
        let guilds = world["guilds"].as_array().unwrap();
        let guild = guilds.iter().find(|guild| guild["id"] == self.guild.id.as_str()).unwrap();
        let role = guild["roles"].as_array().unwrap().iter().find(|role| role["name"] == name);
        role.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Lets somebody choose in a menu of a message, and returns the message as it is then.
    async fn chosen(&self, who: &str, message: &Value, menu: &Value, values: &Value) -> Value {
        let deed = json!({ "type": "select", "custom_id": menu["custom_id"], "values": values });
        self.changed(who, message, &deed).await
    }

    /// Sets a key to roles that were made just now: it takes a moment until Ery hears of them.
    async fn set_once_known(&self, key: &str, roles: &str) {
        let options = json!({ "key": key, "value": roles });
        let set = eventually("the roles to be known", Duration::from_secs(20), async || {
            let said = self.shown("mara", "ery config set", &options).await;
            Ok(text(&said).contains("Changed").then_some(()))
        });
        set.await.unwrap();
    }

    async fn set_to(&self, key: &str) -> Value {
        let guild = self.guild.id.clone();
        self.ctl(&["config", "get", key, "--guild", &guild]).await[0]["value"].clone()
    }
}

fn menu(message: &Value, row: usize) -> Value {
    message["components"][row]["components"][0].clone()
}

fn text(message: &Value) -> &str {
    message["content"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn words_channels_and_presets_are_chosen() {
    let stand = Stand::start(&[]).await;
    let key = json!({ "key": "gate.engage" });
    let refused = stand.shown("alice", "ery config set", &key).await;
    assert!(text(&refused).contains("Manage server"), "{refused}");
    let offered = stand.shown("mara", "ery config set", &key).await;
    let options = menu(&offered, 0)["options"].clone();
    let options = options.as_array().unwrap().iter();
    let words: Vec<&str> = options.map(|option| option["value"].as_str().unwrap()).collect();
    assert_eq!(words, ["_", "off", "listen", "addressed", "every_message"]);
    let set = stand.chosen("mara", &offered, &menu(&offered, 0), &json!(["listen"])).await;
    assert!(text(&set).contains("version 1"), "{set}");
    assert_eq!(stand.set_to("gate.engage").await, "listen");
    // The menu goes on, as it is now.
    let reset = stand.chosen("mara", &set, &menu(&set, 0), &json!(["_"])).await;
    assert!(text(&reset).contains("version 2"), "{reset}");
    assert_eq!(stand.set_to("gate.engage").await, "addressed");

    let offered = stand
        .shown("mara", "ery config set", &json!({ "key": "moderation.reports_channel" }))
        .await;
    assert_eq!(menu(&offered, 0)["type"], 8);
    let staff = stand.channel("staff").to_owned();
    stand.chosen("mara", &offered, &menu(&offered, 0), &json!([staff])).await;
    assert_eq!(stand.set_to("moderation.reports_channel").await, staff);

    let offered = stand.shown("mara", "ery config preset", &json!({})).await;
    let shown =
        stand.chosen("mara", &offered, &menu(&offered, 0), &json!(["busy-community"])).await;
    assert!(text(&shown).contains("`context.messages`"), "{shown}");
    assert_eq!(stand.set_to("context.messages").await, 30, "that only showed it");
    let press = json!({
        "type": "button", "message_id": shown["id"],
        "custom_id": shown["components"][1]["components"][0]["custom_id"],
    });
    let done = stand.told("mara", &press).await;
    assert!(done.contains("Changed"), "{done}");
    assert_eq!(stand.set_to("context.messages").await, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_chosen_by_who_manages_the_server_and_on_top_of_what_they_saw() {
    let stand = Stand::start(&[]).await;
    let world = stand.sim.get("/sim/v1/world").await.unwrap();
    let member = stand.role(&world, "Member");
    let stale = stand.shown("mara", "ery access show", &json!({})).await;
    let offered = stand.shown("mara", "ery access show", &json!({})).await;
    for row in 0..3 {
        assert_eq!(menu(&offered, row)["type"], 6, "{offered}");
    }
    // Of event managers first, and of those who configure.
    let given = stand.chosen("mara", &offered, &menu(&offered, 1), &json!([member])).await;
    assert!(text(&given).contains("access.event_manager"), "{given}");
    let given = stand.chosen("mara", &given, &menu(&given, 2), &json!([member])).await;
    assert_eq!(stand.set_to("access.config_admin").await, json!([member]));
    let shown = menu(&given, 2)["default_values"].clone();
    assert_eq!(shown, json!([{ "id": member, "type": "role" }]));
    // The first message shows what was before: nobody takes back what they did not see.
    let late = stand.chosen("mara", &stale, &menu(&stale, 2), &json!([])).await;
    assert!(text(&late).contains("Somebody else changed that"), "{late}");
    assert_eq!(stand.set_to("access.config_admin").await, json!([member]));
    // Who is let configure reads it, and changes nothing of it.
    let read = stand.shown("alice", "ery access show", &json!({})).await;
    assert!(text(&read).contains(&format!("<@&{member}>")), "{read}");
    assert_eq!(read["components"], json!([]));
    let set_up = stand.shown("alice", "ery setup", &json!({})).await;
    assert_eq!(set_up["components"].as_array().unwrap().len(), 1, "{set_up}");
    let whole = stand.shown("mara", "ery setup", &json!({})).await;
    assert_eq!(whole["components"].as_array().unwrap().len(), 5, "{whole}");
    let everyone = stand.guild.id.clone();
    let refused = stand.chosen("mara", &whole, &menu(&whole, 2), &json!([everyone])).await;
    assert!(text(&refused).contains("@everyone"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_neither_chosen_nor_short_is_written_in_a_form() {
    let stand = Stand::start(&[]).await;
    let deed = json!({
        "type": "command", "command": "ery config set",
        "options": { "key": "answers.instructions" },
    });
    let opened = stand.begin("mara", &deed).await;
    assert_eq!(opened["response"]["type"], 9, "{opened}");
    assert_eq!(begun(&opened), Value::Null, "nothing is set yet");
    let written = "We love trains.\nBe kind.";
    let sent = json!({
        "type": "modal", "interaction_id": opened["id"], "fields": { "value": written },
    });
    let told = stand.told("mara", &sent).await;
    assert!(told.contains("Changed"), "{told}");
    assert_eq!(stand.set_to("answers.instructions").await, written);
    // What holds stands in it the next time.
    assert_eq!(begun(&stand.begin("mara", &deed).await), written);
    let names = json!({
        "type": "command", "command": "ery config set", "options": { "key": "gate.names" },
    });
    assert_eq!(begun(&stand.begin("mara", &names).await), "ery");
    // A text above is told besides: it is none that is to be written there.
    let mut here = deed.clone();
    here["options"]["where"] = json!("channel");
    assert_eq!(begun(&stand.begin("mara", &here).await), Value::Null);
}

/// Returns what stands in a form at first.
fn begun(opened: &Value) -> Value {
    opened["response"]["modal"]["components"][0]["component"]["value"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_form_is_shown_for_what_can_only_be_refused() {
    let stand = Stand::start(&[]).await;
    let set = |key: &str, place: &str| {
        let options = json!({ "key": key, "where": place });
        json!({ "type": "command", "command": "ery config set", "options": options })
    };
    let menu =
        |name: &str, of: &str| json!({ "type": "command", "command": name, "target_id": of });
    let said = async |who: &str, deed: &Value| {
        let answer = stand.begin(who, deed).await["response"].clone();
        assert_eq!(answer["type"], 4, "{answer}");
        text(&answer["message"]).to_owned()
    };
    let refused = said("alice", &set("answers.instructions", "server")).await;
    assert!(refused.contains("“Manage server”, or a role"), "{refused}");
    let refused = said("mara", &set("limits.steps", "me")).await;
    assert!(refused.contains("cannot be set by members for themselves"), "{refused}");
    let everybody =
        json!({ "permissions": [{ "id": stand.guild.id, "type": 1, "permission": true }] });
    let world = stand.sim.world().await.unwrap();
    let commands = world.bots[0]["commands"].as_array().unwrap().clone();
    let warn = commands.iter().find(|it| it["name"] == "Warn…").unwrap()["id"].clone();
    let path = format!("/sim/v1/command-permissions/{}/{}", stand.guild.id, warn.as_str().unwrap());
    stand.sim.put(&path, &everybody).await.unwrap();
    let refused = said("alice", &menu("Warn…", stand.member("bob"))).await;
    assert!(refused.contains("You need the right “Time out members”"), "{refused}");
    let refused = said("theo", &menu("Warn…", stand.member("theo"))).await;
    assert!(refused.contains("to themselves"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_roles_than_a_menu_holds_are_given_and_taken_by_commands() {
    let stand = Stand::start(&[]).await;
    let guild = stand.guild.id.clone();
    let mut roles = Vec::new();
    for number in 0..26 {
        let role = json!({ "name": format!("Helper {number}"), "guild_id": guild });
        let role = stand.sim.post("/sim/v1/roles", &role).await.unwrap();
        roles.push(role["id"].as_str().unwrap().to_owned());
    }
    stand.set_once_known("access.moderator", &roles.join(",")).await;
    let key = json!({ "key": "access.moderator" });
    let shown = stand.shown("mara", "ery config set", &key).await;
    assert_eq!(shown["components"], json!([]));
    assert!(!text(&shown).contains("Choose below"), "{shown}");
    assert!(text(&shown).contains("`/ery access give`"), "{shown}");
    let shown = stand.shown("mara", "ery access show", &json!({})).await;
    assert_eq!(shown["components"].as_array().unwrap().len(), 2, "{shown}");
    assert!(text(&shown).contains("`/ery access give`"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_role_or_channel_of_the_server_is_refused_and_what_was_is_told() {
    let stand = Stand::start(&[]).await;
    let guild = stand.guild.id.clone();
    let set = async |key: &str, value: &str| {
        let options = json!({ "key": key, "value": value });
        text(&stand.shown("mara", "ery config set", &options).await).to_owned()
    };
    let bob = stand.member("bob").to_owned();
    let refused = set("moderation.reports_channel", &format!("<@{bob}>")).await;
    assert!(refused.contains(&bob) && refused.contains("it must name a channel"), "{refused}");
    let refused = set("moderation.reports_channel", &bob).await;
    assert!(refused.contains("must be a channel of this server"), "{refused}");
    let refused = set("access.moderator", &bob).await;
    assert!(refused.contains("must be a role of this server"), "{refused}");
    let refused = set("gate.roles.42", "off").await;
    assert!(refused.contains("must be a role of this server"), "{refused}");

    // What was set stands, whatever becomes of it, and can be reset.
    let role = json!({ "name": "Passing", "guild_id": guild });
    let role = stand.sim.post("/sim/v1/roles", &role).await.unwrap();
    let role = role["id"].as_str().unwrap().to_owned();
    stand.set_once_known("access.moderator", &role).await;
    stand.sim.delete(&format!("/sim/v1/roles/{guild}/{role}")).await.unwrap();
    let gone = format!("not there any more: `{role}`");
    let told = eventually("the role to be gone", Duration::from_secs(20), async || {
        let key = json!({ "key": "access.moderator" });
        let shown = stand.shown("mara", "ery config get", &key).await;
        Ok(text(&shown).contains(&gone).then_some(()))
    });
    told.await.unwrap();
    let reset =
        stand.shown("mara", "ery config reset", &json!({ "key": "access.moderator" })).await;
    assert!(text(&reset).contains("Changed"), "{reset}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_whoever_types_may_set_there_is_completed_by_names() {
    let stand = Stand::start(&[]).await;
    let world = stand.sim.get("/sim/v1/world").await.unwrap();
    let member = stand.role(&world, "Member");
    let completed = async |who: &str, command: &str, focused: &str, options: Value| {
        let deed = json!({
            "type": "autocomplete", "command": command, "focused": focused, "options": options,
        });
        let answer = stand.begin(who, &deed).await;
        let choices = answer["response"]["choices"].as_array().unwrap().iter();
        choices.map(|it| it["value"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let set = "ery config set";
    let key = |typed: &str, place: &str| json!({ "key": typed, "where": place });
    // Members set for themselves what they may, and nothing else.
    assert!(completed("alice", set, "key", key("gate", "server")).await.is_empty());
    assert_eq!(completed("alice", set, "key", key("gate", "me")).await, ["gate.ignore_me"]);
    let of_server = completed("mara", set, "key", key("budgets.installation", "server")).await;
    assert!(of_server.is_empty(), "{of_server:?}");
    let of_channel = completed("mara", set, "key", key("access", "channel")).await;
    assert!(of_channel.is_empty(), "{of_channel:?}");
    assert_eq!(
        completed("mara", set, "key", key("access.mod", "server")).await,
        ["access.moderator"]
    );
    // Who is let configure is not offered who may.
    let give = json!({ "what": "config_admin", "role": member });
    stand.shown("mara", "ery access give", &give).await;
    assert!(completed("alice", set, "key", key("access", "server")).await.is_empty());
    let engage = completed("alice", set, "key", key("engage", "server")).await;
    assert_eq!(engage, ["gate.engage"]);

    // What is set there can be reset, and nothing else.
    let reset = "ery config reset";
    let of_server = completed("mara", reset, "key", key("", "server")).await;
    assert_eq!(of_server, ["access.config_admin"]);
    assert!(completed("mara", reset, "key", key("", "channel")).await.is_empty());
    assert!(completed("alice", reset, "key", key("", "server")).await.is_empty());

    // Roles and channels are found by name, words by any part of them.
    let value = |key: &str, typed: &str| json!({ "key": key, "value": typed });
    let found = completed("mara", set, "value", value("access.moderator", "@memb")).await;
    assert_eq!(found, [member.as_str()]);
    let found = completed("mara", set, "key", key("gate.roles.memb", "server")).await;
    assert_eq!(found, [format!("gate.roles.{member}")]);
    let staff = stand.channel("staff").to_owned();
    let found = completed("mara", set, "value", value("moderation.reports_channel", "#sta")).await;
    assert_eq!(found, [staff]);
    assert!(
        completed("alice", set, "value", value("moderation.reports_channel", "")).await.is_empty()
    );
    assert_eq!(completed("mara", set, "value", value("paused", "t")).await, ["true"]);
}
