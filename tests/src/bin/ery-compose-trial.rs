//! `make compose-test`: the compose file as an operator meets it, on a real engine, with containers
//! that die under load. The judge reads the simulated Discord's log, as everywhere else.
#![expect(clippy::print_stdout, reason = "the report is what it is for")]

use std::{process::ExitCode, sync::Mutex, time::Duration};

use anyhow::{Context, bail, ensure};
use clap::Parser;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use ery_tests::{Checker, Sim, eventually, http_client};

/// Each is killed once. Of the console, the store, NATS and Redis there is one; the others have replicas.
const KINDS: [&str; 8] =
    ["orchestrator", "tool-service", "ai-service", "gateway", "console", "store", "nats", "redis"];

/// How long a killed container may take until it is healthy again.
const HEALING: Duration = Duration::from_mins(2);

/// How long nothing may be left unanswered at the end.
const PATIENCE: Duration = Duration::from_mins(3);

/// By when a task that was delivered and not removed has come again: a repeat would show.
const REPEAT: Duration = Duration::from_secs(40);

/// Brings the stack up, kills and scales it under load, and judges what people saw.
#[derive(Debug, Parser)]
struct Arguments {
    /// The compose tool, `docker-compose`
    #[arg(long, default_value = "docker-compose")]
    compose: String,
    /// The project's name: of all containers, networks and volumes
    #[arg(long, default_value = "ery-trial")]
    project: String,
    /// What is said, and who is killed when, follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many messages a second
    #[arg(long, default_value_t = 5.0)]
    rate: f64,
    /// In how many channels
    #[arg(long, default_value_t = 40)]
    channels: usize,
    /// The page's port on this host, `ERY_PAGE_PORT`
    #[arg(long, env = "ERY_PAGE_PORT", default_value_t = 8710)]
    page_port: u16,
    /// The simulated Discord's port on this host, `ERY_SIM_PORT`
    #[arg(long, env = "ERY_SIM_PORT", default_value_t = 8711)]
    sim_port: u16,
    /// The console's port on this host, `ERY_CONSOLE_PORT`
    #[arg(long, env = "ERY_CONSOLE_PORT", default_value_t = 8712)]
    console_port: u16,
    /// Leave the stack as it is at the end
    #[arg(long)]
    keep: bool,
}

struct Stack {
    compose: String,
    project: String,
}

impl Stack {
    /// Runs a command of the compose tool on the whole file, and returns its output.
    async fn compose(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.compose);
        command.args(["--profile", "playground", "--project-name", &self.project]).args(arguments);
        run(command).await
    }

    async fn up(&self, orchestrators: usize) -> anyhow::Result<()> {
        let scale = format!("orchestrator={orchestrators}");
        let others = ["tool-service=2", "ai-service=2", "gateway=2"];
        let mut arguments = vec!["up", "--detach", "--wait", "--scale", &scale];
        arguments.extend(others.iter().flat_map(|other| ["--scale", other]));
        self.compose(&arguments).await.map(drop)
    }

    async fn containers(&self, service: &str) -> anyhow::Result<Vec<String>> {
        let ids = self.compose(&["ps", "--quiet", service]).await?;
        Ok(ids.split_whitespace().map(str::to_owned).collect())
    }

    /// Kills a container's process as the machine would: the engine is not told that it is wanted.
    async fn kill_one(&self, service: &str) -> anyhow::Result<()> {
        let containers = self.containers(service).await?;
        let container = containers.first().with_context(|| format!("no {service} runs"))?;
        let pid = inspect(container, "{{.State.Pid}}").await?;
        let mut kill = Command::new("kill");
        kill.args(["-KILL", &pid]);
        run(kill).await?;
        eventually(&format!("{service} to be well again"), HEALING, async || {
            let told = inspect(container, "{{.State.Pid}} {{.State.Health.Status}}").await?;
            let (now, health) = told.split_once(' ').context("two words")?;
            Ok((now != pid && health == "healthy").then_some(()))
        })
        .await
    }
}

async fn inspect(container: &str, format: &str) -> anyhow::Result<String> {
    let mut command = Command::new("docker");
    command.args(["inspect", "--format", format, container]);
    Ok(run(command).await?.trim().to_owned())
}

async fn run(mut command: Command) -> anyhow::Result<String> {
    let output = command.output().await.with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The community on the stack, and what was said in it.
struct Trial {
    sim: Sim,
    bot: String,
    channels: Vec<(String, Vec<String>)>,
    checker: Mutex<Checker>,
}

impl Trial {
    async fn begin(sim: Sim, channels: usize) -> anyhow::Result<Self> {
        let id = |value: &Value| value.as_str().map(str::to_owned).context("it has an id");
        let bot = sim.world().await?.bots[0]["id"].as_str().context("a bot")?.to_owned();
        let mut places = Vec::new();
        let (mut guild, mut members) = (String::new(), Vec::new());
        for number in 0..channels {
            if number % 10 == 0 {
                let body = json!({ "name": format!("Trial {number}") });
                guild = id(&sim.post("/sim/v1/guilds", &body).await?["id"])?;
                members.clear();
                for member in 0..5 {
                    let body = json!({ "guild_id": guild, "username": format!("member{number}x{member}") });
                    members.push(id(&sim.post("/sim/v1/members", &body).await?["user"]["id"])?);
                }
            }
            let body = json!({ "guild_id": guild, "name": format!("trial-{number}"), "type": 0 });
            let channel = id(&sim.post("/sim/v1/channels", &body).await?["id"])?;
            places.push((channel, members.clone()));
        }
        Ok(Self { sim, bot, channels: places, checker: Mutex::default() })
    }

    /// The main job: a moderator has somebody timed out.
    async fn main_job(&self) -> anyhow::Result<Duration> {
        let world = self.sim.world().await?;
        let guild = &world.guilds[0];
        let (channel, theo) = (guild.channel("general")?, guild.member("theo")?);
        let bob = guild.member("bob")?.to_owned();
        let began = Instant::now();
        let text = format!("<@{}> timeout <@{bob}> for 10 minutes, he is spamming", self.bot);
        let message = self.sim.say(channel, theo, &text).await?;
        self.note(channel, message);
        eventually("bob to be timed out", Duration::from_mins(1), async || {
            let world = self.sim.world().await?;
            let is_bob = |member: &&Value| member["user"]["id"] == bob.as_str();
            let member = world.guilds[0].members.iter().find(is_bob).context("bob is a member")?;
            Ok(member["communication_disabled_until"].is_string().then_some(()))
        })
        .await?;
        Ok(began.elapsed())
    }

    /// The main job in the world of a simulated Discord that was restarted: another bot behind the same
    /// token, and nobody of before.
    async fn in_another_world(&self) -> anyhow::Result<Duration> {
        eventually("a session with the other Discord", HEALING, async || {
            let Ok(gateway) = self.sim.get("/sim/v1/gateway").await else { return Ok(None) };
            let is_there = gateway["sessions"][0]["connected"] == true;
            Ok((is_there && self.sim.world().await?.bots[0]["id"] != self.bot.as_str())
                .then_some(()))
        })
        .await?;
        Self::begin(self.sim.clone(), 0).await?.main_job().await
    }

    /// A client of MCP reads something, by a credential made with the store's own `ery ctl`.
    async fn mcp(&self, stack: &Stack, port: u16) -> anyhow::Result<()> {
        let world = self.sim.world().await?;
        let guild = &world.guilds[0];
        let (channel, theo) = (guild.channel("general")?, guild.member("theo")?);
        let ctl = ["exec", "-T", "store", "/usr/local/bin/ery", "ctl", "--json", "mcp", "create"];
        let place = ["--guild", &guild.id, "--user", theo, "--channel", channel];
        let made = stack.compose(&[&ctl[..], &place[..]].concat()).await?;
        let made: Value = serde_json::from_str(&made).with_context(|| made)?;
        let token = made["token"].as_str().context("it has a token")?;
        let send = async |session: Option<&str>, body: Value| {
            let mut request = http_client()
                .post(format!("http://127.0.0.1:{port}/mcp"))
                .header("accept", "application/json, text/event-stream")
                .header("content-type", "application/json")
                .bearer_auth(token)
                .body(body.to_string());
            if let Some(session) = session {
                request = request.header("mcp-session-id", session);
            }
            anyhow::Ok(request.send().await?.error_for_status()?)
        };
        let hello = json!({
            "jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {
                "protocolVersion": "2025-06-18", "capabilities": {},
                "clientInfo": { "name": "trial", "version": "1" },
            },
        });
        let begun = send(None, hello).await?;
        let session = begun.headers().get("mcp-session-id").context("a session")?.to_str()?;
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": "get_server_info", "arguments": {} },
        });
        let told = send(Some(session), call).await?.text().await?;
        ensure!(told.contains(&guild.name), "the console told {told}");
        Ok(())
    }

    /// Lets members speak until it is over.
    async fn speak(&self, seed: u64, rate: f64, until: &CancellationToken) -> anyhow::Result<()> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut number = 0_u64;
        while !until.is_cancelled() {
            number += 1;
            let (channel, members) = &self.channels[random.random_range(0..self.channels.len())];
            let member = &members[random.random_range(0..members.len())];
            let text = format!("<@{}> hello, this is number {number}", self.bot);
            let message = self.sim.say(channel, member, &text).await?;
            self.note(channel, message);
            tokio::select! {
                () = sleep(Duration::from_secs_f64(1.0 / rate)) => {}
                () = until.cancelled() => {}
            }
        }
        Ok(())
    }

    fn note(&self, channel: &str, message: u64) {
        self.checker.lock().expect("nobody panics with it").said(channel, message);
    }

    async fn unanswered(&self) -> anyhow::Result<usize> {
        let log = self.sim.log(0).await?;
        Ok(self.checker.lock().expect("nobody panics with it").unanswered(&log)?.len())
    }

    /// Waits until all is answered, and judges.
    async fn judge(&self) -> anyhow::Result<(usize, usize)> {
        // What is not answered by then the judge names.
        let all = eventually("every message to be answered", PATIENCE, async || {
            Ok((self.unanswered().await? == 0).then_some(()))
        });
        drop(all.await);
        sleep(REPEAT).await;
        let log = self.sim.log(0).await?;
        let checker = self.checker.lock().expect("nobody panics with it").clone();
        let answers = checker.check(&log)?;
        Ok((checker.count(), answers.len()))
    }
}

/// Kills one of each kind, then scales the orchestrators.
async fn disturb(stack: &Stack, trial: &Trial) -> anyhow::Result<()> {
    for kind in KINDS {
        let began = Instant::now();
        stack.kill_one(kind).await?;
        let seconds = began.elapsed().as_secs_f64();
        let waiting = trial.unanswered().await?;
        println!("killed one {kind}: well again after {seconds:.1} s, {waiting} messages waiting");
        sleep(Duration::from_secs(5)).await;
    }
    for count in [5, 1] {
        let began = Instant::now();
        stack.up(count).await?;
        let running = stack.containers("orchestrator").await?.len();
        ensure!(running == count, "{running} orchestrators run instead of {count}");
        println!("{count} orchestrators after {:.1} s", began.elapsed().as_secs_f64());
        sleep(Duration::from_secs(5)).await;
    }
    Ok(())
}

async fn whole(arguments: &Arguments, stack: &Stack) -> anyhow::Result<()> {
    let began = Instant::now();
    stack.up(3).await?;
    println!("up and healthy after {:.1} s", began.elapsed().as_secs_f64());

    let page = format!("http://127.0.0.1:{}/", arguments.page_port);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*", &page]);
    let html = run(curl).await.context("the page does not answer")?;
    ensure!(html.contains("page.js"), "what answers at {page} is not the page");

    let sim = Sim::new(&format!("http://127.0.0.1:{}", arguments.sim_port));
    let trial = Trial::begin(sim, arguments.channels).await?;
    println!("the main job: done after {:.2} s", trial.main_job().await?.as_secs_f64());

    trial.mcp(stack, arguments.console_port).await?;
    println!("a client of MCP: served");

    let until = CancellationToken::new();
    tokio::try_join!(
        async {
            let disturbed = disturb(stack, &trial).await;
            until.cancel();
            disturbed
        },
        trial.speak(arguments.seed, arguments.rate, &until),
    )?;
    let (said, answers) = trial.judge().await?;
    println!(
        "{said} messages, {answers} answers: nothing lost, nothing doubled, nothing out of order"
    );

    // With it goes all that its judge could read; hence last.
    stack.compose(&["restart", "sim-discord"]).await?;
    let anew = trial.in_another_world().await?;
    println!("the main job in a Discord begun anew: done after {:.2} s", anew.as_secs_f64());
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let stack = Stack { compose: arguments.compose.clone(), project: arguments.project.clone() };
    let outcome = whole(&arguments, &stack).await;
    if let Err(error) = &outcome {
        println!("compose-test failed: {error:#}");
        let logs = stack.compose(&["logs", "--no-color", "--tail", "40"]).await;
        println!("{}", logs.unwrap_or_default());
    }
    if !arguments.keep {
        stack.compose(&["down", "--volumes", "--timeout", "35"]).await?;
    }
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
