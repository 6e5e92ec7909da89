//! Webhooks: who makes them, who learns their tokens, and what they say.

use std::{sync::Arc, time::Duration};

use ery_clock::ManualClock;
use reqwest::Method;
use serde_json::{Value, json};
use twilight_gateway::{Event, Intents};

use crate::support::{Bot, Sim, code, now};

const MANAGE_WEBHOOKS: u64 = 1 << 29;
const PICTURE: &str = "data:image/png;base64,iVBORw0KGgo=";

impl Sim {
    /// Starts the demo, in which the bot may manage webhooks.
    async fn with_webhooks() -> Self {
        let sim = Self::start().await;
        sim.grant(MANAGE_WEBHOOKS).await;
        sim
    }

    async fn make_webhook(&self, channel: &str, body: Value) -> (u16, Value) {
        let path = format!("/channels/{}/webhooks", self.channel(channel));
        self.rest(Method::POST, &path, body).await
    }

    /// Makes one as the bot, which must be allowed.
    async fn webhook(&self, channel: &str) -> Value {
        let (status, webhook) = self.make_webhook(channel, json!({ "name": "Weather" })).await;
        assert_eq!(status, 200, "{webhook}");
        webhook
    }

    /// Makes one as a person, whose application is none.
    async fn webhook_of(&self, who: &str, channel: &str) -> Value {
        let body = json!({
            "channel_id": self.channel(channel), "name": "Weather", "actor_id": self.user(who)
        });
        self.post("/webhooks", body).await
    }

    /// Posts by a webhook and waits for the message.
    async fn post_by(&self, webhook: &Value, query: &str, body: Value) -> (u16, Value) {
        let path = format!("{}?wait=true{query}", by_token(webhook));
        self.open(Method::POST, &path, body).await
    }

    async fn webhooks_of_guild(&self) -> Value {
        let path = format!("/guilds/{}/webhooks", self.guild());
        self.rest(Method::GET, &path, Value::Null).await.1
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

fn by_token(webhook: &Value) -> String {
    format!("/webhooks/{}/{}", text(webhook, "id"), text(webhook, "token"))
}

fn by_id(webhook: &Value) -> String {
    format!("/webhooks/{}", text(webhook, "id"))
}

#[tokio::test]
async fn webhooks_are_made_changed_and_deleted_by_those_who_may() {
    let sim = Sim::start().await;
    let body = json!({ "name": " Weather ", "avatar": PICTURE });
    assert_eq!(code(&sim.make_webhook("general", body.clone()).await), (403, 50_013));
    sim.grant(MANAGE_WEBHOOKS).await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;

    let (status, made) = sim.make_webhook("general", body).await;
    assert_eq!((status, text(&made, "name"), &made["type"]), (200, "Weather", &json!(1)));
    assert_eq!(made["user"]["id"], json!(bot.user));
    assert_eq!(made["application_id"], json!(bot.user), "the demo's bot and application are one");
    assert_eq!(text(&made, "avatar").len(), 32);
    assert!(text(&made, "url").ends_with(&by_token(&made)));
    let told = bot.wait_for(|event| matches!(event, Event::WebhooksUpdate(_))).await;
    let Event::WebhooksUpdate(told) = told else { unreachable!() };
    assert_eq!((told.channel_id, told.guild_id), (sim.channel("general"), sim.guild()));

    let one = by_id(&made);
    assert_eq!(sim.rest(Method::GET, &one, Value::Null).await, (200, made.clone()));
    let of_channel = format!("/channels/{}/webhooks", sim.channel("general"));
    assert_eq!(sim.rest(Method::GET, &of_channel, Value::Null).await.1, json!([made]));
    assert_eq!(sim.webhooks_of_guild().await, json!([made]));

    let moved = json!({ "name": "Climate", "avatar": null, "channel_id": sim.channel("recipes") });
    let (status, moved) = sim.rest(Method::PATCH, &one, moved).await;
    assert_eq!((status, text(&moved, "name"), &moved["avatar"]), (200, "Climate", &Value::Null));
    assert_eq!(moved["channel_id"], json!(sim.channel("recipes")));
    for channel in ["general", "recipes"] {
        let channel = sim.channel(channel);
        bot.wait_for(
            |event| matches!(event, Event::WebhooksUpdate(it) if it.channel_id == channel),
        )
        .await;
    }
    let elsewhere = json!({ "channel_id": "5" });
    assert_eq!(code(&sim.rest(Method::PATCH, &one, elsewhere).await), (404, 10_003));
    assert_eq!(sim.rest(Method::DELETE, &one, Value::Null).await.0, 204);
    assert_eq!(code(&sim.rest(Method::GET, &one, Value::Null).await), (404, 10_015));
    assert_eq!(sim.webhooks_of_guild().await, json!([]));
}

#[tokio::test]
async fn names_are_checked_and_a_channel_has_fifteen() {
    let sim = Sim::with_webhooks().await;
    let long = "x".repeat(81);
    for name in ["", "  ", &long, "Clyde", "my DISCORD bot"] {
        let refused = sim.make_webhook("general", json!({ "name": name })).await;
        assert_eq!(code(&refused), (400, 50_035), "{name}");
    }
    assert_eq!(code(&sim.make_webhook("general", json!({})).await), (400, 50_035));
    let no_picture = json!({ "name": "x", "avatar": "nothing" });
    assert_eq!(code(&sim.make_webhook("general", no_picture).await), (400, 50_035));
    for _ in 0..15 {
        sim.webhook("general").await;
    }
    let one_more = sim.make_webhook("general", json!({ "name": "x" })).await;
    assert_eq!(code(&one_more), (400, 30_007));
    sim.webhook("recipes").await;
}

#[tokio::test]
async fn the_audit_log_tells_of_webhooks_without_their_tokens() {
    let sim = Sim::with_webhooks().await;
    let webhook = sim.webhook("general").await;
    let one = by_id(&webhook);
    assert_eq!(sim.rest(Method::PATCH, &one, json!({ "name": "Climate" })).await.0, 200);
    // What is done by the token alone leaves no trace.
    let by_token_alone = json!({ "name": "Forecast" });
    assert_eq!(sim.open(Method::PATCH, &by_token(&webhook), by_token_alone).await.0, 200);
    let path = format!("/guilds/{}/audit-logs", sim.guild());
    let log = sim.rest(Method::GET, &path, Value::Null).await.1;
    assert_eq!(log["webhooks"][0]["id"], webhook["id"]);
    let other = sim.webhook("general").await;
    let url = format!("{}{}", sim.sim.api_url(), by_id(&other));
    let request = sim.client.delete(url).header("x-audit-log-reason", "no%20rain");
    let bot = format!("Bot {}", ery_sim_discord::DEMO_TOKEN);
    assert_eq!(request.header("authorization", bot).send().await.unwrap().status(), 204);

    let log = sim.rest(Method::GET, &path, Value::Null).await.1;
    let entries = log["audit_log_entries"].as_array().unwrap();
    let kinds: Vec<u64> =
        entries.iter().map(|entry| entry["action_type"].as_u64().unwrap()).collect();
    assert_eq!(kinds, [52, 50, 51, 50]);
    assert_eq!(
        (&entries[0]["reason"], &entries[0]["target_id"]),
        (&json!("no rain"), &other["id"])
    );
    let renamed = json!([{ "key": "name", "old_value": "Weather", "new_value": "Climate" }]);
    assert_eq!(entries[2]["changes"], renamed);
    assert!(!log.to_string().contains("token"), "{log}");
}

#[tokio::test]
async fn tokens_are_told_to_those_who_may_know_them_and_never_to_the_log() {
    let sim = Sim::with_webhooks().await;
    let own = sim.webhook("general").await;
    let bobs = sim.webhook_of("bob", "general").await;
    assert_eq!((&bobs["application_id"], text(&bobs["user"], "username")), (&json!(null), "bob"));

    let other = sim.post("/users", json!({ "username": "Otto", "bot": true, "token": "o" })).await;
    sim.post("/members", json!({ "guild_id": sim.guild(), "user_id": other["id"] })).await;
    let path = format!("/guilds/{}/webhooks", sim.guild());
    let url = format!("{}{path}", sim.sim.api_url());
    let seen = sim.client.get(url).header("authorization", "Bot o").send().await.unwrap();
    let seen: Value = seen.json().await.unwrap();
    assert_eq!(seen[0].get("token"), None, "another application's");
    assert_eq!(seen[1]["token"], bobs["token"], "a person's");

    let shown = sim.open(Method::GET, &by_token(&own), Value::Null).await;
    assert_eq!((shown.0, shown.1.get("user")), (200, None));
    assert_eq!(shown.1["token"], own["token"]);
    let wrong = format!("{}/wrong", by_id(&own));
    assert_eq!(code(&sim.open(Method::GET, &wrong, Value::Null).await), (401, 50_027));
    assert_eq!(
        code(&sim.open(Method::POST, &wrong, json!({ "content": "x" })).await),
        (401, 50_027)
    );
    assert_eq!(sim.post_by(&bobs, "", json!({ "content": "x" })).await.0, 200);
    assert_eq!(sim.open(Method::DELETE, &by_token(&own), Value::Null).await.0, 204);
    let gone = sim.open(Method::POST, &by_token(&own), json!({ "content": "x" })).await;
    assert_eq!(code(&gone), (404, 10_015));

    let log = sim.sim.world().log();
    assert!(log.contains(text(&own, "id")) && log.contains(r#""token":"<redacted>""#), "{log}");
    for webhook in [&own, &bobs] {
        assert!(!log.contains(text(webhook, "token")), "{log}");
    }
}

#[tokio::test]
async fn a_webhook_speaks_under_a_name_of_its_own_or_another() {
    let sim = Sim::with_webhooks().await;
    let webhook = sim.webhook_of("bob", "general").await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let path = by_token(&webhook);
    let quiet = sim.open(Method::POST, &path, json!({ "content": "rain" })).await;
    assert_eq!(quiet, (204, Value::Null));
    let heard = bot.message().await;
    assert_eq!(json!(heard.webhook_id), webhook["id"]);
    assert_eq!(json!(heard.author.id), webhook["id"]);
    assert_eq!((heard.author.name.as_str(), heard.author.bot), ("Weather", true));
    assert_eq!((heard.author.discriminator, heard.member), (0, None));

    let bob = sim.user("bob");
    let content = format!("@everyone <@{bob}>");
    let body = json!({
        "username": "Cloud", "avatar_url": "https://example.org/cloud.png", "content": content,
        "embeds": [{ "title": "Today" }], "flags": 4096, "tts": false
    });
    let (status, said) = sim.post_by(&webhook, "", body).await;
    assert_eq!((status, text(&said["author"], "username")), (200, "Cloud"));
    assert_eq!(text(&said["author"], "discriminator"), "0000");
    assert_eq!(text(&said["author"], "avatar").len(), 32);
    assert_eq!((&said["flags"], &said["embeds"][0]["title"]), (&json!(4096), &json!("Today")));
    assert_eq!(
        (&said["mention_everyone"], &said["mentions"][0]["id"]),
        (&json!(false), &json!(bob))
    );
    let to_all = json!({ "content": "@everyone", "allowed_mentions": { "parse": ["everyone"] } });
    assert_eq!(sim.post_by(&webhook, "", to_all).await.1["mention_everyone"], true);

    for (body, expected) in [
        (json!({}), 50_006),
        (json!({ "content": "x", "username": "Clyde" }), 50_035),
        (json!({ "content": "x", "avatar_url": "ftp://example.org" }), 50_035),
        (json!({ "content": "x".repeat(2_001) }), 50_035),
        (json!({ "content": "x", "thread_name": "post" }), 220_003),
    ] {
        assert_eq!(code(&sim.post_by(&webhook, "", body.clone()).await), (400, expected), "{body}");
    }
    // What it said stays as it was signed.
    assert_eq!(sim.open(Method::DELETE, &path, Value::Null).await.0, 204);
    let message = format!("/channels/{}/messages/{}", sim.channel("general"), text(&said, "id"));
    let kept = sim.rest(Method::GET, &message, Value::Null).await.1;
    assert_eq!(kept["author"], said["author"]);
}

#[tokio::test]
async fn components_are_answered_by_the_application_that_owns_the_webhook() {
    let sim = Sim::with_webhooks().await;
    let button = json!({ "content": "x", "components": [{ "type": 1, "components": [
        { "type": 2, "style": 1, "label": "more", "custom_id": "more" }
    ] }] });
    let link = json!({ "content": "x", "components": [{ "type": 1, "components": [
        { "type": 2, "style": 5, "label": "more", "url": "https://example.org" }
    ] }] });
    let bobs = sim.webhook_of("bob", "general").await;
    assert_eq!(sim.post_by(&bobs, "", button.clone()).await.1["components"], json!([]));
    let asked = "&with_components=true";
    assert_eq!(code(&sim.post_by(&bobs, asked, button.clone()).await), (400, 50_035));
    let (status, linked) = sim.post_by(&bobs, asked, link).await;
    assert_eq!((status, linked["components"].as_array().unwrap().len()), (200, 1));

    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let own = sim.webhook("general").await;
    let (status, said) = sim.post_by(&own, "", button).await;
    assert_eq!((status, &said["application_id"]), (200, &own["application_id"]));
    let press = json!({ "type": "button", "message_id": said["id"], "custom_id": "more" });
    let pressed = sim.interact("bob", press).await;
    assert!(pressed.0 < 300, "{pressed:?}");
    bot.wait_for(|event| matches!(event, Event::InteractionCreate(_))).await;
}

#[tokio::test]
async fn the_result_of_a_webhooks_poll_is_told_in_its_name() {
    let clock = Arc::new(ManualClock::at(now()));
    let sim = Sim::start_at(&clock).await;
    let webhook = sim.webhook_of("mara", "general").await;
    let poll = json!({
        "question": { "text": "Rain?" }, "duration": 1,
        "answers": [{ "poll_media": { "text": "yes" } }, { "poll_media": { "text": "no" } }]
    });
    let asked = json!({ "poll": poll, "username": "Cloud" });
    let (status, asked) = sim.post_by(&webhook, "", asked).await;
    assert_eq!((status, text(&asked["poll"]["question"], "text")), (200, "Rain?"));
    clock.advance(Duration::from_hours(1));
    let messages = format!("/channels/{}/messages?limit=1", sim.channel("general"));
    let result = sim.rest(Method::GET, &messages, Value::Null).await.1;
    assert_eq!((&result[0]["type"], text(&result[0]["author"], "username")), (&json!(46), "Cloud"));
}

#[tokio::test]
async fn a_webhook_reads_edits_and_deletes_what_it_said_itself() {
    let sim = Sim::with_webhooks().await;
    let webhook = sim.webhook("general").await;
    let said = sim.post_by(&webhook, "", json!({ "content": "rain" })).await.1;
    let own = format!("{}/messages/{}", by_token(&webhook), text(&said, "id"));
    assert_eq!(sim.open(Method::GET, &own, Value::Null).await, (200, said));
    let edit = json!({ "content": "sun", "embeds": [{ "title": "Today" }] });
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let (status, edited) = sim.open(Method::PATCH, &own, edit).await;
    assert_eq!((status, text(&edited, "content")), (200, "sun"));
    assert!(edited["edited_timestamp"].is_string());
    bot.wait_for(|event| matches!(event, Event::MessageUpdate(_))).await;

    // Nobody else's, though it is in the same channel.
    let bobs = sim.say("bob", "general", "hi").await;
    let other = sim.webhook("general").await;
    let theirs = sim.post_by(&other, "", json!({ "content": "x" })).await.1;
    for id in [bobs.as_str(), text(&theirs, "id")] {
        let path = format!("{}/messages/{id}", by_token(&webhook));
        for (method, body) in [
            (Method::GET, Value::Null),
            (Method::PATCH, json!({ "content": "x" })),
            (Method::DELETE, Value::Null),
        ] {
            assert_eq!(code(&sim.open(method, &path, body).await), (404, 10_008));
        }
    }
    assert_eq!(sim.open(Method::DELETE, &own, Value::Null).await.0, 204);
    bot.wait_for(|event| matches!(event, Event::MessageDelete(_))).await;
    assert_eq!(code(&sim.open(Method::GET, &own, Value::Null).await), (404, 10_008));
}

#[tokio::test]
async fn a_webhook_speaks_in_threads_of_its_channel_and_brings_them_back() {
    let sim = Sim::with_webhooks().await;
    let webhook = sim.webhook("general").await;
    let threads = format!("/channels/{}/threads", sim.channel("general"));
    let new = json!({ "name": "Forecast", "type": 11 });
    let thread = sim.rest(Method::POST, &threads, new).await.1;
    let one = format!("/channels/{}", text(&thread, "id"));
    let archived = sim.rest(Method::PATCH, &one, json!({ "archived": true })).await;
    assert_eq!(archived.1["thread_metadata"]["archived"], true);

    let query = format!("&thread_id={}", text(&thread, "id"));
    let content = format!("fog <@{}>", sim.user("alice"));
    let (status, said) = sim.post_by(&webhook, &query, json!({ "content": content })).await;
    assert_eq!((status, &said["channel_id"]), (200, &thread["id"]));
    let back = sim.rest(Method::GET, &one, Value::Null).await.1;
    assert_eq!(back["thread_metadata"]["archived"], false);
    let members = sim.rest(Method::GET, &format!("{one}/thread-members"), Value::Null).await.1;
    let members: Vec<&str> =
        members.as_array().unwrap().iter().map(|member| text(member, "user_id")).collect();
    let mut expected = [sim.user("Ery").to_string(), sim.user("alice").to_string()];
    expected.sort();
    assert_eq!(members, expected, "the webhook is nobody who could be in it");

    let own = format!("{}/messages/{}", by_token(&webhook), text(&said, "id"));
    assert_eq!(code(&sim.open(Method::GET, &own, Value::Null).await), (404, 10_008));
    let own = format!("{own}?thread_id={}", text(&thread, "id"));
    let edited = sim.open(Method::PATCH, &own, json!({ "content": "mist" })).await;
    assert_eq!((edited.0, text(&edited.1, "content")), (200, "mist"));
    assert_eq!(sim.open(Method::DELETE, &own, Value::Null).await.0, 204);

    let elsewhere = sim.webhook("recipes").await;
    let refused = sim.post_by(&elsewhere, &query, json!({ "content": "x" })).await;
    assert_eq!(code(&refused), (404, 10_003));
}

#[tokio::test]
async fn in_a_forum_a_webhook_begins_posts() {
    let sim = Sim::with_webhooks().await;
    let forum = json!({ "name": "ideas", "type": 15, "available_tags": [{ "name": "sea" }] });
    let channels = format!("/guilds/{}/channels", sim.guild());
    let forum = sim.rest(Method::POST, &channels, forum).await.1;
    let path = format!("/channels/{}/webhooks", text(&forum, "id"));
    let webhook = sim.rest(Method::POST, &path, json!({ "name": "Weather" })).await.1;
    let mut bot = Bot::connect(&sim, Intents::all()).await;

    let nowhere = sim.post_by(&webhook, "", json!({ "content": "x" })).await;
    assert_eq!(code(&nowhere), (400, 220_001));
    let empty = sim.post_by(&webhook, "", json!({ "thread_name": "Tides" })).await;
    assert_eq!(code(&empty), (400, 50_006));
    let tag = &forum["available_tags"][0]["id"];
    let body = json!({ "thread_name": "Tides", "content": "high", "applied_tags": [tag] });
    let (status, first) = sim.post_by(&webhook, "", body.clone()).await;
    assert_eq!((status, &first["channel_id"]), (200, &first["id"]));
    let created = bot.wait_for(|event| matches!(event, Event::ThreadCreate(_))).await;
    let Event::ThreadCreate(created) = created else { unreachable!() };
    assert_eq!(json!(created.id), first["id"]);
    assert_eq!(bot.message().await.content, "high");

    let post =
        sim.rest(Method::GET, &format!("/channels/{}", text(&first, "id")), Value::Null).await;
    assert_eq!((text(&post.1, "name"), &post.1["owner_id"]), ("Tides", &webhook["id"]));
    assert_eq!((&post.1["applied_tags"], &post.1["message_count"]), (&json!([tag]), &json!(0)));
    let query = format!("&thread_id={}", text(&first, "id"));
    let twice = sim.post_by(&webhook, &query, body).await;
    assert_eq!(code(&twice), (400, 220_002));
    let (status, more) = sim.post_by(&webhook, &query, json!({ "content": "low" })).await;
    assert_eq!((status, &more["channel_id"]), (200, &first["id"]));
    // The one that was refused for want of a message left no post behind.
    let active = format!("/guilds/{}/threads/active", sim.guild());
    let active = sim.rest(Method::GET, &active, Value::Null).await.1;
    assert_eq!(active["threads"].as_array().unwrap().len(), 1);
    let told = sim.get("/world?messages=5").await;
    let again = sim.again_from(&told).await;
    assert_eq!(again.get("/world?messages=5").await, told);
}

#[tokio::test]
async fn an_answer_to_an_interaction_brings_its_thread_back() {
    let sim = Sim::start().await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let threads = format!("/channels/{}/threads", sim.channel("general"));
    let thread = sim.rest(Method::POST, &threads, json!({ "name": "Talk", "type": 11 })).await.1;
    let one = format!("/channels/{}", text(&thread, "id"));
    let button = json!({ "content": "x", "components": [{ "type": 1, "components": [
        { "type": 2, "style": 1, "label": "more", "custom_id": "more" }
    ] }] });
    let said = sim.rest(Method::POST, &format!("{one}/messages"), button).await.1;
    let press = json!({
        "type": "button", "channel_id": thread["id"], "user_id": sim.user("bob"), "message_id": said["id"],
        "custom_id": "more"
    });
    let pressed = sim.control(Method::POST, "/interactions", press).await;
    assert!(pressed.0 < 300, "{pressed:?}");
    let event = bot.wait_for(|event| matches!(event, Event::InteractionCreate(_))).await;
    let Event::InteractionCreate(interaction) = event else { unreachable!() };
    assert_eq!(sim.rest(Method::PATCH, &one, json!({ "archived": true })).await.0, 200);
    let callback = format!("/interactions/{}/{}/callback", interaction.id, interaction.token);
    let answer = json!({ "type": 4, "data": { "content": "here" } });
    assert_eq!(sim.open(Method::POST, &callback, answer).await.0, 204);
    let back = sim.rest(Method::GET, &one, Value::Null).await.1;
    assert_eq!(back["thread_metadata"]["archived"], false);
}

#[tokio::test]
async fn a_webhook_has_a_bucket_of_its_own_outside_of_the_global_limit() {
    let sim = Sim::start_with(|options| options.rate_limits = true).await;
    let no_global = json!({ "global_requests_per_second": 0 });
    let webhooks =
        [sim.webhook_of("mara", "general").await, sim.webhook_of("mara", "general").await];
    assert_eq!(sim.control(Method::PATCH, "/settings", no_global).await.0, 200);
    let own = sim.rest(Method::GET, "/users/@me", Value::Null).await;
    assert_eq!(own.0, 429, "the bot itself has used up its second");
    for _ in 0..5 {
        assert_eq!(sim.post_by(&webhooks[0], "", json!({ "content": "x" })).await.0, 200);
    }
    let limited = sim.post_by(&webhooks[0], "", json!({ "content": "x" })).await;
    assert_eq!((limited.0, &limited.1["global"]), (429, &json!(false)));
    assert_eq!(sim.post_by(&webhooks[1], "", json!({ "content": "x" })).await.0, 200);
}

#[tokio::test]
async fn people_make_webhooks_and_they_stay_in_a_world_file() {
    let sim = Sim::start().await;
    let by_bob = json!({
        "channel_id": sim.channel("general"), "name": "Weather", "actor_id": sim.user("bob")
    });
    assert_eq!(code(&sim.control(Method::POST, "/webhooks", by_bob).await), (403, 50_013));
    sim.grant(MANAGE_WEBHOOKS).await;
    let webhook = sim.webhook_of("bob", "general").await;
    let own = sim.webhook("recipes").await;
    sim.post_by(&webhook, "", json!({ "content": "rain", "username": "Cloud" })).await;
    let told = sim.get("/world?messages=5").await;
    let again = sim.again_from(&told).await;
    assert_eq!(again.get("/world?messages=5").await, told);
    let (status, said) = again.post_by(&webhook, "", json!({ "content": "sun" })).await;
    assert_eq!((status, text(&said["author"], "username")), (200, "Weather"));
    let messages = format!("/channels/{}/messages?limit=2", again.channel("general"));
    let messages = again.rest(Method::GET, &messages, Value::Null).await.1;
    assert_eq!(text(&messages[1]["author"], "username"), "Cloud");
    assert_eq!(messages[1]["webhook_id"], webhook["id"]);

    let path = format!("/webhooks/{}", text(&own, "id"));
    assert_eq!(sim.control(Method::DELETE, &path, Value::Null).await.0, 204);
    let general = format!("/channels/{}", sim.channel("general"));
    assert_eq!(sim.rest(Method::DELETE, &general, Value::Null).await.0, 200);
    assert_eq!(sim.webhooks_of_guild().await, json!([]));
    let gone = sim.open(Method::GET, &by_token(&webhook), Value::Null).await;
    assert_eq!(code(&gone), (404, 10_015));
}
