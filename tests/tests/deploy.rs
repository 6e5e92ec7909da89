//! What stands in the deployment files and the documentation, asked of the program itself.
//!
//! Everything else about them is held to its tools by `make k8s-check`.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use ery_tests::{Ery, eventually, free_port, ready};
use regex::Regex;
use tokio::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Returns the files with settings in them: those of the deployment, and those that tell of them.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("deploy"), root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.extend(["docker-compose.yml", ".env.example", "README.md"].map(|name| root().join(name)));
    found.retain(|path| path.extension().is_none_or(|kind| kind != "pyc"));
    found
}

/// Runs `ery`, and returns whether it succeeded, and what it said.
async fn said(arguments: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
    let mut process = Ery::start("ery", arguments, variables).unwrap();
    let status = process.end(Duration::from_secs(30)).await.unwrap();
    (status.success(), process.output())
}

#[tokio::test]
async fn every_variable_that_is_named_anywhere_is_a_setting() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    let file = secret.path().to_str().unwrap();
    let name = Regex::new(r"\bERY_(?:DATA_DIR|[A-Z]+(?:_[A-Z]+)*__[A-Z]+(?:_[A-Z]+)*)\b").unwrap();
    let mut names: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in files() {
        for found in name.find_iter(&fs::read_to_string(&path).unwrap()) {
            names.entry(found.as_str().to_owned()).or_insert_with(|| path.clone());
        }
    }
    assert!(names.len() > 20, "the settings were not found: {names:?}");
    for (name, path) in names {
        let value = if name.ends_with("_FILE") { file } else { "0" };
        let (_, output) = said(&["settings", "check"], &[(&name, value)]).await;
        let path = path.display();
        assert!(!output.contains("there is no setting"), "{path} names {name}: {output}");
    }
}

#[tokio::test]
async fn every_settings_file_of_the_deployment_is_right() {
    let files = files();
    let tomls: Vec<&PathBuf> =
        files.iter().filter(|path| path.extension().is_some_and(|kind| kind == "toml")).collect();
    assert!(tomls.len() >= 4, "the settings files were not found: {tomls:?}");
    for path in tomls {
        let path = path.to_str().unwrap();
        let (is_right, output) = said(&["--settings", path, "settings", "check"], &[]).await;
        assert!(is_right, "{path}: {output}");
    }
}

#[tokio::test]
async fn every_command_line_of_the_deployment_is_one() {
    let mut lines: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in files() {
        let key = if path.ends_with("docker-compose.yml") { "command" } else { "args" };
        let line = Regex::new(&format!(r"(?m)^ *{key}: \[([a-z][^\]]*)\]$")).unwrap();
        for found in line.captures_iter(&fs::read_to_string(&path).unwrap()) {
            lines.insert(found[1].replace('"', ""), path.clone());
        }
    }
    assert!(lines.len() >= 10, "the command lines were not found: {lines:?}");
    for (line, path) in lines {
        // Parsed whole, and then only explained.
        let arguments: Vec<&str> = line.split(", ").chain(["--help"]).collect();
        let (is_one, output) = said(&arguments, &[]).await;
        assert!(is_one, "{}: {output}", path.display());
    }
}

#[tokio::test]
async fn what_pods_and_images_set_is_valid_together() {
    let secret = |text: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        file
    };
    let (url, key) = (secret("redis://ery:secret@redis:6379/0"), secret(&"5a".repeat(32)));
    let path_of = |name: &str| {
        let file = if name.ends_with("KEY_FILE") { &key } else { &url };
        file.path().to_str().unwrap().to_owned()
    };
    let pair =
        Regex::new(r#"name: (ERY_\w+), value: "?([^"}]+?)"? \}|\b(ERY_\w+)=([^\s\\]+) *\\?$"#)
            .unwrap();
    for folder in ["deploy/kubernetes", "deploy/Dockerfile", "deploy/packaged.Dockerfile"] {
        let mut variables: BTreeMap<String, String> = BTreeMap::new();
        for path in files().iter().filter(|path| path.starts_with(root().join(folder))) {
            for line in fs::read_to_string(path).unwrap().lines() {
                let Some(found) = pair.captures(line) else { continue };
                let texts: Vec<&str> =
                    found.iter().skip(1).flatten().map(|it| it.as_str()).collect();
                let is_file = texts[0].ends_with("_FILE");
                let value = if is_file { path_of(texts[0]) } else { texts[1].to_owned() };
                variables.insert(texts[0].to_owned(), value);
            }
        }
        assert!(variables.len() >= 4, "{folder}: {variables:?}");
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (is_right, output) = said(&["settings", "check"], &variables).await;
        assert!(is_right, "{folder}: {output}");
    }
}

#[tokio::test]
async fn a_probe_tells_a_ready_process_from_one_that_is_not_there() {
    let port = free_port().unwrap();
    let admin = format!("0.0.0.0:{port}");
    let variables = [("ERY_ADMIN__LISTEN", admin.as_str())];
    let (is_ready, output) = said(&["probe"], &variables).await;
    assert!(!is_ready && output.contains(&format!("127.0.0.1:{port}")), "{output}");

    let mut playground = Ery::start_playground(None, &variables).unwrap();
    playground.line_after("Ery's playground is at").await.unwrap();
    let sim = playground.line_after("The simulated Discord is at").await.unwrap();
    let (is_ready, output) = said(&["probe"], &variables).await;
    assert!(is_ready, "{output}");
    let description = format!("{}/sim/v1/openapi.json", sim.trim());
    let (is_ready, output) = said(&["probe", &description], &[]).await;
    assert!(is_ready, "{output}");
    let (is_ready, output) = said(&["probe", &format!("{}/nowhere", sim.trim())], &[]).await;
    assert!(!is_ready && output.contains("404"), "{output}");
    // Where the port is left open there is nobody to ask.
    let (is_ready, output) = said(&["probe"], &[]).await;
    assert!(!is_ready && output.contains("ERY_ADMIN__LISTEN"), "{output}");
}

/// Of a counter that is first seen at one, Prometheus cannot tell that it rose: the first time would
/// wake nobody.
#[tokio::test]
async fn counters_that_alerts_watch_are_there_before_anything_happened() {
    let rules =
        fs::read_to_string(root().join("deploy/kubernetes/components/monitoring/rule.yaml"))
            .unwrap();
    let rising = Regex::new(r"increase\((ery_\w+)").unwrap();
    let watched: BTreeSet<&str> =
        rising.captures_iter(&rules).map(|found| found.get(1).unwrap().as_str()).collect();
    assert!(watched.len() > 5, "the alerts were not found: {watched:?}");

    let variables = [("ERY_TELEMETRY__LOG_FORMAT", "json")];
    let mut playground = Ery::start_playground(None, &variables).unwrap();
    ready(&mut playground).await.unwrap();
    let metrics = playground.metrics().await.unwrap();
    for counter in watched {
        let is_zero = |line: &str| {
            line.strip_prefix(counter)
                .is_some_and(|rest| rest.starts_with('{') && rest.ends_with(" 0"))
        };
        assert!(metrics.lines().any(is_zero), "{counter} is not there:\n{metrics}");
    }
}

/// Waits until a process wrote so many lines into a file.
async fn lines_in(file: &Path, count: usize) -> Vec<String> {
    eventually("a server that runs", Duration::from_secs(20), async || {
        let lines: Vec<_> =
            fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect();
        Ok((lines.len() >= count).then_some(lines))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn two_servers_never_run_on_the_same_files() {
    let command = Regex::new(r"(?s)- >-\n( +trap .*?)\n +ports:").unwrap();
    for server in ["nats", "redis"] {
        let manifest = root().join(format!("deploy/kubernetes/base/{server}.yaml"));
        let manifest = fs::read_to_string(manifest).unwrap();
        let command = command.captures(&manifest).unwrap()[1].replace('\n', " ");

        // In place of the server, something that says that it runs.
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("runs");
        let stub = folder.path().join(format!("{server}-server"));
        let script = format!("#!/bin/sh\necho $$ >>{}\nexec sleep 60\n", runs.display());
        fs::write(&stub, script).unwrap();
        fs::set_permissions(&stub, Permissions::from_mode(0o755)).unwrap();
        let here = folder.path().display();
        let command = command.replace("/data/", &format!("{here}/"));
        let command = format!("PATH={here}:$PATH; {command}");
        let start = || {
            let mut process = Command::new("sh");
            process.args(["-c", &command]).kill_on_drop(true).spawn().unwrap()
        };

        let mut older = start();
        lines_in(&runs, 1).await;
        let (mut told_to_go, waiting) = (start(), start());
        for process in [&told_to_go, &waiting] {
            // Opened last before it waits.
            let lock = PathBuf::from(format!("/proc/{}/fd/9", process.id().unwrap()));
            let has_lock = async || Ok(lock.exists().then_some(()));
            eventually("one that waits", Duration::from_secs(20), has_lock).await.unwrap();
        }
        let id = told_to_go.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        let ended = tokio::time::timeout(Duration::from_secs(20), told_to_go.wait()).await;
        assert_eq!(ended.unwrap().unwrap().code(), Some(143), "{server}");
        assert_eq!(lines_in(&runs, 1).await.len(), 1, "{server}: two run at once");

        older.kill().await.unwrap();
        let runs = lines_in(&runs, 2).await;
        assert_eq!(runs.last(), waiting.id().map(|id| id.to_string()).as_ref(), "{server}");
    }
}
