//! Client libraries that nobody here wrote, unmodified, against the simulated Discord.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use ery_tests::{ContractKept, Ery, Sim};
use tokio::process::Command;

/// What discord.py is tried with, in this order.
const AREAS: &[&str] = &[
    "login",
    "members",
    "messages",
    "reactions_and_pins",
    "embeds_and_files",
    "history",
    "moderation",
    "audit_log",
    "channels",
    "threads",
    "forums",
    "invites",
    "emojis",
    "scheduled_events",
    "webhooks",
    "polls",
    "guild_settings",
    "slash_commands",
    "components",
    "rate_limits",
    "resuming",
];
/// How long a whole trial may take on a busy machine; alone it takes about forty seconds.
const PATIENCE: Duration = Duration::from_mins(5);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Runs the trial of discord.py, and holds it to every area and to Discord's document.
async fn discord_py(compression: &str) {
    let library = root().join(".tools/discord.py");
    assert!(library.join("discord").exists(), "discord.py is missing: `make tools` installs it");
    let arguments = ["sim-discord", "--listen", "127.0.0.1:0", "--token", "a-client"];
    let mut process = Ery::start("sim-discord", &arguments, &[]).unwrap();
    let base = process.line_after("The simulated Discord is at").await.unwrap();
    let base = base.split_whitespace().next().unwrap();
    let sim = Sim::new(base);
    let mut contract = ContractKept::watch(&sim).await.unwrap();

    let trial = Command::new("python3")
        .arg(root().join("tests/clients/discord_py.py"))
        .args([base, "a-client", compression])
        .env("PYTHONPATH", library)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, trial).await.expect("the trial does not end");
    let output = output.expect("there is a python3");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let held: Vec<&str> = stdout.lines().filter_map(|line| line.strip_prefix("ok ")).collect();
    assert_eq!(held, AREAS, "{stdout}\n{stderr}");
    assert!(output.status.success(), "{stdout}\n{stderr}");
    contract.judge().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn discord_py_works_and_resumes_over_zlib() {
    discord_py("zlib").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discord_py_works_and_resumes_over_zstd() {
    discord_py("zstd").await;
}
