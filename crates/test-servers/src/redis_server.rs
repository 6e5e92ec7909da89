use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    binary,
    process::{Process, START_ATTEMPTS, free_port, password},
};

/// A private redis-server that keeps an append-only file; ends with its handle.
pub struct RedisServer {
    process: Process,
    binary: PathBuf,
    folder: TempDir,
    port: u16,
    /// Empty: whoever has the password.
    user: String,
    /// Its own, so that no server is taken for another.
    password: String,
}

impl RedisServer {
    /// Starts one on a free port, with an empty folder and a password.
    ///
    /// # Errors
    ///
    /// Where no redis-server can be found, or it does not start.
    pub async fn start() -> anyhow::Result<Self> {
        let binary = binary::redis_server().await?;
        let folder = tempfile::tempdir().context("could not make a folder for redis-server")?;
        let password = password(folder.path());
        Self::start_in(binary, folder, String::new(), password).await
    }

    /// Starts one with a list of users, as Redis reads it from a file. `user` and `password` are those
    /// of somebody whom it lets in.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub async fn start_with_users(list: &str, user: &str, password: &str) -> anyhow::Result<Self> {
        let binary = binary::redis_server().await?;
        let folder = tempfile::tempdir().context("could not make a folder for redis-server")?;
        std::fs::write(folder.path().join("users.acl"), list)?;
        Self::start_in(binary, folder, user.to_owned(), password.to_owned()).await
    }

    async fn start_in(
        binary: PathBuf,
        folder: TempDir,
        user: String,
        password: String,
    ) -> anyhow::Result<Self> {
        let mut attempt = 1;
        loop {
            let port = free_port().await?;
            match start_process(&binary, folder.path(), port, &user, &password).await {
                Ok(process) => return Ok(Self { process, binary, folder, port, user, password }),
                Err(error) if attempt == START_ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }

    /// Returns the URL with its credentials.
    pub fn url(&self) -> String {
        self.url_of(&self.user, &self.password)
    }

    /// Returns the URL with the credentials of somebody else.
    pub fn url_of(&self, user: &str, password: &str) -> String {
        url(self.port, user, password)
    }

    /// Returns `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the process id while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Empties it: what `FLUSHALL` does.
    ///
    /// # Errors
    ///
    /// If it does not answer.
    pub async fn flush_all(&self) -> anyhow::Result<()> {
        self.command(redis::cmd("FLUSHALL")).await.map(drop).context("could not empty redis-server")
    }

    /// Runs one command on a connection of its own.
    ///
    /// # Errors
    ///
    /// If it does not answer, or refuses.
    pub async fn command(&self, command: redis::Cmd) -> anyhow::Result<redis::Value> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        Ok(command.query_async(&mut connection).await?)
    }

    /// Sends it a signal by its name: `STOP`, `CONT`.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub async fn signal(&self, signal: &str) -> anyhow::Result<()> {
        self.process.signal(signal).await
    }

    /// Ends it as an operator does.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.process.stop().await
    }

    /// Ends it without warning.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill().await
    }

    /// Starts it again on the same port with what it had stored; ends it first if it runs.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.process.stop().await?;
        let mut attempt = 1;
        loop {
            let folder = self.folder.path();
            match start_process(&self.binary, folder, self.port, &self.user, &self.password).await {
                Ok(process) => {
                    self.process = process;
                    return Ok(());
                }
                Err(error) if attempt == START_ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }
}

fn url(port: u16, user: &str, password: &str) -> String {
    format!("redis://{user}:{password}@127.0.0.1:{port}/0")
}

async fn start_process(
    binary: &Path,
    folder: &Path,
    port: u16,
    user: &str,
    password: &str,
) -> anyhow::Result<Process> {
    let mut command = Command::new(binary);
    command
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--save", "", "--daemonize", "no"])
        .args(["--appendonly", "yes", "--appendfsync", "everysec"])
        .args(["--maxmemory-policy", "noeviction"])
        .arg("--dir")
        .arg(folder);
    let list = folder.join("users.acl");
    if list.exists() {
        command.arg("--aclfile").arg(list);
    } else {
        command.args(["--requirepass", password]);
    }
    Process::start("redis-server", command, || answers(port, user, password)).await
}

/// Whether the server lets us in and has read its file.
async fn answers(port: u16, user: &str, password: &str) -> bool {
    let Ok(client) = redis::Client::open(url(port, user, password)) else { return false };
    let Ok(mut connection) = client.get_multiplexed_async_connection().await else { return false };
    redis::cmd("PING").query_async::<String>(&mut connection).await.is_ok()
}
