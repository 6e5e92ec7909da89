//! What every way of running shares: telemetry, listeners, the admin port, the end.

use std::{
    error::Error,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, OnceLock},
};

use tokio::net::TcpListener;

use ery_lifecycle::{Admin, Ended, Exemplar, Health, Signals, Tasks};
use ery_telemetry::Telemetry;

use crate::{
    failure::{Failure, chain},
    settings::Settings,
};

/// Why a service ended, where that is more than a failure of our own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fatal(Arc<OnceLock<Failure>>);

impl Fatal {
    /// Runs a service; keeps what `classify` makes of its error, for the process's exit code.
    pub(crate) async fn watch<E: Error>(
        self,
        service: impl Future<Output = Result<(), E>>,
        classify: impl FnOnce(&E) -> Failure,
    ) -> Result<(), E> {
        let result = service.await;
        if let Err(error) = &result {
            // The first cause stands; what follows from it does not matter.
            drop(self.0.set(classify(error)));
        }
        result
    }
}

/// A process that has begun: it logs, and catches signals.
pub(crate) struct Process {
    pub(crate) fatal: Fatal,
    pub(crate) telemetry: Telemetry,
    pub(crate) signals: Signals,
    pub(crate) health: Health,
}

impl Process {
    /// Begins: signals first, so that one during the start ends it too. Traces know it by `name`.
    pub(crate) fn begin(settings: &Settings, name: &str) -> Result<Self, Failure> {
        let signals =
            Signals::catch().map_err(|error| Failure::caused("could not catch signals", &error))?;
        let telemetry =
            ery_telemetry::start(&settings.telemetry, name).map_err(|error| match error {
                ery_telemetry::TelemetryError::Filter { .. } => {
                    Failure::settings(error.to_string())
                }
                ery_telemetry::TelemetryError::Export(_) => Failure::settings(chain(&error)),
                other => Failure::caused("could not start telemetry", &other),
            })?;
        Ok(Self { fatal: Fatal::default(), telemetry, signals, health: Health::default() })
    }

    /// Runs a start that takes time, unless a signal ends it: then there is nothing to drain.
    pub(crate) async fn starting<T>(
        &mut self,
        start: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Option<T>, Failure> {
        tokio::select! {
            started = start => started.map(Some),
            () = self.signals.next() => Ok(None),
        }
    }

    /// Serves the admin port.
    pub(crate) async fn serve_admin(
        &self,
        settings: &Settings,
        tasks: &Tasks,
    ) -> Result<(), Failure> {
        let (listener, address) = bind(settings.admin.listen, "admin.listen").await?;
        tracing::info!(%address, "serving /healthz, /readyz and /metrics");
        let admin = Admin {
            health: self.health.clone(),
            metrics: self.telemetry.metrics.clone(),
            exemplars,
            draining: tasks.draining(),
        };
        tasks.spawn("admin", admin.serve(listener));
        Ok(())
    }

    /// Runs until the end, and says how it was.
    pub(crate) async fn run(self, stages: &[Tasks], settings: &Settings) -> Result<(), Failure> {
        let ended = self.signals.run(stages, settings.process.grace).await;
        // Last of all: the spans of the drain are sent, too.
        self.telemetry.finish().await;
        match ended {
            Ended::Drained => {
                tracing::info!("drained");
                Ok(())
            }
            Ended::OutOfTime => {
                tracing::warn!("the grace period ended before everything was finished");
                Ok(())
            }
            Ended::Failed(failure) => {
                Err(self.fatal.0.get().cloned().unwrap_or_else(|| Failure::internal(failure)))
            }
        }
    }
}

/// Binds a listener, or says which setting names an address that cannot be had.
pub(crate) async fn bind(
    address: SocketAddr,
    setting: &str,
) -> Result<(TcpListener, SocketAddr), Failure> {
    let failure = |error: std::io::Error| {
        let what = match error.kind() {
            std::io::ErrorKind::AddrInUse => "is taken by another process".to_owned(),
            std::io::ErrorKind::AddrNotAvailable => "is not an address of this machine".to_owned(),
            std::io::ErrorKind::PermissionDenied => "may not be used by this user".to_owned(),
            _ => format!("cannot be used: {error}"),
        };
        Failure::unavailable(format!("{address} {what}; give another by `{setting}`"))
    };
    let listener = TcpListener::bind(address).await.map_err(failure)?;
    let address = listener.local_addr().map_err(failure)?;
    Ok((listener, address))
}

/// Returns where this machine reaches a listener: on itself, if that listens on every address.
pub(crate) fn reached_here(mut listening: SocketAddr) -> SocketAddr {
    if listening.ip().is_unspecified() {
        listening.set_ip(match listening {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    listening
}

/// Returns the traces that stand for the buckets of a histogram.
fn exemplars(name: &str, labels: &[(&str, &str)]) -> Vec<Option<Exemplar>> {
    let exemplar = |it: ery_trace::Exemplar| Exemplar {
        trace_id: it.trace_id().to_string(),
        value: it.seconds,
        at: it.at,
    };
    ery_trace::exemplars(name, labels).into_iter().map(|it| it.map(exemplar)).collect()
}
