//! `ery probe`: asks a process on this machine whether it is ready, where nothing but `ery` can be
//! run: an image without a shell has no other program for its health check.

use std::{net::SocketAddr, time::Duration};

use axum::{
    body::{Body, to_bytes},
    http::{Request, Uri},
};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

use ery_settings::Sources;

use crate::{
    cli,
    failure::{Failure, chain},
    process::reached_here,
    settings::Settings,
};

/// How long an answer may take: whoever is well answers at once.
const TIMEOUT: Duration = Duration::from_secs(3);

/// How much of an answer is read.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// Succeeds if the answer is one of success.
pub(crate) async fn run(arguments: &cli::Probe, sources: &Sources) -> Result<(), Failure> {
    let address = match &arguments.url {
        Some(address) => address.clone(),
        None => own_address(Settings::load(sources)?.admin.listen)?,
    };
    match tokio::time::timeout(TIMEOUT, ask(address.clone())).await {
        Ok(asked) => asked,
        Err(_) => Err(Failure::unavailable(format!(
            "{address} did not answer within {} s",
            TIMEOUT.as_secs()
        ))),
    }
}

/// Returns where a process with these settings says whether it is ready.
fn own_address(listen: SocketAddr) -> Result<Uri, Failure> {
    if listen.port() == 0 {
        return Err(Failure::settings(
            "`admin.listen` leaves the port open, so nobody can tell where to ask; set \
             ERY_ADMIN__LISTEN to the one of the process that is asked, or give an address",
        ));
    }
    let address = format!("http://{}/readyz", reached_here(listen));
    address.parse().map_err(|error| Failure::caused("could not build an address", &error))
}

async fn ask(address: Uri) -> Result<(), Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::unavailable(format!("{address} does not answer: {}", chain(error)))
    };
    let request = Request::get(address.clone())
        .body(Body::empty())
        .map_err(|error| Failure::settings(format!("{address} is no address: {error}")))?;
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await.map_err(|error| failed(&error))?;
    let status = answer.status();
    let body = to_bytes(Body::new(answer.into_body()), MAX_ANSWER_BYTES)
        .await
        .map_err(|error| failed(&error))?;
    if status.is_success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&body);
    Err(Failure::unavailable(format!("{address} answers {status}: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_listens_everywhere_is_asked_on_this_machine() {
        for (listen, address) in [
            ("0.0.0.0:8720", "http://127.0.0.1:8720/readyz"),
            ("[::]:8720", "http://[::1]:8720/readyz"),
            ("10.0.0.7:9000", "http://10.0.0.7:9000/readyz"),
        ] {
            assert_eq!(own_address(listen.parse().unwrap()).unwrap().to_string(), address);
        }
        assert!(own_address("0.0.0.0:0".parse().unwrap()).is_err());
    }
}
