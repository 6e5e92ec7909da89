//! What a message has to do with Ery, and what was done to whom.

use ery_proto::{
    common::v1::Message,
    store::v1::{
        Execution, ExecutionState, ExplainMessageRequest, ExplainMessageResponse, ListCasesRequest,
        ThreadOutcome,
    },
};

use crate::support::{
    AUTHOR, CHANNEL, GUILD, Store, begin_execution, created, deleted, end_execution, execution,
    fence, finish, message,
};

async fn explain(store: &mut Store, message_id: u64) -> ExplainMessageResponse {
    let request = ExplainMessageRequest { guild_id: GUILD, channel_id: CHANNEL, message_id };
    store.client.explain_message(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_trigger_is_explained_by_its_thread_while_it_runs_and_after() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let running = explain(&mut store, 1).await;
    assert_eq!(running.thread.unwrap().thread_id, thread.to_string());
    let known = running.message.unwrap();
    assert_eq!((known.author_id, known.is_own, known.is_deleted), (AUTHOR, false, false));
    assert!(known.content_bytes > 0);

    store.finish(finish(&holder, thread, ThreadOutcome::Done, &[1])).await.unwrap();
    store.ingest(vec![deleted("d.1", &[1], 9)]).await;
    let finished = explain(&mut store, 1).await;
    assert_eq!(finished.thread.unwrap().outcome(), ThreadOutcome::Done);
    assert!(finished.message.unwrap().is_deleted && finished.sent_by.is_none());

    // By its id alone, in whatever shard; not as another server's.
    let anywhere = ExplainMessageRequest { message_id: 1, ..Default::default() };
    let found = store.client.explain_message(anywhere).await.unwrap().into_inner();
    assert!(found.thread.is_some());
    let elsewhere = ExplainMessageRequest { guild_id: GUILD + 64, channel_id: 0, message_id: 1 };
    let found = store.client.explain_message(elsewhere).await.unwrap().into_inner();
    assert_eq!(found, ExplainMessageResponse::default());
}

#[tokio::test]
async fn an_own_message_is_explained_by_what_sent_it() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    for (call, message_id, reply_to) in [(0, 50, 1), (1, 51, 0)] {
        let send = execution(thread, call);
        store.client.begin_execution(begin_execution(&holder, &send)).await.unwrap();
        let mut end = end_execution(&holder, &send, ExecutionState::Done);
        end.result = format!(r#"{{"ok":true,"message_id":"{message_id}"}}"#);
        end.sent = Some(Message { is_own: true, reply_to, ..message(message_id, "said") });
        store.client.end_execution(end).await.unwrap();
        let told = explain(&mut store, message_id).await;
        assert_eq!(told.sent_by.unwrap().key, send.key, "{message_id}");
        assert_eq!(told.thread.unwrap().thread_id, thread.to_string());
    }
}

#[tokio::test]
async fn what_was_turned_away_has_its_reason_and_what_is_unknown_nothing() {
    let mut store = Store::new().await;
    let turned_away = Message { gate_reason: "not_addressed".to_owned(), ..message(7, "hello") };
    store.ingest(vec![created("mc.7", turned_away)]).await;
    let found = explain(&mut store, 7).await;
    assert_eq!(found.message.unwrap().gate_reason, "not_addressed");
    assert!(found.thread.is_none() && found.sent_by.is_none());
    assert_eq!(explain(&mut store, 8).await, ExplainMessageResponse::default());
}

#[tokio::test]
async fn cases_are_listed_newest_first_of_all_of_one_member_and_alone() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    for (call, member) in [(0, 612), (1, 613), (2, 612)] {
        let act = Execution {
            tool: "warn_member".to_owned(),
            tier: "reversible".to_owned(),
            arguments: format!(r#"{{"member":"{member}","reason":"r{call}"}}"#),
            ..execution(thread, call)
        };
        store.client.begin_execution(begin_execution(&holder, &act)).await.unwrap();
        let end = end_execution(&holder, &act, ExecutionState::Done);
        store.client.end_execution(end).await.unwrap();
    }
    let mut list = async |request: ListCasesRequest| {
        let request = ListCasesRequest { guild_id: GUILD, ..request };
        let cases = store.client.list_cases(request).await.unwrap().into_inner().cases;
        cases.into_iter().map(|case| (case.case_id, case.target_user_id)).collect::<Vec<_>>()
    };
    let all = list(ListCasesRequest::default()).await;
    assert_eq!(all.iter().map(|(_, target)| *target).collect::<Vec<_>>(), [612, 613, 612]);
    assert!(all[0].0 > all[1].0);
    let of_one = list(ListCasesRequest { target_user_id: 612, ..Default::default() }).await;
    assert_eq!(of_one, [all[0], all[2]]);
    let alone = list(ListCasesRequest { case_id: all[1].0, ..Default::default() }).await;
    assert_eq!(alone, [all[1]]);
    let before = list(ListCasesRequest { before_case_id: all[1].0, ..Default::default() }).await;
    assert_eq!(before, [all[2]]);
    let first = list(ListCasesRequest { limit: 1, ..Default::default() }).await;
    assert_eq!(first, [all[0]]);
}

#[tokio::test]
async fn a_case_of_several_is_one_of_each_to_whom_it_was_done() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let act = Execution {
        tool: "ban_member".to_owned(),
        tier: "destructive".to_owned(),
        arguments: r#"{"action":"ban_many","members":["612","613","614"]}"#.to_owned(),
        ..execution(thread, 0)
    };
    store.client.begin_execution(begin_execution(&holder, &act)).await.unwrap();
    let mut end = end_execution(&holder, &act, ExecutionState::Done);
    end.result = r#"{"ok":true,"banned":["612","613"],"failed":[{"member":"614"}]}"#.to_owned();
    store.client.end_execution(end).await.unwrap();
    for (member, count) in [(612, 1), (613, 1), (614, 0), (61, 0)] {
        let request = ListCasesRequest {
            guild_id: GUILD,
            target_user_id: member,
            ..ListCasesRequest::default()
        };
        let cases = store.client.list_cases(request).await.unwrap().into_inner().cases;
        assert_eq!(cases.len(), count, "{member}");
    }
}
