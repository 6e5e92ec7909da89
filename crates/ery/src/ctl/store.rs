//! `ery ctl store`: the files in which everything is kept.

mod rebalance;
mod settle;

use std::time::Duration;

use serde::Serialize;

use ery_embedded::EmbeddedFolder;
use ery_group_commit::{Rekey, RekeyError};
use ery_proto::store::v1::{
    CheckShardRequest, ListShardsRequest, ShardCondition, ShardFile, VacuumShardRequest,
    store_admin_service_client::StoreAdminServiceClient,
};
use ery_rpc::{Transport, within};
use ery_store::{OpenError, RekeyStoreError};

use super::{Output, Row, TIMEOUT, answered};
use crate::{
    cli::Store,
    failure::{Failure, chain},
    services,
    settings::Settings,
};

/// How long the work on one shard file may take: all of it is read, or written.
const FILE_TIMEOUT: Duration = Duration::from_hours(1);

pub(super) async fn run(
    command: &Store,
    stores: &[Transport],
    output: &Output,
) -> Result<(), Failure> {
    match command {
        Store::Status => status(stores, output).await,
        Store::Check { shard } => check(stores, *shard, output).await,
        Store::Vacuum { shard } => vacuum(stores, *shard, output).await,
        Store::Rebalance { shard, to, drain } => {
            let one = shard.zip(to.clone());
            rebalance::run(stores, one, drain.as_deref(), output).await
        }
        Store::Settle { shard, lost, to } => {
            settle::run(stores, *shard, lost, to.as_deref(), output).await
        }
        // It needs Ery to be stopped, and was carried out before any store was looked for.
        Store::Rekey { .. } => Ok(()),
    }
}

pub(super) fn admin(store: &Transport) -> StoreAdminServiceClient<Transport> {
    StoreAdminServiceClient::new(store.clone()).max_decoding_message_size(64 << 20)
}

/// A shard file, with the store that holds it.
pub(super) struct Listed {
    store: Transport,
    file: ShardFile,
}

/// Returns the shard files there are, each with the store that holds it; only one, if it is named.
pub(super) async fn files(stores: &[Transport], only: Option<u32>) -> Result<Vec<Listed>, Failure> {
    let mut files = Vec::new();
    for store in stores {
        let answer = admin(store).list_shards(within(TIMEOUT, ListShardsRequest {})).await;
        let listed = answered(answer)?;
        let wanted =
            listed.files.into_iter().filter(|file| only.is_none_or(|only| file.shard == only));
        files.extend(wanted.map(|file| Listed { store: store.clone(), file }));
    }
    if let (Some(only), true) = (only, files.is_empty()) {
        return Err(Failure::internal(format!(
            "shard {only} has no file; see `ery ctl store status`"
        )));
    }
    Ok(files)
}

async fn status(stores: &[Transport], output: &Output) -> Result<(), Failure> {
    let mut views = Vec::new();
    for store in stores {
        let answer = admin(store).list_shards(within(TIMEOUT, ListShardsRequest {})).await;
        let listed = answered(answer)?;
        views.extend(listed.files.iter().map(|file| StatusView::of(&listed.store, file)));
        views.extend(listed.moving.iter().map(|moving| StatusView {
            condition: "moving",
            reason: format!(
                "nobody is served before `{}` has said whether it has it; if that store is lost for good: \
                 `ery ctl store settle --shard {} --lost {}`",
                moving.to, moving.shard, moving.to
            ),
            ..StatusView::none(moving.shard, &listed.store)
        }));
        views.extend(listed.left_over.iter().map(|file| StatusView {
            bytes: file.bytes,
            condition: "left over",
            reason: format!(
                "{} is another store's: remove it once that store serves its shard, since what is \
                 forgotten stays in it",
                file.path
            ),
            ..StatusView::none(shard_of(&file.path), &listed.store)
        }));
    }
    output.list(&views)
}

/// Returns the number in the name of a shard's file.
fn shard_of(path: &str) -> u32 {
    let name = path.rsplit('/').next().unwrap_or_default().trim_start_matches("shard-");
    let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_default()
}

async fn check(stores: &[Transport], shard: Option<u32>, output: &Output) -> Result<(), Failure> {
    let mut views = Vec::new();
    for Listed { store, file, .. } in files(stores, shard).await? {
        let request = CheckShardRequest { shard: file.shard };
        let answer = admin(&store).check_shard(within(FILE_TIMEOUT, request)).await;
        let problems = answered(answer)?.problems;
        views.push(CheckView { shard: file.shard, is_whole: problems.is_empty(), problems });
    }
    output.list(&views)?;
    let damaged = views.iter().filter(|view| !view.is_whole).count();
    if damaged == 0 {
        return Ok(());
    }
    Err(Failure::internal(format!("{damaged} shard files are damaged, and quarantined")))
}

async fn vacuum(stores: &[Transport], shard: Option<u32>, output: &Output) -> Result<(), Failure> {
    let mut views = Vec::new();
    for Listed { store, file, .. } in files(stores, shard).await? {
        let request = VacuumShardRequest { shard: file.shard };
        let answer = admin(&store).vacuum_shard(within(FILE_TIMEOUT, request)).await;
        let sizes = answered(answer)?;
        let (bytes_before, bytes_after) = (sizes.bytes_before, sizes.bytes_after);
        views.push(VacuumView { shard: file.shard, bytes_before, bytes_after });
    }
    output.list(&views)
}

#[derive(Debug, Serialize)]
struct StatusView {
    shard: u32,
    store: String,
    bytes: u64,
    log_bytes: u64,
    is_open: bool,
    condition: &'static str,
    reason: String,
}

impl StatusView {
    /// A shard without a file.
    fn none(shard: u32, store: &str) -> Self {
        Self {
            shard,
            store: store.to_owned(),
            bytes: 0,
            log_bytes: 0,
            is_open: false,
            condition: "unknown",
            reason: String::new(),
        }
    }

    fn of(store: &str, file: &ShardFile) -> Self {
        Self {
            shard: file.shard,
            store: store.to_owned(),
            bytes: file.bytes,
            log_bytes: file.log_bytes,
            is_open: file.is_open,
            condition: match file.condition() {
                ShardCondition::Sound => "sound",
                ShardCondition::ReadOnly => "read-only",
                ShardCondition::Quarantined => "quarantined",
                ShardCondition::Unspecified => "unknown",
            },
            reason: file.reason.clone(),
        }
    }
}

impl Row for StatusView {
    const HEADERS: &'static [&'static str] =
        &["SHARD", "STORE", "BYTES", "LOG", "OPEN", "CONDITION", "REASON"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.shard.to_string(),
            self.store.clone(),
            self.bytes.to_string(),
            self.log_bytes.to_string(),
            if self.is_open { "yes" } else { "no" }.to_owned(),
            self.condition.to_owned(),
            self.reason.clone(),
        ]
    }
}

#[derive(Debug, Serialize)]
struct CheckView {
    shard: u32,
    is_whole: bool,
    problems: Vec<String>,
}

impl Row for CheckView {
    const HEADERS: &'static [&'static str] = &["SHARD", "WHOLE", "PROBLEMS"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.shard.to_string(),
            if self.is_whole { "yes" } else { "no" }.to_owned(),
            self.problems.join("; "),
        ]
    }
}

#[derive(Debug, Serialize)]
struct VacuumView {
    shard: u32,
    bytes_before: u64,
    bytes_after: u64,
}

impl Row for VacuumView {
    const HEADERS: &'static [&'static str] = &["SHARD", "BYTES BEFORE", "BYTES AFTER"];

    fn cells(&self) -> Vec<String> {
        vec![self.shard.to_string(), self.bytes_before.to_string(), self.bytes_after.to_string()]
    }
}

/// Gives every file of the data folder the key in the settings. Nothing may run on the folder.
pub(super) async fn rekey(
    settings: &Settings,
    decrypt: bool,
    output: &Output,
) -> Result<(), Failure> {
    let to = services::key(settings)?;
    match (&to, decrypt) {
        (None, false) => {
            return Err(Failure::settings(
                "no key is set: give the new one by ERY_STORE__ENCRYPTION__KEY_FILE or \
                 ERY_STORE__ENCRYPTION__KEY, or say --decrypt to leave the files in the clear",
            ));
        }
        (Some(_), true) => {
            return Err(Failure::settings(
                "--decrypt needs `store.encryption.key` to be unset, and the key so far as \
                 `store.encryption.previous_key`",
            ));
        }
        _ => {}
    }
    let previous = settings.store.encryption.previous_key().map_err(|error| {
        Failure::settings(format!("settings: `store.encryption.previous_key` is no key: {error}"))
    })?;
    let mut from = vec![None];
    if previous.is_some() {
        from.push(previous);
    }
    let (keys, data_dir) = (Rekey { from, to }, settings.data_dir.clone());
    if !data_dir.is_dir() {
        return Err(Failure::settings(format!("there is no data folder {}", data_dir.display())));
    }
    let changed = tokio::task::spawn_blocking(move || -> Result<usize, Failure> {
        let folder = EmbeddedFolder::open(&data_dir)
            .map_err(|error| Failure::unavailable(format!("{}; stop Ery first", chain(&error))))?;
        let store = ery_store::rekey(&data_dir, &keys).map_err(|error| match &error {
            RekeyStoreError::Open(OpenError::Held { .. }) => {
                Failure::unavailable(format!("{error}; stop Ery first"))
            }
            RekeyStoreError::File(error) => file(error),
            RekeyStoreError::ProviderKeys { .. } => Failure::settings(error.to_string()),
            RekeyStoreError::Open(_) | RekeyStoreError::Read { .. } => {
                Failure::caused("could not change the key", &error)
            }
        })?;
        Ok(store + folder.rekey(&keys).map_err(|error| file(&error))?)
    })
    .await
    .map_err(|error| Failure::caused("changing the key was broken off", &error))??;
    if output.json {
        return Output::json(&serde_json::json!({ "changed_files": changed }));
    }
    Output::write(&format!("{changed} files have a new key; the others had it already\n"))
}

fn file(error: &RekeyError) -> Failure {
    match error {
        RekeyError::NoKeyFits { .. } => Failure::settings(format!(
            "{error}: set `store.encryption.previous_key` to the key that it was written under"
        )),
        RekeyError::InUse { .. } => Failure::unavailable(format!("{error}; stop Ery first")),
        RekeyError::Open(_)
        | RekeyError::Copy { .. }
        | RekeyError::Damaged { .. }
        | RekeyError::Io { .. } => Failure::caused(
            "could not change the key; every file is whole, and this may be run again",
            error,
        ),
    }
}
