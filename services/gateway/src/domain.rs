//! What the gateway knows: sessions, what of them is on the bus, and how long to wait.

mod backoff;
mod progress;

pub(crate) use backoff::Backoff;
pub(crate) use progress::{Mark, Progress, Session, Ticket};
