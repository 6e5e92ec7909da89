//! Logs, traces and metrics of a process.
//!
//! Never in a log or a span: what people wrote, prompts, completions, tokens, names, addresses.

mod export;
mod logs;
mod settings;
mod traces;

pub use settings::{InvalidTelemetry, LogFormat, Settings};

use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::Registry;
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry as Subscriber, layer::SubscriberExt, reload,
    util::SubscriberInitExt,
};

use traces::Traces;

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
    #[error("could not set the export to `telemetry.otlp_endpoint` up")]
    Export(#[from] opentelemetry_otlp::ExporterBuildError),
    #[error("telemetry runs already in this process")]
    Running(#[from] tracing_subscriber::util::TryInitError),
    #[error("telemetry has ended in this process")]
    Ended(#[from] reload::Error),
}

/// Telemetry of the process; metrics live as long as it.
#[derive(Debug)]
pub struct Telemetry {
    /// What `/metrics` shows.
    pub metrics: Registry,
    /// Which logs are written; none where none are.
    pub log: Option<LogFilter>,
    _provider: SdkMeterProvider,
    traces: Option<Traces>,
}

impl Telemetry {
    /// Sends the spans that are left, last of all.
    pub async fn finish(self) {
        if let Some(traces) = self.traces {
            traces.finish().await;
        }
    }
}

/// Which logs are written, which can be changed while the process runs.
#[derive(Clone, Debug)]
pub struct LogFilter(reload::Handle<logs::Events, Subscriber>);

impl LogFilter {
    /// Writes from now on what `telemetry.log` says.
    ///
    /// # Errors
    ///
    /// If that is no filter: then nothing changes.
    pub fn set(&self, log: &str) -> Result<(), TelemetryError> {
        self.0.reload(logs::Events(parsed(log)?))?;
        Ok(())
    }
}

fn parsed(log: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(log)
        .map_err(|source| TelemetryError::Filter { given: log.to_owned(), source })
}

/// Starts logs (to standard error), metrics, and traces where `telemetry.otlp_endpoint` says where
/// they go to. `service` is what the traces call this process.
///
/// To be called inside the runtime.
///
/// # Errors
///
/// If the filter or the address is none, or telemetry runs already.
pub fn start(settings: &Settings, service: &str) -> Result<Telemetry, TelemetryError> {
    let (filter, log) = reload::Layer::new(logs::Events(parsed(&settings.log)?));
    let mut telemetry = metrics()?;
    let endpoint = settings.otlp_endpoint.as_deref();
    let traces = endpoint.map(|endpoint| Traces::start(settings, endpoint, service)).transpose()?;
    tracing_subscriber::registry()
        .with(logs::layer(settings.log_format).with_filter(filter))
        .with(traces.as_ref().map(Traces::layer))
        .try_init()?;
    telemetry.traces = traces;
    telemetry.log = Some(LogFilter(log));
    Ok(telemetry)
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
    Ok(Telemetry { metrics, log: None, _provider: provider, traces: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_is_named() {
        let settings = Settings { log: "ery=loudly".into(), ..Settings::default() };
        let error = start(&settings, "test").unwrap_err();
        assert!(error.to_string().contains("ery=loudly"), "{error}");
    }
}
