//! Long answers, and answers that people see while they are written, tried from outside.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::Duration;

use serde_json::Value;

use ery_tests::{ContractKept, Ery, Platform, Shape, Sim, WritingModel, eventually};

const PATIENCE: Duration = Duration::from_secs(40);

/// Some sentences, each of them a piece.
fn sentences(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("This is sentence {number} of the whole answer. ")).collect()
}

/// Returns what stands in a channel by Ery.
async fn said(sim: &Sim, channel: &str) -> Vec<Value> {
    let messages = sim.messages(channel).await.unwrap();
    messages.into_iter().filter(|message| message["author"]["bot"] == true).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_grows_in_one_message_and_a_long_one_goes_on_in_others() {
    let mut pieces = sentences(60);
    pieces.insert(20, format!("\n```rust\n{}```\n", "let it = 1;\n".repeat(90)));
    // A link that is written slowly may not be seen before it is known where it leads.
    pieces
        .splice(3..3, ["[look ", "here](https://evil.example/x", "?q=secret) "].map(String::from));
    let model = WritingModel::start(pieces, Duration::from_millis(60)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("ERY_AI__PROVIDER", "openai"),
        ("ERY_AI__BASE_URL", model.base_url()),
        ("ERY_AI__MODEL", "writer"),
        ("ERY_ORCHESTRATOR__GROWING_ANSWERS", "true"),
        ("ERY_ORCHESTRATOR__GROWING_EVERY", "1s"),
    ];
    let mut process = Ery::start_playground(Some(folder.path()), &variables).unwrap();
    let sim = Sim::new(&process.line_after("The simulated Discord is at").await.unwrap());
    let _contract = ContractKept::watch(&sim).await.unwrap();
    let guild = sim.world().await.unwrap().guilds.into_iter().next().unwrap();
    let (general, alice) = (guild.channel("general").unwrap(), guild.member("alice").unwrap());
    let asked = sim.say(general, alice, "@Ery tell me everything").await.unwrap().to_string();
    let all = eventually("the whole answer", PATIENCE, async || {
        let said = said(&sim, general).await;
        let text: String = said.iter().map(|it| it["content"].as_str().unwrap()).collect();
        Ok(text.contains("sentence 60").then_some(said))
    });
    let all = all.await.unwrap();
    assert!(all.len() >= 2, "{all:?}");
    let replies = all.iter().filter(|it| it["message_reference"]["message_id"] == asked.as_str());
    assert_eq!(replies.count(), 1, "the first one replies");
    for message in &all {
        let content = message["content"].as_str().unwrap();
        assert!(content.encode_utf16().count() <= 2_000 && !content.contains('…'), "{content}");
        assert_eq!(content.matches("```").count() % 2, 0, "{content}");
    }
    let text: String = all.iter().map(|it| it["content"].as_str().unwrap()).collect();
    assert_eq!(text.matches("let it = 1;").count(), 90);
    for number in 1..=60 {
        assert!(text.contains(&format!("sentence {number} of")), "{number}: {text}");
    }
    // Whatever was seen on the way was fit to be seen.
    let log = sim.log(0).await.unwrap();
    let writes = log.iter().filter(|entry| {
        entry.path.contains("/messages") && ["POST", "PATCH"].contains(&entry.method.as_str())
    });
    let writes: Vec<_> = writes.collect();
    let changes = writes.iter().filter(|entry| entry.method == "PATCH").count();
    assert!(changes >= 2, "{changes}");
    assert!(writes[0].body["content"].as_str().unwrap().ends_with('…'), "{}", writes[0].body);
    for entry in writes {
        let content = entry.body["content"].as_str().unwrap();
        assert!(!content.contains("?q") && !content.contains("]("), "{content}");
        assert_eq!(
            entry.body["allowed_mentions"]["parse"],
            serde_json::json!([]),
            "{}",
            entry.body
        );
        assert!((200..300).contains(&entry.status), "{}", entry.status);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_whose_process_is_killed_while_it_grows_ends_whole_and_alone() {
    let model = WritingModel::start(sentences(12), Duration::from_millis(20)).await.unwrap();
    let mut platform = Platform::start(
        Shape { orchestrators: 1, tool_services: 1, ai_services: 1 },
        &[
            ("ERY_AI__PROVIDER", "openai"),
            ("ERY_AI__BASE_URL", model.base_url()),
            ("ERY_AI__MODEL", "writer"),
            ("ERY_ORCHESTRATOR__GROWING_ANSWERS", "true"),
            ("ERY_ORCHESTRATOR__GROWING_EVERY", "1s"),
        ],
    )
    .await
    .unwrap();
    let (_, channels, members) = platform.sim.make_guild(3, 1).await.unwrap();
    let bot = platform.sim.world().await.unwrap().bots[0]["id"].as_str().unwrap().to_owned();
    model.hold();
    let mut asked = Vec::new();
    for channel in &channels {
        let text = format!("<@{bot}> tell me");
        asked.push(platform.sim.say(channel, &members[0], &text).await.unwrap());
    }
    // Half an answer stands in each channel.
    for channel in &channels {
        eventually("half an answer", PATIENCE, async || {
            let said = said(&platform.sim, channel).await;
            Ok(said.iter().any(|it| it["content"].as_str().unwrap().ends_with('…')).then_some(()))
        })
        .await
        .unwrap();
    }
    platform.orchestrators[0].kill().await.unwrap();
    // One of them is not asked for any more.
    let path = format!("/sim/v1/messages/{}/{}", channels[2], asked[2]);
    platform.sim.delete(&path).await.unwrap();
    platform.orchestrators[0] = platform.one_more("orchestrator").unwrap();
    // Its deletion is known before anything more is written; else it might be answered first.
    eventually("the half answer to be taken back", PATIENCE, async || {
        Ok(said(&platform.sim, &channels[2]).await.is_empty().then_some(()))
    })
    .await
    .unwrap();
    model.go_on();
    for channel in &channels[..2] {
        let whole = model.text();
        eventually("the whole answer", PATIENCE, async || {
            let said = said(&platform.sim, channel).await;
            let is_whole = said.iter().any(|it| it["content"] == whole.trim());
            Ok(is_whole.then_some(()))
        })
        .await
        .unwrap();
        assert_eq!(said(&platform.sim, channel).await.len(), 1, "one answer");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_paused_or_deleted_is_not_worked_on_any_more() {
    let model = WritingModel::start(sentences(4), Duration::from_millis(20)).await.unwrap();
    let platform = Platform::start(
        Shape { orchestrators: 1, tool_services: 1, ai_services: 1 },
        &[
            ("ERY_AI__PROVIDER", "openai"),
            ("ERY_AI__BASE_URL", model.base_url()),
            ("ERY_AI__MODEL", "writer"),
        ],
    )
    .await
    .unwrap();
    let (guild, channels, members) = platform.sim.make_guild(2, 1).await.unwrap();
    let bot = platform.sim.world().await.unwrap().bots[0]["id"].as_str().unwrap().to_owned();
    model.hold();
    for channel in &channels {
        platform.sim.say(channel, &members[0], &format!("<@{bot}> tell me")).await.unwrap();
    }
    eventually("both to be asked", PATIENCE, async || Ok((model.asked() == 2).then_some(())))
        .await
        .unwrap();
    let running = async || {
        let list = ["threads", "list", "--guild", guild.as_str(), "--running"];
        Ok::<_, anyhow::Error>(platform.ctl(&list).await?.as_array().map_or(0, Vec::len))
    };
    // The model never goes on: whatever ends does so because of what happens here.
    platform.sim.delete(&format!("/sim/v1/channels/{}", channels[0])).await.unwrap();
    eventually("the deleted channel's thread to end", PATIENCE, async || {
        Ok((running().await? == 1).then_some(()))
    })
    .await
    .unwrap();
    platform.ctl(&["config", "set", "paused", "true", "--guild", guild.as_str()]).await.unwrap();
    eventually("the paused thread to end", PATIENCE, async || {
        Ok((running().await? == 0).then_some(()))
    })
    .await
    .unwrap();
    let threads = platform.ctl(&["threads", "list", "--guild", guild.as_str()]).await.unwrap();
    let outcomes: Vec<&str> =
        threads.as_array().unwrap().iter().map(|it| it["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["cancelled", "cancelled"], "{threads:#}");
    model.go_on();
    assert!(said(&platform.sim, &channels[1]).await.is_empty());
}
