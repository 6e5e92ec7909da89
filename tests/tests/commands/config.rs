//! What a community is set to: by commands in Discord and by `ery ctl config`, in force at once.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use ery_tests::{Ery, eventually};

use crate::Stand;

impl Stand {
    async fn given(&self, who: &str, command: &str, options: &Value) -> String {
        let deed = json!({ "type": "command", "command": command, "options": options });
        self.told(who, &deed).await
    }

    async fn set(&self, who: &str, key: &str, value: &str, place: &str) -> String {
        let options = json!({ "key": key, "value": value, "where": place });
        self.given(who, "ery config set", &options).await
    }

    /// Returns what an operator is told who asks for what cannot be.
    async fn refused(&self, arguments: &[&str]) -> String {
        self.ended(arguments, 78).await
    }

    /// Runs `ery ctl config` as a person does, who reads tables, and returns all that it says.
    async fn ended(&self, arguments: &[&str], code: i32) -> String {
        self.ctl_ended(&[&["config"], arguments].concat(), code).await
    }

    async fn ctl_ended(&self, arguments: &[&str], code: i32) -> String {
        let data = self.folder.path().display().to_string();
        let begin = ["ctl", "--data-dir", &data];
        let arguments: Vec<&str> = begin.iter().chain(arguments).copied().collect();
        let mut ctl = Ery::start("ctl", &arguments, &[]).unwrap();
        let status = ctl.end(Duration::from_secs(20)).await.unwrap();
        assert_eq!(status.code(), Some(code), "{}", ctl.output());
        ctl.output()
    }

    /// Has somebody speak to Ery in #general, and returns whether she answers before the next one who
    /// speaks to her elsewhere is answered there.
    async fn is_answered(&self, who: &str) -> bool {
        let (here, there) = (self.channel("general"), self.channel("recipes"));
        let spoken = self.sim.say(here, self.member(who), "Ery, hello").await.unwrap();
        let after = self.sim.say(there, self.member("bob"), "Ery, hello").await.unwrap();
        let is_answered = async |channel: &str, message: u64| {
            let said = self.sim.messages(channel).await?;
            let to = message.to_string();
            let mut answers =
                said.iter().filter_map(|it| it["message_reference"]["message_id"].as_str());
            anyhow::Ok(answers.any(|answered| answered == to))
        };
        eventually("an answer elsewhere", Duration::from_secs(20), async || {
            Ok(is_answered(there, after).await?.then_some(()))
        })
        .await
        .unwrap();
        // What runs beside it may take as long once more.
        tokio::time::sleep(Duration::from_millis(300)).await;
        is_answered(here, spoken).await.unwrap()
    }

    /// Has somebody speak to Ery, and returns whether she answers within a second.
    async fn is_answered_at_all(&self) -> bool {
        let here = self.channel("general");
        let spoken = self.sim.say(here, self.member("alice"), "Ery, hello").await.unwrap();
        let spoken = spoken.to_string();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let said = self.sim.messages(here).await.unwrap();
        said.iter().any(|it| it["message_reference"]["message_id"] == spoken.as_str())
    }

    /// Has somebody speak to Ery, and waits until she has turned that away.
    async fn is_turned_away(&self, who: &str) {
        let here = self.channel("general");
        let spoken = self.sim.say(here, self.member(who), "Ery, hello").await.unwrap().to_string();
        let data = self.folder.path().display().to_string();
        let arguments = ["ctl", "--json", "--data-dir", &data, "threads", "why", &spoken];
        let turned_away = eventually("a refusal", Duration::from_secs(20), async || {
            let mut ctl = Ery::start("ctl", &arguments, &[])?;
            ctl.end(Duration::from_secs(20)).await?;
            Ok(ctl.stdout().contains("\"turned_away\"").then_some(()))
        });
        turned_away.await.unwrap();
    }

    /// Returns a value and where it comes from, as an operator sees it.
    async fn value(&self, key: &str) -> (Value, String) {
        let found = self
            .ctl(&[
                "config",
                "get",
                key,
                "--guild",
                &self.guild.id,
                "--channel",
                self.channel("general"),
            ])
            .await;
        (found[0]["value"].clone(), found[0]["origin"].as_str().unwrap().to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_sets_what_holds_at_once_and_can_take_it_back() {
    let stand = Stand::start(&[]).await;
    for who in ["alice", "theo"] {
        let refused = stand.set(who, "gate.engage", "off", "server").await;
        assert!(refused.contains("Manage server"), "{who}: {refused}");
    }
    let wrong = stand.set("mara", "gate.engage", "loud", "server").await;
    assert!(wrong.contains("one of off, listen, addressed, every_message"), "{wrong}");
    let unknown = stand.set("mara", "gate.engag", "off", "server").await;
    assert!(unknown.contains("did you mean `gate.engage`?"), "{unknown}");
    assert!(stand.is_answered("alice").await);

    let changed = stand.set("mara", "gate.engage", "listen", "channel").await;
    assert!(changed.contains("version 1") && changed.contains("gate.engage"), "{changed}");
    assert!(!stand.is_answered("alice").await);
    assert_eq!(stand.value("gate.engage").await, (json!("listen"), "channel".to_owned()));
    let shown = stand.given("mara", "ery config get", &json!({ "key": "gate.engage" })).await;
    assert!(shown.contains("listen") && shown.contains("for this channel"), "{shown}");

    // What holds for oneself everybody may read, and nothing else.
    let own = stand.given("alice", "ery config get", &json!({ "key": "gate.ignore_me" })).await;
    assert!(own.contains("`gate.ignore_me`") && !own.contains("Manage server"), "{own}");
    for options in [json!({ "key": "gate.engage" }), json!({})] {
        let refused = stand.given("alice", "ery config get", &options).await;
        assert!(refused.contains("Manage server"), "{refused}");
    }

    let back = stand.given("mara", "ery config rollback", &json!({ "version": 0 })).await;
    assert!(back.contains("version 2"), "{back}");
    assert!(stand.is_answered("alice").await);
    let history = stand.given("mara", "ery config history", &json!({})).await;
    assert!(history.contains("**2**") && history.contains("(back to version 0)"), "{history}");
    assert!(history.contains(&format!("<@{}>", stand.member("mara"))), "{history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moderator_pauses_and_a_member_is_left_alone() {
    let stand = Stand::start(&[]).await;
    let refused = stand.given("alice", "ery pause", &json!({})).await;
    assert!(refused.contains("Manage server"), "{refused}");
    let paused = stand.given("theo", "ery pause", &json!({ "where": "channel" })).await;
    assert!(paused.contains("paused in this channel"), "{paused}");
    assert!(!stand.is_answered("alice").await);
    let status = stand.given("alice", "ery status", &json!({})).await;
    assert!(status.contains("I am paused (for this channel)."), "{status}");
    let resumed = stand.given("theo", "ery resume", &json!({ "where": "channel" })).await;
    assert!(resumed.contains("at work"), "{resumed}");
    assert!(stand.is_answered("alice").await);
    // Who stops everything need not be who lets it go on.
    let paused = stand.given("theo", "ery pause", &json!({})).await;
    assert!(paused.contains("whole server"), "{paused}");
    // What members tell the staff goes through meanwhile.
    let bad =
        stand.sim.say(stand.channel("general"), stand.member("bob"), "buy coins").await.unwrap();
    let menu =
        json!({ "type": "command", "command": "Report message", "target_id": bad.to_string() });
    let opened = stand.begin("alice", &menu).await;
    let sent = json!({
        "type": "modal", "interaction_id": opened["id"], "fields": { "reason": "spam" },
    });
    let told = stand.told("alice", &sent).await;
    assert!(told.starts_with("Thank you."), "{told}");
    let refused = stand.given("theo", "ery resume", &json!({})).await;
    assert!(refused.contains("Manage server"), "{refused}");
    let resumed = stand.given("mara", "ery resume", &json!({})).await;
    assert!(resumed.contains("at work"), "{resumed}");

    let own = stand.set("alice", "gate.ignore_me", "yes", "me").await;
    assert!(own.contains("Changed"), "{own}");
    assert!(!stand.is_answered("alice").await);
    assert!(stand.is_answered("nils").await);
    let others = stand.set("alice", "gate.engage", "off", "me").await;
    assert!(others.contains("cannot be set by members for themselves"), "{others}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_let_change_config_but_not_who_may() {
    let stand = Stand::start(&[]).await;
    let world = stand.sim.get("/sim/v1/world").await.unwrap();
    let roles = world["guilds"][0]["roles"].as_array().unwrap();
    let member = roles.iter().find(|role| role["name"] == "Member").unwrap()["id"].clone();
    let give = json!({ "what": "config_admin", "role": member });
    let refused = stand.given("theo", "ery access give", &give).await;
    assert!(refused.contains("Manage server"), "{refused}");
    let given = stand.given("mara", "ery access give", &give).await;
    assert!(given.contains("access.config_admin"), "{given}");

    let changed = stand.set("alice", "context.messages", "5", "server").await;
    assert!(changed.contains("Changed"), "{changed}");
    for (key, value) in
        [("access.moderator", member.as_str().unwrap()), ("moderation.reports_channel", "42")]
    {
        let refused = stand.set("alice", key, value, "server").await;
        assert!(refused.contains("Manage server"), "{key}: {refused}");
    }
    for command in ["ery access take", "ery access give"] {
        let refused = stand.given("alice", command, &give).await;
        assert!(refused.contains("Manage server"), "{refused}");
    }
    let shown = stand.given("alice", "ery access show", &json!({})).await;
    assert!(shown.contains(&format!("<@&{}>", member.as_str().unwrap())), "{shown}");
    let taken = stand.given("mara", "ery access take", &give).await;
    assert!(taken.contains("Changed"), "{taken}");
    let refused = stand.set("alice", "context.messages", "6", "server").await;
    assert!(refused.contains("Manage server"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_exports_imports_and_sets_everything() {
    let stand = Stand::start(&[]).await;
    let guild = stand.guild.id.clone();
    let wrong = stand.refused(&["set", "context.messages", "900", "--guild", &guild]).await;
    assert!(wrong.contains("`context.messages` is 900, but must be a whole number from 0 to 200"));
    let no_guild = stand.refused(&["set", "gate.engage", "on", "--guild", &guild]).await;
    assert!(no_guild.contains("must be one of off, listen"), "{no_guild}");

    // Above the server, for all of them; the server's own stands before it.
    stand.ctl(&["config", "set", "gate.engage", "off"]).await;
    assert!(!stand.is_answered_at_all().await);
    stand.ctl(&["config", "set", "gate.engage", "addressed", "--guild", &guild]).await;
    assert!(stand.is_answered("alice").await);

    stand.ctl(&["config", "preset", "busy-community", "--guild", &guild]).await;
    assert_eq!(stand.value("context.messages").await.1, "default", "that only showed it");
    stand.ctl(&["config", "preset", "busy-community", "--guild", &guild, "--yes"]).await;
    assert_eq!(stand.value("context.messages").await, (json!(20), "server".to_owned()));

    let file = stand.folder.path().join("config.toml");
    let exported = stand.ctl_text(&["config", "export", "--guild", &guild]).await;
    fs::write(&file, &exported).unwrap();
    stand.ctl(&["config", "rollback", "0", "--guild", &guild]).await;
    assert_eq!(stand.value("context.messages").await.1, "default");
    let file = file.display().to_string();
    let import = ["config", "import", &file, "--guild", &guild, "--yes"];
    stand.ctl(&import).await;
    assert_eq!(stand.ctl_text(&["config", "export", "--guild", &guild]).await, exported);
    assert_eq!(stand.ctl(&import).await, json!([]), "it was so already");

    let above = stand.ctl(&["config", "set", "limits.steps", "50", "--guild", &guild]).await;
    assert_eq!(above[0]["held"], json!({ "value": 8, "origin": "default" }), "{above}");
    let there = ["reset", "context.nope", "--guild", &guild];
    assert!(stand.refused(&there).await.contains("there is no `context.nope`"));
    let both = ["set", "paused", "true", "--guild", &guild, "--channel", "5", "--user", "6"];
    assert!(stand.refused(&both).await.contains("give --channel or --user, not both"));

    // Whole numbers however they are written; a dry run says that it is one, and refuses as much.
    let general = stand.channel("general").to_owned();
    let text = json!({ "limits": { "steps": 5.0 }, "channels": { &general: { "paused": true } } });
    fs::write(&file, text.to_string().replace("5.0", "5e0")).unwrap();
    let dry = stand.ctl(&["config", "import", &file, "--guild", &guild]).await;
    assert!(dry.as_array().unwrap().iter().all(|it| it["is_made"] == false), "{dry}");
    assert_eq!(stand.ctl(&import).await[0]["is_made"], true);
    assert_eq!(stand.value("limits.steps").await, (json!(5), "server".to_owned()));
    assert_eq!(stand.value("paused").await.0, true);
    let nowhere = stand.refused(&["import", &file]).await;
    let named = format!("channel {general}, which belongs to a server");
    assert!(nowhere.contains(&named), "{nowhere}");

    let schema = stand.ctl(&["config", "schema"]).await;
    assert_eq!(schema["properties"]["gate"]["properties"]["answer_bots"]["type"], "boolean");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_names_roles_and_channels_that_the_server_has() {
    let stand = Stand::start(&[]).await;
    let (guild, bob) = (stand.guild.id.clone(), stand.member("bob").to_owned());
    let reports = ["set", "moderation.reports_channel", &bob, "--guild", &guild];
    let refused = stand.refused(&reports).await;
    assert!(refused.contains("but must be a channel of this server"), "{refused}");
    let file = stand.folder.path().join("config.toml");
    fs::write(&file, format!("[access]\nmoderator = [\"{bob}\"]\n")).unwrap();
    let file = file.display().to_string();
    let refused = stand.refused(&["import", &file, "--guild", &guild]).await;
    assert!(refused.contains("but must be a role of this server"), "{refused}");
    let elsewhere = ["set", "paused", "true", "--guild", &guild, "--channel", &bob];
    let refused = stand.refused(&elsewhere).await;
    assert!(refused.contains(&format!("`channels.{bob}`")), "{refused}");

    let staff = stand.channel("staff").to_owned();
    let set = ["config", "set", "moderation.reports_channel", &staff, "--guild", &guild];
    let made = stand.ctl(&set).await;
    assert_eq!((&made[0]["is_checked"], &made[0]["is_untold"]), (&json!(true), &Value::Null));
    stand.sim.delete(&format!("/sim/v1/channels/{staff}")).await.unwrap();
    let key = ["config", "get", "moderation.reports_channel", "--guild", &guild];
    let gone = eventually("the channel to be gone", Duration::from_secs(20), async || {
        let found = stand.ctl(&key).await;
        Ok((found[0]["gone"] == json!([staff])).then_some(()))
    });
    gone.await.unwrap();
    // What was set stands, and an export brings it back.
    let exported = stand.ctl_text(&["config", "export", "--guild", &guild]).await;
    assert!(exported.contains(&staff), "{exported}");
    fs::write(&file, exported).unwrap();
    let same = stand.ctl(&["config", "import", &file, "--guild", &guild, "--yes"]).await;
    assert_eq!(same, json!([]));

    // A server that Discord does not tell of is set all the same, and where its id stands is said.
    let unseen = ["config", "set", "access.moderator", "77", "--guild", "4194304001"];
    assert_eq!(stand.ctl(&unseen).await[0]["is_checked"], false);
    let guild_there = "4194304001";
    let here = ["--guild", guild_there, "--user", &bob, "--channel", &bob];
    for asked in [
        ["config", "get", "paused", "--guild", guild_there].as_slice(),
        &["config", "set", "paused", "true", "--guild", guild_there],
        &["config", "set", "access.moderator", "78", "--guild", guild_there],
        &["config", "history", "--guild", guild_there],
        &[["mcp", "create"].as_slice(), &here].concat(),
    ] {
        let said = stand.ctl_ended(asked, 0).await;
        let hints = said.matches("Ery is in no server with the id 4194304001").count();
        assert_eq!((hints, said.matches("Copy Server ID").count()), (1, 1), "{said}");
    }
    let seen = stand.ended(&["get", "paused", "--guild", &guild], 0).await;
    assert!(!seen.contains("Ery is in no server"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_may_mention_what_is_of_the_kind_that_a_key_takes() {
    let stand = Stand::start(&[]).await;
    let (guild, staff) = (stand.guild.id.clone(), stand.channel("staff").to_owned());
    let roles = &stand.guild.roles;
    let role = roles.iter().find(|role| role["name"] == "Member").unwrap()["id"].as_str().unwrap();
    let file = stand.folder.path().join("config.toml");
    let text = format!(
        "gate.roles.\"<@&{role}>\" = \"off\"\naccess.moderator = [\"<@&{role}>\"]\n\
         moderation.reports_channel = \"<#{staff}>\"\n"
    );
    fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    stand.ctl(&["config", "import", &file, "--guild", &guild, "--yes"]).await;
    assert_eq!(stand.value("moderation.reports_channel").await.0, staff.as_str());
    assert_eq!(stand.value("access.moderator").await.0, json!([role]));
    let of_role = format!("gate.roles.<@&{role}>");
    let found = stand.ctl(&["config", "get", &of_role, "--guild", &guild]).await;
    assert_eq!(found[0]["value"], "off", "{found}");
    stand.ctl(&["config", "reset", &of_role, "--guild", &guild]).await;

    let other = format!("<#{staff}>");
    let refused = stand.refused(&["set", "access.moderator", &other, "--guild", &guild]).await;
    assert!(refused.contains("a channel, but must name a role"), "{refused}");
    let refused = stand.set("mara", "access.moderator", &other, "server").await;
    assert!(refused.contains(&format!("cannot name {other}: it must name a role")), "{refused}");
    fs::write(&file, format!("access.moderator = [\"{other}\"]\n")).unwrap();
    let refused = stand.refused(&["import", &file, "--guild", &guild]).await;
    assert!(refused.contains("a channel, but must name a role"), "{refused}");

    let refused = stand.refused(&["set", "limits.steps", "-5", "--guild", &guild]).await;
    assert!(refused.contains("`limits.steps` is \"-5\", but must be a whole number"), "{refused}");
    let refused = stand.refused(&["set", "budgets.server.day_usd", "NaN"]).await;
    assert!(refused.contains("is \"NaN\", but must be an amount in dollars"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_reads_what_is_wrong_in_one_shape() {
    let stand = Stand::start(&[]).await;
    let data = stand.folder.path().display().to_string();
    let nowhere = tempfile::tempdir().unwrap();
    let nowhere = nowhere.path().display().to_string();
    let wrong = ["config", "set", "context.messages", "900"].as_slice();
    for (data, arguments, kind, code) in [
        (&data, wrong, "invalid", 78),
        (&data, ["config", "sat"].as_slice(), "usage", 2),
        (&data, ["threads", "show", "nobody"].as_slice(), "failed", 70),
        (&nowhere, wrong, "unavailable", 69),
    ] {
        let begin = ["ctl", "--json", "--data-dir", data];
        let arguments: Vec<&str> = begin.iter().chain(arguments).copied().collect();
        let mut ctl = Ery::start("ctl", &arguments, &[]).unwrap();
        let status = ctl.end(Duration::from_secs(20)).await.unwrap();
        assert_eq!(status.code(), Some(code), "{}", ctl.output());
        assert_eq!(ctl.stdout(), "");
        let told: Value = serde_json::from_str(&ctl.stderr()).unwrap();
        let error = &told["error"];
        assert_eq!((&error["kind"], &error["exit_code"]), (&json!(kind), &json!(code)), "{told}");
        assert!(error["message"].as_str().is_some_and(|it| !it.is_empty()), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_file_is_watched_and_says_what_takes_a_restart() {
    let settings = tempfile::NamedTempFile::new().unwrap();
    let write = |text: &str| fs::write(settings.path(), text).unwrap();
    write("[telemetry]\nlog = \"info\"\n");
    let path = settings.path().display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let arguments = [
        "--settings",
        &path,
        "--data-dir",
        &data,
        "playground",
        "--listen",
        "127.0.0.1:0",
        "--sim-listen",
        "127.0.0.1:0",
    ];
    let logged = [("ERY_TELEMETRY__LOG_FORMAT", "json")];
    let process = Ery::start("playground", &arguments, &logged).unwrap();
    let mut stand = Stand::of(process, folder).await;
    assert!(stand.is_answered("alice").await);

    write(
        "[telemetry]\nlog = \"info\"\n[orchestrator]\nengage = \"off\"\nstore_timeout = \"7s\"\n",
    );
    let live =
        stand.process.line(|line| line.contains("and are in force").then(|| line.to_owned()));
    assert!(live.await.unwrap().contains("orchestrator.engage"));
    let later = stand.process.line(|line| line.contains("take a restart").then(|| line.to_owned()));
    assert!(later.await.unwrap().contains("orchestrator.store_timeout"));
    stand.is_turned_away("alice").await;

    // Which logs are written is changed at once; a filter that is none changes nothing.
    write(
        "[telemetry]\nlog = \"debug\"\n[orchestrator]\nengage = \"off\"\nstore_timeout = \"7s\"\n",
    );
    let live = stand.process.line(|line| line.contains("telemetry.log").then(|| line.to_owned()));
    assert!(live.await.unwrap().contains("and are in force"));
    let debug = stand.process.line(|line| line.contains("\"DEBUG\"").then(|| line.to_owned()));
    debug.await.unwrap();
    write(
        "[telemetry]\nlog = \"info\"\n[orchestrator]\nengage = \"off\"\nstore_timeout = \"7s\"\n",
    );
    let back = eventually("both changes", Duration::from_secs(20), async || {
        let told = stand.process.output().matches("\"keys\":\"telemetry.log\"").count();
        Ok((told == 2).then_some(()))
    });
    back.await.unwrap();
    write("[telemetry]\nlog = \"ery=loudly\"\n");
    let wrong = stand.process.line(|line| line.contains("ery=loudly").then(|| line.to_owned()));
    assert!(wrong.await.unwrap().contains("cannot be used"));

    write("[telemetry]\nlog = \"info\"\n[orchestrator]\nengage = \"loud\"\n");
    let is_about_it =
        |line: &str| line.contains("cannot be used") && line.contains("orchestrator.engage");
    stand.process.line(|line| is_about_it(line).then_some(())).await.unwrap();
    // What was in force stays.
    stand.is_turned_away("alice").await;
}
