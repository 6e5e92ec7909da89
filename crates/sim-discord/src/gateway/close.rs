//! Why the server hangs up.
//!
//! Source: Discord Docs, Opcodes and Status Codes, "Gateway Close Event Codes".

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseReason {
    UnknownError,
    UnknownOpcode,
    Undecodable,
    EtfUnsupported,
    NotAuthenticated,
    AuthenticationFailed,
    AlreadyAuthenticated,
    InvalidSequence,
    RateLimited,
    TimedOut,
    InvalidShard,
    ShardingRequired,
    InvalidVersion,
    InvalidIntents,
    DisallowedIntents,
    GoingAway,
    /// By an order from outside, with its code.
    Ordered(u16),
}

impl CloseReason {
    pub(crate) fn code(self) -> u16 {
        match self {
            Self::Ordered(code) => code,
            Self::GoingAway => 1001,
            Self::UnknownError => 4000,
            Self::UnknownOpcode => 4001,
            Self::Undecodable | Self::EtfUnsupported => 4002,
            Self::NotAuthenticated => 4003,
            Self::AuthenticationFailed => 4004,
            Self::AlreadyAuthenticated => 4005,
            Self::InvalidSequence => 4007,
            Self::RateLimited => 4008,
            Self::TimedOut => 4009,
            Self::InvalidShard => 4010,
            Self::ShardingRequired => 4011,
            Self::InvalidVersion => 4012,
            Self::InvalidIntents => 4013,
            Self::DisallowedIntents => 4014,
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Ordered(_) => "Closed by order.",
            Self::GoingAway => "Going away.",
            Self::UnknownError => "Unknown error.",
            Self::UnknownOpcode => "Unknown opcode.",
            Self::Undecodable => "Error while decoding payload.",
            Self::EtfUnsupported => "This simulator speaks JSON only: use encoding=json.",
            Self::NotAuthenticated => "Not authenticated.",
            Self::AuthenticationFailed => "Authentication failed.",
            Self::AlreadyAuthenticated => "Already authenticated.",
            Self::InvalidSequence => "Invalid seq.",
            Self::RateLimited => "Rate limited.",
            Self::TimedOut => "Session timed out.",
            Self::InvalidShard => "Invalid shard.",
            Self::ShardingRequired => "Sharding required.",
            Self::InvalidVersion => "Invalid API version.",
            Self::InvalidIntents => "Invalid intent(s).",
            Self::DisallowedIntents => "Disallowed intent(s).",
        }
    }

    /// Tells whether the session can be resumed after it.
    pub(crate) fn keeps_session(self) -> bool {
        !matches!(self.code(), 4_004 | 4_007 | 4_009..=4_014)
    }
}
