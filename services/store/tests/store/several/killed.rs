//! Either store, or both, are killed at random moments of moves.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use ery_clock::SystemClock;
use ery_ids::{Home, ReplicaId, ServiceName};
use ery_lifecycle::Tasks;
use ery_membership::{Claim, Membership, MembershipError, Registration, Replica};
use ery_proto::store::v1::{
    CheckShardRequest, ListShardsRequest, MoveShardRequest,
    store_service_client::StoreServiceClient,
};
use ery_rpc::{Peers, within};
use ery_store::{Ports, Service, Settings};
use tokio::{net::TcpListener, sync::watch};
use twilight_model::id::Id;

use super::{SHARD, admin, credential, file, newest, say};
use crate::{
    kill::{KILLS, Xorshift, number_in, wait},
    queue::{FakeBus, FakeQueue},
    support::{GUILD, rows_under},
};

const FOLDER: &str = "ERY_STORE_SEVERAL_FOLDER";
const NAME: &str = "ERY_STORE_SEVERAL_NAME";
const TEST: &str = "several::killed::no_kill_in_the_midst_of_a_move_loses_a_write_or_the_shard";
const NAMES: [&str; 2] = ["a", "b"];

const ORDINARY_KILLS: u64 = 16;

/// How long stores that were killed may take until the shard is served again.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long one call waits for a store that may be dead.
const CALL: Duration = Duration::from_secs(2);

/// Where each store is reached stands in a file: they are processes of their own.
struct ByFiles(PathBuf);

impl ByFiles {
    fn read(&self) -> Arc<[Replica]> {
        let found = NAMES.iter().filter_map(|name| {
            let address = fs::read_to_string(self.0.join(format!("{name}.address"))).ok()?;
            let id = ReplicaId((*name).to_owned());
            Some(Replica { id, service: ServiceName::Store, address })
        });
        found.collect()
    }
}

#[async_trait]
impl Membership for ByFiles {
    async fn join(&self, replica: Replica) -> Result<Box<dyn Registration>, MembershipError> {
        let made = self.0.join(format!("{}.address.new", replica.id));
        fs::write(&made, replica.address).unwrap();
        fs::rename(made, self.0.join(format!("{}.address", replica.id))).unwrap();
        Err(MembershipError::Unavailable("it stands in its file, and is never taken out".into()))
    }

    async fn watch(
        &self,
        _: ServiceName,
    ) -> Result<watch::Receiver<Arc<[Replica]>>, MembershipError> {
        let (sender, receiver) = watch::channel(self.read());
        let files = Self(self.0.clone());
        Tasks::new().spawn_work("follow", async move {
            while !sender.is_closed() {
                tokio::time::sleep(Duration::from_millis(10)).await;
                let now = files.read();
                sender.send_if_modified(|before| {
                    let is_new = *before != now;
                    *before = now;
                    is_new
                });
            }
        });
        Ok(receiver)
    }

    async fn claim(
        &self,
        _: &str,
        _: &ReplicaId,
        _: Duration,
    ) -> Result<Option<Box<dyn Claim>>, MembershipError> {
        Ok(None)
    }
}

/// Serves a store until the process is killed.
async fn serve(folder: &Path, name: &str) {
    let members = ByFiles(folder.to_owned());
    let stores = Peers::remote(ServiceName::Store, &members, &credential(), None).await.unwrap();
    let data_dir = folder.join(name);
    fs::create_dir_all(&data_dir).unwrap();
    let ports = Ports {
        data_dir,
        key: None,
        clock: Arc::new(SystemClock),
        queue: Arc::<FakeQueue>::default(),
        bus: Arc::<FakeBus>::default(),
        stores: Some(stores),
    };
    let settings =
        Settings { name: name.to_owned(), founder: Some("a".to_owned()), ..Settings::default() };
    let service = Service::open(settings, ports).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let tasks = Tasks::new();
    let (routes, draining) = (service.routes(), tasks.draining());
    tasks.spawn("store", service.run(tasks.clone()));
    let id = ReplicaId(name.to_owned());
    let replica = Replica { id, service: ServiceName::Store, address };
    assert!(members.join(replica).await.is_err());
    tell_parent("serves");
    ery_rpc::serve(listener, routes, credential(), None, draining).await.unwrap();
}

#[expect(clippy::print_stdout, reason = "whoever started the process waits for it")]
fn tell_parent(what: &str) {
    println!("{what}");
}

fn start(folder: &Path, name: &str) -> Child {
    let mut child = Command::new(env::current_exe().unwrap())
        .args([TEST, "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(NAME, name)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().ends_with("serves")).unwrap().unwrap();
    child
}

/// Returns which stores say that they own the shard.
async fn owners(peers: &Peers) -> Vec<&'static str> {
    let mut owners = Vec::new();
    for name in NAMES {
        let listed = admin(peers, name).list_shards(within(CALL, ListShardsRequest {})).await;
        if listed.is_ok_and(|listed| listed.into_inner().owned.contains(&SHARD)) {
            owners.push(name);
        }
    }
    owners
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_in_the_midst_of_a_move_loses_a_write_or_the_shard() {
    if let (Some(folder), Some(name)) = (env::var_os(FOLDER), env::var_os(NAME)) {
        serve(Path::new(&folder), name.to_str().unwrap()).await;
        return;
    }
    let kills = number_in(KILLS).unwrap_or(ORDINARY_KILLS);
    let folder = tempfile::tempdir().unwrap();
    let mut children = NAMES.map(|name| start(folder.path(), name));
    let members = ByFiles(folder.path().to_owned());
    let peers = Peers::remote(ServiceName::Store, &members, &credential(), None).await.unwrap();
    let home = Home::Guild(Id::new(GUILD));
    let is_over = Arc::new(AtomicBool::new(false));

    let tasks = Tasks::new();
    let (acknowledged, mut told) = tokio::sync::mpsc::unbounded_channel();
    for writer in 0..4_u64 {
        let (mut client, is_over) = (StoreServiceClient::new(peers.of(home)), Arc::clone(&is_over));
        let acknowledged = acknowledged.clone();
        tasks.spawn_work("writer", async move {
            for number in 1_u64.. {
                let id = number * 4 + writer;
                // Tried again, as a task's holder does: a repeat changes nothing.
                while !is_over.load(Ordering::Acquire) {
                    let said = tokio::time::timeout(CALL, say(&mut client, id)).await;
                    if matches!(said, Ok(Ok(()))) {
                        acknowledged.send(id).unwrap();
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                if is_over.load(Ordering::Acquire) {
                    return;
                }
            }
        });
    }
    drop(acknowledged);

    let mut random = Xorshift(0x2545_f491_4f6c_dd1d);
    let mut broken_off = 0;
    for kill in 0..kills {
        let owner = owner(&peers).await;
        let to = NAMES[usize::from(owner == NAMES[0])];
        let (mut giver, request) =
            (admin(&peers, owner), MoveShardRequest { shard: SHARD, to: to.to_owned() });
        let moving = Tasks::new();
        let (done, ended) = tokio::sync::oneshot::channel();
        moving.spawn_work("move", async move {
            let moved = giver.move_shard(within(PATIENCE, request)).await;
            done.send(moved.is_ok()).ok();
        });
        tokio::task::block_in_place(|| {
            wait(Duration::from_micros(random.below(120_000) as u64));
        });
        let killed: &[usize] = [&[0][..], &[1], &[0, 1]][random.below(3)];
        for index in killed {
            children[*index].kill().unwrap();
            children[*index].wait().unwrap();
        }
        broken_off += u64::from(!ended.await.unwrap_or(false));
        for index in killed {
            children[*index] = start(folder.path(), NAMES[*index]);
        }
        let served = async {
            let mut client = StoreServiceClient::new(peers.of(home));
            while newest(&mut client).await.is_err() {
                assert!(owners(&peers).await.len() <= 1);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, served).await.unwrap_or_else(|_| panic!("kill {kill}"));
        assert_eq!(owners(&peers).await.len(), 1, "kill {kill}");
    }
    is_over.store(true, Ordering::Release);
    let mut ids = Vec::new();
    while let Some(id) = told.recv().await {
        ids.push(id);
    }
    let owner = owner(&peers).await;
    let check = within(PATIENCE, CheckShardRequest { shard: SHARD });
    let problems = admin(&peers, owner).check_shard(check).await.unwrap().into_inner().problems;
    assert_eq!(problems, Vec::<String>::new());
    let rows = rows_under(&file(&folder.path().join(owner)), None);
    for id in &ids {
        let row = format!("messages: {id} | ");
        assert!(rows.iter().any(|known| known.starts_with(&row)), "{id} of {}", ids.len());
    }
    for mut child in children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    println!("{} writes stand after {kills} kills, {broken_off} moves broken off", ids.len());
    assert!(broken_off > 0 && !ids.is_empty());
}

/// Returns the one store that owns the shard, once there is one.
async fn owner(peers: &Peers) -> &'static str {
    let found = async {
        loop {
            match owners(peers).await.as_slice() {
                [owner] => return *owner,
                [] => tokio::time::sleep(Duration::from_millis(10)).await,
                owners => panic!("{owners:?} own it"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("somebody owns it")
}
