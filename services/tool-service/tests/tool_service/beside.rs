//! What stands beside a message's words: polls and files; what others wrote there is read, too.

use serde_json::json;

use ery_proto::tool::v1::CallOutcome;

use crate::support::{Harness, content, expect};

const ADD_REACTIONS: u64 = 1 << 6;
const SEND_POLLS: u64 = 1 << 49;

const SEND: &str = "POST /channels/{channel_id}/messages";

#[tokio::test]
async fn a_poll_is_sent_filtered_and_within_bounds() {
    let it = Harness::start().await;
    let poll = json!({
        "question": "Where\u{200b}\nto? https://evil.example/?a=b",
        "answers": ["North", " South "], "hours": 48, "several": true,
    });
    let arguments = json!({"content": "Vote!", "poll": poll});
    let response = it.run(&it.call("bob", "general", "send_message", arguments)).await;
    expect(&response, CallOutcome::Done);
    let id = response.message_id.to_string();
    let message = it.message_now("general", &id).await;
    let shown = &message["poll"];
    assert_eq!(shown["question"]["text"], "Where to? https://evil.example/");
    assert_eq!(shown["answers"][1]["poll_media"]["text"], "South");
    assert_eq!(shown["allow_multiselect"], true);

    let read = it.run(&it.call("bob", "general", "fetch_messages", json!({"limit": 1}))).await;
    let read = content(&read);
    let shown = "Where to? https://evil.example/\n- North (0 votes)\n- South (0 votes)";
    assert_eq!(
        read["messages"][0]["enclosures"],
        json!([{"kind": "poll", "text": shown}]),
        "{read}"
    );
    let edit = json!({"message": id, "content": "Vote now!"});
    let response = it.run(&it.ordered("theo", "edit_message", edit).await).await;
    expect(&response, CallOutcome::Failed);

    let with = |answers: Vec<String>| json!({"poll": {"question": "x", "answers": answers}});
    for (arguments, told) in [
        (with(vec![]), "answers"),
        (with(vec!["a".into(); 11]), "answers"),
        (with(vec!["a".into(), "a\u{200b}".into()]), "twice"),
        (with(vec!["a".repeat(56)]), "answers"),
        (with(vec!["\u{200b}".into()]), "0 characters"),
        (json!({"poll": {"question": "x".repeat(301), "answers": ["a"]}}), "question"),
        (json!({"poll": {"question": "x", "answers": ["a"], "hours": 0}}), "hours"),
        (json!({"poll": {"question": "x", "answers": ["a"], "hours": 769}}), "hours"),
        (json!({"poll": {"question": "x", "answers": ["a"], "layout_type": 1}}), "layout_type"),
    ] {
        let response = it.run(&it.call("bob", "general", "send_message", arguments)).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains(told), "{told}: {}", response.reason);
    }

    let it = Harness::start().await;
    it.deny_ery("general", SEND_POLLS).await;
    let response = it.run(&it.call("bob", "general", "send_message", with(vec!["a".into()]))).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("SEND_POLLS"), "{}", response.reason);
}

#[tokio::test]
async fn a_file_is_sent_once_even_where_the_answer_is_lost() {
    let it = Harness::start().await;
    it.fault(SEND, "lose_response", json!({"count": 1})).await;
    let files = json!([
        {"name": "rules.md", "text": "# Be kind\nhttps://evil.example/?a=b"},
        {"name": "list.csv", "text": "a,b\n1,2\n"},
    ]);
    let arguments = json!({"content": "Here they are.", "files": files});
    let response = it.run(&it.call("bob", "general", "send_message", arguments)).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(it.said("general").iter().filter(|said| *said == "Here they are.").count(), 1);
    let message = it.message_now("general", &response.message_id.to_string()).await;
    assert_eq!(message["attachments"][0]["filename"], "rules.md");
    assert_eq!(message["attachments"][1]["filename"], "list.csv");
    let url = message["attachments"][0]["url"].as_str().unwrap();
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    assert_eq!(text, "# Be kind\nhttps://evil.example/");

    for (files, told) in [
        (json!([{"name": "run.exe", "text": "x"}]), "endings"),
        (json!([{"name": "page.html", "text": "x"}]), "endings"),
        (json!([{"name": "../a.txt", "text": "x"}]), "endings"),
        (json!([{"name": "a.txt", "text": " "}]), "empty"),
        (json!([{"name": "a.txt", "text": "x"}, {"name": "A.txt", "text": "y"}]), "same name"),
        (json!([{"name": "a.txt", "text": "x", "url": "https://evil.example"}]), "url"),
    ] {
        let arguments = json!({"files": files});
        let response = it.run(&it.call("bob", "general", "send_message", arguments)).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains(told), "{told}: {}", response.reason);
    }
}

#[tokio::test]
async fn what_a_bot_says_in_embeds_is_read() {
    let it = Harness::start().await;
    let embed = json!({
        "title": "Release", "description": "Out now", "fields": [{"name": "Size", "value": "12"}],
    });
    let call = it.call("bob", "general", "send_message", json!({"embeds": [embed]}));
    expect(&it.run(&call).await, CallOutcome::Done);
    let read = it.run(&it.call("bob", "general", "fetch_messages", json!({"limit": 1}))).await;
    let shown = json!([{"kind": "embed", "text": "Release\nOut now\nSize: 12"}]);
    assert_eq!(content(&read)["messages"][0]["enclosures"], shown);
}

#[tokio::test]
async fn what_somebody_forwards_is_read_and_is_not_their_text() {
    let it = Harness::start().await;
    let said = it.says("zoe", "recipes", "the secret is salt").await;
    let forward = json!({
        "channel_id": it.channel("general").to_string(), "author_id": it.user("bob").to_string(),
        "forward": {"channel_id": it.channel("recipes").to_string(), "message_id": said},
    });
    it.control("/messages", forward).await;
    let read = it.run(&it.call("bob", "general", "fetch_messages", json!({"limit": 1}))).await;
    let message = content(&read)["messages"][0].clone();
    assert_eq!(message["content"], "");
    let shown = json!([{"kind": "forward", "text": "the secret is salt"}]);
    assert_eq!(message["enclosures"], shown, "{message}");
}

#[tokio::test]
async fn where_she_may_not_begin_a_reaction_she_joins_in() {
    let it = Harness::start().await;
    let message = it.says("zoe", "general", "look").await;
    it.control(
        "/reactions",
        json!({
            "channel_id": it.channel("general").to_string(), "message_id": message,
            "user_id": it.user("zoe").to_string(), "emoji": "🎉",
        }),
    )
    .await;
    it.deny_ery("general", ADD_REACTIONS).await;
    let react = |emoji: &str| {
        it.call("bob", "general", "add_reaction", json!({"message": message, "emoji": emoji}))
    };
    expect(&it.run(&react("🎉")).await, CallOutcome::Done);
    let response = it.run(&react("👍")).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("ADD_REACTIONS"), "{}", response.reason);
}

#[tokio::test]
async fn a_search_by_relevance_keeps_discords_order() {
    let it = Harness::start().await;
    let best = it.says("bob", "general", "wombat wombat wombat").await;
    let worst = it.says("bob", "general", "a long tale in which one wombat appears").await;
    let middle = it.says("bob", "general", "wombat spotted").await;
    let query = json!({"query": "wombat", "order": "relevance"});
    let response = it.run(&it.call("bob", "general", "search_messages", query)).await;
    let found = content(&response);
    let ids: Vec<_> = found["messages"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert_eq!(ids, [&json!(best), &json!(middle), &json!(worst)]);
}

#[tokio::test]
async fn a_channel_whose_sends_keep_failing_does_not_silence_the_others() {
    let it = Harness::start().await;
    it.fault(SEND, "error", json!({"status": 500})).await;
    let mut is_spared = false;
    for _ in 0..20 {
        let before = it.requests("POST", "/messages").await.len();
        let call = it.call("bob", "general", "send_message", json!({"content": "x"}));
        assert_ne!(it.run(&call).await.outcome(), CallOutcome::Done);
        is_spared |= it.requests("POST", "/messages").await.len() == before;
        if is_spared {
            break;
        }
    }
    assert!(is_spared, "the channel is asked for ever");
    it.clear_faults().await;
    let call = it.call("bob", "recipes", "send_message", json!({"content": "soup"}));
    expect(&it.run(&call).await, CallOutcome::Done);
    assert_eq!(it.said("recipes").last().unwrap(), "soup");
}

#[tokio::test]
async fn stickers_of_the_server_are_sent_by_name_or_id() {
    let it = Harness::start().await;
    let sticker = async |guild: &str, name: &str, is_available: bool| {
        let body = json!({"guild_id": guild, "name": name, "available": is_available});
        it.control("/stickers", body).await["id"].as_str().unwrap().to_owned()
    };
    let guild = it.guild().to_string();
    let wave = sticker(&guild, "Wave", true).await;
    let party = sticker(&guild, "party", true).await;
    sticker(&guild, "lost", false).await;
    let other = json!({"name": "Other", "owner_id": it.user("bob").to_string()});
    let other = it.control("/guilds", other).await["id"].as_str().unwrap().to_owned();
    let foreign = sticker(&other, "foreign", true).await;

    // Also where Discord's answer is lost, it stands once.
    it.fault(SEND, "lose_response", json!({"count": 1})).await;
    let arguments = json!({"stickers": ["wave", party]});
    let response = it.run(&it.call("bob", "general", "send_message", arguments)).await;
    expect(&response, CallOutcome::Done);
    let message = it.message_now("general", &response.message_id.to_string()).await;
    let ids: Vec<_> =
        message["sticker_items"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert_eq!(ids, [&json!(wave), &json!(party)]);
    assert_eq!(it.requests("POST", "/messages").await.len(), 2, "sent again under its nonce");

    for (stickers, told) in [
        (
            json!(["nope"]),
            "no sticker “nope”, and I can send none from elsewhere; it has: Wave, party",
        ),
        (json!([foreign]), "from elsewhere"),
        (json!(["lost"]), "boosts"),
        (json!(["wave", wave]), "once"),
        (json!(["1", "2", "3", "4"]), "stickers"),
    ] {
        let arguments = json!({"content": "x", "stickers": stickers});
        let response = it.run(&it.call("bob", "general", "send_message", arguments)).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains(told), "{told}: {}", response.reason);
    }
}
