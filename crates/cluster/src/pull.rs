use std::time::Duration;

use async_nats::{Client, Message, StatusCode, Subject, Subscriber};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use serde::Serialize;
use tokio::{sync::watch, time::Instant};

use crate::{
    background::{Backoff, spawn},
    nats::{BoxError, LinkState},
};

/// How long the server keeps a request for deliveries.
const EXPIRES: Duration = Duration::from_secs(30);
/// How often the server says, while it has nothing, that it has not forgotten the request.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// After so long without a sign the request counts as forgotten.
const SILENCE: Duration = Duration::from_secs(12);
/// How long deliveries that were under way are waited for at the end, to be given to others.
const DRAIN: Duration = Duration::from_millis(500);

/// What a pull gives.
pub(crate) enum Pulled {
    Message(Message),
    /// The consumer is gone, or its server is: it has to be made or asked for anew.
    Gone,
}

/// Who else reads from the same consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Others do: what is not read is given back to them.
    Shared,
    /// Nobody, and order matters: a new connection counts as [`Pulled::Gone`], since deliveries
    /// may have been lost on the former one.
    Alone,
}

/// Deliveries of one consumer, never more than `ahead` of the reader.
pub(crate) struct Pull {
    client: Client,
    /// Where deliveries are asked for.
    next: Subject,
    ahead: usize,
    sharing: Sharing,
    inbox: Option<(Subject, Subscriber)>,
    /// How many deliveries were asked for and have not been read.
    asked: usize,
    heard_at: Instant,
    state: watch::Receiver<LinkState>,
    connects: u64,
    backoff: Backoff,
}

#[derive(Serialize)]
struct Request {
    batch: usize,
    /// Nanoseconds, both.
    expires: u64,
    idle_heartbeat: u64,
}

impl Pull {
    pub(crate) fn new(
        client: Client,
        next: Subject,
        ahead: usize,
        sharing: Sharing,
        state: watch::Receiver<LinkState>,
    ) -> Self {
        let connects = state.borrow().connects;
        Self {
            client,
            next,
            ahead: ahead.max(1),
            sharing,
            inbox: None,
            asked: 0,
            heard_at: Instant::now(),
            state,
            connects,
            backoff: Backoff::new(Duration::from_millis(20), Duration::from_secs(1)),
        }
    }

    /// Returns the number of the connection over which the last delivery came, or of an earlier one.
    ///
    /// What came over a former connection and waits here is read before a new one is noticed.
    pub(crate) fn connects(&self) -> u64 {
        self.connects
    }

    /// Waits for the next delivery; asks for more on the way.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(crate) async fn next(&mut self) -> Pulled {
        loop {
            if let Err(error) = self.ask().await {
                tracing::debug!(%error, "could not ask for deliveries");
                self.inbox = None;
                self.backoff.wait().await;
                continue;
            }
            let Some((_, inbox)) = &mut self.inbox else { continue };
            let silent = tokio::time::sleep_until(self.heard_at + SILENCE);
            let message = tokio::select! {
                biased;
                message = inbox.next() => message,
                changed = self.state.changed() => {
                    let connects = self.state.borrow_and_update().connects;
                    if changed.is_err() {
                        // The client is gone, and with it all that could be waited for.
                        return std::future::pending().await;
                    }
                    if connects != self.connects {
                        // The server forgot what was asked for on the former connection.
                        self.connects = connects;
                        self.asked = 0;
                        if self.sharing == Sharing::Alone {
                            self.forget();
                            return Pulled::Gone;
                        }
                    }
                    continue;
                }
                () = silent => None,
            };
            let Some(message) = message else {
                self.forget();
                return Pulled::Gone;
            };
            self.heard_at = Instant::now();
            match message.status {
                None | Some(StatusCode::OK) => {
                    self.asked = self.asked.saturating_sub(1);
                    self.backoff.reset();
                    return Pulled::Message(message);
                }
                Some(StatusCode::IDLE_HEARTBEAT) => {}
                Some(status) => match unserved(&message) {
                    Some(unserved) if !is_end_of_consumer(&message) => {
                        self.asked = self.asked.saturating_sub(unserved);
                    }
                    _ => {
                        tracing::debug!(%status, "a request for deliveries came to nothing");
                        self.forget();
                        self.backoff.wait().await;
                        return Pulled::Gone;
                    }
                },
            }
        }
    }

    /// Asks for as many deliveries as may be ahead, once half of them have been read.
    async fn ask(&mut self) -> Result<(), BoxError> {
        if self.inbox.is_none() {
            let inbox = Subject::from(self.client.new_inbox());
            let subscriber = self.client.subscribe(inbox.clone()).await?;
            self.inbox = Some((inbox, subscriber));
            self.asked = 0;
        }
        if self.asked > self.ahead / 2 {
            return Ok(());
        }
        let Some((inbox, _)) = &self.inbox else { return Ok(()) };
        let batch = self.ahead - self.asked;
        let request = serde_json::to_vec(&Request {
            batch,
            expires: nanos(EXPIRES),
            idle_heartbeat: nanos(HEARTBEAT),
        })?;
        self.client
            .publish_with_reply(self.next.clone(), inbox.clone(), Bytes::from(request))
            .await?;
        self.asked += batch;
        self.heard_at = Instant::now();
        Ok(())
    }

    fn forget(&mut self) {
        if let Some((_, subscriber)) = self.inbox.take() {
            self.give_back(subscriber);
        }
        self.asked = 0;
    }

    /// Gives what nobody read to others at once, instead of after the redelivery time.
    fn give_back(&self, mut subscriber: Subscriber) {
        if self.sharing == Sharing::Alone || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let client = self.client.clone();
        spawn(async move {
            if subscriber.drain().await.is_err() {
                return;
            }
            let deadline = tokio::time::sleep(DRAIN);
            tokio::pin!(deadline);
            loop {
                let message = tokio::select! {
                    message = subscriber.next() => message,
                    () = &mut deadline => subscriber.next().now_or_never().flatten(),
                };
                let Some(message) = message else { return };
                let Some(reply) = message.reply.filter(|_| message.status.is_none()) else {
                    continue;
                };
                if client.publish(reply, Bytes::from_static(b"-NAK")).await.is_err() {
                    return;
                }
            }
        });
    }
}

impl Drop for Pull {
    fn drop(&mut self) {
        self.forget();
    }
}

fn is_end_of_consumer(message: &Message) -> bool {
    message.description.as_deref().is_some_and(|text| text.starts_with("Consumer"))
}

/// How many deliveries a request that ended still had to give.
fn unserved(message: &Message) -> Option<usize> {
    message.headers.as_ref()?.get("Nats-Pending-Messages")?.as_str().parse().ok()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
