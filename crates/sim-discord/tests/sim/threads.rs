//! Threads and forums: who begins them, who sees them, and what becomes of them.

use std::{sync::Arc, time::Duration};

use ery_clock::ManualClock;
use reqwest::Method;
use serde_json::{Value, json};
use twilight_gateway::{Event, EventTypeFlags, Intents};
use twilight_model::{
    channel::{ChannelType, thread::AutoArchiveDuration},
    id::{Id, marker::ChannelMarker},
};

use crate::support::{Bot, Sim, code, now};

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

impl Sim {
    /// Begins a thread as the bot, which must be allowed.
    async fn thread(&self, channel: &str, body: Value) -> Value {
        let path = format!("/channels/{}/threads", self.channel(channel));
        let (status, thread) = self.rest(Method::POST, &path, body).await;
        assert_eq!(status, 201, "{thread}");
        thread
    }

    async fn patch(&self, thread: &Value, body: Value) -> (u16, Value) {
        self.rest(Method::PATCH, &format!("/channels/{}", id(thread)), body).await
    }

    async fn speak(&self, who: &str, thread: &Value, content: &str) -> (u16, Value) {
        let body = json!({
            "channel_id": thread["id"], "author_id": self.user(who), "content": content
        });
        self.control(Method::POST, "/messages", body).await
    }

    async fn forum(&self, tags: Value) -> Value {
        let body = json!({ "name": "ideas", "type": 15, "available_tags": tags });
        let path = format!("/guilds/{}/channels", self.guild());
        let (status, forum) = self.rest(Method::POST, &path, body).await;
        assert_eq!(status, 201, "{forum}");
        forum
    }
}

#[tokio::test]
async fn a_thread_at_a_message_has_its_id_and_is_made_once() {
    let sim = Sim::start().await;
    let said = sim.say("bob", "general", "umbrellas?").await;
    let message = format!("/channels/{}/messages/{said}", sim.channel("general"));
    let path = format!("{message}/threads");
    let body = json!({ "name": "Umbrellas", "auto_archive_duration": 60 });
    let (status, thread) = sim.rest(Method::POST, &path, body.clone()).await;
    assert_eq!((status, &thread["id"], &thread["type"]), (201, &json!(said), &json!(11)));
    assert_eq!(thread["thread_metadata"]["auto_archive_duration"], 60);
    assert_eq!(thread["member"]["user_id"], json!(sim.user("Ery")));
    assert_eq!(code(&sim.rest(Method::POST, &path, body).await), (400, 160_004));

    let parent = sim.rest(Method::GET, &message, Value::Null).await.1;
    assert_eq!((&parent["flags"], &parent["thread"]["name"]), (&json!(32), &json!("Umbrellas")));
    let inside = format!("/channels/{said}/messages");
    let messages = sim.rest(Method::GET, &inside, Value::Null).await.1;
    assert_eq!((messages.as_array().unwrap().len(), &messages[0]["type"]), (1, &json!(21)));
    assert_eq!(messages[0]["referenced_message"]["content"], "umbrellas?");

    assert_eq!(sim.speak("bob", &thread, "blue ones").await.0, 200);
    let shown = sim.rest(Method::GET, &format!("/channels/{said}"), Value::Null).await.1;
    assert_eq!((&shown["message_count"], &shown["member_count"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn a_new_thread_is_private_unless_its_kind_is_said() {
    let sim = Sim::start().await;
    let hidden = sim.thread("general", json!({ "name": "quiet" })).await;
    assert_eq!(
        (&hidden["type"], &hidden["thread_metadata"]["invitable"]),
        (&json!(12), &json!(true))
    );
    assert_eq!(code(&sim.speak("bob", &hidden, "hi").await), (403, 50_001));
    let member = format!("/channels/{}/thread-members/{}", id(&hidden), sim.user("bob"));
    assert_eq!(sim.rest(Method::PUT, &member, Value::Null).await.0, 204);
    assert_eq!(sim.speak("bob", &hidden, "hi").await.0, 200);
    assert_eq!(sim.rest(Method::DELETE, &member, Value::Null).await.0, 204);
    assert_eq!(code(&sim.speak("bob", &hidden, "hi").await), (403, 50_001));

    let open = sim.thread("general", json!({ "name": "open", "type": 11 })).await;
    assert_eq!(sim.speak("bob", &open, "hi").await.0, 200);
    let newest = format!("/channels/{}/messages?limit=1", sim.channel("general"));
    let told = sim.rest(Method::GET, &newest, Value::Null).await.1;
    assert_eq!((&told[0]["type"], &told[0]["content"]), (&json!(18), &json!("open")));
    assert_eq!(told[0]["message_reference"]["channel_id"], open["id"]);

    for (body, expected) in [
        (json!({ "type": 11 }), (400, 50_035)),
        (json!({ "name": "" }), (400, 50_035)),
        (json!({ "name": "x".repeat(101) }), (400, 50_035)),
        (json!({ "name": "x", "auto_archive_duration": 61 }), (400, 50_035)),
        (json!({ "name": "x", "type": 0 }), (400, 50_035)),
        (json!({ "name": "x", "type": 10 }), (400, 50_024)),
    ] {
        let path = format!("/channels/{}/threads", sim.channel("general"));
        let answer = sim.rest(Method::POST, &path, body.clone()).await;
        assert_eq!(code(&answer), expected, "{body}");
    }
}

#[tokio::test]
async fn an_archived_thread_is_still_until_somebody_speaks_in_it() {
    let sim = Sim::start().await;
    let thread = sim.thread("general", json!({ "name": "old", "type": 11 })).await;
    let said = sim.speak("bob", &thread, "before").await.1;
    let closed = sim.patch(&thread, json!({ "archived": true })).await;
    assert_eq!((closed.0, &closed.1["thread_metadata"]["archived"]), (200, &json!(true)));

    assert_eq!(code(&sim.patch(&thread, json!({ "name": "new" })).await), (400, 50_083));
    let own = format!("/channels/{}/thread-members/@me", id(&thread));
    assert_eq!(code(&sim.rest(Method::DELETE, &own, Value::Null).await), (400, 50_083));
    let react = format!("/channels/{}/messages/{}/reactions/👍/@me", id(&thread), id(&said));
    assert_eq!(code(&sim.rest(Method::PUT, &react, Value::Null).await), (400, 50_083));
    let edit = json!({ "content": "after", "author_id": sim.user("bob") });
    let path = format!("/messages/{}/{}", id(&thread), id(&said));
    assert_eq!(code(&sim.control(Method::PATCH, &path, edit).await), (400, 50_083));

    assert_eq!(sim.speak("bob", &thread, "wake up").await.0, 200);
    let shown = sim.rest(Method::GET, &format!("/channels/{}", id(&thread)), Value::Null).await.1;
    assert_eq!(shown["thread_metadata"]["archived"], false);
}

#[tokio::test]
async fn only_those_who_manage_threads_open_a_lock() {
    let sim = Sim::start().await;
    let thread = sim.thread("general", json!({ "name": "heated", "type": 11 })).await;
    let locked = sim.patch(&thread, json!({ "archived": true, "locked": true })).await;
    assert_eq!(locked.0, 200);
    assert_eq!(code(&sim.speak("bob", &thread, "but").await), (400, 160_005));
    let path = format!("/threads/{}", id(&thread));
    let mut by_bob = json!({ "user_id": sim.user("bob"), "archived": false });
    let refused = sim.control(Method::PATCH, &path, by_bob.clone()).await;
    assert_eq!(code(&refused), (403, 50_013));
    assert_eq!(sim.speak("theo", &thread, "calm down").await.0, 200);

    let both = json!({ "user_id": sim.user("theo"), "locked": false, "archived": true });
    assert_eq!(sim.control(Method::PATCH, &path, both).await.0, 200);
    assert_eq!(sim.control(Method::PATCH, &path, by_bob.clone()).await.0, 200);
    by_bob["name"] = json!("mine now");
    assert_eq!(code(&sim.control(Method::PATCH, &path, by_bob).await), (403, 50_013));
}

#[tokio::test]
async fn people_begin_rename_and_leave_their_own_threads() {
    let sim = Sim::start().await;
    let body = json!({
        "channel_id": sim.channel("general"), "user_id": sim.user("bob"), "name": "Bob's"
    });
    let thread = sim.post("/threads", body).await;
    assert_eq!((&thread["type"], &thread["owner_id"]), (&json!(11), &json!(sim.user("bob"))));
    let path = format!("/threads/{}", id(&thread));
    let rename = json!({ "user_id": sim.user("bob"), "name": "Bob's place" });
    assert_eq!(sim.control(Method::PATCH, &path, rename).await.1["name"], "Bob's place");
    let by_bob = format!("{path}?user_id={}", sim.user("bob"));
    assert_eq!(code(&sim.control(Method::DELETE, &by_bob, Value::Null).await), (403, 50_013));
    let alice = format!("{path}/members/{}", sim.user("alice"));
    assert_eq!(sim.control(Method::PUT, &alice, Value::Null).await.0, 204);
    assert_eq!(sim.control(Method::DELETE, &alice, Value::Null).await.0, 204);
    let by_theo = format!("{path}?user_id={}", sim.user("theo"));
    assert_eq!(sim.control(Method::DELETE, &by_theo, Value::Null).await.0, 204);
    assert_eq!(sim.control(Method::DELETE, &by_theo, Value::Null).await.0, 404);

    let staff = json!({
        "channel_id": sim.channel("staff"), "user_id": sim.user("bob"), "name": "spy"
    });
    assert_eq!(code(&sim.control(Method::POST, "/threads", staff).await), (403, 50_001));
    let secret = json!({
        "channel_id": sim.channel("general"), "user_id": sim.user("bob"), "name": "s", "type": 12
    });
    assert_eq!(code(&sim.control(Method::POST, "/threads", secret).await), (403, 50_013));
}

#[tokio::test]
async fn archived_threads_are_listed_in_pages() {
    let clock = Arc::new(ManualClock::at(now()));
    let sim = Sim::start_at(&clock).await;
    let general = sim.channel("general");
    let mut archived = Vec::new();
    for index in 0..3 {
        for kind in [11, 12] {
            let body = json!({ "name": format!("{kind}-{index}"), "type": kind });
            let thread = sim.thread("general", body).await;
            clock.advance(Duration::from_secs(1));
            sim.patch(&thread, json!({ "archived": true })).await;
            archived.push(thread);
        }
    }
    let list = async |which: &str| {
        let (status, list) =
            sim.rest(Method::GET, &format!("/channels/{general}{which}"), Value::Null).await;
        assert_eq!(status, 200, "{list}");
        list
    };
    let first = list("/threads/archived/public?limit=2").await;
    let names = |list: &Value| -> Vec<String> {
        let threads = list["threads"].as_array().unwrap().iter();
        threads.map(|thread| thread["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(first["has_more"], true);
    assert_eq!(names(&first), ["11-2", "11-1"]);
    assert_eq!(first["members"].as_array().unwrap().len(), 2);
    let before = first["threads"][1]["thread_metadata"]["archive_timestamp"].as_str().unwrap();
    let before = before.replace('+', "%2B");
    let rest = list(&format!("/threads/archived/public?limit=2&before={before}")).await;
    assert_eq!((names(&rest), &rest["has_more"]), (vec!["11-0".to_owned()], &json!(false)));
    assert_eq!(names(&list("/threads/archived/private").await), ["12-2", "12-1", "12-0"]);
    let before = archived[3]["id"].as_str().unwrap();
    let joined = format!("/users/@me/threads/archived/private?before={before}");
    assert_eq!(names(&list(&joined).await), ["12-0"]);
    let active = format!("/guilds/{}/threads/active", sim.guild());
    let active = sim.rest(Method::GET, &active, Value::Null).await.1;
    assert_eq!(active, json!({ "threads": [], "members": [], "has_more": false }));
}

#[tokio::test]
async fn a_forum_holds_posts_with_tags() {
    let sim = Sim::start().await;
    let tags =
        json!([{ "name": "idea", "emoji_name": "💡" }, { "name": "done", "moderated": true }]);
    let forum = sim.forum(tags).await;
    let (idea, done) = (&forum["available_tags"][0], &forum["available_tags"][1]);
    assert_eq!((&idea["emoji_name"], &done["moderated"]), (&json!("💡"), &json!(true)));
    let inside = format!("/channels/{}/messages", id(&forum));
    let bare = sim.rest(Method::POST, &inside, json!({ "content": "x" })).await;
    assert_eq!(code(&bare), (400, 50_008));

    let post = json!({
        "name": "Longer hours", "applied_tags": [idea["id"]], "message": { "content": "Until nine?" }
    });
    let post = sim.thread("ideas", post).await;
    assert_eq!((&post["type"], &post["applied_tags"]), (&json!(11), &json!([idea["id"]])));
    assert_eq!((&post["message"]["id"], &post["message_count"]), (&post["id"], &json!(0)));
    let shown = sim.rest(Method::GET, &format!("/channels/{}", id(&forum)), Value::Null).await.1;
    assert_eq!(shown["last_message_id"], post["id"]);

    let by_bob = |tag: &Value, content: &str| {
        json!({
            "channel_id": forum["id"], "user_id": sim.user("bob"), "name": "Mine",
            "content": content, "applied_tags": [tag]
        })
    };
    let refused = sim.control(Method::POST, "/threads", by_bob(&done["id"], "x")).await;
    assert_eq!(code(&refused), (403, 50_013));
    let refused = sim.control(Method::POST, "/threads", by_bob(&json!("77"), "x")).await;
    assert_eq!(code(&refused), (404, 10_087));
    let refused = sim.control(Method::POST, "/threads", by_bob(&idea["id"], "")).await;
    assert_eq!(code(&refused), (400, 50_006));
    let active = format!("/guilds/{}/threads/active", sim.guild());
    let active = sim.rest(Method::GET, &active, Value::Null).await.1;
    assert_eq!(active["threads"].as_array().unwrap().len(), 1, "a refused post leaves nothing");
    assert_eq!(sim.control(Method::POST, "/threads", by_bob(&idea["id"], "x")).await.0, 201);

    let path = format!("/channels/{}", id(&forum));
    let needs_tag = json!({ "flags": 16, "available_tags": [done, { "name": "new" }] });
    let edited = sim.rest(Method::PATCH, &path, needs_tag).await.1;
    assert_eq!((&edited["flags"], &edited["available_tags"][0]["id"]), (&json!(16), &done["id"]));
    let post = sim.rest(Method::GET, &format!("/channels/{}", id(&post)), Value::Null).await.1;
    assert_eq!(post.get("applied_tags"), None, "its tag is gone");
    let untagged = json!({ "name": "x", "message": { "content": "x" } });
    let untagged = sim.rest(Method::POST, &format!("{path}/threads"), untagged).await;
    assert_eq!(code(&untagged), (400, 40_067));
    let twice = json!({ "available_tags": [{ "name": "a" }, { "name": "a" }] });
    assert_eq!(code(&sim.rest(Method::PATCH, &path, twice).await), (400, 40_061));
}

#[tokio::test]
async fn a_bot_hears_of_threads_as_far_as_it_sees_them() {
    let sim = Sim::start().await;
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    let (general, http) = (sim.channel("general"), sim.http());
    let thread = http
        .create_thread(general, "news", ChannelType::PublicThread)
        .auto_archive_duration(AutoArchiveDuration::Day)
        .await
        .unwrap()
        .model()
        .await
        .unwrap();
    let mut seen = EventTypeFlags::empty();
    let wanted = EventTypeFlags::THREAD_CREATE
        | EventTypeFlags::THREAD_MEMBERS_UPDATE
        | EventTypeFlags::THREAD_MEMBER_UPDATE
        | EventTypeFlags::MESSAGE_CREATE
        | EventTypeFlags::GUILD_AUDIT_LOG_ENTRY_CREATE;
    while !seen.contains(wanted) {
        let event = bot.event().await;
        if let Event::ThreadCreate(created) = &event {
            assert_eq!((created.id, created.newly_created), (thread.id, Some(true)));
        }
        seen |= EventTypeFlags::from(event.kind());
    }
    http.update_thread(thread.id).name("old news").await.unwrap();
    bot.wait_for(|event| matches!(event, Event::ThreadUpdate(it) if it.id == thread.id)).await;
    sim.speak("alice", &json!({ "id": thread.id }), "me too").await;
    let joined = bot.wait_for(|event| matches!(event, Event::ThreadMembersUpdate(_))).await;
    let Event::ThreadMembersUpdate(joined) = joined else { unreachable!() };
    assert_eq!((joined.member_count, joined.added_members.len()), (2, 1));
    http.delete_channel(thread.id).await.unwrap();
    bot.wait_for(|event| matches!(event, Event::ThreadDelete(it) if it.id == thread.id)).await;
    let log = http.audit_log(sim.guild()).await.unwrap().model().await.unwrap();
    let kinds: Vec<u16> = log.entries.iter().map(|entry| entry.action_type.into()).collect();
    assert_eq!(kinds, [112, 111, 110]);
}

#[tokio::test]
async fn a_private_thread_is_told_to_those_who_are_in_it() {
    let sim = Sim::start().await;
    // Another bot, with no more rights than everybody.
    let body = json!({
        "guild_id": sim.guild(), "username": "Other", "bot": true, "token": "other",
        "permissions": "0"
    });
    sim.post("/members", body).await;
    let other = sim.user("Other");
    let intents = Intents::GUILDS | Intents::GUILD_MESSAGES | Intents::MESSAGE_CONTENT;
    let mut bot = Bot::connect_as(&sim, "other", intents).await;
    let hidden = sim.thread("general", json!({ "name": "hidden" })).await;
    sim.speak("mara", &hidden, "unheard").await;
    let member = format!("/channels/{}/thread-members/{other}", id(&hidden));
    assert_eq!(sim.rest(Method::PUT, &member, Value::Null).await.0, 204);
    // What was before is not told; the first that is heard is that it was let in.
    let Event::ThreadCreate(entered) = bot.event().await else { panic!("something else first") };
    assert_eq!((entered.id.to_string().as_str(), entered.newly_created), (id(&hidden), None));
    assert!(entered.member.is_some());
    let thread: Id<ChannelMarker> = entered.id;
    bot.wait_for(|event| matches!(event, Event::ThreadMembersUpdate(it) if it.id == thread)).await;
    sim.speak("mara", &hidden, "heard").await;
    let heard =
        bot.wait_for(|event| matches!(event, Event::MessageCreate(it) if it.content == "heard"));
    heard.await;
    assert_eq!(sim.rest(Method::DELETE, &member, Value::Null).await.0, 204);
    let gone = bot.wait_for(|event| matches!(event, Event::ThreadMembersUpdate(_))).await;
    let Event::ThreadMembersUpdate(gone) = gone else { unreachable!() };
    assert_eq!(gone.removed_member_ids, [other]);
}

#[tokio::test]
async fn a_bot_that_comes_to_see_a_channel_is_told_its_threads() {
    let sim = Sim::start().await;
    let (staff, ery) = (sim.channel("staff"), sim.user("Ery"));
    let thread = sim.thread("staff", json!({ "name": "watch", "type": 11 })).await;
    let deny = json!({ "permission_overwrites": [
        { "id": sim.guild(), "type": 0, "allow": "0", "deny": "1024" }
    ] });
    let path = format!("/channels/{staff}");
    assert_eq!(sim.control(Method::PATCH, &path, deny).await.0, 200);
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    assert!(bot.guild.threads.is_empty());
    let allow = json!({ "permission_overwrites": [
        { "id": sim.guild(), "type": 0, "allow": "0", "deny": "1024" },
        { "id": ery, "type": 1, "allow": "1024", "deny": "0" }
    ] });
    assert_eq!(sim.control(Method::PATCH, &path, allow).await.0, 200);
    let sync = bot.wait_for(|event| matches!(event, Event::ThreadListSync(_))).await;
    let Event::ThreadListSync(sync) = sync else { unreachable!() };
    assert_eq!((sync.channel_ids, sync.threads.len()), (vec![staff], 1));
    assert_eq!(sync.members.len(), 1);
    let bot = Bot::connect(&sim, Intents::all()).await;
    assert_eq!(bot.guild.threads[0].id.to_string(), id(&thread));
}

#[tokio::test]
async fn threads_go_with_their_channel_and_stay_in_a_world_file() {
    let sim = Sim::start().await;
    sim.forum(json!([{ "name": "a" }])).await;
    let post = json!({ "name": "kept", "message": { "content": "first" } });
    let post = sim.thread("ideas", post).await;
    sim.speak("bob", &post, "second").await;
    let told = sim.get("/world?messages=100").await;
    let again = sim.again_from(&told).await;
    assert_eq!(again.get("/world?messages=100").await, told);
    let shown = again.rest(Method::GET, &format!("/channels/{}", id(&post)), Value::Null).await;
    assert_eq!((shown.0, &shown.1["message_count"]), (200, &json!(1)));

    let forum = format!("/channels/{}", sim.channel("ideas"));
    assert_eq!(sim.rest(Method::DELETE, &forum, Value::Null).await.0, 200);
    let gone = sim.rest(Method::GET, &format!("/channels/{}", id(&post)), Value::Null).await;
    assert_eq!(code(&gone), (404, 10_003));
}

#[tokio::test]
async fn the_members_of_a_thread_are_told() {
    let sim = Sim::start().await;
    let thread = sim.thread("general", json!({ "name": "who", "type": 11 })).await;
    sim.speak("bob", &thread, &format!("<@{}>", sim.user("alice"))).await;
    let path = format!("/channels/{}/thread-members", id(&thread));
    let all = sim.rest(Method::GET, &path, Value::Null).await.1;
    assert_eq!(all.as_array().unwrap().len(), 3, "speaking and being mentioned is joining");
    let paged = format!("{path}?with_member=true&limit=1&after={}", sim.user("bob"));
    let page = sim.rest(Method::GET, &paged, Value::Null).await.1;
    assert_eq!(
        (page.as_array().unwrap().len(), &page[0]["member"]["user"]["username"]),
        (1, &json!("alice"))
    );
    let one = sim.rest(Method::GET, &format!("{path}/{}", sim.user("bob")), Value::Null).await;
    assert_eq!((one.0, &one.1["user_id"]), (200, &json!(sim.user("bob"))));
    let none = sim.rest(Method::GET, &format!("{path}/{}", sim.user("zoe")), Value::Null).await;
    assert_eq!(code(&none), (404, 10_007));
    let elsewhere = format!("/channels/{}/thread-members/@me", sim.channel("general"));
    assert_eq!(code(&sim.rest(Method::PUT, &elsewhere, Value::Null).await), (400, 50_024));
}

#[tokio::test]
async fn a_thread_in_which_nothing_happens_is_archived_in_time() {
    let clock = Arc::new(ManualClock::at(now()));
    let sim = Sim::start_at(&clock).await;
    let body = json!({ "name": "short", "type": 11, "auto_archive_duration": 60 });
    let thread = sim.thread("general", body).await;
    let is_archived = async || {
        let path = format!("/channels/{}", id(&thread));
        let shown = sim.rest(Method::GET, &path, Value::Null).await.1;
        shown["thread_metadata"]["archived"].as_bool().unwrap()
    };
    clock.advance(Duration::from_mins(59));
    sim.speak("bob", &thread, "still here").await;
    clock.advance(Duration::from_mins(59));
    assert!(!is_archived().await);
    let mut bot = Bot::connect(&sim, Intents::all()).await;
    clock.advance(Duration::from_mins(1));
    bot.wait_for(|event| matches!(event, Event::ThreadUpdate(_))).await;
    assert!(is_archived().await);
}

#[tokio::test]
async fn the_search_tells_the_threads_in_which_it_found_something() {
    let sim = Sim::start().await;
    let thread = sim.thread("general", json!({ "name": "jam", "type": 11 })).await;
    let hidden = json!({
        "channel_id": sim.channel("general"), "user_id": sim.user("mara"), "name": "h", "type": 12
    });
    let hidden = sim.post("/threads", hidden).await;
    sim.speak("bob", &thread, "elderberry in public").await;
    sim.speak("mara", &hidden, "elderberry in private").await;
    let path = format!("/guilds/{}/messages/search?content=elderberry", sim.guild());
    let found = sim.rest(Method::GET, &path, Value::Null).await.1;
    assert_eq!(found["total_results"], 2, "Ery manages threads, and sees private ones");
    assert_eq!(found["threads"].as_array().unwrap().len(), 2);
    assert_eq!(found["members"][0]["id"], thread["id"]);
}

#[tokio::test]
async fn what_is_wrong_with_a_thread_of_a_world_file_is_named() {
    let sim = Sim::start().await;
    sim.thread("general", json!({ "name": "lost", "type": 11 })).await;
    let good = sim.get("/world").await;
    let error = |change: &dyn Fn(&mut Value)| {
        let mut told = good.clone();
        change(&mut told["guilds"][0]["threads"][0]);
        ery_sim_discord::World::from_json(told.to_string().as_bytes(), now())
            .unwrap_err()
            .to_string()
    };
    let parent = error(&|thread| thread["parent_id"] = json!("77"));
    assert!(parent.contains("lost") && parent.contains("parent 77"), "{parent}");
    let kind = error(&|thread| thread["type"] = json!(0));
    assert!(kind.contains("its type 0 is none of"), "{kind}");
    let owner = error(&|thread| thread["owner_id"] = json!("5"));
    assert!(owner.contains("nobody is 5"), "{owner}");
}

#[tokio::test]
async fn slow_mode_holds_for_beginning_threads_too() {
    let sim = Sim::start().await;
    let general = format!("/channels/{}", sim.channel("general"));
    let slow = json!({ "rate_limit_per_user": 60 });
    assert_eq!(sim.control(Method::PATCH, &general, slow).await.0, 200);
    let begin = json!({
        "channel_id": sim.channel("general"), "user_id": sim.user("bob"), "name": "one"
    });
    assert_eq!(sim.control(Method::POST, "/threads", begin.clone()).await.0, 201);
    let again = sim.control(Method::POST, "/threads", begin).await;
    assert_eq!(code(&again), (429, 20_016));
}

#[tokio::test]
async fn a_forum_is_set_up_from_outside_and_only_posts_have_tags() {
    let sim = Sim::start().await;
    let forum = json!({
        "guild_id": sim.guild(), "name": "help", "type": 15, "flags": 16,
        "available_tags": [{ "name": "open", "emoji_name": "❓" }]
    });
    let forum = sim.post("/channels", forum).await;
    let tag = &forum["available_tags"][0]["id"];
    let post = json!({
        "channel_id": forum["id"], "user_id": sim.user("bob"), "name": "How?", "content": "So?"
    });
    assert_eq!(code(&sim.control(Method::POST, "/threads", post.clone()).await), (400, 40_067));
    let mut tagged = post;
    tagged["applied_tags"] = json!([tag]);
    assert_eq!(sim.post("/threads", tagged).await["applied_tags"], json!([tag]));
    let thread = sim.thread("general", json!({ "name": "bare", "type": 11 })).await;
    let edited = sim.patch(&thread, json!({ "applied_tags": [tag] })).await;
    assert_eq!((edited.0, edited.1.get("applied_tags")), (200, None));
}
