use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use ery_clock::UnixMillis;

use crate::adapters::ProviderError;

/// The longest wait that is believed.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// Tells what an answer that is no success means.
///
/// The body's own text is never used: it may repeat the prompt or the key.
pub(super) fn of_status(
    status: u16,
    body: &str,
    headers: &HeaderMap,
    now: UnixMillis,
) -> ProviderError {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let error = body.get("error").unwrap_or(&Value::Null);
    let retry_after = retry_after(headers, now).or_else(|| google_wait(error));
    let code = || error_code(&body);
    match status {
        400 if has_detail(error, "reason", "API_KEY_INVALID") => ProviderError::Key { status },
        401 | 403 => ProviderError::Key { status },
        402 => ProviderError::Credit { status },
        404 | 405 | 410 => ProviderError::NotFound { status },
        300..=399 => ProviderError::Moved { status },
        429 if code().as_deref() == Some("insufficient_quota") => ProviderError::Credit { status },
        429 => ProviderError::Limited { status, retry_after },
        408 | 409 | 425 | 500..=599 => ProviderError::Failed { status, retry_after },
        _ => ProviderError::Refused { status, code: code() },
    }
}

/// Tells what an `error` in the middle of an answer means.
pub(super) fn in_answer(error: &Value) -> ProviderError {
    let field = |name: &str| error.get(name).and_then(Value::as_str);
    let status = error.get("code").and_then(Value::as_u64);
    let status = status.and_then(|status| u16::try_from(status).ok());
    match (status, field("type").or_else(|| field("status"))) {
        (Some(429), _) | (_, Some("rate_limit_error" | "RESOURCE_EXHAUSTED")) => {
            ProviderError::Limited { status: 429, retry_after: google_wait(error) }
        }
        (Some(status @ 400..=499), _) => of_status(status, "", &HeaderMap::new(), UnixMillis(0)),
        (_, Some("invalid_request_error")) => {
            ProviderError::Refused { status: 200, code: Some("invalid_request_error".to_owned()) }
        }
        (status, _) => ProviderError::Failed { status: status.unwrap_or(200), retry_after: None },
    }
}

/// Tells what a failure of the connection means.
pub(super) fn of_transport(error: &reqwest::Error) -> ProviderError {
    if error.is_timeout() && !error.is_connect() {
        ProviderError::Silent
    } else if error.is_connect() || error.is_builder() {
        ProviderError::Unreachable
    } else {
        // It was sent, and may have been worked on.
        ProviderError::BrokeOff
    }
}

/// Returns the provider's code of an error, if it looks like one: `context_length_exceeded`.
fn error_code(body: &Value) -> Option<String> {
    let error = body.get("error")?;
    let code = error.get("code").and_then(Value::as_str);
    let code = code.or_else(|| error.get("type")?.as_str());
    // Google's are in capitals.
    let code = code.or_else(|| error.get("status")?.as_str())?.to_ascii_lowercase();
    // Nothing that could be a key or a piece of a prompt.
    let is_code = code.len() <= 40
        && code.contains('_')
        && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_code.then_some(code)
}

/// Reads `retry-after-ms` and `retry-after`, in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: UnixMillis) -> Option<Duration> {
    let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim());
    let seconds = |text: &str| Duration::try_from_secs_f64(text.parse().ok()?).ok();
    let wait = text("retry-after-ms")
        .and_then(|millis| Duration::try_from_secs_f64(millis.parse::<f64>().ok()? / 1_000.0).ok())
        .or_else(|| seconds(text("retry-after")?))
        .or_else(|| {
            let date = text("retry-after")?.replace("GMT", "+0000");
            let date = OffsetDateTime::parse(&date, &Rfc2822).ok()?;
            let millis = i64::try_from(date.unix_timestamp_nanos() / 1_000_000).ok()?;
            Some(UnixMillis(millis).since(now))
        })?;
    Some(wait.min(LONGEST_WAIT))
}

/// Reads the wait that Google puts into an error's details: `"retryDelay": "34s"`.
fn google_wait(error: &Value) -> Option<Duration> {
    let details = error.get("details")?.as_array()?;
    let delay = details.iter().find_map(|detail| detail.get("retryDelay")?.as_str())?;
    let seconds: f64 = delay.strip_suffix('s')?.parse().ok()?;
    Some(Duration::try_from_secs_f64(seconds).ok()?.min(LONGEST_WAIT))
}

fn has_detail(error: &Value, name: &str, value: &str) -> bool {
    let details = error.get("details").and_then(Value::as_array);
    details.is_some_and(|details| details.iter().any(|detail| detail[name] == value))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        [(HeaderName::from_static(name), HeaderValue::from_static(value))].into_iter().collect()
    }

    #[test]
    fn a_wait_is_read_in_every_form() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = UnixMillis(784_111_777_000);
        for (name, value, wait) in [
            ("retry-after", "7", Some(Duration::from_secs(7))),
            ("retry-after", "0.25", Some(Duration::from_millis(250))),
            ("retry-after-ms", "1500", Some(Duration::from_millis(1_500))),
            ("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT", Some(Duration::from_secs(10))),
            ("retry-after", "Sun, 06 Nov 1994 08:49:07 GMT", Some(Duration::ZERO)),
            ("retry-after", "99999999999999", Some(LONGEST_WAIT)),
            ("retry-after", "-1", None),
            ("retry-after", "soon", None),
            ("retry-after", "NaN", None),
            ("x-other", "7", None),
        ] {
            assert_eq!(retry_after(&headers(name, value), now), wait, "{name}: {value}");
        }
    }

    #[test]
    fn only_a_code_is_taken_from_a_body() {
        for (body, code) in [
            (r#"{"error":{"code":"context_length_exceeded"}}"#, Some("context_length_exceeded")),
            (r#"{"error":{"type":"invalid_request_error"}}"#, Some("invalid_request_error")),
            (r#"{"error":{"code":"sk-proj-abcdef"}}"#, None),
            (r#"{"error":{"code":"the prompt was: hello"}}"#, None),
            (r#"{"error":{"code":400,"status":"INVALID_ARGUMENT"}}"#, Some("invalid_argument")),
            (r#"{"error":"text"}"#, None),
        ] {
            assert_eq!(error_code(&serde_json::from_str(body).unwrap()).as_deref(), code, "{body}");
        }
    }

    #[test]
    fn statuses_say_whether_to_try_again() {
        let none = HeaderMap::new();
        for (status, is_final) in [
            (301, true),
            (400, true),
            (401, true),
            (402, true),
            (403, true),
            (404, true),
            (408, false),
            (413, true),
            (422, true),
            (429, false),
            (500, false),
            (503, false),
            (529, false),
        ] {
            let error = of_status(status, "", &none, UnixMillis(0));
            assert_eq!(error.is_final(), is_final, "{status}: {error}");
        }
        let quota = r#"{"error":{"code":"insufficient_quota"}}"#;
        assert!(of_status(429, quota, &none, UnixMillis(0)).is_final());
        let key = r#"{"error":{"code":400,"details":[{"reason":"API_KEY_INVALID"}]}}"#;
        let error = of_status(400, key, &none, UnixMillis(0));
        assert_eq!(error, ProviderError::Key { status: 400 });
        let wait = r#"{"error":{"code":429,"details":[{"retryDelay":"1.5s"}]}}"#;
        let error = of_status(429, wait, &none, UnixMillis(0));
        assert_eq!(error.retry_after(), Some(Duration::from_millis(1_500)));
    }

    #[test]
    fn errors_within_an_answer_are_judged_by_what_they_are() {
        use serde_json::json;

        for (error, is_final, is_illness) in [
            (json!({"type": "overloaded_error"}), false, true),
            (json!({"type": "rate_limit_error"}), false, false),
            (json!({"type": "invalid_request_error"}), true, false),
            (json!({"code": 429}), false, false),
            (json!({"code": 503, "status": "UNAVAILABLE"}), false, true),
            (json!({"code": 400}), true, false),
            (json!("an error was encountered"), false, true),
        ] {
            let judged = in_answer(&error);
            assert_eq!((judged.is_final(), judged.is_illness()), (is_final, is_illness), "{error}");
        }
    }
}
