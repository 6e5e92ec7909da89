//! How Ery introduces herself where she joins.

use std::time::Duration;

use serde_json::{Value, json};

use ery_tests::eventually;

use crate::Stand;

const PATIENCE: Duration = Duration::from_secs(20);

/// View channel, Send messages and Read message history.
const LITTLE: u64 = 1 << 10 | 1 << 11 | 1 << 16;

const VIEW: u64 = 1 << 10;

impl Stand {
    /// Has Discord begin another session, which tells of every server again.
    async fn begin_session(&self) {
        let begun = self.sim.get("/sim/v1/gateway").await.unwrap()["identifies"].clone();
        self.sim.post("/sim/v1/gateway", &json!({ "do": "invalid" })).await.unwrap();
        eventually("another session", PATIENCE, async || {
            let gateway = self.sim.get("/sim/v1/gateway").await?;
            Ok((gateway["identifies"] != begun).then_some(()))
        })
        .await
        .unwrap();
    }

    /// Invites Ery into a new server of mara's; returns it and its only channel.
    async fn join(&self) -> (String, String) {
        self.join_with(json!({ "system_channel": "lobby" })).await
    }

    /// The same, with something more said of the server.
    async fn join_with(&self, more: Value) -> (String, String) {
        self.join_where(more, None).await
    }

    /// The same, where everybody may do no more than that, and she neither.
    async fn join_where(&self, more: Value, all: Option<u64>) -> (String, String) {
        let mut new = json!({
            "name": "Newcomers", "owner_id": self.member("mara"), "channels": ["lobby"],
            "bot_permissions": LITTLE.to_string(), "bots": [],
        });
        new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let guild = self.sim.post("/sim/v1/guilds", &new).await.unwrap();
        let id = guild["id"].as_str().unwrap().to_owned();
        let channel = guild["channels"].as_array().unwrap().iter().find(|it| it["name"] == "lobby");
        let channel = channel.unwrap()["id"].as_str().unwrap().to_owned();
        let permissions = all.unwrap_or(LITTLE).to_string();
        if all.is_some() {
            // The role of everyone has the server's own id.
            let role = json!({ "permissions": permissions });
            self.sim.patch(&format!("/sim/v1/roles/{id}/{id}"), &role).await.unwrap();
        }
        let world = self.sim.world().await.unwrap();
        let invite = json!({
            "guild_id": id, "user_id": world.bots[0]["id"], "permissions": permissions,
        });
        self.sim.post("/sim/v1/members", &invite).await.unwrap();
        (id, channel)
    }

    async fn greetings(&self, channel: &str) -> Vec<Value> {
        let said = self.sim.messages(channel).await.unwrap();
        said.into_iter().filter(|it| it["author"]["bot"] == true).collect()
    }

    async fn greeting(&self, channel: &str) -> Value {
        let greeting = eventually("a greeting", PATIENCE, async || {
            Ok(self.greetings(channel).await.into_iter().next())
        });
        greeting.await.unwrap_or_else(|error| panic!("{error}\n{}", self.process.output()))
    }

    async fn presses(&self, who: &str, greeting: &Value, button: usize) -> String {
        let button = greeting["components"][0]["components"][button].clone();
        let press = json!({
            "type": "button", "user_id": self.member(who), "channel_id": greeting["channel_id"],
            "message_id": greeting["id"], "custom_id": button["custom_id"], "wait": true,
        });
        let begun = self.sim.post("/sim/v1/interactions", &press).await.unwrap();
        self.end_of(&begun).await["content"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_says_once_what_she_lacks_and_is_set_up_by_who_manages_the_server() {
    let stand = Stand::start(&[]).await;
    let (guild, channel) = stand.join().await;
    let greeting = stand.greeting(&channel).await;
    let text = greeting["content"].as_str().unwrap();
    assert!(text.contains("Ban members") && !text.contains("Send messages,"), "{text}");
    let labels: Vec<&str> = greeting["components"][0]["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|button| button["label"].as_str().unwrap())
        .collect();
    let wanted = [
        "quiet helper",
        "strict moderation",
        "busy community",
        "How things stand",
        "Roles and channels…",
    ];
    assert_eq!(labels, wanted);

    // A new session tells of every server again.
    stand.begin_session().await;

    let alice = json!({ "guild_id": guild, "user_id": stand.member("alice") });
    stand.sim.post("/sim/v1/members", &alice).await.unwrap();
    let refused = stand.presses("alice", &greeting, 1).await;
    assert!(refused.contains("Manage server"), "{refused}");
    let set = stand.presses("mara", &greeting, 1).await;
    assert!(set.contains("version 1"), "{set}");
    let rule = ["config", "get", "tools.policy.ban_member", "--guild", &guild];
    assert_eq!(stand.ctl(&rule).await[0]["value"], "ask");
    let status = stand.presses("alice", &greeting, 3).await;
    assert!(status.contains("I answer here who speaks to me"), "{status}");
    let refused = stand.presses("alice", &greeting, 4).await;
    assert!(refused.contains("Manage server"), "{refused}");
    let menus = stand.presses("mara", &greeting, 4).await;
    assert!(menus.contains("Where reports of members go"), "{menus}");
    assert_eq!(stand.greetings(&channel).await.len(), 1);
    // Where she has been for long she says nothing.
    assert!(stand.greetings(stand.channel("general")).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_channel_of_the_system_is_greeted_where_she_may_write() {
    let stand = Stand::start(&[]).await;
    let (_, channel) = stand.join_with(json!({})).await;
    let greeting = stand.greeting(&channel).await;
    assert!(greeting["content"].as_str().unwrap().contains("I am Ery"), "{greeting}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_she_may_write_nowhere_the_owner_is_told_once_and_alone() {
    let stand = Stand::start(&[]).await;
    let (guild, channel) = stand.join_where(json!({}), Some(VIEW)).await;
    let mara = stand.member("mara");
    let dm = stand.sim.post("/sim/v1/dms", &json!({ "user_id": mara })).await.unwrap();
    let dm = dm["id"].as_str().unwrap().to_owned();
    let told = stand.greeting(&dm).await;
    let text = told["content"].as_str().unwrap();
    assert!(text.contains("`Newcomers`") && text.contains("/ery setup"), "{text}");
    assert_eq!(told["components"], json!([]), "buttons would not know the server");
    assert!(stand.greetings(&channel).await.is_empty());

    // A new session tells of the server again, and nobody of anything.
    stand.begin_session().await;
    stand.told("mara", &json!({ "type": "command", "command": "ery status" })).await;
    assert_eq!(stand.greetings(&dm).await.len(), 1);
    let sent = stand.ctl(&["executions", "list", "--guild", &guild]).await;
    assert_eq!(sent.as_array().unwrap().len(), 1, "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_takes_no_direct_messages_is_left_alone() {
    let stand = Stand::start(&[]).await;
    let fault = json!({
        "route": "POST /users/@me/channels", "kind": "error", "status": 403, "code": 50_007,
    });
    stand.sim.post("/sim/v1/faults", &fault).await.unwrap();
    let (guild, channel) = stand.join_where(json!({}), Some(VIEW)).await;
    let refused = eventually("a refusal", PATIENCE, async || {
        let sent = stand.ctl(&["executions", "list", "--guild", &guild]).await;
        Ok((sent[0]["state"] == "failed").then_some(()))
    });
    refused.await.unwrap();
    // Ery goes on.
    stand.told("mara", &json!({ "type": "command", "command": "ery status" })).await;
    assert!(stand.greetings(&channel).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_not_wanted_who_joins_says_nothing() {
    let stand = Stand::start(&[("ERY_ORCHESTRATOR__GREET", "false")]).await;
    let (_, channel) = stand.join().await;
    let spoken = stand.sim.say(&channel, stand.member("mara"), "Ery, hello").await.unwrap();
    eventually("an answer", PATIENCE, async || {
        let said = stand.greetings(&channel).await;
        let answers =
            |it: &Value| it["message_reference"]["message_id"] == spoken.to_string().as_str();
        Ok(said.iter().any(answers).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(stand.greetings(&channel).await.len(), 1);
}
