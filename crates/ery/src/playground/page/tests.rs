use std::{net::SocketAddr, time::Duration};

use async_trait::async_trait;
use axum::body::{Body, Bytes, to_bytes};
use futures::{StreamExt, stream::BoxStream};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tower::ServiceExt;

use ery_event_bus::{
    BusError, Event, EventDeliveries, FollowedEvents, GatewayShard, ResumePoint, Topic,
};
use ery_ids::Part;

use super::*;

/// A bus that only broadcasts.
struct Broadcasts(broadcast::Sender<Bytes>);

#[async_trait]
impl EventBus for Broadcasts {
    async fn publish(&self, _: Event) -> Result<(), BusError> {
        Err(BusError::Full)
    }

    async fn consume(&self, _: &str, _: &[&str], _: Part) -> Result<EventDeliveries, BusError> {
        Err(BusError::Full)
    }

    async fn follow(&self, _: &[&str]) -> Result<FollowedEvents, BusError> {
        Err(BusError::Full)
    }

    async fn broadcast(&self, _: Topic, payload: Bytes) -> Result<(), BusError> {
        self.0.send(payload).map(drop).map_err(|_| BusError::Full)
    }

    async fn listen(&self, _: Topic) -> Result<BoxStream<'static, Bytes>, BusError> {
        let heard = BroadcastStream::new(self.0.subscribe());
        Ok(heard.filter_map(async |payload| payload.ok()).boxed())
    }

    async fn save_resume_point(
        &self,
        _: GatewayShard,
        _: Option<&ResumePoint>,
    ) -> Result<(), BusError> {
        Err(BusError::Full)
    }

    async fn resume_point(&self, _: GatewayShard) -> Result<Option<ResumePoint>, BusError> {
        Err(BusError::Full)
    }
}

struct Stand {
    router: Router,
    bus: Arc<dyn EventBus>,
    draining: CancellationToken,
}

fn stand(sim: SocketAddr) -> Stand {
    let bus: Arc<dyn EventBus> = Arc::new(Broadcasts(broadcast::channel(16).0));
    let store = Peers::local(ery_rpc::local(tonic::service::Routes::default()));
    let draining = CancellationToken::new();
    let sim = sim.to_string().parse().unwrap();
    let router = router(&sim, Arc::clone(&bus), store, draining.clone());
    Stand { router, bus, draining }
}

/// Where nothing listens.
fn nowhere() -> SocketAddr {
    ([127, 0, 0, 1], 1).into()
}

async fn get_path(router: &Router, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn text_of(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn the_page_brings_nothing_from_elsewhere_and_nothing_inline() {
    let stand = stand(nowhere());
    for (path, content_type) in
        [("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")]
    {
        let response = get_path(&stand.router, path, &[]).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let headers = response.headers().clone();
        assert!(headers[header::CONTENT_TYPE].to_str().unwrap().starts_with(content_type));
        assert!(headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("'none'"));
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        let text = text_of(response).await;
        for foreign in
            ["http://", "https://", "innerHTML", "outerHTML", "insertAdjacentHTML", "eval("]
        {
            assert!(!text.contains(foreign), "{path} has {foreign}");
        }
    }
}

#[tokio::test]
async fn another_sites_page_may_not_speak_for_members() {
    let stand = stand(nowhere());
    let host = ("host", "127.0.0.1:8710");
    for (origin, status) in [
        ("http://127.0.0.1:8710", StatusCode::OK),
        ("https://evil.example", StatusCode::FORBIDDEN),
        ("http://127.0.0.1:9999", StatusCode::FORBIDDEN),
        ("null", StatusCode::FORBIDDEN),
    ] {
        let response = get_path(&stand.router, "/", &[host, ("origin", origin)]).await;
        assert_eq!(response.status(), status, "{origin}");
    }
}

#[tokio::test]
async fn progress_is_told_as_it_happens_and_ends_with_the_process() {
    let stand = stand(nowhere());
    let response = get_path(&stand.router, "/api/progress", &[]).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut body = response.into_body().into_data_stream();
    let step = Bytes::from_static(br#"{"thread":"t","kind":"begun"}"#);
    stand.bus.broadcast(Topic::ThreadProgress, step).await.unwrap();
    let first = body.next().await.unwrap().unwrap();
    assert_eq!(first, Bytes::from_static(b"data: {\"thread\":\"t\",\"kind\":\"begun\"}\n\n"));
    stand.draining.cancel();
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn requests_are_passed_on_to_the_simulated_discord() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sim = listener.local_addr().unwrap();
    let echo = Router::new().route(
        "/sim/v1/messages",
        axum::routing::post(async |request: Request| {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let kind = request.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
            let body = text_of(Response::new(request.into_body())).await;
            (StatusCode::IM_A_TEAPOT, format!("{query} {kind} {body}"))
        }),
    );
    let tasks = ery_lifecycle::Tasks::new();
    tasks.spawn("sim", async move { axum::serve(listener, echo).await });
    let stand = stand(sim);
    let request = Request::post("/sim/v1/messages?a=1")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from("{}"))
        .unwrap();
    let response = stand.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(text_of(response).await, "a=1 application/json {}");
    tasks.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn what_does_not_answer_is_named() {
    let stand = stand(nowhere());
    let response = get_path(&stand.router, "/sim/v1/world", &[]).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert!(text_of(response).await.contains("simulated Discord"));
    let response = get_path(&stand.router, "/api/executions?guild=5", &[]).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert!(text_of(response).await.contains("store"));
    let response = get_path(&stand.router, "/api/threads", &[]).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}
