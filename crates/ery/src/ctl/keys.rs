//! `ery ctl keys`: keys of servers for the operator's model providers. They are read from a file or from
//! standard input, and never shown.

use std::{fs, io::Read as _, path::Path};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use ery_ids::ServiceName;
use ery_proto::{
    ai::v1::{DescribeModelsRequest, ai_service_client::AiServiceClient},
    common::v1::ProviderKey,
    store::v1::{
        KeptProviderKey, ListProviderKeysRequest, RemoveProviderKeyRequest, SetProviderKeyRequest,
        provider_key_service_client::ProviderKeyServiceClient as Client,
    },
};
use ery_rpc::{Elsewhere, Transport, within};

use super::{Output, Row, TIMEOUT, answered, connection, refused, view::moment};
use crate::{cli::Keys, failure::Failure, settings::Settings};

/// As much of a file as is read: no key is as long.
const LARGEST_FILE: u64 = 64 << 10;

pub(super) async fn run(
    command: &Keys,
    settings: &Settings,
    stores: &[Transport],
    output: &Output,
) -> Result<(), Failure> {
    let kept = match command {
        Keys::Set { guild, provider, key_file } => {
            let key = read(key_file)?;
            has_provider(settings, provider).await?;
            vec![set(*guild, provider, &key, stores).await?]
        }
        Keys::List { guild } => list(guild.unwrap_or(0), stores).await?,
        Keys::Remove { guild, provider } => vec![remove(*guild, provider, stores).await?],
    };
    output.list(&kept.iter().map(KeyView::from).collect::<Vec<_>>())
}

/// Reads a key, without the blanks around it.
fn read(from: &Path) -> Result<SecretString, Failure> {
    let mut text = String::new();
    let read = if from == Path::new("-") {
        std::io::stdin().lock().take(LARGEST_FILE).read_to_string(&mut text)
    } else {
        fs::File::open(from).and_then(|file| file.take(LARGEST_FILE).read_to_string(&mut text))
    };
    read.map_err(|error| {
        Failure::caused(&format!("could not read a key from `{}`", from.display()), &error)
    })?;
    let key = SecretString::from(text.trim());
    if key.expose_secret().is_empty() {
        return Err(Failure::internal(format!("there is no key in `{}`", from.display())));
    }
    Ok(key)
}

/// Refuses a name that no provider has: its key would never be asked with, and the server be left
/// without an answer.
async fn has_provider(settings: &Settings, provider: &str) -> Result<(), Failure> {
    let services = connection::peers(settings, ServiceName::AiService).await?;
    let request = within(TIMEOUT, DescribeModelsRequest {});
    let described = AiServiceClient::new(services.any()).describe_models(request).await;
    let described = described
        .map_err(|status| {
            Failure::unavailable(format!(
                "which providers there are is not known: the ai-service answered {:?}: {}",
                status.code(),
                status.message()
            ))
        })?
        .into_inner();
    let names: Vec<_> = described.models.iter().map(|model| model.key_name.as_str()).collect();
    let names: Vec<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
    if names.contains(&provider) {
        return Ok(());
    }
    Err(Failure::internal(if names.is_empty() {
        format!("no provider takes a key, so there is none for `{provider}`: set `ai.provider`")
    } else {
        format!(
            "there is no provider `{provider}` in `ai.providers` that takes a key, only {}",
            names.join(", ")
        )
    }))
}

async fn set(
    guild_id: u64,
    provider: &str,
    key: &SecretString,
    stores: &[Transport],
) -> Result<KeptProviderKey, Failure> {
    for store in stores {
        let key =
            ProviderKey { provider: provider.to_owned(), key: key.expose_secret().to_owned() };
        let request = SetProviderKeyRequest { guild_id, key: Some(key), set_by: 0 };
        // The guild's store answers; another one of a cluster says where that is.
        match Client::new(store.clone()).set_provider_key(within(TIMEOUT, request)).await {
            Ok(answer) => {
                if let Some(kept) = answer.into_inner().kept {
                    return Ok(kept);
                }
            }
            Err(status) if Elsewhere::is_in(&status) => {}
            Err(status) => return Err(refused(&status)),
        }
    }
    Err(Failure::unavailable("no store took the key"))
}

async fn list(guild_id: u64, stores: &[Transport]) -> Result<Vec<KeptProviderKey>, Failure> {
    let mut keys = Vec::new();
    for store in stores {
        let request = within(TIMEOUT, ListProviderKeysRequest { guild_id });
        keys.extend(answered(Client::new(store.clone()).list_provider_keys(request).await)?.keys);
    }
    keys.sort_by(|one, other| {
        (one.guild_id, &one.provider).cmp(&(other.guild_id, &other.provider))
    });
    Ok(keys)
}

async fn remove(
    guild_id: u64,
    provider: &str,
    stores: &[Transport],
) -> Result<KeptProviderKey, Failure> {
    for store in stores {
        let request = RemoveProviderKeyRequest { guild_id, provider: provider.to_owned() };
        let answer = Client::new(store.clone()).remove_provider_key(within(TIMEOUT, request)).await;
        if let Some(removed) = answered(answer)?.removed {
            return Ok(removed);
        }
    }
    Err(Failure::internal(format!(
        "the server {guild_id} has no key for `{provider}`; see `ery ctl keys list`"
    )))
}

/// A key, as a list shows it.
#[derive(Debug, Serialize)]
struct KeyView {
    guild_id: String,
    provider: String,
    /// None: the operator, or somebody who is forgotten.
    set_by: Option<String>,
    set_at_ms: i64,
    /// Empty where the key is too short to show any of it.
    ends_with: String,
}

impl From<&KeptProviderKey> for KeyView {
    fn from(key: &KeptProviderKey) -> Self {
        Self {
            guild_id: key.guild_id.to_string(),
            provider: key.provider.clone(),
            set_by: (key.set_by != 0).then(|| key.set_by.to_string()),
            set_at_ms: key.set_at_ms,
            ends_with: key.ends_with.clone(),
        }
    }
}

impl Row for KeyView {
    const HEADERS: &'static [&'static str] = &["GUILD", "PROVIDER", "SET", "BY", "ENDS WITH"];

    fn cells(&self) -> Vec<String> {
        let end = if self.ends_with.is_empty() { "-" } else { &self.ends_with };
        vec![
            self.guild_id.clone(),
            self.provider.clone(),
            moment(self.set_at_ms),
            self.set_by.clone().unwrap_or_else(|| "operator".to_owned()),
            end.to_owned(),
        ]
    }
}
