//! What is read, for whom, and where it may be told.

use std::time::Duration;

use serde_json::{Value, json};

use ery_proto::tool::v1::{CallOutcome, FetchHistoryRequest, ResolveCallRequest};

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
        ("bob", "general", staff.as_str(), CallOutcome::Failed, "not in this server"),
        ("bob", "general", "staff", CallOutcome::Failed, "exactly the name"),
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

/// What is called for about a channel.
type Way<'a> = &'a dyn Fn(&str) -> (&'static str, Value);

/// An archived thread of a hidden channel, of which no event told, costs one look like an id that is not
/// there; and both wait where Discord does not answer.
#[tokio::test]
async fn a_hidden_thread_that_nobody_told_of_is_as_if_it_were_not_there() {
    const LOOK: &str = "GET /channels/{channel_id}";

    let it = Harness::start().await;
    let (staff, missing) = (it.channel("staff"), "1234567890123456789".to_owned());
    let old = json!({"name": "old", "type": 11, "auto_archive_duration": 60});
    let old = it.rest_post(&format!("channels/{staff}/threads"), old).await["id"].clone();
    let old = old.as_str().unwrap().to_owned();
    it.control_patch(&format!("/threads/{old}"), json!({"archived": true})).await;
    let looks = async || it.requests("GET", "/channels/").await.len();
    for channel in [&old, &missing] {
        for expected in [1, 0] {
            let before = looks().await;
            let read = it.call("bob", "general", "fetch_messages", json!({"channel": channel}));
            expect(&it.run(&read).await, CallOutcome::Failed);
            assert_eq!(looks().await - before, expected, "{channel}");
        }
    }
    it.fault(LOOK, "error", json!({"status": 503, "count": 1_000})).await;
    for channel in [staff.to_string(), "1234567890123456780".to_owned()] {
        let read = it.call("bob", "general", "fetch_messages", json!({"channel": channel}));
        let status = it.try_run(&read).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unavailable, "{channel}");
    }
}

/// Whatever is asked about a channel that the asker does not see, the answer and its record are those of
/// a channel that is not there, by name and by id; and as much is asked of Discord.
#[tokio::test]
async fn a_channel_that_one_does_not_see_is_as_if_it_were_not_there() {
    let it = Harness::start().await;
    let staff = it.channel("staff").to_string();
    let begin = json!({"name": "aside", "visibility": "private"});
    let aside = it.run(&it.ordered("mara", "create_thread", begin).await).await;
    let aside = content(&aside)["thread"].as_str().unwrap().to_owned();
    let message = it.says("mara", "staff", "among us").await;
    let link =
        |channel: &str| format!("https://discord.com/channels/{}/{channel}/{message}", it.guild());
    // One that is not there for each that is, of the same length, so that what is quoted is as long.
    let ids = [(staff.as_str(), "1234567890123456789"), (aside.as_str(), "1234567890123456780")];
    let names = [("staff", "stuff"), ("#staff", "#stuff"), ("STAFF", "STUFF")];
    let pairs = ids.into_iter().chain(names).map(|(is, not)| (is.to_owned(), not.to_owned()));
    let mentions = ids.map(|(is, not)| (format!("<#{is}>"), format!("<#{not}>")));
    let pairs: Vec<_> = pairs.chain(mentions).collect();
    let plan = |tool: &str, arguments: Value| json!({"tool": tool, "arguments": arguments, "in_seconds": 60});
    let ways: [Way<'_>; 16] = [
        &|to| ("fetch_messages", json!({"channel": to})),
        &|to| ("send_message", json!({"channel": to, "content": "x"})),
        &|to| ("edit_message", json!({"channel": to, "message": message, "content": "x"})),
        &|to| ("delete_message", json!({"channel": to, "message": message})),
        &|to| ("delete_message", json!({"channel": to, "latest": 2})),
        &|to| ("add_reaction", json!({"channel": to, "message": message, "emoji": "👍"})),
        &|to| ("remove_reaction", json!({"channel": to, "message": message})),
        &|to| ("get_channel_info", json!({"channel": to})),
        &|to| ("search_messages", json!({"query": "x", "channel": to})),
        &|to| ("create_invite", json!({"channel": to})),
        &|to| ("create_thread", json!({"channel": to, "name": "n"})),
        &|to| ("pin_message", json!({"action": "list", "channel": to})),
        &|to| ("manage_channels", json!({"action": "delete", "channel": to})),
        &|to| ("manage_channels", json!({"action": "move", "channel": "general", "above": to})),
        &|to| ("manage_permissions", json!({"channel": to, "role": "everyone", "deny": ["SPEAK"]})),
        &|to| ("schedule_action", plan("send_message", json!({"channel": to, "content": "x"}))),
    ];
    let said = async |tool: &str, arguments: Value, of: &str| {
        let call = it.call("bob", "general", tool, arguments);
        let response = it.run(&call).await;
        let record = it.store.execution(&call.key);
        let unnamed = |text: &str| text.replace(of.trim_matches(['<', '>', '#']), "…");
        (
            (response.outcome(), unnamed(&response.reason), unnamed(&response.content)),
            (record.state(), record.decision(), unnamed(&record.decision_reason)),
            (record.tier, unnamed(&record.arguments), unnamed(&record.result)),
        )
    };
    for (is, not) in &pairs {
        for way in ways {
            let ((tool, hidden), (_, missing)) = (way(is), way(not));
            let (hidden, missing) = (said(tool, hidden, is).await, said(tool, missing, not).await);
            assert_eq!(hidden, missing, "{tool} {is}");
            assert_eq!(hidden.0.0, CallOutcome::Failed, "{tool} {is}: {hidden:?}");
        }
    }
    for tool in ["fetch_messages", "delete_message"] {
        let (hidden, missing) = (link(&staff), link("1234567890123456789"));
        let hidden = said(tool, json!({"message": hidden}), &staff).await;
        let missing = said(tool, json!({"message": missing}), "1234567890123456789").await;
        assert_eq!(hidden, missing, "{tool} by a link");
    }
    // Each id is asked for once at Discord, whether it is there or not.
    let asked = it.requests("GET", "/channels/").await;
    let of = |id: &str| {
        let path = format!("/channels/{id}");
        asked.iter().filter(|entry| entry["path"].as_str().unwrap().ends_with(&path)).count()
    };
    assert_eq!(of("1234567890123456789") + of("1234567890123456780"), 2);
    assert_eq!(of(&it.channel("general").to_string()), 2, "in place of those that are hidden");
    // Whoever sees it finds it all the same.
    let call = it.call("theo", "staff", "get_channel_info", json!({"channel": staff}));
    expect(&it.run(&call).await, CallOutcome::Done);
    let orders = |asker: &str| ResolveCallRequest {
        guild_id: it.guild(),
        channel_id: it.channel("general"),
        tool: "create_invite".into(),
        arguments: json!({"channel": "staff"}).to_string(),
        trigger_id: "m.1".into(),
        asker_id: it.user(asker),
        ..ResolveCallRequest::default()
    };
    for (asker, problem) in [("bob", "no channel with exactly the name"), ("theo", "")] {
        let resolved = it.client().resolve_call(orders(asker)).await.unwrap().into_inner();
        assert!(resolved.problem.contains(problem), "{asker}: {}", resolved.problem);
        assert_eq!(resolved.problem.is_empty(), problem.is_empty(), "{}", resolved.problem);
    }
}

#[tokio::test]
async fn what_was_to_be_done_in_a_channel_is_refused_alike_where_it_is_hidden_or_gone() {
    let mut refused = Vec::new();
    for is_gone in [false, true] {
        let it = Harness::start().await;
        let place = json!({"name": "den", "type": 0});
        let den = it.rest_post(&format!("guilds/{}/channels", it.guild()), place).await;
        it.event("channel_create", &den);
        let plan = json!({
            "tool": "send_message", "in_seconds": 60,
            "arguments": {"channel": den["id"], "content": "x"},
        });
        let plan = it.ordered("bob", "schedule_action", plan).await;
        let planned = it.run(&plan).await;
        expect(&planned, CallOutcome::Done);
        if is_gone {
            it.event("channel_delete", &den);
        } else {
            let mut hidden = den.clone();
            hidden["permission_overwrites"] = json!([
                {"id": it.guild().to_string(), "type": 0, "allow": "0", "deny": "1024"},
                {"id": it.user("Ery").to_string(), "type": 1, "allow": "1024", "deny": "0"},
            ]);
            it.event("channel_update", &hidden);
        }
        it.clock.advance(Duration::from_mins(1));
        let mut due = it.call("bob", "general", "send_message", json!({}));
        due.scheduled_action_id = content(&planned)["id"].as_str().unwrap().to_owned();
        // An event takes a moment.
        for attempt in 0.. {
            let response = it.run(&due).await;
            if response.outcome() != CallOutcome::Done {
                refused.push((response.outcome(), response.reason, response.content));
                break;
            }
            assert!(attempt < 200, "it is never refused");
            due.key = it.call("bob", "general", "send_message", json!({})).key;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    assert_eq!(refused[0], refused[1]);
    assert_eq!(refused[0].0, CallOutcome::Denied);
}
