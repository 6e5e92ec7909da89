use std::{
    env, fs,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    process::Command,
    sync::Arc,
    time::Duration,
};

use ery_group_commit::FileKey;
use ery_proto::{
    common::v1::Message,
    store::v1::{
        CheckShardRequest, IngestMessagesRequest, ListMessagesRequest, ListShardsRequest,
        ShardCondition, ShardFile, VacuumShardRequest,
        store_admin_service_client::StoreAdminServiceClient,
    },
};
use ery_rpc::Transport;
use ery_store::Settings;
use tempfile::TempDir;
use tonic::{Code, Status};

use crate::support::{CHANNEL, GUILD, Store, created, event, message, shard_file};

/// Names the full disk's folder to the process that runs on it.
const DISK: &str = "ERY_STORE_SMALL_DISK";

fn admin(store: &Store) -> StoreAdminServiceClient<Transport> {
    StoreAdminServiceClient::new(ery_rpc::local(store.service.routes()))
}

async fn shard(store: &Store, number: u32) -> ShardFile {
    let listed = admin(store).list_shards(ListShardsRequest {}).await.unwrap().into_inner();
    listed.files.into_iter().find(|file| file.shard == number).expect("it has a file")
}

async fn ingest(store: &Store, guild: u64, number: u64, content: &str) -> Result<(), Status> {
    let spoken = Message { guild_id: guild, ..message(number, content) };
    let mut event = event(&format!("mc.{guild}.{number}"), created("", spoken).change.unwrap());
    event.guild_id = guild;
    let request = IngestMessagesRequest { handler: "ingestion".to_owned(), events: vec![event] };
    store.client.clone().ingest_messages(request).await.map(drop)
}

async fn listed(store: &Store, guild_id: u64) -> Result<Vec<u64>, Status> {
    let request =
        ListMessagesRequest { guild_id, channel_id: CHANNEL, ..ListMessagesRequest::default() };
    let answer = store.client.clone().list_messages(request).await?.into_inner();
    Ok(answer.messages.iter().map(|message| message.message_id).collect())
}

#[tokio::test]
async fn a_full_disk_makes_an_open_shard_read_only_until_there_is_room() {
    let Some(disk) = env::var_os(DISK) else {
        run_on_a_small_disk();
        return;
    };
    let folder = Arc::new(TempDir::new_in(&disk).unwrap());
    let settings = Settings { shards: 8, ..Settings::default() };
    let store = Store::open_in(folder, settings).await.unwrap();
    let other = 6 << 22;
    ingest(&store, other, 1, "elsewhere").await.unwrap();
    ingest(&store, GUILD, 1, "first").await.unwrap();
    let ballast = Path::new(&disk).join("ballast");
    fill(&ballast);

    let (mut written, mut refused) = (vec![1], None);
    for number in 2..10_000 {
        match ingest(&store, GUILD, number, &"x".repeat(3_000)).await {
            Ok(()) => written.push(number),
            Err(status) => {
                refused = Some(status);
                break;
            }
        }
    }
    let refused = refused.expect("the disk gets full");
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    // Tens of calls while it is full, some of which are let through to see whether there is room.
    for number in 20_000..20_050 {
        let refused = ingest(&store, GUILD, number, &"x".repeat(3_000)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{refused}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let stands = shard(&store, 7).await;
    assert_eq!(stands.condition(), ShardCondition::ReadOnly);
    assert!(stands.reason.contains("full"), "{}", stands.reason);
    let newest = listed(&store, GUILD).await.unwrap();
    let acknowledged = &written[written.len().saturating_sub(newest.len())..];
    assert_eq!(newest, acknowledged, "it is read as ever, and holds what was acknowledged");
    assert_eq!(listed(&store, other).await.unwrap(), [1]);

    fs::remove_file(ballast).unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while let Err(refused) = ingest(&store, GUILD, 30_000, "last").await {
        assert!(tokio::time::Instant::now() < deadline, "{refused}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(shard(&store, 7).await.condition(), ShardCondition::Sound);
    let checked = admin(&store).check_shard(CheckShardRequest { shard: 7 }).await.unwrap();
    assert_eq!(checked.into_inner().problems, Vec::<String>::new());
    println!("ran on a small disk");
}

/// Runs this test again where a file system of 3 MB can be mounted: as root, or in a user namespace.
fn run_on_a_small_disk() {
    let folder = tempfile::tempdir().unwrap();
    let name = "faults::a_full_disk_makes_an_open_shard_read_only_until_there_is_room";
    let script = "mount -t tmpfs -o size=3m tmpfs \"$1\" || exit 77
                  exec \"$2\" \"$3\" --exact --nocapture --test-threads=1";
    let ran = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .args([folder.path(), &env::current_exe().unwrap(), Path::new(name)])
        .env(DISK, folder.path())
        .output();
    match ran {
        Ok(output) if output.status.code() == Some(77) => {
            eprintln!("left out: no file system can be mounted here");
        }
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            assert!(text.contains("ran on a small disk") || text.contains("unshare:"), "{text}");
        }
        Err(error) => eprintln!("left out: there is no unshare ({error})"),
    }
}

/// Leaves some 300 kB of a disk.
fn fill(ballast: &Path) {
    let mut file = fs::File::create(ballast).unwrap();
    let block = vec![0; 4_096];
    let mut blocks: u64 = 0;
    while file.write_all(&block).is_ok() {
        blocks += 1;
    }
    file.set_len(blocks.saturating_sub(75) * 4_096).unwrap();
}

#[tokio::test]
async fn a_damaged_shard_is_quarantined_and_the_others_go_on() {
    for key in [None, Some(FileKey([7; 32]))] {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let open = || Store::open_under(Arc::clone(&folder), Settings::default(), key.clone());
        let store = open().await.unwrap();
        let other = 8 << 22;
        ingest(&store, other, 1, "elsewhere").await.unwrap();
        for number in 1..400 {
            ingest(&store, GUILD, number, &format!("{number} {}", "x".repeat(500))).await.unwrap();
        }
        let store = store.close().await;
        drop(store);
        let file = shard_file(folder.path());
        let sound = fs::read(&file).unwrap();
        damage(&file);

        let store = open().await.unwrap();
        let mut refusals = Vec::new();
        for before in 1..400 {
            let request = ListMessagesRequest {
                guild_id: GUILD,
                channel_id: CHANNEL,
                before: before + 1,
                limit: 1,
                since_ms: 0,
            };
            refusals.extend(store.client.clone().list_messages(request).await.err());
        }
        let last = refusals.last().expect("some page is damaged");
        assert_eq!(last.code(), Code::Unavailable, "{last}");
        assert!(last.message().contains("shard-0007 is damaged"), "{last}");
        let refused = ingest(&store, GUILD, 900, "late").await.unwrap_err();
        assert!(refused.message().contains("shard-0007 is damaged"), "{refused}");
        assert_eq!(shard(&store, 7).await.condition(), ShardCondition::Quarantined);
        assert_eq!(shard(&store, 8).await.condition(), ShardCondition::Sound);
        ingest(&store, other, 2, "on it goes").await.unwrap();
        assert_eq!(listed(&store, other).await.unwrap(), [1, 2]);
        let check = CheckShardRequest { shard: 7 };
        let problems = admin(&store).check_shard(check).await.unwrap().into_inner().problems;
        assert!(!problems.is_empty());

        // With the file as it was, a check finds it whole, and it is served again.
        drop(store.close().await);
        let store = open().await.unwrap();
        admin(&store).check_shard(check).await.unwrap();
        assert_eq!(shard(&store, 7).await.condition(), ShardCondition::Quarantined);
        fs::write(&file, &sound).unwrap();
        let problems = admin(&store).check_shard(check).await.unwrap().into_inner().problems;
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(listed(&store, GUILD).await.unwrap().last(), Some(&399));
    }
}

/// Overwrites some bytes in the middle of every tenth page.
fn damage(path: &Path) {
    let mut file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let pages = file.metadata().unwrap().len() / 4_096;
    for page in (10..pages).step_by(10) {
        let mut bytes = [0; 64];
        for offset in [8, 2_000, 4_000] {
            file.seek(SeekFrom::Start(page * 4_096 + offset)).unwrap();
            file.read_exact(&mut bytes).unwrap();
            for byte in &mut bytes {
                *byte = !*byte;
            }
            file.seek(SeekFrom::Start(page * 4_096 + offset)).unwrap();
            file.write_all(&bytes).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vacuum_gives_space_back_while_others_write() {
    for key in [None, Some(ery_group_commit::FileKey([0x5a; 32]))] {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let store = Store::open_under(folder, Settings::default(), key).await.unwrap();
        give_space_back(store).await;
    }
}

async fn give_space_back(mut store: Store) {
    for number in 1..300 {
        ingest(&store, GUILD, number, &"x".repeat(2_000)).await.unwrap();
    }
    let ids: Vec<u64> = (1..280).collect();
    store.ingest(vec![crate::support::deleted("md.1", &ids, crate::support::NOW)]).await;
    let mut vacuuming = admin(&store);
    let vacuum = vacuuming.vacuum_shard(VacuumShardRequest { shard: 7 });
    let write = async {
        for number in 500..600 {
            ingest(&store, GUILD, number, "meanwhile").await.unwrap();
            assert!(listed(&store, GUILD).await.unwrap().contains(&number));
        }
    };
    let (vacuumed, ()) = tokio::join!(vacuum, write);
    let sizes = vacuumed.unwrap().into_inner();
    assert!(sizes.bytes_after > 0 && sizes.bytes_before > sizes.bytes_after, "{sizes:?}");
    let left = listed(&store, GUILD).await.unwrap();
    assert_eq!(left, (280..300).chain(500..600).collect::<Vec<_>>());
    let nowhere = admin(&store).vacuum_shard(VacuumShardRequest { shard: 9 }).await.unwrap_err();
    assert_eq!(nowhere.code(), Code::NotFound);
}
