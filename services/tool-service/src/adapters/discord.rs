//! Discord's REST API.
//!
//! Rate-limit buckets are twilight's (`twilight-http-ratelimiting`); the requests are our own,
//! because twilight's client repeats every 429 by itself, at once and unseen: a global limit could
//! be neither counted nor shared with the other replicas.

mod api;
mod breaker;
mod denials;
mod rest;
pub(crate) mod wire;

pub(crate) use api::ApiUrl;
pub use api::ApiUrlError;
pub use rest::TokenError;
pub(crate) use rest::{Answer, Discord, File, Method, Request, RestError};
