use std::time::Duration;

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri, header, uri, uri::Authority},
    response::Response,
};
use futures::StreamExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use super::{Page, refusal};

/// The largest request that is passed on: a message with a picture or two.
const MAX_REQUEST_BYTES: usize = 8 << 20;

/// How long the simulated Discord may take to begin its answer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Passes requests on to the simulated Discord's control API.
#[derive(Clone)]
pub(super) struct Proxy {
    /// Plain HTTP; a proxy that the environment names is none of its business.
    client: Client<HttpConnector, Body>,
    authority: Authority,
}

impl Proxy {
    pub(super) fn to(sim: &Authority) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), authority: sim.clone() }
    }
}

/// Passes a request on, and streams the answer back.
pub(super) async fn forward(State(page): State<Page>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_REQUEST_BYTES).await else {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large");
    };
    let request = match passed_on(&page.sim.authority, &parts, body) {
        Ok(request) => request,
        Err(error) => {
            tracing::debug!(%error, "a request could not be passed on");
            return refusal(StatusCode::BAD_REQUEST, "the request cannot be passed on");
        }
    };
    match tokio::time::timeout(TIMEOUT, page.sim.client.request(request)).await {
        Ok(Ok(answer)) => {
            let (parts, body) = answer.into_parts();
            let stream = Body::new(body).into_data_stream();
            let mut response = Response::new(Body::from_stream(
                stream.take_until(page.draining.cancelled_owned()),
            ));
            *response.status_mut() = parts.status;
            copy(
                &parts.headers,
                response.headers_mut(),
                &[header::CONTENT_TYPE, header::RETRY_AFTER],
            );
            response
        }
        Ok(Err(error)) => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "the simulated Discord could not be reached");
            refusal(StatusCode::BAD_GATEWAY, "the simulated Discord does not answer")
        }
        Err(_) => refusal(StatusCode::GATEWAY_TIMEOUT, "the simulated Discord takes too long"),
    }
}

fn passed_on(
    authority: &Authority,
    parts: &axum::http::request::Parts,
    body: Bytes,
) -> Result<Request<Body>, axum::http::Error> {
    let mut target = uri::Builder::new().scheme("http").authority(authority.clone());
    if let Some(path) = parts.uri.path_and_query() {
        target = target.path_and_query(path.clone());
    }
    let target: Uri = target.build()?;
    let mut request =
        Request::builder().method(parts.method.clone()).uri(target).body(Body::from(body))?;
    let passed =
        [header::ACCEPT, header::CONTENT_TYPE, header::HeaderName::from_static("last-event-id")];
    copy(&parts.headers, request.headers_mut(), &passed);
    Ok(request)
}

fn copy(from: &HeaderMap, to: &mut HeaderMap, names: &[header::HeaderName]) {
    for name in names {
        if let Some(value) = from.get(name) {
            to.insert(name, value.clone());
        }
    }
}
