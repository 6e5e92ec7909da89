use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de};
use twilight_model::id::{Id, marker::MessageMarker};

/// What may start a task thread; "done" is judged by it, never by a stream's sequence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TriggerId {
    /// `m.<message>`
    Message(Id<MessageMarker>),
    /// `sa.<action>.<due>`: a scheduled action at one due time, in Unix milliseconds.
    ScheduledAction { action: String, due: i64 },
    /// `ap.<approval>`
    Approval(String),
    /// `wh.<delivery>`
    WebhookDelivery(String),
    /// `ex.<key>`: an execution that nobody would make again, and that may stand open.
    Execution(String),
}

impl TriggerId {
    /// Returns the message, where a message is the trigger.
    pub fn message(&self) -> Option<Id<MessageMarker>> {
        match self {
            Self::Message(message) => Some(*message),
            _ => None,
        }
    }
}

impl fmt::Display for TriggerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => write!(f, "m.{message}"),
            Self::ScheduledAction { action, due } => write!(f, "sa.{action}.{due}"),
            Self::Approval(approval) => write!(f, "ap.{approval}"),
            Self::WebhookDelivery(delivery) => write!(f, "wh.{delivery}"),
            Self::Execution(key) => write!(f, "ex.{key}"),
        }
    }
}

/// Says that a text is no trigger id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no trigger id")]
pub struct ParseTriggerIdError(String);

impl FromStr for TriggerId {
    type Err = ParseTriggerIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseTriggerIdError(text.to_owned());
        let (kind, rest) = text.split_once('.').ok_or_else(error)?;
        if rest.is_empty() {
            return Err(error());
        }
        match kind {
            "m" => rest.parse().ok().and_then(Id::new_checked).map(Self::Message).ok_or_else(error),
            "sa" => {
                let (action, due) = rest.rsplit_once('.').ok_or_else(error)?;
                let due = due.parse().map_err(|_| error())?;
                Ok(Self::ScheduledAction { action: action.to_owned(), due })
            }
            "ap" => Ok(Self::Approval(rest.to_owned())),
            "wh" => Ok(Self::WebhookDelivery(rest.to_owned())),
            "ex" => Ok(Self::Execution(rest.to_owned())),
            _ => Err(error()),
        }
    }
}

impl Serialize for TriggerId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TriggerId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Names one event on the bus, the same however often it is published.
///
/// `mc.<message>` for a new message, `<session>.<sequence>` for everything else that Discord
/// sent: a message may be seen by two sessions, or read back by REST.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub String);

impl EventId {
    /// Names the creation of a message.
    pub fn message_created(message: Id<MessageMarker>) -> Self {
        Self(format!("mc.{message}"))
    }

    /// Names any other dispatch.
    pub fn dispatch(session: &str, sequence: u64) -> Self {
        Self(format!("{session}.{sequence}"))
    }

    /// Returns the session whose dispatch it names; none for what is not named by one.
    pub fn session(&self) -> Option<&str> {
        let (session, sequence) = self.0.rsplit_once('.')?;
        let is_dispatch = session != "mc" && sequence.parse::<u64>().is_ok();
        is_dispatch.then_some(session)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_trigger_is_refused() {
        for text in ["", "m", "m.", "m.0", "m.x", "sa.a", "zz.1", "sa.a.x"] {
            assert!(text.parse::<TriggerId>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_trigger_id_reads_back_as_written(message in 1_u64.., action in "[a-z0-9.-]{1,12}", due: i64) {
            for trigger in [
                TriggerId::Message(Id::new(message)),
                TriggerId::ScheduledAction { action: action.clone(), due },
                TriggerId::Approval(action.clone()),
                TriggerId::WebhookDelivery(action.clone()),
                TriggerId::Execution(action.clone()),
            ] {
                prop_assert_eq!(trigger.to_string().parse::<TriggerId>().unwrap(), trigger);
            }
        }
    }
}
