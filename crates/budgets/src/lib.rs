//! What all replicas together may ask of Discord: identify slots, requests, invalid requests.
//!
//! The adapters are in `ery-embedded` and `ery-cluster`; [`testing`] says what both promise.

mod port;
pub mod testing;

pub use port::{Budgets, BudgetsError, InvalidRequests, Priority, RequestPermit};
