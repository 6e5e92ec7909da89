//! What is told of the server, its channels, its members and its audit log, to whom and where.

use serde_json::{Value, json};

use ery_proto::tool::v1::CallOutcome;

use crate::support::{Harness, content, expect};

async fn told(it: &Harness, who: &str, place: &str, tool: &str, arguments: Value) -> Value {
    let response = it.run(&it.call(who, place, tool, arguments)).await;
    expect(&response, CallOutcome::Done);
    content(&response)
}

#[tokio::test]
async fn the_server_is_told_as_the_asker_may_see_it() {
    let it = Harness::start().await;
    let info = told(&it, "bob", "general", "get_server_info", json!({})).await;
    assert_eq!((&info["name"], &info["members"]), (&json!("Harbour Café"), &json!(8)));
    assert_eq!(info["owner_id"], it.user("mara").to_string());
    let text = info.to_string();
    assert!(text.contains("recipes") && !text.contains("staff") && !text.contains("settings"));
    assert!(info["roles"].as_array().unwrap().iter().all(|role| role.get("permissions").is_none()));
    assert_eq!(info["roles"][0]["name"], "Admin");
    let admin = told(&it, "mara", "general", "get_server_info", json!({})).await;
    assert!(admin["settings"]["verification_level"].is_number(), "{admin}");
    assert!(!admin.to_string().contains("\"staff\""), "others read it here");
    assert!(admin["roles"][0]["permissions"].is_array());
    let staff = told(&it, "theo", "staff", "get_server_info", json!({})).await;
    assert!(staff.to_string().contains("\"staff\"") && staff.get("settings").is_none());
}

#[tokio::test]
async fn a_channel_is_told_where_all_may_know_of_it() {
    let it = Harness::start().await;
    let thread = it.ordered("bob", "create_thread", json!({"name": "a talk"})).await;
    expect(&it.run(&thread).await, CallOutcome::Done);
    let private = json!({"name": "aside", "visibility": "private"});
    expect(&it.run(&it.ordered("mara", "create_thread", private).await).await, CallOutcome::Done);
    let info = told(&it, "bob", "general", "get_channel_info", json!({})).await;
    assert_eq!((&info["name"], &info["kind"]), (&json!("general"), &json!("text")));
    assert_eq!(info["topic"], "Everything and nothing");
    let threads = info["threads"].as_array().unwrap();
    assert_eq!((threads.len(), &threads[0]["name"]), (1, &json!("a talk")));
    assert!(info.get("overwrites").is_none());
    let info =
        told(&it, "theo", "recipes", "get_channel_info", json!({"channel": "general"})).await;
    let overwrites = info["overwrites"].as_array().unwrap();
    assert_eq!(overwrites[0]["of"]["name"], "Muted");
    assert!(overwrites[0]["deny"].as_array().unwrap().contains(&json!("SEND_MESSAGES")));
    let archived = json!({"channel": "general", "archived_threads": true});
    let info = told(&it, "bob", "general", "get_channel_info", archived).await;
    assert_eq!(info["archived_threads"], json!([]));
    let staff = it.channel("staff").to_string();
    for (asker, place, outcome, told) in [
        ("bob", "general", CallOutcome::Failed, "not in this server"),
        ("theo", "general", CallOutcome::Denied, "Not everybody"),
        ("theo", "staff", CallOutcome::Done, ""),
    ] {
        let call = it.call(asker, place, "get_channel_info", json!({"channel": staff}));
        let response = it.run(&call).await;
        expect(&response, outcome);
        assert!(response.reason.contains(told), "{}", response.reason);
    }
    let foreign =
        it.call("bob", "general", "get_channel_info", json!({"channel": "999999999999999999"}));
    expect(&it.run(&foreign).await, CallOutcome::Failed);
}

#[tokio::test]
async fn the_audit_log_is_for_those_who_may_see_it_and_told_among_them() {
    let it = Harness::start().await;
    let bob = it.user("bob").to_string();
    let timeout = json!({"member": bob, "duration_seconds": 60, "reason": "spam"});
    expect(&it.run(&it.ordered("theo", "timeout_member", timeout).await).await, CallOutcome::Done);
    for (asker, place, outcome, told) in [
        ("alice", "general", CallOutcome::Denied, "VIEW_AUDIT_LOG"),
        ("theo", "general", CallOutcome::Denied, "Not everybody"),
        ("mara", "general", CallOutcome::Denied, "Not everybody"),
        ("theo", "staff", CallOutcome::Done, ""),
    ] {
        let response = it.run(&it.call(asker, place, "get_audit_logs", json!({}))).await;
        expect(&response, outcome);
        assert!(response.reason.contains(told), "{asker}: {}", response.reason);
    }
    let mut nobody = it.call("theo", "staff", "get_audit_logs", json!({}));
    nobody.principal = None;
    expect(&it.run(&nobody).await, CallOutcome::Denied);
    let filter = json!({"action": "member_changed", "target": format!("<@{bob}>"), "limit": 5});
    let log = told(&it, "theo", "staff", "get_audit_logs", filter).await;
    let entry = &log["entries"][0];
    assert_eq!(
        (&entry["action"], &entry["target_name"]),
        (&json!("member_changed"), &json!("Bob"))
    );
    assert!(entry["reason"].as_str().unwrap().contains("spam"), "{entry}");
    assert_eq!(entry["by"], it.user("Ery").to_string());
    assert_eq!(entry["changes"][0]["what"], "communication_disabled_until");
    let before = json!({"before": entry["id"], "action": "member_changed"});
    assert_eq!(told(&it, "theo", "staff", "get_audit_logs", before).await["entries"], json!([]));
    let by = json!({"member": "theo"});
    assert_eq!(told(&it, "theo", "staff", "get_audit_logs", by).await["entries"], json!([]));
    for (arguments, told) in [
        (json!({"action": "nonsense"}), "member_banned"),
        (json!({"before": "1", "after": "2"}), "only one"),
        (json!({"before": "x"}), "by its id"),
        (json!({"limit": 101}), "limit"),
    ] {
        let response = it.run(&it.call("theo", "staff", "get_audit_logs", arguments)).await;
        expect(&response, CallOutcome::Failed);
        assert!(response.reason.contains(told), "{}", response.reason);
    }
}

#[tokio::test]
async fn members_are_found_by_how_their_names_begin() {
    let it = Harness::start().await;
    let found =
        told(&it, "bob", "general", "get_member_info", json!({"name_begins_with": "al"})).await;
    let members = found["members"].as_array().unwrap();
    assert_eq!((members.len(), &members[0]["username"]), (1, &json!("alice")));
    assert!(members[0].get("timed_out_until").is_none());
    let none = json!({"name_begins_with": "xx"});
    assert_eq!(told(&it, "bob", "general", "get_member_info", none).await["members"], json!([]));
    for arguments in [json!({}), json!({"member": "bob", "name_begins_with": "al"})] {
        let response = it.run(&it.call("bob", "general", "get_member_info", arguments)).await;
        expect(&response, CallOutcome::Failed);
    }
    let mut nobody =
        it.call("bob", "general", "get_member_info", json!({"name_begins_with": "al"}));
    nobody.principal = None;
    expect(&it.run(&nobody).await, CallOutcome::Denied);
}

#[tokio::test]
async fn somebody_who_left_is_still_told_of() {
    let it = Harness::start().await;
    let left = it.control("/users", json!({"username": "wanderer"})).await;
    let info = json!({"member": left["id"]});
    let info = told(&it, "bob", "general", "get_member_info", info).await;
    assert_eq!((&info["username"], &info["is_member"]), (&json!("wanderer"), &json!(false)));
}

#[tokio::test]
async fn a_search_takes_more_than_words() {
    let it = Harness::start().await;
    let early = it.says("bob", "recipes", "see https://discord.com/one").await;
    let late = it.says("alice", "events", "see https://discord.com/two").await;
    let has = json!({"has": "link", "order": "oldest"});
    let found = told(&it, "bob", "general", "search_messages", has).await;
    let ids: Vec<&str> =
        found["messages"].as_array().unwrap().iter().map(|of| of["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [early.as_str(), late.as_str()]);
    let after = json!({"has": "link", "after": early});
    let found = told(&it, "bob", "general", "search_messages", after).await;
    assert_eq!(found["messages"].as_array().unwrap().len(), 1);
    let mention = format!("hello <@{}>", it.user("zoe"));
    it.says("bob", "general", &mention).await;
    let mentions = json!({"mentions": "zoe"});
    let found = told(&it, "bob", "general", "search_messages", mentions).await;
    assert_eq!(found["messages"][0]["content"], mention);
    let none = json!({"pinned": true});
    assert_eq!(told(&it, "bob", "general", "search_messages", none).await["messages"], json!([]));
    let page = json!({"has": "link", "offset": 1, "limit": 1});
    let found = told(&it, "bob", "general", "search_messages", page).await;
    assert_eq!(found["messages"][0]["id"], early);
    for arguments in
        [json!({"limit": 5}), json!({"has": "soul"}), json!({"has": "link", "before": "x"})]
    {
        let response = it.run(&it.call("bob", "general", "search_messages", arguments)).await;
        expect(&response, CallOutcome::Failed);
    }
}
