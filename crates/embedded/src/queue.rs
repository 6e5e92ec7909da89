mod index;
mod lease;
mod pump;
mod table;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::stream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use ery_channel_queue::{
    BoxLease, ChannelQueue, Delivery, Hint, Left, Position, QueueError, Task, Wakeups,
};
use ery_clock::{Clock, UnixMillis};
use ery_group_commit::{FileKey, Writer};
use ery_ids::{ChannelKey, ForgottenPerson, ReplicaId};

use crate::{
    DatabaseError,
    background::spawn,
    database::{self, Reader},
    folder::FolderLock,
};

use self::{
    index::{Found, Index, Taken},
    lease::EmbeddedLease,
    pump::{Answer, Command, Pump},
};

/// Times and bounds of the channel queue.
#[derive(Clone, Debug)]
pub struct QueueOptions {
    /// How long a channel stays held after its holder vanished within the process. 15 s, as in a
    /// cluster.
    pub lease_ttl: Duration,
    /// After what time a task is delivered again that was neither removed nor is held. 30 s.
    pub redelivery: Duration,
    /// How many tasks may wait in all; past it, publishing is refused as full. 100,000.
    pub max_waiting: usize,
    /// How many bytes of waiting tasks are kept in memory; the others are read from the file when
    /// they are needed. 8 MiB.
    pub cached_bytes: usize,
    /// How long a trigger is known after its task was removed. 10 minutes.
    pub dedup_window: Duration,
    /// How long a removal waits for others to share a commit with. A crash in it brings tasks back
    /// that are found finished. 10 ms.
    pub removal_linger: Duration,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            lease_ttl: Duration::from_secs(15),
            redelivery: Duration::from_secs(30),
            max_waiting: 100_000,
            cached_bytes: 8 << 20,
            dedup_window: Duration::from_mins(10),
            removal_linger: Duration::from_millis(10),
        }
    }
}

/// The channel queue in one file of the data folder, for one process.
///
/// Made by [`EmbeddedFolder::queue`](crate::EmbeddedFolder::queue).
pub struct EmbeddedQueue {
    shared: Arc<Shared>,
    writer: Writer,
    /// Ends the timers and the wake-ups.
    _closing: DropGuard,
}

/// What the queue, its leases and its wake-ups share.
struct Shared {
    index: Arc<Index>,
    commands: mpsc::UnboundedSender<Command>,
    reader: Reader,
    /// Tells this process' owners from those of the ones before.
    instance: String,
    closing: CancellationToken,
}

/// The queue's writer has ended, which it does only after everything else has.
#[derive(Debug, thiserror::Error)]
#[error("the queue is closed")]
struct Closed;

impl EmbeddedQueue {
    pub(crate) async fn open(
        path: PathBuf,
        key: Option<FileKey>,
        clock: Arc<dyn Clock>,
        lock: FolderLock,
        options: QueueOptions,
    ) -> Result<Self, DatabaseError> {
        let linger = options.removal_linger;
        let load = move |connection: &rusqlite::Connection| {
            let index = Index::new(clock, options, table::durable_epoch(connection)?);
            table::each_waiting(connection, |position, task| {
                index.add_known(position, Arc::new(task));
            })?;
            Ok((index, table::last_position(connection)?))
        };
        let opened = database::open(path, key, "ery-queue", table::MIGRATIONS, load).await?;
        let (index, last_position) = opened.loaded;
        let index = Arc::new(index);
        let (commands, queued) = mpsc::unbounded_channel();
        let closing = CancellationToken::new();
        let pump = Pump {
            index: Arc::clone(&index),
            writer: opened.writer.clone(),
            commands: queued,
            last_position,
            linger,
            lock,
        };
        spawn(pump.run());
        spawn(keep_time(Arc::clone(&index), closing.clone()));
        let shared = Shared {
            index,
            commands,
            reader: opened.reader,
            instance: ReplicaId::random().0,
            closing: closing.clone(),
        };
        let (shared, writer) = (Arc::new(shared), opened.writer);
        Ok(Self { shared, writer, _closing: closing.drop_guard() })
    }
}

/// Ends abandoned leases and brings deliveries back when they are due.
async fn keep_time(index: Arc<Index>, closing: CancellationToken) {
    loop {
        let next = index.tick();
        let due = async {
            match next {
                Some(next) => tokio::time::sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = closing.cancelled() => return,
            () = due => {}
            () = index.timers.notified() => {}
        }
    }
}

impl Shared {
    async fn write(&self, command: impl FnOnce(Answer) -> Command) -> Result<(), QueueError> {
        let (answer, answered) = oneshot::channel();
        self.commands
            .send(command(answer))
            .map_err(|_| QueueError::Unavailable(Box::new(Closed)))?;
        match answered.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(QueueError::Unavailable(Box::new(error))),
            Err(_) => Err(QueueError::Unavailable(Box::new(Closed))),
        }
    }

    fn remove(&self, channel: ChannelKey, positions: impl Iterator<Item = u64>) {
        let removed = self.index.remove(channel, positions);
        if !removed.is_empty() && self.commands.send(Command::Remove(removed)).is_err() {
            tracing::warn!("the queue is closed: what was removed last comes again");
        }
    }

    async fn make_epochs_durable(&self, needed: u64) -> Result<(), QueueError> {
        let durable = Index::epochs_wanted(needed);
        self.write(|answer| Command::RaiseEpochs { durable, answer: Some(answer) }).await
    }

    /// Makes more epochs durable in time, so that no taker has to wait for it.
    fn refill_epochs(&self) {
        if let Some(last) = self.index.epochs_low() {
            let durable = Index::epochs_wanted(last);
            // If the queue is closed, nobody takes anything any more.
            drop(self.commands.send(Command::RaiseEpochs { durable, answer: None }));
        }
    }

    /// Completes tasks by what is in the file; those that were removed meanwhile are left out.
    async fn load(&self, found: Vec<Found>) -> Result<Vec<(u64, Task)>, QueueError> {
        let missing: Vec<u64> =
            found.iter().filter(|found| found.task.is_none()).map(|found| found.position).collect();
        let mut loaded = if missing.is_empty() {
            Vec::new()
        } else {
            self.reader
                .read(move |connection| {
                    missing
                        .into_iter()
                        .map(|position| Ok((position, table::load(connection, position)?)))
                        .collect::<Result<Vec<_>, table::LoadError>>()
                })
                .await?
        }
        .into_iter();
        Ok(found
            .into_iter()
            .filter_map(|found| {
                let task = match found.task {
                    Some(task) => Arc::unwrap_or_clone(task),
                    None => loaded.next().and_then(|(_, task)| task)?,
                };
                Some((found.position, task))
            })
            .collect())
    }

    /// Waits for what is to be delivered next; none once the queue is closed.
    async fn next_delivery(&self) -> Option<Delivery> {
        loop {
            let ready = self.index.ready.notified();
            tokio::pin!(ready);
            ready.as_mut().enable();
            if self.closing.is_cancelled() {
                return None;
            }
            if let Some(found) = self.index.deliver() {
                let channel = found.channel;
                match self.load(vec![found]).await {
                    Ok(tasks) => {
                        if let Some((position, task)) = tasks.into_iter().next() {
                            let position = Position(position);
                            return Some(Delivery { task, position, handle: Box::new(()) });
                        }
                    }
                    Err(error) => tracing::error!(
                        channel.id = %channel.channel,
                        error = &error as &dyn std::error::Error,
                        "could not read a waiting task; it is delivered again later"
                    ),
                }
                continue;
            }
            tokio::select! {
                () = self.closing.cancelled() => return None,
                () = ready => {}
            }
        }
    }
}

#[async_trait]
impl ChannelQueue for EmbeddedQueue {
    async fn publish(&self, task: Task) -> Result<(), QueueError> {
        if !self.shared.index.reserve() {
            return Err(QueueError::Full);
        }
        self.shared.write(|answer| Command::Publish { task: Arc::new(task), answer }).await
    }

    async fn wakeups(&self, _prefetch: usize) -> Result<Wakeups, QueueError> {
        // Nothing is taken ahead of the reader: what is ready stays with the queue until it is
        // polled for.
        let shared = Arc::clone(&self.shared);
        Ok(Box::pin(stream::unfold(shared, async |shared| {
            shared.next_delivery().await.map(|delivery| (delivery, shared))
        })))
    }

    async fn turn_away(&self, delivery: Delivery) -> Result<(), QueueError> {
        self.shared.remove(delivery.task.channel, std::iter::once(delivery.position.0));
        Ok(())
    }

    async fn hint(&self, channel: ChannelKey) -> Hint {
        self.shared.index.hint(channel)
    }

    async fn forget(&self, person: ForgottenPerson, until: UnixMillis) -> Result<Left, QueueError> {
        let waits = self
            .shared
            .reader
            .read(move |connection| {
                table::tells_of(connection, person, until).map_err(database::ReadError::from)
            })
            .await
            .map_err(|error| QueueError::Unavailable(Box::new(error)))?;
        // What was removed was emptied then; the log may hold it yet.
        let is_erased = !waits
            && self
                .writer
                .alone(database::write_anew)
                .await
                .map_err(|error| QueueError::Unavailable(Box::new(error)))?;
        Ok(if is_erased { Left::Nothing } else { Left::Some { gone_by: None } })
    }

    async fn take(&self, delivery: Delivery) -> Result<Option<BoxLease>, QueueError> {
        let channel = delivery.task.channel;
        loop {
            match self.shared.index.take(channel, delivery.position.0) {
                Taken::Granted(epoch) => {
                    self.shared.refill_epochs();
                    let lease = EmbeddedLease::new(Arc::clone(&self.shared), channel, epoch);
                    return Ok(Some(Box::new(lease)));
                }
                Taken::Refused => return Ok(None),
                Taken::EpochsNeeded(needed) => self.shared.make_epochs_durable(needed).await?,
            }
        }
    }
}
