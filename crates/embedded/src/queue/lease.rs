use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use ery_channel_queue::{BoxLease, ChannelLease, Position, QueueError, Released, Waiting};
use ery_clock::UnixMillis;
use ery_ids::{ChannelKey, Epoch, Fence, OwnerToken};

use super::{Shared, index::Raised};

/// A channel held in this process.
///
/// It needs no renewal: while this lives, its holder does.
pub(super) struct EmbeddedLease {
    shared: Arc<Shared>,
    fence: Fence,
    /// Names the holding in the index: the epoch under which it began.
    id: u64,
    /// The position up to which its holder has read.
    mark: u64,
    lost: CancellationToken,
    is_over: bool,
}

impl EmbeddedLease {
    pub(super) fn new(shared: Arc<Shared>, channel: ChannelKey, epoch: u64) -> Self {
        let owner = OwnerToken(format!("{}-{epoch}", shared.instance));
        Self {
            shared,
            fence: Fence { channel, epoch: Epoch(epoch), owner },
            id: epoch,
            mark: 0,
            lost: CancellationToken::new(),
            is_over: false,
        }
    }

    fn lost_error(&self) -> QueueError {
        self.lost.cancel();
        QueueError::LeaseLost { channel: self.fence.channel }
    }
}

#[async_trait]
impl ChannelLease for EmbeddedLease {
    fn fence(&self) -> Fence {
        self.fence.clone()
    }

    fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    async fn read(&mut self, max: usize) -> Result<Vec<Waiting>, QueueError> {
        loop {
            let found = self
                .shared
                .index
                .read(self.fence.channel, self.id, self.mark, max)
                .ok_or_else(|| self.lost_error())?;
            let Some(last) = found.last().map(|found| found.position) else {
                return Ok(Vec::new());
            };
            let tasks = self.shared.load(found).await?;
            self.mark = last;
            // Empty only where all of these were removed while they were read from the file.
            if !tasks.is_empty() {
                return Ok(tasks
                    .into_iter()
                    .map(|(position, task)| Waiting { task, position: Position(position) })
                    .collect());
            }
        }
    }

    fn remove(&mut self, done: &[Waiting]) {
        self.shared.remove(self.fence.channel, done.iter().map(|waiting| waiting.position.0));
    }

    async fn raise_epoch(&mut self, floor: Epoch) -> Result<Epoch, QueueError> {
        loop {
            match self.shared.index.raise_epoch(self.fence.channel, self.id, floor.0) {
                Raised::To(epoch) => {
                    self.fence.epoch = Epoch(epoch);
                    return Ok(self.fence.epoch);
                }
                Raised::NotHeld => return Err(self.lost_error()),
                Raised::EpochsNeeded(needed) => self.shared.make_epochs_durable(needed).await?,
            }
        }
    }

    async fn set_active_until(&mut self, until: Option<UnixMillis>) {
        self.shared.index.set_active_until(self.fence.channel, until);
    }

    async fn release(mut self: Box<Self>) -> Result<Released, QueueError> {
        match self.shared.index.release(self.fence.channel, self.id, self.mark) {
            Some(true) => {
                self.is_over = true;
                Ok(Released::Free)
            }
            Some(false) => Ok(Released::More(self as BoxLease)),
            None => Err(self.lost_error()),
        }
    }

    async fn hand_over(mut self: Box<Self>) -> Result<(), QueueError> {
        self.is_over = true;
        if self.shared.index.hand_over(self.fence.channel, self.id) {
            Ok(())
        } else {
            Err(self.lost_error())
        }
    }
}

impl Drop for EmbeddedLease {
    fn drop(&mut self) {
        self.lost.cancel();
        if !self.is_over {
            self.shared.index.abandon(self.fence.channel, self.id);
        }
    }
}
