use std::fmt;

use reqwest::header::HeaderName;
use serde_json::Value;

use crate::{
    adapters::{Deltas, ProviderError},
    domain::conversation::Usage,
};

use super::{chat::Chat, framing::Framing, gathered::Gathered};

/// How one API writes requests and answers: no more than its JSON.
pub(super) trait Dialect: Send + Sync + fmt::Debug {
    /// Returns the path behind the base address.
    fn path(&self, asking: &Asking<'_>) -> String;

    /// Returns what is asked for in the URL.
    fn query(&self, _asking: &Asking<'_>) -> Option<&'static str> {
        None
    }

    /// Returns the header that holds the key, and what stands before the key.
    fn key_header(&self) -> (HeaderName, &'static str);

    /// Returns a header that every request has.
    fn fixed_header(&self) -> Option<(&'static str, &'static str)> {
        None
    }

    /// Returns the header in which the provider tells its id of a request.
    fn request_id_header(&self) -> Option<&'static str> {
        None
    }

    fn body(&self, chat: &Chat, asking: &Asking<'_>) -> Value;

    fn framing(&self) -> Framing {
        Framing::ServerSentEvents
    }

    /// Reads a frame of a stream.
    fn read(
        &self,
        frame: &str,
        answer: &mut Gathered,
        deltas: &Deltas,
    ) -> Result<(), ProviderError>;

    /// Reads an answer that was not streamed.
    fn read_whole(
        &self,
        body: &str,
        answer: &mut Gathered,
        deltas: &Deltas,
    ) -> Result<(), ProviderError> {
        self.read(body, answer, deltas)?;
        self.at_end(answer);
        Ok(())
    }

    /// Judges a stream that ended as HTTP ends.
    fn at_end(&self, _answer: &mut Gathered) {}
}

/// What is asked beside the conversation.
#[derive(Debug)]
pub(super) struct Asking<'a> {
    pub(super) model: &'a str,
    /// The host that is asked.
    pub(super) host: &'a str,
    pub(super) is_streamed: bool,
    pub(super) max_output_tokens: Option<u32>,
    pub(super) temperature: Option<f64>,
    /// How many tokens a local server makes room for.
    pub(super) context_window: Option<u32>,
}

/// Reads a frame as what it should be.
pub(super) fn parsed<'a, T: serde::Deserialize<'a>>(frame: &'a str) -> Result<T, ProviderError> {
    serde_json::from_str(frame).map_err(|_| ProviderError::Nonsense)
}

/// Keeps the larger of two counts of one turn: some servers count on with every frame.
pub(super) fn larger(known: Option<Usage>, told: Usage) -> Usage {
    let known = known.unwrap_or_default();
    Usage {
        prompt: known.prompt.max(told.prompt),
        completion: known.completion.max(told.completion),
        cached: known.cached.max(told.cached),
        cache_written: known.cache_written.max(told.cache_written),
    }
}
