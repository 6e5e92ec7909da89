use std::{future::IntoFuture, time::Duration};

use secrecy::ExposeSecret;
use tokio::time::Instant;
use twilight_http::{Client, Error as HttpError, Response, api_error::ApiError, error::ErrorType};
use twilight_model::{
    gateway::{SessionStartLimit, connection_info::BotConnectionInfo},
    id::{Id, marker::UserMarker},
};
use url::Url;

use ery_settings::InvalidSetting;

use crate::{domain::Backoff, error::GatewayError, ports::Discord};

/// Discord's own REST, for which twilight needs no other host.
const DISCORD_API_HOST: &str = "discord.com";

/// The version that twilight speaks.
const API_PATH: &str = "/api/v10";

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// Discord's REST, as far as the gateway needs it.
#[derive(Debug)]
pub(crate) struct Rest {
    client: Client,
    host: String,
}

/// Where the Gateway is, and what it allows.
#[derive(Clone, Debug)]
pub(crate) struct GatewayInfo {
    /// Without a slash at the end.
    pub(crate) url: String,
    pub(crate) recommended_shards: u32,
    pub(crate) start_limit: SessionStartLimit,
}

/// What an attempt that did not succeed means.
enum Failure {
    /// The same request will be answered alike.
    Final(GatewayError),
    Passing(Box<dyn std::error::Error + Send + Sync>),
}

impl Rest {
    /// Makes the client; sends nothing.
    ///
    /// # Errors
    ///
    /// If the address is not `http(s)://host[:port]/api/v10`.
    pub(crate) fn new(discord: &Discord) -> Result<Self, GatewayError> {
        let invalid = || InvalidSetting {
            key: "discord.api_url",
            value: format!("{:?}", discord.api_url),
            bound: "http:// or https://, a host, and the path /api/v10",
        };
        let url = Url::parse(&discord.api_url).map_err(|_| invalid())?;
        let is_plain = match url.scheme() {
            "http" => true,
            "https" => false,
            _ => return Err(invalid().into()),
        };
        let is_whole = url.path().trim_end_matches('/') == API_PATH
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let host = url.host_str().filter(|_| is_whole).ok_or_else(invalid)?;
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let mut client = Client::builder().token(discord.token.expose_secret().to_owned());
        if is_plain || host != DISCORD_API_HOST {
            client = client.proxy(host.clone(), is_plain);
        }
        Ok(Self { client: client.build(), host })
    }

    /// Returns Ery's own user, waiting for Discord for no longer than `patience`.
    pub(crate) async fn me(&self, patience: Duration) -> Result<Id<UserMarker>, GatewayError> {
        self.patiently("GET /users/@me", patience, || self.client.current_user())
            .await
            .map(|user| user.id)
    }

    /// Returns where the Gateway is, waiting for Discord for no longer than `patience`.
    pub(crate) async fn gateway(&self, patience: Duration) -> Result<GatewayInfo, GatewayError> {
        const WHAT: &str = "GET /gateway/bot";
        let info: BotConnectionInfo =
            self.patiently(WHAT, patience, || self.client.gateway().authed()).await?;
        let url = gateway_url(&info.url).ok_or_else(|| GatewayError::Unreadable {
            host: self.host.clone(),
            what: WHAT,
            source: format!("`{}` is no WebSocket address", info.url).into(),
        })?;
        Ok(GatewayInfo {
            url,
            recommended_shards: info.shards.max(1),
            start_limit: info.session_start_limit,
        })
    }

    async fn patiently<T, R>(
        &self,
        what: &'static str,
        patience: Duration,
        request: impl Fn() -> R,
    ) -> Result<T, GatewayError>
    where
        T: serde::de::DeserializeOwned + Unpin,
        R: IntoFuture<Output = Result<Response<T>, HttpError>>,
    {
        let deadline = Instant::now() + patience;
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        loop {
            let cause = match self.once(what, request()).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(cause)) => cause,
            };
            let wait = backoff.failed(rand::random());
            if Instant::now() + wait >= deadline {
                return Err(GatewayError::Unreachable {
                    host: self.host.clone(),
                    patience,
                    source: cause,
                });
            }
            if backoff.failures() == 1 {
                tracing::warn!(host = self.host, error = %cause, "Discord cannot be reached; trying on");
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn once<T, R>(&self, what: &'static str, request: R) -> Result<T, Failure>
    where
        T: serde::de::DeserializeOwned + Unpin,
        R: IntoFuture<Output = Result<Response<T>, HttpError>>,
    {
        let response = request.await.map_err(|error| self.classify(what, error))?;
        response.model().await.map_err(|source| {
            Failure::Final(GatewayError::Unreadable {
                host: self.host.clone(),
                what,
                source: Box::new(source),
            })
        })
    }

    fn classify(&self, what: &'static str, error: HttpError) -> Failure {
        match error.kind() {
            // A token that cannot stand in a header is none of Discord's, either.
            ErrorType::Unauthorized | ErrorType::CreatingHeader { .. } => {
                Failure::Final(GatewayError::TokenRefused)
            }
            ErrorType::Response { status, error: answer, .. } => match status.get() {
                401 => Failure::Final(GatewayError::TokenRefused),
                429 | 500.. => Failure::Passing(describe(status.get(), answer).into()),
                status => {
                    Failure::Final(GatewayError::Refused { host: self.host.clone(), what, status })
                }
            },
            // Its answer was cut, or an intermediary's.
            _ => Failure::Passing(Box::new(error)),
        }
    }
}

/// Says what Discord answered, without its body.
fn describe(status: u16, answer: &ApiError) -> String {
    match answer {
        ApiError::General(general) => format!("status {status}, code {}", general.code),
        _ => format!("status {status}"),
    }
}

/// Returns a WebSocket address without a slash at the end, or none if it is no such address.
///
/// Twilight takes for granted that it can be read, and appends its own path.
pub(crate) fn gateway_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_bare = matches!(url.scheme(), "ws" | "wss")
        && url.host_str().is_some()
        && url.query().is_none()
        && url.fragment().is_none();
    let text = text.trim_end_matches('/');
    // The address goes into a request line.
    (is_bare && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(api_url: &str) -> Result<Rest, GatewayError> {
        drop(rustls::crypto::ring::default_provider().install_default());
        Rest::new(&Discord {
            token: "token".to_owned().into(),
            api_url: api_url.into(),
            gateway_url: None,
        })
    }

    #[tokio::test]
    async fn the_host_is_taken_from_the_address() {
        for (url, host) in [
            ("https://discord.com/api/v10", "discord.com"),
            ("http://127.0.0.1:9000/api/v10/", "127.0.0.1:9000"),
            ("https://proxy.example:444/api/v10", "proxy.example:444"),
        ] {
            assert_eq!(rest(url).unwrap().host, host);
        }
    }

    #[tokio::test]
    async fn an_address_that_is_none_is_named() {
        for url in [
            "",
            "discord.com/api/v10",
            "ftp://discord.com/api/v10",
            "https://discord.com",
            "https://discord.com/api/v9",
            "https://user@discord.com/api/v10",
            "https://discord.com/api/v10?x=1",
        ] {
            let error = rest(url).unwrap_err();
            assert!(error.to_string().contains("discord.api_url"), "{url}: {error}");
        }
    }

    #[test]
    fn a_gateways_address_loses_its_slash() {
        assert_eq!(gateway_url("ws://h:1/").as_deref(), Some("ws://h:1"));
        assert_eq!(gateway_url("wss://h").as_deref(), Some("wss://h"));
        for text in ["", "http://h", "ws://", "ws://h?x", "wss://a b"] {
            assert_eq!(gateway_url(text), None, "{text}");
        }
    }
}
