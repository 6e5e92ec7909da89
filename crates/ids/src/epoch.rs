use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ChannelKey;

/// The fence that every write for a channel carries; a higher one shuts the lower ones out.
///
/// Microseconds since 1970 at least, so that it rises even where the counter was forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one holding of one lease; equal epochs of different owners are refused too.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OwnerToken(pub String);

impl fmt::Display for OwnerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who writes for a channel, under which epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fence {
    pub channel: ChannelKey,
    pub epoch: Epoch,
    pub owner: OwnerToken,
}
