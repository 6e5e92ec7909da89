//! Compares what the stores say that they have, so that nothing stays which a move has left behind, and
//! no old folder owns what has gone on.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use tokio_util::sync::CancellationToken;

use ery_ids::StoreShard;
use ery_proto::store::v1::{
    ListShardsRequest, store_admin_service_client::StoreAdminServiceClient,
};
use ery_rpc::within;

use crate::{
    error::{BackupError, StoreError},
    ownership::Standing,
    service::Inner,
};

/// How often stores are compared.
const EVERY: Duration = Duration::from_secs(30);

/// How long a store may take to say what it has.
const CALL: Duration = Duration::from_secs(5);

/// By how much the epoch rises of a shard that is taken from a store which is lost: above every epoch
/// under which that one may have had it, or have given it on.
const OF_THE_LOST: u64 = 1 << 32;

/// Who says to have a shard, and under which epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    store: String,
    epoch: u64,
}

/// What is to be done about a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Nothing,
    /// Another store has it since: this folder is older than what it says.
    StepDown(Claim),
    /// Another store has it, and what lies here is of no use.
    Remove,
    /// It is in nobody's hands here, and nobody says to have it.
    Alarm,
    /// Two stores say to have it, and neither is younger.
    Conflict(String),
}

/// Judges a shard by how it stands here, whether there is a file of it, and who else says to have it.
fn judge(standing: &Standing, epoch: u64, has_file: bool, claim: Option<&Claim>) -> Verdict {
    match (standing, claim) {
        (Standing::Here, Some(claim)) if claim.epoch > epoch => Verdict::StepDown(claim.clone()),
        (Standing::Here, Some(claim)) if claim.epoch == epoch => {
            Verdict::Conflict(claim.store.clone())
        }
        // Only by the very move that gave it away is there a copy of it for sure.
        (Standing::Gone { to }, Some(claim))
            if has_file && claim.store == *to && claim.epoch == epoch =>
        {
            Verdict::Remove
        }
        (Standing::Gone { .. }, _) if has_file => Verdict::Alarm,
        // One that is on its way is settled with whoever takes it.
        (Standing::Here | Standing::Moving { .. } | Standing::Gone { .. }, _) => Verdict::Nothing,
    }
}

/// Compares again and again until the process drains.
pub(crate) async fn keep_comparing(store: &Inner, draining: CancellationToken) {
    let mut alarmed = BTreeMap::new();
    loop {
        if let Err(error) = compare(store, &mut alarmed).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "could not clear up what a move has left; trying later");
        }
        tokio::select! {
            biased;
            () = draining.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn compare(
    store: &Inner,
    alarmed: &mut BTreeMap<StoreShard, Verdict>,
) -> Result<(), StoreError> {
    let claims = claims(store).await;
    let ownership = store.shards.ownership();
    for shard in (0..store.shards.count()).map(StoreShard) {
        let has_file = store.shards.folder().has(shard);
        let (standing, epoch) = ownership.standing(shard);
        let verdict = judge(&standing, epoch, has_file, claims.get(&shard));
        match &verdict {
            Verdict::Nothing | Verdict::Alarm | Verdict::Conflict(_) => {}
            Verdict::StepDown(claim) => step_down(store, shard, epoch, claim).await?,
            Verdict::Remove => remove(store, shard).await?,
        }
        if alarmed.get(&shard) != Some(&verdict) {
            alarm(shard, &standing, &verdict);
        }
        alarmed.insert(shard, verdict);
    }
    store.metrics.left_over_files(left_over(store).len() as u64);
    Ok(())
}

fn alarm(shard: StoreShard, standing: &Standing, verdict: &Verdict) {
    match (verdict, standing) {
        (Verdict::Alarm, Standing::Gone { to }) => tracing::error!(
            store_shard = %shard,
            "a file of {shard} lies here that is not this store's: `{to}` is to have it and does not say \
             so. It is neither read nor removed; see `ery ctl store status`"
        ),
        (Verdict::Conflict(other), _) => tracing::error!(
            store_shard = %shard,
            "the store `{other}` says to have {shard}, too: one of the two began from a folder that is \
             not its own. Stop the one whose folder is the older"
        ),
        _ => {}
    }
}

/// Returns the files in the folder that are not this store's: those beside a record that gives the shard
/// to another one, and those that were put aside.
pub(crate) fn left_over(store: &Inner) -> Vec<PathBuf> {
    let folder = store.shards.folder();
    let shards = (0..store.shards.count()).map(StoreShard);
    let is_left = |shard: &StoreShard| {
        folder.has(*shard)
            && matches!(store.shards.ownership().standing(*shard), (Standing::Gone { .. }, _))
    };
    let beside = shards.filter(is_left).map(|shard| folder.shard(shard));
    beside.chain(folder.aside()).collect()
}

/// Returns who else says to have which shard; of several the one with the highest epoch.
async fn claims(store: &Inner) -> BTreeMap<StoreShard, Claim> {
    let mut claims: BTreeMap<StoreShard, Claim> = BTreeMap::new();
    let Some(stores) = &store.stores else { return claims };
    let name = store.shards.ownership().name();
    for transport in stores.each() {
        let mut other = StoreAdminServiceClient::new(transport);
        // One that is away is asked the next time.
        let Ok(listed) = other.list_shards(within(CALL, ListShardsRequest {})).await else {
            continue;
        };
        let listed = listed.into_inner();
        if listed.store == name {
            continue;
        }
        for (shard, epoch) in listed.owned.into_iter().zip(listed.epochs) {
            let claim = Claim { store: listed.store.clone(), epoch };
            let known = claims.entry(StoreShard(shard)).or_insert_with(|| claim.clone());
            if known.epoch < epoch {
                *known = claim;
            }
        }
    }
    claims
}

/// Lets go of a shard that another store has since, and puts the file aside: what was written to it here
/// is nowhere else.
async fn step_down(
    store: &Inner,
    shard: StoreShard,
    epoch: u64,
    claim: &Claim,
) -> Result<(), StoreError> {
    let _alone = store.moving.lock().await;
    let held = store.shards.hold(shard).await?;
    let closed = store.shards.close_held(&held).await?;
    let ownership = store.shards.ownership();
    if ownership.standing(shard) != (Standing::Here, epoch) {
        return Ok(());
    }
    // It lies aside before the record gives it away: what is beside such a record may be removed.
    let folder = store.shards.folder();
    let io = |source| BackupError::Io { path: folder.shard(shard), source };
    let aside = folder.put_aside(shard, epoch).map_err(io)?;
    ownership.set(shard, Standing::Gone { to: claim.store.clone() }, claim.epoch)?;
    folder.remove(shard).map_err(io)?;
    drop(closed);
    tracing::error!(
        store_shard = %shard,
        "this folder is older than what it says: the store `{}` has {shard} since. Its file is put aside{}",
        claim.store,
        aside.map_or_else(String::new, |path| format!(" as {}", path.display()))
    );
    Ok(())
}

/// Removes a file that a move has left behind.
async fn remove(store: &Inner, shard: StoreShard) -> Result<(), StoreError> {
    let _alone = store.moving.lock().await;
    let removed = crate::transfers::unless_received(store, || {
        let (standing, _) = store.shards.ownership().standing(shard);
        if matches!(standing, Standing::Gone { .. }) {
            store.shards.folder().remove(shard)
        } else {
            Ok(())
        }
    });
    let path = store.shards.folder().shard(shard);
    removed.await.map_err(|source| BackupError::Io { path, source })?;
    tracing::info!(store_shard = %shard, "removed the file of {shard} that a move had left");
    Ok(())
}

/// Takes a shard from a store that is lost for good: one that was on its way there stays; one that it had
/// begins empty here, to be restored from a backup, if `takes_over`.
pub(crate) async fn settle_lost(
    store: &Inner,
    shard: StoreShard,
    lost: &str,
    takes_over: bool,
) -> Result<(), StoreError> {
    if shard.0 >= store.shards.count() {
        return Err(StoreError::NoShard { shard });
    }
    let refused = |why: String| Err(StoreError::NotSettled { shard, why });
    let _alone = store.moving.lock().await;
    let ownership = store.shards.ownership();
    let (standing, epoch) = ownership.standing(shard);
    match &standing {
        Standing::Here => return refused("it is here".to_owned()),
        Standing::Moving { to, .. } if to == lost => {}
        Standing::Gone { to } if to == lost && takes_over => {}
        Standing::Gone { to } if to == lost => {
            return refused(format!(
                "it was given to `{to}` whole; with `--to` a store begins it anew, and `ery ctl backup \
                 restore` brings back what was backed up"
            ));
        }
        Standing::Moving { to, .. } => return refused(format!("it is on its way to `{to}`")),
        Standing::Gone { to } => {
            return refused(format!(
                "it was given to `{to}`, which alone knows where it went from there: settle it with \
                 `--to {to}`"
            ));
        }
    }
    if is_there(store, lost).await {
        return refused(format!("`{lost}` runs, and is asked by itself"));
    }
    if let Some(claim) = claims(store).await.get(&shard) {
        return refused(format!("`{}` has it", claim.store));
    }
    if let Standing::Gone { .. } = standing {
        // It may be a copy that was never put in use.
        let folder = store.shards.folder();
        let aside = folder.put_aside(shard, epoch);
        aside.map_err(|source| BackupError::Io { path: folder.shard(shard), source })?;
    }
    ownership.set(shard, Standing::Here, epoch + OF_THE_LOST)?;
    store.totals.forget(shard);
    store.agenda.add(shard, ery_clock::UnixMillis(0));
    tracing::warn!(store_shard = %shard, "took {shard} from `{lost}`, which is said to be lost");
    Ok(())
}

/// Returns whether a store answers.
async fn is_there(store: &Inner, name: &str) -> bool {
    let Some(stores) = &store.stores else { return false };
    let transport = stores.named(ery_ids::ReplicaId(name.to_owned()));
    let mut other = StoreAdminServiceClient::new(transport);
    other.list_shards(within(CALL, ListShardsRequest {})).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_a_folder_is_judged_by_who_has_the_shard() {
        let claim = |epoch| Claim { store: "b".to_owned(), epoch };
        let gone = Standing::Gone { to: "b".to_owned() };
        let moving = Standing::Moving { to: "b".to_owned(), transfer: "t".to_owned() };
        for (standing, has_file, other, verdict) in [
            (&Standing::Here, true, None, Verdict::Nothing),
            (&Standing::Here, true, Some(claim(1)), Verdict::Nothing),
            (&Standing::Here, true, Some(claim(2)), Verdict::Conflict("b".to_owned())),
            (&Standing::Here, true, Some(claim(3)), Verdict::StepDown(claim(3))),
            (&gone, false, None, Verdict::Nothing),
            (&gone, true, Some(claim(2)), Verdict::Remove),
            // It went on since, or was begun anew: nobody knows whether there is a copy of this one.
            (&gone, true, Some(claim(9)), Verdict::Alarm),
            // The one that had it before, from an old folder: it will step down itself.
            (&gone, true, Some(claim(1)), Verdict::Alarm),
            (&gone, true, None, Verdict::Alarm),
            (&moving, true, Some(claim(3)), Verdict::Nothing),
        ] {
            assert_eq!(judge(standing, 2, has_file, other.as_ref()), verdict, "{standing:?}");
        }
    }
}
