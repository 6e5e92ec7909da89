use std::{net::SocketAddr, path::PathBuf, time::Duration};

use secrecy::SecretString;
use serde::{Deserialize, Serialize, Serializer};

use ery_settings::{InvalidSetting, Sources, Values, check};

use crate::{failure::Failure, rpc_tls::RpcTls};

/// All of `ery.toml`: one table for each service, and what they share.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where state is kept: by the store, and by everything where one process runs it all.
    pub(crate) data_dir: PathBuf,
    pub(crate) discord: Discord,
    pub(crate) cluster: Cluster,
    pub(crate) rpc: Rpc,
    pub(crate) admin: Admin,
    pub(crate) process: Process,
    pub(crate) telemetry: ery_telemetry::Settings,
    pub(crate) nats: ery_cluster::NatsSettings,
    pub(crate) redis: ery_cluster::RedisSettings,
    pub(crate) gateway: ery_gateway::Settings,
    pub(crate) orchestrator: ery_orchestrator::Settings,
    pub(crate) ai: ery_ai_service::Settings,
    pub(crate) tool_service: ery_tool_service::Settings,
    pub(crate) store: ery_store::Settings,
    pub(crate) console: ery_console::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_dir: "data".into(),
            discord: Discord::default(),
            cluster: Cluster::default(),
            rpc: Rpc::default(),
            admin: Admin::default(),
            process: Process::default(),
            telemetry: ery_telemetry::Settings::default(),
            nats: ery_cluster::NatsSettings::default(),
            redis: ery_cluster::RedisSettings::default(),
            gateway: ery_gateway::Settings::default(),
            orchestrator: ery_orchestrator::Settings::default(),
            ai: ery_ai_service::Settings::default(),
            tool_service: ery_tool_service::Settings::default(),
            store: ery_store::Settings::default(),
            console: ery_console::Settings::default(),
        }
    }
}

/// The table `[discord]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Discord {
    /// The bot's token.
    #[serde(serialize_with = "redacted")]
    pub(crate) token: Option<SecretString>,
    /// REST's base, up to and with `/api/v10`.
    pub(crate) api_url: String,
    /// The Gateway, where it is not the one that REST names.
    pub(crate) gateway_url: Option<String>,
}

impl Default for Discord {
    fn default() -> Self {
        Self { token: None, api_url: "https://discord.com/api/v10".into(), gateway_url: None }
    }
}

/// The table `[cluster]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Cluster {
    /// What every call between services carries; the same for all of them.
    #[serde(serialize_with = "redacted")]
    pub(crate) credential: Option<SecretString>,
}

/// The table `[rpc]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rpc {
    /// Where calls by other services are served; port 0 takes a free one.
    pub(crate) listen: SocketAddr,
    /// What peers dial, `host:port`; by default the address by which Redis is reached, and the
    /// port that is listened on.
    pub(crate) advertise: Option<String>,
    pub(crate) tls: RpcTls,
}

impl Default for Rpc {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertise: None,
            tls: RpcTls::default(),
        }
    }
}

/// The table `[admin]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Admin {
    /// Where `/healthz`, `/readyz` and `/metrics` are served; port 0 takes a free one.
    pub(crate) listen: SocketAddr,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)) }
    }
}

/// The table `[process]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Process {
    /// How long a drain may take after SIGTERM; below the 30 s that Kubernetes waits.
    #[serde(with = "humantime_serde")]
    pub(crate) grace: Duration,
}

impl Default for Process {
    fn default() -> Self {
        Self { grace: Duration::from_secs(25) }
    }
}

impl Settings {
    /// Loads and checks them.
    pub(crate) fn load(sources: &Sources) -> Result<Self, Failure> {
        Self::load_whole(sources).map(|(settings, _)| settings)
    }

    /// Loads and checks them, and returns what was given of them beside.
    pub(crate) fn load_whole(sources: &Sources) -> Result<(Self, Values), Failure> {
        let mut loaded = ery_settings::load::<Self>(sources).map_err(|error| {
            Failure::settings(format!("settings: {}", crate::failure::chain(&error)))
        })?;
        let telemetry = &mut loaded.settings.telemetry;
        if telemetry.otlp_endpoint.is_none() {
            telemetry.otlp_endpoint = sources.otlp_endpoint().map(str::to_owned);
        }
        loaded
            .settings
            .validate()
            .map_err(|error| Failure::settings(format!("settings: {error}")))?;
        loaded
            .settings
            .telemetry
            .validate()
            .map_err(|error| Failure::settings(format!("settings: {error}")))?;
        let Settings { nats, redis, .. } = &loaded.settings;
        nats.validate()
            .and_then(|()| redis.validate(nats))
            .map_err(|error| Failure::settings(format!("settings: {error}")))?;
        Ok((loaded.settings, loaded.values))
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check(
            self.process.grace >= Duration::from_secs(1),
            "process.grace",
            self.process.grace,
            "1 s at least, or nothing can be finished",
        )?;
        let api = &self.discord.api_url;
        check(
            url::Url::parse(api).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.host_str().is_some()
                    && url.path().trim_end_matches('/') == "/api/v10"
            }),
            "discord.api_url",
            api,
            "an http or https address whose path is `/api/v10`",
        )?;
        if let Some(gateway) = &self.discord.gateway_url {
            check(
                url::Url::parse(gateway).is_ok_and(|url| {
                    matches!(url.scheme(), "ws" | "wss") && url.host_str().is_some()
                }),
                "discord.gateway_url",
                gateway,
                "an address with `ws://` or `wss://`",
            )?;
        }
        self.rpc.tls.validate()?;
        self.gateway.validate()?;
        self.orchestrator.validate()?;
        self.ai.validate()?;
        self.tool_service.validate()?;
        self.store.validate()?;
        self.console.validate()
    }

    /// Returns the bot's token, or says how to give it.
    pub(crate) fn token(&self) -> Result<SecretString, Failure> {
        self.discord.token.clone().ok_or_else(|| {
            Failure::settings(
                "settings: `discord.token` is not set; set ERY_DISCORD__TOKEN to the bot's token, or \
                 try `ery playground`, which needs none",
            )
        })
    }

    /// Returns the credential of the cluster, or says how to give it.
    pub(crate) fn credential(&self) -> Result<ery_rpc::ClusterCredential, Failure> {
        let credential = self.cluster.credential.clone().ok_or_else(|| {
            Failure::settings(
                "settings: `cluster.credential` is not set; set ERY_CLUSTER__CREDENTIAL to one secret \
                 for all services",
            )
        })?;
        Ok(ery_rpc::ClusterCredential::new(credential))
    }
}

/// Shows whether a secret is set, and nothing of it.
#[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
fn redacted<S: Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(_) => serializer.serialize_some("(set)"),
        None => serializer.serialize_none(),
    }
}
