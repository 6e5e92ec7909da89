use tonic::{body::Body, service::Routes};
use tower::{Layer, ServiceExt, util::BoxCloneSyncService};

use crate::traced::Traced;

/// Any error, as tower has them.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a call was not carried to a service. A client shows it as a [`tonic::Status`].
///
/// A type of its own, because a boxed error would keep every future that makes a call from being
/// `Send`: the compiler cannot tell then that its lifetime is `'static`.
#[derive(Debug, thiserror::Error)]
#[error("the call could not be carried to the service")]
pub struct TransportError(#[source] BoxError);

impl From<BoxError> for TransportError {
    fn from(cause: BoxError) -> Self {
        Self(cause)
    }
}

/// What a generated client runs over: `StoreServiceClient<Transport>`.
pub type Transport = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, TransportError>;

/// Makes the transport to a service in this process: the same messages, with no socket between.
pub fn local(routes: Routes) -> Transport {
    let routes = Traced.layer(routes.prepare());
    BoxCloneSyncService::new(ServiceExt::<http::Request<Body>>::map_err(
        routes,
        |never: std::convert::Infallible| match never {},
    ))
}
