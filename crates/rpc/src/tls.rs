//! TLS between services: who serves shows a certificate, and so does who calls.
//!
//! Certificates of our own are read again once their files have changed; those of authorities at the
//! start only.

mod files;
mod own;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _};
use http::{Uri, uri::Scheme};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, pki_types::ServerName, server::WebPkiClientVerifier,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::transport::server::TcpIncoming;
use tower::{ServiceExt as _, util::MapRequest};

use own::OwnCertificate;

/// How long a caller may take to show who it is.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// How many callers may be doing so at once.
const HANDSHAKES: usize = 128;

const ALPN_H2: &[u8] = b"h2";

/// Where the certificates are, in PEM, and what is asked of others'.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Certificates of who signs those of the services.
    pub ca_file: PathBuf,
    /// Our own certificate, and those between it and the authority.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
    /// The name for which every service's certificate is made out; none: the host that is dialled.
    pub server_name: Option<String>,
    /// Whether callers must show a certificate.
    pub wants_client_certificates: bool,
}

/// Why TLS cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("`{path}` cannot be read")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{path}` holds no {what} in PEM")]
    Pem { path: PathBuf, what: &'static str },
    #[error("the certificate of `{cert}` cannot be used with the key of `{key}`")]
    Pair {
        cert: PathBuf,
        key: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("the authorities of `{path}` cannot be used")]
    Authorities {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("`{0}` is no name for which a certificate could be made out")]
    ServerName(String),
}

/// TLS as the services of an installation speak it with each other.
#[derive(Clone, Debug)]
pub struct Tls {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// Names the file with which something is wrong.
    pub fn open(files: &TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let own = Arc::new(OwnCertificate::open(files, &provider)?);
        let authorities = |source| TlsError::Authorities { path: files.ca_file.clone(), source };
        let mut roots = RootCertStore::empty();
        for certificate in files::certificates(&files.ca_file)? {
            roots.add(certificate).map_err(|error| authorities(error.into()))?;
        }
        let roots = Arc::new(roots);

        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| authorities(error.into()))?;
        let server = if files.wants_client_certificates {
            let verifier = WebPkiClientVerifier::builder_with_provider(
                Arc::clone(&roots),
                Arc::clone(&provider),
            );
            let verifier = verifier.build().map_err(|error| authorities(error.into()))?;
            server.with_client_cert_verifier(verifier)
        } else {
            server.with_no_client_auth()
        };
        let mut server = server.with_cert_resolver(Arc::<OwnCertificate>::clone(&own));
        server.alpn_protocols = vec![ALPN_H2.to_vec()];

        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| authorities(error.into()))?
            .with_root_certificates(roots)
            .with_client_cert_resolver(own);
        let server_name = match &files.server_name {
            Some(name) => {
                let parsed = ServerName::try_from(name.clone());
                Some(parsed.map_err(|_| TlsError::ServerName(name.clone()))?)
            }
            None => None,
        };
        Ok(Self { server: Arc::new(server), client: Arc::new(client), server_name })
    }

    /// Accepts callers; those that cannot show who they are get nothing.
    pub(crate) fn accept(
        &self,
        listener: TcpListener,
    ) -> impl Stream<Item = io::Result<TlsStream<TcpStream>>> + use<> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.server));
        TcpIncoming::from(listener)
            .with_nodelay(Some(true))
            .map(move |stream| {
                let acceptor = acceptor.clone();
                async move {
                    let stream = stream.map_err(Some)?;
                    match timeout(HANDSHAKE, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => Ok(stream),
                        Ok(Err(error)) => {
                            tracing::warn!(%error, "a caller without a fitting certificate is refused");
                            Err(None)
                        }
                        Err(_) => Err(None),
                    }
                }
            })
            .buffer_unordered(HANDSHAKES)
            // What goes wrong with one caller is no trouble of the listener.
            .filter_map(async |accepted| match accepted {
                Ok(stream) => Some(Ok(stream)),
                Err(error) => error.map(Err),
            })
    }

    /// Makes what connects to peers, by TLS always. It takes addresses without it: where TLS is spoken
    /// by anything but its own, tonic refuses `https`.
    pub(crate) fn connector(&self) -> Connector {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let builder = HttpsConnectorBuilder::new()
            .with_tls_config(ClientConfig::clone(&self.client))
            .https_only();
        let connector = match &self.server_name {
            Some(name) => builder
                .with_server_name_resolver(FixedServerNameResolver::new(name.clone()))
                .enable_http2()
                .wrap_connector(http),
            None => builder.enable_http2().wrap_connector(http),
        };
        connector.map_request(by_tls as fn(Uri) -> Uri)
    }
}

/// What connects to peers.
pub(crate) type Connector = MapRequest<HttpsConnector<HttpConnector>, fn(Uri) -> Uri>;

fn by_tls(address: Uri) -> Uri {
    let mut parts = address.into_parts();
    parts.scheme = Some(Scheme::HTTPS);
    Uri::from_parts(parts).expect("another scheme leaves an address one")
}
