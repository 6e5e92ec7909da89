//! `ery ctl backup`: makes backups, checks them, and brings them back.

use std::time::Duration;

use serde::Serialize;

use ery_proto::store::v1::{
    Backup as Set, CreateBackupRequest, ListBackupsRequest, PruneBackupsRequest,
    RestoreBackupRequest, VerifyBackupRequest,
};
use ery_rpc::{Transport, within};

use super::{Output, Row, answered, store::admin, view::moment};
use crate::{cli::Backup, failure::Failure};

/// All files are read, and sent or fetched.
const TIMEOUT: Duration = Duration::from_hours(6);

pub(super) async fn run(
    command: &Backup,
    stores: &[Transport],
    output: &Output,
) -> Result<(), Failure> {
    for store in stores {
        let mut store = admin(store);
        match command {
            Backup::Create { guild } => {
                let request = CreateBackupRequest { guild_id: guild.unwrap_or(0) };
                let answer = store.create_backup(within(TIMEOUT, request)).await;
                let made = answered(answer)?.backup;
                output.list(&views(made.as_slice()))?;
            }
            Backup::List => {
                let answer = store.list_backups(within(TIMEOUT, ListBackupsRequest {})).await;
                let sets = answered(answer)?.backups;
                output.list(&views(&sets))?;
            }
            Backup::Verify { id } => {
                let request = VerifyBackupRequest { id: id.clone() };
                let answer = store.verify_backup(within(TIMEOUT, request)).await;
                let verified = answered(answer)?.backup;
                output.list(&views(verified.as_slice()))?;
            }
            Backup::Restore { id, guild, unsealed, .. } => {
                let request = RestoreBackupRequest {
                    id: id.clone(),
                    guild_id: guild.unwrap_or(0),
                    accepts_unsealed: *unsealed,
                };
                let answer = store.restore_backup(within(TIMEOUT, request)).await;
                let restored = answered(answer)?;
                output.list(&[RestoredView {
                    shards: restored.shards,
                    rows: restored.rows,
                    before_id: restored.before_id,
                }])?;
            }
            Backup::Prune => {
                let answer = store.prune_backups(within(TIMEOUT, PruneBackupsRequest {})).await;
                let ids = answered(answer)?.ids;
                output.list(&ids.into_iter().map(PrunedView).collect::<Vec<_>>())?;
            }
        }
    }
    Ok(())
}

fn views(sets: &[Set]) -> Vec<SetView> {
    let view = |set: &Set| SetView {
        id: set.id.clone(),
        created_at_ms: set.created_at_ms,
        is_whole: set.is_whole,
        shards: set.shards.clone(),
        bytes: set.bytes,
        rows: set.rows,
    };
    sets.iter().map(view).collect()
}

#[derive(Debug, Serialize)]
struct SetView {
    id: String,
    created_at_ms: i64,
    is_whole: bool,
    shards: Vec<u32>,
    bytes: u64,
    rows: u64,
}

impl Row for SetView {
    const HEADERS: &'static [&'static str] = &["ID", "WHEN", "OF", "BYTES", "ROWS"];

    fn cells(&self) -> Vec<String> {
        let of = if self.is_whole {
            format!("everything ({} shards)", self.shards.len())
        } else {
            format!("shards {:?}", self.shards)
        };
        vec![
            self.id.clone(),
            moment(self.created_at_ms),
            of,
            self.bytes.to_string(),
            self.rows.to_string(),
        ]
    }
}

#[derive(Debug, Serialize)]
struct RestoredView {
    shards: Vec<u32>,
    rows: u64,
    before_id: String,
}

impl Row for RestoredView {
    const HEADERS: &'static [&'static str] = &["SHARDS", "ROWS", "WHAT STOOD BEFORE"];

    fn cells(&self) -> Vec<String> {
        let before = match self.before_id.as_str() {
            "" => "could not be backed up",
            id => id,
        };
        vec![format!("{:?}", self.shards), self.rows.to_string(), before.to_owned()]
    }
}

#[derive(Debug, Serialize)]
struct PrunedView(String);

impl Row for PrunedView {
    const HEADERS: &'static [&'static str] = &["DELETED"];

    fn cells(&self) -> Vec<String> {
        vec![self.0.clone()]
    }
}
