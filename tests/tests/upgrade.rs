//! An upgrade from the last release: both versions on one data folder, one after the other, and in one
//! cluster, side by side. `make upgrade-test` builds the older `ery` and says where it is; without it
//! there is nothing to upgrade from, so these are ignored.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use ery_tests::{Checker, Ery, Platform, Shape, Sim, eventually, ready};

const SHAPE: Shape = Shape { orchestrators: 2, tool_services: 1, ai_services: 1 };
const PATIENCE: Duration = Duration::from_mins(1);

/// How many answers each mixture of versions gives before the next one begins.
const ANSWERS: usize = 15;

/// Returns the `ery` of the last release.
fn older() -> PathBuf {
    let named = std::env::var_os("ERY_TEST_OLDER").expect("ERY_TEST_OLDER names an older `ery`");
    let path = PathBuf::from(named);
    assert!(path.is_file(), "there is no {}", path.display());
    path
}

/// Who speaks, and where.
struct Community {
    sim: Sim,
    bot: String,
    /// With no people in it but these.
    channels: Vec<String>,
    members: Vec<String>,
}

impl Community {
    async fn make(sim: &Sim) -> Self {
        let bot = sim.world().await.unwrap().bots[0]["id"].as_str().unwrap().to_owned();
        let (_, channels, members) = sim.make_guild(8, 8).await.unwrap();
        Self { sim: sim.clone(), bot, channels, members }
    }

    /// Lets members speak, in one channel after the other, until it is over.
    async fn speak(&self, over: &CancellationToken) -> Checker {
        let mut checker = Checker::default();
        let mut pause = tokio::time::interval(Duration::from_millis(100));
        let mut number = 0;
        while !over.is_cancelled() {
            pause.tick().await;
            self.say(number, &mut checker).await;
            number += 1;
        }
        checker
    }

    async fn say(&self, number: usize, checker: &mut Checker) {
        let channel = &self.channels[number % self.channels.len()];
        let member = &self.members[number % self.members.len()];
        let text = format!("<@{}> hello, this is number {number}", self.bot);
        checker.said(channel, self.sim.say(channel, member, &text).await.unwrap());
    }

    async fn answers(&self) -> usize {
        Checker::answers(&self.sim.log(0).await.unwrap()).unwrap().len()
    }

    /// Waits until the versions that run now have answered some more.
    async fn goes_on(&self, what: &str) {
        let before = self.answers().await;
        eventually(what, PATIENCE, async || {
            Ok((self.answers().await >= before + ANSWERS).then_some(()))
        })
        .await
        .unwrap();
    }

    /// Waits until everything is answered, and refuses anything lost, doubled or out of order.
    async fn is_answered(&self, checker: &Checker) {
        let waited = eventually("every message's answer", PATIENCE, async || {
            let left = checker.unanswered(&self.sim.log(0).await?)?;
            Ok(left.is_empty().then_some(()))
        });
        if let Err(error) = waited.await {
            panic!("{error}: {:?}", checker.unanswered(&self.sim.log(0).await.unwrap()));
        }
        checker.check(&self.own_log().await).unwrap();
    }

    /// Returns what was done in the channels of the load, where every answer answers what was said.
    async fn own_log(&self) -> Vec<ery_tests::LogEntry> {
        let mut log = self.sim.log(0).await.unwrap();
        log.retain(|entry| {
            let is_in = |channel: &String| entry.path.contains(&format!("/channels/{channel}/"));
            self.channels.iter().any(is_in)
        });
        log
    }

    /// The main job: a moderator has a member timed out.
    async fn main_job(&self, name: &str) {
        let world = self.sim.world().await.unwrap();
        let guild = &world.guilds[0];
        let (channel, member) = (guild.channel("general").unwrap(), guild.member(name).unwrap());
        let text = format!("<@{}> timeout <@{member}> for 10 minutes, spam", self.bot);
        self.sim.say(channel, guild.member("theo").unwrap(), &text).await.unwrap();
        eventually("the member to be timed out", PATIENCE, async || {
            let world = self.sim.world().await?;
            let is_it = |found: &&Value| found["user"]["id"] == member;
            let found = world.guilds[0].members.iter().find(is_it).unwrap();
            Ok(found["communication_disabled_until"].is_string().then_some(()))
        })
        .await
        .unwrap();
    }
}

/// Returns the value of a field of all things in a list.
fn every(list: &Value, field: &str) -> BTreeSet<String> {
    let values = list.as_array().unwrap().iter();
    values.map(|it| it[field].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants an older `ery`: make upgrade-test"]
async fn one_data_folder_goes_on_under_the_present_version() {
    let older = older();
    let arguments =
        ["sim-discord", "--listen", "127.0.0.1:0", "--token", "upgrade", "--no-rate-limits"];
    let mut simulator = Ery::start("sim-discord", &arguments, &[]).unwrap();
    let base = simulator.line_after("The simulated Discord is at").await.unwrap();
    let base = base.split_whitespace().next().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let (api, gateway) = (format!("{base}/api/v10"), base.replace("http://", "ws://"));
    let variables = [
        ("ERY_DISCORD__TOKEN", "upgrade"),
        ("ERY_DISCORD__API_URL", &api),
        ("ERY_DISCORD__GATEWAY_URL", &gateway),
        ("ERY_DATA_DIR", &data),
    ];
    let ctl = async |arguments: &[&str]| -> Value {
        let arguments: Vec<&str> =
            ["ctl", "--json", "--data-dir", &data].iter().chain(arguments).copied().collect();
        let mut ctl = Ery::start("ctl", &arguments, &[]).unwrap();
        let status = ctl.end(PATIENCE).await.unwrap();
        assert!(status.success(), "{}", ctl.output());
        serde_json::from_str(&ctl.stdout()).unwrap()
    };
    let kept = async || {
        [
            every(&ctl(&["threads", "list", "--limit", "500"]).await, "thread_id"),
            every(&ctl(&["executions", "list", "--limit", "500"]).await, "key"),
            every(&ctl(&["schedule", "list"]).await, "id"),
        ]
    };

    let mut all = Ery::start_program(&older, "the older one", &["all"], &variables).unwrap();
    ready(&mut all).await.unwrap();
    let community = Community::make(&Sim::new(&base)).await;
    let mut checker = Checker::default();
    for number in 0..16 {
        community.say(number, &mut checker).await;
    }
    community.is_answered(&checker).await;
    community.main_job("bob").await;
    let world = community.sim.world().await.unwrap();
    let guild = &world.guilds[0];
    let channel = guild.channel("general").unwrap();
    let (theo, zoe) = (guild.member("theo").unwrap(), guild.member("zoe").unwrap());
    let text = format!("<@{}> ban <@{zoe}> for 3 days because of spam", community.bot);
    community.sim.say(channel, theo, &text).await.unwrap();
    eventually("the end of the ban to be planned", PATIENCE, async || {
        Ok((ctl(&["schedule", "list"]).await != serde_json::json!([])).then_some(()))
    })
    .await
    .unwrap();
    let before = kept().await;

    // What is said while the older one dies, and while nothing runs, the present one answers.
    for number in 16..32 {
        community.say(number, &mut checker).await;
    }
    all.kill().await.unwrap();
    for number in 32..40 {
        community.say(number, &mut checker).await;
    }
    let mut all = Ery::start("the present one", &["all"], &variables).unwrap();
    ready(&mut all).await.unwrap();
    community.is_answered(&checker).await;
    for (before, now) in before.iter().zip(kept().await) {
        assert!(before.is_subset(&now), "lost: {:?}", before.difference(&now));
    }
    community.main_job("alice").await;
    assert_eq!(ctl(&["dead", "list"]).await, serde_json::json!([]));
    assert!(ctl(&["store", "check"]).await.is_array());
    all.stop(PATIENCE).await.unwrap();

    // The way back: where files were migrated, the older one says that it cannot, and changes nothing.
    let mut back = Ery::start_program(&older, "the older one", &["all"], &variables).unwrap();
    if ready(&mut back).await.is_ok() {
        back.stop(PATIENCE).await.unwrap();
    } else {
        let said = back.output();
        assert!(said.contains("newer version"), "{said}");
    }
    let mut all = Ery::start("the present one", &["all"], &variables).unwrap();
    ready(&mut all).await.unwrap();
    community.main_job("nils").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "wants an older `ery`: make upgrade-test"]
async fn services_of_both_versions_work_side_by_side_and_nothing_is_lost() {
    let mut platform = Platform::start_program(&older(), SHAPE, &[]).await.unwrap();
    let community = Community::make(&platform.sim).await;
    community.main_job("bob").await;
    platform.upgrade().unwrap();

    let over = CancellationToken::new();
    // In the order that docs/operations.md tells.
    let replaced = async {
        community.goes_on("answers of the older ones").await;
        platform.store.stop(PATIENCE).await.unwrap();
        platform.store = platform.one_more("store").unwrap();
        ready(&mut platform.store).await.unwrap();
        community.goes_on("answers on the present store").await;

        for service in ["tool-service", "ai-service", "orchestrator"] {
            let mut present = platform.one_more(service).unwrap();
            ready(&mut present).await.unwrap();
            community.goes_on(&format!("answers with the present {service} among them")).await;
            let replicas = match service {
                "tool-service" => &mut platform.tool_services,
                "ai-service" => &mut platform.ai_services,
                _ => &mut platform.orchestrators,
            };
            for older in replicas.iter_mut() {
                older.stop(PATIENCE).await.unwrap();
            }
            *replicas = vec![present];
            community.goes_on(&format!("answers without the older {service}")).await;
        }

        // It stands by until the older one has gone.
        let mut present = platform.one_more("gateway").unwrap();
        ready(&mut present).await.unwrap();
        platform.gateway.stop(PATIENCE).await.unwrap();
        platform.gateway = present;
        community.goes_on("answers by the present gateway").await;
        over.cancel();
    };
    let (checker, ()) = tokio::join!(community.speak(&over), replaced);
    community.is_answered(&checker).await;
    community.main_job("alice").await;
    assert_eq!(platform.ctl(&["dead", "list"]).await.unwrap(), serde_json::json!([]));
    let failed = |it: &&Value| !["done", "running"].contains(&it["outcome"].as_str().unwrap());
    let threads = platform.ctl(&["threads", "list", "--limit", "500"]).await.unwrap();
    let failed: Vec<_> = threads.as_array().unwrap().iter().filter(failed).collect();
    assert!(failed.is_empty(), "{failed:?}");
}
