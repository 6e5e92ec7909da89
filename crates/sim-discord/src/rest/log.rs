//! Every REST request and its answer, for whoever counts effects.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderMap, header};
use serde::Serialize;
use serde_json::value::RawValue;

use ery_clock::UnixMillis;

/// The log's bound in bytes, beside the one in entries.
const MAX_BYTES: usize = 512 * 1024 * 1024;
/// What an entry weighs beside its texts.
const ENTRY_BYTES: usize = 160;

/// A request and its answer. What the client sent is copied into one piece of memory, because the
/// buffers that it arrived in are far larger.
#[derive(Debug)]
pub(crate) struct LogEntry {
    seq: u64,
    at: UnixMillis,
    method: Box<str>,
    path: Box<str>,
    /// Lines of `name: value`.
    headers: Box<str>,
    body: Box<[u8]>,
    status: u16,
    response: Bytes,
    fault: Option<&'static str>,
}

/// What is logged of a request.
pub(super) struct Record<'a> {
    pub(super) at: UnixMillis,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    pub(super) status: u16,
    pub(super) response: Bytes,
    /// How the client was kept from the answer, if it was.
    pub(super) fault: Option<&'static str>,
}

#[derive(Debug)]
pub(crate) struct Log {
    entries: VecDeque<LogEntry>,
    capacity: usize,
    bytes: usize,
    last: u64,
}

impl LogEntry {
    fn weight(&self) -> usize {
        let texts = self.method.len() + self.path.len() + self.headers.len();
        ENTRY_BYTES + texts + self.body.len() + self.response.len()
    }
}

impl Log {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), capacity, bytes: 0, last: 0 }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.shrink();
    }

    pub(super) fn push(&mut self, record: Record<'_>) {
        self.last += 1;
        let entry = LogEntry {
            seq: self.last,
            at: record.at,
            method: record.method.into(),
            path: record.path.into(),
            headers: header_lines(record.headers),
            body: record.body.into(),
            status: record.status,
            response: record.response,
            fault: record.fault,
        };
        self.bytes += entry.weight();
        self.entries.push_back(entry);
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.entries.len() > self.capacity || self.bytes > MAX_BYTES {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.weight();
        }
    }

    /// Returns the number of the last entry.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Writes the entries after `after` as JSON lines, `limit` at most, and returns the number of
    /// the last one written. Where some were dropped, a line says so: `{"dropped_before": seq}`.
    pub(crate) fn lines_after(&self, after: u64, limit: usize) -> (Vec<u8>, Option<u64>) {
        let mut lines = Vec::new();
        let oldest = self.entries.front().map_or(self.last + 1, |entry| entry.seq);
        if after + 1 < oldest {
            lines.extend_from_slice(format!("{{\"dropped_before\":{oldest}}}\n").as_bytes());
        }
        let start = usize::try_from(after.saturating_add(1).saturating_sub(oldest)).unwrap_or(0);
        let mut last = None;
        for entry in self.entries.iter().skip(start).take(limit) {
            write_line(&mut lines, entry);
            last = Some(entry.seq);
        }
        (lines, last)
    }
}

#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    at_ms: UnixMillis,
    method: &'a str,
    path: &'a str,
    headers: serde_json::Map<String, serde_json::Value>,
    body: Content<'a>,
    status: u16,
    response: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'a str>,
}

/// A body: JSON as such, anything else as a string, nothing as null.
#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Compact(&'a RawValue),
    Rewritten(serde_json::Value),
    Text(String),
    Nothing,
}

impl<'a> Content<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        if bytes.is_empty() {
            return Self::Nothing;
        }
        // JSON may hold line breaks between its parts, and a line of the log must not break.
        let breaks = bytes.contains(&b'\n') || bytes.contains(&b'\r');
        let text = || Self::Text(String::from_utf8_lossy(bytes).into_owned());
        if breaks {
            serde_json::from_slice(bytes).map_or_else(|_| text(), Self::Rewritten)
        } else {
            serde_json::from_slice(bytes).map_or_else(|_| text(), Self::Compact)
        }
    }
}

fn write_line(lines: &mut Vec<u8>, entry: &LogEntry) {
    let headers = entry.headers.lines().filter_map(|line| line.split_once(": "));
    let line = Line {
        seq: entry.seq,
        at_ms: entry.at,
        method: &entry.method,
        path: &entry.path,
        headers: headers.map(|(name, value)| (name.to_owned(), value.into())).collect(),
        body: Content::new(&entry.body),
        status: entry.status,
        response: Content::new(&entry.response),
        fault: entry.fault,
    };
    serde_json::to_writer(&mut *lines, &line)
        .expect("a line has string keys and is written into memory, so that nothing can fail");
    lines.push(b'\n');
}

/// Writes the headers down, without the token.
fn header_lines(headers: &HeaderMap) -> Box<str> {
    let mut lines = String::with_capacity(160);
    for (name, value) in headers {
        let value = if name == header::AUTHORIZATION {
            "<redacted>"
        } else {
            value.to_str().unwrap_or("<binary>")
        };
        lines.push_str(name.as_str());
        lines.push_str(": ");
        lines.push_str(value);
        lines.push('\n');
    }
    lines.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn push(log: &mut Log, body: &[u8]) {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bot secret"));
        headers.insert("x-audit-log-reason", HeaderValue::from_static("spam"));
        log.push(Record {
            at: UnixMillis(5),
            method: "POST",
            path: "/api/v10/channels/1/messages",
            headers: &headers,
            body,
            status: 200,
            response: Bytes::from_static(b"{\"id\":\"9\"}"),
            fault: None,
        });
    }

    fn lines(log: &Log, after: u64) -> Vec<serde_json::Value> {
        let text = String::from_utf8(log.lines_after(after, usize::MAX).0).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn each_request_is_one_line_without_its_token() {
        let mut log = Log::new(10);
        push(&mut log, b"{\"content\":\"hi\"}");
        push(&mut log, b"{\n \"content\": \"pretty\"\n}");
        push(&mut log, b"--multipart\r\n");
        let lines = lines(&log, 0);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0]["seq"], 1);
        assert_eq!(lines[0]["body"]["content"], "hi");
        assert_eq!(lines[0]["response"]["id"], "9");
        assert_eq!(lines[0]["headers"]["authorization"], "<redacted>");
        assert_eq!(lines[0]["headers"]["x-audit-log-reason"], "spam");
        assert_eq!(lines[1]["body"]["content"], "pretty");
        assert_eq!(lines[2]["body"], "--multipart\r\n");
    }

    #[test]
    fn what_was_dropped_is_said() {
        let mut log = Log::new(2);
        for _ in 0..5 {
            push(&mut log, b"");
        }
        assert_eq!(lines(&log, 0)[0]["dropped_before"], 4);
        assert_eq!(lines(&log, 0).len(), 3);
        assert_eq!(lines(&log, 3)[0]["seq"], 4);
        assert_eq!(lines(&log, 4).len(), 1);
        assert!(lines(&log, 5).is_empty());
    }
}
