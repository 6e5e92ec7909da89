use std::time::Duration;

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestError {
    /// Discord said no: not done, and never to be repeated unchanged.
    #[error("discord refused the request with status {status}, code {code}")]
    Refused { status: u16, code: u64 },
    /// As it said a moment ago; not sent.
    #[error("discord refused a like request a moment ago with code {code}")]
    RefusedBefore { code: u64 },
    /// Not done: there was no room in time.
    #[error("discord's rate limit leaves no room in time")]
    RateLimited { retry_after: Duration },
    /// Not sent: the deadline had passed.
    #[error("the deadline for writing the request has passed")]
    TooLate,
    /// Not sent: Discord does not take our token.
    #[error("discord does not accept the bot's token")]
    Unauthorized,
    /// Not sent: so many requests were invalid that the address might be banned.
    #[error("too many invalid requests in the last ten minutes")]
    TooManyInvalid,
    /// Not sent.
    #[error("discord has not answered for a while, and is spared")]
    BreakerOpen,
    /// Not sent.
    #[error("could not connect to discord")]
    NotConnected(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// May or may not be done.
    #[error("discord answered with status {status}")]
    ServerError { status: u16 },
    /// May or may not be done.
    #[error("the connection to discord was lost")]
    ConnectionLost(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// May or may not be done.
    #[error("discord did not answer in time")]
    TimedOut,
    /// Done, but what it says cannot be read.
    #[error("discord's answer with status {status} cannot be read")]
    Unreadable {
        status: u16,
        #[source]
        source: serde_json::Error,
    },
}

impl RestError {
    /// Returns whether the request may have been carried out.
    pub(crate) fn is_in_doubt(&self) -> bool {
        match self {
            Self::ServerError { .. }
            | Self::ConnectionLost(_)
            | Self::TimedOut
            | Self::Unreadable { .. } => true,
            Self::Refused { .. }
            | Self::RefusedBefore { .. }
            | Self::RateLimited { .. }
            | Self::TooLate
            | Self::Unauthorized
            | Self::TooManyInvalid
            | Self::BreakerOpen
            | Self::NotConnected(_) => false,
        }
    }

    /// Returns whether the request was not made for a reason that passes by itself.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::TooLate
            | Self::TooManyInvalid
            | Self::BreakerOpen
            | Self::NotConnected(_) => true,
            Self::Refused { .. }
            | Self::RefusedBefore { .. }
            | Self::Unauthorized
            | Self::ServerError { .. }
            | Self::ConnectionLost(_)
            | Self::TimedOut
            | Self::Unreadable { .. } => false,
        }
    }

    /// Returns the HTTP status, 0 if none came.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Refused { status, .. }
            | Self::ServerError { status }
            | Self::Unreadable { status, .. } => *status,
            _ => 0,
        }
    }

    pub(super) fn is_worth_repeating(&self) -> bool {
        matches!(
            self,
            Self::ServerError { .. }
                | Self::ConnectionLost(_)
                | Self::TimedOut
                | Self::NotConnected(_)
        )
    }

    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::RefusedBefore { .. } => "refused_before",
            Self::RateLimited { .. } => "rate_limited",
            Self::TooLate => "too_late",
            Self::Unauthorized => "unauthorized",
            Self::TooManyInvalid => "too_many_invalid",
            Self::BreakerOpen => "breaker_open",
            Self::NotConnected(_) => "not_connected",
            Self::ServerError { .. } => "server_error",
            Self::ConnectionLost(_) => "connection_lost",
            Self::TimedOut => "timed_out",
            Self::Unreadable { .. } => "unreadable",
        }
    }
}
