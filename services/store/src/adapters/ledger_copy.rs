//! The ledger of deletions as it is kept beside the backups: sealed like them.

use std::io::{Read as _, Write as _};

use serde::{Deserialize, Serialize};
use twilight_model::id::Id;

use ery_clock::UnixMillis;
use ery_group_commit::FileKey;

use crate::{
    adapters::{
        ledger_rows::{KeyRow, OptOutRow, Rows},
        seal::{self, Opener, Sealer},
    },
    domain::privacy::Deletion,
    error::BackupError,
};

/// How a sealed copy begins.
const MAGIC: &[u8; 8] = b"ERYLED1\n";

/// What stands in the clear before it.
const SALT_BYTES: usize = 32;

#[derive(Debug, Serialize, Deserialize)]
struct Copy {
    keys: Vec<CopyKey>,
    deletions: Vec<CopyDeletion>,
    opt_outs: Vec<CopyOptOut>,
}

#[derive(Debug, Serialize, Deserialize)]
struct CopyKey {
    id: String,
    key: [u8; 32],
}

#[derive(Debug, Serialize, Deserialize)]
struct CopyDeletion {
    id: String,
    key_id: String,
    user_hash: [u8; 32],
    /// 0 for everything.
    guild_id: u64,
    before_id: u64,
    requested_at: UnixMillis,
    erased_at: Option<UnixMillis>,
    confirmed_at: Option<UnixMillis>,
}

#[derive(Debug, Serialize, Deserialize)]
struct CopyOptOut {
    key_id: String,
    user_hash: [u8; 32],
    guild_id: u64,
    since: UnixMillis,
}

/// Returns what the copy under a key is called: each key has its own, so that none hides another.
pub(crate) fn name(key: Option<&FileKey>) -> String {
    match key {
        Some(_) => format!("ledger-{}.bak", seal::key_id(key)),
        None => "ledger.bak".to_owned(),
    }
}

/// Seals what is to be kept.
pub(crate) fn seal(rows: &Rows, key: Option<&FileKey>) -> Result<Vec<u8>, BackupError> {
    let copy = Copy {
        keys: rows.keys.iter().map(|row| CopyKey { id: row.id.clone(), key: row.key }).collect(),
        deletions: rows
            .deletions
            .iter()
            .map(|deletion| CopyDeletion {
                id: deletion.id.clone(),
                key_id: deletion.key_id.clone(),
                user_hash: deletion.user_hash,
                guild_id: deletion.guild.map_or(0, Id::get),
                before_id: deletion.before,
                requested_at: deletion.requested_at,
                erased_at: deletion.erased_at,
                confirmed_at: deletion.confirmed_at,
            })
            .collect(),
        opt_outs: rows
            .opt_outs
            .iter()
            .map(|row| CopyOptOut {
                key_id: row.key_id.clone(),
                user_hash: row.user_hash,
                guild_id: row.guild,
                since: row.since,
            })
            .collect(),
    };
    let io = |source| BackupError::Io { path: name(key).into(), source };
    let text = serde_json::to_vec(&copy).expect("plain structs of text and numbers");
    let salt = seal::salt().map_err(io)?;
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&salt);
    let mut sealer = Sealer::new(out, key, &salt, MAGIC);
    sealer.write_all(&text).and_then(|()| sealer.finish()).map_err(io)
}

/// Opens what [`seal`] made.
pub(crate) fn open(name: &str, sealed: &[u8], key: Option<&FileKey>) -> Result<Rows, BackupError> {
    let damaged =
        |problem: &str| BackupError::Damaged { name: name.to_owned(), problem: problem.to_owned() };
    let rest = sealed.strip_prefix(MAGIC).ok_or_else(|| damaged("it has no header"))?;
    let (salt, rest) = rest.split_at_checked(SALT_BYTES).ok_or_else(|| damaged("it is cut off"))?;
    let mut text = Vec::new();
    let read = Opener::new(rest, key, salt, MAGIC).read_to_end(&mut text);
    read.map_err(|_| damaged("its seal is broken"))?;
    let copy: Copy = serde_json::from_slice(&text).map_err(|error| damaged(&error.to_string()))?;
    let deletions = copy.deletions.into_iter().map(|deletion| Deletion {
        id: deletion.id,
        key_id: deletion.key_id,
        user_hash: deletion.user_hash,
        guild: Id::new_checked(deletion.guild_id),
        before: deletion.before_id,
        requested_at: deletion.requested_at,
        user: None,
        erased_at: deletion.erased_at,
        confirmed_by: None,
        confirmed_at: deletion.confirmed_at,
    });
    Ok(Rows {
        keys: copy
            .keys
            .into_iter()
            .map(|row| KeyRow { id: row.id, key: row.key, is_own: false })
            .collect(),
        deletions: deletions.collect(),
        opt_outs: copy
            .opt_outs
            .into_iter()
            .map(|row| OptOutRow {
                key_id: row.key_id,
                user_hash: row.user_hash,
                guild: row.guild_id,
                since: row.since,
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_reads_back_as_written_and_under_its_key_alone() {
        let deletion = Deletion {
            id: "d-1".to_owned(),
            key_id: "k".to_owned(),
            user_hash: [7; 32],
            guild: Some(Id::new(5)),
            before: 99,
            requested_at: UnixMillis(3),
            user: None,
            erased_at: Some(UnixMillis(4)),
            confirmed_by: None,
            confirmed_at: Some(UnixMillis(5)),
        };
        let rows = Rows {
            keys: vec![KeyRow { id: "k".to_owned(), key: [1; 32], is_own: false }],
            deletions: vec![deletion],
            opt_outs: vec![OptOutRow {
                key_id: "k".to_owned(),
                user_hash: [8; 32],
                guild: 0,
                since: UnixMillis(6),
            }],
        };
        let key = FileKey([9; 32]);
        for key in [None, Some(&key)] {
            let name = name(key);
            let sealed = seal(&rows, key).unwrap();
            let read = open(&name, &sealed, key).unwrap();
            assert_eq!(
                (read.keys, read.deletions, read.opt_outs),
                (rows.keys.clone(), rows.deletions.clone(), rows.opt_outs.clone())
            );
            let mut changed = sealed.clone();
            *changed.last_mut().unwrap() ^= 1;
            let other = FileKey([2; 32]);
            for (sealed, key) in
                [(&changed[..], key), (&sealed[..20], key), (b"", key), (&sealed, Some(&other))]
            {
                let refused = open(&name, sealed, key).unwrap_err();
                assert!(matches!(refused, BackupError::Damaged { .. }), "{refused}");
            }
        }
    }
}
