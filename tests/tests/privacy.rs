//! A person is forgotten, as an operator and a community meet it: words of theirs are found nowhere.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::post,
};
use ery_tests::{Ery, Sim, World, eventually, files_holding, ready};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_mins(2);

/// One word for each place, so that a search says which one is left.
const CANARY: &str = "zugzwang4711";

/// A model that quotes what it reads, and proposes an act where it is asked to.
struct Model {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
    server: JoinHandle<()>,
}

impl Drop for Model {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Model {
    #[expect(clippy::disallowed_methods, reason = "a test's own server, aborted with its handle")]
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let router = Router::new()
            .route("/v1/chat/completions", post(complete))
            .with_state(Arc::clone(&requests));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, requests, server }
    }

    fn last_request(&self) -> String {
        self.requests.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

async fn complete(
    State(requests): State<Arc<Mutex<Vec<String>>>>,
    Json(body): Json<Value>,
) -> Response {
    let text = body.to_string();
    requests.lock().unwrap().push(text.clone());
    let is_first = !body["messages"].as_array().unwrap().iter().any(|it| it["role"] == "tool");
    let delta = if is_first && text.contains("please propose") {
        let arguments = json!({ "member": "@carol", "duration_seconds": 600, "reason": CANARY });
        let function = json!({ "name": "timeout_member", "arguments": arguments.to_string() });
        json!({ "tool_calls": [{ "index": 0, "id": "call_1", "type": "function", "function": function }] })
    } else if text.contains(CANARY) {
        json!({ "content": format!("I read {CANARY} there.") })
    } else {
        json!({ "content": "I read nothing of note." })
    };
    let reason = if delta["tool_calls"].is_null() { "stop" } else { "tool_calls" };
    let chunk = |delta: Value, reason: Option<&str>| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": reason });
        let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "created": 0,
            "model": "quoting", "choices": [choice] });
        format!("data: {chunk}\n\n")
    };
    let frames =
        [chunk(delta, None), chunk(json!({}), Some(reason)), "data: [DONE]\n\n".to_owned()]
            .concat();
    ([(header::CONTENT_TYPE, "text/event-stream")], frames).into_response()
}

/// A simulated Discord, a model, a data folder and a place for backups.
struct Place {
    sim: Sim,
    world: World,
    model: Model,
    data: tempfile::TempDir,
    backups: tempfile::TempDir,
    files: tempfile::TempDir,
    variables: Vec<(String, String)>,
    _simulator: Ery,
}

impl Place {
    async fn new() -> Self {
        let arguments =
            ["sim-discord", "--listen", "127.0.0.1:0", "--token", "privacy", "--no-rate-limits"];
        let mut simulator = Ery::start("sim-discord", &arguments, &[]).unwrap();
        let base = simulator.line_after("The simulated Discord is at").await.unwrap();
        let base = base.split_whitespace().next().unwrap().to_owned();
        let (sim, model) = (Sim::new(&base), Model::start().await);
        let temporary = || tempfile::tempdir().unwrap();
        let (data, backups, files) = (temporary(), temporary(), temporary());
        let variables = [
            ("ERY_DISCORD__TOKEN", "privacy".to_owned()),
            ("ERY_DISCORD__API_URL", format!("{base}/api/v10")),
            ("ERY_DISCORD__GATEWAY_URL", base.replace("http://", "ws://")),
            ("ERY_DATA_DIR", data.path().display().to_string()),
            ("ERY_STORE__BACKUP__URL", format!("file://{}", backups.path().display())),
            ("ERY_AI__PROVIDER", "openai".to_owned()),
            ("ERY_AI__BASE_URL", model.url.clone()),
            ("ERY_AI__API_KEY", "key".to_owned()),
            ("ERY_AI__MODEL", "quoting".to_owned()),
            ("ERY_TELEMETRY__LOG", "info".to_owned()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let world = sim.world().await.unwrap();
        Self { sim, world, model, data, backups, files, variables, _simulator: simulator }
    }

    fn start(&self, arguments: &[&str]) -> Ery {
        let variables: Vec<_> =
            self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Ery::start(arguments[0], arguments, &variables).unwrap()
    }

    async fn run(&self) -> Ery {
        let mut all = self.start(&["all"]);
        ready(&mut all).await.unwrap();
        all
    }

    /// Runs a command to its end, and returns what it wrote.
    async fn ctl(&self, arguments: &[&str]) -> String {
        let arguments: Vec<_> = ["ctl"].iter().chain(arguments).copied().collect();
        let mut ctl = self.start(&arguments);
        let status = ctl.end(PATIENCE).await.unwrap();
        assert!(status.success(), "{arguments:?}: {}", ctl.output());
        ctl.stdout()
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<_> = ["--json"].iter().chain(arguments).copied().collect();
        serde_json::from_str(&self.ctl(&arguments).await).unwrap()
    }

    fn general(&self) -> &str {
        self.world.guilds[0].channel("general").unwrap()
    }

    fn member(&self, name: &str) -> &str {
        self.world.guilds[0].member(name).unwrap()
    }

    /// Asks Ery something, and waits for the answer.
    async fn ask(&self, channel: &str, author: &str, text: &str) {
        let from = self.sim.log(0).await.unwrap().last().map_or(0, |entry| entry.seq);
        let bot = self.world.bots[0]["id"].as_str().unwrap();
        let asked = self.sim.say(channel, author, &format!("<@{bot}> {text}")).await.unwrap();
        let asked = json!(asked.to_string());
        eventually(text, PATIENCE, async || {
            let log = self.sim.log(from).await?;
            let answers =
                log.iter().filter(|it| it.method == "POST" && it.path.ends_with("/messages"));
            let is_answered =
                answers.clone().any(|it| it.body["message_reference"]["message_id"] == asked);
            Ok(is_answered.then_some(()))
        })
        .await
        .unwrap();
    }

    fn holding(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        files_holding(self.data.path(), CANARY.as_bytes(), &mut found).unwrap();
        found
    }
}

/// Returns the id of a member who holds a role of this name, and is no bot.
fn holder(world: &World, role: &str) -> String {
    let guild = &world.guilds[0];
    let role = guild.roles.iter().find(|found| found["name"] == role).unwrap()["id"].clone();
    let holds = |member: &&Value| {
        member["roles"].as_array().unwrap().contains(&role) && member["user"]["bot"] != true
    };
    guild.members.iter().find(holds).unwrap()["user"]["id"].as_str().unwrap().to_owned()
}

/// Leaves the person's words wherever Ery keeps any.
async fn leave_traces(place: &Place, person: &str) {
    let (sim, general) = (&place.sim, place.general());
    let guild = &place.world.guilds[0].id;
    let nick = json!({ "nick": format!("nick {CANARY}") });
    sim.patch(&format!("/sim/v1/members/{guild}/{person}"), &nick).await.unwrap();
    let say = async |text: &str| sim.say(general, person, text).await.unwrap();
    let plainly = say(&format!("plainly {CANARY}")).await;
    let answers = ["yes", "no"].map(|text| json!({ "poll_media": { "text": text } }));
    let poll = json!({ "question": { "text": format!("why {CANARY}?") }, "answers": answers });
    let poll = json!({ "channel_id": general, "author_id": person, "poll": poll });
    sim.post("/sim/v1/messages", &poll).await.unwrap();
    // Twice by somebody else: what is forwarded is whose it was.
    let mut forwarded = plainly.to_string();
    for _ in 0..2 {
        let forward = json!({ "channel_id": general, "message_id": forwarded });
        let alice = place.member("alice");
        let forward = json!({ "channel_id": general, "author_id": alice, "forward": forward });
        let said = sim.post("/sim/v1/messages", &forward).await.unwrap();
        said["id"].as_str().unwrap().clone_into(&mut forwarded);
    }
    let drafted = say(&format!("a draft {CANARY}")).await;
    let edit = json!({ "content": format!("edited {CANARY}") });
    sim.patch(&format!("/sim/v1/messages/{general}/{drafted}"), &edit).await.unwrap();
    let regretted = say(&format!("regretted {CANARY}")).await;
    place.ask(general, person, &format!("what of {CANARY}?")).await;
    place.ask(general, place.member("alice"), "sum it up").await;
    sim.delete(&format!("/sim/v1/messages/{general}/{regretted}")).await.unwrap();
    // An order that needs no click, with a reason and an end; and a proposal that waits for one.
    place.ask(general, person, &format!("timeout @bob for 10 minutes because {CANARY}")).await;
    place.ask(general, person, "please propose something").await;
    let direct = sim.post("/sim/v1/dms", &json!({ "user_id": person })).await.unwrap();
    let direct = direct["id"].as_str().unwrap().to_owned();
    place.ask(&direct, person, &format!("directly {CANARY}")).await;
    let name = format!("desk {CANARY}");
    let credential = [
        "mcp",
        "create",
        "--guild",
        guild,
        "--user",
        person,
        "--channel",
        general,
        "--name",
        &name,
    ];
    place.ctl(&credential).await;
}

/// Returns what every command says that reads what is kept.
async fn everything_told(place: &Place) -> String {
    let mut told = String::new();
    for list in ["threads", "executions", "dead"] {
        told += &place.ctl(&["--json", list, "list", "--limit", "1000"]).await;
    }
    told += &place.ctl(&["--json", "schedule", "list", "--all", "--limit", "1000"]).await;
    told += &place.ctl(&["--json", "mcp", "list"]).await;
    let threads = place.json(&["threads", "list", "--limit", "1000"]).await;
    for thread in threads.as_array().unwrap() {
        let thread = thread["thread_id"].as_str().unwrap();
        told += &place.ctl(&["--json", "threads", "show", thread]).await;
    }
    told += &place.ctl(&["executions", "export", "--guild", &place.world.guilds[0].id]).await;
    told
}

async fn export(place: &Place, user: &str, name: &str) -> Vec<u8> {
    let file = place.files.path().join(name);
    let out = file.display().to_string();
    place.ctl(&["privacy", "export", "--user", user, "--out", &out]).await;
    fs::read(file).unwrap()
}

/// Returns all that stands in an archive.
fn unpacked(archive: Vec<u8>) -> String {
    use std::io::Read as _;

    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    let mut text = String::new();
    for index in 0..archive.len() {
        archive.by_index(index).unwrap().read_to_string(&mut text).unwrap();
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_a_person_who_is_forgotten_are_found_nowhere() {
    let place = Place::new().await;
    let person = holder(&place.world, "Moderator");
    let mut all = place.run().await;
    leave_traces(&place, &person).await;
    eventually("the words in the files", PATIENCE, async || {
        Ok((place.holding().len() >= 2).then_some(()))
    })
    .await
    .unwrap();
    assert!(everything_told(&place).await.contains(CANARY), "the commands show what there is");
    assert!(unpacked(export(&place, &person, "own.zip").await).contains(CANARY));
    let others = unpacked(export(&place, place.member("alice"), "others.zip").await);
    assert!(others.contains("sum it up") && !others.contains(CANARY), "{others}");
    for kind in ["poll", "forward"] {
        let shown = format!(r#"\"kind\":\"{kind}\",\"text\":\""#);
        let requests = place.model.requests.lock().unwrap();
        assert!(requests.iter().any(|it| it.contains(&shown)), "{kind} was read");
    }
    let made = place.json(&["backup", "create"]).await;
    let backup = made[0]["id"].as_str().unwrap().to_owned();

    let dry = place.ctl(&["privacy", "delete", "--user", &person]).await;
    assert!(dry.contains("Nothing was deleted") && dry.contains("messages"), "{dry}");
    let requested = place.json(&["privacy", "delete", "--user", &person, "--yes"]).await;
    let id = requested[0]["id"].as_str().unwrap().to_owned();
    // Killed in the midst of it, the next one goes on.
    all.kill().await.unwrap();
    let mut all = place.run().await;
    let state = async || {
        let status = place.json(&["privacy", "status", &id]).await;
        status[0]["state"].as_str().unwrap().to_owned()
    };
    let confirmed = eventually("the confirmation", PATIENCE, async || {
        Ok((state().await == "confirmed").then_some(()))
    })
    .await;
    if let Err(error) = confirmed {
        panic!("{error}: {}", place.ctl(&["privacy", "status", &id]).await);
    }
    let told = place.ctl(&["privacy", "status", &id]).await;
    assert!(told.contains("Confirmed") && told.contains("Backups"), "{told}");
    assert_eq!(place.holding(), Vec::<PathBuf>::new(), "while it runs");
    assert!(!everything_told(&place).await.contains(CANARY));
    let others = unpacked(export(&place, place.member("alice"), "after.zip").await);
    assert!(others.contains("sum it up") && !others.contains(CANARY));
    assert!(!unpacked(export(&place, &person, "gone.zip").await).contains(CANARY));

    // The words stand on Discord yet; a process that begins anew reads none of them.
    all.kill().await.unwrap();
    let mut all = place.run().await;
    place.ask(place.general(), place.member("alice"), "and again?").await;
    let read = place.model.last_request();
    assert!(read.contains("and again?") && read.contains("sum it up"), "{read}");
    assert!(!read.contains(CANARY), "{read}");
    assert_eq!(place.holding(), Vec::<PathBuf>::new());

    // They do not come back with a backup either, not even into an empty folder.
    place.ctl(&["backup", "restore", &backup, "--all"]).await;
    assert_eq!(place.holding(), Vec::<PathBuf>::new());
    assert!(
        everything_told(&place).await.contains("sum it up")
            || !everything_told(&place).await.is_empty()
    );
    assert!(!everything_told(&place).await.contains(CANARY));
    // What is said afterwards is ordinary.
    let (guild, nick) = (&place.world.guilds[0].id, json!({ "nick": "mara" }));
    place.sim.patch(&format!("/sim/v1/members/{guild}/{person}"), &nick).await.unwrap();
    place.ask(place.general(), &person, "a new day").await;
    let counted = place.json(&["privacy", "delete", "--user", &person]).await;
    let messages = counted.as_array().unwrap().iter().find(|it| it["kind"] == "messages");
    assert_eq!(messages.unwrap()["rows"], 1, "{counted}");
    all.kill().await.unwrap();
    assert_eq!(place.holding(), Vec::<PathBuf>::new(), "after it was killed");
    assert!(fs::read_dir(place.backups.path().join("of-stores/store")).unwrap().count() >= 2);
}
