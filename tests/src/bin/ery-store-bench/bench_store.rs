//! The store that is measured: a process of its own, called as its peers call it.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context as _;
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use ery_group_commit::FileKey;
use ery_proto::store::v1::{
    store_admin_service_client::StoreAdminServiceClient, store_service_client::StoreServiceClient,
};
use ery_test_servers::{NatsServer, RedisServer};
use ery_tests::{Ery, Histogram, free_port, ready};

const CREDENTIAL: &str = "bench";

/// The store's own count of its transactions, by how many writes shared one.
const GROUPS: &str = "ery_store_commit_group_requests";

/// A key of the bench alone.
const KEY: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

pub(crate) type Client = StoreServiceClient<InterceptedService<Channel, Bearer>>;
pub(crate) type Admin = StoreAdminServiceClient<InterceptedService<Channel, Bearer>>;

/// Adds the cluster's credential to each call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, tonic::Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// `ery store` with what it needs beside it.
pub(crate) struct BenchStore {
    process: Ery,
    address: String,
    key: Option<FileKey>,
    folder: tempfile::TempDir,
    next_message: AtomicU64,
    servers: Arc<(NatsServer, RedisServer)>,
}

/// What the first store of a run is called.
const FIRST: &str = "first";

impl BenchStore {
    pub(crate) async fn start(is_encrypted: bool) -> anyhow::Result<Self> {
        let servers = Arc::new((NatsServer::start().await?, RedisServer::start().await?));
        Self::start_named(FIRST, is_encrypted, servers).await
    }

    /// Starts another store in the same cluster, which has no shard yet.
    pub(crate) async fn start_beside(&self, name: &str) -> anyhow::Result<Self> {
        Self::start_named(name, self.key.is_some(), Arc::clone(&self.servers)).await
    }

    async fn start_named(
        name: &str,
        is_encrypted: bool,
        servers: Arc<(NatsServer, RedisServer)>,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let (nats_url, redis_url) = (servers.0.url(), servers.1.url());
        let data = folder.path().join("data").display().to_string();
        let mut variables = vec![
            ("ERY_NATS__URL", nats_url.as_str()),
            ("ERY_REDIS__URL", redis_url.as_str()),
            ("ERY_CLUSTER__CREDENTIAL", CREDENTIAL),
            ("ERY_DATA_DIR", data.as_str()),
            ("ERY_RPC__LISTEN", address.as_str()),
            ("ERY_STORE__NAME", name),
            ("ERY_STORE__FOUNDER", FIRST),
        ];
        if is_encrypted {
            variables.push(("ERY_STORE__ENCRYPTION__KEY", KEY));
        }
        let mut process = Ery::start("store", &["store"], &variables)?;
        ready(&mut process).await?;
        let key = is_encrypted.then(|| FileKey::parse(KEY)).transpose()?;
        let next_message = AtomicU64::new(0);
        Ok(Self { process, address, key, folder, next_message, servers })
    }

    /// Returns a client with a connection of its own.
    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        let (channel, bearer) = self.connect().await?;
        Ok(StoreServiceClient::with_interceptor(channel, bearer))
    }

    /// Returns a client for what operators do.
    pub(crate) async fn admin(&self) -> anyhow::Result<Admin> {
        let (channel, bearer) = self.connect().await?;
        Ok(StoreAdminServiceClient::with_interceptor(channel, bearer))
    }

    async fn connect(&self) -> anyhow::Result<(Channel, Bearer)> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address))?.tcp_nodelay(true);
        let bearer = Bearer(format!("Bearer {CREDENTIAL}").parse()?);
        Ok((endpoint.connect().await?, bearer))
    }

    pub(crate) fn process(&self) -> &Ery {
        &self.process
    }

    pub(crate) fn key(&self) -> Option<&FileKey> {
        self.key.as_ref()
    }

    /// Returns the index of a message that was not said yet, whichever client says it.
    pub(crate) fn next_message(&self) -> u64 {
        self.next_message.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes note that these many messages were said.
    pub(crate) fn said(&self, count: u64) {
        self.next_message.fetch_max(count, Ordering::Relaxed);
    }

    /// Returns the file of a shard, which the store keeps.
    pub(crate) fn shard_file(&self, shard: usize) -> PathBuf {
        self.folder.path().join(format!("data/store/shard-{shard:04}.db"))
    }

    /// Returns what the store has spent so far.
    pub(crate) async fn cost(&self) -> anyhow::Result<Cost> {
        let groups = Histogram::read(&self.process.metrics().await?, GROUPS)?;
        Ok(Cost { cpu_seconds: cpu_seconds(&self.process)?, groups })
    }
}

/// What the store spent: its CPU time, and its transactions by how many writes shared one.
pub(crate) struct Cost {
    pub(crate) cpu_seconds: f64,
    groups: Histogram,
}

impl Cost {
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            cpu_seconds: self.cpu_seconds - before.cpu_seconds,
            groups: self.groups.since(Some(&before.groups)),
        }
    }

    /// Returns how many writes the median transaction carried.
    pub(crate) fn median_group(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most the writer's limit, 512"
        )]
        let median = self.groups.at(0.5).round().max(1.0) as usize;
        median
    }
}

fn cpu_seconds(process: &Ery) -> anyhow::Result<f64> {
    let id = process.id().context("the store runs")?;
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let fields: Vec<&str> =
        stat.rsplit(')').next().context("a stat line")?.split_whitespace().collect();
    // Source: proc(5), fields 14 and 15, in hundredths of a second.
    let ticks = fields[11].parse::<u32>()? + fields[12].parse::<u32>()?;
    Ok(f64::from(ticks) / 100.0)
}

pub(crate) fn resident_mib(process: &Ery) -> anyhow::Result<u64> {
    let id = process.id().context("the store runs")?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("a VmRSS line")?;
    Ok(line.split_whitespace().nth(1).context("a number")?.parse::<u64>()? / 1_024)
}
