//! Everything that runs: each service as processes of its own, the servers, Discord, the model.

use std::{
    path::Path,
    sync::{Mutex as StdMutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use serde_json::{Value, json};
use tokio::{sync::Mutex, time::sleep};

use ery_test_servers::{NatsServer, RedisServer};

use super::model::{Behaviour, Model};
use crate::{Ery, Sim, eventually, ready};

/// How long a drained process may take to end, on a loaded machine.
const DRAIN_PATIENCE: Duration = Duration::from_secs(40);

/// How many processes of each service there are; of the store there is one.
#[derive(Clone, Copy, Debug)]
pub struct Crew {
    pub gateways: usize,
    pub orchestrators: usize,
    pub tool_services: usize,
    pub ai_services: usize,
}

impl Default for Crew {
    fn default() -> Self {
        Self { gateways: 2, orchestrators: 3, tool_services: 2, ai_services: 2 }
    }
}

/// A place where one process of a service runs, and after it another.
pub struct Slot {
    pub service: &'static str,
    pub name: String,
    process: Mutex<Ery>,
}

/// The output of a process that is gone.
pub(super) struct Remains {
    pub name: String,
    pub output: String,
}

pub struct Fleet {
    pub sim: Sim,
    pub model: Model,
    pub nats: Mutex<NatsServer>,
    pub redis: Mutex<RedisServer>,
    pub slots: Vec<Slot>,
    /// Ery's own id.
    pub bot: String,
    variables: Vec<(String, String)>,
    remains: StdMutex<Vec<Remains>>,
    /// Held while Discord's REST API misbehaves in one way, since its faults are cleared together.
    rest: Mutex<()>,
    sim_process: Mutex<Ery>,
    _folder: tempfile::TempDir,
}

/// A guild's text channels, and its members; or direct messages of one person.
pub struct Guild {
    /// None for direct messages.
    pub id: Option<String>,
    pub channels: Vec<u64>,
    pub members: Vec<String>,
}

impl Fleet {
    /// Starts everything, and waits until a message would be answered.
    pub async fn start(
        crew: Crew,
        seed: u64,
        behaviour: Behaviour,
        extra: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let nats = NatsServer::start().await?;
        let redis = RedisServer::start().await?;
        let model = Model::start(seed, behaviour).await?;
        let arguments =
            ["sim-discord", "--listen", "127.0.0.1:0", "--token", "chaos", "--no-rate-limits"];
        let mut sim_process = Ery::start("sim-discord", &arguments, &[])?;
        let base = sim_process.line_after("The simulated Discord is at").await?;
        let base = base.split_whitespace().next().context("an address")?.to_owned();
        let sim = Sim::new(&base);
        let settings = json!({
            // A session that is stalled is noticed by its missing heartbeats.
            "heartbeat_interval_ms": 5_000,
            "max_concurrency": 16,
            "log_capacity": 1_000_000,
        });
        sim.patch("/sim/v1/settings", &settings).await?;

        let mut variables: Vec<(String, String)> = [
            ("ERY_DISCORD__TOKEN", "chaos".to_owned()),
            ("ERY_DISCORD__API_URL", format!("{base}/api/v10")),
            ("ERY_DISCORD__GATEWAY_URL", base.replacen("http://", "ws://", 1)),
            ("ERY_NATS__URL", nats.url()),
            ("ERY_REDIS__URL", redis.url()),
            ("ERY_CLUSTER__CREDENTIAL", "between-services".to_owned()),
            ("ERY_DATA_DIR", folder.path().join("data").display().to_string()),
            ("ERY_TOOL_SERVICE__REQUESTS_PER_SECOND", "0".to_owned()),
            ("ERY_GATEWAY__SHARDS", "4".to_owned()),
            ("ERY_GATEWAY__CLAIM_TTL", "5s".to_owned()),
            ("ERY_AI__PROVIDER", "openai".to_owned()),
            ("ERY_AI__BASE_URL", model.url().to_owned()),
            ("ERY_AI__MODEL", "scripted".to_owned()),
            ("ERY_PROCESS__GRACE", "15s".to_owned()),
            // What she says of herself answers nobody.
            ("ERY_ORCHESTRATOR__GREET", "false".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        variables.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));

        let bot = sim.world().await?.bots[0]["id"].as_str().context("a bot")?.to_owned();
        let mut fleet = Self {
            sim,
            model,
            nats: Mutex::new(nats),
            redis: Mutex::new(redis),
            slots: Vec::new(),
            bot,
            variables,
            remains: StdMutex::default(),
            rest: Mutex::default(),
            sim_process: Mutex::new(sim_process),
            _folder: folder,
        };
        for (service, count) in [
            ("store", 1),
            ("ai-service", crew.ai_services),
            ("tool-service", crew.tool_services),
            ("orchestrator", crew.orchestrators),
            ("gateway", crew.gateways),
        ] {
            for _ in 0..count {
                fleet.add(service)?;
            }
        }
        for slot in &fleet.slots {
            ready(&mut *slot.process.lock().await).await?;
        }
        Ok(fleet)
    }

    /// Adds one more process of a service.
    pub fn add(&mut self, service: &'static str) -> anyhow::Result<usize> {
        let number = self.slots.iter().filter(|slot| slot.service == service).count();
        let process = Mutex::new(self.spawn(service)?);
        self.slots.push(Slot { service, name: format!("{service}-{number}"), process });
        Ok(self.slots.len() - 1)
    }

    /// Drains the last process of a service, and takes its place away.
    pub async fn shrink(&mut self, service: &'static str) -> anyhow::Result<()> {
        let index = self.slots.iter().rposition(|slot| slot.service == service);
        let slot = self.slots.remove(index.context("there is one to take away")?);
        let mut process = slot.process.into_inner();
        process.signal("TERM").await?;
        process.end(DRAIN_PATIENCE).await?;
        self.bury(&slot.name, &process);
        Ok(())
    }

    fn spawn(&self, service: &str) -> anyhow::Result<Ery> {
        let variables: Vec<(&str, &str)> =
            self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Ery::start(service, &[service], &variables)
    }

    fn bury(&self, name: &str, process: &Ery) {
        let remains = Remains { name: name.to_owned(), output: process.output() };
        self.remains.lock().unwrap_or_else(PoisonError::into_inner).push(remains);
    }

    fn replace(&self, slot: &Slot, process: &mut Ery) -> anyhow::Result<()> {
        self.bury(&slot.name, process);
        *process = self.spawn(slot.service)?;
        Ok(())
    }

    /// Kills a process without warning, and starts another after `down`. `false`: something else
    /// is being done to it.
    pub async fn kill(&self, slot: usize, down: Duration) -> anyhow::Result<bool> {
        let slot = &self.slots[slot];
        let Ok(mut process) = slot.process.try_lock() else { return Ok(false) };
        process.kill().await?;
        sleep(down).await;
        self.replace(slot, &mut process)?;
        Ok(true)
    }

    /// Holds a process still for a while.
    pub async fn stop(&self, slot: usize, hold: Duration) -> anyhow::Result<bool> {
        let Ok(process) = self.slots[slot].process.try_lock() else { return Ok(false) };
        if process.id().is_none() {
            return Ok(false);
        }
        process.signal("STOP").await?;
        sleep(hold).await;
        process.signal("CONT").await?;
        Ok(true)
    }

    /// Asks a process to end, and starts another when it has. One that does not is killed.
    pub async fn drain(&self, slot: usize) -> anyhow::Result<bool> {
        let slot = &self.slots[slot];
        let Ok(mut process) = slot.process.try_lock() else { return Ok(false) };
        process.signal("TERM").await?;
        if process.end(DRAIN_PATIENCE).await.is_err() {
            process.kill().await?;
        }
        self.replace(slot, &mut process)?;
        Ok(true)
    }

    /// Waits until a process says that it is ready.
    pub async fn ready(&self, slot: usize) -> anyhow::Result<()> {
        ready(&mut *self.slots[slot].process.lock().await).await
    }

    pub async fn kill_nats(&self, down: Duration) -> anyhow::Result<bool> {
        let Ok(mut nats) = self.nats.try_lock() else { return Ok(false) };
        nats.kill().await?;
        sleep(down).await;
        nats.restart().await?;
        Ok(true)
    }

    pub async fn kill_redis(&self, down: Duration) -> anyhow::Result<bool> {
        let Ok(mut redis) = self.redis.try_lock() else { return Ok(false) };
        redis.kill().await?;
        sleep(down).await;
        redis.restart().await?;
        Ok(true)
    }

    pub async fn flush_redis(&self) -> anyhow::Result<bool> {
        let Ok(redis) = self.redis.try_lock() else { return Ok(false) };
        redis.flush_all().await?;
        Ok(true)
    }

    /// Holds redis-server still for a while.
    pub async fn stop_redis(&self, hold: Duration) -> anyhow::Result<bool> {
        let Ok(redis) = self.redis.try_lock() else { return Ok(false) };
        redis.signal("STOP").await?;
        sleep(hold).await;
        redis.signal("CONT").await?;
        Ok(true)
    }

    pub async fn disturb_sessions(&self, what: &str) -> anyhow::Result<bool> {
        let disturbance = match what {
            // Discord may call a session invalid and let it be resumed all the same, or not.
            "invalid" => json!({ "do": "invalid", "resumable": true }),
            "refuse" => json!({ "do": "invalid", "resumable": false }),
            what => json!({ "do": what }),
        };
        self.sim.post("/sim/v1/gateway", &disturbance).await?;
        Ok(true)
    }

    /// Lets Discord's REST API misbehave for a while.
    pub async fn misbehave(&self, what: &str, hold: Duration) -> anyhow::Result<bool> {
        let Ok(_alone) = self.rest.try_lock() else { return Ok(false) };
        let fault = match what {
            "lose_response" => json!({ "route": "*", "kind": "lose_response", "probability": 0.3 }),
            "error_500" => json!({ "route": "*", "kind": "error", "probability": 0.4 }),
            "error_502_after" => json!({ "route": "*", "kind": "error", "status": 502,
                "when": "after", "probability": 0.3 }),
            "rate_limit" => json!({ "route": "*", "kind": "rate_limit", "delay_ms": 400,
                "probability": 0.3 }),
            "cut" => json!({ "route": "*", "kind": "cut", "probability": 0.3 }),
            "delay" => json!({ "route": "*", "kind": "delay", "delay_ms": 1_500,
                "probability": 0.5 }),
            _ => json!({ "route": "*", "kind": "error", "status": 503 }),
        };
        self.sim.post("/sim/v1/faults", &fault).await?;
        sleep(hold).await;
        self.calm_rest().await?;
        Ok(true)
    }

    /// Ends all faults of Discord's REST API but its ordinary latency.
    pub async fn calm_rest(&self) -> anyhow::Result<()> {
        self.sim.delete("/sim/v1/faults").await?;
        for (route, delay_ms, probability) in [
            ("POST /channels/{channel_id}/messages", 30, 1.0),
            ("POST /channels/{channel_id}/messages", 400, 0.02),
            ("PUT /channels/*", 20, 1.0),
        ] {
            let fault = json!({ "route": route, "kind": "delay", "delay_ms": delay_ms,
                "probability": probability });
            self.sim.post("/sim/v1/faults", &fault).await?;
        }
        Ok(())
    }

    /// Lets a share of the model's requests fail for a while.
    pub async fn fail_provider(&self, share: f64, hold: Duration) -> anyhow::Result<bool> {
        self.model.change(|behaviour| {
            behaviour.is_down = share >= 1.0;
            behaviour.faults = if share >= 1.0 { behaviour.faults } else { share };
        });
        sleep(hold).await;
        self.calm_provider();
        Ok(true)
    }

    pub fn calm_provider(&self) {
        self.model.change(|behaviour| {
            behaviour.is_down = false;
            behaviour.faults = 0.02;
        });
    }

    /// Replaces every process that has ended by itself, and returns their names.
    pub fn revive(&self) -> anyhow::Result<Vec<String>> {
        let mut ended = Vec::new();
        for slot in &self.slots {
            let Ok(mut process) = slot.process.try_lock() else { continue };
            if !process.is_running() {
                self.replace(slot, &mut process)?;
                ended.push(slot.name.clone());
            }
        }
        Ok(ended)
    }

    /// Makes guilds with text channels and members.
    pub async fn make_guilds(
        &self,
        guilds: usize,
        channels: usize,
        members: usize,
    ) -> anyhow::Result<Vec<Guild>> {
        let id = |value: &Value| value.as_str().map(str::to_owned).context("it has an id");
        let mut made = Vec::new();
        for number in 0..guilds {
            let body = json!({ "name": format!("Load {number}") });
            let guild = id(&self.sim.post("/sim/v1/guilds", &body).await?["id"])?;
            let (mut text, mut people) = (Vec::new(), Vec::new());
            for channel in 0..channels / guilds + usize::from(number < channels % guilds) {
                let name = format!("load-{channel}");
                let body = json!({ "guild_id": guild, "name": name, "type": 0 });
                let channel = id(&self.sim.post("/sim/v1/channels", &body).await?["id"])?;
                text.push(channel.parse()?);
            }
            for member in 0..members {
                let name = format!("member{number}x{member}");
                let body = json!({ "guild_id": guild, "username": name });
                people.push(id(&self.sim.post("/sim/v1/members", &body).await?["user"]["id"])?);
            }
            made.push(Guild { id: Some(guild), channels: text, members: people });
        }
        Ok(made)
    }

    /// Opens direct messages of the first members of each guild with Ery.
    pub async fn open_direct_messages(
        &self,
        guilds: &[Guild],
        members: usize,
    ) -> anyhow::Result<Vec<Guild>> {
        let mut opened = Vec::new();
        for member in guilds.iter().flat_map(|guild| guild.members.iter().take(members)) {
            let body = json!({ "user_id": member });
            let channel = self.sim.post("/sim/v1/dms", &body).await?;
            let channel = channel["id"].as_str().context("it has an id")?.parse()?;
            opened.push(Guild { id: None, channels: vec![channel], members: vec![member.clone()] });
        }
        Ok(opened)
    }

    /// Runs `ery ctl` against this installation, and returns its JSON.
    pub async fn ctl(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let arguments: Vec<&str> = ["ctl", "--json"].iter().chain(arguments).copied().collect();
        let variables: Vec<(&str, &str)> =
            self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let output = eventually("an answer to ctl", Duration::from_mins(1), async || {
            let mut process = Ery::start("ctl", &arguments, &variables)?;
            let status = process.end(Duration::from_secs(30)).await?;
            Ok(status.success().then(|| process.stdout()))
        })
        .await?;
        serde_json::from_str(&output).with_context(|| format!("ctl wrote `{output}`"))
    }

    /// Returns how many lines the processes of a service wrote that hold `words`.
    pub async fn count_lines(&self, service: &str, words: &str) -> usize {
        let count = |output: &str| output.lines().filter(|line| line.contains(words)).count();
        let mut found = 0;
        for remains in &*self.remains.lock().unwrap_or_else(PoisonError::into_inner) {
            if remains.name.starts_with(service) {
                found += count(&remains.output);
            }
        }
        for slot in self.slots.iter().filter(|slot| slot.service == service) {
            found += count(&slot.process.lock().await.output());
        }
        found
    }

    /// Writes what every process said into files of a folder.
    pub async fn write_outputs(&self, folder: &Path) -> anyhow::Result<()> {
        let write = |name: &str, number: usize, output: &str| {
            std::fs::write(folder.join(format!("{name}.{number}.log")), output)
        };
        let remains: Vec<_> = {
            let remains = self.remains.lock().unwrap_or_else(PoisonError::into_inner);
            remains.iter().map(|it| (it.name.clone(), it.output.clone())).collect()
        };
        for (number, (name, output)) in remains.iter().enumerate() {
            write(name, number, output)?;
        }
        for slot in &self.slots {
            write(&slot.name, remains.len(), &slot.process.lock().await.output())?;
        }
        write("sim-discord", 0, &self.sim_process.lock().await.output())?;
        Ok(())
    }
}
