//! Which replicas live, and which one owns what: the port.
//!
//! The adapters are in `ery-embedded` and `ery-cluster`; [`testing`] says what both promise.

mod port;
mod rendezvous;
pub mod testing;

pub use port::{Claim, Membership, MembershipError, Registration, Replica};
pub use rendezvous::{rendezvous, rendezvous_index};
