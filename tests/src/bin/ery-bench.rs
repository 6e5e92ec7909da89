//! `make bench`: what the main job costs, embedded and cluster, beside the raw publish rate of
//! JetStream in the same run. Figures are for comparing within one run; machines differ.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    time::Duration,
};

use anyhow::Context;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, FuturesUnordered},
};
use tokio::{task::JoinSet, time::Instant};

use ery_test_servers::NatsServer;
use ery_tests::{
    Checker, Collector, Ery, Overhead, Platform, ScriptedModel, Shape, Sim, Stages, eventually,
    ready,
};

/// How many messages wait for an answer at a time.
const IN_FLIGHT: usize = 100;
const CHANNELS: usize = 100;
const MESSAGES: usize = 3_000;
/// How often somebody speaks where latencies are measured, and for how many messages.
const SLOW: Duration = Duration::from_millis(100);
const SLOW_MESSAGES: usize = 300;
const FAST: Duration = Duration::from_millis(10);
const FAST_MESSAGES: usize = 2_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let raw = publish_rate().await?;
    println!("raw JetStream publish, 512 in flight: {raw:.0}/s\n");
    let embedded = Embedded::start().await?;
    measure("embedded", &embedded.sim, &embedded.base, vec![&embedded.all], raw).await?;
    drop(embedded);
    let shape = Shape { orchestrators: 1, tool_services: 1, ai_services: 1 };
    let platform = Platform::start(shape, &[]).await?;
    let processes = [&platform.gateway, &platform.store]
        .into_iter()
        .chain(&platform.orchestrators)
        .chain(&platform.tool_services)
        .chain(&platform.ai_services)
        .collect();
    measure("cluster, five processes", &platform.sim, platform.sim.base(), processes, raw).await?;
    drop(platform);
    overhead(shape).await
}

/// One part of what is added.
type Part = fn(&Overhead) -> Duration;

/// What Ery adds to the model's own time at a hundred messages a second, by her own traces.
async fn overhead(shape: Shape) -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let model = ScriptedModel::start_with(Vec::new()).await?;
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        ("ERY_AI__PROVIDER", "openai"),
        ("ERY_AI__BASE_URL", model.base_url()),
        ("ERY_AI__MODEL", "m"),
    ];
    let platform = Platform::start(shape, &variables).await?;
    let sim = &platform.sim;
    let (channels, members) = community(sim).await?;
    let bot = sim.world().await?.bots[0]["id"].as_str().context("a bot has an id")?.to_owned();
    run(sim, &channels, &members, 3 * CHANNELS, |_, _| format!("<@{bot}> hello")).await?;
    // What was measured until here is sent by then.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let warm = collector.spans().len();
    paced(sim, &channels, &members, &bot, (FAST, FAST_MESSAGES)).await?;
    let measured = eventually("the traces", Duration::from_mins(1), async || {
        let measured = Overhead::of(&collector.spans()[warm..]);
        Ok((measured.len() * 100 >= FAST_MESSAGES * 95).then_some(measured))
    });
    let measured = measured.await?;
    println!(
        "overhead in the cluster at 100 messages/s, by the traces of {} messages:",
        measured.len()
    );
    let parts: [(&str, Part); 6] = [
        ("dispatch to thread", |it| it.queued),
        ("thread to provider", |it| it.before),
        ("dispatch to provider", |it| it.queued + it.before),
        ("between requests", |it| it.between),
        ("provider to Discord", |it| it.after),
        ("all", Overhead::whole),
    ];
    for (name, part) in parts {
        let mut times: Vec<_> = measured.iter().map(part).collect();
        times.sort_unstable();
        let at = |share: usize| {
            times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1_000.0
        };
        println!("  {name:<20} p50 {:>6.2} ms, p99 {:>6.2} ms", at(50), at(99));
    }
    Ok(())
}

/// `ery all` beside a simulated Discord.
struct Embedded {
    all: Ery,
    sim: Sim,
    base: String,
    _simulated: Ery,
    _folder: tempfile::TempDir,
}

impl Embedded {
    async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let arguments =
            ["sim-discord", "--listen", "127.0.0.1:0", "--token", "bench", "--no-rate-limits"];
        let mut simulated = Ery::start("sim-discord", &arguments, &[])?;
        let base = simulated.line_after("The simulated Discord is at").await?;
        let (api, gateway) = (format!("{base}/api/v10"), base.replacen("http://", "ws://", 1));
        let data = folder.path().display().to_string();
        let variables = [
            ("ERY_DISCORD__TOKEN", "bench"),
            ("ERY_DISCORD__API_URL", api.as_str()),
            ("ERY_DISCORD__GATEWAY_URL", gateway.as_str()),
            ("ERY_DATA_DIR", data.as_str()),
            ("ERY_TOOL_SERVICE__REQUESTS_PER_SECOND", "0"),
            ("ERY_TELEMETRY__LOG", "info"),
        ];
        let mut all = Ery::start("all", &["all"], &variables)?;
        ready(&mut all).await?;
        Ok(Self { all, sim: Sim::new(&base), base, _simulated: simulated, _folder: folder })
    }
}

/// One measured run: first flat out, then at ten messages a second for the latency.
async fn measure(
    name: &str,
    sim: &Sim,
    base: &str,
    processes: Vec<&Ery>,
    raw: f64,
) -> anyhow::Result<()> {
    let (channels, members) = community(sim).await?;
    let bot = sim.world().await?.bots[0]["id"].as_str().context("a bot has an id")?.to_owned();
    // Warm: connections, caches, the first shard file.
    run(sim, &channels, &members, CHANNELS, |_, _| format!("<@{bot}> hello")).await?;
    let mut text = format!("{name} ({base}):\n");
    for (kind, is_tool) in [("plain answers", false), ("one tool call", true)] {
        let before = cpu_seconds(&processes)?;
        let begun = Instant::now();
        let content = |channel: usize, member: &str| {
            if is_tool {
                format!("<@{bot}> who is <@{member}>?")
            } else {
                format!("<@{bot}> hello {channel}")
            }
        };
        run(sim, &channels, &members, MESSAGES, content).await?;
        #[expect(clippy::cast_precision_loss, reason = "a few thousand messages")]
        let messages = MESSAGES as f64;
        let rate = messages / begun.elapsed().as_secs_f64();
        let cpu = (cpu_seconds(&processes)? - before) / messages * 1_000.0;
        writeln!(
            text,
            "  {kind}, {IN_FLIGHT} in flight: {rate:.0} messages/s ({:.3} of the raw publish rate), \
             {cpu:.2} CPU s per 1,000",
            rate / raw
        )?;
    }
    let before = Stages::read(&processes).await?;
    let pace = (SLOW, SLOW_MESSAGES);
    let mut latencies = paced(sim, &channels, &members, &bot, pace).await?;
    latencies.sort_unstable();
    let at = |share: usize| latencies[(latencies.len() * share / 100).min(latencies.len() - 1)];
    writeln!(text, "  added latency at 10 messages/s: p50 {} ms, p99 {} ms", at(50), at(99))?;
    for time in Stages::read(&processes).await?.since(&before) {
        writeln!(
            text,
            "    {:<7} mean {:>7.3} ms, p50 {:>7.3} ms, p99 {:>7.3} ms",
            time.stage, time.mean_ms, time.p50_ms, time.p99_ms
        )?;
    }
    writeln!(text, "  memory: {} MiB resident in all", resident_mib(&processes)?)?;
    println!("{text}");
    Ok(())
}

async fn community(sim: &Sim) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let guild = sim.post("/sim/v1/guilds", &serde_json::json!({ "name": "Bench" })).await?;
    let guild = guild["id"].as_str().context("a guild has an id")?;
    let mut channels = Vec::new();
    for index in 0..CHANNELS {
        let body =
            serde_json::json!({ "guild_id": guild, "name": format!("bench-{index}"), "type": 0 });
        let channel = sim.post("/sim/v1/channels", &body).await?;
        channels.push(channel["id"].as_str().context("a channel has an id")?.to_owned());
    }
    let mut members = Vec::new();
    for index in 0..4 {
        let body = serde_json::json!({ "guild_id": guild, "username": format!("bench{index}") });
        let member = sim.post("/sim/v1/members", &body).await?;
        members.push(member["user"]["id"].as_str().context("a member has an id")?.to_owned());
    }
    Ok((channels, members))
}

/// Says `count` messages, [`IN_FLIGHT`] at a time: each channel speaks again once it was answered.
async fn run(
    sim: &Sim,
    channels: &[String],
    members: &[String],
    count: usize,
    content: impl Fn(usize, &str) -> String,
) -> anyhow::Result<()> {
    let mut answers = sim.events().await?;
    let mut left = count;
    let begin = |index: usize| {
        let (channel, member) = (channels[index].clone(), &members[index % members.len()]);
        let text = content(index, member);
        let member = member.clone();
        let sim = sim.clone();
        async move { sim.say(&channel, &member, &text).await.map(|message| (message, index)) }
    };
    let mut saying = FuturesUnordered::new();
    for index in 0..IN_FLIGHT.min(channels.len()).min(left) {
        left -= 1;
        saying.push(begin(index));
    }
    // An answer may be seen before its question's own response.
    let (mut asked, mut answered) = (HashMap::new(), HashSet::new());
    let mut done = 0;
    while done < count {
        let index = tokio::select! {
            Some(said) = saying.next() => {
                let (message, index) = said?;
                if !answered.remove(&message) {
                    asked.insert(message, index);
                    continue;
                }
                index
            }
            event = tokio::time::timeout(Duration::from_mins(1), answers.next()) => {
                let event = event.context("no answer came for a minute")?.context("the stream of events ended")??;
                let reply_to = &event["data"]["message_reference"]["message_id"];
                if event["type"] != "MESSAGE_CREATE" || event["data"]["author"]["bot"] != true {
                    continue;
                }
                let Some(message) = reply_to.as_str().and_then(|id| id.parse().ok()) else { continue };
                let Some(index) = asked.remove(&message) else {
                    answered.insert(message);
                    continue;
                };
                index
            }
        };
        done += 1;
        if left > 0 {
            left -= 1;
            saying.push(begin(index));
        }
    }
    Ok(())
}

/// Says so many messages, one every so often, and returns how many milliseconds each waited for its answer.
async fn paced(
    sim: &Sim,
    channels: &[String],
    members: &[String],
    bot: &str,
    (every, count): (Duration, usize),
) -> anyhow::Result<Vec<i64>> {
    let from = sim.log(0).await?.last().map_or(0, |entry| entry.seq);
    let mut ticks = tokio::time::interval(every);
    let mut saying = JoinSet::new();
    for index in 0..count {
        ticks.tick().await;
        let (sim, channel) = (sim.clone(), channels[index % channels.len()].clone());
        let (member, text) = (members[index % members.len()].clone(), format!("<@{bot}> hello"));
        saying.spawn(async move { sim.say(&channel, &member, &text).await });
    }
    while let Some(said) = saying.join_next().await {
        said??;
    }
    let answers = eventually("the paced answers", Duration::from_mins(1), async || {
        let answers = Checker::answers(&sim.log(from).await?)?;
        Ok((answers.len() >= count).then_some(answers))
    })
    .await?;
    // A message's id tells when Discord made it, to the millisecond.
    let made_at =
        |message: u64| i64::try_from(message >> 22).map(|since| since + 1_420_070_400_000);
    answers
        .iter()
        .filter_map(|answer| Some((answer.covers.first()?, answer.message)))
        .map(|(asked, answered)| Ok(made_at(answered)? - made_at(*asked)?))
        .collect()
}

/// Returns how fast the servers of this run take messages with nothing else to do.
async fn publish_rate() -> anyhow::Result<f64> {
    const COUNT: u32 = 20_000;
    let server = NatsServer::start().await?;
    let url = reqwest::Url::parse(&server.url())?;
    let password = url.password().unwrap_or_default().to_owned();
    let options =
        async_nats::ConnectOptions::with_user_and_password(url.username().to_owned(), password);
    let client = options.connect(server.address()).await?;
    let stream = async_nats::jetstream::new(client);
    let config = async_nats::jetstream::stream::Config {
        name: "BENCH".into(),
        subjects: vec!["bench.>".into()],
        ..Default::default()
    };
    stream.create_stream(config).await?;
    let payload = bytes::Bytes::from_static(&[b'x'; 600]);
    let begun = Instant::now();
    stream::iter(0..COUNT)
        .map(|index| {
            let (stream, payload) = (stream.clone(), payload.clone());
            async move {
                let ack = stream.publish(format!("bench.{}", index % 50), payload).await?;
                ack.await?;
                anyhow::Ok(())
            }
        })
        .buffer_unordered(512)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(f64::from(COUNT) / begun.elapsed().as_secs_f64())
}

/// Returns the CPU time that the processes have used, from `/proc/<pid>/stat`, fields 14 and 15.
fn cpu_seconds(processes: &[&Ery]) -> anyhow::Result<f64> {
    // Source: proc(5); the unit is 1/100 s on every Linux that we ship for.
    let mut ticks = 0_u32;
    for process in processes {
        let id = process.id().context("the process runs")?;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        let fields: Vec<&str> =
            stat.rsplit(')').next().context("a stat line")?.split_whitespace().collect();
        ticks += fields[11].parse::<u32>()? + fields[12].parse::<u32>()?;
    }
    Ok(f64::from(ticks) / 100.0)
}

fn resident_mib(processes: &[&Ery]) -> anyhow::Result<u64> {
    let mut kib = 0;
    for process in processes {
        let id = process.id().context("the process runs")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line =
            status.lines().find(|line| line.starts_with("VmRSS:")).context("a VmRSS line")?;
        kib += line.split_whitespace().nth(1).context("a number")?.parse::<u64>()?;
    }
    Ok(kib / 1024)
}
