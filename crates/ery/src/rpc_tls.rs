use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use ery_rpc::{Tls, TlsFiles};
use ery_settings::{InvalidSetting, check};

use crate::failure::{Failure, chain};

/// The table `[rpc.tls]`: TLS between the services. Without its three files they speak in the clear,
/// and the credential of the cluster alone tells them from others.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RpcTls {
    /// Certificates, in PEM, of who signs those of the services. An authority of their own: whoever
    /// has a certificate of it may call.
    pub(crate) ca_file: Option<PathBuf>,
    /// This process's certificate, in PEM, and those between it and the authority. It and its key are
    /// read again within ten seconds of a change.
    pub(crate) certificate_file: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    pub(crate) private_key_file: Option<PathBuf>,
    /// The name that every service's certificate must have, where they do not have the addresses at
    /// which they are dialled (`rpc.advertise`).
    pub(crate) server_name: Option<String>,
    /// Whether callers must show a certificate. Not for a while only, as while TLS is brought in.
    pub(crate) client_certificates: bool,
}

impl Default for RpcTls {
    fn default() -> Self {
        Self {
            ca_file: None,
            certificate_file: None,
            private_key_file: None,
            server_name: None,
            client_certificates: true,
        }
    }
}

impl RpcTls {
    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        let files = [&self.ca_file, &self.certificate_file, &self.private_key_file];
        let given = files.iter().filter(|file| file.is_some()).count();
        check(
            given == 0 || given == files.len(),
            "rpc.tls",
            format!("{given} of three files"),
            "all of `ca_file`, `certificate_file` and `private_key_file`, or none of them",
        )?;
        check(
            given > 0 || self.server_name.is_none(),
            "rpc.tls.server_name",
            &self.server_name,
            "left out where the files are not given: nothing is checked then",
        )
    }

    /// Reads the files, if they are given.
    pub(crate) fn open(&self) -> Result<Option<Tls>, Failure> {
        let (Some(ca_file), Some(cert_file), Some(key_file)) =
            (&self.ca_file, &self.certificate_file, &self.private_key_file)
        else {
            return Ok(None);
        };
        let files = TlsFiles {
            ca_file: ca_file.clone(),
            cert_file: cert_file.clone(),
            key_file: key_file.clone(),
            server_name: self.server_name.clone(),
            wants_client_certificates: self.client_certificates,
        };
        Tls::open(&files)
            .map(Some)
            .map_err(|error| Failure::settings(format!("settings: `rpc.tls`: {}", chain(&error))))
    }
}
