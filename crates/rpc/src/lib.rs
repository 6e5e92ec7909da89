//! Calls between services: who serves them, deadlines, credentials, and one process as many.
//!
//! A generated client runs over a [`Transport`], whichever it is: HTTP/2 to another process, or
//! the service itself in this one. [`Peers`] finds the replica that serves a call.

mod credential;
mod deadline;
mod elsewhere;
mod peers;
mod server;
mod tls;
mod traced;
mod transport;

pub use credential::ClusterCredential;
pub use deadline::{wanted_within, within};
pub use elsewhere::Elsewhere;
pub use peers::Peers;
pub use server::{ServeError, serve};
pub use tls::{Tls, TlsError, TlsFiles};
pub use transport::{BoxError, Transport, TransportError, local};
