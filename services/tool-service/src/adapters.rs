//! What goes out and is this service's alone: Discord's REST API, the store.

pub(crate) mod discord;
pub(crate) mod store;
