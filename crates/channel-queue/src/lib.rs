//! What waits for a channel, and who holds it: the port.
//!
//! A message is in the queue until its outcome is durable elsewhere. One holder at a time reads a
//! channel's messages in order, under an epoch that rises with every holding (ONE-THREAD, FENCED).
//! The adapters are in `ery-embedded` and `ery-cluster`; [`testing`] says what both promise.

mod port;
pub mod testing;

pub use port::{
    BoxLease, ChannelLease, ChannelQueue, Delivery, Hint, Left, Position, QueueError, Released,
    Task, UnreadableTask, UnreadableTasks, Waiting, Wakeups,
};
