use std::{
    env,
    ffi::OsStr,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use ery_clock::SystemClock;
use ery_ids::TaskThreadId;
use ery_proto::store::v1::{
    ExecutionState, GetThreadRequest, ListMessagesRequest, OpenChannelRequest, ThreadOutcome,
};
use ery_store::{Ports, Service, Settings};

use crate::queue::FakeQueue;
use crate::support::{
    CHANNEL, GUILD, Store, begin, begin_execution, client, created, end_execution, execution,
    fence, finish, message, step,
};

/// Names the folder to the process that is to be killed.
const FOLDER: &str = "ERY_STORE_KILLED_FOLDER";

/// How many channels are written to at once, so that writes share transactions.
const CHANNELS: u64 = 8;

/// How many answers are awaited before each kill.
const ANSWERS_BEFORE_KILL: [usize; 4] = [1, 40, 170, 400];

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    if let Some(folder) = env::var_os(FOLDER) {
        write_until_killed(Path::new(&folder)).await;
    }
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let mut answered = Vec::new();
    for (round, count) in (0_u64..).zip(ANSWERS_BEFORE_KILL) {
        answered.extend(kill_after(folder.path(), round, count));
        let mut store = Store::open_in(Arc::clone(&folder), Settings::default()).await.unwrap();
        let rows = store.rows();
        for answer in &answered {
            check(&mut store, &rows, answer).await;
        }
    }
    assert!(answered.len() >= ANSWERS_BEFORE_KILL.iter().sum());
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
fn kill_after(folder: &Path, round: u64, count: usize) -> Vec<Answer> {
    let name = concat!(module_path!(), "::what_was_answered_survives_a_kill");
    let name = name.split_once("::").unwrap().1;
    let mut child = Command::new(env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env("ERY_STORE_KILLED_ROUND", round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut answers = Vec::new();
    while answers.len() < count {
        let line = lines.next().expect("it writes until it is killed").unwrap();
        answers.extend(Answer::parse(&line));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had said before it died. The last line may be cut.
    answers.extend(lines.map_while(Result::ok).filter_map(|line| Answer::parse(&line)));
    answers
}

async fn check(store: &mut Store, rows: &[String], answer: &Answer) {
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
            let request =
                OpenChannelRequest { fence: Some(old.clone()), waiting_trigger_ids: Vec::new() };
            let opened = store.client.open_channel(request).await.unwrap().into_inner();
            assert!(opened.refused_by_epoch > 1, "{answer:?}");
            let start = format!("finished_triggers: {GUILD} | {channel} | m.{message} | ");
            assert!(rows.iter().any(|row| row.starts_with(&start)), "{answer:?}");
        }
    }
}

/// Writes in several channels at once, and tells every answer, until it is killed.
async fn write_until_killed(folder: &Path) -> ! {
    let round = env::var_os("ERY_STORE_KILLED_ROUND").unwrap();
    let round: u64 = OsStr::to_str(&round).unwrap().parse().unwrap();
    let ports = Ports {
        data_dir: folder.to_owned(),
        key: None,
        clock: Arc::new(SystemClock),
        queue: Arc::<FakeQueue>::default(),
    };
    let service = Service::open(Settings::default(), ports).await.unwrap();
    let channels = (0..CHANNELS).map(|index| write_in(&service, round, CHANNEL + index));
    futures::future::join_all(channels).await;
    unreachable!("every channel is written to for ever");
}

async fn write_in(service: &Service, round: u64, channel: u64) {
    let mut store = client(service);
    let mut holder = fence(round + 2, &format!("holder of round {round}"));
    holder.channel_id = channel;
    let open = OpenChannelRequest { fence: Some(holder.clone()), waiting_trigger_ids: Vec::new() };
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
