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

/// The connection over which a position was learnt.
///
/// A server that was cut off from power may have lost its last tasks, and then gives their positions
/// to others: what was learnt before says nothing of what stands there now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Connection(pub(super) u64);

/// By what a delivery is acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    /// Where its ack goes, if it came from the consumer.
    pub(super) reply: Option<Subject>,
    pub(super) connection: Connection,
}

#[derive(Debug, thiserror::Error)]
#[error("connected anew since task {position} was read; it is left to redelivery")]
struct ConnectedAnew {
    position: u64,
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

    /// Returns the connection over which positions are learnt now.
    pub(super) fn connection(&self) -> Connection {
        Connection(self.nats.state.borrow().connects)
    }

    /// Removes a task: by its own handle if there is one, else by its position.
    ///
    /// # Errors
    ///
    /// Among others, if there was another connection since its position was learnt: it comes again,
    /// and is found finished. The request is not repeated over the next connection either.
    pub(super) async fn remove(&self, position: u64, handle: Handle) -> Result<(), BoxError> {
        let mut state = self.nats.state.clone();
        let Connection(learnt) = handle.connection;
        tokio::select! {
            biased;
            Ok(_) = state.wait_for(|state| state.connects != learnt) => {
                Err(ConnectedAnew { position }.into())
            }
            removed = self.remove_now(position, handle.reply) => removed,
        }
    }

    async fn remove_now(&self, position: u64, reply: Option<Subject>) -> Result<(), BoxError> {
        if let Some(reply) = reply
            && self.nats.client.request(reply, DONE).await.is_ok()
        {
            return Ok(());
        }
        let request = Delete { seq: position, no_erase: true };
        self.nats.api::<serde_json::Value>(subjects::delete_task(), &request).await.map(drop)
    }
}
