//! Logs and metrics of a process.
//!
//! Never in a log: what people wrote, prompts, completions, tokens, names, addresses.

use std::io::IsTerminal;

use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::Registry;
use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt, util::SubscriberInitExt};

/// The table `[telemetry]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which logs are written: `info`, or by part, `info,ery_store=debug`.
    pub log: String,
    /// How logs are written.
    pub log_format: LogFormat,
}

impl Default for Settings {
    fn default() -> Self {
        Self { log: "info".into(), log_format: LogFormat::Auto }
    }
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    Json,
    Text,
}

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("`telemetry.log` is `{given}`, which is no filter: write a level, or `part=level`, …")]
    Filter {
        given: String,
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    #[error("could not set the metrics up")]
    Metrics(#[from] opentelemetry_sdk::error::OTelSdkError),
    #[error("telemetry runs already in this process")]
    Running(#[from] tracing_subscriber::util::TryInitError),
}

/// Telemetry of the process; metrics live as long as it.
#[derive(Debug)]
pub struct Telemetry {
    /// What `/metrics` shows.
    pub metrics: Registry,
    _provider: SdkMeterProvider,
}

/// Starts logs (to standard error) and metrics.
///
/// # Errors
///
/// If the filter is none, or telemetry runs already.
pub fn start(settings: &Settings) -> Result<Telemetry, TelemetryError> {
    let filter = EnvFilter::try_new(&settings.log)
        .map_err(|source| TelemetryError::Filter { given: settings.log.clone(), source })?;
    let is_json = match settings.log_format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer = if is_json {
        layer.json().flatten_event(true).with_current_span(false).boxed()
    } else {
        layer.compact().with_target(false).boxed()
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).try_init()?;
    metrics()
}

/// Starts metrics alone.
///
/// # Errors
///
/// If the exporter cannot be made.
pub fn metrics() -> Result<Telemetry, TelemetryError> {
    let metrics = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(metrics.clone())
        .without_target_info()
        .build()?;
    let provider = SdkMeterProvider::builder().with_reader(exporter).build();
    opentelemetry::global::set_meter_provider(provider.clone());
    Ok(Telemetry { metrics, _provider: provider })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_is_named() {
        let settings = Settings { log: "ery=loudly".into(), ..Settings::default() };
        let error = start(&settings).unwrap_err();
        assert!(error.to_string().contains("ery=loudly"), "{error}");
    }
}
