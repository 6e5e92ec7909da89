//! One request to Discord, and a success of it.

use bytes::Bytes;
use http::HeaderValue;
use serde::Deserialize;
use twilight_http_ratelimiting::Method;

use ery_budgets::Priority;
use ery_clock::UnixMillis;

use super::RestError;

/// One request, ready to be sent any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(super) method: Method,
    /// Path and query below the base, every part of it encoded.
    pub(super) path: String,
    /// The path without what does not make a bucket of its own.
    pub(super) route: String,
    pub(super) body: Option<Bytes>,
    /// Of the body.
    pub(super) content_type: HeaderValue,
    /// For the audit log, not encoded.
    pub(super) reason: Option<String>,
    pub(super) priority: Priority,
    /// No request is written after this moment.
    pub(super) send_by: UnixMillis,
    /// Whether it is a send, which goes on when invalid requests stop everything else.
    pub(super) is_send: bool,
    /// The guild, or the channel of a direct message: where a refusal is learnt.
    pub(super) home: u64,
    /// What a refusal is about.
    pub(super) about: String,
    /// The codes by which Discord says that it is done already.
    pub(super) means_done: &'static [u64],
    /// Whether another attempt, not of this request, may have got through before.
    pub(super) was_tried: bool,
}

/// A file that is sent along.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File<'a> {
    pub(crate) name: &'a str,
    pub(crate) bytes: &'a [u8],
}

impl Request {
    /// Makes a request; `route` names the kind of path for its bucket, with its first id.
    pub(crate) fn new(
        method: Method,
        route: impl Into<String>,
        path: impl Into<String>,
        home: u64,
        send_by: UnixMillis,
    ) -> Self {
        let (route, path) = (route.into(), path.into());
        let about = format!("{} {route}", method.name());
        Self {
            method,
            path,
            route,
            body: None,
            content_type: HeaderValue::from_static("application/json"),
            reason: None,
            priority: Priority::Foreground,
            send_by,
            is_send: false,
            home,
            about,
            means_done: &[],
            was_tried: false,
        }
    }

    /// Returns whether it stands by a token in its path, not by the bot's: an answer to an interaction,
    /// or a message of a webhook.
    pub(super) fn has_own_token(&self) -> bool {
        ["webhooks/", "interactions/"].iter().any(|kind| self.path.starts_with(kind))
    }

    /// Says by which codes a repeat learns that an earlier attempt got through, and whether there
    /// may have been one already.
    pub(crate) fn done_if(mut self, codes: &'static [u64], was_tried: bool) -> Self {
        (self.means_done, self.was_tried) = (codes, was_tried);
        self
    }

    pub(crate) fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = Some(Bytes::from(body.to_string()));
        self
    }

    /// Sends files along with a message. Their names are plain.
    pub(crate) fn with_files(mut self, body: &serde_json::Value, files: &[File<'_>]) -> Self {
        use std::io::Write as _;

        let boundary = uuid::Uuid::new_v4().simple().to_string();
        let mut form = Vec::new();
        let mut part = |head: &str, content: &[u8]| {
            let written =
                write!(form, "--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n");
            written.expect("writing to memory cannot fail");
            form.extend_from_slice(content);
            form.extend_from_slice(b"\r\n");
        };
        let json = "name=\"payload_json\"\r\nContent-Type: application/json";
        part(json, body.to_string().as_bytes());
        for (index, file) in files.iter().enumerate() {
            let kind = "application/octet-stream";
            let head = format!(
                "name=\"files[{index}]\"; filename=\"{}\"\r\nContent-Type: {kind}",
                file.name
            );
            part(&head, file.bytes);
        }
        form.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        self.body = Some(Bytes::from(form));
        self.content_type =
            HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"))
                .expect("a boundary of hex digits is plain");
        self
    }

    pub(crate) fn reason(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    pub(crate) fn in_background(mut self) -> Self {
        self.priority = Priority::Background;
        self
    }

    pub(crate) fn send(mut self) -> Self {
        self.is_send = true;
        self
    }

    /// Names what a refusal is about more narrowly than the route does.
    pub(crate) fn about(mut self, subject: impl std::fmt::Display) -> Self {
        self.about = format!("{} {subject}", self.about);
        self
    }
}

/// What Discord answered: a success.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Reads the body.
    pub(crate) fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, RestError> {
        serde_json::from_slice(&self.body)
            .map_err(|source| RestError::Unreadable { status: self.status, source })
    }
}
