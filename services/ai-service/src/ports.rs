use std::sync::Arc;

use ery_clock::Clock;

/// What the service needs from outside.
#[derive(Clone, Debug)]
pub struct Ports {
    /// Read for a provider's `Retry-After` that names a date.
    pub clock: Arc<dyn Clock>,
}
