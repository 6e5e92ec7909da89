//! The chat page, and what stands behind it: one origin for the page, the simulated Discord's
//! control API, the task threads' progress, and the records in the store.

mod progress;
mod proxy;
mod records;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header, uri::Authority},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use ery_event_bus::EventBus;
use ery_lifecycle::Tasks;
use ery_rpc::Peers;

use self::proxy::Proxy;

const HTML: &str = include_str!("page.html");
const CSS: &str = include_str!("page.css");
const JS: &str = include_str!("page.js");

/// Nothing from elsewhere, nothing inline, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// What the handlers share.
#[derive(Clone)]
struct Page {
    bus: Arc<dyn EventBus>,
    store: Peers,
    sim: Proxy,
    /// Ends the streams: a browser that listens must not hold the process.
    draining: CancellationToken,
}

/// Makes the page and its API; `sim` is where the simulated Discord is reached.
pub(crate) fn router(
    sim: &Authority,
    bus: Arc<dyn EventBus>,
    store: Peers,
    draining: CancellationToken,
) -> Router {
    let page = Page { bus, store, sim: Proxy::to(sim), draining };
    Router::new()
        .route("/", get(|| async { asset("text/html; charset=utf-8", HTML) }))
        .route("/page.css", get(|| async { asset("text/css; charset=utf-8", CSS) }))
        .route("/page.js", get(|| async { asset("text/javascript; charset=utf-8", JS) }))
        .route("/api/progress", get(progress::follow))
        .route("/api/threads", get(records::threads))
        .route("/api/executions", get(records::executions))
        .route("/sim/{*path}", any(proxy::forward))
        .layer(middleware::from_fn(guard))
        .with_state(page)
}

/// Serves them until the tasks drain.
pub(crate) fn serve(listener: TcpListener, router: Router, tasks: &Tasks) {
    let draining = tasks.draining();
    tasks.spawn("page", async move {
        axum::serve(listener, router)
            .with_graceful_shutdown(async move { draining.cancelled().await })
            .await
    });
}

fn asset(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, content_type)], text)
}

/// Refuses other sites' pages, and adds the headers that every answer has.
///
/// A browser sends a request from any page to an address of this machine; it says from which
/// origin it comes, and only our own may speak for members.
async fn guard(request: Request, next: Next) -> Response {
    let mut response = if is_own_origin(&request) {
        next.run(request).await
    } else {
        refusal(StatusCode::FORBIDDEN, "this request comes from another site's page")
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Tells whether a request comes from this page, or from no page at all.
fn is_own_origin(request: &Request) -> bool {
    let text = |name: HeaderName| request.headers().get(name).map(HeaderValue::to_str);
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => true,
        (Some(Ok(origin)), Some(Ok(host))) => {
            origin.split_once("://").is_some_and(|(_, origin)| origin == host)
        }
        _ => false,
    }
}

/// An answer that says in one sentence why there is none, in the shape of Discord's own errors.
fn refusal(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

#[cfg(test)]
mod tests;
