//! What can go wrong at this service's boundaries, and what the caller may do about it.

use tonic::{Code, Status};

use ery_settings::InvalidSetting;

use crate::adapters::discord::RestError;
pub use crate::adapters::discord::{ApiUrlError, TokenError};

/// Why the service could not be made.
#[derive(Debug, thiserror::Error)]
pub enum NewServiceError {
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    #[error(transparent)]
    ApiUrl(#[from] ApiUrlError),
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Why the store did not take an execution.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the channel has moved on to another epoch")]
    StaleEpoch,
    #[error("the store refused the execution: {0}")]
    Refused(String),
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
}

/// Why an RPC has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("discord's state of the guild cannot be read")]
    State(#[from] StateError),
    #[error("discord did not answer the request")]
    Discord(#[from] RestError),
    /// Nothing final is known of the thread's answer. The same call goes on with it.
    #[error("discord cannot be reached, and the answer waits for it")]
    Unsettled,
}

/// Why the state of a guild is not known.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum StateError {
    #[error("the guild's events are not followed yet")]
    NotFollowing,
    #[error("discord's answer about the guild is missing")]
    Rest(#[source] std::sync::Arc<RestError>),
    #[error("discord knows no such guild, or ery is not in it")]
    NoSuchGuild,
}

impl StateError {
    /// Returns whether Discord refused, so that asking again at once would tell the same.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::NoSuchGuild => true,
            Self::Rest(error) => {
                matches!(**error, RestError::Refused { .. } | RestError::RefusedBefore { .. })
            }
            Self::NotFollowing => false,
        }
    }
}

impl From<RestError> for StateError {
    fn from(error: RestError) -> Self {
        Self::Rest(std::sync::Arc::new(error))
    }
}

impl CallError {
    /// Returns whether Discord was asked and gave no usable answer.
    pub(crate) fn is_unanswered(&self) -> bool {
        matches!(self, Self::State(StateError::Rest(_)) | Self::Discord(_))
    }

    /// Returns whether one of Discord's routes may fail while others work: not where there is no room, or
    /// nothing can be reached at all.
    pub(crate) fn is_one_routes(&self) -> bool {
        let rest = match self {
            Self::State(StateError::Rest(error)) => error,
            Self::Discord(error) => error,
            _ => return false,
        };
        rest.is_in_doubt() || matches!(rest, RestError::BreakerOpen)
    }

    /// Returns whether Discord does not accept Ery's token.
    pub(crate) fn is_unauthorized(&self) -> bool {
        match self {
            Self::State(StateError::Rest(error)) => matches!(**error, RestError::Unauthorized),
            Self::Discord(error) => matches!(error, RestError::Unauthorized),
            _ => false,
        }
    }

    /// Returns a word for metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid_request",
            Self::Store(StoreError::StaleEpoch) => "stale_epoch",
            Self::Store(_) => "store_error",
            Self::State(_) => "state_error",
            Self::Discord(_) => "discord_error",
            Self::Unsettled => "unsettled",
        }
    }

    /// Says what the caller may do: see STYLE, Errors.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Invalid(_) | Self::Store(StoreError::Refused(_)) => Code::InvalidArgument,
            Self::Store(StoreError::StaleEpoch) => Code::Aborted,
            Self::Store(StoreError::Unavailable(_))
            | Self::State(StateError::NotFollowing)
            | Self::Unsettled => Code::Unavailable,
            Self::State(StateError::NoSuchGuild) => Code::NotFound,
            Self::State(StateError::Rest(error)) => rest_code(error),
            Self::Discord(error) => rest_code(error),
        }
    }
}

fn rest_code(error: &RestError) -> Code {
    match error {
        RestError::Refused { status: 404, .. } => Code::NotFound,
        RestError::Refused { .. } | RestError::RefusedBefore { .. } => Code::PermissionDenied,
        RestError::RateLimited { .. } | RestError::TooManyInvalid => Code::ResourceExhausted,
        RestError::Unauthorized => Code::FailedPrecondition,
        RestError::TooLate
        | RestError::BreakerOpen
        | RestError::NotConnected(_)
        | RestError::ServerError { .. }
        | RestError::ConnectionLost(_)
        | RestError::TimedOut
        | RestError::Unreadable { .. } => Code::Unavailable,
    }
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        Self::new(error.code(), text)
    }
}
