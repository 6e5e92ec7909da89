//! `ery ctl store settle`: a shard of a store that will never come back.

use serde::Serialize;

use ery_proto::store::v1::{ListShardsRequest, SettleShardRequest, SettleShardResponse};
use ery_rpc::{Transport, within};

use super::{TIMEOUT, admin};
use crate::{
    ctl::{Output, Row, answered},
    failure::Failure,
};

pub(in crate::ctl) async fn run(
    stores: &[Transport],
    shard: u32,
    lost: &str,
    to: Option<&str>,
    output: &Output,
) -> Result<(), Failure> {
    let settled = match to {
        Some(to) => anew(stores, shard, lost, to).await?,
        None => stays(stores, shard, lost).await?,
    };
    let SettleShardResponse { store, is_empty } = settled;
    output.list(&[SettledView { shard, store, is_empty }])
}

/// Has the store keep a shard that was on its way to the lost one.
async fn stays(
    stores: &[Transport],
    shard: u32,
    lost: &str,
) -> Result<SettleShardResponse, Failure> {
    for store in stores {
        let answer = admin(store).list_shards(within(TIMEOUT, ListShardsRequest {})).await;
        let moving = answered(answer)?.moving;
        if moving.iter().any(|moving| moving.shard == shard && moving.to == lost) {
            return settle(store, shard, lost, false).await;
        }
    }
    Err(Failure::internal(format!(
        "no store that runs has shard {shard} on its way to `{lost}`. If `{lost}` had it for itself and is \
         lost for good, a store begins it empty with `--to STORE`, to be restored from a backup"
    )))
}

async fn anew(
    stores: &[Transport],
    shard: u32,
    lost: &str,
    to: &str,
) -> Result<SettleShardResponse, Failure> {
    let mut names = Vec::new();
    for store in stores {
        let answer = admin(store).list_shards(within(TIMEOUT, ListShardsRequest {})).await;
        let listed = answered(answer)?;
        if listed.store == to {
            return settle(store, shard, lost, true).await;
        }
        names.push(listed.store);
    }
    Err(Failure::internal(format!("no store `{to}` runs; there are {}", names.join(", "))))
}

async fn settle(
    store: &Transport,
    shard: u32,
    lost: &str,
    takes_over: bool,
) -> Result<SettleShardResponse, Failure> {
    let request = SettleShardRequest { shard, lost: lost.to_owned(), takes_over };
    answered(admin(store).settle_shard(within(TIMEOUT, request)).await)
}

#[derive(Debug, Serialize)]
struct SettledView {
    shard: u32,
    store: String,
    is_empty: bool,
}

impl Row for SettledView {
    const HEADERS: &'static [&'static str] = &["SHARD", "STORE", "NEXT"];

    fn cells(&self) -> Vec<String> {
        let next = if self.is_empty {
            "it is empty: `ery ctl backup list`, then `restore`"
        } else {
            "it is served again"
        };
        vec![self.shard.to_string(), self.store.clone(), next.to_owned()]
    }
}
