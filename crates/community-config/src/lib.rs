//! What a community sets: typed, in layers, with one JSON Schema made from the types.
//!
//! Global → Server → Channel → User: what stands below replaces what stands above, but for the keys
//! that only ever narrow ([`Combine`]). Under all layers lie the settings of the process, and under
//! those the defaults. The store keeps the layers and their history; [`ConfigCache`] holds them in
//! every process that reads them.

mod cache;
mod client;
mod config;
mod document;
mod effective;
mod keys;
mod layer;
mod mention;
mod must;
mod present;
mod presets;
pub mod testing;
mod written;

pub use cache::{Base, Changed, ConfigCache, ConfigSource, Loaded, SharedBase, SourceError};
pub use client::{Change, Difference, Made, StoredConfig, Version, Wanted, kept_at, top_of};
pub use config::{
    Access, Answers, Budget, Budgets, ChannelBudget, Config, Context, Engage, Gate,
    InstallationBudget, Limits, MemberBudget, Moderation, ServerBudget, Span, ToolRule, ToolRules,
    Tools, Usd,
};
pub use document::{Document, DocumentError, File, Layered, Subject};
pub use effective::{Effective, Origin, Place, Snapshot};
pub use keys::{Combine, InvalidConfig, Key, Keys, Named, TOOLS, keys, schema};
pub use layer::Layer;
pub use mention::Mentioned;
pub use must::{Bounds, Must};
pub use present::Present;
pub use presets::{PRESETS, Preset, preset};
