use std::{fs, io, net::SocketAddr, path::Path, sync::Arc};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use ery_cluster::ClusterMembership;
use ery_ids::{ReplicaId, ServiceName};
use ery_membership::{Membership, MembershipError, Registration, Replica};
use ery_rpc::{ClusterCredential, Peers};

use crate::{failure::Failure, settings::Settings};

/// How a process that runs everything is reached: a file in its data folder, for its owner only.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) credential: String,
}

const FILE: &str = "ctl.json";

impl Endpoint {
    /// Writes the file, readable by its owner alone.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};

        let text = serde_json::to_string(self)?;
        let path = folder.join(FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())
    }

    fn read(folder: &Path) -> Result<Option<Self>, Failure> {
        let path = folder.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Failure::caused(&format!("could not read {}", path.display()), &error));
            }
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| Failure::caused(&format!("could not read {}", path.display()), &error))
    }
}

/// Returns the replicas of a service: by Redis alone in a cluster, so that NATS need not answer, else by
/// the data folder's file, which leads to the store, the ai-service and the tool-service.
pub(super) async fn peers(settings: &Settings, service: ServiceName) -> Result<Peers, Failure> {
    if let Some(credential) = &settings.cluster.credential {
        let credential = ClusterCredential::new(credential.clone());
        let membership = ClusterMembership::by_redis(&settings.redis)
            .await
            .map_err(|error| Failure::unavailable(crate::failure::chain(&error)))?;
        let tls = settings.rpc.tls.open()?;
        let peers = Peers::remote(service, &membership, &credential, tls.as_ref())
            .await
            .map_err(|error| Failure::unavailable(crate::failure::chain(&error)))?;
        if peers.count() == 0 {
            return Err(Failure::unavailable(format!(
                "no {} is running in this cluster",
                service.as_str()
            )));
        }
        return Ok(peers);
    }
    let folder = &settings.data_dir;
    let Some(endpoint) = Endpoint::read(folder)? else {
        return Err(Failure::unavailable(format!(
            "nothing runs on the data folder {}; give the folder of a running `ery all` by --data-dir, \
             or ERY_CLUSTER__CREDENTIAL and ERY_REDIS__URL of a cluster",
            folder.display()
        )));
    };
    let one = One(Replica {
        id: ReplicaId("all".into()),
        service,
        address: endpoint.address.to_string(),
    });
    let credential = ClusterCredential::new(SecretString::from(endpoint.credential));
    // On this machine, and known by a file that its owner alone can read.
    Peers::remote(service, &one, &credential, None).await.map_err(|error| {
        Failure::caused(&format!("could not reach the {}", service.as_str()), &error)
    })
}

/// A membership of one replica that is known beforehand.
struct One(Replica);

#[async_trait::async_trait]
impl Membership for One {
    async fn join(&self, _: Replica) -> Result<Box<dyn Registration>, MembershipError> {
        Err(fixed())
    }

    async fn watch(
        &self,
        _: ServiceName,
    ) -> Result<tokio::sync::watch::Receiver<Arc<[Replica]>>, MembershipError> {
        Ok(tokio::sync::watch::channel(Arc::from([self.0.clone()])).1)
    }

    async fn claim(
        &self,
        _: &str,
        _: &ReplicaId,
        _: std::time::Duration,
    ) -> Result<Option<Box<dyn ery_membership::Claim>>, MembershipError> {
        Err(fixed())
    }
}

fn fixed() -> MembershipError {
    MembershipError::Unavailable("one known replica is all there is".into())
}
