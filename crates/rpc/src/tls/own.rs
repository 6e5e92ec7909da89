use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use rustls::{
    SignatureScheme,
    client::ResolvesClientCert,
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::time::Instant;

use super::{TlsError, TlsFiles, files};

/// How often the files are looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The certificate that we show, read again once its files have changed.
///
/// Connections that stand keep the one with which they were made.
#[derive(Debug)]
pub(super) struct OwnCertificate {
    cert_file: PathBuf,
    key_file: PathBuf,
    provider: Arc<CryptoProvider>,
    shown: Mutex<Shown>,
}

#[derive(Debug)]
struct Shown {
    key: Arc<CertifiedKey>,
    /// When both files were last changed, as far as that can be told.
    changed: [Option<SystemTime>; 2],
    looked_at: Instant,
}

impl OwnCertificate {
    pub(super) fn open(files: &TlsFiles, provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let (cert_file, key_file) = (files.cert_file.clone(), files.key_file.clone());
        let provider = Arc::clone(provider);
        let shown = Shown {
            changed: changed(&cert_file, &key_file),
            key: read(&cert_file, &key_file, &provider)?,
            looked_at: Instant::now(),
        };
        Ok(Self { cert_file, key_file, provider, shown: Mutex::new(shown) })
    }

    fn current(&self) -> Arc<CertifiedKey> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.looked_at.elapsed() >= LOOK_EVERY {
            shown.looked_at = Instant::now();
            let changed = changed(&self.cert_file, &self.key_file);
            if changed != shown.changed {
                match read(&self.cert_file, &self.key_file, &self.provider) {
                    Ok(key) => {
                        (shown.key, shown.changed) = (key, changed);
                        tracing::info!("the certificate for calls between services is renewed");
                    }
                    // Half of it may be written yet: it is looked at again.
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "the renewed certificate cannot be used; showing the former one"
                        );
                    }
                }
            }
        }
        Arc::clone(&shown.key)
    }
}

fn changed(cert_file: &Path, key_file: &Path) -> [Option<SystemTime>; 2] {
    [cert_file, key_file].map(|path| fs::metadata(path).and_then(|it| it.modified()).ok())
}

fn read(
    cert_file: &Path,
    key_file: &Path,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let (chain, key) = (files::certificates(cert_file)?, files::key(key_file)?);
    let pair = CertifiedKey::from_der(chain, key, provider).map_err(|source| TlsError::Pair {
        cert: cert_file.to_owned(),
        key: key_file.to_owned(),
        source,
    })?;
    Ok(Arc::new(pair))
}

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl ResolvesClientCert for OwnCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn write(files: &TlsFiles, changed: SystemTime) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        let certificate = certificate.self_signed(&key).unwrap();
        for (path, pem) in
            [(&files.cert_file, certificate.pem()), (&files.key_file, key.serialize_pem())]
        {
            fs::write(path, pem).unwrap();
            fs::File::options().write(true).open(path).unwrap().set_modified(changed).unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewed_certificate_is_shown_and_one_that_cannot_be_used_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            ca_file: PathBuf::new(),
            cert_file: folder.path().join("cert.pem"),
            key_file: folder.path().join("key.pem"),
            server_name: None,
            wants_client_certificates: true,
        };
        let day = |day: u64| SystemTime::UNIX_EPOCH + Duration::from_hours(24 * day);
        write(&files, day(1));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let own = OwnCertificate::open(&files, &provider).unwrap();
        let first = own.current().cert.clone();

        write(&files, day(2));
        assert_eq!(own.current().cert, first, "it is not looked at all the time");
        tokio::time::advance(LOOK_EVERY).await;
        let second = own.current().cert.clone();
        assert_ne!(second, first);

        fs::write(&files.cert_file, "half of i").unwrap();
        tokio::time::advance(LOOK_EVERY).await;
        assert_eq!(own.current().cert, second);
        write(&files, day(3));
        tokio::time::advance(LOOK_EVERY).await;
        assert_ne!(own.current().cert, second);
    }
}
