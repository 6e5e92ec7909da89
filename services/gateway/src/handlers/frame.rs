use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, GuildMarker, MessageMarker, UserMarker},
};

use ery_ids::{EventId, Home};

/// A frame, as far as the gateway understands it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Ready(Ready),
    Resumed {
        sequence: u64,
    },
    Dispatch(Dispatch),
    /// Discord refused the session; `true`: it may be tried again.
    InvalidSession {
        is_resumable: bool,
    },
    /// Discord asks to connect anew.
    Reconnect,
    /// Heartbeats and the like, which twilight has dealt with.
    Other,
}

/// A session has begun.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) sequence: u64,
    pub(crate) session: String,
    pub(crate) resume_url: String,
    pub(crate) bot: Id<UserMarker>,
}

impl Ready {
    /// The type under which it is published, as a dispatch's.
    pub(crate) const KIND: &str = "ready";
}

/// A dispatch with the ids by which it is routed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dispatch {
    pub(crate) sequence: u64,
    /// The type in lower case: `message_create`.
    pub(crate) kind: String,
    /// None for what belongs to no guild and no channel.
    pub(crate) home: Option<Home>,
    pub(crate) channel: Option<Id<ChannelMarker>>,
    /// The message that was created, for `message_create`.
    pub(crate) created: Option<Id<MessageMarker>>,
    pub(crate) author: Option<Id<UserMarker>>,
    /// `d`, as Discord sent it.
    pub(crate) payload: Bytes,
}

impl Dispatch {
    /// Returns the name by which the bus knows it again.
    pub(crate) fn event_id(&self, session: &str) -> EventId {
        self.created
            .map_or_else(|| EventId::dispatch(session, self.sequence), EventId::message_created)
    }
}

/// Says that a frame is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnreadableFrame {
    #[error("the frame is no JSON object with an opcode")]
    Envelope(#[source] serde_json::Error),
    #[error("a dispatch has no sequence, no type or no data")]
    Incomplete,
    #[error("READY names no session or no user")]
    Ready,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    op: u8,
    s: Option<u64>,
    #[serde(borrow)]
    t: Option<&'a str>,
    #[serde(borrow)]
    d: Option<&'a RawValue>,
}

/// The ids of a dispatch's data; whatever else stands there is skipped, not read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Ids<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    guild_id: Option<&'a RawValue>,
    #[serde(borrow)]
    channel_id: Option<&'a RawValue>,
    #[serde(borrow)]
    author: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ReadyData {
    session_id: String,
    #[serde(default)]
    resume_gateway_url: String,
    user: ReadyUser,
}

#[derive(Deserialize)]
struct ReadyUser {
    id: Id<UserMarker>,
}

impl Frame {
    /// Reads a frame's envelope and a dispatch's ids; the data itself is only cut out.
    ///
    /// # Errors
    ///
    /// If it is no frame of the Gateway's. What cannot be read within a dispatch's data is no
    /// error: such a dispatch merely has fewer ids.
    pub(crate) fn read(text: String) -> Result<Self, UnreadableFrame> {
        let envelope: Envelope<'_> =
            serde_json::from_str(&text).map_err(UnreadableFrame::Envelope)?;
        let data = envelope.d.map_or("null", RawValue::get);
        match envelope.op {
            0 => {}
            7 => return Ok(Self::Reconnect),
            9 => return Ok(Self::InvalidSession { is_resumable: data == "true" }),
            _ => return Ok(Self::Other),
        }
        let (Some(sequence), Some(kind)) = (envelope.s, envelope.t) else {
            return Err(UnreadableFrame::Incomplete);
        };
        match kind {
            "READY" => read_ready(sequence, data).map(Self::Ready),
            "RESUMED" => Ok(Self::Resumed { sequence }),
            kind => {
                let (mut dispatch, payload) = read_dispatch(sequence, kind, data, &text)?;
                // Takes the frame's memory over instead of copying the data out of it.
                dispatch.payload = Bytes::from(text).slice(payload);
                Ok(Self::Dispatch(dispatch))
            }
        }
    }
}

fn read_ready(sequence: u64, data: &str) -> Result<Ready, UnreadableFrame> {
    let data: ReadyData = serde_json::from_str(data).map_err(|_| UnreadableFrame::Ready)?;
    if data.session_id.is_empty() || !data.session_id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(UnreadableFrame::Ready);
    }
    Ok(Ready {
        sequence,
        session: data.session_id,
        resume_url: data.resume_gateway_url,
        bot: data.user.id,
    })
}

/// Returns the dispatch without its payload, and where in `text` that is.
fn read_dispatch(
    sequence: u64,
    kind: &str,
    data: &str,
    text: &str,
) -> Result<(Dispatch, std::ops::Range<usize>), UnreadableFrame> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if kind.is_empty() || kind.len() > 64 || !kind.bytes().all(is_name) {
        return Err(UnreadableFrame::Incomplete);
    }
    let start = data
        .as_ptr()
        .addr()
        .checked_sub(text.as_ptr().addr())
        .filter(|start| start + data.len() <= text.len())
        .ok_or(UnreadableFrame::Incomplete)?;
    let ids: Ids<'_> = serde_json::from_str(data).unwrap_or_default();
    let guild: Option<Id<GuildMarker>> = match kind {
        "GUILD_CREATE" | "GUILD_UPDATE" | "GUILD_DELETE" => ids.id.and_then(snowflake),
        _ => ids.guild_id.and_then(snowflake),
    };
    let channel: Option<Id<ChannelMarker>> = match ids.channel_id.and_then(snowflake) {
        // A channel's and a thread's own id is the channel's.
        None if kind.starts_with("CHANNEL_") || kind.starts_with("THREAD_") => {
            ids.id.and_then(snowflake)
        }
        channel => channel,
    };
    let is_creation = kind == "MESSAGE_CREATE";
    let dispatch = Dispatch {
        sequence,
        kind: kind.to_ascii_lowercase(),
        home: guild.map(Home::Guild).or(channel.map(Home::Dm)),
        channel,
        created: ids.id.filter(|_| is_creation).and_then(snowflake),
        author: ids.author.filter(|_| is_creation).and_then(id_of),
        payload: Bytes::new(),
    };
    Ok((dispatch, start..start + data.len()))
}

/// Reads a snowflake, which is text with digits, or a number.
fn snowflake<T>(raw: &RawValue) -> Option<Id<T>> {
    raw.get().trim_matches('"').parse().ok().and_then(Id::new_checked)
}

fn id_of<T>(raw: &RawValue) -> Option<Id<T>> {
    serde_json::from_str::<Ids<'_>>(raw.get()).ok()?.id.and_then(snowflake)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dispatch(kind: &str, data: &str) -> Dispatch {
        let text = format!(r#"{{"t":"{kind}","s":7,"op":0,"d":{data}}}"#);
        match Frame::read(text).unwrap() {
            Frame::Dispatch(dispatch) => dispatch,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_message_is_cut_out_as_it_stands() {
        let data = r#"{ "id":"30", "channel_id":"20","guild_id":"10",
            "author":{"username":"x","id":"40"},"content":"\u00e9 \"d\":{}", "embeds":[{"id":1}] }"#;
        let message = dispatch("MESSAGE_CREATE", data);
        assert_eq!(message.payload, data.as_bytes());
        assert_eq!(message.kind, "message_create");
        assert_eq!(message.home, Some(Home::Guild(Id::new(10))));
        assert_eq!(message.channel, Some(Id::new(20)));
        assert_eq!(message.author, Some(Id::new(40)));
        assert_eq!(message.event_id("s").to_string(), "mc.30");
    }

    #[test]
    fn a_direct_message_is_at_home_in_its_channel() {
        let message =
            dispatch("MESSAGE_CREATE", r#"{"id":"3","channel_id":"2","author":{"id":"4"}}"#);
        assert_eq!(message.home, Some(Home::Dm(Id::new(2))));
    }

    #[test]
    fn everything_but_a_new_message_is_named_by_session_and_sequence() {
        let edit = dispatch("MESSAGE_UPDATE", r#"{"id":"3","channel_id":"2","guild_id":"1"}"#);
        assert_eq!(edit.event_id("abc").to_string(), "abc.7");
        assert_eq!(edit.created, None);
    }

    #[test]
    fn a_guilds_own_id_is_its_home() {
        let guild = dispatch("GUILD_CREATE", r#"{"id":"99","channels":[{"id":"5"}]}"#);
        assert_eq!((guild.home, guild.channel), (Some(Home::Guild(Id::new(99))), None));
        let member = dispatch("GUILD_MEMBER_ADD", r#"{"guild_id":"98","user":{"id":"5"}}"#);
        assert_eq!(member.home, Some(Home::Guild(Id::new(98))));
    }

    #[test]
    fn a_channels_and_a_threads_own_id_is_the_channel() {
        for kind in ["CHANNEL_CREATE", "CHANNEL_DELETE", "THREAD_CREATE", "THREAD_UPDATE"] {
            let channel = dispatch(kind, r#"{"id":"5","guild_id":"1","parent_id":"4"}"#);
            assert_eq!(channel.channel, Some(Id::new(5)), "{kind}");
        }
        let pins = dispatch("CHANNEL_PINS_UPDATE", r#"{"guild_id":"1","channel_id":"6"}"#);
        assert_eq!(pins.channel, Some(Id::new(6)));
    }

    #[test]
    fn ids_that_are_none_are_left_out() {
        for data in
            ["[]", "7", "\"x\"", r#"{"guild_id":null,"channel_id":{},"id":[1]}"#, r#"{"id":0}"#]
        {
            let dispatch = dispatch("SOMETHING_NEW", data);
            assert_eq!((dispatch.home, dispatch.channel), (None, None), "{data}");
            assert_eq!(dispatch.payload, data.as_bytes());
        }
    }

    #[test]
    fn ready_tells_session_and_user() {
        let text = r#"{"op":0,"s":1,"t":"READY","d":{"v":10,"session_id":"abc","user":{"id":"8"},
            "resume_gateway_url":"wss://r"}}"#;
        let ready = Ready {
            sequence: 1,
            session: "abc".into(),
            resume_url: "wss://r".into(),
            bot: Id::new(8),
        };
        assert_eq!(Frame::read(text.into()).unwrap(), Frame::Ready(ready));
    }

    #[test]
    fn control_frames_are_told_apart() {
        let read = |text: &str| Frame::read(text.into()).unwrap();
        assert_eq!(read(r#"{"op":11}"#), Frame::Other);
        assert_eq!(read(r#"{"op":7,"d":null,"s":null,"t":null}"#), Frame::Reconnect);
        assert_eq!(read(r#"{"op":9,"d":true}"#), Frame::InvalidSession { is_resumable: true });
        assert_eq!(read(r#"{"op":9,"d":false}"#), Frame::InvalidSession { is_resumable: false });
        assert_eq!(
            read(r#"{"op":0,"s":4,"t":"RESUMED","d":{"_trace":[]}}"#),
            Frame::Resumed { sequence: 4 }
        );
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"op":0,"d":{}}"#,
            r#"{"op":0,"s":1,"t":"a.b","d":{}}"#,
            r#"{"op":0,"s":1,"t":"","d":{}}"#,
            r#"{"op":0,"s":1,"t":"X"}"#,
            r#"{"op":0,"s":1,"t":"X","d":null}"#,
            r#"{"op":0,"s":1,"t":"READY","d":{"user":{"id":"1"}}}"#,
            r#"{"op":0,"s":1,"t":"READY","d":{"session_id":"a b","user":{"id":"1"}}}"#,
        ] {
            assert!(Frame::read(text.into()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}", kind in "[A-Z_]{1,8}") {
            drop(Frame::read(text.clone()));
            drop(Frame::read(format!(r#"{{"op":0,"s":1,"t":"{kind}","d":{text}}}"#)));
        }
    }
}
