//! Makes backups, on a schedule and when asked, checks them, and brings them back.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tempfile::{NamedTempFile, TempPath};
use tokio_util::sync::CancellationToken;

use ery_clock::UnixMillis;
use ery_group_commit::{FileKey, open_read_only};
use ery_ids::StoreShard;

use crate::{
    adapters::{
        approvals,
        backup_target::Target,
        dump, forget, ledger_copy, maintenance, mcp_credentials,
        migrations::{self, Migrations},
        provider_keys,
        seal::{self, Opener, Sealer},
    },
    blocking::blocking,
    domain::backup::{BackupFile, Header, Manifest, Retention, expired, outlived},
    error::{BackupError, StoreError},
    service::Inner,
    settings,
};

/// How a sealed backup begins.
const MAGIC: &[u8; 8] = b"ERYBAK1\n";

/// The longest header that is read.
const MAX_HEADER_BYTES: u32 = 64 << 10;

/// Fast, and within a tenth of what it takes twice the time for.
const COMPRESSION: i32 = 3;

/// After what time a scheduled backup that failed is tried again, unless it is due sooner.
const RETRY: Duration = Duration::from_mins(5);

/// Where backups go, if anywhere, and under which keys they may be.
#[derive(Debug)]
pub(crate) struct Backups {
    target: Option<Target>,
    settings: settings::Backup,
    previous_key: Option<FileKey>,
    /// One at a time: each reads or writes whole files.
    busy: tokio::sync::Mutex<()>,
    /// Held while the ledger beside the backups is read and written.
    ledger: tokio::sync::Mutex<()>,
}

impl Backups {
    pub(crate) fn new(
        target: Option<Target>,
        settings: settings::Backup,
        previous_key: Option<FileKey>,
    ) -> Self {
        let (busy, ledger) = <(tokio::sync::Mutex<()>, tokio::sync::Mutex<()>)>::default();
        Self { target, settings, previous_key, busy, ledger }
    }

    /// Returns how old the oldest backup may become; none where none are made.
    pub(crate) fn kept_for(&self) -> Option<Duration> {
        self.target.as_ref()?;
        let settings = &self.settings;
        let hours = [
            settings.keep_hourly,
            settings.keep_daily.saturating_mul(24),
            settings.keep_weekly.saturating_mul(24 * 7),
        ];
        let hours = hours.into_iter().max().unwrap_or(0);
        // The newest of a span may be as old as the span is long, and one is made every so often.
        Some(Duration::from_hours(hours.into()) + settings.every)
    }

    pub(crate) fn target(&self) -> Result<&Target, BackupError> {
        self.target.as_ref().ok_or(BackupError::NoTarget)
    }

    fn retention(&self) -> Retention {
        let settings = &self.settings;
        Retention {
            hourly: settings.keep_hourly,
            daily: settings.keep_daily,
            weekly: settings.keep_weekly,
        }
    }
}

/// Backs up whenever it is time, until the process drains.
pub(crate) async fn keep_schedule(store: &Inner, draining: CancellationToken) {
    let Ok(target) = store.backups.target() else { return };
    let every = store.backups.settings.every;
    // One that left a shard out is made again when the next is due, not sooner.
    let mut attempted_at = None;
    loop {
        let newest = match sets_of_ours(store, target).await {
            Ok(sets) => {
                let whole = sets.iter().filter(|set| set.is_whole).map(|set| set.created_at).max();
                whole.max(attempted_at)
            }
            Err(error) => {
                failed(store, &error.into());
                Some(store.clock.now())
            }
        };
        let due = newest.map_or(store.clock.now(), |newest| newest + every);
        let wait = due.since(store.clock.now());
        tokio::select! {
            biased;
            () = draining.cancelled() => return,
            () = tokio::time::sleep(wait.min(RETRY)) => {}
        }
        if due > store.clock.now() {
            continue;
        }
        let started_at = store.clock.now();
        let made = create(store, None).await;
        if let Err(error) = &made
            && error_is_of_the_source(error)
        {
            attempted_at = Some(started_at);
        }
        let pruned = prune(store).await;
        if let Err(error) = made.and(pruned) {
            failed(store, &error);
            tokio::select! {
                biased;
                () = draining.cancelled() => return,
                () = tokio::time::sleep(RETRY.min(every)) => {}
            }
        }
    }
}

/// Returns the sets that this store looks after: its own, and those that name no store where it is the
/// founder, or no other one has written there.
async fn sets_of_ours(store: &Inner, target: &Target) -> Result<Vec<Manifest>, BackupError> {
    let ownership = store.shards.ownership();
    let mut sets = target.manifests().await?;
    let is_alone = sets.iter().all(|set| set.store.is_empty() || set.store == ownership.name());
    let takes_nameless = is_alone || ownership.is_founder();
    sets.retain(|set| set.store == ownership.name() || (set.store.is_empty() && takes_nameless));
    Ok(sets)
}

/// Tells whether what was to be backed up cannot be read; else the target could not take it.
fn error_is_of_the_source(error: &StoreError) -> bool {
    match error {
        StoreError::Backup(error) => matches!(
            error,
            BackupError::Damaged { .. }
                | BackupError::Rows(_)
                | BackupError::Open(_)
                | BackupError::File(_)
        ),
        StoreError::Quarantined { .. } | StoreError::NoShard { .. } => true,
        _ => false,
    }
}

fn failed(store: &Inner, error: &StoreError) {
    store.metrics.backup_failed();
    let error: &dyn std::error::Error = error;
    tracing::error!(error, "a scheduled backup failed; trying again");
}

/// Backs up some shards, or everything, while others read and write.
pub(crate) async fn create(
    store: &Inner,
    only: Option<StoreShard>,
) -> Result<Manifest, StoreError> {
    let target = store.backups.target()?;
    let _alone = store.backups.busy.lock().await;
    create_alone(store, target, only).await
}

async fn create_alone(
    store: &Inner,
    target: &Target,
    only: Option<StoreShard>,
) -> Result<Manifest, StoreError> {
    keep_ledger(store).await?;
    let created_at = store.clock.now();
    let id = free_id(target, created_at).await?;
    let wanted: Vec<Option<StoreShard>> = match only {
        Some(shard) if !store.shards.has(shard) => return Err(StoreError::NoShard { shard }),
        Some(shard) => vec![Some(shard)],
        None => {
            let shards = store.shards.all_existing().into_iter().map(Some);
            std::iter::once(None).chain(shards).collect()
        }
    };
    let mut files = Vec::new();
    let mut left_out = None;
    for shard in wanted {
        match back_up(store, target, &id, created_at, shard).await {
            Ok(file) => files.push(file),
            // The others are backed up all the same; the set does not count as a whole one.
            Err(error) if only.is_none() && shard.is_some() => {
                let cause: &dyn std::error::Error = &error;
                tracing::error!(error = cause, "a shard could not be backed up");
                left_out = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    let is_whole = only.is_none() && left_out.is_none();
    let shards = store.shards.count();
    let store_name = store.shards.ownership().name();
    let manifest = Manifest {
        id,
        store: store_name,
        created_at,
        shards,
        is_whole,
        is_of_replaced: false,
        files,
    };
    target.put_manifest(&manifest).await?;
    match left_out {
        None => {
            store.metrics.backed_up();
            tracing::info!(files = manifest.files.len(), "made backup {}", manifest.id);
            Ok(manifest)
        }
        Some(error) => Err(error),
    }
}

/// Returns the moment as a name, or a later one where that is taken.
async fn free_id(target: &Target, at: UnixMillis) -> Result<String, BackupError> {
    let taken: BTreeSet<String> = target.own().await?.into_iter().map(|set| set.id).collect();
    let name = |seconds: i64| {
        let at = time::OffsetDateTime::from_unix_timestamp(seconds)
            .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        let (date, time) = (at.date(), at.time());
        format!(
            "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        )
    };
    // One more than there are is enough to find one that is free.
    let seconds = (at.as_secs()..).take(taken.len() + 1);
    let free = seconds.map(name).find(|name| !taken.contains(name));
    Ok(free.expect("not every one of them is taken"))
}

async fn back_up(
    store: &Inner,
    target: &Target,
    set: &str,
    created_at: UnixMillis,
    shard: Option<StoreShard>,
) -> Result<BackupFile, StoreError> {
    let folder = store.shards.folder();
    let name = shard.map_or_else(|| "global.bak".to_owned(), |shard| format!("{shard}.bak"));
    let path = shard.map_or_else(|| folder.global(), |shard| folder.shard(shard));
    let header = Header {
        shard: shard.map(|shard| shard.0),
        shards: store.shards.count(),
        migration: 0,
        created_at,
        key_id: seal::key_id(store.shards.key()),
        salt: seal::salt().map_err(|source| BackupError::Io { path: path.clone(), source })?,
    };
    let (key, work, is_verified) =
        (store.shards.key().cloned(), folder.work(), store.backups.settings.verify);
    let shown = name.clone();
    let (sealed, rows) = blocking(move || {
        let (sealed, rows) = write(&path, key.as_ref(), header, &work)?;
        if is_verified {
            let copy =
                read(sealed.path(), &shown, std::slice::from_ref(&key), key.as_ref(), &work)?;
            expect_rows(&shown, copy.rows, rows)?;
        }
        Ok::<_, BackupError>((sealed, rows))
    })
    .await?;
    target.put(set, &name, sealed.path()).await?;
    let bytes = fs::metadata(sealed.path()).map_or(0, |file| file.len());
    Ok(BackupFile { name, shard: shard.map(|shard| shard.0), bytes, rows })
}

fn expect_rows(name: &str, found: u64, told: u64) -> Result<(), BackupError> {
    if found == told {
        return Ok(());
    }
    let problem = format!("it has {found} rows instead of {told}");
    Err(BackupError::Damaged { name: name.to_owned(), problem })
}

/// Writes a database out, compressed and sealed, into a file of its own.
fn write(
    path: &Path,
    key: Option<&FileKey>,
    mut header: Header,
    work: &Path,
) -> Result<(NamedTempFile, u64), BackupError> {
    let io = |source| BackupError::Io { path: path.to_owned(), source };
    let connection = open_read_only(path, key)?;
    header.migration = connection
        .query_row("SELECT max(version) FROM _sqlx_migrations", [], |row| row.get(0))
        .map_err(dump::DumpError::from)?;
    let made = NamedTempFile::new_in(work).map_err(io)?;
    let header_text = serde_json::to_vec(&header).expect("plain structs of text and numbers");
    let mut out = BufWriter::new(made.as_file());
    let length = u32::try_from(header_text.len()).expect("a header is small");
    out.write_all(MAGIC).map_err(io)?;
    out.write_all(&length.to_be_bytes()).map_err(io)?;
    out.write_all(&header_text).map_err(io)?;
    let sealer = Sealer::new(out, key, &header.salt, &header_text);
    let mut compressed = zstd::Encoder::new(sealer, COMPRESSION).map_err(io)?;
    let rows = dump::dump(&connection, &mut compressed)?;
    let mut out = compressed.finish().and_then(Sealer::finish).map_err(io)?;
    out.flush().map_err(io)?;
    drop(out);
    made.as_file().sync_all().map_err(io)?;
    Ok((made, rows))
}

/// A backup, read back into a database of its own.
struct Restored {
    header: Header,
    rows: u64,
    /// Removed when it is dropped, with its log.
    folder: tempfile::TempDir,
}

impl Restored {
    fn path(&self) -> PathBuf {
        self.folder.path().join("restored.db")
    }
}

/// Reads a backup into a database under `key`, and checks that whole.
fn read(
    sealed: &Path,
    name: &str,
    keys: &[Option<FileKey>],
    key: Option<&FileKey>,
    work: &Path,
) -> Result<Restored, BackupError> {
    let io = |source| BackupError::Io { path: sealed.to_owned(), source };
    let damaged =
        |problem: &str| BackupError::Damaged { name: name.to_owned(), problem: problem.to_owned() };
    let mut input = BufReader::new(File::open(sealed).map_err(io)?);
    let (header, header_text) = read_header(&mut input).map_err(|_| damaged("it has no header"))?;
    let found = keys.iter().find(|key| seal::key_id(key.as_ref()) == header.key_id);
    let Some(sealed_under) = found else {
        return Err(BackupError::OtherKey { name: name.to_owned() });
    };
    let all = if header.shard.is_some() { migrations::SHARD } else { migrations::GLOBAL };
    let last = all.iter().position(|(version, ..)| *version == header.migration);
    let known: Migrations =
        last.map(|last| &all[..=last]).ok_or_else(|| damaged("it is of a newer version of Ery"))?;
    let folder = tempfile::TempDir::new_in(work).map_err(io)?;
    let mut restored = Restored { header, rows: 0, folder };
    let path = restored.path();
    let opener = Opener::new(input, sealed_under.as_ref(), &restored.header.salt, &header_text);
    let mut rows = zstd::Decoder::new(opener).map_err(io)?;
    drop(ery_group_commit::open(&path, key)?);
    migrations::migrate_blocking(&path, key, known)?;
    let connection = ery_group_commit::open(&path, key)?;
    // SEALED: what is secret does not come into a file in the clear.
    let left_out = key.is_none().then_some(provider_keys::TABLE);
    restored.rows = dump::load(&mut rows, &connection, left_out)?;
    drop(connection);
    migrations::migrate_blocking(&path, key, all)?;
    match maintenance::check(&path, key) {
        Ok(problems) if problems.is_empty() => Ok(restored),
        Ok(problems) => Err(damaged(&problems.join("; "))),
        Err(error) => Err(damaged(&error.to_string())),
    }
}

fn read_header(input: &mut impl Read) -> io::Result<(Header, Vec<u8>)> {
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    let (mut magic, mut length) = ([0; 8], [0; 4]);
    input.read_exact(&mut magic)?;
    input.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if &magic != MAGIC || length > MAX_HEADER_BYTES {
        return Err(malformed());
    }
    let mut text = vec![0; length as usize];
    input.read_exact(&mut text)?;
    let header = serde_json::from_slice(&text).map_err(|_| malformed())?;
    Ok((header, text))
}

/// Fetches each file of a set and reads it back, as a restore would.
pub(crate) async fn verify(
    store: &Inner,
    id: &str,
    of: Option<&str>,
) -> Result<Manifest, StoreError> {
    let target = store.backups.target()?;
    let _alone = store.backups.busy.lock().await;
    let manifest = target.named(id, of).await?.swap_remove(0);
    for file in &manifest.files {
        fetch(store, target, &manifest, file, true).await?;
    }
    Ok(manifest)
}

async fn fetch(
    store: &Inner,
    target: &Target,
    manifest: &Manifest,
    file: &BackupFile,
    accepts_unsealed: bool,
) -> Result<Restored, BackupError> {
    let work = store.shards.folder().work();
    let sealed = NamedTempFile::new_in(&work)
        .map_err(|source| BackupError::Io { path: work.clone(), source })?;
    target.get(manifest, &file.name, sealed.path()).await?;
    let keys = [store.shards.key().cloned(), store.backups.previous_key.clone(), None];
    let (key, name) = (store.shards.key().cloned(), file.name.clone());
    let (shard, rows, shards) = (file.shard, file.rows, store.shards.count());
    blocking(move || {
        let restored = read(sealed.path(), &name, &keys, key.as_ref(), &work)?;
        if key.is_some() && restored.header.key_id == seal::key_id(None) {
            if !accepts_unsealed {
                return Err(BackupError::Unsealed { name });
            }
            tracing::warn!("`{name}` is not sealed: nothing tells who made it");
        }
        expect_rows(&name, restored.rows, rows)?;
        if restored.header.shard != shard {
            let problem = "it is of another shard".to_owned();
            return Err(BackupError::Damaged { name, problem });
        }
        if restored.header.shards != shards {
            return Err(BackupError::OtherShards { backup: restored.header.shards, store: shards });
        }
        Ok(restored)
    })
    .await
}

/// What a restore brought back.
#[derive(Debug)]
pub(crate) struct RestoredShards {
    pub(crate) shards: Vec<StoreShard>,
    pub(crate) rows: u64,
    /// The backup that was made of what stood before, unless none could be.
    pub(crate) before: Option<String>,
}

/// Brings a shard of a set back, or all that are this store's, each in place of what stands; the others go
/// on. Sets of one id, whichever store made them, count as one; of one store alone, if it is named.
pub(crate) async fn restore(
    store: &Inner,
    id: &str,
    of: Option<&str>,
    only: Option<StoreShard>,
    accepts_unsealed: bool,
) -> Result<RestoredShards, StoreError> {
    let target = store.backups.target()?;
    let _alone = store.backups.busy.lock().await;
    let sets = target.named(id, of).await?;
    let wanted: Vec<StoreShard> = match only {
        Some(shard) => vec![shard],
        // What is another store's is brought back there.
        None => store.shards.ownership().here(),
    };
    let files: Vec<(&Manifest, &BackupFile)> = wanted
        .into_iter()
        .filter_map(|shard| {
            let file_of = |set: &'_ &Manifest| set.has(shard.0);
            let set = sets.iter().find(file_of)?;
            Some((set, set.files.iter().find(|file| file.shard == Some(shard.0))?))
        })
        .collect();
    if let (Some(shard), true) = (only, files.is_empty()) {
        return Err(BackupError::NotInSet { id: id.to_owned(), shard }.into());
    }
    if let Some(shard) = only {
        store.shards.ownership().check(shard)?;
    }
    // Of deletions that another store than this one carried out, too.
    keep_ledger(store).await?;
    let mut replaced = Replaced::begin(store, target).await?;
    let mut restored = RestoredShards { shards: Vec::new(), rows: 0, before: None };
    for (set, file) in files {
        let shard = StoreShard(file.shard.expect("global.db was left out"));
        let copy = fetch(store, target, set, file, accepts_unsealed).await?;
        settle(store, copy.path()).await?;
        let anew = forget(store, copy.path()).await?;
        // From here on nothing is acknowledged that the backup of what stands does not hold.
        let held = store.shards.hold(shard).await?;
        restored.before = replaced.keep(shard).await?;
        let by = anew.as_ref().map_or_else(|| copy.path(), |path| path.to_path_buf());
        store.shards.replace(&held, &by).await?;
        store.totals.forget(shard);
        drop(held);
        store.agenda.add(shard, UnixMillis(0));
        tracing::warn!(store_shard = %shard, rows = copy.rows, "restored {shard} from backup {id}");
        restored.rows += copy.rows;
        restored.shards.push(shard);
    }
    Ok(restored)
}

/// The set that keeps what a restore replaces, so that it can be had back.
struct Replaced<'a> {
    store: &'a Inner,
    target: &'a Target,
    set: Manifest,
}

impl<'a> Replaced<'a> {
    async fn begin(store: &'a Inner, target: &'a Target) -> Result<Self, StoreError> {
        let created_at = store.clock.now();
        let set = Manifest {
            id: free_id(target, created_at).await?,
            store: store.shards.ownership().name(),
            created_at,
            shards: store.shards.count(),
            is_whole: false,
            is_of_replaced: true,
            files: Vec::new(),
        };
        Ok(Self { store, target, set })
    }

    /// Adds a shard as it stands, and returns the set's name; none while nothing could be kept.
    async fn keep(&mut self, shard: StoreShard) -> Result<Option<String>, StoreError> {
        let kept = if self.store.shards.has(shard) {
            back_up(self.store, self.target, &self.set.id, self.set.created_at, Some(shard)).await
        } else {
            Err(StoreError::NoShard { shard })
        };
        match kept {
            Ok(file) => {
                self.set.files.push(file);
                // Whole after each, so that what was replaced can be had back wherever this ends.
                self.target.put_manifest(&self.set).await?;
            }
            // Of a damaged shard, nothing can be kept.
            Err(error) if error_is_of_the_source(&error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "what a restore replaces could not be backed up");
            }
            // What is sound is not given up because the target takes nothing now.
            Err(error) => return Err(error),
        }
        Ok(Some(self.set.id.clone()).filter(|_| !self.set.files.is_empty()))
    }
}

/// Takes the people of the ledger out of a copy that nobody uses yet (FORGOTTEN); if there were any, it
/// returns the copy written anew: what was written over must not stand in what takes the shard's place.
async fn forget(store: &Inner, path: PathBuf) -> Result<Option<TempPath>, StoreError> {
    if store.ledger.is_empty() {
        return Ok(None);
    }
    let (key, now, ledger) =
        (store.shards.key().cloned(), store.clock.now(), Arc::clone(&store.ledger));
    let work = store.shards.folder().work();
    blocking(move || {
        let connection = ery_group_commit::open(&path, key.as_ref()).map_err(BackupError::Open)?;
        let people = forget::people(&connection)?;
        let who: Vec<_> = people.into_iter().flat_map(|user| ledger.forgotten(user)).collect();
        forget::replay(&connection, &who, now)?;
        drop(connection);
        if who.is_empty() {
            return Ok(None);
        }
        maintenance::write_anew(&path, key.as_ref(), &work).map(Some)
    })
    .await
}

/// Takes over what the ledger beside the backups knows, and writes there what this store knows: so
/// that a restore finds it even where nothing is left of the data folder.
pub(crate) async fn keep_ledger(store: &Inner) -> Result<(), StoreError> {
    let Some(target) = &store.backups.target else { return Ok(()) };
    let _alone = store.backups.ledger.lock().await;
    let key = store.shards.key();
    let mut keys = vec![key, store.backups.previous_key.as_ref(), None];
    keys.dedup();
    for key in keys {
        let name = ledger_copy::name(key);
        for sealed in target.beside(&name).await? {
            let copy = ledger_copy::open(&name, &sealed, key)?;
            store.ledger.merge(copy, store.clock.now()).await?;
        }
    }
    if !store.ledger.is_untouched() {
        let sealed = ledger_copy::seal(&store.ledger.copy(), key)?;
        target.put_beside(&ledger_copy::name(key), sealed).await?;
    }
    Ok(())
}

/// Ends in a copy what may have ended since it was made, and must not begin again: every credential of
/// an MCP client may be revoked by now, and every proposal decided.
async fn settle(store: &Inner, path: PathBuf) -> Result<(), BackupError> {
    let (key, now) = (store.shards.key().cloned(), store.clock.now());
    blocking(move || {
        let connection = ery_group_commit::open(&path, key.as_ref())?;
        mcp_credentials::revoke_all(&connection, now).map_err(dump::DumpError::from)?;
        approvals::void_everything(&connection, now).map_err(dump::DumpError::from)?;
        Ok(())
    })
    .await
}

/// Deletes the sets that are past their time, and returns which: this store's, and those of others that
/// are of no use to anybody.
pub(crate) async fn prune(store: &Inner) -> Result<Vec<Manifest>, StoreError> {
    let target = store.backups.target()?;
    let _alone = store.backups.busy.lock().await;
    let ours = sets_of_ours(store, target).await?;
    let all = target.manifests().await?;
    let is_others = |set: &Manifest| !ours.contains(set);
    let kept_for = store.backups.kept_for().unwrap_or(Duration::MAX);
    let mut gone = expired(ours.clone(), store.backups.retention());
    // What goes itself keeps no copy of anything.
    let stays: Vec<Manifest> = all.into_iter().filter(|set| !gone.contains(set)).collect();
    let outlived = outlived(&stays, is_others, kept_for, store.clock.now());
    gone.extend(outlived.into_iter().cloned());
    for set in &gone {
        target.delete(set).await?;
    }
    Ok(gone)
}
