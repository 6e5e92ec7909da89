//! The console and MCP, tried with the official SDK for Python, unmodified, and by hand over HTTP.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use ery_tests::{ContractKept, Ery, Guild, LogEntry, Sim, eventually};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command};

/// How long a client may take on a busy machine; alone it takes about two seconds.
const PATIENCE: Duration = Duration::from_mins(2);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

struct Playground {
    /// First, so that the run is judged while the simulator still runs.
    _contract: ContractKept,
    process: Ery,
    sim: Sim,
    mcp: String,
    guild: Guild,
    folder: tempfile::TempDir,
}

impl Playground {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = [("ERY_CONSOLE__ENABLED", "true"), ("ERY_CONSOLE__LISTEN", "127.0.0.1:0")];
        let variables: Vec<_> = own.iter().chain(variables).copied().collect();
        let mut process = Ery::start_playground(Some(folder.path()), &variables).unwrap();
        let sim = Sim::new(&process.line_after("The simulated Discord is at").await.unwrap());
        let mcp = process.line_after("MCP clients are served at").await.unwrap();
        let contract = ContractKept::watch(&sim).await.unwrap();
        let guild = sim.world().await.unwrap().guilds.into_iter().next().unwrap();
        Self { _contract: contract, process, sim, mcp, guild, folder }
    }

    async fn ctl(&self, arguments: &[&str]) -> Value {
        let data = self.folder.path().display().to_string();
        let arguments: Vec<_> =
            ["ctl", "--json", "--data-dir", &data].iter().chain(arguments).copied().collect();
        let mut ctl = Ery::start("ctl", &arguments, &[]).unwrap();
        let status = ctl.end(Duration::from_secs(30)).await.unwrap();
        assert!(status.success(), "{}", ctl.output());
        serde_json::from_str(&ctl.stdout()).unwrap()
    }

    /// Makes a credential, and returns it with its token.
    async fn credential(&self, user: &str, more: &[&str]) -> Value {
        let channel = self.guild.channel("general").unwrap();
        let arguments =
            ["mcp", "create", "--guild", &self.guild.id, "--user", user, "--channel", channel];
        let arguments: Vec<_> = arguments.iter().chain(more).copied().collect();
        self.ctl(&arguments).await
    }

    async fn executions(&self) -> Vec<Value> {
        let all = self.ctl(&["executions", "list", "--limit", "500"]).await;
        all.as_array().unwrap().clone()
    }

    /// Runs the SDK's client with these calls.
    async fn client(&self, token: &str, mode: &str, calls: &Value) -> Result<Value, String> {
        let library = root().join(".tools/mcp");
        assert!(library.join("mcp").exists(), "MCP's SDK is missing: `make tools` installs it");
        let mut client = Command::new("python3")
            .arg(root().join("tests/clients/mcp_client.py"))
            .args([&self.mcp, token, mode])
            .env("PYTHONPATH", library)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("there is a python3");
        let mut stdin = client.stdin.take().unwrap();
        stdin.write_all(calls.to_string().as_bytes()).await.unwrap();
        drop(stdin);
        let output = tokio::time::timeout(PATIENCE, client.wait_with_output());
        let output = output.await.expect("the client does not end").unwrap();
        if output.status.success() {
            Ok(serde_json::from_slice(&output.stdout).unwrap())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    async fn call(&self, token: &str, tool: &str, arguments: Value) -> Value {
        let calls = json!([{ "tool": tool, "arguments": arguments }]);
        let told = self.client(token, "legacy", &calls).await;
        told.unwrap_or_else(|error| panic!("{error}\n{}", self.process.output()))["results"][0]
            .clone()
    }

    async fn is_timed_out(&self, member: &str) -> bool {
        let world = self.sim.world().await.unwrap();
        let members = world.guilds.into_iter().next().unwrap().members;
        let found = members.iter().find(|found| found["user"]["id"] == member).unwrap();
        !found["communication_disabled_until"].is_null()
    }

    async fn said(&self, channel: &str) -> Vec<Value> {
        self.sim.messages(self.guild.channel(channel).unwrap()).await.unwrap()
    }
}

/// Returns the id of a member who holds a role of this name.
fn holder(guild: &Guild, role: &str) -> String {
    let role = guild.roles.iter().find(|found| found["name"] == role).unwrap()["id"].clone();
    let holds = |member: &&Value| {
        member["roles"].as_array().unwrap().contains(&role) && member["user"]["bot"] != true
    };
    guild.members.iter().find(holds).unwrap()["user"]["id"].as_str().unwrap().to_owned()
}

fn token(credential: &Value) -> &str {
    credential["token"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdks_client_lists_and_calls_every_tool_that_the_person_may_use() {
    let it = Playground::start(&[]).await;
    let bob = it.guild.member("bob").unwrap().to_owned();
    let moderator = holder(&it.guild, "Moderator");
    let credential = it.credential(&moderator, &["--name", "desk"]).await;
    for (mode, text) in [("legacy", "by a session"), ("auto", "by the newest revision")] {
        let calls = json!([
            { "tool": "send_message", "arguments": { "content": text } },
            { "tool": "timeout_member", "arguments": { "member": "@bob", "duration_seconds": 600 } },
            { "tool": "timeout_member", "arguments": { "member": "@bob", "minutes": 1 } },
            { "tool": "nuke_server", "arguments": {} },
        ]);
        let told = it.client(token(&credential), mode, &calls).await;
        let told = told.unwrap_or_else(|error| panic!("{error}\n{}", it.process.output()));
        assert_eq!(told["server"], "ery");
        assert!(told["instructions"].as_str().unwrap().contains("never instructions"));
        assert_eq!(told["protocol"] == "2026-07-28", mode == "auto", "{}", told["protocol"]);
        let tools = told["tools"].as_array().unwrap();
        assert_eq!(tools.len(), 23);
        assert!(tools.iter().all(|tool| tool["schema"]["additionalProperties"] == false));

        let results = told["results"].as_array().unwrap();
        assert_eq!(results[0]["is_error"], false, "{results:?}");
        assert!(it.said("general").await.iter().any(|said| said["content"] == text));
        assert_eq!(results[1]["is_error"], false, "{results:?}");
        assert!(results[1]["text"].as_str().unwrap().contains("10 minutes"), "{results:?}");
        assert_eq!(results[2]["is_error"], true, "{results:?}");
        assert!(results[2]["text"].as_str().unwrap().contains("minutes"), "{results:?}");
        assert_eq!(results[3]["protocol_error"], -32602, "{results:?}");
    }
    assert!(it.is_timed_out(&bob).await);

    let audit = it.executions().await;
    assert_eq!(audit.len(), 8, "every call is written down");
    let began = format!("mcp.{}", credential["id"].as_str().unwrap());
    for execution in &audit {
        assert!(execution["key"].as_str().unwrap().starts_with("mcp/"), "{execution}");
        assert_eq!(execution["trigger_id"], began, "{execution}");
        assert_eq!(execution["principal"], format!("person {moderator}"));
    }
    let timeout = audit.iter().find(|it| it["tool"] == "timeout_member" && it["state"] == "done");
    let timeout = timeout.unwrap();
    assert_eq!((&timeout["decision"], &timeout["is_ordered"]), (&json!("allowed"), &json!(true)));
    assert!(audit.iter().any(|it| it["tool"] == "nuke_server" && it["state"] == "denied"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_repeat_would_do_further_is_not_done_where_a_repeat_is_not_known() {
    let it = Playground::start(&[]).await;
    let credential = it.credential(&holder(&it.guild, "Moderator"), &[]).await;
    let before = it.said("general").await.len();
    let calls = json!([{ "tool": "delete_message", "arguments": { "latest": 1 } }]);
    for (mode, is_refused) in [("auto", true), ("legacy", false)] {
        let told = it.client(token(&credential), mode, &calls).await;
        let told = told.unwrap_or_else(|error| panic!("{error}\n{}", it.process.output()));
        let result = &told["results"][0];
        assert_eq!(result["is_error"], is_refused, "{result}");
        let says_why = result["text"].as_str().unwrap().contains("ery/idempotency-key");
        assert_eq!(says_why, is_refused, "{result}");
    }
    assert_eq!(it.said("general").await.len(), before - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_can_do_no_more_than_its_person() {
    let it = Playground::start(&[]).await;
    let bob = it.guild.member("bob").unwrap().to_owned();
    let other = it.sim.post("/sim/v1/guilds", &json!({ "name": "Other" })).await.unwrap();
    let other = other["id"].as_str().unwrap().to_owned();
    let elsewhere = json!({ "guild_id": other, "name": "their-room" });
    let elsewhere = it.sim.post("/sim/v1/channels", &elsewhere).await.unwrap();
    let elsewhere = elsewhere["id"].as_str().unwrap().to_owned();

    let credential = it.credential(&bob, &[]).await;
    let moderator = holder(&it.guild, "Moderator");
    for (tool, arguments) in [
        ("timeout_member", json!({ "member": moderator, "duration_seconds": 60 })),
        ("ban_member", json!({ "member": moderator })),
        ("manage_channels", json!({ "action": "create", "name": "x" })),
        ("fetch_messages", json!({ "channel": elsewhere })),
        ("send_message", json!({ "channel": elsewhere, "content": "x" })),
        ("get_audit_logs", json!({})),
    ] {
        let result = it.call(token(&credential), tool, arguments).await;
        assert_eq!(result["is_error"], true, "{tool}: {result}");
        assert!(!result["text"].as_str().unwrap().is_empty(), "{tool}: says why");
    }
    let few = it.credential(&bob, &["--tool", "get_server_info"]).await;
    let calls = json!([
        { "tool": "send_message", "arguments": { "content": "x" } },
        { "tool": "get_server_info", "arguments": {} },
    ]);
    let told = it.client(token(&few), "legacy", &calls).await.unwrap();
    assert_eq!(told["tools"].as_array().unwrap().len(), 1);
    assert_eq!(told["results"][0]["protocol_error"], -32602, "{told}");
    assert_eq!(told["results"][1]["is_error"], false, "{told}");
    let acts = it.sim.log(0).await.unwrap();
    let is_change = |it: &&LogEntry| it.method != "GET" && it.path.contains("guilds");
    let changed: Vec<_> = acts.iter().filter(is_change).map(|it| &it.path).collect();
    assert!(changed.is_empty(), "{changed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_read_an_act_waits_for_a_click_and_is_then_done() {
    let it = Playground::start(&[]).await;
    let moderator = holder(&it.guild, "Moderator");
    let bob = it.guild.member("bob").unwrap().to_owned();
    let general = it.guild.channel("general").unwrap();
    let credential = it.credential(&moderator, &[]).await;
    let timeout = json!({ "member": "@bob", "duration_seconds": 600 });
    let read = it.call(token(&credential), "fetch_messages", json!({})).await;
    assert_eq!(read["is_error"], false, "{read}");
    // In another session: what its client was told it may remember.
    let act = it.call(token(&credential), "timeout_member", timeout.clone()).await;
    assert_eq!(act["is_error"], true);
    assert!(act["text"].as_str().unwrap().contains("needs_approval"), "{act}");
    assert!(!it.is_timed_out(&bob).await);

    let shown = it.said("general").await;
    let shown = shown.iter().find(|it| it["components"][0].is_object()).unwrap();
    let button = &shown["components"][0]["components"][0]["custom_id"];
    let press = json!({
        "channel_id": general, "user_id": moderator, "message_id": shown["id"],
        "custom_id": button, "type": "button", "wait": true,
    });
    it.sim.post("/sim/v1/interactions", &press).await.unwrap();
    eventually("the act", Duration::from_secs(20), async || {
        Ok(it.is_timed_out(&bob).await.then_some(()))
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", it.process.output()));
    let done = eventually("the record", Duration::from_secs(20), async || {
        let audit = it.executions().await;
        let approved = |it: &&Value| it["key"].as_str().unwrap().ends_with("/approved");
        Ok(audit.iter().find(approved).filter(|it| it["state"] == "done").cloned())
    });
    assert_eq!(done.await.unwrap()["principal"], format!("person {moderator}"));

    // Revoked, nobody is let in, and what waits is void.
    let second = json!({ "member": "@bob", "duration_seconds": 60 });
    it.call(token(&credential), "timeout_member", second).await;
    let id = credential["id"].as_str().unwrap();
    let revoked = it.ctl(&["mcp", "revoke", id]).await;
    assert!(revoked[0]["revoked_at_ms"].is_i64(), "{revoked}");
    assert!(it.client(token(&credential), "legacy", &json!([])).await.is_err());
    eventually("the end of the proposal", Duration::from_secs(20), async || {
        let said = it.said("general").await;
        let waits = |it: &Value| it["components"][0].is_object();
        Ok((!said.iter().any(waits)).then_some(()))
    })
    .await
    .unwrap();
}

/// What a client of MCP says first.
fn initialize() -> Value {
    json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": { "name": "by hand", "version": "1" },
        },
    })
}

fn post(it: &Playground, token: Option<&str>, body: String) -> reqwest::RequestBuilder {
    let request = reqwest::Client::new()
        .post(&it.mcp)
        .header(header::ACCEPT, "application/json, text/event-stream")
        .header(header::CONTENT_TYPE, "application/json")
        .body(body);
    match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_let_in() {
    let it = Playground::start(&[
        ("ERY_CONSOLE__REQUESTS_PER_MINUTE", "60"),
        ("ERY_CONSOLE__SESSIONS_PER_CREDENTIAL", "2"),
    ])
    .await;
    let bob = it.guild.member("bob").unwrap().to_owned();
    let alice = it.guild.member("alice").unwrap().to_owned();
    let (bobs, alices) = (it.credential(&bob, &[]).await, it.credential(&alice, &[]).await);
    let good = token(&bobs);
    let wrong = format!("{}0", &good[..good.len() - 1]);
    let swapped = {
        let (head, _) = good.rsplit_once('_').unwrap();
        let (_, secret) = token(&alices).rsplit_once('_').unwrap();
        format!("{head}_{secret}")
    };
    let wrong = if wrong == good { format!("{}1", &good[..good.len() - 1]) } else { wrong };
    for bad in
        [None, Some(wrong.as_str()), Some(swapped.as_str()), Some("x"), Some("ery_mcp_1_a_b")]
    {
        let refused = post(&it, bad, initialize().to_string()).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{bad:?}");
        assert!(
            refused.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().starts_with("Bearer")
        );
        assert_eq!(refused.text().await.unwrap(), "", "and nothing more");
    }
    // A web page, under its own name or under one of its making.
    for (name, value) in [("origin", "http://evil.example"), ("host", "evil.example")] {
        let request = post(&it, Some(good), initialize().to_string()).header(name, value);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{name}");
    }
    let large = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "x": "y".repeat(300 << 10) });
    let refused = post(&it, Some(good), large.to_string()).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);

    let begun = post(&it, Some(good), initialize().to_string()).send().await.unwrap();
    assert_eq!(begun.status(), StatusCode::OK);
    let session = begun.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string();
    let in_session =
        |token| post(&it, Some(token), ping.clone()).header("mcp-session-id", &session);
    let foreign = in_session(token(&alices)).send().await.unwrap();
    assert_eq!(foreign.status(), StatusCode::NOT_FOUND, "another's session is none");
    // Who has ended a session is told so in the way that the SDKs take for it.
    let own = post(&it, Some(token(&alices)), initialize().to_string()).send().await.unwrap();
    let own = own.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let ended = reqwest::Client::new()
        .delete(&it.mcp)
        .bearer_auth(token(&alices))
        .header("mcp-session-id", &own)
        .header(header::ACCEPT, "application/json, text/event-stream");
    assert_eq!(ended.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let late = post(&it, Some(token(&alices)), ping.clone()).header("mcp-session-id", &own);
    assert_eq!(late.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    // Nobody opens sessions or asks without bound.
    let mut statuses = Vec::new();
    for _ in 0..30 {
        statuses
            .push(post(&it, Some(good), initialize().to_string()).send().await.unwrap().status());
    }
    assert!(statuses.contains(&StatusCode::TOO_MANY_REQUESTS), "{statuses:?}");
    assert!(statuses.iter().filter(|it| it.is_success()).count() <= 1, "{statuses:?}");

    // The token is kept nowhere.
    for entry in std::fs::read_dir(it.folder.path().join("store")).unwrap() {
        let path = entry.unwrap().path();
        // What is being backed up, of which nothing is.
        if path.is_dir() {
            continue;
        }
        let bytes = std::fs::read(path).unwrap();
        let secret = good.rsplit_once('_').unwrap().1.as_bytes();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret));
    }
    assert!(!it.process.output().contains(good));
    let listed = it.ctl(&["mcp", "list"]).await;
    assert!(!listed.to_string().contains("token"), "{listed}");
    let id = bobs["id"].as_str().unwrap();
    it.ctl(&["mcp", "revoke", id]).await;
    let refused = in_session(good).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "revoked in the midst of a session");
}

/// A JSON value that no tool asked for, or nearly.
fn noise(random: &mut StdRng, depth: u32, ids: &[String]) -> Value {
    match random.random_range(0..if depth == 0 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => json!(random.random::<bool>()),
        2 => json!(random.random::<i64>()),
        3 => json!(ids[random.random_range(0..ids.len())]),
        4 => json!(
            ["@everyone", "../../", "\u{202e}", "<@1>", "", "here"][random.random_range(0..6)]
        ),
        5 => json!("x".repeat(random.random_range(0..3_000))),
        6 => (0..random.random_range(0..4)).map(|_| noise(random, depth - 1, ids)).collect(),
        _ => {
            let names =
                ["member", "content", "channel", "action", "reason", "tool", "act", "limit"];
            let fields = (0..random.random_range(0..5)).map(|_| {
                let name = names[random.random_range(0..names.len())].to_owned();
                (name, noise(random, depth - 1, ids))
            });
            Value::Object(fields.collect())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_arguments_break_it_or_get_a_member_anything() {
    let it = Playground::start(&[
        ("ERY_CONSOLE__CALLS_PER_MINUTE", "100000"),
        ("ERY_CONSOLE__CALLS_AT_ONCE", "1000"),
        ("ERY_CONSOLE__REQUESTS_PER_MINUTE", "100000"),
    ])
    .await;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let bob = it.guild.member("bob").unwrap().to_owned();
    let mut ids: Vec<String> =
        it.guild.members.iter().map(|it| it["user"]["id"].as_str().unwrap().to_owned()).collect();
    ids.push(it.guild.id.clone());
    let credential = it.credential(&bob, &[]).await;
    let told = it.client(token(&credential), "legacy", &json!([])).await.unwrap();
    let tools = told["tools"].as_array().unwrap();
    let calls: Vec<Value> = (0..300)
        .map(|_| {
            let tool = &tools[random.random_range(0..tools.len())];
            let fields = tool["schema"]["properties"].as_object().unwrap();
            let mut arguments = serde_json::Map::new();
            for field in fields.keys() {
                if random.random::<bool>() {
                    arguments.insert(field.clone(), noise(&mut random, 2, &ids));
                }
            }
            if random.random_range(0..8) == 0 {
                arguments.insert("unheard_of".into(), noise(&mut random, 1, &ids));
            }
            json!({ "tool": tool["name"], "arguments": arguments })
        })
        .collect();
    let count = calls.len();
    let told = it.client(token(&credential), "legacy", &json!(calls)).await;
    let told = told.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{}", it.process.output()));
    assert_eq!(told["results"].as_array().unwrap().len(), count);
    let recorded = it.executions().await;
    assert_eq!(recorded.len(), count, "seed {seed}: every call is written down");
    assert!(recorded.iter().all(|it| it["state"] != "open"), "seed {seed}");
    let moderation = ["PATCH", "PUT", "DELETE"];
    for request in it.sim.log(0).await.unwrap() {
        let LogEntry { method, path, status, .. } = request;
        let is_guilds = path.contains("/guilds/") && moderation.contains(&method.as_str());
        assert!(!is_guilds, "seed {seed}: {method} {path}");
        assert_ne!(status, 403, "seed {seed}: {method} {path}");
    }
    assert!(!it.process.output().contains("panicked"), "{}", it.process.output());
}
