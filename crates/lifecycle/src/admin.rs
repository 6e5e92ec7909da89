use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::ACCEPT},
    response::IntoResponse,
    routing::get,
};
use prometheus::{Encoder, Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::exposition::{FindExemplars, OPEN_METRICS, open_metrics};

/// What a process says of itself: which of its parts are ready.
#[derive(Clone, Debug, Default)]
pub struct Health {
    parts: Arc<Mutex<BTreeMap<&'static str, bool>>>,
}

impl Health {
    /// Registers a part, which is not ready yet.
    pub fn part(&self, name: &'static str) -> Readiness {
        self.set(name, false);
        Readiness { name, health: self.clone() }
    }

    /// Returns the parts that are not ready.
    pub fn waiting_for(&self) -> Vec<&'static str> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.iter().filter(|(_, ready)| !**ready).map(|(name, _)| *name).collect()
    }

    fn set(&self, name: &'static str, ready: bool) {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).insert(name, ready);
    }
}

/// One part's say in whether the process is ready.
#[derive(Clone, Debug)]
pub struct Readiness {
    name: &'static str,
    health: Health,
}

impl Readiness {
    pub fn set(&self, ready: bool) {
        self.health.set(self.name, ready);
    }
}

/// The admin port: `/healthz`, `/readyz` and `/metrics`.
#[derive(Clone, Debug)]
pub struct Admin {
    pub health: Health,
    pub metrics: Registry,
    pub exemplars: FindExemplars,
    pub draining: CancellationToken,
}

impl Admin {
    /// Serves until the process has drained.
    ///
    /// # Errors
    ///
    /// If the listener fails.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let draining = self.draining.clone();
        let router = Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self);
        axum::serve(listener, router)
            .with_graceful_shutdown(async move { draining.cancelled().await })
            .await
    }
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, String) {
    if admin.draining.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned());
    }
    let waiting = admin.health.waiting_for();
    if waiting.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {}\n", waiting.join(", ")))
    }
}

/// Writes the metrics in the `OpenMetrics` format for whoever asks for it, as Prometheus does, and else in the
/// older one.
async fn metrics(State(admin): State<Admin>, headers: HeaderMap) -> impl IntoResponse {
    let accepted = headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
    if accepted.is_some_and(|accepted| accepted.contains("application/openmetrics-text")) {
        let text = open_metrics(&admin.metrics.gather(), admin.exemplars).into_bytes();
        return (StatusCode::OK, [("content-type", OPEN_METRICS.to_owned())], text);
    }
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&admin.metrics.gather(), &mut text) {
        Ok(()) => (StatusCode::OK, [("content-type", encoder.format_type().to_owned())], text),
        Err(error) => {
            tracing::warn!(%error, "could not write the metrics out");
            let headers = [("content-type", "text/plain".to_owned())];
            (StatusCode::INTERNAL_SERVER_ERROR, headers, Vec::new())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_once_all_its_parts_are() {
        let health = Health::default();
        let (store, gateway) = (health.part("store"), health.part("gateway"));
        store.set(true);
        assert_eq!(health.waiting_for(), ["gateway"]);
        gateway.set(true);
        assert!(health.waiting_for().is_empty());
    }
}
