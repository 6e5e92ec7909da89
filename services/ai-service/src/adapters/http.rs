mod anthropic;
mod attempt;
mod chat;
mod dialect;
mod failure;
mod framing;
mod gathered;
mod gemini;
mod ollama;
mod openai;

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use ery_clock::Clock;
use futures::FutureExt;
use reqwest::{
    Response, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use secrecy::{ExposeSecret, SecretString};
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};

use crate::{
    ProviderKind, Settings,
    domain::conversation::{Answer, TurnRequest},
    error::AiError,
};

use self::{
    attempt::Attempt,
    chat::Chat,
    dialect::{Asking, Dialect},
    framing::Frames,
    gathered::Gathered,
};
use super::{Deltas, Provider, ProviderError};

/// The largest answer that comes in one piece, with all that a provider adds to it.
const LARGEST_BODY: usize = 2 * 1024 * 1024;

/// As much of an error's body as is read for its code.
const LARGEST_ERROR: usize = 64 * 1024;

/// Asks a model by HTTP, in the dialect of its API.
#[derive(Clone, Debug)]
pub(crate) struct HttpProvider {
    name: String,
    web: reqwest::Client,
    dialect: Arc<dyn Dialect>,
    endpoint: Url,
    key: Option<SecretString>,
    settings: Settings,
    clock: Arc<dyn Clock>,
}

impl HttpProvider {
    /// `None`: this kind of provider needs no HTTP.
    pub(crate) fn new(
        name: &str,
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Self>, AiError> {
        let dialect: Arc<dyn Dialect> = match settings.provider {
            ProviderKind::Builtin => return Ok(None),
            ProviderKind::OpenAi => Arc::new(openai::OpenAi),
            ProviderKind::Anthropic => Arc::new(anthropic::Anthropic),
            ProviderKind::Gemini => Arc::new(gemini::Gemini),
            ProviderKind::Ollama => Arc::new(ollama::Ollama),
        };
        let endpoint = settings.endpoint()?;
        install_crypto();
        let mut web = reqwest::Client::builder()
            .connect_timeout(settings.connect_timeout)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(settings.max_parallel.min(64))
            // A redirect would take the prompt to an address that nobody chose.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("ery/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&endpoint) {
            web = web.no_proxy();
        }
        if endpoint.scheme() == "http" {
            // Nothing is asked by TLS: which authorities this machine trusts does not matter.
            web = web.tls_certs_only([]);
        }
        Ok(Some(Self {
            name: name.to_owned(),
            web: web.build().map_err(AiError::Client)?,
            dialect,
            endpoint,
            key: settings.api_key.clone().filter(|key| !key.expose_secret().is_empty()),
            settings: settings.clone(),
            clock,
        }))
    }

    /// Returns the same provider, asked with another key over the same connections.
    ///
    /// The key must be of visible ASCII characters.
    pub(crate) fn with_key(&self, key: SecretString) -> Self {
        Self { key: Some(key), ..self.clone() }
    }

    fn asking(&self, request: &TurnRequest) -> Asking<'_> {
        Asking {
            model: &self.settings.model,
            host: self.endpoint.host_str().unwrap_or_default(),
            is_streamed: self.settings.streaming,
            max_output_tokens: request.max_output_tokens,
            temperature: self.settings.temperature,
            context_window: self.settings.context_window,
        }
    }

    fn url(&self, asking: &Asking<'_>) -> Url {
        let mut url = self.endpoint.clone();
        let path = format!("{}{}", url.path(), self.dialect.path(asking));
        url.set_path(&path);
        if let Some(query) = self.dialect.query(asking) {
            let query = url.query().map_or(query.to_owned(), |given| format!("{given}&{query}"));
            url.set_query(Some(&query));
        }
        url
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some((name, value)) = self.dialect.fixed_header() {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        if let Some(key) = &self.key {
            let (name, prefix) = self.dialect.key_header();
            let value = HeaderValue::from_str(&format!("{prefix}{}", key.expose_secret()));
            let mut value = value.expect("a key is checked to be of visible ASCII");
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        headers
    }

    async fn exchange(
        &self,
        request: &TurnRequest,
        deltas: &Deltas,
    ) -> Result<Answer, ProviderError> {
        let chat = Chat::of(request, self.settings.pictures)?;
        let asking = self.asking(request);
        let body = self.dialect.body(&chat, &asking).to_string();
        let mut attempt = Attempt::begin(deltas, &chat, request.max_output_tokens);
        let ended = self.exchange_whole(&mut attempt, &asking, body).await;
        let answered = ended.and_then(|()| attempt.answer.take().into_answer(chat.bytes, deltas));
        attempt.ended(&answered);
        answered
    }

    /// Sends a request, and reads as much of the answer as comes.
    async fn exchange_whole(
        &self,
        attempt: &mut Attempt<'_>,
        asking: &Asking<'_>,
        body: String,
    ) -> Result<(), ProviderError> {
        let Attempt { answer, deltas, .. } = attempt;
        let sent = self.web.post(self.url(asking)).headers(self.headers()).body(body).send();
        let mut response = in_time(self.settings.first_byte_timeout, sent).await?;
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        answer.tell(self.request_id(response.headers()), None);
        if asking.is_streamed {
            self.read_stream(&mut response, answer, deltas).await
        } else {
            let body = self.read_body(&mut response).await?;
            self.dialect.read_whole(&body, answer, deltas)
        }
    }

    async fn read_stream(
        &self,
        response: &mut Response,
        answer: &mut Gathered,
        deltas: &Deltas,
    ) -> Result<(), ProviderError> {
        let mut frames = Frames::new(self.dialect.framing());
        while let Some(bytes) = in_time(self.settings.read_timeout, response.chunk()).await? {
            for frame in frames.take(&bytes)? {
                deltas.heard();
                self.dialect.read(&frame, answer, deltas)?;
                if answer.is_over {
                    // The connection serves again if its end has come with the last frame.
                    drop(response.chunk().now_or_never());
                    return Ok(());
                }
            }
        }
        for frame in frames.end()? {
            self.dialect.read(&frame, answer, deltas)?;
        }
        self.dialect.at_end(answer);
        Ok(())
    }

    async fn read_body(&self, response: &mut Response) -> Result<String, ProviderError> {
        let mut body = Vec::new();
        while let Some(bytes) = in_time(self.settings.read_timeout, response.chunk()).await? {
            body.extend_from_slice(&bytes);
            if body.len() > LARGEST_BODY {
                return Err(ProviderError::TooLong);
            }
        }
        if body.is_empty() {
            return Err(ProviderError::BrokeOff);
        }
        String::from_utf8(body).map_err(|_| ProviderError::Nonsense)
    }

    /// Tells what an answer that is no success means; its body is read as far as it comes in time.
    async fn refused(&self, mut response: Response) -> ProviderError {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Ok(Some(bytes)) = in_time(self.settings.read_timeout, response.chunk()).await {
            body.extend_from_slice(&bytes);
            if body.len() > LARGEST_ERROR {
                break;
            }
        }
        failure::of_status(status, &String::from_utf8_lossy(&body), &headers, self.clock.now())
    }

    fn request_id(&self, headers: &HeaderMap) -> Option<String> {
        let value = headers.get(self.dialect.request_id_header()?)?;
        Some(value.to_str().ok()?.to_owned())
    }
}

#[async_trait]
impl Provider for HttpProvider {
    fn name(&self) -> &str {
        &self.name
    }

    fn model(&self) -> &str {
        &self.settings.model
    }

    async fn ask(&self, request: &TurnRequest, deltas: &Deltas) -> Result<Answer, ProviderError> {
        // Nothing below may log what is sent.
        self.exchange(request, deltas).with_subscriber(NoSubscriber::default()).await
    }
}

/// Waits for a piece of an answer no longer than `limit`.
async fn in_time<T>(
    limit: Duration,
    piece: impl Future<Output = Result<T, reqwest::Error>>,
) -> Result<T, ProviderError> {
    match tokio::time::timeout(limit, piece).await {
        Ok(Ok(piece)) => Ok(piece),
        Ok(Err(error)) => Err(failure::of_transport(&error)),
        Err(_) => Err(ProviderError::Silent),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}

/// Makes sure that TLS has its one provider, where no `main` has chosen it.
pub(super) fn install_crypto() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may have been first, with the same one.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}
