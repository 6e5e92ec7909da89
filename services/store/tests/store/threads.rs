use std::time::Duration;

use ery_ids::TaskThreadId;
use ery_proto::{
    common::v1::{Message, Usage},
    store::v1::{
        AnsweredMessage, AnswersToBots, ChannelState, ContextQuery, Exchange, ExecutionState,
        GetThreadRequest, LastAnswer, ListDeadLettersRequest, ListThreadsRequest,
        OpenChannelRequest, ReadContextRequest, ThreadOutcome, Trigger, TriggerChange,
    },
};
use tonic::Code;

use crate::support::{
    AUTHOR, CHANNEL, GUILD, NOW, Store, begin, begin_execution, created, deleted, edited,
    end_execution, execution, fence, finish, message, person, step, trigger,
};

fn reading(answered: &[Message], query: ContextQuery) -> ReadContextRequest {
    let answered = answered.iter().map(|message| AnsweredMessage {
        message_id: message.message_id,
        reply_to_id: message.reply_to,
        edited_at_ms: message.edited_at_ms,
    });
    ReadContextRequest {
        guild_id: GUILD,
        channel_id: CHANNEL,
        answered: answered.collect(),
        query: Some(query),
    }
}

#[tokio::test]
async fn an_unfinished_thread_is_handed_over_with_all_that_it_did() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = TaskThreadId::random();
    store.open_channel(&holder).await;
    let mut request = begin(&holder, thread, &[message(1, "a"), message(2, "b")]);
    request.askers = vec![AUTHOR, 501];
    store.begin(request).await.unwrap();
    store.append(&holder, thread, vec![step(0), step(1)]).await.unwrap();
    let (done, open) = (execution(thread, 0), execution(thread, 1));
    for execution in [&done, &open] {
        store.client.begin_execution(begin_execution(&holder, execution)).await.unwrap();
    }
    let end = end_execution(&holder, &done, ExecutionState::Done);
    store.client.end_execution(end).await.unwrap();

    let mut store = store.reopen().await;
    let opened = store.open_channel(&fence(6, "next")).await;

    let unfinished = opened.unfinished.unwrap();
    assert_eq!(unfinished.thread_id, thread.to_string());
    assert_eq!((unfinished.guild_id, unfinished.channel_id), (GUILD, CHANNEL));
    assert_eq!(unfinished.outcome, i32::from(ThreadOutcome::Running));
    assert_eq!(unfinished.principal, Some(person(AUTHOR)));
    assert_eq!(unfinished.askers, [AUTHOR, 501]);
    assert_eq!(unfinished.started_at_ms, NOW);
    assert_eq!(unfinished.steps, [step(0), step(1)]);
    assert_eq!(unfinished.triggers, [trigger(&message(1, "a")), trigger(&message(2, "b"))]);
    let states: Vec<i32> = unfinished.executions.iter().map(|it| it.state).collect();
    assert_eq!(states, [ExecutionState::Done, ExecutionState::Open].map(i32::from));
    assert_eq!(unfinished.executions[1].arguments, open.arguments);
    assert_eq!(unfinished.executions[1].send_by_ms, open.send_by_ms);
}

#[tokio::test]
async fn a_finished_or_suspended_thread_is_not_handed_over() {
    let mut store = Store::new().await;
    for (epoch, outcome) in [
        (5, ThreadOutcome::Done),
        (6, ThreadOutcome::Suspended),
        (7, ThreadOutcome::Cancelled),
        (8, ThreadOutcome::OutOfBudget),
    ] {
        let holder = fence(epoch, "holder");
        let thread = store.running_thread(&holder, epoch).await;
        store.finish(finish(&holder, thread, outcome, &[epoch])).await.unwrap();
        let request = OpenChannelRequest {
            fence: Some(holder),
            waiting_trigger_ids: vec![format!("m.{epoch}"), "m.99".to_owned()],
            ..OpenChannelRequest::default()
        };
        let opened = store.client.open_channel(request).await.unwrap().into_inner();
        assert_eq!(opened.unfinished, None, "{outcome:?}");
        assert_eq!(opened.finished_trigger_ids, [format!("m.{epoch}")]);
    }
}

#[tokio::test]
async fn a_finished_trigger_begins_no_thread() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    store.finish(finish(&holder, thread, ThreadOutcome::Done, &[1])).await.unwrap();
    let before = store.rows();
    let request = begin(&holder, TaskThreadId::random(), &[message(2, "b"), message(1, "a")]);
    let refused = store.begin(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("m.1 "), "{refused}");
    assert_eq!(store.rows(), before);
}

#[tokio::test]
async fn a_trigger_is_finished_by_one_thread_only() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let first = store.running_thread(&holder, 1).await;
    store.finish(finish(&holder, first, ThreadOutcome::Done, &[1])).await.unwrap();
    let second = store.running_thread(&holder, 2).await;
    let before = store.rows();
    let refused =
        store.finish(finish(&holder, second, ThreadOutcome::Done, &[2, 1])).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains(&first.to_string()), "{refused}");
    assert_eq!(store.rows(), before);
    store.finish(finish(&holder, second, ThreadOutcome::Done, &[2])).await.unwrap();
}

#[tokio::test]
async fn a_channel_has_one_running_thread() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let running = store.running_thread(&holder, 1).await;
    let before = store.rows();
    let request = begin(&holder, TaskThreadId::random(), &[message(2, "b")]);
    let refused = store.begin(request.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains(&running.to_string()), "{refused}");
    assert_eq!(store.rows(), before);
    store.finish(finish(&holder, running, ThreadOutcome::Done, &[1])).await.unwrap();
    store.begin(request).await.unwrap();
}

#[tokio::test]
async fn an_ended_thread_takes_nothing_more() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    store.finish(finish(&holder, thread, ThreadOutcome::Done, &[1])).await.unwrap();
    let before = store.rows();
    let step = store.append(&holder, thread, vec![step(0)]).await.unwrap_err();
    let other_end =
        store.finish(finish(&holder, thread, ThreadOutcome::Failed, &[1])).await.unwrap_err();
    let more =
        store.finish(finish(&holder, thread, ThreadOutcome::Done, &[1, 2])).await.unwrap_err();
    let execution = begin_execution(&holder, &execution(thread, 0));
    let execution = store.client.begin_execution(execution).await.unwrap_err();
    let again = store.begin(begin(&holder, thread, &[message(1, "a")])).await.unwrap_err();
    for refused in [step, other_end, more, execution, again] {
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    }
    assert_eq!(store.rows(), before);
}

#[tokio::test]
async fn a_journal_has_no_gaps() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    store.append(&holder, thread, vec![step(0), step(1)]).await.unwrap();
    let before = store.rows();
    let refused = store.append(&holder, thread, vec![step(2), step(4)]).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(store.rows(), before);
}

#[tokio::test]
async fn what_was_skipped_is_finished_without_having_begun() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    store.open_channel(&holder).await;
    store.ingest(vec![created("mc.1", message(1, "spam"))]).await;
    let thread = TaskThreadId::random();
    let mut end = finish(&holder, thread, ThreadOutcome::TooBusy, &[1, 2]);
    end.detail = "200 wait".to_owned();
    store.finish(end.clone()).await.unwrap();
    store.finish(end).await.unwrap();

    let request = GetThreadRequest { thread_id: thread.to_string(), guild_id: 0, channel_id: 0 };
    let found = store.client.get_thread(request).await.unwrap().into_inner().thread.unwrap();
    assert_eq!(found.outcome, i32::from(ThreadOutcome::TooBusy));
    assert_eq!(found.detail, "200 wait");
    assert_eq!(found.principal, None);
    assert_eq!(found.triggers[0].message, Some(message(1, "spam")));
    assert_eq!(found.triggers[1].id, "m.2");
    let refused = store.begin(begin(&holder, TaskThreadId::random(), &[message(2, "b")])).await;
    assert_eq!(refused.unwrap_err().code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_failed_thread_stands_in_the_dead_letter_list() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = TaskThreadId::random();
    store.open_channel(&holder).await;
    store.begin(begin(&holder, thread, &[message(1, "poison")])).await.unwrap();
    let mut end = finish(&holder, thread, ThreadOutcome::Failed, &[1]);
    end.detail = "five attempts".to_owned();
    end.usage = Some(Usage { prompt_tokens: 7, completion_tokens: 3, cached_tokens: 2 });
    store.finish(end).await.unwrap();
    for (guild_id, channel_id) in [(0, 0), (GUILD, 0), (GUILD, CHANNEL)] {
        let request =
            ListDeadLettersRequest { guild_id, channel_id, limit: 10, is_retryable_only: false };
        let letters = store.client.list_dead_letters(request).await.unwrap().into_inner();
        let [letter] = letters.dead_letters.as_slice() else { panic!("{letters:?}") };
        assert_eq!(letter.trigger, Some(trigger(&message(1, "poison"))));
        assert_eq!(letter.thread_id, thread.to_string());
        assert_eq!(letter.reason, "five attempts");
        assert_eq!(letter.at_ms, NOW + 1_000);
    }
    let elsewhere = ListDeadLettersRequest {
        guild_id: 8 << 22,
        channel_id: 0,
        limit: 10,
        is_retryable_only: false,
    };
    let letters = store.client.list_dead_letters(elsewhere).await.unwrap().into_inner();
    assert!(letters.dead_letters.is_empty());
}

#[tokio::test]
async fn every_answer_names_triggers_that_changed() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = TaskThreadId::random();
    store.open_channel(&holder).await;
    let sent = Message { edited_at_ms: NOW + 4, ..message(3, "edited before") };
    let triggers = [message(1, "a"), message(2, "b"), sent, message(4, "d")];
    let begun = store.begin(begin(&holder, thread, &triggers)).await.unwrap();
    assert_eq!(begun.changes, []);
    store
        .ingest(vec![
            deleted("s.1", &[1], NOW + 9),
            edited("s.2", 2, "b, really", NOW + 8),
            edited("s.3", 3, "older", NOW + 3),
        ])
        .await;

    let expected = [
        TriggerChange { trigger_id: "m.1".to_owned(), is_deleted: true, ..Default::default() },
        TriggerChange {
            trigger_id: "m.2".to_owned(),
            is_deleted: false,
            content: "b, really".to_owned(),
            edited_at_ms: NOW + 8,
        },
    ];
    let begun = store.begin(begin(&holder, thread, &triggers)).await.unwrap();
    assert_eq!(begun.changes, expected);
    let read = store.read_context(reading(&triggers, ContextQuery::default())).await;
    assert_eq!(read.changes, expected);
    let appended = store.append(&holder, thread, vec![step(0)]).await.unwrap();
    assert_eq!(appended.changes, expected);
    let opened = begin_execution(&holder, &execution(thread, 0));
    let opened = store.client.begin_execution(opened).await.unwrap().into_inner();
    assert_eq!(opened.changes, expected);
    let next = OpenChannelRequest {
        fence: Some(fence(6, "next")),
        waiting_trigger_ids: vec!["m.1".to_owned(), "m.2".to_owned(), "m.4".to_owned()],
        ..OpenChannelRequest::default()
    };
    let next = store.client.open_channel(next).await.unwrap().into_inner();
    assert_eq!(next.changes, expected);
    assert_eq!(next.unfinished.unwrap().changes, expected);
}

#[tokio::test]
async fn the_channels_state_is_replaced_by_a_finish_that_brings_one() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let opened = store.open_channel(&holder).await;
    assert_eq!(opened.state, Some(ChannelState::default()));
    let state = ChannelState {
        answers_to_bots: Some(AnswersToBots { count: 3, last_at_ms: NOW }),
        exchanges: vec![Exchange { user_id: AUTHOR, until_ms: NOW + 60_000 }],
        last_answers: vec![LastAnswer { user_id: AUTHOR, at_ms: NOW }],
    };
    let first = store.running_thread(&holder, 1).await;
    let mut end = finish(&holder, first, ThreadOutcome::Done, &[1]);
    end.state = Some(state.clone());
    store.finish(end).await.unwrap();
    let second = store.running_thread(&holder, 2).await;
    store.finish(finish(&holder, second, ThreadOutcome::Done, &[2])).await.unwrap();

    let mut store = store.reopen().await;
    let opened = store.open_channel(&fence(6, "next")).await;
    assert_eq!(opened.state, Some(state));
}

#[tokio::test]
async fn a_thread_may_be_begun_by_something_that_is_no_message() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    store.open_channel(&holder).await;
    let thread = TaskThreadId::random();
    let due = Trigger { id: "sa.remind.17".to_owned(), message: None, received_at_ms: NOW };
    let mut request = begin(&holder, thread, &[]);
    request.triggers = vec![due.clone()];
    let begun = store.begin(request).await.unwrap();
    assert!(begun.is_current);
    let mut end = finish(&holder, thread, ThreadOutcome::Failed, &[]);
    end.finished_trigger_ids = vec![due.id.clone()];
    store.finish(end).await.unwrap();
    let request = ListDeadLettersRequest {
        guild_id: GUILD,
        channel_id: CHANNEL,
        limit: 0,
        is_retryable_only: false,
    };
    let letters = store.client.list_dead_letters(request).await.unwrap().into_inner();
    assert_eq!(letters.dead_letters[0].trigger, Some(due));
}

#[tokio::test]
async fn context_is_the_newest_messages_oldest_first() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    store.open_channel(&holder).await;
    let events = (1..=9).map(|id| created(&format!("mc.{id}"), message(id, "x"))).collect();
    store.ingest(events).await;
    let elsewhere = Message { channel_id: CHANNEL + 1, ..message(10, "elsewhere") };
    let mut event = created("mc.10", elsewhere);
    event.channel_id = CHANNEL + 1;
    store.ingest(vec![event, deleted("s.1", &[7], NOW)]).await;

    let mut request = begin(&holder, TaskThreadId::random(), &[message(11, "now")]);
    request.context = Some(ContextQuery { max_messages: 4, ..ContextQuery::default() });
    let begun = store.begin(request.clone()).await.unwrap();
    let ids = |messages: &[Message]| messages.iter().map(|it| it.message_id).collect::<Vec<_>>();
    assert_eq!(ids(&begun.context), [6, 8, 9, 11]);
    request.context =
        Some(ContextQuery { max_messages: 4, since_ms: NOW + 9, ..ContextQuery::default() });
    assert_eq!(ids(&store.begin(request.clone()).await.unwrap().context), [9, 11]);
    let wanted = request.context.unwrap();
    let read = store.read_context(reading(&[message(11, "now")], wanted)).await;
    assert_eq!(ids(&read.context), [9, 11]);
    request.context = None;
    assert!(store.begin(request).await.unwrap().context.is_empty());
    let none = ContextQuery::default();
    assert!(store.read_context(reading(&[message(11, "now")], none)).await.context.is_empty());
}

#[tokio::test]
async fn what_a_trigger_replies_to_is_told_beyond_the_context() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    store.open_channel(&holder).await;
    let reply = |id: u64, reply_to: u64| Message { reply_to, ..message(id, "x") };
    let mut events: Vec<_> =
        (1..=20).map(|id| created(&format!("mc.{id}"), message(id, "x"))).collect();
    // 18 replies to 5, that to 3, that to 2, which is deleted.
    for (id, reply_to) in [(3, 2), (5, 3), (18, 5)] {
        events[id - 1] = created(&format!("mc.{id}"), reply(id as u64, reply_to));
    }
    store.ingest(events).await;
    store.ingest(vec![deleted("s.1", &[2], NOW)]).await;
    let mut elsewhere = created("mc.30", Message { channel_id: CHANNEL + 1, ..message(30, "x") });
    elsewhere.channel_id = CHANNEL + 1;
    store.ingest(vec![elsewhere]).await;

    let triggers = [reply(40, 18), reply(41, 30), reply(42, 7)];
    let mut request = begin(&holder, TaskThreadId::random(), &triggers);
    request.context = Some(ContextQuery { max_messages: 6, ..ContextQuery::default() });
    let begun = store.begin(request.clone()).await.unwrap();
    let ids = |messages: &[Message]| messages.iter().map(|it| it.message_id).collect::<Vec<_>>();
    assert_eq!(ids(&begun.context), [18, 19, 20, 40, 41, 42]);
    assert_eq!(ids(&begun.replied_to), [3, 5, 7]);
    let read = store.read_context(reading(&triggers, request.context.unwrap())).await;
    assert_eq!((read.context, read.replied_to), (begun.context, begun.replied_to));
    request.context = None;
    assert!(store.begin(request).await.unwrap().replied_to.is_empty());
}

#[tokio::test]
async fn a_long_chain_of_replies_is_followed_no_further_than_ten() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    store.open_channel(&holder).await;
    let reply = |id: u64| Message { reply_to: id - 1, ..message(id, "x") };
    let events = (1..=30).map(|id| created(&format!("mc.{id}"), reply(id))).collect();
    store.ingest(events).await;
    let mut request = begin(&holder, TaskThreadId::random(), &[reply(31)]);
    request.context = Some(ContextQuery { max_messages: 1, ..ContextQuery::default() });
    let begun = store.begin(request).await.unwrap();
    let ids: Vec<_> = begun.replied_to.iter().map(|it| it.message_id).collect();
    assert_eq!(ids, (21..=30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_thread_waits_until_ingestion_has_reached_its_trigger() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    store.open_channel(&holder).await;
    let mut request = begin(&holder, TaskThreadId::random(), &[message(2, "b")]);
    request.context =
        Some(ContextQuery { max_messages: 9, wait_ms: 250, ..ContextQuery::default() });
    let mut beginner = store.client.clone();
    let begins = async { beginner.begin_thread(request).await.unwrap().into_inner() };
    let ingests = async {
        store
            .ingest(vec![created("mc.1", message(1, "a")), created("mc.2", message(2, "b"))])
            .await;
    };
    let (begun, ()) = tokio::join!(begins, ingests);
    assert!(begun.is_current);
    assert_eq!(begun.context.len(), 2);
}

#[tokio::test]
async fn a_context_is_read_once_ingestion_has_reached_what_is_answered() {
    let mut store = Store::new().await;
    let wanted = ContextQuery { max_messages: 9, wait_ms: 250, ..ContextQuery::default() };
    // Where nothing was ever written there is nothing to wait for.
    let read = store.read_context(reading(&[message(2, "b")], wanted)).await;
    assert_eq!((read.context.len(), read.is_current), (0, false));
    store.open_channel(&fence(5, "holder")).await;
    let mut reader = store.client.clone();
    let request = reading(&[message(2, "b")], wanted);
    let reads = async { reader.read_context(request).await.unwrap().into_inner() };
    let ingests = async {
        let both = vec![created("mc.1", message(1, "a")), created("mc.2", message(2, "b"))];
        store.ingest(both).await;
    };
    let (read, ()) = tokio::join!(reads, ingests);
    assert_eq!((read.context.len(), read.is_current), (2, true));
    for wait_ms in [0, 60_000] {
        let late = ContextQuery { wait_ms, ..wanted };
        let read = store.read_context(reading(&[message(3, "c")], late)).await;
        assert_eq!((read.context.len(), read.is_current), (2, false));
    }
}

#[tokio::test]
async fn a_thread_does_not_wait_for_ingestion_for_ever() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    store.open_channel(&holder).await;
    let mut request = begin(&holder, TaskThreadId::random(), &[message(2, "b")]);
    request.context =
        Some(ContextQuery { max_messages: 9, wait_ms: 60_000, ..ContextQuery::default() });
    let begun = tokio::time::timeout(Duration::from_secs(20), store.begin(request));
    let begun = begun.await.expect("it waits for 250 ms at most").unwrap();
    assert!(!begun.is_current);
    assert_eq!(begun.context, [message(2, "b")]);
}

#[tokio::test]
async fn what_was_ingested_before_a_restart_is_current() {
    let mut store = Store::new().await;
    store.ingest(vec![created("mc.2", message(2, "b"))]).await;
    let mut store = store.reopen().await;
    let holder = fence(5, "holder");
    store.open_channel(&holder).await;
    for wait_ms in [0, 250] {
        let mut request = begin(&holder, TaskThreadId::random(), &[message(2, "b")]);
        request.context =
            Some(ContextQuery { max_messages: 9, wait_ms, ..ContextQuery::default() });
        request.thread_id = "01890000-0000-7000-8000-000000000001".to_owned();
        assert!(store.begin(request).await.unwrap().is_current, "waiting {wait_ms} ms");
    }
}

#[tokio::test]
async fn threads_are_listed_newest_first() {
    let mut store = Store::new().await;
    let (here, there) = (fence(5, "holder"), {
        let mut there = fence(5, "holder");
        there.guild_id = 8 << 22;
        there.channel_id = 80 << 22;
        there
    });
    let first = store.running_thread(&here, 1).await;
    store.finish(finish(&here, first, ThreadOutcome::Done, &[1])).await.unwrap();
    let second = store.running_thread(&here, 2).await;
    store.open_channel(&there).await;
    let third = TaskThreadId::random();
    let away =
        Message { guild_id: there.guild_id, channel_id: there.channel_id, ..message(3, "c") };
    store.begin(begin(&there, third, &[away])).await.unwrap();

    for (guild_id, channel_id, is_running_only, limit, expected) in [
        (0, 0, false, 0, vec![third, second, first]),
        (0, 0, true, 0, vec![third, second]),
        (0, 0, false, 1, vec![third]),
        (GUILD, 0, false, 0, vec![second, first]),
        (GUILD, CHANNEL, true, 0, vec![second]),
        (there.guild_id, 0, false, 0, vec![third]),
        (9 << 22, 0, false, 0, vec![]),
        (0, CHANNEL, false, 0, vec![]),
    ] {
        let request = ListThreadsRequest { guild_id, channel_id, limit, is_running_only };
        let listed = store.client.list_threads(request).await.unwrap().into_inner().threads;
        let ids: Vec<String> = listed.iter().map(|it| it.thread_id.clone()).collect();
        let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        assert_eq!(ids, expected, "{guild_id} {channel_id} {is_running_only} {limit}");
        assert!(listed.iter().all(|it| it.steps.is_empty() && it.triggers.len() == 1));
    }
}

#[tokio::test]
async fn a_thread_is_found_by_its_id_but_not_under_another_home() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    // The same shard, another guild.
    let neighbour = GUILD + (64 << 22);
    for (guild_id, channel_id, is_found) in [
        (0, 0, true),
        (GUILD, 0, true),
        (GUILD, CHANNEL, true),
        (GUILD, CHANNEL + 1, false),
        (neighbour, 0, false),
        (8 << 22, 0, false),
    ] {
        let request = GetThreadRequest { thread_id: thread.to_string(), guild_id, channel_id };
        match store.client.get_thread(request).await {
            Ok(found) => {
                assert!(is_found, "{guild_id} {channel_id}");
                assert_eq!(found.into_inner().thread.unwrap().thread_id, thread.to_string());
            }
            Err(refused) => {
                assert!(!is_found, "{guild_id} {channel_id}");
                assert_eq!(refused.code(), Code::NotFound);
            }
        }
    }
}
