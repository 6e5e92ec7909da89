//! Commands, buttons and forms, as people use them, through the whole of `ery playground`.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "commands/own_data.rs"]
mod own_data;

#[path = "commands/choosing.rs"]
mod choosing;
#[path = "commands/config.rs"]
mod config;
#[path = "commands/greeting.rs"]
mod greeting;
#[path = "commands/pages.rs"]
mod pages;

use std::time::Duration;

use serde_json::{Value, json};

use ery_tests::{ContractKept, Ery, Guild, LogEntry, ScriptedModel, Sim, eventually};

/// A flag of messages that one person alone sees.
const EPHEMERAL: u64 = 64;
/// A flag of answers that are still to come.
const LOADING: u64 = 128;

struct Stand {
    /// First, so that the run is judged while the simulator still runs.
    _contract: ContractKept,
    process: Ery,
    sim: Sim,
    guild: Guild,
    folder: tempfile::TempDir,
}

impl Stand {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Ery::start_playground(Some(folder.path()), variables).unwrap();
        Self::of(process, folder).await
    }

    /// Waits for a playground that was started.
    async fn of(mut process: Ery, folder: tempfile::TempDir) -> Self {
        let sim = Sim::new(&process.line_after("The simulated Discord is at").await.unwrap());
        let contract = ContractKept::watch(&sim).await.unwrap();
        let guild = sim.world().await.unwrap().guilds.into_iter().next().unwrap();
        let stand = Self { _contract: contract, process, sim, guild, folder };
        let registered = eventually("the commands", Duration::from_secs(20), async || {
            let world = stand.sim.world().await?;
            let commands = world.bots[0]["commands"].as_array().map_or(0, Vec::len);
            Ok((commands > 0).then_some(()))
        });
        registered.await.unwrap();
        stand
    }

    fn channel(&self, name: &str) -> &str {
        self.guild.channel(name).unwrap()
    }

    fn member(&self, name: &str) -> &str {
        self.guild.member(name).unwrap()
    }

    /// Lets somebody do something to which Ery answers, and waits for the first answer.
    async fn begin(&self, who: &str, deed: &Value) -> Value {
        let mut body = json!({
            "user_id": self.member(who), "channel_id": self.channel("general"), "wait": true,
        });
        body.as_object_mut().unwrap().extend(deed.as_object().unwrap().clone());
        self.sim.post("/sim/v1/interactions", &body).await.unwrap()
    }

    /// Lets somebody do something, and returns what they alone are told in the end.
    async fn told(&self, who: &str, deed: &Value) -> String {
        let begun = self.begin(who, deed).await;
        self.end_of(&begun).await["content"].as_str().unwrap().to_owned()
    }

    /// Returns the message by which an interaction was answered, once it says something.
    async fn end_of(&self, begun: &Value) -> Value {
        let path = format!("/sim/v1/interactions/{}", begun["id"].as_str().unwrap());
        let answered = eventually("an answer", Duration::from_secs(20), async || {
            let interaction = self.sim.get(&path).await?;
            let message = &interaction["response"]["message"];
            let flags = message["flags"].as_u64().unwrap_or(0);
            assert_eq!(flags & EPHEMERAL, EPHEMERAL, "{interaction}");
            Ok((flags & LOADING == 0).then(|| message.clone()))
        });
        match answered.await {
            Ok(message) => message,
            Err(error) => panic!("{error}\n{}", self.process.output()),
        }
    }

    async fn ctl_text(&self, arguments: &[&str]) -> String {
        let data = self.folder.path().display().to_string();
        let begin = ["ctl", "--json", "--data-dir", &data];
        let arguments: Vec<&str> = begin.iter().chain(arguments).copied().collect();
        let mut ctl = Ery::start("ctl", &arguments, &[]).unwrap();
        let status = ctl.end(Duration::from_secs(20)).await.unwrap();
        assert!(status.success(), "{}", ctl.output());
        ctl.stdout()
    }

    async fn ctl(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ctl_text(arguments).await).unwrap()
    }

    async fn executions(&self, tool: &str) -> Vec<Value> {
        let all = self.ctl(&["executions", "list", "--limit", "100"]).await;
        let of = |it: &&Value| it["tool"] == tool;
        all.as_array().unwrap().iter().filter(of).cloned().collect()
    }

    /// Starts it with a model that plans a reminder for whoever speaks to it.
    async fn start_planning(what: &str) -> (Self, ScriptedModel) {
        let plan = json!({
            "tool": "send_message", "arguments": { "content": what }, "in_seconds": 7200,
        });
        let model = ScriptedModel::start("schedule_action", plan).await.unwrap();
        let stand = Self::start(&[
            ("ERY_AI__PROVIDER", "openai"),
            ("ERY_AI__BASE_URL", model.base_url()),
            ("ERY_AI__MODEL", "m"),
        ])
        .await;
        (stand, model)
    }

    /// Has somebody speak to Ery, and waits until what she is to do is planned.
    async fn plan(&self, who: &str, channel: &str) -> String {
        self.sim.say(channel, who, "Ery, remind us").await.unwrap();
        eventually("a plan", Duration::from_secs(20), async || {
            let plans = self.ctl(&["schedule", "list"]).await;
            Ok(plans[0]["id"].as_str().map(str::to_owned))
        })
        .await
        .unwrap()
    }
}

fn list() -> Value {
    json!({ "type": "command", "command": "schedule list" })
}

fn cancel(what: &str) -> Value {
    json!({ "type": "command", "command": "schedule cancel", "options": { "what": what } })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planned_is_listed_completed_and_cancelled_by_whoever_may() {
    let (stand, _model) = Stand::start_planning("water the plants").await;
    let plan = stand.plan(stand.member("bob"), stand.channel("general")).await;

    // The planner sees it, a moderator too, others do not; nobody else is told.
    let own = stand.told("bob", &list()).await;
    assert!(own.contains("water the plants") && own.contains(&plan), "{own}");
    assert!(stand.told("theo", &list()).await.contains("water the plants"));
    assert_eq!(stand.told("alice", &list()).await, "Nothing is planned that you can see.");
    let said = stand.sim.messages(stand.channel("general")).await.unwrap();
    assert!(said.iter().all(|it| !it["content"].to_string().contains("is planned:")));

    let typed = |who: &'static str, text: &'static str| {
        let deed = json!({
            "type": "autocomplete", "command": "schedule cancel", "focused": "what",
            "options": { "what": text },
        });
        async move { (who, deed) }
    };
    for (who, text, found) in [("bob", "PLANTS", 1), ("bob", "cats", 0), ("alice", "", 0)] {
        let (who, deed) = typed(who, text).await;
        let answer = stand.begin(who, &deed).await;
        let choices = answer["response"]["choices"].as_array().unwrap();
        assert_eq!(choices.len(), found, "{who} {text}: {answer}");
        assert!(choices.iter().all(|choice| choice["value"] == plan.as_str()));
    }

    let refused = stand.told("alice", &cancel(&plan)).await;
    assert!(refused.starts_with("I did not do that."), "{refused}");
    assert_eq!(stand.ctl(&["schedule", "list"]).await.as_array().unwrap().len(), 1);

    // By the button beneath the list, in German.
    let mut listed = list();
    listed["locale"] = json!("de");
    let begun = stand.begin("bob", &listed).await;
    let message = stand.end_of(&begun).await;
    assert!(message["content"].as_str().unwrap().starts_with("Eine Handlung ist geplant:"));
    let custom_id = message["components"][0]["components"][0]["custom_id"].clone();
    let press = json!({
        "type": "button", "message_id": message["id"], "custom_id": custom_id, "locale": "de",
    });
    let said = stand.told("bob", &press).await;
    assert_eq!(said, "`send_message` ist nicht mehr geplant.");
    assert!(stand.ctl(&["schedule", "list"]).await.as_array().unwrap().is_empty());
    // Once more it is said to be over; each attempt stands in the audit.
    assert!(stand.told("bob", &cancel(&plan)).await.contains("Nothing of that id is planned"));
    let audit = stand.executions("schedule_action").await;
    let cancelled = audit.iter().find(|it| it["arguments"]["action"] == "cancel").unwrap();
    assert_eq!(cancelled["principal"], format!("person {}", stand.member("bob")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_channel_that_a_moderator_cannot_see_is_not_listed_for_them() {
    let (stand, _model) = Stand::start_planning("count the money").await;
    let ery = stand.sim.world().await.unwrap().bots[0]["id"].clone();
    let channel = json!({
        "guild_id": stand.guild.id, "name": "owners", "type": 0,
        "permission_overwrites": [
            { "id": stand.guild.id, "type": 0, "deny": "1024", "allow": "0" },
            { "id": ery, "type": 1, "deny": "0", "allow": "1024" },
        ],
    });
    let hidden = stand.sim.post("/sim/v1/channels", &channel).await.unwrap();
    stand.plan(&stand.guild.owner_id, hidden["id"].as_str().unwrap()).await;
    let told = stand.told("theo", &list()).await;
    assert!(!told.contains("count the money"), "{told}");
    assert!(stand.told("mara", &list()).await.contains("count the money"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_is_given_by_a_command_or_a_form_by_whoever_may_and_once() {
    let stand = Stand::start(&[]).await;
    let bob = stand.member("bob").to_owned();
    let warn = json!({
        "type": "command", "command": "warn",
        "options": { "member": bob, "reason": "shouting", "notice": "none" },
    });
    let said = stand.told("theo", &warn).await;
    assert_eq!(said, format!("<@{bob}> is warned. They were not told."));

    // An administrator showed the command to everybody: the rights are those of Discord all the same.
    let world = stand.sim.world().await.unwrap();
    let commands = world.bots[0]["commands"].as_array().unwrap().clone();
    let command = commands.iter().find(|it| it["name"] == "warn").unwrap()["id"].clone();
    let path =
        format!("/sim/v1/command-permissions/{}/{}", stand.guild.id, command.as_str().unwrap());
    let everybody =
        json!({ "permissions": [{ "id": stand.guild.id, "type": 1, "permission": true }] });
    stand.sim.put(&path, &everybody).await.unwrap();
    let refused = stand.told("alice", &warn).await;
    assert!(refused.starts_with("I did not do that."), "{refused}");

    let menu = json!({ "type": "command", "command": "Warn…", "target_id": bob });
    let opened = stand.begin("theo", &menu).await;
    assert_eq!(opened["response"]["type"], 9, "{opened}");
    let sent = json!({
        "type": "modal", "interaction_id": opened["id"], "fields": { "reason": "and again" },
    });
    let said = stand.told("theo", &sent).await;
    assert!(said.contains("told in this channel"), "{said}");

    let audit = stand.executions("warn_member").await;
    let by = |state: &str| audit.iter().filter(|it| it["state"] == state).count();
    assert_eq!((by("done"), by("denied")), (2, 1), "{audit:?}");
    let theo = format!("person {}", stand.member("theo"));
    let done: Vec<_> = audit.iter().filter(|it| it["state"] == "done").collect();
    assert!(done.iter().all(|it| it["principal"] == theo.as_str() && it["is_ordered"] == true));
    let said = stand.sim.messages(stand.channel("general")).await.unwrap();
    let warnings = said.iter().filter(|it| it["content"].to_string().contains("you are warned"));
    assert_eq!(warnings.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_answered_while_the_channels_thread_waits_for_its_model() {
    // A model that never answers: a listener that nobody serves.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", silent.local_addr().unwrap());
    let stand = Stand::start(&[
        ("ERY_AI__PROVIDER", "openai"),
        ("ERY_AI__BASE_URL", &base_url),
        ("ERY_AI__MODEL", "m"),
    ])
    .await;
    let general = stand.channel("general");
    stand.sim.say(general, stand.member("bob"), "@Ery think about it").await.unwrap();
    let _asked = silent.accept().await.unwrap();

    let said = stand.told("bob", &list()).await;
    assert_eq!(said, "Nothing is planned that you can see.");
}

/// Orders something to go wrong once with the next interaction on its way to Ery.
async fn disturb(stand: &Stand, fault: Value) {
    let mut order = json!({ "route": "GATEWAY INTERACTION_CREATE", "count": 1 });
    order.as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
    stand.sim.post("/sim/v1/faults", &order).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_comes_twice_acts_once_and_one_that_comes_late_not_at_all() {
    let stand = Stand::start(&[]).await;
    let bob = stand.member("bob").to_owned();
    let warn = |reason: &str| {
        json!({
            "type": "command", "command": "warn",
            "options": { "member": bob, "reason": reason },
        })
    };
    disturb(&stand, json!({ "kind": "duplicate" })).await;
    let said = stand.told("theo", &warn("twice")).await;
    assert!(said.contains("told in this channel"), "{said}");

    // Discord has told theo by then that Ery did not answer.
    disturb(&stand, json!({ "kind": "delay", "delay_ms": 3_500 })).await;
    let late = stand.begin("theo", &warn("late")).await;
    assert_eq!(late["state"], "expired", "{late}");
    let refused = eventually("the late answer's refusal", Duration::from_secs(20), async || {
        let log = stand.sim.log(0).await?;
        let path = format!("/interactions/{}/", late["id"].as_str().unwrap());
        let tried = log.iter().filter(|it| it.path.contains(&path)).count();
        Ok((tried > 0).then_some(()))
    });
    refused.await.unwrap();
    // What comes after shows that it is not tried again.
    assert!(stand.told("theo", &warn("after")).await.contains("is warned"));

    let log = stand.sim.log(0).await.unwrap();
    let path = format!("/interactions/{}/", late["id"].as_str().unwrap());
    assert_eq!(log.iter().filter(|it| it.path.contains(&path)).count(), 1);
    let warnings = stand.executions("warn_member").await;
    let reasons: Vec<_> = warnings.iter().map(|it| it["arguments"]["reason"].clone()).collect();
    assert_eq!(reasons, ["after", "twice"]);
    let said = stand.sim.messages(stand.channel("general")).await.unwrap();
    let told = said.iter().filter(|it| it["content"].to_string().contains("you are warned"));
    assert_eq!(told.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_person_was_told_is_no_part_of_what_a_model_reads() {
    let (stand, model) = Stand::start_planning("feed the cat").await;
    stand.plan(stand.member("bob"), stand.channel("general")).await;
    let told = stand.told("bob", &list()).await;
    assert!(told.contains("is planned:"), "{told}");
    let asked = model.requests().len();
    let (general, alice) = (stand.channel("general"), stand.member("alice"));
    stand.sim.say(general, alice, "Ery, what did I miss?").await.unwrap();
    let request = eventually("the model's turn", Duration::from_secs(20), async || {
        Ok(model.requests().get(asked).map(Value::to_string))
    })
    .await
    .unwrap();
    assert!(request.contains("remind us") && !request.contains("is planned:"), "{request}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_registered_once_and_unknown_ones_go() {
    let stand = Stand::start(&[]).await;
    let writes = async || {
        let log = stand.sim.log(0).await.unwrap();
        log.iter().filter(|it| it.method == "PUT" && it.path.ends_with("/commands")).count()
    };
    let reads = async || {
        let log = stand.sim.log(0).await.unwrap();
        let is_read = |it: &&LogEntry| it.method == "GET" && it.path.contains("/commands");
        log.iter().filter(is_read).count()
    };
    assert_eq!(writes().await, 1);
    // Read at the start, and when the first session began.
    eventually("both readings", Duration::from_secs(20), async || {
        Ok((reads().await >= 2).then_some(()))
    })
    .await
    .unwrap();
    let before = reads().await;
    // A new session finds them as they are to be.
    stand.sim.post("/sim/v1/gateway", &json!({ "do": "invalid" })).await.unwrap();
    let read_again = eventually("the list to be read anew", Duration::from_secs(30), async || {
        Ok((reads().await > before).then_some(()))
    });
    read_again.await.unwrap();
    stand.told("bob", &list()).await;
    assert_eq!(writes().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_a_silence_and_a_refusal_are_explained_to_whom_they_concern() {
    let stand = Stand::start(&[]).await;
    let general = stand.channel("general");
    let asked = stand.sim.say(general, stand.member("alice"), "@Ery timeout @bob for 10 minutes");
    let asked = asked.await.unwrap().to_string();
    let reply = eventually("a reply", Duration::from_secs(20), async || {
        let messages = stand.sim.messages(general).await?;
        Ok(messages.into_iter().find(|it| it["message_reference"]["message_id"] == asked))
    });
    let reply = reply.await.unwrap()["id"].as_str().unwrap().to_owned();

    // The last request in the channel, the message itself, and Ery's reply: all are that thread.
    let by_menu =
        |id: &str| json!({ "type": "command", "command": "Explain this", "target_id": id });
    let by_link = |id: &str| {
        let link = format!("https://discord.com/channels/{}/{general}/{id}", stand.guild.id);
        json!({ "type": "command", "command": "why", "options": { "message": link } })
    };
    let last = json!({ "type": "command", "command": "why" });
    for deed in [last.clone(), by_menu(&asked), by_menu(&reply), by_link(&reply)] {
        let told = eventually("the whole thread", Duration::from_secs(20), async || {
            let told = stand.told("alice", &deed).await;
            Ok(told.contains("Then I answered.").then_some(told))
        });
        let told = told.await.unwrap();
        assert!(told.contains("`timeout_member`: denied"), "{told}");
        assert!(told.contains("MODERATE_MEMBERS"), "{told}");
    }
    // Staff of the channel may know; another member is told what one is told of nothing.
    assert!(stand.told("theo", &by_menu(&reply)).await.contains("Then I answered."));
    let unknown = "I know no such message that I may explain to you.";
    assert_eq!(stand.told("bob", &by_menu(&reply)).await, unknown);
    assert_eq!(stand.told("bob", &by_link("1")).await, unknown);

    let aside = stand.sim.say(general, stand.member("bob"), "nice weather").await.unwrap();
    let aside = aside.to_string();
    let told = eventually("the message", Duration::from_secs(20), async || {
        let told = stand.told("bob", &by_menu(&aside)).await;
        Ok((told != unknown).then_some(told))
    });
    assert!(told.await.unwrap().contains("It was not addressed to me"));

    let sent = stand.ctl(&["threads", "why", &reply]).await;
    assert_eq!((&sent["part"], &sent["is_own"]), (&json!("sent"), &json!(true)));
    assert!(sent["thread"]["steps"].as_array().is_some_and(|steps| !steps.is_empty()));
    let link = format!("https://discord.com/channels/{}/{general}/{aside}", stand.guild.id);
    let turned_away = stand.ctl(&["threads", "why", &link]).await;
    assert_eq!(turned_away["part"], "turned_away");
    assert_eq!(turned_away["gate_reason"], "not_addressed");

    // In a direct message there was nothing yet.
    let alice = stand.member("alice");
    let dm = stand.sim.post("/sim/v1/dms", &json!({ "user_id": alice })).await.unwrap();
    let mut in_dm = last;
    in_dm["channel_id"] = dm["id"].clone();
    let told = stand.told("alice", &in_dm).await;
    assert_eq!(told, "You have not had me at work here lately.");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_moderation_log_is_read_by_those_who_moderate() {
    let stand = Stand::start(&[]).await;
    let bob = stand.member("bob").to_owned();
    let warn = json!({
        "type": "command", "command": "warn",
        "options": { "member": bob, "reason": "shouting", "notice": "none" },
    });
    stand.told("theo", &warn).await;
    let list =
        |options: Value| json!({ "type": "command", "command": "case list", "options": options });
    let told = stand.told("theo", &list(json!({}))).await;
    assert!(told.contains("`warn_member`") && told.contains("`shouting`"), "{told}");
    assert_eq!(told, stand.told("theo", &list(json!({ "member": bob }))).await);
    let nobody = stand.told("theo", &list(json!({ "member": stand.member("alice") }))).await;
    assert_eq!(nobody, "Nothing of that kind is recorded.");
    let number: u64 = told[1..told.find(' ').unwrap()].parse().unwrap();
    let show = |number: u64| json!({ "type": "command", "command": "case show", "options": { "number": number } });
    let whole = stand.told("theo", &show(number)).await;
    assert!(whole.contains("Recorded as `e/in."), "{whole}");
    let none = stand.told("theo", &show(number + 1)).await;
    assert_eq!(none, "There is no case of that number here.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_goes_to_the_staff_where_the_channel_that_is_set_is_gone() {
    let stand = Stand::start(&[]).await;
    let reports = json!({ "guild_id": stand.guild.id, "name": "reports", "type": 0 });
    let reports = stand.sim.post("/sim/v1/channels", &reports).await.unwrap();
    let reports = reports["id"].as_str().unwrap().to_owned();
    let key = "moderation.reports_channel";
    let made = stand.ctl(&["config", "set", key, &reports, "--guild", &stand.guild.id]).await;
    assert_eq!(made[0]["is_checked"], true);
    stand.sim.delete(&format!("/sim/v1/channels/{reports}")).await.unwrap();
    let gone = eventually("the channel to be gone", Duration::from_secs(20), async || {
        let found = stand.ctl(&["config", "get", key, "--guild", &stand.guild.id]).await;
        Ok((found[0]["gone"] == json!([reports])).then_some(()))
    });
    gone.await.unwrap();

    let bad = stand.sim.say(stand.channel("general"), stand.member("bob"), "buy my coins").await;
    let menu = json!({
        "type": "command", "command": "Report message", "target_id": bad.unwrap().to_string(),
    });
    let opened = stand.begin("alice", &menu).await;
    let sent = json!({
        "type": "modal", "interaction_id": opened["id"], "fields": { "reason": "spam" },
    });
    assert!(stand.told("alice", &sent).await.starts_with("Thank you."));
    let told = stand.sim.messages(stand.channel("staff")).await.unwrap();
    let report = told.iter().find(|it| it["author"]["bot"] == true).unwrap();
    let content = report["content"].as_str().unwrap();
    assert!(content.contains("`spam`"), "{content}");
    assert!(content.contains("set for reports is not there any more"), "{content}");

    // Where nobody could be told, nobody is asked why.
    stand.sim.delete(&format!("/sim/v1/channels/{}", stand.channel("staff"))).await.unwrap();
    let refused = eventually("a refusal", Duration::from_secs(20), async || {
        let answer = stand.begin("alice", &menu).await["response"].clone();
        let said = answer["message"]["content"].as_str().unwrap_or_default();
        Ok(said.contains("no channel for its staff").then_some(()))
    });
    refused.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_has_a_models_view_below_it_where_that_is_set() {
    let model = ScriptedModel::start_with(Vec::new()).await.unwrap();
    let stand = Stand::start(&[
        ("ERY_AI__PROVIDER", "openai"),
        ("ERY_AI__BASE_URL", model.base_url()),
        ("ERY_AI__MODEL", "scripted"),
    ])
    .await;
    let general = stand.channel("general");
    let report = async |text: &str| {
        let bad = stand.sim.say(general, stand.member("bob"), text).await.unwrap();
        let menu = json!({
            "type": "command", "command": "Report message", "target_id": bad.to_string(),
        });
        let opened = stand.begin("alice", &menu).await;
        let sent = json!({
            "type": "modal", "interaction_id": opened["id"], "fields": { "reason": "spam" },
        });
        assert!(stand.told("alice", &sent).await.starts_with("Thank you."));
    };
    let reports = async || {
        let told = stand.sim.messages(stand.channel("staff")).await.unwrap();
        let own = told.into_iter().filter(|it| it["author"]["bot"] == true);
        own.map(|it| it["content"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    report("buy my gold").await;
    let key = "moderation.verdicts_on_reports";
    stand.ctl(&["config", "set", key, "true", "--guild", &stand.guild.id]).await;
    report("buy my coins").await;
    let viewed = eventually("a view", Duration::from_secs(20), async || {
        let told = reports().await;
        Ok(told.iter().any(|it| it.contains("A model's view")).then_some(told))
    });
    let told = viewed.await.unwrap();
    let with_view: Vec<_> = told.iter().filter(|it| it.contains("A model's view")).collect();
    let [view] = with_view[..] else { panic!("{told:?}") };
    assert!(view.contains("buy my coins") && view.contains("`spam`"), "{view}");
    assert!(view.contains("not a decision: a scam") && view.contains("It sells coins."), "{view}");

    let [asked] = &model.requests()[..] else { panic!("{:?}", model.requests()) };
    assert!(asked["messages"].to_string().contains("buy my coins") && asked["tools"].is_null());
    let executions = stand.ctl(&["executions", "list", "--limit", "50"]).await;
    let keys: Vec<_> = executions.as_array().unwrap().iter().map(|it| &it["key"]).collect();
    let is_view = |key: &&&Value| key.as_str().unwrap().ends_with("/verdict/0");
    assert_eq!(keys.iter().filter(is_view).count(), 1, "{keys:?}");
    let usage = stand.ctl(&["usage"]).await;
    assert!(usage.to_string().contains("scripted"), "{usage}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_shown_to_the_staff_alone_and_once() {
    let stand = Stand::start(&[]).await;
    let general = stand.channel("general");
    let bad = stand.sim.say(general, stand.member("bob"), "buy my coins").await.unwrap();
    let reported = async || {
        let menu = json!({
            "type": "command", "command": "Report message", "target_id": bad.to_string(),
        });
        let opened = stand.begin("alice", &menu).await;
        assert_eq!(opened["response"]["type"], 9, "{opened}");
        let sent = json!({
            "type": "modal", "interaction_id": opened["id"], "fields": { "reason": "spam" },
        });
        stand.told("alice", &sent).await
    };
    assert!(reported().await.starts_with("Thank you."));
    assert!(reported().await.starts_with("Thank you."));
    let told = stand.sim.messages(stand.channel("staff")).await.unwrap();
    let own: Vec<&Value> = told.iter().filter(|it| it["author"]["bot"] == true).collect();
    let [report] = own.as_slice() else { panic!("{told:?}") };
    let content = report["content"].as_str().unwrap();
    for part in ["`spam`", "`buy my coins`", stand.member("alice"), &bad.to_string()] {
        assert!(content.contains(part), "{part}: {content}");
    }
    let log = stand.sim.log(0).await.unwrap();
    let sent = log.iter().find(|it| it.body["content"] == content).unwrap();
    assert_eq!(sent.body["allowed_mentions"]["parse"], json!([]));
    let said = stand.sim.messages(general).await.unwrap();
    assert!(said.iter().all(|it| !it["content"].to_string().contains("reports a message")));
}
