//! What pages are told of a thread while it runs.

use serde::Serialize;
use serde_json::Value;

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, TaskThreadId};

/// A step of a task thread, as pages show it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Progress {
    pub(crate) thread: TaskThreadId,
    pub(crate) channel: ChannelKey,
    pub(crate) kind: ProgressKind,
    pub(crate) at: UnixMillis,
    pub(crate) detail: Value,
}

/// The kinds of steps that are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProgressKind {
    Begun,
    Context,
    Orders,
    ModelAsked,
    ModelAnswered,
    Tool,
    Finished,
}

#[derive(Serialize)]
struct Told<'a> {
    thread: TaskThreadId,
    /// None in a direct message.
    guild: Option<String>,
    channel: String,
    kind: ProgressKind,
    at_ms: i64,
    detail: &'a Value,
}

impl Progress {
    /// Returns the JSON that is broadcast. Ids are strings, which JavaScript can hold.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let told = Told {
            thread: self.thread,
            guild: self.channel.guild().map(|guild| guild.to_string()),
            channel: self.channel.channel.to_string(),
            kind: self.kind,
            at_ms: self.at.0,
            detail: &self.detail,
        };
        serde_json::to_vec(&told).expect("strings and numbers can be written as JSON")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_strings_and_a_direct_message_has_no_guild() {
        let mut progress = Progress {
            thread: TaskThreadId::random(),
            channel: ChannelKey::from_raw(10, 20).unwrap(),
            kind: ProgressKind::ModelAsked,
            at: UnixMillis(5),
            detail: json!({"tokens": 7}),
        };
        let told: Value = serde_json::from_slice(&progress.to_json()).unwrap();
        assert_eq!(
            told,
            json!({
                "thread": progress.thread.to_string(), "guild": "10", "channel": "20",
                "kind": "model_asked", "at_ms": 5, "detail": {"tokens": 7}
            })
        );
        progress.channel = ChannelKey::from_raw(0, 20).unwrap();
        let told: Value = serde_json::from_slice(&progress.to_json()).unwrap();
        assert_eq!(told["guild"], Value::Null);
    }
}
