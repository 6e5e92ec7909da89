//! `ery ctl store rebalance`: which shards go where, one after the other.

use std::collections::BTreeMap;

use serde::Serialize;

use ery_proto::store::v1::{ListShardsRequest, MoveShardRequest};
use ery_rpc::{Transport, within};

use super::{FILE_TIMEOUT, TIMEOUT, admin};
use crate::{
    ctl::{Output, Row, answered, refused},
    failure::Failure,
};

/// The shards of each store, by its name.
type Owned = BTreeMap<String, Vec<u32>>;

/// A shard that is to go from one store to another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    shard: u32,
    from: String,
    to: String,
}

pub(in crate::ctl) async fn run(
    stores: &[Transport],
    one: Option<(u32, String)>,
    drain: Option<&str>,
    output: &Output,
) -> Result<(), Failure> {
    let (mut owned, mut transports) = (Owned::new(), BTreeMap::new());
    for store in stores {
        let answer = admin(store).list_shards(within(TIMEOUT, ListShardsRequest {})).await;
        let listed = answered(answer)?;
        owned.insert(listed.store.clone(), listed.owned);
        transports.insert(listed.store, store.clone());
    }
    let steps = match one {
        Some((shard, to)) => vec![single(&owned, shard, to)?],
        None => plan(owned, drain)?,
    };
    let mut views = Vec::new();
    for Step { shard, from, to } in steps {
        let request = MoveShardRequest { shard, to: to.clone() };
        let answer = admin(&transports[&from]).move_shard(within(FILE_TIMEOUT, request)).await;
        let moved = match answer {
            Ok(moved) => moved.into_inner(),
            Err(status) => {
                // What has gone has gone; the rest can be asked for again.
                output.list(&views)?;
                return Err(refused(&status));
            }
        };
        views.push(MovedView {
            shard,
            from,
            to,
            bytes: moved.bytes,
            writes_held_ms: moved.writes_held_ms,
            reads_held_ms: moved.reads_held_ms,
        });
    }
    output.list(&views)
}

fn single(owned: &Owned, shard: u32, to: String) -> Result<Step, Failure> {
    if !owned.contains_key(&to) {
        return Err(unknown(owned, &to));
    }
    let from = owned.iter().find(|(_, shards)| shards.contains(&shard)).map(|(name, _)| name);
    let from = from.ok_or_else(|| {
        Failure::internal(format!(
            "no store that runs has shard {shard}; see `ery ctl store status`"
        ))
    })?;
    Ok(Step { shard, from: from.clone(), to })
}

fn unknown(owned: &Owned, name: &str) -> Failure {
    let names: Vec<&str> = owned.keys().map(String::as_str).collect();
    Failure::internal(format!("no store `{name}` runs; there are {}", names.join(", ")))
}

/// Returns what is to go where so that no store has two shards more than another, or one has none.
fn plan(mut owned: Owned, drain: Option<&str>) -> Result<Vec<Step>, Failure> {
    let mut steps = Vec::new();
    if let Some(from) = drain {
        let shards = owned.remove(from).ok_or_else(|| unknown(&owned, from))?;
        for shard in shards {
            let Some(to) = emptiest(&owned) else {
                return Err(Failure::internal("there is no other store to take its shards"));
            };
            owned.entry(to.clone()).or_default().push(shard);
            steps.push(Step { shard, from: from.to_owned(), to });
        }
        return Ok(steps);
    }
    loop {
        let fullest = owned.iter().max_by_key(|(_, shards)| shards.len());
        let (Some((from, shards)), Some(to)) = (fullest, emptiest(&owned)) else {
            return Ok(steps);
        };
        let (from, count) = (from.clone(), shards.len());
        if count <= owned[&to].len() + 1 {
            return Ok(steps);
        }
        let Some(shard) = owned.get_mut(&from).and_then(Vec::pop) else { return Ok(steps) };
        owned.entry(to.clone()).or_default().push(shard);
        steps.push(Step { shard, from, to });
    }
}

fn emptiest(owned: &Owned) -> Option<String> {
    owned.iter().min_by_key(|(_, shards)| shards.len()).map(|(name, _)| name.clone())
}

#[derive(Debug, Serialize)]
struct MovedView {
    shard: u32,
    from: String,
    to: String,
    bytes: u64,
    writes_held_ms: u64,
    reads_held_ms: u64,
}

impl Row for MovedView {
    const HEADERS: &'static [&'static str] =
        &["SHARD", "FROM", "TO", "BYTES", "WRITES HELD MS", "READS HELD MS"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.shard.to_string(),
            self.from.clone(),
            self.to.clone(),
            self.bytes.to_string(),
            self.writes_held_ms.to_string(),
            self.reads_held_ms.to_string(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(of: &[(&str, std::ops::Range<u32>)]) -> Owned {
        of.iter().map(|(name, shards)| ((*name).to_owned(), shards.clone().collect())).collect()
    }

    fn after(mut owned: Owned, steps: &[Step]) -> Vec<usize> {
        for step in steps {
            owned.get_mut(&step.from).unwrap().retain(|shard| *shard != step.shard);
            owned.get_mut(&step.to).unwrap().push(step.shard);
        }
        owned.values().map(Vec::len).collect()
    }

    #[test]
    fn shards_are_evened_out_with_as_few_moves_as_there_are_too_many() {
        let uneven = owned(&[("a", 0..64), ("b", 0..0), ("c", 0..0)]);
        let steps = plan(uneven.clone(), None).unwrap();
        assert_eq!(steps.len(), 42);
        let mut counts = after(uneven, &steps);
        counts.sort_unstable();
        assert_eq!(counts, [21, 21, 22]);
        assert_eq!(plan(owned(&[("a", 0..3), ("b", 3..5)]), None).unwrap(), []);
    }

    #[test]
    fn a_store_that_is_drained_keeps_nothing() {
        let all = owned(&[("a", 0..5), ("b", 5..6), ("c", 6..8)]);
        let steps = plan(all.clone(), Some("a")).unwrap();
        assert_eq!(after(all.clone(), &steps), [0, 4, 4]);
        assert!(plan(all, Some("x")).is_err());
        assert!(plan(owned(&[("a", 0..5)]), Some("a")).is_err());
    }

    #[test]
    fn one_shard_goes_where_it_is_sent() {
        let all = owned(&[("a", 0..5), ("b", 5..6)]);
        let step = single(&all, 5, "a".to_owned()).unwrap();
        assert_eq!(step, Step { shard: 5, from: "b".to_owned(), to: "a".to_owned() });
        assert!(single(&all, 5, "x".to_owned()).is_err());
        assert!(single(&all, 9, "a".to_owned()).is_err());
    }
}
