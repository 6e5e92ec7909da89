//! Start, drain, stop, and whether a process is well: tasks with names, signals, the admin port.

mod admin;
mod signals;
mod tasks;

pub use admin::{Admin, Health, Readiness};
pub use signals::Signals;
pub use tasks::{Ended, Tasks};
