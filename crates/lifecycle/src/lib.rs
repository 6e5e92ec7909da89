//! Start, drain, stop, and whether a process is well: tasks with names, signals, the admin port.

mod admin;
mod exposition;
mod signals;
mod tasks;

pub use admin::{Admin, Health, Readiness};
pub use exposition::{Exemplar, FindExemplars};
pub use signals::Signals;
pub use tasks::{Ended, Tasks};
