//! One service by itself, on NATS and Redis.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use secrecy::ExposeSecret;
use tonic::service::Routes;

use ery_clock::{Clock, SystemClock};
use ery_cluster::{Cluster, Streams};
use ery_community_config::SharedBase;
use ery_ids::{ReplicaId, ServiceName};
use ery_lifecycle::{Health, Tasks};
use ery_membership::{Registration, Replica};
use ery_rpc::{ClusterCredential, Peers, Tls};
use ery_settings::Sources;

use crate::{
    failure::{Failure, chain},
    process::{Fatal, Process, bind},
    services,
    settings::Settings,
    watching::Watch,
};

/// Runs one service until a signal comes.
pub(crate) async fn run(name: ServiceName, sources: &Sources) -> Result<(), Failure> {
    let (settings, values) = Settings::load_whole(sources)?;
    if matches!(name, ServiceName::Gateway | ServiceName::ToolService) {
        settings.token()?;
    }
    let credential = settings.credential()?;
    let tls = settings.rpc.tls.open()?;
    let mut process = Process::begin(&settings, name.as_str())?;
    let (fatal, health) = (process.fatal.clone(), process.health.clone());
    let replica = match name {
        // By its name others know where its shards are.
        ServiceName::Store => ReplicaId(settings.store.name.clone()),
        _ => ReplicaId::random(),
    };
    let base = SharedBase::from(services::config_base(&settings));
    let readiness = process.health.part(name.as_str());
    let [service, calls, last] = [(); 3].map(|()| Tasks::new());

    let start = async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let cluster = Cluster::connect(
            &settings.nats,
            &settings.redis,
            streams(name),
            replica.clone(),
            Arc::clone(&clock),
        )
        .await
        .map_err(|error| Failure::unavailable(chain(&error)))?;
        let wiring = Wiring {
            settings: &settings,
            base: &base,
            clock,
            cluster,
            credential,
            tls,
            replica: replica.clone(),
            fatal,
            health,
        };
        let routes = wiring.start(name, &service).await?;
        wiring.join(name, routes, &calls).await
    };
    let Some(registration) = process.starting(start).await? else { return Ok(()) };
    readiness.set(true);
    process.serve_admin(&settings, &last).await?;
    Watch::new(sources, values, base, process.telemetry.log.clone()).spawn(&last);
    tracing::info!(service = name.as_str(), replica.id = %replica, "running");

    // Out of the list first: peers that ask now go elsewhere while this one finishes.
    let leaving = Tasks::new();
    let draining = leaving.draining();
    leaving.spawn("membership", async move {
        draining.cancelled().await;
        // Where Redis is away at this very moment: no reason to end as if the drain had failed.
        if let Err(error) = registration.leave().await {
            tracing::warn!(%error, "the registration is left to expire");
        }
        Ok::<_, Infallible>(())
    });
    process.run(&[leaving, service, calls, last], &settings).await
}

/// Returns who keeps the streams: whoever publishes to them or takes tasks from them. The others need
/// no right to change them.
fn streams(name: ServiceName) -> Streams {
    match name {
        ServiceName::Gateway | ServiceName::Orchestrator | ServiceName::Store => Streams::Kept,
        ServiceName::AiService | ServiceName::ToolService | ServiceName::Console => Streams::Used,
    }
}

struct Wiring<'a> {
    settings: &'a Settings,
    base: &'a SharedBase,
    clock: Arc<dyn Clock>,
    cluster: Cluster,
    credential: ClusterCredential,
    tls: Option<Tls>,
    replica: ReplicaId,
    fatal: Fatal,
    health: Health,
}

impl Wiring<'_> {
    async fn peers(&self, of: ServiceName) -> Result<Peers, Failure> {
        Peers::remote(of, &*self.cluster.membership(), &self.credential, self.tls.as_ref())
            .await
            .map_err(|error| Failure::unavailable(chain(&error)))
    }

    /// Starts the service, and returns the calls that it serves, if any.
    async fn start(&self, name: ServiceName, tasks: &Tasks) -> Result<Option<Routes>, Failure> {
        let (settings, clock, cluster) = (self.settings, &self.clock, &self.cluster);
        let own = tasks.clone();
        match name {
            ServiceName::Gateway => {
                services::gateway(
                    settings,
                    clock,
                    &cluster.queue(),
                    &cluster.bus(),
                    &cluster.membership(),
                    &cluster.budgets(),
                    self.replica.clone(),
                    tasks,
                    &self.fatal,
                    &self.health,
                )?;
                Ok(None)
            }
            ServiceName::Orchestrator => {
                let ports = ery_orchestrator::Ports {
                    queue: cluster.queue(),
                    bus: cluster.bus(),
                    membership: cluster.membership(),
                    clock: Arc::clone(clock),
                    replica: self.replica.clone(),
                    config_base: self.base.clone(),
                    store: self.peers(ServiceName::Store).await?,
                    ai: self.peers(ServiceName::AiService).await?,
                    tools: self.peers(ServiceName::ToolService).await?,
                };
                let service = ery_orchestrator::Service::new(settings.orchestrator.clone(), ports);
                tasks.spawn("orchestrator", async move { service.run(own).await });
                Ok(None)
            }
            ServiceName::AiService => {
                let service = services::ai(settings, clock)?;
                let routes = service.routes();
                tasks.spawn("ai-service", async move { service.run(own).await });
                Ok(Some(routes))
            }
            ServiceName::ToolService => {
                let store = self.peers(ServiceName::Store).await?;
                let service = services::tools(
                    settings,
                    clock,
                    &cluster.bus(),
                    &cluster.budgets(),
                    self.base,
                    &store,
                    tasks,
                    &self.health,
                )?;
                Ok(Some(service.routes()))
            }
            ServiceName::Store => {
                let stores = self.peers(ServiceName::Store).await?;
                if self.would_found_another_store(&stores) {
                    return Err(Failure::settings(
                        "another store runs in this cluster, and this one would begin with every shard, \
                         too: give each a `store.name`, and name the first one in `store.founder`",
                    ));
                }
                let (queue, bus) = (cluster.queue(), cluster.bus());
                let service = services::store(settings, clock, &queue, &bus, Some(stores)).await?;
                let routes = service.routes();
                tasks.spawn("store", async move { service.run(own).await });
                Ok(Some(routes))
            }
            ServiceName::Console => {
                let store = self.peers(ServiceName::Store).await?;
                let tools = self.peers(ServiceName::ToolService).await?;
                services::console(settings, &store, &tools, tasks).await?;
                Ok(None)
            }
        }
    }

    /// Returns whether the data folder is new, and nothing tells that it begins with no shard.
    fn would_found_another_store(&self, stores: &Peers) -> bool {
        let store = &self.settings.store;
        let founds = store.founder.as_ref().is_none_or(|founder| *founder == store.name);
        let is_new = !self.settings.data_dir.join("store").join("global.db").exists();
        founds && is_new && stores.others(&self.replica)
    }

    /// Serves the service's calls, and registers it, so that its peers find it.
    async fn join(
        &self,
        name: ServiceName,
        routes: Option<Routes>,
        tasks: &Tasks,
    ) -> Result<Box<dyn Registration>, Failure> {
        let mut address = String::new();
        if let Some(routes) = routes {
            let (listener, listening) = bind(self.settings.rpc.listen, "rpc.listen").await?;
            address = match &self.settings.rpc.advertise {
                Some(advertised) => advertised.clone(),
                None => self.reachable(listening)?.to_string(),
            };
            tracing::info!(%listening, advertised = %address, "serving calls");
            let (credential, tls) = (self.credential.clone(), self.tls.clone());
            let draining = tasks.draining();
            tasks.spawn("calls", async move {
                ery_rpc::serve(listener, routes, credential, tls.as_ref(), draining).await
            });
        }
        let replica = Replica { id: self.replica.clone(), service: name, address };
        self.cluster
            .membership()
            .join(replica)
            .await
            .map_err(|error| Failure::unavailable(chain(&error)))
    }

    /// Returns the address at which peers reach a listener: its own, or where it listens on every
    /// address, the one from which Redis is reached.
    fn reachable(&self, listening: SocketAddr) -> Result<SocketAddr, Failure> {
        if !listening.ip().is_unspecified() {
            return Ok(listening);
        }
        let address = local_address(&self.settings.redis).map_err(|error| {
            Failure::settings(format!(
                "could not tell by which address peers reach this process ({error}); give it by \
                 `rpc.advertise`"
            ))
        })?;
        Ok(SocketAddr::new(address, listening.port()))
    }
}

/// Returns the address of this machine from which Redis is reached. Sends nothing: connecting a
/// datagram socket only chooses the route.
fn local_address(redis: &ery_cluster::RedisSettings) -> std::io::Result<IpAddr> {
    let url = url::Url::parse(redis.url.expose_secret()).map_err(std::io::Error::other)?;
    let host = url.host_str().ok_or_else(|| std::io::Error::other("`redis.url` names no host"))?;
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    socket.connect((host, url.port().unwrap_or(6379)))?;
    Ok(socket.local_addr()?.ip())
}
