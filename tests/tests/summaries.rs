//! What was said before the messages that a model reads, summed up: tried from outside.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::Duration;

use serde_json::{Value, json};

use ery_tests::{Ery, ScriptedModel, Sim, eventually};

const PATIENCE: Duration = Duration::from_secs(40);

async fn ctl(folder: &tempfile::TempDir, arguments: &[&str]) -> Value {
    let data = folder.path().display().to_string();
    let all = [&["ctl", "--json", "--data-dir", &data], arguments].concat();
    let mut ctl = Ery::start("ctl", &all, &[]).unwrap();
    let status = ctl.end(PATIENCE).await.unwrap();
    assert!(status.success(), "{}", ctl.output());
    serde_json::from_str(&ctl.stdout()).unwrap()
}

/// Returns the requests for answers, or those for summaries, as text.
fn asked(model: &ScriptedModel, for_summaries: bool) -> Vec<String> {
    let is_it = |request: &Value| {
        let system = request["messages"][0]["content"].as_str().unwrap();
        system.contains("the summary of one channel") == for_summaries
    };
    model
        .requests()
        .iter()
        .filter(|request| is_it(request))
        .map(|it| it["messages"].to_string())
        .collect()
}

/// Asks Ery something, and returns what the model is told, once it is.
async fn ask(
    sim: &Sim,
    model: &ScriptedModel,
    channel: &str,
    member: &str,
    text: &str,
) -> (u64, String) {
    let asked_by = sim.say(channel, member, &format!("@Ery {text}")).await.unwrap();
    let told = eventually("the model to be asked", PATIENCE, async || {
        let found = asked(model, false).into_iter().find(|it| it.contains(text));
        // The thread has ended once its answer is there.
        let said = sim.messages(channel).await?;
        let is_answered = said
            .iter()
            .any(|it| it["message_reference"]["message_id"] == asked_by.to_string().as_str());
        Ok(found.filter(|_| is_answered))
    });
    (asked_by, told.await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_channel_is_summed_up_for_later_requests_and_an_edit_takes_the_summary_back() {
    let model = ScriptedModel::start_with(Vec::new()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("ERY_AI__PROVIDER", "openai"),
        ("ERY_AI__BASE_URL", model.base_url()),
        ("ERY_AI__MODEL", "scripted"),
        ("ERY_ORCHESTRATOR__SUMMARIES", "true"),
        ("ERY_ORCHESTRATOR__SUMMARY_REST", "0s"),
        ("ERY_ORCHESTRATOR__CONTEXT_MESSAGES", "5"),
    ];
    let mut process = Ery::start_playground(Some(folder.path()), &variables).unwrap();
    let sim = Sim::new(&process.line_after("The simulated Discord is at").await.unwrap());
    let guild = sim.world().await.unwrap().guilds.into_iter().next().unwrap();
    let (general, alice) = (guild.channel("general").unwrap(), guild.member("alice").unwrap());
    let mut said = Vec::new();
    for number in 10..40 {
        said.push(sim.say(general, alice, &format!("word-{number}")).await.unwrap());
    }

    let (_, first) = ask(&sim, &model, general, alice, "first question").await;
    assert!(first.contains("word-39") && !first.contains("word-30"), "{first}");
    let summing = eventually("a summary to be asked for", PATIENCE, async || {
        Ok(asked(&model, true).into_iter().next())
    });
    let summing = summing.await.unwrap();
    assert!(summing.contains("word-10") && summing.contains("word-30"), "{summing}");
    assert!(!summing.contains("word-39"), "what is read anyway is not summed up");

    // A later request carries it, as data.
    let later = async {
        for count in 1.. {
            let text = format!("later question {count}");
            let (message, told) = ask(&sim, &model, general, alice, &text).await;
            if told.contains("Summary number 1.") {
                return (message, told);
            }
        }
        unreachable!("it is asked again and again")
    };
    let (message, told) = tokio::time::timeout(PATIENCE, later).await.unwrap();
    assert!(told.contains(r#"\"summary\":true"#), "{told}");
    let why = ctl(&folder, &["threads", "why", &message.to_string()]).await;
    let read = &why["thread"]["steps"][0]["payload"]["summary"];
    assert_eq!(read["first"], said[0].to_string(), "{why}");
    assert!(read["messages"].as_u64().unwrap() >= 20, "{why}");
    assert!(!why.to_string().contains("Summary number"), "its text is nobody's business");
    let usage = ctl(&folder, &["usage"]).await;
    assert!(usage["total"]["summary_turns"].as_u64().unwrap() >= 1, "{usage}");

    // A word of it is edited: it is gone before anything else is asked.
    let edit = json!({ "content": "another word" });
    sim.patch(&format!("/sim/v1/messages/{general}/{}", said[3]), &edit).await.unwrap();
    let (_, after) = ask(&sim, &model, general, alice, "question after the edit").await;
    assert!(!after.contains("Summary number"), "{after}");
    let anew = eventually("it to be summed up anew", PATIENCE, async || {
        Ok(asked(&model, true).into_iter().find(|it| it.contains("another word")))
    });
    let anew = anew.await.unwrap();
    assert!(!anew.contains("Summary number") && !anew.contains("word-13"), "{anew}");
}
