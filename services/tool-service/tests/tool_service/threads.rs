//! Threads and posts in forums, and what becomes of them when an answer is lost.

use std::time::Duration;

use serde_json::{Value, json};

use ery_community_config::{Changed, Subject};
use ery_event_bus::Topic;
use ery_proto::tool::v1::{CallOutcome, DescribeChannelRequest};

use crate::support::{Harness, content, expect};

const CREATE: &str = "POST /channels/{channel_id}/threads";
const AT_MESSAGE: &str = "POST /channels/{channel_id}/messages/{message_id}/threads";

async fn begun(it: &Harness, who: &str, arguments: Value) -> Value {
    let call = it.ordered(who, "create_thread", arguments).await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    let thread = content(&response)["thread"].as_str().unwrap().to_owned();
    it.channel_now(&thread).await
}

/// The active threads with a name.
async fn named(it: &Harness, name: &str) -> usize {
    let list = it.rest(&format!("guilds/{}/threads/active", it.guild())).await;
    list["threads"].as_array().unwrap().iter().filter(|thread| thread["name"] == name).count()
}

async fn forum(it: &Harness, flags: u64) -> String {
    let forum = json!({
        "name": "help", "type": 15, "flags": flags,
        "available_tags": [{"name": "Question"}, {"name": "Answered"}],
    });
    let forum = it.rest_post(&format!("guilds/{}/channels", it.guild()), forum).await;
    forum["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_thread_is_told_of_its_channel_and_goes_by_what_is_set_there() {
    let it = Harness::start().await;
    let thread = begun(&it, "bob", json!({"name": "talk"})).await;
    let thread: u64 = thread["id"].as_str().unwrap().parse().unwrap();
    let general = it.channel("general");
    for (channel_id, known, parent) in [(thread, true, general), (general, true, 0), (17, false, 0)]
    {
        let request = DescribeChannelRequest { guild_id: it.guild(), channel_id };
        let told = it.client().describe_channel(request).await.unwrap().into_inner();
        assert_eq!((told.is_known, told.parent_channel_id), (known, parent), "{channel_id}");
    }
    let version = it.config.set(it.guild(), Subject::channel(general), "paused", json!(true));
    it.bus.broadcast_json(Topic::ConfigChanged, &Changed { home: it.guild(), version });
    // A broadcast takes a moment.
    for _ in 0..200 {
        let mut call = it.call("bob", "events", "send_message", json!({"content": "x"}));
        call.channel_id = thread;
        call.fence.as_mut().unwrap().channel_id = thread;
        let response = it.run(&call).await;
        if response.outcome() == CallOutcome::Denied && response.reason.contains("paused") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("what is set in its channel never holds in the thread");
}

#[tokio::test]
async fn a_thread_begins_from_a_message_by_itself_or_in_private() {
    let it = Harness::start().await;
    let message = it.says("bob", "general", "let us talk").await;
    let at = json!({"name": "talk", "message": message, "auto_archive_minutes": 60});
    let unordered = it.call("bob", "general", "create_thread", at.clone());
    expect(&it.run(&unordered).await, CallOutcome::NeedsApproval);
    let thread = begun(&it, "bob", at).await;
    assert_eq!((&thread["id"], &thread["type"]), (&json!(message), &json!(11)));
    assert_eq!(thread["thread_metadata"]["auto_archive_duration"], 60);
    let public = begun(&it, "bob", json!({"name": "a  public\none", "channel": "events"})).await;
    assert_eq!((&public["type"], &public["name"]), (&json!(11), &json!("a public one")));
    assert_eq!(public["parent_id"], it.channel("events").to_string());
    let private = begun(&it, "mara", json!({"name": "aside", "visibility": "private"})).await;
    assert_eq!(private["type"], 12);
    let path = format!("channels/{}/thread-members", private["id"].as_str().unwrap());
    let members = it.rest(&path).await;
    let mara = it.user("mara").to_string();
    assert!(members.as_array().unwrap().iter().any(|member| member["user_id"] == mara));
    let reasons = it.requests("POST", "/threads").await;
    assert!(reasons.iter().all(|made| made["headers"]["x-audit-log-reason"].is_string()));
}

#[tokio::test]
async fn a_forum_takes_posts_with_content_and_tags() {
    let it = Harness::start().await;
    let forum = forum(&it, 0).await;
    let post = json!({
        "name": "How?", "channel": forum, "content": "I wonder @everyone.", "tags": ["question"],
    });
    let thread = begun(&it, "bob", post).await;
    assert_eq!(thread["parent_id"], forum);
    assert_eq!(thread["applied_tags"].as_array().unwrap().len(), 1);
    let id = thread["id"].as_str().unwrap();
    let first = it.rest(&format!("channels/{id}/messages/{id}")).await;
    assert_eq!(
        (&first["content"], &first["mention_everyone"]),
        (&json!("I wonder @everyone."), &json!(false))
    );
    let unknown = json!({"name": "n", "channel": forum, "content": "c", "tags": ["nonsense"]});
    let response = it.run(&it.ordered("bob", "create_thread", unknown).await).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("Answered"), "{}", response.reason);
    for (arguments, told) in [
        (json!({"name": "n", "channel": forum}), "needs content"),
        (json!({"name": "n", "content": "c"}), "forums"),
        (json!({"name": "n", "channel": forum, "content": "c", "visibility": "private"}), "public"),
        (json!({"name": "\u{200b}"}), "1 to 100"),
        (json!({"name": "n", "auto_archive_minutes": 61}), "1440"),
        (json!({"name": "n", "message": "1", "visibility": "private"}), "public"),
        (json!({"name": "n", "channel": "999999999999999999"}), "not in this server"),
    ] {
        let response = it.run(&it.call("bob", "general", "create_thread", arguments)).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains(told), "{told}: {}", response.reason);
    }
}

#[tokio::test]
async fn a_post_in_a_forum_shows_stickers_of_the_server() {
    let it = Harness::start().await;
    let forum = forum(&it, 0).await;
    let sticker = json!({"guild_id": it.guild().to_string(), "name": "Wave"});
    let wave = it.control("/stickers", sticker).await["id"].clone();
    for content in [json!("Hi."), Value::Null] {
        let post =
            json!({"name": "Hi", "channel": forum, "content": content, "stickers": ["wave"]});
        let thread = begun(&it, "bob", post).await;
        let id = thread["id"].as_str().unwrap();
        let first = it.rest(&format!("channels/{id}/messages/{id}")).await;
        assert_eq!(first["sticker_items"][0]["id"], wave, "{first}");
    }
    for (arguments, told) in [
        (json!({"name": "n", "channel": forum, "stickers": ["nope"]}), "no sticker “nope”"),
        (json!({"name": "n", "stickers": ["wave"]}), "for posts in forums"),
    ] {
        let response = it.run(&it.call("bob", "general", "create_thread", arguments)).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains(told), "{told}: {}", response.reason);
    }
}

#[tokio::test]
async fn a_forum_that_wants_tags_says_so() {
    let it = Harness::start().await;
    let forum = forum(&it, 1 << 4).await;
    let post = json!({"name": "How?", "channel": forum, "content": "I wonder."});
    let response = it.run(&it.ordered("bob", "create_thread", post).await).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("tag"), "{}", response.reason);
}

#[tokio::test]
async fn who_may_not_begin_threads_there_is_told_so() {
    let it = Harness::start().await;
    let thread = begun(&it, "bob", json!({"name": "inner"})).await;
    let inside = json!({"name": "n", "channel": thread["id"]});
    let response = it.run(&it.call("bob", "general", "create_thread", inside)).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("no threads"), "{}", response.reason);
    let staff = it.ordered("bob", "create_thread", json!({"name": "n", "channel": "staff"})).await;
    expect(&it.run(&staff).await, CallOutcome::Failed);
    let ghost = it.ordered("bob", "create_thread", json!({"name": "n", "message": "17"})).await;
    expect(&it.run(&ghost).await, CallOutcome::Failed);
    // The bot lacks it.
    let everyone = it.guild().to_string();
    let muted = it.user("Ery").to_string();
    let deny = json!({"permission_overwrites": [
        {"id": everyone, "type": 0, "allow": "0", "deny": "0"},
        {"id": muted, "type": 1, "allow": "0", "deny": (1u64 << 35).to_string()},
    ]});
    let events = it.channel("events");
    it.control_patch(&format!("/channels/{events}"), deny).await;
    it.bus.cut();
    it.until("events are followed anew", || it.service.readiness().is_ready()).await;
    let call = it.ordered("bob", "create_thread", json!({"name": "n", "channel": "events"})).await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.starts_with("I need"), "{}", response.reason);
}

#[tokio::test]
async fn a_thread_whose_answer_was_lost_is_found_and_not_begun_twice() {
    let it = Harness::start().await;
    for (kind, more) in [
        ("lose_response", json!({"count": 1})),
        ("error", json!({"count": 1, "status": 502, "when": "after"})),
        ("error", json!({"count": 1, "status": 503, "when": "before"})),
    ] {
        it.fault(CREATE, kind, more.clone()).await;
        let name = format!("{kind} {}", more["when"].as_str().unwrap_or_default());
        let thread = begun(&it, "bob", json!({"name": name})).await;
        assert_eq!(thread["name"], name.trim());
        assert_eq!(named(&it, name.trim()).await, 1);
    }
    // Where the audit log cannot be read, the active threads tell.
    it.fault(CREATE, "lose_response", json!({"count": 1})).await;
    it.fault("GET /guilds/{guild_id}/audit-logs", "error", json!({"count": 1, "status": 403}))
        .await;
    begun(&it, "bob", json!({"name": "found"})).await;
    assert_eq!(named(&it, "found").await, 1);
}

#[tokio::test]
async fn a_thread_that_nobody_recorded_is_looked_for_and_never_repeated() {
    let it = Harness::start_with(|settings| settings.breaker_failures = 1_000).await;
    for (is_begun, outcome) in [(true, CallOutcome::Done), (false, CallOutcome::Failed)] {
        let name = format!("open {is_begun}");
        let call = it.ordered("bob", "create_thread", json!({"name": name})).await;
        it.store.with(|state| state.lose_ends = u32::MAX);
        if !is_begun {
            it.fault(CREATE, "error", json!({"count": 100, "status": 503, "when": "before"})).await;
        }
        assert_eq!(it.try_run(&call).await.unwrap_err().code(), tonic::Code::Unavailable);
        it.store.with(|state| state.lose_ends = 0);
        it.clock.advance(Duration::from_mins(1));
        let before = it.requests("POST", "/threads").await.len();
        expect(&it.run(&call).await, outcome);
        assert_eq!(it.requests("POST", "/threads").await.len(), before, "it is not begun again");
        assert_eq!(named(&it, &name).await, usize::from(is_begun));
    }
}

#[tokio::test]
async fn a_message_has_one_thread_however_often_it_is_asked_for() {
    let it = Harness::start().await;
    let message = it.says("bob", "general", "let us talk").await;
    it.fault(AT_MESSAGE, "lose_response", json!({"count": 1})).await;
    begun(&it, "bob", json!({"name": "talk", "message": message})).await;
    let again = it.ordered("bob", "create_thread", json!({"name": "again", "message": message}));
    let response = it.run(&again.await).await;
    expect(&response, CallOutcome::Done);
    let summary = content(&response)["summary"].as_str().unwrap().to_owned();
    assert!(summary.contains("already"), "{summary}");
    assert_eq!((named(&it, "talk").await, named(&it, "again").await), (1, 0));
}
