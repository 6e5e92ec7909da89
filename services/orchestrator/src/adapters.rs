//! What goes out: calls to the other services, and broadcasts.

pub(crate) mod ai;
pub(crate) mod broadcaster;
pub(crate) mod calls;
pub(crate) mod convert;
pub(crate) mod costs;
pub(crate) mod interactions;
pub(crate) mod keys;
pub(crate) mod records;
pub(crate) mod store;
pub(crate) mod summaries;
pub(crate) mod tools;
pub(crate) mod usage;
