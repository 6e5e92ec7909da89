use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    task::JoinHandle,
    time::Instant,
};

/// A running `ery`; killed when dropped.
#[derive(Debug)]
pub struct Ery {
    name: String,
    child: Child,
    stdout: Lines,
    stderr: Lines,
    admin: Option<String>,
}

/// What a process has written so far to one of its streams.
#[derive(Debug)]
struct Lines {
    read: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
}

impl Lines {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's own reader, which ends with the process"
    )]
    fn read(stream: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let read = Arc::<Mutex<Vec<String>>>::default();
        let own = Arc::clone(&read);
        let reader = tokio::spawn(async move {
            let mut reader = BufReader::new(stream).lines();
            while let Ok(Some(line)) = reader.next_line().await {
                own.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Self { read, reader }
    }

    fn all(&self) -> Vec<String> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the process has closed the stream, and all of it is read.
    async fn whole(&mut self) {
        // A reader that panicked has read what it could.
        drop((&mut self.reader).await);
    }
}

/// Returns where cargo put the binary: beside this program, or beside the folder that holds this test.
pub(crate) fn binary() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folders = own.ancestors().skip(1).take(2);
    folders
        .map(|folder| folder.join("ery"))
        .find(|binary| binary.is_file())
        .with_context(|| format!("no `ery` beside {}: build the whole workspace", own.display()))
}

impl Ery {
    /// Starts a playground on free ports, with a data folder of its own unless one is given.
    pub fn start_playground(
        data_dir: Option<&Path>,
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let data_dir = data_dir.map(|folder| folder.display().to_string());
        let mut arguments =
            vec!["playground", "--listen", "127.0.0.1:0", "--sim-listen", "127.0.0.1:0"];
        if let Some(data_dir) = &data_dir {
            arguments.extend(["--data-dir", data_dir.as_str()]);
        }
        Self::start("playground", &arguments, variables)
    }

    /// Starts `ery` with these arguments and variables, and no other settings.
    pub fn start(
        name: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        Self::start_program(&binary()?, name, arguments, variables)
    }

    /// The same with an `ery` that was built elsewhere, from an older version for instance.
    pub fn start_program(
        program: &Path,
        name: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        let mut command = Command::new(program);
        for (inherited, _) in std::env::vars_os() {
            if inherited.to_string_lossy().starts_with("ERY_") {
                command.env_remove(inherited);
            }
        }
        let mut child = command
            .args(arguments)
            .envs(variables)
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("could not start {name}"))?;
        let stdout = Lines::read(child.stdout.take().context("stdout is piped")?);
        let stderr = Lines::read(child.stderr.take().context("stderr is piped")?);
        Ok(Self { name: name.to_owned(), child, stdout, stderr, admin: None })
    }

    /// Waits for a line of either stream that `find` accepts, and returns what it made of it.
    pub async fn line<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let lines = self.stdout.all().into_iter().chain(self.stderr.all());
            if let Some(found) = lines.into_iter().find_map(|line| find(&line)) {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}:\n{}", self.name, self.output());
            }
            if Instant::now() > deadline {
                bail!("{} did not write what was waited for:\n{}", self.name, self.output());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for a line that begins with `prefix`, and returns the rest.
    pub async fn line_after(&mut self, prefix: &str) -> anyhow::Result<String> {
        self.line(|line| line.strip_prefix(prefix).map(|rest| rest.trim().to_owned())).await
    }

    /// Waits until it has ended by itself, and everything that it wrote is read.
    pub async fn end(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let ended = async {
            let status = self.child.wait().await;
            if !self.stdout.reader.is_finished() {
                self.stdout.whole().await;
            }
            if !self.stderr.reader.is_finished() {
                self.stderr.whole().await;
            }
            status
        };
        match tokio::time::timeout(within, ended).await {
            Ok(status) => status.with_context(|| format!("could not wait for {}", self.name)),
            Err(_) => bail!("{} still runs:\n{}", self.name, self.output()),
        }
    }

    /// Sends a signal by its name: `TERM`, `KILL`, `STOP`, `CONT`.
    pub async fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let Some(id) = self.child.id() else { return Ok(()) };
        let status =
            Command::new("kill").args([&format!("-{signal}"), &id.to_string()]).status().await?;
        if !status.success() {
            bail!("could not send {signal} to {}", self.name);
        }
        Ok(())
    }

    /// Lets it drain, and waits until it has ended well.
    pub async fn stop(&mut self, within: Duration) -> anyhow::Result<()> {
        self.signal("TERM").await?;
        let status = self.end(within).await?;
        if !status.success() {
            bail!("{} ended with {status}:\n{}", self.name, self.output());
        }
        Ok(())
    }

    /// Kills it without warning, and waits until it is gone.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.with_context(|| format!("could not kill {}", self.name))
    }

    /// Returns the address of `/metrics`, once [`ready`](crate::ready) has waited for the process.
    pub fn admin(&self) -> Option<&str> {
        self.admin.as_deref()
    }

    /// Returns what it counts and measures, as text.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        let address = self.admin().context("the process serves /metrics")?;
        let request = crate::sim::http_client().get(format!("http://{address}/metrics"));
        Ok(request.send().await?.error_for_status()?.text().await?)
    }

    /// Returns its metrics as Prometheus asks for them.
    pub async fn open_metrics(&self) -> anyhow::Result<String> {
        let address = self.admin().context("the process serves /metrics")?;
        let request = crate::sim::http_client()
            .get(format!("http://{address}/metrics"))
            .header("accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
        let answer = request.send().await?.error_for_status()?;
        let kind = answer.headers()["content-type"].to_str()?;
        anyhow::ensure!(kind.starts_with("application/openmetrics-text"), "{kind}");
        Ok(answer.text().await?)
    }

    pub(crate) fn set_admin(&mut self, address: &str) {
        self.admin = Some(address.to_owned());
    }

    /// Returns its process id while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Returns whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Returns everything that it wrote.
    pub fn output(&self) -> String {
        self.stdout.all().into_iter().chain(self.stderr.all()).collect::<Vec<_>>().join("\n")
    }

    /// Returns what it wrote to standard error.
    pub fn stderr(&self) -> String {
        self.stderr.all().join("\n")
    }

    /// Returns what it wrote to standard output.
    pub fn stdout(&self) -> String {
        self.stdout.all().join("\n")
    }
}

/// Asks again until `probe` gives an answer.
///
/// # Errors
///
/// If none came in time; names what was waited for.
pub async fn eventually<T, P, F>(what: &str, within: Duration, mut probe: P) -> anyhow::Result<T>
where
    P: FnMut() -> F,
    F: Future<Output = anyhow::Result<Option<T>>>,
{
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = probe().await? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("waited {within:?} in vain for {what}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Adds the files of a folder, and of those in it, in which a text stands.
pub fn files_holding(folder: &Path, text: &[u8], found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files_holding(&path, text, found)?;
        } else if std::fs::read(&path)
            .unwrap_or_default()
            .windows(text.len())
            .any(|window| window.eq_ignore_ascii_case(text))
        {
            found.push(path);
        }
    }
    Ok(())
}

/// Returns a port that nothing listens on at the moment.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
