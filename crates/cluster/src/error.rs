use std::error::Error;

/// Why a process could not join the cluster. Never contains credentials.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("`{key}` cannot be used: {reason}")]
    InvalidUrl { key: &'static str, reason: &'static str },
    #[error("`{key}` names `{path}`, which cannot be read")]
    CaFile {
        key: &'static str,
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("NATS at {servers} cannot be reached: is it running, and is ERY_NATS__URL right?")]
    NatsUnreachable {
        servers: String,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error(
        "NATS at {servers} refuses the credentials: see ERY_NATS__URL, ERY_NATS__USER and \
         ERY_NATS__PASSWORD"
    )]
    NatsRefused { servers: String },
    #[error("NATS at {servers} is version {version}; {floor} or newer is needed")]
    NatsTooOld { servers: String, version: String, floor: &'static str },
    #[error(
        "NATS at {servers} has no JetStream: start it with `--jetstream`, or allow the account"
    )]
    NoJetStream { servers: String },
    #[error("NATS at {servers} refuses to keep `{name}` as `[nats]` describes it")]
    Stream {
        servers: String,
        name: &'static str,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("Redis at {server} cannot be reached: is it running, and is ERY_REDIS__URL right?")]
    RedisUnreachable {
        server: String,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("Redis at {server} refuses the credentials: see ERY_REDIS__URL")]
    RedisRefused { server: String },
}

/// A question that was not answered in its time.
#[derive(Debug, thiserror::Error)]
#[error("{0} did not answer in time")]
pub(crate) struct NoAnswer(pub(crate) &'static str);
