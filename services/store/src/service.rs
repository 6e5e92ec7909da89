use std::{fmt, path::Path, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use ery_channel_queue::ChannelQueue;
use ery_clock::Clock;
use ery_event_bus::EventBus;
use ery_group_commit::Rekey;
use ery_lifecycle::Tasks;
use ery_proto::store::v1::{
    config_service_server::ConfigServiceServer, privacy_service_server::PrivacyServiceServer,
    provider_key_service_server::ProviderKeyServiceServer,
    store_admin_service_server::StoreAdminServiceServer, store_service_server::StoreServiceServer,
    usage_service_server::UsageServiceServer,
};
use ery_rpc::Peers;

use crate::{
    adapters::{
        backup_target::Target, caches::Caches, folder::Folder, global::Global, shard::Opening,
        shards::Shards, write_messages,
    },
    agenda::Agenda,
    backups::{self, Backups},
    comparing,
    error::{OpenError, RekeyStoreError, StoreError},
    forgetting::{Forgetting, Standings},
    handlers::{
        AdminHandlers, ConfigHandlers, Handlers, PrivacyHandlers, ProviderKeyHandlers,
        UsageHandlers,
    },
    ledger::Ledger,
    metrics::Metrics,
    moving,
    ownership::Ownership,
    ports::Ports,
    retention,
    scheduler::Scheduler,
    settings::Settings,
    totals::Totals,
    transfers::Transfers,
};

/// How large a request may be: a batch of messages with everything in them.
const MAX_REQUEST_BYTES: usize = 16 << 20;

/// How often shard files are looked at for closing and trimming, unless they close sooner.
const HOUSEKEEPING: Duration = Duration::from_secs(30);

/// How many handled events are forgotten in one write, so that others are not kept waiting.
const TRIM_LIMIT: u32 = 500;

/// Gives every file of a data folder's store another key, and returns how many were changed.
///
/// Killed at any instant, each file is whole, under the one key or the other; the store stays closed
/// until this is called again and ends well. Blocks the thread.
///
/// # Errors
///
/// If another process holds the store, or a file cannot be written anew: it is as it was.
pub fn rekey(data_dir: &Path, keys: &Rekey) -> Result<usize, RekeyStoreError> {
    Folder::hold(data_dir)?.rekey(keys)
}

/// The store of one data folder. Cheap to clone; the folder is held until the last clone and the
/// last of its routes are gone.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
    queue: Arc<dyn ChannelQueue>,
    bus: Arc<dyn EventBus>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// What every call works with.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shards: Shards,
    pub(crate) metrics: Metrics,
    /// When each shard is to be looked at for tasks that are due.
    pub(crate) agenda: Agenda,
    pub(crate) backups: Backups,
    /// Who is to be forgotten, and who was.
    pub(crate) ledger: Arc<Ledger>,
    /// How deletions come forward.
    pub(crate) standings: Standings,
    /// What its shards have spent.
    pub(crate) totals: Totals,
    /// The other stores, where there can be any.
    pub(crate) stores: Option<Peers>,
    /// Shards that are being received.
    pub(crate) transfers: Transfers,
    /// One shard goes at a time.
    pub(crate) moving: tokio::sync::Mutex<()>,
}

impl Service {
    /// Takes the data folder and opens `global.db`; shard files are opened as they are needed.
    ///
    /// # Errors
    ///
    /// If another process holds the folder, a setting is out of bounds, the store was created with
    /// another number of shards, or `global.db` is under another key or of a newer version.
    pub async fn open(settings: Settings, ports: Ports) -> Result<Self, OpenError> {
        settings.validate()?;
        let Ports { data_dir, key, clock, queue, bus, stores } = ports;
        let folder = Folder::hold(&data_dir)?;
        if folder.is_rekeying() {
            return Err(OpenError::Rekeying { folder: folder.path().to_owned() });
        }
        folder.prepare_work()?;
        let ownership = Ownership::open(
            &folder,
            !folder.has_global(),
            &settings.name,
            settings.founder.as_deref(),
            settings.shards,
        )?;
        let global = Global::open(&folder, key.as_ref(), settings.shards, clock.now()).await?;
        let ledger = Ledger::open(global, clock.now())
            .await
            .map_err(|error| OpenError::Ledger(Box::new(error)))?;
        let metrics = Metrics::new();
        let opening = Opening {
            key,
            readers: settings.readers_per_shard,
            busy_timeout: settings.busy_timeout,
            metrics: metrics.clone(),
            reader_caches: Caches::of_readers(),
            writer_caches: Caches::of_writers(),
        };
        let shards = Shards::new(folder, ownership, opening, &settings);
        let agenda = Agenda::default();
        let previous_key = settings.encryption.previous_key().unwrap_or_default();
        let target = Target::open(&settings.backup, &settings.name)?;
        let backups = Backups::new(target, settings.backup.clone(), previous_key);
        let inner = Inner {
            settings,
            clock,
            shards,
            metrics,
            agenda,
            backups,
            ledger: Arc::new(ledger),
            standings: Standings::default(),
            totals: Totals::default(),
            stores,
            transfers: Transfers::default(),
            moving: tokio::sync::Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner), queue, bus })
    }

    /// Returns the store's RPCs, for a listener or for this process.
    pub fn routes(&self) -> Routes {
        let handlers = Handlers::new(Arc::clone(&self.inner));
        let server = StoreServiceServer::new(handlers).max_decoding_message_size(MAX_REQUEST_BYTES);
        let admin = AdminHandlers::new(Arc::clone(&self.inner));
        let privacy = PrivacyHandlers::new(Arc::clone(&self.inner));
        let usage = UsageHandlers::new(Arc::clone(&self.inner));
        let config = ConfigHandlers::new(Arc::clone(&self.inner), Arc::clone(&self.bus));
        let keys = ProviderKeyHandlers::new(Arc::clone(&self.inner), Arc::clone(&self.bus));
        Routes::new(server)
            .add_service(ConfigServiceServer::new(config))
            .add_service(StoreAdminServiceServer::new(admin))
            .add_service(PrivacyServiceServer::new(privacy))
            .add_service(ProviderKeyServiceServer::new(keys))
            .add_service(UsageServiceServer::new(usage))
    }

    /// Publishes tasks that are due, makes backups, carries out deletions, lets go of what is past its
    /// time, settles with other stores who has what, closes shard files that nobody uses and forgets old
    /// event ids, until the process drains; then closes every file that is not in use.
    ///
    /// Calls are served before, during and after: one that comes late opens its shard again, and
    /// what it was answered is as durable as ever.
    ///
    /// # Errors
    ///
    /// None at present: what goes wrong with one shard is logged, and does not end the others.
    pub async fn run(self, tasks: Tasks) -> Result<(), StoreError> {
        let draining = tasks.draining();
        let scheduler = Scheduler::new(Arc::clone(&self.inner), Arc::clone(&self.queue));
        let (queue, bus) = (Arc::clone(&self.queue), Arc::clone(&self.bus));
        let forgetting = Forgetting::new(Arc::clone(&self.inner), queue, bus);
        tokio::join!(
            forgetting.run(draining.clone()),
            retention::keep_sweeping(&self.inner, draining.clone()),
            scheduler.run(draining.clone()),
            backups::keep_schedule(&self.inner, draining.clone()),
            // Boxed, since it is the largest and does something once in a blue moon.
            Box::pin(moving::keep_settling(&self.inner, draining.clone())),
            Box::pin(comparing::keep_comparing(&self.inner, draining.clone())),
            self.keep_house(draining)
        );
        self.inner.shards.close_unused(Duration::ZERO).await;
        Ok(())
    }

    async fn keep_house(&self, draining: CancellationToken) {
        let idle_close = self.inner.settings.idle_close;
        let mut ticks = tokio::time::interval(HOUSEKEEPING.min(idle_close));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = draining.cancelled() => break,
                _ = ticks.tick() => {
                    self.inner.shards.close_unused(idle_close).await;
                    for shard in self.inner.shards.all_open().await {
                        shard.share_memory().await;
                    }
                    self.trim().await;
                }
            }
        }
    }

    async fn trim(&self) {
        let kept = self.inner.settings.handled_events_kept;
        for shard in self.inner.shards.all_open().await {
            loop {
                let before = self.inner.clock.now() - kept;
                let trimmed = shard
                    .write(move |connection| {
                        write_messages::trim_handled(connection, before, TRIM_LIMIT)
                    })
                    .await;
                match trimmed {
                    Ok(trimmed) if trimmed == TRIM_LIMIT as usize => {}
                    Ok(_) => break,
                    Err(error) => {
                        tracing::error!(%error, "could not forget old event ids; trying later");
                        break;
                    }
                }
            }
        }
    }
}
