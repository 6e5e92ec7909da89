//! What operators do with the store's files: one small function for each RPC.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use ery_ids::StoreShard;
use ery_proto::store::v1::{
    CheckShardRequest, CheckShardResponse, ListShardsRequest, ListShardsResponse, ShardCondition,
    ShardFile, VacuumShardRequest, VacuumShardResponse, store_admin_service_server,
};

use crate::{
    adapters::{condition::State, maintenance},
    error::StoreError,
    service::Inner,
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
    ListShardsResponse { shards: shards.count(), is_encrypted: shards.key().is_some(), files }
}

/// Reads all of a shard file; what it finds decides whether the shard is served.
async fn check(store: &Inner, shard: StoreShard) -> Result<Vec<String>, StoreError> {
    let shards = &store.shards;
    if !shards.has(shard) {
        return Err(StoreError::NoShard { shard });
    }
    let (path, key) = (shards.folder().shard(shard), shards.key().cloned());
    let checked =
        tokio::task::spawn_blocking(move || maintenance::check(&path, key.as_ref())).await;
    let problems = match checked {
        Ok(problems) => problems?,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
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
    let open = shards.if_existing(shard).await?.ok_or(StoreError::NoShard { shard })?;
    let (bytes_before, _) = shards.folder().sizes(shard);
    open.alone(maintenance::vacuum).await?;
    let (bytes_after, _) = shards.folder().sizes(shard);
    Ok(VacuumShardResponse { bytes_before, bytes_after })
}
