//! What goes out: providers, and what keeps asking them.

pub(crate) mod builtin;
pub(crate) mod openai;
pub(crate) mod provider;
pub(crate) mod steady;

pub(crate) use builtin::BuiltinProvider;
pub(crate) use openai::OpenAiProvider;
pub(crate) use provider::{Provider, ProviderError};
pub(crate) use steady::{SteadyProvider, TurnError};
