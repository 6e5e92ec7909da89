use std::any::Any;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use tokio_util::sync::CancellationToken;
use twilight_model::id::{Id, marker::UserMarker};

use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, Epoch, Fence, ForgottenPerson, TriggerId};
use ery_trace::TraceParent;

/// What may start a task thread in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Judges "already done", and guards against a second publish.
    pub trigger: TriggerId,
    pub channel: ChannelKey,
    /// How often the trigger was put back after its thread had failed for good. 0: it comes from
    /// where it arose. Each time counts as another publish.
    pub retry: u32,
    /// Ery's own user, as the session that received it knows it.
    pub bot: Id<UserMarker>,
    /// When the process received it from Discord.
    pub received_at: UnixMillis,
    /// The session that received it; none where no session did, as of what was read back by REST.
    pub session: Option<String>,
    /// Where it arose, as a place in a trace; none where nobody traces it.
    pub traceparent: Option<TraceParent>,
    /// For a message, the dispatch's `d` as Discord sent it.
    pub payload: Bytes,
}

/// Where a task stands in the queue: rises within a channel, and serves for reading on only.
///
/// Positions may be given anew after a loss of the queue; "done" is judged by [`TriggerId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// A receipt of a task, by which its channel is woken.
///
/// Dropping it is neither an ack nor a nak: the task is delivered again unless its holder
/// removes it.
pub struct Delivery {
    pub task: Task,
    pub position: Position,
    /// What the adapter needs in order to acknowledge it.
    pub handle: Box<dyn Any + Send + Sync>,
}

/// Something in the queue that is no task which can be read.
///
/// Dropping it is neither an ack nor a nak: it comes again.
pub struct UnreadableTask {
    /// The same at each delivery of it.
    pub name: String,
    /// Where it stands, as the queue calls that.
    pub place: String,
    /// None where that is no channel.
    pub channel: Option<ChannelKey>,
    pub bot: Option<Id<UserMarker>>,
    /// When the process received it from Discord; where it does not say so, when it was published.
    pub received_at: UnixMillis,
    pub why: Box<dyn std::error::Error + Send + Sync>,
    /// Decompressed where that is possible.
    pub payload: Bytes,
    pub position: Position,
    /// What the adapter needs in order to acknowledge it.
    pub handle: Box<dyn Any + Send + Sync>,
}

/// A task as the channel's holder reads it.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub task: Task,
    pub position: Position,
}

/// What is known of a channel without taking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Nobody holds it, and no exchange is open there: a `perhaps` may become `no`.
    Quiet,
    /// It is held, or an exchange is open: its holder judges.
    Active,
    /// Nothing can be told: its holder judges.
    Unknown,
}

/// Deliveries, in order within a channel; polling it is what pulls the next one.
pub type Wakeups = BoxStream<'static, Delivery>;

/// What cannot be read, as it is given up.
pub type UnreadableTasks = BoxStream<'static, UnreadableTask>;

/// A lease of whichever adapter.
pub type BoxLease = Box<dyn ChannelLease>;

/// What became of a channel that was given back.
pub enum Released {
    /// Nobody holds it now.
    Free,
    /// Something came that this lease has not read: it is kept.
    More(BoxLease),
}

/// What is left in the queue of a person who is to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    Nothing,
    Some {
        /// When it goes by age at the latest; none: once it is answered.
        gone_by: Option<UnixMillis>,
    },
}

/// Why the queue did not answer.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// It may or may not have happened; what is in the queue stays there.
    #[error("the channel queue cannot be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Another holder has the channel now; nothing was changed.
    #[error("the lease of channel {channel} is lost")]
    LeaseLost { channel: ChannelKey },
    /// What stands in the queue cannot be read.
    #[error("task {trigger} cannot be read")]
    Unreadable {
        trigger: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The bound of what may wait is reached; nothing was published.
    #[error("the channel queue is full")]
    Full,
}

/// What waits for channels, and who holds them.
#[async_trait]
pub trait ChannelQueue: Send + Sync {
    /// Puts a task behind those of its channel; returns when that is durable.
    ///
    /// A task whose trigger was published in the last minutes already, as the same retry, changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`]: publish it again, it will not stand twice.
    async fn publish(&self, task: Task) -> Result<(), QueueError>;

    /// Returns deliveries that wake channels, taking no more than `prefetch` ahead of the reader.
    ///
    /// Every task that is not removed is delivered again after the redelivery time.
    async fn wakeups(&self, prefetch: usize) -> Result<Wakeups, QueueError>;

    /// Returns what stands in the queue and cannot be read, in any order, to be written down and
    /// [discarded](Self::discard). Holders pass over it meanwhile.
    ///
    /// It is found by the reader of [`Self::wakeups`], and given only after it was delivered
    /// several times: another version of Ery may be able to read it.
    ///
    /// An adapter that gives none needs no code for it.
    async fn unreadable(&self) -> Result<UnreadableTasks, QueueError> {
        Ok(stream::pending().boxed())
    }

    /// Removes what cannot be read.
    async fn discard(&self, _task: UnreadableTask) -> Result<(), QueueError> {
        Ok(())
    }

    /// Tells whether a task waits that tells of a person and was received by `until`, and erases what
    /// is left of those that do not wait any more. No task that waits is taken away.
    ///
    /// An adapter that keeps nothing needs no code for it.
    async fn forget(
        &self,
        _person: ForgottenPerson,
        _until: UnixMillis,
    ) -> Result<Left, QueueError> {
        Ok(Left::Nothing)
    }

    /// Removes a delivery that the gate turned away, without taking its channel.
    async fn turn_away(&self, delivery: Delivery) -> Result<(), QueueError>;

    /// Tells what is known of a channel without taking it. Never waits long: [`Hint::Unknown`].
    async fn hint(&self, channel: ChannelKey) -> Hint;

    /// Takes the lease of the delivery's channel if it is free, with the next epoch.
    ///
    /// `None`: another holder has it (in this process or elsewhere), and will find this delivery
    /// when it next looks; noting that and asking for the lease are one atomic step, so no wake-up
    /// is lost.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`]: neither may have happened; the task will be delivered again.
    async fn take(&self, delivery: Delivery) -> Result<Option<BoxLease>, QueueError>;
}

/// A channel held, under an epoch. Renews itself until it is released, dropped or lost.
///
/// Dropping it stops renewal and leaves the lease to expire, as a crash would.
#[async_trait]
pub trait ChannelLease: Send + Sync {
    /// Returns the channel, the epoch and the owner that every write carries.
    fn fence(&self) -> Fence;

    /// Returns a token that is cancelled once the lease is lost, or cannot be known to be held.
    fn lost(&self) -> CancellationToken;

    /// Reads on: up to `max` tasks of the channel behind those already read, in order.
    ///
    /// Empty only if nothing more waits, as the queue's truth (not a replica that lags) says it.
    async fn read(&mut self, max: usize) -> Result<Vec<Waiting>, QueueError>;

    /// Removes tasks whose outcome is durable, or that were skipped. Failing here is harmless,
    /// and not waited for: a task that stays is delivered again and found finished.
    fn remove(&mut self, done: &[Waiting]);

    /// Raises the epoch above `floor`, because the store has seen that one.
    async fn raise_epoch(&mut self, floor: Epoch) -> Result<Epoch, QueueError>;

    /// Says until when an exchange is open here, for [`ChannelQueue::hint`].
    async fn set_active_until(&mut self, until: Option<UnixMillis>);

    /// Gives the channel back, unless something waits that this lease has not read.
    ///
    /// # Errors
    ///
    /// The lease ends all the same, at the latest with its time.
    async fn release(self: Box<Self>) -> Result<Released, QueueError>;

    /// Gives the channel back though work is left, and wakes another holder for it.
    async fn hand_over(self: Box<Self>) -> Result<(), QueueError>;
}
