//! What was missed or given up comes back: gaps after a refused resume, and dead letters.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "recovery/prompts.rs"]
mod prompts;
#[path = "recovery/proposals.rs"]
mod proposals;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{http::StatusCode, response::IntoResponse};
use serde_json::{Value, json};

use ery_tests::{Checker, ContractKept, Ery, Platform, Shape, Sim, eventually, ready};

const SHAPE: Shape = Shape { orchestrators: 2, tool_services: 1, ai_services: 1 };
const PATIENCE: Duration = Duration::from_mins(1);

/// A running Ery, in one process or in many.
enum Installation {
    One {
        /// First, so that the run is judged while the simulator still runs.
        _contract: ContractKept,
        all: Box<Ery>,
        sim: Sim,
        folder: tempfile::TempDir,
        variables: Vec<(String, String)>,
        _simulator: Box<Ery>,
    },
    Many(Box<Platform>),
}

impl Installation {
    async fn one(extra: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments =
            ["sim-discord", "--listen", "127.0.0.1:0", "--token", "recovery", "--no-rate-limits"];
        let mut simulator = Ery::start("sim-discord", &arguments, &[]).unwrap();
        let base = simulator.line_after("The simulated Discord is at").await.unwrap();
        let base = base.split_whitespace().next().unwrap().to_owned();
        let sim = Sim::new(&base);
        let contract = ContractKept::watch(&sim).await.unwrap();
        let (api, gateway) = (format!("{base}/api/v10"), base.replace("http://", "ws://"));
        let data = folder.path().display().to_string();
        let mut variables = vec![
            ("ERY_DISCORD__TOKEN", "recovery"),
            ("ERY_DISCORD__API_URL", api.as_str()),
            ("ERY_DISCORD__GATEWAY_URL", gateway.as_str()),
            ("ERY_DATA_DIR", data.as_str()),
            ("ERY_TOOL_SERVICE__REQUESTS_PER_SECOND", "0"),
        ];
        variables.extend_from_slice(extra);
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables: Vec<_> = variables.iter().map(owned).collect();
        let all = Box::new(Self::all(&variables).await);
        let simulator = Box::new(simulator);
        Self::One { _contract: contract, all, sim, folder, variables, _simulator: simulator }
    }

    async fn all(variables: &[(String, String)]) -> Ery {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut all = Ery::start("all", &["all"], &variables).unwrap();
        ready(&mut all).await.unwrap();
        all
    }

    /// Kills what does the work, and starts it again.
    async fn kill_and_restart(&mut self) {
        match self {
            Self::One { all, variables, .. } => {
                all.kill().await.unwrap();
                **all = Self::all(variables).await;
            }
            Self::Many(platform) => platform.kill_and_restart_workers().await.unwrap(),
        }
    }

    async fn many(extra: &[(&str, &str)]) -> Self {
        Self::Many(Box::new(Platform::start(SHAPE, extra).await.unwrap()))
    }

    fn sim(&self) -> &Sim {
        match self {
            Self::One { sim, .. } => sim,
            Self::Many(platform) => &platform.sim,
        }
    }

    /// Runs `ery ctl`, and returns whether it succeeded, what it wrote, and what it said of errors.
    async fn ctl_text(&self, arguments: &[&str]) -> (bool, String, String) {
        let mut ctl = match self {
            Self::One { folder, .. } => {
                let data = folder.path().display().to_string();
                let start = ["ctl", "--data-dir", &data];
                let arguments: Vec<&str> = start.iter().chain(arguments).copied().collect();
                Ery::start("ctl", &arguments, &[]).unwrap()
            }
            Self::Many(platform) => platform.start_ctl(arguments).unwrap(),
        };
        let status = ctl.end(Duration::from_secs(30)).await.unwrap();
        (status.success(), ctl.stdout(), ctl.stderr())
    }

    async fn ctl(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = ["--json"].iter().chain(arguments).copied().collect();
        let (is_success, stdout, stderr) = self.ctl_text(&arguments).await;
        assert!(is_success, "{stderr}");
        serde_json::from_str(&stdout).unwrap()
    }

    fn output(&self) -> String {
        match self {
            Self::One { all, .. } => all.output(),
            Self::Many(platform) => {
                platform.orchestrators.iter().map(Ery::output).collect::<Vec<_>>().join("\n")
            }
        }
    }

    /// Returns a text channel, a member and Ery's own user.
    async fn place(&self) -> (String, String, String, String) {
        let world = self.sim().world().await.unwrap();
        let guild = &world.guilds[0];
        let channel = guild.channel("general").unwrap().to_owned();
        let member = guild.member("alice").unwrap().to_owned();
        (guild.id.clone(), channel, member, world.bots[0]["id"].as_str().unwrap().to_owned())
    }

    /// Waits until everything is answered, once and in order.
    async fn all_answered(&self, checker: &Checker) {
        let waited = eventually("every message's answer", PATIENCE, async || {
            let log = self.sim().log(0).await?;
            Ok(checker.unanswered(&log)?.is_empty().then_some(()))
        });
        if let Err(error) = waited.await {
            panic!("{error}\n{}", self.output());
        }
        checker.check(&self.sim().log(0).await.unwrap()).unwrap();
    }

    /// Returns how many sessions were begun so far.
    async fn identifies(&self) -> u64 {
        self.sim().get("/sim/v1/gateway").await.unwrap()["identifies"].as_u64().unwrap()
    }

    /// Waits until a session is connected, the last of `begun`.
    async fn connected(&self, begun: u64) {
        eventually("a session", PATIENCE, async || {
            let gateway = self.sim().get("/sim/v1/gateway").await?;
            let sessions = gateway["sessions"].as_array().cloned().unwrap_or_default();
            let is_connected = sessions.iter().any(|session| session["connected"] == true);
            Ok((gateway["identifies"] == begun && is_connected).then_some(()))
        })
        .await
        .unwrap();
    }
}

async fn a_gap_is_read_back(installation: &Installation) {
    let (_, channel, member, bot) = installation.place().await;
    let sim = installation.sim();
    let mut checker = Checker::default();
    let say = async |checker: &mut Checker, channel: &str, text: &str| {
        let text = format!("<@{bot}> {text}");
        checker.said(channel, sim.say(channel, &member, &text).await.unwrap());
    };
    for number in 0..3 {
        say(&mut checker, &channel, &format!("hello {number}")).await;
    }
    installation.all_answered(&checker).await;
    let world = sim.world().await.unwrap();
    let guild = world.guilds[0].id.clone();
    // Never in an exchange with her.
    let other = world.guilds[0].member("bob").unwrap().to_owned();
    let body = json!({ "user_id": member });
    let direct = sim.post("/sim/v1/dms", &body).await.unwrap();
    let direct = direct["id"].as_str().unwrap().to_owned();
    say(&mut checker, &direct, "hello between us").await;
    installation.all_answered(&checker).await;

    for round in 0..2 {
        // Discord forgets the session; the gateway begins a new one after a second at least.
        let begun = installation.identifies().await;
        sim.post("/sim/v1/gateway", &json!({ "do": "invalid" })).await.unwrap();
        let body = json!({ "guild_id": guild, "name": format!("new-{round}"), "type": 0 });
        let made = sim.post("/sim/v1/channels", &body).await.unwrap();
        let made = made["id"].as_str().unwrap().to_owned();
        for number in 0..3 {
            say(&mut checker, &channel, &format!("are you there {number}?")).await;
            sim.say(&channel, &other, "nothing for her").await.unwrap();
        }
        say(&mut checker, &made, "hello in a new channel").await;
        say(&mut checker, &direct, "are you there, too?").await;
        assert_eq!(installation.identifies().await, begun, "all was said while she was away");
        installation.connected(begun + 1).await;
        // What the new session brings is answered behind what was missed.
        say(&mut checker, &direct, "still there?").await;
        installation.all_answered(&checker).await;
    }
    // Everything was said once.
    say(&mut checker, &channel, "goodbye").await;
    installation.all_answered(&checker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_while_discord_held_no_session_is_answered_in_one_process() {
    a_gap_is_read_back(&Installation::one(&[]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_while_discord_held_no_session_is_answered_in_a_cluster() {
    a_gap_is_read_back(&Installation::many(&[]).await).await;
}

/// Serves an OpenAI-compatible model that refuses everything until it is well.
#[expect(clippy::disallowed_methods, reason = "the fake lives as long as the test's runtime")]
async fn sick_model() -> (String, Arc<AtomicBool>) {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    let complete = async move || {
        if !well.load(Ordering::SeqCst) {
            return (StatusCode::BAD_REQUEST, "no").into_response();
        }
        let chunk = |delta: Value, reason: Option<&str>| {
            let choice = json!({ "index": 0, "delta": delta, "finish_reason": reason });
            let chunk = json!({ "id": "x", "object": "chat.completion.chunk", "model": "m", "choices": [choice] });
            format!("data: {chunk}\n\n")
        };
        let text = json!({ "role": "assistant", "content": "I am well again." });
        let (said, end) = (chunk(text, None), chunk(json!({}), Some("stop")));
        ([("content-type", "text/event-stream")], format!("{said}{end}data: [DONE]\n\n"))
            .into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().route("/v1/chat/completions", axum::routing::post(complete));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}/v1"), is_well)
}

/// Returns what Ery replied to a message, in order.
async fn replies(installation: &Installation, channel: &str, message: u64) -> Vec<String> {
    let messages = installation.sim().messages(channel).await.unwrap();
    let message = message.to_string();
    let is_reply = |reply: &&Value| {
        reply["message_reference"]["message_id"] == message && reply["author"]["bot"] == true
    };
    let text = |reply: &Value| reply["content"].as_str().unwrap_or_default().to_owned();
    messages.iter().rev().filter(is_reply).map(text).collect()
}

async fn dead_letters_are_tried_again(installation: &Installation, is_well: &AtomicBool) {
    let (guild, channel, member, bot) = installation.place().await;
    let mut said = Vec::new();
    for number in 0..3 {
        let text = format!("<@{bot}> what is the meaning of life, number {number}?");
        said.push(installation.sim().say(&channel, &member, &text).await.unwrap());
        eventually("a dead letter", PATIENCE, async || {
            let dead = installation.ctl(&["dead", "list", "--guild", &guild]).await;
            Ok((dead.as_array().unwrap().len() == said.len()).then_some(()))
        })
        .await
        .unwrap();
    }
    let dead = installation.ctl(&["dead", "list", "--channel", &channel, "--guild", &guild]).await;
    let dead = dead.as_array().unwrap().clone();
    assert_eq!(dead[2]["trigger_id"], format!("m.{}", said[0]), "the newest first");
    assert_eq!(dead[0]["kind"], "task");
    assert_eq!(dead[0]["retried_at_ms"], Value::Null);
    assert!(dead[0]["reason"].as_str().unwrap().contains("no provider answered"), "{dead:?}");
    let one = installation.ctl(&["dead", "list", "--limit", "1"]).await;
    assert_eq!(one, json!([dead[0]]));

    // All of one, for people and for programs.
    let id = dead[2]["id"].as_str().unwrap();
    let shown = installation.ctl(&["dead", "show", id]).await;
    assert_eq!(shown["payload"]["id"], said[0].to_string());
    let (is_success, text, _) = installation.ctl_text(&["dead", "show", id]).await;
    assert!(is_success);
    let thread = dead[2]["thread_id"].as_str().unwrap();
    assert!(text.contains(&format!("ery ctl threads show {thread}")), "{text}");
    assert!(text.contains("can be tried again  yes"), "{text}");
    let (_, table, _) = installation.ctl_text(&["dead", "list"]).await;
    let headers: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    let expected = ["ID", "CHANNEL", "TRIGGER", "ATTEMPTS", "WHEN", "RETRIED", "REASON"];
    assert_eq!(headers, expected);
    assert_eq!(table.lines().count(), 4, "{table}");

    // One by its id: answered again, by another thread.
    is_well.store(true, Ordering::SeqCst);
    let retried = installation.ctl(&["dead", "retry", id]).await;
    assert_eq!(retried, json!([{ "id": id, "is_begun": true, "refusal": null }]));
    let answered = async |message: u64| {
        eventually("an answer", PATIENCE, async || {
            let replies = replies(installation, &channel, message).await;
            Ok((replies.len() == 2).then_some(replies))
        })
        .await
    };
    let answers = answered(said[0]).await.unwrap();
    assert!(answers[0].starts_with("Sorry"), "{answers:?}");
    assert_eq!(answers[1], "I am well again.");
    let shown = installation.ctl(&["dead", "show", id]).await;
    assert!(shown["published_at_ms"].as_i64() >= shown["retried_at_ms"].as_i64(), "{shown}");
    assert_eq!(shown["retried_by"], "ery ctl");

    // Not twice; nor what is not there.
    let (is_success, text, error) = installation.ctl_text(&["dead", "retry", id]).await;
    assert!(!is_success);
    assert!(text.contains("it was tried again already, by ery ctl"), "{text}");
    assert!(error.contains("1 of 1 dead letters are not tried again"), "{error}");
    let (is_success, _, error) = installation.ctl_text(&["dead", "retry", "63.999"]).await;
    assert!(!is_success && error.contains("there is no dead letter `63.999`"), "{error}");
    let (is_success, _, error) = installation.ctl_text(&["dead", "retry", "--all"]).await;
    assert!(!is_success && error.contains("--guild ID"), "{error}");

    // The rest at once; what was tried again already is left.
    let retried = installation.ctl(&["dead", "retry", "--all", "--guild", &guild]).await;
    let begun: Vec<&Value> =
        retried.as_array().unwrap().iter().map(|retry| &retry["is_begun"]).collect();
    assert_eq!(begun, [&json!(true), &json!(true)]);
    for message in &said[1..] {
        // Those that wait together are answered together, so the last one has the reply.
        eventually("an answer", PATIENCE, async || {
            let threads = installation.ctl(&["threads", "list", "--limit", "50"]).await;
            let trigger = json!(format!("m.{message}"));
            let is_done = |thread: &&Value| {
                thread["outcome"] == "done"
                    && thread["triggers"].as_array().unwrap().contains(&trigger)
            };
            Ok((threads.as_array().unwrap().iter().filter(is_done).count() == 1).then_some(()))
        })
        .await
        .unwrap();
    }
    let none = installation.ctl(&["dead", "retry", "--all", "--guild", &guild]).await;
    assert_eq!(none, json!([]));
    let dead = installation.ctl(&["dead", "list", "--guild", &guild]).await;
    let retried: Vec<bool> =
        dead.as_array().unwrap().iter().map(|it| it["retried_at_ms"].is_i64()).collect();
    assert_eq!(retried, [true, true, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_shown_and_tried_again_in_one_process() {
    let (base_url, is_well) = sick_model().await;
    let model = [
        ("ERY_AI__PROVIDER", "openai"),
        ("ERY_AI__BASE_URL", base_url.as_str()),
        ("ERY_AI__MODEL", "m"),
    ];
    dead_letters_are_tried_again(&Installation::one(&model).await, &is_well).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_shown_and_tried_again_in_a_cluster() {
    let (base_url, is_well) = sick_model().await;
    let model = [
        ("ERY_AI__PROVIDER", "openai"),
        ("ERY_AI__BASE_URL", base_url.as_str()),
        ("ERY_AI__MODEL", "m"),
    ];
    dead_letters_are_tried_again(&Installation::many(&model).await, &is_well).await;
}
