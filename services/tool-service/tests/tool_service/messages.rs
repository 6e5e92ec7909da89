//! Messages that are sent elsewhere, edited, deleted, pinned and unreacted.

use std::time::Duration;

use serde_json::{Value, json};

use ery_proto::tool::v1::{CallOutcome, CallToolRequest};

use crate::support::{Harness, content, expect};

const ONE: &str = "DELETE /channels/{channel_id}/messages/{message_id}";

/// What Ery says for somebody; returns the message's id.
async fn answered(it: &Harness, who: &str, text: &str) -> String {
    let question = it.says(who, "general", "a question").await;
    let answer = json!({"content": text, "reply_to": question});
    let call =
        CallToolRequest { is_answer: true, ..it.call(who, "general", "send_message", answer) };
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    response.message_id.to_string()
}

#[tokio::test]
async fn a_message_goes_to_another_channel_on_an_order_only() {
    let it = Harness::start().await;
    let elsewhere = json!({"content": "Quiz at eight", "channel": "#events"});
    let unordered = it.call("bob", "general", "send_message", elsewhere.clone());
    expect(&it.run(&unordered).await, CallOutcome::NeedsApproval);
    let call = it.ordered("bob", "send_message", elsewhere).await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(it.said("events"), ["Quiz at eight"]);
    assert_eq!(content(&response)["channel"], it.channel("events").to_string());
    assert_eq!(it.store.execution(&call.key).tier, "reversible");
    let stored = it.store.with(|state| state.sent.last().unwrap().channel_id);
    assert_eq!(stored, it.channel("events"));
    // Not where the asker could not speak by hand.
    let welcome = json!({"content": "hi", "channel": "welcome"});
    let call = it.ordered("bob", "send_message", welcome).await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("SEND_MESSAGES"), "{}", response.reason);
    let staff =
        it.ordered("bob", "send_message", json!({"content": "x", "channel": "staff"})).await;
    expect(&it.run(&staff).await, CallOutcome::Failed);
}

#[tokio::test]
async fn what_was_said_among_staff_is_carried_out_only_word_for_word() {
    let it = Harness::start().await;
    let out = json!({"content": "a secret of the staff", "channel": "general"});
    let call = it.call("theo", "staff", "send_message", out.clone());
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("carry"), "{}", response.reason);
    let ordered = it.ordered_in("theo", "staff", "send_message", out).await;
    expect(&it.run(&ordered).await, CallOutcome::Done);
    let mut other = it.ordered_in("theo", "staff", "send_message", json!({"content": "x"})).await;
    other.arguments = json!({"content": "another secret", "channel": "general"}).to_string();
    expect(&it.run(&other).await, CallOutcome::Denied);
    assert_eq!(it.said("general"), ["a secret of the staff"]);
}

#[tokio::test]
async fn an_answer_stays_where_it_was_asked_for() {
    let it = Harness::start().await;
    let away = json!({"content": "x", "channel": "staff"});
    let call =
        CallToolRequest { is_answer: true, ..it.call("bob", "general", "send_message", away) };
    expect(&it.run(&call).await, CallOutcome::Denied);
    assert!(it.said("staff").is_empty());
}

#[tokio::test]
async fn an_edit_shows_no_preview_of_an_unknown_host_beside_an_embed() {
    let it = Harness::start().await;
    let message = answered(&it, "bob", "hello").await;
    let edit = json!({
        "message": message, "content": "https://evil.example/data", "embeds": [{"title": "x"}],
    });
    let response = it.run(&it.call("bob", "general", "edit_message", edit)).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("not known"), "{}", response.reason);
}

#[tokio::test]
async fn many_that_discord_takes_only_one_by_one_are_deleted_so() {
    let it = Harness::start().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(it.says("bob", "general", "spam").await);
    }
    let route = "POST /channels/{channel_id}/messages/bulk-delete";
    it.fault(route, "error", json!({"status": 400, "code": 50_034, "count": 1})).await;
    let bulk = json!({"messages": ids});
    let response = it.run(&it.ordered("theo", "delete_message", bulk).await).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(content(&response)["deleted"], 3);
    assert!(it.said("general").is_empty());
}

#[tokio::test]
async fn embeds_are_sent_filtered_and_within_bounds() {
    let it = Harness::start().await;
    let embed = json!({
        "title": "Quiz", "description": "[here](https://evil.example/?a=b)", "color": 255,
        "fields": [{"name": "When", "value": "Friday", "inline": true}], "footer": "see you",
    });
    let call = it.call("bob", "general", "send_message", json!({"embeds": [embed]}));
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    let message = it.message_now("general", &response.message_id.to_string()).await;
    let shown = &message["embeds"][0];
    assert_eq!((&shown["title"], &shown["color"]), (&json!("Quiz"), &json!(255)));
    assert_eq!(shown["description"], "here (https://evil.example/)");
    assert_eq!(shown["footer"]["text"], "see you");
    assert_eq!(shown["fields"][0]["inline"], true);
    let long = |count: usize| json!({"description": "x".repeat(count)});
    for (arguments, told) in [
        (json!({}), "empty"),
        (json!({"embeds": [{}]}), "needs a title"),
        (json!({"embeds": [{"title": "x".repeat(257)}]}), "embeds"),
        (json!({"embeds": [long(4_000), long(2_001)]}), "6000"),
        (json!({"embeds": vec![long(1); 11]}), "embeds"),
        (json!({"embeds": [{"title": "x", "image": {"url": "https://evil.example"}}]}), "image"),
        (json!({"content": "https://evil.example", "embeds": [long(1)]}), "not known"),
    ] {
        let response = it.run(&it.call("bob", "general", "send_message", arguments)).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains(told), "{told}: {}", response.reason);
    }
}

#[tokio::test]
async fn an_answer_is_edited_for_whom_it_was_written_or_for_who_manages_messages() {
    let it = Harness::start().await;
    let message = answered(&it, "bob", "first").await;
    for (asker, text) in [("bob", "second"), ("theo", "third")] {
        let edit = json!({"message": message, "content": text});
        let unordered = it.call(asker, "general", "edit_message", edit.clone());
        expect(&it.run(&unordered).await, CallOutcome::NeedsApproval);
        expect(&it.run(&it.ordered(asker, "edit_message", edit).await).await, CallOutcome::Done);
        assert_eq!(it.message_now("general", &message).await["content"], text);
    }
    let edits = it.requests("PATCH", "/messages/").await;
    assert!(edits.iter().all(|edit| edit["body"]["allowed_mentions"]["parse"] == json!([])));
    let theirs = it.says("bob", "general", "my words").await;
    for (asker, message, outcome, told) in [
        ("alice", message.as_str(), CallOutcome::Denied, "MANAGE_MESSAGES"),
        ("theo", theirs.as_str(), CallOutcome::Failed, "messages of my own"),
        ("theo", "17", CallOutcome::Failed, "no such message"),
        ("bob", "17", CallOutcome::Denied, "MANAGE_MESSAGES"),
    ] {
        let edit = json!({"message": message, "content": "changed"});
        let response = it.run(&it.ordered(asker, "edit_message", edit).await).await;
        expect(&response, outcome);
        assert!(response.reason.contains(told), "{asker}: {}", response.reason);
    }
    assert_eq!(it.requests("PATCH", "/messages/").await.len(), edits.len());
}

#[tokio::test]
async fn a_poll_is_not_edited_and_a_lost_answer_to_an_edit_is_repeated() {
    let it = Harness::start().await;
    let message = answered(&it, "bob", "first").await;
    let edit = json!({"message": message, "content": "second"});
    let route = "PATCH /channels/{channel_id}/messages/{message_id}";
    it.fault(route, "lose_response", json!({"count": 1})).await;
    expect(&it.run(&it.ordered("bob", "edit_message", edit).await).await, CallOutcome::Done);
    assert_eq!(it.requests("PATCH", "/messages/").await.len(), 2);
    let poll = it
        .rest_post(
            &format!("channels/{}/messages", it.channel("general")),
            json!({"poll": {
                "question": {"text": "?"}, "answers": [{"poll_media": {"text": "yes"}}],
            }}),
        )
        .await;
    let edit = json!({"message": poll["id"], "content": "x"});
    let response = it.run(&it.ordered("theo", "edit_message", edit).await).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("poll"), "{}", response.reason);
}

#[tokio::test]
async fn people_delete_their_own_and_moderators_those_of_others() {
    let it = Harness::start().await;
    let (own, other) =
        (it.says("bob", "general", "mine").await, it.says("alice", "general", "hers").await);
    let delete = |message: &str| json!({"message": message, "reason": "tidy"});
    let call = it.ordered("bob", "delete_message", delete(&other)).await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Denied);
    assert!(response.reason.contains("MANAGE_MESSAGES"), "{}", response.reason);
    expect(
        &it.run(&it.call("bob", "general", "delete_message", delete(&own))).await,
        CallOutcome::NeedsApproval,
    );
    let call = it.ordered("bob", "delete_message", delete(&own)).await;
    expect(&it.run(&call).await, CallOutcome::Done);
    assert_eq!(it.store.execution(&call.key).tier, "reversible");
    expect(
        &it.run(&it.ordered("theo", "delete_message", delete(&other)).await).await,
        CallOutcome::Done,
    );
    for gone in [&own, &other] {
        assert_eq!(it.message_now("general", gone).await["code"], 10_008);
    }
    // What never was there is told to whoever could delete it, and to nobody else.
    for (asker, outcome) in [("theo", CallOutcome::Failed), ("bob", CallOutcome::Denied)] {
        expect(&it.run(&it.ordered(asker, "delete_message", delete("17")).await).await, outcome);
    }
    let staffs = it.says("mara", "staff", "among us").await;
    let hidden = json!({"message": staffs, "channel": it.channel("staff").to_string()});
    let response = it.run(&it.ordered("bob", "delete_message", hidden).await).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("not in this server"), "{}", response.reason);
    let link =
        format!("https://discord.com/channels/{}/{}/{staffs}", it.guild(), it.channel("staff"));
    let linked = it.ordered("theo", "delete_message", json!({"message": link})).await;
    expect(&it.run(&linked).await, CallOutcome::Done);
}

#[tokio::test]
async fn a_deletion_that_is_repeated_is_done() {
    let it = Harness::start().await;
    let message = it.says("bob", "general", "mine").await;
    it.fault(ONE, "lose_response", json!({"count": 1})).await;
    let call = it.ordered("bob", "delete_message", json!({"message": message})).await;
    expect(&it.run(&call).await, CallOutcome::Done);
    assert_eq!(it.requests("DELETE", "/messages/").await.len(), 2);

    // Killed between Discord's answer and the record: whose it was nobody can tell any more, so that it is
    // looked for.
    let message = it.says("bob", "general", "mine, too").await;
    let call = it.ordered("bob", "delete_message", json!({"message": message})).await;
    it.store.with(|state| state.lose_ends = u32::MAX);
    assert_eq!(it.try_run(&call).await.unwrap_err().code(), tonic::Code::Unavailable);
    it.store.with(|state| state.lose_ends = 0);
    it.clock.advance(Duration::from_mins(1));
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(content(&response)["deleted"], 1);
    assert_eq!(it.requests("DELETE", "/messages/").await.len(), 3);
}

#[tokio::test]
async fn a_deletion_without_a_clear_answer_is_looked_for() {
    let it = Harness::start().await;
    for (is_gone, outcome) in [(true, CallOutcome::Done), (false, CallOutcome::InDoubt)] {
        let message = it.says("bob", "general", "mine").await;
        if is_gone {
            it.fault(ONE, "lose_response", json!({"count": 1})).await;
            // A code of its own, as other servers have them.
            it.fault(ONE, "error", json!({"status": 404, "code": 404, "count": 1})).await;
        } else {
            it.fault(ONE, "error", json!({"status": 502, "when": "before", "count": 100})).await;
        }
        let call = it.ordered("bob", "delete_message", json!({"message": message})).await;
        expect(&it.run(&call).await, outcome);
        assert_eq!(it.message_now("general", &message).await["code"] == 10_008, is_gone);
    }
}

#[tokio::test]
async fn many_are_deleted_at_once_and_old_ones_singly() {
    let it = Harness::start().await;
    let mut ids = vec![it.says("bob", "general", "old").await];
    it.clock.advance(Duration::from_hours(15 * 24));
    for text in ["one", "two", "three"] {
        ids.push(it.says("alice", "general", text).await);
    }
    ids.push(ids[1].clone());
    let bulk = json!({"messages": ids, "reason": "flood"});
    for asker in ["alice", "bob"] {
        expect(
            &it.run(&it.ordered(asker, "delete_message", bulk.clone()).await).await,
            CallOutcome::Denied,
        );
    }
    let call = it.ordered("theo", "delete_message", bulk).await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(content(&response)["deleted"], 4);
    assert_eq!(it.store.execution(&call.key).tier, "destructive");
    let many = it.requests("POST", "/bulk-delete").await;
    assert_eq!(many[0]["body"]["messages"].as_array().unwrap().len(), 3);
    assert!(many[0]["headers"]["x-audit-log-reason"].as_str().unwrap().contains("flood"));
    assert_eq!(it.requests("DELETE", "/messages/").await.len(), 1);
    let far: Vec<String> = (1..=101).map(|id: u64| id.to_string()).collect();
    for arguments in [json!({}), json!({"messages": far}), json!({"messages": ["1", "x"]})] {
        let response = it.run(&it.call("theo", "general", "delete_message", arguments)).await;
        expect(&response, CallOutcome::Failed);
    }
}

#[tokio::test]
async fn what_was_not_there_is_not_told_as_deleted() {
    let it = Harness::start().await;
    let mut ids = Vec::new();
    for text in ["one", "two", "three"] {
        ids.push(it.says("bob", "general", text).await);
    }
    let near = |id: &str, by: u64| (id.parse::<u64>().unwrap() + by).to_string();
    let mixed = json!({"messages": [ids[0], near(&ids[0], 1_000), ids[1], near(&ids[0], 2_000)]});
    let call = it.ordered("theo", "delete_message", mixed).await;
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(content(&response)["deleted"], 2);
    let summary = content(&response)["summary"].as_str().unwrap().to_owned();
    assert!(summary.contains("2 of 4 messages were deleted"), "{summary}");
    let many = it.requests("POST", "/bulk-delete").await;
    assert_eq!(many[0]["body"]["messages"], json!([ids[0], ids[1]]));
    // The third is there still; of what is not, nothing is claimed.
    let gone = json!({"messages": [ids[0], ids[1]]});
    let response = it.run(&it.ordered("theo", "delete_message", gone).await).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("None of those"), "{}", response.reason);
    let last = json!({"messages": [ids[1], ids[2]]});
    let response = it.run(&it.ordered("theo", "delete_message", last).await).await;
    assert_eq!(content(&response)["deleted"], 1, "{}", response.content);
    assert_eq!(it.requests("POST", "/bulk-delete").await.len(), 1);
}

#[tokio::test]
async fn the_newest_are_deleted_before_the_order_and_of_one_person_where_it_says_so() {
    let it = Harness::start().await;
    let mut ids = Vec::new();
    for (who, text) in [("bob", "1"), ("alice", "2"), ("bob", "3"), ("alice", "4"), ("bob", "5")] {
        ids.push(it.says(who, "general", text).await);
    }
    let order = format!("m.{}", it.says("theo", "general", "delete the last two").await);
    let later = it.says("alice", "general", "what?").await;
    let call = async |who: &str, arguments: Value| {
        let call = it.ordered_by(&order, who, "general", "delete_message", arguments).await;
        it.run(&call).await
    };
    expect(&call("bob", json!({"latest": 2})).await, CallOutcome::Denied);
    let response = call("theo", json!({"latest": 2})).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(content(&response)["deleted"], 2);
    let many = it.requests("POST", "/bulk-delete").await;
    let [.., fourth, fifth] = &ids[..] else { unreachable!() };
    assert_eq!(many[0]["body"]["messages"], json!([fourth, fifth]));
    // One's own.
    expect(&call("bob", json!({"latest": 1, "by": "bob"})).await, CallOutcome::Done);
    assert_eq!(it.message_now("general", &ids[2]).await["code"], 10_008);
    for kept in [&ids[0], &ids[1], &later] {
        assert_eq!(it.message_now("general", kept).await["id"], **kept);
    }
    for arguments in [
        json!({"latest": 0}),
        json!({"latest": 101}),
        json!({"latest": 2, "message": later}),
        json!({"message": later, "by": "bob"}),
        json!({"latest": 2, "by": "nobody at all"}),
    ] {
        let mut call = it.call("theo", "general", "delete_message", arguments);
        call.trigger_id.clone_from(&order);
        expect(&it.run(&call).await, CallOutcome::Failed);
    }
}

#[tokio::test]
async fn whether_there_is_such_a_message_is_told_only_to_who_may_delete_there() {
    let it = Harness::start().await;
    let call = async |who: &str, by: &str| {
        let arguments = json!({"channel": it.channel("staff").to_string(), "latest": 1, "by": by});
        let response = it.run(&it.call(who, "general", "delete_message", arguments)).await;
        (response.outcome(), response.reason)
    };
    let (there, missing) = (call("alice", "mara").await, call("alice", "nils").await);
    assert_eq!(there.0, CallOutcome::Failed, "{}", there.1);
    assert!(there.1.contains("you cannot see it"), "{}", there.1);
    assert_eq!(there, missing);
    let (outcome, told) = call("mara", "nils").await;
    assert_eq!(outcome, CallOutcome::Failed);
    assert!(told.contains("no such message"), "{told}");
}

async fn reactions(it: &Harness, message: &str) -> Value {
    it.message_now("general", message).await["reactions"].clone()
}

async fn reacts(it: &Harness, who: &str, message: &str, emoji: &str) {
    let reaction = json!({
        "channel_id": it.channel("general").to_string(), "message_id": message,
        "user_id": it.user(who).to_string(), "emoji": emoji,
    });
    it.control("/reactions", reaction).await;
}

#[tokio::test]
async fn reactions_are_taken_away_each_by_who_may() {
    let it = Harness::start().await;
    let message = it.says("zoe", "general", "look").await;
    for (who, emoji) in
        [("bob", "🎉"), ("alice", "🎉"), ("alice", "👍"), ("nils", "👍"), ("yuki", "☕")]
    {
        reacts(&it, who, &message, emoji).await;
    }
    let add = json!({"message": message, "emoji": "☕"});
    expect(&it.run(&it.call("bob", "general", "add_reaction", add)).await, CallOutcome::Done);
    // One's own needs no order; another's does, and the right.
    let of =
        |emoji: &str, member: &str| json!({"message": message, "emoji": emoji, "member": member});
    let own = it.call("bob", "general", "remove_reaction", of("🎉", "bob"));
    expect(&it.run(&own).await, CallOutcome::Done);
    assert_eq!(it.store.execution(&own.key).tier, "harmless");
    let others = it.call("bob", "general", "remove_reaction", of("🎉", "alice"));
    expect(&it.run(&others).await, CallOutcome::Denied);
    let unordered = it.call("theo", "general", "remove_reaction", of("🎉", "alice"));
    expect(&it.run(&unordered).await, CallOutcome::NeedsApproval);
    let mine = json!({"message": message, "emoji": "☕"});
    expect(
        &it.run(&it.ordered("bob", "remove_reaction", mine.clone()).await).await,
        CallOutcome::Denied,
    );
    let everybody = json!({"message": message, "emoji": "👍", "everybody": true});
    for (arguments, tier) in [
        (of("🎉", "alice"), "reversible"),
        (mine, "reversible"),
        (everybody, "destructive"),
        (json!({"message": message}), "destructive"),
    ] {
        let call = it.ordered("theo", "remove_reaction", arguments.clone()).await;
        expect(&it.run(&call).await, CallOutcome::Done);
        assert_eq!(it.store.execution(&call.key).tier, tier, "{arguments}");
        if arguments["everybody"] == true {
            let left = reactions(&it, &message).await;
            assert_eq!(
                (left.as_array().unwrap().len(), &left[0]["emoji"]["name"]),
                (1, &json!("☕"))
            );
        }
    }
    assert!(reactions(&it, &message).await.as_array().is_none_or(Vec::is_empty));
    for arguments in [
        json!({"message": message, "member": "bob"}),
        json!({"message": message, "emoji": "👍", "member": "bob", "everybody": true}),
        json!({"message": message, "emoji": "../x"}),
    ] {
        let response = it.run(&it.call("theo", "general", "remove_reaction", arguments)).await;
        expect(&response, CallOutcome::Failed);
    }
}

#[tokio::test]
async fn a_reaction_that_was_taken_away_by_a_lost_request_is_gone() {
    let it = Harness::start().await;
    let message = it.says("zoe", "general", "look").await;
    reacts(&it, "bob", &message, "🎉").await;
    let route =
        "DELETE /channels/{channel_id}/messages/{message_id}/reactions/{emoji_name}/{user_id}";
    it.fault(route, "lose_response", json!({"count": 1})).await;
    let own = json!({"message": message, "emoji": "🎉", "member": "bob"});
    expect(&it.run(&it.call("bob", "general", "remove_reaction", own)).await, CallOutcome::Done);
    let never = json!({"message": message, "emoji": "👍", "member": "bob"});
    let response = it.run(&it.call("bob", "general", "remove_reaction", never)).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("Nobody reacted"), "{}", response.reason);
    // Of one whose emoji is there Discord says the same, whether it was theirs or not.
    reacts(&it, "alice", &message, "🎉").await;
    let others = json!({"message": message, "emoji": "🎉", "member": "bob"});
    let response = it.run(&it.call("bob", "general", "remove_reaction", others)).await;
    expect(&response, CallOutcome::Done);
    let summary = content(&response)["summary"].as_str().unwrap().to_owned();
    assert!(summary.contains("has no reaction"), "{summary}");
    assert_eq!(reactions(&it, &message).await[0]["count"], 1);
}

#[tokio::test]
async fn messages_are_pinned_listed_and_unpinned() {
    let it = Harness::start().await;
    let message = it.says("bob", "general", "the rules of the quiz").await;
    let pin = |action: &str| json!({"action": action, "message": message});
    for (asker, outcome) in [("bob", CallOutcome::Denied), ("theo", CallOutcome::Done)] {
        let response = it.run(&it.ordered(asker, "pin_message", pin("pin")).await).await;
        expect(&response, outcome);
        assert!(response.reason.is_empty() || response.reason.contains("PIN_MESSAGES"));
    }
    expect(&it.run(&it.ordered("theo", "pin_message", pin("pin")).await).await, CallOutcome::Done);
    let call = it.call("zoe", "general", "pin_message", json!({"action": "list"}));
    let response = it.run(&call).await;
    expect(&response, CallOutcome::Done);
    assert_eq!(content(&response)["messages"][0]["content"], "the rules of the quiz");
    assert_eq!(it.store.execution(&call.key).tier, "read");
    expect(
        &it.run(&it.ordered("theo", "pin_message", pin("unpin")).await).await,
        CallOutcome::Done,
    );
    assert_eq!(it.message_now("general", &message).await["pinned"], false);
    // Pins are read as messages are.
    for (asker, place, outcome) in [
        ("bob", "general", CallOutcome::Failed),
        ("theo", "general", CallOutcome::Denied),
        ("theo", "staff", CallOutcome::Done),
    ] {
        let list = json!({"action": "list", "channel": "staff"});
        expect(&it.run(&it.call(asker, place, "pin_message", list)).await, outcome);
    }
    for (arguments, told) in [
        (json!({"action": "pin"}), "id"),
        (json!({"action": "list", "message": "1"}), "no message"),
        (json!({"action": "list", "before": "soon"}), "ISO 8601"),
        (json!({"action": "burn", "message": "1"}), "action"),
    ] {
        let response = it.run(&it.call("theo", "general", "pin_message", arguments)).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains(told), "{}", response.reason);
    }
    let ghost = it.ordered("theo", "pin_message", json!({"action": "pin", "message": "17"})).await;
    expect(&it.run(&ghost).await, CallOutcome::Failed);
}

#[tokio::test]
async fn one_message_is_read_by_its_id_or_a_link() {
    let it = Harness::start().await;
    let message = it.says("bob", "recipes", "butter and flour").await;
    let link =
        format!("https://discord.com/channels/{}/{}/{message}", it.guild(), it.channel("recipes"));
    for arguments in [json!({"message": link}), json!({"message": message, "channel": "recipes"})] {
        let response = it.run(&it.call("zoe", "general", "fetch_messages", arguments)).await;
        expect(&response, CallOutcome::Done);
        assert_eq!(content(&response)["messages"][0]["content"], "butter and flour");
    }
    let staffs = it.says("mara", "staff", "among us").await;
    let link =
        format!("https://discord.com/channels/{}/{}/{staffs}", it.guild(), it.channel("staff"));
    expect(
        &it.run(&it.call("theo", "general", "fetch_messages", json!({"message": link}))).await,
        CallOutcome::Denied,
    );
    let ghost = it.call("bob", "general", "fetch_messages", json!({"message": "17"}));
    expect(&it.run(&ghost).await, CallOutcome::Failed);
    let foreign = json!({"message": "https://discord.com/channels/1/999999999999999999/3"});
    let response = it.run(&it.call("bob", "general", "fetch_messages", foreign)).await;
    expect(&response, CallOutcome::Failed);
    assert!(response.reason.contains("not in this server"), "{}", response.reason);
}
