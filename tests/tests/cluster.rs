//! Every service as a process of its own, on real NATS and Redis.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use ery_tests::{Checker, Platform, Shape, eventually, ready};

const SHAPE: Shape = Shape { orchestrators: 2, tool_services: 2, ai_services: 1 };
const CHANNELS: usize = 50;
const MCP_CALLS: u64 = 6;

/// Lets members speak to Ery in every channel at once, and notes what was said.
async fn speak(
    platform: &Platform,
    channels: &[String],
    members: &[String],
    for_each: usize,
) -> anyhow::Result<Checker> {
    let bot = platform.sim.world().await?.bots[0]["id"].as_str().unwrap().to_owned();
    let said: Vec<(String, u64)> = stream::iter(channels)
        .map(|channel| {
            let bot = bot.clone();
            async move {
                let mut said = Vec::new();
                for number in 0..for_each {
                    let member = &members[number % members.len()];
                    let text = match number % 3 {
                        0 => format!("<@{bot}> hello, this is number {number}"),
                        1 => format!("<@{bot}> who is <@{member}>?"),
                        _ => format!("<@{bot}> help"),
                    };
                    said.push((channel.clone(), platform.sim.say(channel, member, &text).await?));
                }
                anyhow::Ok(said)
            }
        })
        .buffer_unordered(CHANNELS)
        .try_concat()
        .await?;
    let mut checker = Checker::default();
    for (channel, message) in said {
        checker.said(&channel, message);
    }
    Ok(checker)
}

/// Waits until everything is answered, then refuses anything lost, doubled or out of order.
async fn all_answered(
    platform: &Platform,
    checker: &Checker,
    within: Duration,
) -> anyhow::Result<usize> {
    let waited = eventually("every message's answer", within, async || {
        let log = platform.sim.log(0).await?;
        Ok(checker.unanswered(&log)?.is_empty().then_some(()))
    })
    .await;
    let log = platform.sim.log(0).await?;
    if let Err(error) = waited {
        let left = checker.unanswered(&log)?;
        let threads = platform.ctl(&["threads", "list", "--limit", "200", "--running"]).await?;
        let outputs: Vec<String> =
            platform.orchestrators.iter().map(ery_tests::Ery::output).collect();
        anyhow::bail!(
            "{error}: {left:?} of {}\n{threads}\n{}",
            checker.count(),
            outputs.join("\n")
        );
    }
    Ok(checker.check(&log)?.len())
}

/// Refuses two threads that ran in one channel at once, as the store recorded them.
async fn no_overlap(platform: &Platform, guild: &str) -> anyhow::Result<usize> {
    // What was answered may have its end still to be written, by whoever takes the channel over.
    let threads = eventually("the end of every thread", Duration::from_mins(1), async || {
        let list = ["threads", "list", "--guild", guild, "--limit", "5000"];
        let threads = platform.ctl(&list).await?;
        let is_finished = |thread: &serde_json::Value| thread["finished_at_ms"].is_i64();
        Ok(threads.as_array().unwrap().iter().all(is_finished).then_some(threads))
    })
    .await?;
    let mut by_channel: BTreeMap<&str, Vec<(i64, i64, &str)>> = BTreeMap::new();
    for thread in threads.as_array().unwrap() {
        let id = thread["thread_id"].as_str().unwrap();
        let finished = thread["finished_at_ms"].as_i64();
        let finished = finished.ok_or_else(|| anyhow::anyhow!("thread {id} never finished"))?;
        by_channel.entry(thread["channel_id"].as_str().unwrap()).or_default().push((
            thread["started_at_ms"].as_i64().unwrap(),
            finished,
            id,
        ));
    }
    for threads in by_channel.values_mut() {
        threads.sort_unstable();
        for pair in threads.windows(2) {
            anyhow::ensure!(pair[0].1 <= pair[1].0, "threads overlap: {pair:?}");
        }
    }
    Ok(by_channel.values().map(Vec::len).sum())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_messages_in_fifty_channels_are_each_answered_once_and_in_order() {
    let platform = Platform::start(SHAPE, &[]).await.unwrap();
    let (guild, channels, members) = platform.sim.make_guild(CHANNELS, 5).await.unwrap();
    let checker = speak(&platform, &channels, &members, 20).await.unwrap();
    assert_eq!(checker.count(), 1_000);
    let answers = all_answered(&platform, &checker, Duration::from_mins(2)).await.unwrap();
    assert!((CHANNELS..=1_000).contains(&answers), "{answers} answers");
    let threads = no_overlap(&platform, &guild).await.unwrap();
    assert!(threads >= answers, "{threads} threads for {answers} answers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orchestrators_killed_again_and_again_lose_nothing_and_double_nothing() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut platform = Platform::start(SHAPE, &[]).await.unwrap();
    let (guild, channels, members) = platform.sim.make_guild(CHANNELS, 5).await.unwrap();

    // A model that takes its time, so that kills fall into running threads.
    let speaking = speak(&platform, &channels, &members, 20).await.unwrap();
    for _ in 0..5 {
        let victim = random.random_range(0..platform.orchestrators.len());
        platform.orchestrators[victim].kill().await.unwrap();
        platform.orchestrators[victim] = platform.one_more("orchestrator").unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    all_answered(&platform, &speaking, Duration::from_mins(3)).await.unwrap();
    no_overlap(&platform, &guild).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_go_from_store_to_store_while_messages_are_answered() {
    let names = [("ERY_STORE__NAME", "store-0"), ("ERY_STORE__FOUNDER", "store-0")];
    let platform = Platform::start(SHAPE, &names).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("second").display().to_string();
    let own = [("ERY_STORE__NAME", "store-1"), ("ERY_DATA_DIR", data.as_str())];
    let mut second = platform.one_more_with("store", &own).unwrap();
    ready(&mut second).await.unwrap();
    let (guild, channels, members) = platform.sim.make_guild(CHANNELS, 5).await.unwrap();
    let shard = ((guild.parse::<u64>().unwrap() >> 22) % 64).to_string();

    let moving = async {
        for round in 0..6 {
            let to = ["store-1", "store-0"][round % 2];
            let there = ["store", "rebalance", "--shard", &shard, "--to", to];
            let moved = platform.ctl(&there).await?;
            anyhow::ensure!(moved[0]["to"] == to, "{moved}");
        }
        anyhow::Ok(())
    };
    let (checker, moved) = tokio::join!(speak(&platform, &channels, &members, 20), moving);
    moved.unwrap();
    let evened = platform.ctl(&["store", "rebalance"]).await.unwrap();
    assert_eq!(evened.as_array().unwrap().len(), 32, "{evened}");
    let mut checker = checker.unwrap();
    all_answered(&platform, &checker, Duration::from_mins(3)).await.unwrap();
    no_overlap(&platform, &guild).await.unwrap();

    // The second one can be taken away again.
    platform.ctl(&["store", "rebalance", "--drain", "store-1"]).await.unwrap();
    let files = platform.ctl(&["store", "status"]).await.unwrap();
    let files = files.as_array().unwrap();
    assert!(files.iter().all(|file| file["store"] == "store-0"), "{files:?}");
    second.signal("TERM").await.unwrap();
    second.end(Duration::from_secs(20)).await.unwrap();
    let bot = platform.sim.world().await.unwrap().bots[0]["id"].as_str().unwrap().to_owned();
    for channel in &channels {
        let said = platform.sim.say(channel, &members[0], &format!("<@{bot}> hello")).await;
        checker.said(channel, said.unwrap());
    }
    all_answered(&platform, &checker, Duration::from_mins(1)).await.unwrap();

    // One that would begin with every shard a second time does not start.
    let data = folder.path().join("third").display().to_string();
    let own = [
        ("ERY_STORE__NAME", "another"),
        ("ERY_STORE__FOUNDER", "another"),
        ("ERY_DATA_DIR", data.as_str()),
    ];
    let mut third = platform.one_more_with("store", &own).unwrap();
    let status = third.end(Duration::from_secs(20)).await.unwrap();
    assert_eq!(status.code(), Some(78), "{}", third.output());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gateway_resumes_and_misses_nothing() {
    let mut platform = Platform::start(SHAPE, &[]).await.unwrap();
    let (_, channels, members) = platform.sim.make_guild(3, 2).await.unwrap();
    let first = speak(&platform, &channels, &members, 2).await.unwrap();
    all_answered(&platform, &first, Duration::from_mins(1)).await.unwrap();

    platform.gateway.kill().await.unwrap();
    let bot = platform.sim.world().await.unwrap().bots[0]["id"].as_str().unwrap().to_owned();
    let missed =
        platform.sim.say(&channels[0], &members[0], &format!("<@{bot}> hello")).await.unwrap();
    platform.gateway = platform.one_more("gateway").unwrap();

    let mut checker = first;
    checker.said(&channels[0], missed);
    all_answered(&platform, &checker, Duration::from_mins(1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_task_in_the_stream_of_tasks_is_a_dead_letter_and_holds_nobody_up() {
    let shape = Shape { orchestrators: 1, tool_services: 1, ai_services: 1 };
    let platform = Platform::start(shape, &[("ERY_NATS__ACK_WAIT", "4s")]).await.unwrap();
    let (guild, channels, members) = platform.sim.make_guild(1, 2).await.unwrap();
    let url = reqwest::Url::parse(&platform.nats.url()).unwrap();
    let (user, password) = (url.username().to_owned(), url.password().unwrap().to_owned());
    let options = async_nats::ConnectOptions::with_user_and_password(user, password);
    let nats = options.connect(platform.nats.address()).await.unwrap();
    let mut published = nats.subscribe("ery.task.>").await.unwrap();
    nats.flush().await.unwrap();
    let mut checker = speak(&platform, &channels, &members, 1).await.unwrap();
    let subject = published.next().await.unwrap().subject;

    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Ery-Trigger", "m.1");
    headers.insert("Nats-Msg-Id", "made-by-hand");
    nats.publish(subject.clone(), "neither one".into()).await.unwrap();
    nats.publish_with_headers(subject, headers, "nor the other".into()).await.unwrap();
    nats.flush().await.unwrap();
    let bot = platform.sim.world().await.unwrap().bots[0]["id"].as_str().unwrap().to_owned();
    for member in &members {
        let said = platform.sim.say(&channels[0], member, &format!("<@{bot}> hello")).await;
        checker.said(&channels[0], said.unwrap());
    }
    all_answered(&platform, &checker, Duration::from_mins(1)).await.unwrap();

    let dead = eventually("two dead letters", Duration::from_mins(1), async || {
        let dead = platform.ctl(&["dead", "list", "--guild", &guild]).await?;
        Ok((dead.as_array().unwrap().len() == 2).then_some(dead))
    })
    .await
    .unwrap();
    for letter in dead.as_array().unwrap() {
        assert_eq!(letter["handler"], "orchestrator-channel-queue");
        assert_eq!(letter["channel_id"], channels[0].as_str());
        assert!(letter["reason"].as_str().unwrap().contains("header"), "{letter}");
    }
    assert!(dead.as_array().unwrap().iter().any(|it| it["event_id"] == "made-by-hand"), "{dead}");
    let stream = async_nats::jetstream::new(nats).get_stream("ERY_TASKS").await.unwrap();
    eventually("an empty stream", Duration::from_mins(1), async || {
        Ok((stream.get_info().await?.state.messages == 0).then_some(()))
    })
    .await
    .unwrap();
    let metrics = platform.orchestrators[0].metrics().await.unwrap();
    let count = metrics.lines().find(|line| {
        line.starts_with("ery_orchestrator_tasks_unreadable_total") && line.ends_with(" 2")
    });
    assert!(count.is_some(), "{metrics}");
}

/// Asks the console as a client of MCP does; none where no answer came.
async fn mcp(
    address: &str,
    token: &str,
    session: Option<&str>,
    body: Value,
) -> Option<reqwest::Response> {
    let mut request = reqwest::Client::new()
        .post(format!("http://{address}/mcp"))
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .bearer_auth(token)
        .body(body.to_string());
    if let Some(session) = session {
        request = request.header("mcp-session-id", session);
    }
    request.send().await.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_mcp_clients_are_done_once_though_the_tool_service_is_killed() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let shape = Shape { orchestrators: 1, tool_services: 1, ai_services: 1 };
    let variables = [
        ("ERY_CONSOLE__LISTEN", "127.0.0.1:0"),
        ("ERY_TOOL_SERVICE__SEND_BY", "2s"),
        ("ERY_TOOL_SERVICE__QUEUE_DEADLINE", "1s"),
        ("ERY_TOOL_SERVICE__REQUEST_TIMEOUT", "2s"),
    ];
    let mut platform = Platform::start(shape, &variables).await.unwrap();
    let mut console = platform.one_more("console").unwrap();
    ready(&mut console).await.unwrap();
    let served = console.line(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        let is_it = line["message"].as_str()?.starts_with("serving MCP at");
        is_it.then(|| line["address"].as_str().map(str::to_owned))?
    });
    let address = served.await.unwrap();
    let world = platform.sim.world().await.unwrap();
    let guild = &world.guilds[0];
    let owner = guild.member("mara").unwrap();
    let channel = guild.channel("general").unwrap();
    let create = ["mcp", "create", "--guild", &guild.id, "--user", owner, "--channel", channel];
    let credential = platform.ctl(&create).await.unwrap();
    let token = credential["token"].as_str().unwrap().to_owned();
    let hello = json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": { "name": "by hand", "version": "1" },
        },
    });
    let begun = mcp(&address, &token, None, hello).await.unwrap();
    let session = begun.headers()["mcp-session-id"].to_str().unwrap().to_owned();

    for call in 1..=MCP_CALLS {
        let delay = json!({
            "route": "POST /channels/{channel_id}/invites", "kind": "delay", "delay_ms": 150,
            "count": 1,
        });
        platform.sim.post("/sim/v1/faults", &delay).await.unwrap();
        // How often it can be used tells it from the others.
        let body = json!({
            "jsonrpc": "2.0", "id": call, "method": "tools/call",
            "params": {
                "name": "create_invite", "arguments": { "max_uses": call, "unique": true },
            },
        });
        let asked = async { mcp(&address, &token, Some(&session), body).await?.text().await.ok() };
        let mut victim = platform.tool_services.remove(0);
        let replaced = async {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..400))).await;
            victim.kill().await.unwrap();
            let mut next = platform.one_more("tool-service").unwrap();
            ready(&mut next).await.unwrap();
            next
        };
        let (answer, next) = tokio::join!(asked, replaced);
        platform.tool_services.push(next);
        // Whatever came of it, the client is told something.
        assert!(answer.is_some(), "call {call} has no answer");
    }

    let executions = eventually("the end of every execution", Duration::from_mins(2), async || {
        let all = platform.ctl(&["executions", "list", "--limit", "100"]).await?;
        let ours: Vec<Value> = all
            .as_array()
            .unwrap()
            .iter()
            .filter(|it| it["key"].as_str().is_some_and(|key| key.starts_with("mcp/")))
            .cloned()
            .collect();
        Ok((!ours.iter().any(|it| it["state"] == "open")).then_some(ours))
    })
    .await
    .unwrap();

    let log = platform.sim.log(0).await.unwrap();
    for call in 1..=MCP_CALLS {
        let made = log
            .iter()
            .filter(|entry| entry.method == "POST" && entry.path.ends_with("/invites"))
            .filter(|entry| entry.status == 200 && entry.body["max_uses"] == call)
            .count();
        assert!(made <= 1, "call {call} was done {made} times");
        let of_call = |it: &&Value| {
            let written: Value = match &it["arguments"] {
                Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
                arguments => arguments.clone(),
            };
            written["max_uses"] == call
        };
        let states: Vec<_> = executions.iter().filter(of_call).map(|it| &it["state"]).collect();
        assert!(states.len() <= 1, "call {call}: {states:?}");
        if let [state] = states[..] {
            assert!(made == 1 || state != "done", "call {call} is said to be done");
            assert!(made == 0 || state != "failed", "call {call} is said not to be done");
        } else {
            assert_eq!(made, 0, "call {call} was done and not recorded");
        }
    }
}

/// Lets a member speak to Ery in every channel until all of it is answered, or all turned away; in
/// how many rounds, and after what time, the last of them began.
async fn governed(
    platform: &Platform,
    channels: &[String],
    member: &str,
    is_answered: bool,
) -> anyhow::Result<(usize, Duration)> {
    let begun = tokio::time::Instant::now();
    let wanted = if is_answered { "trigger" } else { "turned_away" };
    for round in 1.. {
        let round_began = begun.elapsed();
        anyhow::ensure!(round_began < Duration::from_mins(2), "never governed everywhere");
        let mut all = true;
        let mut said = Vec::new();
        for channel in channels {
            said.push(platform.sim.say(channel, member, "Ery, hello").await?.to_string());
        }
        for message in said {
            let part = eventually("what became of a message", Duration::from_mins(1), async || {
                // Until it is taken in, nothing is known of it.
                let Ok(why) = platform.ctl(&["threads", "why", &message]).await else {
                    return Ok(None);
                };
                let part = why["part"].as_str().unwrap_or("nothing").to_owned();
                Ok((part != "nothing").then_some(part))
            });
            all &= part.await? == wanted;
        }
        if all {
            return Ok((round, round_began));
        }
    }
    unreachable!("rounds have no end")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_governs_every_replica_also_where_its_broadcast_was_lost() {
    let mut platform = Platform::start(SHAPE, &[]).await.unwrap();
    let (guild, channels, members) = platform.sim.make_guild(8, 1).await.unwrap();
    let set = async |platform: &Platform, value: &str| {
        let arguments = ["config", "set", "gate.engage", value, "--guild", &guild];
        platform.ctl(&arguments).await.unwrap();
    };
    let member = &members[0];
    governed(&platform, &channels, member, true).await.unwrap();
    for (value, is_answered) in [("off", false), ("addressed", true), ("listen", false)] {
        set(&platform, value).await;
        let told = governed(&platform, &channels, member, is_answered).await.unwrap();
        println!("{value}: governed in round {} after {:?}", told.0, told.1);
    }

    // Who is not connected again yet is not told; what is held is looked at again by itself.
    platform.nats.kill().await.unwrap();
    platform.nats.restart().await.unwrap();
    set(&platform, "addressed").await;
    let told = governed(&platform, &channels, member, true).await.unwrap();
    println!("after a restart of NATS: governed in round {} after {:?}", told.0, told.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_made_while_nobody_can_be_told_and_noticed_all_the_same() {
    let mut platform = Platform::start(SHAPE, &[]).await.unwrap();
    let (guild, channels, members) = platform.sim.make_guild(4, 1).await.unwrap();
    governed(&platform, &channels, &members[0], true).await.unwrap();
    platform.nats.kill().await.unwrap();
    let set = ["config", "set", "gate.engage", "listen", "--guild", &guild];
    let made = platform.ctl(&set).await.unwrap();
    assert_eq!((&made[0]["is_made"], &made[0]["is_untold"]), (&json!(true), &json!(true)));
    let made_at = tokio::time::Instant::now();
    platform.nats.restart().await.unwrap();
    governed(&platform, &channels, &members[0], false).await.unwrap();
    println!("after a change that was told to nobody: governed within {:?}", made_at.elapsed());
}
