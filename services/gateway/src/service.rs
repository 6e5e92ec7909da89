use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use ery_event_bus::GatewayShard;
use ery_ids::ServiceName;
use ery_lifecycle::Tasks;
use ery_membership::{MembershipError, Registration, Replica};
use ery_settings::InvalidSetting;

use crate::{
    adapters::{IdentifySlots, Rest, gateway_url},
    domain::Backoff,
    error::GatewayError,
    metrics::Metrics,
    ports::Ports,
    settings::Settings,
    shard_keeper::{Context, ShardKeeper},
};

/// How this replica's shards stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// How many shards there are in all, 0 until Discord has said it.
    pub total: u32,
    /// How many of them this replica has claimed.
    pub held: u32,
    /// How many of those have a session with Discord now.
    pub connected: u32,
}

/// Holds Discord Gateway shards and publishes their dispatches.
pub struct Service {
    settings: Settings,
    ports: Ports,
    status: watch::Sender<Status>,
}

impl Service {
    pub fn new(settings: Settings, ports: Ports) -> Self {
        Self { settings, ports, status: watch::Sender::default() }
    }

    /// Follows how this replica's shards stand.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Runs until the process drains; then closes the shards so that they can be resumed.
    ///
    /// # Errors
    ///
    /// If a person has to do something before the gateway can work, or Discord stays out of reach
    /// at the start.
    pub async fn run(self, tasks: Tasks) -> Result<(), GatewayError> {
        let Self { settings, ports, status } = self;
        settings.validate()?;
        // Twilight takes the process's provider; one that is set already stays.
        drop(rustls::crypto::ring::default_provider().install_default());
        let rest = Arc::new(Rest::new(&ports.discord)?);
        let chosen_url = chosen_gateway_url(&ports)?;
        let draining = tasks.draining();
        let found = tokio::select! {
            () = draining.cancelled() => return Ok(()),
            found = find(&rest, &settings) => found?,
        };
        let Some((registration, replicas)) = join(&ports, &draining).await else { return Ok(()) };

        let total = settings.shards.unwrap_or(found.gateway.recommended_shards);
        status.send_modify(|status| status.total = total);
        tracing::info!(shards = total, "Discord knows the bot; {total} shards to hold");
        let slots = IdentifySlots::new(
            Arc::clone(&ports.budgets),
            rest,
            found.gateway.start_limit,
            tasks.clone(),
        );
        let context = Arc::new(Context {
            settings,
            gateway_url: chosen_url.unwrap_or(found.gateway.url),
            me: found.me,
            slots,
            metrics: Metrics::new(),
            status,
            replicas,
            ports,
        });
        let result = keep_shards(&context, total, &tasks).await;
        if let Err(error) = registration.leave().await {
            let error: &dyn std::error::Error = &error;
            tracing::debug!(error, "the replica's registration is left to expire");
        }
        result
    }
}

struct Found {
    me: twilight_model::id::Id<twilight_model::id::marker::UserMarker>,
    gateway: crate::adapters::GatewayInfo,
}

async fn find(rest: &Rest, settings: &Settings) -> Result<Found, GatewayError> {
    let me = rest.me(settings.start_patience).await?;
    let gateway = rest.gateway(settings.start_patience).await?;
    Ok(Found { me, gateway })
}

fn chosen_gateway_url(ports: &Ports) -> Result<Option<String>, InvalidSetting> {
    let Some(chosen) = &ports.discord.gateway_url else { return Ok(None) };
    gateway_url(chosen).map(Some).ok_or_else(|| InvalidSetting {
        key: "discord.gateway_url",
        value: format!("{chosen:?}"),
        bound: "ws:// or wss:// and a host, without a query",
    })
}

type Joined = (Box<dyn Registration>, watch::Receiver<Arc<[Replica]>>);

/// Registers the replica and follows the others; none if the process drains before that.
async fn join(ports: &Ports, draining: &CancellationToken) -> Option<Joined> {
    let replica = Replica {
        id: ports.replica.clone(),
        service: ServiceName::Gateway,
        address: String::new(),
    };
    let once = async || -> Result<Joined, MembershipError> {
        let registration = ports.membership.join(replica.clone()).await?;
        Ok((registration, ports.membership.watch(ServiceName::Gateway).await?))
    };
    let mut backoff =
        Backoff::new(std::time::Duration::from_millis(200), std::time::Duration::from_secs(5));
    loop {
        let error = tokio::select! {
            () = draining.cancelled() => return None,
            joined = once() => match joined {
                Ok(joined) => return Some(joined),
                Err(error) => error,
            },
        };
        let error: &dyn std::error::Error = &error;
        tracing::warn!(error, "the replica could not be registered; trying on");
        tokio::select! {
            () = draining.cancelled() => return None,
            () = tokio::time::sleep(backoff.failed(rand::random())) => {}
        }
    }
}

/// Runs a keeper for each shard until all have ended, or one cannot go on.
async fn keep_shards(
    context: &Arc<Context>,
    total: u32,
    tasks: &Tasks,
) -> Result<(), GatewayError> {
    let (ended, mut endings) = mpsc::channel(1);
    for number in 0..total {
        let keeper = ShardKeeper::new(Arc::clone(context), GatewayShard { number, total });
        let (draining, ended) = (tasks.draining(), ended.clone());
        tasks.spawn_work("gateway shard", async move {
            let result = keeper.run(&draining).await;
            // Nobody listens once another shard could not go on.
            drop(ended.send(result).await);
        });
    }
    drop(ended);
    while let Some(result) = endings.recv().await {
        result?;
    }
    Ok(())
}
