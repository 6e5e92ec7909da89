//! `ery all`: every service in one process, with one data folder and nothing else.

use std::{net::SocketAddr, path::Path, sync::Arc};

use secrecy::SecretString;
use tokio::net::TcpListener;

use ery_budgets::Budgets;
use ery_channel_queue::ChannelQueue;
use ery_clock::{Clock, SystemClock};
use ery_community_config::SharedBase;
use ery_embedded::{BusOptions, DatabaseError, EmbeddedFolder, QueueOptions};
use ery_event_bus::EventBus;
use ery_ids::ReplicaId;
use ery_lifecycle::{Health, Tasks};
use ery_membership::Membership;
use ery_rpc::{ClusterCredential, Peers};
use ery_settings::Sources;

use crate::{
    ctl::Endpoint,
    failure::{Failure, chain},
    process::{Fatal, Process, bind},
    services,
    settings::Settings,
    watching::Watch,
};

/// Runs until a signal comes.
pub(crate) async fn run(sources: &Sources) -> Result<(), Failure> {
    let (settings, values) = Settings::load_whole(sources)?;
    settings.token()?;
    let mut process = Process::begin(&settings, "ery")?;
    let (health, fatal) = (process.health.clone(), process.fatal.clone());
    let base = SharedBase::from(services::config_base(&settings));
    let start = Everything::start(&settings, &base, &health, &fatal);
    let Some(everything) = process.starting(start).await? else { return Ok(()) };
    process.serve_admin(&settings, &everything.last).await?;
    Watch::new(sources, values, base, process.telemetry.log.clone()).spawn(&everything.last);
    tracing::info!(folder = %settings.data_dir.display(), "every service runs in this process");
    process.run(&everything.stages(), &settings).await
}

/// All services, wired in one process, and the stages in which they end.
pub(crate) struct Everything {
    pub(crate) bus: Arc<dyn EventBus>,
    pub(crate) store: Peers,
    /// Where MCP clients are served, if they are.
    pub(crate) console: Option<SocketAddr>,
    front: Tasks,
    gateway: Tasks,
    orchestrator: Tasks,
    callees: Tasks,
    pub(crate) last: Tasks,
}

impl Everything {
    /// Opens the data folder and starts every service on it.
    pub(crate) async fn start(
        settings: &Settings,
        base: &SharedBase,
        health: &Health,
        fatal: &Fatal,
    ) -> Result<Self, Failure> {
        let folder = &settings.data_dir;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let embedded = EmbeddedFolder::open(folder)
            .map_err(|error| Failure::unavailable(chain(&error)))?
            .with_key(services::key(settings)?)
            .with_clock(Arc::clone(&clock));
        let failed = |error| match error {
            DatabaseError::Open(error) if error.is_about_key() => services::unfitting_key(&error),
            error => {
                let text = format!("could not open the data folder {}", folder.display());
                Failure::caused(&text, &error)
            }
        };
        let queue = embedded.queue(QueueOptions::default()).await.map_err(failed)?;
        let bus = embedded.bus(BusOptions::default()).await.map_err(failed)?;
        let queue: Arc<dyn ChannelQueue> = Arc::new(queue);
        let bus: Arc<dyn EventBus> = Arc::new(bus);
        let membership: Arc<dyn Membership> = Arc::new(embedded.membership());
        let budgets: Arc<dyn Budgets> = Arc::new(embedded.budgets());
        let replica = ReplicaId::random();

        let [front, gateway, orchestrator, callees, last] = [(); 5].map(|()| Tasks::new());
        let store = services::store(settings, &clock, &queue, &bus, None).await?;
        let store_routes = store.routes();
        let store_peers = Peers::local(ery_rpc::local(store_routes.clone()));
        let readiness = health.part("store");
        readiness.set(true);
        {
            let tasks = last.clone();
            last.spawn("store", async move { store.run(tasks).await });
        }

        let ai = services::ai(settings, &clock)?;
        let ai_peers = Peers::local(ery_rpc::local(ai.routes()));
        let ctl_routes = ai.added_to(store_routes);
        {
            let tasks = callees.clone();
            callees.spawn("ai-service", async move { ai.run(tasks).await });
        }

        let tools = services::tools(
            settings,
            &clock,
            &bus,
            &budgets,
            base,
            &store_peers,
            &callees,
            health,
        )?;
        let tool_peers = Peers::local(ery_rpc::local(tools.routes()));
        let ctl_routes = tools.added_to(ctl_routes);

        let ports = ery_orchestrator::Ports {
            queue: Arc::clone(&queue),
            bus: Arc::clone(&bus),
            membership: Arc::clone(&membership),
            clock: Arc::clone(&clock),
            replica: replica.clone(),
            config_base: base.clone(),
            store: store_peers.clone(),
            ai: ai_peers,
            tools: tool_peers.clone(),
        };
        let service = ery_orchestrator::Service::new(settings.orchestrator.clone(), ports);
        {
            let tasks = orchestrator.clone();
            orchestrator.spawn("orchestrator", async move { service.run(tasks).await });
        }

        services::gateway(
            settings,
            &clock,
            &queue,
            &bus,
            &membership,
            &budgets,
            replica,
            &gateway,
            fatal,
            health,
        )?;

        serve_ctl(folder, ctl_routes, &last).await?;
        let console = if settings.console.enabled {
            Some(services::console(settings, &store_peers, &tool_peers, &front).await?)
        } else {
            None
        };
        Ok(Self { bus, store: store_peers, console, front, gateway, orchestrator, callees, last })
    }

    /// Returns the stages, in the order in which they end: what nothing needs any more goes first.
    pub(crate) fn stages(&self) -> [Tasks; 5] {
        [&self.front, &self.gateway, &self.orchestrator, &self.callees, &self.last]
            .map(Clone::clone)
    }
}

/// Serves `ery ctl` on a free port of this machine, behind a credential in the data folder.
async fn serve_ctl(
    folder: &Path,
    routes: tonic::service::Routes,
    tasks: &Tasks,
) -> Result<(), Failure> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let (listener, address): (TcpListener, _) = bind(any, "rpc.listen").await?;
    let credential = ReplicaId::random().0 + &uuid::Uuid::new_v4().simple().to_string();
    Endpoint { address, credential: credential.clone() }.write(folder).map_err(|error| {
        Failure::caused(&format!("could not write into {}", folder.display()), &error)
    })?;
    let credential = ClusterCredential::new(SecretString::from(credential));
    tasks.spawn("ctl", ery_rpc::serve(listener, routes, credential, None, tasks.draining()));
    Ok(())
}
