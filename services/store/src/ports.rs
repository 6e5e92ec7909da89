use std::{fmt, path::PathBuf, sync::Arc};

use ery_channel_queue::ChannelQueue;
use ery_clock::Clock;
use ery_event_bus::EventBus;
use ery_group_commit::FileKey;
use ery_rpc::Peers;

/// All that the store needs from outside.
#[derive(Clone)]
pub struct Ports {
    /// The process's data folder; the store's files are in `store` there.
    pub data_dir: PathBuf,
    /// The key of every file of the store; none leaves them unencrypted.
    pub key: Option<FileKey>,
    pub clock: Arc<dyn Clock>,
    /// Where tasks go that are due.
    pub queue: Arc<dyn ChannelQueue>,
    /// Where events are, and where every process is told of people who are to be forgotten.
    pub bus: Arc<dyn EventBus>,
    /// The other stores, by their names, where there can be any.
    pub stores: Option<Peers>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports")
            .field("data_dir", &self.data_dir)
            .field("is_encrypted", &self.key.is_some())
            .finish_non_exhaustive()
    }
}
