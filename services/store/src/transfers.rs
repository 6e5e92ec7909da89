//! What is received of shards that come from another store: nothing of it counts before it is committed.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::Read as _,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::Arc,
};

use sha2::{Digest as _, Sha256};
use tempfile::{NamedTempFile, TempPath};

use ery_clock::UnixMillis;
use ery_ids::StoreShard;

use crate::{
    adapters::ledger_copy,
    blocking::blocking,
    error::{BackupError, StoreError},
    ownership::Standing,
    service::Inner,
};

/// How much of a file is hashed at once.
const HASHED_AT_ONCE: usize = 1 << 20;

/// Files that are being received, by transfer. Gone with the process.
#[derive(Debug, Default)]
pub(crate) struct Transfers {
    incoming: tokio::sync::Mutex<HashMap<String, Incoming>>,
}

#[derive(Debug)]
struct Incoming {
    shard: StoreShard,
    /// Under which it will be owned.
    epoch: u64,
    file: Arc<File>,
    path: TempPath,
    /// Of each block as it was received last, by where it begins: its hash.
    blocks: BTreeMap<u64, [u8; 32]>,
    /// How large the whole file is, once it has been found to be whole.
    whole: Option<u64>,
}

/// What a sender says of the store that it sends from.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) transfer: String,
    pub(crate) shard: StoreShard,
    pub(crate) epoch: u64,
    pub(crate) shards: u32,
    pub(crate) key_id: String,
    /// Sealed, as beside backups.
    pub(crate) ledger: Vec<u8>,
}

fn unknown(transfer: &str) -> StoreError {
    StoreError::TransferUnknown { transfer: transfer.to_owned() }
}

/// Runs `work` on a file, which it names where that fails.
async fn on_file<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    path: &Path,
) -> Result<T, StoreError> {
    let path = path.to_owned();
    Ok(blocking(work).await.map_err(|source| BackupError::Io { path, source })?)
}

/// Begins to receive a shard that is not here. An earlier attempt at the same shard is forgotten.
pub(crate) async fn begin(store: &Inner, offer: Offer) -> Result<(), StoreError> {
    let refused = |why: String| StoreError::TransferRefused { shard: offer.shard, why };
    if offer.shards != store.shards.count() {
        let (theirs, ours) = (offer.shards, store.shards.count());
        return Err(refused(format!("one store has {theirs} shards and the other {ours}")));
    }
    if offer.key_id != crate::adapters::seal::key_id(store.shards.key()) {
        return Err(refused("the stores have different keys".to_owned()));
    }
    let (standing, epoch) = store.shards.ownership().standing(offer.shard);
    if !matches!(standing, Standing::Gone { .. }) || epoch >= offer.epoch {
        return Err(refused(format!("the store `{}` has it", store.shards.ownership().name())));
    }
    let key = store.shards.key();
    let ledger = ledger_copy::open(&ledger_copy::name(key), &offer.ledger, key)?;
    store.ledger.merge(ledger, store.clock.now()).await?;
    let work = store.shards.folder().work();
    let made = NamedTempFile::new_in(&work)
        .map_err(|source| BackupError::Io { path: work.clone(), source })?;
    let (file, path) = made.into_parts();
    let incoming = Incoming {
        shard: offer.shard,
        epoch: offer.epoch,
        file: Arc::new(file),
        path,
        blocks: BTreeMap::new(),
        whole: None,
    };
    let mut all = store.transfers.incoming.lock().await;
    all.retain(|_, other| other.shard != offer.shard);
    all.insert(offer.transfer, incoming);
    Ok(())
}

/// Takes a block of the file.
pub(crate) async fn put(
    store: &Inner,
    transfer: &str,
    offset: u64,
    bytes: Vec<u8>,
) -> Result<(), StoreError> {
    let mut all = store.transfers.incoming.lock().await;
    let incoming = all.get_mut(transfer).ok_or_else(|| unknown(transfer))?;
    incoming.whole = None;
    let file = Arc::clone(&incoming.file);
    let path = incoming.path.to_path_buf();
    drop(all);
    let written = move || {
        file.write_all_at(&bytes, offset)?;
        Ok(Sha256::digest(&bytes).into())
    };
    let hash = on_file(written, &path).await?;
    let mut all = store.transfers.incoming.lock().await;
    let incoming = all.get_mut(transfer).ok_or_else(|| unknown(transfer))?;
    incoming.blocks.insert(offset, hash);
    Ok(())
}

/// What a file is known by.
#[derive(Debug)]
pub(crate) enum Known {
    /// The SHA-256 of all of it.
    Whole(Vec<u8>),
    /// That of the hashes of its blocks, in order.
    Blocks(Vec<u8>),
}

/// Checks that the file is whole, and makes it durable.
pub(crate) async fn prepare(
    store: &Inner,
    transfer: &str,
    size: u64,
    known: Known,
) -> Result<(), StoreError> {
    let mut all = store.transfers.incoming.lock().await;
    let incoming = all.get_mut(transfer).ok_or_else(|| unknown(transfer))?;
    let (file, path) = (Arc::clone(&incoming.file), incoming.path.to_path_buf());
    let by_blocks = {
        incoming.blocks.split_off(&size);
        hash_of_blocks(incoming.blocks.values())
    };
    let shown = path.clone();
    let is_whole = on_file(
        move || {
            file.set_len(size)?;
            let is_whole = match known {
                Known::Whole(hash) => hash_of(&shown)? == hash,
                Known::Blocks(hash) => by_blocks == hash,
            };
            file.sync_all()?;
            Ok(is_whole)
        },
        &path,
    )
    .await?;
    if !is_whole {
        let why = "what was received is not what was sent".to_owned();
        return Err(StoreError::TransferRefused { shard: incoming.shard, why });
    }
    incoming.whole = Some(size);
    Ok(())
}

/// Returns the SHA-256 of the hashes of blocks.
pub(crate) fn hash_of_blocks<'a>(blocks: impl IntoIterator<Item = &'a [u8; 32]>) -> Vec<u8> {
    let mut hasher = Sha256::new();
    for block in blocks {
        hasher.update(block);
    }
    hasher.finalize().to_vec()
}

/// Returns the SHA-256 of a file. Blocks the thread.
pub(crate) fn hash_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let (mut file, mut hasher) = (File::open(path)?, Sha256::new());
    let mut block = vec![0; HASHED_AT_ONCE];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(hasher.finalize().to_vec());
        }
        hasher.update(&block[..read]);
    }
}

/// Puts the file in place and owns the shard from here on: the moment at which it changes hands.
pub(crate) async fn commit(store: &Inner, transfer: &str) -> Result<(), StoreError> {
    // Held to the end: whoever asks how it stands waits, and then knows.
    let mut all = store.transfers.incoming.lock().await;
    let incoming = all.remove(transfer).ok_or_else(|| unknown(transfer))?;
    let (shard, epoch) = (incoming.shard, incoming.epoch);
    let Some(size) = incoming.whole else {
        let why = "it was not found to be whole".to_owned();
        return Err(StoreError::TransferRefused { shard, why });
    };
    let folder = store.shards.folder();
    let placed = if size == 0 {
        // Nothing was ever written to it.
        folder.remove(shard)
    } else {
        folder.replace(shard, &incoming.path)
    };
    placed.map_err(|source| BackupError::Io { path: folder.shard(shard), source })?;
    store.shards.ownership().set(shard, Standing::Here, epoch)?;
    store.shards.condition(shard).reset();
    store.totals.forget(shard);
    store.agenda.add(shard, UnixMillis(0));
    // Somebody may be in it whom this store has forgotten everywhere else.
    store.ledger.look_again();
    tracing::info!(store_shard = %shard, epoch, "took {shard} over");
    Ok(())
}

/// Runs `work` while no shard is taken over.
pub(crate) async fn unless_received<T>(store: &Inner, work: impl FnOnce() -> T) -> T {
    let _all = store.transfers.incoming.lock().await;
    work()
}

/// Forgets a transfer, so that it cannot be committed any more, and returns whether it was.
pub(crate) async fn end(store: &Inner, transfer: &str, shard: StoreShard, epoch: u64) -> bool {
    let mut all = store.transfers.incoming.lock().await;
    all.remove(transfer);
    let (_, ours) = store.shards.ownership().standing(shard);
    ours >= epoch
}
