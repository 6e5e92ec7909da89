use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::ensure;
pub use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value},
    trace::v1::{Span, status::StatusCode},
};
use tonic::{Request, Response, Status, transport::server::TcpIncoming};

/// A collector of traces, as OTLP over gRPC has it.
#[derive(Clone, Debug)]
pub struct Collector {
    spans: Arc<Mutex<Vec<CollectedSpan>>>,
    url: String,
}

/// A span as it came in; ids in hex.
#[derive(Clone, Debug)]
pub struct CollectedSpan {
    /// `service.name` of the process that made it.
    pub service: String,
    pub name: String,
    pub trace: String,
    pub id: String,
    /// Empty for the first of its trace.
    pub parent: String,
    pub kind: SpanKind,
    pub attributes: BTreeMap<String, String>,
    /// The traces that it is linked to.
    pub links: Vec<String>,
    pub is_error: bool,
    /// Since the Unix epoch.
    pub started_ns: u64,
    pub ended_ns: u64,
}

impl Collector {
    /// Serves it on a free port.
    #[expect(clippy::disallowed_methods, reason = "a test's own server, which ends with it")]
    pub async fn start() -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let collector = Self { spans: Arc::default(), url };
        let service = TraceServiceServer::new(collector.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        Ok(collector)
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns all spans so far.
    pub fn spans(&self) -> Vec<CollectedSpan> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the spans of the trace that has a span whose attribute is this.
    pub fn trace_with(&self, attribute: &str, value: &str) -> Vec<CollectedSpan> {
        let spans = self.spans();
        let has =
            |span: &&CollectedSpan| span.attributes.get(attribute).is_some_and(|it| it == value);
        let Some(trace) = spans.iter().find(has).map(|span| span.trace.clone()) else {
            return Vec::new();
        };
        spans.into_iter().filter(|span| span.trace == trace).collect()
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        for resource in request.into_inner().resource_spans {
            let of_resource = resource.resource.map(|it| attributes(it.attributes));
            let service = of_resource.and_then(|mut it| it.remove("service.name"));
            let service = service.unwrap_or_default();
            let scopes = resource.scope_spans.into_iter();
            spans.extend(scopes.flat_map(|it| it.spans).map(|span| read(&service, span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn read(service: &str, span: Span) -> CollectedSpan {
    let is_error = span.status.as_ref().is_some_and(|it| it.code() == StatusCode::Error);
    CollectedSpan {
        service: service.to_owned(),
        kind: span.kind(),
        name: span.name,
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        attributes: attributes(span.attributes),
        links: span.links.iter().map(|link| hex(&link.trace_id)).collect(),
        is_error,
        started_ns: span.start_time_unix_nano,
        ended_ns: span.end_time_unix_nano,
    }
}

fn attributes(values: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: any_value::Value| match value {
        any_value::Value::StringValue(text) => text,
        any_value::Value::BoolValue(value) => value.to_string(),
        any_value::Value::IntValue(value) => value.to_string(),
        any_value::Value::DoubleValue(value) => value.to_string(),
        other => format!("{other:?}"),
    };
    let read = |pair: KeyValue| Some((pair.key, text(pair.value?.value?)));
    values.into_iter().filter_map(read).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

/// Refuses spans that are not one trace with one beginning, in which every parent stands.
pub fn connected(spans: &[CollectedSpan]) -> anyhow::Result<()> {
    let traces: BTreeSet<_> = spans.iter().map(|span| &span.trace).collect();
    ensure!(traces.len() == 1, "{} traces: {spans:#?}", traces.len());
    let ids: BTreeSet<_> = spans.iter().map(|span| &span.id).collect();
    ensure!(ids.len() == spans.len(), "an id stands twice");
    let roots: Vec<_> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    ensure!(roots.len() == 1, "the trace has these beginnings: {roots:#?}");
    for span in spans.iter().filter(|span| !span.parent.is_empty()) {
        ensure!(ids.contains(&span.parent), "the parent of this is not there: {span:#?}");
    }
    Ok(())
}
