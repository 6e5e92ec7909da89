use std::{convert::Infallible, fmt, sync::Arc};

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;
use twilight_model::id::Id;

use ery_clock::Clock;
use ery_community_config::{ConfigCache, Place, StoredConfig};
use ery_event_bus::{EventBus, Topic, hear};
use ery_ids::ChannelKey;
use ery_lifecycle::Tasks;
use ery_proto::tool::v1::tool_service_server::ToolServiceServer;

use crate::{
    Ports, Settings,
    adapters::{
        discord::{ApiUrl, Discord},
        store::Executions,
    },
    domain::{output::Filter, policy::Policy},
    error::{CallError, NewServiceError, StoreError},
    guilds::Guilds,
    handlers::Handlers,
    metrics,
    patience::{Patience, Question},
    pipeline::Pipeline,
};

/// How large a request may be: an answer with files.
const MAX_REQUEST_BYTES: usize = 12 << 20;

/// The tool-service: Ery's hands.
///
/// Cheap to clone; all clones are one service.
#[derive(Clone)]
pub struct Service {
    shared: Arc<Shared>,
}

/// What the handlers and the pipeline have in common.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) discord: Arc<Discord>,
    pub(crate) guilds: Guilds,
    pub(crate) executions: Executions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: ConfigCache,
    pub(crate) filter: Filter,
    pub(crate) patience: Patience,
    /// Calls that go on when their caller is gone: what is begun is closed.
    pub(crate) work: TaskTracker,
    bus: Arc<dyn EventBus>,
}

impl Service {
    /// Makes the service; binds nothing and spawns nothing.
    ///
    /// # Errors
    ///
    /// If a setting is out of its bounds, or Discord's address or token cannot be used.
    pub fn new(settings: Settings, ports: Ports) -> Result<Self, NewServiceError> {
        settings.validate()?;
        metrics::begin_at_zero();
        let api = ApiUrl::parse(&ports.discord.api_url)?;
        let discord = Arc::new(Discord::new(
            &settings,
            api,
            &ports.discord.token,
            ports.budgets,
            Arc::clone(&ports.clock),
        )?);
        let stored = ports.store.clone();
        let shared = Shared {
            guilds: Guilds::new(&settings, Arc::clone(&discord)),
            executions: Executions::new(ports.store, settings.store_timeout),
            config: ConfigCache::new(
                Box::new(StoredConfig { peers: stored, timeout: settings.store_timeout }),
                ports.config_base,
            ),
            filter: Filter {
                known_hosts: settings.link_hosts.clone(),
                never: settings.never_said.clone(),
            },
            patience: Patience::new(settings.lookup_patience),
            discord,
            clock: ports.clock,
            bus: ports.bus,
            work: TaskTracker::new(),
            settings,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Returns the service's RPCs.
    pub fn routes(&self) -> Routes {
        self.added_to(Routes::default())
    }

    /// Adds what it serves to what another service does.
    pub fn added_to(&self, routes: Routes) -> Routes {
        let pipeline = Pipeline::new(Arc::clone(&self.shared));
        let handlers = Handlers::new(Arc::clone(&self.shared), pipeline);
        let server = ToolServiceServer::new(handlers);
        routes.add_service(server.max_decoding_message_size(MAX_REQUEST_BYTES))
    }

    /// Follows whether calls can be served: events are followed, and Discord takes our token.
    ///
    /// The sender lives as long as [`Self::run`]; before it, the service is not ready.
    pub fn readiness(&self) -> Readiness {
        Readiness {
            following: self.shared.guilds.following(),
            authorized: self.shared.discord.authorized(),
        }
    }

    /// Follows the guilds' events until the process drains, then waits for the calls under way.
    ///
    /// # Errors
    ///
    /// None.
    pub async fn run(self, tasks: Tasks) -> Result<(), Infallible> {
        let draining: CancellationToken = tasks.draining();
        let Shared { guilds, config, bus, .. } = &*self.shared;
        let forget = |payload: &[u8]| {
            guilds.forget_person(serde_json::from_slice(payload)?);
            config.forget();
            Ok::<_, serde_json::Error>(())
        };
        let set = |payload: &[u8]| {
            config.told(serde_json::from_slice(payload)?);
            Ok::<_, serde_json::Error>(())
        };
        tokio::join!(
            guilds.follow(&**bus, draining.clone()),
            hear(&**bus, Topic::PersonForgotten, &draining, forget),
            hear(&**bus, Topic::ConfigChanged, &draining, set)
        );
        draining.cancelled().await;
        self.shared.work.close();
        self.shared.work.wait().await;
        Ok(())
    }
}

impl Shared {
    /// Notes that Discord gave no usable answer to a question, if that is what is wrong, and returns whether
    /// it was waited for long enough.
    pub(crate) fn gives_up(&self, question: &Question<'_>, error: &CallError) -> bool {
        let answered_at = error.is_one_routes().then(|| self.discord.answered_at());
        error.is_unanswered() && self.patience.is_over(question, answered_at, self.clock.now())
    }

    /// Returns what the staff allow in a channel.
    ///
    /// # Errors
    ///
    /// If nothing is known of it and the store cannot be asked now; or if what a thread belongs to is not
    /// known and Discord does not answer, which is waited for as every such look is.
    pub(crate) async fn policy(&self, here: ChannelKey) -> Result<Policy, CallError> {
        let config = self.config.get(here.home).await;
        let config = config.map_err(|error| StoreError::Unavailable(error.0))?;
        let channel = here.channel.get();
        let parent = match here.guild() {
            Some(guild) if config.is_set_by_channel() => {
                let found = self.guilds.own_channel(guild, here.channel).await?;
                found.and_then(|found| found.thread_of())
            }
            _ => None,
        };
        let place = Place { channel, parent: parent.map_or(0, Id::get) };
        Ok(Policy::of(&config.effective(place, 0).config))
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

/// Whether the service can serve calls.
#[derive(Clone, Debug)]
pub struct Readiness {
    following: watch::Receiver<bool>,
    authorized: watch::Receiver<bool>,
}

impl Readiness {
    /// Returns whether calls can be served now.
    pub fn is_ready(&self) -> bool {
        *self.following.borrow() && *self.authorized.borrow()
    }

    /// Waits until that changes, and returns how it is then; none once the service is gone.
    pub async fn changed(&mut self) -> Option<bool> {
        let changed = tokio::select! {
            changed = self.following.changed() => changed,
            changed = self.authorized.changed() => changed,
        };
        changed.ok()?;
        Some(*self.following.borrow_and_update() && *self.authorized.borrow_and_update())
    }
}
