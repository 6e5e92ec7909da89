use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use tracing::Subscriber;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use crate::{
    Settings, TelemetryError,
    export::{Export, Queue},
};

/// Traces of the process, on their way to a collector.
#[derive(Debug)]
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    export: Export,
}

impl Traces {
    /// Begins; connects when the first spans are there.
    pub(crate) fn start(
        settings: &Settings,
        endpoint: &str,
        service: &str,
    ) -> Result<Self, TelemetryError> {
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(settings.otlp_timeout)
            .build()?;
        let resource = Resource::builder_empty()
            .with_service_name(service.to_owned())
            .with_attributes([
                KeyValue::new("service.namespace", "ery"),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            ])
            // What OTEL_RESOURCE_ATTRIBUTES says of this process stands, too.
            .with_detector(Box::new(opentelemetry_sdk::resource::EnvResourceDetector::new()))
            .build();
        let (queue, export) = Queue::start(exporter, &resource, settings);
        let share = Sampler::TraceIdRatioBased(settings.trace_ratio);
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(Sampler::ParentBased(Box::new(share)))
            .with_span_processor(queue)
            .build();
        Ok(Self { provider, export })
    }

    /// Makes spans of ours, and of nobody else, into those of traces.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + Send + Sync + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("ery"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|metadata| {
                metadata.is_span()
                    && *metadata.level() <= tracing::Level::INFO
                    && metadata.target().starts_with("ery")
            }))
    }

    /// Sends what is left.
    pub(crate) async fn finish(self) {
        self.export.finish().await;
    }
}
