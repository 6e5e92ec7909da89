use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use serde_json::Value;

use ery_test_servers::{NatsServer, RedisServer};

use crate::{ContractKept, Ery, Sim, eventually, process::binary};

/// How many processes of each service run.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub orchestrators: usize,
    pub tool_services: usize,
    pub ai_services: usize,
}

/// Every service as processes of their own, on private NATS and Redis, beside a simulated Discord.
pub struct Platform {
    pub sim: Sim,
    pub gateway: Ery,
    pub orchestrators: Vec<Ery>,
    pub tool_services: Vec<Ery>,
    pub ai_services: Vec<Ery>,
    pub store: Ery,
    pub nats: NatsServer,
    pub redis: RedisServer,
    variables: Vec<(String, String)>,
    users: Users,
    /// The `ery` that is started.
    program: PathBuf,
    /// Judges the whole run when the test ends, while the simulator still runs.
    _contract: ContractKept,
    _sim_process: Ery,
    _folder: tempfile::TempDir,
}

/// As whom a service comes to the servers, by variables.
pub type Users = fn(&NatsServer, &RedisServer, &str) -> Vec<(&'static str, String)>;

impl Platform {
    /// Starts everything, and waits until a message would be answered.
    pub async fn start(shape: Shape, extra: &[(&str, &str)]) -> anyhow::Result<Self> {
        let servers = (NatsServer::start().await?, RedisServer::start().await?);
        Self::start_on(servers, |_, _, _| Vec::new(), shape, extra).await
    }

    /// Starts everything from an `ery` that was built elsewhere; only the simulated Discord is ours.
    pub async fn start_program(
        program: &Path,
        shape: Shape,
        extra: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let servers = (NatsServer::start().await?, RedisServer::start().await?);
        let program = program.to_owned();
        Self::start_whole(program, servers, |_, _, _| Vec::new(), shape, extra).await
    }

    /// Starts everything on these servers, where services may be different users.
    pub async fn start_on(
        servers: (NatsServer, RedisServer),
        users: Users,
        shape: Shape,
        extra: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        Self::start_whole(binary()?, servers, users, shape, extra).await
    }

    async fn start_whole(
        program: PathBuf,
        (nats, redis): (NatsServer, RedisServer),
        users: Users,
        shape: Shape,
        extra: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let arguments = [
            "sim-discord",
            "--listen",
            "127.0.0.1:0",
            "--token",
            "platform-test",
            "--no-rate-limits",
        ];
        let mut sim_process = Ery::start("sim-discord", &arguments, &[])?;
        let base = sim_process.line_after("The simulated Discord is at").await?;
        let base = base.split_whitespace().next().context("an address")?.to_owned();
        let host = base.trim_start_matches("http://").to_owned();

        let mut variables: Vec<(String, String)> = [
            ("ERY_DISCORD__TOKEN", "platform-test".to_owned()),
            ("ERY_DISCORD__API_URL", format!("{base}/api/v10")),
            ("ERY_DISCORD__GATEWAY_URL", format!("ws://{host}")),
            ("ERY_NATS__URL", nats.url()),
            ("ERY_REDIS__URL", redis.url()),
            ("ERY_CLUSTER__CREDENTIAL", "between-services".to_owned()),
            ("ERY_DATA_DIR", folder.path().join("data").display().to_string()),
            ("ERY_TOOL_SERVICE__REQUESTS_PER_SECOND", "0".to_owned()),
            // Short, so that a killed holder's channels move within a test's patience.
            ("ERY_REDIS__LEASE_TTL", "3s".to_owned()),
            ("ERY_NATS__ACK_WAIT", "6s".to_owned()),
            ("ERY_PROCESS__GRACE", "10s".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        variables
            .extend(extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));

        let spawn = |service: &str| {
            let mut variables = variables.clone();
            variables.extend(owned(users(&nats, &redis, service)));
            Self::spawn(&program, service, &variables)
        };
        let several = |service: &str, count: usize| -> anyhow::Result<Vec<Ery>> {
            (0..count).map(|_| spawn(service)).collect()
        };
        let sim = Sim::new(&base);
        let mut platform = Self {
            _contract: ContractKept::watch(&sim).await?,
            sim,
            store: spawn("store")?,
            ai_services: several("ai-service", shape.ai_services)?,
            tool_services: several("tool-service", shape.tool_services)?,
            orchestrators: several("orchestrator", shape.orchestrators)?,
            gateway: spawn("gateway")?,
            nats,
            redis,
            variables,
            users,
            program: program.clone(),
            _sim_process: sim_process,
            _folder: folder,
        };
        let all = std::iter::once(&mut platform.store)
            .chain(&mut platform.ai_services)
            .chain(&mut platform.tool_services)
            .chain(&mut platform.orchestrators)
            .chain(std::iter::once(&mut platform.gateway));
        for process in all {
            ready(process).await?;
        }
        Ok(platform)
    }

    /// Kills all orchestrators and tool-services without warning, and starts as many anew.
    pub async fn kill_and_restart_workers(&mut self) -> anyhow::Result<()> {
        for process in self.orchestrators.iter_mut().chain(&mut self.tool_services) {
            process.kill().await?;
        }
        let [tools, orchestrators] =
            ["tool-service", "orchestrator"].map(|service| self.variables_of(service));
        for process in &mut self.tool_services {
            *process = Self::spawn(&self.program, "tool-service", &tools)?;
        }
        for process in &mut self.orchestrators {
            *process = Self::spawn(&self.program, "orchestrator", &orchestrators)?;
        }
        for process in self.orchestrators.iter_mut().chain(&mut self.tool_services) {
            ready(process).await?;
        }
        Ok(())
    }

    /// Starts one more process of a service, with the settings of the others.
    pub fn one_more(&self, service: &str) -> anyhow::Result<Ery> {
        Self::spawn(&self.program, service, &self.variables_of(service))
    }

    /// Lets what is started from now on be the present `ery`, whatever began.
    pub fn upgrade(&mut self) -> anyhow::Result<()> {
        self.program = binary()?;
        Ok(())
    }

    fn variables_of(&self, service: &str) -> Vec<(String, String)> {
        let mut variables = self.variables.clone();
        variables.extend(owned((self.users)(&self.nats, &self.redis, service)));
        variables
    }

    /// Starts one more process of a service, with some settings of its own.
    pub fn one_more_with(&self, service: &str, own: &[(&str, &str)]) -> anyhow::Result<Ery> {
        let mut variables = self.variables_of(service);
        variables.retain(|(name, _)| own.iter().all(|(of_own, _)| name != of_own));
        variables.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self::spawn(&self.program, service, &variables)
    }

    fn spawn(program: &Path, service: &str, variables: &[(String, String)]) -> anyhow::Result<Ery> {
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Ery::start_program(program, service, &[service], &variables)
    }

    /// Starts `ery ctl` against this installation.
    pub fn start_ctl(&self, arguments: &[&str]) -> anyhow::Result<Ery> {
        let arguments: Vec<&str> = ["ctl"].iter().chain(arguments).copied().collect();
        let variables = self.variables_of("console");
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Ery::start("ctl", &arguments, &variables)
    }

    /// Runs `ery ctl` against this installation, and returns its JSON.
    pub async fn ctl(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let arguments: Vec<&str> = ["--json"].iter().chain(arguments).copied().collect();
        let mut process = self.start_ctl(&arguments)?;
        let status = process.end(Duration::from_secs(30)).await?;
        let output = process.stdout();
        anyhow::ensure!(status.success(), "ctl ended with {status}: {}", process.stderr());
        serde_json::from_str(&output).with_context(|| format!("ctl wrote `{output}`"))
    }
}

fn owned(variables: Vec<(&'static str, String)>) -> impl Iterator<Item = (String, String)> {
    variables.into_iter().map(|(name, value)| (name.to_owned(), value))
}

/// Waits until a process says that it is ready, on its admin port.
pub async fn ready(process: &mut Ery) -> anyhow::Result<()> {
    let address = process
        .line(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["message"] == "serving /healthz, /readyz and /metrics")
                .then(|| line["address"].as_str().map(str::to_owned))?
        })
        .await?;
    process.set_admin(&address);
    let http = crate::sim::http_client();
    let answered = eventually("/readyz", Duration::from_mins(1), async || {
        match http.get(format!("http://{address}/readyz")).send().await {
            Ok(response) if response.status().is_success() => Ok(Some(())),
            Ok(_) | Err(_) => Ok(None),
        }
    })
    .await;
    answered.with_context(|| process.output())
}
