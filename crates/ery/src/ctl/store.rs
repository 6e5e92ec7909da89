//! `ery ctl store`: the files in which everything is kept.

use ery_embedded::EmbeddedFolder;
use ery_group_commit::{Rekey, RekeyError};
use ery_store::{OpenError, RekeyStoreError};

use super::Output;
use crate::{
    failure::{Failure, chain},
    services,
    settings::Settings,
};

/// Gives every file of the data folder the key in the settings. Nothing may run on the folder.
pub(super) async fn rekey(settings: &Settings, decrypt: bool) -> Result<(), Failure> {
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
            RekeyStoreError::Open(_) => Failure::caused("could not change the key", &error),
        })?;
        Ok(store + folder.rekey(&keys).map_err(|error| file(&error))?)
    })
    .await
    .map_err(|error| Failure::caused("changing the key was broken off", &error))??;
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
