use std::{sync::Arc, time::Duration};

use async_nats::{client::Request, jetstream::message::StreamMessage};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use ery_channel_queue::{ChannelLease, Position, QueueError, Released, Waiting};
use ery_clock::UnixMillis;
use ery_ids::{Epoch, Fence};

use super::{
    IN_PROGRESS, Inner,
    tasks::{Connection, Handle},
    unavailable,
};
use crate::{
    background::{Owned, jittered, spawn},
    envelope,
    keys::ChannelKeys,
    scripts::{self, Answer, Exchange},
    subjects,
};

/// How many removals of one lease are under way at once.
const REMOVALS_AT_ONCE: usize = 32;

/// How long giving back waits for removals, so that the next holder need not find done tasks.
const REMOVAL_PATIENCE: Duration = Duration::from_millis(250);

/// How long one listener has for saying that it took a handed-over channel.
const WAKE_PATIENCE: Duration = Duration::from_millis(250);

/// How many listeners are asked before redelivery has to do it.
const WAKE_ATTEMPTS: u32 = 4;

/// A channel held by this process.
pub(super) struct ClusterLease {
    inner: Arc<Inner>,
    fence: Fence,
    keys: ChannelKeys,
    subject: String,
    lost: CancellationToken,
    /// From where to read on.
    next: u64,
    /// The highest position that has been read, or known not to be there.
    read_mark: u64,
    /// The connection over which was read what stands at `read_from` and behind it; what was read
    /// before came over a former one.
    read_over: Connection,
    read_from: u64,
    /// What Redis has not been told of the exchange.
    untold: Exchange,
    removals: Vec<JoinHandle<()>>,
    _renewal: Owned,
}

impl ClusterLease {
    pub(super) fn new(
        inner: &Arc<Inner>,
        fence: Fence,
        keys: ChannelKeys,
        taken_at: Instant,
        position: u64,
        handle: &Handle,
    ) -> Self {
        let lost = CancellationToken::new();
        let channel = fence.channel;
        inner.held.begin(channel, fence.owner.clone(), lost.clone(), position, handle);
        inner.hint_held(channel);
        let renewal = Renewal {
            inner: Arc::clone(inner),
            fence: fence.clone(),
            keys: keys.clone(),
            lost: lost.clone(),
        };
        Self {
            inner: Arc::clone(inner),
            subject: subjects::task(channel),
            fence,
            keys,
            lost,
            next: 0,
            read_mark: 0,
            read_over: inner.tasks.connection(),
            read_from: 0,
            untold: Exchange::AsItIs,
            removals: Vec::new(),
            _renewal: Owned::spawn(renewal.run(taken_at)),
        }
    }

    fn held(&self) -> Result<(), QueueError> {
        if self.lost.is_cancelled() { Err(self.lease_lost()) } else { Ok(()) }
    }

    fn lease_lost(&self) -> QueueError {
        QueueError::LeaseLost { channel: self.fence.channel }
    }

    /// Reads the next message; "nothing more" is believed only if the leader says so, or if
    /// nothing has been heard of.
    async fn read_next(&mut self) -> Result<Option<StreamMessage>, QueueError> {
        let tasks = &self.inner.tasks;
        let connection = tasks.connection();
        if self.read_over != connection {
            (self.read_over, self.read_from) = (connection, self.next);
        }
        let read = tasks.read(&self.subject, self.next).await.map_err(QueueError::Unavailable)?;
        if read.is_some() {
            return Ok(read);
        }
        let heard = self.inner.held.heard(self.fence.channel, &self.fence.owner);
        if heard <= self.read_mark {
            return Ok(None);
        }
        let read = tasks.read_from_leader(&self.subject, self.next).await;
        let read = read.map_err(QueueError::Unavailable)?;
        if read.is_none() {
            // What was heard of was removed by another: a gate, or a former holder.
            self.read_mark = heard;
        }
        Ok(read)
    }

    /// Waits for what this lease removes, though not for long.
    async fn settle_removals(&mut self) {
        let removals = std::mem::take(&mut self.removals);
        if timeout(REMOVAL_PATIENCE, futures::future::join_all(removals)).await.is_err() {
            tracing::debug!(channel.id = %self.fence.channel.channel, "removals take their time");
        }
    }

    /// Asks one of those who listen to take the channel.
    async fn wake_another(&self) {
        let name = Bytes::from(subjects::channel_name(self.fence.channel));
        for _ in 0..WAKE_ATTEMPTS {
            let request = Request::new().payload(name.clone()).timeout(Some(WAKE_PATIENCE));
            match self.inner.nats.client.send_request(subjects::WAKE, request).await {
                Ok(_) => return,
                Err(error) => {
                    tracing::debug!(%error, "nobody took a handed-over channel yet");
                    if error.kind() == async_nats::RequestErrorKind::NoResponders {
                        return;
                    }
                }
            }
        }
    }
}

#[async_trait]
impl ChannelLease for ClusterLease {
    fn fence(&self) -> Fence {
        self.fence.clone()
    }

    fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    async fn read(&mut self, max: usize) -> Result<Vec<Waiting>, QueueError> {
        let mut read = Vec::new();
        while read.len() < max {
            self.held()?;
            // What has been read is given even if reading on fails.
            let message = match self.read_next().await {
                Ok(message) => message,
                Err(_) if !read.is_empty() => break,
                Err(error) => return Err(error),
            };
            let Some(message) = message else { break };
            let task =
                envelope::read_task(&message.subject, Some(&message.headers), &message.payload);
            match task {
                Ok(task) => read.push(Waiting { task, position: Position(message.sequence) }),
                // Its deliveries end it; what stands behind it does not wait for that.
                Err(error) => tracing::debug!(%error, position = message.sequence,
                    channel.id = %self.fence.channel.channel, "passing over a task"),
            }
            self.next = message.sequence + 1;
            self.read_mark = self.read_mark.max(message.sequence);
        }
        Ok(read)
    }

    fn remove(&mut self, done: &[Waiting]) {
        let (channel, owner, read_over) = (self.fence.channel, &self.fence.owner, self.read_over);
        let removals: Vec<_> = done
            .iter()
            // What was read over a former connection is left to redelivery, which finds it finished.
            .filter(|waiting| waiting.position.0 >= self.read_from)
            .map(|waiting| {
                let position = waiting.position.0;
                let handle = self.inner.held.take_handle(channel, owner, position);
                // A delivery that came over another connection may be of another task.
                let handle = handle.filter(|handle| handle.connection == read_over);
                (position, handle.unwrap_or(Handle { reply: None, connection: read_over }))
            })
            .collect();
        let tasks = self.inner.tasks.clone();
        self.removals.retain(|removal| !removal.is_finished());
        self.removals.push(spawn(async move {
            stream::iter(removals)
                .for_each_concurrent(REMOVALS_AT_ONCE, |(position, handle)| {
                    let tasks = tasks.clone();
                    async move {
                        if let Err(error) = tasks.remove(position, handle).await {
                            // It comes again, and is found finished.
                            tracing::debug!(%error, "could not remove a task");
                        }
                    }
                })
                .await;
        }));
    }

    async fn raise_epoch(&mut self, floor: Epoch) -> Result<Epoch, QueueError> {
        self.held()?;
        let raised = scripts::raise(&self.inner.redis, &self.keys, &self.fence.owner, floor).await;
        let Some(epoch) = raised.map_err(unavailable)? else {
            self.lost.cancel();
            return Err(self.lease_lost());
        };
        self.fence.epoch = epoch;
        Ok(epoch)
    }

    async fn set_active_until(&mut self, until: Option<UnixMillis>) {
        let command = match until {
            None => redis::Cmd::del(&self.keys.exchange),
            Some(until) => {
                let keep = until.since(self.inner.clock.now()).max(Duration::from_millis(1));
                redis::Cmd::pset_ex(&self.keys.exchange, until.0, scripts::millis(keep))
            }
        };
        self.untold = Exchange::AsItIs;
        if self.inner.redis.command::<redis::Value>(&command).await.is_err() {
            // While the channel is held the hint is "active" anyway; giving back tells it.
            self.untold = match until {
                None => Exchange::Closed,
                Some(until) => Exchange::Open(until, until.since(self.inner.clock.now())),
            };
        }
    }

    async fn release(mut self: Box<Self>) -> Result<Released, QueueError> {
        self.held()?;
        self.settle_removals().await;
        let channel = self.fence.channel;
        if !self.inner.held.leave(channel, &self.fence.owner, self.read_mark) {
            return Ok(Released::More(self));
        }
        let answer = scripts::release(
            &self.inner.redis,
            &self.keys,
            &self.fence.owner,
            self.read_mark,
            self.inner.lease_ttl,
            self.untold,
        )
        .await
        .map_err(unavailable)?;
        match answer {
            Answer::Free => Ok(Released::Free),
            Answer::HeardOf(heard) => {
                self.inner.held.stay(channel, &self.fence.owner, heard);
                Ok(Released::More(self))
            }
            Answer::Lost => Err(self.lease_lost()),
        }
    }

    async fn hand_over(mut self: Box<Self>) -> Result<(), QueueError> {
        self.held()?;
        self.settle_removals().await;
        self.inner.held.end(self.fence.channel, &self.fence.owner);
        let answer = scripts::release(
            &self.inner.redis,
            &self.keys,
            &self.fence.owner,
            // Whatever was heard of is the next holder's.
            u64::MAX >> 11,
            self.inner.lease_ttl,
            self.untold,
        )
        .await
        .map_err(unavailable)?;
        if answer == Answer::Lost {
            return Err(self.lease_lost());
        }
        self.wake_another().await;
        Ok(())
    }
}

impl Drop for ClusterLease {
    fn drop(&mut self) {
        self.lost.cancel();
        self.inner.held.end(self.fence.channel, &self.fence.owner);
        self.inner.hint_held(self.fence.channel);
    }
}

/// Keeps a lease while its holder lives, and says when it is lost.
struct Renewal {
    inner: Arc<Inner>,
    fence: Fence,
    keys: ChannelKeys,
    lost: CancellationToken,
}

impl Renewal {
    async fn run(self, taken_at: Instant) {
        let progress = self.report_progress();
        tokio::pin!(progress);
        tokio::select! {
            () = self.renew(taken_at) => {}
            () = &mut progress => {}
        }
        tracing::warn!(
            channel.id = %self.fence.channel.channel,
            epoch = self.fence.epoch.0,
            "lost the lease of channel {}", self.fence.channel.channel
        );
        self.lost.cancel();
    }

    /// Renews at a third of the time; returns once the lease is lost, or cannot be known to be held.
    async fn renew(&self, taken_at: Instant) {
        let ttl = self.inner.lease_ttl;
        let mut renewed_at = taken_at;
        let mut next = taken_at + jittered(ttl / 3);
        loop {
            // By the monotonic clock, and from before the question was asked.
            let deadline = renewed_at + ttl * 2 / 3;
            sleep_until(next.min(deadline)).await;
            let asked_at = Instant::now();
            let question = scripts::renew(&self.inner.redis, &self.keys, &self.fence.owner, ttl);
            match timeout_at(deadline, question).await {
                Ok(Ok(true)) => {
                    renewed_at = asked_at;
                    next = asked_at + jittered(ttl / 3);
                }
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "could not renew a lease; trying again");
                    next = Instant::now() + jittered(ttl / 20);
                }
            }
        }
    }

    /// Says of each delivery that waits for this holder that it is in progress; never ends.
    async fn report_progress(&self) {
        loop {
            tokio::time::sleep(jittered(self.inner.ack_wait / 3)).await;
            let handles = self.inner.held.handles(self.fence.channel, &self.fence.owner);
            for reply in handles.into_iter().filter_map(|handle| handle.reply) {
                if let Err(error) = self.inner.nats.client.publish(reply, IN_PROGRESS).await {
                    tracing::debug!(%error, "could not say that a task is in progress");
                    break;
                }
            }
        }
    }
}
