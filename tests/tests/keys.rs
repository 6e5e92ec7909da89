//! Servers with keys of their own, tried from outside: the provider sees whose key each message is asked
//! with, and nobody else sees it.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::Duration;

use serde_json::{Value, json};

use ery_tests::{ContractKept, Ery, MeteredModel, Sim, eventually, files_holding, meter};

const PATIENCE: Duration = Duration::from_secs(30);
const OPERATORS: &str = "sk-of-the-operator";
const FIRST: &str = "sk-canary-of-the-first-server";
const SECOND: &str = "sk-canary-of-the-second-server";
const CHANGED: &str = "sk-canary-of-the-first-changed";
const TURN: u64 = meter::PROMPT + meter::COMPLETION;

/// A channel of a server, and who writes there.
struct Place {
    guild: String,
    channel: String,
    member: String,
}

struct Stand {
    _contract: ContractKept,
    process: Ery,
    sim: Sim,
    model: MeteredModel,
    folder: tempfile::TempDir,
    secrets: tempfile::TempDir,
}

impl Stand {
    async fn start(is_encrypted: bool) -> Self {
        let model = MeteredModel::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        // What the operator may spend is used up by one answer.
        let limit = (TURN - 1).to_string();
        let mut variables = vec![
            ("ERY_AI__PROVIDER", "openai"),
            ("ERY_AI__BASE_URL", model.base_url()),
            ("ERY_AI__MODEL", "big"),
            ("ERY_AI__API_KEY", OPERATORS),
            ("ERY_ORCHESTRATOR__BUDGETS__INSTALLATION__DAY_TOKENS", limit.as_str()),
            ("ERY_ORCHESTRATOR__BUDGET_REFRESH", "100ms"),
        ];
        let key = "5a".repeat(32);
        if is_encrypted {
            variables.push(("ERY_STORE__ENCRYPTION__KEY", &key));
        }
        let mut process = Ery::start_playground(Some(folder.path()), &variables).unwrap();
        let sim = Sim::new(&process.line_after("The simulated Discord is at").await.unwrap());
        let contract = ContractKept::watch(&sim).await.unwrap();
        let secrets = tempfile::tempdir().unwrap();
        Self { _contract: contract, process, sim, model, folder, secrets }
    }

    /// Makes a server with a channel and a member.
    async fn server(&self, name: &str) -> Place {
        let id = |made: Value| made["id"].as_str().unwrap().to_owned();
        let guild = id(self.sim.post("/sim/v1/guilds", &json!({ "name": name })).await.unwrap());
        let channel = json!({ "guild_id": guild, "name": "talk", "type": 0 });
        let channel = id(self.sim.post("/sim/v1/channels", &channel).await.unwrap());
        let member = json!({ "guild_id": guild, "username": format!("of-{name}") });
        let member = self.sim.post("/sim/v1/members", &member).await.unwrap();
        Place { guild, channel, member: id(member["user"].clone()) }
    }

    /// Has the member ask Ery, and returns what she replies.
    async fn ask(&self, place: &Place) -> String {
        let Place { channel, member, .. } = place;
        let bot = self.sim.world().await.unwrap().bots[0]["id"].as_str().unwrap().to_owned();
        let asked = self.sim.say(channel, member, &format!("<@{bot}> what is new?")).await.unwrap();
        let asked = asked.to_string();
        let reply = eventually("a reply", PATIENCE, async || {
            let said = self.sim.messages(channel).await?;
            let is_reply = |it: &&Value| it["message_reference"]["message_id"] == asked.as_str();
            let text = said.iter().find(is_reply).map(|it| it["content"].clone());
            Ok(text.and_then(|text| text.as_str().map(str::to_owned)))
        });
        match reply.await {
            Ok(reply) => reply,
            Err(error) => panic!("{error}\n{}", self.process.output()),
        }
    }

    /// Runs `ery ctl`; returns whether it ended well, and all that it wrote.
    async fn try_ctl(&self, arguments: &[&str]) -> (bool, String) {
        let data = self.folder.path().display().to_string();
        let begin = ["ctl", "--json", "--data-dir", &data];
        let arguments: Vec<&str> = begin.iter().chain(arguments).copied().collect();
        let mut ctl = Ery::start("ctl", &arguments, &[]).unwrap();
        let status = ctl.end(PATIENCE).await.unwrap();
        let written = ctl.output();
        assert!(!written.contains("canary"), "it shows a key: {written}");
        (status.success(), written)
    }

    async fn ctl(&self, arguments: &[&str]) -> Value {
        let (is_well, written) = self.try_ctl(arguments).await;
        assert!(is_well, "{written}");
        let json = written.lines().find(|line| line.starts_with(['[', '{'])).unwrap();
        serde_json::from_str(json).unwrap()
    }

    fn file_of(&self, key: &str) -> String {
        let path = self.secrets.path().join("key");
        std::fs::write(&path, format!("{key}\n")).unwrap();
        path.display().to_string()
    }

    async fn set(&self, place: &Place, key: &str) {
        let file = self.file_of(key);
        let set = ["keys", "set", &place.guild, "--provider", "openai", "--key-file", &file];
        let kept = self.ctl(&set).await;
        assert_eq!(kept[0]["ends_with"], key[key.len() - 4..], "{kept}");
    }

    /// Waits until what is asked there is asked with a key: a broadcast takes a moment.
    async fn asked_with(&self, place: &Place, key: &str) -> String {
        for _ in 0..20 {
            let reply = self.ask(place).await;
            if self.model.keys().last().is_some_and(|last| last == key) {
                return reply;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{key} is not asked with: {:?}\n{}", self.model.keys(), self.process.output());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_server_is_asked_with_its_own_key_and_pays_for_itself() {
    let stand = Stand::start(true).await;
    let (first, second, third) =
        (stand.server("first").await, stand.server("second").await, stand.server("third").await);
    stand.set(&first, FIRST).await;
    stand.set(&second, SECOND).await;
    for place in [&first, &second, &third] {
        assert_eq!(stand.ask(place).await, "Thus speaks big.");
    }
    assert_eq!(stand.model.keys(), [FIRST, SECOND, OPERATORS]);

    // The operator's budget is used up now: whoever has a key of their own goes on.
    let stopped = stand.ask(&third).await;
    assert!(stopped.contains("altogether today is used up"), "{stopped}");
    assert_eq!(stand.ask(&first).await, "Thus speaks big.");
    assert_eq!(stand.model.keys(), [FIRST, SECOND, OPERATORS, FIRST]);

    // Another key takes the first one's place, and its provider refuses that.
    stand.set(&first, CHANGED).await;
    assert_eq!(stand.asked_with(&first, CHANGED).await, "Thus speaks big.");
    stand.model.refuse(CHANGED);
    let refused = stand.asked_with(&first, CHANGED).await;
    assert!(refused.contains("the server's own key for `openai` is not accepted"), "{refused}");
    assert_eq!(stand.ask(&second).await, "Thus speaks big.");
    let by_operator = stand.model.keys().iter().filter(|key| *key == OPERATORS).count();
    assert_eq!(by_operator, 1, "never in place of a server's own");

    // What was spent is told, and whose it is.
    let listed = stand.ctl(&["keys", "list"]).await;
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    let threads = stand.ctl(&["threads", "list", "--limit", "50"]).await;
    assert!(!threads.to_string().contains("canary"));
    let usage = stand.ctl(&["usage"]).await;
    let own = usage["total"]["on_guild_key_micros"].as_u64().unwrap();
    let all = usage["total"]["cost_micros"].as_u64().unwrap();
    assert!(own > 0 && all > own, "{usage}");

    let remove = ["keys", "remove", &second.guild, "--provider", "openai"];
    assert_eq!(stand.ctl(&remove).await[0]["guild_id"], second.guild.as_str());
    let (is_well, written) = stand.try_ctl(&remove).await;
    assert!(!is_well && written.contains("has no key for `openai`"), "{written}");

    // Nobody else has seen one: neither the files, nor what it wrote about itself.
    let output = stand.process.output();
    assert!(!output.contains("canary") && !output.contains(OPERATORS), "{output}");
    let mut found = Vec::new();
    files_holding(stand.folder.path(), b"canary-of-the", &mut found).unwrap();
    assert_eq!(found, Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_kept_or_asked_with_is_refused() {
    let stand = Stand::start(false).await;
    let place = stand.server("first").await;
    let file = stand.file_of(FIRST);
    let set = |provider: &'static str, file: &str| {
        let (guild, file) = (place.guild.clone(), file.to_owned());
        ["keys".to_owned(), "set".into(), guild, "--provider".into(), provider.into()]
            .into_iter()
            .chain(["--key-file".to_owned(), file])
            .collect::<Vec<_>>()
    };
    let empty = stand.secrets.path().join("empty").display().to_string();
    std::fs::write(&empty, "\n").unwrap();
    for (arguments, why) in [
        (set("anthropic", &file), "there is no provider `anthropic`"),
        (set("openai", &empty), "there is no key in"),
        (set("openai", "/nowhere"), "could not read a key from `/nowhere`"),
        (set("openai", &file), "store.encryption.key_file"),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (is_well, written) = stand.try_ctl(&arguments).await;
        assert!(!is_well && written.contains(why), "{written}");
    }
    assert_eq!(stand.ctl(&["keys", "list"]).await, json!([]));
    let mut found = Vec::new();
    files_holding(stand.folder.path(), b"canary-of-the", &mut found).unwrap();
    assert_eq!(found, Vec::<std::path::PathBuf>::new());
}
