//! Every subject and stream name, built and read here and nowhere else.

use std::{fmt::Write as _, str::FromStr};

use async_nats::Subject;
use twilight_model::id::{Id, marker::ChannelMarker};

use ery_clock::UnixMillis;
use ery_event_bus::{GatewayShard, Topic};
use ery_ids::{ChannelKey, Home, Part, ServiceName};

/// What waits for channels.
pub(crate) const TASKS: &str = "ERY_TASKS";
/// What Discord sent, for a day.
pub(crate) const EVENTS: &str = "ERY_EVENTS";
/// The durable consumer that wakes channels.
pub(crate) const ORCHESTRATOR: &str = "orchestrator";
/// From where the Gateway's sessions can be resumed.
pub(crate) const RESUME_POINTS: &str = "ery_resume";
/// How far each handler has come in each part.
pub(crate) const CURSORS: &str = "ery_cursors";

/// Channels handed over; each to one of those who listen.
pub(crate) const WAKE: &str = "ery.wake";
/// The queue group of [`WAKE`].
pub(crate) const WAKERS: &str = "orchestrator";

const NANOS_IN_MILLI: i64 = 1_000_000;

/// All subjects of the stream of tasks.
pub(crate) const ALL_TASKS: &str = "ery.task.>";
/// All subjects of the stream of events.
pub(crate) const ALL_EVENTS: &str = "ery.event.>";

/// Returns the one subject of a channel's tasks.
pub(crate) fn task(channel: ChannelKey) -> String {
    format!("ery.task.{}.{}", channel.home.part(), channel_name(channel))
}

/// Reads the channel of a task's subject.
pub(crate) fn parse_task(subject: &str) -> Option<ChannelKey> {
    let (part, name) = subject.strip_prefix("ery.task.")?.split_once('.')?;
    part.parse::<u8>().ok()?;
    parse_channel_name(name)
}

/// Names a channel in subjects and keys: `<guild|dm>.<channel>`.
pub(crate) fn channel_name(channel: ChannelKey) -> String {
    format!("{}.{}", home_token(channel.home, Some(channel.channel)), channel.channel)
}

/// Reads a channel's name.
pub(crate) fn parse_channel_name(name: &str) -> Option<ChannelKey> {
    let (home, channel) = name.split_once('.')?;
    let channel = parse_id(channel)?;
    Some(ChannelKey { home: parse_home(home, Some(channel))?, channel })
}

/// Returns the subject of an event.
pub(crate) fn event(home: Home, kind: &str, channel: Option<Id<ChannelMarker>>) -> String {
    let mut subject =
        format!("ery.event.{}.{}.{}.", home.part(), kind_token(kind), home_token(home, channel));
    match channel {
        Some(channel) => {
            write!(subject, "{channel}").expect("writing to a string cannot fail");
        }
        None => subject.push('_'),
    }
    subject
}

/// What an event's subject says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EventSubject<'a> {
    pub(crate) kind: &'a str,
    pub(crate) home: Home,
    pub(crate) channel: Option<Id<ChannelMarker>>,
}

/// Reads an event's subject.
pub(crate) fn parse_event(subject: &str) -> Option<EventSubject<'_>> {
    let mut tokens = subject.strip_prefix("ery.event.")?.split('.');
    tokens.next()?.parse::<u8>().ok()?;
    let (kind, home, channel) = (tokens.next()?, tokens.next()?, tokens.next()?);
    let channel = if channel == "_" { None } else { Some(parse_id(channel)?) };
    if tokens.next().is_some() {
        return None;
    }
    Some(EventSubject { kind, home: parse_home(home, channel)?, channel })
}

/// Returns the filters of events of these kinds, in one part or in all; all kinds if empty.
pub(crate) fn event_filters(kinds: &[&str], part: Option<Part>) -> Vec<String> {
    let part = part.map_or_else(|| "*".to_owned(), |part| part.to_string());
    if kinds.is_empty() {
        return vec![format!("ery.event.{part}.>")];
    }
    kinds.iter().map(|kind| format!("ery.event.{part}.{}.*.*", kind_token(kind))).collect()
}

/// Returns the subject of a broadcast.
pub(crate) fn broadcast(topic: Topic) -> String {
    format!("ery.broadcast.{}", topic.as_str())
}

/// Returns the subject that tells of a replica that came or went.
pub(crate) fn members(service: ServiceName) -> String {
    format!("ery.members.{service}")
}

/// Returns where the server is asked to delete a task.
pub(crate) fn delete_task() -> String {
    format!("STREAM.MSG.DELETE.{TASKS}")
}

/// Returns where deliveries of a consumer are asked for.
pub(crate) fn next_of(stream: &str, consumer: &str) -> Subject {
    Subject::from(format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"))
}

/// Names the durable consumer of a handler and a part.
pub(crate) fn handler(handler: &str, part: Part) -> String {
    format!("{}-{part}", kind_token(handler))
}

/// Names the key of a shard's resume point.
pub(crate) fn resume_point(shard: GatewayShard) -> String {
    format!("{}.{}", shard.total, shard.number)
}

/// What a delivery's reply subject says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// How often this was delivered, this time included.
    pub(crate) times: u64,
    pub(crate) stream_sequence: u64,
    /// Rises by one with each delivery of the consumer.
    pub(crate) consumer_sequence: u64,
    /// When it was published.
    pub(crate) published_at: UnixMillis,
}

/// Reads a delivery's reply subject, of the older form or of that with domain and account.
///
/// Source: NATS ADR-15: `$JS.ACK.[<domain>.<account hash>.]<stream>.<consumer>.<delivered>.<stream
/// sequence>.<consumer sequence>.<timestamp>.<pending>`.
pub(crate) fn parse_delivered(reply: &str) -> Option<Delivered> {
    let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
    let skipped = match tokens.len() {
        7 => 0,
        9.. => 2,
        _ => return None,
    };
    Some(Delivered {
        times: tokens[skipped + 2].parse().ok()?,
        stream_sequence: tokens[skipped + 3].parse().ok()?,
        consumer_sequence: tokens[skipped + 4].parse().ok()?,
        published_at: UnixMillis(tokens[skipped + 5].parse::<i64>().ok()? / NANOS_IN_MILLI),
    })
}

/// A direct message's home is its channel: `dm`, unless the event names another channel or none.
fn home_token(home: Home, channel: Option<Id<ChannelMarker>>) -> String {
    match home {
        Home::Guild(guild) => guild.to_string(),
        Home::Dm(of) if Some(of) == channel => "dm".to_owned(),
        Home::Dm(of) => format!("dm{of}"),
    }
}

fn parse_home(token: &str, channel: Option<Id<ChannelMarker>>) -> Option<Home> {
    match token.strip_prefix("dm") {
        Some("") => channel.map(Home::Dm),
        Some(of) => parse_id(of).map(Home::Dm),
        None => parse_id(token).map(Home::Guild),
    }
}

fn parse_id<T>(token: &str) -> Option<Id<T>> {
    u64::from_str(token).ok().and_then(Id::new_checked)
}

/// A dispatch's type as a token; whatever could end or widen the token becomes `_`.
fn kind_token(kind: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let token: String = kind.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    if token.is_empty() { "_".to_owned() } else { token }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_channel_has_one_literal_subject() {
        let channel = ChannelKey::from_raw(5 << 22, 6 << 22).unwrap();
        let subject = task(channel);
        assert_eq!(
            subject,
            format!("ery.task.{}.{}.{}", channel.home.part(), 5_u64 << 22, 6_u64 << 22)
        );
        let dm = ChannelKey::from_raw(0, 7 << 22).unwrap();
        assert_eq!(task(dm), format!("ery.task.{}.dm.{}", dm.home.part(), 7_u64 << 22));
    }

    #[test]
    fn a_type_cannot_widen_a_filter() {
        assert_eq!(
            event_filters(&["a.>", "*"], Some(Part(3))),
            ["ery.event.3.a__.*.*", "ery.event.3._.*.*"]
        );
        assert_eq!(event_filters(&[], None), ["ery.event.*.>"]);
    }

    #[test]
    fn what_is_no_subject_of_ours_is_refused() {
        for subject in ["", "ery.task.1.2", "ery.task.x.2.3", "ery.task.1.dm.0", "ery.event.1.2.3"]
        {
            assert_eq!(parse_task(subject), None, "{subject}");
        }
        for subject in ["ery.event.1.k.2", "ery.event.1.k.dm._", "ery.event.1.k.2.3.4"] {
            assert_eq!(parse_event(subject), None, "{subject}");
        }
    }

    #[test]
    fn a_delivery_is_read_in_both_forms() {
        let delivered = Some(Delivered {
            times: 2,
            stream_sequence: 40,
            consumer_sequence: 50,
            published_at: UnixMillis(1_795_881_532_758),
        });
        let rest = "S.c.2.40.50.1795881532758999999.9";
        assert_eq!(parse_delivered(&format!("$JS.ACK.{rest}")), delivered);
        assert_eq!(parse_delivered(&format!("$JS.ACK._.hash.{rest}")), delivered);
        assert_eq!(parse_delivered(&format!("$JS.ACK.hub.hash.{rest}.token")), delivered);
        assert_eq!(parse_delivered("_INBOX.x"), None);
    }

    proptest! {
        #[test]
        fn subjects_read_back_as_written(
            guild in 0_u64..,
            channel in 1_u64..,
            other in proptest::option::of(1_u64..),
            kind in "[a-z_]{1,20}",
        ) {
            let key = ChannelKey::from_raw(guild, channel).unwrap();
            prop_assert_eq!(parse_task(&task(key)), Some(key));
            for channel in [other.map(Id::new), Some(key.channel), None] {
                let subject = event(key.home, &kind, channel);
                prop_assert_eq!(
                    parse_event(&subject),
                    Some(EventSubject { kind: &kind, home: key.home, channel })
                );
            }
        }
    }
}
