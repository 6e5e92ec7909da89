//! `ery playground`, as a newcomer meets it: one process, no token, no account.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::Duration;

use serde_json::{Value, json};

use ery_tests::{ContractKept, Ery, Guild, ScriptedModel, Sim, eventually};

struct Playground {
    /// First, so that the run is judged while the simulator still runs.
    contract: ContractKept,
    process: Ery,
    page: String,
    sim: Sim,
    folder: tempfile::TempDir,
}

impl Playground {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts it with a model of the test's own.
    async fn start_with_model(base_url: &str) -> Self {
        let variables = [
            ("ERY_AI__PROVIDER", "openai"),
            ("ERY_AI__BASE_URL", base_url),
            ("ERY_AI__MODEL", "m"),
        ];
        Self::start_with(&variables).await
    }

    async fn start_with(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Ery::start_playground(Some(folder.path()), variables).unwrap();
        let page = process.line_after("Ery's playground is at").await.unwrap();
        let sim = Sim::new(&process.line_after("The simulated Discord is at").await.unwrap());
        let contract = ContractKept::watch(&sim).await.unwrap();
        Self { contract, process, page, sim, folder }
    }

    async fn guild(&self) -> (Guild, String) {
        let world = self.sim.world().await.unwrap();
        let bot = world.bots[0]["id"].as_str().unwrap().to_owned();
        (world.guilds.into_iter().next().unwrap(), bot)
    }

    /// Lets a member speak, and returns Ery's reply to it.
    async fn ask(&self, channel: &str, author: &str, text: &str) -> String {
        let message = self.sim.say(channel, author, text).await.unwrap().to_string();
        let reply = eventually("a reply", Duration::from_secs(20), async || {
            let messages = self.sim.messages(channel).await?;
            let reply = messages
                .into_iter()
                .find(|reply| reply["message_reference"]["message_id"] == message);
            Ok(reply.map(|reply| reply["content"].as_str().unwrap_or_default().to_owned()))
        });
        match reply.await {
            Ok(reply) => reply,
            Err(error) => panic!("{error}\n{}", self.process.output()),
        }
    }

    async fn executions(&self) -> Vec<Value> {
        let data = self.folder.path().display().to_string();
        let arguments =
            ["ctl", "--json", "--data-dir", &data, "executions", "list", "--limit", "100"];
        let mut ctl = Ery::start("ctl", &arguments, &[]).unwrap();
        let status = ctl.end(Duration::from_secs(20)).await.unwrap();
        assert!(status.success(), "{}", ctl.output());
        serde_json::from_str(&ctl.stdout()).unwrap()
    }

    async fn timed_out_until(&self, member: &str) -> Option<String> {
        let (guild, _) = self.guild().await;
        let found = guild.members.iter().find(|found| found["user"]["id"] == member).unwrap();
        found["communication_disabled_until"].as_str().map(str::to_owned)
    }
}

/// Returns the id of a member who holds a role of this name.
fn holder(guild: &Guild, role: &str) -> String {
    let role = guild.roles.iter().find(|found| found["name"] == role).unwrap()["id"].clone();
    let holds = |member: &&Value| {
        member["roles"].as_array().unwrap().contains(&role) && member["user"]["bot"] != true
    };
    guild.members.iter().find(holds).unwrap()["user"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moderators_order_is_carried_out_and_audited() {
    let playground = Playground::start().await;
    let (guild, _) = playground.guild().await;
    let (general, bob) = (guild.channel("general").unwrap(), guild.member("bob").unwrap());
    let moderator = holder(&guild, "Moderator");

    let reply = playground
        .ask(general, &moderator, "@Ery timeout @bob for 10 minutes, he is spamming")
        .await;

    assert!(playground.timed_out_until(bob).await.is_some(), "{reply}");
    assert!(reply.contains("10 minutes"), "{reply}");
    let audit = playground.executions().await;
    let timeout = audit.iter().find(|execution| execution["tool"] == "timeout_member").unwrap();
    assert_eq!(timeout["decision"], "allowed");
    assert_eq!(timeout["state"], "done");
    assert_eq!(timeout["principal"], format!("person {moderator}"));
    assert_eq!(timeout["is_ordered"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_bans_warns_kicks_gives_roles_and_locks() {
    let playground = Playground::start().await;
    let (guild, _) = playground.guild().await;
    let general = guild.channel("general").unwrap();
    let [mara, bob, alice, nils] =
        ["mara", "bob", "alice", "nils"].map(|name| guild.member(name).unwrap().to_owned());

    for (text, said) in [
        ("@Ery warn @alice for shouting".to_owned(), "is warned for: shouting"),
        ("@Ery give @alice the Muted role".to_owned(), "has the role “Muted”"),
        ("@Ery remove the role Muted from @alice".to_owned(), "does not have the role “Muted”"),
        ("@Ery kick @nils because he spams".to_owned(), "is removed from the server"),
        ("@Ery ban @bob for 3 days because of spam".to_owned(), "is banned for 3 days, until <t:"),
        (format!("@Ery unban <@{bob}>"), "The ban of"),
        (format!("@Ery ban {bob}"), "is banned."),
        ("@Ery lock this channel".to_owned(), "Send messages"),
    ] {
        let reply = playground.ask(general, &mara, &text).await;
        assert!(reply.contains(said), "{text}: {reply}");
    }

    let (guild, _) = playground.guild().await;
    assert!(guild.member("bob").is_err() && guild.member("nils").is_err());
    assert_eq!(guild.member("alice").unwrap(), alice);
    let audit = playground.executions().await;
    for tool in ["warn_member", "manage_roles", "kick_member", "ban_member", "manage_permissions"] {
        let act = audit.iter().find(|execution| execution["tool"] == tool).unwrap();
        assert_eq!(
            (&act["decision"], &act["state"]),
            (&json!("allowed"), &json!("done")),
            "{tool}"
        );
        assert_eq!(act["principal"], format!("person {mara}"));
        assert_eq!(act["is_ordered"], true);
    }
    let log = playground.sim.log(0).await.unwrap();
    let kick = |method: &str, path: &str| {
        log.iter().filter(|entry| entry.method == method && entry.path.contains(path)).count()
    };
    assert_eq!(kick("DELETE", &format!("/members/{nils}")), 1);
    assert_eq!(kick("PUT", &format!("/bans/{bob}")), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_or_a_quote_bans_nobody() {
    let playground = Playground::start().await;
    let (guild, _) = playground.guild().await;
    let (general, bob) = (guild.channel("general").unwrap(), guild.member("bob").unwrap());
    let mara = guild.member("mara").unwrap();
    for text in ["@Ery should I ban @bob?", "@Ery don't ban @bob", "> ban @bob\n@Ery what is that?"]
    {
        playground.ask(general, mara, text).await;
    }
    let (guild, _) = playground.guild().await;
    assert_eq!(guild.member("bob").unwrap(), bob);
    let log = playground.sim.log(0).await.unwrap();
    assert!(!log.iter().any(|entry| entry.path.contains("/bans/")), "nothing is asked of Discord");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_members_order_is_refused_by_name_and_nothing_reaches_discord() {
    let playground = Playground::start().await;
    let (guild, _) = playground.guild().await;
    let (general, bob) = (guild.channel("general").unwrap(), guild.member("bob").unwrap());
    let victim = holder(&guild, "Moderator");

    let reply =
        playground.ask(general, bob, &format!("@Ery timeout <@{victim}> for 10 minutes")).await;

    assert!(reply.contains("MODERATE_MEMBERS"), "{reply}");
    assert!(playground.timed_out_until(&victim).await.is_none());
    let log = playground.sim.log(0).await.unwrap();
    assert!(!log.iter().any(|entry| entry.method == "PATCH"), "nothing may be asked of Discord");
    let audit = playground.executions().await;
    let denied = audit.iter().find(|execution| execution["tool"] == "timeout_member").unwrap();
    assert_eq!((&denied["decision"], &denied["state"]), (&json!("denied"), &json!("denied")));
}

#[tokio::test(flavor = "multi_thread")]
async fn small_talk_is_answered_honestly() {
    let playground = Playground::start().await;
    let (guild, bot) = playground.guild().await;
    let general = guild.channel("general").unwrap();
    let reply = playground
        .ask(general, guild.member("bob").unwrap(), &format!("<@{bot}> how was your day?"))
        .await;
    let reply = reply.to_lowercase();
    assert!(reply.contains("built-in") || reply.contains("no language model"), "{reply}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_for_ery_is_left_alone() {
    let playground = Playground::start().await;
    let (guild, bot) = playground.guild().await;
    let (general, bob) = (guild.channel("general").unwrap(), guild.member("bob").unwrap());
    let small_talk =
        playground.sim.say(general, bob, "anybody up for lunch?").await.unwrap().to_string();
    // Once a later message is answered, the earlier one has been judged.
    let moderator = holder(&guild, "Moderator");
    playground.ask(general, &moderator, &format!("<@{bot}> help")).await;
    let messages = playground.sim.messages(general).await.unwrap();
    let replied = |message: &Value| message["message_reference"]["message_id"] == small_talk;
    assert!(!messages.iter().any(replied));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_served_and_shows_the_world() {
    let playground = Playground::start().await;
    let http = reqwest::Client::new();
    let page = http.get(&playground.page).send().await.unwrap();
    assert!(page.headers().contains_key("content-security-policy"));
    let text = page.text().await.unwrap();
    assert!(text.contains("<html"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_within_the_grace_period() {
    let mut playground = Playground::start().await;
    playground.contract.judge().await.unwrap();
    playground.process.signal("TERM").await.unwrap();
    let status = playground.process.end(Duration::from_secs(25)).await.unwrap();
    assert!(status.success(), "{status}: {}", playground.process.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_one_data_folder_is_refused() {
    let playground = Playground::start().await;
    let data = playground.folder.path().display().to_string();
    let arguments = [
        "playground",
        "--listen",
        "127.0.0.1:0",
        "--sim-listen",
        "127.0.0.1:0",
        "--data-dir",
        &data,
    ];
    let mut second = Ery::start("second", &arguments, &[]).unwrap();
    let status = second.end(Duration::from_secs(20)).await.unwrap();
    assert_eq!(status.code(), Some(69), "{}", second.output());
    assert!(second.stderr().contains(&data), "{}", second.stderr());
}

/// Serves a model that has bob timed out, whatever it is asked.
async fn hostile_model() -> String {
    let arguments = json!({ "member": "bob", "duration_seconds": 2_419_200 });
    let model = ScriptedModel::start("timeout_member", arguments).await.unwrap();
    model.base_url().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_model_can_do_nothing_but_talk() {
    let base_url = hostile_model().await;
    let playground = Playground::start_with_model(&base_url).await;
    let (guild, _) = playground.guild().await;
    let (general, bob) = (guild.channel("general").unwrap(), guild.member("bob").unwrap());
    let moderator = holder(&guild, "Moderator");

    // A moderator who only asks something has ordered nothing, whatever the model makes of it.
    playground.ask(general, &moderator, "@Ery what is the weather like?").await;
    playground.ask(general, guild.member("alice").unwrap(), "@Ery hello").await;

    assert!(playground.timed_out_until(bob).await.is_none());
    let log = playground.sim.log(0).await.unwrap();
    assert!(!log.iter().any(|entry| entry.method == "PATCH"), "nothing may be asked of Discord");
    for sent in
        log.iter().filter(|entry| entry.method == "POST" && entry.path.ends_with("/messages"))
    {
        assert_eq!(sent.body["allowed_mentions"]["parse"], json!([]), "{}", sent.body);
        assert_eq!(sent.response["mention_everyone"], false);
    }
    let audit = playground.executions().await;
    let decisions: Vec<&Value> = audit
        .iter()
        .filter(|execution| execution["tool"] == "timeout_member")
        .map(|execution| &execution["decision"])
        .collect();
    assert_eq!(decisions, ["denied", "needs approval"], "the newest first");
}

impl Playground {
    /// Lets somebody press a button of a message by its label; returns how it was answered.
    async fn press(&self, channel: &str, user: &str, message: &Value, label: &str) -> Value {
        let buttons = message["components"][0]["components"].as_array().cloned();
        let button = buttons.unwrap_or_default().into_iter().find(|it| it["label"] == label);
        let press = json!({
            "type": "button", "user_id": user, "channel_id": channel, "message_id": message["id"],
            "custom_id": button.expect("there is such a button")["custom_id"], "wait": true,
        });
        self.sim.post("/sim/v1/interactions", &press).await.unwrap()
    }

    /// Waits for a message of the channel that fits.
    async fn message(&self, channel: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let found = eventually("a message", Duration::from_secs(20), async || {
            Ok(self.sim.messages(channel).await?.into_iter().find(|message| fits(message)))
        });
        match found.await {
            Ok(found) => found,
            Err(error) => panic!("{error}\n{}", self.process.output()),
        }
    }
}

/// Whether a message has buttons still.
fn is_proposal(message: &Value) -> bool {
    message["components"].as_array().is_some_and(|components| !components.is_empty())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_model_wants_waits_for_the_click_of_somebody_who_may_do_it() {
    let base_url = hostile_model().await;
    let playground = Playground::start_with_model(&base_url).await;
    let (guild, _) = playground.guild().await;
    let (general, bob) = (guild.channel("general").unwrap(), guild.member("bob").unwrap());
    let (moderator, alice) = (holder(&guild, "Moderator"), guild.member("alice").unwrap());

    playground.ask(general, &moderator, "@Ery what is the weather like?").await;
    let proposal = playground.message(general, is_proposal).await;
    assert!(proposal["content"].as_str().unwrap().contains(bob), "{proposal}");

    // The channel goes on meanwhile.
    let reply = playground.ask(general, alice, "@Ery hello").await;
    assert!(reply.contains("Done"), "{reply}");

    // Who could not do it by hand cannot approve it.
    let answer = playground.press(general, alice, &proposal, "Approve").await;
    assert!(answer.to_string().contains("the right “Time out members”"), "{answer}");
    assert!(playground.timed_out_until(bob).await.is_none());

    playground.press(general, &moderator, &proposal, "Approve").await;
    let timed_out = eventually("the timeout", Duration::from_secs(20), async || {
        Ok(playground.timed_out_until(bob).await)
    });
    timed_out.await.unwrap();
    // Its thread goes on, and answers whoever asked.
    let asked = proposal["message_reference"]["message_id"].clone();
    let is_answer = |message: &Value| {
        message["message_reference"]["message_id"] == asked && message["id"] != proposal["id"]
    };
    playground.message(general, is_answer).await;
    let ended = playground.message(general, |message| message["id"] == proposal["id"]).await;
    assert!(!is_proposal(&ended), "the buttons are gone: {ended}");
    assert!(ended["content"].as_str().unwrap().contains("Approved by"), "{ended}");

    let audit = playground.executions().await;
    let done = audit.iter().find(|it| it["tool"] == "timeout_member" && it["state"] == "done");
    assert!(done.is_some(), "{audit:?}");
    let patches = playground.sim.log(0).await.unwrap();
    let count = patches.iter().filter(|it| it.method == "PATCH" && it.path.contains("/members/"));
    assert_eq!(count.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_rejected_is_not_done_and_its_thread_ends() {
    let base_url = hostile_model().await;
    let playground = Playground::start_with_model(&base_url).await;
    let (guild, _) = playground.guild().await;
    let (general, bob) = (guild.channel("general").unwrap(), guild.member("bob").unwrap());
    let moderator = holder(&guild, "Moderator");
    playground.ask(general, &moderator, "@Ery what is the weather like?").await;
    let proposal = playground.message(general, is_proposal).await;
    playground.press(general, &moderator, &proposal, "Reject").await;
    let asked = proposal["message_reference"]["message_id"].clone();
    let is_answer = |message: &Value| {
        message["message_reference"]["message_id"] == asked && message["id"] != proposal["id"]
    };
    playground.message(general, is_answer).await;
    assert!(playground.timed_out_until(bob).await.is_none());
    let executions = playground.executions().await;
    let record = executions.iter().find(|it| it["decision"] == "needs approval").unwrap();
    let decided = (&record["proposal"], &record["proposal_decided_by"]);
    assert_eq!(decided, (&json!("rejected"), &json!(moderator)));
}

/// Counts the messages of one text in a channel.
async fn said(playground: &Playground, channel: &str, text: &str) -> usize {
    let messages = playground.sim.messages(channel).await.unwrap();
    messages.iter().filter(|message| message["content"] == text).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_act_is_done_once_at_its_time_and_can_be_cancelled() {
    let plan = json!({
        "tool": "send_message", "arguments": {"content": "water the plants"}, "in_seconds": 2,
    });
    let model = ScriptedModel::start("schedule_action", plan).await.unwrap();
    let playground = Playground::start_with_model(model.base_url()).await;
    let (guild, _) = playground.guild().await;
    let (general, bob) = (guild.channel("general").unwrap(), guild.member("bob").unwrap());
    let reply = playground.ask(general, bob, "@Ery remind us to water the plants").await;
    assert!(reply.contains("Done"), "{reply}");
    playground.message(general, |message| message["content"] == "water the plants").await;
    assert_eq!(said(&playground, general, "water the plants").await, 1);

    let data = playground.folder.path().display().to_string();
    let ctl = async |arguments: &[&str]| -> Value {
        let all = [&["ctl", "--json", "--data-dir", &data], arguments].concat();
        let mut ctl = Ery::start("ctl", &all, &[]).unwrap();
        let status = ctl.end(Duration::from_secs(20)).await.unwrap();
        assert!(status.success(), "{}", ctl.output());
        serde_json::from_str(&ctl.stdout()).unwrap()
    };
    let fired = eventually("it is over", Duration::from_secs(20), async || {
        let listed = ctl(&["schedule", "list", "--all"]).await;
        Ok(Some(listed).filter(|listed| listed[0]["state"] == "fired"))
    });
    let fired = fired.await.unwrap();
    assert_eq!(fired[0]["planned_by"], format!("person {bob}"));
    assert_eq!(ctl(&["schedule", "list"]).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_and_reminders_are_made_by_words() {
    let playground = Playground::start().await;
    let (guild, bot) = playground.guild().await;
    let (channel, bob) = (guild.channel("general").unwrap(), guild.member("bob").unwrap());
    let mention = format!("<@{bot}>");
    let asked = format!("{mention} poll: pizza or pasta?");
    playground.ask(channel, bob, &asked).await;
    let poll = playground.message(channel, |message| message["poll"].is_object()).await;
    assert_eq!(poll["poll"]["question"]["text"], "Pizza or pasta?");
    assert_eq!(poll["poll"]["answers"].as_array().unwrap().len(), 2);

    let asked = format!("{mention} remind me in 2 seconds to look at the oven");
    let planned = playground.ask(channel, bob, &asked).await;
    assert!(planned.contains("remind you") && planned.contains("/schedule cancel"), "{planned}");
    let due = format!("⏰ <@{bob}>: look at the oven");
    let reminder = playground.message(channel, |message| message["content"] == due).await;
    assert_eq!(reminder["mentions"][0]["id"], bob);
}
