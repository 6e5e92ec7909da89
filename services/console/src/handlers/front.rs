//! Who asks: a request is let in by its token, and handed to the MCP server of its credential.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http::{
    HeaderMap, Method, StatusCode,
    header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE},
};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::mcp::{McpServer, SESSION};
use crate::{
    Settings,
    adapters::calls::{Admission, Calls, Credential},
    domain::{bucket::Bucket, token::Token},
    metrics::Metrics,
};

/// Everything that a request needs.
pub(crate) struct Front {
    settings: Settings,
    calls: Calls,
    metrics: Metrics,
    closing: CancellationToken,
    /// By the credential's id. Its sessions are its own: no other one finds them.
    clients: Mutex<HashMap<String, Arc<Client>>>,
}

/// The clients of one credential.
struct Client {
    credential: Credential,
    server: StreamableHttpService<McpServer, LocalSessionManager>,
    sessions: Arc<LocalSessionManager>,
    requests: Mutex<Bucket>,
    begun: Instant,
    last_used: Mutex<Instant>,
    closing: CancellationToken,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

impl Front {
    pub(crate) fn new(
        settings: Settings,
        calls: Calls,
        metrics: Metrics,
        closing: CancellationToken,
    ) -> Self {
        Self { settings, calls, metrics, closing, clients: Mutex::default() }
    }

    /// Returns the clients of a credential, which are made with their first request.
    fn client(&self, credential: Credential) -> Arc<Client> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&credential.id)
            && client.credential == credential
        {
            return Arc::clone(client);
        }
        if clients.len() >= self.settings.clients {
            let silent = clients.iter().min_by_key(|(_, client)| client.last_used());
            let silent = silent.map(|(id, _)| id.clone());
            silent.and_then(|id| clients.remove(&id));
        }
        let client = Arc::new(self.new_client(credential));
        clients.insert(client.credential.id.clone(), Arc::clone(&client));
        client
    }

    fn new_client(&self, credential: Credential) -> Client {
        let settings = &self.settings;
        let closing = self.closing.child_token();
        let mut sessions = LocalSessionManager::default();
        sessions.session_config.keep_alive = Some(settings.session_idle);
        let sessions = Arc::new(sessions);
        let config = StreamableHttpServerConfig::default()
            .with_allowed_hosts(settings.allowed_hosts.iter())
            .with_allowed_origins(settings.allowed_origins.iter())
            .enforce_origin_validation()
            .with_max_request_body_bytes(settings.max_body_bytes)
            .with_cancellation_token(closing.clone());
        let server =
            McpServer::new(credential.clone(), self.calls.clone(), settings, self.metrics.clone());
        let begun = Instant::now();
        Client {
            credential,
            server: StreamableHttpService::new(
                move || Ok(server.clone()),
                Arc::clone(&sessions),
                config,
            ),
            sessions,
            requests: Mutex::new(Bucket::new(
                settings.requests_per_minute / 6 + 1,
                settings.requests_per_minute,
            )),
            begun,
            last_used: Mutex::new(begun),
            closing,
        }
    }

    /// Lets go of a credential that is not in force any more, with its sessions.
    fn forget(&self, token: &Token) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        // A token of another guild's making says nothing of it.
        let is_its = |client: &Arc<Client>| client.credential.guild == token.guild();
        if clients.get(token.credential()).is_some_and(is_its) {
            clients.remove(token.credential());
        }
    }
}

impl Client {
    fn last_used(&self) -> Instant {
        *self.last_used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request; else tells how long to wait.
    fn take(&self) -> Result<(), Duration> {
        let now = Instant::now();
        *self.last_used.lock().unwrap_or_else(PoisonError::into_inner) = now;
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).take(now - self.begun)
    }
}

/// Serves a request of an MCP client.
pub(crate) async fn handle(State(front): State<Arc<Front>>, request: Request) -> Response {
    let Some(token) = token(request.headers()) else {
        front.metrics.request("unauthorized");
        return unauthorized();
    };
    let credential = match front.calls.admission(&token).await {
        Ok(Admission::Admitted(credential)) => credential,
        Ok(refused) => {
            front.metrics.request("unauthorized");
            if refused == Admission::Gone {
                front.forget(&token);
            }
            return unauthorized();
        }
        Err(status) => {
            front.metrics.request("unavailable");
            tracing::warn!(code = ?status.code(), "a credential could not be looked up");
            return later(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(2));
        }
    };
    let client = front.client(credential);
    if let Err(wait) = client.take() {
        front.metrics.request("limited");
        return later(StatusCode::TOO_MANY_REQUESTS, wait);
    }
    if !request.headers().contains_key(SESSION)
        && client.sessions.sessions.read().await.len() >= front.settings.sessions_per_credential
    {
        front.metrics.request("limited");
        return later(StatusCode::TOO_MANY_REQUESTS, front.settings.session_idle);
    }
    front.metrics.request("admitted");
    let ends_session = request.method() == Method::DELETE;
    let mut response = client.server.handle(request).await.map(Body::new);
    // It has ended, and clients take 200 and 204 alone for that.
    if ends_session && response.status() == StatusCode::ACCEPTED {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    response
}

/// Reads the token of a request.
fn token(headers: &HeaderMap) -> Option<Token> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Token::parse(token.trim())).flatten()
}

/// Says that a token is needed, and nothing more: not whether it was none, a wrong or an old one.
fn unauthorized() -> Response {
    answer(StatusCode::UNAUTHORIZED, (WWW_AUTHENTICATE, "Bearer realm=\"ery\"".to_owned()))
}

fn later(status: StatusCode, wait: Duration) -> Response {
    answer(status, (RETRY_AFTER, wait.as_secs().saturating_add(1).to_string()))
}

fn answer(status: StatusCode, (name, value): (http::HeaderName, String)) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_token_is_read() {
        let good = Token::random(twilight_model::id::Id::new(7));
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            token(&headers).map(|token| token.credential().to_owned())
        };
        let is = Some(good.credential().to_owned());
        assert_eq!(read(&format!("Bearer {}", good.expose())), is);
        assert_eq!(read(&format!("bearer {}", good.expose())), is);
        for bad in [good.expose().to_owned(), format!("Basic {}", good.expose()), "Bearer".into()] {
            assert_eq!(read(&bad), None);
        }
        assert!(token(&HeaderMap::new()).is_none());
    }
}
