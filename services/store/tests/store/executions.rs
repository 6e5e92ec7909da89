use ery_proto::{
    common::v1::Message,
    store::v1::{
        Decision, EndExecutionRequest, Execution, ExecutionState, ListExecutionsRequest,
        ListMessagesRequest, ThreadOutcome,
    },
};
use tonic::Code;

use crate::support::{
    AUTHOR, CHANNEL, GUILD, NOW, Store, begin_execution, created, end_execution, execution, fence,
    finish, message, shard_file,
};

#[tokio::test]
async fn an_execution_is_kept_whole() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let wanted = Execution {
        decision_reason: "a moderator ordered it".to_owned(),
        is_tainted: true,
        is_ordered: true,
        audit_reason: "asked by mara".to_owned(),
        approver_id: 77,
        ..execution(thread, 0)
    };
    store.client.begin_execution(begin_execution(&holder, &wanted)).await.unwrap();
    let mut end = end_execution(&holder, &wanted, ExecutionState::Failed);
    end.rest_status = 403;
    store.client.end_execution(end).await.unwrap();

    let request =
        ListExecutionsRequest { guild_id: GUILD, channel_id: CHANNEL, ..Default::default() };
    let listed = store.client.list_executions(request).await.unwrap().into_inner().executions;
    let expected = Execution {
        epoch: 5,
        // printf '{"content":"hi"}' | sha256sum
        arguments_hash: "d710af77f08a261f9db380eae9a0d4e56b91327d359e9c0c768c009cb849c6e6"
            .to_owned(),
        state: ExecutionState::Failed.into(),
        result: r#"{"ok":true}"#.to_owned(),
        rest_status: 403,
        closed_at_ms: NOW + 500,
        ..wanted
    };
    assert_eq!(listed, [expected]);
}

#[tokio::test]
async fn a_denial_is_opened_and_closed_in_one_write() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let denied = Execution {
        tool: "ban_member".to_owned(),
        tier: "destructive".to_owned(),
        decision: Decision::Deny.into(),
        state: ExecutionState::Denied.into(),
        ..execution(thread, 0)
    };
    let answer = store.client.begin_execution(begin_execution(&holder, &denied)).await.unwrap();
    let answer = answer.into_inner();
    assert!(answer.is_new);
    let kept = answer.execution.unwrap();
    assert_eq!(kept.closed_at_ms, NOW);
    let refused = store
        .client
        .end_execution(end_execution(&holder, &denied, ExecutionState::Done))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(!store.rows().iter().any(|row| row.starts_with("moderation_logs")));
}

#[tokio::test]
async fn only_what_was_in_doubt_may_be_closed_again() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let wanted = execution(thread, 0);
    store.client.begin_execution(begin_execution(&holder, &wanted)).await.unwrap();
    for (state, is_taken) in [
        (ExecutionState::InDoubt, true),
        (ExecutionState::Done, true),
        (ExecutionState::Done, true),
        (ExecutionState::InDoubt, false),
        (ExecutionState::Failed, false),
    ] {
        let ended = store.client.end_execution(end_execution(&holder, &wanted, state)).await;
        assert_eq!(ended.is_ok(), is_taken, "{state:?}: {ended:?}");
        if let Err(refused) = ended {
            assert_eq!(refused.code(), Code::FailedPrecondition);
        }
    }
}

#[tokio::test]
async fn a_moderation_act_that_happened_is_logged_with_its_target() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    for (call, tier, state) in [
        (0, "reversible", ExecutionState::Done),
        (1, "destructive", ExecutionState::Failed),
        (2, "harmless", ExecutionState::Done),
        (3, "destructive", ExecutionState::InDoubt),
    ] {
        let act = Execution {
            tool: "timeout_member".to_owned(),
            tier: tier.to_owned(),
            arguments: r#"{"member":"612","until":5}"#.to_owned(),
            audit_reason: "spam".to_owned(),
            ..execution(thread, call)
        };
        store.client.begin_execution(begin_execution(&holder, &act)).await.unwrap();
        store.client.end_execution(end_execution(&holder, &act, state)).await.unwrap();
    }
    let logged: Vec<String> =
        store.rows().into_iter().filter(|row| row.starts_with("moderation_logs")).collect();
    let [log] = logged.as_slice() else { panic!("{logged:?}") };
    assert!(
        log.contains(&format!("timeout_member | reversible | 612 | person | {AUTHOR} ")),
        "{log}"
    );
    assert!(log.contains("| spam |"), "{log}");
}

#[tokio::test]
async fn what_was_sent_is_there_at_once_and_ingestion_adds_nothing() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let send = execution(thread, 0);
    store.client.begin_execution(begin_execution(&holder, &send)).await.unwrap();
    let mut end = end_execution(&holder, &send, ExecutionState::Done);
    end.sent = Some(message(5, "hi"));
    store.client.end_execution(end).await.unwrap();
    let own = Message { is_own: true, nonce: "n-5".to_owned(), ..message(5, "hi") };
    store.ingest(vec![created("mc.5", own.clone())]).await;

    let request = ListMessagesRequest {
        guild_id: GUILD,
        channel_id: CHANNEL,
        ..ListMessagesRequest::default()
    };
    let listed = store.client.list_messages(request).await.unwrap().into_inner().messages;
    assert_eq!(listed, [message(1, "hello"), own]);
}

#[tokio::test]
async fn a_message_sent_to_another_home_is_left_to_ingestion() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let send = execution(thread, 0);
    store.client.begin_execution(begin_execution(&holder, &send)).await.unwrap();
    let mut end = end_execution(&holder, &send, ExecutionState::Done);
    end.sent = Some(Message { guild_id: 0, channel_id: 5 << 22, ..message(5, "psst") });
    store.client.end_execution(end).await.unwrap();
    assert!(!store.rows().iter().any(|row| row.contains("psst")));
}

#[tokio::test]
async fn an_execution_may_have_no_channel_held() {
    let mut store = Store::new().await;
    let rule = Execution {
        key: "e/s.7/rule-1/0".to_owned(),
        guild_id: GUILD,
        channel_id: CHANNEL,
        tool: "delete_message".to_owned(),
        tier: "reversible".to_owned(),
        arguments: "{}".to_owned(),
        decision: Decision::Allow.into(),
        state: ExecutionState::Open.into(),
        opened_at_ms: NOW,
        ..Execution::default()
    };
    let mut open = begin_execution(&fence(1, "x"), &rule);
    open.fence = None;
    assert!(store.client.begin_execution(open).await.unwrap().into_inner().is_new);
    let mut end = EndExecutionRequest {
        fence: None,
        guild_id: GUILD,
        channel_id: CHANNEL,
        ..end_execution(&fence(1, "x"), &rule, ExecutionState::Done)
    };
    store.client.end_execution(end.clone()).await.unwrap();
    end.channel_id = CHANNEL + 1;
    let refused = store.client.end_execution(end).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
}

#[tokio::test]
async fn executions_are_listed_newest_first() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let mut keys = Vec::new();
    let mut threads = Vec::new();
    for round in 1..=2_u64 {
        let thread = store.running_thread(&holder, round).await;
        threads.push(thread);
        for call in 0..2 {
            let mut wanted = execution(thread, call);
            wanted.opened_at_ms = NOW + i64::try_from(keys.len()).unwrap();
            store.client.begin_execution(begin_execution(&holder, &wanted)).await.unwrap();
            keys.push(wanted.key);
        }
        store.finish(finish(&holder, thread, ThreadOutcome::Done, &[round])).await.unwrap();
    }
    keys.reverse();
    for (guild_id, channel_id, thread_id, limit, expected) in [
        (0, 0, String::new(), 0, &keys[..]),
        (GUILD, 0, String::new(), 3, &keys[..3]),
        (GUILD, CHANNEL, String::new(), 0, &keys[..]),
        (GUILD, CHANNEL, threads[0].to_string(), 0, &keys[2..]),
        (0, 0, threads[1].to_string(), 1, &keys[..1]),
        (8 << 22, 0, String::new(), 0, &[]),
        (8 << 22, 0, threads[1].to_string(), 0, &[]),
    ] {
        let before_key = String::new();
        let request = ListExecutionsRequest { guild_id, channel_id, thread_id, limit, before_key };
        let listed = store.client.list_executions(request.clone()).await.unwrap().into_inner();
        let listed: Vec<String> = listed.executions.into_iter().map(|it| it.key).collect();
        assert_eq!(listed, expected, "{request:?}");
    }
}

#[tokio::test]
async fn the_audit_is_append_only_for_whoever_writes() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let wanted = execution(thread, 0);
    store.client.begin_execution(begin_execution(&holder, &wanted)).await.unwrap();
    let end = end_execution(&holder, &wanted, ExecutionState::Done);
    store.client.end_execution(end).await.unwrap();
    let connection = ery_group_commit::open(&shard_file(store.folder.path()), None).unwrap();
    for statement in [
        "DELETE FROM tool_executions",
        "UPDATE tool_executions SET decision = 'deny'",
        "UPDATE tool_executions SET key = 'x'",
        "UPDATE tool_executions SET state = 'failed'",
        "UPDATE tool_executions SET arguments = '{}'",
        "UPDATE tool_executions SET approver_id = 7, redacted_at_ms = 1",
    ] {
        assert!(connection.execute(statement, []).is_err(), "{statement}");
    }
    // Redaction empties what a person wrote, and nothing else.
    let redaction = "UPDATE tool_executions SET arguments = '', arguments_hash = '', result = '',
                         decision_reason = '', audit_reason = '', redacted_at_ms = 1";
    assert_eq!(connection.execute(redaction, []).unwrap(), 1);
}

#[tokio::test]
async fn a_long_list_is_read_page_by_page() {
    let mut store = Store::new().await;
    let fence = fence(1, "a");
    let thread = store.running_thread(&fence, 1).await;
    for call in 0..5 {
        let opened = begin_execution(&fence, &execution(thread, call));
        store.client.begin_execution(opened).await.unwrap();
    }
    let mut request = ListExecutionsRequest { guild_id: GUILD, limit: 2, ..Default::default() };
    let mut calls = Vec::new();
    loop {
        let page = store.client.list_executions(request.clone()).await.unwrap().into_inner();
        let Some(last) = page.executions.last() else { break };
        request.before_key.clone_from(&last.key);
        calls.extend(page.executions.into_iter().map(|execution| execution.key));
    }
    let expected: Vec<_> = (0..5).rev().map(|call| format!("t/{thread}/1/{call}")).collect();
    assert_eq!(calls, expected);
}
