use std::fmt;

use serde::{Deserialize, Serialize};
use twilight_model::id::{Id, marker::UserMarker};

/// On whose authority a call is made. Fixed by code from the event, never chosen by the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Principal {
    /// The author of the message, or the person who clicked.
    Person(Id<UserMarker>),
    /// A rule that the staff wrote.
    Rule { id: String, version: u32 },
    /// The end of a temporary sanction that `execution` began.
    Expiry { execution: String },
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(user) => write!(f, "person {user}"),
            Self::Rule { id, version } => write!(f, "rule {id} v{version}"),
            Self::Expiry { execution } => write!(f, "expiry of {execution}"),
        }
    }
}
