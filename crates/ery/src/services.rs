//! Each service with what it needs: the same wiring in one process and in many.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::Instant;

use ery_budgets::Budgets;
use ery_channel_queue::ChannelQueue;
use ery_clock::Clock;
use ery_community_config::{Base, SharedBase};
use ery_event_bus::EventBus;
use ery_group_commit::FileKey;
use ery_ids::ReplicaId;
use ery_lifecycle::{Health, Tasks};
use ery_membership::Membership;
use ery_rpc::Peers;

use crate::{
    failure::{Failure, chain},
    process::{Fatal, bind},
    settings::Settings,
};

pub(crate) async fn store(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    queue: &Arc<dyn ChannelQueue>,
    bus: &Arc<dyn EventBus>,
    stores: Option<Peers>,
) -> Result<ery_store::Service, Failure> {
    let ports = ery_store::Ports {
        data_dir: settings.data_dir.clone(),
        key: key(settings)?,
        clock: Arc::clone(clock),
        queue: Arc::clone(queue),
        bus: Arc::clone(bus),
        stores,
    };
    ery_store::Service::open(settings.store.clone(), ports).await.map_err(|error| match &error {
        ery_store::OpenError::File(ery_store::FileError::Key(cause)) => unfitting_key(cause),
        ery_store::OpenError::Rekeying { .. } => Failure::settings(chain(&error)),
        _ => Failure::unavailable(format!("store: {}", chain(&error))),
    })
}

/// Returns the key of every file in the data folder, if one is set.
pub(crate) fn key(settings: &Settings) -> Result<Option<FileKey>, Failure> {
    settings.store.encryption.key().map_err(|error| {
        Failure::settings(format!("settings: `store.encryption.key` is no key: {error}"))
    })
}

/// A file of the data folder that does not fit the key in the settings, and what to do.
pub(crate) fn unfitting_key(error: &ery_group_commit::OpenError) -> Failure {
    use ery_group_commit::OpenError;

    let advice = match error {
        OpenError::NotEncrypted { .. } => {
            "but `store.encryption.key` is set: stop Ery and run `ery ctl store rekey`, which encrypts \
             what is there"
        }
        OpenError::KeyMissing { .. } => {
            "and no key is set: give it by ERY_STORE__ENCRYPTION__KEY_FILE or \
             ERY_STORE__ENCRYPTION__KEY"
        }
        OpenError::WrongKey { .. } => {
            "than `store.encryption.key`: give the right one, or, to change it, set \
             `store.encryption.previous_key` to the former and run `ery ctl store rekey`"
        }
        OpenError::Sqlite { .. } => return Failure::unavailable(chain(error)),
    };
    Failure::settings(format!("{error}, {advice}"))
}

/// What the process is set to of what communities can set, too.
pub(crate) fn config_base(settings: &Settings) -> Base {
    let everywhere = settings.orchestrator.config_base();
    Base { everywhere, ..Base::default() }.and(settings.tool_service.config_base())
}

pub(crate) fn ai(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> Result<ery_ai_service::Service, Failure> {
    let ports = ery_ai_service::Ports { clock: Arc::clone(clock) };
    ery_ai_service::Service::new(&settings.ai, ports)
        .map_err(|error| Failure::settings(format!("ai: {}", chain(&error))))
}

/// Starts the tool-service, and returns it for its calls.
#[expect(clippy::too_many_arguments, reason = "it needs every port")]
pub(crate) fn tools(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    bus: &Arc<dyn EventBus>,
    budgets: &Arc<dyn Budgets>,
    base: &SharedBase,
    store: &Peers,
    tasks: &Tasks,
    health: &Health,
) -> Result<ery_tool_service::Service, Failure> {
    let ports = ery_tool_service::Ports {
        discord: ery_tool_service::Discord {
            token: settings.token()?,
            api_url: settings.discord.api_url.clone(),
        },
        bus: Arc::clone(bus),
        budgets: Arc::clone(budgets),
        clock: Arc::clone(clock),
        config_base: base.clone(),
        store: store.clone(),
    };
    let service = ery_tool_service::Service::new(settings.tool_service.clone(), ports)
        .map_err(|error| Failure::settings(format!("tool_service: {}", chain(&error))))?;
    let readiness = health.part("tools");
    let (mut ready, draining) = (service.readiness(), tasks.draining());
    tasks.spawn_work("tools-readiness", async move {
        loop {
            readiness.set(ready.is_ready());
            tokio::select! {
                changed = ready.changed() => if changed.is_none() { break },
                () = draining.cancelled() => break,
            }
        }
    });
    tasks.spawn("tool-service", service.clone().run(tasks.clone()));
    Ok(service)
}

/// Starts the console, and returns where it is served.
pub(crate) async fn console(
    settings: &Settings,
    store: &Peers,
    tools: &Peers,
    tasks: &Tasks,
) -> Result<SocketAddr, Failure> {
    let ports = ery_console::Ports { store: store.clone(), tools: tools.clone() };
    let service = ery_console::Service::new(settings.console.clone(), ports)
        .map_err(|error| Failure::settings(format!("console: {}", chain(&error))))?;
    let (listener, address) = bind(settings.console.listen, "console.listen").await?;
    tracing::info!(%address, "serving MCP at http://{address}/mcp");
    tasks.spawn("console", service.run(listener, tasks.clone()));
    Ok(address)
}

/// How long a gateway may take to claim a shard before it counts as standing by.
const STANDS_BY_AFTER: Duration = Duration::from_secs(5);

/// Starts the gateway: what Discord refuses is told apart from what cannot be reached.
#[expect(clippy::too_many_arguments, reason = "it needs every port")]
pub(crate) fn gateway(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    queue: &Arc<dyn ChannelQueue>,
    bus: &Arc<dyn EventBus>,
    membership: &Arc<dyn Membership>,
    budgets: &Arc<dyn Budgets>,
    replica: ReplicaId,
    tasks: &Tasks,
    fatal: &Fatal,
    health: &Health,
) -> Result<(), Failure> {
    let ports = ery_gateway::Ports {
        discord: ery_gateway::Discord {
            token: settings.token()?,
            api_url: settings.discord.api_url.clone(),
            gateway_url: settings.discord.gateway_url.clone(),
        },
        bus: Arc::clone(bus),
        queue: Arc::clone(queue),
        membership: Arc::clone(membership),
        budgets: Arc::clone(budgets),
        clock: Arc::clone(clock),
        replica,
    };
    let service = ery_gateway::Service::new(settings.gateway.clone(), ports);
    let readiness = health.part("discord");
    let (mut status, draining) = (service.status(), tasks.draining());
    tasks.spawn_work("discord-readiness", async move {
        let begun = Instant::now();
        loop {
            let now = *status.borrow_and_update();
            // A replica that got no shard in that time stands by, and is ready to take one.
            let stands_by = now.total > 0 && now.held == 0 && begun.elapsed() >= STANDS_BY_AFTER;
            let is_connected = now.held > 0 && now.connected == now.held;
            readiness.set(is_connected || stands_by);
            tokio::select! {
                changed = status.changed() => if changed.is_err() { break },
                () = tokio::time::sleep(STANDS_BY_AFTER), if now.held == 0 && !stands_by => {}
                () = draining.cancelled() => break,
            }
        }
    });
    let classify = |error: &ery_gateway::GatewayError| {
        if error.is_bad_settings() {
            Failure::settings(chain(error))
        } else {
            Failure::unavailable(chain(error))
        }
    };
    tasks.spawn("gateway", fatal.clone().watch(service.run(tasks.clone()), classify));
    Ok(())
}
