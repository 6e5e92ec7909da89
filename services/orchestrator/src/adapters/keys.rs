//! Guilds' own keys for model providers, as the store keeps them.

use futures::FutureExt;
use secrecy::{ExposeSecret as _, SecretString};
use twilight_model::id::{Id, marker::GuildMarker};

use ery_ids::Home;
use ery_proto::{
    common::v1::ProviderKey,
    store::v1::{GetProviderKeysRequest, provider_key_service_client::ProviderKeyServiceClient},
};
use ery_rpc::within;

use crate::{
    adapters::{store::Store, usage::is_unimplemented},
    error::CallError,
};

/// The keys that a guild brings itself; none: what is asked for it is asked on the operator's.
#[derive(Clone, Debug, Default)]
pub(crate) struct GuildKeys {
    /// By the providers that take them.
    keys: Vec<(String, SecretString)>,
}

impl GuildKeys {
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns whether there is one for a provider.
    pub(crate) fn has(&self, provider: &str) -> bool {
        self.keys.iter().any(|(name, _)| name == provider)
    }

    /// Returns them as the ai-service is told them.
    pub(crate) fn to_proto(&self) -> Vec<ProviderKey> {
        let key = |(provider, key): &(String, SecretString)| ProviderKey {
            provider: provider.clone(),
            key: key.expose_secret().to_owned(),
        };
        self.keys.iter().map(key).collect()
    }

    #[cfg(test)]
    pub(crate) fn of(keys: &[(&str, &str)]) -> Self {
        let key = |(provider, key): &(&str, &str)| ((*provider).to_owned(), (*key).into());
        Self { keys: keys.iter().map(key).collect() }
    }
}

impl Store {
    /// Returns a guild's own keys.
    pub(crate) async fn provider_keys(
        &self,
        guild: Id<GuildMarker>,
    ) -> Result<GuildKeys, CallError> {
        let client = ProviderKeyServiceClient::new(self.peers.of(Home::Guild(guild)));
        let answer = self
            .retries
            .call("GetProviderKeys", self.timeout, || {
                let request = GetProviderKeysRequest { guild_id: guild.get() };
                let (mut client, request) = (client.clone(), within(self.timeout, request));
                async move {
                    client.get_provider_keys(request).await.map(tonic::Response::into_inner)
                }
                .boxed()
            })
            .await;
        match answer {
            Ok(answer) => {
                let keys = answer.keys.into_iter().map(|key| (key.provider, key.key.into()));
                Ok(GuildKeys { keys: keys.collect() })
            }
            // A store of an older version keeps none.
            Err(error) if is_unimplemented(&error) => Ok(GuildKeys::default()),
            Err(error) => Err(error),
        }
    }
}
