//! Discord's REST API, version 10.
//!
//! Each endpoint is one line of a table (method, path, bucket) and one synchronous function, which
//! asks the world under its lock. All around it — faults, credentials, rate limits, the log — is
//! done once, in `serve`.

mod answer;
mod call;
mod channels;
mod commands;
mod emojis;
mod guild_settings;
mod guilds;
mod interactions;
mod invites;
mod log;
mod members;
mod messages;
mod multipart;
mod polls;
mod rate_limits;
mod reactions;
mod routes;
mod scheduled_events;
mod serve;
mod stickers;
mod threads;
mod users;
mod webhooks;

pub(crate) use log::Log;
pub(crate) use polls::poll_of;
pub(crate) use rate_limits::{LimitSettings, RateLimits};
pub(crate) use serve::serve;

use crate::form;
