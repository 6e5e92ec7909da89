//! Budgets, tried from outside: what Ery counts is laid beside what the provider reported.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::Duration;

use serde_json::{Value, json};

use ery_tests::{
    ContractKept, Ery, Guild, MeteredModel, Platform, ScriptedModel, Shape, Sim, eventually,
    meter::{COMPLETION, PROMPT},
};

const PATIENCE: Duration = Duration::from_secs(30);
/// What one answer costs.
const TURN: u64 = PROMPT + COMPLETION;

/// A playground whose model reports what it charges.
struct Stand {
    _contract: ContractKept,
    process: Ery,
    sim: Sim,
    guild: Guild,
    model: MeteredModel,
    folder: tempfile::TempDir,
}

impl Stand {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let model = MeteredModel::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut all = vec![
            ("ERY_AI__PROVIDER", "openai"),
            ("ERY_AI__BASE_URL", model.base_url()),
            ("ERY_AI__MODEL", "big"),
            ("ERY_ORCHESTRATOR__BUDGET_REFRESH", "100ms"),
        ];
        all.extend(variables);
        let mut process = Ery::start_playground(Some(folder.path()), &all).unwrap();
        let sim = Sim::new(&process.line_after("The simulated Discord is at").await.unwrap());
        let contract = ContractKept::watch(&sim).await.unwrap();
        let guild = sim.world().await.unwrap().guilds.into_iter().next().unwrap();
        Self { _contract: contract, process, sim, guild, model, folder }
    }

    /// Has somebody ask Ery, and returns what she replies; none if she says nothing.
    async fn ask(&self, who: &str, channel: &str) -> Option<String> {
        let channel = self.guild.channel(channel).unwrap();
        let member = self.guild.member(who).unwrap();
        let asked = self.sim.say(channel, member, "Ery, what is new?").await.unwrap();
        let trigger = format!("m.{asked}");
        // Silence is known by its thread's end.
        let ended = eventually("the thread's end", PATIENCE, async || {
            let threads = self.ctl(&["threads", "list", "--limit", "50"]).await;
            let of = |thread: &&Value| {
                thread["finished_at_ms"].is_i64()
                    && thread["triggers"]
                        .as_array()
                        .is_some_and(|all| all.contains(&json!(trigger)))
            };
            Ok(threads.as_array().unwrap().iter().find(of).cloned())
        });
        if let Err(error) = ended.await {
            panic!("{error}\n{}", self.process.output());
        }
        let said = self.sim.messages(channel).await.unwrap();
        let reply = said
            .iter()
            .find(|it| it["message_reference"]["message_id"] == asked.to_string().as_str());
        reply.map(|it| it["content"].as_str().unwrap().to_owned())
    }

    async fn ctl(&self, arguments: &[&str]) -> Value {
        let data = self.folder.path().display().to_string();
        let begin = ["ctl", "--json", "--data-dir", &data];
        let arguments: Vec<&str> = begin.iter().chain(arguments).copied().collect();
        let mut ctl = Ery::start("ctl", &arguments, &[]).unwrap();
        let status = ctl.end(PATIENCE).await.unwrap();
        assert!(status.success(), "{}", ctl.output());
        serde_json::from_str(&ctl.stdout()).unwrap()
    }

    /// Returns what somebody alone is told by a command.
    async fn told(&self, who: &str, command: &str, options: Value) -> String {
        let body = json!({
            "user_id": self.guild.member(who).unwrap(),
            "channel_id": self.guild.channel("general").unwrap(), "wait": true,
            "type": "command", "command": command, "options": options,
        });
        let begun = self.sim.post("/sim/v1/interactions", &body).await.unwrap();
        let path = format!("/sim/v1/interactions/{}", begun["id"].as_str().unwrap());
        eventually("an answer", PATIENCE, async || {
            let interaction = self.sim.get(&path).await?;
            let text = interaction["response"]["message"]["content"].as_str();
            Ok(text.filter(|text| !text.is_empty()).map(str::to_owned))
        })
        .await
        .unwrap()
    }

    async fn commands(&self) {
        eventually("the commands", PATIENCE, async || {
            let world = self.sim.world().await?;
            let commands = world.bots[0]["commands"].as_array().map_or(0, Vec::len);
            Ok((commands > 0).then_some(()))
        })
        .await
        .unwrap();
    }

    /// Lays what is counted beside what was reported.
    async fn is_counted_right(&self) -> Value {
        let usage = self.ctl(&["usage"]).await;
        let total = &usage["total"];
        let tokens =
            total["prompt_tokens"].as_u64().unwrap() + total["completion_tokens"].as_u64().unwrap();
        assert_eq!(tokens, self.model.tokens(), "{usage}");
        assert_eq!(total["turns"].as_u64().unwrap(), self.model.reported().len() as u64, "{usage}");
        usage
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_past_their_budget_is_told_once_and_then_left_in_silence() {
    // Two answers stay below it, the third goes past it, and no fourth is asked for.
    let budget = (2 * TURN + 10).to_string();
    let member = ("ERY_ORCHESTRATOR__BUDGETS__MEMBER__DAY_TOKENS", budget.as_str());
    let stand = Stand::start(&[member]).await;
    stand.commands().await;
    assert_eq!(stand.ask("alice", "general").await.unwrap(), "Thus speaks big.");
    let warned = stand.ask("alice", "general").await.unwrap();
    assert!(warned.starts_with("Thus speaks big.\n-# ") && warned.contains("96 %"), "{warned}");
    let third = stand.ask("alice", "general").await.unwrap();
    assert_eq!(third, "Thus speaks big.", "it is said once");
    let stopped = stand.ask("alice", "general").await.unwrap();
    assert!(stopped.contains("for you today is used up") && stopped.contains("<t:"), "{stopped}");
    for channel in ["general", "recipes"] {
        assert_eq!(stand.ask("alice", channel).await, None, "{channel}");
    }
    // Others have their own.
    assert_eq!(stand.ask("bob", "general").await.unwrap(), "Thus speaks big.");
    let usage = stand.is_counted_right().await;
    assert_eq!(usage["by_member"][0]["of"], stand.guild.member("alice").unwrap());
    assert_eq!(usage["by_member"][0]["turns"], 3);

    let why = stand.told("alice", "why", json!({})).await;
    assert!(why.contains("for whoever asked on that day was used up"), "{why}");
    let own = stand.told("alice", "ery usage", json!({})).await;
    assert!(own.contains("You: ") && own.contains("360"), "{own}");
    assert!(!own.contains("This server") && !own.contains("Members"), "{own}");
    let all = stand.told("mara", "ery usage", json!({})).await;
    assert!(
        all.contains("This server: ") && all.contains("480") && all.contains("Members"),
        "{all}"
    );

    // Who runs it raises the budget, and it holds at once.
    stand.ctl(&["config", "set", "budgets.member.day_tokens", "100000"]).await;
    assert_eq!(stand.ask("alice", "general").await.unwrap(), "Thus speaks big.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_warned_then_thinks_with_a_cheaper_model_and_then_stops() {
    // An answer of the big model costs 300 millionths of a dollar, one of the small one 250.
    let stand = Stand::start(&[
        ("ERY_AI__PRICES__BIG__INPUT", "1"),
        ("ERY_AI__PRICES__BIG__OUTPUT", "10"),
        ("ERY_AI__PRICES__SMALL__INPUT", "0.5"),
        ("ERY_AI__PRICES__SMALL__OUTPUT", "10"),
        ("ERY_AI__CHEAPER_MODEL", "small"),
        ("ERY_ORCHESTRATOR__BUDGETS__SERVER__DAY_USD", "0.001"),
        ("ERY_ORCHESTRATOR__BUDGETS__CHEAPER_PERCENT", "60"),
    ])
    .await;
    let (guild, staff) = (stand.guild.id.as_str(), stand.guild.channel("recipes").unwrap());
    stand.ctl(&["config", "set", "moderation.reports_channel", staff, "--guild", guild]).await;
    stand.ctl(&["config", "set", "answers.language", "de", "--guild", guild]).await;
    // Which models there are is asked for when it starts.
    let mut said = Vec::new();
    for _ in 0..6 {
        said.push(stand.ask("alice", "general").await.unwrap());
    }
    assert_eq!(said[..2], ["Thus speaks big.", "Thus speaks big."]);
    assert!(said[2].contains("90 % dessen, was ich heute auf diesem Server"), "{said:?}");
    assert!(
        said[3].starts_with("Thus speaks big.\n-# ") && said[3].contains("einfacheren"),
        "{said:?}"
    );
    assert_eq!(said[4..], ["Thus speaks small.", "Thus speaks small."]);
    let stopped = stand.ask("bob", "general").await.unwrap();
    assert!(stopped.contains("heute auf diesem Server ausgeben darf, ist leider"), "{stopped}");
    assert_eq!(stand.ask("alice", "general").await, None);
    assert_eq!(stand.model.reported(), ["big", "big", "big", "big", "small", "small"]);
    let usage = stand.is_counted_right().await;
    assert_eq!(usage["total"]["cost_micros"], 4 * 300 + 2 * 250);
    assert_eq!(usage["total"]["assumed_micros"], 0);
    assert_eq!(usage["by_model"][0]["of"], "openai/big");
    // The staff hears of each stage once.
    let heard = stand.sim.messages(staff).await.unwrap();
    let by_ery = heard.iter().filter(|it| it["author"]["bot"] == true);
    assert_eq!(by_ery.count(), 3, "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_unknown_price_counts_by_an_assumed_one_and_that_is_said() {
    let stand = Stand::start(&[
        ("ERY_AI__ASSUMED_PRICE__INPUT", "5"),
        ("ERY_AI__ASSUMED_PRICE__OUTPUT", "25"),
        ("ERY_ORCHESTRATOR__BUDGETS__CHANNEL__MONTH_USD", "0.0015"),
    ])
    .await;
    stand.commands().await;
    for _ in 0..2 {
        assert!(stand.ask("alice", "general").await.unwrap().starts_with("Thus speaks big."));
    }
    let stopped = stand.ask("bob", "general").await.unwrap();
    assert!(stopped.contains("in this channel this month is used up"), "{stopped}");
    assert_eq!(stand.ask("alice", "general").await, None);
    assert!(stand.ask("alice", "recipes").await.is_some(), "another channel has its own");
    let usage = stand.is_counted_right().await;
    assert_eq!(usage["total"]["assumed_micros"], 3 * 1_000);
    let told = stand.told("mara", "ery usage", json!({})).await;
    assert!(told.contains("assumed price"), "{told}");
    assert!(stand.process.output().contains("what `big` costs is not known"));
}

async fn spend(platform: &Platform, channels: &[String], members: &[String], rounds: usize) {
    let bot = platform.sim.world().await.unwrap().bots[0]["id"].as_str().unwrap().to_owned();
    for round in 0..rounds {
        for (index, channel) in channels.iter().enumerate() {
            let member = &members[(index + round) % members.len()];
            platform.sim.say(channel, member, &format!("<@{bot}> hello {round}")).await.unwrap();
        }
    }
}

/// Waits until nothing is under way any more, and returns what is counted.
async fn settled(platform: &Platform, guild: &str, messages: usize) -> Value {
    eventually("the end of every thread", Duration::from_mins(1), async || {
        let list = ["threads", "list", "--guild", guild, "--limit", "5000"];
        let threads = platform.ctl(&list).await?;
        let threads = threads.as_array().unwrap();
        let triggers: usize =
            threads.iter().map(|it| it["triggers"].as_array().map_or(0, Vec::len)).sum();
        let is_over = threads.iter().all(|thread| thread["finished_at_ms"].is_i64());
        Ok((is_over && triggers >= messages).then_some(()))
    })
    .await
    .unwrap();
    platform.ctl(&["usage"]).await.unwrap()
}

fn tokens(usage: &Value) -> u64 {
    let total = &usage["total"];
    total["prompt_tokens"].as_u64().unwrap() + total["completion_tokens"].as_u64().unwrap()
}

const SHAPE: Shape = Shape { orchestrators: 2, tool_services: 1, ai_services: 1 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_replicas_keep_one_installations_budget_within_its_bound() {
    const CHANNELS: usize = 8;
    const ROUNDS: usize = 6;

    let model = MeteredModel::start().await.unwrap();
    let budget = 10 * TURN;
    let limit = budget.to_string();
    let platform = Platform::start(
        SHAPE,
        &[
            ("ERY_AI__PROVIDER", "openai"),
            ("ERY_AI__BASE_URL", model.base_url()),
            ("ERY_AI__MODEL", "big"),
            ("ERY_ORCHESTRATOR__BUDGETS__INSTALLATION__DAY_TOKENS", &limit),
            ("ERY_ORCHESTRATOR__BUDGET_REFRESH", "100ms"),
        ],
    )
    .await
    .unwrap();
    let (guild, channels, members) = platform.sim.make_guild(CHANNELS, 4).await.unwrap();
    for _ in 0..ROUNDS {
        spend(&platform, &channels, &members, 1).await;
        // What was spent is known to both.
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let usage = settled(&platform, &guild, CHANNELS * ROUNDS).await;
    assert_eq!(tokens(&usage), model.tokens(), "{usage}");
    // A channel has one turn under way at most, and each may be one that was not yet known of.
    let bound = budget + TURN * CHANNELS as u64;
    assert!((budget..=bound).contains(&model.tokens()), "{} of {budget}", model.tokens());
    let before = model.asked();
    spend(&platform, &channels, &members, 1).await;
    settled(&platform, &guild, CHANNELS * (ROUNDS + 1)).await;
    assert_eq!(model.asked(), before, "past it nothing is asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_counts_nothing_twice_and_tells_what_it_lost() {
    let model = MeteredModel::start().await.unwrap();
    let mut platform = Platform::start(
        Shape { orchestrators: 1, ..SHAPE },
        &[
            ("ERY_AI__PROVIDER", "openai"),
            ("ERY_AI__BASE_URL", model.base_url()),
            ("ERY_AI__MODEL", "big"),
        ],
    )
    .await
    .unwrap();
    let (guild, channels, members) = platform.sim.make_guild(3, 2).await.unwrap();
    spend(&platform, &channels, &members, 1).await;
    settled(&platform, &guild, 3).await;
    // In the midst of a model turn in each channel.
    model.hold();
    let asked = model.asked();
    spend(&platform, &channels, &members, 1).await;
    eventually("three turns under way", PATIENCE, async || {
        Ok((model.asked() == asked + 3).then_some(()))
    })
    .await
    .unwrap();
    platform.orchestrators[0].kill().await.unwrap();
    platform.orchestrators[0] = platform.one_more("orchestrator").unwrap();
    model.go_on();
    let usage = settled(&platform, &guild, 6).await;
    // What the provider charged is counted, but for what nobody heard the end of; and that is said.
    let total = &usage["total"];
    let (turns, lost) = (total["turns"].as_u64().unwrap(), total["lost_turns"].as_u64().unwrap());
    let reported = model.reported().len() as u64;
    assert!(
        turns <= reported && reported <= turns + lost,
        "{turns} + {lost} of {reported}: {usage}"
    );
    assert_eq!((turns, lost), (6, 3), "{usage}");
    assert_eq!(tokens(&usage), turns * TURN, "{usage}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_does_what_it_says_and_asks_no_model_past_the_members_budget() {
    let arguments = json!({ "member": "bob", "duration_seconds": 600 });
    let model = ScriptedModel::start("timeout_member", arguments).await.unwrap();
    let stand = Stand::start(&[
        ("ERY_AI__BASE_URL", model.base_url()),
        ("ERY_ORCHESTRATOR__BUDGETS__MEMBER__DAY_TOKENS", "10"),
    ])
    .await;
    let general = stand.guild.channel("general").unwrap();
    let role = stand.guild.roles.iter().find(|it| it["name"] == "Moderator").unwrap()["id"].clone();
    let is_moderator =
        |it: &&Value| it["roles"].as_array().unwrap().contains(&role) && it["user"]["bot"] != true;
    let moderator = stand.guild.members.iter().find(is_moderator).unwrap()["user"]["id"].clone();
    let moderator = moderator.as_str().unwrap();
    // Nothing was spent before, so one turn is asked; it uses the budget up, and waits for a click.
    stand.sim.say(general, moderator, "@Ery what is the weather like?").await.unwrap();
    let proposal = eventually("a proposal", PATIENCE, async || {
        let messages = stand.sim.messages(general).await?;
        Ok(messages.into_iter().find(|it| it["components"][0]["components"].is_array()))
    });
    let proposal = proposal.await.unwrap();
    let buttons = proposal["components"][0]["components"].as_array().unwrap();
    let approve = buttons.iter().find(|it| it["label"] == "Approve").unwrap();
    let press = json!({
        "type": "button", "user_id": moderator, "channel_id": general, "wait": true,
        "message_id": proposal["id"], "custom_id": approve["custom_id"],
    });
    stand.sim.post("/sim/v1/interactions", &press).await.unwrap();
    let thread = eventually("the thread's end", PATIENCE, async || {
        let threads = stand.ctl(&["threads", "list"]).await;
        let is_over = |it: &&Value| it["outcome"] == "out of budget";
        Ok(threads.as_array().unwrap().iter().find(is_over).cloned())
    });
    thread.await.unwrap();
    let executions = stand.ctl(&["executions", "list"]).await;
    let is_done = |it: &&Value| it["tool"] == "timeout_member" && it["state"] == "done";
    assert!(executions.as_array().unwrap().iter().any(|it| is_done(&it)), "{executions}");
    assert_eq!(model.requests().len(), 1, "it is not asked again");
}
