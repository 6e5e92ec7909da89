//! What the platform's tests share: the `ery` binary as child processes, the simulated world around
//! it, and a checker that shares no code with the product.
#![expect(clippy::missing_errors_doc, reason = "every error here is a test's failure")]

mod browser;
pub mod chaos;
mod checker;
mod collector;
mod contract;
pub mod meter;
mod model;
mod overhead;
mod platform;
mod process;
mod sim;
mod stages;
mod writing;

pub use browser::Browser;
pub use checker::{Answer, Checker};
pub use collector::{CollectedSpan, Collector, SpanKind, connected};
pub use contract::ContractKept;
pub use meter::MeteredModel;
pub use model::ScriptedModel;
pub use overhead::Overhead;
pub use platform::{Platform, Shape, Users, ready};
pub use process::{Ery, eventually, files_holding, free_port};
pub use sim::{Channel, Guild, LogEntry, Sim, World, http_client};
pub use stages::{Histogram, StageTime, Stages};
pub use writing::WritingModel;
