use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use twilight_model::id::{Id, marker::UserMarker};

use ery_event_bus::GatewayShard;
use ery_ids::ServiceName;
use ery_lifecycle::Tasks;
use ery_membership::Replica;
use ery_settings::InvalidSetting;

use crate::{
    adapters::{GatewayInfo, IdentifySlots, Rest, gateway_url},
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
        let Some(replicas) = watch_replicas(&ports, &draining).await else { return Ok(()) };

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
        keep_shards(&context, total, &tasks).await
    }
}

struct Found {
    me: Id<UserMarker>,
    gateway: GatewayInfo,
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

/// Follows which gateways live; none if the process drains before membership answers.
async fn watch_replicas(
    ports: &Ports,
    draining: &CancellationToken,
) -> Option<watch::Receiver<Arc<[Replica]>>> {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    loop {
        let watched = tokio::select! {
            () = draining.cancelled() => return None,
            watched = ports.membership.watch(ServiceName::Gateway) => watched,
        };
        let error = match watched {
            Ok(replicas) => return Some(replicas),
            Err(error) => error,
        };
        if backoff.failures() == 0 {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "membership cannot be reached; trying on");
        }
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
