//! A person is forgotten, gets a copy of what is theirs, and is left out of learning.

mod aging;
mod copies;
mod others;
mod traces;

use std::{
    fs,
    io::{Cursor, Read as _},
    path::Path,
    time::Duration,
};

use ery_clock::{Clock as _, UnixMillis};
use ery_event_bus::Left;
use ery_ids::ForgottenPerson;
use ery_lifecycle::{Ended, Tasks};
use ery_proto::{
    common::v1::Message,
    store::v1::{
        CountPersonRequest, Deletion, DeletionState, ExportPersonRequest, GetDeletionRequest,
        GetLearningOptOutRequest, GetThreadRequest, IngestMessagesRequest, LearningOptOut,
        ListDeadLettersRequest, ListDeletionsRequest, ListExecutionsRequest, ListMessagesRequest,
        ListScheduledActionsRequest, ListThreadsRequest, RequestDeletionRequest,
        SetLearningOptOutRequest, ThreadOutcome, ingest_event::Change,
        privacy_service_client::PrivacyServiceClient,
    },
};
use ery_rpc::Transport;
use tonic::Code;
use twilight_model::id::Id;

use self::traces::{
    CANARY, DM, MARA, OTHER, begin_as_mara, by_mara_or, canary, context_step, fill, new_thread,
    said_by, text_step,
};
use crate::support::{
    CHANNEL, GUILD, NOW, Store, begin, created, edited, fence, finish, person, select, shard_file,
};

/// The tables in which nothing is left of anybody here once somebody is forgotten.
const EMPTIED: [&str; 6] = [
    "mcp_credentials",
    "learning_data",
    "channel_summaries",
    "deletion_messages",
    "deletion_threads",
    "deletion_channels",
];

fn privacy(store: &Store) -> PrivacyServiceClient<Transport> {
    PrivacyServiceClient::new(ery_rpc::local(store.service.routes()))
}

/// The store at work, until it is stopped.
pub(crate) struct Running {
    tasks: Tasks,
}

impl Running {
    pub(crate) fn start(store: &Store) -> Self {
        let tasks = Tasks::new();
        tasks.spawn("store", store.service.clone().run(tasks.clone()));
        Self { tasks }
    }

    pub(crate) async fn stop(self) {
        assert_eq!(self.tasks.finish(Duration::from_secs(20)).await, Ended::Drained);
    }
}

pub(crate) async fn request(store: &Store, user_id: u64, guild_id: u64) -> Deletion {
    let request = RequestDeletionRequest { user_id, guild_id, ..Default::default() };
    let answer = privacy(store).request_deletion(request).await.unwrap().into_inner();
    answer.deletion.unwrap()
}

async fn get(store: &Store, id: &str) -> Deletion {
    let request = GetDeletionRequest { deletion_id: id.to_owned() };
    privacy(store).get_deletion(request).await.unwrap().into_inner().deletion.unwrap()
}

pub(crate) async fn until(store: &Store, id: &str, state: DeletionState) -> Deletion {
    let reached = async {
        loop {
            let deletion = get(store, id).await;
            if deletion.state() == state {
                return deletion;
            }
            // Nothing is confirmed before what was on its way has come.
            store.clock.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let reached = tokio::time::timeout(Duration::from_secs(30), reached).await;
    let stands = get(store, id).await;
    reached.unwrap_or_else(|_| panic!("it is not {state:?}: {stands:?}"))
}

/// Returns the files in which a word stands, whatever its case.
pub(crate) fn holding(folder: &Path, word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, word));
        } else if fs::read(&path)
            // A log goes when its file is closed.
            .unwrap_or_default()
            .windows(word.len())
            .any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
        {
            found.push(path.display().to_string());
        }
    }
    found
}

pub(crate) fn rows(store: &Store, statement: &str) -> Vec<String> {
    let connection =
        ery_group_commit::open_read_only(&shard_file(store.folder.path()), None).unwrap();
    select(&connection, statement, ())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_forgotten_in_every_table_and_every_page() {
    let mut store = Store::new().await;
    fill(&mut store).await;
    assert!(!holding(store.folder.path(), CANARY).is_empty(), "the search finds what is there");
    store.clock.advance(Duration::from_hours(1));
    let running = Running::start(&store);
    let counted = CountPersonRequest { user_id: MARA, guild_id: 0 };
    let counts = privacy(&store).count_person(counted).await.unwrap().into_inner().counts;
    for kind in ["messages", "names", "threads", "executions", "cases", "approvals"] {
        assert!(counts.iter().any(|it| it.kind == kind && it.rows > 0), "{kind}: {counts:?}");
    }

    let requested = request(&store, MARA, 0).await;
    assert_eq!((requested.user_id, requested.guild_id), (MARA, 0));
    let confirmed = until(&store, &requested.deletion_id, DeletionState::Confirmed).await;
    assert_eq!(confirmed.user_id, 0, "the person's id is forgotten, too");
    assert_eq!(holding(store.folder.path(), CANARY), Vec::<String>::new());
    let told = store.bus.told.lock().unwrap().clone();
    assert!(told.contains(&ForgottenPerson { user: Id::new(MARA), guild: None }));

    // What is others' stays.
    let left = rows(&store, "SELECT message_id, content FROM messages WHERE content <> ''");
    assert_eq!(
        left,
        [
            "4 | hello you",
            &format!("5 | what do you mean, <@{MARA}>?"),
            "6 | sum it up",
            "8 | what is the time?"
        ]
    );
    let steps = rows(&store, "SELECT count(*), count(nullif(payload, '')) FROM task_thread_steps");
    assert_eq!(steps, ["6 | 4"], "steps stay as rows, and one thread as it was");
    let kept = rows(&store, "SELECT payload FROM task_thread_steps WHERE payload LIKE '%late%'");
    assert_eq!(kept.len(), 1);
    let audit = rows(&store, "SELECT tool, state, decision FROM tool_executions ORDER BY 1");
    assert_eq!(audit.len(), 4, "{audit:?}");
    let cases = rows(
        &store,
        "SELECT tool, target_user_id, length(target_pseudonym), reason FROM moderation_logs",
    );
    assert_eq!(cases, ["ban_member | NULL | 26 | "]);
    let plans = rows(
        &store,
        "SELECT scheduled_action_id, state, arguments FROM scheduled_actions ORDER BY 1",
    );
    assert_eq!(
        plans,
        [&format!(r#"lifts | waiting | {{"member":"{MARA}"}}"#), "planned | cancelled | "]
    );
    let proposals = rows(&store, "SELECT decision, arguments, asker_id FROM approvals");
    assert_eq!(proposals, ["void |  | 0"]);
    let letters = rows(&store, "SELECT kind, reason, payload FROM dead_letters ORDER BY 1");
    assert_eq!(letters, ["event |  | NULL", "task |  | NULL"]);
    for empty in EMPTIED {
        assert_eq!(rows(&store, &format!("SELECT count(*) FROM {empty}")), ["0"], "{empty}");
    }
    // Only where it cannot be otherwise does the id stand: in others' words, and in the end of a ban.
    let named = rows(
        &store,
        &format!(
            "SELECT 'users' FROM users WHERE user_id = {MARA}
         UNION ALL SELECT 'threads' FROM task_threads WHERE principal_id = '{MARA}'
             OR askers LIKE '%{MARA}%'
         UNION ALL SELECT 'executions' FROM tool_executions
             WHERE principal_id = '{MARA}' OR approver_id = {MARA}
         UNION ALL SELECT 'state' FROM channel_epochs WHERE state LIKE '%{MARA}%'
         UNION ALL SELECT 'messages' FROM messages WHERE {MARA} IN (author_id, reply_to_author_id,
             buried_author_id) OR mentions LIKE '%{MARA}%'"
        ),
    );
    assert_eq!(named, Vec::<String>::new());

    // Every read path still answers.
    let threads = ListThreadsRequest::default();
    let threads = store.client.list_threads(threads).await.unwrap().into_inner().threads;
    for thread in &threads {
        let get = GetThreadRequest {
            thread_id: thread.thread_id.clone(),
            guild_id: thread.guild_id,
            channel_id: thread.channel_id,
        };
        let whole = store.client.get_thread(get).await.unwrap().into_inner();
        assert!(!format!("{whole:?}").contains(CANARY));
    }
    let executions = ListExecutionsRequest::default();
    assert_eq!(
        store.client.list_executions(executions).await.unwrap().into_inner().executions.len(),
        4
    );
    let letters = ListDeadLettersRequest::default();
    assert_eq!(
        store.client.list_dead_letters(letters).await.unwrap().into_inner().dead_letters.len(),
        2
    );
    let actions = ListScheduledActionsRequest::default();
    assert_eq!(
        store.client.list_scheduled_actions(actions).await.unwrap().into_inner().actions.len(),
        2
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_before_is_not_taken_in_again_and_what_is_said_after_is_ordinary() {
    let mut store = Store::new().await;
    store.clock.advance(Duration::from_hours(1));
    let running = Running::start(&store);
    let deletion = request(&store, MARA, GUILD).await;
    let moment = u64::try_from(NOW + 3_600_000 - 1_420_070_400_000).unwrap() << 22;
    let (before, after) = (moment - 5, moment + (2 << 22));
    let ingest = |events| IngestMessagesRequest { handler: "ingestion".to_owned(), events };
    let mut elsewhere = created("mc.b", by_mara_or(MARA, before + 1, "in another server"));
    elsewhere.guild_id = 8 << 22;
    elsewhere.change = Some(Change::Created(Message {
        guild_id: 8 << 22,
        ..by_mara_or(MARA, before + 1, "in another server")
    }));
    let events = vec![
        created("mc.1", by_mara_or(MARA, before, &canary("late"))),
        created("mc.2", by_mara_or(OTHER, before + 2, "not mine")),
        created("mc.3", by_mara_or(MARA, after, "a new day")),
        edited("mu.9", before - 1, &canary("whose?"), NOW),
    ];
    let mut forgotten = Vec::new();
    // Before it is carried out, after it, and a repeat of it.
    for confirmed in [false, true, true] {
        if confirmed {
            until(&store, &deletion.deletion_id, DeletionState::Confirmed).await;
        }
        let answer = store.client.ingest_messages(ingest(events.clone())).await.unwrap();
        forgotten.push(answer.into_inner().forgotten_message_ids);
    }
    assert_eq!(forgotten, [[before], [before], [before]]);
    store.client.ingest_messages(ingest(vec![elsewhere])).await.unwrap();
    let thread = new_thread();
    let holder = fence(5, "holder");
    store.open_channel(&holder).await;
    let begun = store.begin(begin_as_mara(&holder, thread, before - 9)).await.unwrap();
    assert!(begun.changes[0].is_deleted, "a thread on it is told that it is gone");
    let known: Vec<u64> = begun.context.iter().map(|message| message.message_id).collect();
    assert_eq!(known, [before + 2, after]);
    let list =
        |guild_id| ListMessagesRequest { guild_id, channel_id: CHANNEL, ..Default::default() };
    let there = store.client.list_messages(list(8 << 22)).await.unwrap().into_inner().messages;
    assert_eq!(there.len(), 1, "one server's deletion is no other's");
    running.stop().await;
    assert_eq!(holding(store.folder.path(), CANARY), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_goes_on_where_it_was_broken_off() {
    let mut store = Store::new().await;
    fill(&mut store).await;
    store.clock.advance(Duration::from_hours(1));
    let now = store.clock.now();
    let id = request(&store, MARA, 0).await.deletion_id;
    for pause in [0, 1, 3, 9] {
        // It stops wherever it is, and the next one begins there.
        store = store.reopen().await;
        store.clock.set(now);
        assert_ne!(get(&store, &id).await.state(), DeletionState::Confirmed);
        let running = Running::start(&store);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        running.stop().await;
    }
    store = store.reopen().await;
    store.clock.set(now);
    let running = Running::start(&store);
    until(&store, &id, DeletionState::Confirmed).await;
    running.stop().await;
    assert_eq!(holding(store.folder.path(), CANARY), Vec::<String>::new());
    let list = ListDeletionsRequest { user_id: MARA, limit: 0 };
    let listed = privacy(&store).list_deletions(list).await.unwrap().into_inner().deletions;
    assert_eq!(listed.iter().map(|it| &*it.deletion_id).collect::<Vec<_>>(), [id]);
    let others = ListDeletionsRequest { user_id: OTHER, limit: 0 };
    assert!(
        privacy(&store).list_deletions(others).await.unwrap().into_inner().deletions.is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_runs_keeps_its_journal_until_it_ends_and_what_is_queued_is_waited_for() {
    let mut store = Store::new().await;
    let holder = fence(5, "holder");
    store.open_channel(&holder).await;
    store.ingest(vec![created("mc.1", said_by(MARA, 1, &canary("read")))]).await;
    let thread = new_thread();
    let mut begun = begin(&holder, thread, &[said_by(OTHER, 2, "sum it up")]);
    begun.principal = Some(person(OTHER));
    store.begin(begun).await.unwrap();
    store.append(&holder, thread, vec![context_step(0, &[1])]).await.unwrap();
    store.clock.advance(Duration::from_hours(1));
    let gone_by = UnixMillis(NOW + 48 * 3_600_000);
    *store.bus.left.lock().unwrap() = Some(Left::Some { gone_by: Some(gone_by) });
    let running = Running::start(&store);
    let id = request(&store, MARA, 0).await.deletion_id;
    let waits = async {
        while get(&store, &id).await.waits_for.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waits).await.unwrap();
    let waiting = get(&store, &id).await;
    assert_eq!(waiting.state(), DeletionState::Requested);
    assert!(waiting.waits_for.contains("task thread"), "{waiting:?}");
    store.append(&holder, thread, vec![text_step(1, &canary("answers"))]).await.unwrap();
    let steps =
        rows(&store, "SELECT count(*) FROM task_thread_steps WHERE payload LIKE '%canary%'");
    assert_eq!(steps, ["1"], "it needs what it wrote to go on after a crash");
    store.finish(finish(&holder, thread, ThreadOutcome::Done, &[2])).await.unwrap();

    let erased = until(&store, &id, DeletionState::Erased).await;
    assert_eq!(holding(store.folder.path(), CANARY), Vec::<String>::new());
    let ages = async {
        while get(&store, &id).await.confirmed_by_ms == 0 {
            store.clock.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ages).await.unwrap();
    let ages = get(&store, &id).await;
    assert_eq!((erased.user_id, ages.confirmed_by_ms), (MARA, gone_by.0));
    assert!(ages.waits_for.contains("event bus"), "{ages:?}");
    *store.bus.left.lock().unwrap() = None;
    running.stop().await;
    // It is looked at again at once where a process begins.
    let running = Running::start(&store);
    until(&store, &id, DeletionState::Confirmed).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_servers_deletion_leaves_the_others_alone() {
    let mut store = Store::new().await;
    store.ingest(vec![created("mc.1", said_by(MARA, 1, &canary("here")))]).await;
    for (event, guild_id, channel_id) in [("mc.2", 8 << 22, CHANNEL), ("mc.3", 0, DM)] {
        let mut there = created(event, said_by(MARA, 2 + guild_id, "there"));
        (there.guild_id, there.channel_id) = (guild_id, channel_id);
        there.change = Some(Change::Created(Message {
            guild_id,
            channel_id,
            author_name: "mara".to_owned(),
            ..said_by(MARA, 2 + guild_id, "there")
        }));
        store.ingest(vec![there]).await;
    }
    store.clock.advance(Duration::from_hours(1));
    let running = Running::start(&store);
    let id = request(&store, MARA, GUILD).await.deletion_id;
    until(&store, &id, DeletionState::Confirmed).await;
    running.stop().await;
    assert_eq!(holding(store.folder.path(), CANARY), Vec::<String>::new());
    let count = |guild_id| CountPersonRequest { user_id: MARA, guild_id };
    let counts = |guild_id| {
        let mut client = privacy(&store);
        async move {
            let counts = client.count_person(count(guild_id)).await.unwrap().into_inner().counts;
            counts.into_iter().find(|count| count.kind == "messages").unwrap().rows
        }
    };
    assert_eq!((counts(GUILD).await, counts(8 << 22).await, counts(0).await), (0, 1, 2));
}

#[tokio::test]
async fn a_request_is_known_again_and_a_bad_one_is_named() {
    let store = Store::new().await;
    let mut client = privacy(&store);
    let wanted = RequestDeletionRequest {
        deletion_id: "by-mara-1".to_owned(),
        user_id: MARA,
        guild_id: GUILD,
        before_id: 99,
    };
    let first = client.request_deletion(wanted.clone()).await.unwrap().into_inner();
    let repeat = client.request_deletion(wanted.clone()).await.unwrap().into_inner();
    assert_eq!(first, repeat);
    for (wrong, named) in [
        (RequestDeletionRequest { user_id: OTHER, ..wanted.clone() }, "deletion_id"),
        (RequestDeletionRequest { guild_id: 0, ..wanted.clone() }, "deletion_id"),
        (RequestDeletionRequest { user_id: 0, ..wanted.clone() }, "user_id"),
        (RequestDeletionRequest { deletion_id: "a b".to_owned(), ..wanted.clone() }, "deletion_id"),
        (RequestDeletionRequest { deletion_id: "x".repeat(65), ..wanted.clone() }, "deletion_id"),
        (RequestDeletionRequest { before_id: u64::MAX, ..wanted }, "before_id"),
    ] {
        let refused = client.request_deletion(wrong).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().contains(named), "{refused}");
    }
    let unknown = GetDeletionRequest { deletion_id: "none".to_owned() };
    let refused = client.get_deletion(unknown).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert!(refused.message().contains("ery ctl privacy list"), "{refused}");
}

async fn opt_out(store: &Store, guild_id: u64, is_opted_out: Option<bool>) -> LearningOptOut {
    let (mut client, user_id) = (privacy(store), MARA);
    let answer = if let Some(is_opted_out) = is_opted_out {
        let request = SetLearningOptOutRequest { user_id, guild_id, is_opted_out };
        client.set_learning_opt_out(request).await.unwrap().into_inner().opt_out
    } else {
        let request = GetLearningOptOutRequest { user_id, guild_id };
        client.get_learning_opt_out(request).await.unwrap().into_inner().opt_out
    };
    answer.unwrap()
}

#[tokio::test]
async fn an_opt_out_holds_in_a_server_or_everywhere_and_outlives_a_deletion() {
    let mut store = Store::new().await;
    assert_eq!(opt_out(&store, GUILD, None).await, LearningOptOut::default());
    let here = opt_out(&store, GUILD, Some(true)).await;
    assert!(here.is_opted_out && here.is_opted_out_here && !here.is_opted_out_everywhere);
    assert!(!opt_out(&store, 8 << 22, None).await.is_opted_out);
    opt_out(&store, 0, Some(true)).await;
    assert!(opt_out(&store, 8 << 22, None).await.is_opted_out, "everywhere overrides");
    let back = opt_out(&store, GUILD, Some(false)).await;
    assert!(back.is_opted_out && !back.is_opted_out_here, "everywhere overrides");
    request(&store, MARA, 0).await;
    store = store.reopen().await;
    assert!(opt_out(&store, GUILD, None).await.is_opted_out);
    assert!(!opt_out(&store, 0, Some(false)).await.is_opted_out);
    assert_eq!(holding(store.folder.path(), &MARA.to_string()), Vec::<String>::new());
    let others = GetLearningOptOutRequest { user_id: OTHER, guild_id: GUILD };
    let others = privacy(&store).get_learning_opt_out(others).await.unwrap().into_inner();
    assert_eq!(others.opt_out, Some(LearningOptOut::default()));
}

pub(crate) async fn export(store: &Store, user_id: u64) -> Vec<(String, String)> {
    let request = ExportPersonRequest { user_id, guild_id: 0 };
    let mut parts = privacy(store).export_person(request).await.unwrap().into_inner();
    let (mut bytes, mut is_whole) = (Vec::new(), false);
    while let Some(part) = parts.message().await.unwrap() {
        bytes.extend_from_slice(&part.part);
        is_whole |= part.is_last;
    }
    assert!(is_whole);
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index).unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            (file.name().unwrap().into_owned(), text)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_gets_a_copy_of_what_is_theirs_and_of_nothing_that_others_wrote() {
    let mut store = Store::new().await;
    fill(&mut store).await;
    let files = export(&store, MARA).await;
    let file = |name: &str| &*files.iter().find(|(file, _)| file == name).unwrap().1;
    let lines = |name: &str| -> Vec<serde_json::Value> {
        let lines = file(name).lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    };
    let contents: Vec<_> = lines("messages.jsonl")
        .iter()
        .map(|it| it["content"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(contents, [canary("first"), canary("after"), canary("asks"), canary("directly")]);
    assert_eq!(lines("messages.jsonl")[0]["channel_id"], CHANNEL.to_string());
    for (name, count) in [
        ("names.jsonl", 2),
        ("threads.jsonl", 1),
        ("executions.jsonl", 3),
        ("cases.jsonl", 1),
        ("approvals.jsonl", 1),
        ("scheduled_actions.jsonl", 2),
        ("learning_data.jsonl", 0),
        ("direct_channels.jsonl", 1),
        ("mcp_credentials.jsonl", 1),
        ("provider_keys.jsonl", 0),
        ("dead_letters.jsonl", 2),
        ("usage.jsonl", 0),
    ] {
        assert_eq!(lines(name).len(), count, "{name}: {}", file(name));
    }
    let manifest: serde_json::Value = serde_json::from_str(file("manifest.json")).unwrap();
    assert_eq!(manifest["user_id"], MARA.to_string());
    assert_eq!(manifest["files"][0]["rows"], 4);
    assert!(file("preferences.json").contains("is_opted_out_of_learning"));
    let everything: String = files.iter().map(|(_, text)| text.as_str()).collect();
    for others in ["hello you", "what do you mean", "quoted", "you told me", "for spam", "olive"] {
        assert!(!everything.contains(others), "{others}");
    }
    assert!(!everything.contains(&OTHER.to_string()) && !everything.contains("token_hash"));

    // And nobody else's copy holds a word of it, before the deletion and after.
    let theirs: String = export(&store, OTHER).await.into_iter().map(|(_, text)| text).collect();
    assert!(theirs.contains("hello you") && !theirs.contains(CANARY), "{theirs}");
    store.clock.advance(Duration::from_hours(1));
    let running = Running::start(&store);
    let id = request(&store, MARA, 0).await.deletion_id;
    until(&store, &id, DeletionState::Confirmed).await;
    running.stop().await;
    let after: String = export(&store, MARA).await.into_iter().map(|(_, text)| text).collect();
    assert!(!after.contains(CANARY) && !after.contains("\"content\""), "{after}");
}

/// How many messages and threads the person has had, where it matters that there are many.
const MANY: i64 = 8_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_of_many_words_is_forgotten_in_pieces_that_keep_nobody_waiting() {
    let mut store = Store::new().await;
    store.ingest(vec![created("mc.1", said_by(OTHER, 1, "hello you"))]).await;
    let file = shard_file(store.folder.path());
    let connection = ery_group_commit::open(&file, None).unwrap();
    let numbers = "WITH RECURSIVE n (n) AS (SELECT 10 UNION ALL SELECT n + 1 FROM n LIMIT ?1)";
    let thread = "unhex(printf('%032x', n))";
    for (into, rows) in [
        (
            "messages (message_id, guild_id, channel_id, author_id, content, created_at_ms,
                 whole_at_ms, is_ingested)",
            "n, ?2, 5, ?3, 'canary-2718 ' || n, ?4, 0, 1".to_owned(),
        ),
        (
            "task_threads (thread_id, guild_id, channel_id, epoch, started_at_ms, finished_at_ms,
                 outcome)",
            format!("{thread}, ?2, 5, ?3 > 0, ?4, ?4, 'done'"),
        ),
        (
            "task_thread_steps (thread_id, step, kind, payload, at_ms)",
            format!(
                "{thread}, ?2 - ?2, 'context_loaded',
                     json_object('v', ?3 > 0, 'messages', json_array(CAST(n AS TEXT))), ?4"
            ),
        ),
        (
            "task_thread_steps (thread_id, step, kind, payload, at_ms)",
            format!("{thread}, ?2 - ?2 + 1, 'model_answered', 'canary-2718 ' || (?3 > 0), ?4"),
        ),
    ] {
        let statement = format!("INSERT INTO {into} {numbers} SELECT {rows} FROM n");
        let parameters = (MANY, GUILD.cast_signed(), MARA.cast_signed(), NOW);
        connection.execute(&statement, parameters).unwrap();
    }
    drop(connection);
    store.clock.advance(Duration::from_hours(1));
    let running = Running::start(&store);
    let id = request(&store, MARA, 0).await.deletion_id;
    let mut written: u64 = 0;
    while get(&store, &id).await.state() != DeletionState::Confirmed {
        // Others write and read meanwhile.
        written += 1;
        let spoken = said_by(OTHER, 900_000 + written, "on it goes");
        store.ingest(vec![created(&format!("mc.{written}.new"), spoken)]).await;
        store.clock.advance(Duration::from_millis(100));
    }
    running.stop().await;
    assert!(written > 10, "{written}");
    assert_eq!(holding(store.folder.path(), CANARY), Vec::<String>::new());
    let left = rows(&store, "SELECT count(*) FROM messages WHERE content = 'on it goes'");
    assert_eq!(left, [written.to_string()]);
    let steps = rows(&store, "SELECT count(*), count(nullif(payload, '')) FROM task_thread_steps");
    assert_eq!(steps, [format!("{} | {MANY}", 2 * MANY)]);
}
