use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{runtime::Handle, sync::watch, time::Instant};

use ery_ids::{ReplicaId, ServiceName};
use ery_membership::{Claim, Membership, MembershipError, Registration, Replica};

use crate::background::spawn;

/// How long a registration outlives one who dropped it, as in a cluster.
const REGISTRATION_TTL: Duration = Duration::from_secs(15);

/// The replicas and claims of one process, in memory.
///
/// Nothing of it outlives the process, as nothing that it speaks of does.
pub struct EmbeddedMembership {
    state: Arc<Mutex<State>>,
    registration_ttl: Duration,
}

#[derive(Default)]
struct State {
    services: HashMap<ServiceName, watch::Sender<Arc<[Replica]>>>,
    /// Which registration of a replica counts: the one made last.
    registrations: HashMap<(ServiceName, ReplicaId), u64>,
    claims: HashMap<String, Holding>,
    /// Names registrations and claims.
    last_id: u64,
}

struct Holding {
    id: u64,
    /// Set once its holder dropped it.
    ends: Option<Instant>,
}

impl Default for EmbeddedMembership {
    fn default() -> Self {
        Self::new(REGISTRATION_TTL)
    }
}

impl EmbeddedMembership {
    /// Makes an empty one, in which a registration that is dropped stays for `registration_ttl`.
    pub fn new(registration_ttl: Duration) -> Self {
        Self { state: Arc::default(), registration_ttl }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Each change is made whole before anything in it can panic.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn service(&mut self, service: ServiceName) -> &watch::Sender<Arc<[Replica]>> {
        self.services.entry(service).or_insert_with(|| watch::Sender::new(Arc::default()))
    }

    fn add(&mut self, replica: Replica, id: u64) {
        self.registrations.insert((replica.service, replica.id.clone()), id);
        self.service(replica.service).send_modify(|replicas| {
            let mut all: Vec<Replica> =
                replicas.iter().filter(|other| other.id != replica.id).cloned().collect();
            all.push(replica);
            all.sort_by(|a, b| a.id.cmp(&b.id));
            *replicas = all.into();
        });
    }

    /// Takes a replica out, unless it was registered anew meanwhile.
    fn remove(&mut self, service: ServiceName, replica: &ReplicaId, id: u64) {
        let key = (service, replica.clone());
        if self.registrations.get(&key) != Some(&id) {
            return;
        }
        self.registrations.remove(&key);
        self.service(service).send_modify(|replicas| {
            *replicas = replicas.iter().filter(|other| other.id != *replica).cloned().collect();
        });
    }
}

#[async_trait]
impl Membership for EmbeddedMembership {
    async fn join(&self, replica: Replica) -> Result<Box<dyn Registration>, MembershipError> {
        let mut state = lock(&self.state);
        let id = state.next_id();
        let (service, name) = (replica.service, replica.id.clone());
        state.add(replica, id);
        drop(state);
        Ok(Box::new(EmbeddedRegistration {
            state: Arc::downgrade(&self.state),
            service,
            replica: name,
            id,
            ttl: self.registration_ttl,
            has_left: false,
        }))
    }

    async fn watch(
        &self,
        service: ServiceName,
    ) -> Result<watch::Receiver<Arc<[Replica]>>, MembershipError> {
        Ok(lock(&self.state).service(service).subscribe())
    }

    async fn claim(
        &self,
        name: &str,
        _owner: &ReplicaId,
        ttl: Duration,
    ) -> Result<Option<Box<dyn Claim>>, MembershipError> {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let held = state.claims.get(name);
        if held.is_some_and(|held| held.ends.is_none_or(|ends| now < ends)) {
            return Ok(None);
        }
        let id = state.next_id();
        state.claims.insert(name.to_owned(), Holding { id, ends: None });
        drop(state);
        let state = Arc::downgrade(&self.state);
        Ok(Some(Box::new(EmbeddedClaim { state, name: name.to_owned(), id, ttl })))
    }
}

struct EmbeddedRegistration {
    state: Weak<Mutex<State>>,
    service: ServiceName,
    replica: ReplicaId,
    id: u64,
    ttl: Duration,
    has_left: bool,
}

impl EmbeddedRegistration {
    fn remove(&mut self) {
        self.has_left = true;
        if let Some(state) = self.state.upgrade() {
            lock(&state).remove(self.service, &self.replica, self.id);
        }
    }
}

#[async_trait]
impl Registration for EmbeddedRegistration {
    async fn leave(mut self: Box<Self>) -> Result<(), MembershipError> {
        self.remove();
        Ok(())
    }
}

impl Drop for EmbeddedRegistration {
    fn drop(&mut self) {
        if self.has_left {
            return;
        }
        if Handle::try_current().is_err() {
            // The runtime has ended, and with it everyone who could notice.
            self.remove();
            return;
        }
        let (state, service, id) = (Weak::clone(&self.state), self.service, self.id);
        let (replica, ttl) = (self.replica.clone(), self.ttl);
        spawn(async move {
            tokio::time::sleep(ttl).await;
            if let Some(state) = state.upgrade() {
                lock(&state).remove(service, &replica, id);
            }
        });
    }
}

struct EmbeddedClaim {
    state: Weak<Mutex<State>>,
    name: String,
    id: u64,
    ttl: Duration,
}

#[async_trait]
impl Claim for EmbeddedClaim {
    async fn lost(&self) {
        // Within one process nobody but its holder can end a claim.
        pending::<()>().await;
    }

    async fn release(self: Box<Self>) -> Result<(), MembershipError> {
        if let Some(state) = self.state.upgrade() {
            let mut state = lock(&state);
            if state.claims.get(&self.name).is_some_and(|held| held.id == self.id) {
                state.claims.remove(&self.name);
            }
        }
        Ok(())
    }
}

impl Drop for EmbeddedClaim {
    fn drop(&mut self) {
        let ends = Instant::now() + self.ttl;
        if let Some(state) = self.state.upgrade()
            && let Some(held) = lock(&state).claims.get_mut(&self.name)
            && held.id == self.id
        {
            held.ends = Some(ends);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_replica_that_was_registered_anew_does_not_expire_with_its_first_registration() {
        let membership = EmbeddedMembership::new(Duration::from_secs(10));
        let replica = Replica {
            id: ReplicaId("a".into()),
            service: ServiceName::Store,
            address: String::new(),
        };
        drop(membership.join(replica.clone()).await.unwrap());
        tokio::time::advance(Duration::from_secs(5)).await;
        let _again = membership.join(replica.clone()).await.unwrap();
        let list = membership.watch(ServiceName::Store).await.unwrap();
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!(**list.borrow(), [replica]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_former_holder_cannot_free_the_next_ones_claim() {
        let membership = EmbeddedMembership::default();
        let (a, b) = (ReplicaId("a".into()), ReplicaId("b".into()));
        let ttl = Duration::from_secs(3);
        let former = membership.claim("x", &a, ttl).await.unwrap().unwrap();
        drop(former);
        assert!(membership.claim("x", &b, ttl).await.unwrap().is_none());
        tokio::time::advance(Duration::from_secs(4)).await;
        let _next = membership.claim("x", &b, ttl).await.unwrap().unwrap();
        assert!(membership.claim("x", &a, ttl).await.unwrap().is_none());
    }
}
