use std::time::Duration;

use tonic::Request;

/// Makes a request that must be answered within `limit`, by the server and by the client.
///
/// Every call has one: a peer that hangs must not hold a task thread.
pub fn within<T>(limit: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    request
}
