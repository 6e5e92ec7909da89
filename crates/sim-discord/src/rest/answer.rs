use bytes::Bytes;
use serde::Serialize;

use crate::{domain::Refusal, wire};

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// JSON, or nothing.
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(view: &impl Serialize) -> Self {
        Self { status: 200, body: wire::render(view) }
    }

    pub(crate) fn no_content() -> Self {
        Self { status: 204, body: Bytes::new() }
    }
}

impl From<&Refusal> for Answer {
    fn from(refusal: &Refusal) -> Self {
        Self { status: refusal.status(), body: wire::render(&refusal.body()) }
    }
}
