use http::{Request, Response};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    Status,
    body::Body,
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tower::{Layer, Service};

use crate::{ClusterCredential, Tls, traced::Traced};

/// Why a service's calls are served no longer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("could not serve calls")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves a service's calls to its peers until the process drains, then finishes those running.
///
/// Calls without the cluster's credential are refused with `UNAUTHENTICATED`; health checks are not.
/// With `tls`, who does not speak it, or cannot show who they are, gets no further than that.
///
/// # Errors
///
/// If the listener fails.
pub async fn serve(
    listener: TcpListener,
    routes: Routes,
    credential: ClusterCredential,
    tls: Option<&Tls>,
    draining: CancellationToken,
) -> Result<(), ServeError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("", tonic_health::ServingStatus::Serving).await;
    let server = Server::builder()
        .layer(RequireCredential { credential })
        .layer(Traced)
        .add_routes(routes)
        .add_service(health);
    let drained = async move { draining.cancelled().await };
    if let Some(tls) = tls {
        server.serve_with_incoming_shutdown(tls.accept(listener), drained).await?;
    } else {
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        server.serve_with_incoming_shutdown(incoming, drained).await?;
    }
    Ok(())
}

#[derive(Clone)]
struct RequireCredential {
    credential: ClusterCredential,
}

impl<S> Layer<S> for RequireCredential {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, credential: self.credential.clone() }
    }
}

#[derive(Clone)]
struct Guarded<S> {
    inner: S,
    credential: ClusterCredential,
}

impl<S, B> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future =
        futures::future::Either<S::Future, std::future::Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let is_health_check = request.uri().path().starts_with("/grpc.health.v1.Health/");
        if is_health_check || self.credential.is_in(request.headers()) {
            futures::future::Either::Left(self.inner.call(request))
        } else {
            let refused =
                Status::unauthenticated("the call does not carry the cluster's credential");
            futures::future::Either::Right(std::future::ready(Ok(refused.into_http())))
        }
    }
}
