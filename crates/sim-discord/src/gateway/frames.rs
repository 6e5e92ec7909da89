//! The frames of the Gateway, as they are written and read.

use std::fmt::Write as _;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json, value::RawValue};

use crate::domain::{ChannelId, GuildId, Presence, Status, UserId};

/// Writes a dispatch around its `d`, which is written once for all sessions.
pub(super) fn dispatch(name: &str, sequence: u64, body: &str) -> String {
    let mut frame = String::with_capacity(body.len() + name.len() + 48);
    frame.push_str(r#"{"t":""#);
    frame.push_str(name);
    let _infallible = write!(frame, r#"","s":{sequence},"op":0,"d":"#);
    frame.push_str(body);
    frame.push('}');
    frame
}

pub(super) fn hello(heartbeat_interval_ms: u64) -> String {
    let d = json!({ "heartbeat_interval": heartbeat_interval_ms, "_trace": ["[\"sim-discord\"]"] });
    json!({ "t": null, "s": null, "op": 10, "d": d }).to_string()
}

pub(super) fn heartbeat_ack() -> String {
    r#"{"t":null,"s":null,"op":11,"d":null}"#.to_owned()
}

pub(super) fn heartbeat_request() -> String {
    r#"{"t":null,"s":null,"op":1,"d":null}"#.to_owned()
}

pub(super) fn reconnect() -> String {
    r#"{"t":null,"s":null,"op":7,"d":null}"#.to_owned()
}

pub(super) fn invalid_session(resumable: bool) -> String {
    format!(r#"{{"t":null,"s":null,"op":9,"d":{resumable}}}"#)
}

/// What a client sends.
#[derive(Debug)]
pub(super) enum Incoming {
    Heartbeat,
    Identify(Identify),
    Resume(Resume),
    Presence(PresenceUpdate),
    RequestMembers(RequestMembers),
    RequestSounds(RequestSounds),
    RequestChannelInfo(RequestChannelInfo),
    /// Understood, and without any effect: there are no voice servers in this world.
    Voice,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Undecodable,
    UnknownOpcode,
}

#[derive(Deserialize)]
struct Frame<'a> {
    op: u64,
    #[serde(borrow, default)]
    d: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Identify {
    pub(super) token: String,
    #[serde(deserialize_with = "number")]
    pub(super) intents: u64,
    /// Demanded, and not looked into.
    #[serde(rename = "properties")]
    _properties: Map<String, Value>,
    /// Not yet known to be two numbers: what else it is has a close code of its own.
    #[serde(default)]
    pub(super) shard: Option<Value>,
    #[serde(default)]
    pub(super) large_threshold: Option<u64>,
    /// Whether large frames may be compressed one by one.
    #[serde(default)]
    pub(super) compress: Option<bool>,
    #[serde(default)]
    pub(super) presence: Option<PresenceUpdate>,
}

/// How a bot wants to be shown.
#[derive(Debug, Deserialize)]
pub(super) struct PresenceUpdate {
    pub(super) status: Status,
    #[serde(default)]
    activities: Option<Vec<Map<String, Value>>>,
}

impl PresenceUpdate {
    pub(super) fn into_presence(self) -> Presence {
        Presence::new(self.status, self.activities.unwrap_or_default())
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Resume {
    pub(super) token: String,
    pub(super) session_id: String,
    #[serde(default)]
    pub(super) seq: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RequestMembers {
    pub(super) guild_id: OneOrMany<GuildId>,
    #[serde(default)]
    pub(super) query: Option<String>,
    #[serde(default)]
    pub(super) limit: Option<usize>,
    #[serde(default)]
    pub(super) user_ids: Option<OneOrMany<UserId>>,
    #[serde(default)]
    pub(super) presences: Option<bool>,
    #[serde(default)]
    pub(super) nonce: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RequestSounds {
    pub(super) guild_ids: Vec<GuildId>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RequestChannelInfo {
    pub(super) guild_id: GuildId,
}

#[derive(Deserialize)]
struct VoiceState {
    #[serde(rename = "guild_id")]
    _guild: GuildId,
    #[serde(rename = "channel_id", default)]
    _channel: Option<ChannelId>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    pub(super) fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// Integers may be written as strings.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(u64),
        Text(String),
    }
    match Written::deserialize(deserializer)? {
        Written::Number(number) => Ok(number),
        Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

fn parsed<T: for<'de> Deserialize<'de>>(d: &str) -> Result<T, Unreadable> {
    serde_json::from_str(d).map_err(|_| Unreadable::Undecodable)
}

impl Incoming {
    pub(super) fn read(text: &str) -> Result<Self, Unreadable> {
        let frame: Frame<'_> = serde_json::from_str(text).map_err(|_| Unreadable::Undecodable)?;
        let d = frame.d.map_or("null", RawValue::get);
        match frame.op {
            1 => Ok(Self::Heartbeat),
            2 => parsed(d).map(Self::Identify),
            3 => parsed(d).map(Self::Presence),
            4 => parsed::<VoiceState>(d).map(|_| Self::Voice),
            6 => parsed(d).map(Self::Resume),
            8 => parsed(d).map(Self::RequestMembers),
            31 => parsed(d).map(Self::RequestSounds),
            43 => parsed(d).map(Self::RequestChannelInfo),
            _ => Err(Unreadable::UnknownOpcode),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dispatch_is_one_object_around_its_body() {
        let frame = dispatch("MESSAGE_CREATE", 7, r#"{"id":"1"}"#);
        let value: serde_json::Value = serde_json::from_str(&frame).unwrap();
        assert_eq!(value, json!({ "op": 0, "s": 7, "t": "MESSAGE_CREATE", "d": { "id": "1" } }));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        assert_eq!(Incoming::read("{").unwrap_err(), Unreadable::Undecodable);
        assert_eq!(Incoming::read(r#"{"op":2,"d":{}}"#).unwrap_err(), Unreadable::Undecodable);
        let without_properties = r#"{"op":2,"d":{"token":"t","intents":0}}"#;
        assert_eq!(Incoming::read(without_properties).unwrap_err(), Unreadable::Undecodable);
        let unknown_status = r#"{"op":3,"d":{"status":"away","activities":[]}}"#;
        assert_eq!(Incoming::read(unknown_status).unwrap_err(), Unreadable::Undecodable);
        assert_eq!(Incoming::read(r#"{"op":4,"d":{}}"#).unwrap_err(), Unreadable::Undecodable);
        assert_eq!(Incoming::read(r#"{"op":99,"d":null}"#).unwrap_err(), Unreadable::UnknownOpcode);
        assert!(matches!(Incoming::read(r#"{"op":1,"d":null}"#), Ok(Incoming::Heartbeat)));
    }

    #[test]
    fn members_are_requested_of_one_guild_or_of_many() {
        let read = Incoming::read(r#"{"op":8,"d":{"guild_id":["5"],"query":"","limit":0}}"#);
        let Ok(Incoming::RequestMembers(request)) = read else { panic!("{read:?}") };
        assert_eq!(request.guild_id.into_vec(), [GuildId::new(5)]);
    }
}
