use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    binary,
    process::{Process, START_ATTEMPTS, free_port, password},
};

const USER: &str = "ery";

/// A private nats-server with JetStream; ends with its handle.
pub struct NatsServer {
    process: Process,
    binary: PathBuf,
    folder: TempDir,
    port: u16,
    user: String,
    /// Its own, so that no server is taken for another.
    password: String,
}

impl NatsServer {
    /// Starts one on a free port, with an empty folder, a user and a password.
    ///
    /// # Errors
    ///
    /// Where no nats-server that is new enough can be found, or it does not start.
    pub async fn start() -> anyhow::Result<Self> {
        let binary = binary::nats_server().await?;
        let folder = tempfile::tempdir().context("could not make a folder for nats-server")?;
        let password = password(folder.path());
        let mut attempt = 1;
        loop {
            let port = free_port().await?;
            write_config(folder.path(), port, &password, "")?;
            match start_process(&binary, folder.path(), port, USER, &password).await {
                Ok(process) => {
                    return Ok(Self { process, binary, folder, port, user: USER.into(), password });
                }
                Err(error) if attempt == START_ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }

    /// Starts one with a configuration of the caller's, which is written for a folder and a port.
    /// `user` and `password` are those of somebody whom it lets in.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub async fn start_with(
        user: &str,
        password: &str,
        configure: impl Fn(&Path, u16) -> anyhow::Result<String>,
    ) -> anyhow::Result<Self> {
        let binary = binary::nats_server().await?;
        let folder = tempfile::tempdir().context("could not make a folder for nats-server")?;
        let (user, password) = (user.to_owned(), password.to_owned());
        let mut attempt = 1;
        loop {
            let port = free_port().await?;
            let config = configure(folder.path(), port)?;
            std::fs::write(folder.path().join("nats.conf"), config)?;
            match start_process(&binary, folder.path(), port, &user, &password).await {
                Ok(process) => {
                    return Ok(Self { process, binary, folder, port, user, password });
                }
                Err(error) if attempt == START_ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }

    /// Starts `size` of them that form one cluster, under one user and password.
    ///
    /// # Errors
    ///
    /// Where no nats-server that is new enough can be found, or one does not start.
    pub async fn start_cluster(size: usize) -> anyhow::Result<Vec<Self>> {
        let binary = binary::nats_server().await?;
        let mut members = Vec::new();
        for _ in 0..size {
            let folder = tempfile::tempdir().context("could not make a folder for nats-server")?;
            members.push((folder, free_port().await?, free_port().await?));
        }
        let password = members
            .first()
            .map(|(folder, ..)| password(folder.path()))
            .context("a cluster has one server at least")?;
        let routes: Vec<_> =
            members.iter().map(|(_, _, route)| format!("\"nats://127.0.0.1:{route}\"")).collect();
        let mut starts = Vec::new();
        for (folder, port, route) in &members {
            let cluster = format!(
                "cluster {{ name: \"test\", listen: \"127.0.0.1:{route}\", routes: [{}] }}\n",
                routes.join(", ")
            );
            write_config(folder.path(), *port, &password, &cluster)?;
            starts.push(start_process(&binary, folder.path(), *port, USER, &password));
        }
        let processes = futures::future::try_join_all(starts).await?;
        Ok(members
            .into_iter()
            .zip(processes)
            .map(|((folder, port, _), process)| Self {
                process,
                binary: binary.clone(),
                folder,
                port,
                user: USER.into(),
                password: password.clone(),
            })
            .collect())
    }

    /// Returns the URL with its credentials.
    pub fn url(&self) -> String {
        self.url_of(&self.user, &self.password)
    }

    /// Returns the URL with the credentials of somebody else.
    pub fn url_of(&self, user: &str, password: &str) -> String {
        format!("nats://{user}:{password}@127.0.0.1:{}", self.port)
    }

    /// Returns `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the port on which it serves clients; it is named `test-<port>`.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the process id while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
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

fn write_config(folder: &Path, port: u16, password: &str, cluster: &str) -> anyhow::Result<()> {
    let config = format!(
        "listen: \"127.0.0.1:{port}\"\n\
         server_name: \"test-{port}\"\n\
         max_payload: 8MB\n\
         authorization {{ user: \"{USER}\", password: \"{password}\" }}\n\
         jetstream {{ store_dir: \"{}\", max_mem: 256MB, max_file: 8GB }}\n\
         {cluster}",
        folder.join("store").display()
    );
    std::fs::write(folder.join("nats.conf"), config).context("could not write nats.conf")
}

async fn start_process(
    binary: &Path,
    folder: &Path,
    port: u16,
    user: &str,
    password: &str,
) -> anyhow::Result<Process> {
    let mut command = Command::new(binary);
    command.arg("--config").arg(folder.join("nats.conf"));
    Process::start("nats-server", command, || answers(port, user, password)).await
}

/// Whether the server lets us in and its JetStream serves, as far as we may ask.
async fn answers(port: u16, user: &str, password: &str) -> bool {
    let options =
        async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
    let Ok(client) = options.connect(format!("nats://127.0.0.1:{port}")).await else {
        return false;
    };
    user != USER || async_nats::jetstream::new(client).query_account().await.is_ok()
}
