//! TLS between services, with certificates that each test makes.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Status,
    service::Routes,
    transport::{Certificate as TonicCertificate, ClientTlsConfig, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use ery_ids::{ReplicaId, ServiceName};
use ery_membership::{Claim, Membership, MembershipError, Registration, Replica};
use ery_rpc::{ClusterCredential, Peers, Tls, TlsError, TlsFiles, serve};

/// Who signs certificates, and the files that it made.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a certificate for these names, and says where it lies.
    fn files(&self, name: &str, names: &[&str]) -> TlsFiles {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        let certificate: Certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = TlsFiles {
            ca_file: self.path("ca.pem"),
            cert_file: self.path(&format!("{name}.pem")),
            key_file: self.path(&format!("{name}.key")),
            server_name: None,
            wants_client_certificates: true,
        };
        fs::write(&files.cert_file, certificate.pem()).unwrap();
        fs::write(&files.key_file, key.serialize_pem()).unwrap();
        files
    }

    fn service(&self, name: &str) -> TlsFiles {
        self.files(name, &["127.0.0.1"])
    }
}

/// A membership of one replica.
struct One(SocketAddr);

#[async_trait]
impl Membership for One {
    async fn join(&self, _: Replica) -> Result<Box<dyn Registration>, MembershipError> {
        Err(MembershipError::Unavailable("there is one".into()))
    }

    async fn watch(
        &self,
        service: ServiceName,
    ) -> Result<watch::Receiver<Arc<[Replica]>>, MembershipError> {
        let replica = Replica { id: ReplicaId("one".into()), service, address: self.0.to_string() };
        Ok(watch::channel(Arc::from([replica])).1)
    }

    async fn claim(
        &self,
        _: &str,
        _: &ReplicaId,
        _: Duration,
    ) -> Result<Option<Box<dyn Claim>>, MembershipError> {
        Err(MembershipError::Unavailable("there is one".into()))
    }
}

fn credential() -> ClusterCredential {
    ClusterCredential::new("between-services".into())
}

/// Serves nothing but health, and returns where.
#[expect(clippy::disallowed_methods, reason = "a test's own server, which ends with it")]
async fn served(tls: Option<&TlsFiles>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = tls.map(|files| Tls::open(files).unwrap());
    tokio::spawn(async move {
        let draining = CancellationToken::new();
        serve(listener, Routes::default(), credential(), tls.as_ref(), draining).await
    });
    address
}

async fn call(address: SocketAddr, tls: Option<&TlsFiles>) -> Result<(), Status> {
    let tls = tls.map(|files| Tls::open(files).unwrap());
    let (one, credential) = (One(address), credential());
    let peers = Peers::remote(ServiceName::Store, &one, &credential, tls.as_ref()).await.unwrap();
    let mut client = HealthClient::new(peers.any());
    let mut request = Request::new(HealthCheckRequest::default());
    request.set_timeout(Duration::from_secs(20));
    client.check(request).await.map(drop)
}

async fn is_refused(address: SocketAddr, tls: Option<&TlsFiles>) -> bool {
    match call(address, tls).await {
        Ok(()) => false,
        Err(status) => {
            // By TLS, or by what is no TLS: not by something else that went wrong.
            let text = format!("{status:?}").to_lowercase();
            let words = ["certificate", "alert", "invalidmessage", "corrupt", "frame_size_error"];
            assert!(words.iter().any(|word| text.contains(word)), "{status:?}");
            true
        }
    }
}

#[tokio::test]
async fn services_with_certificates_of_one_authority_reach_each_other() {
    let authority = Authority::new();
    let address = served(Some(&authority.service("store"))).await;
    call(address, Some(&authority.service("orchestrator"))).await.unwrap();
}

#[tokio::test]
async fn whoever_shows_no_certificate_or_that_of_another_authority_is_refused() {
    let (authority, other) = (Authority::new(), Authority::new());
    let store = authority.service("store");
    let address = served(Some(&store)).await;
    // It trusts the store, and its certificate is of another authority.
    let mut foreign = other.service("intruder");
    foreign.ca_file.clone_from(&store.ca_file);
    assert!(is_refused(address, Some(&foreign)).await);

    let ca = TonicCertificate::from_pem(fs::read(&store.ca_file).unwrap());
    let without = ClientTlsConfig::new().ca_certificate(ca).domain_name("127.0.0.1");
    let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
    let called = async {
        let channel = endpoint.tls_config(without.clone())?.connect().await?;
        let asked = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
        Ok::<_, Box<dyn std::error::Error>>(asked?)
    };
    assert!(called.await.is_err());

    // Where certificates are not asked for, the same caller gets in.
    let mut lenient = authority.service("lenient");
    lenient.wants_client_certificates = false;
    let address = served(Some(&lenient)).await;
    let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
    let channel = endpoint.tls_config(without).unwrap().connect().await.unwrap();
    HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap();
}

#[tokio::test]
async fn a_service_of_another_authority_or_of_another_name_is_not_called() {
    let (authority, other) = (Authority::new(), Authority::new());
    let caller = authority.service("orchestrator");
    let impostor = served(Some(&other.service("store"))).await;
    assert!(is_refused(impostor, Some(&caller)).await);

    let elsewhere = served(Some(&authority.files("elsewhere", &["elsewhere.test"]))).await;
    assert!(is_refused(elsewhere, Some(&caller)).await);
    // By the one name of all services, whatever the address.
    let named = served(Some(&authority.files("named", &["services.ery"]))).await;
    let by_name = TlsFiles { server_name: Some("services.ery".into()), ..caller };
    call(named, Some(&by_name)).await.unwrap();
}

#[tokio::test]
async fn nobody_speaks_in_the_clear_with_who_speaks_tls() {
    let authority = Authority::new();
    let store = authority.service("store");
    assert!(is_refused(served(Some(&store)).await, None).await);
    assert!(is_refused(served(None).await, Some(&store)).await);
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let (authority, other) = (Authority::new(), Authority::new());
    let files = authority.service("store");
    let tried = |change: &dyn Fn(&mut TlsFiles)| {
        let mut files = files.clone();
        change(&mut files);
        Tls::open(&files).unwrap_err()
    };
    let says = |error: &TlsError, path: &Path| {
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    };
    let absent = authority.path("absent.pem");
    says(&tried(&|it| it.ca_file.clone_from(&absent)), &absent);
    says(&tried(&|it| it.cert_file.clone_from(&it.key_file.clone())), &files.key_file);
    says(&tried(&|it| it.key_file.clone_from(&it.cert_file.clone())), &files.cert_file);
    let foreign = other.service("foreign").key_file;
    says(&tried(&|it| it.key_file.clone_from(&foreign)), &foreign);
    assert!(matches!(
        tried(&|it| it.server_name = Some("no name".into())),
        TlsError::ServerName(_)
    ));
}
