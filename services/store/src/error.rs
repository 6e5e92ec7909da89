use std::{path::PathBuf, sync::Arc};

use tonic::{Code, Status};

use ery_group_commit::{RekeyError, WriteError};
use ery_ids::{ChannelKey, ExecutionKey, StoreShard, TaskThreadId, TriggerId};
use ery_settings::InvalidSetting;

use crate::adapters::dump::DumpError;
pub use crate::domain::fence::FenceError;

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Settings(#[from] InvalidSetting),
    #[error("another process holds the store in `{}`", folder.display())]
    Held { folder: PathBuf },
    #[error("could not use `{}`", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "the store in `{}` was created with {created} shards and cannot have {configured}: \
         set `store.shards` to {created}",
        folder.display()
    )]
    ShardCount { folder: PathBuf, created: u32, configured: u32 },
    #[error(
        "the store in `{}` is called `{is}` and cannot be `{configured}`: set `store.name` to `{is}`",
        folder.display()
    )]
    OtherName { folder: PathBuf, is: String, configured: String },
    #[error(
        "a change of the key of `{}` was broken off; run `ery ctl store rekey` again, with the same \
         keys",
        folder.display()
    )]
    Rekeying { folder: PathBuf },
    #[error("the place for backups, `store.backup.url`, cannot be used")]
    BackupTarget {
        #[source]
        source: object_store::Error,
    },
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the ledger of deletions cannot be read")]
    Ledger(#[source] Box<StoreError>),
}

/// Why there is no backup, or why it is not brought back. What stood stands.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("there is no place for backups: set `store.backup.url`")]
    NoTarget,
    #[error("there is no whole backup `{id}`; see `ery ctl backup list`")]
    Unknown { id: String },
    #[error("backup `{id}` holds nothing of {shard}")]
    NotInSet { id: String, shard: StoreShard },
    #[error(
        "`{name}` was made under another key: set `store.encryption.previous_key` to it and start \
         the store again"
    )]
    OtherKey { name: String },
    #[error(
        "`{name}` is not sealed, and this store has a key: whoever can write to the place for backups \
         may have made it. If it is yours, from before the store had a key, say `--unsealed`"
    )]
    Unsealed { name: String },
    #[error("the backup is of a store of {backup} shards, and this one has {store}")]
    OtherShards { backup: u32, store: u32 },
    #[error("`{name}` of the backup is damaged: {problem}")]
    Damaged { name: String, problem: String },
    #[error("the backup's rows could not be written or read")]
    Rows(#[from] DumpError),
    #[error("the place for backups did not answer")]
    Target(#[from] object_store::Error),
    #[error("could not use `{}`", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Open(#[from] ery_group_commit::OpenError),
    #[error(transparent)]
    File(#[from] FileError),
}

impl BackupError {
    fn code(&self) -> Code {
        match self {
            Self::NoTarget
            | Self::OtherKey { .. }
            | Self::Unsealed { .. }
            | Self::OtherShards { .. } => Code::FailedPrecondition,
            Self::Unknown { .. } | Self::NotInSet { .. } => Code::NotFound,
            Self::Damaged { .. } | Self::Rows(DumpError::Malformed { .. }) => Code::DataLoss,
            Self::Rows(DumpError::Io(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
                Code::DataLoss
            }
            Self::Rows(_) | Self::Target(_) | Self::Io { .. } | Self::Open(_) | Self::File(_) => {
                Code::Unavailable
            }
        }
    }
}

/// Why the store's files did not all get their new key. Each is whole, under the one or the other.
#[derive(Debug, thiserror::Error)]
pub enum RekeyStoreError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    File(#[from] RekeyError),
    #[error("could not read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error(
        "`{}` keeps keys of servers for model providers, which would stand in the clear: remove them \
         first (`ery ctl keys list`, `ery ctl keys remove`)",
        path.display()
    )]
    ProviderKeys { path: PathBuf },
}

/// Why one of the store's files cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error(transparent)]
    Key(ery_group_commit::OpenError),
    #[error("`{}` was written by a newer version, with migration {version}", path.display())]
    Newer { path: PathBuf, version: i64 },
    #[error("migration {version} of `{}` is not the one that was applied", path.display())]
    OtherMigration { path: PathBuf, version: i64 },
    #[error("could not bring the tables of `{}` up to date", path.display())]
    Migrate {
        path: PathBuf,
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    #[error("could not open `{}`", path.display())]
    Connect {
        path: PathBuf,
        #[source]
        source: sqlx::Error,
    },
    #[error("could not open `{}` for writing", path.display())]
    Writer {
        path: PathBuf,
        #[source]
        source: ery_group_commit::OpenError,
    },
    #[error("could not set up the writer of `{}`", path.display())]
    Prepare {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("the system has no thread for the writer of `{}`", path.display())]
    Thread {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Why a call was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("`{field}` {problem}")]
    Invalid { field: String, problem: String },
    #[error(transparent)]
    Fence(#[from] FenceError),
    #[error("thread {thread} is unknown in channel {channel}")]
    ThreadUnknown { thread: TaskThreadId, channel: ChannelKey },
    #[error("thread {thread} is unknown")]
    ThreadNotFound { thread: TaskThreadId },
    #[error("thread {thread} has ended: {outcome}")]
    ThreadEnded { thread: TaskThreadId, outcome: &'static str },
    #[error("the credential that asked for this is revoked")]
    CredentialRevoked,
    #[error("thread {running} runs in channel {channel} and must end first")]
    AnotherThreadRuns { running: TaskThreadId, channel: ChannelKey },
    #[error("trigger {trigger} was finished by thread {thread}")]
    TriggerFinished { trigger: TriggerId, thread: TaskThreadId },
    #[error("step {index} of thread {thread} would leave a gap in its journal")]
    StepGap { thread: TaskThreadId, index: u32 },
    #[error("execution {key} is unknown in channel {channel}")]
    ExecutionUnknown { key: ExecutionKey, channel: ChannelKey },
    #[error("execution {key} is closed already: {state}")]
    ExecutionClosed { key: ExecutionKey, state: &'static str },
    #[error("dead letter {id} is unknown")]
    DeadLetterUnknown { id: String },
    #[error("there is no deletion `{id}`; see `ery ctl privacy list`")]
    DeletionUnknown { id: String },
    #[error(transparent)]
    Config(#[from] ery_community_config::InvalidConfig),
    #[error("the config was changed meanwhile, it is at version {version}: look at it again")]
    ConfigMoved { version: u64 },
    #[error("there is no version {version} of the config to go back to; see its history")]
    ConfigVersionUnknown { version: u64 },
    #[error("{places} members have set something here, and no more can")]
    ConfigFull { places: i64 },
    #[error(
        "a key is kept in encrypted files alone, and this store's are in the clear: set \
         `store.encryption.key_file`, stop Ery and run `ery ctl store rekey` (docs/operations.md)"
    )]
    KeyInTheClear,
    #[error("the server has {most} keys, and no more can be kept")]
    KeysFull { most: u32 },
    #[error("`global.db` cannot be opened")]
    Global(#[source] FileError),
    #[error("the system has no random bytes")]
    NoRandomness,
    #[error("the archive could not be written")]
    Export(#[source] std::io::Error),
    #[error("every shard that may be open at once is in use")]
    ShardsBusy,
    #[error("every reader of the shard is in use")]
    ReadersBusy,
    #[error("{shard} is read-only, the disk refuses writes: {reason}")]
    ReadOnly { shard: StoreShard, reason: String },
    #[error("{shard} is in the store `{owner}`")]
    Elsewhere { shard: StoreShard, shards: u32, owner: String },
    #[error("{shard} is on its way to the store `{to}`; try again")]
    Moving { shard: StoreShard, to: String },
    #[error("where {shard} is could not be written down")]
    Record {
        shard: StoreShard,
        #[source]
        source: std::io::Error,
    },
    #[error("this store knows no others: they run on NATS and Redis, each with a `store.name`")]
    Alone,
    #[error("{shard} is not taken: {why}")]
    TransferRefused { shard: StoreShard, why: String },
    #[error("{shard} stays as it is: {why}")]
    NotSettled { shard: StoreShard, why: String },
    #[error("there is no transfer `{transfer}`")]
    TransferUnknown { transfer: String },
    #[error("the store `{to}` did not take {shard}: {}", source.message())]
    Receiver {
        shard: StoreShard,
        to: String,
        #[source]
        source: Box<Status>,
    },
    #[error("{shard} was put in another file's place; try again")]
    Replaced { shard: StoreShard },
    #[error("{shard} is damaged and serves no call: {reason}")]
    Quarantined { shard: StoreShard, reason: String },
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error("{shard} has no file")]
    NoShard { shard: StoreShard },
    #[error("{shard} cannot be opened")]
    ShardClosed {
        shard: StoreShard,
        #[source]
        source: FileError,
    },
    #[error("the database did not take the write")]
    Write(#[source] Arc<rusqlite::Error>),
    #[error("the database could not be read")]
    Read(#[from] sqlx::Error),
    #[error("the database could not be read")]
    QuickRead(#[source] Arc<rusqlite::Error>),
    #[error("a row of `{table}` holds what no version wrote")]
    Row { table: &'static str },
    #[error("the database's writer has ended")]
    WriterEnded,
}

impl StoreError {
    pub(crate) fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), problem: problem.into() }
    }

    /// Returns what the caller may do about it.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Invalid { .. } | Self::Config(_) => Code::InvalidArgument,
            Self::Fence(_) => Code::Aborted,
            Self::Backup(error) => error.code(),
            Self::ThreadUnknown { .. }
            | Self::ThreadNotFound { .. }
            | Self::DeadLetterUnknown { .. }
            | Self::DeletionUnknown { .. }
            | Self::ConfigVersionUnknown { .. }
            | Self::NoShard { .. }
            | Self::TransferUnknown { .. }
            | Self::ExecutionUnknown { .. } => Code::NotFound,
            Self::ThreadEnded { .. }
            | Self::KeyInTheClear
            | Self::CredentialRevoked
            | Self::ConfigMoved { .. }
            | Self::ConfigFull { .. }
            | Self::KeysFull { .. }
            | Self::AnotherThreadRuns { .. }
            | Self::Elsewhere { .. }
            | Self::Alone
            | Self::TransferRefused { .. }
            | Self::NotSettled { .. }
            | Self::TriggerFinished { .. }
            | Self::StepGap { .. }
            | Self::ExecutionClosed { .. } => Code::FailedPrecondition,
            Self::ShardsBusy | Self::ReadersBusy | Self::Read(sqlx::Error::PoolTimedOut) => {
                Code::ResourceExhausted
            }
            Self::ReadOnly { .. }
            | Self::Replaced { .. }
            | Self::Moving { .. }
            | Self::Record { .. }
            | Self::Receiver { .. }
            | Self::Quarantined { .. }
            | Self::ShardClosed { .. }
            | Self::Write(_)
            | Self::Read(_)
            | Self::QuickRead(_)
            | Self::Global(_)
            | Self::NoRandomness
            | Self::Export(_)
            | Self::WriterEnded => Code::Unavailable,
            Self::Row { .. } => Code::DataLoss,
        }
    }

    /// Returns whether it is a fault of the store, not of the call.
    fn is_fault(&self) -> bool {
        // Logged when they began, or no fault at all.
        let is_known = matches!(
            self,
            Self::ReadOnly { .. }
                | Self::Quarantined { .. }
                | Self::Replaced { .. }
                | Self::Moving { .. }
        );
        !is_known && matches!(self.code(), Code::Unavailable | Code::DataLoss)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Write(Arc::new(error))
    }
}

impl From<WriteError<StoreError>> for StoreError {
    fn from(error: WriteError<StoreError>) -> Self {
        match error {
            WriteError::Refused(error) => error,
            WriteError::Database(error) => Self::Write(error),
            WriteError::Closed => Self::WriterEnded,
        }
    }
}

impl From<StoreError> for Status {
    /// Faults are logged here, once, with their causes; the caller learns what it may do.
    fn from(error: StoreError) -> Self {
        if error.is_fault() {
            let cause = causes(&error);
            tracing::error!(%error, cause, "a call failed for a fault of the store");
        }
        let mut status = Self::new(error.code(), error.to_string());
        if let StoreError::Elsewhere { shard, shards, owner } = &error {
            ery_rpc::Elsewhere { owner: owner.clone(), part: shard.0, parts: *shards }
                .write(status.metadata_mut());
        }
        status
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut source = error.source();
    while let Some(cause) = source {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_says_what_the_caller_may_do() {
        let channel = ChannelKey::from_raw(1, 2).expect("not 0");
        let epoch = ery_ids::Epoch(1);
        for (error, code) in [
            (StoreError::invalid("fence.owner", "is empty"), Code::InvalidArgument),
            (FenceError::NotOpened { channel, epoch }.into(), Code::Aborted),
            (StoreError::ShardsBusy, Code::ResourceExhausted),
            (StoreError::ReadersBusy, Code::ResourceExhausted),
            (sqlx::Error::PoolTimedOut.into(), Code::ResourceExhausted),
            (sqlx::Error::WorkerCrashed.into(), Code::Unavailable),
            (WriteError::<StoreError>::Closed.into(), Code::Unavailable),
            (rusqlite::Error::InvalidQuery.into(), Code::Unavailable),
            (StoreError::Row { table: "messages" }, Code::DataLoss),
        ] {
            assert_eq!(error.code(), code, "{error}");
        }
    }
}
