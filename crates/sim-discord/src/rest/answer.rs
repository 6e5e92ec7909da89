use bytes::Bytes;
use serde::Serialize;

use crate::{domain::Refusal, wire};

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// JSON, or nothing.
    pub(crate) body: Bytes,
    /// What the log tells in place of a body that has secrets in it.
    pub(crate) logged: Option<Bytes>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: Bytes) -> Self {
        Self { status, body, logged: None }
    }

    pub(crate) fn json(view: &impl Serialize) -> Self {
        Self::new(200, wire::render(view))
    }

    pub(crate) fn no_content() -> Self {
        Self::new(204, Bytes::new())
    }
}

impl From<&Refusal> for Answer {
    fn from(refusal: &Refusal) -> Self {
        Self::new(refusal.status(), wire::render(&refusal.body()))
    }
}
