//! REST: what it grants, refuses, counts and hides.

use ery_sim_discord::DEMO_TOKEN;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Sim, code, now};

impl Sim {
    pub(crate) fn messages_of(&self, channel: &str) -> String {
        format!("/channels/{}/messages", self.channel(channel))
    }

    async fn send(&self, channel: &str, body: Value) -> (u16, Value) {
        self.rest(Method::POST, &self.messages_of(channel), body).await
    }

    fn member(&self, name: &str) -> String {
        format!("/guilds/{}/members/{}", self.guild(), self.user(name))
    }

    fn contents(&self, channel: &str) -> Vec<String> {
        let messages = self.sim.world().messages(self.channel(channel));
        messages.into_iter().map(|message| message.content).collect()
    }

    async fn log(&self) -> Vec<Value> {
        let url = format!("{}/log", self.sim.control_url());
        let text = self.client.get(url).send().await.unwrap().text().await.unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn in_minutes(minutes: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(now().as_secs() + minutes * 60).unwrap();
    at.format(&time::format_description::well_known::Rfc3339).unwrap()
}

#[tokio::test]
async fn an_enforced_nonce_sends_once() {
    let sim = Sim::start().await;
    let body = json!({ "content": "once", "nonce": "abc", "enforce_nonce": true });
    let first = sim.send("general", body.clone()).await;
    let second = sim.send("general", body.clone()).await;
    assert_eq!((first.0, second.0), (200, 200));
    assert_eq!(first.1["id"], second.1["id"]);
    assert_eq!(first.1["nonce"], "abc");
    assert_eq!(sim.contents("general").iter().filter(|content| *content == "once").count(), 1);

    let message = format!("{}/{}", sim.messages_of("general"), first.1["id"].as_str().unwrap());
    assert_eq!(sim.rest(Method::DELETE, &message, Value::Null).await.0, 204);
    assert_eq!(code(&sim.send("general", body).await), (404, 10_008));

    let free = json!({ "content": "twice", "nonce": 7 });
    sim.send("general", free.clone()).await;
    sim.send("general", free).await;
    assert_eq!(sim.contents("general").iter().filter(|content| *content == "twice").count(), 2);
}

#[tokio::test]
async fn messages_are_held_to_discords_limits() {
    let sim = Sim::start().await;
    let embed = |title: &str| json!({ "embeds": [{ "title": title }] });
    let both = json!({ "parse": ["users"], "users": ["1"] });
    let table = [
        (json!({ "content": "" }), 50_006),
        (json!({ "content": "  \n" }), 50_006),
        (json!({}), 50_006),
        (json!({ "content": "é".repeat(2_001) }), 50_035),
        (embed(&"x".repeat(257)), 50_035),
        (json!({ "content": "x", "nonce": "n".repeat(26) }), 50_035),
        (json!({ "content": "x", "allowed_mentions": both }), 50_035),
        (json!({ "content": "x", "message_reference": { "message_id": "5" } }), 50_035),
        (json!({ "content": "x", "message_reference": {} }), 50_035),
    ];
    for (body, expected) in table {
        let answer = sim.send("general", body.clone()).await;
        assert_eq!(code(&answer), (400, expected), "{body}");
    }
    assert_eq!(sim.send("general", json!({ "content": "é".repeat(2_000) })).await.0, 200);
    let lenient = json!({ "message_id": "5", "fail_if_not_exists": false });
    let answer = sim.send("general", json!({ "content": "x", "message_reference": lenient })).await;
    assert_eq!((answer.0, answer.1.get("message_reference")), (200, None));
    assert_eq!(
        code(&sim.rest(Method::POST, "/channels/5/messages", json!({})).await),
        (404, 10_003)
    );
    let long = sim.send("general", json!({ "content": "x".repeat(2_001) })).await.1;
    assert_eq!(
        long["errors"]["content"]["_errors"][0],
        json!({ "code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 2000 or fewer in length." })
    );
}

#[tokio::test]
async fn mentions_are_those_that_were_allowed() {
    let sim = Sim::start().await;
    let bob = sim.user("bob");
    let content = format!("<@{bob}> @everyone");
    let open = sim.send("general", json!({ "content": content })).await.1;
    assert_eq!(open["mentions"][0]["username"], "bob");
    assert_eq!(open["mention_everyone"], false, "Ery has no right to mention everyone");
    let theirs = json!({
        "channel_id": sim.channel("general"), "author_id": sim.user("theo"), "content": content
    });
    assert_eq!(sim.post("/messages", theirs).await["mention_everyone"], true);
    let none = json!({ "content": content, "allowed_mentions": { "parse": [] } });
    let none = sim.send("general", none).await.1;
    assert_eq!((&none["mentions"], &none["mention_everyone"]), (&json!([]), &json!(false)));
    let said = sim.say("bob", "general", "ask").await;
    let quiet = json!({
        "content": "quiet", "message_reference": { "message_id": said },
        "allowed_mentions": { "parse": [], "replied_user": false }
    });
    assert_eq!(sim.send("general", quiet).await.1["mentions"], json!([]));
    let loud = json!({ "content": "loud", "message_reference": { "message_id": said } });
    let loud = sim.send("general", loud).await.1;
    assert_eq!(loud["mentions"][0]["id"], json!(bob));
    assert_eq!(
        (&loud["type"], &loud["referenced_message"]["content"]),
        (&json!(19), &json!("ask"))
    );
}

#[tokio::test]
async fn only_own_messages_can_be_edited() {
    let sim = Sim::start().await;
    let own = sim.send("general", json!({ "content": "draft" })).await.1;
    let path = |id: &Value| format!("{}/{}", sim.messages_of("general"), id.as_str().unwrap());
    let edited = sim.rest(Method::PATCH, &path(&own["id"]), json!({ "content": "final" })).await;
    assert_eq!((edited.0, &edited.1["content"]), (200, &json!("final")));
    assert!(edited.1["edited_timestamp"].is_string());
    let theirs = json!(sim.say("bob", "general", "mine").await);
    let refused = sim.rest(Method::PATCH, &path(&theirs), json!({ "content": "x" })).await;
    assert_eq!(code(&refused), (403, 50_005));
    let emptied = sim.rest(Method::PATCH, &path(&own["id"]), json!({ "content": "" })).await;
    assert_eq!(code(&emptied), (400, 50_006));
}

#[tokio::test]
async fn a_page_of_messages_is_the_newest_first() {
    let sim = Sim::start().await;
    let mut ids = Vec::new();
    for index in 0..6 {
        ids.push(sim.say("alice", "off-topic", &format!("m{index}")).await);
    }
    let list = async |query: &str| -> Vec<String> {
        let path = format!("{}?{query}", sim.messages_of("off-topic"));
        let answer = sim.rest(Method::GET, &path, Value::Null).await.1;
        let messages = answer.as_array().unwrap().iter();
        messages.map(|message| message["content"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(list("limit=2").await, ["m5", "m4"]);
    assert_eq!(list(&format!("limit=2&before={}", ids[3])).await, ["m2", "m1"]);
    assert_eq!(list(&format!("limit=2&after={}", ids[1])).await, ["m3", "m2"]);
    assert_eq!(list(&format!("limit=3&around={}", ids[2])).await, ["m3", "m2", "m1"]);
    assert_eq!(list("limit=2&after=0").await, ["m1", "m0"]);
    let path = format!("{}?limit=101", sim.messages_of("off-topic"));
    assert_eq!(code(&sim.rest(Method::GET, &path, Value::Null).await), (400, 50_035));
}

#[tokio::test]
async fn deleting_many_at_once_has_its_rules() {
    let sim = Sim::start().await;
    let bulk = format!("{}/bulk-delete", sim.messages_of("off-topic"));
    let mut ids = Vec::new();
    for index in 0..3 {
        ids.push(sim.say("bob", "off-topic", &format!("spam {index}")).await);
    }
    let delete =
        async |ids: Value| code(&sim.rest(Method::POST, &bulk, json!({ "messages": ids })).await);
    assert_eq!(delete(json!([ids[0]])).await, (400, 50_016));
    assert_eq!(delete(json!([ids[0], ids[0]])).await, (400, 50_035));
    assert_eq!(delete(json!([ids[0], "175928847299117063"])).await, (400, 50_034));
    assert_eq!(delete(json!(ids)).await, (204, 0));
    assert!(sim.contents("off-topic").is_empty());
    let path = format!("/guilds/{}/audit-logs?action_type=73", sim.guild());
    let log = sim.rest(Method::GET, &path, Value::Null).await.1;
    assert_eq!(log["audit_log_entries"][0]["options"]["count"], "3");
}

#[tokio::test]
async fn a_timeout_silences_and_the_reason_is_kept() {
    let sim = Sim::start().await;
    let until = in_minutes(10);
    let url = format!("{}{}", sim.sim.api_url(), sim.member("bob"));
    let answer = sim
        .client
        .patch(url)
        .header("authorization", format!("Bot {DEMO_TOKEN}"))
        .header("x-audit-log-reason", "too%20loud%20%F0%9F%94%8A")
        .json(&json!({ "communication_disabled_until": until }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let speech = json!({
        "channel_id": sim.channel("general"), "author_id": sim.user("bob"), "content": "but"
    });
    let refused = sim.control(Method::POST, "/messages", speech.clone()).await;
    assert_eq!(code(&refused), (403, 50_013));
    let log =
        sim.rest(Method::GET, &format!("/guilds/{}/audit-logs", sim.guild()), Value::Null).await.1;
    assert_eq!(log["audit_log_entries"][0]["reason"], "too loud 🔊");
    assert_eq!(log["audit_log_entries"][0]["action_type"], 24);

    let lift = json!({ "communication_disabled_until": null });
    assert_eq!(sim.rest(Method::PATCH, &sim.member("bob"), lift).await.0, 200);
    assert_eq!(sim.control(Method::POST, "/messages", speech).await.0, 200);
    let month = json!({ "communication_disabled_until": in_minutes(29 * 24 * 60) });
    assert_eq!(code(&sim.rest(Method::PATCH, &sim.member("bob"), month).await), (400, 50_035));
}

#[tokio::test]
async fn nobody_acts_on_those_above_them() {
    let sim = Sim::start().await;
    let until = json!({ "communication_disabled_until": in_minutes(5) });
    let ban = |name: &str| format!("/guilds/{}/bans/{}", sim.guild(), sim.user(name));
    for name in ["theo", "mara"] {
        let timeout = sim.rest(Method::PATCH, &sim.member(name), until.clone()).await;
        assert_eq!(code(&timeout), (403, 50_013), "{name}");
        let kick = sim.rest(Method::DELETE, &sim.member(name), Value::Null).await;
        assert_eq!(code(&kick), (403, 50_013), "{name}");
        let banned = sim.rest(Method::PUT, &ban(name), json!({})).await;
        assert_eq!(code(&banned), (403, 50_013), "{name}");
    }
    let world = sim.get("/world").await;
    let roles = world["guilds"][0]["roles"].as_array().unwrap();
    let role = |name: &str| {
        let found = roles.iter().find(|role| role["name"] == name).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    let give = |role: String| format!("{}/roles/{role}", sim.member("bob"));
    let table = [
        (role("Muted"), (204, 0)),
        (role("Moderator"), (403, 50_013)),
        (role("Ery"), (403, 50_013)),
        (role("@everyone"), (400, 50_028)),
        ("5".to_owned(), (404, 10_011)),
    ];
    for (role, expected) in table {
        let answer = sim.rest(Method::PUT, &give(role.clone()), Value::Null).await;
        assert_eq!(code(&answer), expected, "{role}");
    }
    let gone = sim.rest(Method::PATCH, &format!("/guilds/{}/members/5", sim.guild()), until).await;
    assert_eq!(code(&gone), (404, 10_007));
}

#[tokio::test]
async fn kicks_and_bans_take_effect_once() {
    let sim = Sim::start().await;
    assert_eq!(sim.rest(Method::DELETE, &sim.member("nils"), Value::Null).await.0, 204);
    let again = sim.rest(Method::DELETE, &sim.member("nils"), Value::Null).await;
    assert_eq!(code(&again), (404, 10_007));
    let spam = sim.say("bob", "general", "spam").await;
    let ban = format!("/guilds/{}/bans/{}", sim.guild(), sim.user("bob"));
    assert_eq!(code(&sim.rest(Method::GET, &ban, Value::Null).await), (404, 10_026));
    let hour = json!({ "delete_message_seconds": 3_600 });
    assert_eq!(sim.rest(Method::PUT, &ban, hour).await.0, 204);
    assert!(
        !sim.sim.world().messages(sim.channel("general")).iter().any(|m| m.id.to_string() == spam)
    );
    assert_eq!(sim.rest(Method::GET, &ban, Value::Null).await.1["user"]["username"], "bob");
    // discord.py writes the same into the query.
    let more = sim.say("alice", "general", "more spam").await;
    let by_query = format!("/guilds/{}/bans/{}", sim.guild(), sim.user("alice"));
    let by_query = format!("{by_query}?delete_message_seconds=3600");
    assert_eq!(sim.rest(Method::PUT, &by_query, Value::Null).await.0, 204);
    assert!(
        !sim.sim.world().messages(sim.channel("general")).iter().any(|m| m.id.to_string() == more)
    );
    assert_eq!(sim.rest(Method::DELETE, &ban, Value::Null).await.0, 204);
    assert_eq!(code(&sim.rest(Method::DELETE, &ban, Value::Null).await), (404, 10_026));
    assert_eq!(code(&sim.rest(Method::GET, &sim.member("bob"), Value::Null).await), (404, 10_007));
}

#[tokio::test]
async fn reactions_are_counted_by_person() {
    let sim = Sim::start().await;
    let said = sim.say("bob", "general", "cake?").await;
    let path = format!("{}/{said}/reactions", sim.messages_of("general"));
    let own = format!("{path}/%F0%9F%91%8D/@me");
    assert_eq!(sim.rest(Method::PUT, &own, Value::Null).await.0, 204);
    assert_eq!(sim.rest(Method::PUT, &own, Value::Null).await.0, 204);
    let alice = json!({
        "channel_id": sim.channel("general"), "message_id": said,
        "user_id": sim.user("alice"), "emoji": "👍"
    });
    sim.post("/reactions", alice).await;
    let message = format!("{}/{said}", sim.messages_of("general"));
    let reaction = sim.rest(Method::GET, &message, Value::Null).await.1["reactions"][0].clone();
    assert_eq!((&reaction["count"], &reaction["me"]), (&json!(2), &json!(true)));
    let users = sim.rest(Method::GET, &format!("{path}/%F0%9F%91%8D"), Value::Null).await.1;
    assert_eq!(users.as_array().unwrap().len(), 2);
    assert_eq!(
        code(&sim.rest(Method::PUT, &format!("{path}/nope/@me"), Value::Null).await),
        (400, 10_014)
    );
    assert_eq!(sim.rest(Method::DELETE, &path, Value::Null).await.0, 204);
    assert_eq!(sim.rest(Method::GET, &message, Value::Null).await.1.get("reactions"), None);
}

#[tokio::test]
async fn pins_are_listed_and_told() {
    let sim = Sim::start().await;
    let said = sim.say("alice", "recipes", "the recipe").await;
    let pins = format!("{}/pins", sim.messages_of("recipes"));
    assert_eq!(sim.rest(Method::PUT, &format!("{pins}/{said}"), Value::Null).await.0, 204);
    let listed = sim.rest(Method::GET, &pins, Value::Null).await.1;
    assert_eq!(listed["items"][0]["message"]["content"], "the recipe");
    assert_eq!(listed["has_more"], false);
    let newest = sim
        .rest(Method::GET, &format!("{}?limit=1", sim.messages_of("recipes")), Value::Null)
        .await
        .1;
    assert_eq!(
        (&newest[0]["type"], &newest[0]["message_reference"]["message_id"]),
        (&json!(6), &json!(said))
    );
    assert_eq!(sim.rest(Method::DELETE, &format!("{pins}/{said}"), Value::Null).await.0, 204);
    assert_eq!(sim.rest(Method::GET, &pins, Value::Null).await.1["items"], json!([]));
}

#[tokio::test]
async fn the_search_finds_what_may_be_read() {
    let sim = Sim::start().await;
    sim.say("bob", "general", "Blueberry muffins today").await;
    sim.say("alice", "recipes", "blueberry jam").await;
    let search = async |query: &str| {
        let path = format!("/guilds/{}/messages/search?{query}", sim.guild());
        sim.rest(Method::GET, &path, Value::Null).await.1
    };
    let all = search("content=blueberry").await;
    assert_eq!((&all["total_results"], all["messages"].as_array().unwrap().len()), (&json!(2), 2));
    assert_eq!(
        (&all["messages"][0][0]["content"], &all["messages"][0][0]["hit"]),
        (&json!("blueberry jam"), &json!(true))
    );
    let one = search(&format!("content=blueberry&channel_id={}", sim.channel("general"))).await;
    assert_eq!(one["total_results"], 1);
    let by = search(&format!("content=blueberry&author_id={}", sim.user("alice"))).await;
    assert_eq!(by["messages"][0][0]["author"]["username"], "alice");
    let second = search("content=blueberry&limit=1&offset=1&sort_order=asc").await;
    assert_eq!(second["messages"][0][0]["content"], "blueberry jam");
}

#[tokio::test]
async fn a_file_comes_back_as_it_was_sent() {
    let sim = Sim::start().await;
    let body = "--b\r\nContent-Disposition: form-data; name=\"payload_json\"\r\n\r\n\
        {\"content\":\"see\",\"attachments\":[{\"id\":0,\"description\":\"a note\"}]}\r\n\
        --b\r\nContent-Disposition: form-data; name=\"files[0]\"; filename=\"note.txt\"\r\n\
        Content-Type: text/plain\r\n\r\nhello\r\n--b--\r\n";
    let url = format!("{}{}", sim.sim.api_url(), sim.messages_of("general"));
    let answer = sim
        .client
        .post(url)
        .header("authorization", format!("Bot {DEMO_TOKEN}"))
        .header("content-type", "multipart/form-data; boundary=b")
        .body(body)
        .send()
        .await
        .unwrap();
    let message: Value = answer.json().await.unwrap();
    let attachment = &message["attachments"][0];
    assert_eq!((&attachment["filename"], &attachment["size"]), (&json!("note.txt"), &json!(5)));
    assert_eq!(attachment["description"], "a note");
    let file = sim.client.get(attachment["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(file.headers()["content-type"], "text/plain");
    assert_eq!(file.text().await.unwrap(), "hello");
}

#[tokio::test]
async fn a_direct_message_is_opened_once_and_may_be_closed_to_bots() {
    let sim = Sim::start().await;
    let open = json!({ "recipient_id": sim.user("bob") });
    let first = sim.rest(Method::POST, "/users/@me/channels", open.clone()).await.1;
    let second = sim.rest(Method::POST, "/users/@me/channels", open).await.1;
    assert_eq!((&first["id"], &first["type"]), (&second["id"], &json!(1)));
    let send = async |channel: &Value| {
        let path = format!("/channels/{}/messages", channel["id"].as_str().unwrap());
        code(&sim.rest(Method::POST, &path, json!({ "content": "psst" })).await)
    };
    assert_eq!(send(&first).await, (200, 0));
    let stranger = sim.post("/users", json!({ "username": "stranger" })).await;
    let open = json!({ "recipient_id": stranger["id"] });
    let channel = sim.rest(Method::POST, "/users/@me/channels", open).await.1;
    assert_eq!(send(&channel).await, (403, 50_278));
    let shy = sim.post("/users", json!({ "username": "shy", "accepts_dms": false })).await;
    let open = json!({ "recipient_id": shy["id"] });
    let channel = sim.rest(Method::POST, "/users/@me/channels", open).await.1;
    assert_eq!(send(&channel).await, (403, 50_007));
}

#[tokio::test]
async fn the_token_the_path_and_the_method_are_checked() {
    let sim = Sim::start().await;
    let url = |path: &str| format!("{}{path}", sim.sim.api_url());
    let bare = sim.client.get(url("/users/@me")).send().await.unwrap();
    assert_eq!(bare.status(), 401);
    assert_eq!(bare.headers()["content-type"], "application/json");
    assert_eq!(bare.text().await.unwrap(), r#"{"message":"401: Unauthorized","code":0}"#);
    sim.contract.expect_unknown("GET /nothing/here");
    assert_eq!(sim.rest(Method::GET, "/nothing/here", Value::Null).await.0, 404);
    sim.contract.expect_unknown("PUT /users/@me");
    assert_eq!(sim.rest(Method::PUT, "/users/@me", Value::Null).await.0, 405);
    let other = url("/users/@me").replace("/v10", "");
    let token = format!("Bot {DEMO_TOKEN}");
    let plain = sim.client.get(other).header("authorization", &token).send().await.unwrap();
    assert_eq!(plain.status(), 200);
    let broken = sim.client.post(url(&sim.messages_of("general"))).header("authorization", &token);
    let broken = broken.body("{\"content\":").send().await.unwrap();
    assert_eq!(broken.json::<Value>().await.unwrap()["code"], 50_109);
}

#[tokio::test]
async fn the_sixth_message_in_five_seconds_has_to_wait() {
    let sim = Sim::start_with(|options| options.rate_limits = true).await;
    let path = sim.messages_of("general");
    for remaining in (0..5).rev() {
        let answer = sim.raw(Method::POST, &path, json!({ "content": "x" })).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["x-ratelimit-limit"], "5");
        assert_eq!(answer.headers()["x-ratelimit-remaining"], remaining.to_string());
    }
    let limited = sim.raw(Method::POST, &path, json!({ "content": "x" })).await.unwrap();
    assert_eq!(limited.status(), 429);
    let headers = limited.headers().clone();
    assert_eq!(headers["x-ratelimit-scope"], "user");
    assert!(headers.contains_key("via") && headers.contains_key("retry-after"));
    let body: Value = limited.json().await.unwrap();
    assert_eq!(body["global"], false);
    assert!(body["retry_after"].as_f64().unwrap() > 0.0);
    // Another channel has a bucket of its own, and the switch turns all of them off.
    assert_eq!(sim.send("recipes", json!({ "content": "x" })).await.0, 200);
    sim.control(Method::PATCH, "/settings", json!({ "rate_limits": false })).await;
    assert_eq!(sim.send("general", json!({ "content": "x" })).await.0, 200);
}

#[tokio::test]
async fn each_kind_of_fault_strikes_as_ordered() {
    let sim = Sim::start().await;
    let route = "POST /channels/{channel_id}/messages";
    let path = sim.messages_of("general");
    let count = |content: &str| sim.contents("general").iter().filter(|c| *c == content).count();
    let order = async |kind: &str, more: Value| {
        let mut fault = json!({ "route": route, "kind": kind, "count": 1 });
        fault.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        sim.post("/faults", fault).await;
    };

    order("error", json!({ "status": 503 })).await;
    assert_eq!(sim.send("general", json!({ "content": "before" })).await.0, 503);
    assert_eq!(count("before"), 0);
    order("error", json!({ "when": "after" })).await;
    assert_eq!(sim.send("general", json!({ "content": "after" })).await.0, 500);
    assert_eq!(count("after"), 1);
    order("rate_limit", json!({ "delay_ms": 300 })).await;
    let limited = sim.send("general", json!({ "content": "limited" })).await;
    assert_eq!((limited.0, &limited.1["retry_after"]), (429, &json!(0.3)));
    assert_eq!(count("limited"), 0);
    order("lose_response", json!({})).await;
    let lost = sim.raw(Method::POST, &path, json!({ "content": "lost" })).await;
    assert!(lost.is_err(), "{lost:?}");
    assert_eq!(count("lost"), 1);
    order("cut", json!({})).await;
    assert!(sim.raw(Method::POST, &path, json!({ "content": "cut" })).await.is_err());
    assert_eq!(count("cut"), 0);
    order("delay", json!({ "delay_ms": 120 })).await;
    let began = tokio::time::Instant::now();
    assert_eq!(sim.send("general", json!({ "content": "late" })).await.0, 200);
    assert!(began.elapsed().as_millis() >= 120);
    assert_eq!(sim.send("general", json!({ "content": "well" })).await.0, 200);

    let statuses: Vec<_> = sim.log().await.iter().map(|line| line["status"].clone()).collect();
    assert_eq!(statuses, [503, 500, 429, 200, 0, 200, 200].map(|status| json!(status)));
    order("error", json!({})).await;
    assert_eq!(sim.control(Method::DELETE, "/faults", Value::Null).await.1["cleared"], 1);
    assert_eq!(sim.send("general", json!({ "content": "clear" })).await.0, 200);
}

#[tokio::test]
async fn the_log_tells_every_request_and_hides_the_token() {
    let sim = Sim::start_with(|options| options.log_capacity = 3).await;
    for index in 0..5 {
        sim.send("general", json!({ "content": format!("m{index}") })).await;
    }
    let log = sim.log().await;
    assert_eq!(log[0], json!({ "dropped_before": 3 }));
    assert_eq!(log.len(), 4);
    let last = &log[3];
    assert_eq!(
        (&last["seq"], &last["method"], &last["status"]),
        (&json!(5), &json!("POST"), &json!(200))
    );
    assert_eq!(last["path"], format!("/api/v10{}", sim.messages_of("general")));
    assert_eq!(last["body"], json!({ "content": "m4" }));
    assert_eq!(last["response"]["content"], "m4");
    assert!(!last.to_string().contains(DEMO_TOKEN));
    let url = format!("{}/log?after=4", sim.sim.control_url());
    assert_eq!(sim.client.get(url).send().await.unwrap().text().await.unwrap().lines().count(), 1);
}

#[tokio::test]
async fn the_typed_client_reads_every_answer() {
    let sim = Sim::start().await;
    let http = sim.http();
    let (guild, general, bob) = (sim.guild(), sim.channel("general"), sim.user("bob"));
    let me = http.current_user().await.unwrap().model().await.unwrap();
    assert!(me.bot);
    let application = http.current_user_application().await.unwrap().model().await.unwrap();
    assert_eq!(application.id.get(), me.id.get());
    let gateway = http.gateway().authed().await.unwrap().model().await.unwrap();
    assert_eq!(gateway.url, sim.sim.gateway_url());
    let found = http.guild(guild).with_counts(true).await.unwrap().model().await.unwrap();
    assert_eq!((found.approximate_member_count, found.roles.len()), (Some(8), 6));
    assert_eq!(http.guild_channels(guild).await.unwrap().models().await.unwrap().len(), 6);
    assert_eq!(http.roles(guild).await.unwrap().models().await.unwrap().len(), 6);
    assert_eq!(
        http.guild_members(guild).limit(1_000).await.unwrap().models().await.unwrap().len(),
        8
    );
    let prefix =
        http.search_guild_members(guild, "BO").limit(5).await.unwrap().models().await.unwrap();
    assert_eq!(prefix[0].user.id, bob);
    assert_eq!(http.user(bob).await.unwrap().model().await.unwrap().name, "bob");
    assert_eq!(http.current_user_guilds().await.unwrap().models().await.unwrap()[0].id, guild);
    let history = http.channel_messages(general).limit(100).await.unwrap().models().await.unwrap();
    assert!(history.len() > 5 && history[0].id > history[1].id);
    let channel = http.channel(general).await.unwrap().model().await.unwrap();
    assert_eq!(channel.name.as_deref(), Some("general"));
    let dm = http.create_private_channel(bob).await.unwrap().model().await.unwrap();
    assert_eq!(dm.recipients.unwrap()[0].id, bob);
    http.create_ban(guild, bob).await.unwrap();
    assert_eq!(http.bans(guild).await.unwrap().models().await.unwrap()[0].user.id, bob);
}
