use std::fmt;

use serde::{Deserialize, Serialize};

/// Where something is set; a later one stands before an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// For the whole installation, by its operator.
    Global,
    /// For one server; in a direct message, for that.
    Server,
    Channel,
    /// By one member, for themselves, in one server.
    User,
}

impl Layer {
    pub const ALL: [Self; 4] = [Self::Global, Self::Server, Self::Channel, Self::User];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Server => "server",
            Self::Channel => "channel",
            Self::User => "user",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layer| layer.as_str() == text)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
