//! What operators do with the store's files: one small function for each RPC.

use std::{sync::Arc, time::Duration};

use tonic::{Request, Response, Status};

use ery_ids::{Home, StoreShard};
use ery_proto::store::v1::{
    Backup, BeginTransferRequest, BeginTransferResponse, CheckShardRequest, CheckShardResponse,
    CommitTransferRequest, CommitTransferResponse, CreateBackupRequest, CreateBackupResponse,
    EndTransferRequest, EndTransferResponse, LeftOverFile, ListBackupsRequest, ListBackupsResponse,
    ListShardsRequest, ListShardsResponse, MoveShardRequest, MoveShardResponse, MovingShard,
    PrepareTransferRequest, PrepareTransferResponse, PruneBackupsRequest, PruneBackupsResponse,
    PutBlockRequest, PutBlockResponse, RestoreBackupRequest, RestoreBackupResponse,
    SettleShardRequest, SettleShardResponse, ShardCondition, ShardFile, VacuumShardRequest,
    VacuumShardResponse, VerifyBackupRequest, VerifyBackupResponse, store_admin_service_server,
};

use super::parse;
use crate::{
    adapters::{condition::State, maintenance},
    backups,
    blocking::blocking,
    comparing,
    domain::backup::Manifest,
    error::StoreError,
    moving,
    service::Inner,
    transfers::{self, Known, Offer},
};

/// The RPCs of operators.
#[derive(Clone, Debug)]
pub(crate) struct AdminHandlers {
    store: Arc<Inner>,
}

impl AdminHandlers {
    pub(crate) fn new(store: Arc<Inner>) -> Self {
        Self { store }
    }
}

#[tonic::async_trait]
impl store_admin_service_server::StoreAdminService for AdminHandlers {
    async fn list_shards(
        &self,
        _: Request<ListShardsRequest>,
    ) -> Result<Response<ListShardsResponse>, Status> {
        Ok(Response::new(list_shards(&self.store).await))
    }

    async fn check_shard(
        &self,
        request: Request<CheckShardRequest>,
    ) -> Result<Response<CheckShardResponse>, Status> {
        let shard = StoreShard(request.into_inner().shard);
        Ok(Response::new(CheckShardResponse { problems: check(&self.store, shard).await? }))
    }

    async fn vacuum_shard(
        &self,
        request: Request<VacuumShardRequest>,
    ) -> Result<Response<VacuumShardResponse>, Status> {
        let shard = StoreShard(request.into_inner().shard);
        Ok(Response::new(vacuum(&self.store, shard).await?))
    }

    async fn move_shard(
        &self,
        request: Request<MoveShardRequest>,
    ) -> Result<Response<MoveShardResponse>, Status> {
        let MoveShardRequest { shard, to } = request.into_inner();
        let moved = moving::move_shard(&self.store, StoreShard(shard), &to).await?;
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Ok(Response::new(MoveShardResponse {
            bytes: moved.bytes,
            writes_held_ms: millis(moved.held),
            reads_held_ms: millis(moved.closed),
        }))
    }

    async fn begin_transfer(
        &self,
        request: Request<BeginTransferRequest>,
    ) -> Result<Response<BeginTransferResponse>, Status> {
        let request = request.into_inner();
        let offer = Offer {
            transfer: request.transfer_id,
            shard: StoreShard(request.shard),
            epoch: request.epoch,
            shards: request.shards,
            key_id: request.key_id,
            ledger: request.ledger,
        };
        transfers::begin(&self.store, offer).await?;
        Ok(Response::new(BeginTransferResponse { knows_blocks: true }))
    }

    async fn put_block(
        &self,
        request: Request<PutBlockRequest>,
    ) -> Result<Response<PutBlockResponse>, Status> {
        let PutBlockRequest { transfer_id, offset, bytes } = request.into_inner();
        transfers::put(&self.store, &transfer_id, offset, bytes).await?;
        Ok(Response::new(PutBlockResponse {}))
    }

    async fn prepare_transfer(
        &self,
        request: Request<PrepareTransferRequest>,
    ) -> Result<Response<PrepareTransferResponse>, Status> {
        let PrepareTransferRequest { transfer_id, size, sha256, blocks_sha256 } =
            request.into_inner();
        let known = if blocks_sha256.is_empty() {
            Known::Whole(sha256)
        } else {
            Known::Blocks(blocks_sha256)
        };
        transfers::prepare(&self.store, &transfer_id, size, known).await?;
        Ok(Response::new(PrepareTransferResponse {}))
    }

    async fn commit_transfer(
        &self,
        request: Request<CommitTransferRequest>,
    ) -> Result<Response<CommitTransferResponse>, Status> {
        let CommitTransferRequest { transfer_id } = request.into_inner();
        transfers::commit(&self.store, &transfer_id).await?;
        Ok(Response::new(CommitTransferResponse {}))
    }

    async fn end_transfer(
        &self,
        request: Request<EndTransferRequest>,
    ) -> Result<Response<EndTransferResponse>, Status> {
        let EndTransferRequest { transfer_id, shard, epoch } = request.into_inner();
        let is_committed =
            transfers::end(&self.store, &transfer_id, StoreShard(shard), epoch).await;
        Ok(Response::new(EndTransferResponse { is_committed }))
    }

    async fn settle_shard(
        &self,
        request: Request<SettleShardRequest>,
    ) -> Result<Response<SettleShardResponse>, Status> {
        let SettleShardRequest { shard, lost, takes_over } = request.into_inner();
        let shard = StoreShard(shard);
        comparing::settle_lost(&self.store, shard, &lost, takes_over).await?;
        Ok(Response::new(SettleShardResponse {
            store: self.store.shards.ownership().name(),
            is_empty: !self.store.shards.has(shard),
        }))
    }

    async fn create_backup(
        &self,
        request: Request<CreateBackupRequest>,
    ) -> Result<Response<CreateBackupResponse>, Status> {
        let shard = shard_of(&self.store, request.into_inner().guild_id)?;
        let made = backups::create(&self.store, shard).await?;
        Ok(Response::new(CreateBackupResponse { backup: Some(backup(made)) }))
    }

    async fn list_backups(
        &self,
        _: Request<ListBackupsRequest>,
    ) -> Result<Response<ListBackupsResponse>, Status> {
        let target = self.store.backups.target().map_err(StoreError::from)?;
        let sets = target.manifests().await.map_err(StoreError::from)?;
        let backups = sets.into_iter().map(backup).collect();
        let name = self.store.shards.ownership().name();
        Ok(Response::new(ListBackupsResponse { backups, store: name }))
    }

    async fn verify_backup(
        &self,
        request: Request<VerifyBackupRequest>,
    ) -> Result<Response<VerifyBackupResponse>, Status> {
        let VerifyBackupRequest { id, store } = request.into_inner();
        let verified = backups::verify(&self.store, &id, named(&store)).await?;
        Ok(Response::new(VerifyBackupResponse { backup: Some(backup(verified)) }))
    }

    async fn restore_backup(
        &self,
        request: Request<RestoreBackupRequest>,
    ) -> Result<Response<RestoreBackupResponse>, Status> {
        let request = request.into_inner();
        let shard = shard_of(&self.store, request.guild_id)?;
        let of = named(&request.store);
        let restored =
            backups::restore(&self.store, &request.id, of, shard, request.accepts_unsealed).await?;
        Ok(Response::new(RestoreBackupResponse {
            shards: restored.shards.into_iter().map(|shard| shard.0).collect(),
            rows: restored.rows,
            before_id: restored.before.unwrap_or_default(),
        }))
    }

    async fn prune_backups(
        &self,
        _: Request<PruneBackupsRequest>,
    ) -> Result<Response<PruneBackupsResponse>, Status> {
        let gone = backups::prune(&self.store).await?;
        let (ids, stores) = gone.into_iter().map(|set| (set.id, set.store)).unzip();
        Ok(Response::new(PruneBackupsResponse { ids, stores }))
    }
}

fn named(store: &str) -> Option<&str> {
    Some(store).filter(|store| !store.is_empty())
}

/// Returns the shard that is home to a guild; none for 0.
fn shard_of(store: &Inner, guild_id: u64) -> Result<Option<StoreShard>, StoreError> {
    let guild = parse::optional_id("guild_id", guild_id)?;
    Ok(guild.map(|guild| store.shards.shard_of(Home::Guild(guild))))
}

fn backup(set: Manifest) -> Backup {
    Backup {
        created_at_ms: set.created_at.0,
        is_whole: set.is_whole,
        shards: set.files.iter().filter_map(|file| file.shard).collect(),
        bytes: set.files.iter().map(|file| file.bytes).sum(),
        rows: set.files.iter().map(|file| file.rows).sum(),
        id: set.id,
        store: set.store,
    }
}

async fn list_shards(store: &Inner) -> ListShardsResponse {
    let shards = &store.shards;
    let mut files = Vec::new();
    for shard in shards.all_existing() {
        let (bytes, log_bytes) = shards.folder().sizes(shard);
        let (condition, reason) = match shards.condition(shard).state() {
            State::Sound => (ShardCondition::Sound, String::new()),
            State::ReadOnly { reason, .. } => (ShardCondition::ReadOnly, reason),
            State::Quarantined { reason } => (ShardCondition::Quarantined, reason),
        };
        files.push(ShardFile {
            shard: shard.0,
            bytes,
            log_bytes,
            is_open: shards.is_open(shard).await,
            condition: condition.into(),
            reason,
        });
    }
    let ownership = shards.ownership();
    let owned = ownership.here();
    let left_over = |path: std::path::PathBuf| LeftOverFile {
        bytes: std::fs::metadata(&path).map_or(0, |file| file.len()),
        path: path.display().to_string(),
    };
    ListShardsResponse {
        shards: shards.count(),
        is_encrypted: shards.key().is_some(),
        files,
        store: ownership.name(),
        epochs: owned.iter().map(|shard| ownership.standing(*shard).1).collect(),
        owned: owned.into_iter().map(|shard| shard.0).collect(),
        moving: ownership
            .moving()
            .into_iter()
            .map(|(shard, to, ..)| MovingShard { shard: shard.0, to })
            .collect(),
        left_over: comparing::left_over(store).into_iter().map(left_over).collect(),
    }
}

/// Reads all of a shard file; what it finds decides whether the shard is served.
async fn check(store: &Inner, shard: StoreShard) -> Result<Vec<String>, StoreError> {
    let shards = &store.shards;
    if !shards.has(shard) {
        return Err(StoreError::NoShard { shard });
    }
    let (path, key) = (shards.folder().shard(shard), shards.key().cloned());
    let problems = blocking(move || maintenance::check(&path, key.as_ref())).await?;
    let condition = shards.condition(shard);
    match (problems.first(), condition.state()) {
        (Some(problem), _) => condition.quarantine(problem),
        (None, State::Quarantined { .. }) => condition.reset(),
        (None, State::Sound | State::ReadOnly { .. }) => {}
    }
    Ok(problems)
}

async fn vacuum(store: &Inner, shard: StoreShard) -> Result<VacuumShardResponse, StoreError> {
    let shards = &store.shards;
    if !shards.has(shard) {
        return Err(StoreError::NoShard { shard });
    }
    let (bytes_before, _) = shards.folder().sizes(shard);
    shards.rewrite(shard).await?;
    let (bytes_after, _) = shards.folder().sizes(shard);
    Ok(VacuumShardResponse { bytes_before, bytes_after })
}
