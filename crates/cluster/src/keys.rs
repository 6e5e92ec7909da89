//! Every key in Redis, built here and nowhere else.
//!
//! Keys that one script touches share a hash tag, so that they sit in one slot.

use ery_ids::{ChannelKey, ReplicaId, ServiceName};

use crate::subjects;

/// The keys of one channel.
#[derive(Clone, Debug)]
pub(crate) struct ChannelKeys {
    /// Who holds it, and the highest position heard of; expires with the lease.
    pub(crate) lease: String,
    /// The last epoch issued; a day.
    pub(crate) epoch: String,
    /// Until when an exchange is open there.
    pub(crate) exchange: String,
}

impl ChannelKeys {
    pub(crate) fn of(channel: ChannelKey) -> Self {
        let name = subjects::channel_name(channel);
        Self {
            lease: format!("ery:lease:{{{name}}}"),
            epoch: format!("ery:epoch:{{{name}}}"),
            exchange: format!("ery:exchange:{{{name}}}"),
        }
    }
}

/// Which run of Redis has been known since when; gone where it was emptied.
pub(crate) const KNOWN_SINCE: &str = "ery:known_since";

/// The replicas that have held channels.
pub(crate) const HOLDERS: &str = "ery:holders";

/// The channels that a replica holds, as far as it has told.
pub(crate) fn held_by(replica: &str) -> String {
    format!("ery:held:{replica}")
}

/// The keys of one service's list of replicas.
#[derive(Clone, Debug)]
pub(crate) struct MemberKeys {
    /// Ids, by when they expire.
    pub(crate) expiries: String,
    /// What each id is.
    pub(crate) replicas: String,
    /// Since when the list has been kept.
    pub(crate) since: String,
}

impl MemberKeys {
    pub(crate) fn of(service: ServiceName) -> Self {
        Self {
            expiries: format!("ery:members:{{{service}}}:expiries"),
            replicas: format!("ery:members:{{{service}}}:replicas"),
            since: format!("ery:members:{{{service}}}:since"),
        }
    }
}

/// A named thing that one process owns at a time.
pub(crate) fn claim(name: &str) -> String {
    format!("ery:claim:{{{name}}}")
}

/// Names what `owner` holds a claim with.
pub(crate) fn claim_owner(owner: &ReplicaId) -> String {
    format!("{owner}.{:032x}", rand::random::<u128>())
}

/// The slot of an identify bucket.
pub(crate) fn identify(bucket: u32) -> String {
    format!("ery:identify:{bucket}")
}

/// The requests of the last second.
pub(crate) const REQUESTS: &str = "ery:{requests}:sent";
/// Until when all requests pause.
pub(crate) const PAUSE: &str = "ery:{requests}:pause";
/// Invalid requests, counted by ten seconds.
pub(crate) const INVALID: &str = "ery:{requests}:invalid";
