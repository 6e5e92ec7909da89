//! What goes out: calls to the store and to the tool-service.

pub(crate) mod calls;
