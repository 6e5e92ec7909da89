use std::sync::Arc;

use async_nats::{
    Subject,
    jetstream::{
        message::StreamMessage,
        stream::{DirectGetErrorKind, LastRawMessageErrorKind},
    },
};
use serde::Serialize;

use super::DONE;
use crate::{
    nats::{BoxError, NatsLink},
    subjects,
};

/// The stream of tasks: reading on in one channel, and removing what is done.
#[derive(Clone)]
pub(super) struct Tasks {
    nats: Arc<NatsLink>,
}

#[derive(Serialize)]
struct Delete {
    seq: u64,
    /// A secure erase rewrites a whole file of the stream: 66 a second.
    no_erase: bool,
}

impl Tasks {
    pub(super) fn new(nats: Arc<NatsLink>) -> Self {
        Self { nats }
    }

    /// Reads a subject's first task at or behind `from`. A replica may answer that lags.
    pub(super) async fn read(
        &self,
        subject: &str,
        from: u64,
    ) -> Result<Option<StreamMessage>, BoxError> {
        let stream = &self.nats.tasks;
        let question =
            || stream.direct_get_builder().next_by_subject(subject).sequence(from).send();
        match self.nats.ask(question).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads like [`Self::read`], by the stream's leader, whose word counts.
    pub(super) async fn read_from_leader(
        &self,
        subject: &str,
        from: u64,
    ) -> Result<Option<StreamMessage>, BoxError> {
        let stream = &self.nats.tasks;
        let question =
            || stream.raw_message_builder().next_by_subject(subject).sequence(from).send();
        match self.nats.ask(question).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a task: by its own handle if there is one, else by its position.
    pub(super) async fn remove(
        &self,
        position: u64,
        reply: Option<Subject>,
    ) -> Result<(), BoxError> {
        if let Some(reply) = reply
            && self.nats.ask(|| self.nats.client.request(reply.clone(), DONE)).await.is_ok()
        {
            return Ok(());
        }
        let request = Delete { seq: position, no_erase: true };
        let question = || self.nats.api::<serde_json::Value>(subjects::delete_task(), &request);
        self.nats.ask(question).await.map(drop)
    }
}
