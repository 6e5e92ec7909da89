use std::{cmp::Reverse, collections::BTreeMap};

use ery_clock::UnixMillis;
use ery_ids::{Home, StoreShard};
use ery_proto::store::v1::{DirectGap, FindDirectGapsRequest, FindDirectGapsResponse};

use super::{find_gaps::CLOCKS_DIFFER, parse, scope};
use crate::{
    adapters::{
        direct_channels::{self, Begun, Known},
        read::Scope,
    },
    error::StoreError,
    service::Inner,
};

#[tracing::instrument(name = "store.direct_gaps.find", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: FindDirectGapsRequest,
) -> Result<FindDirectGapsResponse, StoreError> {
    let begun = Begun {
        session: parse::name("session", request.session)?,
        told_at: UnixMillis(request.told_at_ms),
    };
    let ingestion = parse::name("ingestion", request.ingestion)?;
    let (ingestion, cutoff) = (ingestion.as_str(), begun.told_at - CLOCKS_DIFFER);
    let mut known = scope::read(store, Scope::All, |_, readers| async move {
        direct_channels::known(&readers, ingestion, cutoff).await
    })
    .await?;
    known.sort_by_key(|known| Reverse(known.newest));
    let wanted = known.len().min(request.max_channels as usize);
    let mut of_shards: BTreeMap<StoreShard, Vec<(Known, bool)>> = BTreeMap::new();
    for (index, known) in known.iter().enumerate() {
        let shard = store.shards.shard_of(Home::Dm(known.channel));
        of_shards.entry(shard).or_default().push((*known, index < wanted));
    }
    let mut gaps = Vec::with_capacity(wanted);
    for (shard, known) in of_shards {
        let (open, begun) = (store.shards.open(shard).await?, begun.clone());
        let pending = open.write(move |connection| {
            let mut pending = Vec::new();
            for (known, is_wanted) in known {
                if is_wanted {
                    let after = direct_channels::note_pending(connection, known, &begun)?;
                    pending.extend(after.map(|after| (known, after)));
                } else {
                    // Nobody is to wait for it.
                    direct_channels::note_read_back(connection, known.channel, &begun)?;
                }
            }
            Ok(pending)
        });
        match pending.await {
            Ok(pending) => gaps.extend(pending),
            // The others are read back all the same; these wait in vain for a while.
            Err(error @ (StoreError::ReadOnly { .. } | StoreError::Quarantined { .. })) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, store_shard = %shard, "direct messages are not read back");
            }
            Err(error) => return Err(error),
        }
    }
    gaps.sort_by_key(|(known, _)| Reverse(known.newest));
    let gap = |(known, after): (Known, u64)| DirectGap { channel_id: known.channel.get(), after };
    Ok(FindDirectGapsResponse {
        gaps: gaps.into_iter().map(gap).collect(),
        left_out: u32::try_from(known.len() - wanted).unwrap_or(u32::MAX),
    })
}
