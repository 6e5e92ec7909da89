use std::time::Duration;

use ery_settings::InvalidSetting;

/// Why the gateway cannot go on. Whatever passes by itself is waited out instead.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error("Discord refused the token: check ERY_DISCORD__TOKEN")]
    TokenRefused,
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    #[error("Discord at {host} could not be reached for {}", humantime_serde::re::humantime::format_duration(*.patience))]
    Unreachable {
        host: String,
        patience: Duration,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("Discord at {host} answered {what} with status {status}")]
    Refused { host: String, what: &'static str, status: u16 },
    #[error("Discord at {host} answered {what} with something that cannot be read")]
    Unreadable {
        host: String,
        what: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "Discord refused the privileged intents: enable Server Members and Message Content under \
         Bot, Privileged Gateway Intents in the developer portal, or leave them out of \
         `gateway.intents` (close code 4014)"
    )]
    PrivilegedIntents,
    #[error("Discord does not know these intents: check `gateway.intents` (close code 4013)")]
    InvalidIntents,
    #[error("Discord refused shard {shard} of {total}: check `gateway.shards` (close code 4010)")]
    InvalidShard { shard: u32, total: u32 },
    #[error(
        "Discord wants more shards than {total}: raise `gateway.shards`, or leave it out \
         (close code 4011)"
    )]
    ShardingRequired { total: u32 },
    #[error(
        "Discord no longer serves version 10 of its Gateway: a newer Ery is needed \
         (close code 4012)"
    )]
    VersionRetired,
}

impl GatewayError {
    /// Tells whether a person must change a setting before another start can succeed (exit 78).
    pub fn is_bad_settings(&self) -> bool {
        match self {
            Self::TokenRefused
            | Self::Setting(_)
            | Self::PrivilegedIntents
            | Self::InvalidIntents
            | Self::InvalidShard { .. }
            | Self::ShardingRequired { .. } => true,
            Self::Unreachable { .. }
            | Self::Refused { .. }
            | Self::Unreadable { .. }
            | Self::VersionRetired => false,
        }
    }

    /// Returns what a close code means that forbids connecting again, or none if it does not.
    ///
    /// Source: Discord Docs, Opcodes and Status Codes, Gateway Close Event Codes.
    pub(crate) fn of_close_code(code: u16, shard: u32, total: u32) -> Option<Self> {
        match code {
            4004 => Some(Self::TokenRefused),
            4010 => Some(Self::InvalidShard { shard, total }),
            4011 => Some(Self::ShardingRequired { total }),
            4012 => Some(Self::VersionRetired),
            4013 => Some(Self::InvalidIntents),
            4014 => Some(Self::PrivilegedIntents),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fatal_close_code_says_what_to_do() {
        for code in [4004, 4010, 4011, 4012, 4013, 4014] {
            assert!(GatewayError::of_close_code(code, 1, 2).is_some(), "{code}");
        }
        for code in [1000, 1006, 4000, 4007, 4008, 4009] {
            assert!(GatewayError::of_close_code(code, 1, 2).is_none(), "{code}");
        }
        let refused = GatewayError::of_close_code(4010, 1, 2).unwrap();
        assert!(refused.is_bad_settings());
        assert!(refused.to_string().contains("shard 1 of 2"), "{refused}");
    }
}
