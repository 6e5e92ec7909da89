mod restores;

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use ery_clock::SystemClock;
use ery_group_commit::{FileKey, Rekey};
use ery_ids::TaskThreadId;
use ery_proto::{
    common::v1::Message,
    store::v1::{
        CheckShardRequest, CreateBackupRequest, ExecutionState, GetThreadRequest,
        ListBackupsRequest, ListMessagesRequest, ListShardsRequest, OpenChannelRequest,
        ThreadOutcome, VacuumShardRequest, VerifyBackupRequest,
        store_admin_service_client::StoreAdminServiceClient,
    },
};
use ery_store::{Ports, Service, Settings};

use crate::queue::{FakeBus, FakeQueue};
use crate::support::{
    CHANNEL, GUILD, Store, begin, begin_execution, client, created, end_execution, event,
    execution, fence, finish, message, rows_under, shard_file, step,
};

/// Names the folder to the process that is to be killed.
const FOLDER: &str = "ERY_STORE_KILLED_FOLDER";

/// Tells that process how often it was killed before.
const ROUND: &str = "ERY_STORE_KILLED_ROUND";

/// How many channels are written to at once, so that writes share transactions.
const CHANNELS: u64 = 8;

/// Says how often the store is killed, where it is to be more often than each run of the suite can
/// afford: `ERY_TEST_STORE_KILLS=1000`.
pub(crate) const KILLS: &str = "ERY_TEST_STORE_KILLS";

const ORDINARY_KILLS: u64 = 24;

/// How many answers are awaited before a kill at most: what comes after is a matter of milliseconds.
const MOST_ANSWERS: usize = 60;

/// After how many kills all that was ever answered is looked for, not what is new alone.
const WHOLE_CHECK_EVERY: u64 = 100;

#[tokio::test]
async fn what_was_answered_survives_kills() {
    if let Some(folder) = env::var_os(FOLDER) {
        let settings = Settings::default();
        write_until_killed(Path::new(&folder), settings, async |_| {}).await;
    }
    let name = "kill::what_was_answered_survives_kills";
    kill_again_and_again(name, Duration::from_millis(30)).await;
}

/// As above, while the file is backed up, brought back and written anew.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_kills_in_the_midst_of_backups_and_vacuums() {
    if let Some(folder) = env::var_os(FOLDER) {
        let folder = Path::new(&folder);
        write_until_killed(folder, backed_up(folder), async |service| {
            let mut admin = StoreAdminServiceClient::new(ery_rpc::local(service.routes()));
            let file = async |admin: &mut StoreAdminServiceClient<_>| {
                let files = admin.list_shards(ListShardsRequest {}).await.unwrap().into_inner();
                !files.files.is_empty()
            };
            loop {
                if !file(&mut admin).await {
                    tokio::task::yield_now().await;
                    continue;
                }
                let create = CreateBackupRequest { guild_id: GUILD };
                admin.create_backup(create).await.unwrap();
                let shard = VacuumShardRequest { shard: 7 };
                admin.vacuum_shard(shard).await.unwrap();
            }
        })
        .await;
    }
    let name = "kill::what_was_answered_survives_kills_in_the_midst_of_backups_and_vacuums";
    // A backup and a vacuum take as long.
    let folder = kill_again_and_again(name, Duration::from_millis(400)).await;
    // Whatever the list names can be brought back, however its maker ended.
    let settings = backed_up(folder.path());
    let store = Store::open_under(Arc::clone(&folder), settings, key()).await.unwrap();
    let mut admin = StoreAdminServiceClient::new(ery_rpc::local(store.service.routes()));
    let sets = admin.list_backups(ListBackupsRequest {}).await.unwrap().into_inner().backups;
    assert!(!sets.is_empty());
    for set in sets {
        admin
            .verify_backup(VerifyBackupRequest { id: set.id, store: String::new() })
            .await
            .unwrap();
    }
}

fn backed_up(folder: &Path) -> Settings {
    let url = Some(format!("file://{}", folder.join("backups").display()));
    Settings { backup: ery_store::Backup { url, ..Default::default() }, ..Settings::default() }
}

/// Kills a test of this file that writes, and looks each time for everything that it was answered.
#[expect(clippy::print_stdout, reason = "how much stood is what a long run is for")]
async fn kill_again_and_again(name: &str, longest_pause: Duration) -> Arc<tempfile::TempDir> {
    let longest_pause = usize::try_from(longest_pause.as_micros()).expect("it is short");
    let kills = number_in(KILLS).unwrap_or(ORDINARY_KILLS);
    let mut random = Xorshift(0x2545_f491_4f6c_dd1d);
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let mut answered = Vec::new();
    for round in 0..kills {
        let seen = answered.len();
        let count = 1 + random.below(MOST_ANSWERS);
        let pause = Duration::from_micros(random.below(longest_pause) as u64);
        answered.extend(kill_after(name, folder.path(), round, count, pause));
        let mut store = Store::open_under(Arc::clone(&folder), Settings::default(), key())
            .await
            .expect("it opens");
        let is_whole = round % WHOLE_CHECK_EVERY == WHOLE_CHECK_EVERY - 1 || round + 1 == kills;
        let rows = if is_whole {
            rows_under(&shard_file(folder.path()), key().as_ref())
        } else {
            Vec::new()
        };
        for answer in &answered[if is_whole { 0 } else { seen }..] {
            check(&mut store, is_whole.then_some(&rows), answer).await;
        }
        let mut admin = StoreAdminServiceClient::new(ery_rpc::local(store.service.routes()));
        let listed = admin.list_shards(ListShardsRequest {}).await.unwrap().into_inner();
        for file in listed.files {
            let check = CheckShardRequest { shard: file.shard };
            let problems = admin.check_shard(check).await.unwrap().into_inner().problems;
            assert_eq!(problems, Vec::<String>::new(), "shard {} after kill {round}", file.shard);
        }
    }
    println!("{} answers stand after {kills} kills", answered.len());
    assert!(answered.len() as u64 > kills);
    folder
}

/// With a key, so that a page is sealed as a whole or not at all.
#[expect(clippy::unnecessary_wraps, reason = "it is given as the store takes it")]
fn key() -> Option<FileKey> {
    Some(FileKey([9; 32]))
}

pub(crate) fn number_in(variable: &str) -> Option<u64> {
    Some(env::var_os(variable)?.to_str()?.parse().expect("a number"))
}

/// Lets a moment pass at which the process is killed.
#[expect(clippy::disallowed_methods, reason = "the moment is random, there is nothing to wait for")]
pub(crate) fn wait(pause: Duration) {
    std::thread::sleep(pause);
}

/// Seeded, so that a run can be repeated as far as the machine lets it.
pub(crate) struct Xorshift(pub(crate) u64);

impl Xorshift {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("it is below a usize")
    }
}

/// Kills a change of the key at random moments, until one gets through.
#[tokio::test]
async fn a_change_of_the_key_survives_kills() {
    const STEPS: u64 = 8;

    let keys =
        |round: u64| (FileKey([1 + (round % 2) as u8; 32]), FileKey([2 - (round % 2) as u8; 32]));
    if let Some(folder) = env::var_os(FOLDER) {
        let (from, to) = keys(number_in(ROUND).unwrap());
        tell("begins");
        let keys = Rekey { from: vec![Some(from), None], to: Some(to) };
        ery_store::rekey(Path::new(&folder), &keys).unwrap();
        tell("has ended");
        return;
    }
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let mut store = Store::open_in(Arc::clone(&folder), Settings::default()).await.unwrap();
    for number in 1..300 {
        store.ingest(vec![created(&format!("mc.{number}"), message(number, "x"))]).await;
        let guild_id = (number % 4 + 1) << 22;
        let spoken = Message { guild_id, ..message(1_000 + number, "y") };
        let mut event =
            event(&format!("mc.{}", 1_000 + number), created("", spoken).change.unwrap());
        event.guild_id = guild_id;
        store.ingest(vec![event]).await;
    }
    drop(store.close().await);
    let mut random = Xorshift(0x9e37_79b9_7f4a_7c15);
    let mut broken_off = 0;
    for round in 0..STEPS {
        let name = "kill::a_change_of_the_key_survives_kills";
        let mut child = child(name, folder.path(), round);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines.by_ref().find(|line| line.as_ref().unwrap().ends_with("begins")).unwrap().unwrap();
        wait(Duration::from_micros(random.below(40_000) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        let has_ended = lines.map_while(Result::ok).any(|line| line.ends_with("has ended"));
        let (from, to) = keys(round);
        if !has_ended {
            broken_off += 1;
            let refused =
                Store::open_under(Arc::clone(&folder), Settings::default(), Some(to.clone())).await;
            match refused {
                // Killed ahead of its first step, the files are under the former key, or under none.
                Err(refused) => {
                    let why = refused.to_string();
                    assert!(["key", "encrypted"].iter().any(|it| why.contains(it)), "{why}");
                }
                // Killed behind its last step, it is done.
                Ok(store) => drop(store.close().await),
            }
            ery_store::rekey(
                folder.path(),
                &Rekey { from: vec![Some(from), None], to: Some(to.clone()) },
            )
            .unwrap();
        }
        let store =
            Store::open_under(Arc::clone(&folder), Settings::default(), Some(to)).await.unwrap();
        let mut messages = 0;
        for guild in [GUILD, 1 << 22, 2 << 22, 3 << 22, 4 << 22] {
            let request = ListMessagesRequest {
                guild_id: guild,
                channel_id: CHANNEL,
                ..ListMessagesRequest::default()
            };
            let listed = store.client.clone().list_messages(request).await.unwrap().into_inner();
            messages += listed.messages.len();
        }
        assert_eq!(messages, 200 + 74 + 75 + 75 + 75, "round {round}");
        drop(store.close().await);
    }
    assert!(broken_off > 0, "{broken_off} of {STEPS} were broken off");
}

/// Something that the killed process was answered.
#[derive(Debug)]
enum Answer {
    Ingested { channel: u64, message: u64 },
    Appended { thread: String, step: u32 },
    Executed { thread: String, key: String },
    Finished { channel: u64, thread: String, message: u64 },
}

impl Answer {
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        Some(match words.as_slice() {
            ["answered:", "ingested", channel, message] => {
                Self::Ingested { channel: channel.parse().ok()?, message: message.parse().ok()? }
            }
            ["answered:", "appended", thread, step] => {
                Self::Appended { thread: (*thread).to_owned(), step: step.parse().ok()? }
            }
            ["answered:", "executed", thread, key] => {
                Self::Executed { thread: (*thread).to_owned(), key: (*key).to_owned() }
            }
            ["answered:", "finished", channel, thread, message] => Self::Finished {
                channel: channel.parse().ok()?,
                thread: (*thread).to_owned(),
                message: message.parse().ok()?,
            },
            _ => return None,
        })
    }
}

/// Runs this test in a process of its own, kills it after some answers, and returns all that it
/// was answered.
fn kill_after(name: &str, folder: &Path, round: u64, count: usize, pause: Duration) -> Vec<Answer> {
    let mut child = child(name, folder, round);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut answers = Vec::new();
    while answers.len() < count {
        let line = lines.next().expect("it writes until it is killed").unwrap();
        answers.extend(Answer::parse(&line));
    }
    wait(pause);
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had said before it died. The last line may be cut.
    answers.extend(lines.map_while(Result::ok).filter_map(|line| Answer::parse(&line)));
    answers
}

/// Runs a test of this file in a process of its own.
fn child(test: &str, folder: &Path, round: u64) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn check(store: &mut Store, rows: Option<&Vec<String>>, answer: &Answer) {
    let thread_of = |thread: &str| GetThreadRequest {
        thread_id: thread.to_owned(),
        guild_id: GUILD,
        channel_id: 0,
    };
    match answer {
        Answer::Ingested { channel, message } => {
            let request = ListMessagesRequest {
                guild_id: GUILD,
                channel_id: *channel,
                before: message + 1,
                limit: 1,
                since_ms: 0,
            };
            let listed = store.client.list_messages(request).await.unwrap().into_inner();
            assert_eq!(listed.messages[0].message_id, *message, "{answer:?}");
        }
        Answer::Appended { thread, step } => {
            let found = store.client.get_thread(thread_of(thread)).await.unwrap().into_inner();
            let steps = found.thread.unwrap().steps;
            assert!(steps.iter().any(|it| it.index == *step), "{answer:?}");
        }
        Answer::Executed { thread, key } => {
            let found = store.client.get_thread(thread_of(thread)).await.unwrap().into_inner();
            let executions = found.thread.unwrap().executions;
            let state = executions.iter().find(|it| it.key == *key).map(|it| it.state);
            assert_eq!(state, Some(ExecutionState::Done.into()), "{answer:?}");
        }
        Answer::Finished { channel, thread, message } => {
            let found = store.client.get_thread(thread_of(thread)).await.unwrap().into_inner();
            let outcome = found.thread.unwrap().outcome;
            assert_eq!(outcome, i32::from(ThreadOutcome::Done), "{answer:?}");
            // Under the lowest epoch, which changes nothing: the highest must still be known.
            let mut old = fence(1, "checker");
            old.channel_id = *channel;
            let request = OpenChannelRequest {
                fence: Some(old.clone()),
                waiting_trigger_ids: Vec::new(),
                ..OpenChannelRequest::default()
            };
            let opened = store.client.open_channel(request).await.unwrap().into_inner();
            assert!(opened.refused_by_epoch > 1, "{answer:?}");
            let start = format!("finished_triggers: {GUILD} | {channel} | m.{message} | ");
            if let Some(rows) = rows {
                // Sorted, as the table is read in the order of its key.
                assert!(rows.iter().any(|row| row.starts_with(&start)), "{answer:?}");
            }
        }
    }
}

/// Writes in several channels at once, beside something else, and tells every answer, until it is killed.
async fn write_until_killed(
    folder: &Path,
    settings: Settings,
    beside: impl AsyncFnOnce(&Service),
) -> ! {
    let round = number_in(ROUND).unwrap();
    let ports = Ports {
        data_dir: folder.to_owned(),
        key: key(),
        clock: Arc::new(SystemClock),
        queue: Arc::<FakeQueue>::default(),
        bus: Arc::<FakeBus>::default(),
        stores: None,
    };
    let service = Service::open(settings, ports).await.unwrap();
    let channels = (0..CHANNELS).map(|index| write_in(&service, round, CHANNEL + index));
    tokio::join!(futures::future::join_all(channels), beside(&service));
    unreachable!("every channel is written to for ever");
}

async fn write_in(service: &Service, round: u64, channel: u64) {
    let mut store = client(service);
    let mut holder = fence(round + 2, &format!("holder of round {round}"));
    holder.channel_id = channel;
    let open = OpenChannelRequest {
        fence: Some(holder.clone()),
        waiting_trigger_ids: Vec::new(),
        ..OpenChannelRequest::default()
    };
    let opened = store.open_channel(open).await.unwrap().into_inner();
    if let Some(unfinished) = opened.unfinished {
        let thread: TaskThreadId = unfinished.thread_id.parse().unwrap();
        store.finish_thread(finish(&holder, thread, ThreadOutcome::Cancelled, &[])).await.unwrap();
    }
    for number in 1_u64.. {
        let id = (((round << 24) + number) << 8) + (channel - CHANNEL);
        let mut spoken = message(id, "hello");
        spoken.channel_id = channel;
        let thread = TaskThreadId::random();

        let mut event = created(&format!("mc.{id}"), spoken.clone());
        event.channel_id = channel;
        let ingest = ery_proto::store::v1::IngestMessagesRequest {
            handler: "ingestion".to_owned(),
            events: vec![event],
        };
        store.ingest_messages(ingest).await.unwrap();
        tell(&format!("ingested {channel} {id}"));

        store.begin_thread(begin(&holder, thread, &[spoken])).await.unwrap();
        let append = ery_proto::store::v1::AppendStepsRequest {
            fence: Some(holder.clone()),
            thread_id: thread.to_string(),
            steps: vec![step(0), step(1)],
        };
        store.append_steps(append).await.unwrap();
        tell(&format!("appended {thread} 1"));

        let mut send = execution(thread, 0);
        send.channel_id = channel;
        store.begin_execution(begin_execution(&holder, &send)).await.unwrap();
        store.end_execution(end_execution(&holder, &send, ExecutionState::Done)).await.unwrap();
        tell(&format!("executed {thread} {}", send.key));

        store.finish_thread(finish(&holder, thread, ThreadOutcome::Done, &[id])).await.unwrap();
        tell(&format!("finished {channel} {thread} {id}"));
    }
}

fn tell(answer: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "answered: {answer}").unwrap();
    out.flush().unwrap();
}
