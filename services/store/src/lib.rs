#![doc = include_str!("../README.md")]

mod settings;

mod ports;

mod service;

mod ownership;

mod transfers;

mod totals;

mod moving;

mod agenda;

mod scheduler;

mod backups;
mod blocking;
mod comparing;

mod ledger;

mod forgetting;

mod retention;

mod handlers;

mod domain;

mod adapters;

mod error;

mod metrics;

#[cfg(feature = "mutants")]
mod mutants;

pub use adapters::dump::DumpError;
pub use error::{BackupError, FenceError, FileError, OpenError, RekeyStoreError, StoreError};
pub use ports::Ports;
pub use service::{Service, rekey};
pub use settings::{Backup, Encryption, Kept, Retention, Settings};
