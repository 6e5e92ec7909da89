//! How much people may have done in a window.

use ery_proto::store::v1::{ActLimit, Decision, Execution, ExecutionState, SlowMode};

use crate::support::{
    AUTHOR, CHANNEL, NOW, Store, begin_execution, created, deleted, end_execution, execution,
    fence, message, person,
};

const HOUR_MS: i64 = 3_600_000;

fn limit(most: u32, is_of_person: bool) -> ActLimit {
    ActLimit {
        is_of_person,
        is_of_reversible: is_of_person,
        window_ms: HOUR_MS,
        most,
        decision_reason: format!("past {most}"),
        result: r#"{"ok":false}"#.to_owned(),
    }
}

fn ban(call: u32, by: u64, after_ms: i64) -> impl Fn(ery_ids::TaskThreadId) -> Execution {
    move |thread| Execution {
        tool: "ban_member".to_owned(),
        tier: "destructive".to_owned(),
        principal: Some(person(by)),
        opened_at_ms: NOW + after_ms,
        ..execution(thread, call)
    }
}

#[tokio::test]
async fn what_is_past_a_bound_is_written_as_denied_and_counts_no_further() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let limits = vec![limit(5, true), limit(8, false)];
    for (call, by, after_ms, weight, refusal) in [
        (0, AUTHOR, 0, 3, None),
        (1, AUTHOR, 1, 3, Some("past 5")),
        (2, AUTHOR, 2, 2, None),
        (3, AUTHOR, 3, 0, Some("past 5")),
        // Others have an hour of their own, and all together another one.
        (4, 99, 4, 3, None),
        (5, 99, 5, 1, Some("past 8")),
        // Once the first is an hour ago there is room for as much again.
        (6, AUTHOR, HOUR_MS, 3, None),
        (7, AUTHOR, HOUR_MS + 1, 1, Some("past 5")),
    ] {
        let wanted = ban(call, by, after_ms)(thread);
        let mut request = begin_execution(&holder, &wanted);
        (request.limits, request.weight) = (limits.clone(), weight);
        for is_new in [true, false] {
            let begun = store.client.begin_execution(request.clone()).await.unwrap().into_inner();
            let stands = begun.execution.unwrap();
            assert_eq!(begun.is_new, is_new, "{call}");
            let denied = (stands.decision(), stands.state(), stands.decision_reason.as_str());
            match refusal {
                Some(reason) => {
                    assert_eq!(denied, (Decision::Deny, ExecutionState::Denied, reason), "{call}");
                    assert_eq!(stands.result, r#"{"ok":false}"#);
                    assert_eq!(stands.closed_at_ms, stands.opened_at_ms);
                }
                None => assert_eq!(denied.1, ExecutionState::Open, "{call}"),
            }
        }
    }
}

#[tokio::test]
async fn an_order_is_carried_out_so_often_as_it_was_given() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let once = limit(1, false);
    let mut opened = Vec::new();
    for (call, order, is_denied) in
        [(0, "a", false), (1, "a", true), (2, "b", false), (3, "", false), (4, "b", true)]
    {
        let wanted = ban(call, AUTHOR, 0)(thread);
        let mut request = begin_execution(&holder, &wanted);
        order.clone_into(&mut request.order_hash);
        if !order.is_empty() {
            request.order_limit = Some(once.clone());
        }
        let begun = store.client.begin_execution(request).await.unwrap().into_inner();
        let stands = begun.execution.unwrap();
        assert_eq!(stands.state() == ExecutionState::Denied, is_denied, "{call}");
        opened.push(stands);
    }
    // What failed may be tried again.
    let failed = end_execution(&holder, &opened[0], ExecutionState::Failed);
    store.client.end_execution(failed).await.unwrap();
    let mut again = begin_execution(&holder, &ban(5, AUTHOR, 0)(thread));
    (again.order_hash, again.order_limit) = ("a".to_owned(), Some(once));
    let begun = store.client.begin_execution(again).await.unwrap().into_inner();
    assert_eq!(begun.execution.unwrap().state(), ExecutionState::Open);
}

#[tokio::test]
async fn only_acts_of_people_that_were_allowed_count() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let reversible =
        |call: u32| Execution { tier: "reversible".to_owned(), ..ban(call, AUTHOR, 0)(thread) };
    let others = [
        Execution {
            decision: Decision::Deny.into(),
            state: ExecutionState::Denied.into(),
            ..ban(0, AUTHOR, 0)(thread)
        },
        Execution { tier: "harmless".to_owned(), ..ban(1, AUTHOR, 0)(thread) },
        Execution { principal: None, ..ban(2, AUTHOR, 0)(thread) },
        reversible(3),
    ];
    for other in &others {
        store.client.begin_execution(begin_execution(&holder, other)).await.unwrap();
    }
    let is_denied = async |store: &mut Store, wanted: &Execution, limit: ActLimit| {
        let mut request = begin_execution(&holder, wanted);
        request.limits = vec![limit];
        let begun = store.client.begin_execution(request).await.unwrap().into_inner();
        begun.execution.unwrap().state() == ExecutionState::Denied
    };
    // The reversible one counts against the bound of such acts, and of no others.
    assert!(!is_denied(&mut store, &ban(4, AUTHOR, 0)(thread), limit(1, false)).await);
    assert!(is_denied(&mut store, &ban(5, AUTHOR, 0)(thread), limit(1, false)).await);
    assert!(is_denied(&mut store, &reversible(6), limit(2, true)).await);
    assert!(!is_denied(&mut store, &reversible(7), limit(3, true)).await);
}

#[tokio::test]
async fn what_failed_does_not_count_and_may_be_tried_again() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    for (call, end) in
        [(0, ExecutionState::Failed), (1, ExecutionState::InDoubt), (2, ExecutionState::Denied)]
    {
        let wanted = ban(call, AUTHOR, i64::from(call))(thread);
        let mut request = begin_execution(&holder, &wanted);
        (request.limits, request.weight) = (vec![limit(3, true)], 2);
        let begun = store.client.begin_execution(request).await.unwrap().into_inner();
        if end == ExecutionState::Denied {
            assert_eq!(begun.execution.unwrap().state(), end, "what is in doubt counts");
        } else {
            assert_eq!(begun.execution.unwrap().state(), ExecutionState::Open, "{call}");
            store.client.end_execution(end_execution(&holder, &wanted, end)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_bound_without_a_window_is_refused() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    for window_ms in [0, -1, i64::MAX] {
        let mut request = begin_execution(&holder, &ban(0, AUTHOR, 0)(thread));
        request.limits = vec![ActLimit { window_ms, ..limit(1, true) }];
        let status = store.client.begin_execution(request).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status}");
        assert!(status.message().contains("limits.window_ms"), "{status}");
    }
}

/// Opens an execution of a thread in slow mode, and returns how it stands then.
async fn in_slow_mode(
    store: &mut Store,
    wanted: &Execution,
    (channel_id, since_message_id): (u64, u64),
) -> ExecutionState {
    let mut request = begin_execution(&fence(5, "holder"), wanted);
    let limit = Some(limit(0, true));
    request.slow_mode = Some(SlowMode { channel_id, since_message_id, limit });
    store.client.begin_execution(request).await.unwrap().into_inner().execution.unwrap().state()
}

#[tokio::test]
async fn in_slow_mode_one_act_of_a_kind_is_done_for_a_person_in_a_window() {
    let mut store = Store::new().await;
    let thread = store.running_thread(&fence(5, "holder"), 1).await;
    let (open, denied) = (ExecutionState::Open, ExecutionState::Denied);
    for (call, tool, by, after_ms, channel, expected) in [
        (0, "send_message", AUTHOR, 0, CHANNEL, open),
        (1, "send_message", AUTHOR, 1, CHANNEL, denied),
        (2, "create_thread", AUTHOR, 1, CHANNEL, open),
        (3, "send_message", 99, 1, CHANNEL, open),
        (4, "send_message", AUTHOR, 1, CHANNEL + 1, open),
        (5, "send_message", AUTHOR, HOUR_MS - 1, CHANNEL, denied),
        // What was denied is no act.
        (6, "send_message", AUTHOR, HOUR_MS, CHANNEL, open),
    ] {
        let wanted = Execution {
            tool: tool.to_owned(),
            principal: Some(person(by)),
            opened_at_ms: NOW + after_ms,
            ..execution(thread, call)
        };
        for _ in 0..2 {
            let state = in_slow_mode(&mut store, &wanted, (channel, 0)).await;
            assert_eq!(state, expected, "{call}");
        }
        if call == 4 {
            // What Discord did not take is none either.
            let end = end_execution(&fence(5, "holder"), &wanted, ExecutionState::Failed);
            store.client.end_execution(end).await.unwrap();
            let again = Execution { key: format!("t/{thread}/1/40"), ..wanted };
            assert_eq!(in_slow_mode(&mut store, &again, (channel, 0)).await, open);
        }
    }
}

#[tokio::test]
async fn in_slow_mode_what_was_deleted_counts() {
    let mut store = Store::new().await;
    let thread = store.running_thread(&fence(5, "holder"), 1).await;
    let mut of_another = message(60, "so do I");
    of_another.author_id = 99;
    // That it is gone may be known before it is.
    store.ingest(vec![deleted("md.60", &[60], NOW)]).await;
    store
        .ingest(vec![created("mc.50", message(50, "I wrote")), created("mc.60", of_another)])
        .await;
    store.ingest(vec![deleted("md.50", &[50], NOW)]).await;
    for (call, by, since, expected) in [
        (0, AUTHOR, 50, ExecutionState::Denied),
        (1, AUTHOR, 51, ExecutionState::Open),
        (2, 99, 51, ExecutionState::Denied),
        (3, 98, 1, ExecutionState::Open),
    ] {
        let wanted = Execution { principal: Some(person(by)), ..execution(thread, call) };
        let state = in_slow_mode(&mut store, &wanted, (CHANNEL, since)).await;
        assert_eq!(state, expected, "{call}");
    }
}

#[tokio::test]
async fn in_slow_mode_what_a_person_wrote_themselves_counts() {
    let mut store = Store::new().await;
    let thread = store.running_thread(&fence(5, "holder"), 1).await;
    let mut of_another = message(60, "so do I");
    of_another.author_id = 99;
    store
        .ingest(vec![created("mc.50", message(50, "I wrote")), created("mc.60", of_another)])
        .await;
    for (call, by, since, expected) in [
        (0, AUTHOR, 50, ExecutionState::Denied),
        (1, AUTHOR, 51, ExecutionState::Open),
        (2, 99, 51, ExecutionState::Denied),
        (3, 98, 1, ExecutionState::Open),
    ] {
        let wanted = Execution { principal: Some(person(by)), ..execution(thread, call) };
        let state = in_slow_mode(&mut store, &wanted, (CHANNEL, since)).await;
        assert_eq!(state, expected, "{call}");
    }
}
