use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use ery_community_config::{ConfigCache, StoredConfig};
use ery_ids::ServiceName;
use ery_lifecycle::Tasks;
use ery_membership::Replica;

use crate::{
    adapters::{ai::Ai, broadcaster::Broadcaster, calls::Retries, store::Store, tools::Tools},
    domain::text,
    error::OrchestratorError,
    handlers::{
        changes::{self, Watched},
        deleted_channels::DeletedChannels,
        events::{self, Bounds, Consumers, EventHandler},
        greeting::Greeting,
        holder::{BotRoles, Histories, Holder, ReadBacks},
        ingestion::Ingestion,
        interactions::Interactions,
        parents::Parents,
        quotas::Quotas,
        read_back::{DirectReadBack, ReadBack, Reader},
        registration,
        spending::{self, Installation},
        summaries::{self, Summaries},
        unreadable,
        verdicts::{self, Verdicts},
        wakeups,
    },
    metrics::Metrics,
    ports::Ports,
    settings::{CommandScope, Settings},
};

/// How many whole guilds of a part are read ahead: each may be some megabytes.
const WHOLE_GUILDS: Bounds = Bounds { batch: 1, waiting: 8 };

/// How many interactions of a part are carried out at once. What comes beyond waits in the bus, and
/// may be over when its turn comes.
const INTERACTIONS: Bounds = Bounds { batch: 1, waiting: 64 };

/// The orchestrator: event handlers, the channel queue, task threads.
#[derive(Debug)]
pub struct Service {
    settings: Settings,
    ports: Ports,
}

impl Service {
    /// Makes the service; it binds nothing and starts nothing.
    pub fn new(settings: Settings, ports: Ports) -> Self {
        Self { settings, ports }
    }

    /// Handles events and works on channels until the process drains.
    ///
    /// Registers its replica as an orchestrator, and takes it out when it drains.
    ///
    /// # Errors
    ///
    /// If membership cannot be reached at the start.
    pub async fn run(self, tasks: Tasks) -> Result<(), OrchestratorError> {
        let Self { settings, ports } = self;
        // The tokenizer's tables are read before the first request is packed.
        tokio::task::spawn_blocking(|| text::tokens("soup"));
        let replica = Replica {
            id: ports.replica.clone(),
            service: ServiceName::Orchestrator,
            address: String::new(),
        };
        let registration = ports.membership.join(replica).await?;
        let replicas = events::watch(&*ports.membership).await?;

        let metrics = Metrics::new();
        let (broadcaster, broadcasts) = Broadcaster::new(metrics.clone());
        // Broadcasts and hints go on until the last channel is given back.
        let ended = CancellationToken::new();
        let (summaries, asks) = Summaries::new();
        let (verdicts, reports) = Verdicts::new();
        let beside = (summaries, verdicts);
        let holder = holder(&settings, &ports, broadcaster, metrics.clone(), &tasks, beside);
        let holder = Arc::new(holder);

        let (bus, until) = (Arc::clone(&ports.bus), ended.clone());
        tasks.spawn_work("broadcasts", broadcasts.run(bus, until));
        let (bus, watched) = (Arc::clone(&ports.bus), Arc::clone(&holder.watched));
        let (config, keys) = (Arc::clone(&holder.config), Arc::clone(&holder.keys));
        let heard = changes::listen(bus, watched, config, keys, tasks.draining());
        tasks.spawn("broadcasts heard", heard);
        let bounds = Bounds { batch: settings.ingest_batch, waiting: settings.ingest_waiting };
        let ingestion = Ingestion { holder: Arc::clone(&holder) };
        let reader = Arc::new(Reader::new(Arc::clone(&holder), Arc::clone(&ports.bus)));
        let read_back = ReadBack::new(Arc::clone(&reader));
        let interactions = Interactions::new(Arc::clone(&holder));
        let mut handlers: Vec<(Arc<dyn EventHandler>, Bounds)> = vec![
            (Arc::new(ingestion), bounds),
            (Arc::new(DeletedChannels { holder: Arc::clone(&holder) }), bounds),
            (Arc::new(read_back), WHOLE_GUILDS),
            (Arc::new(DirectReadBack::new(reader)), bounds),
            (Arc::new(interactions), INTERACTIONS),
        ];
        if settings.commands != CommandScope::Off {
            let on_session = registration::OnSession { holder: Arc::clone(&holder) };
            handlers.push((Arc::new(on_session), bounds));
            let registered =
                registration::run(Arc::clone(&holder), ports.replica.clone(), replicas.clone());
            tasks.spawn("commands", registered);
        }
        if settings.commands == CommandScope::Guilds {
            let in_guilds = registration::InGuilds { holder: Arc::clone(&holder) };
            handlers.push((Arc::new(in_guilds), WHOLE_GUILDS));
        }
        if settings.greet {
            let greeting = Greeting { holder: Arc::clone(&holder) };
            handlers.push((Arc::new(greeting), WHOLE_GUILDS));
        }
        for (handler, _) in &handlers {
            metrics.handler_begins(handler.name());
        }
        let consumers = Consumers {
            handlers,
            bus: Arc::clone(&ports.bus),
            replica: ports.replica.clone(),
            store: holder.store.clone(),
            metrics,
        };
        tasks.spawn("spending", spending::run(Arc::clone(&holder)));
        tasks.spawn("summaries", summaries::run(Arc::clone(&holder), asks, tasks.clone()));
        tasks.spawn("verdicts", verdicts::run(Arc::clone(&holder), reports, tasks.clone()));
        tasks.spawn("event handlers", consumers.run(tasks.clone(), replicas));
        tasks.spawn("unreadable tasks", unreadable::run(Arc::clone(&holder)));
        tracing::info!(replica.id = %ports.replica, task_threads = settings.task_threads,
            "the orchestrator is at work");

        wakeups::run(holder, &tasks).await;
        ended.cancel();
        if let Err(error) = registration.leave().await {
            tracing::debug!(%error, "the registration is left to expire");
        }
        Ok(())
    }
}

fn holder(
    settings: &Settings,
    ports: &Ports,
    broadcaster: Broadcaster,
    metrics: Metrics,
    tasks: &Tasks,
    (summaries, verdicts): (Summaries, Verdicts),
) -> Holder {
    let retries = Retries { patience: settings.patience, draining: tasks.draining() };
    let stored_config =
        StoredConfig { peers: ports.store.clone(), timeout: settings.store_timeout };
    Holder {
        settings: settings.clone(),
        config: Arc::new(ConfigCache::new(
            Box::new(stored_config.clone()),
            ports.config_base.clone(),
        )),
        stored_config,
        queue: Arc::clone(&ports.queue),
        clock: Arc::clone(&ports.clock),
        store: Store {
            peers: ports.store.clone(),
            timeout: settings.store_timeout,
            retries: retries.clone(),
        },
        ai: Ai {
            peers: ports.ai.clone(),
            model_timeout: settings.model_timeout,
            retries: retries.clone(),
        },
        tools: Tools {
            peers: ports.tools.clone(),
            tool_timeout: settings.tool_timeout,
            lookup_timeout: settings.lookup_timeout,
            history_timeout: settings.history_timeout,
            retries,
        },
        broadcaster,
        watched: Arc::new(Watched::default()),
        roles: BotRoles::default(),
        parents: Parents::default(),
        histories: Histories::default(),
        read_backs: ReadBacks::default(),
        judging: Arc::default(),
        quotas: Quotas::default(),
        installation: Installation::default(),
        summaries,
        verdicts,
        keys: Arc::default(),
        metrics,
        draining: tasks.draining(),
    }
}
