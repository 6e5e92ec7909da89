//! Keys of guilds for the operator's model providers.

use std::{fmt, sync::Arc};

use secrecy::{ExposeSecret as _, SecretString};
use tonic::{Request, Response, Status};
use twilight_model::id::{Id, marker::GuildMarker};

use ery_event_bus::{EventBus, Topic};
use ery_ids::Home;
use ery_proto::{
    common::v1::ProviderKey as ProtoKey,
    store::v1::{
        GetProviderKeysRequest, GetProviderKeysResponse, KeptProviderKey, ListProviderKeysRequest,
        ListProviderKeysResponse, RemoveProviderKeyRequest, RemoveProviderKeyResponse,
        SetProviderKeyRequest, SetProviderKeyResponse, provider_key_service_server,
    },
};

use super::{
    parse::{self, Invalid},
    scope,
};
use crate::{
    adapters::provider_keys, domain::provider_key::ProviderKey, error::StoreError, service::Inner,
};

/// The longest name of a provider, as the ai-service's settings bound it.
const MAX_PROVIDER_BYTES: usize = 32;

/// The longest key: a token with claims in it is longer than the usual ones.
const MAX_KEY_BYTES: usize = 4_096;

/// The RPCs about keys of model providers.
#[derive(Clone)]
pub(crate) struct ProviderKeyHandlers {
    store: Arc<Inner>,
    bus: Arc<dyn EventBus>,
}

impl fmt::Debug for ProviderKeyHandlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderKeyHandlers").finish_non_exhaustive()
    }
}

impl ProviderKeyHandlers {
    pub(crate) fn new(store: Arc<Inner>, bus: Arc<dyn EventBus>) -> Self {
        Self { store, bus }
    }

    async fn set(
        &self,
        request: SetProviderKeyRequest,
    ) -> Result<SetProviderKeyResponse, StoreError> {
        let guild = parse::id("guild_id", request.guild_id)?;
        let ProtoKey { provider, key } = parse::required("key", request.key)?;
        let new = ProviderKey {
            guild,
            provider: provider_name("key.provider", provider)?,
            key: sendable(key)?,
            set_by: parse::optional_id("set_by", request.set_by)?,
            set_at: self.store.clock.now(),
        };
        // Invariant SEALED: a key never stands in the clear on a disk.
        if self.store.shards.key().is_none() {
            return Err(StoreError::KeyInTheClear);
        }
        let kept = Some(listed(&new));
        let shard = self.store.shards.of(Home::Guild(guild)).await?;
        let provider = new.provider.clone();
        shard.write(move |connection| provider_keys::set(connection, &new)).await?;
        tracing::info!(guild.id = %guild, provider, "a server's key for `{provider}` was set");
        self.tell(guild).await;
        Ok(SetProviderKeyResponse { kept })
    }

    async fn remove(
        &self,
        request: RemoveProviderKeyRequest,
    ) -> Result<RemoveProviderKeyResponse, StoreError> {
        let guild = parse::id("guild_id", request.guild_id)?;
        let provider = provider_name("provider", request.provider)?;
        let Some(shard) = self.store.shards.existing(Home::Guild(guild)).await? else {
            return Ok(RemoveProviderKeyResponse::default());
        };
        let name = provider.clone();
        let removed = shard
            .write(move |connection| provider_keys::remove(connection, guild, &provider))
            .await?;
        if removed.is_some() {
            tracing::info!(guild.id = %guild, provider = name,
                "a server's key for `{name}` was removed");
            self.tell(guild).await;
        }
        Ok(RemoveProviderKeyResponse { removed: removed.as_ref().map(listed) })
    }

    async fn list(
        &self,
        request: ListProviderKeysRequest,
    ) -> Result<ListProviderKeysResponse, StoreError> {
        let guild = parse::optional_id("guild_id", request.guild_id)?;
        let scope = scope::parse(request.guild_id, 0)?;
        let mut keys = scope::read(&self.store, scope, |_, readers| async move {
            provider_keys::list(&readers, guild).await
        })
        .await?;
        keys.sort_by(|one, other| (one.guild, &one.provider).cmp(&(other.guild, &other.provider)));
        Ok(ListProviderKeysResponse { keys: keys.iter().map(listed).collect() })
    }

    async fn get(
        &self,
        request: GetProviderKeysRequest,
    ) -> Result<GetProviderKeysResponse, StoreError> {
        let guild = parse::id("guild_id", request.guild_id)?;
        // Whoever asks for a guild that set nothing makes no file.
        let Some(shard) = self.store.shards.existing(Home::Guild(guild)).await? else {
            return Ok(GetProviderKeysResponse::default());
        };
        let keys = shard.read(provider_keys::list(shard.readers(), Some(guild))).await?;
        let told = |key: ProviderKey| ProtoKey {
            provider: key.provider,
            key: key.key.expose_secret().to_owned(),
        };
        Ok(GetProviderKeysResponse { keys: keys.into_iter().map(told).collect() })
    }

    /// Tells every process of a change: they would notice it later by themselves.
    async fn tell(&self, guild: Id<GuildMarker>) {
        let payload = serde_json::to_vec(&guild).expect("an id can be written as JSON");
        if let Err(error) = self.bus.broadcast(Topic::ProviderKeysChanged, payload.into()).await {
            tracing::warn!(%error, "that a key changed is not told; it is noticed in a while");
        }
    }
}

#[tonic::async_trait]
impl provider_key_service_server::ProviderKeyService for ProviderKeyHandlers {
    async fn set_provider_key(
        &self,
        request: Request<SetProviderKeyRequest>,
    ) -> Result<Response<SetProviderKeyResponse>, Status> {
        Ok(Response::new(self.set(request.into_inner()).await?))
    }

    async fn remove_provider_key(
        &self,
        request: Request<RemoveProviderKeyRequest>,
    ) -> Result<Response<RemoveProviderKeyResponse>, Status> {
        Ok(Response::new(self.remove(request.into_inner()).await?))
    }

    async fn list_provider_keys(
        &self,
        request: Request<ListProviderKeysRequest>,
    ) -> Result<Response<ListProviderKeysResponse>, Status> {
        Ok(Response::new(self.list(request.into_inner()).await?))
    }

    async fn get_provider_keys(
        &self,
        request: Request<GetProviderKeysRequest>,
    ) -> Result<Response<GetProviderKeysResponse>, Status> {
        Ok(Response::new(self.get(request.into_inner()).await?))
    }
}

/// Takes a name that a provider can have.
fn provider_name(field: &str, provider: String) -> Result<String, Invalid> {
    let is_name = (1..=MAX_PROVIDER_BYTES).contains(&provider.len())
        && provider.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let problem = format!("must have 1 to {MAX_PROVIDER_BYTES} letters, digits, -, _ or .");
    is_name.then_some(provider).ok_or_else(|| Invalid::new(field, problem))
}

/// Takes a key that can be sent in a header; what is wrong with it is told without it.
fn sendable(key: String) -> Result<SecretString, Invalid> {
    let is_sendable =
        (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    let problem = format!("must have 1 to {MAX_KEY_BYTES} visible ASCII characters, and no blanks");
    is_sendable.then(|| key.into()).ok_or_else(|| Invalid::new("key.key", problem))
}

fn listed(key: &ProviderKey) -> KeptProviderKey {
    KeptProviderKey {
        guild_id: key.guild.get(),
        provider: key.provider.clone(),
        set_by: key.set_by.map_or(0, Id::get),
        set_at_ms: key.set_at.0,
        ends_with: key.ends_with().to_owned(),
    }
}
