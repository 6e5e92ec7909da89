//! Kills in the midst of a restore.

use std::collections::BTreeSet;

use ery_proto::store::v1::{IngestMessagesRequest, RestoreBackupRequest};
use tonic::Code;

use super::*;

/// How often a restore is killed.
const KILLS: u64 = 12;

/// Messages that are in the backup which is brought back.
const SAVED: std::ops::Range<u64> = 1..100;

fn restore(id: &str) -> RestoreBackupRequest {
    RestoreBackupRequest {
        id: id.to_owned(),
        guild_id: GUILD,
        accepts_unsealed: false,
        store: String::new(),
    }
}

fn said(id: u64) -> IngestMessagesRequest {
    let events = vec![created(&format!("mc.{id}"), message(id, "hello"))];
    IngestMessagesRequest { handler: "ingestion".to_owned(), events }
}

/// Writes and brings the oldest backup back, again and again, until it is killed.
async fn say_and_restore(folder: &Path) -> ! {
    let round = number_in(ROUND).unwrap();
    let ports = Ports {
        data_dir: folder.to_owned(),
        key: key(),
        clock: Arc::new(SystemClock),
        queue: Arc::<FakeQueue>::default(),
        bus: Arc::<FakeBus>::default(),
        stores: None,
    };
    let service = Service::open(backed_up(folder), ports).await.unwrap();
    let saying = async {
        let mut store = client(&service);
        for number in 1_u64.. {
            let id = ((round + 1) << 24) + number;
            while let Err(status) = store.ingest_messages(said(id)).await {
                assert_eq!(status.code(), Code::Unavailable, "{status}");
            }
            tell(&format!("said {id}"));
        }
    };
    let restoring = async {
        let mut admin = StoreAdminServiceClient::new(ery_rpc::local(service.routes()));
        let sets = admin.list_backups(ListBackupsRequest {}).await.unwrap().into_inner().backups;
        let oldest = &sets.last().unwrap().id;
        loop {
            tell("restores");
            admin.restore_backup(restore(oldest)).await.unwrap();
        }
    };
    tokio::join!(saying, restoring);
    unreachable!("it goes on for ever");
}

fn messages(folder: &Path) -> BTreeSet<u64> {
    let rows = rows_under(&shard_file(folder), key().as_ref());
    let ids = rows.iter().filter_map(|row| row.strip_prefix("messages: ")?.split(' ').next());
    ids.map(|id| id.parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_in_the_shard_or_in_a_backup_whenever_a_restore_is_killed() {
    if let Some(folder) = env::var_os(FOLDER) {
        say_and_restore(Path::new(&folder)).await;
    }
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let open = async || {
        Store::open_under(Arc::clone(&folder), backed_up(folder.path()), key()).await.unwrap()
    };
    let mut store = open().await;
    for id in SAVED {
        store.client.ingest_messages(said(id)).await.unwrap();
    }
    let mut admin = StoreAdminServiceClient::new(ery_rpc::local(store.service.routes()));
    let create = CreateBackupRequest { guild_id: GUILD };
    let saved = admin.create_backup(create).await.unwrap().into_inner().backup.unwrap().id;
    drop(admin);
    drop(store.close().await);

    let mut random = Xorshift(0x1234_5678_9abc_def1);
    let mut answered = BTreeSet::new();
    for round in 0..KILLS {
        let name = "kill::restores::what_was_answered_is_in_the_shard_or_in_a_backup_whenever_a_restore_is_killed";
        let mut child = child(name, folder.path(), round);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        // The first one may end at once: it has nothing to keep.
        let mut begun = 0;
        while begun < 1 + round % 2 {
            let line = lines.next().expect("it writes until it is killed").unwrap();
            begun += u64::from(line.ends_with("restores"));
            said.push(line);
        }
        wait(Duration::from_micros(random.below(400_000) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        said.extend(lines.map_while(Result::ok));
        let ids = said.iter().filter_map(|line| line.split("said ").nth(1)?.parse().ok());
        answered.extend(ids.filter(|id: &u64| id >> 24 == round + 1));

        let store = open().await;
        let mut admin = StoreAdminServiceClient::new(ery_rpc::local(store.service.routes()));
        let check = CheckShardRequest { shard: 7 };
        let problems = admin.check_shard(check).await.unwrap().into_inner().problems;
        assert_eq!(problems, Vec::<String>::new(), "after kill {round}");
        let here = messages(folder.path());
        assert!(SAVED.into_iter().all(|id| here.contains(&id)), "after kill {round}");
        drop(admin);
        drop(store.close().await);
    }
    assert!(answered.len() as u64 > KILLS);

    let mut found = messages(folder.path());
    let store = open().await;
    let mut admin = StoreAdminServiceClient::new(ery_rpc::local(store.service.routes()));
    let sets = admin.list_backups(ListBackupsRequest {}).await.unwrap().into_inner().backups;
    for set in sets.into_iter().filter(|set| set.id != saved) {
        admin.restore_backup(restore(&set.id)).await.unwrap();
        found.extend(messages(folder.path()));
    }
    let lost: Vec<&u64> = answered.difference(&found).collect();
    assert!(lost.is_empty(), "{} of {}: {lost:?}", lost.len(), answered.len());
}
