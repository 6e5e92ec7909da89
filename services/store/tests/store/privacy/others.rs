//! What is others' is left to them when somebody is forgotten, and what lifts a sanction is not lost.

use std::{fs, os::unix::fs::MetadataExt as _, time::Duration};

use ery_ids::TaskThreadId;
use ery_proto::{
    common::v1::{Enclosure, Fence, Message, Principal, enclosure, principal::Kind},
    store::v1::{
        BeginThreadRequest, Decision, DeletionState, Execution, ExecutionState,
        IngestMessagesRequest, Later, RecordDeadEventRequest, ThreadOutcome, Trigger,
    },
};

use super::{
    Running, export, get, request, rows,
    traces::{
        CANARY, MARA, OTHER, begin_as_mara, by_mara_or, canary, context_step, new_thread, payload,
        said_by, text_step,
    },
    until,
};
use crate::support::{
    CHANNEL, GUILD, NOW, Store, begin, begin_execution, created, end_execution, execution, fence,
    finish, person, shard_file,
};

const DUE: i64 = NOW + 60_000;

/// Has the person banned for a while by somebody else, and the end of it begin.
async fn lift(store: &mut Store, holder: &Fence) -> (TaskThreadId, Execution) {
    let banning = new_thread();
    store.open_channel(holder).await;
    let mut begun = begin_as_mara(holder, banning, 9);
    begun.principal = Some(person(OTHER));
    begun.triggers[0].message = Some(said_by(OTHER, 9, "ban them for a day"));
    begun.askers = Vec::new();
    store.begin(begun).await.unwrap();
    let ban = Execution {
        tool: "ban_member".to_owned(),
        tier: "destructive".to_owned(),
        decision: Decision::Allow.into(),
        principal: Some(person(OTHER)),
        arguments: format!(r#"{{"member":"{MARA}"}}"#),
        ..execution(banning, 0)
    };
    store.client.begin_execution(begin_execution(holder, &ban)).await.unwrap();
    let mut end = end_execution(holder, &ban, ExecutionState::Done);
    end.later = Some(Later {
        scheduled_action_id: "lifts".to_owned(),
        tool: "ban_member".to_owned(),
        arguments: format!(r#"{{"action":"unban","member":"{MARA}","reason":"{CANARY}"}}"#),
        due_at_ms: DUE,
        is_expiry: true,
        bot_id: 8,
    });
    store.client.end_execution(end).await.unwrap();
    store.finish(finish(holder, banning, ThreadOutcome::Done, &[9])).await.unwrap();
    let lifting = new_thread();
    let authority = Principal { kind: Some(Kind::Expiry(ban.key.clone())) };
    let begun = BeginThreadRequest {
        fence: Some(holder.clone()),
        thread_id: lifting.to_string(),
        triggers: vec![Trigger {
            id: format!("sa.lifts.{DUE}"),
            message: None,
            received_at_ms: DUE,
        }],
        principal: Some(authority.clone()),
        askers: Vec::new(),
        started_at_ms: DUE,
        context: None,
    };
    store.begin(begun).await.unwrap();
    let unban = Execution {
        principal: Some(authority),
        arguments: format!(r#"{{"action":"unban","member":"{MARA}"}}"#),
        trigger_id: format!("sa.lifts.{DUE}"),
        ..execution(lifting, 0)
    };
    (lifting, unban)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_ban_that_waits_for_discord_is_not_lost_with_the_person() {
    for has_called in [false, true] {
        let mut store = Store::new().await;
        let holder = fence(5, "holder");
        let (lifting, unban) = lift(&mut store, &holder).await;
        if has_called {
            store.client.begin_execution(begin_execution(&holder, &unban)).await.unwrap();
        }
        // Longer than any call takes: Discord is away.
        store.clock.advance(Duration::from_hours(6));
        let running = Running::start(&store);
        let id = request(&store, MARA, 0).await.deletion_id;
        if has_called {
            let waits = async {
                while get(&store, &id).await.waits_for.is_empty() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), waits).await.unwrap();
            let open = "SELECT arguments FROM tool_executions WHERE state = 'open'";
            assert_eq!(rows(&store, open).concat(), unban.arguments);
        } else {
            until(&store, &id, DeletionState::Confirmed).await;
        }
        let act = store.action("lifts").await;
        let left: serde_json::Value = serde_json::from_str(&act.arguments).unwrap();
        assert_eq!(left["action"], "unban");
        assert_eq!(left["member"], MARA.to_string(), "it can be done yet");
        if has_called {
            store
                .client
                .end_execution(end_execution(&holder, &unban, ExecutionState::Done))
                .await
                .unwrap();
        }
        let mut done = finish(&holder, lifting, ThreadOutcome::Done, &[]);
        done.finished_trigger_ids = vec![format!("sa.lifts.{DUE}")];
        store.finish(done).await.unwrap();
        until(&store, &id, DeletionState::Confirmed).await;
        running.stop().await;
        assert_eq!(super::holding(store.folder.path(), CANARY), Vec::<String>::new());
    }
}

/// Returns a message that shows something, and what it forwards.
fn showing(kind: enclosure::Kind, text: &str, forward_of: u64, message: Message) -> Message {
    let shown = Enclosure { kind: kind.into(), text: text.to_owned() };
    Message { enclosures: vec![shown], forward_of, ..message }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_forward_of_the_person_is_forgotten_and_stays_so() {
    use enclosure::Kind::{Embed, Forward, Poll};

    let mut store = Store::new().await;
    let forward = showing(Forward, &canary("forwarded"), 1, said_by(OTHER, 3, ""));
    // Who forwards a forward repeats the first one's words, also once that is gone.
    let of_a_gone_one = showing(Forward, &canary("again"), 4, said_by(OTHER, 5, ""));
    let events = [
        by_mara_or(MARA, 1, &canary("said")),
        showing(Poll, &canary("a poll"), 0, by_mara_or(MARA, 2, "")),
        forward.clone(),
        showing(Forward, &canary("then"), 1, said_by(OTHER, 4, "")),
        of_a_gone_one.clone(),
        showing(Forward, "what the other said", 9, said_by(OTHER, 6, "")),
        showing(Embed, "a menu", 0, said_by(OTHER, 7, "")),
        Message {
            is_own: true,
            ..showing(Embed, &format!("<@{MARA}> {CANARY}"), 0, said_by(8, 8, ""))
        },
    ];
    let event = |message: Message| created(&format!("mc.{}", message.message_id), message);
    store.ingest(events.into_iter().map(event).collect()).await;
    store.ingest(vec![crate::support::deleted("md.4", &[4], NOW)]).await;
    let holder = fence(5, "holder");
    store.open_channel(&holder).await;
    let quoting = new_thread();
    let mut begun = begin(&holder, quoting, &[said_by(OTHER, 10, "what does it say?")]);
    begun.principal = Some(person(OTHER));
    store.begin(begun).await.unwrap();
    let steps = vec![context_step(0, &[3]), text_step(1, &canary("it says"))];
    store.append(&holder, quoting, steps).await.unwrap();
    store.finish(finish(&holder, quoting, ThreadOutcome::Done, &[10])).await.unwrap();

    let copy = async |user: u64| -> String {
        export(&store, user).await.into_iter().map(|(_, text)| text).collect()
    };
    assert!(copy(MARA).await.contains(&format!(r#""text":"{}""#, canary("a poll"))));
    let others = copy(OTHER).await;
    assert!(others.contains(r#""text":"a menu""#), "{others}");
    assert!(!others.contains(CANARY) && !others.contains("what the other said"), "{others}");

    store.clock.advance(Duration::from_hours(1));
    let running = Running::start(&store);
    let id = request(&store, MARA, 0).await.deletion_id;
    until(&store, &id, DeletionState::Confirmed).await;
    // Discord shows them yet, and whoever reads them back is told.
    let late = showing(Forward, &canary("late"), 5, said_by(OTHER, 1 << 62, ""));
    let ingest = IngestMessagesRequest {
        handler: "ingestion".to_owned(),
        events: [forward, of_a_gone_one, late.clone()].map(event).into(),
    };
    let told = store.client.ingest_messages(ingest).await.unwrap().into_inner();
    assert_eq!(told.forgotten_message_ids, [3, 5, late.message_id]);
    running.stop().await;
    assert_eq!(super::holding(store.folder.path(), CANARY), Vec::<String>::new());
    let left = "SELECT message_id, enclosures ->> '$[0].text' FROM messages
         WHERE enclosures IS NOT NULL ORDER BY 1";
    assert_eq!(rows(&store, left), ["6 | what the other said", "7 | a menu"]);
}

fn dead_event(id: &str, payload: Vec<u8>) -> RecordDeadEventRequest {
    RecordDeadEventRequest {
        handler: "members".to_owned(),
        event_id: id.to_owned(),
        event_kind: "message_create".to_owned(),
        guild_id: GUILD,
        channel_id: CHANNEL,
        bot_id: 8,
        received_at_ms: NOW,
        reason: "odd".to_owned(),
        payload_bytes: payload.len() as u64,
        payload: Some(payload),
    }
}

fn naming() -> Vec<u8> {
    serde_json::json!({
        "id": "77",
        "author": { "id": OTHER.to_string() },
        "content": "hello you",
        "mentions": [{ "id": MARA.to_string(), "username": CANARY }],
    })
    .to_string()
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_sent_is_tried_again_though_it_named_the_person() {
    let mut store = Store::new().await;
    store.ingest(vec![created("mc.4", said_by(OTHER, 4, "hello you"))]).await;
    store.client.record_dead_event(dead_event("s.1", naming())).await.unwrap();
    store.client.record_dead_event(dead_event("s.2", payload(MARA))).await.unwrap();
    let shard = ery_group_commit::open(&shard_file(store.folder.path()), None).unwrap();
    for (row, payload) in [(1, naming()), (2, payload(MARA))] {
        shard
            .execute(
                "INSERT INTO scheduled_tasks (guild_id, channel_id, trigger_id, retry, bot_id,
                     received_at_ms, payload, due_at_ms)
                 VALUES (?1, ?2, 'm.' || ?3, 1, 8, ?4, ?5, ?6)",
                (GUILD.cast_signed(), CHANNEL.cast_signed(), 700 + row, NOW, payload, i64::MAX),
            )
            .unwrap();
    }
    drop(shard);
    store.clock.advance(Duration::from_hours(1));
    let running = Running::start(&store);
    let id = request(&store, MARA, 0).await.deletion_id;
    until(&store, &id, DeletionState::Confirmed).await;
    running.stop().await;
    assert_eq!(super::holding(store.folder.path(), CANARY), Vec::<String>::new());
    let others = "SELECT source_id, reason, CAST(payload AS TEXT) FROM dead_letters ORDER BY 1";
    let others = rows(&store, others);
    assert!(others[0].starts_with("s.1 | odd | ") && others[0].contains("hello you"), "{others:?}");
    assert_eq!(others[1], "s.2 |  | NULL");
    let tasks = "SELECT trigger_id, published_at_ms IS NULL, instr(payload, 'hello you') > 0
         FROM scheduled_tasks ORDER BY 1";
    assert_eq!(rows(&store, tasks), ["m.701 | 1 | 1", "m.702 | 0 | 0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_written_anew_if_anything_at_all_was_found_in_it_and_else_left_alone() {
    for is_found in [true, false] {
        let mut store = Store::new().await;
        store.ingest(vec![created("mc.4", said_by(OTHER, 4, "hello you"))]).await;
        let told_of = if is_found { MARA } else { OTHER };
        store.client.record_dead_event(dead_event("s.2", payload(told_of))).await.unwrap();
        let file = || fs::metadata(shard_file(store.folder.path())).unwrap().ino();
        let before = file();
        store.clock.advance(Duration::from_hours(1));
        let running = Running::start(&store);
        let id = request(&store, MARA, 0).await.deletion_id;
        until(&store, &id, DeletionState::Confirmed).await;
        running.stop().await;
        assert_eq!(file() != before, is_found);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_was_open_when_its_time_came_loses_its_text_later() {
    let retention = ery_store::Retention {
        executions: ery_store::Kept::For(Duration::from_hours(24 * 10)),
        messages: ery_store::Kept::Forever,
        sweep_every: Duration::from_secs(1),
        ..ery_store::Retention::default()
    };
    let settings = ery_store::Settings { retention, ..ery_store::Settings::default() };
    let mut store = Store::with(settings).await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let (open, closed) = (execution(thread, 0), execution(thread, 1));
    for execution in [&open, &closed] {
        store.client.begin_execution(begin_execution(&holder, execution)).await.unwrap();
    }
    let ends = |execution| end_execution(&holder, execution, ExecutionState::Done);
    store.client.end_execution(ends(&closed)).await.unwrap();
    store.clock.advance(Duration::from_hours(24 * 20));
    let running = Running::start(&store);
    let until_left = async |count: usize| {
        let left = async {
            while rows(&store, "SELECT 1 FROM tool_executions WHERE arguments <> ''").len() > count
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), left).await.expect("what is old goes");
    };
    until_left(1).await;
    store.client.clone().end_execution(ends(&open)).await.unwrap();
    store.clock.advance(Duration::from_hours(25));
    until_left(0).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_in_a_backup_only_where_nobody_looks_first_is_found_there() {
    let target = tempfile::tempdir().unwrap();
    let url = Some(format!("file://{}", target.path().display()));
    let backup = ery_store::Backup { url, ..Default::default() };
    let settings = ery_store::Settings { backup, ..ery_store::Settings::default() };
    let mut store = Store::with(settings).await;
    store.ingest(vec![created("mc.4", said_by(OTHER, 4, "hello you"))]).await;
    store.client.record_dead_event(dead_event("s.2", payload(MARA))).await.unwrap();
    let shard = ery_group_commit::open(&shard_file(store.folder.path()), None).unwrap();
    // As older versions may have left it: a mention of nobody.
    shard
        .execute(
            "UPDATE messages SET mentions = '[{\"name\":\"x\"}]'
                 WHERE message_id = 4",
            [],
        )
        .unwrap();
    drop(shard);
    let made = super::copies::create(&store).await;
    store.clock.advance(Duration::from_hours(1));
    let running = Running::start(&store);
    let id = request(&store, MARA, 0).await.deletion_id;
    until(&store, &id, DeletionState::Confirmed).await;
    super::copies::restore(&store, &made).await;
    running.stop().await;
    assert_eq!(super::holding(&store.folder.path().join("store"), CANARY), Vec::<String>::new());
    assert_eq!(rows(&store, "SELECT content FROM messages"), ["hello you"]);
}
