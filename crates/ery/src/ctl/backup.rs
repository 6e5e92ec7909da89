//! `ery ctl backup`: makes backups, checks them, and brings them back.

use std::time::Duration;

use serde::Serialize;
use twilight_model::id::Id;

use ery_ids::Home;
use ery_proto::store::v1::{
    Backup as Set, CreateBackupRequest, ListBackupsRequest, PruneBackupsRequest,
    RestoreBackupRequest, VerifyBackupRequest,
};
use ery_rpc::{Peers, Transport, within};

use super::{Output, Row, answered, store::admin, view::moment};
use crate::{cli::Backup, failure::Failure};

/// All files are read, and sent or fetched.
const TIMEOUT: Duration = Duration::from_hours(6);

pub(super) async fn run(command: &Backup, peers: &Peers, output: &Output) -> Result<(), Failure> {
    match command {
        Backup::Create { guild } => {
            let mut made = Vec::new();
            for store in asked(peers, *guild)? {
                let request = CreateBackupRequest { guild_id: guild.unwrap_or(0) };
                let answer = admin(&store).create_backup(within(TIMEOUT, request)).await;
                made.extend(answered(answer)?.backup);
            }
            output.list(&views(&made))
        }
        Backup::List => output.list(&views(&list(peers).await?.sets)),
        Backup::Verify { id, of } => {
            let Listed { sets, stores } = list(peers).await?;
            let mut verified = Vec::new();
            for set in sets.into_iter().filter(|set| set.id == *id) {
                if of.as_ref().is_some_and(|of| *of != set.store) {
                    continue;
                }
                // Whoever made it, or in its place any that looks there.
                let own = stores.iter().find(|(name, _)| *name == set.store);
                let Some((_, store)) = own.or_else(|| stores.first()) else { continue };
                let request = VerifyBackupRequest { id: set.id, store: set.store };
                let answer = admin(store).verify_backup(within(TIMEOUT, request)).await;
                verified.extend(answered(answer)?.backup);
            }
            if verified.is_empty() {
                return Err(Failure::internal(format!(
                    "there is no whole backup `{id}`; see `ery ctl backup list`"
                )));
            }
            output.list(&views(&verified))
        }
        Backup::Restore { id, guild, unsealed, of, .. } => {
            let mut views = Vec::new();
            for store in asked(peers, *guild)? {
                let request = RestoreBackupRequest {
                    id: id.clone(),
                    guild_id: guild.unwrap_or(0),
                    accepts_unsealed: *unsealed,
                    store: of.clone().unwrap_or_default(),
                };
                let answer = admin(&store).restore_backup(within(TIMEOUT, request)).await;
                let restored = answered(answer)?;
                views.push(RestoredView {
                    shards: restored.shards,
                    rows: restored.rows,
                    before_id: restored.before_id,
                });
            }
            output.list(&views)
        }
        Backup::Prune => {
            let mut views = Vec::new();
            for store in peers.each() {
                let request = PruneBackupsRequest {};
                let answer = admin(&store).prune_backups(within(TIMEOUT, request)).await;
                let gone = answered(answer)?;
                let stores = gone.stores.into_iter().chain(std::iter::repeat(String::new()));
                views.extend(
                    gone.ids.into_iter().zip(stores).map(|(id, store)| PrunedView { id, store }),
                );
            }
            output.list(&views)
        }
    }
}

/// Returns whom to ask: the store that has a guild's shard, or all of them.
fn asked(peers: &Peers, guild: Option<u64>) -> Result<Vec<Transport>, Failure> {
    let Some(guild) = guild else { return Ok(peers.each()) };
    let guild = Id::new_checked(guild)
        .ok_or_else(|| Failure::settings("`--guild` is a server's id, and never 0"))?;
    Ok(vec![peers.of(Home::Guild(guild))])
}

/// Every set there is, and the stores by their names.
struct Listed {
    sets: Vec<Set>,
    stores: Vec<(String, Transport)>,
}

async fn list(peers: &Peers) -> Result<Listed, Failure> {
    let mut listed = Listed { sets: Vec::new(), stores: Vec::new() };
    for store in peers.each() {
        let answer = admin(&store).list_backups(within(TIMEOUT, ListBackupsRequest {})).await;
        let answer = answered(answer)?;
        for set in answer.backups {
            // Where several write to one place, each tells of all.
            if !listed.sets.contains(&set) {
                listed.sets.push(set);
            }
        }
        listed.stores.push((answer.store, store));
    }
    listed.sets.sort_by_key(|set| std::cmp::Reverse(set.created_at_ms));
    Ok(listed)
}

fn views(sets: &[Set]) -> Vec<SetView> {
    let view = |set: &Set| SetView {
        id: set.id.clone(),
        store: set.store.clone(),
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
    /// Empty: from before sets were kept by store.
    store: String,
    created_at_ms: i64,
    is_whole: bool,
    shards: Vec<u32>,
    bytes: u64,
    rows: u64,
}

impl Row for SetView {
    const HEADERS: &'static [&'static str] = &["ID", "STORE", "WHEN", "OF", "BYTES", "ROWS"];

    fn cells(&self) -> Vec<String> {
        let of = if self.is_whole {
            format!("everything ({} shards)", self.shards.len())
        } else {
            format!("shards {:?}", self.shards)
        };
        vec![
            self.id.clone(),
            self.store.clone(),
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
struct PrunedView {
    id: String,
    store: String,
}

impl Row for PrunedView {
    const HEADERS: &'static [&'static str] = &["DELETED", "STORE"];

    fn cells(&self) -> Vec<String> {
        vec![self.id.clone(), self.store.clone()]
    }
}
