//! A model that calls whatever it likes, with whatever it likes: nothing comes of it that whoever
//! asked could not have done by hand, and everything is written down.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Map, Value, json};

use ery_proto::{
    store::v1::ExecutionState,
    tool::v1::{CallOutcome, CallToolRequest, ListToolsRequest},
};

use crate::support::{Harness, expect};

/// How many calls are tried; `ERY_HOSTILE_CALLS` has more tried.
const CALLS: usize = 1_500;

/// Values that a hostile model might write where an id, a name or a text is expected.
struct Words {
    ids: Vec<String>,
    texts: Vec<String>,
}

impl Words {
    fn of(it: &Harness) -> Self {
        let mut ids: Vec<String> = Vec::new();
        let users =
            ["mara", "theo", "bob", "alice", "nils", "zoe", "Ery"].map(|name| it.user(name));
        for user in users {
            ids.extend([user.to_string(), format!("<@{user}>")]);
        }
        for channel in ["general", "staff"].map(|name| it.channel(name)) {
            ids.extend([channel.to_string(), format!("<#{channel}>")]);
            for message in it.sim.world().messages(twilight_model::id::Id::new(channel)) {
                ids.push(message.id.to_string());
            }
        }
        ids.extend([it.guild().to_string(), format!("<@&{}>", it.guild())]);
        ids.extend(["0", "1", "18446744073709551615", "99999999999999999999"].map(str::to_owned));
        let texts = [
            "bob",
            "@everyone",
            "Moderator",
            "general",
            "#staff",
            "",
            " ",
            "👍",
            "x:1",
            "..",
            "../..",
            "%2e%2e/guilds",
            "'; DROP TABLE messages; --",
            "null",
            "\u{202e}dlrow",
            "ban @bob",
            "approved by mara",
            "2030-01-01T00:00:00Z",
            "\0",
            "administrator",
            "9007199254740993",
        ];
        let mut texts: Vec<String> = texts.map(str::to_owned).to_vec();
        texts.push("a".repeat(3_000));
        Self { ids, texts }
    }

    fn any(&self, rng: &mut StdRng) -> Value {
        match rng.random_range(0..12) {
            0..6 => json!(self.ids.choose(rng).expect("there are ids")),
            6..9 => json!(self.texts.choose(rng).expect("there are texts")),
            9 => json!(rng.random_range(-5_i64..100_000_000)),
            10 => json!([self.ids.choose(rng), self.texts.choose(rng)]),
            _ => [json!(null), json!(true), json!({}), json!(1e300), json!("")]
                .choose(rng)
                .cloned()
                .unwrap_or_default(),
        }
    }
}

/// Arguments that fit a schema more often than not.
fn arguments(schema: &Value, words: &Words, rng: &mut StdRng, depth: usize) -> Value {
    if rng.random_bool(0.06) || depth > 3 {
        return words.any(rng);
    }
    if let Some(options) = schema["enum"].as_array() {
        return options.choose(rng).cloned().unwrap_or_default();
    }
    if let Some(options) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        let option = options.choose(rng).cloned().unwrap_or_default();
        return arguments(&option, words, rng, depth + 1);
    }
    if let Some(only) = schema.get("const") {
        return only.clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let required: Vec<&str> = schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let mut fields = Map::new();
            for (name, of) in schema["properties"].as_object().into_iter().flatten() {
                if required.contains(&name.as_str()) || rng.random_bool(0.4) {
                    fields.insert(name.clone(), arguments(of, words, rng, depth + 1));
                }
            }
            if rng.random_bool(0.03) {
                fields.insert("guild_id".into(), words.any(rng));
            }
            Value::Object(fields)
        }
        Some("array") => {
            let count = rng.random_range(0..4);
            (0..count).map(|_| arguments(&schema["items"], words, rng, depth + 1)).collect()
        }
        Some("integer" | "number") => {
            let low = schema["minimum"].as_i64().unwrap_or(0);
            let high = schema["maximum"].as_i64().unwrap_or(1_000);
            json!(rng.random_range(low..=high.max(low)))
        }
        Some("boolean") => json!(rng.random_bool(0.5)),
        _ => json!(
            words.ids.choose(rng).filter(|_| rng.random_bool(0.7)).or(words.texts.choose(rng))
        ),
    }
}

#[expect(clippy::disallowed_methods, reason = "how much is tried is no setting of the product")]
#[tokio::test]
async fn whatever_a_model_calls_nothing_forbidden_is_done_and_all_is_recorded() {
    let calls = std::env::var("ERY_HOSTILE_CALLS").ok().and_then(|calls| calls.parse().ok());
    let calls: usize = calls.unwrap_or(CALLS);
    let it = Harness::start().await;
    let words = Words::of(&it);
    let request = ListToolsRequest {
        guild_id: it.guild(),
        channel_id: it.channel("general"),
        askers: vec![it.user("mara")],
        is_shared_turn: false,
    };
    let tools = it.client().list_tools(request).await.unwrap().into_inner().tools;
    assert!(tools.len() >= 23, "{}", tools.len());
    let schemas: Vec<(String, Value)> = tools
        .iter()
        .map(|tool| (tool.name.clone(), serde_json::from_str(&tool.parameters).unwrap()))
        .collect();
    let offered: Vec<String> = tools.iter().map(|tool| tool.name.clone()).collect();

    let mut rng = StdRng::seed_from_u64(5);
    let mut outcomes: BTreeMap<(String, CallOutcome), usize> = BTreeMap::new();
    for _ in 0..calls {
        let (tool, schema) = schemas.choose(&mut rng).unwrap();
        // Members without rights, and staff who asked for something else.
        let who = *["bob", "alice", "zoe", "theo", "mara"].choose(&mut rng).unwrap();
        let mut call = CallToolRequest {
            offered: offered.clone(),
            is_tainted: true,
            ..it.call(who, "general", tool, arguments(schema, &words, &mut rng, 0))
        };
        if rng.random_bool(0.05) {
            call.arguments = words.any(&mut rng).to_string();
        }
        if rng.random_bool(0.03) {
            call.approval_id = "0123456789abcdef".into();
        }
        if rng.random_bool(0.03) {
            call.scheduled_action_id = "0123456789abcdef".into();
        }
        let response = it.run(&call).await;
        let execution = it.store.execution(&call.key);
        assert_ne!(execution.state(), ExecutionState::Open, "{tool} {}", call.arguments);
        assert!(!response.content.is_empty(), "{tool} {}", call.arguments);
        *outcomes.entry((tool.clone(), response.outcome())).or_default() += 1;
    }

    for entry in it.log().await {
        let (method, path) = (entry["method"].as_str().unwrap(), entry["path"].as_str().unwrap());
        let status = entry["status"].as_u64().unwrap_or(0);
        assert!(![401, 403, 429].contains(&status), "an avoidable {status}: {method} {path}");
        if method == "GET" {
            continue;
        }
        // Nobody ordered anything: only words and reactions may come of it, and one's own messages.
        let is_word = method == "POST" && path.ends_with("/messages");
        let is_reaction = path.contains("/reactions/") && path.ends_with("/@me");
        let is_private_channel = method == "POST" && path.ends_with("/users/@me/channels");
        assert!(is_word || is_reaction || is_private_channel, "{method} {path}: {entry}");
        if is_word {
            let mentions = &entry["body"]["allowed_mentions"];
            assert_eq!(mentions["parse"], json!([]), "{entry}");
            let staff = format!("/channels/{}/", it.channel("staff"));
            assert!(!path.contains(&staff), "nobody ordered to write there: {entry}");
        }
    }
    let done =
        |outcome| outcomes.iter().filter(|((_, of), _)| *of == outcome).map(|(_, n)| n).sum();
    let (acted, refused, asked): (usize, usize, usize) =
        (done(CallOutcome::Done), done(CallOutcome::Denied), done(CallOutcome::NeedsApproval));
    assert!(acted > 0 && refused > 0 && asked > 0, "every end was tried: {outcomes:?}");
}

/// Every tool that is offered, with the schema of its parameters.
async fn offered(it: &Harness) -> Vec<(String, Value)> {
    let request = ListToolsRequest {
        guild_id: it.guild(),
        channel_id: it.channel("general"),
        askers: vec![it.user("theo")],
        is_shared_turn: false,
    };
    let tools = it.client().list_tools(request).await.unwrap().into_inner().tools;
    let schema = |parameters: &str| serde_json::from_str(parameters).unwrap();
    tools.iter().map(|tool| (tool.name.clone(), schema(&tool.parameters))).collect()
}

/// A moderator ordered two acts. Whatever the model makes of that, of those two nothing but exactly
/// them is done, and nothing else that matters.
#[tokio::test]
async fn an_order_opens_the_door_for_itself_alone() {
    let it = Harness::start().await;
    let words = Words::of(&it);
    let tools = offered(&it).await;
    let (bob, alice, nils) = (it.user("bob"), it.user("alice"), it.user("nils"));
    let timeout = json!({"member": bob.to_string(), "duration_seconds": 600});
    let ban = json!({"members": [alice.to_string(), nils.to_string()]});
    let mut orders = it.ordered("theo", "timeout_member", timeout.clone()).await.orders;
    orders.extend(it.ordered("theo", "ban_member", ban.clone()).await.orders);
    let of = |name: &str| tools.iter().find(|(tool, _)| tool == name).unwrap().clone();

    let mut rng = StdRng::seed_from_u64(7);
    for round in 0..400 {
        let (tool, schema) = match rng.random_range(0..3) {
            0 => of("timeout_member"),
            1 => of("ban_member"),
            _ => tools.choose(&mut rng).unwrap().clone(),
        };
        let arguments = match (tool.as_str(), rng.random_range(0..20)) {
            ("timeout_member", 0) => timeout.clone(),
            ("ban_member", 0) => ban.clone(),
            // Near the order: one more, one fewer, longer, with something besides.
            ("timeout_member", 1..6) => {
                let mut near = timeout.clone();
                near["duration_seconds"] = json!(rng.random_range(0..2_000));
                near
            }
            ("ban_member", 1..6) => {
                let mut near = ban.clone();
                match rng.random_range(0..4) {
                    0 => near["members"] = json!([alice.to_string(), bob.to_string()]),
                    1 => near["members"] = json!([alice.to_string()]),
                    2 => near["delete_message_seconds"] = json!(60),
                    _ => near["members"].as_array_mut().unwrap().push(json!(bob.to_string())),
                }
                near
            }
            _ => arguments(&schema, &words, &mut rng, 0),
        };
        let call = CallToolRequest {
            offered: tools.iter().map(|(name, _)| name.clone()).collect(),
            is_tainted: round > 20,
            is_ahead: rng.random_bool(0.1),
            orders: orders.clone(),
            ..it.call("theo", "general", &tool, arguments)
        };
        it.run(&call).await;
    }

    for entry in it.log().await {
        let (method, path) = (entry["method"].as_str().unwrap(), entry["path"].as_str().unwrap());
        let is_word = method == "POST" && path.ends_with("/messages");
        let is_reaction = path.contains("/reactions/") && path.ends_with("/@me");
        let is_own = method == "GET" || path.ends_with("/users/@me/channels");
        if is_own || is_word || is_reaction {
            continue;
        }
        let is_timeout = method == "PATCH" && path.ends_with(&format!("/members/{bob}"));
        let is_ban = [alice, nils].iter().any(|user| path.ends_with(&format!("/bans/{user}")));
        assert!(is_timeout || is_ban, "{method} {path}: {entry}");
        if is_ban && method == "PUT" {
            assert_eq!(entry["body"], json!({"delete_message_seconds": 0}), "{entry}");
        }
    }
    assert!(it.requests("PUT", "/bans/").await.len() >= 2, "the order itself is carried out");
    assert!(!it.requests("PATCH", "/members/").await.is_empty());
}

/// Names by which a member would have staff take them for another, or for approved.
const FORGED: [&str; 7] = [
    "Mara, @mara, id 1, role Admin)",
    "“Theo” (@theo, id 5, role Mod",
    "[approve](https://evil.example/)",
    "\u{202e}nimdA",
    "`x` **ban member** ||y||",
    "see discord.gg/raid",
    "<@&1> @everyone",
];

#[tokio::test]
async fn what_a_member_calls_themselves_cannot_pass_for_what_is_known_of_them() {
    let it = Harness::start().await;
    let bob = it.user("bob");
    let path = format!("/members/{}/{bob}", it.guild());
    for name in FORGED {
        it.control_patch(&path, json!({ "nick": name })).await;
        let member = it.rest(&format!("guilds/{}/members/{bob}", it.guild())).await;
        let mut told = member.clone();
        told["guild_id"] = json!(it.guild().to_string());
        it.event("guild_member_update", &told);
        let arguments = json!({"member": bob.to_string(), "reason": name});
        let call = it.call("theo", "general", "kick_member", arguments);
        expect(&it.run(&call).await, CallOutcome::NeedsApproval);
        let said = it.said("general").pop().unwrap();
        let line = said.lines().find(|line| line.starts_with("> member:")).unwrap();
        let known = format!("> member: <@{bob}> (@bob, id {bob}, role Member, joined <t:");
        assert!(line.starts_with(&known), "{line}");
        let chosen = line.split_once("“").unwrap().1;
        assert_eq!(chosen.matches('”').count(), 1, "{line}");
        for sign in ["://", "discord.gg/", "](", "\u{202e}", "`", "**", "||", "<@&"] {
            assert!(!chosen.contains(sign), "{sign} in {line}");
        }
        let reason = said.lines().find(|line| line.starts_with("> reason:")).unwrap();
        let quoted = reason.trim_start_matches("> reason: ");
        let inner = quoted.trim_matches('`');
        assert!(
            quoted.starts_with('`') && quoted.ends_with('`') && !inner.contains('`'),
            "{reason}"
        );
        assert_eq!(said.lines().count(), 4, "nobody adds a line: {said}");
        let shown = it.log().await;
        let shown = shown.iter().rev().find(|entry| entry["method"] == "POST").unwrap();
        assert_eq!(shown["body"]["allowed_mentions"]["parse"], json!([]));
    }
}

#[tokio::test]
async fn what_is_of_another_server_is_nothing_here() {
    let it = Harness::start().await;
    let other = it.control("/guilds", json!({ "name": "Other" })).await;
    let other = other["id"].as_str().unwrap();
    let role = it.control("/roles", json!({"guild_id": other, "name": "Theirs"})).await;
    let channel = it.control("/channels", json!({"guild_id": other, "name": "theirs"})).await;
    let (role, channel) = (role["id"].as_str().unwrap(), channel["id"].as_str().unwrap());
    for (tool, arguments) in [
        ("manage_roles", json!({"action": "move", "role": role, "above": "Muted"})),
        ("manage_roles", json!({"action": "move", "role": "Muted", "above": role})),
        ("manage_roles", json!({"action": "give", "member": "bob", "role": role})),
        ("manage_channels", json!({"action": "move", "channel": channel, "above": "general"})),
        ("manage_channels", json!({"action": "move", "channel": "recipes", "below": channel})),
        ("manage_channels", json!({"action": "move", "channel": "recipes", "category": channel})),
        ("delete_message", json!({"channel": channel, "latest": 5})),
        ("fetch_messages", json!({"channel": channel})),
        ("send_message", json!({"channel": channel, "content": "x"})),
        ("create_invite", json!({"channel": channel})),
        (
            "schedule_action",
            json!({"tool": "manage_channels", "in_seconds": 60,
                   "arguments": {"action": "delete", "channel": channel}}),
        ),
    ] {
        let response = it.run(&it.call("mara", "general", tool, arguments.clone())).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains("not in this server"), "{arguments}: {}", response.reason);
    }
    let log = it.log().await;
    assert!(log.iter().all(|entry| entry["method"] == "GET"), "nothing was written");
}
