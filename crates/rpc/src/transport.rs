use tonic::{body::Body, service::Routes};
use tower::{ServiceExt, util::BoxCloneSyncService};

/// Any error, as tower has them.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a generated client runs over: `StoreServiceClient<Transport>`.
pub type Transport = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, BoxError>;

/// Makes the transport to a service in this process: the same messages, with no socket between.
pub fn local(routes: Routes) -> Transport {
    let routes = routes.prepare();
    BoxCloneSyncService::new(ServiceExt::<http::Request<Body>>::map_err(
        routes,
        |never: std::convert::Infallible| match never {},
    ))
}
