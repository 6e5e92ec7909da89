use std::{future::Future, net::Ipv4Addr, path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, bail};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    time::{Instant, sleep},
};

/// How long a server may take to answer, on a loaded machine.
const START_DEADLINE: Duration = Duration::from_secs(20);

/// How long a server may take to end when it is asked to.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// One server process, killed when it is dropped.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    /// Starts a server, and waits until `answers` says that it serves.
    pub(crate) async fn start<F>(
        name: &'static str,
        mut command: Command,
        answers: impl Fn() -> F,
    ) -> anyhow::Result<Self>
    where
        F: Future<Output = bool>,
    {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("could not start {name}"))?;
        let mut process = Self { name, child };
        let deadline = Instant::now() + START_DEADLINE;
        while !answers().await {
            if let Some(status) = process.child.try_wait()? {
                bail!("{name} ended at once: {status}");
            }
            if Instant::now() >= deadline {
                bail!("{name} did not answer within {START_DEADLINE:?}");
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(process)
    }

    /// Ends it as SIGKILL does, and waits for its end.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.with_context(|| format!("could not kill {}", self.name))
    }

    /// Asks it to end, and waits for that.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.child.id() else { return Ok(()) };
        let asked = Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
        if !asked.success() {
            return self.kill().await;
        }
        match tokio::time::timeout(STOP_DEADLINE, self.child.wait()).await {
            Ok(status) => status.map(drop).with_context(|| format!("could not stop {}", self.name)),
            Err(_) => self.kill().await,
        }
    }

    /// Sends it a signal by its name.
    pub(crate) async fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let Some(id) = self.child.id() else { bail!("{} has ended", self.name) };
        let sent =
            Command::new("kill").args([&format!("-{signal}"), &id.to_string()]).status().await?;
        if !sent.success() {
            bail!("could not send {signal} to {}", self.name);
        }
        Ok(())
    }

    /// Returns the id of the process while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }
}

/// Returns a port of the loopback that was free a moment ago.
pub(crate) async fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    Ok(listener.local_addr()?.port())
}

/// Makes a password of a folder's random name.
pub(crate) fn password(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    format!("tests-only-{}", name.trim_start_matches('.'))
}

/// How often a server is started anew because another took its port first.
pub(crate) const START_ATTEMPTS: u32 = 5;
