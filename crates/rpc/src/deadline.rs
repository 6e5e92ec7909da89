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

/// Returns within which time the caller wants its answer, if it says so.
pub fn wanted_within<T>(request: &Request<T>) -> Option<Duration> {
    let value = request.metadata().get("grpc-timeout")?.to_str().ok()?;
    let (count, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let count: u64 = count.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count.saturating_mul(3_600))),
        "M" => Some(Duration::from_secs(count.saturating_mul(60))),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_reads_what_the_client_set() {
        for limit in [1, 59_999, 60_000, 7_200_000].map(Duration::from_millis) {
            assert_eq!(wanted_within(&within(limit, ())), Some(limit));
        }
        assert_eq!(wanted_within(&Request::new(())), None);
        for odd in ["", "S", "5", "5x", "é"] {
            let mut request = Request::new(());
            if let Ok(value) = odd.parse() {
                request.metadata_mut().insert("grpc-timeout", value);
            }
            assert_eq!(wanted_within(&request), None, "{odd}");
        }
    }
}
