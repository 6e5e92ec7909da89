//! Gives a shard to another store, while others read and write. docs/decisions/0010 tells the steps, and
//! what a crash at each comes to.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::PathBuf,
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use tempfile::TempPath;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use ery_ids::{ReplicaId, StoreShard};
use ery_proto::store::v1::{
    BeginTransferRequest, CommitTransferRequest, EndTransferRequest, PrepareTransferRequest,
    PutBlockRequest, store_admin_service_client::StoreAdminServiceClient,
};
use ery_rpc::{Transport, within};

use crate::{
    adapters::{
        ledger_copy,
        quiet_file::{self, QuietFile, Stamp},
        seal,
        shards::Held,
    },
    blocking::blocking,
    error::{BackupError, StoreError},
    ownership::Standing,
    service::Inner,
    transfers,
};

/// How much of a file is compared, and sent, at once.
pub(crate) const BLOCK: usize = 256 << 10;

/// How often the whole file is looked through while others write.
const PASSES: u32 = 3;

/// How often what was written meanwhile is sent before writes are held, unless it is a few blocks only.
const ROUNDS: u32 = 6;
const FEW: usize = 16;

/// How long the receiver may take for one call; the last one reads the whole file.
const CALL: Duration = Duration::from_secs(10);
const WHOLE_FILE: Duration = Duration::from_mins(10);

/// How long the receiver may take to put the file in place: reads wait for that.
const COMMIT: Duration = Duration::from_secs(5);

/// After what time a receiver that did not say how a shard stands is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// What a move came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moved {
    pub(crate) bytes: u64,
    /// How long writes were held back, and how long reads waited.
    pub(crate) held: Duration,
    pub(crate) closed: Duration,
}

/// One shard on its way to a store.
struct Move<'a> {
    store: &'a Inner,
    shard: StoreShard,
    to: String,
    transfer: String,
    /// Under which the receiver will own it.
    epoch: u64,
    receiver: StoreAdminServiceClient<Transport>,
    /// Of each block, the hash of what was sent last.
    sent: Vec<[u8; 32]>,
    /// Whether the receiver knows them, too.
    knows_blocks: bool,
}

fn receiver(store: &Inner, to: &str) -> Result<StoreAdminServiceClient<Transport>, StoreError> {
    let stores = store.stores.as_ref().ok_or(StoreError::Alone)?;
    Ok(StoreAdminServiceClient::new(stores.named(ReplicaId(to.to_owned()))))
}

/// Moves a shard of this store to another one.
pub(crate) async fn move_shard(
    store: &Inner,
    shard: StoreShard,
    to: &str,
) -> Result<Moved, StoreError> {
    if shard.0 >= store.shards.count() {
        return Err(StoreError::NoShard { shard });
    }
    let _alone = store.moving.lock().await;
    let ownership = store.shards.ownership();
    ownership.check(shard)?;
    if to == ownership.name() {
        return Ok(Moved::default());
    }
    let (_, epoch) = ownership.standing(shard);
    let mut moving = Move {
        store,
        shard,
        to: to.to_owned(),
        transfer: uuid::Uuid::new_v4().to_string(),
        epoch: epoch + 1,
        receiver: receiver(store, to)?,
        sent: Vec::new(),
        knows_blocks: false,
    };
    let moved = moving.run().await;
    if moved.is_err() && ownership.is_here(shard) {
        // What was received is of no use any more.
        moving.end().await.ok();
    }
    let moved = moved?;
    tracing::info!(store_shard = %shard, bytes = moved.bytes, held_ms = moved.held.as_millis(),
        "gave {shard} to `{to}`");
    Ok(moved)
}

impl Move<'_> {
    async fn run(&mut self) -> Result<Moved, StoreError> {
        let begin = BeginTransferRequest {
            transfer_id: self.transfer.clone(),
            shard: self.shard.0,
            epoch: self.epoch,
            shards: self.store.shards.count(),
            key_id: seal::key_id(self.store.shards.key()),
            ledger: ledger_copy::seal(&self.store.ledger.copy(), self.store.shards.key())?,
        };
        let answer = self.receiver.begin_transfer(within(CALL, begin)).await;
        let answer = answer.map_err(|status| self.refused(status))?.into_inner();
        self.knows_blocks = answer.knows_blocks;
        for _ in 0..PASSES {
            if self.send_changed().await? <= 1 {
                break;
            }
        }
        let quiet = self.quiet_down().await?;
        let shards = &self.store.shards;
        let held_since = Instant::now();
        let held = shards.hold(self.shard).await?;
        shards.ownership().check(self.shard)?;
        let bytes = self.send_the_rest(quiet).await?;
        let stamp = Stamp::of(&self.path());
        let closed_since = Instant::now();
        let closed = shards.close_held(&held).await?;
        if Stamp::of(&self.path()) != stamp {
            // Closing has written something yet.
            self.send_changed().await?;
            self.prepare(true).await?;
        }
        let left = self.change_hands(&held).await?;
        drop(closed);
        let moved = Moved { bytes, held: held_since.elapsed(), closed: closed_since.elapsed() };
        drop(held);
        blocking(move || drop(left)).await;
        Ok(moved)
    }

    /// Sends the file as it stands and keeps it so: from then on its log alone tells what has changed.
    /// None: there is no file, or its log cannot be emptied beside those who read it.
    async fn quiet_down(&mut self) -> Result<Option<QuietFile>, StoreError> {
        if !self.knows_blocks || !self.store.shards.has(self.shard) {
            return Ok(None);
        }
        let open = self.store.shards.open(self.shard).await?;
        let Some(mut quiet) = QuietFile::begin(&open, self.path()).await? else { return Ok(None) };
        self.send_changed().await?;
        // All of it is on the receiver's disk before anybody waits.
        let prepared = self.prepare(true).await;
        // Where another file has taken its place, that one is not what was sent.
        if !quiet.is_as_it_was() {
            return Ok(None);
        }
        prepared?;
        // That took a while. What came meanwhile takes less, and what comes during that, less again.
        for _ in 0..ROUNDS {
            let Some(blocks) = quiet.take_changed(BLOCK).await? else { return Ok(None) };
            self.send_blocks(&blocks).await?;
            let prepared = self.prepare(false).await;
            if !quiet.is_as_it_was() {
                return Ok(None);
            }
            prepared?;
            if blocks.len() <= FEW {
                break;
            }
        }
        Ok(Some(quiet))
    }

    /// Sends what was written since, now that nothing more is, and returns how large the file is.
    async fn send_the_rest(&mut self, quiet: Option<QuietFile>) -> Result<u64, StoreError> {
        let changed = match &quiet {
            Some(quiet) => quiet.changed_blocks(BLOCK).await?,
            None => None,
        };
        drop(quiet);
        if self.store.shards.has(self.shard) {
            let open = self.store.shards.open(self.shard).await?;
            quiet_file::empty_log(&open).await?;
        }
        if let Some(blocks) = changed {
            self.send_blocks(&blocks).await?;
            return self.prepare(false).await;
        }
        // Nobody knows what has changed; or another file has taken its place meanwhile.
        self.send_changed().await?;
        self.prepare(true).await
    }

    fn path(&self) -> PathBuf {
        self.store.shards.folder().shard(self.shard)
    }

    fn refused(&self, source: tonic::Status) -> StoreError {
        StoreError::Receiver { shard: self.shard, to: self.to.clone(), source: Box::new(source) }
    }

    /// Sends every block that is not as it was sent last, and returns how many those were.
    async fn send_changed(&mut self) -> Result<usize, StoreError> {
        let Some(file) = self.file()? else { return Ok(0) };
        let (mut index, mut changed) = (0, 0);
        loop {
            let Some(is_changed) = self.send_block(&file, index).await? else {
                self.sent.truncate(index);
                return Ok(changed);
            };
            changed += usize::from(is_changed);
            index += 1;
        }
    }

    /// Sends these blocks, and what the file has grown by.
    async fn send_blocks(&mut self, blocks: &BTreeSet<usize>) -> Result<(), StoreError> {
        let Some(file) = self.file()? else { return Ok(()) };
        let known = self.sent.len();
        for index in blocks.iter().copied().filter(|index| *index < known) {
            if self.send_block(&file, index).await?.is_none() {
                self.sent.truncate(index);
            }
        }
        while self.send_block(&file, self.sent.len()).await?.is_some() {}
        Ok(())
    }

    fn file(&self) -> Result<Option<File>, StoreError> {
        match File::open(self.path()) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(BackupError::Io { path: self.path(), source }.into()),
        }
    }

    /// Sends a block unless it is as it was sent last, and returns whether it was sent; none where the
    /// file ends before it.
    async fn send_block(&mut self, file: &File, index: usize) -> Result<Option<bool>, StoreError> {
        let io = |source| BackupError::Io { path: self.path(), source };
        let offset = (index * BLOCK) as u64;
        let handle = file.try_clone().map_err(io)?;
        let (bytes, hash) = blocking(move || read_block(&handle, offset)).await.map_err(io)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        if self.sent.get(index) == Some(&hash) {
            return Ok(Some(false));
        }
        let put = PutBlockRequest { transfer_id: self.transfer.clone(), offset, bytes };
        let answer = self.receiver.put_block(within(CALL, put)).await;
        answer.map_err(|status| self.refused(status))?;
        self.sent.resize(self.sent.len().max(index + 1), [0; 32]);
        self.sent[index] = hash;
        Ok(Some(true))
    }

    /// Has the receiver check that it has the whole file, and make it durable; returns how large it is.
    /// Unless it is to read all of it, it goes by the blocks that it was sent, if it knows them.
    async fn prepare(&mut self, is_read: bool) -> Result<u64, StoreError> {
        let path = self.path();
        let is_read = is_read || !self.knows_blocks;
        let hashed = blocking(move || -> std::io::Result<_> {
            if !fs::exists(&path)? {
                return Ok((0, Sha256::digest([]).to_vec()));
            }
            let hash = if is_read { transfers::hash_of(&path)? } else { Vec::new() };
            Ok((fs::metadata(&path)?.len(), hash))
        });
        let (size, sha256) =
            hashed.await.map_err(|source| BackupError::Io { path: self.path(), source })?;
        let prepare = PrepareTransferRequest {
            transfer_id: self.transfer.clone(),
            size,
            sha256,
            blocks_sha256: if is_read { Vec::new() } else { transfers::hash_of_blocks(&self.sent) },
        };
        let answer = self.receiver.prepare_transfer(within(WHOLE_FILE, prepare)).await;
        answer.map_err(|status| self.refused(status))?;
        Ok(size)
    }

    /// Lets the receiver own the shard, and returns the file that is of no use here any more. Whatever
    /// becomes of the call, the record says whom to ask.
    async fn change_hands(&mut self, held: &Held) -> Result<Option<TempPath>, StoreError> {
        let ownership = self.store.shards.ownership();
        let moving = Standing::Moving { to: self.to.clone(), transfer: self.transfer.clone() };
        ownership.set(self.shard, moving, self.epoch - 1)?;
        let commit = CommitTransferRequest { transfer_id: self.transfer.clone() };
        let committed = self.receiver.commit_transfer(within(COMMIT, commit)).await;
        let Err(status) = committed else { return self.gone(held) };
        match self.end().await {
            Ok(true) => self.gone(held),
            Ok(false) => {
                ownership.set(self.shard, Standing::Here, self.epoch - 1)?;
                Err(self.refused(status))
            }
            // It is asked again and again, and nobody is served before it has answered.
            Err(_) => Err(self.refused(status)),
        }
    }

    /// Tells the receiver that it will not be committed any more, unless it was; returns whether it was.
    async fn end(&mut self) -> Result<bool, StoreError> {
        let end = EndTransferRequest {
            transfer_id: self.transfer.clone(),
            shard: self.shard.0,
            epoch: self.epoch,
        };
        let answer = self.receiver.end_transfer(within(CALL, end)).await;
        Ok(answer.map_err(|status| self.refused(status))?.into_inner().is_committed)
    }

    fn gone(&self, _: &Held) -> Result<Option<TempPath>, StoreError> {
        gone(self.store, self.shard, &self.to, self.epoch)
    }
}

/// Writes down that another store has a shard, and takes away what is left of it here. To be dropped
/// where nobody waits.
fn gone(
    store: &Inner,
    shard: StoreShard,
    to: &str,
    epoch: u64,
) -> Result<Option<TempPath>, StoreError> {
    store.shards.ownership().set(shard, Standing::Gone { to: to.to_owned() }, epoch)?;
    let left = store.shards.folder().take_away(shard).unwrap_or_else(|error| {
        tracing::warn!(store_shard = %shard, %error, "a file that is of no use could not be removed");
        None
    });
    Ok(left)
}

fn read_block(file: &File, offset: u64) -> std::io::Result<(Vec<u8>, [u8; 32])> {
    let (mut bytes, mut filled) = (vec![0; BLOCK], 0);
    while filled < BLOCK {
        match file.read_at(&mut bytes[filled..], offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    let hash = Sha256::digest(&bytes).into();
    Ok((bytes, hash))
}

/// Finds out how moves ended that were broken off, until the process drains.
pub(crate) async fn keep_settling(store: &Inner, draining: CancellationToken) {
    loop {
        for (shard, to, transfer, epoch) in store.shards.ownership().moving() {
            let alone = store.moving.lock().await;
            let stands = store.shards.ownership().standing(shard);
            if stands != (Standing::Moving { to: to.clone(), transfer: transfer.clone() }, epoch) {
                continue;
            }
            if let Err(error) = settle(store, shard, &to, transfer, epoch).await {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(store_shard = %shard, error,
                    "`{to}` has not said whether it has {shard}; nobody is served before");
            }
            drop(alone);
        }
        tokio::select! {
            biased;
            () = draining.cancelled() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn settle(
    store: &Inner,
    shard: StoreShard,
    to: &str,
    transfer: String,
    epoch: u64,
) -> Result<(), StoreError> {
    let receiver = receiver(store, to)?;
    let mut asked = Move {
        store,
        shard,
        to: to.to_owned(),
        transfer,
        epoch: epoch + 1,
        receiver,
        sent: Vec::new(),
        knows_blocks: false,
    };
    if asked.end().await? {
        tracing::info!(store_shard = %shard, "`{to}` has {shard}");
        let left = gone(store, shard, to, epoch + 1)?;
        blocking(move || drop(left)).await;
        return Ok(());
    }
    tracing::info!(store_shard = %shard, "`{to}` has not taken {shard}, which stays");
    store.shards.ownership().set(shard, Standing::Here, epoch)?;
    store.agenda.add(shard, ery_clock::UnixMillis(0));
    Ok(())
}
