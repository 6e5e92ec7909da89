mod failure;
mod frames;
mod request;

use std::sync::Arc;

use async_trait::async_trait;
use ery_clock::Clock;
use futures::StreamExt;
use genai::{
    Client, Headers, ModelIden, ServiceTarget,
    adapter::AdapterKind,
    chat::{ChatOptions, ChatStreamEvent, ReasoningEffort, StopReason, StreamEnd},
    resolver::{AuthData, Endpoint},
};
use reqwest::{Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};

use crate::{
    domain::conversation::{Answer, Stop, TurnRequest, Usage},
    error::AiError,
    settings::Settings,
};

use self::frames::{Frames, Gathered};
use super::{Provider, ProviderError};

/// How many bytes of text and arguments an answer may have.
const LONGEST_ANSWER: usize = 256 * 1024;

/// Asks any server that speaks OpenAI's chat completions, always as a stream.
///
/// The server is trusted as far as the operator chose its address: a single line of its stream is
/// read whole before its length is known.
#[derive(Debug)]
pub(crate) struct OpenAiProvider {
    client: Client,
    endpoint: Url,
    key: Option<SecretString>,
    model: String,
    options: ChatOptions,
    clock: Arc<dyn Clock>,
}

impl OpenAiProvider {
    pub(crate) fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, AiError> {
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
        let web = web.build().map_err(AiError::Client)?;
        let mut options = ChatOptions::default()
            .with_capture_usage(true)
            // Text is gathered here, so that it can be bounded, and tool calls from the frames:
            // genai sizes a vector by an index that the server sends.
            .with_capture_content(false)
            .with_capture_tool_calls(false)
            .with_capture_reasoning_content(false)
            // Else genai takes `-high` and the like from the end of a model's name.
            .with_reasoning_effort(ReasoningEffort::Budget(0))
            // … and `a::` from its beginning; this overrides what it made of the name.
            .with_extra_body(json!({ "model": settings.model }))
            .with_stream_header_timeout(settings.first_byte_timeout)
            .with_stream_read_timeout(settings.read_timeout);
        if let Some(temperature) = settings.temperature {
            options = options.with_temperature(temperature);
        }
        Ok(Self {
            client: Client::builder()
                .with_reqwest(web)
                .build()
                .map_err(|_| AiError::ModelClient)?,
            endpoint,
            key: settings.api_key.clone().filter(|key| !key.expose_secret().is_empty()),
            model: settings.model.clone(),
            options,
            clock,
        })
    }

    fn target(&self) -> ServiceTarget {
        let auth = match &self.key {
            Some(key) => AuthData::from_single(key.expose_secret()),
            None => AuthData::RequestOverride { url: self.chat_url(), headers: Headers::default() },
        };
        ServiceTarget {
            endpoint: Endpoint::from_owned(self.endpoint.as_str()),
            auth,
            model: ModelIden::new(AdapterKind::OpenAI, self.model.as_str()),
        }
    }

    fn chat_url(&self) -> String {
        let mut url = self.endpoint.clone();
        let path = format!("{}chat/completions", url.path());
        url.set_path(&path);
        url.into()
    }

    async fn stream(&self, request: &TurnRequest) -> Result<Answer, ProviderError> {
        let (chat, prompt_bytes) = request::chat(request)?;
        let frames = Arc::new(Frames::default());
        let mut options = self.options.clone();
        options.max_tokens = request.max_output_tokens;
        options.raw_frame_sink = Some(Arc::clone(&frames) as _);
        let failed = |error: genai::Error| failure::of(&error, self.clock.now());
        let started = self.client.exec_chat_stream(self.target(), chat, Some(&options)).await;
        let mut stream = started.map_err(failed)?.stream;
        let mut text = String::new();
        while let Some(event) = stream.next().await {
            match event.map_err(failed)? {
                ChatStreamEvent::Chunk(chunk) => text.push_str(&chunk.content),
                ChatStreamEvent::End(end) => {
                    return finished(&text, frames.take(), end, prompt_bytes);
                }
                ChatStreamEvent::Start
                | ChatStreamEvent::ReasoningChunk(_)
                | ChatStreamEvent::ThoughtSignatureChunk(_)
                | ChatStreamEvent::ToolCallChunk(_)
                | ChatStreamEvent::Heartbeat => {}
            }
            if text.len() + frames.argument_bytes() > LONGEST_ANSWER {
                return Err(ProviderError::TooLong);
            }
        }
        Err(ProviderError::BrokeOff)
    }
}

#[async_trait]
impl Provider for OpenAiProvider {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn model(&self) -> &str {
        &self.model
    }

    async fn ask(&self, request: &TurnRequest) -> Result<Answer, ProviderError> {
        // genai logs the bodies of errors, which may repeat the prompt.
        self.stream(request).with_subscriber(NoSubscriber::default()).await
    }
}

/// Makes the answer of a stream that came to its end.
fn finished(
    text: &str,
    gathered: Gathered,
    end: StreamEnd,
    prompt_bytes: usize,
) -> Result<Answer, ProviderError> {
    let stop = end.captured_stop_reason.ok_or(ProviderError::BrokeOff)?;
    let argument_bytes = gathered.argument_bytes;
    let Gathered { request_id, model, .. } = gathered.clone();
    let mut calls = gathered.into_calls()?;
    let stop = match stop {
        StopReason::MaxTokens(_) => {
            calls.clear();
            Stop::Length
        }
        StopReason::ContentFilter(_) => {
            calls.clear();
            Stop::Refused
        }
        StopReason::ToolCall(_) if calls.is_empty() => return Err(ProviderError::Nonsense),
        StopReason::Other(reason) if is_failure(&reason) => return Err(ProviderError::Nonsense),
        StopReason::Completed(_)
        | StopReason::ToolCall(_)
        | StopReason::StopSequence(_)
        | StopReason::Other(_) => {
            if calls.is_empty() {
                Stop::Done
            } else {
                Stop::ToolCalls
            }
        }
    };
    let usage = end.captured_usage.map_or_else(
        // Budgets are kept even where the server does not count: four bytes are about a token.
        || Usage {
            prompt: estimate(prompt_bytes),
            completion: estimate(text.len() + argument_bytes),
            cached: 0,
        },
        |usage| Usage {
            prompt: tokens(usage.prompt_tokens),
            completion: tokens(usage.completion_tokens),
            cached: tokens(usage.prompt_tokens_details.and_then(|details| details.cached_tokens)),
        },
    );
    let text = without_thoughts(text).to_owned();
    Ok(Answer { text, calls, stop, usage, model, provider_request_id: request_id })
}

fn is_failure(stop_reason: &str) -> bool {
    ["error", "abort", "cancelled", "canceled", "insufficient_system_resource"]
        .contains(&stop_reason.to_lowercase().as_str())
}

fn tokens(count: Option<i32>) -> u64 {
    count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
}

fn estimate(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX)
}

/// Leaves out what a reasoning model thought aloud before its answer.
fn without_thoughts(text: &str) -> &str {
    for (open, close) in [("<think>", "</think>"), ("<thinking>", "</thinking>")] {
        if let Some(thoughts) = text.trim_start().strip_prefix(open) {
            return thoughts.split_once(close).map_or("", |(_, answer)| answer.trim_start());
        }
    }
    text
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}

/// Makes sure that TLS has its one provider, where no `main` has chosen it.
fn install_crypto() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may have been first, with the same one.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_are_left_out() {
        assert_eq!(without_thoughts("<think>hm\n</think>\n\nhello"), "hello");
        assert_eq!(without_thoughts(" <thinking>a</thinking>b"), "b");
        assert_eq!(without_thoughts("<think>cut"), "");
        assert_eq!(without_thoughts("I <think> so"), "I <think> so");
    }
}
