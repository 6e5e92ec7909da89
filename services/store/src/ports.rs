use std::{path::PathBuf, sync::Arc};

use ery_clock::Clock;
use ery_group_commit::FileKey;

/// All that the store needs from outside.
#[derive(Clone, Debug)]
pub struct Ports {
    /// The process's data folder; the store's files are in `store` there.
    pub data_dir: PathBuf,
    /// The key of every file of the store; none leaves them unencrypted.
    pub key: Option<FileKey>,
    pub clock: Arc<dyn Clock>,
}
