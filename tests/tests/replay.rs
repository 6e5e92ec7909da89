//! A thread's journal run once more, tried from outside: nothing happens but the comparison.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::Duration;

use serde_json::{Value, json};

use ery_tests::{Ery, ScriptedModel, Sim, eventually};

const PATIENCE: Duration = Duration::from_secs(30);

/// Asks `ery ctl` of a playground, with a model of its own.
async fn ctl(folder: &tempfile::TempDir, model: &ScriptedModel, arguments: &[&str]) -> Value {
    let data = folder.path().display().to_string();
    let all = [&["ctl", "--json", "--data-dir", &data], arguments].concat();
    let variables = [
        ("ERY_AI__PROVIDER", "openai"),
        ("ERY_AI__BASE_URL", model.base_url()),
        ("ERY_AI__MODEL", "other"),
    ];
    let mut ctl = Ery::start("ctl", &all, &variables).unwrap();
    let status = ctl.end(PATIENCE).await.unwrap();
    assert!(status.success(), "{}", ctl.output());
    serde_json::from_str(&ctl.stdout()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_is_run_once_more_and_nothing_comes_of_it() {
    let arguments = json!({ "member": "bob" });
    let model = ScriptedModel::start("get_member_info", arguments.clone()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("ERY_AI__PROVIDER", "openai"),
        ("ERY_AI__BASE_URL", model.base_url()),
        ("ERY_AI__MODEL", "scripted"),
    ];
    let mut process = Ery::start_playground(Some(folder.path()), &variables).unwrap();
    let sim = Sim::new(&process.line_after("The simulated Discord is at").await.unwrap());
    let guild = sim.world().await.unwrap().guilds.into_iter().next().unwrap();
    let (general, alice) = (guild.channel("general").unwrap(), guild.member("alice").unwrap());
    let asked = sim.say(general, alice, "@Ery who is bob?").await.unwrap();
    let thread = eventually("the thread's end", PATIENCE, async || {
        let threads = ctl(&folder, &model, &["threads", "list"]).await;
        let is_it = |it: &&Value| {
            it["finished_at_ms"].is_i64() && it["triggers"] == json!([format!("m.{asked}")])
        };
        Ok(threads.as_array().unwrap().iter().find(is_it).cloned())
    });
    let thread = thread.await.unwrap()["thread_id"].as_str().unwrap().to_owned();
    let asked_before = model.requests();

    // By the same model: what it is given and what it does is the same.
    let writes = async || {
        let log = sim.log(0).await.unwrap();
        log.into_iter().filter(|entry| entry.method != "GET").count()
    };
    let (written, executions) =
        (writes().await, ctl(&folder, &model, &["executions", "list"]).await);
    let same = ctl(&folder, &model, &["threads", "replay", &thread]).await;
    let replay = &same[0];
    assert_eq!(replay["comparison"]["is_same_answer"], true, "{replay}");
    assert_eq!(replay["comparison"]["are_same_calls"], true, "{replay}");
    assert_eq!(replay["original"]["tool_calls"][0]["outcome"], "done", "{replay}");
    assert_eq!(replay["replay"]["tool_calls"][0]["outcome"], "done", "{replay}");
    assert_eq!(replay["replay"]["model_turns"], 2, "{replay}");
    assert_eq!(replay["gaps"]["are_rights_unknown"], false, "{replay}");
    assert_eq!(replay["gaps"]["calls_not_in_journal"], 0, "{replay}");
    let requests = model.requests();
    let [first, again] = [&requests[0], &requests[asked_before.len()]];
    assert_eq!(first["tools"], again["tools"], "the same tools");
    let told = |request: &Value| {
        let last = request["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
        // The marker and the time are each request's own.
        last.split_once('{').map(|(_, object)| object.to_owned()).unwrap()
    };
    assert_eq!(told(first), told(again), "the same message by an author of the same rights");

    // By a model that does something else: that is told as not recorded, and does not happen.
    let kick = json!({ "member": "bob", "reason": "no reason" });
    let other = ScriptedModel::start("kick_member", kick).await.unwrap();
    let differs = ctl(&folder, &other, &["threads", "replay", &thread, "--model", "third"]).await;
    let replay = &differs[0];
    assert_eq!(replay["replay"]["tool_calls"][0]["outcome"], "not_in_journal", "{replay}");
    assert_eq!(replay["comparison"]["only_in_original"][0]["tool"], "get_member_info", "{replay}");
    assert_eq!(replay["comparison"]["only_in_replay"][0]["tool"], "kick_member", "{replay}");
    let second = &other.requests()[1];
    assert_eq!(second["model"], "third");
    assert!(second["messages"].to_string().contains("not_in_journal"), "{second}");
    assert_eq!(writes().await, written, "nothing is asked of Discord");
    assert_eq!(ctl(&folder, &model, &["executions", "list"]).await, executions, "nothing is done");

    // A message that is gone is in no replay.
    let gone = ctl(&folder, &model, &["threads", "list"]).await;
    assert_eq!(gone.as_array().unwrap().len(), 1, "a replay is no thread");
}
