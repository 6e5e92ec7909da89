use std::time::Duration;

use ery_lifecycle::Tasks;
use ery_proto::{
    common::v1::{Attachment, Enclosure, Message, enclosure::Kind},
    store::v1::{
        IngestEvent, IngestMessagesRequest, ListMessagesRequest,
        ingest_event::{Change, Edit},
    },
};
use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestRunner},
};
use tonic::Code;

use ery_store::{Kept, Settings};

use crate::privacy::Running;
use crate::support::{
    AUTHOR, CHANNEL, GUILD, NOW, Store, channel_deleted, created, deleted, edited, event, fence,
    message, select, shard_file,
};

fn list(before: u64, limit: u32, since_ms: i64) -> ListMessagesRequest {
    ListMessagesRequest { guild_id: GUILD, channel_id: CHANNEL, before, limit, since_ms }
}

async fn ids(store: &mut Store, request: ListMessagesRequest) -> Vec<u64> {
    let answer = store.client.list_messages(request).await.unwrap().into_inner();
    answer.messages.into_iter().map(|it| it.message_id).collect()
}

/// Returns the ids of messages whose text has a word.
fn search(store: &Store, word: &str) -> Vec<i64> {
    let connection =
        ery_group_commit::open_read_only(&shard_file(store.folder.path()), None).unwrap();
    let statement = "SELECT rowid FROM messages_fts WHERE messages_fts MATCH ?1 ORDER BY rowid";
    let found = select(&connection, statement, [word]);
    found.iter().map(|id| id.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_message_comes_back_as_it_was_taken_in() {
    let mut store = Store::new().await;
    let whole = Message {
        is_automated: true,
        reply_to: 77,
        reply_to_author_id: 78,
        mentioned_roles: vec![31, 32],
        attachments: vec![Attachment {
            filename: "cat.png".to_owned(),
            content_type: "image/png".to_owned(),
            size_bytes: 9,
            url: "https://cdn.example/cat.png".to_owned(),
        }],
        r#type: 19,
        gate_reason: "not addressed".to_owned(),
        nonce: "n".to_owned(),
        enclosures: [Kind::Forward, Kind::Embed, Kind::Poll, Kind::Sticker]
            .map(|kind| Enclosure { kind: kind.into(), text: "soup\nat 'noon'".to_owned() })
            .into(),
        forward_of: 2,
        ..message(3, "look: 'quoted' \0 and \u{1F408}")
    };
    store.ingest(vec![created("mc.3", whole.clone())]).await;
    let listed = store.client.list_messages(list(0, 0, 0)).await.unwrap().into_inner();
    assert_eq!(listed.messages, [whole]);
}

#[tokio::test]
async fn an_edit_that_drops_an_embed_drops_it_here() {
    let mut store = Store::new().await;
    let embed = |text: &str| Enclosure { kind: Kind::Embed.into(), text: text.to_owned() };
    let shown = Message { enclosures: vec![embed("one"), embed("two")], ..message(3, "menu") };
    let edit = |enclosures, edited_at_ms| {
        let whole = Message { enclosures, edited_at_ms, ..message(3, "menu") };
        let change =
            Edit { message_id: 3, content: "menu".to_owned(), edited_at_ms, message: Some(whole) };
        event(&format!("mu.{edited_at_ms}"), Change::Edited(change))
    };
    let newer = edit(vec![embed("two")], NOW + 20);
    let older = edit(Vec::new(), NOW + 10);
    store.ingest(vec![created("mc.3", shown), newer, older]).await;
    let listed = store.client.list_messages(list(0, 0, 0)).await.unwrap().into_inner();
    assert_eq!(listed.messages[0].enclosures, [embed("two")]);
}

#[tokio::test]
async fn what_a_message_shows_is_of_a_kind_that_is_known() {
    let mut store = Store::new().await;
    let odd = Message { enclosures: vec![Enclosure::default()], ..message(3, "x") };
    let request = IngestMessagesRequest {
        handler: "ingestion".to_owned(),
        events: vec![created("mc.3", odd)],
    };
    let refused = store.client.ingest_messages(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn lists_page_backwards() {
    let mut store = Store::new().await;
    let events = (1..=9).map(|id| created(&format!("mc.{id}"), message(id, "x"))).collect();
    store.ingest(events).await;
    store.ingest(vec![deleted("s.1", &[4, 8], NOW)]).await;
    for (request, expected) in [
        (list(0, 3, 0), vec![6, 7, 9]),
        (list(6, 3, 0), vec![2, 3, 5]),
        (list(2, 3, 0), vec![1]),
        (list(0, 0, NOW + 6), vec![6, 7, 9]),
        (list(0, 1_000_000, 0), vec![1, 2, 3, 5, 6, 7, 9]),
        (ListMessagesRequest { channel_id: CHANNEL + 1, ..list(0, 0, 0) }, vec![]),
        // The same shard, another guild; and one that has no file.
        (ListMessagesRequest { guild_id: GUILD + (64 << 22), ..list(0, 0, 0) }, vec![]),
        (ListMessagesRequest { guild_id: 8 << 22, ..list(0, 0, 0) }, vec![]),
    ] {
        assert_eq!(ids(&mut store, request).await, expected, "{request:?}");
    }
    let unread = store.folder.path().join("store/shard-0008.db");
    assert!(!unread.exists(), "a question makes no file");
}

#[tokio::test]
async fn a_message_stays_in_its_channel() {
    let mut store = Store::new().await;
    store.ingest(vec![created("mc.1", message(1, "here"))]).await;
    let before = store.rows();
    let moved = Message { channel_id: CHANNEL + 1, edited_at_ms: NOW + 9, ..message(1, "there") };
    let mut events = vec![created("x.1", moved), deleted("x.2", &[1], NOW)];
    for event in &mut events {
        event.channel_id = CHANNEL + 1;
    }
    store.ingest(events).await;
    let mut after = store.rows();
    after.retain(|row| !row.contains("| x."));
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_tombstone_keeps_the_ids_and_nothing_else() {
    let mut store = Store::new().await;
    store.ingest(vec![created("mc.1", message(1, "regretted"))]).await;
    store.ingest(vec![deleted("s.1", &[1, 2], NOW + 7)]).await;
    let rows: Vec<String> =
        store.rows().into_iter().filter(|row| row.starts_with("messages")).collect();
    assert_eq!(rows.len(), 2);
    // Its author's id is one of them: a deletion of that person finds the journals that quote it.
    for (row, (id, is_ingested, author)) in rows.iter().zip([(1, 1, AUTHOR), (2, 0, 0)]) {
        let expected = format!(
            "messages: {id} | {GUILD} | {CHANNEL} | 0 |  | 0 | 0 |  | 0 | 0 | 0 | 0 | 0 | NULL | \
             NULL | NULL |  |  | NULL | {is_ingested} | {} | {author} | NULL | NULL",
            NOW + 7
        );
        assert_eq!(*row, expected);
    }
    assert!(search(&store, "regretted").is_empty());
}

/// Returns how many messages still hold a text.
fn kept(store: &Store) -> Vec<String> {
    let connection =
        ery_group_commit::open_read_only(&shard_file(store.folder.path()), None).unwrap();
    select(&connection, "SELECT count(*) FROM messages WHERE content <> ''", [])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_in_a_deleted_channel_goes_with_it() {
    let mut settings = Settings::default();
    settings.retention.sweep_every = Duration::from_secs(1);
    settings.retention.messages = Kept::Forever;
    let mut store = Store::with(settings).await;
    let said = (1..=700).map(|id| created(&format!("mc.{id}"), message(id, "soup"))).collect();
    store.ingest(said).await;
    let mut elsewhere =
        created("mc.900", Message { channel_id: CHANNEL + 1, ..message(900, "soup") });
    elsewhere.channel_id += 1;
    store.ingest(vec![elsewhere]).await;
    store.ingest(vec![channel_deleted("s.1", NOW + 7)]).await;
    assert_eq!(kept(&store), ["501"], "the newest are emptied at once");

    // Behind it come a message that was said before, and an edit of one that was never seen.
    store.ingest(vec![created("mc.701", message(701, "late soup"))]).await;
    store.ingest(vec![edited("s.2", 702, "edited soup", NOW + 5)]).await;
    assert_eq!(kept(&store), ["501"]);

    let running = Running::start(&store);
    let swept = async {
        while kept(&store) != ["1"] {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), swept).await.expect("the rest is emptied");
    // Long behind the deletion nothing comes of it any more, and it is forgotten itself.
    let remembered = || {
        let connection =
            ery_group_commit::open_read_only(&shard_file(store.folder.path()), None).unwrap();
        select(&connection, "SELECT count(*) FROM deleted_channels WHERE is_emptied = 1", [])
    };
    let until = async |expected| {
        while remembered() != [expected] {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, until("1")).await.expect("it is known to be empty");
    store.clock.advance(Duration::from_hours(24 * 91));
    tokio::time::timeout(patience, until("0")).await.expect("it is forgotten");
    running.stop().await;
    assert_eq!(search(&store, "soup"), [900]);
    assert!(ids(&mut store, list(0, 50, 0)).await.is_empty());
}

#[tokio::test]
async fn a_channel_where_people_go_on_talking_was_not_deleted() {
    let mut store = Store::new().await;
    store.ingest(vec![created("mc.1", message(1, "soup"))]).await;
    store.ingest(vec![channel_deleted("s.1", NOW)]).await;
    let later = Message { created_at_ms: NOW + 120_000, ..message(2, "back again") };
    store.ingest(vec![created("mc.2", later)]).await;
    store.ingest(vec![created("mc.3", message(3, "said before"))]).await;
    assert_eq!(ids(&mut store, list(0, 50, 0)).await, [2, 3]);
}

#[tokio::test]
async fn words_are_found_in_the_newest_text_only() {
    let mut store = Store::new().await;
    store
        .ingest(vec![
            created("mc.1", message(1, "Zebras are striped")),
            created("mc.2", message(2, "a Café for zebras")),
            created("mc.3", message(3, "")),
        ])
        .await;
    assert_eq!(search(&store, "zebras"), [1, 2]);
    assert_eq!(search(&store, "cafe"), [2]);
    store.ingest(vec![edited("s.1", 1, "horses are not", NOW + 5)]).await;
    store.ingest(vec![edited("s.2", 3, "zebras after all", NOW + 5)]).await;
    assert_eq!(search(&store, "zebras"), [2, 3]);
    assert_eq!(search(&store, "horses"), [1]);
    store.ingest(vec![deleted("s.3", &[2], NOW + 6)]).await;
    assert_eq!(search(&store, "zebras"), [3]);
    let connection = ery_group_commit::open(&shard_file(store.folder.path()), None).unwrap();
    connection
        .execute("INSERT INTO messages_fts (messages_fts) VALUES ('integrity-check')", [])
        .unwrap();
}

#[tokio::test]
async fn people_and_guilds_are_noted_as_their_messages_pass() {
    let mut store = Store::new().await;
    let hour = 3_600_000;
    let at = |id, name: &str, created_at_ms| Message {
        author_name: name.to_owned(),
        created_at_ms,
        ..message(id, "x")
    };
    for (id, name, at_ms) in [
        (1, "mara", NOW),
        (2, "mara", NOW + 5),
        (3, "Mara", NOW + 10),
        (4, "old name", NOW - 5),
        (5, "Mara", NOW + 2 * hour),
    ] {
        store.ingest(vec![created(&format!("mc.{id}"), at(id, name, at_ms))]).await;
    }
    let rows = store.rows();
    let later = NOW + 2 * hour;
    assert!(
        rows.contains(&format!("users: {GUILD} | 500 | Mara | 0 | {NOW} | {later}")),
        "{rows:?}"
    );
    assert!(
        rows.contains(&format!("servers: {GUILD} | {NOW} | {later} |  | NULL | NULL |  | NULL")),
        "{rows:?}"
    );
}

#[tokio::test]
async fn old_event_ids_are_forgotten() {
    let mut store = Store::new().await;
    let old = (1..=1_200).map(|id| deleted(&format!("old.{id}"), &[], NOW));
    let old: Vec<IngestEvent> = old.collect();
    for events in old.chunks(600) {
        store.ingest(events.to_vec()).await;
    }
    store.clock.advance(Duration::from_hours(25));
    store.ingest(vec![deleted("young.1", &[], NOW)]).await;
    store.clock.advance(Duration::from_hours(2));

    let tasks = Tasks::new();
    tasks.spawn("store", store.service.clone().run(tasks.clone()));
    let handled = || -> Vec<String> {
        store.rows().into_iter().filter(|row| row.starts_with("handled_events")).collect()
    };
    let forgotten = async {
        while handled().len() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), forgotten).await.expect("they are forgotten");
    assert!(handled()[0].contains("young.1"));
    tasks.finish(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_batch_is_of_one_home() {
    let mut store = Store::new().await;
    let mut elsewhere = created("mc.2", Message { guild_id: 0, ..message(2, "b") });
    elsewhere.guild_id = 0;
    let request = IngestMessagesRequest {
        handler: "ingestion".to_owned(),
        events: vec![created("mc.1", message(1, "a")), elsewhere],
    };
    let refused = store.client.ingest_messages(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(ids(&mut store, list(0, 0, 0)).await.is_empty());
}

/// What may be heard of a message, in the order in which it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Created,
    Edited { is_whole: bool, version: u8 },
    Deleted,
}

impl Heard {
    fn event(self, message_id: u64, name: &str) -> IngestEvent {
        let version = |version: u8, text: &str| Message {
            created_at_ms: NOW,
            edited_at_ms: if version == 0 { 0 } else { NOW + i64::from(version) },
            author_name: format!("name {version}"),
            gate_reason: if version == 0 { "cooldown".to_owned() } else { String::new() },
            ..message(message_id, text)
        };
        match self {
            Self::Created => created(name, version(0, "created")),
            Self::Edited { is_whole, version: number } => {
                let text = format!("version{number}");
                let edit = Edit {
                    message_id,
                    edited_at_ms: NOW + i64::from(number),
                    message: is_whole.then(|| version(number, &text)),
                    content: text,
                };
                event(name, Change::Edited(edit))
            }
            Self::Deleted => deleted(name, &[message_id], NOW + 50),
        }
    }
}

fn history() -> impl Strategy<Value = Vec<Heard>> {
    (any::<bool>(), proptest::collection::vec(any::<bool>(), 0..4), any::<bool>()).prop_map(
        |(is_created, edits, is_deleted)| {
            let edits =
                (1_u8..).zip(edits).map(|(version, is_whole)| Heard::Edited { is_whole, version });
            let created = is_created.then_some(Heard::Created);
            let deleted = is_deleted.then_some(Heard::Deleted);
            created.into_iter().chain(edits).chain(deleted).collect()
        },
    )
}

/// A history, and the same with repeats in any order.
fn histories() -> impl Strategy<Value = (Vec<Heard>, Vec<Heard>)> {
    history().prop_flat_map(|history| {
        let repeated = history.clone();
        let repeats = proptest::sample::subsequence(repeated, 0..=history.len());
        (Just(history), repeats).prop_flat_map(|(history, repeats)| {
            let all: Vec<Heard> = history.iter().copied().chain(repeats).collect();
            (Just(history), Just(all).prop_shuffle())
        })
    })
}

#[test]
fn whatever_order_events_come_in_the_message_ends_the_same() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut store = runtime.block_on(Store::new());
    // The shard's file is made by its first write; a history may be empty.
    runtime.block_on(store.ingest(vec![deleted("first", &[1], NOW)]));
    let case = std::cell::Cell::new(1_u64);
    let store = std::cell::RefCell::new(&mut store);
    let outcome = TestRunner::default().run(&histories(), |(history, shuffled)| {
        let number = case.replace(case.get() + 1);
        let (plain, mixed) = (number * 2, number * 2 + 1);
        let events = [(plain, &history), (mixed, &shuffled)].into_iter().flat_map(|(id, order)| {
            // Each comes as an event of its own: not only the record of events guards.
            (0..)
                .zip(order)
                .map(move |(index, heard): (u32, &Heard)| heard.event(id, &format!("{id}.{index}")))
        });
        let mut store = store.borrow_mut();
        runtime.block_on(store.ingest(events.collect()));
        let file = shard_file(store.folder.path());
        let connection = ery_group_commit::open_read_only(&file, None).unwrap();
        let ends = [plain, mixed].map(|id| {
            let id = id.cast_signed();
            let mut end = select(&connection, "SELECT * FROM messages WHERE message_id = ?1", [id]);
            for row in &mut end {
                *row = row.replacen(&id.to_string(), "id", 1);
            }
            let found =
                "SELECT content FROM messages_fts WHERE rowid = ?1 AND messages_fts MATCH ?2";
            for word in ["created", "version1", "version2", "version3"] {
                end.extend(select(&connection, found, (id, word)));
            }
            end
        });
        prop_assert_eq!(&ends[0], &ends[1]);
        Ok::<(), TestCaseError>(())
    });
    outcome.unwrap();
}

#[tokio::test]
async fn a_trigger_seen_before_its_ingestion_is_the_same_message() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    store.running_thread(&holder, 1).await;
    let gated = Message { gate_reason: "answered".to_owned(), ..message(1, "hello") };
    store.ingest(vec![created("mc.1", gated.clone())]).await;
    let listed = store.client.list_messages(list(0, 0, 0)).await.unwrap().into_inner();
    assert_eq!(listed.messages, [gated]);
}
