use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::EventId;

/// Names one task thread; time-ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskThreadId(pub Uuid);

impl TaskThreadId {
    /// Makes a new one.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for TaskThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TaskThreadId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Where an execution comes from; unique in the store, so that a repeat finds the first one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub enum ExecutionKey {
    /// A tool call of a task thread: its `call`th in the model turn of `step`.
    Thread { thread: TaskThreadId, step: u32, call: u32 },
    /// A tool call of a task thread that was proposed under [`Self::Thread`], and approved.
    Approved { thread: TaskThreadId, step: u32, call: u32 },
    /// What a rule or a command did in answer to an event.
    Event { event: EventId, cause: String, index: u32 },
    /// A call by an MCP client.
    Mcp { session: String, request: String },
    /// A call by an MCP client that was proposed under [`Self::Mcp`], and approved.
    McpApproved { session: String, request: String },
}

impl ExecutionKey {
    /// Returns whether a task thread makes it, whose channel is held for that.
    pub fn is_of_thread(&self) -> bool {
        match self {
            Self::Thread { .. } | Self::Approved { .. } | Self::McpApproved { .. } => true,
            Self::Event { .. } | Self::Mcp { .. } => false,
        }
    }
}

impl fmt::Display for ExecutionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thread { thread, step, call } => write!(f, "t/{thread}/{step}/{call}"),
            Self::Approved { thread, step, call } => write!(f, "t/{thread}/{step}/{call}/approved"),
            Self::Event { event, cause, index } => write!(f, "e/{event}/{cause}/{index}"),
            Self::Mcp { session, request } => write!(f, "mcp/{session}/{request}"),
            Self::McpApproved { session, request } => {
                write!(f, "mcp/{session}/{request}/approved")
            }
        }
    }
}

/// Says that a text is no execution key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no execution key")]
pub struct ParseExecutionKeyError(String);

impl FromStr for ExecutionKey {
    type Err = ParseExecutionKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('/').collect();
        let key = match parts.as_slice() {
            ["t", thread, step, call] => thread.parse().ok().and_then(|thread| {
                Some(Self::Thread { thread, step: step.parse().ok()?, call: call.parse().ok()? })
            }),
            ["t", thread, step, call, "approved"] => thread.parse().ok().and_then(|thread| {
                Some(Self::Approved { thread, step: step.parse().ok()?, call: call.parse().ok()? })
            }),
            ["e", event, cause, index] => index.parse().ok().map(|index| Self::Event {
                event: EventId((*event).to_owned()),
                cause: (*cause).to_owned(),
                index,
            }),
            ["mcp", session, request] => {
                Some(Self::Mcp { session: (*session).to_owned(), request: (*request).to_owned() })
            }
            ["mcp", session, request, "approved"] => Some(Self::McpApproved {
                session: (*session).to_owned(),
                request: (*request).to_owned(),
            }),
            _ => None,
        };
        key.ok_or_else(|| ParseExecutionKeyError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_as_written() {
        for key in [
            ExecutionKey::Thread { thread: TaskThreadId::random(), step: 3, call: 1 },
            ExecutionKey::Approved { thread: TaskThreadId::random(), step: 3, call: 1 },
            ExecutionKey::Event { event: EventId("s.1".into()), cause: "rule-7".into(), index: 0 },
            ExecutionKey::Mcp { session: "s".into(), request: "9".into() },
            ExecutionKey::McpApproved { session: "s".into(), request: "9".into() },
        ] {
            assert_eq!(key.to_string().parse::<ExecutionKey>().unwrap(), key);
        }
        assert!("t/x/1/2".parse::<ExecutionKey>().is_err());
    }
}
