use std::sync::atomic::Ordering;

use ery_ids::TaskThreadId;
use ery_lifecycle::Tasks;
use ery_proto::store::v1::{
    DeadLetter, DeadLetterKind, DeadLetterRetry, DeadTask, FinishThreadRequest,
    GetDeadLetterRequest, GetThreadRequest, ListDeadLettersRequest, RecordDeadEventRequest,
    RetryDeadLettersRequest, ThreadOutcome,
};
use tonic::Code;

use crate::support::{CHANNEL, GUILD, NOW, Store, begin, deleted, fence, finish, message, step};

const BOT: u64 = 9;

fn payload(message: u64) -> Vec<u8> {
    format!(r#"{{"id":"{message}","content":"hello"}}"#).into_bytes()
}

/// Makes the end by which a thread's triggers become dead letters.
fn failed(
    fence: &ery_proto::common::v1::Fence,
    thread: TaskThreadId,
    messages: &[u64],
) -> FinishThreadRequest {
    let task = |message: &u64| DeadTask {
        trigger_id: format!("m.{message}"),
        bot_id: BOT,
        received_at_ms: NOW + 5,
        payload: Some(payload(*message)),
        payload_bytes: payload(*message).len() as u64,
    };
    FinishThreadRequest {
        detail: "a bug".to_owned(),
        tasks: messages.iter().map(task).collect(),
        ..finish(fence, thread, ThreadOutcome::Failed, messages)
    }
}

impl Store {
    async fn letters(&mut self) -> Vec<DeadLetter> {
        let request = ListDeadLettersRequest { guild_id: GUILD, ..Default::default() };
        self.client.list_dead_letters(request).await.unwrap().into_inner().dead_letters
    }

    async fn letter(&mut self, id: &str) -> DeadLetter {
        let request = GetDeadLetterRequest { id: id.to_owned() };
        let answer = self.client.get_dead_letter(request).await.unwrap().into_inner();
        answer.dead_letter.unwrap()
    }

    async fn retry(&mut self, ids: &[&str]) -> Vec<DeadLetterRetry> {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        let request = RetryDeadLettersRequest { ids, by: "mara".to_owned() };
        self.client.retry_dead_letters(request).await.unwrap().into_inner().retries
    }

    /// Waits until the task of a dead letter stands in the queue, as far as the store knows.
    async fn until_published(&mut self, id: &str) -> DeadLetter {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let letter = self.letter(id).await;
            if letter.published_at_ms != 0 {
                return letter;
            }
            assert!(tokio::time::Instant::now() < deadline, "{letter:?}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Runs what the service does by itself, until the returned tasks are stopped.
    fn run(&self) -> Tasks {
        let tasks = Tasks::new();
        let (service, own) = (self.service.clone(), tasks.clone());
        tasks.spawn("store", async move { service.run(own).await });
        tasks
    }

    /// Lets a thread fail for good on one message; returns it with its dead letter.
    async fn dead(&mut self, epoch: u64, message: u64) -> (TaskThreadId, DeadLetter) {
        let holder = fence(epoch, "holder");
        let thread = self.running_thread(&holder, message).await;
        self.append(&holder, thread, vec![step(0)]).await.unwrap();
        self.finish(failed(&holder, thread, &[message])).await.unwrap();
        (thread, self.letters().await.remove(0))
    }
}

#[tokio::test]
async fn a_dead_letter_shows_all_that_is_known_of_it() {
    let mut store = Store::new().await;
    let (thread, listed) = store.dead(5, 1).await;
    assert_eq!(listed.kind(), DeadLetterKind::Task);
    assert_eq!((listed.guild_id, listed.channel_id), (GUILD, CHANNEL));
    assert_eq!((listed.trigger_id.as_str(), listed.reason.as_str()), ("m.1", "a bug"));
    assert_eq!(listed.thread_id, thread.to_string());
    assert_eq!((listed.received_at_ms, listed.at_ms), (NOW + 5, NOW + 1_000));
    assert_eq!((listed.refusal.as_str(), listed.retried_at_ms), ("", 0));
    assert_eq!(listed.payload, None, "a list has no payloads");

    let shown = store.letter(&listed.id).await;
    assert_eq!(shown.payload, Some(payload(1)));
    assert_eq!(DeadLetter { payload: None, ..shown }, listed);
    for (id, code) in [
        ("5.1", Code::NotFound),
        ("999999.1", Code::NotFound),
        (&*format!("{}9", listed.id), Code::NotFound),
        ("what", Code::InvalidArgument),
    ] {
        let request = GetDeadLetterRequest { id: id.to_owned() };
        assert_eq!(store.client.get_dead_letter(request).await.unwrap_err().code(), code, "{id}");
    }
}

#[tokio::test]
async fn a_retry_starts_a_new_thread_and_leaves_the_dead_one_as_it_was() {
    let mut store = Store::new().await;
    let running = store.run();
    let (dead, letter) = store.dead(5, 1).await;
    let before = store.rows();
    let retried = store.retry(&[&letter.id]).await;
    assert_eq!(
        retried,
        [DeadLetterRetry { id: letter.id.clone(), is_unknown: false, refusal: String::new() }]
    );

    let published = store.queue.until_published(1).await;
    assert_eq!(published[0].trigger.to_string(), "m.1");
    assert_eq!(published[0].channel.channel.get(), CHANNEL);
    assert_eq!((published[0].retry, published[0].bot.get()), (1, BOT));
    assert_eq!(published[0].payload, payload(1));

    // The new thread begins, and ends, as any other.
    let holder = fence(6, "next");
    let opened = store.open_channel(&holder).await;
    assert_eq!(opened.unfinished, None);
    let thread = TaskThreadId::random();
    store.begin(begin(&holder, thread, &[message(1, "hello")])).await.unwrap();
    store.finish(finish(&holder, thread, ThreadOutcome::Done, &[1])).await.unwrap();
    // The dead one stays for the audit, with its journal.
    let of = |rows: &[String], table: &str| -> Vec<String> {
        let hex = format!("{:02x?}", dead.0.as_bytes());
        let is_its = |row: &&String| row.starts_with(table) && row.contains(&hex);
        rows.iter().filter(is_its).cloned().collect()
    };
    let after = store.rows();
    for table in ["task_threads", "task_thread_steps", "task_thread_triggers"] {
        let rows = of(&before, table);
        assert!(!rows.is_empty());
        assert_eq!(of(&after, table), rows);
    }
    let request = GetThreadRequest { thread_id: dead.to_string(), guild_id: 0, channel_id: 0 };
    let shown = store.client.get_thread(request).await.unwrap().into_inner().thread.unwrap();
    assert_eq!((shown.outcome(), shown.steps.len()), (ThreadOutcome::Failed, 1));
    let letter = store.until_published(&letter.id).await;
    assert_eq!((letter.retried_by.as_str(), letter.retried_at_ms), ("mara", NOW));
    assert_eq!(letter.published_at_ms, NOW);
    running.finish(std::time::Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_dead_letter_is_tried_again_once() {
    let mut store = Store::new().await;
    let running = store.run();
    let (_, letter) = store.dead(5, 1).await;
    store.retry(&[&letter.id]).await;
    store.until_published(&letter.id).await;
    let before = store.rows();
    let again = store.retry(&[&letter.id, "5.77"]).await;
    assert_eq!(again[0].refusal, "it was tried again already, by mara");
    assert!(again[1].is_unknown);
    assert_eq!(store.rows(), before);

    // It fails once more: that is another dead letter, and another publish.
    let (_, second) = store.dead(6, 1).await;
    assert_ne!(second.id, letter.id);
    store.retry(&[&second.id]).await;
    let published = store.queue.until_published(2).await;
    assert_eq!(published.iter().map(|task| task.retry).collect::<Vec<_>>(), [1, 2]);
    running.finish(std::time::Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_retry_outlives_a_crash_and_an_outage_of_the_queue() {
    let mut store = Store::new().await;
    let (_, letter) = store.dead(5, 1).await;
    store.retry(&[&letter.id]).await;
    assert_eq!(store.letter(&letter.id).await.published_at_ms, 0);

    // Nothing was published before: the next process does it, as soon as the queue is back.
    let mut store = store.reopen().await;
    store.queue.failures.store(1, Ordering::SeqCst);
    let running = store.run();
    let published = store.queue.until_published(1).await;
    assert_eq!((published.len(), published[0].retry), (1, 1));
    running.finish(std::time::Duration::from_secs(5)).await;
    assert_eq!(store.letter(&letter.id).await.published_at_ms, NOW);

    // It is not published again.
    let store = store.reopen().await;
    let running = store.run();
    running.finish(std::time::Duration::from_secs(5)).await;
    assert_eq!(store.queue.published(), []);
}

#[tokio::test]
async fn the_end_of_the_dead_thread_may_be_told_again_after_a_retry() {
    let mut store = Store::new().await;
    let (dead, letter) = store.dead(5, 1).await;
    store.retry(&[&letter.id]).await;
    let holder = fence(5, "holder");
    store.finish(failed(&holder, dead, &[1])).await.unwrap();

    let thread = store.running_thread(&holder, 1).await;
    store.finish(finish(&holder, thread, ThreadOutcome::Done, &[1])).await.unwrap();
    let before = store.rows();
    store.finish(failed(&holder, dead, &[1])).await.unwrap();
    assert_eq!(store.rows(), before);
}

#[tokio::test]
async fn what_cannot_be_tried_again_says_why() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    let mut ids = Vec::new();
    for (number, payload_bytes) in [(1, 0), (2, 300_000)] {
        let thread = store.running_thread(&holder, number).await;
        let mut end = failed(&holder, thread, &[number]);
        end.tasks[0].payload = None;
        end.tasks[0].payload_bytes = payload_bytes;
        store.finish(end).await.unwrap();
        ids.push(store.letters().await.remove(0).id);
    }
    let (_, of_deleted) = store.dead(6, 3).await;
    store.ingest(vec![deleted("d", &[3], NOW)]).await;
    ids.push(of_deleted.id.clone());

    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let before = store.rows();
    let refusals: Vec<String> =
        store.retry(&ids).await.into_iter().map(|retry| retry.refusal).collect();
    assert_eq!(
        refusals,
        [
            "its payload was not kept",
            "its payload of 300000 bytes was too large to be kept",
            "its message was deleted",
        ]
    );
    assert_eq!(store.rows(), before);
    // What the deleted message said is gone from here, too.
    assert_eq!(store.letter(&of_deleted.id).await.payload, None);
    let request = ListDeadLettersRequest {
        guild_id: GUILD,
        is_retryable_only: true,
        ..ListDeadLettersRequest::default()
    };
    let retryable = store.client.list_dead_letters(request).await.unwrap().into_inner();
    assert_eq!(retryable.dead_letters, []);
}

#[tokio::test]
async fn an_event_is_a_dead_letter_once_for_each_handler() {
    let mut store = Store::new().await;
    let event = RecordDeadEventRequest {
        handler: "orchestrator-ingestion".to_owned(),
        event_id: "s.7".to_owned(),
        event_kind: "message_create".to_owned(),
        guild_id: GUILD,
        channel_id: 0,
        bot_id: BOT,
        received_at_ms: NOW,
        reason: "it lacks `channel_id`".to_owned(),
        payload: Some(b"{".to_vec()),
        payload_bytes: 1,
    };
    store.client.record_dead_event(event.clone()).await.unwrap();
    store.client.record_dead_event(event.clone()).await.unwrap();
    let other = RecordDeadEventRequest { handler: "another".to_owned(), ..event.clone() };
    store.client.record_dead_event(other).await.unwrap();

    let letters = store.letters().await;
    assert_eq!(letters.len(), 2);
    let letter = store.letter(&letters[1].id).await;
    assert_eq!(letter.kind(), DeadLetterKind::Event);
    assert_eq!((&letter.event_id, &letter.event_kind), (&event.event_id, &event.event_kind));
    assert_eq!((&letter.handler, &letter.reason), (&event.handler, &event.reason));
    assert_eq!(letter.payload, event.payload);
    let refused = store.retry(&[&letter.id]).await.remove(0).refusal;
    assert_eq!(
        refused,
        "it is an event that `orchestrator-ingestion` could not take in, and starts no thread"
    );
    let nowhere = RecordDeadEventRequest { guild_id: 0, ..event };
    let refused = store.client.record_dead_event(nowhere).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_a_dead_event_said_is_forgotten_with_its_message_whichever_comes_first() {
    let mut store = Store::new().await;
    let dead = |event_kind: &str, message: u64, field: &str| RecordDeadEventRequest {
        handler: "orchestrator-ingestion".to_owned(),
        event_id: format!("s.{event_kind}.{message}"),
        event_kind: event_kind.to_owned(),
        guild_id: GUILD,
        channel_id: CHANNEL,
        bot_id: BOT,
        received_at_ms: NOW,
        reason: "it lacks `author`".to_owned(),
        payload: Some(format!(r#"{{"{field}":"{message}","content":"canary"}}"#).into_bytes()),
        payload_bytes: 30,
    };
    for event in [
        dead("message_create", 1, "id"),
        dead("message_update", 1, "id"),
        dead("message_reaction_add", 1, "message_id"),
        dead("message_create", 3, "id"),
    ] {
        store.client.record_dead_event(event).await.unwrap();
    }
    store.ingest(vec![deleted("md.1", &[1, 2], NOW)]).await;
    store.client.record_dead_event(dead("message_create", 2, "id")).await.unwrap();

    for letter in store.letters().await {
        let letter = store.letter(&letter.id).await;
        let is_kept = letter.event_id == "s.message_create.3";
        assert_eq!(letter.payload.is_some(), is_kept, "{}", letter.event_id);
    }
    assert_eq!(store.rows().iter().filter(|row| row.contains("63, 61, 6e, 61, 72, 79")).count(), 1);
}
