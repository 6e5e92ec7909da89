//! What is read, for whom, and where it may be told.

use serde_json::{Value, json};

use ery_proto::tool::v1::{CallOutcome, FetchHistoryRequest};

use crate::support::{Harness, content, expect, order};

fn texts(content: &Value) -> Vec<String> {
    let messages = content["messages"].as_array().unwrap();
    messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn messages_come_as_data_with_the_oldest_first() {
    let it = Harness::start().await;
    let call =
        it.call("bob", "general", "fetch_messages", json!({"channel": "#recipes", "limit": 3}));
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    let content = content(&response);
    let messages = content["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 3);
    let ids: Vec<u64> =
        messages.iter().map(|message| message["id"].as_str().unwrap().parse().unwrap()).collect();
    assert!(ids.is_sorted());
    assert!(messages[0]["author_id"].is_string() && messages[0]["at"].is_string());
    let before = it.call(
        "bob",
        "general",
        "fetch_messages",
        json!({
            "channel": "recipes", "limit": 100, "before": messages[0]["id"],
        }),
    );
    let older = it.run(&before).await;
    expect(&older, CallOutcome::Done);
    let older = texts(&self::content(&older));
    assert!(!older.is_empty() && !older.contains(&texts(&content)[0]));
}

#[tokio::test]
async fn nobody_reads_through_ery_what_they_could_not_read() {
    let it = Harness::start().await;
    let staff = it.channel("staff").to_string();
    for (asker, place, channel, expected, told) in [
        ("bob", "general", staff.as_str(), CallOutcome::Denied, "VIEW_CHANNEL"),
        ("bob", "general", "staff", CallOutcome::Denied, "VIEW_CHANNEL"),
        ("theo", "general", "staff", CallOutcome::Denied, "Not everybody"),
        ("mara", "recipes", "staff", CallOutcome::Denied, "Not everybody"),
        ("theo", "staff", "staff", CallOutcome::Done, ""),
        ("theo", "staff", "general", CallOutcome::Done, ""),
        ("bob", "recipes", "general", CallOutcome::Done, ""),
        ("bob", "general", "999999999999999999", CallOutcome::Failed, "not in this server"),
        ("bob", "general", "no-such-channel", CallOutcome::Failed, "exactly the name"),
    ] {
        let call = it.call(asker, place, "fetch_messages", json!({"channel": channel}));
        let response = it.run(&call).await;
        expect(&response, expected);
        assert!(response.reason.contains(told), "{asker} {channel}: {}", response.reason);
        assert!(!response.content.contains("no bans without a warning") || place == "staff");
    }
    let reads = it.requests("GET", &format!("/channels/{staff}/messages")).await;
    assert_eq!(reads.len(), 1, "refused without asking Discord");
}

#[tokio::test]
async fn a_channel_of_another_guild_is_refused() {
    let it = Harness::start().await;
    let other = it
        .control(
            "/guilds",
            json!({
                "name": "Elsewhere", "owner_id": it.user("bob").to_string(),
                "bots": [it.user("Ery").to_string()],
            }),
        )
        .await;
    let guild = other["id"].as_str().unwrap().to_owned();
    let channels = it
        .control(
            "/channels",
            json!({
                "guild_id": guild, "name": "elsewhere", "type": 0,
            }),
        )
        .await;
    let foreign = channels["id"].as_str().unwrap();
    let call = it.call("bob", "general", "fetch_messages", json!({"channel": foreign}));
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("not in this server"), "{}", response.reason);
    let call = it.call(
        "bob",
        "general",
        "search_messages",
        json!({
            "query": "x", "channel": format!("<#{foreign}>"),
        }),
    );
    expect(&it.run(&call).await, CallOutcome::Failed);
    let request = FetchHistoryRequest {
        guild_id: it.guild(),
        channel_id: foreign.parse().unwrap(),
        before: 0,
        limit: 10,
        with_payloads: false,
    };
    assert_eq!(it.client().fetch_history(request).await.unwrap_err().code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn a_search_names_the_channels_that_may_be_read() {
    let it = Harness::start().await;
    it.fault("GET /guilds/{guild_id}/messages/search", "not_ready", json!({"count": 1})).await;
    let call = it.call("bob", "general", "search_messages", json!({"query": "bread"}));
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    let found = texts(&content(&response));
    assert!(found.iter().any(|text| text.contains("rye bread")), "{found:?}");
    let searches = it.requests("GET", "/messages/search").await;
    assert_eq!(searches.len(), 2, "not indexed at first");
    let path = searches[1]["path"].as_str().unwrap();
    let staff = it.channel("staff").to_string();
    assert!(path.contains(&format!("channel_id={}", it.channel("recipes"))), "{path}");
    assert!(!path.contains(&staff), "{path}");

    let by_author = it.call(
        "bob",
        "general",
        "search_messages",
        json!({
            "author": "Theo", "limit": 25,
        }),
    );
    let response = it.run(&by_author).await;
    expect(&response, CallOutcome::Done);
    let theo = it.user("theo").to_string();
    let messages = content(&response)["messages"].clone();
    assert!(!messages.as_array().unwrap().is_empty());
    assert!(
        messages
            .as_array()
            .unwrap()
            .iter()
            .all(|message| { message["author_id"] == theo && message["channel"] != staff })
    );
}

#[tokio::test]
async fn a_timeout_is_told_among_moderators_and_to_the_member_themselves() {
    let it = Harness::start().await;
    let act = json!({"member": it.user("bob").to_string(), "duration_seconds": 600});
    let mut timeout = it.call("theo", "general", "timeout_member", act.clone());
    timeout.orders = vec![order("timeout_member", &act)];
    expect(&it.run(&timeout).await, CallOutcome::Done);
    for (asker, place, is_shown) in [
        ("theo", "staff", true),
        ("mara", "staff", true),
        ("bob", "general", true),
        ("theo", "general", false),
        ("alice", "general", false),
    ] {
        let call = it.call(asker, place, "get_member_info", json!({"member": "Bob"}));
        let response = it.run(&call).await;
        expect(&response, CallOutcome::Done);
        let content = content(&response);
        assert_eq!(content["username"], "bob");
        assert_eq!(content["roles"][0]["name"], "Member");
        assert_eq!(content.get("timed_out_until").is_some(), is_shown, "{asker}: {content}");
        let summary = content["summary"].as_str().unwrap();
        assert_eq!(summary.contains("timed out until"), is_shown, "{asker}: {summary}");
        let says_where = summary.contains("only where just moderators read");
        assert_eq!(says_where, (asker, place) == ("theo", "general"), "{asker}: {summary}");
    }
    let gone = it.call("alice", "general", "get_member_info", json!({"member": "<@17>"}));
    expect(&it.run(&gone).await, CallOutcome::Failed);
}

#[tokio::test]
async fn history_comes_with_the_oldest_first_and_whole() {
    let it = Harness::start().await;
    let request = FetchHistoryRequest {
        guild_id: it.guild(),
        channel_id: it.channel("recipes"),
        before: 0,
        limit: 4,
        with_payloads: true,
    };
    let answer = it.client().fetch_history(request).await.unwrap().into_inner();
    let messages = answer.messages;
    assert_eq!(messages.len(), 4);
    // Each also as a dispatch would have it.
    assert_eq!(answer.payloads.len(), 4);
    for (message, payload) in messages.iter().zip(&answer.payloads) {
        let payload: serde_json::Value = serde_json::from_slice(payload).unwrap();
        assert_eq!(payload["id"], message.message_id.to_string());
        assert_eq!(payload["guild_id"], it.guild().to_string());
        assert_eq!(payload["content"], message.content);
    }
    assert!(messages.is_sorted_by_key(|message| message.message_id));
    assert!(messages.iter().all(|message| {
        message.created_at_ms > 0
            && !message.author_name.is_empty()
            && message.guild_id == it.guild()
            && message.channel_id == it.channel("recipes")
    }));
    let reply = messages.iter().find(|message| message.reply_to != 0).unwrap();
    assert_ne!(reply.reply_to_author_id, 0);
}
