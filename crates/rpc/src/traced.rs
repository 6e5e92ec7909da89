//! What calls tell of themselves: a span where the work is traced, and how long each took.

use std::{
    convert::Infallible,
    sync::LazyLock,
    task::{Context, Poll},
};

use futures::{FutureExt, future::BoxFuture};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use opentelemetry::KeyValue;
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::{Instrument, Span, field::Empty};

use ery_trace::{Timed, TraceParent, timed};

const TRACEPARENT: &str = "traceparent";

static SERVED: LazyLock<Timed> = LazyLock::new(|| {
    let meter = opentelemetry::global::meter("ery-rpc");
    let bounds = vec![
        0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
        10.0, 60.0,
    ];
    let about = "how long calls by other services took, to the end of the answer";
    timed(&meter, "ery_rpc_server_seconds", about, bounds)
});

/// Makes the span of a call to a peer, and tells the peer of it. None where nothing is traced: a call
/// by itself begins no trace.
pub(crate) fn calling(request: &mut Request<Body>) -> Option<Span> {
    let current = ery_trace::current()?;
    let name = name_of(request);
    let span = tracing::info_span!(
        "rpc.call.make",
        otel.name = name,
        otel.kind = "client",
        otel.status_code = Empty,
        rpc.system.name = "grpc",
        rpc.method = name,
        rpc.response.status_code = Empty,
    );
    tell(request.headers_mut(), ery_trace::of(&span).unwrap_or(current));
    Some(span)
}

/// Notes in the span of a call how it ended, as far as the head of the answer tells.
pub(crate) fn called<E>(span: &Span, answer: Result<&Response<Body>, &E>) {
    match answer {
        Ok(response) => {
            if let Some(code) = code_in(response.headers()) {
                note(span, code);
            }
        }
        Err(_) => note(span, Code::Unavailable),
    }
}

fn tell(headers: &mut HeaderMap, place: TraceParent) {
    if let Ok(value) = HeaderValue::try_from(place.to_string()) {
        headers.insert(TRACEPARENT, value);
    }
}

/// Traces and counts the calls that are served.
#[derive(Clone, Debug)]
pub(crate) struct Traced;

impl<S> Layer<S> for Traced {
    type Service = Serving<S>;

    fn layer(&self, inner: S) -> Serving<S> {
        Serving { inner }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Serving<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for Serving<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut served = Served::begin(&request);
        let answering = served.span.in_scope(|| self.inner.call(request));
        let answering = answering.instrument(served.span.clone());
        async move {
            let response = answering.await?;
            served.read(response.headers());
            Ok(response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    if let Some(trailers) = frame.trailers_ref() {
                        served.read(trailers);
                    }
                    frame
                }))
            }))
        }
        .boxed()
    }
}

/// A call that is served, to the end of its answer.
struct Served {
    span: Span,
    method: String,
    begun: Instant,
    code: Code,
}

impl Served {
    fn begin<B>(request: &Request<B>) -> Self {
        let name = name_of(request);
        let told = request.headers().get(TRACEPARENT).and_then(|told| told.to_str().ok());
        let parent: Option<TraceParent> = told.and_then(|told| told.parse().ok());
        // Within one process the work is traced where it is called.
        let is_traced = parent.is_some() || ery_trace::current().is_some();
        let span = if is_traced {
            tracing::info_span!(
                "rpc.call.serve",
                otel.name = name,
                otel.kind = "server",
                otel.status_code = Empty,
                rpc.system.name = "grpc",
                rpc.method = name,
                rpc.response.status_code = Empty,
            )
        } else {
            Span::none()
        };
        ery_trace::go_on(&span, parent);
        let method = name.rsplit_once('.').map_or(name, |(_, method)| method).to_owned();
        // Until the answer says otherwise: whoever asked has gone.
        Self { span, method, begun: Instant::now(), code: Code::Cancelled }
    }

    /// Reads how it ended, where that stands in these.
    fn read(&mut self, headers: &HeaderMap) {
        if let Some(code) = code_in(headers) {
            self.code = code;
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        note(&self.span, self.code);
        // What nobody serves may be called anything.
        let method = match self.code {
            Code::Unimplemented => "unknown".to_owned(),
            _ => std::mem::take(&mut self.method),
        };
        let labels = [KeyValue::new("method", method), KeyValue::new("code", word(self.code))];
        SERVED.record_of(ery_trace::of(&self.span), self.begun.elapsed().as_secs_f64(), &labels);
    }
}

fn note(span: &Span, code: Code) {
    if span.is_disabled() {
        return;
    }
    span.record("rpc.response.status_code", word(code));
    if is_failure(code) {
        span.record("otel.status_code", "ERROR");
    }
}

/// Returns `ery.store.v1.StoreService/BeginThread`.
fn name_of<B>(request: &Request<B>) -> &str {
    request.uri().path().trim_start_matches('/')
}

fn code_in(headers: &HeaderMap) -> Option<Code> {
    headers.get(Status::GRPC_STATUS).map(|code| Code::from_bytes(code.as_bytes()))
}

/// Whether it tells of whoever serves, not of whoever asked.
///
/// Source: OpenTelemetry's conventions for gRPC servers.
fn is_failure(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};

    matches!(code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
}

fn word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
