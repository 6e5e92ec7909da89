//! The data folder, as an operator meets it: encrypted, given another key, backed up, brought back.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use ery_tests::{Checker, Ery, Sim, eventually, files_holding, free_port, http_client, ready};

const PATIENCE: Duration = Duration::from_mins(1);
const SETTINGS: i32 = 78;
const UNAVAILABLE: i32 = 69;

const KEY: &str = "ERY_STORE__ENCRYPTION__KEY";
const PREVIOUS_KEY: &str = "ERY_STORE__ENCRYPTION__PREVIOUS_KEY";

/// A simulated Discord, and a data folder that one Ery after another runs on.
struct Place {
    sim: Sim,
    api: String,
    gateway: String,
    data: tempfile::TempDir,
    temporary: tempfile::TempDir,
    _simulator: Ery,
}

impl Place {
    async fn new() -> Self {
        let arguments =
            ["sim-discord", "--listen", "127.0.0.1:0", "--token", "store", "--no-rate-limits"];
        let mut simulator = Ery::start("sim-discord", &arguments, &[]).unwrap();
        let base = simulator.line_after("The simulated Discord is at").await.unwrap();
        let base = base.split_whitespace().next().unwrap().to_owned();
        Self {
            sim: Sim::new(&base),
            api: format!("{base}/api/v10"),
            gateway: base.replace("http://", "ws://"),
            data: tempfile::tempdir().unwrap(),
            temporary: tempfile::tempdir().unwrap(),
            _simulator: simulator,
        }
    }

    fn start(&self, arguments: &[&str], extra: &[(&str, &str)]) -> Ery {
        let data = self.data.path().display().to_string();
        let temporary = self.temporary.path().display().to_string();
        let mut variables = vec![
            ("ERY_DISCORD__TOKEN", "store"),
            ("ERY_DISCORD__API_URL", self.api.as_str()),
            ("ERY_DISCORD__GATEWAY_URL", self.gateway.as_str()),
            ("ERY_DATA_DIR", data.as_str()),
            ("ERY_TELEMETRY__LOG", "debug"),
            ("TMPDIR", temporary.as_str()),
            ("SQLITE_TMPDIR", temporary.as_str()),
        ];
        variables.extend_from_slice(extra);
        Ery::start(arguments[0], arguments, &variables).unwrap()
    }

    async fn run(&self, extra: &[(&str, &str)]) -> Ery {
        let mut all = self.start(&["all"], extra);
        ready(&mut all).await.unwrap();
        all
    }

    /// Runs until the end, and returns the exit code and all that was said.
    async fn ended(&self, arguments: &[&str], extra: &[(&str, &str)]) -> (i32, String) {
        let mut process = self.start(arguments, extra);
        let status = process.end(PATIENCE).await.unwrap();
        (status.code().unwrap(), process.output())
    }

    /// Asks Ery something in each channel that members speak in, and waits for the answers.
    async fn ask(&self, texts: &[String]) {
        let from = self.sim.log(0).await.unwrap().last().map_or(0, |entry| entry.seq);
        let world = self.sim.world().await.unwrap();
        let bot = world.bots[0]["id"].as_str().unwrap();
        let guild = &world.guilds[0];
        let (channel, member) = (guild.channel("general").unwrap(), guild.member("alice").unwrap());
        for text in texts {
            self.sim.say(channel, member, &format!("<@{bot}> {text}")).await.unwrap();
        }
        eventually("the answers", PATIENCE, async || {
            let answered: usize = Checker::answers(&self.sim.log(from).await?)?
                .iter()
                .map(|answer| answer.covers.len())
                .sum();
            Ok((answered >= texts.len()).then_some(()))
        })
        .await
        .unwrap();
    }

    /// Returns the files in which a text stands, in the data folder or where temporary files go.
    fn holding(&self, text: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for folder in [self.data.path(), self.temporary.path()] {
            files_holding(folder, text.as_bytes(), &mut found).unwrap();
        }
        found
    }
}

fn canaries() -> (Vec<String>, &'static str) {
    // Not answered by the built-in commands: it is kept in messages, journal, queue, bus and index.
    let texts = (0..20).map(|index| format!("hello canary31415x number {index}")).collect();
    (texts, "canary31415x")
}

#[tokio::test]
async fn nothing_that_people_wrote_stands_in_the_data_folder_in_the_clear() {
    let (texts, canary) = canaries();
    let place = Place::new().await;
    let mut all = place.run(&[]).await;
    place.ask(&texts).await;
    all.kill().await.unwrap();
    assert!(place.holding(canary).len() >= 3, "the search finds what is in the clear");

    let place = Place::new().await;
    let key = "5a".repeat(32);
    let mut all = place.run(&[(KEY, &key)]).await;
    place.ask(&texts).await;
    let logs = fs::read_dir(place.data.path().join("store")).unwrap();
    let logs = logs.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().ends_with("-wal")
    });
    assert!(logs.count() > 0, "what was written last is in a log beside its file");
    assert_eq!(place.holding(canary), Vec::<PathBuf>::new(), "while it runs");
    all.kill().await.unwrap();
    assert_eq!(place.holding(canary), Vec::<PathBuf>::new(), "after it was killed");
    assert_eq!(place.holding("SQLite format 3"), Vec::<PathBuf>::new());
    for secret in [key.as_str(), &"Z".repeat(32)] {
        assert_eq!(place.holding(secret), Vec::<PathBuf>::new(), "no key in any file");
        assert!(!all.output().contains(secret), "no key in the log");
    }
}

#[tokio::test]
async fn a_data_folder_gets_a_key_and_then_another() {
    let (texts, canary) = canaries();
    let (first, second) = ("1b".repeat(32), "2c".repeat(32));
    let (first, second) = (first.as_str(), second.as_str());
    let place = Place::new().await;
    let mut all = place.run(&[]).await;
    place.ask(&texts).await;
    let rekey = ["ctl", "store", "rekey"];
    let (code, output) = place.ended(&rekey, &[(KEY, first)]).await;
    assert_eq!(code, UNAVAILABLE, "{output}");
    assert!(output.contains("in use") && output.contains("stop Ery"), "{output}");
    all.kill().await.unwrap();

    // A key that is set does not fit a folder in the clear, and the line says what to do.
    let (code, output) = place.ended(&["all"], &[(KEY, first)]).await;
    assert_eq!(code, SETTINGS, "{output}");
    assert!(output.contains("not encrypted") && output.contains("ery ctl store rekey"), "{output}");
    let (code, output) = place.ended(&rekey, &[(KEY, first)]).await;
    assert_eq!(code, 0, "{output}");
    assert_eq!(place.holding(canary), Vec::<PathBuf>::new());
    place.ended(&rekey, &[(KEY, first)]).await;

    for (variables, said) in [
        (vec![], "no key is set"),
        (vec![(KEY, second)], "store.encryption.previous_key"),
        (vec![(KEY, "not a key")], "64 hexadecimal digits"),
    ] {
        let (code, output) = place.ended(&["all"], &variables).await;
        assert_eq!(code, SETTINGS, "{output}");
        let lines: Vec<_> = output.lines().filter(|line| line.starts_with("ery: ")).collect();
        assert!(lines.len() == 1 && lines[0].contains(said), "{output}");
        assert!(!output.contains(second) && !output.contains("not a key"), "{output}");
    }
    let (code, output) = place.ended(&rekey, &[(KEY, second)]).await;
    assert_eq!(code, SETTINGS, "{output}");
    let (code, output) = place.ended(&rekey, &[(KEY, second), (PREVIOUS_KEY, first)]).await;
    assert_eq!(code, 0, "{output}");

    // Under the new key everything is there, and Ery goes on.
    let mut all = place.run(&[(KEY, second)]).await;
    place.ask(&["hello again".to_owned()]).await;
    let (code, output) = place.ended(&["ctl", "--json", "threads", "list"], &[]).await;
    assert_eq!(code, 0, "{output}");
    let listed: Vec<serde_json::Value> = serde_json::from_str(&output).unwrap();
    assert!(listed.len() >= 2, "{output}");
    for (command, column) in
        [("status", "condition"), ("check", "is_whole"), ("vacuum", "bytes_after")]
    {
        let (code, output) = place.ended(&["ctl", "--json", "store", command], &[]).await;
        assert_eq!(code, 0, "{output}");
        let rows: Vec<serde_json::Value> = serde_json::from_str(&output).unwrap();
        assert!(!rows.is_empty() && rows.iter().all(|row| !row[column].is_null()), "{output}");
    }
    all.kill().await.unwrap();

    let (code, output) =
        place.ended(&["settings", "show"], &[(KEY, second), (PREVIOUS_KEY, first)]).await;
    assert_eq!(code, 0, "{output}");
    assert!(!output.contains(second) && !output.contains(first), "{output}");
    let (code, output) =
        place.ended(&["ctl", "store", "rekey", "--decrypt"], &[(PREVIOUS_KEY, second)]).await;
    assert_eq!(code, 0, "{output}");
    assert!(place.holding(canary).len() >= 2);
}

/// A server that speaks S3's protocol, with one empty bucket.
struct Bucket {
    endpoint: String,
    _server: tokio::process::Child,
}

impl Bucket {
    async fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let library = root.join(".tools/moto");
        assert!(library.join("moto").exists(), "moto is missing: `make tools` installs it");
        let port = free_port().unwrap().to_string();
        let server = tokio::process::Command::new("python3")
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port])
            .env("PYTHONPATH", library)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let endpoint = format!("http://127.0.0.1:{port}");
        let http = http_client();
        eventually("the bucket", PATIENCE, async || {
            let made = http.put(format!("{endpoint}/ery-backups")).send().await;
            Ok(made.is_ok_and(|made| made.status().is_success()).then_some(()))
        })
        .await
        .unwrap();
        Self { endpoint, _server: server }
    }

    fn variables(&self) -> Vec<(&str, &str)> {
        vec![
            ("ERY_STORE__BACKUP__URL", "s3://ery-backups/one/place"),
            ("ERY_STORE__BACKUP__S3_ENDPOINT", &self.endpoint),
            ("ERY_STORE__BACKUP__S3_ACCESS_KEY_ID", "an-id"),
            ("ERY_STORE__BACKUP__S3_SECRET_ACCESS_KEY", "a-secret-of-s3"),
        ]
    }
}

#[tokio::test]
async fn a_lost_data_folder_comes_back_from_a_bucket() {
    let (texts, canary) = canaries();
    let key = "5a".repeat(32);
    let bucket = Bucket::new().await;
    let mut variables = bucket.variables();
    variables.push((KEY, &key));
    let mut place = Place::new().await;
    let mut all = place.run(&variables).await;
    place.ask(&texts).await;
    let (code, output) = place.ended(&["ctl", "--json", "backup", "create"], &[]).await;
    assert_eq!(code, 0, "{output}");
    let made: serde_json::Value = serde_json::from_str(&output).unwrap();
    let id = made[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(made[0]["is_whole"], true);
    let (code, output) = place.ended(&["ctl", "backup", "verify", &id], &[]).await;
    assert_eq!(code, 0, "{output}");
    assert!(!all.output().contains("a-secret-of-s3") && !all.output().contains(canary));
    let before = executions(&place).await;
    assert!(!before.is_empty());
    all.kill().await.unwrap();

    place.data = tempfile::tempdir().unwrap();
    let mut all = place.run(&variables).await;
    let (code, output) = place.ended(&["ctl", "--json", "backup", "list"], &[]).await;
    assert!(code == 0 && output.contains(&id), "{output}");
    let (code, output) = place.ended(&["ctl", "backup", "restore", &id, "--all"], &[]).await;
    assert_eq!(code, 0, "{output}");
    assert_eq!(executions(&place).await, before);
    place.ask(&["hello again".to_owned()]).await;
    let (code, output) = place.ended(&["ctl", "backup", "prune"], &[]).await;
    assert_eq!(code, 0, "{output}");
    let (code, output) =
        place.ended(&["ctl", "backup", "restore", "20010101T000000Z", "--all"], &[]).await;
    assert!(code != 0 && output.contains("ery ctl backup list"), "{output}");
    all.kill().await.unwrap();
}

/// Returns the keys of the audit's records.
async fn executions(place: &Place) -> Vec<String> {
    let (code, output) =
        place.ended(&["ctl", "--json", "executions", "list", "--limit", "1000"], &[]).await;
    assert_eq!(code, 0, "{output}");
    let rows: Vec<serde_json::Value> = serde_json::from_str(&output).unwrap();
    let mut keys: Vec<String> =
        rows.iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect();
    keys.sort();
    keys
}
