use crate::Replica;

/// Returns the replica that owns `key`, whichever process asks; none if there are no replicas.
///
/// Rendezvous (highest random weight) hashing: when a replica goes, only its own keys move.
pub fn rendezvous(key: u64, replicas: &[Replica]) -> Option<&Replica> {
    rendezvous_index(key, replicas).map(|index| &replicas[index])
}

/// Returns where in `replicas` the owner of `key` stands.
pub fn rendezvous_index(key: u64, replicas: &[Replica]) -> Option<usize> {
    (0..replicas.len())
        .max_by_key(|&index| (weight(key, &replicas[index].id.0), &replicas[index].id))
}

/// FNV-1a over the replica and the key, finished by splitmix64 so that near keys differ.
fn weight(key: u64, replica: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in replica.bytes().chain(key.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use ery_ids::{ReplicaId, ServiceName};

    use super::*;

    fn replicas(count: usize) -> Vec<Replica> {
        (0..count)
            .map(|index| Replica {
                id: ReplicaId(format!("replica-{index}")),
                service: ServiceName::ToolService,
                address: String::new(),
            })
            .collect()
    }

    #[test]
    fn nobody_owns_a_key_where_nobody_is() {
        assert!(rendezvous(1, &[]).is_none());
    }

    #[test]
    fn keys_are_spread_evenly() {
        let replicas = replicas(4);
        let mut counts = [0_u32; 4];
        for key in 0..4_000 {
            counts[rendezvous_index(key << 22, &replicas).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (800..=1_200).contains(count)), "{counts:?}");
    }

    #[test]
    fn only_the_keys_of_a_lost_replica_move() {
        let before = replicas(5);
        let mut after = before.clone();
        let lost = after.remove(2);
        for key in 0..1_000 {
            let owner = rendezvous(key, &before).unwrap();
            if owner.id != lost.id {
                assert_eq!(rendezvous(key, &after).unwrap().id, owner.id);
            }
        }
    }
}
