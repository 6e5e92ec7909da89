use std::{fmt, time::Duration};

use async_trait::async_trait;

use crate::domain::conversation::{Answer, TurnRequest};

use super::Deltas;

/// Answers model turns.
#[async_trait]
pub(crate) trait Provider: Send + Sync + fmt::Debug {
    /// Returns its name, of the closed set that the settings give.
    fn name(&self) -> &str;

    /// Returns the model that it asks.
    fn model(&self) -> &str;

    /// Asks the model once; `deltas` hears the answer while it is written. Retries, breaker and the
    /// turn's deadline are the caller's.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the provider's stream: nothing more is paid for.
    ///
    /// # Errors
    ///
    /// Only a whole answer is one: a stream without an end and a stop reason is an error.
    async fn ask(&self, request: &TurnRequest, deltas: &Deltas) -> Result<Answer, ProviderError>;
}

/// Why an attempt brought no answer.
///
/// The texts are ours alone: a provider's own may repeat the prompt or the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProviderError {
    #[error("the tool `{tool}` has a schema that is not a JSON object")]
    ToolSchema { tool: String },
    #[error("the model provider does not accept the API key (status {status})")]
    Key { status: u16 },
    #[error("the model provider's account has no credit left (status {status})")]
    Credit { status: u16 },
    #[error("the model provider knows no such model or address (status {status})")]
    NotFound { status: u16 },
    #[error("the model provider redirects to another address (status {status})")]
    Moved { status: u16 },
    #[error("the model provider refused the request (status {status}{})", code.as_deref().map(|code| format!(", {code}")).unwrap_or_default())]
    Refused { status: u16, code: Option<String> },
    #[error("the model provider limits our requests (status {status})")]
    Limited { status: u16, retry_after: Option<Duration> },
    #[error("the model provider failed (status {status})")]
    Failed { status: u16, retry_after: Option<Duration> },
    #[error("the model provider could not be reached")]
    Unreachable,
    #[error("the model provider was silent for too long")]
    Silent,
    #[error("the model provider's answer broke off")]
    BrokeOff,
    #[error("the model provider's answer made no sense")]
    Nonsense,
    #[error("the model provider's answer had no end")]
    TooLong,
}

impl ProviderError {
    /// Returns whether the same request would fail again.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::ToolSchema { .. }
            | Self::Key { .. }
            | Self::Credit { .. }
            | Self::NotFound { .. }
            | Self::Moved { .. }
            | Self::Refused { .. }
            | Self::TooLong => true,
            Self::Limited { .. }
            | Self::Failed { .. }
            | Self::Unreachable
            | Self::Silent
            | Self::BrokeOff
            | Self::Nonsense => false,
        }
    }

    /// Returns whether it tells of a provider that is unwell, rather than busy or unwilling.
    pub(crate) fn is_illness(&self) -> bool {
        !self.is_final() && !matches!(self, Self::Limited { .. })
    }

    /// Returns how long the provider asked to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limited { retry_after, .. } | Self::Failed { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Returns its kind, of the closed set that metrics are told by.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::ToolSchema { .. } => "tool_schema",
            Self::Key { .. } => "key",
            Self::Credit { .. } => "credit",
            Self::NotFound { .. } => "not_found",
            Self::Moved { .. } => "moved",
            Self::Refused { .. } => "refused",
            Self::Limited { .. } => "limited",
            Self::Failed { .. } => "failed",
            Self::Unreachable => "unreachable",
            Self::Silent => "silent",
            Self::BrokeOff => "broke_off",
            Self::Nonsense => "nonsense",
            Self::TooLong => "too_long",
        }
    }
}
