use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response, header::AUTHORIZATION, request::Parts};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::watch;
use tonic::{
    Status,
    body::Body,
    transport::{Channel, Endpoint},
};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};
use tracing::Instrument;

use ery_ids::{Home, ReplicaId, ServiceName};
use ery_membership::{Membership, MembershipError, Replica, rendezvous_index};

use crate::{BoxError, ClusterCredential, Elsewhere, Tls, Transport, TransportError, traced};

/// How long a connection to a peer may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How often an idle connection is probed, so that a peer gone without a word is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How many replicas a call asks at most: a part may go on while it is on its way.
const HOPS: usize = 16;

/// The replicas of one service, as its clients see them.
#[derive(Clone)]
pub struct Peers {
    inner: Arc<Inner>,
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").field("count", &self.count()).finish_non_exhaustive()
    }
}

enum Inner {
    Local(Transport),
    Remote(Box<Remote>),
}

struct Remote {
    service: ServiceName,
    replicas: watch::Receiver<Arc<[Replica]>>,
    credential: Option<HeaderValue>,
    tls: Option<Tls>,
    /// By address: one that comes back under its name may have another.
    channels: Mutex<HashMap<String, Channel>>,
    next: AtomicUsize,
    owners: Owners,
}

/// Which replica was last heard to own each part, where the data is divided and parts may move.
#[derive(Default)]
struct Owners {
    /// 0: not known.
    parts: AtomicU32,
    /// One for each part at most.
    known: Mutex<HashMap<u32, ReplicaId>>,
}

impl Owners {
    fn of(&self, home: Home) -> Option<ReplicaId> {
        let parts = self.parts.load(Ordering::Acquire);
        if parts == 0 {
            return None;
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&home.store_shard(parts).0).cloned()
    }

    fn learn(&self, elsewhere: Elsewhere) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(elsewhere.part, ReplicaId(elsewhere.owner));
        self.parts.store(elsewhere.parts, Ordering::Release);
    }
}

impl Peers {
    /// Makes the peers of a service that runs in this process.
    pub fn local(transport: Transport) -> Self {
        Self { inner: Arc::new(Inner::Local(transport)) }
    }

    /// Finds the replicas of `service` by membership, and calls them by TLS where that is given.
    ///
    /// # Errors
    ///
    /// If membership cannot be reached.
    pub async fn remote(
        service: ServiceName,
        membership: &dyn Membership,
        credential: &ClusterCredential,
        tls: Option<&Tls>,
    ) -> Result<Self, MembershipError> {
        let remote = Remote {
            service,
            replicas: membership.watch(service).await?,
            credential: credential.header(),
            tls: tls.cloned(),
            channels: Mutex::default(),
            next: AtomicUsize::new(0),
            owners: Owners::default(),
        };
        Ok(Self { inner: Arc::new(Inner::Remote(Box::new(remote))) })
    }

    /// Returns the transport to any replica: each call takes the next one.
    pub fn any(&self) -> Transport {
        self.transport(To::Any)
    }

    /// Returns the transport to the replica that serves `home`, as membership knows it at the call.
    ///
    /// Of the store that is whoever says so: a call goes on to where a replica sends it ([`Elsewhere`]),
    /// and the next one goes there at once.
    pub fn of(&self, home: Home) -> Transport {
        self.transport(To::Owner(home))
    }

    /// Returns the transport to one replica, which need not live now.
    pub fn named(&self, replica: ReplicaId) -> Transport {
        self.transport(To::Named(replica))
    }

    /// Returns how many replicas are known.
    pub fn count(&self) -> usize {
        match &*self.inner {
            Inner::Local(_) => 1,
            Inner::Remote(remote) => remote.replicas.borrow().len(),
        }
    }

    /// Returns whether another replica than `this` is known.
    pub fn others(&self, this: &ReplicaId) -> bool {
        match &*self.inner {
            Inner::Local(_) => false,
            Inner::Remote(remote) => {
                remote.replicas.borrow().iter().any(|replica| replica.id != *this)
            }
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

    fn transport(&self, to: To) -> Transport {
        match &*self.inner {
            Inner::Local(transport) => transport.clone(),
            Inner::Remote(_) => BoxCloneSyncService::new(Route { peers: self.clone(), to }),
        }
    }
}

#[derive(Clone)]
enum To {
    Any,
    Owner(Home),
    Named(ReplicaId),
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
            let span = traced::calling(&mut request);
            let calling = remote.call(&to, request);
            let Some(span) = span else { return calling.await };
            let answer = calling.instrument(span.clone()).await;
            traced::called(&span, answer.as_ref());
            answer
        })
    }
}

impl Remote {
    async fn call(
        &self,
        to: &To,
        request: Request<Body>,
    ) -> Result<Response<Body>, TransportError> {
        if let (ServiceName::Store, To::Owner(home)) = (self.service, to) {
            return self.follow(*home, request).await;
        }
        let channel = self.channel(to)?;
        Ok(channel.oneshot(request).await.map_err(BoxError::from)?)
    }

    /// Calls whoever is known to own `home`, and goes on to where the answer says that it is.
    async fn follow(
        &self,
        home: Home,
        request: Request<Body>,
    ) -> Result<Response<Body>, TransportError> {
        let (parts, body) = request.into_parts();
        // Kept, so that it can be sent again; a client's message is one piece or two.
        let body = body.collect().await.map_err(BoxError::from)?.to_bytes();
        let again =
            |parts: &Parts| Request::from_parts(parts.clone(), Body::new(Full::new(body.clone())));
        let (mut asked, mut told): (Vec<ReplicaId>, Option<Elsewhere>) = (Vec::new(), None);
        while asked.len() < HOPS {
            let Some(next) = self.next(home, &asked) else { break };
            let channel = self.channel(&To::Named(next.clone()))?;
            let response = channel.oneshot(again(&parts)).await.map_err(BoxError::from)?;
            let Some(elsewhere) = Elsewhere::read(response.headers()) else {
                if let Some(told) = told {
                    self.owners.learn(Elsewhere { owner: next.0, ..told });
                }
                return Ok(response);
            };
            self.owners.learn(elsewhere.clone());
            asked.push(next);
            told = Some(elsewhere);
        }
        Err(BoxError::from(match told {
            Some(told) => {
                Status::unavailable(format!("the {} `{}` is not there", self.service, told.owner))
            }
            None => self.none(),
        })
        .into())
    }

    /// Returns whom to ask next for `home`: who is said to own it, if that one lives and was not just
    /// asked; else one that was not asked yet. Who is said to may have given it on, and gone.
    fn next(&self, home: Home, asked: &[ReplicaId]) -> Option<ReplicaId> {
        let replicas = Arc::clone(&self.replicas.borrow());
        let said = self.owners.of(home).filter(|said| asked.last() != Some(said));
        if let Some(said) = said.filter(|said| replicas.iter().any(|it| it.id == *said)) {
            return Some(said);
        }
        if asked.is_empty() {
            return rendezvous_index(home.key(), &replicas).map(|index| replicas[index].id.clone());
        }
        let left = replicas.iter().filter(|replica| !asked.contains(&replica.id));
        let left: Vec<Replica> = left.cloned().collect();
        rendezvous_index(home.key(), &left).map(|index| left[index].id.clone())
    }

    fn none(&self) -> Status {
        Status::unavailable(format!("no replica of {} is known", self.service))
    }

    fn channel(&self, to: &To) -> Result<Channel, BoxError> {
        let replicas = Arc::clone(&self.replicas.borrow());
        let none = || self.none();
        let replica = match to {
            To::Replica(replica) => replica,
            To::Owner(home) => {
                let index = rendezvous_index(home.key(), &replicas).ok_or_else(none)?;
                &replicas[index]
            }
            To::Named(id) => {
                let known = replicas.iter().find(|replica| replica.id == *id);
                known.ok_or_else(|| {
                    Status::unavailable(format!("the {} `{id}` is not there", self.service))
                })?
            }
            To::Any => {
                let next = self.next.fetch_add(1, Ordering::Relaxed);
                replicas.get(next.checked_rem(replicas.len()).ok_or_else(none)?).ok_or_else(none)?
            }
        };
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(&replica.address) {
            return Ok(channel.clone());
        }
        channels.retain(|address, _| replicas.iter().any(|replica| replica.address == *address));
        // Connects at the first call, and again whenever the connection was lost.
        let endpoint = Endpoint::from_shared(format!("http://{}", replica.address))?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(1 << 22);
        let channel = match &self.tls {
            Some(tls) => endpoint.connect_with_connector_lazy(tls.connector()),
            None => endpoint.connect_lazy(),
        };
        channels.insert(replica.address.clone(), channel.clone());
        Ok(channel)
    }
}
