use std::{fmt, sync::Arc};

use axum::{Router, routing::any};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use ery_lifecycle::Tasks;

use crate::{
    ConsoleError, Ports, Settings,
    adapters::calls::Calls,
    handlers::{front, front::Front},
    metrics::Metrics,
};

/// The console: the HTTP front door.
pub struct Service {
    front: Arc<Front>,
    /// Ends the sessions of clients, whose streams would else hold up the drain.
    closing: CancellationToken,
}

impl Service {
    /// Makes the service; it asks nobody yet.
    ///
    /// # Errors
    ///
    /// If a setting is out of its bounds.
    pub fn new(settings: Settings, ports: Ports) -> Result<Self, ConsoleError> {
        settings.validate()?;
        let calls = Calls {
            ports,
            lookup_timeout: settings.lookup_timeout,
            call_timeout: settings.call_timeout,
        };
        let closing = CancellationToken::new();
        let front = Front::new(settings, calls, Metrics::new(), closing.clone());
        Ok(Self { front: Arc::new(front), closing })
    }

    /// Serves until the process drains.
    ///
    /// # Errors
    ///
    /// If the listener fails.
    pub async fn run(self, listener: TcpListener, tasks: Tasks) -> Result<(), ConsoleError> {
        let router = Router::new().route("/mcp", any(front::handle)).with_state(self.front);
        let (draining, closing) = (tasks.draining(), self.closing);
        axum::serve(listener, router)
            .with_graceful_shutdown(async move {
                draining.cancelled().await;
                closing.cancel();
            })
            .await?;
        Ok(())
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}
