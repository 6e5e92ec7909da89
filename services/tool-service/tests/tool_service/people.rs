//! Which tools are offered, how calls are resolved, who people are.

use serde_json::{Value, json};

use ery_clock::Clock;
use ery_proto::tool::v1::{
    DescribePeopleRequest, ListToolsRequest, ResolveCallRequest, ResolveCallResponse,
    ShowTypingRequest,
};

use crate::support::Harness;

async fn listed(it: &Harness, askers: &[&str], is_shared_turn: bool, is_dm: bool) -> Vec<String> {
    let request = ListToolsRequest {
        guild_id: if is_dm { 0 } else { it.guild() },
        channel_id: it.channel("general"),
        askers: askers.iter().map(|name| it.user(name)).collect(),
        is_shared_turn,
    };
    it.client()
        .list_tools(request)
        .await
        .unwrap()
        .into_inner()
        .tools
        .into_iter()
        .map(|tool| tool.name)
        .collect()
}

#[tokio::test]
async fn tools_are_offered_by_who_asks_where() {
    let it =
        Harness::start_with(|settings| settings.disabled_tools = vec!["add_reaction".into()]).await;
    let all = listed(&it, &["bob"], false, false).await;
    let has = |tools: &[String], name: &str| tools.iter().any(|tool| tool == name);
    assert!(!has(&all, "add_reaction"), "it is switched off");
    for (tool, in_shared_turn, in_dm) in [
        ("send_message", true, true),
        ("fetch_messages", true, true),
        ("get_member_info", true, false),
        ("search_messages", true, false),
        ("timeout_member", false, false),
        ("ban_member", false, false),
        ("kick_member", false, false),
        ("warn_member", false, false),
        ("manage_roles", false, false),
        ("manage_permissions", false, false),
        // Where the least of its acts is for everybody.
        ("remove_reaction", true, false),
        ("pin_message", true, false),
        ("manage_channels", true, false),
        ("send_dm", true, false),
        ("delete_message", false, false),
        ("create_thread", false, false),
        ("create_invite", false, false),
        ("get_audit_logs", true, false),
    ] {
        assert!(has(&all, tool), "{tool}");
        let dm = listed(&it, &["bob"], false, true).await;
        assert_eq!(has(&dm, tool), in_dm, "{tool}");
        for says_so in [true, false] {
            let shared = listed(&it, &["bob", "zoe"], says_so, false).await;
            assert_eq!(has(&shared, tool), in_shared_turn, "{tool}");
        }
    }
    let request = ListToolsRequest {
        guild_id: it.guild(),
        channel_id: it.channel("general"),
        askers: vec![],
        is_shared_turn: false,
    };
    for tool in it.client().list_tools(request).await.unwrap().into_inner().tools {
        let schema: Value = serde_json::from_str(&tool.parameters).unwrap();
        assert_eq!(schema["additionalProperties"], false, "{}", tool.name);
        assert!(["read", "harmless", "reversible", "destructive"].contains(&tool.tier.as_str()));
    }
}

async fn resolve(it: &Harness, tool: &str, arguments: Value) -> ResolveCallResponse {
    let request = ResolveCallRequest {
        guild_id: it.guild(),
        channel_id: it.channel("general"),
        tool: tool.into(),
        arguments: arguments.to_string(),
        now_ms: it.clock.now().0,
        trigger_id: "m.1".into(),
        asker_id: 0,
    };
    it.client().resolve_call(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_call_has_one_exact_form() {
    let it = Harness::start().await;
    let bob = it.user("bob").to_string();
    let mut forms = Vec::new();
    for name in ["bob", "Bob", "@BOB", &bob, &format!("<@{bob}>"), &format!("<@!{bob}>")] {
        let resolved =
            resolve(&it, "timeout_member", json!({"duration_seconds": 60, "member": name})).await;
        assert_eq!(resolved.problem, "", "{name}");
        forms.push(resolved.arguments);
    }
    forms.dedup();
    assert_eq!(forms.len(), 1, "{forms:?}");
    let fetched = resolve(&it, "fetch_messages", json!({"after": null})).await;
    let fetched: Value = serde_json::from_str(&fetched.arguments).unwrap();
    assert_eq!(fetched, json!({"channel": it.channel("general").to_string(), "limit": 50}));
}

#[tokio::test]
async fn what_is_ambiguous_or_unknown_is_said() {
    let it = Harness::start().await;
    let guild = it.guild().to_string();
    for _ in 0..2 {
        it.control("/members", json!({"guild_id": guild, "username": "sam", "nick": "Sam"})).await;
    }
    for (tool, arguments, told) in [
        ("timeout_member", json!({"member": "sam", "duration_seconds": 60}), "Several members"),
        ("timeout_member", json!({"member": "nobody", "duration_seconds": 60}), "No member"),
        ("timeout_member", json!({"member": "<#17>", "duration_seconds": 60}), "Name one member"),
        ("timeout_member", json!({"member": "bob"}), "duration_seconds"),
        ("nuke", json!({}), "no such tool"),
        ("send_message", json!({"content": "x", "reply_to": "soon"}), "message by its id"),
    ] {
        let resolved = resolve(&it, tool, arguments.clone()).await;
        assert!(resolved.problem.contains(told), "{arguments}: {}", resolved.problem);
        assert_eq!(resolved.arguments, "");
    }
}

#[tokio::test]
async fn people_are_described_by_their_rights() {
    let it = Harness::start().await;
    let names = ["mara", "theo", "bob", "zoe", "Ery"];
    let mut user_ids: Vec<u64> = names.iter().map(|name| it.user(name)).collect();
    user_ids.push(17);
    let request =
        DescribePeopleRequest { guild_id: it.guild(), channel_id: it.channel("staff"), user_ids };
    let people = it.client().describe_people(request.clone()).await.unwrap().into_inner().people;
    let rights: Vec<&str> = people.iter().map(|person| person.rights.as_str()).collect();
    assert_eq!(rights, ["owner", "moderator", "member", "member", "ery", "stranger"]);
    assert_eq!(people[1].name, "Theo");
    assert_ne!(people[1].channel_permissions & (1 << 10), 0, "moderators see the staff's channel");
    assert_eq!(people[2].channel_permissions, 0);
    assert_ne!(people[1].guild_permissions & (1 << 40), 0);
    assert!(!people[1].role_ids.is_empty());
    let in_dm = DescribePeopleRequest { guild_id: 0, ..request };
    let people = it.client().describe_people(in_dm).await.unwrap().into_inner().people;
    assert_eq!(people[2].rights, "member");
    assert_eq!(people[4].rights, "ery");
}

#[tokio::test]
async fn typing_is_shown_at_once_and_not_too_often() {
    let it = Harness::start().await;
    let request = ShowTypingRequest { guild_id: it.guild(), channel_id: it.channel("general") };
    for _ in 0..5 {
        it.client().show_typing(request).await.unwrap();
    }
    let mut shown = 0;
    for _ in 0..500 {
        shown = it.requests("POST", "/typing").await.len();
        if shown > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    assert_eq!(shown, 1);
}
