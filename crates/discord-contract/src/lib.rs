#![doc = include_str!("../README.md")]

mod check;
mod deviations;
mod dispatches;
mod document;
mod exchange;
mod explain;
mod log;
mod schema;
mod source;

pub use check::{Contract, Requests, Violation};
pub use deviations::deviations;
pub use document::OpenError;
pub use exchange::Exchange;
pub use log::report;
pub use source::contract;
