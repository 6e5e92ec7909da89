use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tokio::process::Command;

/// Older servers lose streams when they are killed, and refuse key-value buckets.
const NATS_FLOOR: [u32; 3] = [2, 10, 23];

const HELP: &str = "run `make tools`, which installs what tests need";

/// Finds a nats-server that is new enough.
pub(crate) async fn nats_server() -> anyhow::Result<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin/nats-server");
    let mut found = Vec::new();
    for candidate in [own, PathBuf::from("nats-server")] {
        let Some(version) = version(&candidate).await else { continue };
        if version >= NATS_FLOOR {
            return Ok(candidate);
        }
        found.push(version.map(|number| number.to_string()).join("."));
    }
    let floor = NATS_FLOOR.map(|number| number.to_string()).join(".");
    if found.is_empty() {
        bail!("there is no nats-server in .tools/bin or on the PATH: {HELP}");
    }
    bail!("nats-server {} is older than {floor}: {HELP}", found.join(" and "));
}

/// Finds a redis-server.
pub(crate) async fn redis_server() -> anyhow::Result<PathBuf> {
    let binary = PathBuf::from("redis-server");
    let output = Command::new(&binary).arg("--version").output().await;
    let output = output.with_context(|| format!("there is no redis-server on the PATH: {HELP}"))?;
    if !output.status.success() {
        bail!("`redis-server --version` fails: {HELP}");
    }
    Ok(binary)
}

async fn version(binary: &Path) -> Option<[u32; 3]> {
    let output = Command::new(binary).arg("--version").output().await.ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// Reads `nats-server: v2.15.1`; what follows a hyphen is a pre-release of that number.
fn parse_version(text: &str) -> Option<[u32; 3]> {
    let number = text.trim().rsplit(' ').next()?.trim_start_matches('v');
    let mut parts = number.split(['.', '-']).map(str::parse);
    let mut next = || parts.next()?.ok();
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_compared_by_its_numbers() {
        assert_eq!(parse_version("nats-server: v2.15.1\n"), Some([2, 15, 1]));
        assert_eq!(parse_version("nats-server: v2.9.10-RC.1"), Some([2, 9, 10]));
        assert_eq!(parse_version("command not found"), None);
        assert!(parse_version("nats-server: 2.9.10") < Some(NATS_FLOOR));
        assert!(parse_version("nats-server: v2.10.23") >= Some(NATS_FLOOR));
    }
}
