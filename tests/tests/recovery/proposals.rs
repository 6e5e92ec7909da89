//! Several acts that one turn proposes, while whoever shows and does them is killed in between.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use ery_tests::{Guild, ScriptedModel, Sim, eventually};

use super::{Installation, PATIENCE};

/// Whom the model wants timed out, in its order.
const WANTED: [&str; 3] = ["bob", "alice", "nils"];

async fn model() -> ScriptedModel {
    let call = |name: &str| {
        ("timeout_member", json!({ "member": name, "duration_seconds": 3_600, "reason": "told" }))
    };
    ScriptedModel::start_with(WANTED.map(call).into()).await.unwrap()
}

/// The proposals of the channel, the oldest first, whatever became of them.
async fn proposals(sim: &Sim, channel: &str) -> Vec<Value> {
    let messages = sim.messages(channel).await.unwrap();
    let is_proposal = |message: &&Value| {
        let asks = message["content"].as_str().unwrap_or_default().starts_with("Asked for by");
        asks || !message["components"].as_array().is_none_or(Vec::is_empty)
    };
    messages.iter().rev().filter(is_proposal).cloned().collect()
}

async fn press(sim: &Sim, user: &str, message: &Value, label: &str) {
    let buttons = message["components"][0]["components"].as_array().unwrap();
    let button = buttons.iter().find(|button| button["label"] == label).unwrap();
    let press = json!({
        "type": "button", "user_id": user, "channel_id": message["channel_id"],
        "message_id": message["id"], "custom_id": button["custom_id"], "wait": true,
    });
    sim.post("/sim/v1/interactions", &press).await.unwrap();
}

async fn timed_out_until(sim: &Sim, guild: &Guild, name: &str) -> Option<String> {
    let world = sim.world().await.unwrap();
    let now = world.guilds.into_iter().find(|it| it.id == guild.id).unwrap();
    let user = guild.member(name).unwrap();
    let member = now.members.iter().find(|member| member["user"]["id"] == user).unwrap();
    member["communication_disabled_until"].as_str().map(str::to_owned)
}

async fn until_timed_out(installation: &Installation, guild: &Guild, name: &str) {
    let waited = eventually("a timeout", PATIENCE, async || {
        Ok(timed_out_until(installation.sim(), guild, name).await)
    });
    if let Err(error) = waited.await {
        panic!("{error}\n{}", installation.output());
    }
}

async fn each_is_shown_and_done_once(installation: &mut Installation, killed_after: usize) {
    let sim = Sim::new(installation.sim().base());
    let world = sim.world().await.unwrap();
    let guild = world.guilds.into_iter().next().unwrap();
    let channel = guild.channel("general").unwrap().to_owned();
    let moderator = guild.member("theo").unwrap().to_owned();
    let ery = world.bots[0]["id"].as_str().unwrap();
    // Slow enough that the next is still under way when the last one is seen.
    let slow = json!({
        "route": "POST /channels/{channel_id}/messages", "kind": "delay", "delay_ms": 300,
    });
    sim.post("/sim/v1/faults", &slow).await.unwrap();

    let asked = sim
        .say(&channel, &moderator, &format!("<@{ery}> how are they?"))
        .await
        .unwrap()
        .to_string();
    eventually("a proposal", PATIENCE, async || {
        Ok((proposals(&sim, &channel).await.len() >= killed_after).then_some(()))
    })
    .await
    .unwrap();
    installation.kill_and_restart().await;
    sim.delete("/sim/v1/faults").await.unwrap();

    let shown = eventually("all proposals", PATIENCE, async || {
        let shown = proposals(&sim, &channel).await;
        Ok((shown.len() == WANTED.len()).then_some(shown))
    })
    .await;
    let shown = shown.unwrap_or_else(|error| panic!("{error}\n{}", installation.output()));
    for (proposal, name) in shown.iter().zip(WANTED) {
        let text = proposal["content"].as_str().unwrap();
        assert!(text.contains(&format!("<@{}>", guild.member(name).unwrap())), "{text}");
        assert!(timed_out_until(&sim, &guild, name).await.is_none(), "nothing is done unclicked");
    }

    // The last is approved, and who does it is killed at once; then the first; the second is not.
    press(&sim, &moderator, &shown[2], "Approve").await;
    installation.kill_and_restart().await;
    until_timed_out(installation, &guild, "nils").await;
    press(&sim, &moderator, &shown[0], "Approve").await;
    until_timed_out(installation, &guild, "bob").await;
    press(&sim, &moderator, &shown[1], "Reject").await;

    let answers = async || {
        let messages = sim.messages(&channel).await.unwrap();
        let is_answer = |message: &&Value| {
            message["message_reference"]["message_id"] == asked.as_str()
                && shown.iter().all(|proposal| proposal["id"] != message["id"])
        };
        messages.iter().filter(is_answer).count()
    };
    let answered =
        eventually("the answer", PATIENCE, async || Ok((answers().await > 0).then_some(()))).await;
    answered.unwrap_or_else(|error| panic!("{error}\n{}", installation.output()));
    assert_eq!(answers().await, 1);
    assert_eq!(proposals(&sim, &channel).await.len(), WANTED.len());
    assert!(timed_out_until(&sim, &guild, "alice").await.is_none(), "it was rejected");
    // However often it was asked for: one end for each, and for nobody else.
    let ends: BTreeSet<(String, String)> = sim
        .log(0)
        .await
        .unwrap()
        .iter()
        .filter(|entry| entry.method == "PATCH" && entry.path.contains("/members/"))
        .map(|entry| (entry.path.clone(), entry.body["communication_disabled_until"].to_string()))
        .collect();
    assert_eq!(ends.len(), 2, "{ends:?}");
}

fn of_model(model: &ScriptedModel) -> [(&str, &str); 3] {
    [("ERY_AI__PROVIDER", "openai"), ("ERY_AI__BASE_URL", model.base_url()), ("ERY_AI__MODEL", "m")]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_after_the_first_proposal_of_a_turn_shows_the_others() {
    let model = model().await;
    let mut installation = Installation::one(&of_model(&model)).await;
    each_is_shown_and_done_once(&mut installation, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_after_the_second_proposal_of_a_turn_shows_the_last() {
    let model = model().await;
    let mut installation = Installation::one(&of_model(&model)).await;
    each_is_shown_and_done_once(&mut installation, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_a_cluster_killed_between_proposals_of_a_turn_show_each_once() {
    let model = model().await;
    let mut installation = Installation::many(&of_model(&model)).await;
    each_is_shown_and_done_once(&mut installation, 1).await;
}
