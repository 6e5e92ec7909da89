use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use tonic::{Request, Response, Status};

use ery_proto::{
    common::v1::ProviderKey,
    store::v1::{provider_key_service_server::ProviderKeyService, *},
};

/// A store that keeps keys of guilds and nothing else.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptKeys {
    guilds: Arc<Mutex<HashMap<u64, Vec<ProviderKey>>>>,
    is_away: Arc<Mutex<bool>>,
}

impl KeptKeys {
    /// Sets a guild's only key.
    pub(crate) fn set(&self, guild: u64, provider: &str, key: &str) {
        let key = ProviderKey { provider: provider.to_owned(), key: key.to_owned() };
        self.guilds.lock().unwrap_or_else(PoisonError::into_inner).insert(guild, vec![key]);
    }

    pub(crate) fn remove(&self, guild: u64) {
        self.guilds.lock().unwrap_or_else(PoisonError::into_inner).remove(&guild);
    }

    pub(crate) fn set_away(&self, is_away: bool) {
        *self.is_away.lock().unwrap_or_else(PoisonError::into_inner) = is_away;
    }
}

#[async_trait]
impl ProviderKeyService for KeptKeys {
    async fn get_provider_keys(
        &self,
        request: Request<GetProviderKeysRequest>,
    ) -> Result<Response<GetProviderKeysResponse>, Status> {
        if *self.is_away.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(Status::unavailable("away"));
        }
        let guilds = self.guilds.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = guilds.get(&request.into_inner().guild_id).cloned().unwrap_or_default();
        Ok(Response::new(GetProviderKeysResponse { keys }))
    }

    async fn set_provider_key(
        &self,
        _: Request<SetProviderKeyRequest>,
    ) -> Result<Response<SetProviderKeyResponse>, Status> {
        Err(Status::unimplemented("it is set by the test"))
    }

    async fn remove_provider_key(
        &self,
        _: Request<RemoveProviderKeyRequest>,
    ) -> Result<Response<RemoveProviderKeyResponse>, Status> {
        Err(Status::unimplemented("it is removed by the test"))
    }

    async fn list_provider_keys(
        &self,
        _: Request<ListProviderKeysRequest>,
    ) -> Result<Response<ListProviderKeysResponse>, Status> {
        Err(Status::unimplemented("nobody lists them"))
    }
}
