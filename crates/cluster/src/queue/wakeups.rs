use std::sync::Arc;

use async_nats::{Message, Subscriber};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tokio::sync::mpsc;

use ery_channel_queue::{Delivery, Position, Wakeups};
use ery_ids::ChannelKey;

use super::{
    Inner, adoption,
    tasks::{Connection, Handle},
};
use crate::{
    background::Owned,
    envelope,
    nats::BoxError,
    pull::{Pull, Pulled, Sharing},
    subjects,
};

/// How many channels may wait to be woken though no task of theirs was delivered.
const WOKEN: usize = 256;

/// How many tasks that cannot be read are passed over for the first that can; behind them
/// redelivery has to do it.
const PASSED_OVER: usize = 64;

/// Where a process's deliveries come from.
struct Source {
    inner: Arc<Inner>,
    pull: Pull,
    woken: mpsc::Receiver<ChannelKey>,
    _listener: Owned,
    _adoption: Owned,
}

/// Opens deliveries: what the consumer gives, what is handed over, and what vanished replicas left.
pub(super) async fn open(inner: Arc<Inner>, prefetch: usize) -> Result<Wakeups, BoxError> {
    let client = inner.nats.client.clone();
    let handed_over = client.queue_subscribe(subjects::WAKE, subjects::WAKERS.to_owned()).await?;
    inner.nats.settled().await?;
    let (wake, woken) = mpsc::channel(WOKEN);
    let pull = Pull::new(
        client.clone(),
        subjects::next_of(subjects::TASKS, subjects::ORCHESTRATOR),
        prefetch,
        Sharing::Shared,
        inner.nats.state.clone(),
    );
    let source = Source {
        pull,
        woken,
        _listener: Owned::spawn(listen(client, handed_over, wake.clone())),
        _adoption: Owned::spawn(adoption::run(Arc::clone(&inner), wake)),
        inner,
    };
    let deliveries = stream::unfold(source, |mut source| async move {
        let delivery = source.next().await;
        Some((delivery, source))
    });
    Ok(deliveries.boxed())
}

/// Takes what others hand over, and tells them.
async fn listen(
    client: async_nats::Client,
    mut handed_over: Subscriber,
    wake: mpsc::Sender<ChannelKey>,
) {
    while let Some(message) = handed_over.next().await {
        let name = std::str::from_utf8(&message.payload).ok();
        let Some(channel) = name.and_then(subjects::parse_channel_name) else {
            tracing::warn!("a channel was handed over whose name makes no sense");
            continue;
        };
        // Without an answer another is asked.
        if wake.try_send(channel).is_err() {
            continue;
        }
        if let Some(reply) = message.reply
            && let Err(error) = client.publish(reply, Bytes::new()).await
        {
            tracing::debug!(%error, "could not say that a channel was taken over");
        }
    }
}

impl Source {
    async fn next(&mut self) -> Delivery {
        loop {
            let delivery = tokio::select! {
                pulled = self.pull.next() => match pulled {
                    Pulled::Message(message) => self.delivered(&message),
                    Pulled::Gone => {
                        self.inner.nats.look_after().await;
                        None
                    }
                },
                Some(channel) = self.woken.recv() => self.head(channel).await,
            };
            if let Some(delivery) = delivery {
                return delivery;
            }
        }
    }

    /// Makes a delivery of what waits first in a channel, of what can be read.
    async fn head(&self, channel: ChannelKey) -> Option<Delivery> {
        let subject = subjects::task(channel);
        let connection = self.inner.tasks.connection();
        let mut from = 0;
        for _ in 0..PASSED_OVER {
            let message = match self.inner.tasks.read(&subject, from).await {
                Ok(message) => message?,
                Err(error) => {
                    tracing::debug!(%error, "could not read what waits for a woken channel");
                    return None;
                }
            };
            let (headers, position) = (Some(&message.headers), message.sequence);
            if let Ok(task) = envelope::read_task(&message.subject, headers, &message.payload) {
                let handle = Box::new(Handle { reply: None, connection });
                return Some(Delivery { task, position: Position(position), handle });
            }
            from = position + 1;
        }
        None
    }

    fn delivered(&self, message: &Message) -> Option<Delivery> {
        let reply = message.reply.clone()?;
        let delivered = subjects::parse_delivered(&reply)?;
        let position = Position(delivered.stream_sequence);
        let connection = Connection(self.pull.connects());
        let handle = Box::new(Handle { reply: Some(reply), connection });
        let headers = message.headers.as_ref();
        match envelope::read_task(&message.subject, headers, &message.payload) {
            Ok(task) => Some(Delivery { task, position, handle }),
            Err(why) => {
                self.inner.unreadable.met(message, &delivered, why, handle);
                None
            }
        }
    }
}
