//! What goes out: providers, and what keeps asking them.

pub(crate) mod attachments;
pub(crate) mod builtin;
pub(crate) mod chain;
pub(crate) mod deltas;
pub(crate) mod http;
pub(crate) mod keyed;
pub(crate) mod prompt_files;
pub(crate) mod provider;
pub(crate) mod steady;
mod traced;

pub(crate) use attachments::{Attachments, Shown};
pub(crate) use builtin::BuiltinProvider;
pub(crate) use chain::{Answered, Chain, KeyTrouble, Link, RefusedKey, Spent, Unanswered};
pub(crate) use deltas::{Delta, Deltas};
pub(crate) use http::HttpProvider;
pub(crate) use keyed::{GuildKeys, Keyed, KeyedLinks};
pub(crate) use provider::{Provider, ProviderError};
pub(crate) use steady::{Limits, SteadyProvider, TurnError};
