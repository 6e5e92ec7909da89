//! How tasks and events are written on the wire: headers, and a payload that may be compressed.

use std::{fmt::Write as _, io, str::FromStr};

use async_nats::{HeaderMap, header::HeaderValue};
use bytes::Bytes;
use twilight_model::id::{Id, marker::UserMarker};

use ery_channel_queue::Task;
use ery_clock::UnixMillis;
use ery_event_bus::Event;
use ery_ids::{EventId, TriggerId};
use ery_trace::TraceParent;

use crate::subjects;

const ID: &str = "Nats-Msg-Id";
const RECEIVED_AT: &str = "Ery-Received-At";
const BOT: &str = "Ery-Bot";
const TRIGGER: &str = "Ery-Trigger";
const RETRY: &str = "Ery-Retry";
const SESSION: &str = "Ery-Session";
const ENCODING: &str = "Ery-Encoding";
const TRACEPARENT: &str = "traceparent";

const ZSTD: &str = "zstd";
const ZSTD_LEVEL: i32 = 3;

/// No id of ours is longer.
const LONGEST_ID: usize = 128;

/// No payload of ours is larger; one that claims to be is an attack.
const MAX_DECODED_BYTES: usize = 64 << 20;

/// Above this, compressing takes long enough to be done on another thread.
const MAX_INLINE_BYTES: usize = 256 << 10;

/// Why a message of a stream cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("its subject is none of ours")]
    Subject,
    #[error("its header `{0}` is missing or makes no sense")]
    Header(&'static str),
    #[error("its encoding is unknown")]
    Encoding,
    #[error("its payload does not decompress")]
    Payload(#[source] io::Error),
}

/// Says that a value cannot stand in a header.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` holds what no header can")]
pub(crate) struct Unwritable(&'static str);

/// What is published: everything but where.
pub(crate) struct Envelope {
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

impl Envelope {
    /// Writes a task.
    pub(crate) async fn of_task(task: &Task, compress_above: usize) -> Result<Self, Unwritable> {
        let trigger = task.trigger.to_string();
        // A trigger is one of its channel's, and deduplication is the whole stream's.
        let mut id = format!("{}:{trigger}", subjects::channel_name(task.channel));
        if task.retry > 0 {
            // Else a retry within the window would be taken for the publish that it repeats.
            write!(id, ":retry-{}", task.retry).expect("writing to a string cannot fail");
        }
        let mut headers = common(&id, task.bot, task.received_at, task.traceparent)?;
        headers.insert(TRIGGER, value(TRIGGER, &trigger)?);
        if task.retry > 0 {
            headers.insert(RETRY, value(RETRY, &task.retry.to_string())?);
        }
        if let Some(session) = &task.session {
            headers.insert(SESSION, value(SESSION, session)?);
        }
        Ok(compressed(headers, task.payload.clone(), compress_above).await)
    }

    /// Writes an event.
    pub(crate) async fn of_event(event: &Event, compress_above: usize) -> Result<Self, Unwritable> {
        let headers = common(&event.id.0, event.bot, event.received_at, event.traceparent)?;
        Ok(compressed(headers, event.payload.clone(), compress_above).await)
    }

    /// Returns about how large it is on the wire.
    pub(crate) fn size_bytes(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, values)| {
                let name: &str = name.as_ref();
                values.iter().map(|value| name.len() + value.as_str().len() + 4).sum::<usize>()
            })
            .sum();
        // The first line and the empty one at the end.
        headers + 12 + self.payload.len()
    }
}

/// Reads a task.
pub(crate) fn read_task(
    subject: &str,
    headers: Option<&HeaderMap>,
    payload: &Bytes,
) -> Result<Task, Unreadable> {
    // Under another part than its own, its holder would never find it.
    let channel = subjects::parse_task(subject)
        .filter(|channel| subjects::task(*channel) == subject)
        .ok_or(Unreadable::Subject)?;
    let headers = headers.ok_or(Unreadable::Header(TRIGGER))?;
    Ok(Task {
        trigger: parse::<TriggerId>(headers, TRIGGER)?,
        channel,
        retry: match headers.get(RETRY) {
            Some(_) => parse(headers, RETRY)?,
            None => 0,
        },
        bot: bot(headers)?,
        received_at: UnixMillis(parse(headers, RECEIVED_AT)?),
        session: headers.get(SESSION).map(|value| value.as_str().to_owned()),
        traceparent: trace_parent(headers),
        payload: decompressed(headers, payload)?,
    })
}

/// What of a task can be read, though not all of it can.
pub(crate) struct Remains {
    /// The id under which it was published.
    pub(crate) id: Option<String>,
    pub(crate) bot: Option<Id<UserMarker>>,
    pub(crate) received_at: Option<UnixMillis>,
    /// Decompressed where that is possible.
    pub(crate) payload: Bytes,
}

/// Reads what can be read.
pub(crate) fn remains(headers: Option<&HeaderMap>, payload: &Bytes) -> Remains {
    let Some(headers) = headers else {
        return Remains { id: None, bot: None, received_at: None, payload: payload.clone() };
    };
    let id = headers.get(ID).map(HeaderValue::as_str).filter(|id| {
        (1..=LONGEST_ID).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic())
    });
    Remains {
        id: id.map(str::to_owned),
        bot: bot(headers).ok(),
        received_at: parse(headers, RECEIVED_AT).ok().map(UnixMillis),
        payload: decompressed(headers, payload).unwrap_or_else(|_| payload.clone()),
    }
}

/// Reads an event.
pub(crate) fn read_event(
    subject: &str,
    headers: Option<&HeaderMap>,
    payload: &Bytes,
) -> Result<Event, Unreadable> {
    let place = subjects::parse_event(subject).ok_or(Unreadable::Subject)?;
    let headers = headers.ok_or(Unreadable::Header(ID))?;
    Ok(Event {
        id: event_id(headers).ok_or(Unreadable::Header(ID))?,
        kind: place.kind.to_owned(),
        home: place.home,
        channel: place.channel,
        bot: bot(headers)?,
        received_at: UnixMillis(parse(headers, RECEIVED_AT)?),
        traceparent: trace_parent(headers),
        payload: decompressed(headers, payload)?,
    })
}

/// Reads an event's id alone.
pub(crate) fn event_id(headers: &HeaderMap) -> Option<EventId> {
    headers.get(ID).map(|value| EventId(value.as_str().to_owned()))
}

fn common(
    id: &str,
    bot: Id<UserMarker>,
    received_at: UnixMillis,
    traceparent: Option<TraceParent>,
) -> Result<HeaderMap, Unwritable> {
    let mut headers = HeaderMap::new();
    headers.insert(ID, value(ID, id)?);
    headers.insert(RECEIVED_AT, value(RECEIVED_AT, &received_at.to_string())?);
    headers.insert(BOT, value(BOT, &bot.to_string())?);
    if let Some(traceparent) = traceparent {
        headers.insert(TRACEPARENT, value(TRACEPARENT, &traceparent.to_string())?);
    }
    Ok(headers)
}

fn value(name: &'static str, text: &str) -> Result<HeaderValue, Unwritable> {
    HeaderValue::from_str(text).map_err(|_| Unwritable(name))
}

fn parse<T: FromStr>(headers: &HeaderMap, name: &'static str) -> Result<T, Unreadable> {
    let text = headers.get(name).map(HeaderValue::as_str);
    text.and_then(|text| text.parse().ok()).ok_or(Unreadable::Header(name))
}

/// One that cannot be read is none: nothing that is done depends on it.
fn trace_parent(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get(TRACEPARENT)?.as_str().parse().ok()
}

fn bot(headers: &HeaderMap) -> Result<Id<UserMarker>, Unreadable> {
    Id::new_checked(parse(headers, BOT)?).ok_or(Unreadable::Header(BOT))
}

async fn compressed(mut headers: HeaderMap, payload: Bytes, above: usize) -> Envelope {
    if payload.len() <= above {
        return Envelope { headers, payload };
    }
    let smaller = if payload.len() <= MAX_INLINE_BYTES {
        zstd::bulk::compress(&payload, ZSTD_LEVEL).ok()
    } else {
        let payload = payload.clone();
        let work = move || zstd::bulk::compress(&payload, ZSTD_LEVEL).ok();
        tokio::task::spawn_blocking(work).await.ok().flatten()
    };
    match smaller.filter(|smaller| smaller.len() < payload.len()) {
        Some(smaller) => {
            headers.insert(ENCODING, ZSTD);
            Envelope { headers, payload: smaller.into() }
        }
        None => Envelope { headers, payload },
    }
}

fn decompressed(headers: &HeaderMap, payload: &Bytes) -> Result<Bytes, Unreadable> {
    match headers.get(ENCODING).map(HeaderValue::as_str) {
        None => Ok(payload.clone()),
        Some(ZSTD) => zstd::bulk::decompress(payload, MAX_DECODED_BYTES)
            .map(Bytes::from)
            .map_err(Unreadable::Payload),
        Some(_) => Err(Unreadable::Encoding),
    }
}

#[cfg(test)]
mod tests {
    use ery_ids::ChannelKey;

    use super::*;

    fn task(payload: Vec<u8>) -> Task {
        Task {
            trigger: "sa.a-1.5".parse().unwrap(),
            channel: ChannelKey::from_raw(0, 9 << 22).unwrap(),
            retry: 3,
            bot: Id::new(7),
            received_at: UnixMillis(-1),
            session: Some("d8f.1".into()),
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().ok(),
            payload: payload.into(),
        }
    }

    #[tokio::test]
    async fn a_place_in_no_trace_is_left_out_and_the_task_is_read() {
        let task = task(b"{}".to_vec());
        let Envelope { mut headers, payload } = Envelope::of_task(&task, 64 << 10).await.unwrap();
        let subject = subjects::task(task.channel);
        for (given, is_kept) in [
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true),
            ("00-00000000000000000000000000000000-b7ad6b7169203331-01", false),
            ("' OR 1=1 --", false),
        ] {
            headers.insert(TRACEPARENT, given);
            let read = read_task(&subject, Some(&headers), &payload).unwrap();
            assert_eq!(read.traceparent.is_some(), is_kept, "{given}");
        }
    }

    #[tokio::test]
    async fn a_task_reads_back_as_written_whatever_its_size() {
        for size in [0, 10, 70 << 10, 3 << 20] {
            let task = task((0..size).map(|index| u8::try_from(index % 7).unwrap()).collect());
            let envelope = Envelope::of_task(&task, 64 << 10).await.unwrap();
            assert_eq!(envelope.headers.get(ENCODING).is_some(), size > 64 << 10);
            let subject = subjects::task(task.channel);
            let read = read_task(&subject, Some(&envelope.headers), &envelope.payload).unwrap();
            assert_eq!(read, task);
        }
    }

    #[tokio::test]
    async fn a_header_cannot_be_smuggled_in() {
        let mut task = task(Vec::new());
        task.trigger = TriggerId::WebhookDelivery("x\r\nNats-Rollup: all".into());
        assert!(Envelope::of_task(&task, 1).await.is_err());
    }

    #[tokio::test]
    async fn what_does_not_decompress_is_unreadable() {
        let task = task(Vec::new());
        let mut envelope = Envelope::of_task(&task, 1).await.unwrap();
        envelope.headers.insert(ENCODING, ZSTD);
        let subject = &subjects::task(task.channel);
        let read = read_task(subject, Some(&envelope.headers), &Bytes::from_static(b"nonsense"));
        assert!(matches!(read, Err(Unreadable::Payload(_))));
        envelope.headers.insert(ENCODING, "br");
        let read = read_task(subject, Some(&envelope.headers), &Bytes::new());
        assert!(matches!(read, Err(Unreadable::Encoding)));
        assert!(matches!(read_task(subject, None, &Bytes::new()), Err(Unreadable::Header(_))));
        let parts =
            [1, 2].map(|part| format!("ery.task.{part}.{}", subjects::channel_name(task.channel)));
        let elsewhere = parts.iter().find(|part| *part != subject).unwrap();
        let read = read_task(elsewhere, Some(&envelope.headers), &Bytes::new());
        assert!(matches!(read, Err(Unreadable::Subject)));
    }

    #[tokio::test]
    async fn of_what_is_unreadable_as_much_is_read_as_can_be() {
        let task = task(vec![7; 5_000]);
        let mut envelope = Envelope::of_task(&task, 1).await.unwrap();
        envelope.headers.insert(TRIGGER, "nonsense");
        let remains = remains(Some(&envelope.headers), &envelope.payload);
        assert_eq!(remains.id.as_deref(), Some("dm.37748736:sa.a-1.5:retry-3"));
        assert_eq!((remains.bot, remains.received_at), (Some(task.bot), Some(task.received_at)));
        assert_eq!(remains.payload, task.payload);
    }

    #[test]
    fn of_what_is_nothing_of_ours_the_payload_remains() {
        let mut headers = HeaderMap::new();
        headers.insert(ID, "with a space");
        headers.insert(ENCODING, ZSTD);
        let payload = Bytes::from_static(b"nonsense");
        for headers in [Some(&headers), None] {
            let remains = remains(headers, &payload);
            assert_eq!((remains.id, remains.bot, remains.received_at), (None, None, None));
            assert_eq!(remains.payload, payload);
        }
    }
}
