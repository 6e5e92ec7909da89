//! What the service knows: conversations, how member text is shown to a model, when a provider is
//! left alone, what tokens cost, which orders a model may have read, and the commands that need no model.

pub(crate) mod breaker;
pub(crate) mod builtin;
pub(crate) mod conversation;
pub(crate) mod grounds;
pub(crate) mod prices;
pub(crate) mod prompts;
pub(crate) mod spotlight;
