//! One writing connection for a SQLite file: whatever waits is committed as one transaction.
//!
//! Each request runs in a savepoint of its own, so that a refused one takes nothing with it, and is
//! answered after the commit that makes it durable. A sync for each group instead of for each
//! request is what makes `synchronous=FULL` affordable.

mod open;
mod rekey;
mod writer;

pub use open::{FileKey, LOG_PAGES, NotAKey, OpenError, open, open_read_only};
pub use rekey::{Rekey, RekeyError, Rekeyed, rekey};
pub use writer::{Group, WriteError, Writer};
