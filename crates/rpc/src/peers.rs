use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use tokio::sync::watch;
use tonic::{
    Status,
    body::Body,
    transport::{Channel, Endpoint},
};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

use ery_ids::{Home, ReplicaId, ServiceName};
use ery_membership::{Membership, MembershipError, Replica, rendezvous_index};

use crate::{BoxError, ClusterCredential, Transport, TransportError};

/// How long a connection to a peer may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How often an idle connection is probed, so that a peer gone without a word is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The replicas of one service, as its clients see them.
#[derive(Clone)]
pub struct Peers {
    inner: Arc<Inner>,
}

enum Inner {
    Local(Transport),
    Remote(Remote),
}

struct Remote {
    service: ServiceName,
    replicas: watch::Receiver<Arc<[Replica]>>,
    credential: Option<HeaderValue>,
    channels: Mutex<HashMap<ReplicaId, Channel>>,
    next: AtomicUsize,
}

impl Peers {
    /// Makes the peers of a service that runs in this process.
    pub fn local(transport: Transport) -> Self {
        Self { inner: Arc::new(Inner::Local(transport)) }
    }

    /// Finds the replicas of `service` by membership.
    ///
    /// # Errors
    ///
    /// If membership cannot be reached.
    pub async fn remote(
        service: ServiceName,
        membership: &dyn Membership,
        credential: &ClusterCredential,
    ) -> Result<Self, MembershipError> {
        let remote = Remote {
            service,
            replicas: membership.watch(service).await?,
            credential: credential.header(),
            channels: Mutex::default(),
            next: AtomicUsize::new(0),
        };
        Ok(Self { inner: Arc::new(Inner::Remote(remote)) })
    }

    /// Returns the transport to any replica: each call takes the next one.
    pub fn any(&self) -> Transport {
        self.transport(None)
    }

    /// Returns the transport to the replica that serves `home`, as membership knows it at the call.
    pub fn of(&self, home: Home) -> Transport {
        self.transport(Some(home.key()))
    }

    /// Returns how many replicas are known.
    pub fn count(&self) -> usize {
        match &*self.inner {
            Inner::Local(_) => 1,
            Inner::Remote(remote) => remote.replicas.borrow().len(),
        }
    }

    /// Returns a transport to each replica known now.
    pub fn each(&self) -> Vec<Transport> {
        match &*self.inner {
            Inner::Local(transport) => vec![transport.clone()],
            Inner::Remote(remote) => {
                let replicas = Arc::clone(&remote.replicas.borrow());
                (0..replicas.len())
                    .map(|index| {
                        let to = To::Replica(replicas[index].clone());
                        BoxCloneSyncService::new(Route { peers: self.clone(), to })
                    })
                    .collect()
            }
        }
    }

    fn transport(&self, key: Option<u64>) -> Transport {
        match &*self.inner {
            Inner::Local(transport) => transport.clone(),
            Inner::Remote(_) => {
                let to = key.map_or(To::Any, To::Owner);
                BoxCloneSyncService::new(Route { peers: self.clone(), to })
            }
        }
    }
}

#[derive(Clone)]
enum To {
    Any,
    Owner(u64),
    Replica(Replica),
}

/// Chooses the replica at each call, so that a client outlives the replicas.
#[derive(Clone)]
struct Route {
    peers: Peers,
    to: To,
}

impl Service<Request<Body>> for Route {
    type Response = Response<Body>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Response<Body>, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let Route { peers, to } = self.clone();
        Box::pin(async move {
            let Inner::Remote(remote) = &*peers.inner else {
                unreachable!("a route is made for remote peers only");
            };
            if let Some(credential) = &remote.credential {
                request.headers_mut().insert(AUTHORIZATION, credential.clone());
            }
            let channel = remote.channel(&to)?;
            channel.oneshot(request).await.map_err(|error| BoxError::from(error).into())
        })
    }
}

impl Remote {
    fn channel(&self, to: &To) -> Result<Channel, BoxError> {
        let replicas = Arc::clone(&self.replicas.borrow());
        let none = || Status::unavailable(format!("no replica of {} is known", self.service));
        let replica = match to {
            To::Replica(replica) => replica,
            To::Owner(key) => {
                let index = rendezvous_index(*key, &replicas).ok_or_else(none)?;
                &replicas[index]
            }
            To::Any => {
                let next = self.next.fetch_add(1, Ordering::Relaxed);
                replicas.get(next.checked_rem(replicas.len()).ok_or_else(none)?).ok_or_else(none)?
            }
        };
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(&replica.id) {
            return Ok(channel.clone());
        }
        channels.retain(|id, _| replicas.iter().any(|replica| replica.id == *id));
        // Connects at the first call, and again whenever the connection was lost.
        let channel = Endpoint::from_shared(format!("http://{}", replica.address))?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(1 << 22)
            .connect_lazy();
        channels.insert(replica.id.clone(), channel.clone());
        Ok(channel)
    }
}
