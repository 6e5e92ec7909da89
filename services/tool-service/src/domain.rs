//! What the service knows: pure and synchronous, no clock, no I/O, no generated types.

pub(crate) mod commands;
pub(crate) mod decide;
pub(crate) mod execution;
pub(crate) mod flow;
pub(crate) mod guild;
pub(crate) mod ordering;
pub(crate) mod output;
pub(crate) mod permissions;
pub(crate) mod policy;
pub(crate) mod reason;
pub(crate) mod reference;
pub(crate) mod sight;
pub(crate) mod split;
pub(crate) mod staff;
pub(crate) mod text;
pub(crate) mod tool;

#[cfg(test)]
pub(crate) mod testing;
